//! Streaming locators: an asset made reachable by players under an unguessable id.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::events::{self, Event, EventType, Payload};
use crate::ids::{Moment, ProjectId};
use crate::query::{Field, FieldKind, Listing, Page};
use crate::sql::{Row, Sql, Value, transaction};
use crate::{Written, assets, names, policies};

/// Locators an asset may have.
pub const MAX_PER_ASSET: usize = 100;

/// A locator. Serialises as events keep it, which is not how it looks on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamingLocator {
    pub name: String,
    /// First element of the streaming URL's path.
    pub locator_id: Uuid,
    pub asset_name: String,
    pub policy_name: String,
    pub start_time: Option<Timestamp>,
    pub end_time: Option<Timestamp>,
    pub alternative_media_id: Option<String>,
    pub default_manifest: Option<String>,
    pub suppressed: bool,
    /// What the writer sent beyond the above, shown as it came.
    pub extra: Map<String, Json>,
    pub created: Timestamp,
}

/// A locator to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewLocator {
    /// Chosen by the writer, for instance to keep URLs over a migration; else made here.
    pub locator_id: Option<Uuid>,
    pub asset_name: String,
    pub policy_name: String,
    pub start_time: Option<Timestamp>,
    pub end_time: Option<Timestamp>,
    pub alternative_media_id: Option<String>,
    pub default_manifest: Option<String>,
    pub suppressed: bool,
    pub extra: Map<String, Json>,
    /// [`crate::fingerprint()`] of the request.
    pub fingerprint: String,
}

/// What a PUT on a locator that exists does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfExists {
    /// AMS: a locator is never changed; the same request again is answered with it, another one is a conflict.
    Keep,
    /// MK.IO: it is replaced, as long as asset and locator id stay.
    Replace,
}

const COLUMNS: &str = "name, locator_id, asset_name, policy_name, start_time, end_time, alternative_media_id, default_manifest, suppressed, extra_json, created";

const FIELDS: &[Field] = &[
    Field::new("name", "name", FieldKind::Text),
    Field::new("properties/created", "created", FieldKind::Time),
    Field::new("properties/endTime", "end_time", FieldKind::Time),
    Field::new("properties/assetName", "asset_name", FieldKind::Text),
    Field::new(
        "properties/streamingPolicyName",
        "policy_name",
        FieldKind::Text,
    ),
    Field::new(
        "properties/streamingLocatorId",
        "locator_id",
        FieldKind::Uuid,
    ),
];

pub(crate) const ENTITY: Entity<StreamingLocator> = Entity {
    one: "Streaming locator",
    many: "streaming locators",
    table: "streaming_locators",
    columns: COLUMNS,
    read: from_row,
    tie: "name",
    fields: FIELDS,
    labels: None,
};

fn from_row(row: &Row<'_>) -> Result<StreamingLocator, CatalogError> {
    Ok(StreamingLocator {
        name: row.text("name")?,
        locator_id: row.uuid("locator_id")?,
        asset_name: row.text("asset_name")?,
        policy_name: row.text("policy_name")?,
        start_time: row.opt_time("start_time")?,
        end_time: row.opt_time("end_time")?,
        alternative_media_id: row.opt_text("alternative_media_id")?,
        default_manifest: row.opt_text("default_manifest")?,
        suppressed: row.flag("suppressed")?,
        extra: row.json("extra_json")?,
        created: row.time("created")?,
    })
}

/// One locator.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<StreamingLocator, CatalogError> {
    ENTITY.get(sql, project, name).await
}

/// A page of locators.
pub async fn list<S: Sql>(
    sql: &S,
    project: &ProjectId,
    listing: &Listing,
) -> Result<Page<StreamingLocator>, CatalogError> {
    ENTITY.list(sql, project, listing).await
}

/// An asset's locators, by name.
pub async fn of_asset<S: Sql>(
    sql: &S,
    project: &ProjectId,
    asset: &str,
) -> Result<Vec<StreamingLocator>, CatalogError> {
    let scope = [("project_id", project.into()), ("asset_name", asset.into())];
    ENTITY.all(sql, &scope).await
}

/// Publishes an asset.
///
/// Errors: [`CatalogError::Invalid`] for asset, policy, times; [`CatalogError::Conflict`] if the name or the locator id
/// is taken.
pub async fn put<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    new: &NewLocator,
    if_exists: IfExists,
    moment: Moment<'_>,
) -> Result<(StreamingLocator, Written), CatalogError> {
    transaction(sql, async |sql| {
        let Some(old) = ENTITY.find(sql, project, name).await? else {
            return Ok((insert(sql, project, name, new, moment).await?, Written::Created));
        };
        let same = sql
            .query(
                "SELECT 1 FROM streaming_locators WHERE project_id = ?1 AND name = ?2 AND fingerprint = ?3",
                &[project.into(), name.into(), Value::from(&new.fingerprint)],
            )
            .await?;
        if !same.is_empty() {
            return Ok((old, Written::Existing));
        }
        let other_id = new.locator_id.is_some_and(|id| id != old.locator_id);
        if if_exists == IfExists::Keep || new.asset_name != old.asset_name || other_id {
            return Err(CatalogError::Conflict(format!(
                "Streaming locator '{name}' already exists."
            )));
        }
        check(sql, project, name, new).await?;
        sql.query(
            "UPDATE streaming_locators SET policy_name = ?3, start_time = ?4, end_time = ?5, alternative_media_id = ?6,
                 default_manifest = ?7, suppressed = ?8, extra_json = ?9, fingerprint = ?10
             WHERE project_id = ?1 AND name = ?2",
            &[
                project.into(),
                name.into(),
                Value::from(&new.policy_name),
                Value::from(new.start_time),
                Value::from(new.end_time),
                Value::from(new.alternative_media_id.as_deref()),
                Value::from(new.default_manifest.as_deref()),
                new.suppressed.into(),
                Json::Object(new.extra.clone()).to_string().into(),
                Value::from(&new.fingerprint),
            ],
        )
        .await?;
        Ok((get(sql, project, name).await?, Written::Existing))
    })
    .await
}

async fn check<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    new: &NewLocator,
) -> Result<(), CatalogError> {
    names::resource("name", name)?;
    if let (Some(start), Some(end)) = (new.start_time, new.end_time)
        && start >= end
    {
        return Err(CatalogError::invalid(
            "properties.endTime",
            "must be after startTime",
        ));
    }
    if let Some(manifest) = &new.default_manifest {
        names::blob("properties.defaultManifestFilename", manifest)?;
    }
    if assets::find(sql, project, &new.asset_name).await?.is_none() {
        return Err(CatalogError::invalid(
            "properties.assetName",
            format!("Asset '{}' not found.", new.asset_name),
        ));
    }
    check_policy(
        sql,
        project,
        "properties.streamingPolicyName",
        &new.policy_name,
    )
    .await
}

/// Whether locators may use a policy. `field`: where it was named.
pub(crate) async fn check_policy<S: Sql>(
    sql: &S,
    project: &ProjectId,
    field: &str,
    name: &str,
) -> Result<(), CatalogError> {
    let policy = match policies::get(sql, project, name).await {
        Err(CatalogError::NotFound { .. }) => {
            return Err(CatalogError::invalid(
                field,
                format!("Streaming policy '{name}' not found."),
            ));
        }
        found => found?,
    };
    if policies::needs_encryption(&policy.properties) {
        return Err(CatalogError::invalid(
            field,
            format!("'{name}' encrypts, which is not supported by this installation"),
        ));
    }
    Ok(())
}

/// Inside a transaction: adds a locator.
///
/// Errors: as [`put`]; [`CatalogError::Conflict`] for any locator of that name.
pub(crate) async fn insert<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    new: &NewLocator,
    moment: Moment<'_>,
) -> Result<StreamingLocator, CatalogError> {
    check(sql, project, name, new).await?;
    if of_asset(sql, project, &new.asset_name).await?.len() >= MAX_PER_ASSET {
        return Err(CatalogError::Conflict(format!(
            "Asset '{}' already has {MAX_PER_ASSET} streaming locators.",
            new.asset_name
        )));
    }
    let id = new.locator_id.unwrap_or_else(|| moment.ids.uuid());
    let taken = sql
        .query(
            "SELECT 1 FROM streaming_locators WHERE locator_id = ?1",
            &[id.into()],
        )
        .await?;
    if !taken.is_empty() {
        return Err(CatalogError::Conflict(format!(
            "Streaming locator id '{id}' is already in use."
        )));
    }
    sql.query(
        "INSERT INTO streaming_locators (project_id, name, locator_id, asset_name, policy_name, start_time, end_time,
             alternative_media_id, default_manifest, suppressed, extra_json, fingerprint, created)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        &[
            project.into(),
            name.into(),
            id.into(),
            Value::from(&new.asset_name),
            Value::from(&new.policy_name),
            Value::from(new.start_time),
            Value::from(new.end_time),
            Value::from(new.alternative_media_id.as_deref()),
            Value::from(new.default_manifest.as_deref()),
            new.suppressed.into(),
            Json::Object(new.extra.clone()).to_string().into(),
            Value::from(&new.fingerprint),
            moment.now.into(),
        ],
    )
    .await
    .map_err(CatalogError::taken("Streaming locator", name))?;
    let locator = get(sql, project, name).await?;
    let event = Event {
        id: None,
        project: project.clone(),
        kind: EventType::STREAMING_LOCATOR_CREATED,
        subject: format!("streamingLocators/{name}"),
        previous: None,
        state: Some("Created".to_owned()),
        payload: Payload::StreamingLocator(Box::new(locator.clone())),
    };
    events::record(sql, moment, &event).await?;
    Ok(locator)
}

/// Takes a locator off. Says whether there was one.
pub async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<bool, CatalogError> {
    ENTITY.delete(sql, project, name).await
}
