//! Key delivery: AES keys, ClearKey licences, and other systems' licences from the servers that make them (`/keys/...`).
//!
//! All decisions are `headwater-keys`'s. Here its ports are connected (the catalog over `spin:sqlite`, other people's servers
//! over outbound HTTP) and its answers sent. Nothing of a request is logged: tokens travel in queries, too.

mod ports;

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use headwater_edge::config::{self, ConfigError};
use headwater_edge::http::whole;
use headwater_edge::problem::Problem;
use headwater_keys::{Asked, Backend, Delivery, MAX_BODY_BYTES};
use headwater_seal::Seal;
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use jiff::Timestamp;
use spin_sdk::http::Request;
use spin_sdk::http_service;
use spin_sdk::wasip3::http::types::{ErrorCode, Response};

use ports::{Keys, Servers};

/// What an instance keeps between requests.
struct State {
    seal: Seal,
    delivery: Delivery,
}

thread_local! {
    static STATE: RefCell<Option<Rc<State>>> = const { RefCell::new(None) };
}

async fn state() -> Result<Rc<State>, ConfigError> {
    if let Some(state) = STATE.with_borrow(Clone::clone) {
        return Ok(state);
    }
    let parse = |text: &str| Backend::parse_all(text).map_err(|error| error.to_string());
    let backends = config::licence_backends(parse).await?;
    let state = Rc::new(State {
        seal: config::seal().await?,
        delivery: Delivery::new(backends, |line| eprintln!("keys: {line}")),
    });
    STATE.set(Some(Rc::clone(&state)));
    Ok(state)
}

#[http_service]
async fn handle(request: Request) -> Result<Response, ErrorCode> {
    let (parts, body) = request.into_parts();
    let answer = match read(body).await {
        Ok(body) => respond(&parts, &body).await,
        Err(problem) => problem.response(),
    };
    answer.map_err(|error| ErrorCode::InternalError(Some(error.to_string())))
}

async fn respond(
    parts: &http::request::Parts,
    body: &[u8],
) -> Result<Response, headwater_blob::TransportError> {
    let state = match state().await {
        Ok(state) => state,
        Err(error) => {
            eprintln!("keys: {error}");
            return Problem {
                kind: "Internal",
                status: StatusCode::INTERNAL_SERVER_ERROR,
                title: "Internal",
                detail: "this installation is not configured completely",
                instance: None,
            }
            .response();
        }
    };
    let path = parts.uri.path();
    let asked = Asked {
        method: &parts.method,
        path: path.strip_prefix("/keys").unwrap_or(path),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body,
        now: Timestamp::now(),
    };
    let keys = Keys { seal: &state.seal };
    let answer = state.delivery.answer(&keys, &Servers, &asked).await;
    let (head, body) = answer.into_parts();
    whole(head.status, head.headers, body.into())
}

/// The body, no longer than any licence request is.
async fn read<B>(body: B) -> Result<Bytes, Problem<'static>>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let refuse = |status, detail| Problem {
        kind: "InvalidArgument",
        status,
        title: "InvalidArgument",
        detail,
        instance: None,
    };
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(refuse(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is longer than 64 KiB",
        )),
        Err(_) => Err(refuse(
            StatusCode::BAD_REQUEST,
            "the body could not be read to its end",
        )),
    }
}
