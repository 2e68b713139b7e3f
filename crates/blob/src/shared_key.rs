//! Shared Key authorisation: the canonical form of a request, its signature and the check of it.
//!
//! Spec: "Authorize with Shared Key", Blob service, version 2015-02-21 and later. The string to sign is
//!
//! ```text
//! VERB \n Content-Encoding \n Content-Language \n Content-Length (empty for 0) \n Content-MD5 \n Content-Type \n
//! Date (empty with x-ms-date) \n If-Modified-Since \n If-Match \n If-None-Match \n If-Unmodified-Since \n Range \n
//! x-ms-*: lower case, sorted, "name:value\n" each
//! /account/path as sent, then "\nname:value" for each query parameter, lower case, sorted, decoded
//! ```
//!
//! With path-style URLs, as emulators use them, the path itself starts with the account, so the account appears
//! twice: `/local/local/container/blob`.

use std::collections::BTreeMap;

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, DATE,
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, RANGE,
};
use http::{HeaderMap, HeaderValue, Method, Uri};
use jiff::{SignedDuration, Timestamp};

use crate::key::AccountKey;
use crate::query::Query;
use crate::time::{http_date, parse_http_date};

/// How far a request's date may be from the server's clock, as in Azure.
pub const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(15);

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const X_MS_DATE: HeaderName = HeaderName::from_static("x-ms-date");

/// Why an `Authorization` header is refused. The texts are safe to show to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SharedKeyError {
    #[error("the Authorization header is not of the form `SharedKey account:signature`")]
    Malformed,
    #[error(
        "the Authorization scheme `{0}` is not supported; use SharedKey or a shared access signature"
    )]
    UnsupportedScheme(String),
    #[error("the Authorization header names account `{named}`, this account is `{expected}`")]
    WrongAccount { named: String, expected: String },
    #[error("the request has neither a valid x-ms-date nor a valid Date header")]
    MissingDate,
    #[error("the request's date is more than 15 minutes away from the server's clock ({server})")]
    DateOutOfRange { server: String },
    #[error("the request's path or query is not valid UTF-8 after percent-decoding")]
    BadUri,
    /// Carries the canonical form the server computed: it holds nothing but what the caller sent.
    #[error(
        "the MAC signature is not the one for this request; the server used the string to sign: '{string_to_sign}'"
    )]
    WrongSignature { string_to_sign: String },
}

/// Adds `x-ms-date` and `Authorization` to a request that is otherwise complete.
///
/// `Content-Length` must already be set if the body is not empty and the transport sends one.
pub(crate) fn sign<B>(
    request: &mut http::Request<B>,
    account: &str,
    key: &AccountKey,
    now: Timestamp,
) -> Result<(), SharedKeyError> {
    let date = HeaderValue::try_from(http_date(now)).map_err(|_| SharedKeyError::MissingDate)?;
    request.headers_mut().insert(X_MS_DATE, date);
    let text = string_to_sign(
        request.method(),
        request.uri(),
        request.headers(),
        account,
        HeaderOrder::Service,
    )?;
    let value = format!("SharedKey {account}:{}", key.sign(&text));
    let value = HeaderValue::try_from(value).map_err(|_| SharedKeyError::Malformed)?;
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(())
}

/// Checks the `Authorization` header of a request that was received at `now`.
///
/// Errors say which part is wrong, in the order: scheme, account, date, signature.
pub fn verify(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    account: &str,
    key: &AccountKey,
    now: Timestamp,
) -> Result<(), SharedKeyError> {
    let header = headers
        .get(AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .ok_or(SharedKeyError::Malformed)?;
    let (scheme, credential) = header
        .trim()
        .split_once(' ')
        .ok_or(SharedKeyError::Malformed)?;
    if scheme != "SharedKey" {
        let scheme = scheme
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(32)
            .collect();
        return Err(SharedKeyError::UnsupportedScheme(scheme));
    }
    let (named, signature) = credential
        .trim()
        .split_once(':')
        .ok_or(SharedKeyError::Malformed)?;
    if named != account {
        return Err(SharedKeyError::WrongAccount {
            named: named.to_owned(),
            expected: account.to_owned(),
        });
    }
    let date = headers
        .get(&X_MS_DATE)
        .or_else(|| headers.get(DATE))
        .and_then(|v| v.to_str().ok());
    let date = date
        .and_then(parse_http_date)
        .ok_or(SharedKeyError::MissingDate)?;
    if date.duration_since(now).abs() > MAX_CLOCK_SKEW {
        return Err(SharedKeyError::DateOutOfRange {
            server: http_date(now),
        });
    }
    // The SDKs agree on the set of headers but not on how punctuation sorts.
    let service = string_to_sign(method, uri, headers, account, HeaderOrder::Service)?;
    if key.verify(&service, signature) {
        return Ok(());
    }
    let ordinal = string_to_sign(method, uri, headers, account, HeaderOrder::Ordinal)?;
    if ordinal != service && key.verify(&ordinal, signature) {
        return Ok(());
    }
    Err(SharedKeyError::WrongSignature {
        string_to_sign: service,
    })
}

/// How `x-ms-*` names are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HeaderOrder {
    /// As the service does it: a culture-aware comparison in which `-` is ignored and `_` comes before digits.
    Service,
    /// By bytes, as most third-party clients do it.
    Ordinal,
}

impl HeaderOrder {
    fn key(self, name: &str) -> (String, String) {
        let primary = match self {
            Self::Ordinal => name.to_owned(),
            Self::Service => name
                .chars()
                .filter(|c| *c != '-')
                .map(|c| if c == '_' { '\u{1}' } else { c })
                .collect(),
        };
        (primary, name.to_owned())
    }
}

fn string_to_sign(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    account: &str,
    order: HeaderOrder,
) -> Result<String, SharedKeyError> {
    let mut out = String::with_capacity(512);
    out.push_str(method.as_str());
    out.push('\n');
    for name in [
        CONTENT_ENCODING,
        CONTENT_LANGUAGE,
        CONTENT_LENGTH,
        CONTENT_MD5,
        CONTENT_TYPE,
    ] {
        let value = header_text(headers, &name);
        if !(name == CONTENT_LENGTH && value == "0") {
            out.push_str(&value);
        }
        out.push('\n');
    }
    if !headers.contains_key(&X_MS_DATE) {
        out.push_str(&header_text(headers, &DATE));
    }
    out.push('\n');
    for name in [
        IF_MODIFIED_SINCE,
        IF_MATCH,
        IF_NONE_MATCH,
        IF_UNMODIFIED_SINCE,
        RANGE,
    ] {
        out.push_str(&header_text(headers, &name));
        out.push('\n');
    }
    push_canonical_headers(&mut out, headers, order);
    push_canonical_resource(&mut out, uri, account)?;
    Ok(out)
}

/// All values of one header, trimmed and joined as Azure joins repeated headers.
fn header_text(headers: &HeaderMap, name: &HeaderName) -> String {
    let values = headers
        .get_all(name)
        .iter()
        .map(|v| String::from_utf8_lossy(v.as_bytes()).trim().to_owned());
    values.collect::<Vec<_>>().join(",")
}

fn push_canonical_headers(out: &mut String, headers: &HeaderMap, order: HeaderOrder) {
    let mut names: Vec<&HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-ms-"))
        .collect();
    names.sort_by_cached_key(|name| order.key(name.as_str()));
    for name in names {
        out.push_str(name.as_str());
        out.push(':');
        out.push_str(&header_text(headers, name));
        out.push('\n');
    }
}

fn push_canonical_resource(
    out: &mut String,
    uri: &Uri,
    account: &str,
) -> Result<(), SharedKeyError> {
    out.push('/');
    out.push_str(account);
    out.push_str(uri.path());
    let query =
        Query::parse(uri.query().unwrap_or_default()).map_err(|_| SharedKeyError::BadUri)?;
    let mut sorted: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, value) in query.iter() {
        sorted
            .entry(name.to_ascii_lowercase())
            .or_default()
            .push(value);
    }
    for (name, mut values) in sorted {
        values.sort_unstable();
        out.push('\n');
        out.push_str(&name);
        out.push(':');
        out.push_str(&values.join(","));
    }
    Ok(())
}

#[cfg(test)]
#[path = "shared_key_tests.rs"]
mod tests;
