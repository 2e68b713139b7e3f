//! What the application manifest configures, read from Spin variables.
//!
//! Each call reads one variable. A component reads what it needs once per instance and keeps it: variables do not change
//! while an application runs.

use crate::memory;
use headwater_seal::Seal;
use spin_sdk::variables::{self, Error};

/// A variable is missing or holds what it must not. Names the variable, never its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub variable: &'static str,
    pub reason: String,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "variable {}: {}", self.variable, self.reason)
    }
}

impl std::error::Error for ConfigError {}

async fn variable(name: &'static str) -> Result<String, ConfigError> {
    memory::others().await;
    variables::get(name).await.map_err(|error| ConfigError {
        variable: name,
        reason: match error {
            Error::Undefined(_) => "is not defined".to_owned(),
            Error::InvalidName(_) => "is not a valid name".to_owned(),
            // A provider's message may quote what it read.
            Error::Provider(_) | Error::Other(_) => "cannot be read".to_owned(),
        },
    })
}

/// What opens sealed secrets (`master_key`: base64 of 32 bytes; further keys after white space open, and seal no more).
pub async fn seal() -> Result<Seal, ConfigError> {
    Seal::with_keys(&variable("master_key").await?).map_err(|error| ConfigError {
        variable: "master_key",
        reason: error.to_string(),
    })
}

/// How clients reach this installation (`public_url`), without a trailing slash.
pub async fn public_url() -> Result<String, ConfigError> {
    Ok(variable("public_url")
        .await?
        .trim_end_matches('/')
        .to_owned())
}

/// Whether the list of published clear assets may be read without a token (`public_gallery`: `true` or `false`).
pub async fn public_gallery() -> Result<bool, ConfigError> {
    flag("public_gallery").await
}

/// A variable that is `true` or `false`.
pub async fn flag(name: &'static str) -> Result<bool, ConfigError> {
    let value = variable(name).await?;
    value.trim().parse().map_err(|_| ConfigError {
        variable: name,
        reason: "must be true or false".to_owned(),
    })
}

/// Object stores that may be reached (`storage_hosts`: host patterns, separated by white space).
pub async fn storage_hosts() -> Result<Vec<String>, ConfigError> {
    let value = variable("storage_hosts").await?;
    Ok(value.split_whitespace().map(str::to_owned).collect())
}

/// Where metrics can be read (`metrics_url`), if anywhere.
pub async fn metrics_url() -> Result<Option<String>, ConfigError> {
    let value = variable("metrics_url").await?;
    Ok(Some(value.trim().to_owned()).filter(|url| !url.is_empty()))
}

/// Other authorities whose tokens are accepted (`oidc_issuers`: JSON, or empty). `parse` reads the text; what it finds
/// wrong holds no secret.
pub async fn oidc_issuers<T>(
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, ConfigError> {
    parsed("oidc_issuers", parse).await
}

/// What `parse` makes of a variable's text.
async fn parsed<T>(
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, ConfigError> {
    parse(&variable(name).await?).map_err(|reason| ConfigError {
        variable: name,
        reason,
    })
}

/// A variable that is a whole number.
pub async fn number(name: &'static str) -> Result<u32, ConfigError> {
    let value = variable(name).await?;
    value.trim().parse().map_err(|_| ConfigError {
        variable: name,
        reason: "must be a whole number".to_owned(),
    })
}

/// Servers that make licences (`licence_backends`: JSON, or empty). `parse` reads the text; what it finds wrong holds no
/// secret.
pub async fn licence_backends<T>(
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, ConfigError> {
    parsed("licence_backends", parse).await
}

/// What senders of storage events share with us (`event_secret`).
pub async fn event_secret() -> Result<headwater_seal::Secret, ConfigError> {
    Ok(variable("event_secret").await?.trim().into())
}

/// Which buckets' notifications are about which storage account (`event_buckets`).
pub async fn event_buckets<T>(
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, ConfigError> {
    parsed("event_buckets", parse).await
}

/// Where the catalog is: the address of a PostgreSQL server (`catalog_url`), empty for the manifest's SQLite database, and
/// the certificate that TLS to it trusts (`catalog_ca`, PEM), empty for the roots of the web.
pub async fn catalog() -> Result<(String, String), ConfigError> {
    let address = variable("catalog_url").await?.trim().to_owned();
    Ok((address, variable("catalog_ca").await?))
}
