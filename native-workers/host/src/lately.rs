//! What databases and stores said lately, gone by while they do not answer (`stale-if-error`, RFC 5861 §4).
//!
//! Players have seconds of film, not minutes, and most of what they ask for next was asked for lately, or is kept nearby. So a
//! viewer need not notice that a database is started again. All instances of a host share what is known: one that is made in
//! the middle of an outage knows what the others knew.
//!
//! Who is asked in vain is left alone for a moment, so that a request does not wait once for each of its questions, and is not
//! waited for long with questions that nobody knows an answer to. What is said counts at once, bad news too: only who says
//! nothing, or that it cannot say, is taken to be away.

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer is waited for where there is something else to go by, and of one who is away.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);
/// How long nobody is asked again who did not answer.
const LEFT_ALONE: Duration = Duration::from_secs(10);
/// What an entry costs beyond its answer, about.
const OVERHEAD: u64 = 256;
/// Most peers of which it is remembered that they are away.
const MOST_AWAY: usize = 256;

/// Names a question.
pub(crate) type Key = [u8; 32];

/// The name of a question that has these parts.
pub(crate) fn key<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Key {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said<V, T> {
    /// One that may be given again, and how many bytes it holds.
    Again(V, u64),
    /// One that is for the one who asked.
    Once(T),
    /// That there is no answer now.
    Nothing(T),
}

/// Answers, the least useful of which go first.
pub(crate) struct Lately<V: Clone + Send + Sync> {
    known: Cache<Key, Arc<Known<V>>, Weight>,
    /// Until when they are left alone.
    away: Mutex<HashMap<String, Instant>>,
}

struct Known<V> {
    value: V,
    bytes: u64,
    since: Instant,
}

#[derive(Clone)]
struct Weight;

impl<V> Weighter<Key, Arc<Known<V>>> for Weight {
    fn weight(&self, _: &Key, known: &Arc<Known<V>>) -> u64 {
        known.bytes + OVERHEAD
    }
}

impl<V: Clone + Send + Sync> Lately<V> {
    /// With room for about `bytes`.
    pub(crate) fn new(bytes: u64) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(1024)
            .weight_capacity(bytes)
            // Answers are small against the whole, not against one of many parts.
            .shards(4)
            .build();
        let options = options.expect("both capacities are given");
        let hasher = DefaultHashBuilder::default();
        Self {
            known: Cache::with_options(
                options,
                Weight,
                hasher,
                quick_cache::sync::DefaultLifecycle::default(),
            ),
            away: Mutex::default(),
        }
    }

    /// Asks `peer`, unless that was in vain a moment ago and it is known what was said less than `grace` ago. `late`: what it is
    /// that nothing was said in time.
    pub(crate) async fn ask<T, E>(
        &self,
        peer: &str,
        key: Key,
        grace: Duration,
        question: impl Future<Output = Result<Said<V, T>, E>>,
        late: impl FnOnce() -> E,
    ) -> Result<Said<V, T>, E> {
        let known = self.known.get(&key);
        let known = known.filter(|known| known.since.elapsed() <= grace);
        let away = self.is_away(peer);
        let Some(known) = known else {
            let answer = match away {
                true => soon(question, late).await,
                false => question.await,
            };
            self.learn(peer, key, &answer);
            return answer;
        };
        if !away {
            let answer = soon(question, late).await;
            if self.learn(peer, key, &answer) {
                return answer;
            }
        }
        self.leave_alone(peer);
        metrics::counter!("headwater_stale_answers_total").increment(1);
        Ok(Said::Again(known.value.clone(), known.bytes))
    }

    /// Whether something was said.
    fn learn<T, E>(&self, peer: &str, key: Key, answer: &Result<Said<V, T>, E>) -> bool {
        match answer {
            Err(_) | Ok(Said::Nothing(_)) => return false,
            Ok(Said::Once(_)) => {}
            Ok(Said::Again(value, bytes)) => {
                let known = Known {
                    value: value.clone(),
                    bytes: *bytes,
                    since: Instant::now(),
                };
                self.known.insert(key, Arc::new(known));
            }
        }
        if self.away().remove(peer).is_some() {
            tracing::info!(peer, "answers again");
        }
        true
    }

    /// Whether `peer` did not answer a moment ago.
    pub(crate) fn is_away(&self, peer: &str) -> bool {
        self.away()
            .get(peer)
            .is_some_and(|until| Instant::now() < *until)
    }

    fn leave_alone(&self, peer: &str) {
        let now = Instant::now();
        let mut away = self.away();
        if away.get(peer).is_some_and(|until| now < *until) {
            return;
        }
        if !away.contains_key(peer) {
            tracing::warn!(peer, "does not answer: what it said lately is gone by");
            if away.len() >= MOST_AWAY {
                away.clear();
            }
        }
        away.insert(peer.to_owned(), now + LEFT_ALONE);
    }

    fn away(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn soon<T, E>(
    question: impl Future<Output = Result<T, E>>,
    late: impl FnOnce() -> E,
) -> Result<T, E> {
    let answer = tokio::time::timeout(PATIENCE, question).await;
    answer.unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
#[path = "lately_tests.rs"]
mod tests;
