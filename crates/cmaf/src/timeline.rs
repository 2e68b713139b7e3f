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
//!
//! [`WindowScan`] finds out in one walk over a track's samples, of which it keeps none; [`Presented`] then times each
//! sample of a second walk.

use std::ops::Range;

use headwater_bmff::Sample;

mod scan;

pub use scan::WindowScan;

/// A source sample with its time in the presentation, in ticks of the track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedSample {
    /// Place in the track, in decode order.
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

/// What of a track is presented, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Presented {
    /// Samples kept, as places in decode order.
    kept: Range<u32>,
    /// Added to media time.
    shift: i64,
    lead_in: LeadIn,
    /// Ticks from the first decode time to the end of the last sample.
    ticks: u64,
}

/// Samples that are decoded only for those that follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

impl Presented {
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

    /// Average ticks of a sample.
    #[must_use]
    pub fn average_ticks(&self) -> u64 {
        self.ticks.checked_div(self.len().into()).unwrap_or(0)
    }

    /// The sample in the presentation; `None` if it is not presented.
    #[must_use]
    pub fn timed(&self, sample: &Sample) -> Option<TimedSample> {
        if !self.kept.contains(&sample.index) {
            return None;
        }
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
        Some(timed)
    }
}
