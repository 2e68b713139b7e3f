//! When the pictures of a source are shown, after its edit list (ISO/IEC 14496-12 §8.6.6).
//!
//! What we encode has no edit list and starts at 0: a picture that is already showing when the presentation begins is
//! shown from 0, and so is the first picture of a track that begins late. Every other time is the source's own, variable
//! frame rates included. A source faster than 30 frames a second (as a whole) is thinned evenly to 30 or below,
//! as the built-in presets of the services we follow do.

use headwater_bmff::{MediaWindow, SampleTable};
use headwater_time::Timescale;

use crate::failure::{self, Step};

/// Samples of a video track that are accepted: 92 hours at 60 frames a second.
const MAX_SAMPLES: u32 = 20_000_000;

/// Frames a second above which a source is thinned. A little above 30, so that a rate that wavers around it is not.
const THIN_ABOVE: f64 = 31.0;

/// One picture to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Ticks from the start of the presentation.
    pub start: u64,
    /// Index of its sample in decode order.
    pub sample: u32,
}

/// What is shown, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoTimeline {
    pub timescale: Timescale,
    /// Ascending starts; the first is 0. Not empty.
    pub frames: Vec<Frame>,
    /// When the last picture ends, in ticks.
    pub end: u64,
}

impl VideoTimeline {
    /// `track`: for messages.
    pub fn new(
        track: u32,
        timescale: Timescale,
        samples: &SampleTable,
        window: MediaWindow,
    ) -> Step<Self> {
        if samples.is_empty() {
            return Err(failure::malformed(format!(
                "Track {track} (H.264) has no samples."
            )));
        }
        if samples.len() > MAX_SAMPLES {
            return Err(failure::unsupported(format!(
                "Track {track} (H.264) has {} samples; at most {MAX_SAMPLES} are supported.",
                samples.len()
            )));
        }
        let mut shown: Vec<(i64, u32)> = samples
            .iter()
            .map(|sample| (sample.composition_time(), sample.index))
            .collect();
        shown.sort_unstable();
        // Of two pictures at one time only the later one would be seen.
        shown.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = later.1;
            }
            same
        });
        let last = shown.last().copied().unwrap_or_default();
        let last_duration = samples
            .get(last.1)
            .map_or(0, |sample| i64::from(sample.duration))
            .max(1);
        let media_end = last.0.saturating_add(last_duration);
        let window_start = i64::try_from(window.start).unwrap_or(i64::MAX);
        let window_end = window
            .end
            .and_then(|end| i64::try_from(end).ok())
            .map_or(media_end, |end| end.min(media_end));
        // The picture on screen when the window opens is the last one that starts at or before it.
        let first = shown
            .partition_point(|(time, _)| *time <= window_start)
            .saturating_sub(1);
        let past = shown.partition_point(|(time, _)| *time < window_end);
        let delay = i64::try_from(window.delay).unwrap_or(i64::MAX);
        let place = |time: i64| {
            let place = time
                .saturating_sub(window_start)
                .max(0)
                .saturating_add(delay);
            u64::try_from(place).unwrap_or(0)
        };
        let mut frames: Vec<Frame> = shown
            .get(first..past)
            .unwrap_or_default()
            .iter()
            .map(|&(time, sample)| Frame {
                start: place(time),
                sample,
            })
            .collect();
        let end = place(window_end);
        // The opening picture may end up at the same place as the one after it.
        frames.dedup_by(|later, earlier| {
            let same = later.start == earlier.start;
            if same {
                earlier.sample = later.sample;
            }
            same
        });
        let Some(opening) = frames.first_mut() else {
            return Err(failure::malformed(format!(
                "Track {track} (H.264) shows nothing: its edit list leaves out every sample."
            )));
        };
        opening.start = 0;
        if end > 1 << 61 {
            return Err(failure::malformed(format!(
                "Track {track} (H.264) has times out of range."
            )));
        }
        let mut timeline = Self {
            timescale,
            frames,
            end,
        };
        timeline.thin();
        let longest = timeline
            .frames
            .windows(2)
            .map(|pair| pair[1].start - pair[0].start)
            .chain(
                timeline
                    .frames
                    .last()
                    .map(|frame| end.saturating_sub(frame.start)),
            )
            .max()
            .unwrap_or(0);
        if longest > u64::from(u32::MAX) / 2 {
            return Err(failure::unsupported(format!(
                "Track {track} (H.264) shows one picture for {} s, which is longer than a segment can last.",
                longest / u64::from(timescale.get())
            )));
        }
        Ok(timeline)
    }

    fn thin(&mut self) {
        let rate = self.frames_per_second();
        if rate <= THIN_ABOVE || !rate.is_finite() {
            return;
        }
        let keep_every = (rate / THIN_ABOVE).ceil() as usize;
        let mut at = 0;
        self.frames.retain(|_| {
            let keep = at % keep_every == 0;
            at += 1;
            keep
        });
    }

    /// Average over the whole track.
    pub fn frames_per_second(&self) -> f64 {
        self.frames.len() as f64 * f64::from(self.timescale.get()) / self.end.max(1) as f64
    }

    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.end as f64 / f64::from(self.timescale.get())
    }

    /// When frame `index` ends.
    pub fn end_of(&self, index: usize) -> u64 {
        self.frames
            .get(index + 1)
            .map_or(self.end, |next| next.start)
    }

    /// The frames that begin a segment: the first at or after each multiple of two seconds. Starts with 0.
    pub fn segments(&self) -> Vec<usize> {
        let grid = u64::from(self.timescale.get()) * 2;
        let mut starts = Vec::new();
        let mut next = 0;
        for (index, frame) in self.frames.iter().enumerate() {
            if frame.start >= next {
                starts.push(index);
                next = (frame.start / grid + 1) * grid;
            }
        }
        starts
    }
}
