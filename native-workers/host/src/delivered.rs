//! What was delivered under each name, until somebody takes it to where it is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Names that are told apart until they are taken: somebody who is served under more is not counted under all of them.
const MOST: usize = 20_000;

/// What was delivered under a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Answers with what was asked for.
    pub answers: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// Sums by name. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Delivered(Arc<Mutex<HashMap<Box<str>, Sent>>>);

impl Delivered {
    /// Adds to a name's sum.
    pub fn add(&self, name: &str, answers: u64, bytes: u64) {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sum) = sums.get_mut(name) {
            sum.answers = sum.answers.saturating_add(answers);
            sum.bytes = sum.bytes.saturating_add(bytes);
        } else if sums.len() < MOST {
            sums.insert(name.into(), Sent { answers, bytes });
        }
    }

    /// All of them, which begin anew.
    pub fn take(&self) -> HashMap<Box<str>, Sent> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
