//! What happens at the ingest port, in the words of AMS's Event Grid types.
//!
//! A [`Fact`] is tagged as the event that tells of it, `Microsoft.Media.LiveEventEncoderConnected` for instance, and its
//! other members are that event's data. Spec: the management API reference, 2.13; the streaming reference, 5.6.

use serde::{Deserialize, Serialize};

/// One thing that happened, or the regular word on how it goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Fact {
    /// An encoder was turned away.
    #[serde(rename = "Microsoft.Media.LiveEventConnectionRejected")]
    ConnectionRejected(Connection),
    #[serde(rename = "Microsoft.Media.LiveEventEncoderConnected")]
    EncoderConnected(Connection),
    #[serde(rename = "Microsoft.Media.LiveEventEncoderDisconnected")]
    EncoderDisconnected(Connection),
    /// The first media of a track came in.
    #[serde(rename = "Microsoft.Media.LiveEventIncomingStreamReceived")]
    IncomingStreamReceived(IncomingStream),
    #[serde(rename = "Microsoft.Media.LiveEventIncomingDataChunkDropped")]
    IncomingDataChunkDropped(DroppedChunk),
    #[serde(rename = "Microsoft.Media.LiveEventTrackDiscontinuityDetected")]
    TrackDiscontinuityDetected(Discontinuity),
    /// Of every track, every 20 seconds, after a disconnect as well.
    #[serde(rename = "Microsoft.Media.LiveEventIngestHeartbeat")]
    IngestHeartbeat(Heartbeat),
}

/// An encoder and how its connection ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    pub stream_id: String,
    /// Without the access token.
    pub ingest_url: String,
    pub encoder_ip: String,
    /// A text, as AMS has it.
    pub encoder_port: String,
    /// `S_OK`, `MPE_CLIENT_TERMINATED_SESSION`, `MPE_RTMP_APPID_AUTH_FAILURE`, ... `None` while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_code: Option<String>,
}

/// Which track, as every event about one begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Track {
    /// `audio` or `video`.
    pub track_type: String,
    pub track_name: String,
    /// Bits a second, as the encoder announced it.
    pub bitrate: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IncomingStream {
    #[serde(flatten)]
    pub track: Track,
    /// Without the access token.
    pub ingest_url: String,
    pub encoder_ip: String,
    pub encoder_port: String,
    /// Of the first media, in ticks; a text, as AMS has it. So are `duration` and `timescale`.
    pub timestamp: String,
    pub duration: String,
    pub timescale: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedChunk {
    #[serde(flatten)]
    pub track: Track,
    /// In ticks; a text, as AMS has it. So is `timescale`.
    pub timestamp: String,
    pub timescale: String,
    /// `FragmentDrop_OverlapTimestamp` or `FragmentDrop_NonIncreasingTimestamp`.
    pub result_code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Discontinuity {
    #[serde(flatten)]
    pub track: Track,
    /// In ticks; texts, as AMS has them.
    pub previous_timestamp: String,
    pub new_timestamp: String,
    pub discontinuity_gap: String,
    pub timescale: String,
}

/// How a track does. Counts are since the last heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    #[serde(flatten)]
    pub track: Track,
    /// Bits a second, as measured.
    pub incoming_bitrate: u64,
    /// In ticks; texts, as AMS has them.
    pub last_timestamp: String,
    pub timescale: String,
    pub overlap_count: u32,
    pub discontinuity_count: u32,
    pub nonincreasing_count: u32,
    /// Whether what is measured is far from what was announced.
    pub unexpected_bitrate: bool,
    /// `Running`, or `Stopped` once the encoder is gone.
    pub state: String,
    pub healthy: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fact_is_what_event_grid_shows() {
        let told = json!({
            "type": "Microsoft.Media.LiveEventEncoderDisconnected",
            "streamId": "main", "ingestUrl": "rtmp://localhost:1935/live/main",
            "encoderIp": "192.0.2.7", "encoderPort": "40000", "resultCode": "MPE_CLIENT_TERMINATED_SESSION",
        });
        let fact: Fact = serde_json::from_value(told.clone()).unwrap();
        assert_eq!(json!(fact), told);
        let beat = json!({
            "type": "Microsoft.Media.LiveEventIngestHeartbeat",
            "trackType": "video", "trackName": "video", "bitrate": 2_500_000, "incomingBitrate": 2_610_000,
            "lastTimestamp": "180000", "timescale": "90000", "overlapCount": 0, "discontinuityCount": 0,
            "nonincreasingCount": 0, "unexpectedBitrate": false, "state": "Running", "healthy": true,
        });
        let fact: Fact = serde_json::from_value(beat.clone()).unwrap();
        assert_eq!(json!(fact), beat);
    }
}
