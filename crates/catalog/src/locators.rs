//! Streaming locators: an asset made reachable by players under an unguessable id.

use headwater_seal::Seal;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::events::{self, Event, EventType, Payload};
use crate::ids::{Moment, ProjectId};
use crate::key_plan::{self, GivenKey, OrderedKey, PlannedKey};
use crate::locator_keys;
use crate::locator_keys::MissingKey;
use crate::policies::StreamingPolicy;
use crate::query::{Field, FieldKind, Listing, Page};
use crate::sql::{Row, Sql, Value, transaction};
use crate::{Written, assets, filters, names, policies};

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
    /// The content key policy of keys that name none.
    pub key_policy: Option<String>,
    pub start_time: Option<Timestamp>,
    pub end_time: Option<Timestamp>,
    pub alternative_media_id: Option<String>,
    /// What an external key server knows the content by.
    pub content_id: Option<String>,
    /// Always applied, on top of those that a URL names.
    pub filters: Vec<String>,
    /// The keys that the writer chose, an array in AMS's names, without their values.
    pub keys: Json,
    pub default_manifest: Option<String>,
    pub suppressed: bool,
    /// What the writer sent beyond the above, shown as it came.
    pub extra: Map<String, Json>,
    pub created: Timestamp,
}

/// A locator to be made.
#[derive(Debug, Clone, Default)]
pub struct NewLocator {
    /// Chosen by the writer, for instance to keep URLs over a migration; else made here.
    pub locator_id: Option<Uuid>,
    pub asset_name: String,
    pub policy_name: String,
    pub key_policy: Option<String>,
    pub start_time: Option<Timestamp>,
    pub end_time: Option<Timestamp>,
    pub alternative_media_id: Option<String>,
    pub content_id: Option<String>,
    pub filters: Vec<String>,
    /// Keys that the streaming policy has and that are not among these are made here.
    pub keys: Vec<GivenKey>,
    /// Keys that a vendor made, for what [`keys_to_make`] says.
    pub ordered: Vec<OrderedKey>,
    pub default_manifest: Option<String>,
    pub suppressed: bool,
    pub extra: Map<String, Json>,
    /// [`crate::fingerprint()`] of the request without its id and keys, which are compared with those that are kept: a client
    /// that writes back what it read asks for nothing new.
    pub fingerprint: String,
}

/// Longest identifier of somebody else's, in characters.
const LONGEST_ID: usize = 1024;

/// What a PUT on a locator that exists does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfExists {
    /// AMS: a locator is never changed; the same request again is answered with it, another one is a conflict.
    Keep,
    /// MK.IO: it is replaced, as long as asset and locator id stay.
    Replace,
}

const COLUMNS: &str = "name, locator_id, asset_name, policy_name, key_policy, start_time, end_time, alternative_media_id, content_id, filters_json, keys_json, default_manifest, suppressed, extra_json, created";

const FIELDS: &[Field] = &[
    Field::new("name", "name", FieldKind::Text),
    Field::new("properties/created", "created", FieldKind::Time),
    Field::new("properties/endTime", "end_time", FieldKind::OptionalTime),
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
    tie: Field::new("name", "name", FieldKind::Text),
    fields: FIELDS,
    labels: None,
};

fn from_row(row: &Row<'_>) -> Result<StreamingLocator, CatalogError> {
    Ok(StreamingLocator {
        name: row.text("name")?,
        locator_id: row.uuid("locator_id")?,
        asset_name: row.text("asset_name")?,
        policy_name: row.text("policy_name")?,
        key_policy: row.opt_text("key_policy")?,
        start_time: row.opt_time("start_time")?,
        end_time: row.opt_time("end_time")?,
        alternative_media_id: row.opt_text("alternative_media_id")?,
        content_id: row.opt_text("content_id")?,
        filters: row.json("filters_json")?,
        keys: row.json("keys_json")?,
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
/// Errors: [`CatalogError::Invalid`] for asset, policy, times, filters and keys; [`CatalogError::Conflict`] if the name, the
/// locator id or the id of a key is taken.
pub async fn put<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    name: &str,
    new: &NewLocator,
    if_exists: IfExists,
    moment: Moment<'_>,
) -> Result<(StreamingLocator, Written), CatalogError> {
    transaction(sql, async |sql| {
        let Some(old) = ENTITY.find(sql, project, name).await? else {
            let made = insert(sql, seal, project, name, new, moment).await?;
            return Ok((made, Written::Created));
        };
        let policy = policy(sql, project, &new.policy_name).await?;
        let keys = planned(&policy, new)?;
        if is_same(sql, seal, project, &old, new, &keys).await? {
            return Ok((old, Written::Existing));
        }
        let other_id = new.locator_id.is_some_and(|id| id != old.locator_id);
        if if_exists == IfExists::Keep || new.asset_name != old.asset_name || other_id {
            return Err(exists(name));
        }
        check(sql, project, name, new).await?;
        key_plan::check_delivery(sql, project, &policy, &keys).await?;
        let place = Place {
            name,
            id: old.locator_id,
            created: old.created,
        };
        let locator = write(sql, seal, project, place, new, &keys, moment).await?;
        Ok((locator, Written::Existing))
    })
    .await
}

fn planned(policy: &StreamingPolicy, new: &NewLocator) -> Result<Vec<PlannedKey>, CatalogError> {
    let keys = key_plan::plan(policy, new.key_policy.as_deref(), &new.keys)?;
    Ok(key_plan::with_ordered(keys, &new.ordered))
}

/// The keys that [`put`] would make values for, for whoever has them made elsewhere. None if the locator cannot be put.
///
/// Errors: as [`put`], for what is wrong with the request itself.
pub async fn keys_to_make<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    name: &str,
    new: &NewLocator,
) -> Result<Vec<MissingKey>, CatalogError> {
    let policy = policy(sql, project, &new.policy_name).await?;
    let keys = planned(&policy, new)?;
    check(sql, project, name, new).await?;
    key_plan::check_delivery(sql, project, &policy, &keys).await?;
    locator_keys::missing(sql, seal, project, name, &keys).await
}

/// Whether a request is the one that the locator was made by.
async fn is_same<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    old: &StreamingLocator,
    new: &NewLocator,
    keys: &[PlannedKey],
) -> Result<bool, CatalogError> {
    let same = sql
        .query(
            "SELECT 1 FROM streaming_locators WHERE project_id = ?1 AND name = ?2 AND fingerprint = ?3",
            &[
                project.into(),
                Value::from(&old.name),
                Value::from(&new.fingerprint),
            ],
        )
        .await?;
    Ok(!same.is_empty()
        && new.locator_id.is_none_or(|id| id == old.locator_id)
        && old.keys == key_plan::shown(keys)
        && locator_keys::are_those_of(sql, seal, project, &old.name, keys).await?)
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
    for (field, text) in [
        ("properties.alternativeMediaId", &new.alternative_media_id),
        ("properties.contentId", &new.content_id),
    ] {
        names::text(field, text.as_deref(), LONGEST_ID)?;
    }
    if assets::find(sql, project, &new.asset_name).await?.is_none() {
        return Err(CatalogError::invalid(
            "properties.assetName",
            format!("Asset '{}' not found.", new.asset_name),
        ));
    }
    filters::check_for_locator(sql, project, &new.asset_name, &new.filters).await
}

/// The streaming policy that a locator is to have.
async fn policy<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<StreamingPolicy, CatalogError> {
    match policies::get(sql, project, name).await {
        Err(missing @ CatalogError::NotFound { .. }) => Err(CatalogError::invalid(
            "properties.streamingPolicyName",
            missing.to_string(),
        )),
        found => found,
    }
}

/// Whether locators may be made on a streaming policy without a word about keys.
///
/// Errors: [`CatalogError::Invalid`] naming `properties.streamingPolicyName`.
pub(crate) async fn check_policy<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<(), CatalogError> {
    let policy = policy(sql, project, name).await?;
    let keys = key_plan::plan(&policy, None, &[])?;
    match key_plan::check_delivery(sql, project, &policy, &keys).await {
        Err(CatalogError::Invalid { message, .. }) => Err(CatalogError::invalid(
            "properties.streamingPolicyName",
            message,
        )),
        outcome => outcome,
    }
}

/// Inside a transaction: adds a locator.
///
/// Errors: as [`put`]; [`CatalogError::Conflict`] for any locator of that name.
pub(crate) async fn insert<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    name: &str,
    new: &NewLocator,
    moment: Moment<'_>,
) -> Result<StreamingLocator, CatalogError> {
    check(sql, project, name, new).await?;
    let policy = policy(sql, project, &new.policy_name).await?;
    let keys = planned(&policy, new)?;
    key_plan::check_delivery(sql, project, &policy, &keys).await?;
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
    let place = Place {
        name,
        id,
        created: moment.now,
    };
    let locator = write(sql, seal, project, place, new, &keys, moment).await?;
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

fn exists(name: &str) -> CatalogError {
    CatalogError::Taken {
        what: ENTITY.one,
        name: name.to_owned(),
    }
}

/// What of a locator never changes.
struct Place<'a> {
    name: &'a str,
    id: Uuid,
    created: Timestamp,
}

/// Inside a transaction: writes a locator's row, its keys and what it refers to.
///
/// Errors: [`CatalogError::Conflict`] if there is a locator of that name with another id.
async fn write<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    place: Place<'_>,
    new: &NewLocator,
    keys: &[PlannedKey],
    moment: Moment<'_>,
) -> Result<StreamingLocator, CatalogError> {
    let rows = sql
        .query(
            &format!(
                "INSERT INTO streaming_locators (project_id, name, locator_id, asset_name, policy_name, key_policy,
                     start_time, end_time, alternative_media_id, content_id, filters_json, keys_json, default_manifest,
                     suppressed, extra_json, fingerprint, created)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
                 ON CONFLICT (project_id, name) DO UPDATE SET policy_name = excluded.policy_name,
                     key_policy = excluded.key_policy, start_time = excluded.start_time, end_time = excluded.end_time,
                     alternative_media_id = excluded.alternative_media_id, content_id = excluded.content_id,
                     filters_json = excluded.filters_json, keys_json = excluded.keys_json,
                     default_manifest = excluded.default_manifest, suppressed = excluded.suppressed,
                     extra_json = excluded.extra_json, fingerprint = excluded.fingerprint
                     WHERE streaming_locators.locator_id = excluded.locator_id
                 RETURNING {COLUMNS}"
            ),
            &[
                project.into(),
                place.name.into(),
                place.id.into(),
                Value::from(&new.asset_name),
                Value::from(&new.policy_name),
                Value::from(new.key_policy.as_deref()),
                Value::from(new.start_time),
                Value::from(new.end_time),
                Value::from(new.alternative_media_id.as_deref()),
                Value::from(new.content_id.as_deref()),
                Json::from(new.filters.clone()).to_string().into(),
                key_plan::shown(keys).to_string().into(),
                Value::from(new.default_manifest.as_deref()),
                new.suppressed.into(),
                Json::Object(new.extra.clone()).to_string().into(),
                Value::from(&new.fingerprint),
                place.created.into(),
            ],
        )
        .await
        .map_err(CatalogError::taken(ENTITY.one, place.name))?;
    if rows.is_empty() {
        return Err(exists(place.name));
    }
    let of = (place.name, new.asset_name.as_str());
    locator_keys::write(sql, seal, project, of, keys, moment).await?;
    filters::use_in_locator(sql, project, of, &new.filters).await?;
    ENTITY.returned(&rows, place.name)
}

/// Takes a locator off, and its keys with it. Says whether there was one.
pub async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<bool, CatalogError> {
    transaction(sql, async |sql| {
        locator_keys::delete(sql, project, name).await?;
        filters::use_in_locator(sql, project, (name, ""), &[]).await?;
        ENTITY.delete(sql, project, name).await
    })
    .await
}
