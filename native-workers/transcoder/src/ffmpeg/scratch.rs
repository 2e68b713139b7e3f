//! Folders of jobs, and what workers that were killed left of them.
//!
//! A job's folder goes when its job ends. A worker that is killed cannot see to that, so every folder has a file that its
//! owner holds a lock on (`flock`) while it lives: whoever starts on the same scratch folder removes those whose lock is free.
//! The kernel lets go of a lock with the process, and it counts between containers that share the folder, where process ids
//! would not. On a file system without locks nothing is removed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What names of folders begin with.
const PREFIX: &str = "headwater-job-";
/// In the folder: locked by the worker that works in it.
const LOCK: &str = "lock";
/// A folder without its lock is one that is just being made, unless it is as old as this.
const HALF_MADE: std::time::Duration = std::time::Duration::from_secs(3600);

/// A job's folder. Removed with everything in it when it is dropped.
#[derive(Debug)]
pub struct JobFolder {
    folder: tempfile::TempDir,
    /// Held until then.
    _lock: File,
}

impl JobFolder {
    /// Makes one in `scratch`. Others than the worker's user may not look into it.
    pub fn new(scratch: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(scratch)?;
        let lock = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.path().join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            // Another worker, at its start, has just taken it for a left one.
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
            // Then nobody can take it, and nobody removes it.
            Err(std::fs::TryLockError::Error(error)) => {
                tracing::debug!(%error, "the scratch folder has no locks");
            }
        }
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folders in `scratch` that nobody works in any more; gives how many.
pub fn sweep(scratch: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(scratch) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        // Of the entry itself: what a link points to is not ours.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| {
            let path = entry.path();
            let removed = remove_if_left(&path);
            match &removed {
                Ok(true) => tracing::info!(folder = %path.display(), "a killed worker's folder was removed"),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, folder = %path.display(), "a folder could not be removed");
                }
            }
            removed.unwrap_or(false)
        })
        .count()
}

fn remove_if_left(folder: &Path) -> io::Result<bool> {
    let lock: PathBuf = folder.join(LOCK);
    let opened = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(lock);
    let _held = match opened {
        Ok(file) => match file.try_lock() {
            Ok(()) => Some(file),
            Err(_) => return Ok(false),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let modified = std::fs::symlink_metadata(folder)?.modified()?;
            if modified.elapsed().unwrap_or_default() < HALF_MADE {
                return Ok(false);
            }
            None
        }
        Err(error) => return Err(error),
    };
    // Removes links, and does not follow them.
    std::fs::remove_dir_all(folder)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_dead_go_and_those_of_the_living_stay() {
        let scratch = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(elsewhere.path().join("precious"), b"x").unwrap();
        let living = JobFolder::new(scratch.path()).unwrap();
        std::fs::write(living.path().join("in0"), b"x").unwrap();
        let dead = scratch.path().join("headwater-job-dead");
        std::fs::create_dir(&dead).unwrap();
        std::fs::write(dead.join(LOCK), b"").unwrap();
        std::fs::write(dead.join("in0"), b"x").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), dead.join("in1")).unwrap();
        // Being made, somebody else's, and links to what is not ours.
        std::fs::create_dir(scratch.path().join("headwater-job-new")).unwrap();
        std::fs::create_dir(scratch.path().join("other")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), scratch.path().join("headwater-job-link"))
            .unwrap();
        let trapped = scratch.path().join("headwater-job-trap");
        std::fs::create_dir(&trapped).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("precious"), trapped.join(LOCK)).unwrap();

        assert_eq!(sweep(scratch.path()), 1);
        assert!(!dead.exists());
        assert!(living.path().join("in0").exists());
        assert!(elsewhere.path().join("precious").exists());
        let path = living.path().to_owned();
        drop(living);
        assert!(!path.exists());
        for kept in ["headwater-job-new", "other", "headwater-job-link"] {
            assert!(scratch.path().join(kept).exists(), "{kept}");
        }
    }
}
