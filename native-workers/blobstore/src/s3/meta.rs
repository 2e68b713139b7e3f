//! A blob's headers and metadata as those of an object, and back.

use headwater_blob::server::{ErrorCode, ServiceError};
use headwater_blob::time::parse_http_date;
use http::HeaderMap;
use jiff::Timestamp;

use super::client::{Headers, header};
use crate::disk::{BlobMeta, ContainerMeta, HttpHeaders, Result};

/// Begins the names of what a user says about an object.
const USER: &str = "x-amz-meta-";
/// Our own: no name of Azure's metadata has a hyphen in it.
const MD5: &str = "x-amz-meta-headwater-md5";
const WRITE: &str = "x-amz-meta-headwater-write";
const BLOCKS: &str = "x-amz-meta-headwater-blocks";
const CREATED: &str = "x-amz-meta-headwater-created";
/// Most bytes of an object's metadata, names and values together, ours included.
const MAX_METADATA: usize = 2 << 10;

/// What an object is stored with.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) headers: HttpHeaders,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) created: Timestamp,
    /// Which write it was, and which block list is the object's if it has one.
    pub(super) generation: String,
    /// Whether it was put together from blocks.
    pub(super) blocks: bool,
}

impl Said {
    /// As the headers of a request that stores it. Header names are made from a closed set and from `metadata`, whose names Azure
    /// restricts to letters, digits and underscores.
    pub(super) fn to_headers(&self) -> Result<Headers> {
        let h = &self.headers;
        let mut out: Headers = [
            ("content-type", &h.content_type),
            ("content-encoding", &h.content_encoding),
            ("content-language", &h.content_language),
            ("content-disposition", &h.content_disposition),
            ("cache-control", &h.cache_control),
            (MD5, &h.content_md5),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)))
        .collect();
        out.push((CREATED.to_owned(), self.created.to_string()));
        out.push((WRITE.to_owned(), self.generation.clone()));
        if self.blocks {
            out.push((BLOCKS.to_owned(), "true".to_owned()));
        }
        for (name, value) in &self.metadata {
            out.push((format!("{USER}{name}"), value.clone()));
        }
        let size = |(name, value): &(String, String)| {
            name.strip_prefix(USER)
                .map_or(0, |name| name.len() + value.len())
        };
        if out.iter().map(size).sum::<usize>() > MAX_METADATA {
            let detail = "In a bucket metadata has at most 2 KiB, less some for our own.";
            return Err(ServiceError::new(ErrorCode::MetadataTooLarge, detail).into());
        }
        Ok(out)
    }
}

/// An object as the headers of HEAD or GET tell of it. `Err`: what is missing.
pub(super) fn blob(headers: &HeaderMap) -> std::result::Result<BlobMeta, String> {
    let text = |name: &str| header(headers, name).map(str::to_owned);
    let len = match header(headers, "content-range") {
        Some(range) => range.rsplit('/').next().and_then(|len| len.parse().ok()),
        None => header(headers, "content-length").and_then(|len| len.parse().ok()),
    };
    let last_modified = modified(headers)?;
    let created = header(headers, CREATED).and_then(|text| text.parse().ok());
    Ok(BlobMeta {
        blocks: headers.contains_key(BLOCKS),
        generation: text(WRITE).unwrap_or_default(),
        etag: etag(headers)?,
        len: len.ok_or("no length")?,
        created: created.unwrap_or(last_modified),
        last_modified,
        headers: HttpHeaders {
            content_type: text("content-type"),
            content_encoding: text("content-encoding"),
            content_language: text("content-language"),
            content_disposition: text("content-disposition"),
            cache_control: text("cache-control"),
            content_md5: text(MD5),
        },
        metadata: metadata(headers),
    })
}

/// A container, by the object that stands for it.
pub(super) fn container(headers: &HeaderMap) -> std::result::Result<ContainerMeta, String> {
    Ok(ContainerMeta {
        etag: etag(headers)?,
        last_modified: modified(headers)?,
        metadata: metadata(headers),
    })
}

/// Without quotes, as the rest of this crate has them.
pub(super) fn etag(headers: &HeaderMap) -> std::result::Result<String, String> {
    let etag = header(headers, "etag").ok_or("no entity tag")?;
    Ok(bare_etag(etag).to_owned())
}

pub(super) fn bare_etag(etag: &str) -> &str {
    etag.trim_matches('"')
}

fn modified(headers: &HeaderMap) -> std::result::Result<Timestamp, String> {
    let date = header(headers, "last-modified").and_then(parse_http_date);
    date.ok_or_else(|| "no date".to_owned())
}

fn metadata(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = headers
        .iter()
        .filter_map(|(name, value)| {
            let name = name.as_str();
            let key = name.strip_prefix(USER)?;
            // Others' names may be what Azure's cannot: those stay in the bucket.
            let azure = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            azure.then(|| Some((key.to_owned(), value.to_str().ok()?.to_owned())))?
        })
        .collect();
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(String, String)]) -> HeaderMap {
        headers
            .iter()
            .map(|(name, value)| {
                (
                    http::HeaderName::try_from(name).unwrap(),
                    value.parse().unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn what_is_said_of_a_blob_comes_back() {
        let said = Said {
            headers: HttpHeaders {
                content_type: Some("video/mp4".into()),
                cache_control: Some("no-store".into()),
                content_md5: Some("1B2M2Y8AsgTpgAmY7PhCfg==".into()),
                ..HttpHeaders::default()
            },
            metadata: vec![("a_b".into(), "1".into()), ("title".into(), "x y".into())],
            created: "2026-11-01T10:00:00.5Z".parse().unwrap(),
            generation: "g1".into(),
            blocks: true,
        };
        let mut stored = said.to_headers().unwrap();
        for (name, value) in [
            ("etag", "\"abc-2\""),
            ("content-range", "bytes 0-9/1234"),
            ("content-length", "10"),
            ("last-modified", "Sun, 22 Nov 2026 18:00:00 GMT"),
            ("x-amz-meta-not-azures", "kept where it is"),
        ] {
            stored.push((name.into(), value.into()));
        }
        let meta = blob(&map(&stored)).unwrap();
        assert_eq!((meta.len, meta.etag.as_str()), (1234, "abc-2"));
        assert_eq!((meta.headers, meta.metadata), (said.headers, said.metadata));
        assert_eq!(
            (meta.created, meta.generation),
            (said.created, said.generation)
        );
        assert!(meta.blocks);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let said = Said {
            headers: HttpHeaders::default(),
            metadata: vec![("long".into(), "x".repeat(2048))],
            created: Timestamp::UNIX_EPOCH,
            generation: String::new(),
            blocks: false,
        };
        let error = said.to_headers().unwrap_err();
        assert!(format!("{error:?}").contains("MetadataTooLarge"));
    }

    #[test]
    fn an_answer_without_a_date_is_none() {
        assert_eq!(blob(&HeaderMap::new()).unwrap_err(), "no date");
    }
}
