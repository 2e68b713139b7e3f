//! What a handler answers, before it becomes bytes.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use serde_json::Value as Json;

use crate::dialect::Dialect;
use crate::error::{ApiError, Kind};

#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    body: Option<Bytes>,
    content_type: &'static str,
    /// Who asked, where only the answer tells.
    subject: Option<Box<str>>,
    /// Asks storage for what is to be the body. Apart: what is dispatched holds a reply of each operation.
    passing: Option<Box<Request<Bytes>>>,
}

impl Reply {
    pub(crate) fn json(status: StatusCode, body: Json) -> Self {
        // Not as text that is formatted, which goes through a formatter letter by letter. Values have nothing that cannot
        // be written.
        Self {
            status,
            ..Self::written(serde_json::to_vec(&body).unwrap_or_default())
        }
    }

    /// 200 with JSON that is text already.
    pub(crate) fn written(json: Vec<u8>) -> Self {
        Self::bytes("application/json; charset=utf-8", json.into())
    }

    /// 200 with what is ready made.
    pub(crate) fn bytes(content_type: &'static str, body: Bytes) -> Self {
        Self {
            status: StatusCode::OK,
            headers: Vec::new(),
            body: Some(body),
            content_type,
            subject: None,
            passing: None,
        }
    }

    pub(crate) fn ok(body: Json) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// Something else than JSON.
    pub(crate) fn text(content_type: &'static str, body: String) -> Self {
        Self {
            status: StatusCode::OK,
            headers: Vec::new(),
            body: Some(body.into()),
            content_type,
            subject: None,
            passing: None,
        }
    }

    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: None,
            content_type: "",
            subject: None,
            passing: None,
        }
    }

    /// What storage answers to this request: see [`crate::passing`].
    pub(crate) fn passing(request: Request<Bytes>) -> Self {
        Self {
            passing: Some(Box::new(request)),
            ..Self::empty(StatusCode::OK)
        }
    }

    /// The request to storage, once.
    pub(crate) fn take_passing(&mut self) -> Option<Request<Bytes>> {
        self.passing.take().map(|request| *request)
    }

    /// What a DELETE answers: 200 for something that was there, 204 for something that was not.
    pub(crate) fn deleted(existed: bool) -> Self {
        Self::empty(if existed {
            StatusCode::OK
        } else {
            StatusCode::NO_CONTENT
        })
    }

    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Says who asked, for the audit log.
    pub(crate) fn of(mut self, subject: &str) -> Self {
        self.subject = Some(subject.into());
        self
    }

    pub(crate) fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn failure(error: &ApiError, dialect: Dialect, request_id: &str) -> Self {
        let mut reply = Self::json(error.kind.status(), error.body(dialect, request_id));
        if dialect == Dialect::Own {
            reply.content_type = "application/problem+json";
        }
        match error.kind {
            Kind::Unauthenticated => reply.with(header::WWW_AUTHENTICATE, "Bearer"),
            Kind::Unavailable | Kind::TooManyRequests => {
                let seconds = error.retry_after_seconds.unwrap_or(1);
                reply.with(header::RETRY_AFTER, seconds.to_string())
            }
            Kind::MethodNotAllowed => {
                // The message lists them after the last colon.
                let allow = error.message.rsplit(": ").next().unwrap_or_default();
                let allow = allow.trim_end_matches('.').to_owned();
                reply.with(header::ALLOW, allow)
            }
            _ => reply,
        }
    }

    pub(crate) fn render(self, request_id: &str) -> Response<Bytes> {
        let has_body = self.body.is_some();
        let mut response = Response::new(self.body.unwrap_or_default());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if has_body {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static(self.content_type),
            );
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        if let Ok(value) = HeaderValue::from_str(request_id) {
            headers.insert("x-ms-request-id", value);
        }
        response
    }
}
