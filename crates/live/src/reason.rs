//! Why data or connections were refused, in the words of Azure Media Services (streaming reference, 5.1 and 5.6).

use std::fmt;

/// Why a connection is refused or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The encoder said goodbye, or a stream came to its end.
    Ok,
    /// The encoder closed the connection.
    ClientTerminated,
    /// The event was stopped or reset.
    ChannelStop,
    /// Nothing came for too long.
    IdleTimeout,
    /// The access token is not that of an event that runs here.
    AuthFailure,
    /// The address is on no allow list.
    ConnectionDenied,
    /// Too many connections.
    CapacityReached,
    /// The codec cannot be passed on.
    CodecNotSupported,
    /// Media before what describes it.
    DescriptionNotReceived,
    /// A second bit rate without `onMetaData` in front.
    SetDataFrameNotReceived,
    /// More streams than the event takes.
    TooManyQualities,
    /// The sum of the bit rates, or one of them, is above the event's.
    BitrateExceeded,
    FramerateExceeded,
    ResolutionNotSupported,
    /// An access unit, or what has to be held back, is larger than anything an encoder sends.
    TooLargeUnprocessed,
    /// What came is not the protocol.
    Malformed,
}

impl Reason {
    /// The name on the wire.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Ok => "S_OK",
            Self::ClientTerminated => "MPE_CLIENT_TERMINATED_SESSION",
            Self::ChannelStop => "MPI_REST_API_CHANNEL_STOP",
            Self::IdleTimeout => "MPE_RTMP_SESSION_IDLE_TIMEOUT",
            Self::AuthFailure => "MPE_RTMP_APPID_AUTH_FAILURE",
            Self::ConnectionDenied => "MPE_INGEST_ENCODER_CONNECTION_DENIED",
            Self::CapacityReached => "MPE_CAPACITY_LIMIT_REACHED",
            Self::CodecNotSupported => "MPE_INGEST_CODEC_NOT_SUPPORTED",
            Self::DescriptionNotReceived => "MPE_INGEST_DESCRIPTION_INFO_NOT_RECEIVED",
            Self::SetDataFrameNotReceived => "MPE_INGEST_RTMP_SETDATAFRAME_NOT_RECEIVED",
            Self::TooManyQualities => "MPE_INGEST_MEDIA_QUALITIES_EXCEEDED",
            Self::BitrateExceeded => "MPE_INGEST_BITRATE_AGGREGATED_EXCEEDED",
            Self::FramerateExceeded => "MPE_INGEST_FRAMERATE_EXCEEDED",
            Self::ResolutionNotSupported => "MPE_INGEST_VIDEO_RESOLUTION_NOT_SUPPORTED",
            Self::TooLargeUnprocessed => "MPE_INGEST_RTMP_TOO_LARGE_UNPROCESSED_FLV",
            // Not a name of AMS: it reported such connections as terminated by the client.
            Self::Malformed => "MPE_INGEST_PROTOCOL_VIOLATION",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why an access unit was left out of the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Drop {
    /// It covers time that is covered already.
    Overlap,
    /// Its time is not after that of the one before.
    NonIncreasing,
    /// Another connection has sent the same: the backup of a redundant pair. Not told as a fault.
    Duplicate,
    /// It cannot be decoded: the pictures it depends on are missing.
    NoSync,
}

impl Drop {
    /// The name on the wire; `None` for what is not worth telling.
    #[must_use]
    pub fn code(self) -> Option<&'static str> {
        match self {
            Self::Overlap => Some("FragmentDrop_OverlapTimestamp"),
            Self::NonIncreasing => Some("FragmentDrop_NonIncreasingTimestamp"),
            Self::Duplicate | Self::NoSync => None,
        }
    }
}
