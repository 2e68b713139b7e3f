//! What a connection has sent and nobody has decoded yet.
//!
//! While another connection is encoded, the newest group of pictures waits and older ones make room. Once its own turn has
//! come, what comes while the queue is full is dropped up to the next key frame.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use headwater_live::engine::AccessUnit;
use headwater_live::reason::Reason;
use headwater_live::stream::Kind;

use super::source::{Audio, Video};

/// A queue is full when its oldest unit has waited for so long,
const LONGEST: Duration = Duration::from_secs(4);

/// or when it holds so many bytes or items.
const MOST_BYTES: usize = 32 << 20;
const MOST_ITEMS: usize = 4_096;

pub(super) enum Item {
    Video(Video),
    Audio(Audio),
    /// A picture at that time is to be a key frame.
    Key(i64),
    Unit {
        kind: Kind,
        unit: AccessUnit,
        came: Instant,
    },
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Kept,
    /// Dropped, as the first one after some that were taken.
    Full,
    /// Dropped as those before it.
    Dropped,
}

#[derive(Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    ready: Condvar,
}

#[derive(Default)]
struct Inner {
    items: VecDeque<Item>,
    bytes: usize,
    /// Its turn has come.
    active: bool,
    closed: bool,
    /// Pictures are dropped up to the next key frame.
    dropping: bool,
    failed: Option<Reason>,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, item: Item) -> Taken {
        let mut inner = self.lock();
        let taken = inner.push(item);
        drop(inner);
        self.ready.notify_one();
        taken
    }

    /// The next item, once there is one; `None` when the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<Item> {
        let mut inner = self.lock();
        loop {
            if let Some(item) = inner.items.pop_front() {
                if let Item::Unit { unit, .. } = &item {
                    inner.bytes -= unit.bytes.len();
                }
                return Some(item);
            }
            if inner.closed {
                return None;
            }
            let woken = self.ready.wait(inner);
            inner = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Its turn has come. A connection that has gone by then is past.
    pub(super) fn activate(&self) {
        let mut inner = self.lock();
        inner.active = true;
        if inner.closed && inner.bytes > 0 {
            inner.items.clear();
            inner.bytes = 0;
        }
    }

    /// Nothing comes any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_one();
    }

    /// Encoding has ended, for a reason that the connection ends with.
    pub(super) fn fail(&self, reason: Reason) {
        self.lock().failed.get_or_insert(reason);
    }

    pub(super) fn failed(&self) -> Option<Reason> {
        self.lock().failed
    }
}

impl Inner {
    fn push(&mut self, item: Item) -> Taken {
        let Item::Unit { kind, unit, came } = &item else {
            self.items.push_back(item);
            return Taken::Kept;
        };
        let key = *kind == Kind::Video && unit.sync;
        if key && !self.active {
            self.items.retain(|item| !matches!(item, Item::Unit { .. }));
            self.bytes = 0;
        }
        let full = self.is_full(*came, unit.bytes.len());
        if full || self.dropping && *kind == Kind::Video && !key {
            let first = !self.dropping;
            self.dropping = true;
            return match first {
                true => Taken::Full,
                false => Taken::Dropped,
            };
        }
        if key {
            self.dropping = false;
        }
        self.bytes += unit.bytes.len();
        self.items.push_back(item);
        Taken::Kept
    }

    fn is_full(&self, now: Instant, more: usize) -> bool {
        let oldest = self.items.iter().find_map(|item| match item {
            Item::Unit { came, .. } => Some(*came),
            _ => None,
        });
        // Who waits for his turn holds a group of pictures, however long it lasts.
        let stale = self.active
            && oldest.is_some_and(|oldest| now.saturating_duration_since(oldest) > LONGEST);
        stale || self.bytes + more > MOST_BYTES || self.items.len() >= MOST_ITEMS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(kind: Kind, sync: bool, at: Instant, bytes: usize) -> Item {
        let unit = AccessUnit {
            dts: 0,
            pts: 0,
            sync,
            bytes: vec![0; bytes].into(),
        };
        Item::Unit {
            kind,
            unit,
            came: at,
        }
    }

    fn sizes(queue: &Queue) -> Vec<usize> {
        queue.close();
        let items = std::iter::from_fn(|| queue.pop());
        let sizes = items.map(|item| match item {
            Item::Unit { unit, .. } => unit.bytes.len(),
            _ => 0,
        });
        sizes.collect()
    }

    #[test]
    fn a_full_queue_drops_to_the_next_key_frame_and_says_so_once() {
        let (queue, start) = (Queue::default(), Instant::now());
        queue.activate();
        let push = |sync, ms, bytes| {
            let at = start + Duration::from_millis(ms);
            queue.push(unit(Kind::Video, sync, at, bytes))
        };
        assert_eq!(push(true, 0, 1), Taken::Kept);
        assert_eq!(push(false, 4_001, 2), Taken::Full);
        assert_eq!(push(false, 4_040, 3), Taken::Dropped);
        assert!(queue.pop().is_some());
        assert_eq!(push(false, 4_080, 4), Taken::Dropped);
        assert_eq!(queue.push(unit(Kind::Audio, true, start, 5)), Taken::Kept);
        assert_eq!(push(true, 4_120, 6), Taken::Dropped);
        assert!(queue.pop().is_some());
        assert_eq!(push(true, 4_160, 7), Taken::Kept);
        assert_eq!(push(false, 4_200, MOST_BYTES), Taken::Full);
        assert_eq!(sizes(&queue), [7]);
    }

    #[test]
    fn who_waits_for_his_turn_keeps_the_newest_group_of_pictures() {
        let (queue, start) = (Queue::default(), Instant::now());
        for (sync, bytes) in [(true, 1), (false, 2), (true, 3), (false, 4)] {
            let at = start + Duration::from_secs(bytes as u64 * 3);
            assert_eq!(queue.push(unit(Kind::Video, sync, at, bytes)), Taken::Kept);
        }
        queue.activate();
        assert_eq!(sizes(&queue), [3, 4]);
        // And has nothing to say any more when he has gone.
        let queue = Queue::default();
        queue.push(unit(Kind::Video, true, start, 1));
        queue.close();
        queue.activate();
        assert!(queue.pop().is_none());
    }
}
