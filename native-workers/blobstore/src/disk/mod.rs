//! The store on disk. Every call blocks; the handlers run them on the blocking pool.
//!
//! ```text
//! ROOT/
//!   format                          "1\n": the version of this layout
//!   lock                            held while a store is open
//!   containers/{container}/
//!     container.json                etag, dates, metadata
//!     blobs/{folder}+/…             the blob name's folders (see `escape`)
//!       {name}~{generation}         the bytes, a plain file that never changes
//!       {name}~{generation}~blocks  its block list, if it was made from blocks
//!       {name}~meta                 the sidecar: length, etag, headers, and which generation is current
//!     blocks/{sha256 of blob name}/ uncommitted blocks, one file each, named by the id in hex
//!   scratch/                        files being written; emptied at start
//!   trash/                          deleted containers on their way out; emptied at start
//!   outbox/                         events not yet delivered (see `crate::events`)
//! ```
//!
//! **Commit.** Bytes are written to `scratch`, synced and renamed to a name of their own; then the event is written to
//! the outbox and synced; then the sidecar is replaced by rename. That rename is the one moment at which the blob
//! changes: before it readers see the old blob, after it the new one. A crash before it leaves files that nothing
//! points to (the sweep removes them) and perhaps an event for a write that did not happen (events are hints).
//!
//! **Locks.** Writers of one blob take turns; creating and deleting a container excludes those who put files in place in
//! it (see `locks`). Whatever takes as long as there are bytes (receiving, joining, syncing them) holds no lock but the
//! blob's own turn. Readers take no lock: the sidecar names the generation, and when that file has just been replaced
//! the reader looks again.

mod blobs;
mod blocks;
mod containers;
mod durable;
mod escape;
mod locks;
mod meta;
mod sweep;
#[cfg(test)]
mod tests;
mod walk;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_blob::names::InvalidName;
use headwater_blob::server::{ErrorCode, ServiceError};
use jiff::Timestamp;

pub(crate) use blobs::{Content, Replacement, Terms, Write, check};
pub(crate) use containers::{ContainerMeta, ContainerPage};
pub(crate) use durable::{ScratchFile, SyncedFile};
pub(crate) use locks::{Locks, Turn, digest};
pub(crate) use meta::{BlobMeta, HttpHeaders};
pub(crate) use walk::Listing;

use crate::events::{Outbox, Subject};
use meta::BlobFiles;

const FORMAT: &str = "1\n";

/// Why a call failed: something to tell the client, or something to log.
#[derive(Debug)]
pub(crate) enum Failure {
    Service(ServiceError),
    Io(io::Error),
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self::Service(code.into())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<InvalidName> for Failure {
    fn from(error: InvalidName) -> Self {
        ServiceError::new(ErrorCode::InvalidResourceName, error.to_string()).into()
    }
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// The open store.
#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
    locks: Locks,
    stamps: Stamps,
    outbox: Option<Arc<Outbox>>,
    /// Keeps a second process out. Released by the kernel however we end.
    _lock: File,
}

impl Disk {
    /// Opens or creates a store. Fails if another process has it open or the layout is of another version.
    pub(crate) fn open(root: &Path, with_events: bool) -> io::Result<Self> {
        let lock = claim(root)?;
        for folder in ["containers", "scratch", "trash", "outbox"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let format = root.join("format");
        match fs::read_to_string(&format) {
            Ok(text) if text == FORMAT => {}
            Ok(text) => {
                let text = format!(
                    "{} has layout version {:?}, this program knows 1",
                    root.display(),
                    text.trim()
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                durable::replace_file(&root.join("scratch/format"), &format, FORMAT.as_bytes())?;
            }
            Err(error) => return Err(error),
        }
        empty(&root.join("scratch"))?;
        durable::sync_folder(root)?;
        let (outbox, last_event) = if with_events {
            let (outbox, last) = Outbox::open(root.join("outbox"))?;
            (Some(Arc::new(outbox)), last)
        } else {
            (None, 0)
        };
        Ok(Self {
            root: root.to_owned(),
            locks: Locks::default(),
            stamps: Stamps::after(last_event),
            outbox,
            _lock: lock,
        })
    }

    pub(crate) fn outbox(&self) -> Option<&Arc<Outbox>> {
        self.outbox.as_ref()
    }

    /// Waits until nobody else writes the blob.
    pub(crate) async fn turn(&self, container: &str, blob: &str) -> Turn {
        self.locks.turn(container, blob).await
    }

    /// A file for bytes that are on their way in.
    pub(crate) fn scratch(&self) -> io::Result<ScratchFile> {
        ScratchFile::create(&self.root.join("scratch"))
    }

    fn scratch_path(&self) -> PathBuf {
        self.root
            .join("scratch")
            .join(uuid::Uuid::new_v4().simple().to_string())
    }

    fn container_folder(&self, container: &str) -> PathBuf {
        self.root.join("containers").join(container)
    }

    /// Where the blob's files are. The container need not exist.
    pub(crate) fn files(&self, container: &str, blob: &str) -> Result<BlobFiles> {
        let path = escape::blob_path(blob).map_err(|error| {
            ServiceError::new(ErrorCode::InvalidResourceName, error.to_string())
        })?;
        let folder = self
            .container_folder(container)
            .join("blobs")
            .join(path.folder);
        Ok(BlobFiles {
            folder,
            stem: path.stem,
        })
    }

    /// Whether a blob of this name can be written: for a check before its bytes arrive.
    pub(crate) fn takes(&self, container: &str, blob: &str) -> Result<()> {
        self.files(container, blob)?;
        self.container(container).map(drop)
    }

    fn stamp(&self, now: Timestamp) -> u64 {
        self.stamps.next(now)
    }

    /// An etag that no blob had before, without quotes. The random part covers a clock that went back while the
    /// store was closed.
    fn new_etag(&self, stamp: u64) -> String {
        let random = uuid::Uuid::new_v4().as_fields().0;
        format!("0x{stamp:016X}{random:08X}")
    }

    /// Records an event before its write is committed; `None` when nobody listens or the blob is one of our own files.
    fn record_event(
        &self,
        stamp: u64,
        subject: Subject<'_>,
    ) -> io::Result<Option<crate::events::Recorded>> {
        match &self.outbox {
            Some(outbox) if !is_internal(subject.blob) => outbox.record(stamp, &subject).map(Some),
            _ => Ok(None),
        }
    }
}

/// Numbers for what follows one another.
#[derive(Debug)]
pub(crate) struct Stamps(AtomicU64);

impl Stamps {
    /// All of them are larger than `last`.
    pub(crate) fn after(last: u64) -> Self {
        Self(AtomicU64::new(last))
    }

    /// A number that grows with every call: the time in nanoseconds unless that did not advance.
    pub(crate) fn next(&self, now: Timestamp) -> u64 {
        let now = u64::try_from(now.as_nanosecond()).unwrap_or(0);
        let next = |last: u64| now.max(last + 1);
        let last = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(next(last)));
        next(last.unwrap_or_else(|last| last))
    }
}

/// Creates a folder and keeps every other process out of it for as long as the file is open.
pub(crate) fn claim(root: &Path) -> io::Result<File> {
    fs::create_dir_all(root)?;
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(root.join("lock"))?;
    lock.try_lock().map_err(|_| {
        io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!("{} is in use by another process", root.display()),
        )
    })?;
    Ok(lock)
}

/// Removes everything in a folder.
pub(crate) fn empty(folder: &Path) -> io::Result<()> {
    for leftover in fs::read_dir(folder)? {
        let leftover = leftover?;
        if leftover.file_type()?.is_dir() {
            fs::remove_dir_all(leftover.path())?;
        } else {
            fs::remove_file(leftover.path())?;
        }
    }
    Ok(())
}

/// Whether a blob is an index file of ours, about which nobody wants events.
pub(crate) fn is_internal(blob: &str) -> bool {
    blob.rsplit_once('/')
        .is_some_and(|(folders, _)| folders.split('/').any(|part| part == ".headwater"))
}
