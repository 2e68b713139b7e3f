//! Bit rates and frame rates of a track.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use headwater_time::Timescale;

use super::page::Entry;

/// Average and peak bit rate of segments, in bit/s, of which `len` counts.
///
/// The peak is that of RFC 8216bis §4.1: the highest of any run of segments that lasts 0.5 to 1.5 target durations. A
/// track without such a run has no peak of its own; its average stands in, which no peak is below.
pub(super) fn bitrates(
    timescale: Timescale,
    entries: &[Entry],
    len: fn(&Entry) -> u32,
) -> (u32, u32) {
    let bytes = entries
        .iter()
        .fold(0_u64, |sum, entry| sum.saturating_add(len(entry).into()));
    let ticks = entries.iter().fold(0_u64, |sum, entry| {
        sum.saturating_add(entry.duration.into())
    });
    let average = rate(bytes, ticks, timescale);
    let lengths = peak_lengths(timescale, entries);
    // The highest rate that some run reaches, bit by bit: 32 walks, however many runs there are.
    let mut peak = 0_u32;
    for bit in (0..u32::BITS).rev() {
        let higher = peak | 1_u32.checked_shl(bit).unwrap_or(0);
        if some_run_reaches(higher, &lengths, timescale, entries, len) {
            peak = higher;
        }
    }
    (average, peak.max(average))
}

/// The segments that there are where `count` in a row are one, counted from the first.
pub(super) fn joined(entries: &[Entry], count: usize) -> Vec<Entry> {
    let runs = entries.chunks(count.max(1)).filter_map(|run| {
        let (first, rest) = run.split_first()?;
        let mut joined = first.clone();
        for entry in rest {
            joined.duration = joined.duration.saturating_add(entry.duration);
            joined.response_len = joined.response_len.saturating_add(entry.response_len);
        }
        Some(joined)
    });
    runs.collect()
}

/// Ticks that a run of segments lasts to count for the peak: from half a target duration to one and a half. The target
/// duration is the longest segment in whole seconds, as playlists state it.
fn peak_lengths(timescale: Timescale, entries: &[Entry]) -> RangeInclusive<u64> {
    let second = u64::from(timescale.get());
    let longest = entries.iter().map(|entry| entry.duration).max();
    let rounded = u64::from(longest.unwrap_or(0)).saturating_add(second / 2);
    let seconds = rounded.checked_div(second).unwrap_or(0).max(1);
    let target = seconds.saturating_mul(second);
    target.div_ceil(2)..=target.saturating_mul(3) / 2
}

/// Whether a run whose length in ticks is one of `lengths` has `rate` bit/s or more.
fn some_run_reaches(
    rate: u32,
    lengths: &RangeInclusive<u64>,
    timescale: Timescale,
    entries: &[Entry],
    len: fn(&Entry) -> u32,
) -> bool {
    // What the track has sent by some time beyond what `rate` allows, in bits times ticks per second. A run reaches the
    // rate if this is not less at its end than at its start.
    let mut surplus = 0_i128;
    let mut time = 0_u64;
    let bits = i128::from(timescale.get()).saturating_mul(8);
    // Starts of runs: those too near for now, and those to compare with; of the latter only what is less than all
    // behind it, so that the least is in front.
    let mut near = VecDeque::from([(time, surplus)]);
    let mut far: VecDeque<(u64, i128)> = VecDeque::new();
    for entry in entries {
        let sent = i128::from(len(entry)).saturating_mul(bits);
        let allowed = i128::from(entry.duration).saturating_mul(rate.into());
        surplus = surplus.saturating_add(sent).saturating_sub(allowed);
        time = time.saturating_add(entry.duration.into());
        let length = |start: u64| time.saturating_sub(start);
        while let Some(start) = near.pop_front_if(|(start, _)| length(*start) >= *lengths.start()) {
            while far.pop_back_if(|(_, other)| *other >= start.1).is_some() {}
            far.push_back(start);
        }
        while far
            .pop_front_if(|(start, _)| length(*start) > *lengths.end())
            .is_some()
        {}
        if far.front().is_some_and(|(_, least)| *least <= surplus) {
            return true;
        }
        near.push_back((time, surplus));
    }
    false
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

/// Whether a frame rate in lowest terms is one that is in common use.
pub(super) fn is_usual(rate: (u32, u32)) -> bool {
    COMMON.contains(&rate)
}

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
    use proptest::prelude::*;

    /// Segments of (milliseconds, bytes).
    fn entries(segments: &[(u32, u32)]) -> Vec<Entry> {
        let entry = |(duration, response_len): &(u32, u32)| Entry {
            start: 0,
            duration: *duration,
            response_len: *response_len,
            opening_len: *response_len,
            media: 0,
            sample_count: 1,
            leads: false,
            record_len: 0,
        };
        segments.iter().map(entry).collect()
    }

    fn rates(segments: &[(u32, u32)]) -> (u32, u32) {
        bitrates(Timescale::MILLIS, &entries(segments), |entry| {
            entry.response_len
        })
    }

    #[test]
    fn short_segments_count_together_with_their_neighbours() {
        // A long segment of a still picture, and motion cut into short ones: 8 Mbit/s for two seconds.
        let still = (6000, 60_000);
        let motion = [(2000, 2_000_000); 3];
        let track = [&[still][..], &motion, &[still]].concat();
        assert_eq!(rates(&track), (2_720_000, 8_000_000));
        // One alone lasts less than half of six seconds; it counts with one neighbour at least.
        assert_eq!(rates(&[still, motion[0], still]).1, 2_060_000);
    }

    #[test]
    fn segments_that_are_joined_have_a_peak_of_their_own() {
        let track = [
            (2000, 250_000),
            (2000, 2_000_000),
            (2000, 250_000),
            (2000, 250_000),
        ];
        let peak = |count| {
            let joined = joined(&entries(&track), count);
            bitrates(Timescale::MILLIS, &joined, |entry| entry.response_len).1
        };
        assert_eq!(peak(1), 8_000_000);
        assert_eq!(peak(2), 4_500_000);
        // The last is 2 s, of 6; with it, four segments are.
        assert_eq!(peak(3), 3_333_333);
    }

    #[test]
    fn a_last_segment_of_one_key_frame_does_not_count_alone() {
        assert_eq!(
            rates(&[(2000, 250_000), (2000, 250_000), (40, 50_000)]).1,
            1_176_470
        );
    }

    #[test]
    fn peak_is_never_below_the_average() {
        // Half of a second, but the target duration is a whole one and its half is not reached.
        assert_eq!(rates(&[(499, 1000)]), (16_032, 16_032));
        assert_eq!(rates(&[]), (0, 0));
    }

    #[test]
    fn a_day_of_short_segments_behind_a_long_one_is_measured_in_time() {
        let mut track = vec![(u32::MAX, 1000)];
        track.extend((0..100_000).map(|n| (10, n % 100)));
        assert!(rates(&track).1 > 0);
    }

    proptest! {
        #[test]
        fn peak_is_that_of_the_worst_run(
            track in proptest::collection::vec((1u32..4000, 0u32..100_000), 1..30)
        ) {
            let longest = track.iter().map(|(ms, _)| *ms).max().unwrap();
            let target = u64::from((longest + 500) / 1000).max(1) * 1000;
            let mut worst = rates(&track).0;
            for start in 0..track.len() {
                let (mut ms, mut bytes) = (0, 0);
                for (duration, size) in &track[start..] {
                    (ms, bytes) = (ms + u64::from(*duration), bytes + u64::from(*size));
                    if 2 * ms >= target && 2 * ms <= 3 * target {
                        worst = worst.max((bytes * 8000 / ms) as u32);
                    }
                }
            }
            prop_assert_eq!(rates(&track).1, worst);
        }
    }

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
