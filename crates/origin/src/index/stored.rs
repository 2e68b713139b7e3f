//! Reading the head of a stored index.

use crate::ports::{Storage, StorageError};
use bytes::Bytes;
use headwater_cmaf::index::{HeadParse, IndexHead, parse_head};

/// First read of an index: holds the head of nearly every file, and all of a short one's index.
pub(super) const FIRST_READ_BYTES: u64 = 16 * 1024;
/// Largest head that is asked for after the first read.
const MAX_HEAD_BYTES: u64 = 16 << 20;
/// Why there is no head.
pub(super) enum NoHead {
    Storage(StorageError),
    Damaged { fault: String, etag: String },
}

/// The head of a stored index, the bytes that the first read brought, and its entity tag.
pub(super) async fn read_head<S: Storage>(
    storage: &S,
    at: &S::Location,
    name: &str,
) -> Result<(IndexHead, Bytes, String), NoHead> {
    let first = storage
        .read(at, name, 0..FIRST_READ_BYTES, None)
        .await
        .map_err(NoHead::Storage)?;
    let mut bytes = first.bytes;
    let damaged = |e: &dyn std::fmt::Display| NoHead::Damaged {
        fault: e.to_string(),
        etag: first.etag.clone(),
    };
    for _ in 0..2 {
        match parse_head(&bytes).map_err(|e| damaged(&e))? {
            HeadParse::Complete(head) if head.index_len == first.total_len => {
                return Ok((head, bytes, first.etag.clone()));
            }
            HeadParse::Complete(_) => return Err(damaged(&"its length is not the one it states")),
            HeadParse::NeedMore(len) if len <= MAX_HEAD_BYTES && len <= first.total_len => {
                let read = storage
                    .read(at, name, 0..len, Some(&first.etag))
                    .await
                    .map_err(NoHead::Storage)?;
                bytes = read.bytes;
            }
            HeadParse::NeedMore(_) => break,
        }
    }
    Err(damaged(&"it is cut short"))
}
