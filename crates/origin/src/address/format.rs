//! Values of `format`: protocol, container and dialect.

use crate::error::{Code, OriginError};

/// Values of `format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Smooth Streaming.
    Smooth(SmoothVersion),
    /// HLS over MPEG-2 TS.
    HlsTs(TsVersion),
    /// `m3u8-cmaf`.
    HlsCmaf,
    /// `mpd-time-csf`.
    DashCsf,
    /// `mpd-time-cmaf`.
    DashCmaf,
}

/// Dialects of Smooth Streaming manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SmoothVersion {
    /// `fmp4-v20`: every fragment has its own element.
    V20,
    /// No `format`: 2.2, which counts equal fragments.
    V22,
}

/// Dialects of HLS over MPEG-2 TS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TsVersion {
    /// `m3u8-aapl-v3`: one audio track, in the segments of the video.
    V3,
    /// `m3u8-aapl` and `m3u8-aapl-v4`: audio in renditions of its own, I-frame playlists.
    V4,
    /// `m3u8-aapl-v8`: the same, and segments are said to be independent.
    V8,
}

/// The protocols that streaming policies know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP Live Streaming.
    Hls,
    /// MPEG-DASH.
    Dash,
    /// Smooth Streaming.
    Smooth,
}

impl Format {
    /// Errors: 415 for what is no format.
    pub(super) fn read(value: &str) -> Result<Self, OriginError> {
        Ok(match value.to_ascii_lowercase().as_str() {
            "fmp4-v20" => Self::Smooth(SmoothVersion::V20),
            "m3u8-aapl-v3" => Self::HlsTs(TsVersion::V3),
            "m3u8-aapl" | "m3u8-aapl-v4" => Self::HlsTs(TsVersion::V4),
            "m3u8-aapl-v8" => Self::HlsTs(TsVersion::V8),
            "m3u8-cmaf" => Self::HlsCmaf,
            "mpd-time-csf" => Self::DashCsf,
            "mpd-time-cmaf" => Self::DashCmaf,
            _ => {
                return Err(OriginError::new(
                    Code::OutputFormatNotSupported,
                    "the value of format is unknown",
                ));
            }
        })
    }

    /// How URLs say it; `None` for what they say by not saying it.
    pub fn value(self) -> Option<&'static str> {
        Some(match self {
            Self::Smooth(SmoothVersion::V22) => return None,
            Self::Smooth(SmoothVersion::V20) => "fmp4-v20",
            Self::HlsTs(TsVersion::V3) => "m3u8-aapl-v3",
            Self::HlsTs(TsVersion::V4) => "m3u8-aapl",
            Self::HlsTs(TsVersion::V8) => "m3u8-aapl-v8",
            Self::HlsCmaf => "m3u8-cmaf",
            Self::DashCsf => "mpd-time-csf",
            Self::DashCmaf => "mpd-time-cmaf",
        })
    }

    /// Which protocol it belongs to.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Smooth(_) => Protocol::Smooth,
            Self::HlsTs(_) | Self::HlsCmaf => Protocol::Hls,
            Self::DashCsf | Self::DashCmaf => Protocol::Dash,
        }
    }
}
