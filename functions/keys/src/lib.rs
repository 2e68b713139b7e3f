//! Key delivery: AES keys, ClearKey licences, and other systems' licences from the servers that make them (`/keys/...`).
//!
//! All decisions are `headwater-keys`'s. Here its ports are connected (the catalog over `spin:sqlite`, other people's servers
//! over outbound HTTP) and its answers sent. Nothing of a request is logged: tokens travel in queries, too.

mod ports;

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use headwater_catalog::key_policies::SealedOptions;
use headwater_edge::config::{self, ConfigError};
use headwater_edge::http::{self as edge, Unread, whole};
use headwater_edge::problem::Problem;
use headwater_keys::{Asked, Backend, Delivery, MAX_BODY_BYTES, Policies};
use headwater_seal::Seal;
use http::{Method, StatusCode};
use jiff::Timestamp;
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};

use ports::{Keys, Servers};

/// What an instance keeps between requests.
struct State {
    seal: Seal,
    delivery: Delivery,
    policies: Policies<SealedOptions>,
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
        delivery: Delivery::new(backends, log),
        policies: Policies::default(),
    });
    STATE.set(Some(Rc::clone(&state)));
    Ok(state)
}

fn log(line: &str) {
    eprintln!("keys: {line}");
}

/// What the SDK's `http_service` makes, with a request whose body is read only if it can have one.
struct Component;

spin_sdk::wasip3::http::service::export!(Component);

impl Guest for Component {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let head = edge::Asked::read(&request)?;
        let answer = match read(&head.method, request).await {
            Ok(body) => respond(&head, &body).await,
            Err(problem) => problem.response(),
        };
        answer.map_err(|error| ErrorCode::InternalError(Some(error.to_string())))
    }
}

async fn respond(
    head: &edge::Asked,
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
    let path = head.path();
    let asked = Asked {
        method: &head.method,
        path: path.strip_prefix("/keys").unwrap_or(path),
        query: head.query(),
        headers: &head.headers,
        body,
        now: Timestamp::now(),
    };
    let keys = Keys {
        seal: &state.seal,
        policies: &state.policies,
        log,
    };
    let answer = state.delivery.answer(&keys, &Servers, &asked).await;
    let (head, body) = answer.into_parts();
    whole(head.status, head.headers, body.into())
}

/// The body, no longer than any licence request is.
async fn read(method: &Method, request: Request) -> Result<Bytes, Problem<'static>> {
    let refuse = |status, detail| Problem {
        kind: "InvalidArgument",
        status,
        title: "InvalidArgument",
        detail,
        instance: None,
    };
    // What is sent along with these means nothing.
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(Bytes::new());
    }
    edge::body(request, MAX_BODY_BYTES)
        .await
        .map_err(|unread| match unread {
            // As every other body that is no challenge.
            Unread::TooLong => refuse(StatusCode::BAD_REQUEST, "the body is longer than 64 KiB"),
            Unread::Broken => refuse(
                StatusCode::BAD_REQUEST,
                "the body could not be read to its end",
            ),
        })
}
