//! Which presets this installation can run.
//!
//! A preset is kept as it came, with its `@odata.type`; what is checked is whether a worker would understand it, with the
//! worker's own reader ([`headwater_preset`]), so that a transform that can never work is refused when it is written and not
//! when a job fails. What depends on a worker's programs, such as an encoder that its ffmpeg lacks, only a job can tell.

pub use headwater_preset::built_in::{CONVERTERS, NAMES as BUILT_IN};
use serde_json::Value as Json;

use crate::error::CatalogError;

/// Checks a preset. `field`: its path in the request, e.g. `properties.outputs[0].preset`.
///
/// Errors: [`CatalogError::Invalid`], which tells an unknown preset from one that is known but not supported here.
pub fn check(field: &str, preset: &Json) -> Result<(), CatalogError> {
    match headwater_preset::Preset::parse(preset) {
        Ok(_) => Ok(()),
        Err(error) if error.field.is_empty() => Err(CatalogError::invalid(field, error.message)),
        Err(error) => Err(CatalogError::invalid(
            format!("{field}.{}", error.field),
            error.message,
        )),
    }
}

/// Whether a preset adds a track to what its output asset has already.
pub(crate) fn is_insert(preset: &Json) -> bool {
    headwater_preset::Preset::parse(preset).is_ok_and(|preset| preset.insert.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TYPE: &str = "#Microsoft.Media.BuiltInStandardEncoderPreset";

    fn refusal(preset: Json) -> String {
        check("p", &preset).unwrap_err().to_string()
    }

    #[test]
    fn every_supported_name_passes() {
        for name in BUILT_IN {
            check("p", &json!({"@odata.type": TYPE, "presetName": name})).unwrap();
        }
    }

    #[test]
    fn known_elsewhere_and_unknown_are_told_apart() {
        let named = |name: &str| refusal(json!({"@odata.type": TYPE, "presetName": name}));
        assert!(named("SaasSourceAligned360pOnly").starts_with(
            "p.presetName: 'SaasSourceAligned360pOnly' is not supported by this installation"
        ));
        assert!(named("Nonsense").contains("is not a preset"));
        assert!(refusal(json!({"@odata.type": "#Foo"})).contains("is not a kind of preset"));
        assert!(
            refusal(json!({"presetName": "AdaptiveStreaming"}))
                .contains("p.@odata.type: is required")
        );
        assert!(refusal(json!(7)).contains("p: must be an object"));
    }
}
