//! Blobs: opened, committed, changed and deleted.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::PoisonError;

use headwater_blob::server::{ErrorCode, Outcome, Preconditions, State, Use};
use headwater_blob::xml::BlockRef;
use jiff::Timestamp;

use super::durable::{ScratchFile, ensure_folder, remove_if_there, replace_file, sync_folder};
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
    Whole { scratch: ScratchFile, len: u64 },
    /// Put Block List.
    Blocks(Vec<BlockRef>),
}

/// A blob to be created or replaced.
#[derive(Debug)]
pub(crate) struct Write<'a> {
    pub(crate) container: &'a str,
    pub(crate) blob: &'a str,
    pub(crate) headers: HttpHeaders,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) conditions: &'a Preconditions,
    /// Whether the caller may replace a blob.
    pub(crate) overwrite: bool,
    pub(crate) content: Content,
}

/// A part of the sidecar to be replaced.
#[derive(Debug)]
pub(crate) enum Replacement {
    Headers(HttpHeaders),
    Metadata(Vec<(String, String)>),
}

fn check(conditions: &Preconditions, intent: Use, meta: Option<&BlobMeta>) -> Result<()> {
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
    pub(crate) fn write(&self, write: Write<'_>, now: Timestamp) -> Result<BlobMeta> {
        let files = self.files(write.container, write.blob)?;
        let _shared = self
            .container_lock
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let _turn = self.lock_blob(write.container, write.blob);
        self.container(write.container)?;
        let old = files.read_meta()?;
        if old.is_some() && !write.overwrite {
            return Err(ErrorCode::UnauthorizedBlobOverwrite.into());
        }
        check(write.conditions, Use::Put, old.as_ref())?;

        let (mut scratch, len, block_list, api) = match write.content {
            Content::Whole { scratch, len } => (scratch, len, None, Api::PutBlob),
            Content::Blocks(blocks) => {
                let joined =
                    self.join_blocks(write.container, write.blob, old.as_ref(), &blocks)?;
                (
                    joined.scratch,
                    joined.len,
                    Some(joined.blocks),
                    Api::PutBlockList,
                )
            }
        };
        let stamp = self.stamp(now);
        let etag = self.new_etag(stamp);
        let meta = BlobMeta {
            generation: etag.trim_start_matches("0x").to_owned(),
            etag,
            len,
            created: old.as_ref().map_or(now, |old| old.created),
            last_modified: now,
            headers: write.headers,
            metadata: write.metadata,
            blocks: block_list.is_some(),
        };
        self.place(write.container, &files, &meta.generation, &mut scratch)?;
        if let Some(blocks) = &block_list {
            let json = serde_json::to_vec(blocks).map_err(io::Error::other)?;
            replace_file(
                &self.scratch_path(),
                &files.block_list(&meta.generation),
                &json,
            )?;
        } else {
            sync_folder(&files.folder)?;
        }
        let subject = Subject {
            container: write.container,
            blob: write.blob,
            api,
            meta: &meta,
            time: now,
        };
        let event = self.record_event(stamp, subject)?;
        self.write_meta(&files, &meta)?;
        if let Some(event) = event {
            event.committed();
        }
        if let Some(old) = old {
            remove_generation(&files, &old);
        }
        self.drop_blocks(write.container, write.blob);
        Ok(meta)
    }

    /// Moves the bytes next to where the sidecar will be. The folder may vanish between its creation and the move,
    /// when another blob of it is deleted.
    fn place(
        &self,
        container: &str,
        files: &BlobFiles,
        generation: &str,
        scratch: &mut ScratchFile,
    ) -> Result<()> {
        let blobs = self.container_folder(container).join("blobs");
        let relative = files
            .folder
            .strip_prefix(&blobs)
            .map_err(io::Error::other)?;
        let mut attempt = 0;
        loop {
            let moved = ensure_folder(&blobs, relative)
                .and_then(|_| scratch.move_to(&files.bytes(generation)));
            attempt += 1;
            match moved {
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => {}
                other => return Ok(other?),
            }
        }
    }

    /// Replaces headers or metadata; the bytes stay.
    pub(crate) fn change(
        &self,
        container: &str,
        blob: &str,
        replacement: Replacement,
        conditions: &Preconditions,
        now: Timestamp,
    ) -> Result<BlobMeta> {
        let files = self.files(container, blob)?;
        let _shared = self
            .container_lock
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let _turn = self.lock_blob(container, blob);
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
        container: &str,
        blob: &str,
        conditions: &Preconditions,
        now: Timestamp,
    ) -> Result<()> {
        let files = self.files(container, blob)?;
        let _shared = self
            .container_lock
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let _turn = self.lock_blob(container, blob);
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
