//! Mappings of files, kept for as long as they are in use and a little longer.
//!
//! Mapping a file anew for every request costs more than what is read of it where that lies scattered: the sound of an
//! interleaved film is some hundred bytes on every few pages, each of which has to be put into the address space and taken out
//! again, by all cores. What is kept of a file is its pages' places, not its bytes: those are the kernel's to drop.
//!
//! A kept mapping also keeps its file's number from being used again, so device and number name the bytes. It keeps a deleted file's
//! space for [`IDLE`] longer.

use bytes::Bytes;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a mapping is kept that nobody asks for.
const IDLE: Duration = Duration::from_secs(5);
/// Most mappings that are kept. A process may have 65,530 in all, by Linux' default.
const MOST: usize = 1_000;

/// Device and number.
type FileId = (u64, u64);

/// See the module. Clones share what is kept.
#[derive(Clone, Default)]
pub(super) struct Maps(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    maps: HashMap<FileId, Held>,
    /// Whether somebody lets go of those that are idle.
    swept: bool,
}

struct Held {
    map: Bytes,
    used: Instant,
}

impl Maps {
    /// The bytes of a file that is never changed or truncated while it has this number.
    ///
    /// To be called within a Tokio runtime.
    pub(super) fn map(&self, file: &File) -> std::io::Result<Bytes> {
        let about = file.metadata()?;
        let id = (about.dev(), about.ino());
        let now = Instant::now();
        if let Some(held) = lock(&self.0).maps.get_mut(&id) {
            held.used = now;
            return Ok(held.map.clone());
        }
        if about.len() == 0 {
            return Ok(Bytes::new());
        }
        let map = map_file(file)?;
        let mut kept = lock(&self.0);
        if kept.maps.len() < MOST {
            let held = Held {
                map: map.clone(),
                used: now,
            };
            kept.maps.insert(id, held);
            if !std::mem::replace(&mut kept.swept, true) {
                tokio::spawn(sweep(Arc::downgrade(&self.0)));
            }
        }
        Ok(map)
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets go of what is idle until there is nothing left.
async fn sweep(kept: Weak<Mutex<Kept>>) {
    loop {
        tokio::time::sleep(IDLE / 2).await;
        let Some(kept) = kept.upgrade() else { return };
        let idle: Vec<Held> = {
            let mut kept = lock(&kept);
            let idle = kept.maps.extract_if(|_, held| held.used.elapsed() >= IDLE);
            let idle = idle.map(|(_, held)| held).collect();
            if kept.maps.is_empty() {
                kept.swept = false;
                return;
            }
            idle
        };
        // Unmapped while nobody waits for the lock.
        drop(idle);
    }
}

#[allow(unsafe_code)]
pub(super) fn map_file(file: &File) -> std::io::Result<Bytes> {
    // SAFETY: neither the embedded store nor the cache of media ever changes or truncates a file in place (see the modules'
    // documentation), so the mapped pages stay what they are for as long as the mapping lives.
    let map = unsafe { memmap2::Mmap::map(file)? };
    Ok(Bytes::from_owner(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &std::path::Path, name: &str, bytes: &[u8]) -> File {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        File::open(path).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_mapped_once_while_it_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let maps = Maps::default();
        let one = maps.map(&file(folder.path(), "one", b"first")).unwrap();
        let again = File::open(folder.path().join("one")).unwrap();
        assert_eq!(maps.map(&again).unwrap().as_ptr(), one.as_ptr());
        // What takes its place is another file, and has another number as long as the old one is kept.
        std::fs::remove_file(folder.path().join("one")).unwrap();
        let other = maps.map(&file(folder.path(), "one", b"other")).unwrap();
        assert_eq!((&*one, &*other), (&b"first"[..], &b"other"[..]));
        let empty = maps.map(&file(folder.path(), "empty", b"")).unwrap();
        assert!(empty.is_empty());
        assert_eq!(lock(&maps.0).maps.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_asks_for_is_let_go_of_and_stays_with_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let maps = Maps::default();
        let map = maps.map(&file(folder.path(), "one", b"first")).unwrap();
        for held in lock(&maps.0).maps.values_mut() {
            held.used = Instant::now() - 2 * IDLE;
        }
        while !lock(&maps.0).maps.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(&*map, b"first");
        assert!(!lock(&maps.0).swept);
    }
}
