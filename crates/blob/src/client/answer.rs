//! Answers of the service, decoded.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, RETRY_AFTER};
use http::{HeaderMap, HeaderName, StatusCode};
use jiff::Timestamp;

use crate::client::container::RequestError;
use crate::client::store::TransportError;
use crate::time::parse_http_date;
use crate::xml::{
    BlobPage, BlockList, XmlError, parse_blob_page, parse_error, parse_stored_blocks,
};

/// What Get Blob Properties says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobProperties {
    /// Bytes.
    pub len: u64,
    /// With its quotes, as the server wrote it.
    pub etag: String,
    pub content_type: Option<String>,
    pub last_modified: Option<Timestamp>,
}

/// A blob or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeRead {
    pub bytes: Bytes,
    /// Where `bytes` starts in the blob.
    pub offset: u64,
    /// Length of the whole blob.
    pub total_len: u64,
    /// With its quotes, as the server wrote it.
    pub etag: String,
    pub content_type: Option<String>,
}

/// What a write left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// With its quotes, as the server wrote it.
    pub etag: String,
    pub last_modified: Option<Timestamp>,
}

/// Why a call did not give its answer.
///
/// `code` is the service's own word (`x-ms-error-code`, e.g. `BlobNotFound`), empty if it gave none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    #[error("not found ({code})")]
    NotFound { code: String },
    #[error("the credential was not accepted or does not allow this ({code}): {message}")]
    PermissionDenied { code: String, message: String },
    #[error("a condition of the request does not hold ({code})")]
    PreconditionFailed { code: String },
    #[error("not modified")]
    NotModified,
    #[error("the range is outside the blob")]
    RangeNotSatisfiable,
    #[error("conflict ({code})")]
    Conflict { code: String },
    /// Try again, not sooner than `retry_after_seconds` if given.
    #[error("the store is busy or unavailable (status {status}, {code})")]
    Unavailable {
        status: u16,
        code: String,
        retry_after_seconds: Option<u32>,
    },
    #[error("unexpected answer: status {status} ({code}) {message}")]
    Unexpected {
        status: u16,
        code: String,
        message: String,
    },
    /// The status was right but headers or body were not.
    #[error("the answer lacks a valid {0}")]
    Malformed(&'static str),
    #[error(transparent)]
    Xml(#[from] XmlError),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl ClientError {
    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Transport(_))
    }
}

/// Decodes Get Blob, with or without a range.
pub fn decode_range(
    status: StatusCode,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<RangeRead, ClientError> {
    // A partial answer has bytes. Azurite sends one without for a range that starts exactly at the end.
    if status == StatusCode::PARTIAL_CONTENT && body.is_empty() {
        return Err(ClientError::RangeNotSatisfiable);
    }
    let (offset, total_len) = match status {
        StatusCode::PARTIAL_CONTENT => {
            content_range(headers).ok_or(ClientError::Malformed("Content-Range"))?
        }
        StatusCode::OK => (0, u64::try_from(body.len()).unwrap_or(u64::MAX)),
        _ => return Err(failure(status, headers, &body)),
    };
    let announced = text(headers, &CONTENT_LENGTH).and_then(|t| t.parse::<usize>().ok());
    if announced.is_some_and(|len| len != body.len()) {
        return Err(ClientError::Malformed("body of the announced length"));
    }
    let content_type = text(headers, &CONTENT_TYPE).map(str::to_owned);
    Ok(RangeRead {
        bytes: body,
        offset,
        total_len,
        etag: etag(headers)?,
        content_type,
    })
}

/// Decodes Get Blob Properties.
pub fn decode_properties(
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<BlobProperties, ClientError> {
    if status != StatusCode::OK {
        return Err(failure(status, headers, &[]));
    }
    let len = text(headers, &CONTENT_LENGTH).and_then(|t| t.parse().ok());
    Ok(BlobProperties {
        len: len.ok_or(ClientError::Malformed("Content-Length"))?,
        etag: etag(headers)?,
        content_type: text(headers, &CONTENT_TYPE).map(str::to_owned),
        last_modified: text(headers, &LAST_MODIFIED).and_then(parse_http_date),
    })
}

/// Decodes Put Blob and Put Block List.
pub fn decode_written(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Written, ClientError> {
    decode_done(status, headers, body)?;
    let last_modified = text(headers, &LAST_MODIFIED).and_then(parse_http_date);
    Ok(Written {
        etag: etag(headers)?,
        last_modified,
    })
}

/// Decodes calls whose success says nothing more: Put Block, Delete Blob, Create and Delete Container.
pub fn decode_done(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), ClientError> {
    match status {
        StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED => Ok(()),
        _ => Err(failure(status, headers, body)),
    }
}

/// Decodes List Blobs.
pub fn decode_list(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<BlobPage, ClientError> {
    if status != StatusCode::OK {
        return Err(failure(status, headers, body));
    }
    Ok(parse_blob_page(body)?)
}

/// Decodes Get Block List.
pub fn decode_block_list(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<BlockList, ClientError> {
    if status != StatusCode::OK {
        return Err(failure(status, headers, body));
    }
    Ok(parse_stored_blocks(body)?)
}

fn failure(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ClientError {
    let parsed = parse_error(body).unwrap_or_default();
    let code = text(headers, &HeaderName::from_static("x-ms-error-code"))
        .map_or(parsed.code, str::to_owned);
    let message: String = parsed.message.chars().take(300).collect();
    match status {
        StatusCode::NOT_FOUND => ClientError::NotFound { code },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ClientError::PermissionDenied { code, message }
        }
        StatusCode::PRECONDITION_FAILED => ClientError::PreconditionFailed { code },
        StatusCode::NOT_MODIFIED => ClientError::NotModified,
        StatusCode::RANGE_NOT_SATISFIABLE => ClientError::RangeNotSatisfiable,
        StatusCode::CONFLICT => ClientError::Conflict { code },
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            unavailable(status, code, headers)
        }
        _ if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
            unavailable(status, code, headers)
        }
        _ => ClientError::Unexpected {
            status: status.as_u16(),
            code,
            message,
        },
    }
}

fn unavailable(status: StatusCode, code: String, headers: &HeaderMap) -> ClientError {
    let retry_after_seconds = text(headers, &RETRY_AFTER).and_then(|t| t.parse().ok());
    ClientError::Unavailable {
        status: status.as_u16(),
        code,
        retry_after_seconds,
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn etag(headers: &HeaderMap) -> Result<String, ClientError> {
    text(headers, &ETAG)
        .map(str::to_owned)
        .ok_or(ClientError::Malformed("ETag"))
}

/// First byte and total length of `bytes first-last/total`.
fn content_range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let (range, total) = text(headers, &CONTENT_RANGE)?
        .strip_prefix("bytes ")?
        .split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, total.parse().ok()?))
}
