//! Which level a rendition is marked with (ITU-T H.264 table A-1).

use crate::picture::Size;

/// `level_idc`, macroblocks a second, macroblocks a picture, kbit/s of the Main profile.
const LEVELS: [(u8, u64, u64, u64); 13] = [
    (13, 11_880, 396, 768),
    (20, 11_880, 396, 2_000),
    (21, 19_800, 792, 4_000),
    (22, 20_250, 1_620, 4_000),
    (30, 40_500, 1_620, 10_000),
    (31, 108_000, 3_600, 14_000),
    (32, 216_000, 5_120, 20_000),
    (40, 245_760, 8_192, 20_000),
    (41, 245_760, 8_192, 50_000),
    (42, 522_240, 8_704, 50_000),
    (50, 589_824, 22_080, 135_000),
    (51, 983_040, 36_864, 240_000),
    (52, 2_073_600, 36_864, 240_000),
];

/// The lowest level that holds pictures of `size` at `frames_per_second` and `kbps`, with headroom for peaks of one
/// and a half times the rate.
pub fn lowest(size: Size, frames_per_second: f64, kbps: u32) -> u8 {
    let macroblocks = u64::from(size.width.div_ceil(16)) * u64::from(size.height.div_ceil(16));
    let per_second = (macroblocks as f64 * frames_per_second).ceil() as u64;
    let peak = u64::from(kbps) * 3 / 2;
    LEVELS
        .iter()
        .find(|(_, rate, picture, bits)| {
            per_second <= *rate && macroblocks <= *picture && peak <= *bits
        })
        .map_or(52, |level| level.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_ladder_gets_the_usual_levels() {
        let level = |width, height, fps, kbps| lowest(Size { width, height }, fps, kbps);
        assert_eq!(level(320, 180, 30.0, 400), 13);
        assert_eq!(level(640, 360, 25.0, 1000), 30);
        assert_eq!(level(1280, 720, 29.97, 3400), 31);
        assert_eq!(level(1920, 1080, 29.97, 6000), 40);
        assert_eq!(level(3840, 2160, 60.0, 20_000), 52);
    }
}
