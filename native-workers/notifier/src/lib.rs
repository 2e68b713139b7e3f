//! The sender of webhooks: takes deliveries that are due from the API, sends each once, and says what came of it.
//!
//! What is sent, when it is tried again and when it is given up is the API's to decide (`headwater_work::webhooks`); this
//! crate knows sockets. Each delivery gets a connection of its own to an address that [`Guard`] lets through: a receiver's
//! address is a user's choice, and must not lead onto the operator's own network. Redirects are not followed, answers
//! are not read beyond their head, and nothing of them but the status goes back to the user.
//!
//! A few receivers that are slow hold up only themselves: the API hands out no more than a few deliveries of one rule at a
//! time. Any number of senders may run; one that dies leaves its deliveries to the others.

mod api;
mod send;

use std::time::Duration;

use futures::future::BoxFuture;
use headwater_blob::client::{HyperClient, HyperOptions, InvalidCa};
use headwater_net::egress::Guard;
use headwater_work::webhooks::{ReportDelivery, WorkDelivery};
use tokio::task::JoinSet;

use api::Api;
use send::Sender;

pub use tokio_util::sync::CancellationToken;

/// Deliveries under way at once.
const MOST: usize = 64;

/// How long a receiver may take, from its name to the head of its answer.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How long a claim lasts: longer than [`PATIENCE`] (15 s) and all tries of the report after it (23 s at most), and no longer
/// than somebody would wait for what a killed notifier had taken.
const LEASE_SECONDS: u32 = 40;

/// Between two questions for work while there is none.
const POLL: Duration = Duration::from_millis(500);

/// The longest pause after a question that the API did not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long deliveries under way are waited for at the end. What is cut off is sent again by the next sender.
const GRACE: Duration = Duration::from_secs(5);

/// What a sender needs to know.
pub struct Config {
    /// Where the API answers, e.g. `http://localhost:8080`.
    pub api_url: String,
    /// Of role `worker`.
    pub token: String,
    /// PEM certificates to trust besides the public ones, both of the API and of receivers.
    pub ca: Option<Vec<u8>>,
    /// Where it may send to.
    pub guard: Guard,
    /// For one attempt: [`PATIENCE`].
    pub patience: Duration,
}

/// Why a sender did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotifierError {
    #[error(transparent)]
    Ca(#[from] InvalidCa),
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// Sends until `shutdown`.
///
/// Boxed: what it does is compiled here, and not once more in every program that waits for it.
pub fn run(
    config: Config,
    shutdown: CancellationToken,
) -> BoxFuture<'static, Result<(), NotifierError>> {
    Box::pin(send_until(config, shutdown))
}

async fn send_until(config: Config, shutdown: CancellationToken) -> Result<(), NotifierError> {
    let client = HyperClient::new(HyperOptions {
        extra_ca_pem: config.ca.clone(),
        max_answer_bytes: 16 << 20,
        ..HyperOptions::default()
    })?;
    let api = Api::new(client, &config.api_url, config.token);
    let sender = Sender::new(config.guard, config.ca.as_deref(), config.patience)?;
    let mut under_way = JoinSet::new();
    let mut pause = POLL;
    while !shutdown.is_cancelled() {
        let room = MOST.saturating_sub(under_way.len());
        let idle = match claim(&api, room).await {
            Ok(deliveries) => {
                pause = POLL;
                let idle = deliveries.is_empty();
                for delivery in deliveries {
                    under_way.spawn(deliver(api.clone(), sender.clone(), delivery));
                }
                idle
            }
            Err(error) => {
                tracing::warn!("asking for webhooks to send: {error}");
                pause = (pause * 2).min(LONGEST_PAUSE);
                true
            }
        };
        if idle {
            // One that ends may make room for the next of its rule.
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                Some(_) = under_way.join_next() => {}
                () = shutdown.cancelled() => {}
            }
        }
        while under_way.try_join_next().is_some() {}
    }
    let all = async { while under_way.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, all).await;
    Ok(())
}

async fn claim(api: &Api, room: usize) -> Result<Vec<WorkDelivery>, api::ApiError> {
    match u32::try_from(room) {
        Ok(most @ 1..) => api.claim(most, LEASE_SECONDS).await,
        _ => Ok(Vec::new()),
    }
}

async fn deliver(api: Api, sender: Sender, delivery: WorkDelivery) {
    let outcome = sender.send(&delivery).await;
    tracing::debug!(rule = %delivery.rule_id, event = %delivery.event_id, ?outcome, "a webhook was tried");
    let report = ReportDelivery {
        rule_id: delivery.rule_id,
        event_id: delivery.event_id,
        lease: delivery.lease,
        outcome,
    };
    if let Err(error) = api.report(&report).await {
        // It is sent again after the lease.
        tracing::warn!(rule = %delivery.rule_id, event = %delivery.event_id, "reporting on a webhook: {error}");
    }
}
