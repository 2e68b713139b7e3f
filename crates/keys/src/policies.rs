//! Policies that an instance has read, so that a key costs neither their decryption nor their parsing again.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;
use uuid::Uuid;

use crate::policy::{KeyPolicy, PolicyError};

/// Longest policy that is kept, in bytes as it is stored; most have one or two thousand. Read it is some times as much.
const LONGEST: usize = 64 << 10;
/// Most of all that are kept together.
const MOST_BYTES: usize = 1 << 20;

/// Policies by their ids, each good for as long as what it was read from (`F`) stays what it was.
#[derive(Debug)]
pub struct Policies<F> {
    read: RefCell<HashMap<Uuid, Read<F>>>,
    bytes: Cell<usize>,
}

#[derive(Debug)]
struct Read<F> {
    from: F,
    policy: Arc<KeyPolicy>,
}

impl<F> Default for Policies<F> {
    fn default() -> Self {
        Self {
            read: RefCell::default(),
            bytes: Cell::default(),
        }
    }
}

impl<F: PartialEq + AsRef<[u8]>> Policies<F> {
    /// The policy with this id, which is stored as `from`. `open`: its options with their secrets; asked if `from` is not what it
    /// was the last time. `told`: of options that cannot be enforced, when they are read.
    ///
    /// Errors: those of `open`.
    pub fn get<E>(
        &self,
        id: Uuid,
        from: F,
        open: impl FnOnce(&F) -> Result<Json, E>,
        told: impl FnMut(PolicyError),
    ) -> Result<Arc<KeyPolicy>, E> {
        let mut read = self.read.borrow_mut();
        if let Some(known) = read.get(&id)
            && known.from == from
        {
            return Ok(Arc::clone(&known.policy));
        }
        let (policy, errors) = KeyPolicy::read(&open(&from)?);
        errors.into_iter().for_each(told);
        let policy = Arc::new(policy);
        let len = |from: &F| from.as_ref().len();
        let old = read.remove(&id).map_or(0, |old| len(&old.from));
        let mut bytes = self.bytes.get().saturating_sub(old);
        let more = len(&from);
        if more <= LONGEST {
            if bytes.saturating_add(more) > MOST_BYTES {
                // Plain rather than fair: an instance that is asked for more than these gains little from keeping any.
                read.clear();
                bytes = 0;
            }
            bytes = bytes.saturating_add(more);
            let policy = Arc::clone(&policy);
            read.insert(id, Read { from, policy });
        }
        self.bytes.set(bytes);
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn options(restriction: &str) -> Json {
        let kind = |name: &str| format!("#Microsoft.Media.ContentKeyPolicy{name}");
        json!([{"configuration": {"@odata.type": kind("ClearKeyConfiguration")}, "restriction": {"@odata.type": kind(restriction)}}])
    }

    #[test]
    fn a_policy_is_read_again_when_it_is_stored_anew() {
        let policies = Policies::default();
        let (opened, told) = (Cell::new(0), Cell::new(0));
        let get = |id: u128, from: &'static str, restriction: &str| {
            let open = |_: &&str| {
                opened.set(opened.get() + 1);
                if restriction.is_empty() {
                    return Err("sealed by another key");
                }
                Ok(options(restriction))
            };
            let told = |_| told.set(told.get() + 1);
            policies.get(Uuid::from_u128(id), from, open, told)
        };
        assert_eq!(get(1, "a", "OpenRestriction").unwrap().options.len(), 1);
        assert_eq!(get(1, "a", "").unwrap().options.len(), 1);
        assert_eq!((opened.get(), told.get()), (1, 0));
        assert_eq!(get(1, "b", "NoRestriction").unwrap().options.len(), 0);
        assert_eq!(get(1, "b", "").unwrap().options.len(), 0);
        // Another policy with the same bytes is another policy.
        assert_eq!(get(2, "b", "OpenRestriction").unwrap().options.len(), 1);
        assert_eq!((opened.get(), told.get()), (3, 1));
        // What cannot be opened is an error, and leaves nothing behind.
        get(1, "c", "").unwrap_err();
        assert_eq!(get(1, "c", "OpenRestriction").unwrap().options.len(), 1);
    }

    #[test]
    fn no_more_than_so_many_bytes_are_kept() {
        let policies = Policies::default();
        let get = |id: u128, len: usize| {
            let open = |_: &Vec<u8>| Ok::<_, ()>(options("OpenRestriction"));
            let from = vec![0; len];
            policies
                .get(Uuid::from_u128(id), from, open, |_| ())
                .unwrap();
        };
        let kept = || {
            let read = policies.read.borrow();
            let bytes: usize = read.values().map(|read| read.from.len()).sum();
            assert_eq!(bytes, policies.bytes.get());
            (read.len(), bytes)
        };
        get(1, LONGEST + 1);
        assert_eq!(kept(), (0, 0));
        for id in 0..100 {
            get(id, LONGEST);
            assert!(kept().1 <= MOST_BYTES);
        }
        // The same one, longer and then too long.
        let policies = Policies::default();
        for (len, expected) in [(10, (1, 10)), (20, (1, 20)), (LONGEST + 1, (0, 0))] {
            let open = |_: &Vec<u8>| Ok::<_, ()>(options("OpenRestriction"));
            policies
                .get(Uuid::nil(), vec![0; len], open, |_| ())
                .unwrap();
            assert_eq!(
                (policies.read.borrow().len(), policies.bytes.get()),
                expected
            );
        }
    }
}
