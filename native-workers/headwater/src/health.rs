//! Liveness and readiness for orchestrators, beside the metrics on a private port.
//!
//! | path | answer |
//! |---|---|
//! | `/livez` | 200 while the process can answer at all. It says nothing of others: a restart would not bring them back |
//! | `/readyz` | 200 when everything that this process depends on answers; else, and while it stops, 503. The body says what is missing |
//! | `/metrics` | Prometheus text, with `headwater_dependency_up` of what the body of `/readyz` lists |

use futures::future::{BoxFuture, join_all};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long an answer is good for. Probes of several kinds, and of several load balancers, ask for the same.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// How long one dependency may take. Probes give up after a few seconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks that nobody asks for, so that the metrics are true.
const EVERY: Duration = Duration::from_secs(10);

/// Asks one dependency; the error says what is wrong, without secrets.
pub(crate) type Ask = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What a process depends on.
pub(crate) struct Health {
    dependencies: Vec<(&'static str, Ask)>,
    stopping: AtomicBool,
    last: Mutex<Option<(Instant, Report)>>,
}

#[derive(Clone)]
struct Report(Vec<(&'static str, Result<(), String>)>);

impl Health {
    pub(crate) fn new(dependencies: Vec<(&'static str, Ask)>) -> Arc<Self> {
        Arc::new(Self {
            dependencies,
            stopping: AtomicBool::new(false),
            last: Mutex::new(None),
        })
    }

    /// From now on it is not ready any more, so that nobody is sent here while requests in flight end.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    async fn report(&self) -> Report {
        // Held while asking: whoever comes meanwhile gets the same answer.
        let mut last = self.last.lock().await;
        if let Some((when, report)) = &*last
            && when.elapsed() < GOOD_FOR
        {
            return report.clone();
        }
        let mut asked = Vec::new();
        for (name, ask) in &self.dependencies {
            let (name, answer) = (*name, tokio::time::timeout(PATIENCE, ask()));
            asked.push(async move {
                let outcome = match answer.await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(format!("no answer within {PATIENCE:?}")),
                };
                let up = if outcome.is_ok() { 1.0 } else { 0.0 };
                metrics::gauge!("headwater_dependency_up", "dependency" => name).set(up);
                (name, outcome)
            });
        }
        let report = Report(join_all(asked).await);
        *last = Some((Instant::now(), report.clone()));
        report
    }

    /// The answer to a path of the table above, `None` for others.
    pub(crate) async fn answer(&self, path: &str) -> Option<Response<String>> {
        let (status, body) = match path {
            "/livez" => (StatusCode::OK, json!({"status": "live"})),
            "/readyz" => self.readiness().await,
            _ => return None,
        };
        Response::builder()
            .status(status)
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::CACHE_CONTROL, "no-store")
            .body(body.to_string())
            .ok()
    }

    async fn readiness(&self) -> (StatusCode, Value) {
        if self.stopping.load(Ordering::Relaxed) {
            return (
                StatusCode::SERVICE_UNAVAILABLE,
                json!({"status": "stopping"}),
            );
        }
        let Report(outcomes) = self.report().await;
        let missing: Map<String, Value> = outcomes
            .into_iter()
            .filter_map(|(name, outcome)| Some((name.to_owned(), outcome.err()?.into())))
            .collect();
        match missing.is_empty() {
            true => (StatusCode::OK, json!({"status": "ready"})),
            false => (
                StatusCode::SERVICE_UNAVAILABLE,
                json!({"status": "unavailable", "missing": missing}),
            ),
        }
    }

    /// Looks every now and then, and says in the log what has changed.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut down: Vec<&'static str> = Vec::new();
        loop {
            for (name, outcome) in self.report().await.0 {
                match outcome {
                    Err(why) if !down.contains(&name) => {
                        tracing::warn!("{name} is away: {why}");
                        down.push(name);
                    }
                    Ok(()) if down.contains(&name) => {
                        tracing::info!("{name} is back");
                        down.retain(|other| *other != name);
                    }
                    _ => {}
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(is_up: &Arc<AtomicBool>) -> Ask {
        let is_up = is_up.clone();
        Box::new(move || {
            let up = is_up.load(Ordering::Relaxed);
            Box::pin(async move { up.then_some(()).ok_or_else(|| "it is off".to_owned()) })
        })
    }

    async fn ready(health: &Health) -> (u16, String) {
        let answer = health.answer("/readyz").await.unwrap();
        (answer.status().as_u16(), answer.into_body())
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_follows_what_it_depends_on_and_liveness_does_not() {
        let (catalog, storage) = (
            Arc::new(AtomicBool::new(true)),
            Arc::new(AtomicBool::new(true)),
        );
        let health = Health::new(vec![
            ("catalog", dependency(&catalog)),
            ("storage", dependency(&storage)),
        ]);
        assert_eq!(ready(&health).await, (200, r#"{"status":"ready"}"#.into()));
        storage.store(false, Ordering::Relaxed);
        tokio::time::advance(GOOD_FOR).await;
        let (status, body) = ready(&health).await;
        assert_eq!(status, 503);
        assert_eq!(
            body,
            r#"{"missing":{"storage":"it is off"},"status":"unavailable"}"#
        );
        assert_eq!(health.answer("/livez").await.unwrap().status(), 200);
        storage.store(true, Ordering::Relaxed);
        tokio::time::advance(GOOD_FOR).await;
        assert_eq!(ready(&health).await.0, 200);
        health.stop();
        assert_eq!(
            ready(&health).await,
            (503, r#"{"status":"stopping"}"#.into())
        );
        assert_eq!(health.answer("/livez").await.unwrap().status(), 200);
        assert!(health.answer("/metrics").await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_missing() {
        let health = Health::new(vec![(
            "catalog",
            Box::new(|| Box::pin(std::future::pending())),
        )]);
        let (status, body) = ready(&health).await;
        assert_eq!(status, 503);
        assert!(body.contains("no answer within 2s"), "{body}");
    }
}
