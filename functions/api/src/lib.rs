//! The control plane: reads a request, lets `headwater-api` decide, sends the answer.

mod state;

use bytes::Bytes;
use headwater_api::error::Kind;
use headwater_api::passing::{Passed, passed, unreachable};
use headwater_api::{Answer, Api, MAX_BODY, refusal, writes};
use headwater_blob::TransportError;
use headwater_catalog::{RandomIds, Sql};
use headwater_edge::http::{self as edge, Asked, SpinHttp, Unread, whole};
use headwater_edge::sql::{self, SpinSql};
use http::{Method, Request};
use jiff::Timestamp;
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Request as WasiRequest, Response};
use std::net::SocketAddr;

use state::State;

/// What the SDK's `http_service` makes, with a request whose body is read only if it can have one.
struct Component;

spin_sdk::wasip3::http::service::export!(Component);

impl Guest for Component {
    async fn handle(request: WasiRequest) -> Result<Response, ErrorCode> {
        let asked = Asked::read(&request)?;
        let path = asked.path().to_owned();
        let client = asked.client;
        let answered = match read(asked, request).await {
            Ok(request) => answer(request, client).await,
            Err(failure) => Err(failure),
        };
        let answer = answered.unwrap_or_else(|failure| {
            let answer = refusal(&path, failure.kind, failure.message, &RandomIds);
            Answer {
                context: failure.log,
                ..answer
            }
        });
        pass(&path, answer).await
    }
}

/// Sends the answer; a body that is in storage as it comes from there.
async fn pass(path: &str, mut answer: Answer) -> Result<Response, ErrorCode> {
    let failed = |error: TransportError| ErrorCode::InternalError(Some(error.to_string()));
    if let Some(request) = answer.passing.take() {
        answer = match edge::open(request).await {
            Ok(opened) => match passed(answer, path, opened.status, &opened.headers) {
                Passed::Bytes(status, headers) => {
                    return opened.hand_on(status, headers).map_err(failed);
                }
                Passed::Whole(answer) => *answer,
            },
            Err(error) => unreachable(answer, path, error.to_string()),
        };
    }
    if let Some(context) = answer.context {
        eprintln!("request {}: {context}", answer.request_id);
    }
    let (parts, body) = answer.response.into_parts();
    whole(parts.status, parts.headers, body).map_err(failed)
}

/// A request that could not even be put to the API.
struct Failure {
    kind: Kind,
    message: &'static str,
    log: Option<String>,
}

impl Failure {
    /// The catalog did not answer.
    fn catalog(error: impl std::fmt::Display) -> Self {
        Self {
            kind: Kind::Unavailable,
            message: "The catalog cannot be reached at the moment.",
            log: Some(error.to_string()),
        }
    }
}

/// The whole request, its body no longer than the API takes.
async fn read(asked: Asked, request: WasiRequest) -> Result<Request<Bytes>, Failure> {
    let refuse = |kind, message| Failure {
        kind,
        message,
        log: None,
    };
    let authority = request.get_authority();
    let body = match asked.method {
        // Nothing that is sent along means anything.
        Method::GET | Method::HEAD | Method::OPTIONS => Bytes::new(),
        _ => edge::body(request, MAX_BODY)
            .await
            .map_err(|unread| match unread {
                Unread::TooLong => refuse(
                    Kind::PayloadTooLarge,
                    "The request body must have at most 1 MiB.",
                ),
                Unread::Broken => refuse(
                    Kind::InvalidArgument,
                    "The request body could not be read to its end.",
                ),
            })?,
    };
    asked.into_request(authority, body).map_err(|_| {
        refuse(
            Kind::InvalidArgument,
            "The request's target is not one that a URL can hold.",
        )
    })
}

async fn answer(request: Request<Bytes>, client: Option<SocketAddr>) -> Result<Answer, Failure> {
    let state = state::get().await.map_err(|error| Failure {
        kind: Kind::Internal,
        message: "This installation is not configured completely. Its log knows more.",
        log: Some(error.to_string()),
    })?;
    if writes(request.method()) {
        let sql = SpinSql::open().await.map_err(Failure::catalog)?;
        return decide(&sql, &state, request, client).await;
    }
    let sql = sql::shared().await.map_err(Failure::catalog)?;
    let answer = decide(sql.as_ref(), &state, request, client).await;
    let healthy = matches!(&answer, Ok(answer) if !answer.response.status().is_server_error());
    if !healthy {
        sql::forget_shared();
    }
    answer
}

async fn decide<S: Sql>(
    sql: &S,
    state: &State,
    request: Request<Bytes>,
    client: Option<SocketAddr>,
) -> Result<Answer, Failure> {
    let now = Timestamp::now();
    let verifier = state.verifier(sql, now).await.map_err(Failure::catalog)?;
    let address = client
        .filter(|_| state.tells_address)
        .map(|client| client.ip().to_string());
    let api = Api {
        sql,
        http: &SpinHttp::default(),
        seal: &state.seal,
        settings: &state.settings,
        verifier: &verifier,
        issuer_keys: &state.issuer_keys,
        limiter: &state.limiter,
        address,
        now,
        ids: &RandomIds,
    };
    Ok(api.handle(request).await)
}
