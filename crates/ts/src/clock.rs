//! The 90 kHz clock of time stamps (ISO/IEC 13818-1 §2.4.3.7): 33 bits that wrap after 26 hours.

use headwater_time::{Rounding, Timescale, rescale_signed};

/// What the clock shows at presentation time 0: ten seconds, as Apple's segmenter has it. It leaves room for pictures
/// that are decoded before they are shown and for the PCR, which is earlier still.
pub const CLOCK_ORIGIN: i64 = 900_000;

/// How far the PCR runs ahead of the decode times that it is sent with: the time that a decoder's buffer has to fill.
pub(crate) const PCR_LEAD: u64 = 45_000;

const MASK: u64 = 0x1_ffff_ffff;

/// What the clock shows at `ticks` of `scale`, rounded to the nearest unit. Each time is converted on its own, so that
/// nothing drifts.
#[must_use]
pub fn clock(ticks: i64, scale: Timescale) -> u64 {
    wrap(units(ticks, scale))
}

/// [`clock`] before it wraps.
pub(crate) fn units(ticks: i64, scale: Timescale) -> i64 {
    let units = rescale_signed(ticks, scale, Timescale::MPEG, Rounding::HalfUp).unwrap_or(i64::MAX);
    units.saturating_add(CLOCK_ORIGIN)
}

pub(crate) fn wrap(units: i64) -> u64 {
    // Two's complement keeps a negative time's low bits right: the clock before it wrapped to 0.
    u64::from_ne_bytes(units.to_ne_bytes()) & MASK
}

/// `clock` minus `units`, across the wrap.
pub(crate) fn earlier(clock: u64, units: u64) -> u64 {
    clock.wrapping_sub(units) & MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_wrap_and_do_not_drift() {
        assert_eq!(clock(0, Timescale::MPEG), 900_000);
        assert_eq!(clock(-900_001, Timescale::MPEG), MASK);
        assert_eq!(clock((1 << 33) - 900_000, Timescale::MPEG), 0);
        // A frame of 1001/30000 s is 3003 units; the 10 millionth starts where it should.
        let scale = Timescale::new(30_000).unwrap();
        assert_eq!(
            clock(1001 * 10_000_000, scale),
            (3003 * 10_000_000 + 900_000) & MASK
        );
        assert_eq!(earlier(10, 20), MASK - 9);
    }
}
