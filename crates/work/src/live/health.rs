//! How the ingest of an event is doing: told with every renewal, kept for ten minutes, shown by `…/health`.
//!
//! Moments are told as ages, so that the clocks of two machines need not agree.

use serde::{Deserialize, Serialize};

/// Most connections, and most tracks, of one report. What is beyond is left out by the worker.
pub const MOST_PARTS: usize = 32;

/// What was measured until now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Health {
    /// Connections that are open.
    pub encoders: Vec<EncoderHealth>,
    /// Also of encoders that have gone.
    pub tracks: Vec<TrackHealth>,
    /// By how much the times of sound run ahead of those of pictures that arrive at the same moment; negative if they are
    /// behind. `None` without both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub av_drift_ms: Option<i64>,
    /// Of which kind (`video`, `audio`) something stands in for what does not come. Told by workers of events that ask for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filled: Vec<String>,
}

/// A connection of an encoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EncoderHealth {
    /// Without the stream key.
    pub ingest_url: String,
    pub stream_id: String,
    /// `RTMP`, `RTMPS` or `SRT`.
    pub protocol: String,
    pub encoder_ip: String,
    pub encoder_port: String,
    pub connected_for_ms: u64,
    /// Bits per second over the last seconds.
    pub incoming_bitrate: u64,
}

/// A track, measured on the connection that brings most of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrackHealth {
    /// `audio` or `video`.
    pub track_type: String,
    pub track_name: String,
    /// As it was announced, bits per second.
    pub bitrate: u64,
    /// Over the last seconds, bits per second.
    pub incoming_bitrate: u64,
    /// Thousandths of access units per second, over the last seconds.
    pub frame_rate_milli: u32,
    /// From one key frame to the next, by their times. `None` for sound, and before the second one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_frame_distance_ms: Option<u64>,
    /// How long ago the last key frame came. `None` for sound, and before the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_frame_age_ms: Option<u64>,
    /// How long ago the last access unit came; `None` before the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// The newest decode time, in ticks of the encoder's clock (90 kHz).
    pub last_timestamp: i64,
    /// By how much less media than time came in the last minute; negative if there was more. `None` if nothing came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest_drift_ms: Option<i64>,
    /// An encoder that sends it is connected.
    pub connected: bool,
    #[serde(default)]
    pub lost: Losses,
}

/// What went wrong in the last minute, in access units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Losses {
    /// Left out, as they cover time that is covered.
    pub overlaps: u64,
    /// Left out, as they are not after the one before.
    pub non_increasing: u64,
    /// Left out, as the pictures that they depend on are missing.
    pub undecodable: u64,
    /// Left out, as another connection had sent them: no fault.
    pub duplicates: u64,
    /// Jumps of the track's time.
    pub discontinuities: u64,
}

impl Losses {
    /// Access units that are missing from the track.
    pub fn dropped(&self) -> u64 {
        self.overlaps
            .saturating_add(self.non_increasing)
            .saturating_add(self.undecodable)
    }
}
