//! Event Grid schema: an array of events, and the validation handshake.
//!
//! Spec: <https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage>,
//! <https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema>.
//! The embedded blob store sends the same shape.

use serde::Deserialize;
use serde_json::Value;

use crate::event::{Change, Skip, StorageEvent};
use crate::place;

pub(crate) const VALIDATION_TYPE: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";

/// One element of the array. Only what we read: senders add fields freely.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[serde(default)]
    id: String,
    #[serde(default)]
    topic: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    event_type: String,
    #[serde(default)]
    event_time: String,
    #[serde(default)]
    data: Value,
}

/// `data` of `Microsoft.Storage.BlobCreated` and `BlobDeleted`, in both the Event Grid and the CloudEvents envelope.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct BlobData {
    #[serde(alias = "etag")]
    e_tag: Option<String>,
    content_length: Option<u64>,
    url: Option<String>,
}

/// The validation code, if this delivery asks for one.
pub(crate) fn validation_code(events: &[Value]) -> Option<&str> {
    events
        .iter()
        .find(|event| event.get("eventType").and_then(Value::as_str) == Some(VALIDATION_TYPE))?
        .get("data")?
        .get("validationCode")?
        .as_str()
}

/// Reads one element of the array.
pub(crate) fn event(value: &Value) -> Result<StorageEvent, Skip> {
    let envelope = Envelope::deserialize(value).map_err(|_| Skip::Unusable)?;
    blob_event(&BlobEnvelope {
        source: &envelope.topic,
        id: &envelope.id,
        kind: &envelope.event_type,
        subject: &envelope.subject,
        time: &envelope.event_time,
        data: &envelope.data,
    })
}

/// What both envelopes say about a blob event.
pub(crate) struct BlobEnvelope<'a> {
    /// Event Grid `topic`, CloudEvents `source`.
    pub(crate) source: &'a str,
    pub(crate) id: &'a str,
    /// `Microsoft.Storage.BlobCreated` or another.
    pub(crate) kind: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) time: &'a str,
    pub(crate) data: &'a Value,
}

pub(crate) fn blob_event(envelope: &BlobEnvelope<'_>) -> Result<StorageEvent, Skip> {
    let change = match envelope.kind {
        "Microsoft.Storage.BlobCreated" => Change::Created,
        "Microsoft.Storage.BlobDeleted" => Change::Deleted,
        _ => return Err(Skip::OtherType),
    };
    let (container, blob) = place::of_subject(envelope.subject).ok_or(Skip::Unusable)?;
    let data = if envelope.data.is_null() {
        BlobData::default()
    } else {
        BlobData::deserialize(envelope.data).map_err(|_| Skip::Unusable)?
    };
    let account = place::account_of_topic(envelope.source)
        .or_else(|| data.url.as_deref().and_then(place::account_of_url));
    let id = scoped_id(envelope.source, envelope.id)?;
    Ok(StorageEvent {
        id,
        change,
        account,
        container,
        blob,
        etag: data.e_tag,
        size_bytes: data.content_length,
        time: envelope.time.parse().ok(),
    })
}

/// Ids are unique within their source only (CloudEvents 1.0 §3.1.1).
pub(crate) fn scoped_id(source: &str, id: &str) -> Result<String, Skip> {
    let scoped = format!("{source}#{id}");
    if id.is_empty() || scoped.len() > StorageEvent::MAX_ID_BYTES {
        return Err(Skip::Unusable);
    }
    Ok(scoped)
}
