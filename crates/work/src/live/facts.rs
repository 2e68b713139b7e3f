//! What an ingest worker tells of the streams that come in.
//!
//! One call, authorised with a token of role `worker`: `POST /internal/v1/liveEvents/{eventId}/facts` with [`ReportFacts`], answered
//! with `204`; `404` for a live event that does not exist. A worker may repeat a call whose answer it did not see: a fact
//! has an id, under which it is told once.
//!
//! Names and shapes are those of Event Grid's `Microsoft.Media.LiveEvent…` types (the management API reference, 2.13), so
//! a fact's `data` is an event's `data` as it is. As there, media times and their scales are decimal texts: they may be
//! longer than a JavaScript number holds exactly.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Most facts of one call.
pub const MOST_FACTS: usize = 100;

/// Longest text in a fact, in bytes.
pub const LONGEST_TEXT: usize = 2048;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportFacts {
    /// In the order in which they happened; 1 to [`MOST_FACTS`].
    pub facts: Vec<IngestFact>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IngestFact {
    /// Chosen by the worker, once for each fact. Becomes the CloudEvents id.
    pub id: Uuid,
    #[serde(flatten)]
    pub fact: Fact,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Fact {
    #[serde(rename = "Microsoft.Media.LiveEventConnectionRejected")]
    ConnectionRejected(ConnectionEnded),
    #[serde(rename = "Microsoft.Media.LiveEventEncoderConnected")]
    EncoderConnected(Encoder),
    #[serde(rename = "Microsoft.Media.LiveEventEncoderDisconnected")]
    EncoderDisconnected(ConnectionEnded),
    #[serde(rename = "Microsoft.Media.LiveEventIncomingStreamReceived")]
    StreamReceived(StreamReceived),
    #[serde(rename = "Microsoft.Media.LiveEventIncomingDataChunkDropped")]
    ChunkDropped(ChunkDropped),
    #[serde(rename = "Microsoft.Media.LiveEventIncomingStreamsOutOfSync")]
    StreamsOutOfSync(StreamsOutOfSync),
    #[serde(rename = "Microsoft.Media.LiveEventIncomingVideoStreamsOutOfSync")]
    VideoStreamsOutOfSync(VideoStreamsOutOfSync),
    #[serde(rename = "Microsoft.Media.LiveEventIngestHeartbeat")]
    Heartbeat(Heartbeat),
    #[serde(rename = "Microsoft.Media.LiveEventTrackDiscontinuityDetected")]
    Discontinuity(Discontinuity),
}

/// An encoder and the connection it has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Encoder {
    /// Without the stream key.
    pub ingest_url: String,
    pub stream_id: String,
    pub encoder_ip: String,
    pub encoder_port: String,
}

/// A connection that was refused or has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectionEnded {
    /// Without the stream key.
    pub ingest_url: String,
    pub stream_id: String,
    pub encoder_ip: String,
    pub encoder_port: String,
    /// `S_OK`, `MPE_CLIENT_TERMINATED_SESSION`, `MPI_REST_API_CHANNEL_STOP`, `MPI_STREAM_HIT_EOF`, ...
    pub result_code: String,
}

/// The first data of a track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StreamReceived {
    /// Without the stream key.
    pub ingest_url: String,
    /// `audio` or `video`.
    pub track_type: String,
    pub track_name: String,
    /// Bits per second.
    pub bitrate: u64,
    pub encoder_ip: String,
    pub encoder_port: String,
    pub timestamp: String,
    pub duration: String,
    pub timescale: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChunkDropped {
    pub timestamp: String,
    pub track_type: String,
    pub track_name: String,
    pub bitrate: u64,
    pub timescale: String,
    /// `FragmentDrop_OverlapTimestamp` or `FragmentDrop_NonIncreasingTimestamp`.
    pub result_code: String,
}

/// Audio and video drift apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StreamsOutOfSync {
    pub min_last_timestamp: String,
    pub type_of_stream_with_min_last_timestamp: String,
    pub max_last_timestamp: String,
    pub type_of_stream_with_max_last_timestamp: String,
    pub timescale_of_min_last_timestamp: String,
    pub timescale_of_max_last_timestamp: String,
}

/// Renditions of the same picture drift apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VideoStreamsOutOfSync {
    pub first_timestamp: String,
    pub first_duration: String,
    pub second_timestamp: String,
    pub second_duration: String,
    pub timescale: String,
}

/// How a track is doing: every 20 seconds for each, also after its encoder has gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Heartbeat {
    pub track_type: String,
    pub track_name: String,
    /// What the track announces, bits per second.
    pub bitrate: u64,
    /// What comes in, bits per second.
    pub incoming_bitrate: u64,
    pub last_timestamp: String,
    pub timescale: String,
    /// Since the last heartbeat, as the next three.
    pub overlap_count: u64,
    pub discontinuity_count: u64,
    pub nonincreasing_count: u64,
    pub unexpected_bitrate: bool,
    /// `Running` or `Stopped`.
    pub state: String,
    pub healthy: bool,
    /// When the newest data came (RFC 3339); empty if none has.
    #[serde(default)]
    pub last_fragment_arrival_time: String,
    /// Seconds by which less media than time came in the last minute, `0` for none; `n/a` if nothing came.
    #[serde(default)]
    pub ingest_drift_value: String,
    /// Empty: nothing is transcribed. Neither is the next one said.
    #[serde(default)]
    pub transcription_state: String,
    #[serde(default)]
    pub transcription_language: String,
}

/// A gap in a track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Discontinuity {
    pub track_type: String,
    pub track_name: String,
    pub bitrate: u64,
    pub previous_timestamp: String,
    pub new_timestamp: String,
    pub timescale: String,
    pub discontinuity_gap: String,
}

impl Fact {
    /// The event's type and its `data`.
    pub fn parts(&self) -> (String, serde_json::Value) {
        let mut whole = serde_json::to_value(self).unwrap_or_default();
        let mut take = |member: &str| {
            whole
                .get_mut(member)
                .map(serde_json::Value::take)
                .unwrap_or_default()
        };
        let kind = take("type").as_str().unwrap_or_default().to_owned();
        (kind, take("data"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fact_looks_as_event_grid_has_it() {
        let wire = json!({
            "id": "11111111-1111-4111-8111-111111111111",
            "type": "Microsoft.Media.LiveEventEncoderConnected",
            "data": {
                "ingestUrl": "rtmp://example.com:1935/live", "streamId": "s", "encoderIp": "192.0.2.1", "encoderPort": "3557",
            },
        });
        let fact: IngestFact = serde_json::from_value(wire.clone()).unwrap();
        assert_eq!(serde_json::to_value(&fact).unwrap(), wire);
        let (kind, data) = fact.fact.parts();
        assert_eq!((json!(kind), &data), (wire["type"].clone(), &wire["data"]));
    }
}
