//! Any channel layout to stereo.
//!
//! ITU-R BS.775-3 annex 4: centre and surrounds at -3 dB, each surround to its own side, the effects channel left out.
//! The sum is scaled so that full scale in every channel at once stays full scale: quieter than a mix that trusts its
//! luck, and never clipped.

/// -3 dB.
const MINUS_3_DB: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// How much of each channel goes to the left and the right one, for WAVE channel order.
fn weights(channels: usize) -> &'static [(f32, f32)] {
    const LEFT: (f32, f32) = (1.0, 0.0);
    const RIGHT: (f32, f32) = (0.0, 1.0);
    const CENTRE: (f32, f32) = (MINUS_3_DB, MINUS_3_DB);
    const SURROUND_LEFT: (f32, f32) = (MINUS_3_DB, 0.0);
    const SURROUND_RIGHT: (f32, f32) = (0.0, MINUS_3_DB);
    const BACK: (f32, f32) = (0.5, 0.5);
    const EFFECTS: (f32, f32) = (0.0, 0.0);
    match channels {
        1 => &[(1.0, 1.0)],
        2 => &[LEFT, RIGHT],
        3 => &[LEFT, RIGHT, CENTRE],
        4 => &[LEFT, RIGHT, CENTRE, BACK],
        5 => &[LEFT, RIGHT, CENTRE, SURROUND_LEFT, SURROUND_RIGHT],
        6 => &[LEFT, RIGHT, CENTRE, EFFECTS, SURROUND_LEFT, SURROUND_RIGHT],
        7 => &[
            LEFT,
            RIGHT,
            CENTRE,
            EFFECTS,
            BACK,
            SURROUND_LEFT,
            SURROUND_RIGHT,
        ],
        8 => &[
            LEFT,
            RIGHT,
            CENTRE,
            EFFECTS,
            SURROUND_LEFT,
            SURROUND_RIGHT,
            SURROUND_LEFT,
            SURROUND_RIGHT,
        ],
        _ => &[],
    }
}

/// Whether [`to_stereo`] knows a layout of so many channels.
pub fn is_known(channels: usize) -> bool {
    !weights(channels).is_empty()
}

/// Appends `samples`, interleaved over `channels`, as interleaved stereo. Unknown layouts give silence of the same
/// length; ask [`is_known`] first.
pub fn to_stereo(samples: &[i16], channels: usize, out: &mut Vec<i16>) {
    if channels == 2 {
        out.extend_from_slice(samples);
        return;
    }
    let weights = weights(channels);
    let sum: f32 = weights.iter().map(|weight| weight.0).sum();
    let scale = if sum > 1.0 { 1.0 / sum } else { 1.0 };
    for frame in samples.chunks_exact(channels.max(1)) {
        let (left, right) =
            frame
                .iter()
                .zip(weights)
                .fold((0.0, 0.0), |(left, right), (&sample, weight)| {
                    let sample = f32::from(sample);
                    (left + sample * weight.0, right + sample * weight.1)
                });
        // `as` saturates.
        out.push((left * scale).round() as i16);
        out.push((right * scale).round() as i16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(samples: &[i16], channels: usize) -> Vec<i16> {
        let mut out = Vec::new();
        to_stereo(samples, channels, &mut out);
        out
    }

    #[test]
    fn mono_goes_to_both_sides_unchanged() {
        assert_eq!(mixed(&[100, -200], 1), [100, 100, -200, -200]);
    }

    #[test]
    fn five_point_one_keeps_sides_apart_and_drops_effects() {
        assert_eq!(mixed(&[1000, 0, 0, 30000, 0, 0], 6), [414, 0]);
        assert_eq!(mixed(&[0, 0, 1000, 0, 0, 0], 6), [293, 293]);
        assert_eq!(mixed(&[0, 0, 0, 0, 0, 1000], 6), [0, 293]);
    }

    #[test]
    fn full_scale_everywhere_does_not_clip() {
        for channels in 1..=8 {
            let out = mixed(&vec![i16::MAX; channels], channels);
            assert!(
                out.iter().all(|&sample| sample >= i16::MAX - 1),
                "{channels}: {out:?}"
            );
        }
    }
}
