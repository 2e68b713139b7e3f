//! Small steps that survive a power cut: what returns `Ok` is on disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Makes the entries of a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Creates `root/relative` and makes every folder on the way durable, `root` included.
///
/// The folders are synced even if they were there: another writer may have created them and not yet come to it.
pub(crate) fn ensure_folder(root: &Path, relative: &Path) -> io::Result<PathBuf> {
    let target = root.join(relative);
    fs::create_dir_all(&target)?;
    let mut folder = target.as_path();
    while folder != root {
        let Some(parent) = folder.parent() else { break };
        sync_folder(parent)?;
        folder = parent;
    }
    Ok(target)
}

/// Writes a file that appears at `path` whole or not at all. `scratch` is on the same file system.
pub(crate) fn replace_file(scratch: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(scratch)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(scratch, path));
    if let Err(error) = written {
        let _ = fs::remove_file(scratch);
        return Err(error);
    }
    path.parent().map_or(Ok(()), sync_folder)
}

/// Removes a file; it being gone already is fine.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A file under `scratch/` that goes away unless it is moved to its place.
#[derive(Debug)]
pub(crate) struct ScratchFile {
    path: Option<PathBuf>,
    file: File,
}

impl ScratchFile {
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        let path = folder.join(uuid::Uuid::new_v4().simple().to_string());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(Self {
            path: Some(path),
            file,
        })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Makes the bytes durable, which takes as long as there are bytes: no lock of anybody else's is held.
    pub(crate) fn synced(self) -> io::Result<SyncedFile> {
        self.file.sync_all()?;
        Ok(SyncedFile(self))
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

/// A scratch file whose bytes are durable. Only such a file can be moved to its place.
#[derive(Debug)]
pub(crate) struct SyncedFile(ScratchFile);

impl SyncedFile {
    /// A second name for a file that is already durable and never changes.
    pub(crate) fn link(folder: &Path, existing: &Path) -> io::Result<Self> {
        let path = folder.join(uuid::Uuid::new_v4().simple().to_string());
        fs::hard_link(existing, &path)?;
        let file = File::open(&path)?;
        Ok(Self(ScratchFile {
            path: Some(path),
            file,
        }))
    }

    /// For reading it at places: its cursor means nothing.
    pub(crate) fn file(&self) -> &File {
        &self.0.file
    }

    /// Moves the file. The caller syncs the folder. After an error the file is where it was, so that the move can be
    /// tried again.
    pub(crate) fn move_to(&mut self, target: &Path) -> io::Result<()> {
        if let Some(path) = &self.0.path {
            fs::rename(path, target)?;
        }
        self.0.path = None;
        Ok(())
    }
}
