//! The timeline of an event: which segments there are, of which tracks, and when they play.
//!
//! A *row* is one step of the event: the segments of all tracks that belong between two key frames, under one media
//! sequence number. A track that sent nothing has none in it: that is a gap. Numbers count up by one from row to row and
//! are never given twice, not even by another worker (see [`first_number`]).
//!
//! A [`Timeline`] is a value. It moves by [`Change`]s, which a journal keeps, so whoever applies the same changes has the
//! same timeline.

mod bytes;

pub(crate) use bytes::{
    TIMELINE_VERSION, read_change, read_row, read_timeline, write_change, write_row, write_timeline,
};

use std::collections::{BTreeMap, VecDeque};

use headwater_time::{Rounding, Timescale, rescale};

use crate::cue::{Cue, MOST_CUES, MOST_SCHEMES};
use crate::group::{Gone, RowsPerSegment};
use crate::stream::{Kind, StreamConfig};
use crate::{CLOCK, LiveError};

/// Which track: its place in [`Timeline::tracks`].
pub type TrackIndex = u16;

/// One decoder configuration of a track, as a timeline keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// RFC 6381.
    pub codec: String,
    pub timescale: Timescale,
    pub width: u32,
    pub height: u32,
    pub sample_rate: u32,
    pub channels: u16,
    /// The CMAF header.
    pub init: Vec<u8>,
}

impl From<&StreamConfig> for Config {
    fn from(stream: &StreamConfig) -> Self {
        Self {
            codec: stream.codec.clone(),
            timescale: stream.timescale,
            width: stream.width,
            height: stream.height,
            sample_rate: stream.sample_rate,
            channels: stream.channels,
            init: stream.init.clone(),
        }
    }
}

/// A track. `name` and `bitrate` together are unique: they are its address in URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    pub kind: Kind,
    /// `video`, `audio`, ...
    pub name: String,
    /// Bits per second, as announced or measured when the track came up.
    pub bitrate: u32,
    /// As it was stated; see [`language`](crate::language). All tracks of a name that state one state the same.
    pub language: Option<String>,
    /// In the order in which they came into use; not empty once media has come. What came back after another is there twice.
    pub configs: Vec<Config>,
}

/// One CMAF chunk: an HLS part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Ticks from the start of its segment to its first decode time.
    pub offset: u32,
    /// Ticks.
    pub duration: u32,
    /// Bytes, header included.
    pub size: u32,
    /// Bytes of `emsg` boxes, of `moof` and of the `mdat` header.
    pub header: u32,
    /// Begins with a sync sample.
    pub independent: bool,
}

/// A segment of one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Presentation time of its first sample in ticks of the track since the epoch: its name in URLs and in storage.
    pub start: u64,
    /// Ticks to the next segment's start, or to the end of what came. 0 while it grows.
    pub duration: u32,
    /// Which of the track's configurations.
    pub config: u16,
    /// In order; tile its bytes.
    pub parts: Vec<Part>,
    /// All of it is there.
    pub complete: bool,
}

impl Segment {
    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.parts
            .iter()
            .fold(0, |sum, part| sum.saturating_add(u64::from(part.size)))
    }

    /// Where part `number` is among the segment's bytes.
    #[must_use]
    pub fn part_range(&self, number: usize) -> Option<std::ops::Range<u64>> {
        let part = self.parts.get(number)?;
        let before = self.parts.get(..number)?.iter();
        let start = before.fold(0_u64, |sum, part| sum.saturating_add(u64::from(part.size)));
        Some(start..start.saturating_add(u64::from(part.size)))
    }

    /// Start of the time after it, in ticks of the track.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start.saturating_add(u64::from(self.duration))
    }
}

/// One step of the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Media sequence number, the same in all tracks.
    pub number: u64,
    /// On the event's clock.
    pub start: i64,
    /// Nothing before it fits: another encoder clock, other parameters, or time missing.
    pub discontinuity: bool,
    /// By track.
    pub segments: BTreeMap<TrackIndex, Segment>,
}

/// A step of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The next track in order.
    Track {
        kind: Kind,
        name: String,
        bitrate: u32,
        language: Option<String>,
    },
    /// What language a track is in has come to be known.
    Language { track: TrackIndex, language: String },
    /// The next configuration of a track.
    Config { track: TrackIndex, config: Config },
    /// The next row.
    Row {
        number: u64,
        start: i64,
        discontinuity: bool,
    },
    /// A segment begins.
    Open {
        track: TrackIndex,
        number: u64,
        start: u64,
        config: u16,
    },
    /// The next part of a segment that has begun.
    Part {
        track: TrackIndex,
        number: u64,
        part: Part,
    },
    /// A segment is complete.
    Close {
        track: TrackIndex,
        number: u64,
        duration: u32,
    },
    /// A complete segment at once: what a journal keeps.
    Whole {
        track: TrackIndex,
        number: u64,
        segment: Segment,
    },
    /// A cue, or what it says now: see [`Cue::is_same`].
    Cue(Cue),
    /// The cues of that id from `start` on (event clock) do not come to pass.
    Withdrawn { id: String, start: i64 },
    /// Media carries messages of this scheme from now on.
    Scheme { scheme: String, value: String },
    /// Rows before `number` are gone.
    Trim { number: u64 },
    /// Nothing follows.
    End,
}

/// What there is of an event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timeline {
    pub tracks: Vec<Track>,
    /// In order of their numbers, without a hole.
    pub rows: VecDeque<Row>,
    /// Rows that are gone, as far as they count.
    pub gone: Gone,
    /// The number after the last row's, also when no row is left. `None` before the first.
    pub next_number: Option<u64>,
    pub ended: bool,
    /// By their moments. Those that were over before the first row are gone.
    pub cues: Vec<Cue>,
    /// Scheme and value of messages in media.
    pub schemes: Vec<(String, String)>,
}

/// The number of an event's first row: the steps of `interval_ms` since the epoch. As no step is shorter, a timeline whose
/// state was lost begins anew with numbers that nobody has used.
#[must_use]
pub fn first_number(now_ms: i64, interval_ms: u32) -> u64 {
    let steps = now_ms.checked_div(i64::from(interval_ms.max(1)));
    u64::try_from(steps.unwrap_or(0)).unwrap_or(0)
}

/// A time of the event's clock in ticks of a track, rounded to the nearest.
#[must_use]
pub fn ticks_of_clock(clock: i64, scale: Timescale) -> u64 {
    let clock = u64::try_from(clock).unwrap_or(0);
    rescale(clock, CLOCK, scale, Rounding::HalfUp).unwrap_or(u64::MAX)
}

/// A time of a track on the event's clock, rounded to the nearest.
#[must_use]
pub fn clock_of_ticks(ticks: u64, scale: Timescale) -> i64 {
    let clock = rescale(ticks, scale, CLOCK, Rounding::HalfUp);
    clock
        .and_then(|clock| i64::try_from(clock).ok())
        .unwrap_or(i64::MAX)
}

impl Timeline {
    /// Brings the timeline a step on.
    ///
    /// Errors: `Misfit` for a change that was not made from this timeline. It is left as it was.
    pub fn apply(&mut self, change: &Change) -> Result<(), LiveError> {
        let misfit = LiveError::Misfit;
        if self.ended && !matches!(change, Change::Trim { .. }) {
            return Err(misfit("the timeline has ended"));
        }
        match change {
            Change::Track {
                kind,
                name,
                bitrate,
                language,
            } => {
                if self.find(name, *bitrate).is_some() {
                    return Err(misfit("a track has the name and bit rate of another"));
                }
                self.tracks.push(Track {
                    kind: *kind,
                    name: name.clone(),
                    bitrate: *bitrate,
                    language: language.clone(),
                    configs: Vec::new(),
                });
            }
            Change::Language { track, language } => {
                let track = self.tracks.get_mut(usize::from(*track));
                let track = track.ok_or(misfit("no such track"))?;
                track.language = Some(language.clone());
            }
            Change::Config { track, config } => {
                let track = self.tracks.get_mut(usize::from(*track));
                let track = track.ok_or(misfit("no such track"))?;
                track.configs.push(config.clone());
            }
            Change::Row {
                number,
                start,
                discontinuity,
            } => {
                if self.next_number.is_some_and(|next| next != *number) {
                    return Err(misfit("a row number is not the next one"));
                }
                if self.rows.back().is_some_and(|last| last.start >= *start) {
                    return Err(misfit("a row starts before the one in front of it"));
                }
                self.next_number = Some(number.saturating_add(1));
                self.rows.push_back(Row {
                    number: *number,
                    start: *start,
                    discontinuity: *discontinuity,
                    segments: BTreeMap::new(),
                });
            }
            Change::Open {
                track,
                number,
                start,
                config,
            } => self.insert(
                *track,
                *number,
                Segment {
                    start: *start,
                    duration: 0,
                    config: *config,
                    parts: Vec::new(),
                    complete: false,
                },
            )?,
            Change::Whole {
                track,
                number,
                segment,
            } => self.insert(*track, *number, segment.clone())?,
            Change::Part {
                track,
                number,
                part,
            } => {
                let segment = self.growing(*track, *number)?;
                segment.parts.push(*part);
            }
            Change::Close {
                track,
                number,
                duration,
            } => {
                let segment = self.growing(*track, *number)?;
                segment.duration = *duration;
                segment.complete = true;
            }
            Change::Trim { number } => {
                while let Some(row) = self.rows.front().filter(|row| row.number < *number) {
                    self.gone.take(row);
                    self.rows.pop_front();
                }
                if let Some(first) = self.rows.front().map(|row| row.start) {
                    self.cues.retain(|cue| cue.end() >= first);
                }
            }
            Change::Cue(cue) => self.take_cue(cue.clone()),
            Change::Withdrawn { id, start } => {
                self.cues.retain(|cue| cue.id != *id || cue.start < *start);
            }
            Change::Scheme { scheme, value } => {
                let pair = (scheme.clone(), value.clone());
                if !self.schemes.contains(&pair) && self.schemes.len() < MOST_SCHEMES {
                    self.schemes.push(pair);
                }
            }
            Change::End => {
                self.ended = true;
                self.drop_incomplete();
            }
        }
        Ok(())
    }

    /// The newest `rows` rows with everything around them: what is shown of a long timeline.
    #[must_use]
    pub fn tail(&self, rows: usize) -> Self {
        let skipped = self.rows.len().saturating_sub(rows);
        let mut gone = self.gone.clone();
        self.rows
            .iter()
            .take(skipped)
            .for_each(|row| gone.take(row));
        Self {
            tracks: self.tracks.clone(),
            rows: self.rows.iter().skip(skipped).cloned().collect(),
            gone,
            next_number: self.next_number,
            ended: self.ended,
            cues: self.cues.clone(),
            schemes: self.schemes.clone(),
        }
    }

    /// What is gone once the rows before that of number `number` are.
    #[must_use]
    pub fn gone_before(&self, number: u64) -> Gone {
        let mut gone = self.gone.clone();
        let before = self.rows.iter().take_while(|row| row.number < number);
        before.for_each(|row| gone.take(row));
        gone
    }

    /// Counts a row that is not kept, in front of all that are.
    pub fn pass_over(&mut self, number: u64, start: i64, discontinuity: bool) {
        self.gone.take(&Row {
            number,
            start,
            discontinuity,
            segments: BTreeMap::new(),
        });
        self.next_number = Some(number.saturating_add(1));
    }

    /// What begins anew after this: nothing, but for the numbers, which go on.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self {
            gone: self.gone_before(u64::MAX),
            next_number: self.next_number,
            ..Self::default()
        }
    }

    /// Takes a cue in, or what is newly said of it. The oldest makes room.
    pub fn take_cue(&mut self, cue: Cue) {
        self.cues.retain(|known| !known.is_same(&cue));
        let at = self.cues.partition_point(|known| known.start <= cue.start);
        self.cues.insert(at, cue);
        if self.cues.len() > MOST_CUES {
            self.cues.remove(0);
        }
    }

    fn insert(
        &mut self,
        track: TrackIndex,
        number: u64,
        segment: Segment,
    ) -> Result<(), LiveError> {
        let configs = self.tracks.get(usize::from(track));
        let configs = configs.map_or(0, |track| track.configs.len());
        if usize::from(segment.config) >= configs {
            return Err(LiveError::Misfit("no such track or configuration"));
        }
        let row = self.row_mut(number);
        let row = row.ok_or(LiveError::Misfit("no such row"))?;
        match row.segments.get(&track) {
            Some(there) if there.complete => {
                Err(LiveError::Misfit("the row has a segment of the track"))
            }
            _ => {
                row.segments.insert(track, segment);
                Ok(())
            }
        }
    }

    fn growing(&mut self, track: TrackIndex, number: u64) -> Result<&mut Segment, LiveError> {
        self.row_mut(number)
            .and_then(|row| row.segments.get_mut(&track))
            .filter(|segment| !segment.complete)
            .ok_or(LiveError::Misfit("no segment grows there"))
    }

    fn place(&self, number: u64) -> Option<usize> {
        let first = self.rows.front()?.number;
        usize::try_from(number.checked_sub(first)?).ok()
    }

    /// The row of that number.
    #[must_use]
    pub fn row(&self, number: u64) -> Option<&Row> {
        self.rows.get(self.place(number)?)
    }

    fn row_mut(&mut self, number: u64) -> Option<&mut Row> {
        let place = self.place(number)?;
        self.rows.get_mut(place)
    }

    /// The track with that address.
    #[must_use]
    pub fn find(&self, name: &str, bitrate: u32) -> Option<TrackIndex> {
        let mut tracks = self.tracks.iter();
        let at = tracks.position(|track| track.name == name && track.bitrate == bitrate)?;
        TrackIndex::try_from(at).ok()
    }

    /// The configuration that a segment of `track` names.
    #[must_use]
    pub fn config(&self, track: TrackIndex, config: u16) -> Option<&Config> {
        let track = self.tracks.get(usize::from(track))?;
        track.configs.get(usize::from(config))
    }

    /// Complete segments and the one that grows, of one track, with their rows. In order.
    pub fn segments(&self, track: TrackIndex) -> impl Iterator<Item = (&Row, &Segment)> {
        self.rows
            .iter()
            .filter_map(move |row| row.segments.get(&track).map(|segment| (row, segment)))
    }

    /// The segment of `track` that starts at `start` ticks.
    #[must_use]
    pub fn segment_at(&self, track: TrackIndex, start: u64) -> Option<(&Row, &Segment)> {
        let scale = self
            .tracks
            .get(usize::from(track))?
            .configs
            .last()?
            .timescale;
        // Rows are sorted by clock; a segment starts in its row or a moment before it.
        let clock = clock_of_ticks(start, scale);
        let after = self.rows.partition_point(|row| row.start <= clock);
        let from = after.saturating_sub(2);
        let near = self.rows.iter().skip(from).take(4);
        near.filter_map(|row| row.segments.get(&track).map(|segment| (row, segment)))
            .find(|(_, segment)| segment.start == start)
    }

    /// Where the complete media ends on the event's clock.
    #[must_use]
    pub fn end(&self) -> Option<i64> {
        let rows = self.rows.iter().rev().take(8);
        let ends = rows.filter_map(|row| self.row_end(row));
        ends.chain(self.rows.back().map(|row| row.start)).max()
    }

    /// Where the media of one of its rows ends on the event's clock. `None`: it has none.
    #[must_use]
    pub fn row_end(&self, row: &Row) -> Option<i64> {
        let ends = row.segments.iter().filter_map(|(track, segment)| {
            let config = self.config(*track, segment.config)?;
            let last = segment.parts.last();
            let parts = last.map_or(0, |part| part.offset.saturating_add(part.duration));
            let end = segment
                .start
                .saturating_add(u64::from(segment.duration.max(parts)));
            Some(clock_of_ticks(end, config.timescale))
        });
        ends.max()
    }

    /// The changes by which what grows has come to be.
    pub fn what_grows(&self) -> impl Iterator<Item = Change> {
        self.rows.iter().flat_map(|row| {
            let growing = row.segments.iter().filter(|(_, segment)| !segment.complete);
            growing.flat_map(move |(track, segment)| {
                let (track, number) = (*track, row.number);
                let open = Change::Open {
                    track,
                    number,
                    start: segment.start,
                    config: segment.config,
                };
                let parts = segment.parts.iter().map(move |part| Change::Part {
                    track,
                    number,
                    part: *part,
                });
                std::iter::once(open).chain(parts)
            })
        })
    }

    /// Closes what was growing when its worker was lost, behind the last part whose media there is. `there`: how many bytes of a
    /// segment. What has no part is taken out; the rows stay, as their numbers have been given out.
    ///
    /// Gives what was growing, and of how many bytes it is now; 0: it is gone.
    pub fn close_what_grew(
        &mut self,
        there: impl Fn(TrackIndex, u64) -> u64,
    ) -> Vec<(TrackIndex, u64, u64)> {
        let mut grew = Vec::new();
        for row in &mut self.rows {
            let number = row.number;
            row.segments.retain(|track, segment| {
                if segment.complete {
                    return true;
                }
                let there = there(*track, number);
                let mut size = 0_u64;
                let whole = segment.parts.iter().take_while(|part| {
                    let end = size.saturating_add(u64::from(part.size));
                    let is_whole = end <= there;
                    if is_whole {
                        size = end;
                    }
                    is_whole
                });
                let parts = whole.count();
                segment.parts.truncate(parts);
                let last = segment.parts.last();
                segment.duration = last.map_or(0, |part| part.offset.saturating_add(part.duration));
                segment.complete = segment.duration > 0;
                grew.push((*track, number, if segment.complete { size } else { 0 }));
                segment.complete
            });
        }
        grew
    }

    /// Takes out what was growing when its worker was lost: nobody has all of it. The rows stay, as their numbers have
    /// been given out.
    pub fn drop_incomplete(&mut self) {
        for row in &mut self.rows {
            row.segments.retain(|_, segment| segment.complete);
        }
    }

    /// The first row to keep so that the last `window_ms` can be played.
    #[must_use]
    pub fn first_within(&self, window_ms: u64) -> Option<u64> {
        let window = crate::clock_of_ms(i64::try_from(window_ms).unwrap_or(i64::MAX));
        let edge = self.end()?.saturating_sub(window);
        // A row is needed while its end, which is the next one's start, is inside of the window.
        let first = self.rows.partition_point(|row| row.start <= edge);
        self.rows.get(first.saturating_sub(1)).map(|row| row.number)
    }

    /// Discontinuities before the row of that number, those in front of the timeline's first row included.
    #[must_use]
    pub fn discontinuity_sequence(&self, number: u64) -> u64 {
        self.gone_before(number).discontinuities
    }

    /// The number of the segment that holds the row of number `number`, where a segment holds `rows` rows: 1 more than that of
    /// the segment before, and the same for as long as the row is known of.
    #[must_use]
    pub fn segment_number(&self, number: u64, rows: RowsPerSegment) -> u64 {
        let up_to = self.rows.iter().take_while(|row| row.number <= number);
        let cuts = up_to.filter(|row| rows.cuts(row)).count();
        rows.stretches(number)
            .saturating_add(self.gone.cuts(rows))
            .saturating_add(u64::try_from(cuts).unwrap_or(u64::MAX))
    }
}
