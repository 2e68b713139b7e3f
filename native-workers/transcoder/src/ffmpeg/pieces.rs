//! What of its sources a presentation, or a chunk of it, is made of, and at what rate its frames follow each other.

use std::ops::Range;

use super::graph::Part;
use super::rungs::Rung;

/// What of a presentation a chunk is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Seconds of the presentation at which it begins.
    pub begins: f64,
    pub cut: Cut,
    /// Where renditions have frames of a rate of their own.
    pub steady: Option<Steady>,
}

/// Those frames of a chunk, of the whole presentation's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steady {
    pub frames: Range<usize>,
    /// They are its last ones.
    pub ends: bool,
}

impl Steady {
    /// Behind `fps`, whose clock counts frames. How many the last picture of a source becomes is a matter of rounding: there are some
    /// more than enough.
    pub(super) fn filters(&self) -> Vec<String> {
        let Range { start, end } = &self.frames;
        let more = self.ends.then(|| "tpad=stop=3:stop_mode=clone".to_owned());
        let those = format!("trim=start_pts={start}:end_pts={end}");
        more.into_iter().chain([those]).collect()
    }
}

/// The stretch of the sources that is let through.
#[derive(Debug, Clone, PartialEq)]
pub enum Cut {
    /// Of a single source.
    Single(Limits),
    /// Of a sequence: parts that follow each other.
    Sequence(Vec<Piece>),
}

/// Seconds of a source, from its start on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    pub from: Option<f64>,
    pub to: Option<f64>,
    /// Where in the source the clip begins.
    pub shift: f64,
}

/// Frames of one part of a sequence, at the rate of the sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Place among the parts.
    pub part: usize,
    pub frames: Range<u64>,
    /// Of its clip, if the source is not opened there already.
    pub limits: Limits,
}

impl Limits {
    fn filters(&self) -> Vec<String> {
        let mut out = Vec::new();
        let limits: Vec<String> = [("start", self.from), ("end", self.to)]
            .into_iter()
            .filter_map(|(name, limit)| Some(format!("{name}={:.6}", limit?)))
            .collect();
        if !limits.is_empty() {
            out.push(format!("trim={}", limits.join(":")));
        }
        if self.shift > 0.0 {
            out.push(format!("setpts=PTS-{:.3}/TB", self.shift));
        }
        out
    }

    /// Puts these limits into what the graph's `prepared` gave: whoever makes pictures whole looks at those before and after.
    pub(super) fn inside(&self, steps: &mut Vec<String>) {
        let at = steps
            .iter()
            .take_while(|step| step.starts_with("scale") || step.starts_with("bwdif"))
            .count();
        steps.splice(at..at, self.filters());
    }
}

/// Frames of `part` in a sequence of `rate` frames a second: the next part begins where the sound's next part does.
pub fn frames_of(part: &Part, rate: f64) -> u64 {
    (part.seconds * rate).round().max(1.0) as u64
}

/// The parts as a whole, of inputs that are opened where their clips begin.
pub(super) fn whole(parts: &[Part], rate: f64) -> Vec<Piece> {
    parts
        .iter()
        .enumerate()
        .map(|(number, part)| Piece {
            part: number,
            frames: 0..frames_of(part, rate),
            limits: Limits::default(),
        })
        .collect()
}

/// Frames a second of a sequence: those of its first part. `None` for what is no sequence, or has no pictures.
pub fn sequence_rate(parts: &[Part]) -> Option<f64> {
    let video = parts.first()?.video.as_ref()?;
    let known = (1.0..=240.0).contains(&video.frames_per_second);
    (parts.len() > 1).then_some(if known { video.frames_per_second } else { 25.0 })
}

/// Frames a second that all renditions of a source are asked for, as a fraction. `None` where they are asked for different ones or for
/// none.
pub fn common_rate(rungs: &[Rung]) -> Option<(u32, u32)> {
    let mut rates = rungs.iter().map(|rung| rung.frame_rate);
    let first = rates.next()??;
    rates.all(|rate| rate == Some(first)).then_some(first)
}

/// `rate`, frames a second, as the fraction that is meant: whole numbers, and those that television has 1000/1001 of.
pub fn fraction(rate: f64) -> Option<(u32, u32)> {
    const THOUSANDTHS: u32 = 1000;
    if !(1.0..=240.0).contains(&rate) {
        return None;
    }
    let near = |up: f64, down: u32| (up / f64::from(down) - rate).abs() < 0.0005;
    let whole = rate.round();
    Some(if near(whole, 1) {
        (whole as u32, 1)
    } else if near(whole * 1000.0, 1001) {
        (whole as u32 * 1000, 1001)
    } else {
        ((rate * f64::from(THOUSANDTHS)).round() as u32, THOUSANDTHS)
    })
}

#[cfg(test)]
mod tests {
    use super::fraction;

    #[test]
    fn rates_are_the_fractions_that_are_meant() {
        for (rate, up, down) in [
            (25.0, 25, 1),
            (29.97, 30_000, 1001),
            (23.976_024, 24_000, 1001),
            (59.94, 60_000, 1001),
            (12.5, 12_500, 1000),
            (30.01, 30_010, 1000),
        ] {
            assert_eq!(fraction(rate), Some((up, down)), "{rate}");
        }
        for none in [0.0, 0.5, 1000.0, f64::NAN] {
            assert_eq!(fraction(none), None, "{none}");
        }
    }
}
