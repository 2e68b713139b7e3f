//! The abuse-protection handshake: `OPTIONS` before the first event.
//!
//! Spec: HTTP 1.1 Web Hooks for Event Delivery 1.0 §4 (part of CloudEvents). The sender names itself in
//! `WebHook-Request-Origin`; the receiver that wants its events names it back in `WebHook-Allowed-Origin`. The
//! asynchronous variant (`WebHook-Request-Callback`) is not needed: the answer is known at once.

use http::{HeaderMap, HeaderValue};

/// What the receiver grants: headers of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// `WebHook-Allowed-Origin`.
    pub origin: HeaderValue,
    /// `WebHook-Allowed-Rate`, requests per minute; present when the sender asked. `*`: as fast as it likes, since the
    /// host bounds concurrency by itself.
    pub rate: Option<HeaderValue>,
}

/// Answers the handshake; none if the request is not one (no `WebHook-Request-Origin`).
pub fn preflight(headers: &HeaderMap) -> Option<Permission> {
    let origin = headers.get("webhook-request-origin")?.clone();
    let rate = headers
        .contains_key("webhook-request-rate")
        .then(|| HeaderValue::from_static("*"));
    Some(Permission { origin, rate })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_named_back_and_a_rate_only_if_asked_for() {
        let mut headers = HeaderMap::new();
        assert_eq!(preflight(&headers), None);
        headers.insert(
            "webhook-request-origin",
            HeaderValue::from_static("eventgrid.azure.net"),
        );
        let permission = preflight(&headers).unwrap();
        assert_eq!(
            (permission.origin.to_str().unwrap(), permission.rate),
            ("eventgrid.azure.net", None)
        );
        headers.insert("webhook-request-rate", HeaderValue::from_static("120"));
        assert_eq!(preflight(&headers).unwrap().rate.unwrap(), "*");
    }
}
