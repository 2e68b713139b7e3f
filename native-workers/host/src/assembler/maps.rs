//! Mappings of files, kept for as long as they are in use and a little longer.
//!
//! Mapping a file anew for every request costs more than what is read of it where that lies scattered: the sound of an
//! interleaved film is some hundred bytes on every few pages, each of which has to be put into the address space and taken out
//! again, by all cores. What is kept of a file is its pages' places (a thousandth or two of them), not its bytes: those are the
//! kernel's to drop.
//!
//! A kept mapping also keeps its file's number from being used again, so device and number name the bytes; length and time of
//! change are looked at as well, for file systems that make numbers up. It keeps a deleted file's space for some seconds longer.

use bytes::Bytes;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a mapping is kept that nobody asks for.
const IDLE: Duration = Duration::from_secs(5);
/// How long at most: of a file that is always in use, all places would be kept that ever were.
const LIFE: Duration = Duration::from_secs(60);
/// Most mappings that are kept. A process may have 65,530 in all, by Linux' default.
const MOST: usize = 1_000;
/// Shorter files are mapped anew: it costs little.
const LEAST_BYTES: u64 = 1 << 20;

/// Device, number, length, and time of the last change in nanoseconds.
type FileId = (u64, u64, u64, i64, i64);

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
    made: Instant,
    used: Instant,
}

impl Held {
    fn is_over(&self) -> bool {
        self.used.elapsed() >= IDLE || self.made.elapsed() >= LIFE
    }
}

impl Maps {
    /// The bytes of a file that is never changed or truncated while it has this number.
    ///
    /// To be called within a Tokio runtime.
    pub(super) fn map(&self, file: &File) -> std::io::Result<Bytes> {
        let about = file.metadata()?;
        match about.len() {
            0 => return Ok(Bytes::new()),
            1..LEAST_BYTES => return map_file(file),
            _ => {}
        }
        let changed = (about.mtime(), about.mtime_nsec());
        let id = (about.dev(), about.ino(), about.len(), changed.0, changed.1);
        let now = Instant::now();
        if let Some(held) = lock(&self.0).maps.get_mut(&id) {
            held.used = now;
            return Ok(held.map.clone());
        }
        let map = map_file(file)?;
        let mut kept = lock(&self.0);
        if kept.maps.len() < MOST {
            let held = Held {
                map: map.clone(),
                made: now,
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

/// Lets go of what is over until there is nothing left.
async fn sweep(kept: Weak<Mutex<Kept>>) {
    loop {
        tokio::time::sleep(IDLE / 2).await;
        let Some(kept) = kept.upgrade() else { return };
        let (over, done) = {
            let mut kept = lock(&kept);
            let over = kept.maps.extract_if(|_, held| held.is_over());
            let over: Vec<_> = over.map(|(_, held)| held).collect();
            kept.swept = !kept.maps.is_empty();
            (over, !kept.swept)
        };
        // Taking gigabytes out of the address space takes time: nobody waits for the lock meanwhile, and no request for the thread.
        drop(tokio::task::spawn_blocking(move || drop(over)));
        if done {
            return;
        }
    }
}

/// The bytes of a file that is not empty, and that nobody changes or truncates for as long as they are in use.
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

    const BYTES: usize = LEAST_BYTES as usize;

    fn file(folder: &std::path::Path, name: &str, byte: u8, len: usize) -> File {
        let path = folder.join(name);
        std::fs::write(&path, vec![byte; len]).unwrap();
        File::open(path).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_mapped_once_while_it_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let maps = Maps::default();
        let one = maps.map(&file(folder.path(), "one", 1, BYTES)).unwrap();
        let again = File::open(folder.path().join("one")).unwrap();
        assert_eq!(maps.map(&again).unwrap().as_ptr(), one.as_ptr());
        // What takes its place is another file, and has another number as long as the old one is kept.
        std::fs::remove_file(folder.path().join("one")).unwrap();
        let other = maps.map(&file(folder.path(), "one", 2, BYTES)).unwrap();
        assert_eq!((one[BYTES - 1], other[BYTES - 1]), (1, 2));
        assert_eq!(lock(&maps.0).maps.len(), 2);
        for len in [0, 1, BYTES - 1] {
            let short = maps.map(&file(folder.path(), "short", 3, len)).unwrap();
            assert!(short.len() == len && short.iter().all(|byte| *byte == 3));
        }
        assert_eq!(lock(&maps.0).maps.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_idle_or_old_is_let_go_of_and_stays_with_who_has_it() {
        let ago = |time| Instant::now().checked_sub(time).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let maps = Maps::default();
        for age in [
            |held: &mut Held, at| held.used = at,
            |held: &mut Held, at| {
                held.made = at;
            },
        ] {
            let map = maps.map(&file(folder.path(), "one", 1, BYTES)).unwrap();
            for held in lock(&maps.0).maps.values_mut() {
                age(held, ago(LIFE));
            }
            while !lock(&maps.0).maps.is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert_eq!(map[0], 1);
            assert!(!lock(&maps.0).swept);
        }
    }
}
