//! Which presets this installation can run.
//!
//! A preset is kept as it came, with its `@odata.type`; what is checked is whether a worker would understand it, so that a
//! transform that can never work is refused when it is written and not when a job fails.

use serde_json::Value as Json;

use crate::error::CatalogError;

/// The built-in presets the transcoder knows.
pub const BUILT_IN: [&str; 8] = [
    "AdaptiveStreaming",
    "AACGoodQualityAudio",
    "H264MultipleBitrate1080p",
    "H264MultipleBitrate720p",
    "H264MultipleBitrateSD",
    "H264SingleBitrate1080p",
    "H264SingleBitrate720p",
    "H264SingleBitrateSD",
];

/// Presets that Azure Media Services or MK.IO have and we do not, yet.
const KNOWN_ELSEWHERE: [&str; 16] = [
    "ContentAwareEncoding",
    "ContentAwareEncodingExperimental",
    "CopyAllBitrateNonInterleaved",
    "CopyAllBitrateInterleaved",
    "CopyTopBitrateInterleaved",
    "DDGoodQualityAudio",
    "H264MultipleBitrate1080pWithCVQ",
    "H264MultipleBitrate720pWithCVQ",
    "H264MultipleBitrateSDWithCVQ",
    "H264MultipleBitrateSport1080p",
    "H265AdaptiveStreaming",
    "H265ContentAwareEncoding",
    "H265SingleBitrate1080p",
    "H265SingleBitrate4K",
    "H265SingleBitrate720p",
    "SaasSourceAligned360pOnly",
];

const BUILT_IN_TYPE: &str = "#Microsoft.Media.BuiltInStandardEncoderPreset";

const TYPES_ELSEWHERE: [&str; 10] = [
    "#Microsoft.Media.StandardEncoderPreset",
    "#Microsoft.Media.BuiltInAssetConverterPreset",
    "#Microsoft.Media.AudioAnalyzerPreset",
    "#Microsoft.Media.VideoAnalyzerPreset",
    "#Microsoft.Media.FaceDetectorPreset",
    "#MediaKind.ThumbnailGeneratorPreset",
    "#MediaKind.TrackInserterPreset",
    "#MediaKind.AIPipelinePreset",
    "#MediaKind.EncoderPreset",
    "#MediaKind.SpeechToTextPreset",
];

/// Checks a preset. `field`: its path in the request, e.g. `properties.outputs[0].preset`.
///
/// Errors: [`CatalogError::Invalid`], which tells an unknown preset from one that is known but not supported here.
pub fn check(field: &str, preset: &Json) -> Result<(), CatalogError> {
    let Json::Object(members) = preset else {
        return Err(CatalogError::invalid(field, "must be an object"));
    };
    let at = |member: &str| format!("{field}.{member}");
    // Some clients leave the prefix of the discriminator out.
    let full;
    let kind = match members.get("@odata.type") {
        Some(Json::String(kind)) if kind.starts_with('#') => kind,
        Some(Json::String(kind)) => {
            full = format!("#Microsoft.Media.{kind}");
            &full
        }
        Some(_) => return Err(CatalogError::invalid(at("@odata.type"), "must be a string")),
        None => return Err(CatalogError::invalid(at("@odata.type"), "is required")),
    };
    if kind != BUILT_IN_TYPE {
        let message = if TYPES_ELSEWHERE.contains(&kind.as_str()) {
            format!("'{kind}' is not supported by this installation")
        } else {
            format!("'{kind}' is not a kind of preset")
        };
        return Err(CatalogError::invalid(at("@odata.type"), message));
    }
    let name = match members.get("presetName") {
        Some(Json::String(name)) => name,
        Some(_) => return Err(CatalogError::invalid(at("presetName"), "must be a string")),
        None => return Err(CatalogError::invalid(at("presetName"), "is required")),
    };
    let is = |known: &&str| known.eq_ignore_ascii_case(name);
    if !BUILT_IN.iter().any(is) {
        let message = if KNOWN_ELSEWHERE.iter().any(is) {
            format!(
                "'{name}' is not supported by this installation; these are: {}",
                BUILT_IN.join(", ")
            )
        } else {
            format!(
                "'{name}' is not a preset; these are: {}",
                BUILT_IN.join(", ")
            )
        };
        return Err(CatalogError::invalid(at("presetName"), message));
    }
    for member in members.keys() {
        if member == "configurations" && members.get(member).is_some_and(Json::is_null) {
            continue;
        }
        if !matches!(member.as_str(), "@odata.type" | "presetName") {
            return Err(CatalogError::invalid(
                at(member),
                "is not supported by this installation",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(preset: Json) -> String {
        check("p", &preset).unwrap_err().to_string()
    }

    #[test]
    fn every_supported_name_passes() {
        for name in BUILT_IN {
            check(
                "p",
                &json!({"@odata.type": BUILT_IN_TYPE, "presetName": name}),
            )
            .unwrap();
        }
    }

    #[test]
    fn what_clients_write_differently_passes() {
        for (kind, name) in [
            ("BuiltInStandardEncoderPreset", "AdaptiveStreaming"),
            (BUILT_IN_TYPE, "adaptivestreaming"),
        ] {
            check("p", &json!({"@odata.type": kind, "presetName": name})).unwrap();
        }
    }

    #[test]
    fn known_elsewhere_and_unknown_are_told_apart() {
        let named = |name: &str| refusal(json!({"@odata.type": BUILT_IN_TYPE, "presetName": name}));
        assert!(named("ContentAwareEncoding").starts_with(
            "p.presetName: 'ContentAwareEncoding' is not supported by this installation"
        ));
        assert!(named("Nonsense").contains("is not a preset"));
        assert!(
            refusal(json!({"@odata.type": "#Microsoft.Media.StandardEncoderPreset", "codecs": []}))
                .contains("not supported by this installation")
        );
        assert!(refusal(json!({"@odata.type": "#Foo"})).contains("is not a kind of preset"));
        assert!(
            refusal(json!({"presetName": "AdaptiveStreaming"}))
                .contains("p.@odata.type: is required")
        );
        assert!(refusal(json!(7)).contains("must be an object"));
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        let message = refusal(json!({
            "@odata.type": BUILT_IN_TYPE, "presetName": "AdaptiveStreaming", "configurations": {"maxLayers": 3}
        }));
        assert!(
            message.starts_with("p.configurations: is not supported"),
            "{message}"
        );
    }
}
