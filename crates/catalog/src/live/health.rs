//! What ingest workers measured: the newest ten minutes, one measurement for every five seconds.
//!
//! A measurement takes the place of the one ten minutes before, so an event never has more than [`MOST`] rows.

use headwater_work::live::facts::LONGEST_TEXT;
use headwater_work::live::health::{Health, MOST_PARTS};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::error::CatalogError;
use crate::sql::Sql;

/// Measurements are kept so far apart.
pub const EVERY: SignedDuration = SignedDuration::from_secs(5);

/// Most measurements of an event.
pub const MOST: i64 = 120;

/// How long they are kept.
pub const KEPT: SignedDuration = SignedDuration::from_secs(600);

/// What was measured, and when that was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    pub at: Timestamp,
    pub health: Health,
}

/// Errors: [`CatalogError::Invalid`] for more, or longer, than a worker sends.
pub(super) fn check(health: &Health) -> Result<(), CatalogError> {
    if health.encoders.len() > MOST_PARTS || health.tracks.len() > MOST_PARTS {
        return Err(CatalogError::invalid(
            "health",
            format!("must have at most {MOST_PARTS} encoders and {MOST_PARTS} tracks"),
        ));
    }
    let encoders = health.encoders.iter().flat_map(|encoder| {
        [
            &encoder.ingest_url,
            &encoder.stream_id,
            &encoder.protocol,
            &encoder.encoder_ip,
            &encoder.encoder_port,
        ]
    });
    let tracks = health
        .tracks
        .iter()
        .flat_map(|track| [&track.track_type, &track.track_name]);
    if encoders.chain(tracks).any(|text| text.len() > LONGEST_TEXT) {
        return Err(CatalogError::invalid(
            "health",
            format!("must have texts of at most {LONGEST_TEXT} bytes"),
        ));
    }
    Ok(())
}

/// Keeps a measurement, in the transaction of the renewal that told it.
pub(super) async fn keep<S: Sql>(
    sql: &S,
    event: Uuid,
    health: &Health,
    now: Timestamp,
) -> Result<(), CatalogError> {
    let slot = now.as_second().div_euclid(EVERY.as_secs()).rem_euclid(MOST);
    let json = serde_json::to_string(health).unwrap_or_default();
    sql.query(
        "INSERT INTO live_event_health (event_id, slot, at, health_json) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (event_id, slot) DO UPDATE SET at = excluded.at, health_json = excluded.health_json",
        &[event.into(), slot.into(), now.into(), json.into()],
    )
    .await?;
    Ok(())
}

/// The measurements of the last ten minutes, the oldest first.
pub async fn of<S: Sql>(
    sql: &S,
    event: Uuid,
    now: Timestamp,
) -> Result<Vec<Measured>, CatalogError> {
    let since = now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
    let rows = sql
        .query(
            "SELECT at, health_json FROM live_event_health WHERE event_id = ?1 AND at > ?2 ORDER BY at",
            &[event.into(), since.into()],
        )
        .await?;
    let mut measured = Vec::new();
    for row in rows.iter() {
        // What a worker of another version told is passed over: in ten minutes there is nothing of it left.
        if let Ok(health) = row.json("health_json") {
            let at = row.time("at")?;
            measured.push(Measured { at, health });
        }
    }
    Ok(measured)
}
