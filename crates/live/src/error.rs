//! What can be wrong with live data.

/// Errors of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// A stored page, head or journal is not what it says it is.
    #[error("{what} is damaged at byte {offset}: {fault}")]
    Damaged {
        what: &'static str,
        offset: usize,
        fault: &'static str,
    },
    /// Written by a newer version.
    #[error("{what} has version {version}, which this program does not know")]
    Version { what: &'static str, version: u16 },
    /// A change that does not follow from what the timeline holds.
    #[error("a change does not fit the timeline: {0}")]
    Misfit(&'static str),
    /// A codec configuration that cannot be read.
    #[error("the {codec} configuration cannot be used: {fault}")]
    Codec { codec: &'static str, fault: String },
    /// A splice section that cannot be read.
    #[error("a splice section cannot be used: {fault}")]
    Cue { fault: String },
    /// A chunk's header that does not fit its media.
    #[error("a chunk is damaged: {fault}")]
    Chunk { fault: &'static str },
    /// A box could not be written, or not be read.
    #[error(transparent)]
    Box(#[from] headwater_bmff::BmffError),
}
