//! The queue as workers see it: claim, renew, finish.
//!
//! A claim is a lease: it lasts until a moment that the worker pushes out by renewing. A worker that dies stops doing so;
//! the next claim by anybody first puts jobs with lapsed leases back into the queue, with the chunks they had finished.
//! Which worker has a job is decided by the lease token alone, so a worker that lost its lease and comes back late is
//! told so ([`CatalogError::LeaseLost`]) and changes nothing.

use headwater_seal::Seal;
use headwater_work::{
    ChunkRecord, EncodedTrack, EngineChoice, JobErrorCode, JobFailure, MAX_CHUNK_BYTES,
    MAX_ENCODED_TRACKS, MAX_REASON_BYTES, OutputFailure, OutputProgress, Selection,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;
use uuid::Uuid;

use super::facts::Before;
use super::input::Stored;
use super::{JobError, JobState, seal_context, sharing};
use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::sql::{Row, Sql, Value, transaction};
use crate::{assets, storage, usage};

/// Claims without progress that a job gets before it is given up. One that stores a new chunk starts the count again: a
/// long job outlives any number of workers, and as chunks are finite it ends all the same.
pub const MAX_ATTEMPTS: u32 = 5;

/// Seconds before a job is tried again after its first failure: all in all 75 s.
const AFTER_FAILURE: i64 = 5;

/// The same where no worker could get it: all in all seven and a half minutes.
const AFTER_UNPREPARED: i64 = 30;

/// Shortest and longest lease, in seconds.
pub const LEASE_SECONDS: std::ops::RangeInclusive<u32> = 5..=300;

/// Jobs with unusable inputs that one claim clears away before it gives up looking.
const MAX_SKIPPED: usize = 16;

/// A job that the caller now has.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub job_id: Uuid,
    pub lease: String,
    pub attempt: u32,
    pub input: ClaimedInput,
    pub outputs: Vec<ClaimedOutput>,
    pub chunks: Vec<ChunkRecord>,
}

/// Where media lies: what a signed place is made from.
#[derive(Debug, Clone)]
pub struct Location {
    pub storage: storage::StorageAccount,
    pub container: String,
    pub sub_path: String,
}

#[derive(Debug, Clone)]
pub enum ClaimedInput {
    Asset {
        location: Box<Location>,
        files: Vec<String>,
        selection: Selection,
    },
    Http {
        urls: Vec<String>,
        selection: Selection,
    },
    Sequence {
        inputs: Vec<ClaimedInput>,
    },
    Several {
        inputs: Vec<ClaimedInput>,
    },
}

#[derive(Debug, Clone)]
pub struct ClaimedOutput {
    pub index: u32,
    pub asset_name: String,
    pub location: Location,
    pub preset: Json,
    /// Whether the job is to go on without it.
    pub continues: bool,
    /// The higher, the sooner it is to be made.
    pub urgency: u32,
}

/// Takes a queued job of the highest priority: of the project that has the fewest under way, of several the one whose last turn
/// is the longest ago, and of that the oldest. So a project that hands in thousands at once keeps no other waiting.
///
/// `lease_seconds` is within [`LEASE_SECONDS`], else [`CatalogError::Invalid`]. Ok `None`: nothing is waiting.
pub async fn claim<S: Sql>(
    sql: &S,
    seal: &Seal,
    worker: &str,
    lease_seconds: u32,
    moment: Moment<'_>,
) -> Result<Option<Claimed>, CatalogError> {
    check_lease_seconds(lease_seconds)?;
    // Most polls find nothing; they must not take the write lock.
    if !a_job_waits(sql, moment).await? {
        return Ok(None);
    }
    transaction(sql, async |sql| {
        sweep(sql, moment).await?;
        for _ in 0..MAX_SKIPPED {
            let Some(job_id) = take_next(sql, worker, lease_seconds, moment).await? else {
                return Ok(None);
            };
            match load(sql, seal, job_id).await? {
                Ok(claimed) => return Ok(Some(claimed)),
                Err(error) => fail(sql, job_id, &error, moment).await?,
            }
        }
        Ok(None)
    })
    .await
}

/// Whether a claim would find something to do: a job in the queue, or one whose worker was not heard of in time.
pub(super) async fn a_job_waits<S: Sql>(sql: &S, moment: Moment<'_>) -> Result<bool, CatalogError> {
    let waiting = sql
        .query(
            "SELECT 1 FROM jobs WHERE (state = 'Queued' AND not_before <= ?1)
             OR (state IN ('Scheduled', 'Processing', 'Canceling') AND lease_until <= ?1) LIMIT 1",
            &[moment.now.into()],
        )
        .await?;
    Ok(!waiting.is_empty())
}

/// Keeps the lease for as long again as it was claimed for. Stores progress, which never goes back, and finished chunks;
/// a new one makes the attempts so far count no more. Says whether to cancel. A helper's lease ([`sharing`]) is kept as well:
/// of it count the chunks that are still its own to make.
///
/// Errors: [`CatalogError::LeaseLost`]; [`CatalogError::Invalid`] for an output that does not exist or a record that is
/// too long.
pub async fn renew<S: Sql>(
    sql: &S,
    job_id: Uuid,
    lease: &str,
    progress: &[OutputProgress],
    chunks: &[ChunkRecord],
    moment: Moment<'_>,
) -> Result<bool, CatalogError> {
    transaction(sql, async |sql| {
        let before = Before::look(sql, job_id).await?;
        let before = before.ok_or(CatalogError::LeaseLost)?;
        if !is_holder(sql, job_id, lease).await? {
            let chunks = sharing::renew(sql, job_id, lease, chunks, moment).await?;
            store_chunks(sql, job_id, &chunks).await?;
            return Ok(false);
        }
        let rows = sql
            .query(
                "UPDATE jobs SET lease_until = ?3 + lease_seconds * 1000000, modified = ?3, started = coalesce(started, ?3),
                     state = CASE state WHEN 'Scheduled' THEN 'Processing' ELSE state END
                 WHERE id = ?1 AND lease = ?2 AND state IN ('Scheduled', 'Processing', 'Canceling') RETURNING state",
                &[job_id.into(), lease.into(), moment.now.into()],
            )
            .await?;
        let row = rows.first().ok_or(CatalogError::LeaseLost)?;
        sql.query(
            "UPDATE job_outputs SET state = 'Processing', started = coalesce(started, ?2)
             WHERE job_id = ?1 AND state = 'Scheduled'",
            &[job_id.into(), moment.now.into()],
        )
        .await?;
        before.tell(sql, moment).await?;
        for (at, output) in progress.iter().enumerate() {
            let rows = sql
                .query(
                    "UPDATE job_outputs SET progress = CASE WHEN progress < ?3 THEN ?3 ELSE progress END WHERE job_id = ?1 AND output = ?2 RETURNING output",
                    &[
                        job_id.into(),
                        output.index.into(),
                        u32::from(output.percent.min(100)).into(),
                    ],
                )
                .await?;
            if rows.is_empty() {
                return Err(CatalogError::invalid(
                    format!("progress[{at}].index"),
                    "there is no such output",
                ));
            }
        }
        before.tell_progress(sql, moment).await?;
        store_chunks(sql, job_id, chunks).await?;
        Ok(row.text("state")? == "Canceling")
    })
    .await
}

async fn is_holder<S: Sql>(sql: &S, job_id: Uuid, lease: &str) -> Result<bool, CatalogError> {
    let rows = sql
        .query(
            "SELECT 1 FROM jobs WHERE id = ?1 AND lease = ?2",
            &[job_id.into(), lease.into()],
        )
        .await?;
    Ok(!rows.is_empty())
}

async fn store_chunks<S: Sql>(
    sql: &S,
    job_id: Uuid,
    chunks: &[ChunkRecord],
) -> Result<(), CatalogError> {
    let mut progressed = false;
    for (at, chunk) in chunks.iter().enumerate() {
        progressed |= store_chunk(sql, job_id, at, chunk).await?;
        sharing::made(sql, job_id, chunk.output, chunk.chunk).await?;
    }
    if progressed {
        sql.query(
            "UPDATE jobs SET attempt = 0 WHERE id = ?1",
            &[job_id.into()],
        )
        .await?;
    }
    Ok(())
}

/// Stores a finished chunk, or replaces it. Says whether it is new.
async fn store_chunk<S: Sql>(
    sql: &S,
    job_id: Uuid,
    at: usize,
    chunk: &ChunkRecord,
) -> Result<bool, CatalogError> {
    let record = chunk.record.to_string();
    if record.len() > MAX_CHUNK_BYTES {
        return Err(CatalogError::invalid(
            format!("chunks[{at}].record"),
            format!("must have at most {MAX_CHUNK_BYTES} bytes"),
        ));
    }
    let row = [
        job_id.into(),
        chunk.output.into(),
        chunk.chunk.into(),
        record.into(),
    ];
    let replaced = sql
        .query(
            "UPDATE job_chunks SET record_json = ?4 WHERE job_id = ?1 AND output = ?2 AND chunk = ?3 RETURNING chunk",
            &row,
        )
        .await?;
    if !replaced.is_empty() {
        return Ok(false);
    }
    let added = sql
        .query(
            "INSERT INTO job_chunks (job_id, output, chunk, record_json)
             SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM job_outputs WHERE job_id = ?1 AND output = ?2)
             RETURNING chunk",
            &row,
        )
        .await?;
    if added.is_empty() {
        return Err(CatalogError::invalid(
            format!("chunks[{at}].output"),
            "there is no such output",
        ));
    }
    Ok(true)
}

/// Keeps what the holder of the lease says about the engine that makes the job.
///
/// Errors: [`CatalogError::LeaseLost`]; [`CatalogError::Invalid`] for words that are too long.
pub async fn note_engine<S: Sql>(
    sql: &S,
    job_id: Uuid,
    lease: &str,
    engine: &EngineChoice,
) -> Result<(), CatalogError> {
    if engine.name.len() > 64 || engine.reason.len() > MAX_REASON_BYTES {
        return Err(CatalogError::invalid("engine", "is too long"));
    }
    let text = serde_json::to_string(engine).unwrap_or_default();
    let rows = sql
        .query(
            "UPDATE jobs SET engine_json = ?3 WHERE id = ?1 AND lease = ?2 RETURNING id",
            &[job_id.into(), lease.into(), text.into()],
        )
        .await?;
    if rows.is_empty() {
        return Err(CatalogError::LeaseLost);
    }
    Ok(())
}

/// How a worker gives a job back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Done, but for outputs without which the job was to go on. The server manifest's file name per output, in order, and what
    /// had to be encoded.
    Finished {
        manifests: Vec<String>,
        encoded: Vec<EncodedTrack>,
        failed: Vec<OutputFailure>,
    },
    /// Not to be done. Tried again if the code allows it and attempts are left.
    Failed(JobFailure),
    /// The worker stopped: because somebody asked for it, or because the worker itself is going away. In the second case
    /// another worker gets the job, and the attempt does not count.
    Stopped,
    /// No worker got it: what it works in could not be made ready. Tried again while attempts are left, whatever the code,
    /// and later than a failed attempt would be, so that jobs outlive a store that is away for some minutes.
    Unprepared(JobFailure),
}

/// Gives a job back. Repeating it with the same lease changes nothing. A helper leaves it, whatever the ending.
///
/// `engine`: what made it. It is kept in the same transaction, because who sees that a job is over has seen the last of it.
///
/// Errors: [`CatalogError::LeaseLost`]; [`CatalogError::Invalid`] if the number of manifests is not that of outputs,
/// more tracks were encoded than anybody can, or an output failed without which the job was not to go on.
pub async fn finish<S: Sql>(
    sql: &S,
    job_id: Uuid,
    lease: &str,
    ending: &Ending,
    engine: Option<&EngineChoice>,
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    transaction(sql, async |sql| {
        let rows = sql
            .query(
                "SELECT project_id, state, attempt, lease, finished_lease FROM jobs WHERE id = ?1",
                &[job_id.into()],
            )
            .await?;
        let row = rows.first().ok_or(CatalogError::LeaseLost)?;
        if row.opt_text("finished_lease")?.as_deref() == Some(lease) {
            return Ok(());
        }
        let state = state_of(&row)?;
        if row.opt_text("lease")?.as_deref() != Some(lease) || !state.is_leased() {
            return match sharing::leave(sql, job_id, lease).await? {
                true => Ok(()),
                false => Err(CatalogError::LeaseLost),
            };
        }
        if let Some(engine) = engine {
            note_engine(sql, job_id, lease, engine).await?;
        }
        let attempt = row.unsigned("attempt")?;
        let project = ProjectId(row.text("project_id")?);
        if !matches!(ending, Ending::Unprepared(_)) {
            mark_started(sql, job_id, moment).await?;
        }
        match ending {
            Ending::Finished {
                manifests,
                encoded,
                failed,
            } => {
                if encoded.len() > MAX_ENCODED_TRACKS {
                    return Err(CatalogError::invalid(
                        "outcome.encoded",
                        format!("must have at most {MAX_ENCODED_TRACKS} members"),
                    ));
                }
                record_manifests(sql, &project, job_id, manifests).await?;
                forget_failures(sql, job_id).await?;
                note_failures(sql, job_id, failed).await?;
                sql.query(
                    "UPDATE job_outputs SET progress = 100 WHERE job_id = ?1 AND error_json IS NULL",
                    &[job_id.into()],
                )
                .await?;
                // One that made nothing is no success, whatever it was to go on without.
                let state = match failed.len() < manifests.len() {
                    true => JobState::Finished,
                    false => JobState::Error,
                };
                end(sql, job_id, state, moment).await?;
                usage::finished_job(sql, &project, encoded, moment.now).await?;
            }
            // Somebody wants it gone: whatever else happened to it no longer matters.
            Ending::Stopped | Ending::Failed(_) | Ending::Unprepared(_)
                if state == JobState::Canceling =>
            {
                end(sql, job_id, JobState::Canceled, moment).await?;
            }
            Ending::Stopped => {
                requeue(sql, job_id, attempt.saturating_sub(1), moment.now, moment).await?
            }
            Ending::Failed(failure) if failure.code.may_retry() && attempt < MAX_ATTEMPTS => {
                let retry = retry_at(AFTER_FAILURE, attempt, moment.now);
                tell_failure(sql, job_id, &error_of(failure)).await?;
                requeue(sql, job_id, attempt, retry, moment).await?;
            }
            Ending::Unprepared(failure) if attempt < MAX_ATTEMPTS => {
                let retry = retry_at(AFTER_UNPREPARED, attempt, moment.now);
                tell_failure(sql, job_id, &error_of(failure)).await?;
                requeue(sql, job_id, attempt, retry, moment).await?;
            }
            Ending::Failed(failure) | Ending::Unprepared(failure) => {
                fail(sql, job_id, &error_of(failure), moment).await?;
            }
        }
        sql.query(
            "UPDATE jobs SET finished_lease = ?2 WHERE id = ?1",
            &[job_id.into(), lease.into()],
        )
        .await?;
        Ok(())
    })
    .await
}

/// A job that was over before its first renewal started when it was claimed: it goes through `Processing` like any other.
async fn mark_started<S: Sql>(
    sql: &S,
    job_id: Uuid,
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    let before = look(sql, job_id).await?;
    for change in [
        "UPDATE jobs SET started = coalesce(started, lease_until - lease_seconds * 1000000),
             state = CASE state WHEN 'Scheduled' THEN 'Processing' ELSE state END WHERE id = ?1",
        "UPDATE job_outputs SET started = coalesce(started, (SELECT started FROM jobs WHERE id = ?1)),
             state = CASE state WHEN 'Scheduled' THEN 'Processing' ELSE state END WHERE job_id = ?1",
    ] {
        sql.query(change, &[job_id.into()]).await?;
    }
    before.tell(sql, moment).await
}

/// Shows with a job why it was not made: for good, or the last time, if it is tried again.
async fn tell_failure<S: Sql>(sql: &S, job_id: Uuid, error: &JobError) -> Result<(), CatalogError> {
    sql.query(
        "UPDATE job_outputs SET error_json = ?2 WHERE job_id = ?1",
        &[
            job_id.into(),
            serde_json::to_string(error).unwrap_or_default().into(),
        ],
    )
    .await?;
    Ok(())
}

fn error_of(failure: &JobFailure) -> JobError {
    JobError::new(failure.code, failure.message.clone(), &failure.details)
}

/// Of attempts that no longer matter.
async fn forget_failures<S: Sql>(sql: &S, job_id: Uuid) -> Result<(), CatalogError> {
    sql.query(
        "UPDATE job_outputs SET error_json = NULL WHERE job_id = ?1",
        &[job_id.into()],
    )
    .await?;
    Ok(())
}

/// Notes why outputs are missing from a job that went on without them.
async fn note_failures<S: Sql>(
    sql: &S,
    job_id: Uuid,
    failed: &[OutputFailure],
) -> Result<(), CatalogError> {
    for (at, output) in failed.iter().enumerate() {
        let OutputFailure { index, failure } = output;
        let error = error_of(failure);
        let noted = sql
            .query(
                "UPDATE job_outputs SET error_json = ?3 WHERE job_id = ?1 AND output = ?2 AND continues = 1 RETURNING output",
                &[
                    job_id.into(),
                    (*index).into(),
                    serde_json::to_string(&error).unwrap_or_default().into(),
                ],
            )
            .await?;
        if noted.is_empty() {
            return Err(CatalogError::invalid(
                format!("outcome.failed[{at}].index"),
                "is not of an output without which the job goes on",
            ));
        }
    }
    Ok(())
}

async fn record_manifests<S: Sql>(
    sql: &S,
    project: &ProjectId,
    job_id: Uuid,
    manifests: &[String],
) -> Result<(), CatalogError> {
    let outputs = sql
        .query(
            "SELECT asset_name FROM job_outputs WHERE job_id = ?1 ORDER BY output",
            &[job_id.into()],
        )
        .await?;
    if outputs.rows.len() != manifests.len() {
        return Err(CatalogError::invalid(
            "outcome.manifests",
            "must have one member per output",
        ));
    }
    for (at, (row, manifest)) in outputs.iter().zip(manifests).enumerate() {
        // Pictures and transport streams have none.
        if manifest.is_empty() {
            continue;
        }
        crate::names::blob(&format!("outcome.manifests[{at}]"), manifest)?;
        assets::set_manifest(sql, project, &row.text("asset_name")?, manifest).await?;
    }
    Ok(())
}

/// Deals with leases that have lapsed: back into the queue, or an end to it.
async fn sweep<S: Sql>(sql: &S, moment: Moment<'_>) -> Result<(), CatalogError> {
    let lapsed = sql
        .query(
            "SELECT id, state, attempt FROM jobs
             WHERE state IN ('Scheduled', 'Processing', 'Canceling') AND lease_until <= ?1",
            &[moment.now.into()],
        )
        .await?;
    for row in lapsed.iter() {
        let job_id = row.uuid("id")?;
        let attempt = row.unsigned("attempt")?;
        if state_of(&row)? == JobState::Canceling {
            end(sql, job_id, JobState::Canceled, moment).await?;
        } else if attempt >= MAX_ATTEMPTS {
            let error = JobError::new(
                JobErrorCode::ServiceError,
                format!(
                    "The job was given to {attempt} workers one after the other and none of them got any further."
                ),
                &[],
            );
            fail(sql, job_id, &error, moment).await?;
        } else {
            requeue(sql, job_id, attempt, moment.now, moment).await?;
        }
    }
    Ok(())
}

async fn take_next<S: Sql>(
    sql: &S,
    worker: &str,
    lease_seconds: u32,
    moment: Moment<'_>,
) -> Result<Option<Uuid>, CatalogError> {
    let lease = moment.ids.uuid().simple().to_string();
    let rows = sql
        .query(
            "UPDATE jobs SET state = 'Scheduled', attempt = attempt + 1, worker = ?1, lease = ?2, lease_until = ?3,
                 lease_seconds = ?5, modified = ?4
             WHERE seq = (SELECT j.seq FROM jobs j
                          LEFT JOIN (SELECT project_id, count(*) AS jobs FROM jobs
                                     WHERE state IN ('Scheduled', 'Processing', 'Canceling') GROUP BY project_id) busy
                              ON busy.project_id = j.project_id
                          LEFT JOIN job_turns t ON t.project_id = j.project_id
                          WHERE j.state = 'Queued' AND j.not_before <= ?4
                          ORDER BY j.priority DESC, coalesce(busy.jobs, 0), coalesce(t.taken, 0), j.seq LIMIT 1)
             RETURNING id, project_id, started, 'Queued' AS state",
            &[
                worker.into(),
                lease.into(),
                lease_end(moment.now, lease_seconds),
                moment.now.into(),
                lease_seconds.into(),
            ],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let before = Before::read(sql, &row).await?;
    let job_id = row.uuid("id")?;
    sql.query(
        "INSERT INTO job_turns (project_id, taken) VALUES (?1, ?2)
         ON CONFLICT (project_id) DO UPDATE SET taken = ?2",
        &[row.text("project_id")?.into(), moment.now.into()],
    )
    .await?;
    sql.query(
        "UPDATE job_outputs SET state = 'Scheduled' WHERE job_id = ?1",
        &[job_id.into()],
    )
    .await?;
    before.tell(sql, moment).await?;
    Ok(Some(job_id))
}

/// Everything a worker needs. The inner error: the job cannot be done at all.
pub(super) async fn load<S: Sql>(
    sql: &S,
    seal: &Seal,
    job_id: Uuid,
) -> Result<Result<Claimed, JobError>, CatalogError> {
    let rows = sql
        .query(
            "SELECT project_id, lease, attempt, input_json, input_asset, input_sealed FROM jobs WHERE id = ?1",
            &[job_id.into()],
        )
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| CatalogError::corrupt("id", "job vanished"))?;
    let project = ProjectId(row.text("project_id")?);
    let stored = match (row.opt_text("input_asset")?, row.opt_blob("input_sealed")?) {
        (_, Some(sealed)) => {
            let plain = seal.open(&seal_context(job_id), &sealed)?;
            Stored::read(plain.expose())
                .ok_or_else(|| CatalogError::corrupt("input_sealed", "not an input"))?
        }
        (Some(asset), None) => {
            let shown: Json = row.json("input_json")?;
            let files = shown.get("files").cloned().unwrap_or_default();
            Stored::Asset {
                asset,
                files: serde_json::from_value(files).unwrap_or_default(),
                selection: Selection::default(),
            }
        }
        (None, None) => return Err(CatalogError::corrupt("input_sealed", "NULL")),
    };
    let input = match stored.claimed(sql, &project).await? {
        Ok(input) => input,
        Err(gone) => return Ok(Err(gone)),
    };
    let mut outputs = Vec::new();
    let found = sql
        .query(
            "SELECT output, asset_name, preset_json, continues, urgency FROM job_outputs WHERE job_id = ?1 ORDER BY output",
            &[job_id.into()],
        )
        .await?;
    for output in found.iter() {
        let asset_name = output.text("asset_name")?;
        let Some(location) = locate(sql, &project, &asset_name).await? else {
            return Ok(Err(gone(
                JobErrorCode::UploadNotAccessible,
                "output",
                &asset_name,
            )));
        };
        outputs.push(ClaimedOutput {
            index: output.unsigned("output")?,
            asset_name,
            location,
            preset: output.json("preset_json")?,
            continues: output.flag("continues")?,
            urgency: output.unsigned("urgency")?,
        });
    }
    Ok(Ok(Claimed {
        job_id,
        // One that goes back into the queue has none; its helpers work on.
        lease: row.opt_text("lease")?.unwrap_or_default(),
        attempt: row.unsigned("attempt")?,
        input,
        outputs,
        chunks: chunks(sql, job_id).await?,
    }))
}

/// Where an asset lies; `None` if it or its storage account is gone.
pub(crate) async fn locate<S: Sql>(
    sql: &S,
    project: &ProjectId,
    asset: &str,
) -> Result<Option<Location>, CatalogError> {
    let Some(asset) = assets::find(sql, project, asset).await? else {
        return Ok(None);
    };
    match storage::get(sql, project, &asset.storage_account).await {
        Ok(storage) => Ok(Some(Location {
            storage,
            container: asset.container,
            sub_path: asset.sub_path,
        })),
        Err(CatalogError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Why a job whose input is no longer there ends.
pub(super) fn input_gone(asset: &str) -> JobError {
    gone(JobErrorCode::DownloadNotAccessible, "input", asset)
}

fn gone(code: JobErrorCode, which: &str, asset: &str) -> JobError {
    JobError::new(
        code,
        format!("The {which} asset '{asset}' or its storage account no longer exists."),
        &[],
    )
}

async fn chunks<S: Sql>(sql: &S, job_id: Uuid) -> Result<Vec<ChunkRecord>, CatalogError> {
    let rows = sql
        .query(
            "SELECT output, chunk, record_json FROM job_chunks WHERE job_id = ?1 ORDER BY output, chunk",
            &[job_id.into()],
        )
        .await?;
    rows.iter().map(|row| chunk_record(&row)).collect()
}

pub(super) fn chunk_record(row: &Row<'_>) -> Result<ChunkRecord, CatalogError> {
    Ok(ChunkRecord {
        output: row.unsigned("output")?,
        chunk: row.unsigned("chunk")?,
        record: row.json("record_json")?,
    })
}

/// A job that is known to be there, before it is changed.
async fn look<S: Sql>(sql: &S, job_id: Uuid) -> Result<Before, CatalogError> {
    Before::look(sql, job_id)
        .await?
        .ok_or_else(|| CatalogError::corrupt("id", "job vanished"))
}

/// Moves a job and its outputs to another state, keeping the lease.
async fn set_state<S: Sql>(
    sql: &S,
    job_id: Uuid,
    state: JobState,
    now: Timestamp,
) -> Result<(), CatalogError> {
    sql.query(
        "UPDATE jobs SET state = ?2, modified = ?3 WHERE id = ?1",
        &[job_id.into(), state.name().into(), now.into()],
    )
    .await?;
    sql.query(
        "UPDATE job_outputs SET state = ?2 WHERE job_id = ?1",
        &[job_id.into(), state.name().into()],
    )
    .await?;
    Ok(())
}

/// Asks the worker that has the job to stop.
pub(super) async fn begin_cancel<S: Sql>(
    sql: &S,
    job_id: Uuid,
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    let before = look(sql, job_id).await?;
    set_state(sql, job_id, JobState::Canceling, moment.now).await?;
    before.tell(sql, moment).await
}

/// Ends a job for good.
pub(super) async fn end<S: Sql>(
    sql: &S,
    job_id: Uuid,
    state: JobState,
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    let before = look(sql, job_id).await?;
    set_state(sql, job_id, state, moment.now).await?;
    if state == JobState::Canceled {
        forget_failures(sql, job_id).await?;
    }
    if state == JobState::Finished {
        sql.query(
            "UPDATE job_outputs SET state = ?2 WHERE job_id = ?1 AND error_json IS NOT NULL",
            &[job_id.into(), JobState::Error.name().into()],
        )
        .await?;
    }
    for table_and_key in [
        "jobs SET lease = NULL, lease_until = NULL, ended = ?2 WHERE id",
        "job_outputs SET ended = ?2 WHERE job_id",
    ] {
        sql.query(
            &format!("UPDATE {table_and_key} = ?1"),
            &[job_id.into(), moment.now.into()],
        )
        .await?;
    }
    sql.query("DELETE FROM job_chunks WHERE job_id = ?1", &[job_id.into()])
        .await?;
    sharing::forget(sql, job_id).await?;
    before.tell(sql, moment).await
}

async fn fail<S: Sql>(
    sql: &S,
    job_id: Uuid,
    error: &JobError,
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    tell_failure(sql, job_id, error).await?;
    end(sql, job_id, JobState::Error, moment).await
}

/// Puts a job back into the queue. Its progress and finished chunks stay.
async fn requeue<S: Sql>(
    sql: &S,
    job_id: Uuid,
    attempt: u32,
    not_before: Timestamp,
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    let before = look(sql, job_id).await?;
    set_state(sql, job_id, JobState::Queued, moment.now).await?;
    sql.query(
        "UPDATE jobs SET lease = NULL, lease_until = NULL, worker = NULL, attempt = ?2, not_before = ?3 WHERE id = ?1",
        &[job_id.into(), attempt.into(), not_before.into()],
    )
    .await?;
    before.tell(sql, moment).await
}

fn state_of(row: &Row<'_>) -> Result<JobState, CatalogError> {
    JobState::parse(row.str("state")?).ok_or_else(|| CatalogError::corrupt("state", "unknown"))
}

pub(crate) fn check_lease_seconds(lease_seconds: u32) -> Result<(), CatalogError> {
    if LEASE_SECONDS.contains(&lease_seconds) {
        return Ok(());
    }
    Err(CatalogError::invalid(
        "leaseSeconds",
        format!(
            "must be {} to {}",
            LEASE_SECONDS.start(),
            LEASE_SECONDS.end()
        ),
    ))
}

pub(super) fn lease_end(now: Timestamp, seconds: u32) -> Value {
    now.saturating_add(SignedDuration::from_secs(seconds.into()))
        .unwrap_or(Timestamp::MAX)
        .into()
}

/// `first` seconds after the first attempt, then twice as long each time.
fn retry_at(first: i64, attempt: u32, now: Timestamp) -> Timestamp {
    let seconds = first.saturating_mul(1_i64.checked_shl(attempt.saturating_sub(1)).unwrap_or(1));
    now.saturating_add(SignedDuration::from_secs(seconds.min(300)))
        .unwrap_or(Timestamp::MAX)
}
