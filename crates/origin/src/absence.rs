//! What is done while the catalog or a store does not answer: what was true lately is gone by.
//!
//! Players have seconds of film, not minutes, and most of what they ask for next is known or kept nearby. So a viewer need
//! not notice that a database is started again. What nobody has asked for lately is answered with the error it is.

use crate::ports::Storage;
use futures::future::{Either, select};
use jiff::{SignedDuration, Timestamp};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};

/// How long what was true before is gone by: locators may be switched off and files replaced where nobody hears of it.
pub(crate) const GRACE: SignedDuration = SignedDuration::from_secs(300);
/// How long an answer is waited for where there is something else to go by.
const PATIENCE_MS: u64 = 3_000;
/// How long nobody is asked again who did not answer.
const LEFT_ALONE: SignedDuration = SignedDuration::from_secs(10);

/// One that may be away.
#[derive(Debug, Default)]
pub(crate) struct Absence {
    /// Until then it is taken to be.
    until: Mutex<Option<Timestamp>>,
}

/// What is gone by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told<K, A> {
    /// What it says.
    Now(A),
    /// What was known before.
    Before(K),
}

impl Absence {
    /// Asks, unless that was in vain a moment ago. `known`: what there is to go by instead. `away`: whether an error says that nobody is
    /// there, and not what is so.
    pub(crate) async fn ask<S: Storage, K, T, E>(
        &self,
        timer: &S,
        now: Timestamp,
        known: Option<K>,
        question: impl Future<Output = Result<T, E>>,
        away: impl Fn(&E) -> bool,
    ) -> Told<K, Result<T, E>> {
        let Some(known) = known else {
            return Told::Now(question.await);
        };
        if self.lock().is_some_and(|until| now < until) {
            return Told::Before(known);
        }
        let question = pin!(question);
        let over = pin!(timer.patience(PATIENCE_MS));
        match select(question, over).await {
            Either::Left((Err(error), _)) if away(&error) => {}
            Either::Left((answer, _)) => {
                *self.lock() = None;
                return Told::Now(answer);
            }
            Either::Right(_) => {}
        }
        *self.lock() = now.checked_add(LEFT_ALONE).ok();
        Told::Before(known)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Timestamp>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
