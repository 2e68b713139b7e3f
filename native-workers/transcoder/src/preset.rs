//! What of a preset the built-in engine makes: H.264 in layers, AAC-LC in stereo, a poster.

pub use headwater_preset::Layer;
use headwater_preset::{
    AudioCodec, AudioFormat, Complexity, Filters, Ladder, Limits, RateControl, VideoCodec,
    VideoFormat,
};
use serde_json::Value;

use crate::failure::{self, Step};

/// Which video to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoPreset {
    /// Layers chosen from the source's size, frame rate and bitrate.
    Adaptive(Limits),
    /// Layers of a table.
    Layers(Vec<Layer>),
    None,
}

/// What to make of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    pub video: VideoPreset,
    pub audio_kbps: u32,
}

/// Reads the JSON of a transform output.
///
/// Errors: `ConfigurationUnsupported`, naming the field.
pub fn parse(json: &Value) -> Step<headwater_preset::Preset> {
    headwater_preset::Preset::parse(json).map_err(|error| {
        failure::configuration(format!(
            "The preset cannot be used: '{}' {}.",
            error.field, error.message
        ))
    })
}

impl Preset {
    /// Err: what this engine does not do, as in "the preset asks for ...".
    pub fn of(preset: &headwater_preset::Preset) -> Result<Self, &'static str> {
        let audio_kbps = match preset.audios.as_slice() {
            [AudioCodec::Encode(audio)]
                if audio.format == AudioFormat::AacLc
                    && audio.copy_if_same
                    && audio.channels == Some(2) =>
            {
                audio.bitrate / 1000
            }
            [AudioCodec::Copy { .. }] => return Err("a copy without encoding"),
            _ => return Err("sound other than one AAC-LC track in stereo"),
        };
        if !preset.formats.is_empty() {
            return Err("codecs, files or pictures one by one");
        }
        if preset.interleave {
            return Err("video and sound in one file");
        }
        if preset.filters != Filters::default() {
            return Err("filters");
        }
        let video = match preset.videos.as_slice() {
            [] => VideoPreset::None,
            [VideoCodec::Encode(video)] => {
                if video.format != VideoFormat::H264 {
                    return Err("a codec other than H.264");
                }
                if video.key_frame_ms != 2000 || video.complexity != Complexity::Balanced {
                    return Err("another key frame interval or complexity");
                }
                match (&video.ladder, video.rate) {
                    (Ladder::ContentAware(_), _) => return Err("layers by the source's content"),
                    (_, RateControl::Quality | RateControl::Constant) => {
                        return Err("another rate control than an average");
                    }
                    (Ladder::Adaptive(limits), _) => VideoPreset::Adaptive(*limits),
                    (Ladder::Boxes(layers), _) => VideoPreset::Layers(layers.clone()),
                    (Ladder::Exact(_), _) => return Err("layers one by one"),
                }
            }
            _ => return Err("several codecs, or a copy"),
        };
        Ok(Self { video, audio_kbps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn named(name: &str) -> headwater_preset::Preset {
        parse(&json!({"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": name}))
            .unwrap()
    }

    #[test]
    fn a_preset_is_found_by_its_name() {
        assert_eq!(
            Preset::of(&named("adaptivestreaming")).unwrap().video,
            VideoPreset::Adaptive(Limits::default())
        );
        assert_eq!(
            Preset::of(&named("AACGoodQualityAudio")).unwrap(),
            Preset {
                video: VideoPreset::None,
                audio_kbps: 192
            }
        );
    }

    #[test]
    fn what_is_not_honoured_is_named() {
        for (name, why) in [
            ("H265SingleBitrate4K", "H.264"),
            ("DDGoodQualityAudio", "AAC-LC"),
            ("CopyAllBitrateNonInterleaved", "copy"),
            ("ContentAwareEncoding", "content"),
            ("H264MultipleBitrateSDWithCVQ", "rate control"),
        ] {
            let said = Preset::of(&named(name)).unwrap_err();
            assert!(said.contains(why), "{name}: {said}");
        }
        assert!(parse(&json!({"@odata.type": "#Microsoft.Media.FaceDetectorPreset"})).is_err());
    }
}
