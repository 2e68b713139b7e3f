//! The loop that empties the outbox into the sink.
//!
//! What the sink cannot take now is sent again for as long as it takes. What it will never take must not hold up
//! everything behind it: a refused batch is halved until one event is left, and that one is put aside, as Event Grid
//! puts it aside as a dead letter.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_blob::{HttpClient as _, HyperClient};
use http::StatusCode;
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

/// What the sink made of a batch.
enum Verdict {
    Taken,
    /// The same bytes would be refused again.
    Never(StatusCode),
    NotNow(String),
}

/// When to go on.
enum Next {
    Now,
    After(Duration),
    /// Once there are new events.
    Changed,
}

/// Sends until `stop`. One batch is under way at a time, oldest first.
pub(crate) async fn run(outbox: Arc<Outbox>, delivery: Delivery, stop: CancellationToken) {
    let mut sender = Sender {
        outbox,
        delivery,
        batch: BATCH,
        pause: FIRST_PAUSE,
    };
    while !stop.is_cancelled() {
        let next = sender.step().await;
        let waited = async {
            match next {
                Next::Now => {}
                Next::After(pause) => tokio::time::sleep(pause).await,
                Next::Changed => sender.outbox.changed().await,
            }
        };
        tokio::select! {
            () = waited => {}
            () = stop.cancelled() => {}
        }
    }
}

struct Sender {
    outbox: Arc<Outbox>,
    delivery: Delivery,
    /// Most events of the next request.
    batch: usize,
    /// The next pause after a failure.
    pause: Duration,
}

impl Sender {
    async fn step(&mut self) -> Next {
        match self.send_batch().await {
            Ok(next) => {
                if !matches!(next, Next::After(_)) {
                    self.pause = FIRST_PAUSE;
                }
                next
            }
            Err(error) => {
                tracing::error!(%error, "the event outbox cannot be read or changed; will retry");
                self.back_off()
            }
        }
    }

    async fn send_batch(&mut self) -> io::Result<Next> {
        let limit = self.batch;
        let records = self.on_disk(move |outbox| outbox.peek(limit)).await?;
        if records.is_empty() {
            return Ok(Next::Changed);
        }
        match self.delivery.send(&records).await {
            Verdict::Taken => {
                self.batch = (self.batch * 2).min(BATCH);
                self.on_disk(move |outbox| {
                    outbox.delivered(&records);
                    Ok(())
                })
                .await?;
                Ok(Next::Now)
            }
            Verdict::Never(status) => {
                self.batch = (records.len() / 2).max(1);
                if let [record] = records.as_slice() {
                    self.put_aside(record.clone(), status).await?;
                }
                Ok(Next::Now)
            }
            Verdict::NotNow(reason) => {
                tracing::warn!(
                    events = records.len(),
                    reason,
                    "storage events were not accepted; will retry"
                );
                Ok(self.back_off())
            }
        }
    }

    async fn put_aside(&self, record: Record, status: StatusCode) -> io::Result<()> {
        tracing::error!(
            sequence = record.sequence,
            container = record.container,
            blob = record.blob,
            status = status.as_u16(),
            "a storage event is refused for good and is put aside in the outbox's folder dead"
        );
        self.on_disk(move |outbox| outbox.bury(&record)).await
    }

    /// The next pause, twice as long as the last.
    fn back_off(&mut self) -> Next {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        Next::After(pause)
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Outbox) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let outbox = Arc::clone(&self.outbox);
        let done = tokio::task::spawn_blocking(move || work(&outbox)).await;
        done.map_err(io::Error::other)?
    }
}

impl Delivery {
    async fn send(&self, records: &[Record]) -> Verdict {
        match self.post(records).await {
            Ok(status) if status.is_success() => Verdict::Taken,
            // A wrong secret or address is an operator's to mend: those wait.
            Ok(status @ (StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE)) => {
                Verdict::Never(status)
            }
            Ok(status) => Verdict::NotNow(format!("status {}", status.as_u16())),
            Err(reason) => Verdict::NotNow(reason),
        }
    }

    async fn post(&self, records: &[Record]) -> Result<StatusCode, String> {
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
        Ok(answer.status())
    }
}
