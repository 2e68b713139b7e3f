//! What is said to a sender: the one place where outcomes become HTTP.

use bytes::Bytes;
use headwater_blob::TransportError;
use headwater_catalog::SqlError;
use headwater_edge::config::ConfigError;
use headwater_edge::http::whole;
use headwater_edge::problem::Problem;
use headwater_events::auth::AuthError;
use headwater_events::{MAX_BODY_BYTES, Permission, ReadError};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;
use spin_sdk::wasip3::http::types::Response;

use crate::inbox::{InboxError, Tally};

/// What a request led to.
pub(crate) enum Answer {
    /// A handshake by `OPTIONS`.
    Permitted(Permission),
    /// Event Grid's handshake.
    Validated {
        code: String,
    },
    /// Events were worked through.
    Taken(Tally),
    Refused(Refusal),
}

/// Why nothing, or not everything, was done.
pub(crate) enum Refusal {
    NoSuchPath,
    Method,
    Stranger(AuthError),
    /// `OPTIONS` without `WebHook-Request-Origin`.
    NoOrigin,
    TooLong,
    BrokenBody,
    Unreadable(ReadError),
    /// Worth repeating soon. The text is for the log.
    Passing(String),
    /// Worth repeating when somebody has looked. The text is for the log.
    Broken(String),
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        Self::Stranger(error)
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        Self::Unreadable(error)
    }
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<SqlError> for Refusal {
    fn from(error: SqlError) -> Self {
        if error.is_passing() {
            Self::Passing(error.to_string())
        } else {
            Self::Broken(error.to_string())
        }
    }
}

impl From<InboxError> for Refusal {
    fn from(error: InboxError) -> Self {
        if error.is_passing() {
            Self::Passing(error.to_string())
        } else {
            Self::Broken(error.to_string())
        }
    }
}

impl Answer {
    pub(crate) fn response(self) -> Result<Response, TransportError> {
        let mut headers = HeaderMap::new();
        let body = match self {
            Self::Refused(refusal) => return refusal.response(),
            Self::Permitted(Permission { origin, rate }) => {
                headers.insert(ALLOW, HeaderValue::from_static("OPTIONS, POST"));
                headers.insert("webhook-allowed-origin", origin);
                if let Some(rate) = rate {
                    headers.insert("webhook-allowed-rate", rate);
                }
                return whole(StatusCode::OK, headers, Bytes::new());
            }
            Self::Validated { code } => json!({ "validationResponse": code }),
            Self::Taken(tally) => json!({
                "started": tally.started,
                "duplicate": tally.duplicate,
                "ignored": tally.ignored,
                "rejected": tally.rejected,
            }),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        whole(StatusCode::OK, headers, Bytes::from(body.to_string()))
    }
}

impl Refusal {
    fn response(self) -> Result<Response, TransportError> {
        let mut extra = HeaderMap::new();
        let (status, kind, title, detail) = match self {
            Self::NoSuchPath => (
                StatusCode::NOT_FOUND,
                "NotFound",
                "Not found",
                "Storage events are taken at /events/storage.".to_owned(),
            ),
            Self::Method => {
                extra.insert(ALLOW, HeaderValue::from_static("OPTIONS, POST"));
                (
                    StatusCode::METHOD_NOT_ALLOWED,
                    "InvalidArgument",
                    "Method not allowed",
                    "Events are sent with POST.".to_owned(),
                )
            }
            Self::Stranger(error @ AuthError::Missing) => {
                extra.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                (
                    StatusCode::UNAUTHORIZED,
                    "Unauthenticated",
                    "Who is calling?",
                    error.to_string(),
                )
            }
            Self::Stranger(error @ AuthError::Wrong) => (
                StatusCode::FORBIDDEN,
                "PermissionDenied",
                "Not allowed",
                error.to_string(),
            ),
            Self::NoOrigin => (
                StatusCode::BAD_REQUEST,
                "InvalidArgument",
                "Not a handshake",
                "A handshake names its sender in WebHook-Request-Origin.".to_owned(),
            ),
            Self::TooLong => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "InvalidArgument",
                "Too much at once",
                format!("A delivery holds at most {MAX_BODY_BYTES} bytes."),
            ),
            Self::Unreadable(error @ (ReadError::TooLong(_) | ReadError::TooMany(_))) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "InvalidArgument",
                "Too much at once",
                error.to_string(),
            ),
            Self::Unreadable(error) => (
                StatusCode::BAD_REQUEST,
                "InvalidArgument",
                "Not an event",
                error.to_string(),
            ),
            Self::BrokenBody => (
                StatusCode::BAD_REQUEST,
                "InvalidArgument",
                "Half a request",
                "The body ended early.".to_owned(),
            ),
            Self::Passing(reason) => {
                eprintln!("events have to be sent again: {reason}");
                extra.insert(RETRY_AFTER, HeaderValue::from_static("5"));
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Unavailable",
                    "Not now",
                    "Not all events could be worked on in time; send them again.".to_owned(),
                )
            }
            Self::Broken(reason) => {
                eprintln!("events could not be taken in: {reason}");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Internal",
                    "Something is broken here",
                    "The events were not taken in; the operator's log says why.".to_owned(),
                )
            }
        };
        let problem = Problem {
            kind,
            status,
            title,
            detail: &detail,
            instance: None,
        };
        extra.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        extra.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        whole(status, extra, Bytes::from(problem.body()))
    }
}
