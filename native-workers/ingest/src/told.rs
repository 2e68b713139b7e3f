//! Messages for players that come by HTTP: JSON, which becomes a GEOB frame of an ID3 tag at the newest moment of the event.
//! Form and limits are those of AMS (`timedMetadataEndpoints`): 256 KB, two a second.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use headwater_live::cue::{ID3_SCHEME, Message, Said};
use headwater_live::engine::Clock;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::event::Live;
use crate::push::told;

/// Longest message.
const MOST_BYTES: usize = 256 << 10;

/// Messages of an event that are taken in a second.
const MOST_IN_A_SECOND: usize = 2;

/// Until a message is there.
const PATIENCE: Duration = Duration::from_secs(10);

/// When the newest messages of an event came.
#[derive(Default)]
pub(crate) struct Pace(Mutex<Vec<Instant>>);

impl Pace {
    /// Whether another may come now, which it then has.
    fn admits(&self, now: Instant) -> bool {
        let mut came = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        came.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
        let admits = came.len() < MOST_IN_A_SECOND;
        if admits {
            came.push(now);
        }
        admits
    }
}

/// Takes a message in.
pub(crate) async fn take(live: &Live, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return told(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Content-Type has to be application/json.",
        );
    }
    let body = Limited::new(request.into_body(), MOST_BYTES).collect();
    let body = match tokio::time::timeout(PATIENCE, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return told(
                StatusCode::BAD_REQUEST,
                format!("A message has at most {MOST_BYTES} bytes."),
            );
        }
        Ok(Err(_)) => return told(StatusCode::BAD_REQUEST, "The message is cut off."),
        Err(_) => return told(StatusCode::REQUEST_TIMEOUT, "The message did not come."),
    };
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&body) {
        let fault = format!("The message is no JSON: {error}.");
        return told(StatusCode::BAD_REQUEST, fault);
    }
    if !live.told.admits(Instant::now()) {
        let fault = format!("An event takes {MOST_IN_A_SECOND} messages a second.");
        let mut response = told(StatusCode::TOO_MANY_REQUESTS, fault);
        let soon = HeaderValue::from_static("1");
        response.headers_mut().insert(header::RETRY_AFTER, soon);
        return response;
    }
    let said = live.say_by(Clock::Newest, Said::Message(message(&body)));
    match said {
        true => Response::new(Full::default()),
        false => told(
            StatusCode::CONFLICT,
            "Nothing of the event has come yet that could be spoken of.",
        ),
    }
}

fn message(json: &[u8]) -> Message {
    let data = tag(json);
    Message {
        scheme: ID3_SCHEME.to_owned(),
        value: String::new(),
        time: 0,
        duration: None,
        id: crc32fast::hash(json),
        data,
    }
}

/// An ID3 tag (v2.4) of one general encapsulated object (`GEOB`): UTF-8, `application/json`, no name, no description.
fn tag(json: &[u8]) -> Vec<u8> {
    let object = [&b"\x03application/json\0\0\0"[..], json].concat();
    let frame = [&b"GEOB"[..], &length(object.len()), &[0, 0], &object].concat();
    [&b"ID3\x04\0\0"[..], &length(frame.len()), &frame].concat()
}

/// Seven bits to a byte.
fn length(bytes: usize) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| u8::try_from(bytes >> shift & 0x7f).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_as_long_as_they_say() {
        let tag = tag(b"{\"message\":1}");
        assert_eq!(&tag[..10], b"ID3\x04\0\0\0\0\0\x2b");
        assert_eq!(tag.len(), 10 + 0x2b);
        assert_eq!(&tag[10..20], b"GEOB\0\0\0\x21\0\0");
        assert_eq!(length(300), [0, 0, 2, 44]);
    }

    #[test]
    fn two_messages_a_second() {
        let (pace, now) = (Pace::default(), Instant::now());
        let at = |ms| now + Duration::from_millis(ms);
        assert!(pace.admits(at(0)) && pace.admits(at(600)) && !pace.admits(at(900)));
        assert!(pace.admits(at(1_000)) && !pace.admits(at(1_500)) && pace.admits(at(1_600)));
    }
}
