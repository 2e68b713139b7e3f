//! The control plane: reads a request, lets `headwater-api` decide, sends the answer.

mod state;

use std::net::SocketAddr;

use bytes::Bytes;
use headwater_api::error::Kind;
use headwater_api::{Answer, Api, MAX_BODY, refusal, writes};
use headwater_catalog::{RandomIds, Sql};
use headwater_edge::http::{SpinHttp, whole};
use headwater_edge::sql::{self, SpinSql};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::Timestamp;
use spin_sdk::http::{self as spin, IntoResponse};
use spin_sdk::http_service;

use state::State;

#[http_service]
async fn api(request: spin::Request) -> impl IntoResponse {
    let path = request.uri().path().to_owned();
    let answered = match read(request).await {
        Ok(request) => answer(request).await,
        Err(failure) => Err(failure),
    };
    let answer = answered.unwrap_or_else(|failure| {
        let answer = refusal(&path, failure.kind, failure.message, &RandomIds);
        Answer {
            context: failure.log,
            ..answer
        }
    });
    if let Some(context) = answer.context {
        eprintln!("request {}: {context}", answer.request_id);
    }
    let (parts, body) = answer.response.into_parts();
    whole(parts.status, parts.headers, body).map_err(|error| spin::Error::other(error.to_string()))
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
async fn read(request: spin::Request) -> Result<Request<Bytes>, Failure> {
    let refuse = |kind, message| Failure {
        kind,
        message,
        log: None,
    };
    let (parts, body) = request.into_parts();
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(Request::from_parts(parts, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(refuse(
            Kind::PayloadTooLarge,
            "The request body must have at most 1 MiB.",
        )),
        Err(_) => Err(refuse(
            Kind::InvalidArgument,
            "The request body could not be read to its end.",
        )),
    }
}

async fn answer(request: Request<Bytes>) -> Result<Answer, Failure> {
    let state = state::get().await.map_err(|error| Failure {
        kind: Kind::Internal,
        message: "This installation is not configured completely. Its log knows more.",
        log: Some(error.to_string()),
    })?;
    if writes(request.method()) {
        let sql = SpinSql::open().await.map_err(Failure::catalog)?;
        return decide(&sql, &state, request).await;
    }
    let sql = sql::shared().await.map_err(Failure::catalog)?;
    let answer = decide(sql.as_ref(), &state, request).await;
    let healthy = matches!(&answer, Ok(answer) if !answer.response.status().is_server_error());
    if !healthy {
        sql::forget_shared();
    }
    answer
}

/// The client's address as the host tells it, without its port.
fn address(headers: &HeaderMap) -> Option<String> {
    let told: SocketAddr = headers
        .get("spin-client-addr")?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(told.ip().to_string())
}

async fn decide<S: Sql>(
    sql: &S,
    state: &State,
    request: Request<Bytes>,
) -> Result<Answer, Failure> {
    let now = Timestamp::now();
    let verifier = state.verifier(sql, now).await.map_err(Failure::catalog)?;
    let address = state
        .tells_address
        .then(|| address(request.headers()))
        .flatten();
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
