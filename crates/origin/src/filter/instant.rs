//! Media times in any scale, compared exactly.

use std::cmp::Ordering;

/// A time as a fraction of a second.
#[derive(Debug, Clone, Copy)]
pub struct Instant {
    ticks: u128,
    /// Not 0.
    per_second: u64,
}

const MICROS: u128 = 1_000_000;

impl Instant {
    /// `ticks` of a scale with `per_second` of them; 0 counts as 1.
    pub fn new(ticks: u64, per_second: u64) -> Self {
        Self {
            ticks: ticks.into(),
            per_second: per_second.max(1),
        }
    }

    /// The instant that is `micros` later, of one in a track's scale: those are of 32 bits, so there is room.
    pub(crate) fn plus_micros(self, micros: u64) -> Self {
        let here = self.ticks.saturating_mul(MICROS);
        let more = u128::from(micros).saturating_mul(self.per_second.into());
        Self {
            ticks: here.saturating_add(more),
            per_second: self.per_second.saturating_mul(1_000_000),
        }
    }

    pub(crate) fn parts(self) -> (u128, u64) {
        (self.ticks, self.per_second)
    }
}

impl Ord for Instant {
    fn cmp(&self, other: &Self) -> Ordering {
        // Whole seconds first: what is left of either is less than its scale, and the products fit.
        let (own, others) = (u128::from(self.per_second), u128::from(other.per_second));
        let whole = |ticks: u128, scale| ticks.checked_div(scale).unwrap_or(u128::MAX);
        let rest = |ticks: u128, scale| ticks.checked_rem(scale).unwrap_or(0);
        whole(self.ticks, own)
            .cmp(&whole(other.ticks, others))
            .then_with(|| {
                let left = rest(self.ticks, own).saturating_mul(others);
                left.cmp(&rest(other.ticks, others).saturating_mul(own))
            })
    }
}

impl PartialOrd for Instant {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Instant {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Instant {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_of_all_sizes_are_compared_exactly() {
        let coarse = Instant::new(3, 2);
        for scale in [10_000_000_000, 1 << 62, 2] {
            let fine = Instant::new(scale / 2 * 3, scale);
            assert_eq!(coarse, fine, "{scale}");
            assert!(coarse < Instant::new(scale / 2 * 3 + 1, scale), "{scale}");
        }
        let large = Instant::new(u64::MAX, (1 << 62) - 1);
        assert!(large > Instant::new(u64::MAX - 1, (1 << 62) - 1));
        assert!(large < Instant::new(5, 1).plus_micros(1));
    }
}
