//! The lease of an event: what its holder, and those who write on its behalf, go by.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Of one event, until it is let go.
#[derive(Debug)]
pub(crate) struct Lease {
    /// Proves it to the API.
    pub(crate) token: String,
    /// How long a renewal lasts.
    pub(crate) lasts: Duration,
    until: Mutex<Instant>,
}

impl Lease {
    /// One that was just given.
    pub(crate) fn new(token: String, seconds: u32) -> Self {
        let lasts = Duration::from_secs(u64::from(seconds.max(5)));
        Self {
            token,
            lasts,
            until: Mutex::new(Instant::now() + lasts),
        }
    }

    /// It was renewed by a call that began at `asked`: from then on it counts.
    pub(crate) fn renewed(&self, asked: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = asked + self.lasts;
    }

    /// Whether the event is certainly nobody else's. Who could not renew for as long as a lease lasts must not assume it.
    pub(crate) fn is_sure(&self) -> bool {
        Instant::now() < *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
