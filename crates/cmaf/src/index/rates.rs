//! Bit rates and frame rates of a track.

use headwater_time::Timescale;

use super::page::Entry;

/// Average and peak bit rate of segments, in bit/s.
///
/// The peak leaves out segments shorter than half of the longest: a last segment of one key frame has no bit rate worth
/// the name (RFC 8216bis §4.4.6.2 measures over half a target duration at least, too).
pub(super) fn bitrates(timescale: Timescale, entries: &[Entry]) -> (u32, u32) {
    let longest = entries
        .iter()
        .map(|entry| entry.duration)
        .max()
        .unwrap_or(0);
    let (mut bytes, mut ticks, mut peak) = (0_u64, 0_u64, 0);
    for entry in entries {
        bytes = bytes.saturating_add(u64::from(entry.response_len));
        ticks = ticks.saturating_add(u64::from(entry.duration));
        if entry.duration >= longest / 2 {
            peak = peak.max(rate(
                u64::from(entry.response_len),
                u64::from(entry.duration),
                timescale,
            ));
        }
    }
    (rate(bytes, ticks, timescale), peak)
}

fn rate(bytes: u64, ticks: u64, timescale: Timescale) -> u32 {
    let bits = u128::from(bytes).saturating_mul(8);
    let scaled = bits.saturating_mul(u128::from(timescale.get()));
    let rate = scaled.checked_div(u128::from(ticks)).unwrap_or(0);
    u32::try_from(rate).unwrap_or(u32::MAX)
}

/// Frame rates that timescales too coarse for them stand for.
const COMMON: [(u32, u32); 15] = [
    (24_000, 1001),
    (30_000, 1001),
    (60_000, 1001),
    (120_000, 1001),
    (10, 1),
    (12, 1),
    (15, 1),
    (20, 1),
    (24, 1),
    (25, 1),
    (30, 1),
    (48, 1),
    (50, 1),
    (60, 1),
    (120, 1),
];

/// Frames per second of `frames` frames that last `ticks`, as a fraction: the usual one if it is within 0.05 %, else
/// exact if its terms are small, else in thousandths.
pub(super) fn frame_rate(timescale: Timescale, frames: u64, ticks: u64) -> (u32, u32) {
    let over = u128::from(frames).saturating_mul(u128::from(timescale.get()));
    let under = u128::from(ticks);
    if over == 0 || under == 0 {
        return (0, 1);
    }
    for (n, d) in COMMON {
        let ours = over.saturating_mul(u128::from(d));
        let theirs = under.saturating_mul(u128::from(n));
        if ours.abs_diff(theirs).saturating_mul(2000) < theirs {
            return (n, d);
        }
    }
    let divisor = gcd(over, under);
    let reduced = |value: u128| {
        value
            .checked_div(divisor)
            .and_then(|v| u32::try_from(v).ok())
    };
    match (reduced(over), reduced(under)) {
        (Some(n), Some(d)) if d <= 1001 => (n, d),
        _ => {
            let thousandths = over.saturating_mul(1000).checked_div(under).unwrap_or(0);
            let divisor = gcd(thousandths, 1000).max(1);
            let reduced = |value: u128| {
                value
                    .checked_div(divisor)
                    .and_then(|v| u32::try_from(v).ok())
            };
            (
                reduced(thousandths).unwrap_or(u32::MAX),
                reduced(1000).unwrap_or(1),
            )
        }
    }
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_rates_are_recognised() {
        let scale = |units| Timescale::new(units).unwrap();
        assert_eq!(frame_rate(scale(12_800), 132, 132 * 512), (25, 1));
        assert_eq!(frame_rate(scale(25_000), 377, 377 * 2000), (25, 2));
        assert_eq!(frame_rate(scale(2997), 186, 186 * 100), (30_000, 1001));
        assert_eq!(frame_rate(scale(1000), 300, 10_010), (30_000, 1001));
        assert_eq!(frame_rate(scale(1000), 100, 7123), (14_039, 1000));
        assert_eq!(frame_rate(scale(1000), 0, 0), (0, 1));
    }
}
