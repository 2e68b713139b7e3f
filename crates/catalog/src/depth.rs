//! How much work waits: by this those who run workers scale them.

use crate::error::CatalogError;
use crate::sql::Sql;

/// Chunks of a job that are worth a helper.
const CHUNKS_A_HELPER: u32 = 10;

/// Of all projects, now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Jobs that no worker has.
    pub jobs_queued: u32,
    /// Jobs that one has.
    pub jobs_processing: u32,
    /// Chunks of those that nobody has taken yet.
    pub chunks_waiting: u32,
    /// Live events that an ingest worker has, or that wait for one.
    pub live_events: u32,
}

impl Depth {
    /// A transcoder for each job, and a helper for every ten chunks that wait. What a worker that is taken away again had is
    /// gone on with at the last finished chunk, so it is cheap to follow this number down.
    pub fn transcoders_wanted(&self) -> u32 {
        let jobs = self.jobs_queued.saturating_add(self.jobs_processing);
        jobs.saturating_add(self.chunks_waiting / CHUNKS_A_HELPER)
    }
}

/// Counts it.
pub async fn depth<S: Sql>(sql: &S) -> Result<Depth, CatalogError> {
    let rows = sql
        .query(
            "SELECT \
             (SELECT count(*) FROM jobs WHERE state = 'Queued') AS queued, \
             (SELECT count(*) FROM jobs WHERE state IN ('Scheduled', 'Processing', 'Canceling')) AS processing, \
             (SELECT count(*) FROM job_parts WHERE lease IS NULL) AS chunks, \
             (SELECT count(*) FROM live_events WHERE state IN ('Allocating', 'StandBy', 'Starting', 'Running')) AS events",
            &[],
        )
        .await?;
    let number = |name| rows.first().map_or(Ok(0), |row| row.unsigned(name));
    Ok(Depth {
        jobs_queued: number("queued")?,
        jobs_processing: number("processing")?,
        chunks_waiting: number("chunks")?,
        live_events: number("events")?,
    })
}
