//! Encoders in simulated time, and what every output of an engine must be.

use std::collections::BTreeMap;

use bytes::Bytes;
use headwater_live::engine::{AccessUnit, Black, BlackWanted, Engine, Output, Settings};
use headwater_live::journal;
use headwater_live::limits::Limits;
use headwater_live::reason::Drop;
use headwater_live::stream::{Kind, StreamConfig};
use headwater_live::timeline::{Change, Timeline, TrackIndex, clock_of_ticks};
use headwater_time::Timescale;

pub(crate) const NOW: i64 = 1_764_000_000_000;
pub(crate) const FRAME: i64 = 3_600; // 25 pictures a second

pub(crate) fn settings() -> Settings {
    Settings {
        interval_ms: 2_000,
        part_ms: 380,
        limits: Limits::STANDARD,
    }
}

pub(crate) fn video() -> StreamConfig {
    StreamConfig {
        kind: Kind::Video,
        language: None,
        codec: "avc1.64001f".into(),
        timescale: Timescale::MPEG,
        width: 1280,
        height: 720,
        sample_rate: 0,
        channels: 0,
        init: b"video".to_vec(),
        unit_duration: None,
        nal_length_size: Some(4),
    }
}

pub(crate) fn audio() -> StreamConfig {
    StreamConfig {
        kind: Kind::Audio,
        language: None,
        codec: "mp4a.40.2".into(),
        timescale: Timescale::new(48_000).unwrap(),
        width: 0,
        height: 0,
        sample_rate: 48_000,
        channels: 2,
        init: b"audio".to_vec(),
        unit_duration: Some(1024),
        nal_length_size: None,
    }
}

/// Makes the black pictures that are asked for, as a worker does.
pub(crate) fn make_black(engine: &mut Engine) -> Vec<BlackWanted> {
    let asked = engine.black_wanted();
    for wanted in &asked {
        let black = Black {
            config: StreamConfig {
                init: b"black".to_vec(),
                ..video()
            },
            group: vec![Bytes::from_static(b"black"); wanted.pictures],
        };
        engine.set_black(wanted.track, black);
    }
    asked
}

/// What has come out, held to what every output must be.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) timeline: Timeline,
    pub(crate) journal: Option<Vec<u8>>,
    pub(crate) media: BTreeMap<(TrackIndex, u64), Vec<Bytes>>,
    pub(crate) drops: Vec<Drop>,
    pub(crate) jumps: usize,
    pub(crate) numbers: Vec<u64>,
}

impl Seen {
    pub(crate) fn drain(&mut self, engine: &mut Engine) {
        let journal = self
            .journal
            .get_or_insert_with(|| journal::snapshot(&self.timeline));
        while let Some(output) = engine.poll() {
            match output {
                Output::Change(change) => {
                    if let Change::Row { number, .. } = change {
                        self.numbers.push(number);
                    }
                    self.timeline.apply(&change).unwrap();
                    journal.extend(journal::record(&change).unwrap_or_default());
                    if let Change::Close { track, number, .. } = change {
                        let segment = self.timeline.row(number).unwrap().segments[&track].clone();
                        let whole = Change::Whole {
                            track,
                            number,
                            segment,
                        };
                        journal.extend(journal::record(&whole).unwrap());
                    }
                }
                Output::Media {
                    track,
                    number,
                    bytes,
                } => {
                    let parts = self.media.entry((track, number)).or_default();
                    let part =
                        self.timeline.row(number).unwrap().segments[&track].parts[parts.len()];
                    assert_eq!(part.size as usize, bytes.len());
                    parts.push(bytes);
                }
                Output::Dropped { drop, .. } => self.drops.push(drop),
                Output::Jump { .. } => self.jumps += 1,
            }
        }
        assert_eq!(self.timeline, *engine.timeline());
        assert!(self.numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
    }

    /// What every timeline keeps, whatever came in.
    pub(crate) fn check(&self) {
        for index in 0..self.timeline.tracks.len() as TrackIndex {
            let mut end = 0;
            for (row, segment) in self.timeline.segments(index) {
                assert!(
                    segment.start >= end,
                    "segments overlap: track {index} {segment:?} after {end}"
                );
                let scale = self
                    .timeline
                    .config(index, segment.config)
                    .unwrap()
                    .timescale;
                let start = clock_of_ticks(segment.start, scale);
                assert!(start >= row.start - 5_400, "a segment before its row");
                let next = self.timeline.row(row.number + 1);
                assert!(next.is_none_or(|next| start < next.start + 5_400));
                let mut offset = 0;
                for part in &segment.parts {
                    assert!(part.offset >= offset);
                    offset = part.offset + part.duration;
                }
                if segment.complete {
                    assert!(segment.duration > 0);
                    end = segment.end();
                }
                assert!(segment.parts.first().is_none_or(|part| part.independent));
            }
        }
        let journal = self.journal.as_ref().unwrap();
        let read = journal::read(journal).unwrap();
        assert_eq!(
            (read.timeline, read.good),
            (self.timeline.clone(), journal.len())
        );
    }

    /// What is missing of a picture track that never rests is told.
    pub(crate) fn check_told(&self, track: TrackIndex) {
        let segments: Vec<_> = self.timeline.segments(track).collect();
        for pair in segments.windows(2) {
            let ((before, earlier), (after, later)) = (pair[0], pair[1]);
            if later.start - earlier.end() > 90 * headwater_live::engine::HOLE_MS as u64 {
                let mut rows = self.timeline.rows.iter();
                let told = rows.any(|row| {
                    row.discontinuity && row.number > before.number && row.number <= after.number
                });
                assert!(told, "track {track} has a hole before row {}", after.number);
            }
        }
    }

    pub(crate) fn starts(&self, track: TrackIndex) -> Vec<u64> {
        let complete = self.timeline.segments(track).filter(|(_, s)| s.complete);
        complete.map(|(_, segment)| segment.start).collect()
    }

    pub(crate) fn discontinuities(&self) -> usize {
        self.timeline
            .rows
            .iter()
            .filter(|row| row.discontinuity)
            .count()
    }
}

/// An encoder with a group of pictures of two seconds, 25 pictures a second, two of which are reordered, and sound.
pub(crate) struct Encoder {
    pub(crate) source: u64,
    /// First time stamp, 90 kHz.
    pub(crate) base: i64,
    pub(crate) video: Vec<TrackIndex>,
    pub(crate) audio: Option<TrackIndex>,
    pub(crate) frame: i64,
    pub(crate) sound: i64,
    /// A picture that is a key frame beside the regular ones.
    pub(crate) extra: i64,
}

impl Encoder {
    pub(crate) fn new(
        engine: &mut Engine,
        source: u64,
        base: i64,
        now: i64,
        rates: &[u32],
        sound: bool,
    ) -> Self {
        let mut announce =
            |name: &str, rate, stream| engine.announce(now, source, name, rate, stream).unwrap();
        Self {
            source,
            base,
            video: rates
                .iter()
                .map(|rate| announce("video", *rate, video()))
                .collect(),
            audio: sound.then(|| announce("audio", 128_000, audio())),
            frame: 0,
            sound: 0,
            extra: -1,
        }
    }

    /// Sends the next picture of all renditions and the sound up to it, in milliseconds as RTMP has them.
    pub(crate) fn step(&mut self, engine: &mut Engine, now: i64) {
        let rounded = |ticks: i64| (self.base + ticks) / 90 * 90;
        let dts = self.frame * FRAME;
        let delay = match self.frame % 50 % 3 {
            0 => 1,
            1 => 2,
            _ => 0,
        };
        for track in &self.video {
            let unit = AccessUnit {
                dts: rounded(dts),
                pts: rounded(dts + delay * FRAME),
                sync: self.frame % 50 == 0 || self.frame == self.extra,
                bytes: Bytes::from(self.frame.to_be_bytes().to_vec()),
            };
            engine.push(now, self.source, *track, unit).unwrap();
        }
        while let Some(track) = self.audio {
            let time = self.sound * 1024 * 90_000 / 48_000;
            if time > dts {
                break;
            }
            let unit = AccessUnit {
                dts: rounded(time),
                pts: rounded(time),
                sync: true,
                bytes: Bytes::from(self.sound.to_be_bytes().to_vec()),
            };
            engine.push(now, self.source, track, unit).unwrap();
            self.sound += 1;
        }
        self.frame += 1;
    }

    pub(crate) fn run(
        &mut self,
        engine: &mut Engine,
        seen: &mut Seen,
        now: &mut i64,
        frames: usize,
    ) {
        for _ in 0..frames {
            self.step(engine, *now);
            seen.drain(engine);
            *now += 40;
            engine.tick(*now);
            seen.drain(engine);
        }
    }
}
