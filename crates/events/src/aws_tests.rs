//! Envelopes as AWS documents them, read through the front door.

use super::*;
use crate::delivery::{Batch, Delivery, ReadError, read};
use http::HeaderMap;
use serde_json::json;

fn taken(body: &Value) -> Result<Delivery, ReadError> {
    read(&HeaderMap::new(), body.to_string().as_bytes())
}

fn batch(body: &Value) -> Batch {
    match taken(body).unwrap() {
        Delivery::Events(batch) => batch,
        other => panic!("{other:?}"),
    }
}

/// "Event message structure", with our names.
fn notification(key: &str) -> Value {
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-west-2",
        "eventTime": "1970-01-01T00:00:00.000Z", "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0", "configurationId": "uploads",
            "bucket": {"name": "uploads", "arn": "arn:aws:s3:::uploads"},
            "object": {"key": key, "size": 1024, "eTag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": "0055AED6DCD90281E5"}
        }
    }]})
}

fn by_sns(message: &Value) -> Value {
    json!({
        "Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-west-2:123456789012:uploads", "Subject": "Amazon S3 Notification",
        "Message": message.to_string(), "Timestamp": "2012-05-02T00:54:06.655Z", "SignatureVersion": "1",
        "Signature": "EXAMPLE", "SigningCertURL": "https://sns.us-west-2.amazonaws.com/x.pem",
        "UnsubscribeURL": "https://sns.us-west-2.amazonaws.com/?Action=Unsubscribe"
    })
}

fn by_sqs(bodies: &[Value]) -> Value {
    let records: Vec<_> = bodies
        .iter()
        .map(|body| json!({"messageId": "059f36b4", "body": body.to_string(), "eventSource": "aws:sqs"}))
        .collect();
    json!({"Records": records})
}

#[test]
fn one_notification_is_the_same_event_by_every_carrier() {
    let plain = notification("a+film%26more.mp4");
    let expected = batch(&plain);
    assert_eq!(expected.events[0].blob, "a film&more.mp4");
    for carried in [
        by_sns(&plain),
        by_sqs(std::slice::from_ref(&plain)),
        by_sqs(&[by_sns(&plain)]),
    ] {
        assert_eq!(batch(&carried), expected, "{carried}");
    }
    let several = batch(&by_sqs(&[
        plain,
        json!({"hello": "there"}),
        notification("b.mp4"),
    ]));
    assert_eq!(several.events.len(), 2);
    assert_eq!((several.ignored, several.unusable), (1, 0));
}

/// "EventBridge event message structure".
fn bridged(kind: &str, key: &str) -> Value {
    json!({
        "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": kind, "source": "aws.s3",
        "account": "123456789012", "time": "2021-11-12T00:00:00Z", "region": "ca-central-1",
        "resources": ["arn:aws:s3:::uploads"],
        "detail": {
            "version": "0", "bucket": {"name": "uploads"},
            "object": {"key": key, "size": 5, "etag": "b57f9512698f4b09e608f4f2a65852e5", "sequencer": "00617F08299329D189"},
            "request-id": "N4N7GDK58NMKJ12R", "requester": "123456789012", "reason": "PutObject"
        }
    })
}

#[test]
fn event_bridge_tells_keys_as_they_are() {
    let found = batch(&bridged("Object Created", "a+film%26.mp4"));
    let event = &found.events[0];
    assert_eq!(
        (event.container.as_str(), event.blob.as_str()),
        ("uploads", "a+film%26.mp4")
    );
    assert_eq!(event.change, Change::Created);
    assert_eq!(event.size_bytes, Some(5));
    assert_eq!(event.id, "eventbridge:17793124-05d4-b198-2fde-7ededc63b103");
    assert_eq!(
        batch(&bridged("Object Deleted", "a")).events[0].change,
        Change::Deleted
    );
    assert_eq!(batch(&bridged("Object Tags Added", "a")).ignored, 1);
    assert_eq!(batch(&bridged("Object Created", "../a")).unusable, 1);
    let mut elsewhere = bridged("Object Created", "a");
    elsewhere["source"] = json!("aws.ec2");
    assert_eq!(batch(&elsewhere).ignored, 1);
}

#[test]
fn a_subscription_is_confirmed_at_sns_and_nowhere_else() {
    let asked = |url: &str| {
        taken(&json!({
            "Type": "SubscriptionConfirmation", "MessageId": "165545c9", "Token": "2336412f",
            "TopicArn": "arn:aws:sns:us-west-2:123456789012:uploads", "Message": "You have chosen to subscribe",
            "SubscribeURL": url
        }))
        .unwrap()
    };
    for url in [
        "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f",
        "https://sns.cn-north-1.amazonaws.com.cn/?Action=ConfirmSubscription",
    ] {
        let topic = "arn:aws:sns:us-west-2:123456789012:uploads".to_owned();
        let url = url.to_owned();
        assert_eq!(asked(&url), Delivery::Confirmation { topic, url });
    }
    for url in [
        "http://sns.us-west-2.amazonaws.com/",
        "https://sns.us-west-2.amazonaws.com.evil.example/",
        "https://evil.example/?sns.us-west-2.amazonaws.com",
        "https://sns.a@evil.example#.amazonaws.com",
        "https://sns..amazonaws.com/\nx",
    ] {
        let Delivery::Events(batch) = asked(url) else {
            panic!("{url}")
        };
        assert_eq!(batch.unusable, 1, "{url}");
    }
}

#[test]
fn envelopes_end_somewhere() {
    let mut body = notification("a.mp4");
    for _ in 0..8 {
        body = by_sns(&body);
    }
    assert_eq!(batch(&body).unusable, 1);
    let broken = json!({"Type": "Notification", "TopicArn": "t", "Message": "{"});
    assert_eq!(batch(&broken).unusable, 1);
    assert!(matches!(
        taken(&json!({"a": 1})),
        Err(ReadError::UnknownShape)
    ));
}

#[test]
fn a_queue_does_not_get_around_the_limit() {
    let one = notification("a.mp4");
    let record = one["Records"][0].clone();
    let many = json!({"Records": vec![json!({"s3": null}); 2600]});
    assert!(matches!(
        taken(&by_sqs(&[many.clone(), many])),
        Err(ReadError::TooMany(_))
    ));
    assert_eq!(batch(&json!({"Records": [record]})).events.len(), 1);
}
