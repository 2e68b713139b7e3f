//! Which renditions a source gets.
//!
//! `AdaptiveStreaming` follows the ladder that Azure Media Services documented for its preset of that name: full height
//! first (1080 at most), then 720, 540, 360, 270 and 180 lines as far as they are smaller; bitrates as documented for
//! 29.97 frames a second, times `(fps / 30)^0.8` for slower sources, and all of them scaled down when the source itself
//! has less than the top one. Fixed presets take their table. Nothing is ever larger than the source: of the layers
//! that would be, the first is made at the source's size and the others are left out.

use crate::picture::Size;
use crate::preset::{Layer, VideoPreset};
use headwater_preset::Limits;

/// What the ladder is chosen from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SourceVideo {
    /// Upright and in square pixels.
    pub size: Size,
    /// Average frames a second of what will be encoded.
    pub frames_per_second: f64,
    pub bits_per_second: u64,
}

/// One rendition of the video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rendition {
    pub size: Size,
    pub kbps: u32,
}

/// Lines and kbit/s at 29.97 frames a second.
const ADAPTIVE: [(u32, u32); 6] = [
    (1080, 6780),
    (720, 3520),
    (540, 2210),
    (360, 1150),
    (270, 720),
    (180, 380),
];

/// OpenH264 encodes nothing smaller, and nobody watches it.
const LEAST_SIDE: u32 = 16;

/// The renditions of `preset` for `source`, largest and fastest first, without repeats. Empty for audio presets.
pub fn renditions(preset: &VideoPreset, source: SourceVideo) -> Vec<Rendition> {
    let mut made = match preset {
        VideoPreset::None => Vec::new(),
        VideoPreset::Adaptive(limits) => limited(adaptive(source), *limits),
        VideoPreset::Layers(layers) => fixed(layers, source),
    };
    made.retain(|rendition| rendition.size.short_side() >= LEAST_SIDE);
    made.sort_by_key(|rendition| std::cmp::Reverse((rendition.size.area(), rendition.kbps)));
    made.dedup();
    made
}

/// What of a ladder, largest first, is within `limits`; at least one rung stays.
pub fn limited(rungs: Vec<Rendition>, limits: Limits) -> Vec<Rendition> {
    let within = |value: u32, least: Option<u32>, most: Option<u32>| {
        least.is_none_or(|least| value >= least) && most.is_none_or(|most| value <= most)
    };
    let fits =
        |rung: &Rendition| within(rung.size.short_side(), limits.min_height, limits.max_height);
    let mut kept: Vec<Rendition> = rungs.iter().copied().filter(fits).collect();
    if kept.is_empty() {
        // All are too large, or all too small: the nearest.
        let nearest = match limits.max_height {
            Some(most) if rungs.iter().all(|rung| rung.size.short_side() > most) => rungs.last(),
            _ => rungs.first(),
        };
        kept.extend(nearest);
    }
    for rung in &mut kept {
        let least = limits.min_bitrate.map_or(0, |bits| bits / 1000);
        let most = limits.max_bitrate.map_or(u32::MAX, |bits| bits / 1000);
        rung.kbps = rung.kbps.clamp(least.min(most), most);
    }
    let count = kept.len();
    let wanted = limits
        .max_layers
        .map_or(count, |most| count.min(most as usize));
    if wanted == count {
        return kept;
    }
    // The largest, and from the rest evenly to the smallest.
    (0..wanted)
        .filter_map(|index| kept.get(index * (count - 1) / (wanted - 1).max(1)).copied())
        .collect()
}

fn adaptive(source: SourceVideo) -> Vec<Rendition> {
    let lines = source.size.short_side();
    let top = lines.min(ADAPTIVE[0].0);
    let heights = std::iter::once(top).chain(
        ADAPTIVE
            .iter()
            .map(|row| row.0)
            .filter(|&height| height * 10 <= top * 9),
    );
    let pace = pace(source.frames_per_second);
    let wanted: Vec<(u32, f64)> = heights
        .map(|height| (height, interpolate(height) * pace))
        .collect();
    let top_kbps = wanted.first().map_or(0.0, |row| row.1);
    let source_kbps = source.bits_per_second as f64 / 1000.0;
    let share = if source_kbps > 0.0 && source_kbps < top_kbps {
        source_kbps / top_kbps
    } else {
        1.0
    };
    wanted
        .into_iter()
        .map(|(height, kbps)| Rendition {
            size: with_short_side(source.size, height),
            kbps: round_kbps(kbps * share),
        })
        .collect()
}

/// `(fps / 30)^0.8` for sources slower than 30 frames a second, as the documented ladders have it, without `powf`,
/// whose last bit differs from machine to machine: the exponent is taken as repeated square roots (0.8 is about
/// 1/2 + 1/4 + 1/32 + 1/64).
fn pace(frames_per_second: f64) -> f64 {
    let ratio = (frames_per_second / 30.0).clamp(0.1, 1.0);
    if ratio > 0.99 {
        return 1.0;
    }
    let half = ratio.sqrt();
    let quarter = half.sqrt();
    let thirty_second = quarter.sqrt().sqrt().sqrt();
    half * quarter * thirty_second * thirty_second.sqrt()
}

/// kbit/s for a number of lines between those of the table, in proportion to the picture's area.
fn interpolate(lines: u32) -> f64 {
    let area = |lines: u32| f64::from(lines) * f64::from(lines);
    let at = area(lines);
    for pair in ADAPTIVE.windows(2) {
        let (high, low) = (pair[0], pair[1]);
        if lines >= low.0 {
            let part = (at - area(low.0)) / (area(high.0) - area(low.0));
            return f64::from(low.1) + part.min(1.0) * (f64::from(high.1) - f64::from(low.1));
        }
    }
    let (lines, kbps) = ADAPTIVE[ADAPTIVE.len() - 1];
    (f64::from(kbps) * at / area(lines)).max(80.0)
}

/// Rates are names of files and quality levels: whole tens look better and change nothing.
fn round_kbps(kbps: f64) -> u32 {
    ((kbps / 10.0).round() as u32 * 10).max(50)
}

fn fixed(layers: &[Layer], source: SourceVideo) -> Vec<Rendition> {
    let mut made = Vec::new();
    let mut clamped = false;
    for layer in layers {
        // The table is for lying pictures; an upright one gets the box upright.
        let (box_width, box_height) = if source.size.width >= source.size.height {
            (layer.width, layer.height)
        } else {
            (layer.height, layer.width)
        };
        let (width, height) = (u64::from(source.size.width), u64::from(source.size.height));
        let (box_width, box_height) = (u64::from(box_width), u64::from(box_height));
        let size = if width * box_height >= height * box_width {
            Size::even(box_width as u32, (height * box_width / width) as u32)
        } else {
            Size::even((width * box_height / height) as u32, box_height as u32)
        };
        if size.width <= source.size.width && size.height <= source.size.height {
            // Two columns or lines short of the source are the rounding of somebody's scaler.
            let close =
                source.size.width - size.width <= 2 && source.size.height - size.height <= 2;
            made.push(Rendition {
                size: if close { source.size } else { size },
                kbps: layer.kbps,
            });
        } else if !clamped
            && made
                .last()
                .is_none_or(|last: &Rendition| last.size != source.size)
        {
            clamped = true;
            let share = source.size.area() as f64 / size.area() as f64;
            made.push(Rendition {
                size: source.size,
                // Smaller pictures need somewhat more bits for their area.
                kbps: round_kbps(f64::from(layer.kbps) * share.sqrt() * share.sqrt().sqrt()),
            });
        }
    }
    made
}

/// `size` shrunk so that its shorter side has `lines`.
fn with_short_side(size: Size, lines: u32) -> Size {
    let scaled = |side: u32| {
        let exact = u64::from(side) * u64::from(lines);
        let short = u64::from(size.short_side());
        // To the nearest even number.
        ((exact + short) / (2 * short) * 2) as u32
    };
    if lines >= size.short_side() {
        size
    } else if size.width >= size.height {
        Size::even(scaled(size.width), lines)
    } else {
        Size::even(lines, scaled(size.height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preset::{self, Preset};

    fn video(preset: &str) -> VideoPreset {
        let json = serde_json::json!({"@odata.type": "BuiltInStandardEncoderPreset", "presetName": preset});
        Preset::of(&preset::parse(&json).unwrap()).unwrap().video
    }

    #[test]
    fn limits_thin_a_ladder_out() {
        let source = SourceVideo {
            size: Size {
                width: 1920,
                height: 1080,
            },
            frames_per_second: 30.0,
            bits_per_second: 12_000_000,
        };
        let rungs = |limits| -> Vec<(u32, u32)> {
            renditions(&VideoPreset::Adaptive(limits), source)
                .iter()
                .map(|rung| (rung.size.height, rung.kbps))
                .collect()
        };
        let limits = Limits {
            max_layers: Some(3),
            max_height: Some(720),
            ..Limits::default()
        };
        assert_eq!(rungs(limits), [(720, 3520), (360, 1150), (180, 380)]);
        let limits = Limits {
            max_bitrate: Some(1_000_000),
            min_height: Some(400),
            ..Limits::default()
        };
        assert_eq!(rungs(limits), [(1080, 1000), (720, 1000), (540, 1000)]);
        let limits = Limits {
            max_height: Some(100),
            ..Limits::default()
        };
        assert_eq!(rungs(limits).len(), 1);
    }

    fn ladder(preset: &str, width: u32, height: u32, fps: f64, kbps: u64) -> Vec<(u32, u32, u32)> {
        let source = SourceVideo {
            size: Size { width, height },
            frames_per_second: fps,
            bits_per_second: kbps * 1000,
        };
        renditions(&video(preset), source)
            .iter()
            .map(|made| (made.size.width, made.size.height, made.kbps))
            .collect()
    }

    #[test]
    fn the_adaptive_ladder_is_the_documented_one() {
        assert_eq!(
            ladder("AdaptiveStreaming", 1920, 1080, 29.97, 12_000),
            [
                (1920, 1080, 6780),
                (1280, 720, 3520),
                (960, 540, 2210),
                (640, 360, 1150),
                (480, 270, 720),
                (320, 180, 380)
            ]
        );
        let slower = ladder("AdaptiveStreaming", 1280, 720, 23.976, 12_000);
        assert_eq!(slower.len(), 5);
        assert!(slower[0].2.abs_diff(2940) <= 30, "{slower:?}");
    }

    #[test]
    fn a_poor_source_lowers_every_rung() {
        let rungs = ladder("AdaptiveStreaming", 640, 360, 29.97, 700);
        assert_eq!(rungs, [(640, 360, 700), (480, 270, 440), (320, 180, 230)]);
    }

    #[test]
    fn an_upright_picture_counts_its_shorter_side() {
        let rungs = ladder("AdaptiveStreaming", 720, 1280, 30.0, 12_000);
        assert_eq!((rungs[0].0, rungs[0].1), (720, 1280));
        assert_eq!((rungs[1].0, rungs[1].1), (540, 960));
        let fixed = ladder("H264SingleBitrate720p", 1080, 1920, 30.0, 12_000);
        assert_eq!(fixed, [(720, 1280, 4500)]);
    }

    #[test]
    fn fixed_layers_never_grow_a_source() {
        assert_eq!(
            ladder("H264MultipleBitrate720p", 768, 432, 12.5, 700),
            [
                (768, 432, 1070),
                (640, 360, 1000),
                (640, 360, 600),
                (320, 180, 400)
            ]
        );
        assert_eq!(
            ladder("H264MultipleBitrate1080p", 1920, 1080, 30.0, 9000).len(),
            8
        );
        assert_eq!(
            ladder("H264SingleBitrate1080p", 1918, 1078, 30.0, 9000),
            [(1918, 1078, 6740)]
        );
        for (width, height) in [(17, 17), (100, 4000), (3, 3), (4096, 40)] {
            for preset in ["AdaptiveStreaming", "H264MultipleBitrateSD"] {
                for (w, h, _) in ladder(preset, width & !1, height & !1, 30.0, 100) {
                    assert!(w <= width && h <= height && w % 2 == 0 && h % 2 == 0);
                }
            }
        }
    }

    #[test]
    fn wide_pictures_fit_their_box() {
        assert_eq!(
            ladder("H264SingleBitrate720p", 1920, 800, 24.0, 9000),
            [(1280, 532, 4500)]
        );
    }

    #[test]
    fn audio_presets_have_no_video() {
        assert!(ladder("AACGoodQualityAudio", 1920, 1080, 30.0, 9000).is_empty());
    }
}
