//! Sample rates that streaming does not use, brought to one that it does.
//!
//! A windowed-sinc filter, computed for every output sample from absolute positions: any stretch of the output can be
//! made on its own, and two stretches meet without a seam. Only low-rate and studio-rate sources come here, so it is
//! written to be short.

/// Sinc lobes on each side of the centre.
const LOBES: i64 = 16;

/// The rate a source of `rate` Hz is published at: 44.1 and 48 kHz stay; anything else goes to the one it divides or
/// multiplies into.
pub fn published_rate(rate: u32) -> u32 {
    match rate {
        44_100 | 48_000 => rate,
        11_025 | 22_050 | 88_200 | 7_350 => 44_100,
        _ => 48_000,
    }
}

/// From one rate to another, stereo.
#[derive(Debug)]
pub struct Resampler {
    /// Input samples per `output` output samples, reduced.
    input: i64,
    output: i64,
    /// One row of taps per phase.
    phases: Vec<Vec<f32>>,
    /// Input samples on each side of a position that its output needs.
    reach: i64,
}

impl Resampler {
    /// `None` when there is nothing to do.
    pub fn new(from: u32, to: u32) -> Option<Self> {
        if from == to || from == 0 || to == 0 {
            return None;
        }
        let divisor = greatest_common_divisor(from, to);
        let (input, output) = (i64::from(from / divisor), i64::from(to / divisor));
        // Going down, the filter also has to keep out what the lower rate cannot hold.
        let cutoff = (output as f64 / input as f64).min(1.0);
        let reach = (LOBES as f64 / cutoff).ceil() as i64;
        let phases = (0..output)
            .map(|phase| {
                let offset = phase as f64 / output as f64;
                let taps: Vec<f64> = (1 - reach..=reach)
                    .map(|tap| kernel(tap as f64 - offset, cutoff, reach as f64))
                    .collect();
                let sum: f64 = taps.iter().sum();
                taps.iter().map(|tap| (tap / sum) as f32).collect()
            })
            .collect();
        Some(Self {
            input,
            output,
            phases,
            reach,
        })
    }

    /// Input samples `first..last` that output samples `from..to` need; may start below zero.
    pub fn needs(&self, from: i64, to: i64) -> (i64, i64) {
        (
            (from * self.input).div_euclid(self.output) + 1 - self.reach,
            (to * self.input).div_euclid(self.output) + 1 + self.reach,
        )
    }

    /// Output samples `from..to`, interleaved stereo.
    ///
    /// `input`: interleaved stereo whose first sample has the position `first`; positions outside are silent.
    pub fn run(&self, input: &[i16], first: i64, from: i64, to: i64) -> Vec<i16> {
        let frames = (input.len() / 2) as i64;
        let mut out = Vec::with_capacity(usize::try_from((to - from).max(0)).unwrap_or(0) * 2);
        for position in from..to {
            let scaled = position * self.input;
            let whole = scaled.div_euclid(self.output);
            let taps = &self.phases[scaled.rem_euclid(self.output) as usize];
            let (mut left, mut right) = (0.0_f32, 0.0_f32);
            for (tap, index) in taps.iter().zip(whole + 1 - self.reach - first..) {
                if (0..frames).contains(&index) {
                    let at = index as usize * 2;
                    left += tap * f32::from(input[at]);
                    right += tap * f32::from(input[at + 1]);
                }
            }
            out.push(left.round() as i16);
            out.push(right.round() as i16);
        }
        out
    }
}

/// Sinc with a Blackman window over `reach` samples.
fn kernel(x: f64, cutoff: f64, reach: f64) -> f64 {
    use std::f64::consts::PI;
    if x.abs() >= reach {
        return 0.0;
    }
    let sinc = if x == 0.0 {
        1.0
    } else {
        (PI * x * cutoff).sin() / (PI * x * cutoff)
    };
    let turn = PI * (x / reach + 1.0);
    sinc * (0.42 - 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos())
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, count: usize) -> Vec<i16> {
        (0..count)
            .flat_map(|at| {
                let value =
                    (at as f64 * 440.0 * std::f64::consts::TAU / f64::from(rate)).sin() * 10_000.0;
                [value as i16, -value as i16]
            })
            .collect()
    }

    #[test]
    fn a_tone_stays_the_same_tone() {
        for from in [8_000, 22_050, 32_000, 96_000] {
            let to = published_rate(from);
            let resampler = Resampler::new(from, to).unwrap();
            let made = resampler.run(&tone(from, from as usize / 2), 0, 0, i64::from(to) / 2);
            let wanted = tone(to, to as usize / 2);
            // The edges have silence next to them.
            let worst = made[4000..made.len() - 4000]
                .iter()
                .zip(&wanted[4000..])
                .map(|(made, wanted)| (i32::from(*made) - i32::from(*wanted)).abs())
                .max();
            assert!(worst < Some(60), "{from}: {worst:?}");
        }
    }

    #[test]
    fn two_stretches_meet_without_a_seam() {
        let resampler = Resampler::new(32_000, 48_000).unwrap();
        let input = tone(32_000, 4000);
        let whole = resampler.run(&input, 0, 0, 3000);
        let mut parts = Vec::new();
        for (from, to) in [(0, 1000), (1000, 3000)] {
            let (first, last) = resampler.needs(from, to);
            let (first, last) = (first.max(0), last.min(4000));
            parts.extend(resampler.run(
                &input[first as usize * 2..last as usize * 2],
                first,
                from,
                to,
            ));
        }
        assert_eq!(whole, parts);
    }
}
