//! How much work waits, for what scales workers: as JSON for KEDA's `metrics-api`, and as text for Prometheus.

use headwater_catalog::depth::{self, Depth};
use headwater_catalog::sql::Sql;
use headwater_work::{JobsDepth, LiveEventsDepth, QueueDepth};
use serde_json::json;

use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;

/// Prometheus' text format, version 0.0.4.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn depth<S: Sql, C>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(Reply::ok(json!(answer(depth::depth(call.sql).await?))))
}

pub(super) async fn metrics<S: Sql, C>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let depth = answer(depth::depth(call.sql).await?);
    Ok(Reply::text(TEXT, text(&depth)))
}

fn answer(depth: Depth) -> QueueDepth {
    QueueDepth {
        jobs: JobsDepth {
            queued: depth.jobs_queued,
            processing: depth.jobs_processing,
            chunks_waiting: depth.chunks_waiting,
            transcoders_wanted: depth.transcoders_wanted(),
        },
        live_events: LiveEventsDepth {
            running: depth.live_events,
        },
    }
}

fn text(depth: &QueueDepth) -> String {
    let gauges = [
        (
            "headwater_jobs_queued",
            "Jobs that no transcoder has.",
            depth.jobs.queued,
        ),
        (
            "headwater_jobs_processing",
            "Jobs that a transcoder has.",
            depth.jobs.processing,
        ),
        (
            "headwater_job_chunks_waiting",
            "Chunks of those that nobody has taken yet.",
            depth.jobs.chunks_waiting,
        ),
        (
            "headwater_transcoders_wanted",
            "One for each job, and a helper for every ten chunks that wait.",
            depth.jobs.transcoders_wanted,
        ),
        (
            "headwater_live_events_running",
            "Live events that an ingest worker has, or that wait for one.",
            depth.live_events.running,
        ),
    ];
    gauges
        .map(|(name, help, value)| {
            format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n")
        })
        .concat()
}
