//! Problem bodies (RFC 9457) for answers that no AMS or MK.IO dialect covers.

use crate::http::whole;
use bytes::Bytes;
use headwater_blob::TransportError;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, StatusCode};
use spin_sdk::wasip3::http::types::Response as WasiResponse;

/// A problem, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem<'a> {
    /// The kind of failure in one word, e.g. `NotFound`: the end of `type`.
    pub kind: &'a str,
    /// HTTP status.
    pub status: StatusCode,
    /// What the kind means, the same for every occurrence.
    pub title: &'a str,
    /// What happened this time, safe for strangers.
    pub detail: &'a str,
    /// Identifier of the request.
    pub instance: Option<&'a str>,
}

impl Problem<'_> {
    /// The JSON body.
    pub fn body(&self) -> String {
        let mut out = String::with_capacity(192);
        out.push_str("{\"type\":\"https://headwater.video/problems/");
        // Kinds are words of ours; anything else would be a mistake, but must not break the document.
        out.extend(self.kind.chars().filter(char::is_ascii_alphanumeric));
        out.push_str("\",\"title\":");
        json_string(&mut out, self.title);
        out.push_str(",\"status\":");
        out.push_str(self.status.as_str());
        out.push_str(",\"detail\":");
        json_string(&mut out, self.detail);
        if let Some(instance) = self.instance {
            out.push_str(",\"instance\":");
            json_string(&mut out, instance);
        }
        out.push('}');
        out
    }

    /// The response, never cached.
    pub fn response(&self) -> Result<WasiResponse, TransportError> {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        whole(self.status, headers, Bytes::from(self.body()))
    }
}

/// Appends a JSON string (RFC 8259 §7).
fn json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
