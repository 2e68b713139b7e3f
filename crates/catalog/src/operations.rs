//! Long-running operations, for clients that ask what became of one.
//!
//! An operation outlives the resource it worked on: clients poll it after a delete.

use jiff::{SignedDuration, Timestamp};

use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::projects::{self, Project};
use crate::sql::{Row, Sql, Value};

/// [`Operation::collection`] of streaming endpoints.
pub const STREAMING_ENDPOINTS: &str = "streamingEndpoints";

/// [`Operation::collection`] of accounts.
pub const ACCOUNTS: &str = "mediaservices";

/// [`Operation::collection`] of tracks.
pub const TRACKS: &str = "tracks";

/// How long an operation can be asked about.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub id: String,
    pub collection: String,
    pub resource: String,
    /// `Succeeded`, or later `InProgress` and `Failed`.
    pub status: String,
    pub created: Timestamp,
}

/// Records an operation that is done, inside the transaction that did it. Old ones are swept out on the way.
pub(crate) async fn succeeded<S: Sql>(
    sql: &S,
    project: &ProjectId,
    collection: &str,
    resource: &str,
    moment: Moment<'_>,
) -> Result<Operation, CatalogError> {
    let operation = Operation {
        id: moment.ids.uuid().to_string(),
        collection: collection.to_owned(),
        resource: resource.to_owned(),
        status: "Succeeded".to_owned(),
        created: moment.now,
    };
    sql.query(
        "INSERT INTO operations (id, project_id, collection, resource, status, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        &[
            Value::from(&operation.id),
            project.into(),
            collection.into(),
            resource.into(),
            Value::from(&operation.status),
            moment.now.into(),
        ],
    )
    .await?;
    let oldest = moment.now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
    sql.query(
        "DELETE FROM operations WHERE created < ?1",
        &[oldest.into()],
    )
    .await?;
    Ok(operation)
}

/// An operation on an account, by its id alone, with the project that it worked on.
pub async fn of_account<S: Sql>(
    sql: &S,
    id: &str,
) -> Result<Option<(Operation, Project)>, CatalogError> {
    let rows = sql
        .query(
            "SELECT id, project_id, collection, resource, status, created FROM operations
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
            "SELECT id, collection, resource, status, created FROM operations
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
        status: row.text("status")?,
        created: row.time("created")?,
    })
}
