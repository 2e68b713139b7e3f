//! What the environment says of traces. The exporter reads most of it by itself; what it would pass over in silence is looked at
//! here, so that a mistake is told when the process starts.

use std::collections::BTreeMap;

/// A variable that says what cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {reason}")]
pub struct InvalidSetting {
    pub variable: String,
    pub reason: String,
}

impl InvalidSetting {
    fn new(variable: &str, reason: impl Into<String>) -> Self {
        Self {
            variable: variable.to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn of_ca(why: &str) -> Self {
        Self::new(CA, why)
    }

    /// What the exporter says of a setting it read: `invalid exporter configuration: NAME: …`, or of none.
    pub(crate) fn of_exporter(said: &str) -> Self {
        let words = said.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let named = words.into_iter().find(|word| word.starts_with("OTEL_"));
        Self::new(named.unwrap_or(ENDPOINT), said)
    }
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const CA: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];

/// The variables `OTEL_*`.
#[derive(Debug, Clone, Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Of the process.
    pub fn from_environment() -> Self {
        Self::new(std::env::vars())
    }

    /// Of these variables. One that is empty is as one that is not set, as the standard says.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let own = variables
            .into_iter()
            .filter(|(name, value)| name.starts_with("OTEL_") && !value.trim().is_empty());
        Self(own.collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim())
    }

    /// The certificates that are trusted beside the public ones, in PEM.
    pub(crate) fn ca(&self) -> Result<Option<Vec<u8>>, InvalidSetting> {
        let Some(path) = self.get(CA) else {
            return Ok(None);
        };
        let read = std::fs::read(path).map(Some);
        read.map_err(|error| InvalidSetting::new(CA, format!("{path}: {error}")))
    }

    pub(crate) fn names_service(&self) -> bool {
        let attributes = self.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        self.get("OTEL_SERVICE_NAME").is_some() || attributes.contains("service.name=")
    }

    /// Whether traces are to be exported: there is somewhere to export them to, and nothing says not to.
    pub(crate) fn is_on(&self) -> Result<bool, InvalidSetting> {
        let disabled = self.get("OTEL_SDK_DISABLED");
        if disabled.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(false);
        }
        match self.get("OTEL_TRACES_EXPORTER") {
            Some("none") => return Ok(false),
            None | Some("otlp") => {}
            Some(other) => {
                let reason = format!("`{other}` is not there; `otlp` and `none` are");
                return Err(InvalidSetting::new("OTEL_TRACES_EXPORTER", reason));
            }
        }
        let endpoint = [TRACES_ENDPOINT, ENDPOINT]
            .into_iter()
            .find_map(|name| Some((name, self.get(name)?)));
        let Some((name, url)) = endpoint else {
            return Ok(false);
        };
        let uri = url.parse::<http::Uri>();
        let is_http = |uri: &http::Uri| matches!(uri.scheme_str(), Some("http" | "https"));
        if !uri.is_ok_and(|uri| is_http(&uri)) {
            return Err(InvalidSetting::new(
                name,
                format!("`{url}` is not a URL that begins with http:// or https://"),
            ));
        }
        for name in PROTOCOLS {
            match self.get(name) {
                None | Some("http/protobuf") => {}
                Some(other) => {
                    let reason = format!("`{other}` is not spoken; `http/protobuf` is");
                    return Err(InvalidSetting::new(name, reason));
                }
            }
        }
        self.check_sampler()?;
        Ok(true)
    }

    fn check_sampler(&self) -> Result<(), InvalidSetting> {
        const SAMPLERS: [&str; 6] = [
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ];
        let Some(sampler) = self.get("OTEL_TRACES_SAMPLER") else {
            return Ok(());
        };
        if !SAMPLERS.contains(&sampler) {
            let reason = format!("`{sampler}` is not one of {}", SAMPLERS.join(", "));
            return Err(InvalidSetting::new("OTEL_TRACES_SAMPLER", reason));
        }
        let ratio = self.get("OTEL_TRACES_SAMPLER_ARG");
        let fits = |ratio: &str| ratio.parse::<f64>().is_ok_and(|r| (0.0..=1.0).contains(&r));
        if sampler.ends_with("traceidratio") && !ratio.is_none_or(fits) {
            return Err(InvalidSetting::new(
                "OTEL_TRACES_SAMPLER_ARG",
                "not a number from 0 to 1",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(all: &[(&str, &str)]) -> Settings {
        let owned = all.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        Settings::new(owned)
    }

    #[test]
    fn nothing_is_exported_unless_there_is_somewhere_to() {
        assert_eq!(settings(&[]).is_on(), Ok(false));
        assert_eq!(settings(&[(ENDPOINT, " ")]).is_on(), Ok(false));
        let somewhere = (ENDPOINT, "http://127.0.0.1:4318");
        assert_eq!(settings(&[somewhere]).is_on(), Ok(true));
        for off in [
            ("OTEL_SDK_DISABLED", "TRUE"),
            ("OTEL_TRACES_EXPORTER", "none"),
        ] {
            assert_eq!(settings(&[somewhere, off]).is_on(), Ok(false), "{off:?}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let somewhere = (TRACES_ENDPOINT, "https://collector.example/v1/traces");
        for wrong in [
            (ENDPOINT, "collector:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
        ] {
            let all = match wrong.0 {
                ENDPOINT => vec![wrong],
                _ => vec![somewhere, wrong],
            };
            let error = settings(&all).is_on().unwrap_err();
            assert_eq!(error.variable, wrong.0);
            assert!(error.reason.contains(wrong.1), "{error}");
        }
        let ratio = [
            somewhere,
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "half"),
        ];
        let error = settings(&ratio).is_on().unwrap_err();
        assert_eq!(error.variable, "OTEL_TRACES_SAMPLER_ARG");
    }

    #[test]
    fn the_exporter_names_its_variables() {
        let said = "invalid exporter configuration: OTEL_EXPORTER_OTLP_TIMEOUT: not a number";
        assert_eq!(
            InvalidSetting::of_exporter(said).variable,
            "OTEL_EXPORTER_OTLP_TIMEOUT"
        );
    }
}
