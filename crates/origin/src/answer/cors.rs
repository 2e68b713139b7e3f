//! Cross-origin access: players run on other people's pages, so everything may be read from everywhere.
//!
//! Names are listed rather than `*` where old browsers take `*` literally, as all of them do for `Authorization` (Fetch §4.9).
//!
//! **Credentials.** A cookie opens nothing here: tokens come in `Authorization`, which a page has to set itself, or in the URL. So
//! no answer has `Access-Control-Allow-Credentials`, and `*` is the whole rule (Fetch §3.2.5): a browser gives a page that insists
//! on sending cookies (`withCredentials`) nothing to read, and all others one answer, which caches can share. To echo the
//! page's origin with credentials allowed would let every page read with its visitors' cookies for whatever else shares the host.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
};
use http::{HeaderMap, HeaderValue};

/// The methods of a streaming endpoint.
pub(super) const METHODS: &str = "GET, HEAD, OPTIONS";

const EXPOSED: &str = "Content-Length, Content-Range, Date, ETag, Last-Modified, Server";
const DEFAULT_HEADERS: &str = "Range, If-Range, If-None-Match, If-Modified-Since, Authorization, Content-Type, traceparent, tracestate";

/// On every response.
pub(super) fn expose(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(EXPOSED),
    );
    // Pages may see how long an answer took (`Server-Timing`, Resource Timing §4.5).
    headers.insert("timing-allow-origin", HeaderValue::from_static("*"));
}

/// On the answer to a preflight: whatever headers it asks for are allowed, as none of them matters here. POST is listed
/// for the services that share the endpoint's host (licences).
pub(super) fn preflight(request: &HeaderMap, headers: &mut HeaderMap) {
    let asked = request
        .get(ACCESS_CONTROL_REQUEST_HEADERS)
        .filter(|v| {
            v.len() <= 1024
                && v.as_bytes()
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_, ".contains(b))
        })
        .cloned();
    let allowed = asked.unwrap_or(HeaderValue::from_static(DEFAULT_HEADERS));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD, OPTIONS, POST"),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
}
