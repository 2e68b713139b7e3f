//! What a preset asks for: the presets of Azure Media Services and MK.IO, read into one form.
//!
//! [`Preset::parse`] takes the JSON of a transform output. Both the API, which refuses what no worker would understand, and
//! the transcoder, which makes it, read presets with this function: what is accepted is what is honoured. The forms read:
//!
//! | `@odata.type` | module |
//! |---|---|
//! | `#Microsoft.Media.BuiltInStandardEncoderPreset` | [`built_in`]: names with their ladders, `configurations` |
//! | `#Microsoft.Media.BuiltInAssetConverterPreset` | [`built_in`]: copies without encoding |
//! | `#Microsoft.Media.StandardEncoderPreset` | [`standard`]: codecs, layers, filters, formats |
//! | `#MediaKind.ThumbnailGeneratorPreset` | [`thumbnails`] |
//! | `#MediaKind.TrackInserterPreset` | [`inserter`]: a text track for an asset that is there |
//!
//! Source: the AMS v3 REST reference (2022-07-01), MK.IO's API reference. What is not here: choosing layers for a source,
//! and everything that looks at media.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod built_in;
pub mod filters;
pub mod formats;
pub mod images;
pub mod inserter;
pub mod live;
mod model;
mod read;
pub mod standard;
pub mod thumbnails;

pub use filters::{Crop, Deinterlace, Fade, Filters, Overlay, OverlayKind, Parity, Turn};
pub use formats::{Container, OutputFormat, Pattern};
pub use images::{ImageFormat, ImageLayer, Images, Place};
pub use inserter::Insert;
pub use live::{LiveLadder, LiveLayer};
pub use model::{
    AudioCodec, AudioEncode, AudioFormat, Complexity, H264Profile, Ladder, Layer, Length, Limits,
    Preset, RateControl, Stretch, SyncMode, VideoCodec, VideoEncode, VideoFormat, VideoLayer,
};
pub use read::PresetError;

use read::Node;
use serde_json::Value;

/// Kinds of preset that ask for services which are not part of this.
const ANALYSIS: [(&str, &str); 5] = [
    ("AudioAnalyzerPreset", "speech recognition"),
    (
        "VideoAnalyzerPreset",
        "speech recognition and image analysis",
    ),
    ("FaceDetectorPreset", "face detection"),
    ("AIPipelinePreset", "an external AI service"),
    ("SpeechToTextPreset", "speech recognition"),
];

/// Kinds that other services have and nothing here stands for.
const ELSEWHERE: [&str; 1] = ["EncoderPreset"];

impl Preset {
    /// Reads the JSON of a transform output's `preset`.
    ///
    /// The discriminator may lack its prefix: some clients leave it out. Names are compared without regard to case.
    /// Errors: [`PresetError`], with the path inside of the preset, such as `codecs[0].layers[1].width`.
    pub fn parse(json: &Value) -> Result<Self, PresetError> {
        let node = Node::root(json)?;
        let kind = node.required_text("@odata.type")?;
        let short = kind
            .strip_prefix("#Microsoft.Media.")
            .or_else(|| kind.strip_prefix("#MediaKind."))
            .unwrap_or(kind);
        match short {
            "BuiltInStandardEncoderPreset" => built_in::parse(&node),
            "BuiltInAssetConverterPreset" => built_in::converter(&node),
            "StandardEncoderPreset" => standard::parse(&node),
            "ThumbnailGeneratorPreset" => thumbnails::parse(&node),
            "TrackInserterPreset" => inserter::parse(&node),
            _ => Err(node.fault("@odata.type", refusal(kind, short))),
        }
    }
}

fn refusal(kind: &str, short: &str) -> String {
    if let Some((_, needs)) = ANALYSIS.iter().find(|(name, _)| *name == short) {
        return format!(
            "'{kind}' needs {needs}, which is not part of this installation; it encodes, copies and takes pictures"
        );
    }
    if ELSEWHERE.contains(&short) {
        format!("'{kind}' is not supported by this installation")
    } else {
        format!("'{kind}' is not a kind of preset")
    }
}
