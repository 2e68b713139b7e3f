//! Live events as ingest workers see them: claim, renew, release. The contract is `headwater_work::live`.
//!
//! A lease works as a job's does (`jobs::queue`): it lasts until a moment that the worker pushes out by renewing, and the
//! lease token alone decides whose the event is. What a worker is told is always all that is wanted.

use headwater_seal::Seal;
use headwater_work::live::health::Health;
use headwater_work::live::{
    Edge, Endpoints, LONGEST_URL, MOST_ENDPOINTS, OutputReport, OutputState, WorkerState,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::actions;
use super::events::ENTITY;
use super::facts;
use super::health;
use super::machine::{self, LiveEventState};
use super::model::{LiveEvent, LiveOutput, LiveOutputState, edge_context, endpoints_context};
use super::outputs;
use super::sweep::{claim_by, sweep};
use crate::error::CatalogError;
use crate::ids::Moment;
use crate::jobs::queue::{Location, check_lease_seconds, locate};
use crate::operations::{self, OperationError};
use crate::projects;
use crate::sql::{Sql, Value, transaction};
use crate::usage;

/// An event that encodes, has lost its encoder and records nothing is stopped after so long, as it was in AMS: somebody has
/// forgotten it, and it costs.
pub const IDLE: SignedDuration = SignedDuration::from_hours(12);

/// Longest reason for a failure, in characters; what is beyond is cut off.
const LONGEST_FAILURE: usize = 1024;

/// What a worker has to know.
#[derive(Debug)]
pub struct Assigned {
    pub event: LiveEvent,
    /// The project's name.
    pub project: String,
    pub access_token: String,
    /// Those whose assets can be reached.
    pub outputs: Vec<(LiveOutput, Location)>,
}

impl Assigned {
    /// What should become of the event.
    pub fn wanted(&self) -> headwater_work::live::Wanted {
        self.event.state.wanted()
    }
}

/// Takes the event that has waited longest. `leave_lapsed`: of those that nobody has, not of those whose lease is over.
///
/// `lease_seconds` is within [`crate::jobs::queue::LEASE_SECONDS`], else [`CatalogError::Invalid`]. Ok `None`: none waits.
pub async fn claim<S: Sql>(
    sql: &S,
    seal: &Seal,
    worker: &str,
    lease_seconds: u32,
    leave_lapsed: bool,
    moment: Moment<'_>,
) -> Result<Option<(String, Assigned)>, CatalogError> {
    let free = match leave_lapsed {
        true => "lease IS NULL",
        false => "(lease IS NULL OR lease_until <= ?1)",
    };
    let waits = format!(
        "{free} AND (state IN ('StandBy', 'Running')
        OR (state IN ('Allocating', 'Starting', 'Stopping', 'Deleting') AND claim_by > ?1))"
    );
    check_lease_seconds(lease_seconds)?;
    // Most polls find nothing; they must not take the write lock.
    let waiting = sql
        .query(
            &format!("SELECT 1 FROM live_events WHERE {waits} LIMIT 1"),
            &[moment.now.into()],
        )
        .await?;
    if waiting.is_empty() {
        return Ok(None);
    }
    transaction(sql, async |sql| {
        sweep(sql, moment.now).await?;
        let lease = moment.ids.uuid().simple().to_string();
        let until = lease_end(moment.now, lease_seconds);
        let rows = sql
            .query(
                &format!(
                    "UPDATE live_events SET worker = ?2, lease = ?3, lease_until = ?4, lease_seconds = ?5, claim_by = ?6
                     WHERE id = (SELECT id FROM live_events WHERE {waits} ORDER BY modified, id LIMIT 1)
                         AND {waits}
                     RETURNING {}",
                    ENTITY.columns
                ),
                &[
                    moment.now.into(),
                    worker.into(),
                    Value::from(&lease),
                    until.into(),
                    lease_seconds.into(),
                    claim_by(until).into(),
                ],
            )
            .await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let event = (ENTITY.read)(&row)?;
        Ok(Some((lease, assigned(sql, seal, event).await?)))
    })
    .await
}

/// What a worker says in a renewal.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    pub state: WorkerState,
    pub generation: u32,
    pub endpoints: &'a Endpoints,
    pub edge: Option<&'a Edge>,
    pub outputs: &'a [OutputReport],
    pub health: Option<&'a Health>,
}

/// Keeps the lease for as long again as it was claimed for, takes the report, and says what is wanted.
///
/// Reports about outputs that are gone are passed over: the worker did not know yet.
///
/// Errors: [`CatalogError::LeaseLost`]; [`CatalogError::Invalid`] for endpoints or measurements that are too many or too long.
pub async fn renew<S: Sql>(
    sql: &S,
    seal: &Seal,
    event_id: Uuid,
    lease: &str,
    report: Report<'_>,
    now: Timestamp,
) -> Result<Assigned, CatalogError> {
    check_endpoints(report.endpoints)?;
    report.edge.map_or(Ok(()), check_edge)?;
    report.health.map_or(Ok(()), health::check)?;
    transaction(sql, async |sql| {
        sweep(sql, now).await?;
        let (event, lease_seconds) = held(sql, event_id, lease)
            .await?
            .ok_or(CatalogError::LeaseLost)?;
        let current = report.generation == event.generation;
        let next = machine::reported(event.state, report.state, current);
        if event.state == LiveEventState::Running {
            // Since the lease was last claimed or renewed. A worker that could not renew it has gone on all the same.
            let lease = SignedDuration::from_secs(lease_seconds.into());
            let since = event.lease_until.unwrap_or(now).checked_sub(lease);
            let ran = now.duration_since(since.unwrap_or(now));
            let encodes = event.properties.encoding.encoding_type.encodes();
            usage::ran_live(sql, &event.project, encodes, ran, now).await?;
        }
        let until = lease_end(now, lease_seconds);
        let endpoints = serde_json::to_vec(report.endpoints).unwrap_or_default();
        let edge = match report.edge {
            Some(edge) => {
                let plain = serde_json::to_vec(edge).unwrap_or_default();
                Value::Blob(seal.seal(&edge_context(event.id), &plain)?)
            }
            None => Value::Null,
        };
        let modified = if next == event.state { event.modified } else { now };
        let fed = current && report.health.is_some_and(|health| !health.encoders.is_empty());
        let last_input = if fed { Some(now) } else { event.last_input };
        let rows = sql
            .query(
                &format!(
                    "UPDATE live_events SET state = ?2, lease_until = ?3, claim_by = ?4, endpoints_sealed = ?5, edge_sealed = ?7, modified = ?6,
                         last_input = ?8
                     WHERE id = ?1 RETURNING {}",
                    ENTITY.columns
                ),
                &[
                    event.id.into(),
                    next.name().into(),
                    until.into(),
                    claim_by(until).into(),
                    seal.seal(&endpoints_context(event.id), &endpoints)?.into(),
                    modified.into(),
                    edge,
                    last_input.into(),
                ],
            )
            .await?;
        facts::tell(sql, &event, next, now).await?;
        if next != event.state {
            end(sql, &event, None).await?;
        }
        let event = ENTITY.returned(&rows, &event.name)?;
        report_outputs(sql, &event, report.outputs, now).await?;
        if let Some(measured) = report.health.filter(|_| current) {
            health::keep(sql, event.id, measured, now).await?;
        }
        let event = if is_idle(&event, now) && outputs::any(sql, &event).await?.is_none() {
            actions::stop_idle(sql, &event, now).await?
        } else {
            event
        };
        assigned(sql, seal, event).await
    })
    .await
}

/// Whether it encodes, and nothing has come in for [`IDLE`]. One that still waits for its first encoder is not idle.
fn is_idle(event: &LiveEvent, now: Timestamp) -> bool {
    event.state == LiveEventState::Running
        && event.properties.encoding.encoding_type.encodes()
        && event
            .last_input
            .is_some_and(|last| now.duration_since(last) >= IDLE)
}

async fn report_outputs<S: Sql>(
    sql: &S,
    event: &LiveEvent,
    reports: &[OutputReport],
    now: Timestamp,
) -> Result<(), CatalogError> {
    for output in outputs::of(sql, event).await? {
        let report = reports
            .iter()
            .find(|report| report.output_id == output.id)
            .map(|report| report.state);
        match report {
            Some(OutputState::Recording) => outputs::recorded(sql, &output, now).await?,
            Some(OutputState::Finished) if output.state == LiveOutputState::Deleting => {
                outputs::drop_output(sql, &output).await?;
            }
            Some(OutputState::Finished) | None => {}
        }
    }
    Ok(())
}

/// Lets an event go. One that was to stop or to be deleted is; one that should run is the next worker's; one that should
/// start and could not (`failure`) is Stopped. Repeating it changes nothing.
///
/// Errors: [`CatalogError::LeaseLost`] if another worker has the event.
pub async fn release<S: Sql>(
    sql: &S,
    event_id: Uuid,
    lease: &str,
    failure: Option<&str>,
    now: Timestamp,
) -> Result<(), CatalogError> {
    transaction(sql, async |sql| {
        sweep(sql, now).await?;
        let Some((event, _)) = held(sql, event_id, lease).await? else {
            return refuse_taken(sql, event_id).await;
        };
        match (event.state, failure) {
            (LiveEventState::Stopping | LiveEventState::Deleting, _) => {
                for output in outputs::of(sql, &event).await? {
                    outputs::drop_output(sql, &output).await?;
                }
                end(sql, &event, None).await?;
                if event.state == LiveEventState::Deleting {
                    actions::remove(sql, &event, now).await
                } else {
                    actions::let_go(sql, &event, now).await
                }
            }
            (LiveEventState::Allocating | LiveEventState::Starting, Some(reason)) => {
                let error = OperationError {
                    code: "ServiceUnavailable".into(),
                    message: reason.chars().take(LONGEST_FAILURE).collect(),
                };
                end(sql, &event, Some(&error)).await?;
                actions::let_go(sql, &event, now).await
            }
            _ => hand_over(sql, &event, now).await,
        }
    })
    .await
}

/// A lease that nobody holds has been released before, perhaps by this very request; one of another worker is lost.
async fn refuse_taken<S: Sql>(sql: &S, event_id: Uuid) -> Result<(), CatalogError> {
    let taken = sql
        .query(
            "SELECT 1 FROM live_events WHERE id = ?1 AND lease IS NOT NULL",
            &[event_id.into()],
        )
        .await?;
    if taken.is_empty() {
        Ok(())
    } else {
        Err(CatalogError::LeaseLost)
    }
}

/// Puts an event back for the next worker. What it is for its clients does not change.
async fn hand_over<S: Sql>(sql: &S, event: &LiveEvent, now: Timestamp) -> Result<(), CatalogError> {
    sql.query(
        "UPDATE live_events SET lease = NULL, lease_until = NULL, worker = NULL, claim_by = ?2 WHERE id = ?1",
        &[event.id.into(), claim_by(now).into()],
    )
    .await?;
    Ok(())
}

/// The event under this lease, and how long a renewal lasts.
async fn held<S: Sql>(
    sql: &S,
    event_id: Uuid,
    lease: &str,
) -> Result<Option<(LiveEvent, u32)>, CatalogError> {
    let rows = sql
        .query(
            &format!(
                "SELECT {}, lease_seconds FROM live_events WHERE id = ?1 AND lease = ?2",
                ENTITY.columns
            ),
            &[event_id.into(), lease.into()],
        )
        .await?;
    rows.first()
        .map(|row| Ok(((ENTITY.read)(&row)?, row.unsigned("lease_seconds")?)))
        .transpose()
}

/// Ends the operation that the event's state is due to.
async fn end<S: Sql>(
    sql: &S,
    event: &LiveEvent,
    error: Option<&OperationError>,
) -> Result<(), CatalogError> {
    let operation = [Value::from(event.operation.as_ref())];
    operations::end(sql, "id = ?3", &operation, error).await
}

async fn assigned<S: Sql>(
    sql: &S,
    seal: &Seal,
    event: LiveEvent,
) -> Result<Assigned, CatalogError> {
    let project = projects::by_id(sql, event.project.as_str())
        .await?
        .ok_or_else(|| CatalogError::corrupt("project_id", "no such project"))?;
    let mut found = Vec::new();
    for output in outputs::of(sql, &event).await? {
        if let Some(location) = locate(sql, &event.project, &output.asset_name).await? {
            found.push((output, location));
        }
    }
    Ok(Assigned {
        project: project.name,
        access_token: event.access_token(seal)?,
        outputs: found,
        event,
    })
}

/// The origin will send requests there: nothing but a host may be named.
fn check_edge(edge: &Edge) -> Result<(), CatalogError> {
    const LONGEST_SECRET: usize = 128;
    let schemes = ["http://", "https://"];
    let host = schemes
        .iter()
        .find_map(|scheme| edge.url.strip_prefix(scheme));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
    if !host.is_some_and(|host| !host.is_empty() && host.chars().all(plain))
        || edge.url.len() > LONGEST_URL
    {
        return Err(CatalogError::invalid(
            "edge.url",
            "must be http or https, a host and nothing behind it",
        ));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !(16..=LONGEST_SECRET).contains(&edge.secret.len()) || !edge.secret.chars().all(good) {
        return Err(CatalogError::invalid(
            "edge.secret",
            "must have 16 to 128 letters, digits, dashes, dots and underscores",
        ));
    }
    Ok(())
}

fn check_endpoints(endpoints: &Endpoints) -> Result<(), CatalogError> {
    let urls = |list: &[headwater_work::live::Endpoint]| -> Vec<usize> {
        list.iter()
            .map(|endpoint| endpoint.url.len().max(endpoint.protocol.len()))
            .collect()
    };
    for (member, lengths) in [
        ("endpoints.input", urls(&endpoints.input)),
        ("endpoints.preview", urls(&endpoints.preview)),
        (
            "endpoints.timedMetadata",
            endpoints.timed_metadata.iter().map(String::len).collect(),
        ),
    ] {
        if lengths.len() > MOST_ENDPOINTS || lengths.iter().any(|length| *length > LONGEST_URL) {
            return Err(CatalogError::invalid(
                member,
                format!(
                    "must have at most {MOST_ENDPOINTS} members of at most {LONGEST_URL} bytes"
                ),
            ));
        }
    }
    Ok(())
}

fn lease_end(now: Timestamp, seconds: u32) -> Timestamp {
    now.saturating_add(SignedDuration::from_secs(seconds.into()))
        .unwrap_or(Timestamp::MAX)
}
