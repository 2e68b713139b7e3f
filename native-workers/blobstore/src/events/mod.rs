//! Storage events: `Microsoft.Storage.BlobCreated` and `BlobDeleted`, at least once, in order.
//!
//! An event is written and synced to the outbox before its write is committed, handed to the sender after, and removed
//! when the sink has answered 2xx. After a restart everything left in the outbox is sent. So an acknowledged write
//! never loses its event, unless the sink refuses it for good (then it is put aside); an event may come twice, or (after a crash in the middle) for a write that did not happen.

mod outbox;
mod schema;
mod sender;

pub(crate) use outbox::{Outbox, Recorded};
pub(crate) use schema::{Api, Subject};
pub(crate) use sender::{Delivery, run};

use std::fmt;

/// Where events are POSTed, as a JSON array in the Event Grid schema.
#[derive(Clone, PartialEq, Eq)]
pub struct EventSink {
    /// `http` or `https`.
    pub url: String,
    /// Sent as `aeg-sas-key`.
    pub secret: String,
}

impl fmt::Debug for EventSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventSink")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}
