//! Answers as HTTP: the one place that knows statuses.
//!
//! | Status | When |
//! |---|---|
//! | 200 | the key, or the licence |
//! | 400, 404, 405 | the request is none, or longer than one can be |
//! | 401 | no token, or none that is accepted here |
//! | 403 | a genuine token that is not good for this key, or is used up |
//! | 502, 504 | the licence server |
//! | 503 | the catalog, or no licence server is configured |

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Value as Json, json};

use crate::policy::Refusal;
use crate::request::RequestError;

/// Why there is nothing to hand over.
pub(crate) enum Failure {
    Request(RequestError),
    Refused(Refusal),
    Store,
    NoBackend,
    Upstream(StatusCode),
}

/// 200 with a body.
pub(crate) fn found(content_type: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The answer to a browser that asks whether it may ask.
pub(crate) fn preflight(request: &HeaderMap) -> Response<Vec<u8>> {
    let asked = request.get(ACCESS_CONTROL_REQUEST_HEADERS).filter(|value| {
        value.len() <= 1024
            && value
                .as_bytes()
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_, ".contains(byte))
    });
    let allowed = asked.cloned().unwrap_or(HeaderValue::from_static(
        "Authorization, Content-Type, SOAPAction",
    ));
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, OPTIONS"),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

impl Failure {
    pub(crate) fn response(&self) -> Response<Vec<u8>> {
        let unauthenticated = (
            StatusCode::UNAUTHORIZED,
            "Unauthenticated",
            "The request has no token that gives this key.".to_owned(),
        );
        let (status, kind, detail) = match self {
            Self::Request(error) => {
                let (status, kind) = match error {
                    RequestError::Path => (StatusCode::NOT_FOUND, "NotFound"),
                    RequestError::Method => (StatusCode::METHOD_NOT_ALLOWED, "InvalidArgument"),
                    // No challenge is that long, so it is none.
                    RequestError::Malformed(_) | RequestError::TooLarge => {
                        (StatusCode::BAD_REQUEST, "InvalidArgument")
                    }
                };
                (status, kind, error.to_string())
            }
            Self::Refused(Refusal::Forbidden(error)) => {
                (StatusCode::FORBIDDEN, "PermissionDenied", error.to_string())
            }
            Self::Refused(Refusal::Unauthenticated(_) | Refusal::System) => unauthenticated,
            Self::Store => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Unavailable",
                "Keys cannot be looked up at the moment.".to_owned(),
            ),
            Self::NoBackend => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Unavailable",
                "This installation has no licence server for the key system.".to_owned(),
            ),
            Self::Upstream(status) => {
                let kind = if *status == StatusCode::GATEWAY_TIMEOUT {
                    "UpstreamTimeout"
                } else {
                    "Upstream"
                };
                (
                    *status,
                    kind,
                    "The licence server gave no usable answer.".to_owned(),
                )
            }
        };
        let body: Json = json!({
            "type": format!("https://headwater.video/problems/{kind}"), "title": kind, "status": status.as_u16(), "detail": detail,
        });
        let mut response = found("application/problem+json", body.to_string().into_bytes());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                drop(headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                drop(headers.insert(ALLOW, HeaderValue::from_static("GET, POST, OPTIONS")))
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}
