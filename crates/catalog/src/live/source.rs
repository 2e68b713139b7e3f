//! Where the origin finds what is live: an event's worker, and how far back viewers may go.

use headwater_seal::Seal;
use headwater_work::live::{Edge, IpRange, StreamOption};
use uuid::Uuid;

use super::machine::LiveEventState;
use super::model::{OutputProperties, Properties, edge_context};
use crate::error::CatalogError;
use crate::sql::{Row, Sql, Value};

/// How far viewers may go back in an event of low latency unless its output says otherwise, in milliseconds (AMS).
pub const LOW_LATENCY_REWIND_MS: u64 = 30 * 60 * 1000;

/// What records an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSource {
    pub event: Uuid,
    /// The server manifest's file name without `.ism`.
    pub manifest: String,
    /// Whether encoders may be sending.
    pub running: bool,
    /// The worker that has the newest moments, while there is one.
    pub edge: Option<Edge>,
    /// What is older is deleted.
    pub archive_ms: u64,
    /// How far back viewers may go while it is live.
    pub rewind_ms: Option<u64>,
    /// What a segment of a transport stream holds, until the recording says it: 1 to 10.
    pub fragments_per_ts_segment: u32,
}

/// An event as its preview shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePreview {
    pub event: Uuid,
    pub running: bool,
    pub edge: Option<Edge>,
    /// An address has to be in one of them. Empty: nobody may.
    pub allow: Vec<IpRange>,
}

/// Of a row that joins an output (`live_manifest`, `output_json`) with its event (`event_id`, `event_state`, `event_json`,
/// `edge_sealed`); `None` where there is no output.
pub(crate) fn of_output(row: &Row<'_>, seal: &Seal) -> Result<Option<LiveSource>, CatalogError> {
    let Some(manifest) = row.opt_text("live_manifest")? else {
        return Ok(None);
    };
    let event = row.uuid("event_id")?;
    let output: OutputProperties = row.json("output_json")?;
    let properties: Properties = row.json("event_json")?;
    let archive_ms = output.archive_window_length.as_millis();
    Ok(Some(LiveSource {
        event,
        manifest,
        running: is_running(row)?,
        edge: edge(row, seal, event)?,
        archive_ms,
        rewind_ms: rewind_ms(&output, properties.stream_option()),
        fragments_per_ts_segment: output.hls.fragments_per_ts_segment,
    }))
}

/// How far back viewers may go; `None`: as far as the archive.
pub fn rewind_ms(output: &OutputProperties, option: StreamOption) -> Option<u64> {
    let own = output.rewind_window_length.map(|window| window.as_millis());
    match option {
        StreamOption::Default => own,
        StreamOption::LowLatency | StreamOption::LowLatencyV2 => {
            Some(own.unwrap_or(LOW_LATENCY_REWIND_MS.min(output.archive_window_length.as_millis())))
        }
    }
}

/// The event whose preview has this locator. Ok `None` if there is none.
pub async fn preview<S: Sql>(
    sql: &S,
    seal: &Seal,
    locator: &str,
) -> Result<Option<LivePreview>, CatalogError> {
    let Ok(id) = Uuid::parse_str(locator) else {
        return Ok(None);
    };
    let rows = sql
        .query(
            "SELECT id AS event_id, state AS event_state, properties_json AS event_json, edge_sealed
             FROM live_events WHERE preview_locator = ?1",
            &[Value::from(id)],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let event = row.uuid("event_id")?;
    let properties: Properties = row.json("event_json")?;
    Ok(Some(LivePreview {
        event,
        running: is_running(&row)?,
        edge: edge(&row, seal, event)?,
        allow: properties.preview.access_control.ip.allow,
    }))
}

fn is_running(row: &Row<'_>) -> Result<bool, CatalogError> {
    let state = LiveEventState::parse(row.str("event_state")?);
    let state = state.ok_or_else(|| CatalogError::corrupt("state", "unknown"))?;
    Ok(state == LiveEventState::Running)
}

fn edge(row: &Row<'_>, seal: &Seal, event: Uuid) -> Result<Option<Edge>, CatalogError> {
    let Some(sealed) = row.opt_blob("edge_sealed")? else {
        return Ok(None);
    };
    let plain = seal.open(&edge_context(event), &sealed)?;
    let edge = serde_json::from_slice(plain.expose());
    edge.map(Some)
        .map_err(|_| CatalogError::corrupt("edge_sealed", "not an edge"))
}
