//! Deliveries as their senders document them.

use super::*;
use crate::event::Change;
use http::HeaderValue;
use serde_json::json;

const TOPIC: &str =
    "/subscriptions/0/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/media1";

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
        .collect()
}

fn read_json(pairs: &[(&'static str, &'static str)], body: &Value) -> Result<Delivery, ReadError> {
    read(&headers(pairs), body.to_string().as_bytes())
}

fn events(delivery: Result<Delivery, ReadError>) -> Batch {
    match delivery.unwrap() {
        Delivery::Events(batch) => batch,
        other => panic!("{other:?}"),
    }
}

/// The event that Azure's documentation shows, with our names.
fn event_grid_created(id: &str, blob: &str) -> Value {
    json!({
        "topic": TOPIC,
        "subject": format!("/blobServices/default/containers/uploads/blobs/{blob}"),
        "eventType": "Microsoft.Storage.BlobCreated",
        "eventTime": "2026-06-26T18:41:00.9584103Z",
        "id": id,
        "data": {
            "api": "PutBlockList",
            "clientRequestId": "6d79dbfb-0e37-4fc4-981f-442c9ca65760",
            "requestId": "831e1650-001e-001b-66ab-eeb76e000000",
            "eTag": "0x8D4BCC2E4835CD0",
            "contentType": "video/mp4",
            "contentLength": 524288,
            "blobType": "BlockBlob",
            "url": "https://media1.blob.core.windows.net/uploads/a%20film.mp4",
            "sequencer": "00000000000004420000000000028963",
            "storageDiagnostics": {"batchId": "b68529f3-68cd-4744-baa4-3c0498ec19f0"}
        },
        "dataVersion": "",
        "metadataVersion": "1"
    })
}

#[test]
fn an_event_grid_batch_is_read_in_order_and_the_rest_is_counted() {
    let mut deleted = event_grid_created("2", "b.mp4");
    deleted["eventType"] = json!("Microsoft.Storage.BlobDeleted");
    let mut renamed = event_grid_created("3", "c.mp4");
    renamed["eventType"] = json!("Microsoft.Storage.BlobRenamed");
    let mut nowhere = event_grid_created("4", "d.mp4");
    nowhere["subject"] = json!("/blobServices/default/containers/uploads");
    let mut nameless = event_grid_created("", "e.mp4");
    nameless["data"]["contentLength"] = json!("many");

    let body = json!([
        event_grid_created("1", "a film.mp4"),
        deleted,
        renamed,
        nowhere,
        nameless,
        7
    ]);
    let batch = events(read_json(&[("aeg-event-type", "Notification")], &body));

    assert_eq!(
        (batch.events.len(), batch.ignored, batch.unusable),
        (2, 1, 3)
    );
    let first = &batch.events[0];
    assert_eq!(first.id, format!("{TOPIC}#1"));
    assert_eq!(first.change, Change::Created);
    assert_eq!(first.account.as_deref(), Some("media1"));
    assert_eq!(
        (first.container.as_str(), first.blob.as_str()),
        ("uploads", "a film.mp4")
    );
    assert_eq!(first.etag.as_deref(), Some("0x8D4BCC2E4835CD0"));
    assert_eq!(first.size_bytes, Some(524_288));
    assert_eq!(
        first.time.unwrap().to_string(),
        "2026-06-26T18:41:00.9584103Z"
    );
    assert_eq!(batch.events[1].change, Change::Deleted);
}

#[test]
fn the_embedded_stores_url_gives_the_account_when_the_topic_does_not() {
    let mut event = event_grid_created("1", "a.mp4");
    event["topic"] = json!("");
    event["data"]["url"] = json!("http://127.0.0.1:10000/local/uploads/a.mp4");
    assert_eq!(
        events(read_json(&[], &json!([event]))).events[0]
            .account
            .as_deref(),
        Some("local")
    );
}

#[test]
fn the_validation_handshake_gives_the_code_back() {
    let body = json!([{
        "id": "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66",
        "topic": TOPIC,
        "subject": "",
        "data": {"validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6", "validationUrl": "https://example.net/x"},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": "2026-01-25T22:12:19.4556811Z",
        "metadataVersion": "1",
        "dataVersion": "1"
    }]);
    let code = Delivery::Validation {
        code: "512d38b6-c7b8-40c8-89fe-f46f9e9622b6".into(),
    };
    assert_eq!(
        read_json(&[("aeg-event-type", "SubscriptionValidation")], &body).unwrap(),
        code
    );
    // Relays drop headers.
    assert_eq!(read_json(&[], &body).unwrap(), code);
    assert!(matches!(
        read_json(&[("aeg-event-type", "SubscriptionValidation")], &json!([])),
        Err(ReadError::NoValidationCode)
    ));
}

fn cloud_event() -> Value {
    json!({
        "specversion": "1.0",
        "id": "9aeb0fdf-c01e-0131-0922-9eb54906e209",
        "source": TOPIC,
        "type": "Microsoft.Storage.BlobCreated",
        "subject": "/blobServices/default/containers/uploads/blobs/film.mp4",
        "time": "2026-11-18T15:13:39.4589254Z",
        "data": {"api": "PutBlob", "eTag": "0x1", "contentLength": 30_699, "url": "https://media1.blob.core.windows.net/uploads/film.mp4"}
    })
}

#[test]
fn a_cloud_event_is_the_same_in_all_three_modes() {
    let structured = events(read_json(
        &[(
            "content-type",
            "application/cloudevents+json; charset=utf-8",
        )],
        &cloud_event(),
    ));
    let batched = events(read_json(
        &[("content-type", "application/cloudevents-batch+json")],
        &json!([cloud_event()]),
    ));
    let binary = events(read(
        &headers(&[
            ("content-type", "application/json"),
            ("ce-specversion", "1.0"),
            ("ce-id", "9aeb0fdf-c01e-0131-0922-9eb54906e209"),
            ("ce-source", TOPIC),
            ("ce-type", "Microsoft.Storage.BlobCreated"),
            (
                "ce-subject",
                "/blobServices/default/containers/uploads/blobs/%66ilm.mp4",
            ),
            ("ce-time", "2026-11-18T15:13:39.4589254Z"),
        ]),
        cloud_event()["data"].to_string().as_bytes(),
    ));
    assert_eq!(structured.events.len(), 1);
    assert_eq!(structured.events[0].blob, "film.mp4");
    assert_eq!(structured, batched);
    assert_eq!(structured, binary);
}

#[test]
fn a_cloud_event_of_another_version_or_type_is_not_acted_on() {
    let mut later = cloud_event();
    later["specversion"] = json!("2.0");
    let mut other = cloud_event();
    other["type"] = json!("com.example.made");
    let batch = events(read_json(&[], &json!([later, other])));
    assert_eq!(
        (batch.events.len(), batch.ignored, batch.unusable),
        (0, 1, 1)
    );
}

#[test]
fn s3_records_are_read_with_their_keys_decoded() {
    let record = |name: &str, key: &str| {
        json!({
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-west-2",
            "eventTime": "1970-01-01T00:00:00.000Z", "eventName": name,
            "s3": {
                "s3SchemaVersion": "1.0",
                "bucket": {"name": "amzn-s3-demo-bucket", "arn": "arn:aws:s3:::amzn-s3-demo-bucket"},
                "object": {"key": key, "size": 1024, "eTag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": "0055AED6DCD90281E5"}
            }
        })
    };
    let body = json!({"Records": [
        record("ObjectCreated:Put", "in/my+film%2B1.mp4"),
        record("s3:ObjectCreated:CompleteMultipartUpload", "x.mp4"),
        record("ObjectRemoved:Delete", "x.mp4"),
        record("ObjectRestore:Post", "x.mp4"),
        record("ObjectCreated:Put", "%ff"),
    ]});
    let batch = events(read_json(&[], &body));
    assert_eq!(
        (batch.events.len(), batch.ignored, batch.unusable),
        (3, 1, 1)
    );
    assert_eq!(batch.events[0].blob, "in/my film+1.mp4");
    assert_eq!(batch.events[0].container, "amzn-s3-demo-bucket");
    assert_eq!(batch.events[0].account, None);
    assert_eq!(batch.events[2].change, Change::Deleted);
    assert_ne!(batch.events[1].id, batch.events[2].id);
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"});
    assert_eq!(events(read_json(&[], &test)).ignored, 1);
}

#[test]
fn bodies_that_are_no_events_are_refused() {
    let none = HeaderMap::new();
    assert!(matches!(read(&none, b""), Err(ReadError::NotJson(_))));
    assert!(matches!(read(&none, b"[{]"), Err(ReadError::NotJson(_))));
    assert!(matches!(read(&none, b"{}"), Err(ReadError::UnknownShape)));
    assert!(matches!(read(&none, b"3"), Err(ReadError::UnknownShape)));
    assert!(matches!(
        read(&none, &vec![b' '; MAX_BODY_BYTES + 1]),
        Err(ReadError::TooLong(_))
    ));
    let many = format!("[{}0]", "0,".repeat(MAX_EVENTS));
    assert!(matches!(
        read(&none, many.as_bytes()),
        Err(ReadError::TooMany(5001))
    ));
    assert_eq!(events(read(&none, b"[]")), Batch::default());
}

#[test]
fn deep_nesting_is_an_error_not_a_stack_overflow() {
    let deep = "[".repeat(500_000);
    assert!(matches!(
        read(&HeaderMap::new(), deep.as_bytes()),
        Err(ReadError::NotJson(_))
    ));
}

proptest::proptest! {
    #[test]
    fn no_body_makes_it_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        let _ = read(&HeaderMap::new(), &body);
        let _ = read(&headers(&[("ce-specversion", "1.0"), ("ce-type", "Microsoft.Storage.BlobCreated")]), &body);
    }

    #[test]
    fn no_subject_makes_it_panic_or_leave_the_container(subject in ".{0,80}") {
        let mut event = cloud_event();
        event["subject"] = json!(format!("/blobServices/default/containers/{subject}"));
        if let Ok(Delivery::Events(batch)) = read_json(&[], &event) {
            for event in batch.events {
                proptest::prop_assert!(!event.container.contains('/'));
                proptest::prop_assert!(!event.blob.split('/').any(|part| part == ".."));
            }
        }
    }
}
