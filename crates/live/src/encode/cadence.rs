//! Which pictures of a source are encoded, and which of them are key frames.
//!
//! More than 30 pictures a second are halved, as AMS does. Key frames are those that complete an interval since the last one,
//! and the first after a hole, at which a track is cut anyway.

use crate::clock_of_ms;
use crate::engine::HOLE_MS;

/// What becomes of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is left out.
    Skip,
    Picture,
    Key,
}

/// Pictures closer to the one before than this, in 90 kHz ticks, are of a source of more than 30 a second: a thirtieth of a
/// second, and what millisecond stamps and jitter may take from it.
const LEAST_STEP: i64 = 3_000 - 360;

/// Stamps in whole milliseconds make an interval come out a little short.
const SLACK: i64 = 720;

/// See the module. Times are 90 kHz ticks of the source, in the order in which pictures are shown.
#[derive(Debug, Clone)]
pub struct Cadence {
    interval: i64,
    last: Option<i64>,
    key: i64,
    /// Moments at which a key frame is to be, whether it is time or not.
    wanted: Vec<i64>,
}

/// Of those.
const MOST_WANTED: usize = 32;

impl Cadence {
    /// `interval_ms`: from key frame to key frame.
    #[must_use]
    pub fn new(interval_ms: u32) -> Self {
        Self {
            interval: clock_of_ms(i64::from(interval_ms)),
            last: None,
            key: 0,
            wanted: Vec::new(),
        }
    }

    /// The first picture at `time` or after it is to be a key frame.
    pub fn key_at(&mut self, time: i64) {
        if self.wanted.len() < MOST_WANTED {
            self.wanted.push(time);
        }
    }

    /// The next picture.
    pub fn step(&mut self, time: i64) -> Step {
        let Some(last) = self.last else {
            return self.keep(time, true);
        };
        let since = time.saturating_sub(last);
        if (0..LEAST_STEP).contains(&since) {
            return Step::Skip;
        }
        let whole = time.saturating_sub(self.key) >= self.interval.saturating_sub(SLACK);
        let reached = time.saturating_add(SLACK);
        let wanted = self.wanted.iter();
        let wanted = wanted.filter(|wanted| **wanted <= reached).max();
        // What was said too late is not made up for.
        let cued = wanted.is_some_and(|wanted| *wanted > last);
        self.keep(
            time,
            whole || cued || since < 0 || since > clock_of_ms(HOLE_MS),
        )
    }

    fn keep(&mut self, time: i64, key: bool) -> Step {
        self.last = Some(time);
        let reached = time.saturating_add(SLACK);
        self.wanted.retain(|wanted| *wanted > reached);
        if key {
            self.key = time;
            return Step::Key;
        }
        Step::Picture
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Times in milliseconds of the pictures kept, and of the key frames, over `seconds` of a source that stamps milliseconds.
    fn run(interval_ms: u32, rate: f64, seconds: u32) -> (usize, Vec<i64>) {
        let mut cadence = Cadence::new(interval_ms);
        let (mut kept, mut keys) = (0, Vec::new());
        for at in 0..(f64::from(seconds) * rate) as u32 {
            let ms = (f64::from(at) * 1_000.0 / rate).round() as i64;
            match cadence.step(ms * 90) {
                Step::Skip => continue,
                Step::Picture => {}
                Step::Key => keys.push(ms),
            }
            kept += 1;
        }
        (kept, keys)
    }

    #[test]
    fn more_than_thirty_a_second_are_halved() {
        for (rate, kept) in [
            (25.0, 250),
            (30.0, 300),
            (30_000.0 / 1_001.0, 299),
            (50.0, 250),
            (60_000.0 / 1_001.0, 300),
            (60.0, 300),
        ] {
            assert_eq!(run(2_000, rate, 10).0, kept, "{rate}");
        }
    }

    #[test]
    fn key_frames_are_an_interval_apart() {
        for rate in [24.0, 25.0, 50.0] {
            assert_eq!(run(2_000, rate, 9).1, [0, 2_000, 4_000, 6_000, 8_000]);
        }
        let keys = run(2_000, 30_000.0 / 1_001.0, 9).1;
        assert!(
            keys.windows(2)
                .all(|pair| (2_001..=2_003).contains(&(pair[1] - pair[0]))),
            "{keys:?}"
        );
        assert_eq!(run(500, 25.0, 2).1, [0, 520, 1_040, 1_560]);
    }

    #[test]
    fn a_cue_has_its_key_frame() {
        let mut cadence = Cadence::new(2_000);
        cadence.key_at(1_000 * 90);
        cadence.key_at(1_030 * 90);
        // Long past when the first picture comes.
        cadence.key_at(-90);
        let keys = (0..100).filter(|at| cadence.step(at * 40 * 90) == Step::Key);
        // The second is at the picture after it; the regular ones count from there.
        assert_eq!(keys.collect::<Vec<_>>(), [0, 25, 26, 76]);
    }

    #[test]
    fn a_hole_and_a_step_back_begin_with_a_key_frame() {
        let mut cadence = Cadence::new(2_000);
        let steps = [0, 40, 541, 1_200, 1_240, 900, 940].map(|ms: i64| cadence.step(ms * 90));
        use Step::{Key, Picture};
        assert_eq!(steps, [Key, Picture, Key, Key, Picture, Key, Picture]);
    }
}
