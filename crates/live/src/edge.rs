//! What the origin asks the worker that runs an event: its newest moments, which are not in storage yet.
//!
//! HTTP on a private listener, every request with `Authorization: Bearer {secret}` or, for media that an assembler fetches,
//! with `key={secret}` in its query:
//!
//! | `GET` | answer |
//! |---|---|
//! | `/live/v1/events/{id}/timeline?[track=&number=&part=&wait=]` | [`Snapshot`] bytes; with a place, once it is there or `wait` ms (at most [`MOST_WAIT_MS`]) are over |
//! | `/live/v1/events/{id}/init/{track}/{config}` | the CMAF header |
//! | `/live/v1/events/{id}/media/{track}/{number}/{part}?[wait=]` | one part, likewise |
//! | `/live/v1/events/{id}/media/{track}/{number}?[wait=]` | a segment; one that still grows comes part by part as parts are made, and ends with it |
//!
//! Of media that is complete, `Range: bytes=a-b` gives a part. `track`, `number` and `part` are those of the timeline. 404: no such event, track or place (yet); 410: no longer in
//! memory, look in storage; 401: another secret. Answers are not to be cached by themselves: what the origin makes of them
//! has its own life.

use crate::LiveError;
use crate::timeline::{TIMELINE_VERSION, Timeline, TrackIndex, read_timeline, write_timeline};
use crate::wire::{Reader, Writer, frame, open};

/// Longest wait of one request.
pub const MOST_WAIT_MS: u64 = 10_000;

const MAGIC: [u8; 4] = *b"HWLE";
const VERSION: u16 = TIMELINE_VERSION;

/// What an event is at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Of the event: counted up by a reset.
    pub generation: u32,
    /// When it was taken, wall clock of the worker in milliseconds.
    pub now_ms: i64,
    /// Promised distance of key frames: the target duration.
    pub interval_ms: u32,
    /// Longest part, the same for the life of the event.
    pub part_ms: u32,
    /// Parts are for players (low latency); without, only whole segments are.
    pub low_latency: bool,
    /// The newest rows, growing segments included.
    pub timeline: Timeline,
}

impl Snapshot {
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.u32(self.generation);
        w.i64(self.now_ms);
        w.u32(self.interval_ms);
        w.u32(self.part_ms);
        w.u8(u8::from(self.low_latency));
        write_timeline(&mut w, &self.timeline);
        frame(MAGIC, VERSION, &w.0)
    }

    /// Errors: `Damaged`, `Version`.
    pub fn parse(bytes: &[u8]) -> Result<Self, LiveError> {
        let opened = open("a snapshot", MAGIC, VERSION, bytes)?;
        let mut r = Reader::new("a snapshot", opened.payload);
        let snapshot = Self {
            generation: r.u32()?,
            now_ms: r.i64()?,
            interval_ms: r.u32()?,
            part_ms: r.u32()?,
            low_latency: r.u8()? != 0,
            timeline: read_timeline(&mut r, opened.version)?,
        };
        r.finish()?;
        Ok(snapshot)
    }
}

/// A place in an event that somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Any track if `None`.
    pub track: Option<TrackIndex>,
    pub number: u64,
    /// The whole segment if `None`.
    pub part: Option<usize>,
}

impl Place {
    /// Whether it is there, or has been passed. A part beyond the end of its segment is the first of the next one.
    #[must_use]
    pub fn is_in(&self, timeline: &Timeline) -> bool {
        if timeline.ended {
            return true;
        }
        let tracks = 0..TrackIndex::try_from(timeline.tracks.len()).unwrap_or(0);
        let mut tracks = tracks.filter(|track| self.track.is_none_or(|wanted| wanted == *track));
        tracks.any(|track| self.is_of(timeline, track))
    }

    fn is_of(&self, timeline: &Timeline, track: TrackIndex) -> bool {
        let newer = timeline.rows.iter().rev();
        let mut newer = newer.take_while(|row| row.number > self.number);
        if newer.any(|row| {
            row.segments
                .get(&track)
                .is_some_and(|s| !s.parts.is_empty())
        }) {
            return true;
        }
        let segment = timeline
            .row(self.number)
            .and_then(|row| row.segments.get(&track));
        segment.is_some_and(|segment| match self.part {
            None => segment.complete,
            Some(part) => segment.parts.len() > part,
        })
    }
}

/// Paths of requests, as a client makes them.
pub mod path {
    use super::Place;
    use crate::timeline::TrackIndex;

    /// The timeline, at once or once `place` is there.
    #[must_use]
    pub fn timeline(event: &str, place: Option<(Place, u64)>) -> String {
        let mut path = format!("/live/v1/events/{event}/timeline");
        if let Some((place, wait_ms)) = place {
            path.push_str(&format!("?number={}&wait={wait_ms}", place.number));
            if let Some(track) = place.track {
                path.push_str(&format!("&track={track}"));
            }
            if let Some(part) = place.part {
                path.push_str(&format!("&part={part}"));
            }
        }
        path
    }

    /// A CMAF header.
    #[must_use]
    pub fn init(event: &str, track: TrackIndex, config: u16) -> String {
        format!("/live/v1/events/{event}/init/{track}/{config}")
    }

    /// A segment, or one part of it.
    #[must_use]
    pub fn media(
        event: &str,
        track: TrackIndex,
        number: u64,
        part: Option<usize>,
        wait_ms: u64,
    ) -> String {
        let part = part.map(|part| format!("/{part}")).unwrap_or_default();
        format!("/live/v1/events/{event}/media/{track}/{number}{part}?wait={wait_ms}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_comes_back_and_damage_shows() {
        let snapshot = Snapshot {
            generation: 2,
            now_ms: 5,
            interval_ms: 2_000,
            part_ms: 334,
            low_latency: true,
            timeline: Timeline::default(),
        };
        let mut bytes = snapshot.to_bytes();
        assert_eq!(Snapshot::parse(&bytes).unwrap(), snapshot);
        bytes[16] ^= 1;
        assert!(Snapshot::parse(&bytes).is_err());
    }

    #[test]
    fn paths_are_as_documented() {
        let place = Place {
            track: Some(1),
            number: 7,
            part: Some(0),
        };
        assert_eq!(
            path::timeline("e", Some((place, 50))),
            "/live/v1/events/e/timeline?number=7&wait=50&track=1&part=0"
        );
        assert_eq!(
            path::media("e", 1, 7, None, 0),
            "/live/v1/events/e/media/1/7?wait=0"
        );
    }
}
