//! What can be wrong with media, keys and documents.

/// Why something cannot be protected, or a document about protection cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtectError {
    /// A box is cut off, missing, or holds what it must not.
    #[error("{path} at byte {offset}: {fault}")]
    Box {
        /// Types from the outermost box, `moov/trak`.
        path: String,
        /// From the start of the bytes given.
        offset: usize,
        /// What is wrong.
        fault: &'static str,
    },
    /// A sample whose NAL units or slice headers do not parse.
    #[error("the sample's NAL unit at byte {offset}: {fault}")]
    Sample {
        /// From the start of the sample.
        offset: usize,
        /// What is wrong.
        fault: &'static str,
    },
    /// A parameter set that does not parse.
    #[error("{0} does not parse")]
    ParameterSet(&'static str),
    /// A number that a field of the format cannot hold.
    #[error("{0} is too large")]
    TooLarge(&'static str),
    /// A value that is none of its kind.
    #[error("{field}: {fault}")]
    Value {
        /// Of the document or argument.
        field: String,
        /// What is wrong.
        fault: String,
    },
    /// Two arguments that do not fit together.
    #[error("{0}")]
    Mismatch(&'static str),
}

impl ProtectError {
    pub(crate) fn value(field: impl Into<String>, fault: impl Into<String>) -> Self {
        Self::Value {
            field: field.into(),
            fault: fault.into(),
        }
    }
}
