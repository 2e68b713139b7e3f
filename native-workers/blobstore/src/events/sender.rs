//! The loop that empties the outbox into the sink.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_blob::{HttpClient as _, HyperClient};
use http::header::CONTENT_TYPE;
use tokio_util::sync::CancellationToken;

use super::EventSink;
use super::outbox::Outbox;
use super::schema::Record;

/// Most events of one request.
const BATCH: usize = 64;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What the sender needs to know.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) sink: EventSink,
    pub(crate) topic: String,
    /// Without a trailing slash.
    pub(crate) account_url: String,
    pub(crate) client: HyperClient,
}

/// Sends until `stop`. One batch is under way at a time, oldest first; a batch that is not accepted is sent again,
/// with growing pauses, for as long as it takes.
pub(crate) async fn run(outbox: Arc<Outbox>, delivery: Delivery, stop: CancellationToken) {
    let mut pause = FIRST_PAUSE;
    loop {
        let reader = Arc::clone(&outbox);
        let batch = tokio::task::spawn_blocking(move || reader.peek(BATCH)).await;
        let wait = match batch {
            Ok(Ok(records)) if records.is_empty() => None,
            Ok(Ok(records)) => match delivery.send(&records).await {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    let remover = Arc::clone(&outbox);
                    // Fails only if the runtime is shutting down; then the events are sent again.
                    let _ = tokio::task::spawn_blocking(move || remover.delivered(&records)).await;
                    Some(Duration::ZERO)
                }
                Err(reason) => {
                    tracing::warn!(
                        events = records.len(),
                        reason,
                        "storage events were not accepted; will retry"
                    );
                    Some(pause)
                }
            },
            Ok(Err(error)) => {
                tracing::error!(%error, "the event outbox cannot be read; will retry");
                Some(pause)
            }
            Err(_) => return,
        };
        let waited = async {
            match wait {
                None => outbox.changed().await,
                Some(pause) => tokio::time::sleep(pause).await,
            }
        };
        tokio::select! {
            () = waited => {}
            () = stop.cancelled() => return,
        }
        if wait == Some(pause) {
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Delivery {
    async fn send(&self, records: &[Record]) -> Result<(), String> {
        let events: Vec<_> = records
            .iter()
            .map(|record| record.event(&self.topic, &self.account_url))
            .collect();
        let body = serde_json::to_vec(&events).map_err(|e| e.to_string())?;
        let request = http::Request::post(&self.sink.url)
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header("aeg-event-type", "Notification")
            .header("aeg-sas-key", &self.sink.secret)
            .body(Bytes::from(body))
            .map_err(|e| e.to_string())?;
        let answer = self.client.send(request).await.map_err(|e| e.to_string())?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(format!("status {}", answer.status().as_u16()))
        }
    }
}
