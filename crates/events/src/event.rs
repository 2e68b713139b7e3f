//! The one shape that every dialect is read into.

use jiff::Timestamp;

/// What happened to a blob, as far as its sender knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// It was written, or written again.
    Created,
    /// It was removed.
    Deleted,
}

/// Something happened to one blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageEvent {
    /// The same for every delivery of the same event, different for different events. At most
    /// [`StorageEvent::MAX_ID_BYTES`] bytes. Scoped by its source, e.g. `/subscriptions/…/storageAccounts/local#8a1c…`.
    pub id: String,
    pub change: Change,
    /// The storage account, where the event names one. S3 knows only buckets.
    pub account: Option<String>,
    /// Container or bucket.
    pub container: String,
    /// The blob's name as its owner wrote it (not percent-encoded), without a leading slash.
    pub blob: String,
    /// The blob's ETag when the event was raised, with or without quotes as sent. A hint.
    pub etag: Option<String>,
    /// The blob's length in bytes when the event was raised. A hint.
    pub size_bytes: Option<u64>,
    /// When it happened, by the sender's clock.
    pub time: Option<Timestamp>,
}

impl StorageEvent {
    /// The longest id that is taken; CloudEvents allows any, the catalog keys a table with it.
    pub const MAX_ID_BYTES: usize = 1024;
}

/// Why one event of a delivery is left aside while the others are worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skip {
    /// Not an event about a blob that came or went. Subscriptions often cover more than we act on.
    OtherType,
    /// It claims to be one, but does not say which blob, or has no usable id.
    Unusable,
}
