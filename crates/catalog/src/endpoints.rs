//! Streaming endpoints: whether a project's locators are served.

use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::operations;
use crate::query::{Field, FieldKind};
use crate::sql::{Row, Sql, transaction};

/// Starting and stopping take no time, so the states in between never show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    Stopped,
    Running,
}

impl EndpointState {
    /// AMS `StreamingEndpointResourceState`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Running => "Running",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct StreamingEndpoint {
    pub name: String,
    /// What a writer may set, in AMS's names.
    pub properties: Map<String, Json>,
    pub tags: Map<String, Json>,
    pub state: EndpointState,
    pub created: Timestamp,
    pub modified: Timestamp,
}

const ENTITY: Entity<StreamingEndpoint> = Entity {
    one: "Streaming endpoint",
    many: "streaming endpoints",
    table: "streaming_endpoints",
    columns: "name, properties_json, tags_json, state, created, modified",
    read: from_row,
    tie: "name",
    fields: &[Field::new("name", "name", FieldKind::Text)],
    labels: None,
};

fn from_row(row: &Row<'_>) -> Result<StreamingEndpoint, CatalogError> {
    Ok(StreamingEndpoint {
        name: row.text("name")?,
        properties: row.json("properties_json")?,
        tags: row.json("tags_json")?,
        state: match row.text("state")?.as_str() {
            "Running" => EndpointState::Running,
            "Stopped" => EndpointState::Stopped,
            _ => return Err(CatalogError::corrupt("state", "unknown")),
        },
        created: row.time("created")?,
        modified: row.time("modified")?,
    })
}

/// One endpoint.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<StreamingEndpoint, CatalogError> {
    ENTITY.get(sql, project, name).await
}

/// All endpoints of a project, by name.
pub async fn list<S: Sql>(
    sql: &S,
    project: &ProjectId,
) -> Result<Vec<StreamingEndpoint>, CatalogError> {
    ENTITY.all(sql, &[("project_id", project.into())]).await
}

/// What [`switch`] did.
#[derive(Debug, Clone, PartialEq)]
pub enum Switched {
    /// The endpoint was in that state already.
    Already,
    /// It is now; the operation can be asked about.
    Done(operations::Operation),
}

/// Starts or stops an endpoint. Asking for the state it is in is a success, so a repeated request is harmless.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn switch<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    to: EndpointState,
    moment: Moment<'_>,
) -> Result<Switched, CatalogError> {
    transaction(sql, async |sql| {
        let endpoint = get(sql, project, name).await?;
        if endpoint.state == to {
            return Ok(Switched::Already);
        }
        sql.query(
            "UPDATE streaming_endpoints SET state = ?3, modified = ?4 WHERE project_id = ?1 AND name = ?2",
            &[project.into(), name.into(), to.name().into(), moment.now.into()],
        )
        .await?;
        let operation =
            operations::succeeded(sql, project, operations::STREAMING_ENDPOINTS, name, moment).await?;
        Ok(Switched::Done(operation))
    })
    .await
}
