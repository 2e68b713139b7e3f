//! Housekeeping: bytes that nothing points to after a crash, blocks that nobody committed, containers in the trash.
//!
//! A sweep runs beside everything else, so what vanishes under it is no failure; an entry that fails is logged and
//! passed over, so that one damaged file does not keep the rest from being swept.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::Disk;
use super::escape::{folder_prefix, unescape};
use super::locks::digest;
use super::meta::BlobFiles;

/// How long uncommitted blocks live after the last of them was written, as in Azure.
pub(crate) const BLOCK_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Swept {
    /// Removed files of a generation that no sidecar names.
    pub(crate) orphans: u64,
    /// Removed folders of uncommitted blocks.
    pub(crate) stale_uploads: u64,
    /// Entries passed over because they could not be read or removed.
    pub(crate) failures: u64,
}

/// A sweep on its way.
struct Sweep<'a> {
    disk: &'a Disk,
    now: SystemTime,
    stopped: &'a dyn Fn() -> bool,
    swept: Swept,
}

impl Disk {
    /// Goes through the whole store once, beside normal work. `now`: to tell how old blocks are. `stopped` is asked
    /// before every entry; once it says yes the sweep ends where it is.
    pub(crate) fn sweep(&self, now: SystemTime, stopped: &dyn Fn() -> bool) -> Swept {
        let mut sweep = Sweep {
            disk: self,
            now,
            stopped,
            swept: Swept::default(),
        };
        for trash in sweep.entries(&self.root.join("trash")) {
            sweep.remove_tree(&trash.path());
        }
        for container in sweep.entries(&self.root.join("containers")) {
            if let Ok(name) = container.file_name().into_string() {
                sweep.blobs(&name, &container.path().join("blobs"), "");
                sweep.uploads(&name, &container.path().join("blocks"));
            }
        }
        sweep.swept
    }
}

impl<'a> Sweep<'a> {
    /// The entries of a folder, until the sweep is stopped.
    fn entries(&mut self, folder: &Path) -> impl Iterator<Item = DirEntry> + use<'a> {
        let listed = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let stopped = self.stopped;
        let entries = self.tried(folder, listed).unwrap_or_default();
        entries.into_iter().take_while(move |_| !stopped())
    }

    /// What came of a step at `path`; a failure is logged and counted.
    fn tried<T>(&mut self, path: &Path, outcome: io::Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            // Somebody else was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the blob store's housekeeping passes over an entry");
                self.swept.failures += 1;
                None
            }
        }
    }

    /// Like `fs::remove_dir_all`, but can be stopped, and the deletion of a container may do the same beside it.
    fn remove_tree(&mut self, folder: &Path) {
        for entry in self.entries(folder) {
            let path = entry.path();
            match self.tried(&path, entry.file_type()) {
                Some(kind) if kind.is_dir() => self.remove_tree(&path),
                Some(_) => {
                    let removed = fs::remove_file(&path);
                    self.tried(&path, removed);
                }
                None => {}
            }
        }
        if !(self.stopped)() {
            let removed = fs::remove_dir(folder);
            self.tried(folder, removed);
        }
    }

    fn blobs(&mut self, container: &str, folder: &Path, prefix: &str) {
        for entry in self.entries(folder) {
            let (path, Ok(file_name)) = (entry.path(), entry.file_name().into_string()) else {
                continue;
            };
            if let Some((stem, rest)) = file_name.split_once('~') {
                if rest != "meta" {
                    let orphan = self.disk.is_orphan(container, folder, prefix, stem, rest);
                    if self.tried(&path, orphan) == Some(true) {
                        let removed = fs::remove_file(&path);
                        self.swept.orphans += u64::from(self.tried(&path, removed).is_some());
                    }
                }
            } else if let Some(part) = folder_prefix(&file_name) {
                self.blobs(container, &path, &format!("{prefix}{part}"));
            }
        }
    }

    fn uploads(&mut self, container: &str, folder: &Path) {
        for upload in self.entries(folder) {
            let removed = self.disk.remove_stale_upload(container, &upload, self.now);
            self.swept.stale_uploads +=
                u64::from(self.tried(&upload.path(), removed) == Some(true));
        }
    }
}

impl Disk {
    /// `rest`: what follows the stem, `{generation}` or `{generation}~blocks`.
    fn is_orphan(
        &self,
        container: &str,
        folder: &Path,
        prefix: &str,
        stem: &str,
        rest: &str,
    ) -> io::Result<bool> {
        let generation = rest.split('~').next().unwrap_or_default();
        let files = BlobFiles {
            folder: folder.to_owned(),
            stem: stem.to_owned(),
        };
        let named = || -> io::Result<bool> {
            Ok(files
                .read_meta()?
                .is_some_and(|meta| meta.generation == generation))
        };
        let Some(last) = unescape(stem) else {
            return Ok(false);
        };
        if named()? {
            return Ok(false);
        }
        // A writer between its two renames has the turn, perhaps for long: that is for the next sweep to see.
        let digest = digest(&format!("{prefix}{last}"));
        let turn = self.locks.try_turn(container, &digest);
        Ok(turn.is_some() && !named()?)
    }

    /// Whether the blocks were too old, and are removed.
    fn remove_stale_upload(
        &self,
        container: &str,
        upload: &DirEntry,
        now: SystemTime,
    ) -> io::Result<bool> {
        // Whoever has the turn adds to them or commits them.
        let digest = upload.file_name();
        let turn = digest
            .to_str()
            .and_then(|digest| self.locks.try_turn(container, digest));
        if turn.is_none() {
            return Ok(false);
        }
        let mut newest = upload.metadata()?.modified()?;
        for block in fs::read_dir(upload.path())? {
            newest = newest.max(block?.metadata()?.modified()?);
        }
        let stale = now
            .duration_since(newest)
            .is_ok_and(|age| age > BLOCK_LIFETIME);
        if stale {
            fs::remove_dir_all(upload.path())?;
        }
        Ok(stale)
    }
}
