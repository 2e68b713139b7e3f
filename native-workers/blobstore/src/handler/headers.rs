//! Blob headers: what a request sets, and what an answer shows.

use headwater_blob::sas::ResponseOverrides;
use headwater_blob::server::{ErrorCode, ServiceError};
use headwater_blob::time::http_date;
use http::HeaderMap;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED,
};

use super::Result;
use crate::disk::{BlobMeta, HttpHeaders};

/// Most bytes of a stored header's value. Listings and events repeat them, so they may not be as long as a request's
/// head.
const MAX_HEADER: usize = 1 << 10;
/// Most bytes of metadata, names and values together.
const MAX_METADATA: usize = 8 << 10;

/// Features whose headers must not be overlooked: they would change what the request means.
const UNSUPPORTED: [&str; 9] = [
    "x-ms-if-tags",
    "x-ms-tags",
    "x-ms-encryption-key",
    "x-ms-encryption-scope",
    "x-ms-structured-body",
    "x-ms-blob-sequence-number",
    "x-ms-immutability-policy-until-date",
    "x-ms-legal-hold",
    "x-ms-source-if-match",
];

/// Fails if the request asks for a feature that the store lacks.
pub(super) fn refuse_unsupported(headers: &HeaderMap) -> Result<()> {
    if headers.contains_key("x-ms-lease-id") {
        return Err(ErrorCode::LeaseNotPresentWithBlobOperation.into());
    }
    if let Some(name) = UNSUPPORTED.iter().find(|name| headers.contains_key(**name)) {
        return Err(ServiceError::new(ErrorCode::UnsupportedHeader, *name).into());
    }
    // Hot, cool and cold differ in price, which a local disk does not have. An archived blob could not be read.
    if headers
        .get("x-ms-access-tier")
        .is_some_and(|tier| tier.as_bytes().eq_ignore_ascii_case(b"archive"))
    {
        return Err(
            ServiceError::new(ErrorCode::UnsupportedHeader, "x-ms-access-tier: Archive").into(),
        );
    }
    Ok(())
}

/// The stored headers a request sets. `fallback`: whether a plain `Content-Type` etc. counts when the `x-ms-blob-` one
/// is missing, as in Put Blob.
pub(super) fn blob_headers(headers: &HeaderMap, fallback: bool) -> Result<HttpHeaders> {
    let get = |name: &str| -> Result<Option<String>> {
        let own = headers.get(format!("x-ms-blob-{name}"));
        let value = own.or_else(|| headers.get(name).filter(|_| fallback));
        let Some(value) = value else { return Ok(None) };
        let text = value
            .to_str()
            .ok()
            .filter(|text| text.len() <= MAX_HEADER)
            .ok_or_else(|| ServiceError::new(ErrorCode::InvalidHeaderValue, name))?;
        Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
    };
    Ok(HttpHeaders {
        content_type: get("content-type")?,
        content_encoding: get("content-encoding")?,
        content_language: get("content-language")?,
        content_disposition: get("content-disposition")?,
        cache_control: get("cache-control")?,
        content_md5: get("content-md5")?,
    })
}

/// `x-ms-meta-*`, in name order. HTTP lower-cases the names.
pub(super) fn metadata(headers: &HeaderMap) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut size = 0;
    for (name, value) in headers {
        let Some(key) = name.as_str().strip_prefix("x-ms-meta-") else {
            continue;
        };
        let text = value.to_str().map_err(|_| ErrorCode::InvalidMetadata)?;
        // An identifier, as Azure asks for: it becomes an XML element in listings.
        let starts_well = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(ErrorCode::InvalidMetadata.into());
        }
        size += key.len() + text.len();
        if size > MAX_METADATA {
            return Err(ErrorCode::MetadataTooLarge.into());
        }
        pairs.push((key.to_owned(), text.to_owned()));
    }
    pairs.sort_unstable();
    Ok(pairs)
}

/// Etag and date, as every answer about a blob carries them.
pub(super) fn set_version(out: &mut HeaderMap, meta: &BlobMeta) {
    set(out, ETAG, &format!("\"{}\"", meta.etag));
    set(out, LAST_MODIFIED, &http_date(meta.last_modified));
}

/// Everything Get Blob and Get Blob Properties show, except length and MD5.
pub(super) fn set_blob(out: &mut HeaderMap, meta: &BlobMeta, overrides: &ResponseOverrides) {
    set_version(out, meta);
    let stored = &meta.headers;
    let default_type = "application/octet-stream".to_owned();
    let shown = [
        (
            CONTENT_TYPE,
            &overrides.content_type,
            stored.content_type.as_ref().or(Some(&default_type)),
        ),
        (
            CONTENT_ENCODING,
            &overrides.content_encoding,
            stored.content_encoding.as_ref(),
        ),
        (
            CONTENT_LANGUAGE,
            &overrides.content_language,
            stored.content_language.as_ref(),
        ),
        (
            CONTENT_DISPOSITION,
            &overrides.content_disposition,
            stored.content_disposition.as_ref(),
        ),
        (
            CACHE_CONTROL,
            &overrides.cache_control,
            stored.cache_control.as_ref(),
        ),
    ];
    for (name, signed, stored) in shown {
        if let Some(value) = signed.as_ref().or(stored) {
            set(out, name, value);
        }
    }
    out.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    set(
        out,
        HeaderName::from_static("x-ms-creation-time"),
        &http_date(meta.created),
    );
    for (name, value) in [
        ("x-ms-blob-type", "BlockBlob"),
        ("x-ms-lease-status", "unlocked"),
        ("x-ms-lease-state", "available"),
        ("x-ms-server-encrypted", "false"),
    ] {
        out.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    for (name, value) in &meta.metadata {
        if let Ok(name) = HeaderName::try_from(format!("x-ms-meta-{name}")) {
            set(out, name, value);
        }
    }
}

/// Sets a header; a value that cannot be sent (a signed override may hold anything) is left out.
pub(super) fn set(out: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        out.insert(name, value);
    }
}
