//! In-instance caches: bounded by bytes, least recently used goes first, optionally short-lived.
//!
//! Never needed for correctness; an instance that has just started answers the same.

use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A cache of cheaply cloned values.
pub(crate) struct Cache<V> {
    state: Mutex<State<V>>,
    max_bytes: usize,
}

struct State<V> {
    entries: HashMap<String, Entry<V>>,
    /// Sum of the entries' sizes.
    bytes: usize,
    /// Counts uses; an entry's last one is its age.
    uses: u64,
}

struct Entry<V> {
    value: V,
    bytes: usize,
    last_use: u64,
    expires: Option<Timestamp>,
}

/// What an entry costs beyond its value, about.
const OVERHEAD: usize = 128;

impl<V: Clone> Cache<V> {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            state: Mutex::new(State {
                entries: HashMap::new(),
                bytes: 0,
                uses: 0,
            }),
            max_bytes,
        }
    }

    /// The value of `key`, unless it is unknown or has expired.
    pub(crate) fn get(&self, key: &str, now: Timestamp) -> Option<V> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.uses = state.uses.wrapping_add(1);
        let uses = state.uses;
        let entry = state.entries.get_mut(key)?;
        if entry.expires.is_some_and(|at| at <= now) {
            return None;
        }
        entry.last_use = uses;
        Some(entry.value.clone())
    }

    /// The value of `key` even if it has expired.
    pub(crate) fn stale(&self, key: &str) -> Option<V> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.entries.get(key).map(|e| e.value.clone())
    }

    /// Keeps `value`, which holds about `bytes`, until `expires` or until something newer needs the room. A value
    /// larger than the whole cache is not kept.
    pub(crate) fn put(&self, key: &str, value: V, bytes: usize, expires: Option<Timestamp>) {
        let bytes = bytes.saturating_add(key.len()).saturating_add(OVERHEAD);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        if let Some(old) = state.entries.remove(key) {
            state.bytes = state.bytes.saturating_sub(old.bytes);
        }
        if bytes > self.max_bytes {
            return;
        }
        while state.bytes.saturating_add(bytes) > self.max_bytes {
            let oldest = state
                .entries
                .iter()
                .min_by_key(|(_, e)| e.last_use)
                .map(|(key, _)| key.clone());
            let Some(old) = oldest.and_then(|key| state.entries.remove(&key)) else {
                break;
            };
            state.bytes = state.bytes.saturating_sub(old.bytes);
        }
        state.uses = state.uses.wrapping_add(1);
        state.bytes = state.bytes.saturating_add(bytes);
        state.entries.insert(
            key.to_owned(),
            Entry {
                value,
                bytes,
                last_use: state.uses,
                expires,
            },
        );
    }

    /// Forgets `key`.
    pub(crate) fn remove(&self, key: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = state.entries.remove(key) {
            state.bytes = state.bytes.saturating_sub(old.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn least_recently_used_goes_first_and_bytes_are_bounded() {
        let cache = Cache::new(3 * (100 + OVERHEAD + 1));
        for key in ["a", "b", "c"] {
            cache.put(key, key, 100, None);
        }
        assert_eq!(cache.get("a", at(0)), Some("a"));
        cache.put("d", "d", 100, None);
        assert_eq!(cache.get("b", at(0)), None);
        assert_eq!(cache.get("a", at(0)), Some("a"));
        cache.put("big", "big", 10_000, None);
        assert_eq!(cache.get("big", at(0)), None);
        assert_eq!(cache.get("d", at(0)), Some("d"));
        cache.put("d", "e", 400, None);
        assert_eq!(cache.get("d", at(0)), Some("e"));
        assert_eq!(cache.get("a", at(0)), None);
    }

    #[test]
    fn entries_expire_but_can_be_looked_at() {
        let cache = Cache::new(1000);
        cache.put("a", 1, 1, Some(at(10)));
        assert_eq!(cache.get("a", at(9)), Some(1));
        assert_eq!(cache.get("a", at(10)), None);
        assert_eq!(cache.stale("a"), Some(1));
        cache.remove("a");
        assert_eq!(cache.stale("a"), None);
    }
}
