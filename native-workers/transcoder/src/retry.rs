//! Patience with storage: a request that failed for want of network or capacity is repeated a few times.

use std::time::Duration;

use headwater_blob::ClientError;
use tokio_util::sync::CancellationToken;

use crate::failure::{Step, Stopped};

/// Waits between attempts; the sum is what a job bears before it fails with a transient error and is queued again.
const WAITS_MS: [u64; 6] = [100, 300, 1_000, 2_000, 4_000, 8_000];

/// Runs `request` until it succeeds, fails for good, or patience ends. `or`: makes the failure of the last error.
pub async fn retrying<T>(
    stop: &CancellationToken,
    or: impl FnOnce(&ClientError) -> Stopped,
    mut request: impl AsyncFnMut() -> Result<T, ClientError>,
) -> Step<T> {
    let mut waits = WAITS_MS.iter();
    loop {
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Stopped::Interrupted),
            answer = request() => answer,
        };
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let Some(wait) = waits.next().filter(|_| error.is_retryable()) else {
            return Err(or(&error));
        };
        tracing::debug!(%error, wait_ms = wait, "storage request failed, trying again");
        tokio::select! {
            () = stop.cancelled() => return Err(Stopped::Interrupted),
            () = tokio::time::sleep(Duration::from_millis(*wait)) => {}
        }
    }
}
