//! CloudEvents 1.0 over HTTP: structured, batched and binary mode.
//!
//! Spec: CloudEvents 1.0.2 §3.1 (attributes), JSON format §2.3 and §4, HTTP protocol binding §3.1 to §3.3.
//! The types we act on are Azure Storage's (`Microsoft.Storage.BlobCreated` and `BlobDeleted`).

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use crate::event::{Skip, StorageEvent};
use crate::event_grid::{BlobEnvelope, blob_event};

#[derive(Debug, Deserialize)]
struct Envelope {
    #[serde(default)]
    specversion: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    source: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    data: Value,
}

impl Envelope {
    fn into_event(self) -> Result<StorageEvent, Skip> {
        // A later major version may mean anything by the same names (§3.1.1, "specversion").
        if !self.specversion.starts_with("1.") {
            return Err(Skip::Unusable);
        }
        blob_event(&BlobEnvelope {
            source: &self.source,
            id: &self.id,
            kind: &self.kind,
            subject: self.subject.as_deref().unwrap_or_default(),
            time: self.time.as_deref().unwrap_or_default(),
            data: &self.data,
        })
    }
}

/// Reads one event in the JSON format.
pub(crate) fn structured(value: &Value) -> Result<StorageEvent, Skip> {
    Envelope::deserialize(value)
        .map_err(|_| Skip::Unusable)?
        .into_event()
}

/// Whether the request is in binary mode: attributes in `ce-` headers, `data` as the body.
pub(crate) fn is_binary(headers: &HeaderMap) -> bool {
    headers.contains_key("ce-specversion")
}

/// Reads the event of a request in binary mode. `data`: the body, parsed; null for none.
pub(crate) fn binary(headers: &HeaderMap, data: Value) -> Result<StorageEvent, Skip> {
    let text = |name: &str| attribute(headers, name);
    Envelope {
        specversion: text("ce-specversion")?.unwrap_or_default(),
        id: text("ce-id")?.unwrap_or_default(),
        source: text("ce-source")?.unwrap_or_default(),
        kind: text("ce-type")?.unwrap_or_default(),
        subject: text("ce-subject")?,
        time: text("ce-time")?,
        data,
    }
    .into_event()
}

/// A header's value, percent-decoded (HTTP binding §3.1.3.2).
fn attribute(headers: &HeaderMap, name: &str) -> Result<Option<String>, Skip> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| Skip::Unusable)?;
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| Skip::Unusable)?;
    Ok(Some(decoded.into_owned()))
}
