//! When the samples of a source track are presented.
//!
//! The track's edit list is applied (see [`EditList::window`](headwater_bmff::EditList::window)):
//!
//! * The media from the window's start on is presented, `delay` ticks after the start of the presentation.
//! * Audio before the window (encoder priming, as a rule) is dropped by whole frames: the first frame kept is the first
//!   that starts inside the window, and it keeps its exact time.
//! * Samples behind the last one (in decode order) that starts inside the window are dropped.
//! * Video whose window starts between sync samples needs the samples from the sync sample before it, or it would not
//!   decode. Those lead-in samples are kept and flash by: each is presented for one tick, from `delay` on, and the first
//!   sample of the window starts after the last of them. This moves that one sample by at most half its duration, and
//!   no other. Where a timescale is too coarse for that, the track begins at the next sync sample instead.
//!
//! Times are signed here, because decode times may lie before the start of the presentation. Segments state them anew.

use std::ops::Range;

use headwater_bmff::{Sample, Track, TrackKind};
use headwater_time::Timescale;

use crate::CmafError;

/// A source sample with its time in the presentation, in ticks of the track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedSample {
    /// Place in the track's sample table.
    pub index: u32,
    /// First byte in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u32,
    /// Decode time; ascending, possibly negative.
    pub dts: i64,
    /// Presentation time, not negative.
    pub pts: i64,
    /// As the file states it; segments derive theirs from decode times.
    pub duration: u32,
    /// Decodes without earlier samples.
    pub sync: bool,
}

/// The samples of a track that are presented.
#[derive(Debug, Clone)]
pub struct Timeline<'a> {
    track: &'a Track,
    /// Samples kept, as indices in the sample table.
    kept: Range<u32>,
    /// Added to media time.
    shift: i64,
    lead_in: LeadIn,
}

/// Samples that are decoded only for those that follow.
#[derive(Debug, Clone, Default)]
struct LeadIn {
    /// Sample index and new presentation time, by ascending index.
    moved: Vec<(u32, i64)>,
    /// First sample of the window in decode order: what precedes it lasts one tick each.
    window_first: u32,
    /// Its decode time.
    window_dts: i64,
}

/// Most samples that are kept in front of the window: a minute of pictures, longer than any segment.
const MAX_LEAD_IN: usize = 1 << 12;

/// Times up to here can be added and subtracted without a thought of overflow: 146 years at 1 GHz.
const MAX_TICKS: i64 = 1 << 61;

impl<'a> Timeline<'a> {
    /// The timeline of `track`, whose edit list counts in `movie` ticks.
    ///
    /// Errors: `EditList` for splices and speed changes; `TooLarge` for times past 2^61; `Unsupported` for video
    /// without a usable sync sample. A track of which nothing is presented has an empty timeline.
    pub fn new(movie: Timescale, track: &'a Track) -> Result<Self, CmafError> {
        let id = track.config.id;
        let window = track
            .edits
            .window(movie, track.config.timescale)
            .map_err(|fault| CmafError::EditList { track: id, fault })?;
        let bounded = |ticks: u64| {
            let ticks = i64::try_from(ticks)
                .ok()
                .filter(|ticks| *ticks <= MAX_TICKS);
            ticks.ok_or(CmafError::TooLarge {
                track: id,
                what: "a time",
            })
        };
        bounded(track.samples.end_time())?;
        let start = bounded(window.start)?;
        let delay = bounded(window.delay)?;
        let end = window.end.map(bounded).transpose()?;
        let inside = |sample: &Sample| {
            let time = sample.composition_time();
            time >= start && end.is_none_or(|end| time < end)
        };
        let mut timeline = Self {
            track,
            kept: 0..0,
            shift: delay.saturating_sub(start),
            lead_in: LeadIn::default(),
        };
        let mut first = None;
        let mut last = None;
        for sample in track.samples.iter().filter(inside) {
            first.get_or_insert(sample);
            last = Some(sample.index);
        }
        if let (Some(first), Some(last)) = (first, last) {
            let end = last.saturating_add(1);
            timeline.kept = first.index..end;
            if track.config.kind == TrackKind::Video {
                timeline.start_at_sync(first, start)?;
            }
        }
        Ok(timeline)
    }

    /// The track that it is of.
    #[must_use]
    pub fn track(&self) -> &'a Track {
        self.track
    }

    /// Number of samples presented.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.kept.end.saturating_sub(self.kept.start)
    }

    /// True if nothing is presented.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Indices in the track's sample table.
    #[must_use]
    pub fn range(&self) -> Range<u32> {
        self.kept.clone()
    }

    /// All samples in decode order.
    pub fn iter(&self) -> impl Iterator<Item = TimedSample> + '_ {
        self.iter_range(self.kept.clone())
    }

    /// The samples of `range`, which counts as [`Self::range`] does; those not presented are left out.
    pub fn iter_range(&self, range: Range<u32>) -> impl Iterator<Item = TimedSample> + '_ {
        let first = range.start.max(self.kept.start);
        let end = range.end.min(self.kept.end);
        let count = usize::try_from(end.saturating_sub(first)).unwrap_or(usize::MAX);
        let samples = self.track.samples.iter_from(first).take(count);
        samples.map(|sample| self.timed(sample))
    }

    fn timed(&self, sample: Sample) -> TimedSample {
        let dts = i64::try_from(sample.dts).unwrap_or(MAX_TICKS);
        let mut timed = TimedSample {
            index: sample.index,
            offset: sample.offset,
            size: sample.size,
            dts: dts.saturating_add(self.shift),
            pts: sample.composition_time().saturating_add(self.shift).max(0),
            duration: sample.duration,
            sync: sample.sync,
        };
        let moved = &self.lead_in.moved;
        if moved
            .last()
            .is_some_and(|(index, _)| *index >= sample.index)
        {
            if let Ok(at) = moved.binary_search_by_key(&sample.index, |(index, _)| *index) {
                timed.pts = moved.get(at).map_or(timed.pts, |(_, pts)| *pts);
            }
            let ahead = self.lead_in.window_first.saturating_sub(sample.index);
            if ahead > 0 {
                timed.dts = self.lead_in.window_dts.saturating_sub(i64::from(ahead));
                timed.duration = 1;
            }
        }
        timed
    }

    /// Moves the start back to the sync sample before `first`, or on to the next.
    fn start_at_sync(&mut self, first: Sample, start: i64) -> Result<(), CmafError> {
        let samples = &self.track.samples;
        let until = usize::try_from(first.index)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        let before = samples
            .iter()
            .take(until)
            .filter(|sample| sample.sync)
            .last();
        if let Some(sync) = before {
            self.kept.start = sync.index;
            let lead_in = self.lead_in(sync.index, first.index, start);
            if lead_in.is_empty()
                || lead_in.len() <= MAX_LEAD_IN && self.squeeze(first, start, lead_in)
            {
                return Ok(());
            }
        }
        match self.next_clean_sync(first.index, start) {
            Some(sync) => {
                self.kept.start = sync;
                Ok(())
            }
            None => Err(CmafError::Unsupported {
                track: self.track.config.id,
                codec: self.track.config.codec.name().to_owned(),
                reason: "no sync sample to start decoding from".to_owned(),
            }),
        }
    }

    /// The first sync sample behind `first` whose group of pictures lies inside the window as a whole: leading pictures
    /// before it would refer to what is cut off.
    fn next_clean_sync(&self, first: u32, start: i64) -> Option<u32> {
        let samples = self.track.samples.iter_from(first.saturating_add(1));
        let mut clean = None;
        for sample in samples.take_while(|sample| sample.index < self.kept.end) {
            if sample.sync {
                if clean.is_some() {
                    break;
                }
                clean = Some(sample.index);
            }
            if sample.composition_time() < start {
                clean = None;
            }
        }
        clean
    }

    /// Samples from `from` on that are presented before `start`, with their times, up to the first sync sample behind
    /// `first`: the lead-in belongs to the group of pictures that `first` is in. One more than [`MAX_LEAD_IN`] at most.
    fn lead_in(&self, from: u32, first: u32, start: i64) -> Vec<(u32, i64)> {
        let group = self.track.samples.iter_from(from).take_while(|sample| {
            sample.index < self.kept.end && !(sample.sync && sample.index > first)
        });
        group
            .map(|sample| (sample.index, sample.composition_time()))
            .filter(|(_, time)| *time < start)
            .take(MAX_LEAD_IN.saturating_add(1))
            .collect()
    }

    /// Gives each lead-in sample one tick. False if they take more than half of the first sample of the window.
    fn squeeze(&mut self, first: Sample, start: i64, mut lead_in: Vec<(u32, i64)>) -> bool {
        let delay = self.shift.saturating_add(start);
        let count = i64::try_from(lead_in.len()).unwrap_or(i64::MAX);
        // The sample presented first inside the window, and when the next one is.
        let (mut earliest, mut second) = (None::<(i64, u32)>, i64::MAX);
        for sample in self
            .track
            .samples
            .iter_from(first.index)
            .take(lead_in.len().saturating_add(64))
        {
            let time = sample.composition_time();
            if time < start {
                continue;
            }
            match earliest {
                Some((least, _)) if time >= least => second = second.min(time),
                _ => {
                    second = earliest.map_or(second, |(least, _)| second.min(least));
                    earliest = Some((time, sample.index));
                }
            }
        }
        let Some((time, index)) = earliest else {
            return false;
        };
        let room = match second {
            i64::MAX => i64::from(first.duration),
            second => second.saturating_sub(time),
        };
        let into = time.saturating_sub(start);
        if count > into.saturating_add(room / 2) {
            return false;
        }
        lead_in.sort_unstable_by_key(|(_, time)| *time);
        for ((_, time), place) in lead_in.iter_mut().zip(0_i64..) {
            *time = delay.saturating_add(place);
        }
        lead_in.push((index, delay.saturating_add(into.max(count))));
        lead_in.sort_unstable_by_key(|(index, _)| *index);
        self.lead_in = LeadIn {
            moved: lead_in,
            window_first: first.index,
            window_dts: i64::try_from(first.dts)
                .unwrap_or(MAX_TICKS)
                .saturating_add(self.shift),
        };
        true
    }
}
