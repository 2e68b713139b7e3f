//! Where audio and text are cut: where the video of the same file is, and on a two-second grid around it.

use headwater_time::{Rounding, Timescale, rescale};

use super::{SEGMENT_SECONDS, Spans};

/// The times at which audio is cut, in ticks of the audio track. They are counted, not listed: what a broken file says
/// about durations must not decide how much memory is used.
#[derive(Debug)]
pub(super) struct Boundaries {
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
    pub(super) fn new(timescale: Timescale, first_frame: i64, video: Option<&Spans>) -> Self {
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
    pub(super) fn up_to(&self, time: i64) -> i64 {
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
