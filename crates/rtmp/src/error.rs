//! What peers do wrong.

/// Why a connection cannot go on. `offset`: bytes of the connection before the fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RtmpError {
    #[error("the handshake asks for version {0}, not 3")]
    Version(u8),
    #[error("at byte {offset}: {fault}")]
    Malformed { offset: u64, fault: &'static str },
    #[error("at byte {offset}: a message of {bytes} bytes")]
    MessageTooLarge { offset: u64, bytes: u64 },
    #[error("at byte {offset}: more unfinished messages than are held")]
    TooManyUnfinished { offset: u64 },
    /// An AMF value that is cut off, nested too deeply, or of a kind that has no business here.
    #[error("a command or its metadata cannot be read: {0}")]
    Amf(&'static str),
}
