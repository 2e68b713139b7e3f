//! S3 notifications in the envelopes of the services that carry them.
//!
//! | carrier | envelope |
//! |---|---|
//! | SNS, by HTTPS | `{"Type": "Notification", "TopicArn", "Message": "{\"Records\": […]}"}`; first a `SubscriptionConfirmation` with a `SubscribeURL` |
//! | SQS, as pollers hand it on | `{"Records": [{"eventSource": "aws:sqs", "body": "{\"Records\": […]}"}]}`; the body may be SNS's envelope |
//! | EventBridge | `{"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket", "object"}}` |
//!
//! Specs: Amazon SNS developer guide, "HTTP/HTTPS notification JSON format"; AWS Lambda developer guide, "Using Lambda with
//! Amazon SQS"; Amazon S3 user guide, "EventBridge event message structure" (keys stand there as they are, unlike in
//! notifications).

use serde_json::Value;

use crate::event::{Change, Skip, StorageEvent};
use crate::place;

/// Envelopes in envelopes: SQS around SNS around S3 is the most that AWS makes.
const DEEPEST: usize = 3;

/// What an envelope holds.
#[derive(Debug, PartialEq)]
pub(crate) enum Opened {
    /// Elements of S3's `Records`.
    Records(Vec<Value>),
    /// An event of EventBridge.
    Bridge(Value),
    /// The subscription has to be confirmed by a look at the address.
    Confirm { topic: String, url: String },
    /// Another message of the same service.
    Other,
    /// It says that it is one of these and is not readable as such.
    Broken,
}

fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member).and_then(Value::as_str)
}

/// Opens an envelope; empty if `body` is none of these. S3's own notification is one around itself.
pub(crate) fn open(body: &Value) -> Vec<Opened> {
    opened(body, DEEPEST)
}

fn opened(body: &Value, deeper: usize) -> Vec<Opened> {
    let inner = |message: Option<&str>| -> Vec<Opened> {
        let parsed = message.and_then(|text| serde_json::from_str::<Value>(text).ok());
        match (parsed, deeper.checked_sub(1)) {
            (Some(value), Some(left)) => {
                let found = opened(&value, left);
                // A message that somebody wrote for somebody else.
                if found.is_empty() {
                    vec![Opened::Other]
                } else {
                    found
                }
            }
            _ => vec![Opened::Broken],
        }
    };
    if let Some(Value::Array(records)) = body.get("Records") {
        let is_queue = |record: &Value| text(record, "eventSource") == Some("aws:sqs");
        if !records.iter().any(is_queue) {
            return vec![Opened::Records(records.clone())];
        }
        return records
            .iter()
            .flat_map(|record| inner(text(record, "body")))
            .collect();
    }
    // What S3 sends once, when notifications are switched on.
    if text(body, "Event") == Some("s3:TestEvent") {
        return vec![Opened::Other];
    }
    if body.get("TopicArn").is_some() {
        return match text(body, "Type") {
            Some("Notification") => inner(text(body, "Message")),
            Some("SubscriptionConfirmation") => vec![confirmation(body).unwrap_or(Opened::Broken)],
            _ => vec![Opened::Other],
        };
    }
    if body.get("detail-type").is_some() {
        return match text(body, "source") {
            Some("aws.s3") => vec![Opened::Bridge(body.clone())],
            _ => vec![Opened::Other],
        };
    }
    Vec::new()
}

/// None if the address is not one of SNS: somebody would be sent somewhere else with it.
fn confirmation(body: &Value) -> Option<Opened> {
    let (topic, url) = (text(body, "TopicArn")?, text(body, "SubscribeURL")?);
    let host = url
        .strip_prefix("https://")?
        .split(['/', '?', '#'])
        .next()?;
    let region = host
        .strip_prefix("sns.")?
        .strip_suffix(".amazonaws.com")
        .or_else(|| host.strip_prefix("sns.")?.strip_suffix(".amazonaws.com.cn"))?;
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
    let is_region = !region.is_empty()
        && region
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (is_region && plain(url) && plain(topic)).then(|| Opened::Confirm {
        topic: topic.to_owned(),
        url: url.to_owned(),
    })
}

/// Reads an event of EventBridge.
pub(crate) fn bridge(event: &Value) -> Result<StorageEvent, Skip> {
    let change = match text(event, "detail-type") {
        Some("Object Created") => Change::Created,
        Some("Object Deleted") => Change::Deleted,
        _ => return Err(Skip::OtherType),
    };
    let detail = event.get("detail").ok_or(Skip::Unusable)?;
    let bucket = detail.get("bucket").and_then(|bucket| text(bucket, "name"));
    let object = detail.get("object").ok_or(Skip::Unusable)?;
    let (bucket, key) = bucket.zip(text(object, "key")).ok_or(Skip::Unusable)?;
    let (container, blob) = place::checked(bucket, key).ok_or(Skip::Unusable)?;
    let own = text(event, "id").filter(|id| !id.is_empty());
    let id = format!("eventbridge:{}", own.ok_or(Skip::Unusable)?);
    if id.len() > StorageEvent::MAX_ID_BYTES {
        return Err(Skip::Unusable);
    }
    Ok(StorageEvent {
        id,
        change,
        account: None,
        container,
        blob,
        etag: text(object, "etag").map(str::to_owned),
        size_bytes: object.get("size").and_then(Value::as_u64),
        time: text(event, "time").and_then(|time| time.parse().ok()),
    })
}

#[cfg(test)]
#[path = "aws_tests.rs"]
mod tests;
