//! Why a presentation or its index could not be made or read.

use headwater_bmff::{BmffError, EditError};

use crate::index::{MAX_KEY_FRAME_SECONDS, MAX_RUNS};

/// Why a presentation or its index could not be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CmafError {
    /// The media file, or a box made from it.
    #[error(transparent)]
    Movie(#[from] BmffError),
    /// A track's codec or feature cannot be packaged.
    #[error("track {track} ({codec}): {reason}")]
    Unsupported {
        /// Track id.
        track: u32,
        /// Name of the codec for people.
        codec: String,
        /// What is in the way.
        reason: String,
    },
    /// Nothing of the file is in the clear.
    #[error("track {track} is encrypted already; what is packaged has to be stored in the clear")]
    Encrypted {
        /// Track id.
        track: u32,
    },
    /// The edit list of a track cannot be applied.
    #[error("track {track}: {fault}")]
    EditList {
        /// Track id.
        track: u32,
        /// What is in the way.
        fault: EditError,
    },
    /// The file has no video or audio samples.
    #[error("the file has no video or audio to play")]
    NoMedia,
    /// Times, durations or sizes do not fit the fields that hold them.
    #[error("track {track}: {what} is too large")]
    TooLarge {
        /// Track id.
        track: u32,
        /// What does not fit.
        what: &'static str,
    },
    /// Pictures follow a sync sample for longer than a segment may last.
    #[error(
        "track {track} has no key frame from second {from_seconds} to second {to_seconds}; at most {most} seconds can be streamed in one piece, so it has to be encoded first",
        most = MAX_KEY_FRAME_SECONDS
    )]
    KeyFrameInterval {
        /// Track id.
        track: u32,
        /// When the sync sample is presented, in whole seconds.
        from_seconds: u64,
        /// When the last picture is that needs it, in whole seconds.
        to_seconds: u64,
    },
    /// A segment's bytes are spread over more places than one answer reads from.
    #[error(
        "track {track}: the segment at second {at_seconds} lies in more than {most} places of the file",
        most = MAX_RUNS
    )]
    Scattered {
        /// Track id.
        track: u32,
        /// When the segment starts, in whole seconds.
        at_seconds: u64,
    },
    /// Segments given to a writer contradict each other or the rules of this crate.
    #[error("segment {number}: {fault}")]
    BadSegment {
        /// Zero-based.
        number: u32,
        /// What is wrong.
        fault: String,
    },
    /// The bytes are not a packaging index.
    #[error("not a packaging index")]
    NotAnIndex,
    /// The index has another format version; build it again.
    #[error("packaging index of format version {0}")]
    OtherVersion(u16),
    /// A part of the index is damaged or was cut off; build it again.
    #[error("the packaging index is damaged: {part}")]
    Damaged {
        /// Which part, and how.
        part: String,
    },
}

impl CmafError {
    pub(crate) fn damaged(part: impl Into<String>) -> Self {
        Self::Damaged { part: part.into() }
    }
}
