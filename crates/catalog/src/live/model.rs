//! What live events and live outputs are.
//!
//! The properties have the names and the shape in which they are shown, and are kept so. Spec: the management API
//! reference, 1.12, 1.13 and 2.10.

use std::collections::BTreeMap;

use headwater_seal::Seal;
use headwater_work::live::{
    EncodingType, Endpoints, FillWith, IpRange, Ladder, Protocol, StreamOption, StretchMode,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::machine::LiveEventState;
use crate::error::CatalogError;
use crate::ids::ProjectId;
use crate::iso_duration::IsoDuration;
use crate::sql::Row;

/// A live event.
///
/// Serialises as facts keep it: without secrets, and without who holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveEvent {
    pub id: Uuid,
    pub project: ProjectId,
    pub name: String,
    pub properties: Properties,
    pub tags: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub state: LiveEventState,
    /// Counted up by every reset.
    pub generation: u32,
    pub created: Timestamp,
    pub modified: Timestamp,
    /// The operation that the state is due to.
    #[serde(skip)]
    pub(super) operation: Option<String>,
    #[serde(skip)]
    pub(super) lease: Option<String>,
    #[serde(skip)]
    pub(super) lease_until: Option<Timestamp>,
    /// When an event that no worker holds is waited for no more.
    #[serde(skip)]
    pub(super) claim_by: Option<Timestamp>,
    /// When an encoder was last connected, since the start.
    pub(super) last_input: Option<Timestamp>,
    #[serde(skip)]
    token_sealed: Vec<u8>,
    #[serde(skip)]
    endpoints_sealed: Option<Vec<u8>>,
}

/// What a writer may set, but for the access token, which is a secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Properties {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub input: Input,
    pub preview: Preview,
    pub encoding: Encoding,
    /// Exactly one.
    pub stream_options: Vec<StreamOption>,
    pub use_static_hostname: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname_prefix: Option<String>,
    /// XML, checked by the caller: see [`crate::endpoints::cross_site`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_site_access_policies: Option<Map<String, Json>>,
    /// Kept as they came, for MK.IO, where they are accepted and mean nothing.
    pub transcriptions: Vec<Json>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    pub streaming_protocol: Protocol,
    pub access_control: AccessControl,
    /// Of the encoder that sends. Pass-through events have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_frame_interval_duration: Option<IsoDuration>,
    /// What stands in for what the encoder does not send. Nothing, if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill_with: Option<FillWith>,
    /// How long nothing has to come before. Events that something stands in for have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill_after: Option<IsoDuration>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    pub preview_locator: Uuid,
    pub access_control: AccessControl,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streaming_policy_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alternative_media_id: Option<String>,
}

/// From where: an address has to be in one of the ranges. None at all: from nowhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessControl {
    pub ip: IpAccess,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IpAccess {
    pub allow: Vec<IpRange>,
}

/// All but the first belong to events that are encoded here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Encoding {
    pub encoding_type: EncodingType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_frame_interval: Option<IsoDuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stretch_mode: Option<StretchMode>,
    /// Of the transform that `preset_name` names, as it was when the event was made. Not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ladder: Option<Ladder>,
}

/// The range of every address, as AMS's samples call it.
pub fn everybody() -> IpRange {
    IpRange {
        name: Some("AllowAll".into()),
        address: std::net::Ipv4Addr::UNSPECIFIED.into(),
        subnet_prefix_length: Some(0),
    }
}

impl Properties {
    /// Of an event about which nothing was said.
    pub(super) fn new(preview_locator: Uuid) -> Self {
        let open = AccessControl {
            ip: IpAccess {
                allow: vec![everybody()],
            },
        };
        Self {
            description: None,
            input: Input {
                streaming_protocol: Protocol::Rtmp,
                access_control: open.clone(),
                key_frame_interval_duration: None,
                fill_with: None,
                fill_after: None,
            },
            preview: Preview {
                preview_locator,
                access_control: open,
                streaming_policy_name: None,
                alternative_media_id: None,
            },
            encoding: Encoding {
                encoding_type: EncodingType::PassthroughStandard,
                preset_name: None,
                key_frame_interval: None,
                stretch_mode: None,
                ladder: None,
            },
            stream_options: vec![StreamOption::Default],
            use_static_hostname: false,
            hostname_prefix: None,
            cross_site_access_policies: None,
            transcriptions: Vec::new(),
        }
    }

    /// The one stream option there is.
    pub fn stream_option(&self) -> StreamOption {
        self.stream_options
            .first()
            .copied()
            .unwrap_or(StreamOption::Default)
    }
}

/// What a writer says about an event. What is not mentioned is left as it is, or takes its default in a new event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LiveEventWrite {
    /// Of the shape of [`Properties`], checked by the caller. Objects may be in parts, arrays are whole.
    pub properties: Map<String, Json>,
    pub access_token: Option<String>,
    pub tags: Option<BTreeMap<String, String>>,
    pub labels: Option<BTreeMap<String, String>>,
}

pub(super) const EVENT_COLUMNS: &str = "id, project_id, name, properties_json, access_token_sealed, tags_json, labels_json, state, generation, operation, lease, lease_until, claim_by, endpoints_sealed, last_input, created, modified";

pub(super) fn event_from_row(row: &Row<'_>) -> Result<LiveEvent, CatalogError> {
    Ok(LiveEvent {
        id: row.uuid("id")?,
        project: ProjectId(row.text("project_id")?),
        name: row.text("name")?,
        properties: row.json("properties_json")?,
        tags: row.json("tags_json")?,
        labels: row.json("labels_json")?,
        state: LiveEventState::parse(row.str("state")?)
            .ok_or_else(|| CatalogError::corrupt("state", "unknown"))?,
        generation: row.unsigned("generation")?,
        created: row.time("created")?,
        modified: row.time("modified")?,
        operation: row.opt_text("operation")?,
        lease: row.opt_text("lease")?,
        lease_until: row.opt_time("lease_until")?,
        claim_by: row.opt_time("claim_by")?,
        last_input: row.opt_time("last_input")?,
        token_sealed: row.blob("access_token_sealed")?,
        endpoints_sealed: row.opt_blob("endpoints_sealed")?,
    })
}

impl LiveEvent {
    /// Whether a worker has it, or had it a moment ago and another may still take over where that one left off.
    pub(super) fn is_held(&self, now: Timestamp) -> bool {
        self.lease.is_some() && self.claim_by.is_some_and(|at| at > now)
    }

    /// What an encoder has to show.
    pub fn access_token(&self, seal: &Seal) -> Result<String, CatalogError> {
        let plain = seal.open(&token_context(self.id), &self.token_sealed)?;
        plain
            .expose_str()
            .map(str::to_owned)
            .ok_or_else(|| CatalogError::corrupt("access_token_sealed", "not text"))
    }

    /// What its worker reported; nothing while no worker has.
    pub fn endpoints(&self, seal: &Seal) -> Result<Endpoints, CatalogError> {
        let Some(sealed) = &self.endpoints_sealed else {
            return Ok(Endpoints::default());
        };
        let plain = seal.open(&endpoints_context(self.id), sealed)?;
        serde_json::from_slice(plain.expose())
            .map_err(|_| CatalogError::corrupt("endpoints_sealed", "not endpoints"))
    }
}

pub(super) fn token_context(id: Uuid) -> String {
    format!("live-event/{id}/access-token")
}

pub(super) fn endpoints_context(id: Uuid) -> String {
    format!("live-event/{id}/endpoints")
}

pub(super) fn edge_context(id: Uuid) -> String {
    format!("live-event/{id}/edge")
}

/// AMS `LiveOutputResourceState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveOutputState {
    /// The event runs, and its worker has not said yet that it records.
    Creating,
    /// It records, or will as soon as the event runs.
    Running,
    /// A worker makes the recording a whole.
    Deleting,
}

impl LiveOutputState {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Running => "Running",
            Self::Deleting => "Deleting",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        [Self::Creating, Self::Running, Self::Deleting]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// A live output.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveOutput {
    pub id: Uuid,
    pub event: Uuid,
    pub name: String,
    pub asset_name: String,
    /// The server manifest's file name without `.ism`.
    pub manifest_name: String,
    pub properties: OutputProperties,
    pub state: LiveOutputState,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub(super) operation: String,
}

/// What a writer sets beyond the names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputProperties {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub archive_window_length: IsoDuration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewind_window_length: Option<IsoDuration>,
    pub hls: Hls,
    /// In ticks of the incoming timeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_snap_time: Option<i64>,
}

/// AMS `Hls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hls {
    pub fragments_per_ts_segment: u32,
}

/// An output to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewLiveOutput {
    pub asset_name: String,
    /// `None`: one is made up.
    pub manifest_name: Option<String>,
    pub properties: OutputProperties,
}

pub(super) const OUTPUT_COLUMNS: &str = "id, event_id, name, asset_name, manifest_name, properties_json, state, operation, created, modified";

pub(super) fn output_from_row(row: &Row<'_>) -> Result<LiveOutput, CatalogError> {
    Ok(LiveOutput {
        id: row.uuid("id")?,
        event: row.uuid("event_id")?,
        name: row.text("name")?,
        asset_name: row.text("asset_name")?,
        manifest_name: row.text("manifest_name")?,
        properties: row.json("properties_json")?,
        state: LiveOutputState::parse(row.str("state")?)
            .ok_or_else(|| CatalogError::corrupt("state", "unknown"))?,
        created: row.time("created")?,
        modified: row.time("modified")?,
        operation: row.text("operation")?,
    })
}
