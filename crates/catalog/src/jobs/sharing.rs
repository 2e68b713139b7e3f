//! Chunks of a job that is under way, divided among the worker that has it and workers that help.
//!
//! The holder says what there is to make ([`share`]); it and its helpers take chunks from there ([`take`]) and report what
//! they made ([`super::queue::renew`]). What somebody took whose lease has lapsed is anybody's again, and what a worker took
//! without hearing of it is given back by its next question, which names what it holds.

use std::collections::BTreeMap;

use headwater_seal::Seal;
use headwater_work::{ChunkRecord, MAX_EXCEPT, MAX_LOT, MAX_PLAN_BYTES, MAX_SHARED_CHUNKS};
use uuid::Uuid;

use super::queue::{self, Claimed};
use crate::error::CatalogError;
use crate::ids::Moment;
use crate::sql::{Sql, Value, transaction};

/// Most records that are read at once.
pub const MAX_RECORDS: usize = 64;

/// Most chunks that a worker may hold.
pub const MAX_HELD: usize = 1024;

/// Lots that nobody has taken, from which on a job is worth a helper's getting at its source.
const WORTHWHILE: u32 = 3;

/// Rows of one `INSERT`.
const BATCH: usize = 500;

/// A helper whose lease is good. For the alias `p` of `job_parts`; `?1` is the job, `?2` the present.
const HELD_BY_HELPER: &str = "EXISTS (SELECT 1 FROM job_helpers h WHERE h.job_id = ?1 AND h.lease = p.lease AND h.lease_until > ?2)";

/// Which chunks are the caller's now, and how far the output is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Ascending.
    pub chunks: Vec<u32>,
    /// How many are yet to be made, by whomever.
    pub left: u32,
    /// All that are made.
    pub made: Vec<u32>,
}

/// What a caller wants of an output.
#[derive(Debug, Clone, Copy)]
pub struct Want<'a> {
    pub output: u32,
    /// What the caller takes the chunks to be parts of.
    pub plan: &'a str,
    /// What the caller took before and has not been acknowledged to have made; at most [`MAX_HELD`].
    pub holding: &'a [u32],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Holder,
    Helper,
}

/// Says what there is to make of an output, in lots that are taken together. What helpers have taken stays theirs unless the plan is another.
///
/// Errors: [`CatalogError::LeaseLost`]; [`CatalogError::Invalid`] for an output that does not exist, a plan that is too long
/// too many chunks, or a lot of none or too many.
pub async fn share<S: Sql>(
    sql: &S,
    job_id: Uuid,
    lease: &str,
    (output, plan): (u32, &str),
    lots: &[Vec<u32>],
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    if plan.len() > MAX_PLAN_BYTES {
        return Err(at_most("plan", MAX_PLAN_BYTES, "bytes"));
    }
    for (at, lot) in lots.iter().enumerate() {
        if !(1..=MAX_LOT).contains(&lot.len()) {
            return Err(CatalogError::invalid(
                format!("lots[{at}]"),
                format!("must have 1 to {MAX_LOT} members"),
            ));
        }
    }
    let chunks: BTreeMap<u32, usize> = lots
        .iter()
        .enumerate()
        .flat_map(|(at, lot)| lot.iter().map(move |&chunk| (chunk, at)))
        .collect();
    if chunks.len() > MAX_SHARED_CHUNKS {
        return Err(at_most("lots", MAX_SHARED_CHUNKS, "chunks"));
    }
    transaction(sql, async |sql| {
        if role(sql, job_id, lease).await? != Role::Holder {
            return Err(CatalogError::LeaseLost);
        }
        let scope = [job_id.into(), output.into()];
        let known = sql
            .query(
                "SELECT 1 FROM job_outputs WHERE job_id = ?1 AND output = ?2",
                &scope,
            )
            .await?;
        if known.is_empty() {
            return Err(CatalogError::invalid("output", "there is no such output"));
        }
        let mut kept: BTreeMap<u32, String> = BTreeMap::new();
        if shared_plan(sql, job_id, output).await?.as_deref() == Some(plan) {
            let taken = sql
                .query(
                    &format!("SELECT chunk, lease FROM job_parts p WHERE p.job_id = ?1 AND p.output = ?3 AND {HELD_BY_HELPER}"),
                    &[job_id.into(), moment.now.into(), output.into()],
                )
                .await?;
            for row in taken.iter() {
                kept.insert(row.unsigned("chunk")?, row.text("lease")?);
            }
        }
        sql.query(
            "INSERT INTO job_shares (job_id, output, plan) VALUES (?1, ?2, ?3)
             ON CONFLICT (job_id, output) DO UPDATE SET plan = ?3",
            &[job_id.into(), output.into(), plan.into()],
        )
        .await?;
        sql.query("DELETE FROM job_parts WHERE job_id = ?1 AND output = ?2", &scope)
            .await?;
        let all: Vec<(u32, usize)> = chunks.iter().map(|(&chunk, &lot)| (chunk, lot)).collect();
        for batch in all.chunks(BATCH) {
            let rows: Vec<String> = batch.iter().map(|(chunk, lot)| format!("(?1, ?2, {chunk}, {lot}, NULL)")).collect();
            sql.query(
                &format!("INSERT INTO job_parts (job_id, output, chunk, lot, lease) VALUES {}", rows.join(", ")),
                &scope,
            )
            .await?;
        }
        for (chunk, lease) in kept {
            sql.query(
                "UPDATE job_parts SET lease = ?4 WHERE job_id = ?1 AND output = ?2 AND chunk = ?3",
                &[job_id.into(), output.into(), chunk.into(), lease.into()],
            )
            .await?;
        }
        Ok(())
    })
    .await
}

/// Takes chunks to make: the first that nobody has, with the rest of its lot. A helper gets none while a job waits for
/// a worker, be it the one that it helps with, and none of another plan than its own.
///
/// Errors: [`CatalogError::LeaseLost`]; [`CatalogError::Invalid`] where a limit is passed, and for the holder of a job that
/// did not share the output under this plan.
pub async fn take<S: Sql>(
    sql: &S,
    job_id: Uuid,
    lease: &str,
    want: Want<'_>,
    moment: Moment<'_>,
) -> Result<Taken, CatalogError> {
    if want.holding.len() > MAX_HELD {
        return Err(at_most("holding", MAX_HELD, "members"));
    }
    transaction(sql, async |sql| {
        let role = role(sql, job_id, lease).await?;
        let nothing = Taken {
            chunks: Vec::new(),
            left: 0,
            made: Vec::new(),
        };
        if shared_plan(sql, job_id, want.output).await?.as_deref() != Some(want.plan) {
            return match role {
                Role::Helper => Ok(nothing),
                Role::Holder => Err(CatalogError::invalid("plan", "is not what was shared")),
            };
        }
        let unheard: String = match want.holding {
            [] => String::new(),
            held => format!(" AND chunk NOT IN ({})", listed(held)),
        };
        sql.query(
            &format!("UPDATE job_parts SET lease = NULL WHERE job_id = ?1 AND output = ?2 AND lease = ?3{unheard}"),
            &[job_id.into(), want.output.into(), lease.into()],
        )
        .await?;
        if role == Role::Helper && queue::a_job_waits(sql, moment).await? {
            return Ok(nothing);
        }
        let free = format!(
            "p.job_id = ?1 AND p.output = ?4 AND (p.lease IS NULL OR (p.lease <> ?3 AND NOT {HELD_BY_HELPER}
                 AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = ?1 AND j.lease = p.lease AND j.lease_until > ?2)))"
        );
        let taken = sql
            .query(
                &format!(
                    "UPDATE job_parts SET lease = ?3 WHERE job_id = ?1 AND output = ?4 AND chunk IN (
                         SELECT p.chunk FROM job_parts p WHERE {free} AND p.lot = (
                             SELECT p.lot FROM job_parts p WHERE {free} ORDER BY p.chunk LIMIT 1))
                     RETURNING chunk"
                ),
                &[
                    job_id.into(),
                    moment.now.into(),
                    lease.into(),
                    want.output.into(),
                ],
            )
            .await?;
        let mut chunks = Vec::with_capacity(taken.rows.len());
        for row in taken.iter() {
            chunks.push(row.unsigned("chunk")?);
        }
        chunks.sort_unstable();
        let scope = [job_id.into(), want.output.into()];
        let left = sql
            .query("SELECT count(*) AS parts FROM job_parts WHERE job_id = ?1 AND output = ?2", &scope)
            .await?;
        let made = sql
            .query(
                "SELECT c.chunk AS chunk FROM job_chunks c WHERE c.job_id = ?1 AND c.output = ?2 AND NOT EXISTS (
                     SELECT 1 FROM job_parts p WHERE p.job_id = ?1 AND p.output = ?2 AND p.chunk = c.chunk) ORDER BY c.chunk",
                &scope,
            )
            .await?;
        Ok(Taken {
            chunks,
            left: left.first().map_or(Ok(0), |row| row.unsigned("parts"))?,
            made: made.iter().map(|row| row.unsigned("chunk")).collect::<Result<_, _>>()?,
        })
    })
    .await
}

/// The records of chunks that are made; for the holder.
///
/// Errors: [`CatalogError::LeaseLost`]; [`CatalogError::Invalid`] if more than [`MAX_RECORDS`] are asked for.
pub async fn records<S: Sql>(
    sql: &S,
    job_id: Uuid,
    lease: &str,
    output: u32,
    chunks: &[u32],
) -> Result<Vec<ChunkRecord>, CatalogError> {
    if chunks.len() > MAX_RECORDS {
        return Err(at_most("chunks", MAX_RECORDS, "members"));
    }
    if role(sql, job_id, lease).await? != Role::Holder {
        return Err(CatalogError::LeaseLost);
    }
    if chunks.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sql
        .query(
            &format!(
                "SELECT output, chunk, record_json FROM job_chunks WHERE job_id = ?1 AND output = ?2 AND chunk IN ({}) ORDER BY chunk",
                listed(chunks)
            ),
            &[job_id.into(), output.into()],
        )
        .await?;
    rows.iter().map(|row| queue::chunk_record(&row)).collect()
}

/// Finds a job of another's that is worth helping with: of the highest priority, with the fewest helpers, and the oldest. Its
/// lease is the helper's own; it comes without chunks. Also the outputs of which there is something to make.
///
/// Errors: [`CatalogError::Invalid`] for a lease out of bounds, or too many exceptions.
pub async fn assist<S: Sql>(
    sql: &S,
    seal: &Seal,
    (worker, lease_seconds): (&str, u32),
    except: &[Uuid],
    moment: Moment<'_>,
) -> Result<Option<(Claimed, Vec<u32>)>, CatalogError> {
    queue::check_lease_seconds(lease_seconds)?;
    if except.len() > MAX_EXCEPT {
        return Err(at_most("except", MAX_EXCEPT, "members"));
    }
    // Most polls find nothing; they must not take the write lock.
    if find(sql, except, moment).await?.is_none() {
        return Ok(None);
    }
    transaction(sql, async |sql| {
        let Some(job_id) = find(sql, except, moment).await? else {
            return Ok(None);
        };
        let Ok(mut claimed) = queue::load(sql, seal, job_id).await? else {
            return Ok(None);
        };
        sql.query(
            "DELETE FROM job_helpers WHERE job_id = ?1 AND lease_until <= ?2",
            &[job_id.into(), moment.now.into()],
        )
        .await?;
        claimed.lease = moment.ids.uuid().simple().to_string();
        claimed.chunks = Vec::new();
        sql.query(
            "INSERT INTO job_helpers (job_id, lease, worker, lease_seconds, lease_until) VALUES (?1, ?2, ?3, ?4, ?5)",
            &[
                job_id.into(),
                claimed.lease.as_str().into(),
                worker.into(),
                lease_seconds.into(),
                queue::lease_end(moment.now, lease_seconds),
            ],
        )
        .await?;
        let outputs = sql
            .query(
                "SELECT DISTINCT output FROM job_parts WHERE job_id = ?1 AND lease IS NULL ORDER BY output",
                &[job_id.into()],
            )
            .await?;
        let outputs = outputs.iter().map(|row| row.unsigned("output"));
        Ok(Some((claimed, outputs.collect::<Result<_, _>>()?)))
    })
    .await
}

/// The job of whoever has `lease`, the holder or a helper: as it was claimed, without chunks.
///
/// Errors: [`CatalogError::LeaseLost`], also if an asset of the job's is gone.
pub async fn claimed<S: Sql>(
    sql: &S,
    seal: &Seal,
    job_id: Uuid,
    lease: &str,
) -> Result<Claimed, CatalogError> {
    role(sql, job_id, lease).await?;
    let Ok(mut claimed) = queue::load(sql, seal, job_id).await? else {
        return Err(CatalogError::LeaseLost);
    };
    claimed.lease = lease.to_owned();
    claimed.chunks = Vec::new();
    Ok(claimed)
}

async fn find<S: Sql>(
    sql: &S,
    except: &[Uuid],
    moment: Moment<'_>,
) -> Result<Option<Uuid>, CatalogError> {
    let mut values: Vec<Value> = vec![moment.now.into(), WORTHWHILE.into()];
    let mut places = Vec::with_capacity(except.len());
    for job in except {
        values.push((*job).into());
        places.push(format!("?{}", values.len()));
    }
    let others = match places.as_slice() {
        [] => String::new(),
        places => format!(" AND j.id NOT IN ({})", places.join(", ")),
    };
    let found = sql
        .query(
            &format!(
                "SELECT j.id AS id FROM jobs j
                 JOIN (SELECT job_id, count(DISTINCT lot) AS lots FROM job_parts WHERE lease IS NULL GROUP BY job_id) open ON open.job_id = j.id
                 LEFT JOIN (SELECT job_id, count(*) AS helpers FROM job_helpers WHERE lease_until > ?1 GROUP BY job_id) hands
                     ON hands.job_id = j.id
                 WHERE j.state IN ('Scheduled', 'Processing') AND j.lease_until > ?1 AND open.lots >= ?2{others}
                 ORDER BY j.priority DESC, coalesce(hands.helpers, 0), j.seq LIMIT 1"
            ),
            &values,
        )
        .await?;
    found.first().map(|row| row.uuid("id")).transpose()
}

/// Keeps a helper's lease. Gives those of `chunks` that are still its own to make.
///
/// Errors: [`CatalogError::LeaseLost`] also once the job is cancelled or over.
pub(super) async fn renew<S: Sql>(
    sql: &S,
    job_id: Uuid,
    lease: &str,
    chunks: &[ChunkRecord],
    moment: Moment<'_>,
) -> Result<Vec<ChunkRecord>, CatalogError> {
    let renewed = sql
        .query(
            "UPDATE job_helpers SET lease_until = ?3 + lease_seconds * 1000000 WHERE job_id = ?1 AND lease = ?2 AND EXISTS (
                 SELECT 1 FROM jobs j WHERE j.id = ?1 AND j.state IN ('Queued', 'Scheduled', 'Processing'))
             RETURNING job_id",
            &[job_id.into(), lease.into(), moment.now.into()],
        )
        .await?;
    if renewed.is_empty() {
        return Err(CatalogError::LeaseLost);
    }
    let mut own = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let part = sql
            .query(
                "SELECT 1 FROM job_parts WHERE job_id = ?1 AND output = ?2 AND chunk = ?3 AND lease = ?4",
                &[
                    job_id.into(),
                    chunk.output.into(),
                    chunk.chunk.into(),
                    lease.into(),
                ],
            )
            .await?;
        if !part.is_empty() {
            own.push(chunk.clone());
        }
    }
    Ok(own)
}

/// Lets a helper go, and what it had taken. Whether there was such a helper.
pub(super) async fn leave<S: Sql>(
    sql: &S,
    job_id: Uuid,
    lease: &str,
) -> Result<bool, CatalogError> {
    let scope = [job_id.into(), lease.into()];
    sql.query(
        "UPDATE job_parts SET lease = NULL WHERE job_id = ?1 AND lease = ?2",
        &scope,
    )
    .await?;
    let gone = sql
        .query(
            "DELETE FROM job_helpers WHERE job_id = ?1 AND lease = ?2 RETURNING job_id",
            &scope,
        )
        .await?;
    Ok(!gone.is_empty())
}

/// A chunk is made.
pub(super) async fn made<S: Sql>(
    sql: &S,
    job_id: Uuid,
    output: u32,
    chunk: u32,
) -> Result<(), CatalogError> {
    sql.query(
        "DELETE FROM job_parts WHERE job_id = ?1 AND output = ?2 AND chunk = ?3",
        &[job_id.into(), output.into(), chunk.into()],
    )
    .await?;
    Ok(())
}

/// Removes what is known here of a job.
pub(super) async fn forget<S: Sql>(sql: &S, job_id: Uuid) -> Result<(), CatalogError> {
    for table in ["job_shares", "job_parts", "job_helpers"] {
        sql.query(
            &format!("DELETE FROM {table} WHERE job_id = ?1"),
            &[job_id.into()],
        )
        .await?;
    }
    Ok(())
}

/// Whose lease it is.
///
/// Errors: [`CatalogError::LeaseLost`] if it is nobody's.
async fn role<S: Sql>(sql: &S, job_id: Uuid, lease: &str) -> Result<Role, CatalogError> {
    let rows = sql
        .query(
            "SELECT 'holder' AS role FROM jobs WHERE id = ?1 AND lease = ?2 AND state IN ('Scheduled', 'Processing', 'Canceling')
             UNION ALL
             SELECT 'helper' AS role FROM job_helpers h JOIN jobs j ON j.id = h.job_id
             WHERE h.job_id = ?1 AND h.lease = ?2 AND j.state IN ('Queued', 'Scheduled', 'Processing')",
            &[job_id.into(), lease.into()],
        )
        .await?;
    let row = rows.first().ok_or(CatalogError::LeaseLost)?;
    Ok(match row.text("role")?.as_str() {
        "holder" => Role::Holder,
        _ => Role::Helper,
    })
}

async fn shared_plan<S: Sql>(
    sql: &S,
    job_id: Uuid,
    output: u32,
) -> Result<Option<String>, CatalogError> {
    let rows = sql
        .query(
            "SELECT plan FROM job_shares WHERE job_id = ?1 AND output = ?2",
            &[job_id.into(), output.into()],
        )
        .await?;
    rows.first().map(|row| row.text("plan")).transpose()
}

fn listed(numbers: &[u32]) -> String {
    let texts: Vec<String> = numbers.iter().map(u32::to_string).collect();
    texts.join(", ")
}

fn at_most(field: &str, most: usize, of: &str) -> CatalogError {
    CatalogError::invalid(field, format!("must have at most {most} {of}"))
}
