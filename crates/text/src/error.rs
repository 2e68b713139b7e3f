//! Why a file is no text track, and what of one was passed over.

/// A file that cannot be a track.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// Longer than [`crate::MAX_BYTES`].
    #[error("the file has {0} bytes, more than {max}", max = crate::MAX_BYTES)]
    TooLong(usize),
    /// Not UTF-8.
    #[error("line {0} is not UTF-8")]
    NotUtf8(usize),
    /// The first line of WebVTT is another.
    #[error("line 1 is not WEBVTT")]
    NoSignature,
    /// TTML that is not well-formed, or has a document type declaration, or too many elements.
    #[error("the document is not acceptable XML: {0}")]
    Xml(String),
    /// The root element is not `tt`.
    #[error("line {0}: the root element is not tt")]
    NotTt(u32),
    /// Elements nested too deeply.
    #[error("line {0}: elements are nested too deeply")]
    TooDeep(u32),
    /// MP4 that does not parse.
    #[error("the file is not acceptable MP4: {0}")]
    Mp4(String),
    /// MP4 without a text track.
    #[error("the file has no text track")]
    NoTextTrack,
    /// Times that have no place on a media timeline.
    #[error("line {line}: {reason}")]
    Timing {
        /// From 1.
        line: u32,
        /// What of it.
        reason: String,
    },
}

/// Something in a file that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// From 1.
    pub line: u32,
    /// What is wrong with it, for people.
    pub reason: String,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Most warnings that are kept of one file: enough to find what is wrong with it.
const MOST: usize = 20;

/// Adds a warning, as long as there are not too many.
pub(crate) fn warn(warnings: &mut Vec<Warning>, line: u32, reason: impl Into<String>) {
    if warnings.len() < MOST {
        warnings.push(Warning {
            line,
            reason: reason.into(),
        });
    }
}
