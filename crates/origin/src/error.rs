//! Errors in the words of a streaming endpoint, and their RFC 9457 problem bodies.
//!
//! Players read the status and `Cache-Control`; scripts written against AMS read the `MPE_` name, which is the
//! member `code` of the body.

use std::fmt;

/// What kind of failure it is; decides whether to retry and whether to cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request is wrong and stays wrong.
    InvalidArgument,
    /// Somebody decided that this must not be served.
    PermissionDenied,
    /// It is served to others, and to whoever asks it is as if it were not there: 404, which no cache keeps, as Azure Media
    /// Services had it.
    Withheld,
    /// Nothing is there (yet).
    NotFound,
    /// Nothing is there yet; it is expected within seconds.
    NotYet,
    /// It was there, and will not come back.
    Gone,
    /// The client wants another version of the resource than there is.
    PreconditionFailed,
    /// The range lies outside of the body.
    RangeNotSatisfiable,
    /// The method is not one of a streaming endpoint.
    MethodNotAllowed,
    /// The media or the asked-for form is one that we do not serve.
    UnsupportedMedia,
    /// Overloaded or switched off: try again later.
    Unavailable,
    /// Storage or the catalog answered something unexpected.
    Upstream,
    /// Our own fault, or damaged media.
    Internal,
}

/// The error names that a client may see, each with one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The URL does not follow the grammar.
    BadUrlSyntax,
    /// The protocol is not enabled by the streaming policy.
    OutputFormatBlocked,
    /// The client's address is not one that may look.
    AddressNotAllowed,
    /// A CDN has to sign what it asks for, and this is not signed, or wrongly.
    NotSigned,
    /// The URL leaves the encryption open where it has to say it.
    EncryptionNotSpecified,
    /// The URL asks for the clear where the policy has the protocol encrypted only.
    EncryptionRequired,
    /// Encryption is asked for where the policy has none.
    EncryptionNotSetInDeliveryPolicy,
    /// No such locator, manifest or file.
    ResourceNotFound,
    /// No such filter.
    EgressFilterNotFound,
    /// The presentation has nothing in the time asked for.
    EgressTimestampNotFound,
    /// The presentation has no such track.
    EgressTrackNotFound,
    /// The track's name exists, but not at this bit rate.
    ManifestMediaEntryNotFound,
    /// No segment starts at this time.
    FragmentTimestampNotFound,
    /// A segment of a live presentation that is still to come.
    FragmentNotReady,
    /// A live presentation that has nothing to show yet.
    NotYetAvailable,
    /// The locator has ended.
    LocatorExpired,
    /// A format that is not served.
    OutputFormatNotSupported,
    /// An encryption that is not served.
    EncryptionNotSupported,
    /// A stored filter has a presentation time range that cannot be applied.
    FilterRangeInvalid,
    /// A stored filter has a window of what is live that cannot be applied.
    FilterWindowInvalid,
    /// A stored filter has a back-off that cannot be applied.
    FilterBackOffInvalid,
    /// The filters put the newest moment back behind all that there is of a live presentation.
    FilterBackOffOverWindow,
    /// A stored filter has track conditions that cannot be applied.
    FilterTrackInvalid,
    /// A stored filter has a first quality that cannot be applied.
    FilterFirstQualityInvalid,
    /// The filters leave no track.
    FilterRemovedAllStreams,
    /// What a URL or a filter wants to end with has left the archive window of a live presentation.
    ForcedEndLeftWindow,
    /// More filters than may be combined.
    FilterCountOverLimit,
    /// Several filters choose a first quality.
    FilterMultipleFirstQuality,
    /// What may be shown of a live presentation holds no three segments of HLS.
    HlsSegmentTooLarge,
    /// The stored media is not something that can be streamed.
    FormatNotSupported,
    /// The stored media is encrypted already.
    AlreadyEncrypted,
    /// The stored video's samples are not NAL units, or whatever its codec consists of.
    InvalidVideoNalUnit,
    /// The stored video has sync samples too far apart.
    KeyFrameIntervalTooLarge,
    /// `If-Match` or `If-Unmodified-Since` does not hold.
    PreconditionFailed,
    /// The range lies outside of the body.
    RangeNotSatisfiable,
    /// Not GET, HEAD or OPTIONS.
    MethodNotAllowed,
    /// Storage refuses our credentials.
    StorageAuthentication,
    /// Storage is overloaded or cannot be reached.
    StorageServerBusy,
    /// Storage answered something unexpected.
    StorageUnexpected,
    /// No streaming endpoint is running.
    EndpointNotRunning,
    /// Everything else.
    Internal,
}

impl Code {
    /// Whether what was asked for is still to come.
    pub(crate) fn is_early(self) -> bool {
        matches!(self, Self::FragmentNotReady | Self::NotYetAvailable)
    }

    /// The AMS name, or one in its manner where AMS had none.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadUrlSyntax => "MPE_BAD_URL_SYNTAX",
            Self::OutputFormatBlocked => "MPE_OUTPUT_FORMAT_BLOCKED",
            Self::AddressNotAllowed | Self::NotSigned => "MPE_UNAUTHORIZED",
            Self::EncryptionNotSpecified => "MPE_ENC_ENCRYPTION_NOT_SPECIFIED_IN_URL",
            Self::EncryptionRequired => "MPE_ENC_ENCRYPTION_REQUIRED",
            Self::EncryptionNotSetInDeliveryPolicy => {
                "MPE_ENC_ENCRYPTION_NOT_SET_IN_DELIVERY_POLICY"
            }
            Self::ResourceNotFound => "MPE_RESOURCE_NOT_FOUND",
            Self::EgressFilterNotFound => "MPE_EGRESS_FILTER_NOT_FOUND",
            Self::EgressTimestampNotFound => "MPE_EGRESS_TIMESTAMP_NOT_FOUND",
            Self::EgressTrackNotFound => "MPE_EGRESS_TRACK_NOT_FOUND",
            Self::ManifestMediaEntryNotFound => "MPE_MANIFEST_MEDIA_ENTRY_NOT_FOUND",
            Self::FragmentTimestampNotFound => "MPE_FRAGMENT_TIMESTAMP_NOT_FOUND",
            Self::FragmentNotReady => "MPE_FRAGMENT_NOT_READY",
            Self::NotYetAvailable => "MPE_RESOURCE_NOT_FOUND",
            Self::LocatorExpired => "MPE_LOCATOR_EXPIRED",
            Self::OutputFormatNotSupported => "MPE_OUTPUT_FORMAT_NOT_SUPPORTED",
            Self::EncryptionNotSupported => "MPE_ENCRYPTION_NOT_SUPPORTED",
            Self::FilterRangeInvalid => "MPE_FILTER_RANGE_ATTRIBUTE_INVALID",
            Self::FilterWindowInvalid => "MPE_FILTER_PRESENTATION_WINDOW_INVALID",
            Self::FilterBackOffInvalid => "MPE_FILTER_LIVE_BACKOFF_INVALID",
            Self::FilterBackOffOverWindow => "MPE_FILTER_LIVE_BACKOFF_OVER_DVRWINDOW",
            Self::FilterTrackInvalid => "MPE_FILTER_TRACK_ATTRIBUTE_INVALID",
            Self::FilterFirstQualityInvalid => "MPE_FILTER_FIRST_QUALITY_ATTRIBUTE_INVALID",
            Self::FilterRemovedAllStreams => "MPE_FILTER_REMOVED_ALL_STREAMS",
            Self::ForcedEndLeftWindow => "MPE_FILTER_FORCE_END_LEFT_EDGE_CROSSED_DVR_WINDOW",
            Self::FilterCountOverLimit => "MPE_FILTER_COMPOSITION_FILTER_COUNT_OVER_LIMIT",
            Self::FilterMultipleFirstQuality => {
                "MPE_FILTER_COMPOSITION_MULTIPLE_FIRST_QUALITY_OPERATOR_NOT_ALLOWED"
            }
            Self::HlsSegmentTooLarge => "MPE_HLS_SEGMENT_TOO_LARGE",
            Self::FormatNotSupported => "MPE_FORMAT_NOT_SUPPORTED",
            Self::AlreadyEncrypted => "MPE_ENC_ALREADY_ENCRYPTED",
            Self::InvalidVideoNalUnit => "MPE_INVALID_VIDEO_NAL_UNIT",
            Self::KeyFrameIntervalTooLarge => "MPE_KEY_FRAME_INTERVAL_TOO_LARGE",
            Self::PreconditionFailed => "MPE_PRECONDITION_FAILED",
            Self::RangeNotSatisfiable => "MPE_RANGE_NOT_SATISFIABLE",
            Self::MethodNotAllowed => "MPE_METHOD_NOT_ALLOWED",
            Self::StorageAuthentication => "MPE_STORAGE_AUTHENTICATION_FAILED",
            Self::StorageServerBusy => "MPE_STORAGE_SERVER_BUSY",
            Self::StorageUnexpected => "MPE_STORAGE_UNEXPECTED_ANSWER",
            Self::EndpointNotRunning => "MPE_ENDPOINT_NOT_RUNNING",
            Self::Internal => "MPE_INTERNAL_ERROR",
        }
    }

    /// Its kind.
    pub fn kind(self) -> Kind {
        match self {
            Self::BadUrlSyntax | Self::EncryptionNotSpecified => Kind::InvalidArgument,
            Self::OutputFormatBlocked
            | Self::EncryptionRequired
            | Self::EncryptionNotSetInDeliveryPolicy
            | Self::StorageAuthentication => Kind::PermissionDenied,
            Self::AddressNotAllowed | Self::NotSigned => Kind::Withheld,
            Self::ResourceNotFound
            | Self::EgressFilterNotFound
            | Self::EgressTimestampNotFound
            | Self::EgressTrackNotFound
            | Self::ManifestMediaEntryNotFound
            | Self::FragmentTimestampNotFound => Kind::NotFound,
            Self::LocatorExpired | Self::ForcedEndLeftWindow => Kind::Gone,
            Self::OutputFormatNotSupported
            | Self::EncryptionNotSupported
            | Self::FilterRangeInvalid
            | Self::FilterWindowInvalid
            | Self::FilterBackOffInvalid
            | Self::FilterBackOffOverWindow
            | Self::HlsSegmentTooLarge
            | Self::FilterTrackInvalid
            | Self::FilterFirstQualityInvalid
            | Self::FilterRemovedAllStreams
            | Self::FilterCountOverLimit
            | Self::FilterMultipleFirstQuality
            | Self::FormatNotSupported
            | Self::AlreadyEncrypted
            | Self::InvalidVideoNalUnit
            | Self::KeyFrameIntervalTooLarge => Kind::UnsupportedMedia,
            Self::PreconditionFailed | Self::FragmentNotReady => Kind::PreconditionFailed,
            Self::NotYetAvailable => Kind::NotYet,
            Self::RangeNotSatisfiable => Kind::RangeNotSatisfiable,
            Self::MethodNotAllowed => Kind::MethodNotAllowed,
            Self::StorageServerBusy | Self::EndpointNotRunning => Kind::Unavailable,
            Self::StorageUnexpected => Kind::Upstream,
            Self::Internal => Kind::Internal,
        }
    }
}

impl Kind {
    /// HTTP status. Unsupported media is 415 here, as streaming endpoints have always said, not 422.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidArgument => 400,
            Self::PermissionDenied => 403,
            Self::Withheld | Self::NotFound | Self::NotYet => 404,
            Self::MethodNotAllowed => 405,
            Self::Gone => 410,
            Self::PreconditionFailed => 412,
            Self::UnsupportedMedia => 415,
            Self::RangeNotSatisfiable => 416,
            Self::Internal => 500,
            Self::Upstream => 502,
            Self::Unavailable => 503,
        }
    }

    /// `Cache-Control` of an answer of this kind.
    pub fn cache_control(self) -> &'static str {
        match self {
            // A CDN may absorb a wave of players that ask for something missing or wrong, but not for long: what is
            // missing may be published a second later.
            Self::NotFound | Self::InvalidArgument | Self::UnsupportedMedia => "public, max-age=2",
            Self::NotYet => "public, max-age=1",
            Self::Gone => "public, max-age=3600",
            Self::PermissionDenied
            | Self::Withheld
            | Self::MethodNotAllowed
            | Self::PreconditionFailed
            | Self::RangeNotSatisfiable
            | Self::Internal
            | Self::Upstream
            | Self::Unavailable => "no-store",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::InvalidArgument => "The URL is not a valid streaming URL",
            Self::PermissionDenied | Self::Withheld => "This is not allowed",
            Self::NotFound => "Not found",
            Self::NotYet => "Not there yet",
            Self::MethodNotAllowed => "Method not allowed",
            Self::Gone => "No longer available",
            Self::UnsupportedMedia => "Not supported",
            Self::PreconditionFailed => "Not the version asked for",
            Self::RangeNotSatisfiable => "The range is outside of the resource",
            Self::Internal => "Internal error",
            Self::Upstream => "Storage failed",
            Self::Unavailable => "Temporarily unavailable",
        }
    }

    fn slug(self) -> &'static str {
        match self {
            Self::InvalidArgument => "InvalidArgument",
            Self::PermissionDenied | Self::Withheld => "PermissionDenied",
            Self::NotFound => "NotFound",
            Self::NotYet => "NotYetAvailable",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::Gone => "Gone",
            Self::UnsupportedMedia => "UnsupportedMedia",
            Self::PreconditionFailed => "PreconditionFailed",
            Self::RangeNotSatisfiable => "RangeNotSatisfiable",
            Self::Internal => "Internal",
            Self::Upstream => "Upstream",
            Self::Unavailable => "Unavailable",
        }
    }
}

/// Why a request is not answered with what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginError {
    code: Code,
    detail: String,
    /// For the log only.
    cause: Option<String>,
}

impl OriginError {
    /// `detail`: one sentence, safe for strangers.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            cause: None,
        }
    }

    /// Adds what only operators may read.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Its name.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What the client is told.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What the log is told: name, detail and cause, without signatures or keys.
    pub fn log_line(&self) -> String {
        match &self.cause {
            Some(cause) => format!("{}: {} ({cause})", self.code.name(), self.detail),
            None => format!("{}: {}", self.code.name(), self.detail),
        }
    }

    /// The problem body. `instance`: identifier of the request, if it has one.
    pub fn problem(&self, instance: Option<&str>) -> String {
        let kind = self.code.kind();
        let mut body = String::with_capacity(256);
        body.push_str("{\"type\":\"https://headwater.video/problems/");
        body.push_str(kind.slug());
        body.push_str("\",\"title\":");
        json_string(&mut body, kind.title());
        body.push_str(",\"status\":");
        body.push_str(&kind.status().to_string());
        body.push_str(",\"detail\":");
        json_string(&mut body, &self.detail);
        body.push_str(",\"code\":");
        json_string(&mut body, self.code.name());
        if let Some(instance) = instance {
            body.push_str(",\"instance\":");
            json_string(&mut body, instance);
        }
        body.push('}');
        body
    }
}

/// Appends a JSON string (RFC 8259 §7).
fn json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
