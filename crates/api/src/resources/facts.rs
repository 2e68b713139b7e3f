//! What ingest workers tell of live events. The contract is `headwater_work::live::facts`.

use headwater_blob::HttpClient;
use headwater_catalog::events::{self, Event, EventType, Payload};
use headwater_catalog::{Sql, transaction};
use headwater_work::live::facts::{LONGEST_TEXT, MOST_FACTS, ReportFacts};
use http::StatusCode;
use serde_json::Value as Json;
use uuid::Uuid;

use super::work::read;
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;

pub(super) async fn report<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let id = Uuid::parse_str(call.var("id"))
        .map_err(|_| ApiError::invalid("eventId", "must be a UUID"))?;
    let request: ReportFacts = read(call)?;
    if !(1..=MOST_FACTS).contains(&request.facts.len()) {
        return Err(ApiError::invalid(
            "facts",
            format!("must have 1 to {MOST_FACTS} members"),
        ));
    }
    let mut told = Vec::with_capacity(request.facts.len());
    for (at, fact) in request.facts.iter().enumerate() {
        let (name, data) = fact.fact.parts();
        let kind = EventType::parse(&name)
            .ok_or_else(|| ApiError::internal(format!("a fact without a type of event: {name}")))?;
        check(at, &data)?;
        told.push((fact.id, kind, data));
    }
    let moment = call.moment;
    transaction(call.sql, async |sql| {
        let (project, name) = events::live_event(sql, id).await?;
        for (id, kind, data) in &told {
            let event = Event {
                id: Some(*id),
                project: project.clone(),
                kind: *kind,
                subject: events::live_subject(&name),
                previous: None,
                state: None,
                payload: Payload::Rendered(data.clone()),
            };
            events::record(sql, moment, &event).await?;
        }
        Ok(())
    })
    .await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Texts in a fact come from whoever connects: they are as long as they need to be and no longer.
fn check(at: usize, data: &Json) -> Result<(), ApiError> {
    let members = data.as_object().into_iter().flatten();
    for (name, value) in members {
        let length = value.as_str().map_or(0, str::len);
        if length > LONGEST_TEXT {
            return Err(ApiError::invalid(
                format!("facts[{at}].data.{name}"),
                format!("must have at most {LONGEST_TEXT} bytes"),
            ));
        }
    }
    Ok(())
}
