//! The control plane: reads a request, lets `headwater-api` decide, sends the answer.

mod state;

use bytes::Bytes;
use headwater_api::{Answer, Api, MAX_BODY, writes};
use headwater_catalog::{RandomIds, Sql, SqlError};
use headwater_edge::http::{SpinHttp, whole};
use headwater_edge::problem::Problem;
use headwater_edge::sql::{self, SpinSql};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::Timestamp;
use spin_sdk::http::{self as spin, IntoResponse};
use spin_sdk::http_service;

use state::State;

#[http_service]
async fn api(request: spin::Request) -> impl IntoResponse {
    let answered = match read(request).await {
        Ok(request) => answer(request).await,
        Err(status) => Err(Failure { status, log: None }),
    };
    let response = match answered {
        Ok(answer) => {
            if let Some(context) = answer.context {
                eprintln!("request {}: {context}", answer.request_id);
            }
            let (parts, body) = answer.response.into_parts();
            whole(parts.status, parts.headers, body)
        }
        Err(failure) => {
            if let Some(log) = failure.log {
                eprintln!("{log}");
            }
            problem(failure.status).response()
        }
    };
    response.map_err(|error| spin::Error::other(error.to_string()))
}

/// The whole request, its body no longer than the API takes.
async fn read(request: spin::Request) -> Result<Request<Bytes>, StatusCode> {
    let (parts, body) = request.into_parts();
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(Request::from_parts(parts, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::BAD_REQUEST),
    }
}

/// A request that could not even be put to the API.
struct Failure {
    status: StatusCode,
    log: Option<String>,
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            log: Some(error.to_string()),
        }
    }
}

async fn answer(request: Request<Bytes>) -> Result<Answer, Failure> {
    let state = state::get().await.map_err(|error| Failure {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        log: Some(error.to_string()),
    })?;
    if writes(request.method()) {
        let sql = SpinSql::open().await?;
        return decide(&sql, &state, request).await;
    }
    let sql = sql::shared().await?;
    let answer = decide(sql.as_ref(), &state, request).await;
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
) -> Result<Answer, Failure> {
    let now = Timestamp::now();
    let verifier = state.verifier(sql, now).await.map_err(|error| Failure {
        status: StatusCode::SERVICE_UNAVAILABLE,
        log: Some(error.to_string()),
    })?;
    let api = Api {
        sql,
        http: &SpinHttp::default(),
        seal: &state.seal,
        settings: &state.settings,
        verifier: &verifier,
        now,
        ids: &RandomIds,
    };
    Ok(api.handle(request).await)
}

fn problem(status: StatusCode) -> Problem<'static> {
    let (kind, title, detail) = match status {
        StatusCode::PAYLOAD_TOO_LARGE => (
            "RequestEntityTooLarge",
            "The request is too large",
            "The request body must have at most 1 MiB.",
        ),
        StatusCode::BAD_REQUEST => (
            "BadRequest",
            "The request is not valid",
            "The request body could not be read to its end.",
        ),
        StatusCode::SERVICE_UNAVAILABLE => (
            "ServiceUnavailable",
            "Try again soon",
            "The catalog cannot be reached at the moment.",
        ),
        _ => (
            "InternalServerError",
            "Something went wrong here",
            "This installation is not configured completely. Its log knows more.",
        ),
    };
    Problem {
        kind,
        status,
        title,
        detail,
        instance: None,
    }
}
