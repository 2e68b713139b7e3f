//! The worker's side of the internal API (see [`headwater_work`]).

use std::time::Duration;

use bytes::Bytes;
use headwater_blob::{HttpClient as _, HyperClient, TransportError};
use headwater_work::{
    Assist, AssistRequest, ChunkRecord, Claim, ClaimRequest, FinishRequest, Place, PlacesRequest,
    PlacesResponse, RecordsRequest, RecordsResponse, RenewRequest, RenewResponse, ShareRequest,
    TakeRequest, TakeResponse,
};
use http::{Method, Request, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// Why a call did not give its answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// Another worker has the job, or it is over.
    #[error("the lease is lost")]
    LeaseLost,
    /// May succeed later.
    #[error("the API cannot be reached: {0}")]
    Unavailable(String),
    /// Will not succeed as it is: wrong token, wrong address, a request the API does not accept.
    #[error("the API refused the call with status {status}: {body}")]
    Refused { status: u16, body: String },
    #[error("the API's answer is not understood: {0}")]
    Malformed(String),
}

impl From<TransportError> for ApiError {
    fn from(error: TransportError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// A client of the internal API.
#[derive(Debug, Clone)]
pub struct Api {
    client: HyperClient,
    /// Without a trailing slash.
    base: String,
    token: String,
}

/// No call of the internal API takes long; a silent one is repeated rather than waited for.
const TIMEOUT: Duration = Duration::from_secs(5);

impl Api {
    /// `url`: e.g. `http://localhost:8080`. `token`: of role `worker`.
    pub fn new(client: HyperClient, url: &str, token: String) -> Self {
        Self {
            client,
            base: format!("{}/internal/v1/jobs", url.trim_end_matches('/')),
            token,
        }
    }

    /// Ok `None`: nothing is queued.
    pub async fn claim(&self, request: &ClaimRequest) -> Result<Option<Claim>, ApiError> {
        let (status, body) = self.post("claim", request).await?;
        if status == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        read(&body).map(Some)
    }

    pub async fn renew(
        &self,
        job: Uuid,
        request: &RenewRequest,
    ) -> Result<RenewResponse, ApiError> {
        let (_, body) = self.post(&format!("{job}/renew"), request).await?;
        read(&body)
    }

    pub async fn finish(&self, job: Uuid, request: &FinishRequest) -> Result<(), ApiError> {
        self.post(&format!("{job}/finish"), request)
            .await
            .map(|_| ())
    }

    /// The places of the job with fresh signatures, in the claim's order.
    pub async fn places(&self, job: Uuid, request: &PlacesRequest) -> Result<Vec<Place>, ApiError> {
        let (_, body) = self.post(&format!("{job}/places"), request).await?;
        read::<PlacesResponse>(&body).map(|answer| answer.places)
    }

    /// Ok `None`: nobody needs help.
    pub async fn assist(&self, request: &AssistRequest) -> Result<Option<Assist>, ApiError> {
        let (status, body) = self.post("assist", request).await?;
        if status == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        read(&body).map(Some)
    }

    pub async fn share(&self, job: Uuid, request: &ShareRequest) -> Result<(), ApiError> {
        self.post(&format!("{job}/share"), request)
            .await
            .map(|_| ())
    }

    pub async fn take(&self, job: Uuid, request: &TakeRequest) -> Result<TakeResponse, ApiError> {
        let (_, body) = self.post(&format!("{job}/take"), request).await?;
        read(&body)
    }

    pub async fn records(
        &self,
        job: Uuid,
        request: &RecordsRequest,
    ) -> Result<Vec<ChunkRecord>, ApiError> {
        let (_, body) = self.post(&format!("{job}/records"), request).await?;
        read::<RecordsResponse>(&body).map(|answer| answer.records)
    }

    async fn post(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(StatusCode, Bytes), ApiError> {
        let body =
            serde_json::to_vec(body).map_err(|error| ApiError::Malformed(error.to_string()))?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(Bytes::from(body))
            .map_err(|error| ApiError::Malformed(error.to_string()))?;
        let answer = tokio::time::timeout(TIMEOUT, self.client.send(request))
            .await
            .map_err(|_| TransportError::Timeout)??;
        let status = answer.status();
        if status.is_success() {
            return Ok((status, answer.into_body()));
        }
        let body: String = String::from_utf8_lossy(answer.body())
            .chars()
            .take(500)
            .collect();
        Err(match status {
            StatusCode::CONFLICT => ApiError::LeaseLost,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                ApiError::Unavailable(body)
            }
            status if status.is_server_error() => {
                ApiError::Unavailable(format!("status {status} {body}"))
            }
            status => ApiError::Refused {
                status: status.as_u16(),
                body,
            },
        })
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::Malformed(error.to_string()))
}
