//! Get Blob, Get Blob Properties, Get Block List, List Blobs.

use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headwater_blob::server::{
    ByteRange, ErrorCode, ListBlobs, Outcome, Preconditions, ServiceError, State, Use, parse_range,
};
use headwater_blob::xml::{ListBlobsAnswer, write_blob_page, write_stored_blocks};
use http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    RANGE,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::checksum::md5_base64;
use super::headers::{set, set_blob, set_version};
use super::{Answer, Call, Engine, Result, bare, full_body, xml};
use crate::backing::{Page, Source};
use crate::disk::BlobMeta;

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const BLOB_CONTENT_MD5: HeaderName = HeaderName::from_static("x-ms-blob-content-md5");

/// Largest range for which a checksum is computed on request.
const MAX_CHECKED_RANGE: u64 = 4 << 20;

impl Engine {
    pub(super) async fn get_blob(self: &Arc<Self>, call: Call) -> Result<Answer> {
        let expected = expected(&call.head.headers);
        let blob = self
            .store
            .open(call.container()?, call.blob()?, expected)
            .await?;
        if let Some(answer) = unmet(&call.head.headers, &blob.meta)? {
            return Ok(answer);
        }
        let range = asked_range(&call.head.headers, &blob.meta);
        let range = match range.map(|range| range.resolve(blob.meta.len)) {
            Some(Err(_)) => return Ok(outside(&blob.meta)),
            Some(Ok(range)) => Some(range),
            None => None,
        };
        let whole = 0..blob.meta.len;
        let sent = range.clone().unwrap_or(whole);
        let wants_md5 = flag(&call.head.headers, "x-ms-range-get-content-md5");
        if flag(&call.head.headers, "x-ms-range-get-content-crc64") {
            return Err(ServiceError::new(
                ErrorCode::UnsupportedHeader,
                "x-ms-range-get-content-crc64",
            )
            .into());
        }
        let mut answer = if wants_md5 && range.is_some() {
            checked_range(blob.source, &sent).await?
        } else {
            http::Response::new(blob.source.send(sent.clone()).await?)
        };
        let headers = answer.headers_mut();
        set_blob(headers, &blob.meta, &call.authorized.overrides);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(sent.end - sent.start));
        let md5_name = if range.is_some() {
            BLOB_CONTENT_MD5
        } else {
            CONTENT_MD5
        };
        if let Some(md5) = &blob.meta.headers.content_md5 {
            set(headers, md5_name, md5);
        }
        if range.is_some() {
            set(
                headers,
                CONTENT_RANGE,
                &format!("bytes {}-{}/{}", sent.start, sent.end - 1, blob.meta.len),
            );
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        Ok(answer)
    }

    pub(super) async fn blob_properties(self: &Arc<Self>, call: Call) -> Result<Answer> {
        let meta = self
            .store
            .properties(call.container()?, call.blob()?)
            .await?;
        if let Some(answer) = unmet(&call.head.headers, &meta)? {
            return Ok(answer);
        }
        let mut answer = bare(StatusCode::OK);
        let headers = answer.headers_mut();
        set_blob(headers, &meta, &call.authorized.overrides);
        if call.head.method == http::Method::HEAD {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(meta.len));
        }
        if let Some(md5) = &meta.headers.content_md5 {
            set(headers, CONTENT_MD5, md5);
        }
        Ok(answer)
    }

    pub(super) async fn get_block_list(
        self: &Arc<Self>,
        call: Call,
        committed: bool,
        uncommitted: bool,
    ) -> Result<Answer> {
        let turn = self.store.turn(call.container()?, call.blob()?).await;
        let (mut list, meta) = self.store.block_list(turn).await?;
        list.committed = list.committed.filter(|_| committed);
        list.uncommitted = list.uncommitted.filter(|_| uncommitted);
        let mut answer = xml(StatusCode::OK, write_stored_blocks(&list));
        if let Some(meta) = meta {
            set_version(answer.headers_mut(), &meta);
            set(
                answer.headers_mut(),
                HeaderName::from_static("x-ms-blob-content-length"),
                &meta.len.to_string(),
            );
        }
        Ok(answer)
    }

    pub(super) async fn list_blobs(
        self: &Arc<Self>,
        call: Call,
        list: ListBlobs,
    ) -> Result<Answer> {
        let page = Page {
            prefix: list.prefix.clone().unwrap_or_default(),
            delimiter: list.delimiter.clone(),
            from: decode_marker(list.marker.as_deref())?,
            limit: usize::try_from(list.limit()).unwrap_or(usize::MAX),
            with_metadata: list.include_metadata,
        };
        let mut page = self.store.list_blobs(call.container()?, page).await?;
        page.next_marker = page.next_marker.as_deref().map(encode_marker);
        let text = write_blob_page(&ListBlobsAnswer {
            service_endpoint: &call.service_endpoint(&self.account),
            container: call.container()?,
            prefix: list.prefix.as_deref(),
            marker: list.marker.as_deref(),
            max_results: list.max_results,
            delimiter: list.delimiter.as_deref(),
            include_metadata: list.include_metadata,
            page: &page,
        });
        Ok(xml(StatusCode::OK, text))
    }
}

/// Markers are opaque to clients; ours hold the name to go on with.
pub(super) fn encode_marker(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

pub(super) fn decode_marker(marker: Option<&str>) -> Result<String> {
    let invalid = || ServiceError::new(ErrorCode::InvalidQueryParameterValue, "marker");
    let bytes = URL_SAFE_NO_PAD
        .decode(marker.unwrap_or_default())
        .map_err(|_| invalid())?;
    Ok(String::from_utf8(bytes).map_err(|_| invalid())?)
}

/// The answer of a read whose conditions do not hold.
fn unmet(headers: &HeaderMap, meta: &BlobMeta) -> Result<Option<Answer>> {
    let state = State {
        etag: &meta.etag,
        last_modified: meta.last_modified,
    };
    match Preconditions::from_headers(headers)?.evaluate(Use::Read, Some(state)) {
        Outcome::Proceed => Ok(None),
        Outcome::Fail(code) => Err(code.into()),
        Outcome::NotModified => {
            let mut answer = bare(StatusCode::NOT_MODIFIED);
            set_version(answer.headers_mut(), meta);
            let code = HeaderValue::from_static("ConditionNotMet");
            answer
                .headers_mut()
                .insert(HeaderName::from_static("x-ms-error-code"), code);
            Ok(Some(answer))
        }
    }
}

/// The range asked for; `x-ms-range` wins over `Range`. `If-Range` with another version means the whole blob.
fn asked_range(headers: &HeaderMap, meta: &BlobMeta) -> Option<ByteRange> {
    if let Some(validator) = headers.get(IF_RANGE) {
        let same = validator
            .to_str()
            .is_ok_and(|text| text.trim().trim_matches('"') == meta.etag);
        if !same {
            return None;
        }
    }
    let header = headers.get("x-ms-range").or_else(|| headers.get(RANGE))?;
    parse_range(header.to_str().ok()?)
}

fn flag(headers: &HeaderMap, name: &str) -> bool {
    headers
        .get(name)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

fn outside(meta: &BlobMeta) -> Answer {
    let error = ServiceError::from(ErrorCode::InvalidRange);
    let mut answer = xml(StatusCode::RANGE_NOT_SATISFIABLE, error.body("", ""));
    let headers = answer.headers_mut();
    set(headers, CONTENT_RANGE, &format!("bytes */{}", meta.len));
    set(headers, ETAG, &format!("\"{}\"", meta.etag));
    headers.insert(
        HeaderName::from_static("x-ms-error-code"),
        HeaderValue::from_static("InvalidRange"),
    );
    answer
}

/// What will be read of the blob if nothing comes between, as [`crate::backing::Backing::open`] takes it. With conditions it may be nothing.
fn expected(headers: &HeaderMap) -> Option<Option<ByteRange>> {
    let conditional = [IF_RANGE, IF_NONE_MATCH, IF_MODIFIED_SINCE];
    if conditional.iter().any(|name| headers.contains_key(name)) {
        return None;
    }
    let header = headers.get("x-ms-range").or_else(|| headers.get(RANGE));
    Some(header.and_then(|header| parse_range(header.to_str().ok()?)))
}

/// A range with its MD5 in front, as asked for by `x-ms-range-get-content-md5`.
async fn checked_range(source: Source, range: &Range<u64>) -> Result<Answer> {
    if range.end - range.start > MAX_CHECKED_RANGE {
        let detail = "A checksum is computed for ranges of at most 4 MiB.";
        return Err(ServiceError::new(ErrorCode::OutOfRangeInput, detail).into());
    }
    let bytes = source.read(range.clone()).await?;
    let md5 = md5_base64(&bytes);
    let mut answer = http::Response::new(full_body(bytes));
    set(answer.headers_mut(), CONTENT_MD5, &md5);
    Ok(answer)
}
