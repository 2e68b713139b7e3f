//! The worker's side of the internal API (see [`headwater_work::live`]).

use std::time::Duration;

use bytes::Bytes;
use headwater_blob::client::{HttpClient as _, HyperClient, TransportError};
use headwater_work::live::facts::ReportFacts;
use headwater_work::live::{Assignment, Claim, ClaimRequest, ReleaseRequest, RenewRequest};
use http::{Method, Request, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// No call takes long; a silent one is repeated rather than waited for.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// Another worker has the event, or nobody wants it.
    #[error("the lease is lost")]
    LeaseLost,
    /// May succeed later.
    #[error("the API cannot be reached: {0}")]
    Unavailable(String),
    #[error("the API refused the call with status {0}: {1}")]
    Refused(StatusCode, String),
    #[error("the API's answer is not understood: {0}")]
    Malformed(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: HyperClient,
    base: String,
    token: String,
}

impl Api {
    pub(crate) fn new(client: HyperClient, url: &str, token: String) -> Self {
        Self {
            client,
            base: format!("{}/internal/v1/liveEvents", url.trim_end_matches('/')),
            token,
        }
    }

    pub(crate) async fn claim(&self, request: &ClaimRequest) -> Result<Option<Claim>, ApiError> {
        let (status, body) = self.post("claim", request).await?;
        match status {
            StatusCode::NO_CONTENT => Ok(None),
            _ => read(&body).map(Some),
        }
    }

    pub(crate) async fn renew(
        &self,
        event: Uuid,
        request: &RenewRequest,
    ) -> Result<Assignment, ApiError> {
        let (_, body) = self.post(&format!("{event}/renew"), request).await?;
        read(&body)
    }

    pub(crate) async fn release(
        &self,
        event: Uuid,
        request: &ReleaseRequest,
    ) -> Result<(), ApiError> {
        let answer = self.post(&format!("{event}/release"), request).await;
        answer.map(|_| ())
    }

    pub(crate) async fn facts(&self, event: Uuid, facts: &ReportFacts) -> Result<(), ApiError> {
        let answer = self.post(&format!("{event}/facts"), facts).await;
        answer.map(|_| ())
    }

    async fn post(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(StatusCode, Bytes), ApiError> {
        let malformed = |error: String| ApiError::Malformed(error);
        let unavailable = |error: TransportError| ApiError::Unavailable(error.to_string());
        let body = serde_json::to_vec(body).map_err(|error| malformed(error.to_string()))?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(body))
            .map_err(|error| malformed(error.to_string()))?;
        let answer = tokio::time::timeout(TIMEOUT, self.client.send(request))
            .await
            .map_err(|_| unavailable(TransportError::Timeout))?
            .map_err(unavailable)?;
        let status = answer.status();
        if status.is_success() {
            return Ok((status, answer.into_body()));
        }
        let text: String = String::from_utf8_lossy(answer.body())
            .chars()
            .take(300)
            .collect();
        Err(match status {
            StatusCode::CONFLICT => ApiError::LeaseLost,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                ApiError::Unavailable(text)
            }
            status if status.is_server_error() => ApiError::Unavailable(format!("{status} {text}")),
            status => ApiError::Refused(status, text),
        })
    }
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::Malformed(error.to_string()))
}
