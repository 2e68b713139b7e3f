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

mod boundaries;

use std::collections::VecDeque;
use std::ops::Range;

use headwater_bmff::{TrackConfig, TrackKind};
use headwater_time::Timescale;

use crate::CmafError;
use crate::timeline::{Presented, TimedSample};
use boundaries::Boundaries;

/// Seconds that a segment lasts at least.
const SEGMENT_SECONDS: u64 = 2;

/// The segments of a track, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spans {
    /// Scale of all times.
    pub timescale: Timescale,
    /// From the earliest presentation time of each to that of the next, without gap or overlap.
    pub list: Vec<Range<u64>>,
}

/// Most segments of all tracks of a file: a day and a half of picture and sound.
pub const MAX_SEGMENTS: usize = 1 << 17;

/// Most samples of a segment: their `moof` takes a mebibyte. A second of the densest audio has a hundred.
pub const MAX_SEGMENT_SAMPLES: usize = 1 << 16;

/// Cuts a track: takes its samples one by one and hands out segments as soon as they are known to be whole.
///
/// What is held is three segments at most, however long the track.
#[derive(Debug)]
pub struct Cutter {
    track: u32,
    rule: Rule,
    /// The samples of `previous`, `open` and `group`, one behind the other.
    held: VecDeque<TimedSample>,
    /// A segment that ends where the next one starts.
    previous: Option<Part>,
    /// A segment that may still grow.
    open: Option<Part>,
    /// Video: the group of pictures that is being taken in.
    group: Option<Part>,
    tail: Tail,
}

/// Samples that stay together, and their earliest presentation time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    start: i64,
    samples: usize,
}

#[derive(Debug)]
enum Rule {
    /// Groups of pictures that last so many ticks at least.
    Groups { least: i64 },
    /// The first frame at or after each boundary. Without any yet, because the first frame decides where they are: the
    /// scale and the video's segments.
    Follow {
        timescale: Timescale,
        video: Option<Spans>,
        boundaries: Option<Boundaries>,
        passed: i64,
    },
}

/// Takes segments: where one starts and ends in ticks, and its samples.
pub type Sink<'s> = dyn FnMut(Range<u64>, &[TimedSample]) -> Result<(), CmafError> + 's;

impl Cutter {
    /// A cutter of the track `config`. `video`: the segments of the file's video track, if it has one and this is not
    /// video itself.
    #[must_use]
    pub fn new(config: &TrackConfig, presented: &Presented, video: Option<Spans>) -> Self {
        let timescale = config.timescale;
        let rule = match config.kind {
            TrackKind::Video => {
                let least = u64::from(timescale.get())
                    .saturating_mul(SEGMENT_SECONDS)
                    .saturating_sub(presented.average_ticks() / 2);
                Rule::Groups {
                    least: i64::try_from(least).unwrap_or(i64::MAX).max(1),
                }
            }
            _ => Rule::Follow {
                timescale,
                video,
                boundaries: None,
                passed: 0,
            },
        };
        Self {
            track: config.id,
            rule,
            held: VecDeque::new(),
            previous: None,
            open: None,
            group: None,
            tail: Tail::default(),
        }
    }

    /// The next sample in decode order.
    ///
    /// Errors: `TooLarge` for a segment of more than [`MAX_SEGMENT_SAMPLES`], and those of `sink`.
    pub fn push(&mut self, sample: TimedSample, sink: &mut Sink<'_>) -> Result<(), CmafError> {
        match &mut self.rule {
            Rule::Groups { .. } => {
                self.tail.see(&sample, sample.sync);
                match &mut self.group {
                    Some(group) if !sample.sync => {
                        group.start = group.start.min(sample.pts);
                        group.samples = group.samples.saturating_add(1);
                    }
                    _ => {
                        let next = Part {
                            start: sample.pts,
                            samples: 1,
                        };
                        if let Some(group) = self.group.replace(next) {
                            self.take_group(group, sink)?;
                        }
                    }
                }
            }
            Rule::Follow {
                timescale,
                video,
                boundaries,
                passed,
            } => {
                self.tail.see(&sample, true);
                let boundaries = boundaries.get_or_insert_with(|| {
                    Boundaries::new(*timescale, sample.pts, video.take().as_ref())
                });
                let count = boundaries.up_to(sample.pts);
                match &mut self.open {
                    Some(open) if count <= *passed || sample.pts <= open.start => {
                        open.samples = open.samples.saturating_add(1);
                    }
                    _ => {
                        *passed = count;
                        let next = Part {
                            start: sample.pts,
                            samples: 1,
                        };
                        if let Some(whole) = self.open.replace(next) {
                            self.follow(whole, sink)?;
                        }
                    }
                }
            }
        }
        self.held.push_back(sample);
        let parts = [self.previous, self.open, self.group];
        let longest = parts.iter().flatten().map(|part| part.samples).max();
        if longest.is_some_and(|longest| longest > MAX_SEGMENT_SAMPLES) {
            return Err(CmafError::TooLarge {
                track: self.track,
                what: "the number of samples in a segment",
            });
        }
        Ok(())
    }

    /// There are no more samples: hands out what is left.
    pub fn finish(mut self, sink: &mut Sink<'_>) -> Result<(), CmafError> {
        if let Some(group) = self.group.take() {
            self.take_group(group, sink)?;
        }
        if let Some(open) = self.open.take() {
            self.follow(open, sink)?;
        }
        let end = u64::try_from(self.tail.end()).unwrap_or(0);
        match self.previous.take() {
            Some(last) => self.hand_out(last, end, sink),
            None => Ok(()),
        }
    }

    /// A group of pictures joins the open segment, or opens the next.
    fn take_group(&mut self, group: Part, sink: &mut Sink<'_>) -> Result<(), CmafError> {
        let Rule::Groups { least } = self.rule else {
            return Ok(());
        };
        match &mut self.open {
            Some(open) if group.start.saturating_sub(open.start) < least => {
                open.start = open.start.min(group.start);
                open.samples = open.samples.saturating_add(group.samples);
                Ok(())
            }
            _ => match self.open.replace(group) {
                Some(whole) => self.follow(whole, sink),
                None => Ok(()),
            },
        }
    }

    /// A segment is whole, and with it the end of the previous one is known.
    fn follow(&mut self, whole: Part, sink: &mut Sink<'_>) -> Result<(), CmafError> {
        match &mut self.previous {
            // Presentation time runs back in decode order: no boundary here.
            Some(previous) if whole.start <= previous.start => {
                previous.samples = previous.samples.saturating_add(whole.samples);
                Ok(())
            }
            _ => match self.previous.replace(whole) {
                Some(previous) => {
                    let end = u64::try_from(whole.start).unwrap_or(0);
                    self.hand_out(previous, end, sink)
                }
                None => Ok(()),
            },
        }
    }

    fn hand_out(&mut self, part: Part, end: u64, sink: &mut Sink<'_>) -> Result<(), CmafError> {
        let start = u64::try_from(part.start).unwrap_or(0);
        let samples: Vec<TimedSample> = self.held.drain(..part.samples).collect();
        sink(start..end, &samples)
    }
}

/// When the last sample ends.
#[derive(Debug, Default)]
struct Tail {
    last_dts: Option<i64>,
    /// Distance between the last two samples.
    delta: i64,
    /// Presentation time of the sample presented last, and when it ends.
    latest: (i64, i64),
    /// First decode time and earliest presentation time of the last group.
    group: Option<(i64, i64)>,
    /// When the last sample ends to be decoded, from its group's first decode time on.
    decoded: i64,
}

impl Tail {
    fn see(&mut self, sample: &TimedSample, starts_group: bool) {
        if let Some(last) = self.last_dts.replace(sample.dts) {
            let gap = sample.dts.saturating_sub(last);
            if gap > 0 {
                self.delta = gap;
            }
        }
        self.group = match self.group {
            Some((dts, start)) if !starts_group => Some((dts, start.min(sample.pts))),
            _ => Some((sample.dts, sample.pts)),
        };
        // A sample's stated duration, or the distance between those before it where the file states none.
        let own = match sample.duration {
            0 => self.delta.max(1),
            stated => i64::from(stated),
        };
        if sample.pts >= self.latest.0 {
            self.latest = (sample.pts, sample.pts.saturating_add(own));
        }
        let (group_dts, _) = self.group.unwrap_or((sample.dts, sample.pts));
        self.decoded = sample.dts.saturating_sub(group_dts).saturating_add(own);
    }

    /// Decode times of a segment are stated from its earliest presentation time on, so the last one has to fit too.
    fn end(&self) -> i64 {
        let (_, end) = self.latest;
        self.group.map_or(end, |(_, start)| {
            end.max(start.saturating_add(self.decoded))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_bmff::{AacConfig, TrackConfig};
    use proptest::prelude::*;

    fn sample(index: u32, pts: i64, sync: bool) -> TimedSample {
        TimedSample {
            index,
            offset: 0,
            size: 1,
            dts: pts,
            pts,
            duration: 0,
            sync,
        }
    }

    fn starts(mut cutter: Cutter, samples: impl Iterator<Item = TimedSample>) -> Vec<u64> {
        let mut starts = Vec::new();
        let mut sink = |span: Range<u64>, _: &[TimedSample]| {
            starts.push(span.start);
            Ok(())
        };
        for sample in samples {
            cutter.push(sample, &mut sink).unwrap();
        }
        cutter.finish(&mut sink).unwrap();
        starts
    }

    fn audio(video: Option<Spans>) -> Cutter {
        let aac = AacConfig::lc(48_000, 2).unwrap();
        let config = TrackConfig::audio(1, Timescale::MILLIS, "und", aac);
        Cutter::new(&config, &Presented::default(), video)
    }

    fn frames(count: u32) -> impl Iterator<Item = TimedSample> {
        (0..count).map(|n| sample(n, i64::from(n) * 21, true))
    }

    fn video_cut(starts: &[u64], end: u64) -> Spans {
        let ends = starts[1..].iter().copied().chain([end]);
        Spans {
            timescale: Timescale::MILLIS,
            list: starts.iter().zip(ends).map(|(s, e)| *s..e).collect(),
        }
    }

    #[test]
    fn groups_run_together_until_two_seconds() {
        let mut cutter = audio(None);
        // One frame of 40 ms is half forgiven: 1980 is long enough, 1979 is not.
        cutter.rule = Rule::Groups { least: 1980 };
        let groups = [0, 1000, 1980, 3959, 4000, 9000];
        let groups = (0..).zip(groups).map(|(n, pts)| sample(n, pts, true));
        assert_eq!(starts(cutter, groups), [0, 1980, 4000, 9000]);
    }

    #[test]
    fn audio_follows_video_and_a_grid_around_it() {
        assert_eq!(
            starts(audio(None), frames(2000))[..4],
            [0, 2016, 4011, 6006]
        );
        let video = video_cut(&[5000, 8000, 13_000], 20_000);
        let cut = starts(audio(Some(video)), frames(2000));
        // 2000 leaves two seconds before the video, 4000 does not; 15, 17 and 19 s lie within it, 21 s after it.
        assert_eq!(cut[..7], [0, 2016, 5019, 8001, 13_020, 21_000, 23_016]);
    }

    #[test]
    fn audio_that_starts_just_before_the_video_has_no_sliver_in_front() {
        let video = video_cut(&[80, 2080, 4080], 10_400);
        assert_eq!(starts(audio(Some(video)), frames(500)), [0, 2100, 4095]);
    }

    #[test]
    fn a_group_without_an_end_is_refused() {
        let mut cutter = audio(None);
        cutter.rule = Rule::Groups { least: 1 };
        let mut sink = |_: Range<u64>, _: &[TimedSample]| Ok(());
        let all = (0..1 << 20).map(|n| sample(n, i64::from(n), n == 0));
        let refused = all
            .map(|sample| cutter.push(sample, &mut sink))
            .find_map(Result::err);
        let text = refused.unwrap().to_string();
        assert_eq!(
            text,
            "track 1: the number of samples in a segment is too large"
        );
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
