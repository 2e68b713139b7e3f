//! Cross-origin rules: browsers may upload and play with a signed URL.
//!
//! Spec: Fetch standard, "CORS protocol". Credentials are never allowed: the signature is in the URL.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN,
    VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{Answer, bare};

/// Which origins may call.
#[derive(Debug, Clone)]
pub(crate) struct Cors {
    origins: Vec<String>,
}

impl Cors {
    pub(crate) fn new(origins: Vec<String>) -> Self {
        Self { origins }
    }

    /// Answers an OPTIONS request: 200 with the permission, or 403 as Azure does when no rule matches.
    pub(super) fn preflight(&self, headers: &HeaderMap) -> Answer {
        if self.allowed(headers.get(ORIGIN)).is_none() {
            return bare(StatusCode::FORBIDDEN);
        }
        let mut answer = bare(StatusCode::OK);
        let out = answer.headers_mut();
        out.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, HEAD, PUT, DELETE, OPTIONS"),
        );
        out.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
        if let Some(asked) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            out.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        answer
    }

    /// Adds the permission to the answer of a request that came with an `Origin`.
    pub(super) fn apply(&self, origin: Option<&HeaderValue>, out: &mut HeaderMap) {
        if let Some(allowed) = self.allowed(origin) {
            if allowed != "*" {
                out.append(VARY, HeaderValue::from_static("Origin"));
            }
            out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            out.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
        }
    }

    fn allowed(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        let origin = origin?;
        if self.origins.iter().any(|one| one == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins
            .iter()
            .any(|one| one.as_bytes() == origin.as_bytes())
            .then(|| origin.clone())
    }
}
