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

    /// The instant that is `micros` later. Scales are of 32 bits at most, so there is room.
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
        let left = self.ticks.saturating_mul(other.per_second.into());
        let right = other.ticks.saturating_mul(self.per_second.into());
        left.cmp(&right)
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
