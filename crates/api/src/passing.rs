//! Files that go through this service, because storage cannot be asked for them by an address that is good for nothing else.
//!
//! The API decides and asks nothing: [`Answer::passing`] is what to ask storage, and what becomes of storage's answer is said
//! here, by its head. Its body is handed on as it comes, so a film takes no memory.

use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::error::{ApiError, Kind};
use crate::reply::Reply;
use crate::{Answer, routes};

/// What a client is told of storage's answer.
#[derive(Debug)]
pub enum Passed {
    /// This head, and then storage's body.
    Bytes(StatusCode, HeaderMap),
    /// This, and none of storage's body.
    Whole(Box<Answer>),
}

/// What storage says of a file that its readers may know.
const KEPT: [http::HeaderName; 5] = [
    CONTENT_LENGTH,
    CONTENT_RANGE,
    ETAG,
    LAST_MODIFIED,
    ACCEPT_RANGES,
];

/// `answer`: the one with the request that storage has answered; `path`: of the client's request; `status` and `headers`:
/// storage's.
pub fn passed(mut answer: Answer, path: &str, status: StatusCode, headers: &HeaderMap) -> Passed {
    let mut told = answer.response.headers().clone();
    for name in KEPT {
        if let Some(value) = headers.get(&name) {
            told.insert(name, value.clone());
        }
    }
    match status {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => {
            // Whatever was uploaded is nothing that a browser should show as ours.
            let bytes = HeaderValue::from_static("application/octet-stream");
            told.insert(CONTENT_TYPE, bytes);
            Passed::Bytes(status, told)
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            told.remove(CONTENT_LENGTH);
            *answer.response.status_mut() = status;
            *answer.response.headers_mut() = told;
            Passed::Whole(Box::new(answer))
        }
        StatusCode::NOT_FOUND => refused(answer, path, Kind::NotFound, "The file was not found."),
        _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            let context = format!("storage answered {status}");
            Passed::Whole(Box::new(unreachable(answer, path, context)))
        }
        _ => {
            answer.context = Some(format!("storage answered {status}"));
            refused(answer, path, Kind::Upstream, "Storage refused the request.")
        }
    }
}

/// The answer where storage gave none. `context`: for the log.
pub fn unreachable(answer: Answer, path: &str, context: String) -> Answer {
    let message = "Storage cannot be reached at the moment. Try again.";
    Answer {
        context: Some(context),
        ..failure(answer, path, Kind::Unavailable, message)
    }
}

fn refused(answer: Answer, path: &str, kind: Kind, message: &str) -> Passed {
    Passed::Whole(Box::new(failure(answer, path, kind, message)))
}

fn failure(answer: Answer, path: &str, kind: Kind, message: &str) -> Answer {
    let error = ApiError::new(kind, message);
    let reply = Reply::failure(&error, routes::surface_of(path), &answer.request_id);
    Answer {
        response: reply.render(&answer.request_id),
        ..answer
    }
}
