//! What clients do with live events: allocate, start, reset, stop, delete.

use jiff::Timestamp;

use super::events::ENTITY;
use super::facts;
use super::machine::{self, Action, LiveEventState, Step};
use super::model::LiveEvent;
use super::outputs;
use super::sweep::{claim_by, sweep};
use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::operations::{self, LIVE_EVENTS, Operation, OperationError, OperationStatus};
use crate::sql::{Sql, Value, transaction};

/// What an action did.
#[derive(Debug, Clone, PartialEq)]
pub enum Acted {
    /// It is so already.
    Already,
    /// The operation can be asked about. It may be over: where no worker holds the event nobody is waited for.
    Begun(Operation),
    /// Nothing: live outputs have to be deleted first. A sentence that names one.
    OutputsInTheWay(String),
    /// There is no such event; said of [`delete`] alone.
    Absent,
}

/// What becomes of an event's outputs when it stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outputs {
    /// An event that has some does not stop.
    Kept,
    /// They are deleted, as AMS's `removeOutputsOnStop` asks. Their assets stay.
    Removed,
}

/// Allocates, starts or resets an event. A reset takes it through a new start and deletes its outputs.
///
/// Errors: [`CatalogError::NotFound`]; [`CatalogError::WrongState`].
pub async fn act<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    action: Action,
    moment: Moment<'_>,
) -> Result<Acted, CatalogError> {
    transaction(sql, async |sql| {
        sweep(sql, moment.now).await?;
        step_on(sql, project, name, action, moment).await
    })
    .await
}

/// Stops an event.
///
/// Errors: [`CatalogError::NotFound`]; [`CatalogError::WrongState`].
pub async fn stop<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    with: Outputs,
    moment: Moment<'_>,
) -> Result<Acted, CatalogError> {
    transaction(sql, async |sql| {
        sweep(sql, moment.now).await?;
        let event = ENTITY.get(sql, project, name).await?;
        let stops = matches!(machine::step(event.state, Action::Stop), Step::To(_));
        if stops
            && with == Outputs::Kept
            && let Some(output) = outputs::any(sql, &event).await?
        {
            return Ok(Acted::OutputsInTheWay(format!(
                "Live event '{name}' has the live output '{output}'; delete its outputs first."
            )));
        }
        step_on(sql, project, name, Action::Stop, moment).await
    })
    .await
}

/// Deletes an event that is Stopped or StandBy and has no outputs. What was recorded stays.
///
/// Errors: [`CatalogError::WrongState`].
pub async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    moment: Moment<'_>,
) -> Result<Acted, CatalogError> {
    transaction(sql, async |sql| {
        sweep(sql, moment.now).await?;
        let Some(event) = ENTITY.find(sql, project, name).await? else {
            return Ok(Acted::Absent);
        };
        if let Some(output) = outputs::any(sql, &event).await? {
            return Err(CatalogError::WrongState(format!(
                "Live event '{name}' has the live output '{output}'; delete its outputs first."
            )));
        }
        step_on(sql, project, name, Action::Delete, moment).await
    })
    .await
}

/// Inside a swept transaction: takes an event where the action leads.
pub(super) async fn step_on<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    action: Action,
    moment: Moment<'_>,
) -> Result<Acted, CatalogError> {
    let event = ENTITY.get(sql, project, name).await?;
    let held = event.is_held(moment.now);
    let step = machine::step(event.state, action);
    if action == Action::Reset && step != Step::Refused {
        outputs::delete_all(sql, &event, held, moment).await?;
    }
    let next = match step {
        Step::Done => return Ok(Acted::Already),
        Step::UnderWay => {
            return Ok(under_way(sql, &event)
                .await?
                .map_or(Acted::Already, Acted::Begun));
        }
        Step::Refused => {
            return Err(CatalogError::WrongState(format!(
                "Live event '{name}' is {} and cannot be {}.",
                event.state.name(),
                action.participle()
            )));
        }
        Step::To(next) => next,
    };
    overtake(sql, &event, action).await?;
    let stops = matches!(next, LiveEventState::Stopping | LiveEventState::Deleting);
    if stops {
        outputs::delete_all(sql, &event, held, moment).await?;
    }
    let status = if stops && !held {
        OperationStatus::Succeeded
    } else {
        OperationStatus::InProgress
    };
    let operation = operations::record(sql, project, LIVE_EVENTS, name, status, moment).await?;
    match (next, held) {
        (LiveEventState::Stopping, false) => let_go(sql, &event, moment.now).await?,
        (LiveEventState::Deleting, false) => remove(sql, &event, moment.now).await?,
        _ => pass(sql, &event, action, next, &operation, moment.now).await?,
    }
    Ok(Acted::Begun(operation))
}

/// A start that is stopped before it was one has failed.
async fn overtake<S: Sql>(sql: &S, event: &LiveEvent, action: Action) -> Result<(), CatalogError> {
    let Some(operation) = &event.operation else {
        return Ok(());
    };
    let error = OperationError {
        code: "InvalidOperation".into(),
        message: format!(
            "Live event '{}' was {} meanwhile.",
            event.name,
            action.participle()
        ),
    };
    operations::end(sql, "id = ?3", &[operation.into()], Some(&error)).await
}

/// Sends an event on its way.
async fn pass<S: Sql>(
    sql: &S,
    event: &LiveEvent,
    action: Action,
    next: LiveEventState,
    operation: &Operation,
    now: Timestamp,
) -> Result<(), CatalogError> {
    // One that is held is waited for from the end of its lease on.
    let from = event.lease_until.map_or(now, |until| until.max(now));
    let generation = event
        .generation
        .saturating_add(u32::from(action == Action::Reset));
    sql.query(
        "UPDATE live_events SET state = ?2, operation = ?3, claim_by = ?4, generation = ?5, modified = ?6, last_input = NULL
         WHERE id = ?1",
        &[
            event.id.into(),
            next.name().into(),
            Value::from(&operation.id),
            claim_by(from).into(),
            generation.into(),
            now.into(),
        ],
    )
    .await?;
    facts::tell(sql, event, next, now).await
}

/// Sends an event that its worker holds to a stop that no client has asked for, so that there is no operation to ask about.
pub(super) async fn stop_idle<S: Sql>(
    sql: &S,
    event: &LiveEvent,
    now: Timestamp,
) -> Result<LiveEvent, CatalogError> {
    let next = LiveEventState::Stopping;
    let rows = sql
        .query(
            &format!(
                "UPDATE live_events SET state = ?2, operation = NULL, modified = ?3 WHERE id = ?1 RETURNING {}",
                ENTITY.columns
            ),
            &[event.id.into(), next.name().into(), now.into()],
        )
        .await?;
    facts::tell(sql, event, next, now).await?;
    ENTITY.returned(&rows, &event.name)
}

/// Makes an event a stopped one that no worker has.
pub(super) async fn let_go<S: Sql>(
    sql: &S,
    event: &LiveEvent,
    now: Timestamp,
) -> Result<(), CatalogError> {
    sql.query(
        "UPDATE live_events SET state = 'Stopped', modified = ?2, lease = NULL, lease_until = NULL, claim_by = NULL,
             worker = NULL, endpoints_sealed = NULL, edge_sealed = NULL
         WHERE id = ?1",
        &[event.id.into(), now.into()],
    )
    .await?;
    facts::tell(sql, event, LiveEventState::Stopped, now).await
}

/// Deletes an event that has no outputs left.
pub(super) async fn remove<S: Sql>(
    sql: &S,
    event: &LiveEvent,
    now: Timestamp,
) -> Result<(), CatalogError> {
    // No state follows on it; one that nobody held has not been told of it yet.
    facts::tell(sql, event, LiveEventState::Deleting, now).await?;
    for statement in [
        "DELETE FROM live_event_labels WHERE event_id = ?1",
        "DELETE FROM live_event_health WHERE event_id = ?1",
        "DELETE FROM live_events WHERE id = ?1",
    ] {
        sql.query(statement, &[event.id.into()]).await?;
    }
    Ok(())
}

/// The operation that an event on its way is due to.
pub(super) async fn under_way<S: Sql>(
    sql: &S,
    event: &LiveEvent,
) -> Result<Option<Operation>, CatalogError> {
    match &event.operation {
        Some(id) if event.state.is_passing() => {
            operations::get(sql, &event.project, LIVE_EVENTS, id)
                .await
                .map(Some)
        }
        _ => Ok(None),
    }
}

/// An operation on a live event or output, by its id.
///
/// `collection`: [`LIVE_EVENTS`] or [`operations::LIVE_OUTPUTS`].
///
/// Errors: [`CatalogError::NotFound`].
pub async fn operation<S: Sql>(
    sql: &S,
    project: &ProjectId,
    collection: &str,
    id: &str,
    now: Timestamp,
) -> Result<Operation, CatalogError> {
    sweep(sql, now).await?;
    operations::get(sql, project, collection, id).await
}
