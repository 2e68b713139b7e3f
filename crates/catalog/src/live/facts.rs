//! What is told of a live event's state: see [`crate::events`].

use jiff::Timestamp;
use uuid::Uuid;

use super::machine::LiveEventState;
use super::model::LiveEvent;
use crate::error::CatalogError;
use crate::events::{self, Event, EventType, Payload};
use crate::sql::Sql;

/// Records that an event has come to `state`, in the transaction that takes it there. `event`: as it was before.
pub(super) async fn tell<S: Sql>(
    sql: &S,
    event: &LiveEvent,
    state: LiveEventState,
    now: Timestamp,
) -> Result<(), CatalogError> {
    if event.state == state {
        return Ok(());
    }
    let mut after = event.clone();
    after.state = state;
    after.modified = now;
    let id = fact_id(event, state, now);
    let fact = Event {
        id: Some(id),
        project: event.project.clone(),
        kind: EventType::LIVE_EVENT_STATE_CHANGE,
        subject: events::live_subject(&event.name),
        previous: Some(event.state.name().to_owned()),
        state: Some(state.name().to_owned()),
        payload: Payload::LiveEvent(Box::new(after)),
    };
    events::record_at(sql, now, id, &fact).await
}

/// The same for the same change: what time alone decides may be noticed by two at once.
fn fact_id(event: &LiveEvent, state: LiveEventState, at: Timestamp) -> Uuid {
    let change = format!(
        "{} {} {}",
        event.state.name(),
        state.name(),
        at.as_microsecond()
    );
    Uuid::new_v5(&event.id, change.as_bytes())
}
