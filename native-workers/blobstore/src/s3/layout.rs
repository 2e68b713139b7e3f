//! Where things are in the bucket.
//!
//! ```text
//! {prefix}{container}/{blob}                                     a blob, as any S3 client sees it
//! {prefix}.headwater/containers/{container}/created              a container that was created; others are there by their blobs
//! {prefix}.headwater/deleting/{container}                        one that is on its way out
//! {prefix}.headwater/blocks/{container}/{sha256 of blob name}/{id in hex}   an uncommitted block
//! {prefix}.headwater/lists/{container}/{sha256 of blob name}/{generation}   the block list of a blob, as JSON
//! {prefix}.headwater/probe/{uuid}                                what a start looks at the bucket's manners with
//! ```
//!
//! No container's name begins with a dot, so that ours are in nobody's way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_blob::server::{ErrorCode, ServiceError};

use crate::disk::{Result, digest};

/// Longest key, bytes.
const MAX_KEY: usize = 1024;

/// XML 1.0 clause 2.2 has no way to write these.
const UNLISTABLE: [char; 2] = ['\u{FFFE}', '\u{FFFF}'];

/// The keys of one store.
#[derive(Debug)]
pub(super) struct Layout {
    /// Empty, or with a slash at its end.
    prefix: String,
}

impl Layout {
    /// `prefix`: a folder of the bucket, with or without slashes around it.
    pub(super) fn new(prefix: &str) -> Self {
        let bare = prefix.trim_matches('/');
        Self {
            prefix: if bare.is_empty() {
                String::new()
            } else {
                format!("{bare}/")
            },
        }
    }

    /// What the keys of a container's blobs begin with.
    pub(super) fn container(&self, container: &str) -> String {
        format!("{}{container}/", self.prefix)
    }

    /// What the keys of all containers whose names begin so begin with.
    pub(super) fn containers(&self, prefix: &str) -> String {
        format!("{}{prefix}", self.prefix)
    }

    /// Fails for names that are longer than S3's keys may be, and for those that a listing cannot show.
    pub(super) fn blob(&self, container: &str, blob: &str) -> Result<String> {
        if blob.contains(UNLISTABLE) {
            let detail = "The name has a character that a listing cannot show.";
            return Err(ServiceError::new(ErrorCode::InvalidResourceName, detail).into());
        }
        let key = format!("{}{container}/{blob}", self.prefix);
        if key.len() > MAX_KEY {
            let detail = format!(
                "In this bucket a name has at most {MAX_KEY} bytes, container and folder included."
            );
            return Err(ServiceError::new(ErrorCode::InvalidResourceName, detail).into());
        }
        Ok(key)
    }

    fn own(&self, what: &str, rest: &str) -> String {
        format!("{}.headwater/{what}/{rest}", self.prefix)
    }

    pub(super) fn created(&self, container: &str) -> String {
        self.own("containers", &format!("{container}/created"))
    }

    /// What the keys of created containers begin with whose names begin with `prefix`.
    pub(super) fn all_created(&self, prefix: &str) -> String {
        self.own("containers", prefix)
    }

    /// Of a container, or with an empty name what all of them begin with.
    pub(super) fn deleting(&self, container: &str) -> String {
        self.own("deleting", container)
    }

    pub(super) fn blocks(&self, container: &str, blob: &str) -> String {
        self.own("blocks", &format!("{container}/{}/", digest(blob)))
    }

    /// What the keys of all uncommitted blocks begin with, or of those of a container.
    pub(super) fn all_blocks(&self, container: Option<&str>) -> String {
        let folder = container.map(|name| format!("{name}/"));
        self.own("blocks", &folder.unwrap_or_default())
    }

    /// `id`: base64, as the client sent it.
    pub(super) fn block(&self, container: &str, blob: &str, id: &str) -> Result<String> {
        headwater_blob::server::check_block_id(id)?;
        let raw = STANDARD.decode(id).map_err(|_| ErrorCode::InvalidBlockId)?;
        Ok(format!(
            "{}{}",
            self.blocks(container, blob),
            const_hex::encode(raw)
        ))
    }

    pub(super) fn list(&self, container: &str, blob: &str, generation: &str) -> String {
        self.own(
            "lists",
            &format!("{container}/{}/{generation}", digest(blob)),
        )
    }

    pub(super) fn lists(&self, container: &str) -> String {
        self.own("lists", &format!("{container}/"))
    }

    pub(super) fn probe(&self, name: &str) -> String {
        self.own("probe", name)
    }
}

/// Whether an XML document can hold a key. Other clients may store what ours do not.
pub(super) fn fits_xml(key: &str) -> bool {
    !key.contains(|c: char| {
        UNLISTABLE.contains(&c) || (c < ' ' && !matches!(c, '\t' | '\n' | '\r'))
    })
}

/// The last part of a key.
pub(super) fn last(key: &str) -> &str {
    key.trim_end_matches('/').rsplit('/').next().unwrap_or(key)
}

/// The id (base64) of the block at a key.
pub(super) fn block_id(key: &str) -> Option<String> {
    let raw = const_hex::decode(last(key)).ok()?;
    Some(STANDARD.encode(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_where_other_clients_look_for_them() {
        for (prefix, key) in [("", "films/a/b.mp4"), ("/media/", "media/films/a/b.mp4")] {
            let layout = Layout::new(prefix);
            assert_eq!(layout.blob("films", "a/b.mp4").unwrap(), key);
            assert!(key.starts_with(&layout.container("films")));
        }
        let layout = Layout::new("x");
        assert!(layout.blob("films", &"ä".repeat(600)).is_err());
        assert!(layout.blob("films", "a\u{FFFE}").is_err());
        assert!(fits_xml("films/ä") && !fits_xml("films/\u{1}") && !fits_xml("films/\u{FFFF}"));
    }

    #[test]
    fn a_blocks_key_tells_its_id() {
        let layout = Layout::new("");
        let key = layout.block("films", "b", "YmxvY2stMQ==").unwrap();
        assert_eq!(block_id(&key).as_deref(), Some("YmxvY2stMQ=="));
        assert!(layout.block("films", "b", "not base64!").is_err());
    }
}
