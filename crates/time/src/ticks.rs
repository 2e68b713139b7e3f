//! Points and lengths on a timeline.

use std::cmp::Ordering;
use std::fmt;

use crate::{Rounding, Timescale, rescale};

/// Why two times could not be combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// The operands count different ticks; rescale one first.
    #[error("times of different scales ({0} and {1}) cannot be combined")]
    ScalesDiffer(Timescale, Timescale),
    /// The result is before the start or past `u64::MAX` ticks.
    #[error("the resulting time is out of range")]
    OutOfRange,
}

/// A point on a presentation's timeline: ticks since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MediaTime {
    ticks: u64,
    scale: Timescale,
}

/// A length of media: a count of ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MediaDuration {
    ticks: u64,
    scale: Timescale,
}

fn same(a: Timescale, b: Timescale) -> Result<(), TimeError> {
    if a == b {
        Ok(())
    } else {
        Err(TimeError::ScalesDiffer(a, b))
    }
}

/// `a` ticks of `a_scale` against `b` ticks of `b_scale`, without rounding either.
fn compare_ticks(a: u64, a_scale: Timescale, b: u64, b_scale: Timescale) -> Ordering {
    // 64 by 32 bits always fits 128.
    let left = u128::from(a).saturating_mul(u128::from(b_scale.get()));
    let right = u128::from(b).saturating_mul(u128::from(a_scale.get()));
    left.cmp(&right)
}

impl MediaTime {
    /// The point `ticks` after the start.
    #[must_use]
    pub const fn new(ticks: u64, scale: Timescale) -> Self {
        Self { ticks, scale }
    }

    /// Ticks since the start.
    #[must_use]
    pub const fn ticks(self) -> u64 {
        self.ticks
    }

    /// The scale of [`Self::ticks`].
    #[must_use]
    pub const fn timescale(self) -> Timescale {
        self.scale
    }

    /// The same point on another scale. Errors: `OutOfRange` past `u64::MAX` ticks.
    pub fn rescale(self, to: Timescale, rounding: Rounding) -> Result<Self, TimeError> {
        let ticks = rescale(self.ticks, self.scale, to, rounding).ok_or(TimeError::OutOfRange)?;
        Ok(Self::new(ticks, to))
    }

    /// The point `by` later, on the same scale.
    pub fn checked_add(self, by: MediaDuration) -> Result<Self, TimeError> {
        same(self.scale, by.scale)?;
        let ticks = self.ticks.checked_add(by.ticks);
        Ok(Self::new(ticks.ok_or(TimeError::OutOfRange)?, self.scale))
    }

    /// The length from `earlier` to this point, on the same scale. Errors: `OutOfRange` if `earlier` is later.
    pub fn since(self, earlier: Self) -> Result<MediaDuration, TimeError> {
        same(self.scale, earlier.scale)?;
        let ticks = self.ticks.checked_sub(earlier.ticks);
        Ok(MediaDuration::new(
            ticks.ok_or(TimeError::OutOfRange)?,
            self.scale,
        ))
    }

    /// Which point comes first, exactly, whatever their scales.
    #[must_use]
    pub fn compare(self, other: Self) -> Ordering {
        compare_ticks(self.ticks, self.scale, other.ticks, other.scale)
    }
}

impl MediaDuration {
    /// A length of `ticks`.
    #[must_use]
    pub const fn new(ticks: u64, scale: Timescale) -> Self {
        Self { ticks, scale }
    }

    /// The length in ticks.
    #[must_use]
    pub const fn ticks(self) -> u64 {
        self.ticks
    }

    /// The scale of [`Self::ticks`].
    #[must_use]
    pub const fn timescale(self) -> Timescale {
        self.scale
    }

    /// The same length on another scale. Errors: `OutOfRange` past `u64::MAX` ticks.
    pub fn rescale(self, to: Timescale, rounding: Rounding) -> Result<Self, TimeError> {
        let ticks = rescale(self.ticks, self.scale, to, rounding).ok_or(TimeError::OutOfRange)?;
        Ok(Self::new(ticks, to))
    }

    /// The sum of two lengths of the same scale.
    pub fn checked_add(self, other: Self) -> Result<Self, TimeError> {
        same(self.scale, other.scale)?;
        let ticks = self.ticks.checked_add(other.ticks);
        Ok(Self::new(ticks.ok_or(TimeError::OutOfRange)?, self.scale))
    }

    /// Which length is longer, exactly, whatever their scales.
    #[must_use]
    pub fn compare(self, other: Self) -> Ordering {
        compare_ticks(self.ticks, self.scale, other.ticks, other.scale)
    }
}

impl fmt::Display for MediaTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ticks, self.scale.get())
    }
}

impl fmt::Display for MediaDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ticks, self.scale.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_of_different_scales_do_not_mix() {
        let second = MediaTime::new(1, Timescale::SECONDS);
        let milli = MediaDuration::new(1, Timescale::MILLIS);
        assert_eq!(
            second.checked_add(milli),
            Err(TimeError::ScalesDiffer(
                Timescale::SECONDS,
                Timescale::MILLIS
            ))
        );
        let sum = second
            .rescale(Timescale::MILLIS, Rounding::Floor)
            .and_then(|t| t.checked_add(milli));
        assert_eq!(sum, Ok(MediaTime::new(1001, Timescale::MILLIS)));
    }

    #[test]
    fn a_length_is_never_negative() {
        let early = MediaTime::new(1, Timescale::MPEG);
        let late = MediaTime::new(5, Timescale::MPEG);
        assert_eq!(
            late.since(early),
            Ok(MediaDuration::new(4, Timescale::MPEG))
        );
        assert_eq!(early.since(late), Err(TimeError::OutOfRange));
    }

    proptest! {
        #[test]
        fn comparison_across_scales_is_exact(ticks: u64, units in 1u32..1 << 16, factor in 1u32..1 << 16) {
            let a = MediaTime::new(ticks, Timescale::new(units).unwrap());
            if let Ok(b) = a.rescale(Timescale::new(units * factor).unwrap(), Rounding::Floor) {
                prop_assert_eq!(a.compare(b), Ordering::Equal);
                if b.ticks() > 0 {
                    let before = MediaTime::new(b.ticks() - 1, b.timescale());
                    prop_assert_eq!(a.compare(before), Ordering::Greater);
                }
            }
        }
    }
}
