//! Bitrate control of one rendition within one chunk, without ever dropping a picture.
//!
//! The model is the usual one: a picture of complexity `c` costs about `c / step(quantiser)` bits. Intra and predicted
//! pictures have a complexity each, learned from what was spent. A GOP gets the bits of its duration, plus or minus
//! what the GOPs before it in this chunk left over; the quantiser that would spend exactly that on the rest of the GOP
//! is looked up for every picture, and followed slowly downwards and quickly upwards. A chunk starts with
//! nothing carried over, so its bytes depend on its own pictures only. The arithmetic is integer and float addition,
//! multiplication and division, which give the same bits on every machine.

/// Quantiser steps of H.264 (§8.5.8) for 0 to 51, times 1000: doubling every 6.
const STEPS: [f64; 52] = {
    const BASE: [f64; 6] = [625.0, 702.0, 787.0, 884.0, 992.0, 1114.0];
    let mut steps = [0.0; 52];
    let mut quantiser = 0;
    while quantiser < 52 {
        steps[quantiser] = BASE[quantiser % 6] * (1_u64 << (quantiser / 6)) as f64;
        quantiser += 1;
    }
    steps
};

/// An intra picture's step is this much finer than that of the pictures predicted from it.
const INTRA_RATIO: f64 = 1.4;
/// Below, bits buy nothing that a viewer sees.
const FINEST: u8 = 14;
const COARSEST: u8 = 51;

/// The quantiser whose step comes closest to `step` without being finer.
fn quantiser_for(step: f64) -> u8 {
    let found = STEPS.partition_point(|&candidate| candidate < step).min(51) as u8;
    found.clamp(FINEST, COARSEST)
}

/// See the module.
#[derive(Debug, Clone)]
pub struct RateControl {
    bits_per_second: f64,
    /// Learned complexities: bits times step.
    intra: f64,
    predicted: f64,
    /// What the GOP at hand may still spend, and over how many pictures.
    left_bits: f64,
    left_pictures: f64,
    /// Bits a picture would have on average in this GOP.
    per_picture: f64,
    /// Pictures of the GOP.
    pictures: f64,
    last_predicted: Option<u8>,
    last_used: u8,
    last_was_intra: bool,
}

impl RateControl {
    /// `first_intra`, `first_predicted`: what the chunk's first two pictures cost in a trial, see [`Trial`].
    pub fn new(bits_per_second: u32, trial: Trial) -> Self {
        let step = STEPS[usize::from(trial.quantiser)];
        let intra = trial.intra_bits as f64 * step;
        Self {
            bits_per_second: f64::from(bits_per_second),
            intra,
            // A chunk may open on a still of a title; assume that it will not stay as cheap as its first pictures.
            predicted: (trial.predicted_bits as f64 * step).max(intra * 0.05),
            left_bits: 0.0,
            left_pictures: 0.0,
            per_picture: 0.0,
            pictures: 0.0,
            last_predicted: None,
            last_used: trial.quantiser,
            last_was_intra: false,
        }
    }

    /// A GOP begins: `seconds` long, of `pictures` pictures (at least 1).
    pub fn start_gop(&mut self, seconds: f64, pictures: u32) {
        let budget = self.bits_per_second * seconds;
        // What an earlier GOP left or overspent is settled here, but never more of a saving than a viewer's buffer takes.
        let carried = self.left_bits.clamp(-0.4 * budget, 0.1 * budget);
        self.left_bits = budget + carried;
        self.pictures = f64::from(pictures.max(1));
        self.left_pictures = self.pictures;
        self.per_picture = budget / self.pictures;
    }

    /// The quantiser for the next picture.
    pub fn quantiser(&mut self, intra: bool) -> u8 {
        let chosen = if intra {
            self.intra_quantiser()
        } else {
            self.predicted_quantiser()
        };
        self.last_used = chosen;
        self.last_was_intra = intra;
        chosen
    }

    /// The step that spends the GOP's bits when its first picture is `INTRA_RATIO` finer than the others.
    fn intra_quantiser(&self) -> u8 {
        let others = (self.left_pictures - 1.0).max(0.0);
        let budget = self.left_bits.max(self.per_picture);
        let step = (self.intra * INTRA_RATIO + others * self.predicted) / budget;
        // The intra picture alone takes a third of the GOP at most.
        let least = self.intra / (0.35 * budget);
        quantiser_for((step / INTRA_RATIO).max(least))
    }

    fn predicted_quantiser(&self) -> u8 {
        // Looking half a GOP past the end keeps the last pictures from paying alone for a wrong guess.
        let horizon = (self.pictures * 0.5).max(4.0);
        let bits = self.left_bits + horizon * self.per_picture;
        let pictures = self.left_pictures + horizon;
        let wanted = if bits <= self.per_picture {
            COARSEST
        } else {
            quantiser_for(self.predicted * pictures / bits)
        };
        match self.last_predicted {
            // Debts rise fast, so that a cut or noise does not run away; savings are spent slowly.
            Some(last) => wanted.clamp(
                last.saturating_sub(2).max(FINEST),
                last.saturating_add(16).min(COARSEST),
            ),
            None => wanted,
        }
    }

    /// What the picture that the last quantiser was for really cost.
    pub fn spent(&mut self, bytes: usize) {
        let bits = bytes as f64 * 8.0;
        let complexity = bits * STEPS[usize::from(self.last_used)];
        if self.last_was_intra {
            self.intra = complexity;
        } else {
            // A jump (a cut, noise setting in) is believed at once, everything else bit by bit.
            let weight = if complexity > 2.0 * self.predicted {
                0.9
            } else {
                0.4
            };
            self.predicted = (1.0 - weight) * self.predicted + weight * complexity;
            self.last_predicted = Some(self.last_used);
        }
        self.left_bits -= bits;
        self.left_pictures = (self.left_pictures - 1.0).max(0.0);
    }
}

/// What the first picture and the second one, predicted from it, cost at one quantiser. Measured by encoding them
/// once and throwing the result away: two pictures of extra work a chunk, for a first GOP that starts on target.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    pub quantiser: u8,
    pub intra_bits: u64,
    pub predicted_bits: u64,
}

impl Trial {
    /// The quantiser to try.
    pub const QUANTISER: u8 = 28;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up encoder: complexity over step.
    fn run(gops: &[(f64, f64)], bits_per_second: u32) -> Vec<f64> {
        let trial = Trial {
            quantiser: 28,
            intra_bits: (gops[0].0 / STEPS[28]) as u64,
            predicted_bits: (gops[0].1 / STEPS[28]) as u64,
        };
        let mut rate = RateControl::new(bits_per_second, trial);
        gops.iter()
            .map(|&(intra, predicted)| {
                rate.start_gop(2.0, 50);
                let mut bits = 0.0;
                for picture in 0..50 {
                    let quantiser = rate.quantiser(picture == 0);
                    let cost = if picture == 0 { intra } else { predicted }
                        / STEPS[usize::from(quantiser)];
                    rate.spent((cost / 8.0) as usize);
                    bits += cost;
                }
                bits / 2.0
            })
            .collect()
    }

    #[test]
    fn steady_content_lands_on_the_target() {
        let rates = run(&[(4e9, 8e8); 6], 1_000_000);
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        assert!((mean / 1e6 - 1.0).abs() < 0.05, "{rates:?}");
    }

    #[test]
    fn a_jump_in_complexity_does_not_run_away() {
        let rates = run(
            &[(4e9, 1e8), (4e9, 1e8), (8e9, 4e9), (8e9, 4e9), (8e9, 4e9)],
            1_000_000,
        );
        assert!(rates.iter().all(|&rate| rate < 1.6e6), "{rates:?}");
        assert!((rates[4] / 1e6 - 1.0).abs() < 0.1, "{rates:?}");
    }

    #[test]
    fn stills_stop_at_the_finest_quantiser() {
        let rates = run(&[(1e8, 1e5); 3], 5_000_000);
        assert!(rates.iter().all(|&rate| rate < 5e6));
    }
}
