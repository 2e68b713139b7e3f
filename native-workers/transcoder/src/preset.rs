//! Presets: what an output's preset asks for.
//!
//! The built-in presets of Azure Media Services and MK.IO (`#Microsoft.Media.BuiltInStandardEncoderPreset`), by name.
//! Names are compared without regard to case, as both services do.

use serde_json::Value;

use crate::failure::{self, Step};

/// A layer of a fixed preset: the picture fits into `width` x `height`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    pub width: u32,
    pub height: u32,
    pub kbps: u32,
}

/// Which video to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoPreset {
    /// Layers chosen from the source's size, frame rate and bitrate.
    Adaptive,
    /// Layers of a table.
    Layers(&'static [Layer]),
    None,
}

/// What to make of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    pub video: VideoPreset,
    pub audio_kbps: u32,
}

const fn layer(width: u32, height: u32, kbps: u32) -> Layer {
    Layer {
        width,
        height,
        kbps,
    }
}

const SINGLE_SD: [Layer; 1] = [layer(848, 480, 2200)];
const SINGLE_720P: [Layer; 1] = [layer(1280, 720, 4500)];
const SINGLE_1080P: [Layer; 1] = [layer(1920, 1080, 6750)];
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

const BUILT_IN: [(&str, Preset); 8] = [
    ("AdaptiveStreaming", video(VideoPreset::Adaptive)),
    (
        "H264SingleBitrateSD",
        video(VideoPreset::Layers(&SINGLE_SD)),
    ),
    (
        "H264SingleBitrate720p",
        video(VideoPreset::Layers(&SINGLE_720P)),
    ),
    (
        "H264SingleBitrate1080p",
        video(VideoPreset::Layers(&SINGLE_1080P)),
    ),
    (
        "H264MultipleBitrateSD",
        video(VideoPreset::Layers(&MULTIPLE_SD)),
    ),
    (
        "H264MultipleBitrate720p",
        video(VideoPreset::Layers(&MULTIPLE_720P)),
    ),
    (
        "H264MultipleBitrate1080p",
        video(VideoPreset::Layers(&MULTIPLE_1080P)),
    ),
    (
        "AACGoodQualityAudio",
        Preset {
            video: VideoPreset::None,
            audio_kbps: 192,
        },
    ),
];

const fn video(video: VideoPreset) -> Preset {
    Preset {
        video,
        audio_kbps: 128,
    }
}

impl Preset {
    /// By name, such as `AdaptiveStreaming`.
    pub fn by_name(name: &str) -> Option<Self> {
        BUILT_IN
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, preset)| *preset)
    }

    /// From the JSON of a transform output.
    ///
    /// Errors: `ConfigurationUnsupported`, naming the preset or the field that this engine does not honour.
    pub fn parse(json: &Value) -> Step<Self> {
        let kind = json
            .get("@odata.type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let kind = kind.trim_start_matches("#Microsoft.Media.");
        if kind != "BuiltInStandardEncoderPreset" {
            return Err(failure::configuration(format!(
                "The preset type '{kind}' is not supported by this transcoder."
            )));
        }
        if json
            .get("configurations")
            .is_some_and(|value| !value.is_null())
        {
            return Err(failure::configuration(
                "Preset configurations are not supported by this transcoder.",
            ));
        }
        let name = json
            .get("presetName")
            .and_then(Value::as_str)
            .unwrap_or_default();
        Self::by_name(name).ok_or_else(|| {
            failure::configuration(format!(
                "The preset '{name}' is not supported by this transcoder."
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_is_found_by_its_name() {
        let json = serde_json::json!({
            "@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": "adaptivestreaming"
        });
        assert_eq!(Preset::parse(&json).unwrap().video, VideoPreset::Adaptive);
    }

    #[test]
    fn what_is_not_honoured_is_refused() {
        for json in [
            serde_json::json!({"@odata.type": "#Microsoft.Media.StandardEncoderPreset"}),
            serde_json::json!({"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": "H265SingleBitrate4K"}),
            serde_json::json!({"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset",
                "presetName": "AdaptiveStreaming", "configurations": {"maxLayers": 2}}),
        ] {
            assert!(Preset::parse(&json).is_err(), "{json}");
        }
    }
}
