//! Policies that an instance has read, so that a key costs neither their decryption nor their parsing again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;
use uuid::Uuid;

use crate::policy::{KeyPolicy, PolicyError};

/// Most policies. One has up to some hundred kilobytes, most have one or two.
const MOST: usize = 100;

/// Policies by their ids, each good for as long as what it was read from (`F`) stays what it was.
#[derive(Debug)]
pub struct Policies<F> {
    read: RefCell<HashMap<Uuid, Read<F>>>,
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
        }
    }
}

impl<F: PartialEq> Policies<F> {
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
        if read.len() >= MOST {
            // Plain rather than fair: an instance that is asked for more than these gains little from keeping any.
            read.clear();
        }
        let kept = Read {
            from,
            policy: Arc::clone(&policy),
        };
        read.insert(id, kept);
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::cell::Cell;

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
    fn no_more_than_so_many_are_kept() {
        let policies = Policies::default();
        for id in 0..3 * MOST as u128 {
            let open = |_: &u128| Ok::<_, ()>(options("OpenRestriction"));
            policies.get(Uuid::from_u128(id), id, open, |_| ()).unwrap();
        }
        assert!(policies.read.borrow().len() <= MOST);
    }
}
