//! Changing the scale of a tick count: `ticks * to / from` in 128 bits, with named rounding.

use crate::Timescale;

/// What happens to the part of a tick that the new scale cannot express.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// Towards the past (negative infinity).
    Floor,
    /// Towards the future (positive infinity).
    Ceil,
    /// To the nearest tick; exactly half a tick goes to the future.
    HalfUp,
}

/// `ticks` of `from`, expressed in `to`. `None` if the result passes `u64::MAX`.
#[must_use]
pub fn rescale(ticks: u64, from: Timescale, to: Timescale, rounding: Rounding) -> Option<u64> {
    let wide = divide(u128::from(ticks), from, to, rounding)?;
    u64::try_from(wide).ok()
}

/// [`rescale`] for times that may lie before the start of a presentation. `None` if the result does not fit an `i64`.
#[must_use]
pub fn rescale_signed(
    ticks: i64,
    from: Timescale,
    to: Timescale,
    rounding: Rounding,
) -> Option<i64> {
    let magnitude = u128::from(ticks.unsigned_abs());
    if ticks >= 0 {
        return i64::try_from(divide(magnitude, from, to, rounding)?).ok();
    }
    // Mirroring the number line swaps the directions; half a tick still has to go to the future, which is now down.
    let wide = match rounding {
        Rounding::Floor => divide(magnitude, from, to, Rounding::Ceil)?,
        Rounding::Ceil => divide(magnitude, from, to, Rounding::Floor)?,
        Rounding::HalfUp => half_down(magnitude, from, to)?,
    };
    i64::try_from(wide).ok()?.checked_neg()
}

fn divide(ticks: u128, from: Timescale, to: Timescale, rounding: Rounding) -> Option<u128> {
    let scaled = ticks.checked_mul(u128::from(to.get()))?;
    let divisor = u128::from(from.get());
    let whole = scaled.checked_div(divisor)?;
    let rest = scaled.checked_rem(divisor)?;
    let up = match rounding {
        Rounding::Floor => false,
        Rounding::Ceil => rest > 0,
        Rounding::HalfUp => rest.checked_mul(2)? >= divisor,
    };
    whole.checked_add(u128::from(up))
}

fn half_down(ticks: u128, from: Timescale, to: Timescale) -> Option<u128> {
    let scaled = ticks.checked_mul(u128::from(to.get()))?;
    let divisor = u128::from(from.get());
    let rest = scaled.checked_rem(divisor)?;
    let up = rest.checked_mul(2)? > divisor;
    scaled.checked_div(divisor)?.checked_add(u128::from(up))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scale(units: u32) -> Timescale {
        Timescale::new(units).unwrap()
    }

    #[test]
    fn names_its_rounding() {
        let (thirds, halves) = (scale(3), scale(2));
        assert_eq!(rescale(1, thirds, halves, Rounding::Floor), Some(0));
        assert_eq!(rescale(1, thirds, halves, Rounding::Ceil), Some(1));
        assert_eq!(rescale(1, thirds, halves, Rounding::HalfUp), Some(1));
        assert_eq!(
            rescale(1, halves, Timescale::SECONDS, Rounding::HalfUp),
            Some(1)
        );
        assert_eq!(
            rescale_signed(-1, halves, Timescale::SECONDS, Rounding::HalfUp),
            Some(0)
        );
        assert_eq!(
            rescale_signed(-1, halves, Timescale::SECONDS, Rounding::Floor),
            Some(-1)
        );
        assert_eq!(
            rescale_signed(-1, halves, Timescale::SECONDS, Rounding::Ceil),
            Some(0)
        );
    }

    #[test]
    fn the_largest_time_survives_and_overflow_is_none() {
        assert_eq!(
            rescale(u64::MAX, Timescale::MPEG, Timescale::MPEG, Rounding::HalfUp),
            Some(u64::MAX)
        );
        assert_eq!(
            rescale(
                u64::MAX,
                Timescale::SECONDS,
                Timescale::MILLIS,
                Rounding::Floor
            ),
            None
        );
    }

    proptest! {
        #[test]
        fn floor_and_ceil_enclose_the_exact_value(ticks: u64, from in 1u32.., to in 1u32..) {
            let (from, to) = (scale(from), scale(to));
            let exact_times_from = u128::from(ticks) * u128::from(to.get());
            if let Some(floor) = rescale(ticks, from, to, Rounding::Floor) {
                prop_assert!(u128::from(floor) * u128::from(from.get()) <= exact_times_from);
                prop_assert!((u128::from(floor) + 1) * u128::from(from.get()) > exact_times_from);
                if let Some(ceil) = rescale(ticks, from, to, Rounding::Ceil) {
                    let exact = exact_times_from.is_multiple_of(u128::from(from.get()));
                    prop_assert_eq!(ceil - floor, u64::from(!exact));
                    let near = rescale(ticks, from, to, Rounding::HalfUp).unwrap();
                    prop_assert!(near == floor || near == ceil);
                }
            }
        }

        #[test]
        fn a_finer_scale_and_back_loses_nothing(ticks in 0u64..1 << 40, from in 1u32..100_000, factor in 1u32..1_000) {
            let (from, finer) = (scale(from), scale(from * factor));
            let there = rescale(ticks, from, finer, Rounding::Floor).unwrap();
            prop_assert_eq!(rescale(there, finer, from, Rounding::Floor), Some(ticks));
        }

        #[test]
        fn order_is_kept(a: u64, b: u64, from in 1u32.., to in 1u32..) {
            let (from, to) = (scale(from), scale(to));
            for rounding in [Rounding::Floor, Rounding::Ceil, Rounding::HalfUp] {
                if let (Some(x), Some(y)) = (rescale(a, from, to, rounding), rescale(b, from, to, rounding)) {
                    prop_assert_eq!(a.cmp(&b).is_le() && x > y, false);
                }
            }
        }

        #[test]
        fn signed_floor_is_a_shift_of_unsigned_floor(ticks in -(1i64 << 40)..1i64 << 40, from in 1u32..1_000_000, to in 1u32..1_000_000) {
            // Shifting by a whole number of seconds must not change how the rest rounds.
            let seconds = (1i64 << 40) / i64::from(from) + 1;
            let (f, t) = (scale(from), scale(to));
            for rounding in [Rounding::Floor, Rounding::Ceil, Rounding::HalfUp] {
                let shifted = u64::try_from(ticks + seconds * i64::from(from)).unwrap();
                let expected = rescale(shifted, f, t, rounding).unwrap() as i64 - seconds * i64::from(to);
                prop_assert_eq!(rescale_signed(ticks, f, t, rounding), Some(expected));
            }
        }
    }
}
