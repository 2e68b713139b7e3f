//! HTTP answers: status, headers and what the body is made of (RFC 9110, RFC 9111, Fetch's CORS).
//!
//! [`Resource`] is what a URL stands for; [`answer`] turns it into the response to one request: conditions first,
//! then `Range`, then `HEAD`. Every response, errors included, carries the same CORS headers exactly once.

mod coding;
mod conditional;
mod cors;
mod range;

use crate::error::{Code, Kind, OriginError};
use bytes::Bytes;
use headwater_plan::Plan;
use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, LAST_MODIFIED, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use jiff::Timestamp;
use range::Ranged;
use std::net::IpAddr;

pub(crate) use coding::Coding;
pub(crate) use conditional::is_not_modified;

/// A request, as far as the origin looks at it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path as it came, percent-encoded. The query is not part of it.
    pub path: &'a str,
    /// The query as it came, without its question mark; empty without one. A token for keys is read of it, and what a live
    /// playlist is to wait for.
    pub query: &'a str,
    /// The server that was asked for, perhaps with a port, if the client said it.
    pub host: Option<&'a str>,
    /// The client's address, if the host tells. Previews and endpoints with an access list look at it.
    pub client: Option<IpAddr>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The wall clock.
    pub now: Timestamp,
}

/// What to send as a body. `Content-Length` is set already, but for [`Body::Growing`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// What the assembler makes of this plan.
    Plan(Plan),
    /// What a live event's worker answers at this URL, as it is made. The URL holds a secret.
    Growing(Growing),
}

/// The URL of a segment that is still being made. `Debug` shows none.
#[derive(Clone, PartialEq, Eq)]
pub struct Growing(pub String);

impl std::fmt::Debug for Growing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Growing(..)")
    }
}

/// What a URL stands for, before the request's conditions and range are looked at.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) body: Content,
    pub(crate) meta: Meta,
}

/// The whole body of a resource.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Bytes(Bytes),
    Plan(Plan),
}

/// The headers of a resource that do not depend on the request.
#[derive(Debug, Clone)]
pub(crate) struct Meta {
    pub(crate) content_type: &'static str,
    /// Strong, with quotes.
    pub(crate) etag: String,
    pub(crate) last_modified: Option<Timestamp>,
    pub(crate) cache_control: &'static str,
    /// How the body is coded, which the tag says too.
    pub(crate) coding: Coding,
    /// URL of what is likely asked for next, relative to this one: for CDNs that ask for such hints.
    pub(crate) prefetch: Option<String>,
}

impl Content {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::Plan(plan) => plan.total_len(),
        }
    }

    fn slice(self, range: std::ops::Range<u64>) -> Result<Body, OriginError> {
        match self {
            Self::Bytes(bytes) => {
                let start = usize::try_from(range.start)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let end = usize::try_from(range.end)
                    .unwrap_or(usize::MAX)
                    .clamp(start, bytes.len());
                Ok(Body::Bytes(bytes.slice(start..end)))
            }
            Self::Plan(plan) => {
                let part = plan.slice(range).map_err(internal)?;
                Ok(part.inline_only().map_or(Body::Plan(part), Body::Bytes))
            }
        }
    }

    fn whole(self) -> Body {
        match self {
            Self::Bytes(bytes) => Body::Bytes(bytes),
            Self::Plan(plan) => plan.inline_only().map_or(Body::Plan(plan), Body::Bytes),
        }
    }
}

/// The response to `request` for `resource`.
pub(crate) fn answer(
    request: &Request<'_>,
    resource: Resource,
) -> Result<Response<Body>, OriginError> {
    let Resource { body, meta } = resource;
    if is_not_modified(request.headers, &meta)? {
        return not_modified(&meta);
    }
    let total = body.len();
    let is_head = *request.method == Method::HEAD;
    // Range is defined for GET only (RFC 9110 §14.2).
    let ranged = if is_head {
        Ranged::Whole
    } else {
        range::read(request.headers, &meta, total)
    };
    let mut response = match ranged {
        Ranged::Unsatisfiable => {
            let error = OriginError::new(
                Code::RangeNotSatisfiable,
                format!("the resource has {total} bytes"),
            );
            let mut response = failure(request, &error);
            set(&mut response, CONTENT_RANGE, &format!("bytes */{total}"))?;
            set(&mut response, ETAG, &meta.etag)?;
            return Ok(response);
        }
        Ranged::Whole => {
            let mut response = Response::new(if is_head { Body::Empty } else { body.whole() });
            response
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from(total));
            response
        }
        Ranged::Part(part) => {
            let len = part.end.saturating_sub(part.start);
            let content_range = format!(
                "bytes {}-{}/{total}",
                part.start,
                part.end.saturating_sub(1)
            );
            let mut response = Response::new(body.slice(part)?);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            response
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from(len));
            set(&mut response, CONTENT_RANGE, &content_range)?;
            response
        }
    };
    set_static(&mut response, CONTENT_TYPE, meta.content_type);
    set_static(&mut response, ACCEPT_RANGES, "bytes");
    describe(&mut response, &meta)?;
    if let Some(next) = &meta.prefetch
        && request
            .headers
            .get("cdn-origin-assist-prefetch-enabled")
            .is_some_and(|value| value == "1")
    {
        let name = HeaderName::from_static("cdn-origin-assist-prefetch-path");
        set(&mut response, name, next)?;
    }
    cors::expose(response.headers_mut());
    Ok(response)
}

/// 304, with what a cache needs to refresh its copy (RFC 9110 §15.4.5).
pub(crate) fn not_modified(meta: &Meta) -> Result<Response<Body>, OriginError> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    describe(&mut response, meta)?;
    cors::expose(response.headers_mut());
    Ok(response)
}

/// The time of day, as an `xs:dateTime` in milliseconds. Of this moment and for nobody else.
pub(crate) fn time(request: &Request<'_>) -> Response<Body> {
    let text = Bytes::from(format!("{:.3}", request.now));
    let len = text.len();
    let is_head = *request.method == Method::HEAD;
    let body = if is_head {
        Body::Empty
    } else {
        Body::Bytes(text)
    };
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(len));
    set_static(&mut response, CONTENT_TYPE, "text/plain");
    set_static(&mut response, CACHE_CONTROL, "no-store");
    shared(response.headers_mut());
    response
}

/// The answer to `OPTIONS`, for any path: what browsers ask before they send `Range` or `Authorization`.
pub(crate) fn preflight(request: &Request<'_>) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    cors::expose(response.headers_mut());
    cors::preflight(request.headers, response.headers_mut());
    set_static(&mut response, ALLOW, cors::METHODS);
    response
}

/// What every response has, for one that is not made here.
pub(crate) fn shared(headers: &mut HeaderMap) {
    cors::expose(headers);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// The problem response for `error`.
pub fn failure(request: &Request<'_>, error: &OriginError) -> Response<Body> {
    let kind = error.code().kind();
    let body = Bytes::from(error.problem(request_id(request.headers)));
    let mut response = Response::new(Body::Empty);
    *response.status_mut() =
        StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    set_static(&mut response, CONTENT_TYPE, "application/problem+json");
    set_static(&mut response, CACHE_CONTROL, kind.cache_control());
    set_static(&mut response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    match kind {
        Kind::Unavailable => set_static(&mut response, RETRY_AFTER, "2"),
        Kind::MethodNotAllowed => set_static(&mut response, ALLOW, cors::METHODS),
        _ => {}
    }
    cors::expose(response.headers_mut());
    if *request.method != Method::HEAD {
        *response.body_mut() = Body::Bytes(body);
    }
    response
}

/// The identifier that a proxy or the host gave the request, if it is harmless to repeat.
fn request_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get("x-request-id")?.to_str().ok()?;
    let harmless = (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
    harmless.then_some(id)
}

fn describe(response: &mut Response<Body>, meta: &Meta) -> Result<(), OriginError> {
    set(response, ETAG, &meta.etag)?;
    if meta.coding != Coding::Plain {
        set_static(response, VARY, "Accept-Encoding");
    }
    if let Some(name) = meta.coding.name() {
        set_static(response, CONTENT_ENCODING, name);
    }
    set_static(response, CACHE_CONTROL, meta.cache_control);
    // Stored files are what somebody uploaded; nothing may be executed because it looks like a page.
    set_static(response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    if let Some(at) = meta.last_modified {
        set(
            response,
            LAST_MODIFIED,
            &headwater_blob::time::http_date(at),
        )?;
    }
    Ok(())
}

fn set_static(response: &mut Response<Body>, name: HeaderName, value: &'static str) {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}

fn set(response: &mut Response<Body>, name: HeaderName, value: &str) -> Result<(), OriginError> {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_str(value).map_err(internal)?);
    Ok(())
}

fn internal(cause: impl std::fmt::Display) -> OriginError {
    OriginError::new(Code::Internal, "the answer could not be put together").because(cause)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
