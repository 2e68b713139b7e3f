//! Projects, which the AMS surface calls media services accounts.

pub(crate) mod setup;

use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::assets::{self, Asset};
use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::operations::{self, Operation};
use crate::sql::{Row, Sql, Value, transaction};

pub use setup::{NewProject, create, delete};

/// The project that an installation begins with, and its account and streaming endpoint.
pub const DEFAULT: &str = "default";

/// A tenant: everything else belongs to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    pub id: ProjectId,
    pub name: String,
    pub display_name: String,
    pub location: String,
    pub subscription_id: String,
    pub resource_group: String,
    pub account_name: String,
    /// ARM's tags.
    pub tags: Map<String, Json>,
    pub created: Timestamp,
    pub modified: Timestamp,
}

impl Project {
    /// The project's id as the UUID it is (AMS `mediaServiceId`).
    pub fn uuid(&self) -> Uuid {
        Uuid::parse_str(&self.id.0).unwrap_or_default()
    }
}

const COLUMNS: &str = "id, name, display_name, location, subscription_id, resource_group, account_name, tags_json, created, modified";

/// The same where they come along with others. Written out: the text is put together for every request.
const ALONG: &str = "p.id AS project_id, p.name AS project_name, p.display_name AS project_display_name, \
    p.location AS project_location, p.subscription_id AS project_subscription_id, \
    p.resource_group AS project_resource_group, p.account_name AS project_account_name, \
    p.tags_json AS project_tags_json, p.created AS project_created, p.modified AS project_modified";

fn from_row(row: &Row<'_>) -> Result<Project, CatalogError> {
    Ok(Project {
        id: ProjectId(row.text("id")?),
        name: row.text("name")?,
        display_name: row.text("display_name")?,
        location: row.text("location")?,
        subscription_id: row.text("subscription_id")?,
        resource_group: row.text("resource_group")?,
        account_name: row.text("account_name")?,
        tags: row.json("tags_json")?,
        created: row.time("created")?,
        modified: row.time("modified")?,
    })
}

/// How a request says which project it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    Name(&'a str),
    /// A UUID, lower case with hyphens.
    Id(&'a str),
    /// What the AMS surface calls it, compared without regard to case as ARM does.
    Account {
        subscription_id: &'a str,
        resource_group: &'a str,
        account: &'a str,
    },
}

impl Named<'_> {
    /// The condition on `projects p`, and its parameters, of which the first has this number.
    fn condition(self, first: usize) -> (String, Vec<Value>) {
        match self {
            Self::Name(name) => (format!("p.name = ?{first}"), vec![name.into()]),
            Self::Id(id) => (format!("p.id = ?{first}"), vec![id.into()]),
            Self::Account {
                subscription_id,
                resource_group,
                account,
            } => {
                let equals = |column: &str, at: usize| {
                    let number = first.saturating_add(at);
                    format!("lower(p.{column}) = lower(?{number})")
                };
                let columns = ["subscription_id", "resource_group", "account_name"];
                let conditions = columns
                    .iter()
                    .zip(0..)
                    .map(|(column, at)| equals(column, at));
                (
                    conditions.collect::<Vec<_>>().join(" AND "),
                    vec![
                        subscription_id.into(),
                        resource_group.into(),
                        account.into(),
                    ],
                )
            }
        }
    }
}

/// What a request is about, to be brought along by a statement about something else, so that it need not be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    pub project: Named<'a>,
    /// An asset of that project, by name.
    pub asset: Option<&'a str>,
}

impl<'a> From<Named<'a>> for Asked<'a> {
    fn from(project: Named<'a>) -> Self {
        let asset = None;
        Self { project, asset }
    }
}

/// What came along, as far as it exists.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Brought {
    pub project: Option<Project>,
    /// `None` as well if it was not asked for.
    pub asset: Option<Asset>,
}

/// The parts of a statement that bring something along.
#[derive(Default)]
pub(crate) struct Along {
    /// After what else is selected; begins with a comma.
    pub(crate) columns: String,
    /// After the other joins.
    pub(crate) join: String,
    /// After the other parameters.
    pub(crate) params: Vec<Value>,
}

/// `first`: the number of the first parameter. Nothing asked: nothing is added to the statement.
pub(crate) fn along(asked: Option<Asked<'_>>, first: usize) -> Along {
    let Some(Asked { project, asset }) = asked else {
        return Along::default();
    };
    let (condition, mut params) = project.condition(first);
    let mut columns = format!(", {ALONG}");
    let mut join = format!(" LEFT JOIN projects p ON {condition}");
    if let Some(asset) = asset {
        let name = first.saturating_add(params.len());
        columns.push_str(", ");
        columns.push_str(assets::ALONG);
        join.push_str(&format!(
            " LEFT JOIN assets a ON a.project_id = p.id AND a.name = ?{name}"
        ));
        params.push(asset.into());
    }
    Along {
        columns,
        join,
        params,
    }
}

/// What came along with a row.
pub(crate) fn brought(row: &Row<'_>, asked: Option<Asked<'_>>) -> Result<Brought, CatalogError> {
    let Some(Asked { asset, .. }) = asked else {
        return Ok(Brought::default());
    };
    let project = match row.opt_text("project_id")? {
        Some(id) => Some(Project {
            id: ProjectId(id),
            name: row.text("project_name")?,
            display_name: row.text("project_display_name")?,
            location: row.text("project_location")?,
            subscription_id: row.text("project_subscription_id")?,
            resource_group: row.text("project_resource_group")?,
            account_name: row.text("project_account_name")?,
            tags: row.json("project_tags_json")?,
            created: row.time("project_created")?,
            modified: row.time("project_modified")?,
        }),
        None => None,
    };
    let asset = match asset {
        Some(_) => assets::brought(row)?,
        None => None,
    };
    Ok(Brought { project, asset })
}

/// The project that is named so.
pub async fn find<S: Sql>(sql: &S, named: Named<'_>) -> Result<Option<Project>, CatalogError> {
    let (condition, params) = named.condition(1);
    let rows = sql
        .query(
            &format!("SELECT {COLUMNS} FROM projects p WHERE {condition}"),
            &params,
        )
        .await?;
    rows.first().map(|row| from_row(&row)).transpose()
}

/// The project of that name.
pub async fn by_name<S: Sql>(sql: &S, name: &str) -> Result<Option<Project>, CatalogError> {
    find(sql, Named::Name(name)).await
}

/// All projects by name; with `subscription_id`, and perhaps `resource_group`, those the AMS surface lists there.
pub async fn list<S: Sql>(
    sql: &S,
    subscription_id: Option<&str>,
    resource_group: Option<&str>,
) -> Result<Vec<Project>, CatalogError> {
    let rows = sql
        .query(
            &format!(
                "SELECT {COLUMNS} FROM projects WHERE (CAST(?1 AS TEXT) IS NULL OR lower(subscription_id) = lower(?1))
                 AND (CAST(?2 AS TEXT) IS NULL OR lower(resource_group) = lower(?2)) ORDER BY name"
            ),
            &[Value::from(subscription_id), Value::from(resource_group)],
        )
        .await?;
    rows.iter().map(|row| from_row(&row)).collect()
}

/// How many of each kind a project has, for MK.IO's `stats`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub assets: u32,
    pub content_key_policies: u32,
    pub filters: u32,
    pub upload_rules: u32,
    pub transforms: u32,
    pub jobs: u32,
    pub live_events: u32,
    pub live_events_running: u32,
    pub live_events_stopped: u32,
    pub storage_accounts: u32,
    pub streaming_endpoints: u32,
    pub streaming_endpoints_running: u32,
    pub streaming_locators: u32,
    pub streaming_policies: u32,
}

/// Changes how a project is shown.
///
/// Errors: [`CatalogError::Invalid`], [`CatalogError::NotFound`].
pub async fn set_display_name<S: Sql>(
    sql: &S,
    project: &ProjectId,
    display_name: &str,
    now: Timestamp,
) -> Result<Project, CatalogError> {
    setup::check_display_name(display_name)?;
    let rows = sql
        .query(
            &format!("UPDATE projects SET display_name = ?2, modified = ?3 WHERE id = ?1 RETURNING {COLUMNS}"),
            &[project.into(), display_name.into(), now.into()],
        )
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| CatalogError::not_found("Project", project.as_str()))?;
    from_row(&row)
}

/// Sets a project's tags, and leaves an operation behind that can be asked about.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn set_tags<S: Sql>(
    sql: &S,
    project: &ProjectId,
    tags: &Map<String, Json>,
    moment: Moment<'_>,
) -> Result<(Project, Operation), CatalogError> {
    transaction(sql, async |sql| {
        let rows = sql
            .query(
                &format!(
                    "UPDATE projects SET tags_json = ?2, modified = ?3 WHERE id = ?1 RETURNING {COLUMNS}"
                ),
                &[
                    project.into(),
                    serde_json::to_string(tags).unwrap_or_default().into(),
                    moment.now.into(),
                ],
            )
            .await?;
        let row = rows
            .first()
            .ok_or_else(|| CatalogError::not_found("Project", project.as_str()))?;
        let changed = from_row(&row)?;
        let name = &changed.account_name;
        let operation =
            operations::succeeded(sql, project, operations::ACCOUNTS, name, moment).await?;
        Ok((changed, operation))
    })
    .await
}

/// The project with this id: a UUID, lower case with hyphens.
pub async fn by_id<S: Sql>(sql: &S, id: &str) -> Result<Option<Project>, CatalogError> {
    find(sql, Named::Id(id)).await
}

/// Counts a project's resources. Predefined policies are not counted.
pub async fn counts<S: Sql>(sql: &S, project: &ProjectId) -> Result<Counts, CatalogError> {
    let rows = sql
        .query(
            "SELECT (SELECT count(*) FROM assets WHERE project_id = ?1) AS assets,
                    (SELECT count(*) FROM content_key_policies WHERE project_id = ?1) AS key_policies,
                    (SELECT count(*) FROM filters WHERE project_id = ?1) AS filters,
                    (SELECT count(*) FROM upload_rules WHERE project_id = ?1) AS upload_rules,
                    (SELECT count(*) FROM transforms WHERE project_id = ?1) AS transforms,
                    (SELECT count(*) FROM jobs WHERE project_id = ?1) AS jobs,
                    (SELECT count(*) FROM live_events WHERE project_id = ?1) AS live_events,
                    (SELECT count(*) FROM live_events WHERE project_id = ?1 AND state = 'Running') AS live_running,
                    (SELECT count(*) FROM live_events WHERE project_id = ?1 AND state = 'Stopped') AS live_stopped,
                    (SELECT count(*) FROM storage_accounts WHERE project_id = ?1) AS storage_accounts,
                    (SELECT count(*) FROM streaming_endpoints WHERE project_id = ?1) AS endpoints,
                    (SELECT count(*) FROM streaming_endpoints WHERE project_id = ?1 AND state = 'Running') AS running,
                    (SELECT count(*) FROM streaming_locators WHERE project_id = ?1) AS locators,
                    (SELECT count(*) FROM streaming_policies WHERE project_id = ?1) AS policies",
            &[project.into()],
        )
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| CatalogError::corrupt("counts", "no row"))?;
    Ok(Counts {
        assets: row.unsigned("assets")?,
        content_key_policies: row.unsigned("key_policies")?,
        filters: row.unsigned("filters")?,
        upload_rules: row.unsigned("upload_rules")?,
        transforms: row.unsigned("transforms")?,
        jobs: row.unsigned("jobs")?,
        live_events: row.unsigned("live_events")?,
        live_events_running: row.unsigned("live_running")?,
        live_events_stopped: row.unsigned("live_stopped")?,
        storage_accounts: row.unsigned("storage_accounts")?,
        streaming_endpoints: row.unsigned("endpoints")?,
        streaming_endpoints_running: row.unsigned("running")?,
        streaming_locators: row.unsigned("locators")?,
        streaming_policies: row.unsigned("policies")?,
    })
}
