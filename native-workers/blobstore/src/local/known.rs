//! What is known of URLs that were opened lately. Whoever plays a film asks for pieces of the same few files, many times a
//! second: then one look tells that the blob is still the one whose sidecar was read, and that the URL was signed is known.
//!
//! A sidecar is never written into, but replaced: its number, length and times tell one from the next. Should they ever not, the
//! bytes of the old one are gone, and everything is looked at anew.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::LocalBlob;

/// How long what was found is relied on, at most.
const LASTS: Duration = Duration::from_secs(5);
/// Most URLs that are remembered: a few hundred bytes each.
const MOST: usize = 1024;

/// Device, number, length, and the times of the last change of content and of anything.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileId([u64; 3], [i64; 4]);

impl FileId {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        Ok(Self(
            [about.dev(), about.ino(), about.len()],
            [
                about.mtime(),
                about.mtime_nsec(),
                about.ctime(),
                about.ctime_nsec(),
            ],
        ))
    }
}

/// A blob that was opened.
#[derive(Debug)]
pub(super) struct Found {
    /// The entity tag that the caller relied on.
    pub(super) if_match: Option<String>,
    pub(super) sidecar: PathBuf,
    /// Of the sidecar, from before it was read.
    pub(super) id: FileId,
    pub(super) bytes: PathBuf,
    pub(super) len: u64,
    pub(super) etag: String,
    pub(super) content_type: String,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<String, (Arc<Found>, Instant)>>);

impl Known {
    /// What the URL opened lately, if it still does.
    pub(super) fn open(&self, url: &str, if_match: Option<&str>) -> Option<LocalBlob> {
        let found = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (found, until) = known.get(url)?;
            if *until <= Instant::now() || found.if_match.as_deref() != if_match {
                return None;
            }
            Arc::clone(found)
        };
        if FileId::of(&found.sidecar).ok()? != found.id {
            return None;
        }
        let file = File::open(&found.bytes).ok()?;
        (file.metadata().ok()?.len() == found.len).then(|| LocalBlob {
            file,
            len: found.len,
            etag: found.etag.clone(),
            content_type: found.content_type.clone(),
        })
    }

    /// Remembers what `url` opened, no longer than its signature holds: for `signed`.
    pub(super) fn put(&self, url: &str, found: Found, signed: Duration) {
        let now = Instant::now();
        let until = now + signed.min(LASTS);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, (_, until)| *until > now);
        }
        if known.len() < MOST {
            known.insert(url.to_owned(), (Arc::new(found), until));
        }
    }
}
