//! Jobs: one run of a transform over one input.
//!
//! This module makes, shows, changes and deletes them; [`queue`] is the side that workers see, [`sharing`] how several of
//! them make one job.
//!
//! States (AMS `JobState`): `Queued` → `Scheduled` (a worker has it) → `Processing` (the worker reports) → `Finished`,
//! `Error` or `Canceled`; `Canceling` while a worker has yet to notice. A lost lease leads back to `Queued`.

mod facts;
mod input;
mod model;
pub mod queue;
pub mod sharing;

use serde_json::{Map, Value as Json};

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::query::{self, Field, FieldKind, Listing, Page};
use crate::sql::{Row, Sql, Value, transaction};
use crate::{Written, assets, names, presets, transforms};
use headwater_seal::Seal;

pub use input::{Cut, JobInput};
pub use model::{
    ErrorDetail, Job, JobError, JobOutput, JobState, JobUpdate, MissingAssets, NewJob, NewOutput,
    Priority,
};

const COLUMNS: &str = "id, transform_name, name, input_json, description, correlation_json, priority, state, created, modified, started, ended, engine_json";

const FIELDS: &[Field] = &[
    Field::new("name", "name", FieldKind::Text),
    Field::new("properties/created", "created", FieldKind::Time),
    Field::new("properties/lastModified", "modified", FieldKind::Time),
    Field::new("properties/state", "state", FieldKind::Text),
];

const ENTITY: Entity<Job> = Entity {
    one: "Job",
    many: "jobs",
    table: "jobs",
    columns: COLUMNS,
    read: from_row,
    tie: Field::new("seq", "seq", FieldKind::Integer),
    fields: FIELDS,
    labels: None,
};

/// All that hold rows of a job, by `job_id`, but its own.
pub(crate) const TABLES_OF_A_JOB: [&str; 6] = [
    "job_chunks",
    "job_shares",
    "job_parts",
    "job_helpers",
    "job_inputs",
    "job_outputs",
];

/// What the URLs of a job's HTTP input are sealed for.
pub(crate) fn seal_context(job_id: uuid::Uuid) -> String {
    format!("job/{job_id}")
}

/// The job without its outputs.
fn from_row(row: &Row<'_>) -> Result<Job, CatalogError> {
    Ok(Job {
        id: row.uuid("id")?,
        transform_name: row.text("transform_name")?,
        name: row.text("name")?,
        input: row.json("input_json")?,
        outputs: Vec::new(),
        description: row.opt_text("description")?,
        correlation: row.json("correlation_json")?,
        priority: Priority::from_rank(row.integer("priority")?)
            .ok_or_else(|| CatalogError::corrupt("priority", "unknown"))?,
        state: JobState::parse(row.str("state")?)
            .ok_or_else(|| CatalogError::corrupt("state", "unknown"))?,
        created: row.time("created")?,
        modified: row.time("modified")?,
        started: row.opt_time("started")?,
        ended: row.opt_time("ended")?,
        engine: row
            .opt_text("engine_json")?
            .map(|text| {
                serde_json::from_str(&text)
                    .map_err(|_| CatalogError::corrupt("engine_json", "not an engine"))
            })
            .transpose()?,
    })
}

fn output_from_row(row: &Row<'_>) -> Result<JobOutput, CatalogError> {
    Ok(JobOutput {
        asset_name: row.text("asset_name")?,
        label: row.opt_text("label")?,
        preset: row.json("preset_json")?,
        overridden: row.flag("overridden")?,
        state: JobState::parse(row.str("state")?)
            .ok_or_else(|| CatalogError::corrupt("state", "unknown"))?,
        progress: u8::try_from(row.integer("progress")?)
            .map_err(|_| CatalogError::corrupt("progress", "out of range"))?,
        error: row
            .opt_text("error_json")?
            .map(|text| {
                serde_json::from_str(&text)
                    .map_err(|_| CatalogError::corrupt("error_json", "not a job error"))
            })
            .transpose()?,
        started: row.opt_time("started")?,
        ended: row.opt_time("ended")?,
    })
}

/// Fills in the outputs of `jobs`, in one query.
async fn load_outputs<S: Sql>(sql: &S, jobs: &mut [Job]) -> Result<(), CatalogError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let params: Vec<Value> = jobs.iter().map(|job| job.id.into()).collect();
    let marks: Vec<String> = (1..=params.len()).map(|n| format!("?{n}")).collect();
    let rows = sql
        .query(
            &format!(
                "SELECT job_id, asset_name, label, preset_json, overridden, state, progress, error_json, started, ended
                 FROM job_outputs WHERE job_id IN ({}) ORDER BY job_id, output",
                marks.join(", ")
            ),
            &params,
        )
        .await?;
    let mut by_job: std::collections::HashMap<uuid::Uuid, Vec<JobOutput>> = Default::default();
    for row in rows.iter() {
        by_job
            .entry(row.uuid("job_id")?)
            .or_default()
            .push(output_from_row(&row)?);
    }
    for job in jobs {
        job.outputs = by_job.remove(&job.id).unwrap_or_default();
    }
    Ok(())
}

async fn find<S: Sql>(
    sql: &S,
    project: &ProjectId,
    transform: &str,
    name: &str,
) -> Result<Option<Job>, CatalogError> {
    let rows = sql
        .query(
            &format!("SELECT {COLUMNS} FROM jobs WHERE project_id = ?1 AND transform_name = ?2 AND name = ?3"),
            &[project.into(), transform.into(), name.into()],
        )
        .await?;
    let mut jobs: Vec<Job> = rows
        .first()
        .iter()
        .map(from_row)
        .collect::<Result<_, _>>()?;
    load_outputs(sql, &mut jobs).await?;
    Ok(jobs.pop())
}

/// Inside a transaction: a job that is known to be there.
async fn by_id<S: Sql>(sql: &S, id: uuid::Uuid) -> Result<Job, CatalogError> {
    let rows = sql
        .query(
            &format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1"),
            &[id.into()],
        )
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| CatalogError::corrupt("id", "job vanished"))?;
    let mut jobs = [from_row(&row)?];
    load_outputs(sql, &mut jobs).await?;
    let [job] = jobs;
    Ok(job)
}

/// One job with its outputs.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(
    sql: &S,
    project: &ProjectId,
    transform: &str,
    name: &str,
) -> Result<Job, CatalogError> {
    find(sql, project, transform, name)
        .await?
        .ok_or_else(|| CatalogError::not_found(ENTITY.one, name))
}

/// A page of one transform's jobs, or of all.
///
/// Errors: [`CatalogError::NotFound`] for the transform.
pub async fn list<S: Sql>(
    sql: &S,
    project: &ProjectId,
    transform: Option<&str>,
    listing: &Listing,
) -> Result<Page<Job>, CatalogError> {
    let mut scope = vec![("project_id", Value::from(project))];
    if let Some(transform) = transform {
        transforms::get(sql, project, transform).await?;
        scope.push(("transform_name", transform.into()));
    }
    let mut page = query::list(sql, &ENTITY, &scope, listing).await?;
    load_outputs(sql, &mut page.items).await?;
    Ok(page)
}

/// Creates a job, queued. The same request again is answered with the job that exists.
///
/// `seal`: for the URLs of an HTTP input, which may carry signatures.
///
/// Errors: [`CatalogError::NotFound`] for the transform, [`CatalogError::Invalid`] for input and outputs,
/// [`CatalogError::Conflict`] if a job of that name was made from another request.
pub async fn create<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    transform: &str,
    name: &str,
    new: &NewJob,
    moment: Moment<'_>,
) -> Result<(Job, Written), CatalogError> {
    names::resource("name", name)?;
    names::text("properties.description", new.description.as_deref(), 4096)?;
    transaction(sql, async |sql| {
        if let Some(job) = find(sql, project, transform, name).await? {
            let same = sql
                .query(
                    "SELECT 1 FROM jobs WHERE id = ?1 AND fingerprint = ?2",
                    &[job.id.into(), Value::from(&new.fingerprint)],
                )
                .await?;
            if same.is_empty() {
                return Err(CatalogError::Conflict(format!(
                    "Job '{name}' already exists in transform '{transform}'."
                )));
            }
            return Ok((job, Written::Existing));
        }
        insert(sql, seal, project, transform, name, new, moment).await?;
        Ok((get(sql, project, transform, name).await?, Written::Created))
    })
    .await
}

/// Inside a transaction: adds a job. Returns its id.
///
/// Errors: as [`create`]; [`CatalogError::Conflict`] for any job of that name.
pub(crate) async fn insert<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    transform_name: &str,
    name: &str,
    new: &NewJob,
    moment: Moment<'_>,
) -> Result<uuid::Uuid, CatalogError> {
    let transform = transforms::get(sql, project, transform_name).await?;
    if new.outputs.len() != transform.outputs.len() {
        return Err(CatalogError::invalid(
            "properties.outputs",
            format!(
                "must have as many members as the transform has outputs ({})",
                transform.outputs.len()
            ),
        ));
    }
    let id = moment.ids.uuid();
    let read = new.input.assets();
    for (path, asset_name, files) in &read {
        if assets::find(sql, project, asset_name).await?.is_none() {
            return Err(CatalogError::invalid(
                format!("{path}.assetName"),
                format!("Asset '{asset_name}' not found."),
            ));
        }
        for (index, file) in files.iter().enumerate() {
            names::blob(&format!("{path}.files[{index}]"), file)?;
        }
    }
    let input_asset = new.input.asset();
    let sealed = match new.input.stored() {
        Some(stored) => {
            let plain = serde_json::to_vec(&stored).unwrap_or_default();
            Some(seal.seal(&seal_context(id), &plain)?)
        }
        None => None,
    };
    let correlation = Json::Object(
        new.correlation
            .iter()
            .map(|(key, value)| (key.clone(), Json::String(value.clone())))
            .collect::<Map<_, _>>(),
    );
    sql.query(
        "INSERT INTO jobs (id, project_id, transform_name, name, input_json, input_asset, input_sealed, description,
             correlation_json, priority, fingerprint, state, created, modified)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'Queued', ?12, ?12)",
        &[
            id.into(),
            project.into(),
            transform_name.into(),
            name.into(),
            new.input.shown().to_string().into(),
            Value::from(input_asset),
            Value::from(sealed),
            Value::from(new.description.as_deref()),
            correlation.to_string().into(),
            new.priority.rank().into(),
            Value::from(&new.fingerprint),
            moment.now.into(),
        ],
    )
    .await
    .map_err(CatalogError::taken("Job", name))?;
    let others: std::collections::BTreeSet<&str> = read
        .iter()
        .map(|(_, asset, _)| *asset)
        .filter(|asset| input_asset != Some(*asset))
        .collect();
    for asset in others {
        sql.query(
            "INSERT INTO job_inputs (job_id, asset_name) VALUES (?1, ?2)",
            &[id.into(), asset.into()],
        )
        .await?;
    }
    for (index, (output, recipe)) in new.outputs.iter().zip(&transform.outputs).enumerate() {
        let field = |member: &str| format!("properties.outputs[{index}].{member}");
        if new
            .outputs
            .iter()
            .take(index)
            .any(|earlier| earlier.asset_name == output.asset_name)
        {
            return Err(CatalogError::invalid(
                field("assetName"),
                "two outputs cannot go to the same asset",
            ));
        }
        let preset = output.preset_override.as_ref().unwrap_or(&recipe.preset);
        // Who adds a track to an asset may read its text there; an encoder would write over its own source.
        let is_read = read.iter().any(|(_, asset, _)| *asset == output.asset_name);
        if is_read && !presets::is_insert(preset) {
            return Err(CatalogError::invalid(
                field("assetName"),
                "must not be the input asset",
            ));
        }
        ensure_output_asset(
            sql,
            project,
            output,
            new.missing_assets,
            &field("assetName"),
            moment,
        )
        .await?;
        if let Some(preset) = &output.preset_override {
            presets::check(&field("presetOverride"), preset)?;
        }
        sql.query(
            "INSERT INTO job_outputs (job_id, output, asset_name, label, preset_json, overridden, state, progress, continues, urgency)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'Queued', 0, ?7, ?8)",
            &[
                id.into(),
                u32::try_from(index).unwrap_or(u32::MAX).into(),
                Value::from(&output.asset_name),
                Value::from(output.label.as_deref()),
                preset.to_string().into(),
                output.preset_override.is_some().into(),
                recipe.continues().into(),
                recipe.urgency().into(),
            ],
        )
        .await?;
    }
    Ok(id)
}

async fn ensure_output_asset<S: Sql>(
    sql: &S,
    project: &ProjectId,
    output: &NewOutput,
    missing: MissingAssets,
    field: &str,
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    let name = &output.asset_name;
    if assets::find(sql, project, name).await?.is_some() {
        return Ok(());
    }
    match missing {
        MissingAssets::Refuse => Err(CatalogError::invalid(
            field,
            format!("Asset '{name}' not found."),
        )),
        MissingAssets::Create => {
            names::resource(field, name)?;
            let write = assets::AssetWrite::default();
            assets::insert(sql, project, name, &write, moment.ids.uuid(), moment.now)
                .await
                .map(|_| ())
        }
    }
}

/// Changes a job's description and priority: all that may be changed.
///
/// Errors: [`CatalogError::NotFound`], [`CatalogError::Invalid`].
pub async fn update<S: Sql>(
    sql: &S,
    project: &ProjectId,
    transform: &str,
    name: &str,
    update: &JobUpdate,
    now: jiff::Timestamp,
) -> Result<Job, CatalogError> {
    names::text(
        "properties.description",
        update.description.as_deref(),
        4096,
    )?;
    transaction(sql, async |sql| {
        sql.query(
            "UPDATE jobs SET description = coalesce(?4, description), priority = coalesce(?5, priority), modified = ?6
             WHERE project_id = ?1 AND transform_name = ?2 AND name = ?3",
            &[
                project.into(),
                transform.into(),
                name.into(),
                Value::from(update.description.as_deref()),
                Value::from(update.priority.map(Priority::rank)),
                now.into(),
            ],
        )
        .await?;
        get(sql, project, transform, name).await
    })
    .await
}

/// Deletes a job that nobody is working on. Says whether there was one. What it made stays.
///
/// Errors: [`CatalogError::WrongState`] while a worker has it.
pub async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    transform: &str,
    name: &str,
) -> Result<bool, CatalogError> {
    transaction(sql, async |sql| {
        let Some(job) = find(sql, project, transform, name).await? else {
            return Ok(false);
        };
        if job.state.is_leased() {
            return Err(CatalogError::WrongState(format!(
                "Job '{name}' is being worked on; cancel it first."
            )));
        }
        for table in TABLES_OF_A_JOB {
            sql.query(
                &format!("DELETE FROM {table} WHERE job_id = ?1"),
                &[job.id.into()],
            )
            .await?;
        }
        sql.query("DELETE FROM jobs WHERE id = ?1", &[job.id.into()])
            .await?;
        Ok(true)
    })
    .await
}

/// Cancels a job: at once if nobody has it, else as soon as its worker notices or is lost. Cancelling twice is a
/// success.
///
/// Errors: [`CatalogError::NotFound`]; [`CatalogError::WrongState`] if it is finished or failed.
pub async fn cancel<S: Sql>(
    sql: &S,
    project: &ProjectId,
    transform: &str,
    name: &str,
    moment: Moment<'_>,
) -> Result<Job, CatalogError> {
    transaction(sql, async |sql| {
        let job = get(sql, project, transform, name).await?;
        match job.state {
            JobState::Canceled | JobState::Canceling => {}
            JobState::Queued => queue::end(sql, job.id, JobState::Canceled, moment).await?,
            JobState::Scheduled | JobState::Processing => {
                queue::begin_cancel(sql, job.id, moment).await?;
            }
            JobState::Finished | JobState::Error => {
                return Err(CatalogError::WrongState(format!(
                    "Job '{name}' is in state {} and cannot be canceled.",
                    job.state.name()
                )));
            }
        }
        get(sql, project, transform, name).await
    })
    .await
}
