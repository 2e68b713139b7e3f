//! What the API and an ingest worker say to each other about a live event.
//!
//! Three calls, all `POST` with a JSON body under `/internal/v1`, authorised with a token of role `worker`:
//!
//! | path | body | answer |
//! |---|---|---|
//! | `liveEvents/claim` | [`ClaimRequest`] | `200` [`Claim`], or `204` when no event waits for a worker |
//! | `liveEvents/{eventId}/renew` | [`RenewRequest`] | `200` [`Assignment`]; `409` when the lease is lost |
//! | `liveEvents/{eventId}/release` | [`ReleaseRequest`] | `204`; `409` when the lease is lost |
//!
//! Everything is told as a state, not as a change: a renewal says what the worker does now, its answer says what is wanted
//! now, and the worker brings the one to the other. So every call may be repeated, and a worker that takes over an event
//! from a lost one needs nothing but its [`Assignment`].
//!
//! A worker whose lease is lost stops at once and writes nothing more: another worker has the event, or nobody wants it.
//! What happens at the ingest port in between (an encoder that comes and goes, a gap) is told in the words of [`facts`],
//! and how it is doing in those of [`health`].

pub mod facts;
pub mod health;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Place;

/// Asks for one live event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimRequest {
    /// A name for people: host and process id. Shown in logs, never used to decide.
    pub worker: String,
    /// How long the lease lasts unless renewed. 5 to 300 seconds.
    pub lease_seconds: u32,
    /// Only an event that nobody has, none whose worker did not renew in time: the caller could not ask a moment ago, so
    /// perhaps that worker could not either, and will at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leave_lapsed: bool,
}

/// A live event that is now the caller's until the lease runs out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Proves the claim in later calls. Opaque.
    pub lease: String,
    pub lease_seconds: u32,
    pub assignment: Assignment,
}

/// All that is wanted of the worker that holds an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    pub event_id: Uuid,
    pub project: String,
    pub event_name: String,
    pub wanted: Wanted,
    /// Counted up when the event is reset: a worker that runs an earlier one drops its connections and buffers and starts
    /// again. Nothing of an earlier generation belongs on the timeline of this one.
    pub generation: u32,
    pub input: Input,
    pub preview: Preview,
    pub encoding: Encoding,
    pub stream_option: StreamOption,
    /// The first part of a host name that stays the same from start to start. `None`: any address will do.
    pub static_hostname: Option<String>,
    /// What is recorded. An output that the worker knows and that is not here any more has been deleted: nothing is left to
    /// do for it.
    pub outputs: Vec<Output>,
}

/// What an event should come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wanted {
    /// Be ready to run, and take no encoder in.
    StandBy,
    /// Take encoders in.
    Run,
    /// Take nobody in any more, finish the outputs, release the event.
    Stop,
}

/// Who may send what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    pub protocol: Protocol,
    /// RTMP(S): a part of the path. SRT: the passphrase.
    pub access_token: String,
    /// What a pass-through event's encoder promised. `None` for an event that is encoded here.
    pub key_frame_interval_ms: Option<u64>,
    /// An address has to be in one of them. Empty: nobody may.
    pub allow: Vec<IpRange>,
    /// What stands in for what an encoder does not send. `None`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<Fill>,
}

/// What stands in for what an encoder does not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fill {
    /// Never [`FillWith::None`].
    pub with: FillWith,
    /// How long nothing has to come before.
    pub after_ms: u64,
}

/// Who may look at it before it is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The first part of the preview's path.
    pub locator: Uuid,
    /// An address has to be in one of them. Empty: nobody may.
    pub allow: Vec<IpRange>,
}

/// AMS `IPRange`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpRange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub address: std::net::IpAddr,
    /// Leading bits of the address that count. `None`: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_prefix_length: Option<u8>,
}

impl IpRange {
    /// Whether an address is in it. `0.0.0.0/0` means everybody to those who write it.
    pub fn contains(&self, peer: std::net::IpAddr) -> bool {
        use std::net::IpAddr::{V4, V6};
        match (self.address, peer.to_canonical()) {
            (V4(net), V4(peer)) => {
                let bits = u32::from(self.subnet_prefix_length.unwrap_or(32).min(32));
                let mask = u32::MAX
                    .checked_shl(32_u32.saturating_sub(bits))
                    .unwrap_or(0);
                u32::from(net) & mask == u32::from(peer) & mask
            }
            (V6(net), V6(peer)) => {
                let bits = u32::from(self.subnet_prefix_length.unwrap_or(128).min(128));
                let mask = u128::MAX
                    .checked_shl(128_u32.saturating_sub(bits))
                    .unwrap_or(0);
                u128::from(net) & mask == u128::from(peer) & mask
            }
            (V4(_), V6(_)) => self.is_everybody(),
            (V6(_), V4(_)) => false,
        }
    }

    /// Whether every address is in it.
    pub fn is_everybody(&self) -> bool {
        self.address.is_unspecified() && self.subnet_prefix_length == Some(0)
    }
}

/// What becomes of the incoming pictures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Encoding {
    pub encoding_type: EncodingType,
    /// The ladder. `None` for a pass-through event, and so are the two below.
    pub preset_name: Option<String>,
    /// Length of fragments and distance of key frames.
    pub key_frame_interval_ms: Option<u64>,
    pub stretch_mode: Option<StretchMode>,
    /// Instead of a preset's that is built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ladder: Option<Ladder>,
}

/// What an event is encoded to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ladder {
    /// Largest first.
    pub layers: Vec<Layer>,
    /// Bit/s; the usual ones if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sound_bitrate: Option<u32>,
}

/// A rendition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    pub width: u32,
    pub height: u32,
    /// Bit/s.
    pub bitrate: u32,
}

/// One recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    pub output_id: Uuid,
    pub name: String,
    pub asset_name: String,
    pub wanted: OutputWanted,
    /// Where it is written. Signed anew in every answer, for [`crate::PLACES_LAST`].
    pub place: Place,
    /// The server manifest's file name without `.ism`.
    pub manifest_name: String,
    /// What is older is deleted.
    pub archive_window_ms: u64,
    /// How far back viewers may go while it runs. `None`: as far as the archive.
    pub rewind_window_ms: Option<u64>,
    /// What a segment of a transport stream holds, 1 to 10. A recording that has begun keeps what it began with.
    pub fragments_per_ts_segment: u32,
    /// Where the recording begins: in ticks of 100 ns of the presentation's timeline, which counts from the Unix epoch, as
    /// manifests of Smooth Streaming do. What is before it is not recorded, and what is after it is as far as the worker
    /// still has it. `None`: with the row in which it was `made`.
    pub output_snap_time: Option<i64>,
    /// When the output was made, in the same ticks.
    #[serde(default)]
    pub made: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutputWanted {
    /// Record, from when the event runs.
    Record,
    /// Make the recording a whole, so that it plays as a film does, and say so.
    Finish,
}

/// Keeps the lease, and says what the worker does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RenewRequest {
    pub lease: String,
    pub state: WorkerState,
    /// The generation that `state` is about.
    pub generation: u32,
    #[serde(default)]
    pub endpoints: Endpoints,
    /// Where the origin asks for the newest moments. `None` while there are none.
    #[serde(default)]
    pub edge: Option<Edge>,
    /// Those of the assignment that there is something to say about.
    #[serde(default)]
    pub outputs: Vec<OutputReport>,
    /// How what comes in is doing. `None` while nothing is taken in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<health::Health>,
}

/// The worker's private listener. Clients are never shown it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Edge {
    /// `http://10.0.0.7:9500`, without a path. At most [`LONGEST_URL`] bytes.
    pub url: String,
    /// What a request shows, as `Authorization: Bearer` or in its query. At most 128 bytes.
    pub secret: String,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// How far the worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkerState {
    /// On the way to what is wanted, whichever that is.
    Preparing,
    StandBy,
    Running,
}

/// Where encoders send to and where the preview plays: what clients are shown. At most [`MOST_ENDPOINTS`] of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoints {
    #[serde(default)]
    pub input: Vec<Endpoint>,
    #[serde(default)]
    pub preview: Vec<Endpoint>,
    /// URLs that take timed metadata by HTTP.
    #[serde(default)]
    pub timed_metadata: Vec<String>,
}

/// AMS `LiveEventEndpoint`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoint {
    /// `RTMP`, `SRT`, `FragmentedMP4`.
    pub protocol: String,
    /// Complete, with the access token where it takes one. At most [`LONGEST_URL`] bytes.
    pub url: String,
}

pub const MOST_ENDPOINTS: usize = 16;
pub const LONGEST_URL: usize = 2048;

/// What became of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutputReport {
    pub output_id: Uuid,
    pub state: OutputState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutputState {
    /// Media is recorded as it comes; its manifest is in storage.
    Recording,
    /// Whole and closed. Counts once [`OutputWanted::Finish`] is wanted.
    Finished,
}

/// Lets the event go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseRequest {
    pub lease: String,
    /// Why it could not be brought up: the start fails, and whoever asked for it reads this. `None`: the worker is done, or
    /// goes away; an event that should run is another worker's then.
    #[serde(default)]
    pub failure: Option<String>,
}

/// AMS `LiveEventInputProtocol`, and what MK.IO has beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    #[serde(rename = "RTMP")]
    Rtmp,
    #[serde(rename = "RTMPS")]
    Rtmps,
    #[serde(rename = "SRT")]
    Srt,
    /// Smooth ingest.
    #[serde(rename = "FragmentedMP4")]
    FragmentedMp4,
}

/// AMS `LiveEventEncodingType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EncodingType {
    /// What AMS called pass-through first.
    None,
    PassthroughBasic,
    PassthroughStandard,
    Standard,
    Premium1080p,
}

impl EncodingType {
    /// Whether what comes in is encoded, rather than passed on as it is.
    pub fn encodes(self) -> bool {
        match self {
            Self::None | Self::PassthroughBasic | Self::PassthroughStandard => false,
            Self::Standard | Self::Premium1080p => true,
        }
    }
}

/// AMS `StreamOptionsFlag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamOption {
    Default,
    LowLatency,
    LowLatencyV2,
}

/// What stands in for what an encoder does not send. Not known to AMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FillWith {
    None,
    /// For sound alone.
    Silence,
    BlackAndSilence,
}

/// AMS `StretchMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StretchMode {
    None,
    AutoSize,
    AutoFit,
}

impl EncodingType {
    /// Whether the incoming layers are published as they are.
    pub fn is_passthrough(self) -> bool {
        match self {
            Self::None | Self::PassthroughBasic | Self::PassthroughStandard => true,
            Self::Standard | Self::Premium1080p => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_short_report_is_a_whole_one() {
        let report: RenewRequest =
            serde_json::from_value(json!({"lease": "l", "state": "standBy", "generation": 1}))
                .unwrap();
        assert_eq!(report.state, WorkerState::StandBy);
        assert_eq!(
            (report.endpoints, report.outputs),
            (Endpoints::default(), vec![])
        );
    }

    #[test]
    fn enumerations_have_the_names_of_ams() {
        assert_eq!(json!(Protocol::Rtmps), "RTMPS");
        assert_eq!(json!(EncodingType::Premium1080p), "Premium1080p");
        assert_eq!(json!(StreamOption::LowLatencyV2), "LowLatencyV2");
        let range = json!({"address": "10.0.0.0", "subnetPrefixLength": 8});
        let read: IpRange = serde_json::from_value(range.clone()).unwrap();
        assert_eq!(json!(read), range);
    }
}
