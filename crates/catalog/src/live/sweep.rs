//! What time alone decides, brought up to date before anybody looks.
//!
//! Nothing here runs by a timer. An event on its way to another state that no worker has held for [`CLAIM_WITHIN`] is
//! waited for no more: a start or an allocation fails and the event is Stopped; a stop or a deletion is over, for there is
//! nobody who could still do something about it. The same goes for its outputs that are being made or deleted.

use jiff::{SignedDuration, Timestamp};

use super::facts;
use super::machine::LiveEventState;
use super::model::{EVENT_COLUMNS, event_from_row};
use super::outputs;
use crate::error::CatalogError;
use crate::operations::{self, OperationError};
use crate::sql::{Sql, Value};

/// How long an event waits for a worker: one that has none from when it is asked for, one that lost its worker from the end
/// of the lease.
pub const CLAIM_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// Outputs on their way whose event, on its way or not, is waited for no more.
const OUTPUTS_GIVEN_UP: &str = "state IN ('Creating', 'Deleting')
    AND EXISTS (SELECT 1 FROM live_events e WHERE e.id = live_outputs.event_id AND e.claim_by <= ?1)";

/// When an event that is let go at `from` is given up.
pub(super) fn claim_by(from: Timestamp) -> Timestamp {
    from.saturating_add(CLAIM_WITHIN).unwrap_or(Timestamp::MAX)
}

/// Ends what is waited for no more.
///
/// Each statement leaves the next one its work, and no claim takes an event that is given up: so this needs no transaction
/// and may run within one, and two at a time do no harm.
pub(super) async fn sweep<S: Sql>(sql: &S, now: Timestamp) -> Result<(), CatalogError> {
    // Nearly always there is nothing; a read must not take the write lock for that.
    let given_up = sql
        .query(
            &format!(
                "SELECT 1 FROM live_events
                 WHERE state IN ('Allocating', 'Starting', 'Stopping', 'Deleting') AND claim_by <= ?1
                 UNION ALL SELECT 1 FROM live_outputs WHERE {OUTPUTS_GIVEN_UP} LIMIT 1"
            ),
            &[now.into()],
        )
        .await?;
    if given_up.is_empty() {
        return Ok(());
    }
    let unclaimed = OperationError {
        code: "ServiceUnavailable".into(),
        message: format!(
            "no ingest worker took the event within {} s",
            CLAIM_WITHIN.as_secs()
        ),
    };
    operations::end(
        sql,
        "id IN (SELECT operation FROM live_events WHERE state IN ('Allocating', 'Starting') AND claim_by <= ?3)",
        &[now.into()],
        Some(&unclaimed),
    )
    .await?;
    operations::end(
        sql,
        "(id IN (SELECT operation FROM live_events WHERE state IN ('Stopping', 'Deleting') AND claim_by <= ?3)
          OR id IN (SELECT o.operation FROM live_outputs o JOIN live_events e ON e.id = o.event_id
                    WHERE o.state IN ('Creating', 'Deleting') AND e.claim_by <= ?3))",
        &[now.into()],
        None,
    )
    .await?;
    let given_up: [Value; 1] = [now.into()];
    outputs::drop_where(
        sql,
        &format!("state = 'Deleting' AND {OUTPUTS_GIVEN_UP}"),
        &given_up,
    )
    .await?;
    sql.query(
        &format!("UPDATE live_outputs SET state = 'Running' WHERE {OUTPUTS_GIVEN_UP}"),
        &given_up,
    )
    .await?;
    for table in ["live_event_labels", "live_event_health"] {
        sql.query(
            &format!(
                "DELETE FROM {table} WHERE event_id IN (
                     SELECT id FROM live_events WHERE state = 'Deleting' AND claim_by <= ?1)"
            ),
            &given_up,
        )
        .await?;
    }
    sql.query(
        "DELETE FROM live_events WHERE state = 'Deleting' AND claim_by <= ?1",
        &given_up,
    )
    .await?;
    tell(sql, now).await?;
    sql.query(
        "UPDATE live_events SET state = 'Stopped', modified = claim_by, lease = NULL, lease_until = NULL,
             claim_by = NULL, worker = NULL, endpoints_sealed = NULL, edge_sealed = NULL
         WHERE state IN ('Allocating', 'Starting', 'Stopping') AND claim_by <= ?1",
        &given_up,
    )
    .await?;
    Ok(())
}

/// Of the events that are about to be Stopped. What is told twice, because another came between, is told once.
async fn tell<S: Sql>(sql: &S, now: Timestamp) -> Result<(), CatalogError> {
    let rows = sql
        .query(
            &format!(
                "SELECT {EVENT_COLUMNS} FROM live_events
                 WHERE state IN ('Allocating', 'Starting', 'Stopping') AND claim_by <= ?1"
            ),
            &[now.into()],
        )
        .await?;
    for row in rows.iter() {
        let event = event_from_row(&row)?;
        let at = event.claim_by.unwrap_or(now);
        facts::tell(sql, &event, LiveEventState::Stopped, at).await?;
    }
    Ok(())
}
