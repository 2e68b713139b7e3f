//! The engine of an event: what encoders send goes in, changes of the timeline and the bytes of chunks come out.
//!
//! * Sources connect, announce streams, push access units and go. Two sources that announce the same track are a redundant
//!   pair: what the one has sent already is dropped when it comes from the other, so either may vanish without a gap.
//! * Pictures are cut at key frames, by the rule of `grid`. Sound waits until the pictures have come to the same moment
//!   and is cut at the first frame at or after a row's start; without pictures it makes the rows itself.
//! * Sound is counted in samples. Time stamps that differ from the count by less than [`SOUND_SLACK_MS`] are rounding.
//! * Where the event asks for it, silence and black pictures stand in for what is missing (`filling`).
//! * A hole of up to [`HOLE_MS`] is bridged by the unit before it. After a longer one pictures begin at a key frame and
//!   with a discontinuity.

mod cues;
mod filling;
mod naming;
mod opening;
mod sound;
mod stats;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

pub use cues::Clock;
pub use filling::{Black, BlackWanted, Fill};
pub use stats::TrackStats;

use crate::cue::Said;
use crate::grid::{Ask, Grid};
use crate::limits::Limits;
use crate::reason::{Drop, Reason};
use crate::source::{Mapped, Mapping};
use crate::stream::{Kind, StreamConfig};
use crate::timeline::{Change, Config, Segment, Timeline, TrackIndex};
use crate::track::{Builder, Made, Unit};
use crate::{LiveError, clock_of_ms};
use filling::{Filling, Standing};
use naming::{Place, place};
use opening::Opening;
use sound::{Held, Sound};

/// What sound may be off its count before it is believed.
pub const SOUND_SLACK_MS: i64 = 16;

/// The longest hole that the unit before it covers.
pub const HOLE_MS: i64 = 500;

/// A source that has sent nothing for so long does not hold others up.
const SILENT_MS: i64 = 2_000;

/// Largest access unit: 4K key frames have some megabytes.
pub const MAX_UNIT_BYTES: usize = 8 << 20;

/// Tracks of an event, those that ended included.
const MOST_TRACKS: TrackIndex = 64;

/// Where an event is to go on, and how it is cut.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Distance of key frames that was promised.
    pub interval_ms: u32,
    /// Longest part. One ends with the sample that takes it to seven eighths of that.
    pub part_ms: u32,
    pub limits: Limits,
}

/// A connection of an encoder, chosen by the caller and never used again.
pub type SourceId = u64;

/// An access unit as it came.
#[derive(Debug, Clone)]
pub struct AccessUnit {
    /// 90 kHz ticks of the source's clock, without wraps.
    pub dts: i64,
    pub pts: i64,
    /// Can be decoded without earlier ones.
    pub sync: bool,
    /// NAL units with lengths in front, or a frame of sound without a transport header.
    pub bytes: Bytes,
}

/// What came of what went in.
#[derive(Debug, Clone)]
pub enum Output {
    /// A step of the timeline. It has been applied to [`Engine::timeline`].
    Change(Change),
    /// The bytes of the part that the change before it told of.
    Media {
        track: TrackIndex,
        number: u64,
        bytes: Bytes,
    },
    /// An access unit was left out. Times on the event's clock.
    Dropped {
        track: TrackIndex,
        time: i64,
        drop: Drop,
    },
    /// A track's time made a jump. Times on the event's clock.
    Jump {
        track: TrackIndex,
        previous: i64,
        new: i64,
    },
}

#[derive(Debug, Default)]
struct Source {
    mapping: Mapping,
    /// Wall clock of its last data.
    last_ms: i64,
    /// Which track each of its lines is.
    lines: BTreeMap<u32, TrackIndex>,
}

#[derive(Debug)]
struct TrackState {
    kind: Kind,
    builder: Builder,
    stream: StreamConfig,
    config: u16,
    uses: Uses,
    /// Configuration to take on with the next row.
    pending: Option<StreamConfig>,
    /// The newest decode time that was taken, event clock.
    last: Option<i64>,
    /// The newest decode time that went into a segment: behind `last` while pictures wait for a key frame.
    kept: Option<i64>,
    /// Whose units are taken, unless another has the same clock.
    active: Option<SourceId>,
    last_ms: i64,
    /// The row of the last segment.
    row: Option<u64>,
    /// When it began to wait for a row, event clock.
    since: Option<i64>,
    sound: Sound,
    standing: Standing,
    stats: TrackStats,
}

/// Configurations of a track that are kept apart though they say the same, before they are used again.
const MOST_CONFIGS: usize = 32;

/// In which rows a track's configurations came into use last.
#[derive(Debug, Default)]
struct Uses(Vec<u64>);

impl Uses {
    fn used(&mut self, config: usize, row: u64) {
        if self.0.len() <= config {
            self.0.resize(config.saturating_add(1), 0);
        }
        if let Some(used) = self.0.get_mut(config) {
            *used = row;
        }
    }

    /// Which of the known configurations is to be in use again. Not one that others have followed, for as long as there are few:
    /// by their configurations a track's periods are told apart. `now`: the one that is in use.
    fn again(&self, known: &[Config], now: u16, config: &Config) -> Option<usize> {
        let now = usize::from(now);
        if known.get(now) == Some(config) {
            return Some(now);
        }
        if known.len() < MOST_CONFIGS {
            return None;
        }
        let same = (0..).zip(known).filter(|(_, known)| *known == config);
        let longest_ago = |(at, _): &(usize, &Config)| self.0.get(*at).copied().unwrap_or(0);
        same.min_by_key(longest_ago).map(|(at, _)| at)
    }
}

/// The engine of one event.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    timeline: Timeline,
    /// Where its media ends, which every access unit is compared with.
    timeline_end: Option<i64>,
    grid: Grid,
    sources: BTreeMap<SourceId, Source>,
    tracks: Vec<TrackState>,
    /// Offset of the source that was placed last.
    shared: Option<i64>,
    out: VecDeque<Output>,
    /// What sources said before the first of their media, which says where their clock is.
    early: VecDeque<(SourceId, Said)>,
    /// While it is looked how late the first data was. `None` from then on.
    opening: Option<Opening>,
    filling: Filling,
}

impl Engine {
    /// Begins, or goes on where `timeline` ends. What was growing in it is dropped, its numbers stay used.
    #[must_use]
    pub fn new(settings: Settings, mut timeline: Timeline, now_ms: i64) -> Self {
        timeline.drop_incomplete();
        let fresh = crate::timeline::first_number(now_ms, settings.interval_ms);
        let next = timeline.next_number.unwrap_or(fresh);
        let interval = clock_of_ms(i64::from(settings.interval_ms.max(1)));
        let mut grid = Grid::new(interval, next);
        let opening = match timeline.next_number {
            Some(_) => {
                grid.break_next();
                None
            }
            None => Some(Opening::default()),
        };
        let tracks = timeline.tracks.iter().map(|track| {
            let config = track.configs.last().cloned();
            TrackState::resumed(track.kind, config, track.configs.len(), &settings)
        });
        let mut engine = Self {
            tracks: tracks.collect(),
            grid,
            settings,
            timeline_end: timeline.end(),
            timeline,
            sources: BTreeMap::new(),
            shared: None,
            out: VecDeque::new(),
            early: VecDeque::new(),
            opening,
            filling: Filling::new(now_ms),
        };
        engine.stand_from();
        engine
    }

    /// What there is.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Forgets rows that nobody needs in memory.
    pub fn forget_before(&mut self, number: u64) {
        let change = Change::Trim { number };
        if self
            .timeline
            .rows
            .front()
            .is_some_and(|row| row.number < number)
        {
            self.change(change);
        }
    }

    /// How far what came is ahead of the wall clock, in milliseconds. An encoder that sends faster than it plays is to be
    /// read more slowly.
    #[must_use]
    pub fn ahead_ms(&self, now_ms: i64) -> i64 {
        let newest = self.tracks.iter().filter_map(|track| track.last).max();
        newest.map_or(0, |newest| {
            (newest / crate::CLOCK_PER_MS).saturating_sub(now_ms)
        })
    }

    /// The next thing that came of what went in.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Rows from this number on may still get segments.
    #[must_use]
    pub fn settled(&self) -> u64 {
        let growing = self.tracks.iter().filter_map(|track| track.builder.row());
        let least = growing.min().unwrap_or(self.grid.next_number());
        let newest = self.grid.newest().map_or(0, |mark| mark.number);
        // Who has fallen silent may come back a few rows late.
        least.min(newest.saturating_sub(4))
    }

    /// How a track is doing; counts since the last call.
    pub fn take_stats(&mut self, track: TrackIndex, now_ms: i64) -> Option<TrackStats> {
        let track = self.tracks.get_mut(usize::from(track))?;
        Some(track.stats.take(track.last, now_ms))
    }

    /// A stream is announced, or announced anew with another configuration. `name` (without a dash), `bitrate` and the language
    /// say which track it is.
    ///
    /// Errors: the reason to refuse it.
    pub fn announce(
        &mut self,
        now_ms: i64,
        source: SourceId,
        name: &str,
        bitrate: u32,
        stream: StreamConfig,
    ) -> Result<TrackIndex, Reason> {
        self.announce_line(now_ms, source, 0, (name, bitrate), stream)
    }

    /// As [`Self::announce`], of a source that may have several streams of the same name, bit rate and language. `line`: which, as the
    /// source tells them apart; two lines are never the same track.
    ///
    /// Errors: the reason to refuse it.
    pub fn announce_line(
        &mut self,
        now_ms: i64,
        source: SourceId,
        line: u32,
        (name, bitrate): (&str, u32),
        mut stream: StreamConfig,
    ) -> Result<TrackIndex, Reason> {
        let limits = self.settings.limits;
        limits.check_size(stream.width, stream.height)?;
        // The track's. What is compared is what decoders are told.
        let language = stream.language.take();
        let lines = &self.sources.entry(source).or_default().lines;
        let others: Vec<TrackIndex> = lines
            .iter()
            .filter(|(known, _)| **known != line)
            .map(|(_, track)| *track)
            .collect();
        // Addresses and times of a track are in one scale: sound at another rate is another track.
        let fits = |index: TrackIndex| {
            let track = self.tracks.get(usize::from(index));
            let fits = track.is_some_and(|track| {
                track.kind == stream.kind && track.stream.timescale == stream.timescale
            });
            fits && !others.contains(&index)
        };
        let place = place(&self.timeline, (name, bitrate), language.as_deref(), fits);
        let name = match place {
            Place::New(name) => name,
            Place::Known(index) => {
                self.announce_again(now_ms, source, index, stream)?;
                self.learn(index, language);
                self.take_line(source, line, index);
                return Ok(index);
            }
        };
        let kind = stream.kind;
        let most = match kind {
            Kind::Video => limits.video_tracks,
            Kind::Audio => limits.audio_tracks,
        };
        let now_live = self
            .tracks
            .iter()
            .filter(|t| t.kind == kind && t.is_live(now_ms))
            .count();
        let index = TrackIndex::try_from(self.tracks.len()).ok();
        let (true, Some(index)) = (now_live < most, index.filter(|index| *index < MOST_TRACKS))
        else {
            return Err(Reason::TooManyQualities);
        };
        if u64::from(bitrate) > limits.layer_bitrate {
            return Err(Reason::BitrateExceeded);
        }
        self.change(Change::Track {
            kind,
            name,
            bitrate,
            language,
        });
        self.change(Change::Config {
            track: index,
            config: Config::from(&stream),
        });
        self.tracks.push(TrackState::new(stream, &self.settings));
        self.take_line(source, line, index);
        Ok(index)
    }

    /// Which track a source's line is from now on.
    fn take_line(&mut self, source: SourceId, line: u32, index: TrackIndex) {
        if let Some(from) = self.sources.get_mut(&source) {
            from.lines.insert(line, index);
        }
    }

    /// A track whose language was not known turns out to have one.
    fn learn(&mut self, track: TrackIndex, language: Option<String>) {
        let known = self.timeline.tracks.get(usize::from(track));
        let unknown = known.is_some_and(|track| track.language.is_none());
        if let Some(language) = language.filter(|_| unknown) {
            self.change(Change::Language { track, language });
        }
    }

    /// A stream of a track that there is.
    ///
    /// Errors: the reason to refuse it.
    fn announce_again(
        &mut self,
        now_ms: i64,
        source: SourceId,
        index: TrackIndex,
        stream: StreamConfig,
    ) -> Result<(), Reason> {
        if let Some(track) = self.tracks.get_mut(usize::from(index)) {
            let other = track.active.is_some_and(|active| active != source);
            let taken = other && track.is_live(now_ms);
            let aside = &mut track.standing.aside;
            match *aside.as_ref().unwrap_or(&track.stream) == stream {
                true if aside.is_some() => {}
                true => track.pending = None,
                // The other of a redundant pair must send the same.
                false if taken => return Err(Reason::CodecNotSupported),
                false if aside.is_some() => *aside = Some(stream),
                false => track.pending = Some(stream),
            }
        }
        Ok(())
    }

    /// An access unit has come.
    ///
    /// Errors: the reason to end the connection.
    pub fn push(
        &mut self,
        now_ms: i64,
        source: SourceId,
        index: TrackIndex,
        unit: AccessUnit,
    ) -> Result<(), Reason> {
        if unit.bytes.len() > MAX_UNIT_BYTES {
            return Err(Reason::TooLargeUnprocessed);
        }
        if unit.bytes.is_empty() {
            return Ok(());
        }
        if let Some(opening) = &mut self.opening {
            if !self.sources.contains_key(&source) {
                return Err(Reason::DescriptionNotReceived);
            }
            let Some(track) = self.tracks.get_mut(usize::from(index)) else {
                return Err(Reason::DescriptionNotReceived);
            };
            // It is somebody's from here on: tracks are counted, and kept from others, while data is held as well.
            if track.active.is_none() {
                track.active = Some(source);
                track.last_ms = now_ms;
            }
            opening.hold(now_ms, source, index, unit);
            return self.open(now_ms);
        }
        self.take(now_ms, source, index, unit)
    }

    /// Begins in earnest, if it has been looked for long enough how late data comes.
    ///
    /// Errors: as those of [`Self::push`].
    fn open(&mut self, now_ms: i64) -> Result<(), Reason> {
        let over = |opening: &mut Opening| opening.is_over(now_ms);
        let Some(opening) = self.opening.take_if(over) else {
            return Ok(());
        };
        // Whoever else is connected has the same clock, as a rule.
        self.shared = opening.offset();
        let mut taken = Ok(());
        for (came_ms, source, index, unit) in opening.into_units() {
            taken = taken.and(self.take(came_ms, source, index, unit));
        }
        taken
    }

    /// The same, whether it has been looked for long enough or not.
    fn open_now(&mut self) {
        if self.opening.as_ref().is_some_and(Opening::holds) {
            // Who sent what is refused has gone, or will be told with what comes next.
            let _ = self.open(i64::MAX);
        }
    }

    /// Takes an access unit in.
    ///
    /// Errors: as those of [`Self::push`].
    fn take(
        &mut self,
        now_ms: i64,
        source: SourceId,
        index: TrackIndex,
        unit: AccessUnit,
    ) -> Result<(), Reason> {
        let at = usize::from(index);
        let newest = self.tracks.iter().filter_map(|track| track.last).max();
        let newest = newest.max(self.timeline_end);
        let Some(from) = self.sources.get_mut(&source) else {
            return Err(Reason::DescriptionNotReceived);
        };
        from.last_ms = now_ms;
        let mapped = from.mapping.place(now_ms, unit.dts, self.shared, newest);
        let offset = from.mapping.offset();
        let Some(track) = self.tracks.get_mut(at) else {
            return Err(Reason::DescriptionNotReceived);
        };
        track.stats.bytes_in(unit.bytes.len());
        let (time, placed) = match mapped {
            Mapped::Same(time) => (time, false),
            Mapped::New(time) => (time, true),
        };
        if placed {
            self.shared = offset;
            // The first source of all fits, as there is nothing before it. What comes after black breaks off where it begins.
            let after_black = self.is_filled(Kind::Video);
            if (self.grid.newest().is_some() || self.grid.is_broken()) && !after_black {
                self.grid.break_next();
            }
        }
        let Some(track) = self.tracks.get_mut(at) else {
            return Ok(());
        };
        // A second source with another clock waits until the first has fallen silent.
        if track.active != Some(source) {
            let quiet = now_ms.saturating_sub(track.last_ms) >= SILENT_MS;
            if track.active.is_none() || quiet {
                track.active = Some(source);
            } else if offset != self.shared || placed {
                return Ok(());
            }
        }
        let duplicate = track.active != Some(source);
        if let Some(last) = track.last.filter(|last| time <= *last) {
            let drop = match (duplicate, time == last) {
                (true, _) => Drop::Duplicate,
                (false, true) => Drop::NonIncreasing,
                (false, false) => Drop::Overlap,
            };
            track.stats.dropped(drop);
            let stays_behind = track.standing.is_late(now_ms);
            self.out.push_back(Output::Dropped {
                track: index,
                time,
                drop,
            });
            if stays_behind {
                self.place_anew(source);
            }
            return Ok(());
        }
        if !self.may_come_back(index, unit.sync) {
            return Ok(());
        }
        let Some(track) = self.tracks.get_mut(at) else {
            return Ok(());
        };
        let shift = time.saturating_sub(unit.dts);
        let shown = unit.pts.saturating_add(shift);
        if track.standing.is_filled() {
            self.give_way(now_ms, index, shown);
        }
        let Some(track) = self.tracks.get_mut(at) else {
            return Ok(());
        };
        track.last_ms = now_ms;
        track.standing.came(now_ms, time);
        if let Some(own) = track.standing.aside.take() {
            track.pending = Some(own);
        }
        if !self.early.is_empty() {
            self.say_early(source);
        }
        let Some(track) = self.tracks.get_mut(at) else {
            return Ok(());
        };
        let mapped = Unit {
            dts: time,
            pts: shown,
            sync: unit.sync,
            bytes: unit.bytes,
        };
        match track.kind {
            Kind::Video => self.push_video(index, mapped),
            Kind::Audio => {
                track.last = Some(time);
                track.sound.hold(now_ms, mapped)
            }
        }
        self.release_sound(now_ms, Held::Waits);
        self.drain();
        Ok(())
    }

    /// What a source sends next gets a new place.
    fn place_anew(&mut self, source: SourceId) {
        if let Some(source) = self.sources.get_mut(&source) {
            if source.mapping.offset() == self.shared {
                self.shared = None;
            }
            source.mapping = Mapping::default();
        }
    }

    fn push_video(&mut self, index: TrackIndex, unit: Unit) {
        let Some(track) = self.tracks.get_mut(usize::from(index)) else {
            return;
        };
        let previous = track.last;
        let hole = previous.is_some_and(|last| {
            let step = unit.dts.saturating_sub(last);
            step > clock_of_ms(HOLE_MS)
        });
        if hole {
            if let Some(previous) = previous {
                track.stats.jumped();
                self.out.push_back(Output::Jump {
                    track: index,
                    previous,
                    new: unit.dts,
                });
            }
            let _ = track.builder.finish();
            track.since = Some(unit.dts);
            self.break_at(&unit);
        }
        let mut pictures = self.tracks.iter().filter(|track| track.kind == Kind::Video);
        let idle = pictures.all(|track| track.builder.row().is_none());
        let Some(track) = self.tracks.get_mut(usize::from(index)) else {
            return;
        };
        track.last = Some(unit.dts);
        let (starts, kept) = (track.builder.row().is_none(), track.kept);
        let ask = match track.builder.row() {
            Some(row) => Ask::Within(row),
            None if idle => Ask::Afresh { after: track.row },
            None => Ask::Anew {
                after: track.row,
                since: *track.since.get_or_insert(unit.dts),
            },
        };
        let changed = track.pending.is_some();
        if changed && !unit.sync {
            // Nothing of the new configuration can be shown before its first key frame.
            track.stats.dropped(Drop::NoSync);
            return;
        }
        if changed {
            let _ = track.builder.finish();
            self.break_at(&unit);
        }
        // What came while a key frame was awaited was no hole, but all of it together is missing.
        if unit.sync && starts && kept.is_some_and(|kept| self.misses(kept, unit.dts)) {
            self.break_at(&unit);
        }
        let Some(track) = self.tracks.get_mut(usize::from(index)) else {
            return;
        };
        let cut = match unit.sync {
            true => self.grid.cut(ask, unit.pts),
            false => None,
        };
        if cut.is_none() && track.builder.row().is_none() {
            track.stats.dropped(Drop::NoSync);
            self.out.push_back(Output::Dropped {
                track: index,
                time: unit.dts,
                drop: Drop::NoSync,
            });
            return;
        }
        if let Some((mark, new)) = cut {
            self.begin(index, mark, new);
        }
        if let Some(track) = self.tracks.get_mut(usize::from(index)) {
            track.kept = Some(unit.dts);
            let _ = track.builder.push(unit, cut.map(|(mark, _)| mark));
        }
    }

    /// Whether so much is missing between two units that a discontinuity has to say so, and none has.
    fn misses(&self, kept: i64, next: i64) -> bool {
        let missing = next.saturating_sub(kept) > clock_of_ms(HOLE_MS);
        missing && !self.grid.is_broken() && !self.grid.has_broken_since(kept)
    }

    /// What comes with `unit` does not fit what was before. The other tracks of an encoder come to the same break, which is
    /// one all the same.
    fn break_at(&mut self, unit: &Unit) {
        if !(unit.sync && self.grid.breaks_at(unit.pts)) {
            self.grid.break_next();
        }
    }

    /// A row begins for a track: tells of it if it is new, and takes a changed configuration on.
    fn begin(&mut self, index: TrackIndex, mark: crate::grid::Mark, new: bool) {
        // What ends with this row is told of before it, and under the configuration that it had.
        self.drain();
        if new {
            self.change(Change::Row {
                number: mark.number,
                start: mark.start,
                discontinuity: mark.discontinuity,
            });
        }
        let repeated = self.soon(mark.start);
        let Some(track) = self.tracks.get_mut(usize::from(index)) else {
            return;
        };
        track.row = Some(mark.number);
        track.since = None;
        track.builder.begin_with(repeated);
        if let Some(stream) = track.pending.take() {
            let known = self.timeline.tracks.get(usize::from(index));
            let config = Config::from(&stream);
            let configs = known
                .map(|track| track.configs.as_slice())
                .unwrap_or_default();
            let at = track.uses.again(configs, track.config, &config);
            let number = at.unwrap_or(configs.len());
            track.config = u16::try_from(number).unwrap_or(u16::MAX);
            track.uses.used(number, mark.number);
            track.stream = stream;
            if at.is_none() {
                self.change(Change::Config {
                    track: index,
                    config,
                });
            }
        }
    }

    /// A picture track sends nothing for a while, on purpose. What it has is brought out; when it goes on, at a key frame
    /// where a row begins, that is no discontinuity.
    pub fn rest(&mut self, index: TrackIndex) {
        if let Some(track) = self.tracks.get_mut(usize::from(index)) {
            let _ = track.builder.finish();
            (track.last, track.kept, track.since) = (None, None, None);
            track.standing.rests();
        }
        self.drain();
    }

    /// Whether tracks of a kind have come to what a source sends with this decode time, or past it: it would be left out.
    #[must_use]
    pub fn is_past(&self, now_ms: i64, source: SourceId, kind: Kind, dts: i64) -> bool {
        let tracks = self.tracks.iter().filter(|track| track.kind == kind);
        let Some(last) = tracks.filter_map(|track| track.last).max() else {
            return false;
        };
        let newest = self.tracks.iter().filter_map(|track| track.last).max();
        let newest = newest.max(self.timeline_end);
        let mut mapping = match self.sources.get(&source) {
            Some(source) => source.mapping,
            None => Mapping::default(),
        };
        match mapping.place(now_ms, dts, self.shared, newest) {
            Mapped::Same(time) => time <= last,
            Mapped::New(_) => false,
        }
    }

    /// The connection of a source has ended.
    pub fn disconnect(&mut self, now_ms: i64, source: SourceId) {
        self.open_now();
        self.sources.remove(&source);
        self.early.retain(|(from, _)| *from != source);
        for track in &mut self.tracks {
            if track.active == Some(source) {
                track.active = None;
            }
        }
        let held = match self.sources.is_empty() {
            true => Held::Ends,
            false => Held::Waits,
        };
        self.release_sound(now_ms, held);
        self.drain();
    }

    /// Whether anybody is connected that what is growing could grow by.
    pub fn has_sources(&self) -> bool {
        !self.sources.is_empty()
    }

    /// Time has passed: what was held back for others goes on, and tracks that fell silent are brought to an end.
    pub fn tick(&mut self, now_ms: i64) {
        // What is refused of it was sent by somebody who hears of it with what comes next.
        let _ = self.open(now_ms);
        self.release_sound(now_ms, Held::Waits);
        self.fill_in(now_ms);
        for track in &mut self.tracks {
            // A connection that was cut short comes back within seconds: what it left is not closed before.
            let silent = now_ms.saturating_sub(track.heard_ms()) >= SILENT_MS.saturating_mul(2);
            if silent && track.builder.row().is_some() {
                let _ = track.builder.finish();
            }
        }
        self.drain();
    }

    /// The event ends: everything is brought out.
    pub fn end(&mut self, now_ms: i64) {
        self.flush(now_ms);
        self.change(Change::End);
    }

    /// Brings everything out, with what was growing as short segments. Encoders may come again.
    pub fn flush(&mut self, now_ms: i64) {
        self.open_now();
        self.release_sound(now_ms, Held::Ends);
        for track in &mut self.tracks {
            let _ = track.builder.finish();
        }
        self.drain();
        self.grid.break_next();
    }

    /// Takes what builders have made into the timeline.
    fn drain(&mut self) {
        for at in 0..self.tracks.len() {
            let Some(track) = self.tracks.get_mut(at) else {
                continue;
            };
            let config = track.config;
            let made = track.builder.take();
            let Ok(track) = TrackIndex::try_from(at) else {
                continue;
            };
            for made in made {
                match made {
                    Made::Open { number, start } => self.change(Change::Open {
                        track,
                        number,
                        start,
                        config,
                    }),
                    Made::Part {
                        number,
                        part,
                        bytes,
                    } => {
                        self.change(Change::Part {
                            track,
                            number,
                            part,
                        });
                        self.out.push_back(Output::Media {
                            track,
                            number,
                            bytes,
                        });
                    }
                    Made::Close { number, duration } => self.change(Change::Close {
                        track,
                        number,
                        duration,
                    }),
                }
            }
        }
    }

    fn change(&mut self, change: Change) {
        // What the engine makes fits: it comes from the same state. A misfit is told by a debug build and skipped else.
        let applied: Result<(), LiveError> = self.timeline.apply(&change);
        debug_assert_eq!(applied, Ok(()), "{change:?}");
        if applied.is_ok() {
            self.timeline_end = self.timeline.end();
            self.out.push_back(Output::Change(change));
        }
    }

    /// The complete segment of a track in a row.
    #[must_use]
    pub fn segment(&self, track: TrackIndex, number: u64) -> Option<&Segment> {
        self.timeline.row(number)?.segments.get(&track)
    }
}

impl TrackState {
    /// Somebody sends it.
    fn is_live(&self, now_ms: i64) -> bool {
        self.active.is_some() && now_ms.saturating_sub(self.last_ms) < SILENT_MS
    }

    fn new(stream: StreamConfig, settings: &Settings) -> Self {
        let mut builder = Builder::new(stream.timescale, settings.part_ms);
        if let Some(duration) = stream.unit_duration {
            builder.set_usual(i64::from(duration));
        }
        Self {
            kind: stream.kind,
            builder,
            stream,
            config: 0,
            uses: Uses::default(),
            pending: None,
            last: None,
            kept: None,
            active: None,
            last_ms: 0,
            row: None,
            since: None,
            sound: Sound::default(),
            standing: Standing::default(),
            stats: TrackStats::default(),
        }
    }

    /// A track of a timeline that goes on. Its configuration is announced again before its media.
    fn resumed(kind: Kind, config: Option<Config>, configs: usize, settings: &Settings) -> Self {
        let config = config.unwrap_or_else(|| Config {
            codec: String::new(),
            timescale: crate::CLOCK,
            width: 0,
            height: 0,
            sample_rate: 0,
            channels: 0,
            init: Vec::new(),
        });
        let stream = StreamConfig {
            kind,
            language: None,
            codec: config.codec,
            timescale: config.timescale,
            width: config.width,
            height: config.height,
            sample_rate: config.sample_rate,
            channels: config.channels,
            init: config.init,
            unit_duration: None,
            nal_length_size: None,
        };
        let mut state = Self::new(stream, settings);
        state.config = u16::try_from(configs.saturating_sub(1)).unwrap_or(0);
        state
    }
}
