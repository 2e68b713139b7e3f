//! What is given up when encoders cannot keep up, step by step, and taken up again.
//!
//! First every second picture of the largest layer, then that layer; then the same of the next one. Of the smallest, every second
//! picture stays. How far encoders are behind is measured where pictures wait for them.

/// Behind by so much, encoders do not keep up.
const BEHIND_MS: i64 = 700;

/// So far behind, it does not count that they are catching up.
const FAR_BEHIND_MS: i64 = 2_000;

/// Behind by so little, they keep up.
const CALM_MS: i64 = 200;

/// A step shows its effect after this.
const EFFECT_MS: i64 = 1_000;

/// They keep up for so long before something is taken up again; doubled whenever that was too much, up to the second.
const PATIENCE_MS: i64 = 20_000;
const MOST_PATIENCE_MS: i64 = 320_000;

/// How much of a layer is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    Full,
    /// Every second picture.
    Half,
    Off,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Relief {
    layers: usize,
    level: usize,
    looked: Option<(i64, i64)>,
    calm_since: Option<i64>,
    patience_ms: i64,
    /// When the level went down last.
    eased: Option<i64>,
}

impl Relief {
    /// Of `layers` layers, largest first, at `level` steps.
    #[must_use]
    pub fn new(layers: usize, level: usize) -> Self {
        Self {
            layers,
            level: level.min(most(layers)),
            looked: None,
            calm_since: None,
            patience_ms: PATIENCE_MS,
            eased: None,
        }
    }

    /// Steps taken.
    #[must_use]
    pub fn level(&self) -> usize {
        self.level
    }

    /// How much of a layer, counted from the largest, is encoded.
    #[must_use]
    pub fn rate(&self, layer: usize) -> Rate {
        rate(self.level, layer)
    }

    /// Encoders are `behind_ms` behind. `true`: the level has changed.
    pub fn look(&mut self, now_ms: i64, behind_ms: i64) -> bool {
        if behind_ms > CALM_MS {
            self.calm_since = None;
        }
        let (then, before) = *self.looked.get_or_insert((now_ms, behind_ms));
        if now_ms.saturating_sub(then) < EFFECT_MS {
            return false;
        }
        self.looked = Some((now_ms, behind_ms));
        let grows = behind_ms >= before || behind_ms >= FAR_BEHIND_MS;
        if behind_ms >= BEHIND_MS && grows {
            if self.level >= most(self.layers) {
                return false;
            }
            self.level = self.level.saturating_add(1);
            // What was taken up again was too much.
            let soon = self.patience_ms.saturating_mul(2);
            if self
                .eased
                .take()
                .is_some_and(|at| now_ms.saturating_sub(at) < soon)
            {
                self.patience_ms = soon.min(MOST_PATIENCE_MS);
            }
            return true;
        }
        if behind_ms > CALM_MS || self.level == 0 {
            return false;
        }
        let since = *self.calm_since.get_or_insert(now_ms);
        if now_ms.saturating_sub(since) < self.patience_ms {
            return false;
        }
        self.level = self.level.saturating_sub(1);
        (self.calm_since, self.eased) = (None, Some(now_ms));
        true
    }
}

/// The last step of so many layers.
fn most(layers: usize) -> usize {
    layers.saturating_mul(2).saturating_sub(1)
}

/// How much of a layer is encoded at a level.
fn rate(level: usize, layer: usize) -> Rate {
    match level.saturating_sub(layer.saturating_mul(2)) {
        0 => Rate::Full,
        1 => Rate::Half,
        _ => Rate::Off,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_layer_goes_first_and_the_smallest_never_wholly() {
        let rates = |level| [0, 1, 2].map(|layer| rate(level, layer));
        use Rate::{Full, Half, Off};
        assert_eq!(rates(0), [Full, Full, Full]);
        assert_eq!(rates(1), [Half, Full, Full]);
        assert_eq!(rates(2), [Off, Full, Full]);
        assert_eq!(rates(3), [Off, Half, Full]);
        assert_eq!(rates(most(3)), [Off, Off, Half]);
        assert_eq!(Relief::new(1, 9).rate(0), Half);
    }

    /// The level after each second in which encoders were so far behind.
    fn run(relief: &mut Relief, from_s: i64, behind: impl IntoIterator<Item = i64>) -> Vec<usize> {
        let levels = (from_s..).zip(behind).map(|(second, behind_ms)| {
            for step in 0..25 {
                relief.look(second * 1_000 + step * 40, behind_ms);
            }
            relief.level()
        });
        levels.collect()
    }

    #[test]
    fn who_falls_behind_gives_up_a_step_a_second_and_no_more() {
        let mut relief = Relief::new(2, 0);
        assert_eq!(
            run(&mut relief, 0, [100, 800, 900, 1_000, 3_000, 3_000, 3_000]),
            [0, 1, 2, 3, 3, 3, 3]
        );
    }

    #[test]
    fn who_catches_up_by_himself_gives_up_nothing() {
        let mut relief = Relief::new(3, 0);
        // A burst after the network stood still.
        assert_eq!(run(&mut relief, 0, [0, 1_900, 1_400, 900, 300])[4], 1);
        let mut relief = Relief::new(3, 1);
        assert_eq!(
            run(&mut relief, 0, [1_900, 1_400, 900, 300, 0]),
            [1, 1, 1, 1, 1]
        );
    }

    #[test]
    fn calm_brings_layers_back_and_too_much_of_it_makes_patient() {
        let mut relief = Relief::new(3, 1);
        let levels = run(&mut relief, 0, vec![0; 25]);
        let back = levels.iter().position(|level| *level == 0).unwrap();
        assert!((20..=22).contains(&back), "{levels:?}");
        assert_eq!(run(&mut relief, 25, [800, 900]).last(), Some(&2));
        let levels = run(&mut relief, 27, vec![0; 100]);
        let back = levels.iter().position(|level| *level == 1).unwrap();
        assert!((40..=43).contains(&back), "{levels:?}");
        // Half calm is not calm.
        let mut relief = Relief::new(3, 1);
        assert_eq!(run(&mut relief, 0, vec![400; 60]).last(), Some(&1));
    }
}
