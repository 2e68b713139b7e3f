//! Sessions with peers of every kind. What real encoders send is held to in `native-workers/ingest`.

use headwater_rtmp::amf0::{self, Value};
use headwater_rtmp::{Event, Limits, RtmpError, Session};
use proptest::prelude::*;

fn command(values: &[Value]) -> Vec<u8> {
    let mut payload = Vec::new();
    for value in values {
        amf0::write(&mut payload, value);
    }
    let mut out = vec![3, 0, 0, 0, 0, 0, payload.len() as u8, 20, 0, 0, 0, 0];
    for (at, piece) in payload.chunks(128).enumerate() {
        if at > 0 {
            out.push(0xc3);
        }
        out.extend(piece);
    }
    out
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn open() -> Session {
    let mut session = Session::new(Limits::default());
    let mut hello = vec![3];
    hello.resize(1 + 1536 * 2, 7);
    session.feed(&hello).unwrap();
    assert_eq!(session.take_output().len(), 1 + 1536 * 2);
    session
}

fn connect() -> Vec<u8> {
    let object = Value::Object(vec![("app".into(), text("live/token"))]);
    command(&[text("connect"), Value::Number(1.0), object])
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn a_publisher_is_let_in_step_by_step() {
    let mut session = open();
    session.feed(&connect()).unwrap();
    let asked = session.poll().unwrap();
    assert!(matches!(asked, Event::Connect { app, .. } if app == "live/token"));
    session.accept();
    assert!(contains(
        &session.take_output(),
        "NetConnection.Connect.Success"
    ));
    let publish = [
        text("publish"),
        Value::Number(5.0),
        Value::Null,
        text("main"),
        text("live"),
    ];
    session.feed(&command(&publish)).unwrap();
    assert_eq!(
        session.poll(),
        Some(Event::Publish {
            stream: "main".into()
        })
    );
    session.accept();
    assert!(contains(&session.take_output(), "NetStream.Publish.Start"));
    session
        .feed(&[4, 0, 0, 9, 0, 0, 1, 9, 1, 0, 0, 0, 0x27])
        .unwrap();
    let media = session.poll().unwrap();
    assert!(matches!(media, Event::Video { timestamp: 9, .. }));
    session
        .feed(&command(&[
            text("deleteStream"),
            Value::Number(6.0),
            Value::Null,
        ]))
        .unwrap();
    assert_eq!(session.poll(), Some(Event::End));
}

#[test]
fn a_rejected_publisher_reads_why() {
    let mut session = open();
    session.feed(&connect()).unwrap();
    session.reject("MPE_RTMP_APPID_AUTH_FAILURE");
    let output = session.take_output();
    assert!(contains(&output, "NetConnection.Connect.Rejected"));
    assert!(contains(&output, "MPE_RTMP_APPID_AUTH_FAILURE"));
}

#[test]
fn media_before_publish_ends_the_connection() {
    let mut session = open();
    let fed = session.feed(&[4, 0, 0, 9, 0, 0, 1, 9, 1, 0, 0, 0, 0x27]);
    assert!(
        matches!(fed, Err(RtmpError::Malformed { offset: 3086, .. })),
        "{fed:?}"
    );
    assert_eq!(
        Session::new(Limits::default()).feed(b"GET / HTTP/1.1"),
        Err(RtmpError::Version(b'G'))
    );
}

proptest! {
    #[test]
    fn anything_may_come_after_the_handshake(bytes in prop::collection::vec(any::<u8>(), 0..5000), accept: bool) {
        let mut session = open();
        session.feed(&connect()).unwrap();
        session.accept();
        for piece in bytes.chunks(97) {
            if session.feed(piece).is_err() {
                break;
            }
            while session.poll().is_some() {}
            if accept {
                session.accept();
            }
        }
    }
}
