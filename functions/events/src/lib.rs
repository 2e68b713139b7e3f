//! Storage events in: `/events/storage`.
//!
//! | request | answer |
//! |---|---|
//! | `POST` with events | 200 and how many did what |
//! | `POST` with Event Grid's validation event | 200 `{"validationResponse": code}` |
//! | `POST` with SNS's question for confirmation | 200; the log says which address to open |
//! | `OPTIONS` with `WebHook-Request-Origin` | 200 and `WebHook-Allowed-Origin` |
//!
//! Senders prove themselves with the event secret (`headwater_events::auth`): 401 without, 403 with a wrong one. What no
//! repeat would mend is 400 or 413, or counted and let go; what one may mend is 500 or 503. Event Grid repeats on those
//! for a day, and gives a delivery up on 400 and 413.

mod answer;
mod inbox;

use answer::{Answer, Refusal};
use bytes::Bytes;
use headwater_catalog::{Moment, RandomIds};
use headwater_edge::config;
use headwater_edge::http::SpinHttp;
use headwater_edge::sql::SpinSql;
use headwater_events::auth::authenticate;
use headwater_events::{Batch, Buckets, Delivery, MAX_BODY_BYTES, preflight, read};
use http::Method;
use http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use inbox::{Inbox, Tally};
use jiff::Timestamp;
use spin_sdk::http::Request;
use spin_sdk::http_service;
use spin_sdk::wasip3::http::types::{ErrorCode, Response};

const PATH: &str = "/events/storage";

#[http_service]
async fn events(request: Request) -> Result<Response, ErrorCode> {
    let answer = handle(request).await.unwrap_or_else(Answer::Refused);
    answer
        .response()
        .map_err(|error| ErrorCode::InternalError(Some(error.to_string())))
}

async fn handle(request: Request) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    admit(&head).await?;
    if head.method == Method::OPTIONS {
        let permission = preflight(&head.headers).ok_or(Refusal::NoOrigin)?;
        return Ok(Answer::Permitted(permission));
    }
    let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(Refusal::TooLong),
        Err(_) => return Err(Refusal::BrokenBody),
    };
    respond(&head, &body).await
}

/// Path, method and sender, in this order: a stranger learns no more than that something is here.
async fn admit(head: &Parts) -> Result<(), Refusal> {
    if head.uri.path().trim_end_matches('/') != PATH {
        return Err(Refusal::NoSuchPath);
    }
    if head.method != Method::POST && head.method != Method::OPTIONS {
        return Err(Refusal::Method);
    }
    let secret = config::event_secret().await?;
    let secret = secret.expose_str().unwrap_or_default();
    Ok(authenticate(&head.headers, head.uri.query(), secret)?)
}

async fn respond(head: &Parts, body: &Bytes) -> Result<Answer, Refusal> {
    match read(&head.headers, body)? {
        Delivery::Validation { code } => Ok(Answer::Validated { code }),
        Delivery::Confirmation { topic, url } => {
            // A component reaches no host that was not named to it; an operator's browser does.
            eprintln!("{topic} asks whether its messages are wanted; open {url} if so");
            Ok(Answer::Taken(Tally {
                ignored: 1,
                ..Tally::default()
            }))
        }
        Delivery::Events(batch) => {
            let buckets = config::event_buckets(Buckets::parse).await?;
            Ok(Answer::Taken(take_in(&buckets.place(batch)).await?))
        }
    }
}

async fn take_in(batch: &Batch) -> Result<Tally, Refusal> {
    let seal = config::seal().await?;
    // A connection of our own: taking an event in is a transaction.
    let sql = SpinSql::open().await?;
    let inbox = Inbox {
        sql: &sql,
        seal: &seal,
        client: SpinHttp::default(),
        moment: Moment {
            now: Timestamp::now(),
            ids: &RandomIds,
        },
        clock: Timestamp::now,
    };
    Ok(inbox.take_in(batch).await?)
}
