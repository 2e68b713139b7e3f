//! How many threads may compute at once.
//!
//! A chunk has a thread that decodes and scales and one per rendition that encodes; there are more of them than cores,
//! so that none is idle while another waits for pictures. Each takes a slot for every picture it works on, which keeps
//! the load at what was configured and costs nothing beside the work itself.

use std::sync::{Condvar, Mutex, PoisonError};

/// A counting semaphore for threads.
#[derive(Debug)]
pub struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
    count: usize,
}

impl Slots {
    /// `count`: at least one is made of it.
    pub fn new(count: usize) -> Self {
        let count = count.max(1);
        Self {
            free: Mutex::new(count),
            freed: Condvar::new(),
            count,
        }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// Runs `work` while holding a slot.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Held<'a>(&'a Slots);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                self.0.freed.notify_one();
            }
        }
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .freed
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        drop(free);
        let _held = Held(self);
        work()
    }
}
