//! Transforms: recipes for jobs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::ids::ProjectId;
use crate::query::{Field, FieldKind, Listing, Page};
use crate::sql::{Row, Sql, Value, transaction};
use crate::{Written, jobs, names, presets};

/// Outputs a transform may have.
pub const MAX_OUTPUTS: usize = 20;

/// One output: what a job that uses the transform makes. Serialises as it looks on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransformOutput {
    /// `StopProcessingJob` or `ContinueJob`: whether a job that cannot make this output makes the others all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<String>,
    /// `Low`, `Normal` or `High`: which of the outputs of one job are made first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_priority: Option<String>,
    pub preset: Json,
}

impl TransformOutput {
    /// Whether a job goes on without this output.
    pub(crate) fn continues(&self) -> bool {
        self.on_error.as_deref() == Some("ContinueJob")
    }

    /// The higher, the sooner it is made.
    pub(crate) fn urgency(&self) -> u32 {
        match self.relative_priority.as_deref() {
            Some("High") => 2,
            Some("Low") => 0,
            _ => 1,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Transform {
    pub name: String,
    pub description: Option<String>,
    pub outputs: Vec<TransformOutput>,
    pub created: Timestamp,
    pub modified: Timestamp,
}

const COLUMNS: &str = "name, description, outputs_json, created, modified";

const FIELDS: &[Field] = &[
    Field::new("name", "name", FieldKind::Text),
    Field::new("properties/created", "created", FieldKind::Time),
    Field::new("properties/lastModified", "modified", FieldKind::Time),
];

const ENTITY: Entity<Transform> = Entity {
    one: "Transform",
    many: "transforms",
    table: "transforms",
    columns: COLUMNS,
    read: from_row,
    tie: Field::new("name", "name", FieldKind::Text),
    fields: FIELDS,
    labels: None,
};

fn from_row(row: &Row<'_>) -> Result<Transform, CatalogError> {
    Ok(Transform {
        name: row.text("name")?,
        description: row.opt_text("description")?,
        outputs: row.json("outputs_json")?,
        created: row.time("created")?,
        modified: row.time("modified")?,
    })
}

/// One transform.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<Transform, CatalogError> {
    ENTITY.get(sql, project, name).await
}

/// A page of transforms.
pub async fn list<S: Sql>(
    sql: &S,
    project: &ProjectId,
    listing: &Listing,
) -> Result<Page<Transform>, CatalogError> {
    ENTITY.list(sql, project, listing).await
}

fn validate(
    name: &str,
    description: Option<&str>,
    outputs: Option<&[TransformOutput]>,
) -> Result<(), CatalogError> {
    names::resource("name", name)?;
    names::text("properties.description", description, 4096)?;
    let Some(outputs) = outputs else {
        return Ok(());
    };
    if outputs.is_empty() || outputs.len() > MAX_OUTPUTS {
        return Err(CatalogError::invalid(
            "properties.outputs",
            format!("must have 1 to {MAX_OUTPUTS} members"),
        ));
    }
    for (index, output) in outputs.iter().enumerate() {
        let at = |member: &str| format!("properties.outputs[{index}].{member}");
        let one_of = |member: &str, value: &Option<String>, allowed: &[&str]| match value {
            Some(value) if !allowed.contains(&value.as_str()) => Err(CatalogError::invalid(
                at(member),
                format!("must be one of {}", allowed.join(", ")),
            )),
            _ => Ok(()),
        };
        one_of(
            "onError",
            &output.on_error,
            &["StopProcessingJob", "ContinueJob"],
        )?;
        one_of(
            "relativePriority",
            &output.relative_priority,
            &["Low", "Normal", "High"],
        )?;
        presets::check(&at("preset"), &output.preset)?;
    }
    Ok(())
}

/// Creates a transform or replaces its description and outputs. Jobs that exist keep the presets they were made with.
///
/// Errors: [`CatalogError::Invalid`]; [`CatalogError::Conflict`] if an upload rule uses it and it would no longer have
/// one output.
pub async fn put<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    description: Option<&str>,
    outputs: &[TransformOutput],
    now: Timestamp,
) -> Result<(Transform, Written), CatalogError> {
    validate(name, description, Some(outputs))?;
    transaction(sql, async |sql| {
        suit_rules(sql, project, name, outputs).await?;
        write(sql, project, name, description, outputs, now).await
    })
    .await
}

/// Inside a transaction: writes the row, unchecked.
pub(crate) async fn write<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    description: Option<&str>,
    outputs: &[TransformOutput],
    now: Timestamp,
) -> Result<(Transform, Written), CatalogError> {
    let rows = sql
        .query(
            &format!(
                "INSERT INTO transforms (project_id, name, description, outputs_json, created, modified)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5)
                 ON CONFLICT (project_id, name) DO UPDATE SET description = excluded.description,
                     outputs_json = excluded.outputs_json, modified = excluded.modified
                 RETURNING {COLUMNS}, created = modified AS fresh"
            ),
            &[
                project.into(),
                name.into(),
                Value::from(description),
                serde_json::to_string(outputs).unwrap_or_default().into(),
                now.into(),
            ],
        )
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| CatalogError::corrupt("transforms", "no row written"))?;
    let written = if row.flag("fresh")? {
        Written::Created
    } else {
        Written::Existing
    };
    Ok((from_row(&row)?, written))
}

/// Changes what is given of an existing transform.
///
/// Errors: as [`put`], and [`CatalogError::NotFound`].
pub async fn update<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    description: Option<&str>,
    outputs: Option<&[TransformOutput]>,
    now: Timestamp,
) -> Result<Transform, CatalogError> {
    validate(name, description, outputs)?;
    transaction(sql, async |sql| {
        if let Some(outputs) = outputs {
            suit_rules(sql, project, name, outputs).await?;
        }
        let rows = sql
            .query(
                &format!(
                    "UPDATE transforms SET description = coalesce(?3, description),
                         outputs_json = coalesce(?4, outputs_json), modified = ?5
                     WHERE project_id = ?1 AND name = ?2 RETURNING {COLUMNS}"
                ),
                &[
                    project.into(),
                    name.into(),
                    Value::from(description),
                    Value::from(
                        outputs.map(|outputs| serde_json::to_string(outputs).unwrap_or_default()),
                    ),
                    now.into(),
                ],
            )
            .await?;
        ENTITY.returned(&rows, name)
    })
    .await
}

/// Refuses outputs that the upload rules that use a transform cannot work with: a rule makes one.
async fn suit_rules<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    outputs: &[TransformOutput],
) -> Result<(), CatalogError> {
    if outputs.len() == 1 {
        return Ok(());
    }
    match rule_of(sql, project, name).await? {
        Some(rule) => Err(CatalogError::Conflict(format!(
            "Transform '{name}' must have one output because upload rule '{rule}' uses it."
        ))),
        None => Ok(()),
    }
}

/// The name of an upload rule that uses a transform.
async fn rule_of<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<Option<String>, CatalogError> {
    let rows = sql
        .query(
            "SELECT name FROM upload_rules WHERE project_id = ?1 AND transform_name = ?2 LIMIT 1",
            &[project.into(), name.into()],
        )
        .await?;
    rows.first().map(|row| row.text("name")).transpose()
}

/// Deletes a transform and its jobs. Says whether there was one.
///
/// Errors: [`CatalogError::Conflict`] while one of its jobs is being worked on or an upload rule uses it.
pub async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<bool, CatalogError> {
    transaction(sql, async |sql| {
        let scope = [project.into(), Value::from(name)];
        let running = sql
            .query(
                "SELECT name FROM jobs WHERE project_id = ?1 AND transform_name = ?2
                 AND state IN ('Scheduled', 'Processing', 'Canceling') LIMIT 1",
                &scope,
            )
            .await?;
        if let Some(row) = running.first() {
            return Err(CatalogError::Conflict(format!(
                "Transform '{name}' has a job that is being worked on: '{}'.",
                row.text("name")?
            )));
        }
        if let Some(rule) = rule_of(sql, project, name).await? {
            return Err(CatalogError::Conflict(format!(
                "Transform '{name}' is used by upload rule '{rule}'."
            )));
        }
        let of_jobs =
            "job_id IN (SELECT id FROM jobs WHERE project_id = ?1 AND transform_name = ?2)";
        for table in jobs::TABLES_OF_A_JOB {
            sql.query(&format!("DELETE FROM {table} WHERE {of_jobs}"), &scope)
                .await?;
        }
        sql.query(
            "DELETE FROM jobs WHERE project_id = ?1 AND transform_name = ?2",
            &scope,
        )
        .await?;
        ENTITY.delete(sql, project, name).await
    })
    .await
}
