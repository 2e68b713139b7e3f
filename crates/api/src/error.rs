//! Errors: one closed list of kinds, three shapes.
//!
//! | Surface | Shape |
//! |---|---|
//! | ARM | `{"error":{"code","message","target","details":[]}}` |
//! | MK.IO | `{"error":{"code","detail","extraDetail"},"status","ref"}` |
//! | Headwater's own | RFC 9457 problem body |

use headwater_catalog::{CatalogError, SqlError};
use http::StatusCode;
use serde_json::{Value as Json, json};

use crate::dialect::Dialect;

/// What kind of thing went wrong. Closed on purpose: a new kind must decide its status and code here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    InvalidArgument,
    Unauthenticated,
    PermissionDenied,
    NotFound,
    MethodNotAllowed,
    /// The resource exists and may not be changed so.
    Conflict,
    /// The resource's state does not allow it.
    WrongState,
    PayloadTooLarge,
    /// More than the project may ask in a minute.
    TooManyRequests,
    /// Try again soon.
    Unavailable,
    /// Storage failed us.
    Upstream,
    Internal,
}

impl Kind {
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidArgument => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict | Self::WrongState => StatusCode::CONFLICT,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Upstream => StatusCode::BAD_GATEWAY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What programs look for in `error.code`, on both surfaces.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidArgument => "BadRequest",
            Self::Unauthenticated => "AuthenticationFailed",
            Self::PermissionDenied => "AuthorizationFailed",
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::Conflict => "ResourceExists",
            Self::WrongState => "InvalidOperation",
            Self::PayloadTooLarge => "RequestEntityTooLarge",
            Self::TooManyRequests => "TooManyRequests",
            Self::Unavailable => "ServiceUnavailable",
            Self::Upstream => "StorageUnavailable",
            Self::Internal => "InternalServerError",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::InvalidArgument => "The request is not valid",
            Self::Unauthenticated => "A valid token is needed",
            Self::PermissionDenied => "The token does not allow this",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "The method is not offered here",
            Self::Conflict => "It exists already",
            Self::WrongState => "The state does not allow this",
            Self::PayloadTooLarge => "The request is too large",
            Self::TooManyRequests => "Too many requests",
            Self::Unavailable => "Try again soon",
            Self::Upstream => "Storage did not answer as it should",
            Self::Internal => "Something went wrong here",
        }
    }
}

/// A refused or failed request.
///
/// `message` and `field` are safe for strangers. `context` is for the log only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub kind: Kind,
    pub message: String,
    /// The member, parameter or header at fault.
    pub field: Option<String>,
    /// When the same request may succeed, for kinds that pass.
    pub retry_after_seconds: Option<u32>,
    /// What the log should know.
    pub context: Option<String>,
}

impl ApiError {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            field: None,
            retry_after_seconds: None,
            context: None,
        }
    }

    /// A field of the request is not acceptable; the message names it.
    pub fn invalid(field: impl Into<String>, message: impl std::fmt::Display) -> Self {
        let field = field.into();
        Self {
            kind: Kind::InvalidArgument,
            message: format!("{field}: {message}"),
            field: Some(field),
            retry_after_seconds: None,
            context: None,
        }
    }

    pub(crate) fn internal(context: impl Into<String>) -> Self {
        Self {
            kind: Kind::Internal,
            message:
                "The request could not be completed. The log knows more under this request's id."
                    .into(),
            field: None,
            retry_after_seconds: None,
            context: Some(context.into()),
        }
    }

    /// The body in the words of a surface. `request`: the request's id.
    pub fn body(&self, dialect: Dialect, request: &str) -> Json {
        let status = self.kind.status().as_u16();
        match dialect {
            Dialect::Arm => {
                let mut error = json!({
                    "code": self.kind.code(), "message": self.message, "details": [],
                });
                if let (Some(field), Json::Object(members)) = (&self.field, &mut error) {
                    members.insert("target".into(), field.clone().into());
                }
                json!({ "error": error })
            }
            Dialect::MkIo | Dialect::MkIoOlder => {
                let extra = match &self.field {
                    Some(field) => json!({ "field": field }),
                    None => json!({}),
                };
                json!({
                    "error": {"code": self.kind.code(), "detail": self.message, "extraDetail": extra},
                    "status": status,
                    "ref": request,
                })
            }
            Dialect::Own => {
                let mut body = json!({
                    "type": format!("https://headwater.video/problems/{}", self.kind.code()),
                    "title": self.kind.title(),
                    "status": status,
                    "detail": self.message,
                    "instance": request,
                });
                if let (Some(field), Json::Object(members)) = (&self.field, &mut body) {
                    members.insert("field".into(), field.clone().into());
                }
                body
            }
        }
    }
}

impl From<CatalogError> for ApiError {
    fn from(error: CatalogError) -> Self {
        let kind = match &error {
            CatalogError::Invalid { field, message } => return Self::invalid(field, message),
            CatalogError::NotFound { .. } => Kind::NotFound,
            CatalogError::Conflict(_) | CatalogError::Taken { .. } => Kind::Conflict,
            CatalogError::WrongState(_) => Kind::WrongState,
            CatalogError::LeaseLost => Kind::WrongState,
            CatalogError::Sql(SqlError::Busy(_) | SqlError::Conflict(_)) => {
                return Self {
                    context: Some(error.to_string()),
                    // Clients that are told nothing ask again at once, and meet the same writers.
                    retry_after_seconds: Some(1),
                    ..Self::new(Kind::Unavailable, "Too many writers at once. Try again.")
                };
            }
            // Somebody else wrote the same row between our look and our write.
            CatalogError::Sql(SqlError::Constraint(_)) => {
                return Self {
                    context: Some(error.to_string()),
                    ..Self::new(
                        Kind::Conflict,
                        "The resource was written by somebody else at the same time.",
                    )
                };
            }
            other => return Self::internal(other.to_string()),
        };
        Self::new(kind, error.to_string())
    }
}
