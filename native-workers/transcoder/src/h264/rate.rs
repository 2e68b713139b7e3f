//! Bitrate control of one rendition within one chunk, without ever dropping a picture.
//!
//! The model is the usual one: a picture of complexity `c` costs about `c / step(quantiser)` bits. Intra and predicted
//! pictures have a complexity each, learned from what was spent. A GOP gets the bits of its duration, plus or minus
//! what the GOPs before it in this chunk left over; the quantiser that would spend exactly that on the rest of the GOP
//! is looked up for every picture, and followed slowly downwards and quickly upwards. A chunk starts with
//! nothing carried over, so its bytes depend on its own pictures only. The arithmetic is integer and float addition,
//! multiplication and division, which give the same bits on every machine.
//!
//! What is learned is of the past. A picture is looked at before it is encoded ([`Look`]), so that a cut, or noise that sets in,
//! is not met with the quantiser of a still; and a bucket like a player's, which fills at [`LINE`] times the rate and holds
//! [`HELD_SECONDS`] of it, bounds what any picture may take. So no two seconds take more than `(2 * 1.1 + 0.8) / 2`, one and a
//! half times the rate, as far as estimates are right. What is too much at the coarsest quantiser is made softer before it is encoded.

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

/// What comes in while a picture is shown, times the rate.
const LINE: f64 = 1.1;
/// What the bucket holds, in seconds of the rate.
const HELD_SECONDS: f64 = 0.8;
/// How full it is where a chunk begins, and has to be again where it ends.
const FULL_AT_START: f64 = 0.5;
/// Most of the bucket that a picture may take, as estimates err.
const INTRA_SHARE: f64 = 0.9;
const PREDICTED_SHARE: f64 = 0.5;

/// A picture that differs so many times as much as those before is of another kind.
const JUMP: f64 = 2.0;
/// Differences below, in 256ths, are nobody's.
const NOTHING: f64 = 64.0;
/// Complexity of an intra picture, per sample and 256th of detail, where none has been seen that compares.
const USUAL: f64 = 0.1;
/// A picture is made softer at most so many times.
const SOFTEST: u8 = 4;

/// What is seen of a picture before it is encoded: see [`crate::picture::Picture`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Luma samples.
    pub area: u64,
    /// 256ths, within the picture.
    pub detail: u32,
    /// 256ths, from the picture before.
    pub change: u32,
}

/// How a picture is to be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    pub quantiser: u8,
    /// How many times it is made softer before.
    pub softer: u8,
}

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
    /// Detail of the last intra picture, and what pictures differed by of which `predicted` was learned; 256ths.
    intra_detail: f64,
    predicted_change: f64,
    /// Of the picture at hand.
    look: Look,
    /// Bits in the bucket, and what comes in with every picture of this GOP.
    bucket: f64,
    line: f64,
    /// What has to be left in the bucket when the GOP ends.
    reserve: f64,
    softer: u8,
}

impl RateControl {
    /// `trial`: what the chunk's first two pictures cost.
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
            intra_detail: f64::from(trial.detail),
            predicted_change: f64::from(trial.change.min(trial.detail)),
            look: Look::default(),
            bucket: FULL_AT_START * HELD_SECONDS * f64::from(bits_per_second),
            line: 0.0,
            reserve: 0.0,
            softer: 0,
        }
    }

    /// A GOP begins: `seconds` long, of `pictures` pictures (at least 1). `last`: of its chunk.
    pub fn start_gop(&mut self, seconds: f64, pictures: u32, last: bool) {
        let budget = self.bits_per_second * seconds;
        // What an earlier GOP left or overspent is settled here, but never more of a saving than a viewer's buffer takes.
        let carried = self.left_bits.clamp(-0.4 * budget, 0.1 * budget);
        self.left_bits = budget + carried;
        self.pictures = f64::from(pictures.max(1));
        self.left_pictures = self.pictures;
        self.per_picture = budget / self.pictures;
        self.line = LINE * self.per_picture;
        self.reserve = match last {
            true => FULL_AT_START * HELD_SECONDS * self.bits_per_second,
            false => 0.0,
        };
    }

    /// How the next picture is to be encoded.
    pub fn order(&mut self, intra: bool, look: Look) -> Order {
        self.look = look;
        let (step, estimate, share) = if intra {
            let estimate = self.intra_estimate();
            (self.intra_step(estimate), estimate, INTRA_SHARE)
        } else {
            let estimate = self.predicted_estimate();
            (self.predicted_step(estimate), estimate, PREDICTED_SHARE)
        };
        let passed = 1.0 - self.left_pictures / self.pictures;
        let there = self.bucket + self.line - self.reserve * passed;
        let step = step.max(estimate / (share * there).max(0.1 * self.per_picture));
        self.soften(step);
        let mut chosen = quantiser_for(step);
        if let (Some(last), false) = (self.last_predicted, intra) {
            // Savings are spent slowly.
            chosen = chosen.max(last.saturating_sub(2).max(FINEST));
        }
        self.last_used = chosen;
        self.last_was_intra = intra;
        Order {
            quantiser: chosen,
            softer: self.softer,
        }
    }

    /// Softer for what is beyond the coarsest quantiser, and back when there is room for several times as much.
    fn soften(&mut self, step: f64) {
        let coarsest = STEPS[usize::from(COARSEST)];
        if step > 1.2 * coarsest {
            self.softer = (self.softer + 1).min(SOFTEST);
        } else if step < 0.15 * coarsest {
            self.softer = self.softer.saturating_sub(1);
        }
    }

    /// The complexity of the picture at hand, encoded by itself.
    fn intra_estimate(&self) -> f64 {
        let detail = f64::from(self.look.detail);
        let times = (detail + NOTHING) / (self.intra_detail + NOTHING);
        if (1.0 / JUMP..JUMP).contains(&times) {
            return self.intra;
        }
        let usual = USUAL * self.look.area as f64 * detail;
        match times > 1.0 {
            true => (self.intra * times).max(usual),
            // Of what is simpler, it is believed when it has been seen.
            false => self.intra * times.max(0.25),
        }
    }

    /// The complexity of the picture at hand, predicted from the one before: as it was lately, or, where it differs more than
    /// those did, that share of what it costs by itself which has changed.
    fn predicted_estimate(&self) -> f64 {
        let Look { detail, change, .. } = self.look;
        let own = f64::from(change.min(detail));
        if own + NOTHING <= JUMP * (self.predicted_change + NOTHING) {
            return self.predicted;
        }
        let share = own / f64::from(detail.max(1));
        self.predicted.max(self.intra_estimate() * share)
    }

    /// The step that spends the GOP's bits when its first picture is `INTRA_RATIO` finer than the others.
    fn intra_step(&self, estimate: f64) -> f64 {
        let others = (self.left_pictures - 1.0).max(0.0);
        let budget = self.left_bits.max(self.per_picture);
        let step = (estimate * INTRA_RATIO + others * self.predicted) / budget;
        // The intra picture alone takes a third of the GOP at most.
        (step / INTRA_RATIO).max(estimate / (0.35 * budget))
    }

    fn predicted_step(&self, estimate: f64) -> f64 {
        // Looking half a GOP past the end keeps the last pictures from paying alone for a wrong guess.
        let horizon = (self.pictures * 0.5).max(4.0);
        let bits = self.left_bits + horizon * self.per_picture;
        let pictures = self.left_pictures + horizon;
        if bits <= self.per_picture {
            return STEPS[usize::from(COARSEST)];
        }
        estimate * pictures / bits
    }

    /// What the picture that the last quantiser was for really cost.
    pub fn spent(&mut self, bytes: usize) {
        let bits = bytes as f64 * 8.0;
        let complexity = bits * STEPS[usize::from(self.last_used)];
        let Look { detail, change, .. } = self.look;
        let own = f64::from(change.min(detail));
        if self.last_was_intra {
            self.intra = complexity;
            self.intra_detail = f64::from(detail);
        } else {
            // A jump (a cut, noise setting in) is believed at once, everything else bit by bit.
            let weight = if complexity > 2.0 * self.predicted {
                0.9
            } else {
                0.4
            };
            self.predicted = (1.0 - weight) * self.predicted + weight * complexity;
            self.predicted_change = (1.0 - weight) * self.predicted_change + weight * own;
            self.last_predicted = Some(self.last_used);
        }
        let held = HELD_SECONDS * self.bits_per_second;
        self.bucket = (self.bucket + self.line - bits).min(held);
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
    /// Of the first picture, and of the second from the first: see [`Look`].
    pub detail: u32,
    pub change: u32,
}

impl Trial {
    /// The quantiser to try.
    pub const QUANTISER: u8 = 28;
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: u64 = 230_400;

    /// What is seen of a picture of these complexities, alone and predicted, if half of the usual detail is enough for them.
    fn seen(intra: f64, predicted: f64) -> Look {
        let detail = intra / (2.0 * USUAL * AREA as f64);
        Look {
            area: AREA,
            detail: detail as u32,
            change: (detail * (predicted / intra).min(1.0)) as u32,
        }
    }

    /// A made-up encoder: complexity over step, and a quarter of it with every time that it is made softer. Bits of all pictures.
    fn pictures(gops: &[(f64, f64)], bits_per_second: u32) -> Vec<f64> {
        let first = seen(gops[0].0, gops[0].1);
        let trial = Trial {
            quantiser: 28,
            intra_bits: (gops[0].0 / STEPS[28]) as u64,
            predicted_bits: (gops[0].1 / STEPS[28]) as u64,
            detail: first.detail,
            change: first.change,
        };
        let mut rate = RateControl::new(bits_per_second, trial);
        let mut all = Vec::new();
        for (number, &(intra, predicted)) in gops.iter().enumerate() {
            rate.start_gop(2.0, 50, number + 1 == gops.len());
            for picture in 0..50 {
                let order = rate.order(picture == 0, seen(intra, predicted));
                let complexity = if picture == 0 { intra } else { predicted };
                let cost = complexity / STEPS[usize::from(order.quantiser)];
                let cost = cost / 4_f64.powi(order.softer.into());
                rate.spent((cost / 8.0) as usize);
                all.push(cost);
            }
        }
        all
    }

    /// Bits a second of each GOP.
    fn run(gops: &[(f64, f64)], bits_per_second: u32) -> Vec<f64> {
        let all = pictures(gops, bits_per_second);
        all.chunks(50)
            .map(|gop| gop.iter().sum::<f64>() / 2.0)
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
    fn no_two_seconds_take_more_than_is_buffered() {
        let (still, film, noise) = ((1e8, 1e5), (4e9, 8e8), (4e10, 3e10));
        for gops in [
            [still, still, noise, noise, still, noise],
            [film, noise, film, still, film, noise],
            [noise, noise, noise, noise, noise, noise],
        ] {
            let all = pictures(&gops, 1_000_000);
            let sums = all.windows(50).map(|window| window.iter().sum::<f64>());
            let most = sums.fold(0.0, f64::max) / 2e6;
            assert!(most <= 1.5, "{gops:?}: {most:.2} times the rate");
        }
    }

    #[test]
    fn stills_stop_at_the_finest_quantiser() {
        let rates = run(&[(1e8, 1e5); 3], 5_000_000);
        assert!(rates.iter().all(|&rate| rate < 5e6));
    }
}
