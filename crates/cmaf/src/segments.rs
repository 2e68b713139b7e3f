//! Where segments begin.
//!
//! * Video: a segment is the smallest run of groups of pictures (a sync sample up to the next) that lasts at least two
//!   seconds minus half a frame, so that equal sync samples give equal boundaries on every rendition and rounding of
//!   timescales does not double a segment.
//! * Audio: cut at the first frame that starts at or after each video boundary of the same file. Before the video starts
//!   and after it ends, and without video, every two seconds.
//!
//! A segment's start is its earliest presentation time; segments tile: each ends where the next starts. The last one
//! ends with its last sample.

use std::ops::Range;

use headwater_bmff::TrackKind;
use headwater_time::{Rounding, Timescale, rescale};

use crate::CmafError;
use crate::timeline::{TimedSample, Timeline};

/// Seconds that a segment lasts at least.
const SEGMENT_SECONDS: u64 = 2;

/// One segment of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Samples, as indices in the track's sample table.
    pub samples: Range<u32>,
    /// Earliest presentation time, in ticks of the track.
    pub start: u64,
    /// Start of the next segment, or end of the track.
    pub end: u64,
}

/// The segments of a track, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spans {
    /// Scale of all times.
    pub timescale: Timescale,
    /// In order, without gap or overlap.
    pub list: Vec<Span>,
}

/// Most segments of all tracks of a file: a day and a half of picture and sound.
pub const MAX_SEGMENTS: usize = 1 << 17;

/// A run of samples that must not be cut, and its earliest presentation time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    first: u32,
    start: i64,
}

/// Facts about a timeline that take one walk.
struct Facts {
    samples: u64,
    ticks: u64,
    end: i64,
}

/// Cuts `timeline`. `video`: the segments of the file's video track, if it has one and this is not it.
///
/// What is kept grows with the number of segments alone, not with that of samples.
///
/// Errors: `TooLarge` for more than [`MAX_SEGMENTS`].
pub fn cut(timeline: &Timeline<'_>, video: Option<&Spans>) -> Result<Spans, CmafError> {
    let config = &timeline.track().config;
    let timescale = config.timescale;
    let facts = facts(timeline);
    let list = match config.kind {
        TrackKind::Video => {
            let starts = video_starts(timescale, &facts, groups(timeline));
            spans(starts, timeline.range().end, facts.end)
        }
        _ => {
            let first = groups(timeline).next().map_or(0, |group| group.start);
            let boundaries = Boundaries::new(timescale, first, video);
            let starts = audio_starts(boundaries, groups(timeline));
            spans(starts, timeline.range().end, facts.end)
        }
    };
    let list = list.ok_or(CmafError::TooLarge {
        track: config.id,
        what: "the number of segments",
    })?;
    Ok(Spans { timescale, list })
}

/// The segments that begin with `starts`, the last of which goes on to sample `samples_end` and to time `end`. `None`
/// if they are more than [`MAX_SEGMENTS`].
fn spans(starts: impl Iterator<Item = Group>, samples_end: u32, end: i64) -> Option<Vec<Span>> {
    let mut list: Vec<Span> = Vec::new();
    for group in starts {
        let start = u64::try_from(group.start).unwrap_or(0);
        if let Some(previous) = list.last_mut() {
            if start <= previous.start {
                // Presentation time runs back in decode order: no boundary here.
                continue;
            }
            previous.samples.end = group.first;
            previous.end = start;
        }
        if list.len() >= MAX_SEGMENTS {
            return None;
        }
        list.push(Span {
            samples: group.first..samples_end,
            start,
            end: u64::try_from(end).unwrap_or(0),
        });
    }
    Some(list)
}

/// Whether `sample` need not stay with the one before it.
fn starts_group(kind: TrackKind, sample: &TimedSample) -> bool {
    kind != TrackKind::Video || sample.sync
}

/// The groups of a timeline, in order: of video those of pictures, else single samples.
fn groups<'t>(timeline: &'t Timeline<'_>) -> impl Iterator<Item = Group> + 't {
    let kind = timeline.track().config.kind;
    let mut samples = timeline.iter().peekable();
    std::iter::from_fn(move || {
        let first = samples.next()?;
        let mut group = Group {
            first: first.index,
            start: first.pts,
        };
        while let Some(sample) = samples.next_if(|sample| !starts_group(kind, sample)) {
            group.start = group.start.min(sample.pts);
        }
        Some(group)
    })
}

fn facts(timeline: &Timeline<'_>) -> Facts {
    let kind = timeline.track().config.kind;
    let mut facts = Facts {
        samples: 0,
        ticks: 0,
        end: 0,
    };
    let mut last: Option<TimedSample> = None;
    // The open group: its first decode time and its earliest presentation time.
    let mut group: Option<(i64, i64)> = None;
    let mut delta = 1;
    let mut latest = TailEnd::default();
    for sample in timeline.iter() {
        if let Some(last) = last {
            let gap = sample.dts.saturating_sub(last.dts);
            facts.ticks = facts.ticks.saturating_add(u64::try_from(gap).unwrap_or(0));
            if gap > 0 {
                delta = gap;
            }
        }
        facts.samples = facts.samples.saturating_add(1);
        group = match group {
            Some((dts, start)) if !starts_group(kind, &sample) => {
                Some((dts, start.min(sample.pts)))
            }
            _ => Some((sample.dts, sample.pts)),
        };
        latest.see(&sample, delta);
        last = Some(sample);
    }
    if let (Some(last), Some((group_dts, group_start))) = (last, group) {
        let own = lasting(&last, delta);
        facts.ticks = facts.ticks.saturating_add(u64::try_from(own).unwrap_or(0));
        // Decode times of a segment are stated from its earliest presentation time on.
        let decoded = last.dts.saturating_sub(group_dts).saturating_add(own);
        facts.end = latest.end.max(group_start.saturating_add(decoded));
    }
    facts
}

/// A sample's stated duration, or the distance between the samples before it where the file states none.
fn lasting(sample: &TimedSample, delta: i64) -> i64 {
    match sample.duration {
        0 => delta,
        stated => i64::from(stated),
    }
}

/// The end of the sample that is presented last.
#[derive(Default)]
struct TailEnd {
    pts: i64,
    end: i64,
}

impl TailEnd {
    fn see(&mut self, sample: &TimedSample, delta: i64) {
        if sample.pts >= self.pts {
            self.pts = sample.pts;
            self.end = sample.pts.saturating_add(lasting(sample, delta));
        }
    }
}

/// The groups that begin a segment, with the earliest presentation time of the whole segment.
fn video_starts(
    timescale: Timescale,
    facts: &Facts,
    groups: impl Iterator<Item = Group>,
) -> impl Iterator<Item = Group> {
    let half_frame = facts.ticks.checked_div(facts.samples).unwrap_or(0) / 2;
    let least = u64::from(timescale.get())
        .saturating_mul(SEGMENT_SECONDS)
        .saturating_sub(half_frame);
    let least = i64::try_from(least).unwrap_or(i64::MAX).max(1);
    let mut groups = groups.peekable();
    std::iter::from_fn(move || {
        let mut open = groups.next()?;
        while let Some(group) =
            groups.next_if(|group| group.start.saturating_sub(open.start) < least)
        {
            open.start = open.start.min(group.start);
        }
        Some(open)
    })
}

/// The frames that begin a segment: the first at or after each boundary.
fn audio_starts(
    boundaries: Boundaries,
    frames: impl Iterator<Item = Group>,
) -> impl Iterator<Item = Group> {
    let mut passed = 0;
    let mut open: Option<i64> = None;
    frames.filter(move |frame| {
        let count = boundaries.up_to(frame.start);
        let starts = open.is_none_or(|open| count > passed && frame.start > open);
        if starts {
            open = Some(frame.start);
            passed = count;
        }
        starts
    })
}

/// The times at which audio is cut, in ticks of the audio track. They are counted, not listed: what a broken file says
/// about durations must not decide how much memory is used.
struct Boundaries {
    /// Two seconds.
    step: i64,
    /// Last boundary of the two-second grid before the video starts; past every time without video.
    grid_end: i64,
    /// Starts of video segments, ascending.
    video: Vec<i64>,
    /// Where the grid begins that follows the video, and how many of its boundaries lie before the video's end.
    after: Option<(i64, i64)>,
}

impl Boundaries {
    fn new(timescale: Timescale, first_frame: i64, video: Option<&Spans>) -> Self {
        let step = i64::try_from(u64::from(timescale.get()).saturating_mul(SEGMENT_SECONDS));
        let mut boundaries = Self {
            step: step.unwrap_or(i64::MAX),
            grid_end: i64::MAX,
            video: Vec::new(),
            after: None,
        };
        let Some((spans, last)) = video.and_then(|spans| Some((spans, spans.list.last()?))) else {
            return boundaries;
        };
        let to_audio = |ticks: u64| {
            let ticks = rescale(ticks, spans.timescale, timescale, Rounding::Ceil);
            ticks
                .and_then(|ticks| i64::try_from(ticks).ok())
                .unwrap_or(i64::MAX)
        };
        boundaries.video = spans.list.iter().map(|span| to_audio(span.start)).collect();
        // A whole step is left between the grid and the video; if the audio starts less than one before the video,
        // its first segment goes on to the video's second.
        let video_start = boundaries.video.first().copied().unwrap_or(0);
        boundaries.grid_end = video_start.saturating_sub(boundaries.step);
        if video_start.saturating_sub(first_frame) < boundaries.step {
            boundaries.video.remove(0);
        }
        let last_start = to_audio(last.start);
        let length = to_audio(last.end)
            .saturating_sub(last_start)
            .saturating_sub(1);
        boundaries.after = Some((last_start, boundaries.steps(length)));
        boundaries
    }

    fn steps(&self, ticks: i64) -> i64 {
        ticks.max(0).checked_div(self.step).unwrap_or(0)
    }

    /// How many boundaries lie at or before `time`.
    fn up_to(&self, time: i64) -> i64 {
        let before = self.steps(time.min(self.grid_end));
        let during = self.video.partition_point(|boundary| *boundary <= time);
        let after = self.after.map_or(0, |(start, skipped)| {
            self.steps(time.saturating_sub(start))
                .saturating_sub(skipped)
                .max(0)
        });
        i64::try_from(during)
            .unwrap_or(i64::MAX)
            .saturating_add(before)
            .saturating_add(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn groups_at(starts: &[i64]) -> impl Iterator<Item = Group> {
        (0..).zip(starts).map(|(first, start)| Group {
            first,
            start: *start,
        })
    }

    fn starts(groups: impl Iterator<Item = Group>) -> Vec<i64> {
        groups.map(|group| group.start).collect()
    }

    fn video_cut(starts: &[u64], end: u64) -> Spans {
        let ends = starts[1..].iter().copied().chain([end]);
        let list = starts.iter().zip(ends).map(|(start, end)| Span {
            samples: 0..0,
            start: *start,
            end,
        });
        Spans {
            timescale: Timescale::MILLIS,
            list: list.collect(),
        }
    }

    #[test]
    fn groups_run_together_until_two_seconds() {
        // One frame of 40 ms is half forgiven: 1980 is long enough, 1979 is not.
        let facts = Facts {
            samples: 100,
            ticks: 4000,
            end: 4000,
        };
        let groups = groups_at(&[0, 1000, 1980, 3959, 4000, 9000]);
        assert_eq!(
            starts(video_starts(Timescale::MILLIS, &facts, groups)),
            [0, 1980, 4000, 9000]
        );
    }

    #[test]
    fn audio_follows_video_and_a_grid_around_it() {
        let frames: Vec<i64> = (0..2000).map(|n| n * 21).collect();
        let cut = |video: Option<&Spans>| {
            let boundaries = Boundaries::new(Timescale::MILLIS, 0, video);
            starts(audio_starts(boundaries, groups_at(&frames)))
        };
        let alone = cut(None);
        assert_eq!(alone[..4], [0, 2016, 4011, 6006]);
        let cut = cut(Some(&video_cut(&[5000, 8000, 13_000], 20_000)));
        // 2000 leaves two seconds before the video, 4000 does not; 15, 17 and 19 s lie within it, 21 s after it.
        assert_eq!(cut[..7], [0, 2016, 5019, 8001, 13_020, 21_000, 23_016]);
    }

    #[test]
    fn audio_that_starts_just_before_the_video_has_no_sliver_in_front() {
        let frames: Vec<i64> = (0..500).map(|n| n * 21).collect();
        let video = video_cut(&[80, 2080, 4080], 10_400);
        let boundaries = Boundaries::new(Timescale::MILLIS, 0, Some(&video));
        let cut = starts(audio_starts(boundaries, groups_at(&frames)));
        assert_eq!(cut, [0, 2100, 4095]);
    }

    proptest! {
        #[test]
        fn boundary_counts_never_fall(
            video in proptest::collection::vec(1u64..5000, 1..20), mut times in proptest::collection::vec(0i64..200_000, 1..50)
        ) {
            let mut at = 0;
            let starts: Vec<u64> = video.iter().map(|gap| { at += gap; at }).collect();
            let spans = video_cut(&starts, at + 700);
            let boundaries = Boundaries::new(Timescale::MILLIS, 0, Some(&spans));
            times.sort_unstable();
            prop_assert!(times.is_sorted_by_key(|time| boundaries.up_to(*time)));
        }
    }
}
