//! Long-running operations, for clients that ask what became of one.
//!
//! An operation outlives the resource it worked on: clients poll it after a delete.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::projects::{self, Project};
use crate::sql::{Row, Sql, Value};

/// [`Operation::collection`] of streaming endpoints.
pub const STREAMING_ENDPOINTS: &str = "streamingEndpoints";

/// [`Operation::collection`] of live events.
pub const LIVE_EVENTS: &str = "liveEvents";

/// [`Operation::collection`] of live outputs. The resource is both names, `event/output`.
pub const LIVE_OUTPUTS: &str = "liveOutputs";

/// [`Operation::collection`] of accounts.
pub const ACCOUNTS: &str = "mediaservices";

/// [`Operation::collection`] of tracks.
pub const TRACKS: &str = "tracks";

/// How long an operation can be asked about, from when it began; one in progress longer.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub id: String,
    pub collection: String,
    pub resource: String,
    pub status: OperationStatus,
    /// Of a failed one.
    pub error: Option<OperationError>,
    pub created: Timestamp,
}

/// AMS `AsyncOperationStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationStatus {
    InProgress,
    Succeeded,
    Failed,
}

impl OperationStatus {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::InProgress, Self::Succeeded, Self::Failed]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

/// Why an operation failed, for the client that asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationError {
    /// As in the API's own errors: `ServiceUnavailable`.
    pub code: String,
    pub message: String,
}

/// Records an operation that is done, inside the transaction that did it.
pub(crate) async fn succeeded<S: Sql>(
    sql: &S,
    project: &ProjectId,
    collection: &str,
    resource: &str,
    moment: Moment<'_>,
) -> Result<Operation, CatalogError> {
    let done = OperationStatus::Succeeded;
    record(sql, project, collection, resource, done, moment).await
}

/// Records an operation in the state it begins in, inside the transaction that begins it. Old ones are swept out on the
/// way.
pub(crate) async fn record<S: Sql>(
    sql: &S,
    project: &ProjectId,
    collection: &str,
    resource: &str,
    status: OperationStatus,
    moment: Moment<'_>,
) -> Result<Operation, CatalogError> {
    let operation = Operation {
        id: moment.ids.uuid().to_string(),
        collection: collection.to_owned(),
        resource: resource.to_owned(),
        status,
        error: None,
        created: moment.now,
    };
    sql.query(
        "INSERT INTO operations (id, project_id, collection, resource, status, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        &[
            Value::from(&operation.id),
            project.into(),
            collection.into(),
            resource.into(),
            status.name().into(),
            moment.now.into(),
        ],
    )
    .await?;
    let oldest = moment.now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
    sql.query(
        "DELETE FROM operations WHERE created < ?1 AND status <> 'InProgress'",
        &[oldest.into()],
    )
    .await?;
    Ok(operation)
}

/// Ends the operations in progress that `which` selects: a condition on the table, with parameters from `?3` on.
/// `error`: why they failed; `None` if they succeeded.
pub(crate) async fn end<S: Sql>(
    sql: &S,
    which: &str,
    parameters: &[Value],
    error: Option<&OperationError>,
) -> Result<(), CatalogError> {
    let status = match error {
        None => OperationStatus::Succeeded,
        Some(_) => OperationStatus::Failed,
    };
    let error = error.and_then(|error| serde_json::to_string(error).ok());
    let mut values = vec![status.name().into(), error.into()];
    values.extend_from_slice(parameters);
    sql.query(
        &format!(
            "UPDATE operations SET status = ?1, error_json = ?2 WHERE status = 'InProgress' AND {which}"
        ),
        &values,
    )
    .await?;
    Ok(())
}

/// An operation on an account, by its id alone, with the project that it worked on.
pub async fn of_account<S: Sql>(
    sql: &S,
    id: &str,
) -> Result<Option<(Operation, Project)>, CatalogError> {
    let rows = sql
        .query(
            "SELECT id, project_id, collection, resource, status, error_json, created FROM operations
             WHERE collection = ?1 AND id = ?2",
            &[ACCOUNTS.into(), id.into()],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let project = projects::by_id(sql, &row.text("project_id")?).await?;
    project
        .map(|project| Ok((from_row(&row)?, project)))
        .transpose()
}

/// An operation of this project on `collection`.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(
    sql: &S,
    project: &ProjectId,
    collection: &str,
    id: &str,
) -> Result<Operation, CatalogError> {
    let rows = sql
        .query(
            "SELECT id, collection, resource, status, error_json, created FROM operations
             WHERE project_id = ?1 AND collection = ?2 AND id = ?3",
            &[project.into(), collection.into(), id.into()],
        )
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| CatalogError::not_found("Operation", id))?;
    from_row(&row)
}

fn from_row(row: &Row<'_>) -> Result<Operation, CatalogError> {
    Ok(Operation {
        id: row.text("id")?,
        collection: row.text("collection")?,
        resource: row.text("resource")?,
        status: OperationStatus::parse(row.str("status")?)
            .ok_or_else(|| CatalogError::corrupt("status", "unknown"))?,
        error: row
            .opt_text("error_json")?
            .and_then(|text| serde_json::from_str(&text).ok()),
        created: row.time("created")?,
    })
}
