//! The sidecar of a blob: everything but its bytes. Writing it is what commits a blob.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Ends the name of the sidecar: `{stem}~meta`.
pub(crate) const META_SUFFIX: &str = "~meta";

/// HTTP headers stored with a blob and sent back on reads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct HttpHeaders {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    /// Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_md5: Option<String>,
}

/// `{stem}~meta`, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlobMeta {
    /// The bytes are in `{stem}~{generation}`; the block list, if any, in `{stem}~{generation}~blocks`.
    pub(crate) generation: String,
    /// Without quotes. Another one after every write, also of metadata.
    pub(crate) etag: String,
    /// Bytes.
    pub(crate) len: u64,
    pub(crate) created: Timestamp,
    pub(crate) last_modified: Timestamp,
    #[serde(default)]
    pub(crate) headers: HttpHeaders,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) metadata: Vec<(String, String)>,
    /// Whether it was committed from blocks.
    #[serde(default)]
    pub(crate) blocks: bool,
}

/// The files of one blob.
#[derive(Debug, Clone)]
pub(crate) struct BlobFiles {
    pub(crate) folder: PathBuf,
    pub(crate) stem: String,
}

impl BlobFiles {
    pub(crate) fn meta(&self) -> PathBuf {
        self.folder.join(format!("{}{META_SUFFIX}", self.stem))
    }

    pub(crate) fn bytes(&self, generation: &str) -> PathBuf {
        self.folder.join(format!("{}~{generation}", self.stem))
    }

    pub(crate) fn block_list(&self, generation: &str) -> PathBuf {
        self.folder
            .join(format!("{}~{generation}~blocks", self.stem))
    }

    /// `None` if there is no such blob.
    pub(crate) fn read_meta(&self) -> io::Result<Option<BlobMeta>> {
        read_json(&self.meta())
    }
}

/// Reads a JSON file; `None` if there is none.
pub(crate) fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e)),
        // A folder on the way may be missing, or be something else.
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}
