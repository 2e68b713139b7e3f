//! One request's body, whichever dialect it is in.

use http::HeaderMap;
use serde_json::Value;
use thiserror::Error;

use crate::aws::{self, Opened};
use crate::event::{Skip, StorageEvent};
use crate::{cloud_events, event_grid, s3};

/// The longest body that is read: Event Grid's own limit on a batch.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The most events in one delivery: Event Grid's own limit on a batch.
pub const MAX_EVENTS: usize = 5000;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Event Grid's handshake: answer 200 with `{"validationResponse": code}`.
    Validation { code: String },
    /// SNS asks whether its messages are wanted: whoever opens `url`, which is one of SNS, says yes.
    Confirmation { topic: String, url: String },
    /// Events to act on.
    Events(Batch),
}

/// The events of one delivery, in the order sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    pub events: Vec<StorageEvent>,
    /// How many were about something else (another type, a service's test message).
    pub ignored: usize,
    /// How many were about a blob but did not say which, or had no usable id. Sending them again would not help, so
    /// they do not fail the delivery.
    pub unusable: usize,
}

/// Why a body as a whole cannot be read. The sender should not repeat it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    #[error("A delivery holds at most {MAX_BODY_BYTES} bytes; this one has {0}.")]
    TooLong(usize),
    #[error("A delivery holds at most {MAX_EVENTS} events; this one has {0}.")]
    TooMany(usize),
    #[error("The body is not JSON: {0}.")]
    NotJson(#[from] serde_json::Error),
    #[error(
        "The body is neither an Event Grid batch (an array), nor a CloudEvent (specversion), \
         nor an S3 notification (Records, or in an envelope of SNS, SQS or EventBridge)."
    )]
    UnknownShape,
    #[error("A handshake carries data.validationCode, this one does not.")]
    NoValidationCode,
}

/// Reads a request's body.
///
/// `headers`: of the request; `content-type`, `aeg-event-type` and `ce-*` matter. Where they are silent the body's
/// own shape decides, since webhooks are often configured by hand.
pub fn read(headers: &HeaderMap, body: &[u8]) -> Result<Delivery, ReadError> {
    if body.len() > MAX_BODY_BYTES {
        return Err(ReadError::TooLong(body.len()));
    }
    if cloud_events::is_binary(headers) {
        let data = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(body)?
        };
        return Ok(Delivery::Events(collect([cloud_events::binary(
            headers, data,
        )])));
    }
    let body: Value = serde_json::from_slice(body)?;
    let handshake = header_is(headers, "aeg-event-type", "SubscriptionValidation");
    match &body {
        Value::Array(items) => {
            if items.len() > MAX_EVENTS {
                return Err(ReadError::TooMany(items.len()));
            }
            if let Some(code) = event_grid::validation_code(items) {
                return Ok(Delivery::Validation {
                    code: code.to_owned(),
                });
            }
            if handshake {
                return Err(ReadError::NoValidationCode);
            }
            Ok(Delivery::Events(collect(items.iter().map(element))))
        }
        Value::Object(object) => {
            if object.contains_key("specversion") {
                return Ok(Delivery::Events(collect([cloud_events::structured(&body)])));
            }
            // Event Grid sends arrays; a lone event comes from hand-written tests and some relays.
            if object.contains_key("eventType") {
                let items = std::slice::from_ref(&body);
                if let Some(code) = event_grid::validation_code(items) {
                    return Ok(Delivery::Validation {
                        code: code.to_owned(),
                    });
                }
                return Ok(Delivery::Events(collect([event_grid::event(&body)])));
            }
            carried(aws::open(&body))
        }
        _ => Err(ReadError::UnknownShape),
    }
}

/// What AWS carried here, S3's own notification included.
fn carried(opened: Vec<Opened>) -> Result<Delivery, ReadError> {
    if opened.is_empty() {
        return Err(ReadError::UnknownShape);
    }
    let mut events = Vec::new();
    for one in opened {
        match one {
            Opened::Records(records) => events.extend(records.iter().map(s3::event)),
            Opened::Bridge(event) => events.push(aws::bridge(&event)),
            Opened::Confirm { topic, url } => return Ok(Delivery::Confirmation { topic, url }),
            Opened::Other => events.push(Err(Skip::OtherType)),
            Opened::Broken => events.push(Err(Skip::Unusable)),
        }
        if events.len() > MAX_EVENTS {
            return Err(ReadError::TooMany(events.len()));
        }
    }
    Ok(Delivery::Events(collect(events)))
}

/// An element of an array: a CloudEvent (batched mode) or an Event Grid event. A relay may mix them.
fn element(item: &Value) -> Result<StorageEvent, Skip> {
    if item.get("specversion").is_some() {
        cloud_events::structured(item)
    } else {
        event_grid::event(item)
    }
}

fn collect(events: impl IntoIterator<Item = Result<StorageEvent, Skip>>) -> Batch {
    let mut batch = Batch::default();
    for event in events {
        match event {
            Ok(event) => batch.events.push(event),
            Err(Skip::OtherType) => batch.ignored = batch.ignored.saturating_add(1),
            Err(Skip::Unusable) => batch.unusable = batch.unusable.saturating_add(1),
        }
    }
    batch
}

fn header_is(headers: &HeaderMap, name: &str, wanted: &str) -> bool {
    headers
        .get(name)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(wanted.as_bytes()))
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
