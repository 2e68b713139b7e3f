//! What happened, for those who asked to be told.
//!
//! A fact is recorded by [`record`] in the transaction that makes it true: either both are there after a crash or neither
//! is. It becomes one row per rule that wants it in the outbox `webhook_deliveries`; where no rule does, one look at an
//! index is all it costs. [`crate::deliveries`] takes it from there.
//!
//! A row carries the resource as it was at that moment, in the catalog's own form. How that looks on the wire is decided
//! when it is sent, by the renderers that answer a GET: so the body is true to the moment also where no API was at hand
//! (an upload rule that publishes), and there is one place that knows what a job looks like.

mod kinds;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::jobs::Job;
use crate::live::LiveEvent;
use crate::locators::StreamingLocator;
use crate::sql::{Sql, Value};

pub use kinds::EventType;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The CloudEvents id. The same event recorded twice is one; `None` for one that cannot come twice.
    pub id: Option<Uuid>,
    pub project: ProjectId,
    pub kind: EventType,
    /// What it happened to, below the account: `transforms/t/jobs/j`.
    pub subject: String,
    /// The state before, for what has states and had one.
    pub previous: Option<String>,
    pub state: Option<String>,
    pub payload: Payload,
}

/// What an event carries, as it was when it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", content = "is")]
pub enum Payload {
    Job(Box<Job>),
    /// One output of a job, by its number.
    JobOutput {
        job: Box<Job>,
        output: usize,
    },
    StreamingLocator(Box<StreamingLocator>),
    /// Without its secrets.
    LiveEvent(Box<LiveEvent>),
    /// What is on the wire already: the whole `data` of a `Microsoft.Media` type, the `resource` of any other.
    Rendered(Json),
}

/// Records an event for every enabled rule of its project that wants it: one statement, to be part of the transaction
/// that makes the event true.
pub async fn record<S: Sql>(
    sql: &S,
    moment: Moment<'_>,
    event: &Event,
) -> Result<(), CatalogError> {
    let id = event.id.unwrap_or_else(|| moment.ids.uuid());
    record_at(sql, moment.now, id, event).await
}

/// As [`record`], under an id that the caller chose.
pub(crate) async fn record_at<S: Sql>(
    sql: &S,
    now: Timestamp,
    id: Uuid,
    event: &Event,
) -> Result<(), CatalogError> {
    let payload = serde_json::to_string(&event.payload)
        .map_err(|_| CatalogError::corrupt("payload_json", "cannot be written"))?;
    sql.query(
        "INSERT INTO webhook_deliveries (rule_id, event_id, event_type, subject, created, previous_state, state,
             payload_json, status, due)
         SELECT rule_id, ?3, ?2, ?4, ?5, ?6, ?7, ?8, 'Pending', ?5 FROM webhook_subscriptions
         WHERE project_id = ?1 AND event_type = ?2
         ON CONFLICT (rule_id, event_id) DO NOTHING",
        &[
            Value::from(&event.project),
            event.kind.name().into(),
            id.into(),
            Value::from(&event.subject),
            now.into(),
            Value::from(event.previous.as_deref()),
            Value::from(event.state.as_deref()),
            payload.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Which types any enabled rule of a project wants: for those who would have to gather much for an event.
pub(crate) async fn wanted<S: Sql>(
    sql: &S,
    project: &ProjectId,
) -> Result<Vec<EventType>, CatalogError> {
    let rows = sql
        .query(
            "SELECT DISTINCT event_type FROM webhook_subscriptions WHERE project_id = ?1",
            &[project.into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            EventType::parse(row.str("event_type")?)
                .ok_or_else(|| CatalogError::corrupt("event_type", "unknown"))
        })
        .collect()
}

/// [`Event::subject`] of a live event.
pub fn live_subject(name: &str) -> String {
    format!("liveEvents/{name}")
}

/// Which live event an ingest worker speaks of, as its project and name.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn live_event<S: Sql>(sql: &S, id: Uuid) -> Result<(ProjectId, String), CatalogError> {
    let rows = sql
        .query(
            "SELECT project_id, name FROM live_events WHERE id = ?1",
            &[id.into()],
        )
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| CatalogError::not_found("Live event", id.to_string()))?;
    Ok((ProjectId(row.text("project_id")?), row.text("name")?))
}
