//! The sender's side of the internal API (see [`headwater_work::webhooks`]).

use std::time::Duration;

use bytes::Bytes;
use headwater_blob::client::{HttpClient as _, HyperClient, TransportError};
use headwater_work::webhooks::{ClaimDeliveries, ClaimedDeliveries, ReportDelivery, WorkDelivery};
use http::{Method, Request, StatusCode, header};
use serde::Serialize;

/// No call takes long; a silent one is repeated rather than waited for.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A report is tried so often: each is worth a request to a receiver.
const REPORTS: u32 = 4;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("the API answered {0}")]
    Status(StatusCode),
    #[error("the API's answer is not understood: {0}")]
    Malformed(String),
}

#[derive(Clone)]
pub(crate) struct Api {
    client: HyperClient,
    /// Without a trailing slash.
    base: String,
    token: String,
}

impl Api {
    pub(crate) fn new(client: HyperClient, url: &str, token: String) -> Self {
        Self {
            client,
            base: format!("{}/internal/v1/webhooks", url.trim_end_matches('/')),
            token,
        }
    }

    pub(crate) async fn claim(
        &self,
        most: u32,
        lease_seconds: u32,
    ) -> Result<Vec<WorkDelivery>, ApiError> {
        let request = ClaimDeliveries {
            most,
            lease_seconds,
        };
        let (status, body) = self.post("claim", &request).await?;
        match status {
            StatusCode::NO_CONTENT => Ok(Vec::new()),
            StatusCode::OK => serde_json::from_slice::<ClaimedDeliveries>(&body)
                .map(|claimed| claimed.deliveries)
                .map_err(|error| ApiError::Malformed(error.to_string())),
            status => Err(ApiError::Status(status)),
        }
    }

    /// A delivery that is somebody else's by now, or settled, is a success: there is nothing left to say.
    pub(crate) async fn report(&self, report: &ReportDelivery) -> Result<(), ApiError> {
        let mut tried = 1;
        loop {
            let error = match self.post("report", report).await {
                Ok((status, _)) if status.is_success() || status == StatusCode::CONFLICT => {
                    return Ok(());
                }
                Ok((status, _)) => ApiError::Status(status),
                Err(error) => error,
            };
            if tried >= REPORTS {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(200) * 2_u32.pow(tried)).await;
            tried += 1;
        }
    }

    async fn post(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(StatusCode, Bytes), ApiError> {
        let malformed = |error: String| ApiError::Malformed(error);
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
            .map_err(|_| TransportError::Timeout)??;
        Ok((answer.status(), answer.into_body()))
    }
}
