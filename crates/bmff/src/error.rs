//! What can be wrong with a file, in the words of the box format.

/// Why a file could not be read, or a box not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BmffError {
    /// The first bytes are not those of an MP4 or QuickTime file.
    #[error("not an MP4 or QuickTime file: {reason}")]
    NotIsoMedia {
        /// What was found instead.
        reason: String,
    },
    /// The file ended without a `moov` box.
    #[error(
        "the file has no moov box, so nothing describes its tracks (an upload or recording that was cut off?)"
    )]
    NoMovie,
    /// The file ends before something it announces.
    #[error("{path} at byte {offset} needs {needed} bytes, but the file ends after {available}")]
    Truncated {
        /// Box path such as `moov/trak[2]/mdia`, or `sample 17 of track 1`.
        path: String,
        /// Byte offset in the file.
        offset: u64,
        /// Bytes announced from `offset` on.
        needed: u64,
        /// Bytes there are from `offset` on.
        available: u64,
    },
    /// A box contradicts itself, its parent or the specification.
    #[error("{path} at byte {offset}: {fault}")]
    Malformed {
        /// Box path such as `moov/trak[2]/mdia/mdhd`.
        path: String,
        /// Byte offset in the file.
        offset: u64,
        /// What is wrong.
        fault: String,
    },
    /// A box is legal but larger than the reader accepts.
    #[error("{path} at byte {offset} has {size} bytes; at most {limit} are accepted")]
    TooLarge {
        /// Box path.
        path: String,
        /// Byte offset in the file.
        offset: u64,
        /// Announced size.
        size: u64,
        /// Accepted size.
        limit: u64,
    },
    /// A feature of the format that this crate does not read.
    #[error("{path} at byte {offset}: {feature} is not supported")]
    Unsupported {
        /// Box path.
        path: String,
        /// Byte offset in the file.
        offset: u64,
        /// The feature, in words.
        feature: String,
    },
    /// Bytes were fed that do not cover the range asked for.
    #[error("expected {len} bytes at {offset}, was fed {fed_len} at {fed_offset}")]
    WrongFeed {
        /// Start of the range asked for.
        offset: u64,
        /// Its length.
        len: u64,
        /// Start of the bytes fed.
        fed_offset: u64,
        /// Their length.
        fed_len: u64,
    },
    /// Something to be written does not fit the field that holds it.
    #[error("cannot write {what}: {fault}")]
    Unwritable {
        /// The box or field.
        what: &'static str,
        /// Why not.
        fault: String,
    },
}

impl BmffError {
    /// The same error about another place: of a copy whose parts come from elsewhere in the file.
    pub(crate) fn moved(mut self, origin: impl FnOnce(u64) -> u64) -> Self {
        if let Self::Truncated { offset, .. }
        | Self::Malformed { offset, .. }
        | Self::TooLarge { offset, .. }
        | Self::Unsupported { offset, .. } = &mut self
        {
            *offset = origin(*offset);
        }
        self
    }

    pub(crate) fn unwritable(what: &'static str, fault: impl Into<String>) -> Self {
        Self::Unwritable {
            what,
            fault: fault.into(),
        }
    }
}
