//! Who waits for whom.
//!
//! | lock | held | by |
//! |---|---|---|
//! | a [`Turn`] at a blob | from the first look at the blob to the last | its writers, however long their bytes take |
//! | a container, shared | while files are put in place | writers, for a few renames |
//! | a container, alone | for a rename | its creation and deletion |
//!
//! A turn is taken before a container, and no call takes two of either. A turn is awaited outside the blocking pool: a
//! commit of many gigabytes may keep any number of callers of its own blob waiting, and they must not keep the threads
//! that everybody else's calls need. What happens under a container's lock is short and locks as ordinary code does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedMutexGuard;

/// Locks by name. They exist while somebody holds or awaits them.
#[derive(Debug, Default)]
struct Named<L>(Mutex<HashMap<String, Weak<L>>>);

impl<L: Default> Named<L> {
    fn get(&self, name: &str) -> Arc<L> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(name).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::<L>::default();
        locks.insert(name.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

/// All locks of a store.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    /// By container and digest of the blob's name: that is all a folder of uncommitted blocks tells.
    turns: Named<tokio::sync::Mutex<()>>,
    containers: Named<RwLock<()>>,
}

/// The right to write one blob; nobody else has it meanwhile.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) container: String,
    pub(crate) blob: String,
    _guard: OwnedMutexGuard<()>,
}

/// What a blob is called where its name may not fit: 64 hex digits.
pub(crate) fn digest(blob: &str) -> String {
    const_hex::encode(Sha256::digest(blob.as_bytes()))
}

impl Locks {
    /// Waits until the blob is nobody else's.
    pub(crate) async fn turn(&self, container: &str, blob: &str) -> Turn {
        let lock = self.turn_lock(container, &digest(blob));
        Turn {
            container: container.to_owned(),
            blob: blob.to_owned(),
            _guard: lock.lock_owned().await,
        }
    }

    /// `None` while somebody writes the blob.
    pub(super) fn try_turn(&self, container: &str, digest: &str) -> Option<OwnedMutexGuard<()>> {
        self.turn_lock(container, digest).try_lock_owned().ok()
    }

    pub(super) fn container(&self, container: &str) -> Arc<RwLock<()>> {
        self.containers.get(container)
    }

    fn turn_lock(&self, container: &str, digest: &str) -> Arc<tokio::sync::Mutex<()>> {
        self.turns.get(&format!("{container}/{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_turn_keeps_out_its_own_blob_only() {
        let locks = Locks::default();
        let turn = locks.turn("c", "a").now_or_never().unwrap();
        assert!(locks.turn("c", "a").now_or_never().is_none());
        assert!(locks.try_turn("c", &digest("a")).is_none());
        for (container, blob) in [("c", "b"), ("d", "a")] {
            assert!(locks.turn(container, blob).now_or_never().is_some());
        }
        drop(turn);
        assert!(locks.turn("c", "a").now_or_never().is_some());
    }

    #[test]
    fn locks_that_nobody_needs_are_forgotten() {
        let locks = Locks::default();
        let turn = locks.turn("c", "kept").now_or_never().unwrap();
        for n in 0..100 {
            assert!(locks.turn("c", &n.to_string()).now_or_never().is_some());
        }
        assert!(locks.turns.0.lock().unwrap().len() <= 2);
        assert!(locks.turn("c", "kept").now_or_never().is_none());
        drop(turn);
    }
}
