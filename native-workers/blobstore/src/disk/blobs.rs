//! Blobs: opened, committed, changed and deleted.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::PoisonError;

use headwater_blob::server::{ErrorCode, Outcome, Preconditions, State, Use};
use headwater_blob::xml::BlockRef;
use jiff::Timestamp;

use super::blocks::Complete;
use super::durable::{SyncedFile, ensure_folder, remove_if_there, replace_file, sync_folder};
use super::locks::Turn;
use super::meta::{BlobFiles, BlobMeta, HttpHeaders};
use super::{Disk, Result};
use crate::events::{Api, Subject};

/// How often a step is repeated that lost a race against another writer.
const ATTEMPTS: usize = 8;

/// A blob opened for reading. The file stays readable even if the blob is replaced or deleted meanwhile.
#[derive(Debug)]
pub(crate) struct OpenBlob {
    pub(crate) file: File,
    pub(crate) meta: BlobMeta,
}

/// Where the bytes of a write are.
#[derive(Debug)]
pub(crate) enum Content {
    /// Put Blob: in a scratch file, complete.
    Whole { bytes: SyncedFile, len: u64 },
    /// Put Block List.
    Blocks(Vec<BlockRef>),
}

/// A blob to be created or replaced.
#[derive(Debug)]
pub(crate) struct Write<'a> {
    pub(crate) headers: HttpHeaders,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) terms: Terms<'a>,
    pub(crate) content: Content,
}

/// What must hold of the blob that is there, if any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) conditions: &'a Preconditions,
    /// Whether the caller may replace a blob.
    pub(crate) overwrite: bool,
}

/// What a write finds.
struct Found {
    container_etag: String,
    old: Option<BlobMeta>,
}

/// A part of what is said about a blob, to be replaced.
#[derive(Debug, Clone)]
pub(crate) enum Replacement {
    Headers(HttpHeaders),
    Metadata(Vec<(String, String)>),
}

/// Fails if the conditions do not hold of the blob that is there, if any.
pub(crate) fn check(
    conditions: &Preconditions,
    intent: Use,
    meta: Option<&BlobMeta>,
) -> Result<()> {
    let state = meta.map(|meta| State {
        etag: &meta.etag,
        last_modified: meta.last_modified,
    });
    match conditions.evaluate(intent, state) {
        Outcome::Fail(code) => Err(code.into()),
        Outcome::Proceed | Outcome::NotModified => Ok(()),
    }
}

impl Disk {
    /// The blob's sidecar. Fails with `ContainerNotFound` or `BlobNotFound`.
    pub(crate) fn properties(&self, container: &str, blob: &str) -> Result<BlobMeta> {
        match self.files(container, blob)?.read_meta()? {
            Some(meta) => Ok(meta),
            None => {
                self.container(container)?;
                Err(ErrorCode::BlobNotFound.into())
            }
        }
    }

    /// Opens the blob as it is now. A file of another length than its sidecar says is damaged and is not handed out:
    /// readers map it into memory, where a read behind its end kills the process.
    pub(crate) fn open_blob(&self, container: &str, blob: &str) -> Result<OpenBlob> {
        let files = self.files(container, blob)?;
        for _ in 0..ATTEMPTS {
            let meta = self.properties(container, blob)?;
            match File::open(files.bytes(&meta.generation)) {
                Ok(file) => {
                    let found = file.metadata()?.len();
                    if found != meta.len {
                        return Err(damaged(container, blob, found, meta.len).into());
                    }
                    return Ok(OpenBlob { file, meta });
                }
                // Replaced between the two steps: look again.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::other(format!("the bytes of {container}/{blob} are missing")).into())
    }

    /// Commits a blob. When this returns, blob and event are durable.
    ///
    /// Joining blocks takes as long as copying them, so the container is held only after that, and everything that was
    /// found before is looked at again: the conditions hold at the moment of the commit.
    pub(crate) fn write(&self, turn: &Turn, write: Write<'_>, now: Timestamp) -> Result<BlobMeta> {
        let files = self.files(&turn.container, &turn.blob)?;
        let before = self.find(turn, &files, write.terms)?;
        let complete = match write.content {
            Content::Whole { bytes, len } => Ok(Complete {
                bytes,
                len,
                blocks: None,
            }),
            Content::Blocks(list) => self.join_blocks(turn, before.old.as_ref(), &list),
        };
        let (old, meta) = {
            let lock = self.locks.container(&turn.container);
            let _shared = lock.read().unwrap_or_else(PoisonError::into_inner);
            let found = self.find(turn, &files, write.terms)?;
            if found.container_etag != before.container_etag {
                // Another container of the same name: what was joined was not in it.
                return Err(ErrorCode::ContainerNotFound.into());
            }
            let mut complete = complete?;
            let stamp = self.stamp(now);
            let etag = self.new_etag(stamp);
            let meta = BlobMeta {
                generation: etag.trim_start_matches("0x").to_owned(),
                etag,
                len: complete.len,
                created: found.old.as_ref().map_or(now, |old| old.created),
                last_modified: now,
                headers: write.headers,
                metadata: write.metadata,
                blocks: complete.blocks.is_some(),
            };
            self.place(turn, &files, &meta.generation, &mut complete)?;
            self.commit(turn, &files, &meta, stamp)?;
            (found.old, meta)
        };
        if let Some(old) = old {
            remove_generation(&files, &old);
        }
        self.drop_blocks(&turn.container, &turn.blob);
        Ok(meta)
    }

    /// Fails if the write is not to go ahead as things are.
    fn find(&self, turn: &Turn, files: &BlobFiles, terms: Terms<'_>) -> Result<Found> {
        let container_etag = self.container(&turn.container)?.etag;
        let old = files.read_meta()?;
        if old.is_some() && !terms.overwrite {
            return Err(ErrorCode::UnauthorizedBlobOverwrite.into());
        }
        check(terms.conditions, Use::Put, old.as_ref())?;
        Ok(Found {
            container_etag,
            old,
        })
    }

    /// The moment at which the blob changes. Its files are in place.
    fn commit(&self, turn: &Turn, files: &BlobFiles, meta: &BlobMeta, stamp: u64) -> Result<()> {
        let subject = Subject {
            container: &turn.container,
            blob: &turn.blob,
            api: if meta.blocks {
                Api::PutBlockList
            } else {
                Api::PutBlob
            },
            meta,
            time: meta.last_modified,
        };
        let event = self.record_event(stamp, subject)?;
        self.write_meta(files, meta)?;
        if let Some(event) = event {
            event.committed();
        }
        Ok(())
    }

    /// Puts bytes and block list next to where the sidecar will be. The folder may vanish between its creation and the
    /// move, when another blob of it is deleted.
    fn place(
        &self,
        turn: &Turn,
        files: &BlobFiles,
        generation: &str,
        complete: &mut Complete,
    ) -> Result<()> {
        let blobs = self.container_folder(&turn.container).join("blobs");
        let relative = files
            .folder
            .strip_prefix(&blobs)
            .map_err(io::Error::other)?;
        let mut attempt = 0;
        loop {
            let moved = ensure_folder(&blobs, relative)
                .and_then(|_| complete.bytes.move_to(&files.bytes(generation)));
            attempt += 1;
            match moved {
                // The second is what `create_dir_all` says of a folder that was there when it was to be made, and gone
                // when it was looked at.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists
                    ) && attempt < ATTEMPTS => {}
                other => break other?,
            }
        }
        if let Some(blocks) = &complete.blocks {
            let json = serde_json::to_vec(blocks).map_err(io::Error::other)?;
            replace_file(&self.scratch_path(), &files.block_list(generation), &json)?;
        } else {
            sync_folder(&files.folder)?;
        }
        Ok(())
    }

    /// Replaces headers or metadata; the bytes stay.
    pub(crate) fn change(
        &self,
        turn: &Turn,
        replacement: Replacement,
        conditions: &Preconditions,
        now: Timestamp,
    ) -> Result<BlobMeta> {
        let Turn {
            container, blob, ..
        } = turn;
        let files = self.files(container, blob)?;
        let lock = self.locks.container(container);
        let _shared = lock.read().unwrap_or_else(PoisonError::into_inner);
        let mut meta = self.properties(container, blob)?;
        check(conditions, Use::Change, Some(&meta))?;
        match replacement {
            Replacement::Headers(headers) => meta.headers = headers,
            Replacement::Metadata(metadata) => meta.metadata = metadata,
        }
        meta.etag = self.new_etag(self.stamp(now));
        meta.last_modified = now;
        self.write_meta(&files, &meta)?;
        Ok(meta)
    }

    /// Deletes a blob. When this returns, deletion and event are durable.
    pub(crate) fn delete_blob(
        &self,
        turn: &Turn,
        conditions: &Preconditions,
        now: Timestamp,
    ) -> Result<()> {
        let Turn {
            container, blob, ..
        } = turn;
        let files = self.files(container, blob)?;
        let meta = {
            let lock = self.locks.container(container);
            let _shared = lock.read().unwrap_or_else(PoisonError::into_inner);
            let meta = self.properties(container, blob)?;
            check(conditions, Use::Change, Some(&meta))?;
            let subject = Subject {
                container,
                blob,
                api: Api::DeleteBlob,
                meta: &meta,
                time: now,
            };
            let event = self.record_event(self.stamp(now), subject)?;
            fs::remove_file(files.meta())?;
            sync_folder(&files.folder)?;
            if let Some(event) = event {
                event.committed();
            }
            meta
        };
        remove_generation(&files, &meta);
        self.drop_blocks(container, blob);
        self.prune(container, &files.folder);
        Ok(())
    }

    fn write_meta(&self, files: &BlobFiles, meta: &BlobMeta) -> Result<()> {
        let json = serde_json::to_vec(meta).map_err(io::Error::other)?;
        Ok(replace_file(&self.scratch_path(), &files.meta(), &json)?)
    }

    /// Removes folders that became empty. Losing a race here is fine.
    fn prune(&self, container: &str, folder: &Path) {
        let blobs = self.container_folder(container).join("blobs");
        let mut folder = folder;
        while folder != blobs && fs::remove_dir(folder).is_ok() {
            let Some(parent) = folder.parent() else { break };
            folder = parent;
        }
    }
}

/// For the log: which blob, and what is wrong with it.
fn damaged(container: &str, blob: &str, found: u64, len: u64) -> io::Error {
    let text = format!("the file of {container}/{blob} has {found} bytes instead of {len}");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Removes the files of a generation that no sidecar names any more. Open readers keep their file; what cannot be
/// removed is swept later.
fn remove_generation(files: &BlobFiles, meta: &BlobMeta) {
    let mut removed = remove_if_there(&files.bytes(&meta.generation));
    if meta.blocks {
        removed = removed.and(remove_if_there(&files.block_list(&meta.generation)));
    }
    if let Err(error) = removed {
        tracing::warn!(folder = %files.folder.display(), %error, "replaced bytes could not be removed");
    }
}
