//! One walk over a track's samples that finds out which of them are presented.

use std::ops::Range;

use headwater_bmff::{MediaWindow, Sample, Track, TrackKind};
use headwater_time::Timescale;

use super::{LeadIn, MAX_LEAD_IN, MAX_TICKS, Presented};
use crate::CmafError;

/// Samples looked at behind the lead-in for the one that is presented first.
const REORDERED: usize = 64;

/// Takes the samples of a track one by one, in decode order; sizes and places do not matter.
#[derive(Debug)]
pub struct WindowScan {
    track: u32,
    kind: TrackKind,
    codec: String,
    start: i64,
    end: Option<i64>,
    delay: i64,
    /// Decode time at which the samples seen end.
    end_time: u64,
    /// The first sample inside of the window.
    first: Option<Sample>,
    /// The last sample before it, or itself, that decodes on its own.
    sync: Option<Sample>,
    /// Samples of the group that `first` is in that are presented before the window: index and composition time.
    early: Vec<(u32, i64)>,
    /// The group that `first` is in has ended.
    group_ended: bool,
    /// Composition times of the samples from `first` on, as many as may be asked for.
    ahead: Vec<(i64, u32)>,
    /// The first later sync sample whose group lies inside, so far.
    clean: Clean,
    /// The last positive distance of decode times, and the sample at its end.
    gap: (u32, i64),
    last_dts: Option<u64>,
    /// As of the last sample inside: it, the gap before it, and the clean sync sample.
    last: Option<(Sample, (u32, i64), Clean)>,
}

/// A sync sample behind the first of the window whose group of pictures lies inside the window as a whole: leading
/// pictures before it would refer to what is cut off.
#[derive(Debug, Clone, Copy, Default)]
struct Clean {
    sync: Option<(u32, u64)>,
    /// Its group has ended.
    settled: bool,
}

impl WindowScan {
    /// A scan of `track`, whose edit list counts in `movie` ticks. The track's own sample table is not looked at.
    ///
    /// Errors: `EditList` for splices and speed changes; `TooLarge` for times past 2^61.
    pub fn new(movie: Timescale, track: &Track) -> Result<Self, CmafError> {
        let id = track.config.id;
        let window = track
            .edits
            .window(movie, track.config.timescale)
            .map_err(|fault| CmafError::EditList { track: id, fault })?;
        let MediaWindow { delay, start, end } = window;
        Ok(Self {
            track: id,
            kind: track.config.kind,
            codec: track.config.codec.name().to_owned(),
            start: bounded(id, start)?,
            end: end.map(|end| bounded(id, end)).transpose()?,
            delay: bounded(id, delay)?,
            end_time: 0,
            first: None,
            sync: None,
            early: Vec::new(),
            group_ended: false,
            ahead: Vec::new(),
            clean: Clean::default(),
            gap: (0, 1),
            last_dts: None,
            last: None,
        })
    }

    /// The next sample.
    pub fn push(&mut self, sample: &Sample) {
        let time = sample.composition_time();
        let inside = time >= self.start && self.end.is_none_or(|end| time < end);
        self.end_time = sample.dts.saturating_add(sample.duration.into());
        if let Some(last) = self.last_dts.replace(sample.dts) {
            let gap = i64::try_from(sample.dts.saturating_sub(last)).unwrap_or(MAX_TICKS);
            if gap > 0 {
                self.gap = (sample.index, gap);
            }
        }
        if self.first.is_none() && inside {
            self.first = Some(*sample);
        } else if self.first.is_some() {
            self.look_for_clean(sample, time);
        }
        if self.kind == TrackKind::Video {
            self.follow_group(sample, time);
        }
        if inside {
            self.last = Some((*sample, self.gap, self.clean));
        }
    }

    fn follow_group(&mut self, sample: &Sample, time: i64) {
        let at_or_before_first = self.first.is_none_or(|first| first.index == sample.index);
        if sample.sync {
            if at_or_before_first {
                self.sync = Some(*sample);
                self.early.clear();
            } else {
                self.group_ended = true;
            }
        }
        if self.first.is_some() && self.ahead.len() <= MAX_LEAD_IN.saturating_add(REORDERED) {
            self.ahead.push((time, sample.index));
        }
        let open = !self.group_ended && self.sync.is_some() && time < self.start;
        if open && self.early.len() <= MAX_LEAD_IN {
            self.early.push((sample.index, time));
        }
    }

    fn look_for_clean(&mut self, sample: &Sample, time: i64) {
        if self.clean.settled {
            return;
        }
        if sample.sync {
            if self.clean.sync.is_some() {
                self.clean.settled = true;
                return;
            }
            self.clean.sync = Some((sample.index, sample.dts));
        }
        if time < self.start {
            self.clean.sync = None;
        }
    }

    /// What of the samples seen is presented; possibly nothing.
    ///
    /// Errors: `TooLarge` for times past 2^61; `Unsupported` for video without a usable sync sample.
    pub fn finish(self) -> Result<Presented, CmafError> {
        bounded(self.track, self.end_time)?;
        let mut presented = Presented {
            shift: self.delay.saturating_sub(self.start),
            ..Presented::default()
        };
        let (Some(first), Some((last, gap, clean))) = (self.first, self.last) else {
            return Ok(presented);
        };
        presented.kept = first.index..last.index.saturating_add(1);
        let mut start_dts = first.dts;
        if self.kind == TrackKind::Video {
            let from_sync = self.sync.and_then(|sync| {
                let kept = sync.index..presented.kept.end;
                let lead_in = self.lead_in(&kept, first)?;
                Some((kept, sync.dts, lead_in))
            });
            if let Some((kept, dts, lead_in)) = from_sync {
                (presented.kept, presented.lead_in, start_dts) = (kept, lead_in, dts);
            } else if let Some((index, dts)) = clean.sync {
                (presented.kept.start, start_dts) = (index, dts);
            } else {
                return Err(CmafError::Unsupported {
                    track: self.track,
                    codec: self.codec,
                    reason: "no sync sample to start decoding from".to_owned(),
                });
            }
        }
        let squeezed = if presented.lead_in.moved.is_empty() {
            0
        } else {
            first.index.saturating_sub(presented.kept.start)
        };
        if squeezed > 0 {
            // Up to the first sample of the window each lasts a tick.
            start_dts = first.dts.saturating_sub(squeezed.into());
        }
        let (gap_end, gap) = gap;
        let delta = match squeezed {
            0 if gap_end > presented.kept.start => gap,
            0 => 1,
            _ if gap_end > first.index => gap,
            _ => 1,
        };
        let own = match last.duration {
            0 => delta,
            stated => i64::from(stated),
        };
        let decoded = last.dts.saturating_sub(start_dts);
        presented.ticks = decoded.saturating_add(u64::try_from(own).unwrap_or(0));
        Ok(presented)
    }

    /// The samples in front of the window with times of their own, none if there are none; `None` if there are too many
    /// for the time there is.
    fn lead_in(&self, kept: &Range<u32>, first: Sample) -> Option<LeadIn> {
        let early = self.early.iter().copied();
        let early: Vec<(u32, i64)> = early.filter(|(index, _)| *index < kept.end).collect();
        if early.is_empty() {
            return Some(LeadIn::default());
        }
        if early.len() > MAX_LEAD_IN {
            return None;
        }
        self.squeeze(first, early)
    }

    /// Gives each lead-in sample one tick; `None` if they take more than half of the first sample of the window.
    fn squeeze(&self, first: Sample, mut early: Vec<(u32, i64)>) -> Option<LeadIn> {
        let count = i64::try_from(early.len()).unwrap_or(i64::MAX);
        // The sample presented first inside the window, and when the next one is.
        let (mut earliest, mut second) = (None::<(i64, u32)>, i64::MAX);
        let looked_at = early.len().saturating_add(REORDERED);
        for (time, index) in self.ahead.iter().copied().take(looked_at) {
            if time < self.start {
                continue;
            }
            match earliest {
                Some((least, _)) if time >= least => second = second.min(time),
                _ => {
                    second = earliest.map_or(second, |(least, _)| second.min(least));
                    earliest = Some((time, index));
                }
            }
        }
        let (time, index) = earliest?;
        let room = match second {
            i64::MAX => i64::from(first.duration),
            second => second.saturating_sub(time),
        };
        let into = time.saturating_sub(self.start);
        if count > into.saturating_add(room / 2) {
            return None;
        }
        early.sort_unstable_by_key(|(_, time)| *time);
        for ((_, time), place) in early.iter_mut().zip(0_i64..) {
            *time = self.delay.saturating_add(place);
        }
        early.push((index, self.delay.saturating_add(into.max(count))));
        early.sort_unstable_by_key(|(index, _)| *index);
        let shift = self.delay.saturating_sub(self.start);
        Some(LeadIn {
            moved: early,
            window_first: first.index,
            window_dts: i64::try_from(first.dts)
                .unwrap_or(MAX_TICKS)
                .saturating_add(shift),
        })
    }
}

fn bounded(track: u32, ticks: u64) -> Result<i64, CmafError> {
    let ticks = i64::try_from(ticks)
        .ok()
        .filter(|ticks| *ticks <= MAX_TICKS);
    ticks.ok_or(CmafError::TooLarge {
        track,
        what: "a time",
    })
}
