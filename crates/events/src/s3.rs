//! S3 notifications: `{"Records": [{"eventName": "ObjectCreated:Put", "s3": {…}}]}`.
//!
//! Spec: Amazon S3 user guide, "Event message structure". Stores that speak S3's dialect write the name with an `s3:`
//! in front. The object's key is form-encoded: a space is a `+`. S3 gives events no id; bucket, key, name and sequencer
//! together are one (the sequencer differs for each operation on a key).

use serde::Deserialize;
use serde_json::Value;

use crate::event::{Change, Skip, StorageEvent};
use crate::place;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    #[serde(default)]
    event_name: String,
    #[serde(default)]
    event_time: String,
    s3: Option<Entity>,
}

#[derive(Debug, Deserialize)]
struct Entity {
    bucket: Bucket,
    object: Object,
}

#[derive(Debug, Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    key: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    e_tag: Option<String>,
    #[serde(default)]
    sequencer: Option<String>,
}

/// Reads one element of `Records`.
pub(crate) fn event(value: &Value) -> Result<StorageEvent, Skip> {
    let record = Record::deserialize(value).map_err(|_| Skip::Unusable)?;
    let name = record
        .event_name
        .strip_prefix("s3:")
        .unwrap_or(&record.event_name);
    let change = match name.split_once(':').map(|(class, _)| class) {
        Some("ObjectCreated") => Change::Created,
        Some("ObjectRemoved") => Change::Deleted,
        _ => return Err(Skip::OtherType),
    };
    let Entity { bucket, object } = record.s3.ok_or(Skip::Unusable)?;
    let key = form_decoded(&object.key).ok_or(Skip::Unusable)?;
    let (container, blob) = place::checked(&bucket.name, &key).ok_or(Skip::Unusable)?;
    let turn = object.sequencer.as_deref().unwrap_or(&record.event_time);
    let id = format!("s3:{container}/{blob}#{name}#{turn}");
    if turn.is_empty() || id.len() > StorageEvent::MAX_ID_BYTES {
        return Err(Skip::Unusable);
    }
    Ok(StorageEvent {
        id,
        change,
        account: None,
        container,
        blob,
        etag: object.e_tag,
        size_bytes: object.size,
        time: record.event_time.parse().ok(),
    })
}

/// `a+b%2Fc` to `a b/c`; none if the bytes are not UTF-8.
fn form_decoded(key: &str) -> Option<String> {
    let spaced = key.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced)
        .decode_utf8()
        .ok()?;
    Some(decoded.into_owned())
}
