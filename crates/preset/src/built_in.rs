//! Presets that are known by name: `BuiltInStandardEncoderPreset` and `BuiltInAssetConverterPreset`.
//!
//! Ladders as Azure Media Services and MK.IO document them. AMS rejects none of these names; some are MK.IO's alone.

use crate::model::{
    AudioCodec, AudioEncode, AudioFormat, Complexity, Ladder, Layer, Limits, Preset, RateControl,
    Stretch, SyncMode, VideoCodec, VideoEncode, VideoFormat,
};
use crate::read::{Node, PresetError};

/// The names of encoder presets that are understood.
pub const NAMES: [&str; 23] = [
    "AdaptiveStreaming",
    "ContentAwareEncoding",
    "ContentAwareEncodingExperimental",
    "AACGoodQualityAudio",
    "DDGoodQualityAudio",
    "CopyAllBitrateNonInterleaved",
    "CopyAllBitrateInterleaved",
    "CopyTopBitrateInterleaved",
    "H264MultipleBitrate1080p",
    "H264MultipleBitrate1080pWithCVQ",
    "H264MultipleBitrate720p",
    "H264MultipleBitrate720pWithCVQ",
    "H264MultipleBitrateSD",
    "H264MultipleBitrateSDWithCVQ",
    "H264MultipleBitrateSport1080p",
    "H264SingleBitrate1080p",
    "H264SingleBitrate720p",
    "H264SingleBitrateSD",
    "H265AdaptiveStreaming",
    "H265ContentAwareEncoding",
    "H265SingleBitrate1080p",
    "H265SingleBitrate4K",
    "H265SingleBitrate720p",
];

/// The names of converter presets that are understood. MK.IO's guide spells two of them with an `s` more.
pub const CONVERTERS: [&str; 3] = [
    "CopyAllBitrateNonInterleaved",
    "CopyAllBitrateInterleaved",
    "CopyTopBitrateInterleaved",
];

/// Of both services, but with a meaning that is not documented.
const ELSEWHERE: [&str; 1] = ["SaasSourceAligned360pOnly"];

const fn layer(width: u32, height: u32, kbps: u32) -> Layer {
    Layer {
        width,
        height,
        kbps,
    }
}

const MULTIPLE_SD: [Layer; 5] = [
    layer(432, 240, 400),
    layer(640, 360, 650),
    layer(848, 480, 900),
    layer(848, 480, 1300),
    layer(848, 480, 1900),
];
const MULTIPLE_720P: [Layer; 6] = [
    layer(320, 180, 400),
    layer(640, 360, 600),
    layer(640, 360, 1000),
    layer(960, 540, 1500),
    layer(960, 540, 2250),
    layer(1280, 720, 3400),
];
const MULTIPLE_1080P: [Layer; 8] = [
    layer(320, 180, 400),
    layer(640, 360, 600),
    layer(640, 360, 1000),
    layer(960, 540, 1500),
    layer(960, 540, 2250),
    layer(1280, 720, 3400),
    layer(1920, 1080, 4700),
    layer(1920, 1080, 6000),
];

/// Members of `configurations` (AMS `PresetConfigurations`).
struct Configurations {
    complexity: Complexity,
    interleave: bool,
    key_frame_ms: u32,
    limits: Limits,
    given: bool,
}

fn configurations(node: &Node<'_>) -> Result<Configurations, PresetError> {
    let mut read = Configurations {
        complexity: Complexity::Balanced,
        interleave: false,
        key_frame_ms: 2000,
        limits: Limits::default(),
        given: false,
    };
    let Some(object) = node.object("configurations")? else {
        return Ok(read);
    };
    read.given = true;
    object.only(&[
        "complexity",
        "interleaveOutput",
        "keyFrameIntervalInSeconds",
        "maxBitrateBps",
        "minBitrateBps",
        "maxHeight",
        "minHeight",
        "maxLayers",
    ])?;
    if let Some(complexity) = object.choice("complexity", &COMPLEXITIES)? {
        read.complexity = complexity;
    }
    read.interleave = object
        .choice(
            "interleaveOutput",
            &[("NonInterleavedOutput", false), ("InterleavedOutput", true)],
        )?
        .unwrap_or(false);
    if let Some(seconds) = object.number("keyFrameIntervalInSeconds", 0.5..=20.0)? {
        read.key_frame_ms = (seconds * 1000.0) as u32;
    }
    let bitrate = 50_000..=200_000_000;
    read.limits = Limits {
        max_bitrate: object.small("maxBitrateBps", bitrate.clone())?,
        min_bitrate: object.small("minBitrateBps", bitrate)?,
        max_height: object.small("maxHeight", 16..=8192)?,
        min_height: object.small("minHeight", 16..=8192)?,
        max_layers: object.small("maxLayers", 1..=20)?,
    };
    let crossed = |low: Option<u32>, high: Option<u32>| matches!((low, high), (Some(low), Some(high)) if low > high);
    if crossed(read.limits.min_bitrate, read.limits.max_bitrate) {
        return Err(object.fault("minBitrateBps", "must not exceed maxBitrateBps"));
    }
    if crossed(read.limits.min_height, read.limits.max_height) {
        return Err(object.fault("minHeight", "must not exceed maxHeight"));
    }
    Ok(read)
}

pub(crate) const COMPLEXITIES: [(&str, Complexity); 3] = [
    ("Speed", Complexity::Speed),
    ("Balanced", Complexity::Balanced),
    ("Quality", Complexity::Quality),
];

pub(crate) fn parse(node: &Node<'_>) -> Result<Preset, PresetError> {
    node.only(&["@odata.type", "presetName", "configurations"])?;
    let name = node.required_text("presetName")?;
    let Some(known) = NAMES.iter().find(|known| known.eq_ignore_ascii_case(name)) else {
        let what = if ELSEWHERE
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
        {
            "is not supported by this installation"
        } else {
            "is not a preset"
        };
        return Err(node.fault(
            "presetName",
            format!("'{name}' {what}; these are: {}", NAMES.join(", ")),
        ));
    };
    let configured = configurations(node)?;
    let (format, rest) = match known.strip_prefix("H265") {
        Some(rest) => (VideoFormat::H265, rest),
        None => (
            VideoFormat::H264,
            known.strip_prefix("H264").unwrap_or(known),
        ),
    };
    let (rest, quality) = match rest.strip_suffix("WithCVQ") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let ladder = match rest {
        "AdaptiveStreaming" => Ladder::Adaptive(configured.limits),
        "ContentAwareEncoding" | "ContentAwareEncodingExperimental" => {
            Ladder::ContentAware(configured.limits)
        }
        other => {
            if configured.given {
                return Err(node.fault(
                    "configurations",
                    "is only for presets that choose their layers, such as ContentAwareEncoding",
                ));
            }
            match (format, other) {
                (_, "AACGoodQualityAudio") => return Ok(sound(AudioFormat::AacLc)),
                (_, "DDGoodQualityAudio") => return Ok(sound(AudioFormat::DolbyDigital)),
                (_, copy) if copy.starts_with("Copy") => return Ok(copies(copy)),
                (VideoFormat::H265, "SingleBitrate720p") => {
                    Ladder::Boxes(vec![layer(1280, 720, 1800)])
                }
                (VideoFormat::H265, "SingleBitrate1080p") => {
                    Ladder::Boxes(vec![layer(1920, 1080, 3500)])
                }
                (VideoFormat::H265, _) => Ladder::Boxes(vec![layer(3840, 2160, 9500)]),
                (_, "SingleBitrateSD") => Ladder::Boxes(vec![layer(848, 480, 2200)]),
                (_, "SingleBitrate720p") => Ladder::Boxes(vec![layer(1280, 720, 4500)]),
                (_, "SingleBitrate1080p") => Ladder::Boxes(vec![layer(1920, 1080, 6750)]),
                (_, "MultipleBitrateSD") => Ladder::Boxes(MULTIPLE_SD.to_vec()),
                (_, "MultipleBitrate720p") => Ladder::Boxes(MULTIPLE_720P.to_vec()),
                // `Sport` has the same layers.
                _ => Ladder::Boxes(MULTIPLE_1080P.to_vec()),
            }
        }
    };
    let rate = if quality || matches!(ladder, Ladder::ContentAware(_)) {
        RateControl::Quality
    } else {
        RateControl::Average
    };
    Ok(Preset {
        videos: vec![VideoCodec::Encode(VideoEncode {
            format,
            ladder,
            key_frame_ms: configured.key_frame_ms,
            stretch: Stretch::AutoSize,
            complexity: configured.complexity,
            sync: SyncMode::Auto,
            scene_changes: false,
            rate,
            label: None,
            thin: true,
        })],
        audios: vec![stereo(AudioFormat::AacLc, 128_000)],
        interleave: configured.interleave,
        poster: true,
        ..Preset::empty()
    })
}

fn stereo(format: AudioFormat, bitrate: u32) -> AudioCodec {
    AudioCodec::Encode(AudioEncode {
        format,
        bitrate,
        channels: Some(2),
        sample_rate: None,
        label: None,
        copy_if_same: true,
    })
}

fn sound(format: AudioFormat) -> Preset {
    Preset {
        audios: vec![stereo(format, 192_000)],
        ..Preset::empty()
    }
}

fn copies(name: &str) -> Preset {
    Preset {
        videos: vec![VideoCodec::Copy {
            label: None,
            top_only: name.starts_with("CopyTop"),
        }],
        audios: vec![AudioCodec::Copy { label: None }],
        interleave: !name.ends_with("NonInterleaved"),
        ..Preset::empty()
    }
}

pub(crate) fn converter(node: &Node<'_>) -> Result<Preset, PresetError> {
    node.only(&["@odata.type", "presetName"])?;
    let name = node.required_text("presetName")?;
    let plain = name
        .replace("Bitrates", "Bitrate")
        .replace("bitrates", "bitrate");
    match CONVERTERS
        .iter()
        .find(|known| known.eq_ignore_ascii_case(&plain))
    {
        Some(known) => Ok(copies(known)),
        None => Err(node.fault(
            "presetName",
            format!(
                "'{name}' is not a converter; these are: {}",
                CONVERTERS.join(", ")
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn named(name: &str) -> Preset {
        let json = json!({"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": name});
        Preset::parse(&json).unwrap()
    }

    #[test]
    fn every_name_has_something_to_make() {
        for name in NAMES {
            let preset = named(name);
            assert!(
                !preset.videos.is_empty() || !preset.audios.is_empty(),
                "{name}"
            );
            assert_eq!(named(&name.to_ascii_lowercase()), preset);
            for video in &preset.videos {
                if let VideoCodec::Encode(video) = video {
                    assert_eq!(
                        video.format == VideoFormat::H265,
                        name.starts_with("H265"),
                        "{name}"
                    );
                }
            }
        }
    }

    #[test]
    fn fixed_ladders_are_the_documented_ones() {
        let layers = |name: &str| match named(name).videos.remove(0) {
            VideoCodec::Encode(VideoEncode {
                ladder: Ladder::Boxes(layers),
                ..
            }) => layers.iter().map(|layer| layer.kbps).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(layers("H264SingleBitrateSD"), [2200]);
        assert_eq!(
            layers("H264MultipleBitrateSDWithCVQ"),
            [400, 650, 900, 1300, 1900]
        );
        assert_eq!(layers("H264MultipleBitrateSport1080p").len(), 8);
        assert_eq!(layers("H265SingleBitrate4K"), [9500]);
        assert_eq!(layers("H265SingleBitrate720p"), [1800]);
    }

    #[test]
    fn configurations_are_read_or_refused() {
        let parse = |name: &str, configurations: serde_json::Value| {
            Preset::parse(
                &json!({"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset",
                "presetName": name, "configurations": configurations}),
            )
        };
        let preset = parse(
            "ContentAwareEncoding",
            json!({"maxLayers": 3, "complexity": "Speed", "interleaveOutput": "InterleavedOutput",
                "keyFrameIntervalInSeconds": 4, "maxHeight": 720, "minBitrateBps": 200_000, "maxBitrateBps": 4_000_000}),
        )
        .unwrap();
        assert!(preset.interleave);
        let VideoCodec::Encode(video) = &preset.videos[0] else {
            panic!();
        };
        assert_eq!(video.key_frame_ms, 4000);
        assert_eq!(video.complexity, Complexity::Speed);
        let Ladder::ContentAware(limits) = &video.ladder else {
            panic!();
        };
        assert_eq!((limits.max_layers, limits.max_height), (Some(3), Some(720)));
        for (configurations, field) in [
            (json!({"maxLayers": 0}), "configurations.maxLayers"),
            (json!({"shape": 1}), "configurations.shape"),
            (
                json!({"minHeight": 720, "maxHeight": 360}),
                "configurations.minHeight",
            ),
            (json!(7), "configurations"),
        ] {
            let error = parse("AdaptiveStreaming", configurations).unwrap_err();
            assert_eq!(error.field, field);
        }
        let error = parse("H264SingleBitrateSD", json!({})).unwrap_err();
        assert_eq!(error.field, "configurations");
    }

    #[test]
    fn converters_are_known_in_both_spellings() {
        for name in ["CopyAllBitratesInterleaved", "copyallbitrateinterleaved"] {
            let json = json!({"@odata.type": "#Microsoft.Media.BuiltInAssetConverterPreset", "presetName": name});
            let preset = Preset::parse(&json).unwrap();
            assert!(preset.interleave && preset.images.is_empty());
        }
        let json = json!({"@odata.type": "#Microsoft.Media.BuiltInAssetConverterPreset", "presetName": "AdaptiveStreaming"});
        assert!(
            Preset::parse(&json)
                .unwrap_err()
                .message
                .contains("is not a converter")
        );
    }
}
