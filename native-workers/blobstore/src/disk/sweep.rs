//! Housekeeping: bytes that nothing points to after a crash, blocks that nobody committed, containers in the trash.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use super::Disk;
use super::escape::{folder_prefix, unescape};
use super::meta::BlobFiles;

/// How long uncommitted blocks live after the last of them was written, as in Azure.
pub(crate) const BLOCK_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a sweep removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Swept {
    /// Files of a generation that no sidecar names.
    pub(crate) orphans: u64,
    /// Folders of uncommitted blocks.
    pub(crate) stale_uploads: u64,
}

impl Disk {
    /// Goes through the whole store once, beside normal work. `now`: to tell how old blocks are.
    pub(crate) fn sweep(&self, now: SystemTime) -> io::Result<Swept> {
        let mut swept = Swept::default();
        for trash in fs::read_dir(self.root.join("trash"))? {
            fs::remove_dir_all(trash?.path())?;
        }
        for container in fs::read_dir(self.root.join("containers"))? {
            let Ok(container) = container?.file_name().into_string() else {
                continue;
            };
            let folder = self.container_folder(&container);
            self.sweep_blobs(&container, &folder.join("blobs"), "", &mut swept)?;
            self.sweep_blocks(&folder.join("blocks"), now, &mut swept)?;
        }
        Ok(swept)
    }

    fn sweep_blobs(
        &self,
        container: &str,
        folder: &Path,
        prefix: &str,
        swept: &mut Swept,
    ) -> io::Result<()> {
        let listed = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for found in listed {
            let found = found?;
            let Ok(file_name) = found.file_name().into_string() else {
                continue;
            };
            if let Some((stem, rest)) = file_name.split_once('~') {
                if rest != "meta" && self.is_orphan(container, folder, prefix, stem, rest)? {
                    super::durable::remove_if_there(&found.path())?;
                    swept.orphans += 1;
                }
            } else if let Some(part) = folder_prefix(&file_name) {
                self.sweep_blobs(container, &found.path(), &format!("{prefix}{part}"), swept)?;
            }
        }
        Ok(())
    }

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
        // A writer between its two renames holds the lock: look again once it is through.
        let _turn = self.lock_blob(container, &format!("{prefix}{last}"));
        Ok(!named()?)
    }

    fn sweep_blocks(&self, folder: &Path, now: SystemTime, swept: &mut Swept) -> io::Result<()> {
        let listed = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for upload in listed {
            let upload = upload?.path();
            let stale = || -> io::Result<bool> {
                let mut newest = fs::metadata(&upload)?.modified()?;
                for block in fs::read_dir(&upload)? {
                    newest = newest.max(block?.metadata()?.modified()?);
                }
                Ok(now
                    .duration_since(newest)
                    .is_ok_and(|age| age > BLOCK_LIFETIME))
            };
            // An upload that ended meanwhile is not an error.
            if stale().unwrap_or(false) {
                let _exclusive = self
                    .container_lock
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                if stale().unwrap_or(false) {
                    fs::remove_dir_all(&upload)?;
                    swept.stale_uploads += 1;
                }
            }
        }
        Ok(())
    }
}
