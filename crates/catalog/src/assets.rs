//! Assets: a container, or a folder in one, with a name.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::ids::ProjectId;
use crate::query::{Field, FieldKind, Listing, Page};
use crate::sql::{Row, Sql, Value, transaction};
use crate::{Written, labels, live, names, storage};

/// What becomes of the files when the asset is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionPolicy {
    Retain,
    Delete,
}

impl DeletionPolicy {
    /// MK.IO `containerDeletionPolicy`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Retain => "Retain",
            Self::Delete => "Delete",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Retain, Self::Delete]
            .into_iter()
            .find(|policy| policy.name() == name)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Asset {
    pub name: String,
    pub asset_id: Uuid,
    /// Name of the storage account.
    pub storage_account: String,
    pub container: String,
    /// Folder in the container, without slashes at either end; empty for the whole container.
    pub sub_path: String,
    pub description: Option<String>,
    pub alternate_id: Option<String>,
    pub deletion_policy: DeletionPolicy,
    pub labels: BTreeMap<String, String>,
    /// What the writer sent beyond the above, shown as it came.
    pub extra: Map<String, Json>,
    /// File name of the server manifest, once known.
    pub manifest: Option<String>,
    /// How long it plays, in milliseconds, once known.
    pub duration_ms: Option<u32>,
    pub created: Timestamp,
    pub modified: Timestamp,
}

/// What a writer says about an asset. A field that is `None` is left as it is, or takes its default in a new asset.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AssetWrite {
    pub storage_account: Option<String>,
    pub container: Option<String>,
    pub sub_path: Option<String>,
    pub description: Option<String>,
    pub alternate_id: Option<String>,
    pub deletion_policy: Option<DeletionPolicy>,
    pub labels: Option<BTreeMap<String, String>>,
    /// Whether the writer is shown no labels: what PUT does not mention of them then stays.
    pub sees_no_labels: bool,
    pub extra: Map<String, Json>,
}

const COLUMNS: &str = "name, asset_id, storage_account, container, sub_path, description, alternate_id, deletion_policy, labels_json, extra_json, manifest, duration_ms, created, modified";

const FIELDS: &[Field] = &[
    Field::new("name", "name", FieldKind::Text),
    Field::new("properties/created", "created", FieldKind::Time),
    Field::new("properties/lastModified", "modified", FieldKind::Time),
    Field::new(
        "properties/alternateId",
        "alternate_id",
        FieldKind::OptionalText,
    ),
    Field::new("properties/assetId", "asset_id", FieldKind::Uuid),
    Field::new(
        "properties/storageAccountName",
        "storage_account",
        FieldKind::Text,
    ),
    Field::new("properties/container", "container", FieldKind::Text),
    Field::new(
        "properties/description",
        "description",
        FieldKind::OptionalText,
    ),
];

const ENTITY: Entity<Asset> = Entity {
    one: "Asset",
    many: "assets",
    table: "assets",
    columns: COLUMNS,
    read: from_row,
    tie: Field::new("name", "name", FieldKind::Text),
    fields: FIELDS,
    labels: Some(
        "SELECT 1 FROM asset_labels WHERE asset_labels.project_id = assets.project_id AND asset_name = assets.name",
    ),
};

fn from_row(row: &Row<'_>) -> Result<Asset, CatalogError> {
    Ok(Asset {
        name: row.text("name")?,
        asset_id: row.uuid("asset_id")?,
        storage_account: row.text("storage_account")?,
        container: row.text("container")?,
        sub_path: row.text("sub_path")?,
        description: row.opt_text("description")?,
        alternate_id: row.opt_text("alternate_id")?,
        deletion_policy: DeletionPolicy::parse(row.str("deletion_policy")?)
            .ok_or_else(|| CatalogError::corrupt("deletion_policy", "unknown"))?,
        labels: row.json("labels_json")?,
        extra: row.json("extra_json")?,
        manifest: row.opt_text("manifest")?,
        duration_ms: row
            .opt_integer("duration_ms")?
            .and_then(|ms| u32::try_from(ms).ok()),
        created: row.time("created")?,
        modified: row.time("modified")?,
    })
}

/// The columns where they come along with others. Written out: the text is put together for every request.
pub(crate) const ALONG: &str = "a.name, a.asset_id, a.storage_account, a.container, a.sub_path, a.description, \
    a.alternate_id, a.deletion_policy, a.labels_json, a.extra_json, a.manifest, a.duration_ms, a.created, a.modified";

/// The asset that came along with a row, if there is one.
pub(crate) fn brought(row: &Row<'_>) -> Result<Option<Asset>, CatalogError> {
    match row.opt_str("asset_id")? {
        Some(_) => from_row(row).map(Some),
        None => Ok(None),
    }
}

/// One asset, if it exists.
pub async fn find<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<Option<Asset>, CatalogError> {
    ENTITY.find(sql, project, name).await
}

/// One asset.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(sql: &S, project: &ProjectId, name: &str) -> Result<Asset, CatalogError> {
    ENTITY.get(sql, project, name).await
}

/// A page of assets.
pub async fn list<S: Sql>(
    sql: &S,
    project: &ProjectId,
    listing: &Listing,
) -> Result<Page<Asset>, CatalogError> {
    ENTITY.list(sql, project, listing).await
}

/// As [`list`], of what `each` makes of the assets, while the database counts them where it is a server.
pub async fn list_each<S: Sql, R, E: From<CatalogError>>(
    sql: &S,
    project: &ProjectId,
    listing: &Listing,
    each: impl FnMut(Asset) -> Result<R, E>,
) -> Result<Page<R>, E> {
    ENTITY.list_each(sql, project, listing, each).await
}

/// The container of an asset that names none.
pub fn default_container(asset_id: Uuid) -> String {
    format!("asset-{asset_id}")
}

/// Checks what can be checked without the database, for whoever makes something in storage before [`put`]. Field names are
/// those of the resource.
///
/// Errors: [`CatalogError::Invalid`].
pub fn validate(name: &str, write: &AssetWrite) -> Result<(), CatalogError> {
    names::resource("name", name)?;
    if let Some(container) = &write.container {
        names::container("properties.container", container)?;
    }
    if let Some(sub_path) = &write.sub_path {
        names::folder("properties.subPath", sub_path)?;
    }
    names::text("properties.description", write.description.as_deref(), 4096)?;
    names::text("properties.alternateId", write.alternate_id.as_deref(), 64)?;
    write.labels.as_ref().map_or(Ok(()), labels::check)
}

fn unchanged(field: &str, asked: Option<&str>, is: &str) -> Result<(), CatalogError> {
    match asked {
        Some(asked) if asked != is => Err(CatalogError::invalid(
            field,
            format!("cannot be changed once the asset exists (it is '{is}')"),
        )),
        _ => Ok(()),
    }
}

/// What becomes of what a writer does not mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    /// PATCH leaves it as it is.
    Kept,
    /// PUT says what the asset is: it goes back to its default. Not the deletion policy, which MK.IO says cannot be unset.
    Default,
}

/// Creates an asset, or makes one that exists what `write` says.
///
/// `asset_id`: of a new asset; the caller has made it (and perhaps its container) beforehand.
///
/// Errors: [`CatalogError::Invalid`], also for a change of `storageAccountName`, `container` or `subPath`;
/// [`CatalogError::NotFound`] for the storage account.
pub async fn put<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    write: &AssetWrite,
    asset_id: Uuid,
    now: Timestamp,
) -> Result<(Asset, Written), CatalogError> {
    validate(name, write)?;
    transaction(sql, async |sql| {
        if find(sql, project, name).await?.is_some() {
            return Ok((
                change(sql, project, name, write, Absent::Default, now).await?,
                Written::Existing,
            ));
        }
        let asset = insert(sql, project, name, write, asset_id, now).await?;
        Ok((asset, Written::Created))
    })
    .await
}

/// Changes an existing asset.
///
/// Errors: as [`put`], and [`CatalogError::NotFound`].
pub async fn update<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    write: &AssetWrite,
    now: Timestamp,
) -> Result<Asset, CatalogError> {
    validate(name, write)?;
    transaction(sql, async |sql| {
        change(sql, project, name, write, Absent::Kept, now).await
    })
    .await
}

/// Inside a transaction: adds an asset.
///
/// Errors: [`CatalogError::Invalid`]; [`CatalogError::Conflict`] if it exists.
pub(crate) async fn insert<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    write: &AssetWrite,
    asset_id: Uuid,
    now: Timestamp,
) -> Result<Asset, CatalogError> {
    let account = match &write.storage_account {
        Some(account) => match storage::get(sql, project, account).await {
            Err(CatalogError::NotFound { .. }) => {
                return Err(CatalogError::invalid(
                    "properties.storageAccountName",
                    format!("there is no storage account '{account}'"),
                ));
            }
            found => found?,
        },
        None => storage::primary(sql, project).await?,
    };
    let sub_path = names::folder(
        "properties.subPath",
        write.sub_path.as_deref().unwrap_or_default(),
    )?;
    let container = write
        .container
        .clone()
        .unwrap_or_else(|| default_container(asset_id));
    let labels =
        serde_json::to_string(&write.labels.clone().unwrap_or_default()).unwrap_or_default();
    sql.query(
        "INSERT INTO assets (project_id, name, asset_id, storage_account, container, sub_path, description,
             alternate_id, deletion_policy, labels_json, extra_json, created, modified)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12)",
        &[
            project.into(),
            name.into(),
            asset_id.into(),
            account.name.into(),
            container.into(),
            sub_path.into(),
            Value::from(write.description.as_deref()),
            Value::from(write.alternate_id.as_deref()),
            write.deletion_policy.unwrap_or(DeletionPolicy::Retain).name().into(),
            labels.into(),
            Json::Object(write.extra.clone()).to_string().into(),
            now.into(),
        ],
    )
    .await
    .map_err(CatalogError::taken("Asset", name))?;
    if let Some(labels) = &write.labels {
        write_labels(sql, project, name, labels).await?;
    }
    get(sql, project, name).await
}

/// Inside a transaction: makes the asset findable by these labels and no others.
async fn write_labels<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    labels: &BTreeMap<String, String>,
) -> Result<(), CatalogError> {
    sql.query(
        "DELETE FROM asset_labels WHERE project_id = ?1 AND asset_name = ?2",
        &[project.into(), name.into()],
    )
    .await?;
    for (label, value) in labels {
        sql.query(
            "INSERT INTO asset_labels (project_id, asset_name, label, value) VALUES (?1, ?2, ?3, ?4)",
            &[project.into(), name.into(), label.into(), value.into()],
        )
        .await?;
    }
    Ok(())
}

async fn change<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    write: &AssetWrite,
    absent: Absent,
    now: Timestamp,
) -> Result<Asset, CatalogError> {
    let old = get(sql, project, name).await?;
    unchanged(
        "properties.storageAccountName",
        write.storage_account.as_deref(),
        &old.storage_account,
    )?;
    unchanged(
        "properties.container",
        write.container.as_deref(),
        &old.container,
    )?;
    if let Some(sub_path) = &write.sub_path {
        let asked = names::folder("properties.subPath", sub_path)?;
        unchanged("properties.subPath", Some(&asked), &old.sub_path)?;
    }
    let none = BTreeMap::new();
    let (mut extra, others) = match absent {
        Absent::Kept => (old.extra, (old.description, old.alternate_id)),
        Absent::Default => (Map::new(), (None, None)),
    };
    let old_labels = match absent {
        Absent::Default if !write.sees_no_labels => &none,
        _ => &old.labels,
    };
    extra.extend(write.extra.clone());
    let labels = write.labels.as_ref().unwrap_or(old_labels);
    if *labels != old.labels {
        write_labels(sql, project, name, labels).await?;
    }
    let rows = sql
        .query(
            &format!(
                "UPDATE assets SET description = ?3, alternate_id = ?4,
                     deletion_policy = coalesce(?5, deletion_policy), labels_json = ?6, extra_json = ?7, modified = ?8
                 WHERE project_id = ?1 AND name = ?2 RETURNING {COLUMNS}"
            ),
            &[
                project.into(),
                name.into(),
                Value::from(write.description.clone().or(others.0)),
                Value::from(write.alternate_id.clone().or(others.1)),
                Value::from(write.deletion_policy.map(DeletionPolicy::name)),
                serde_json::to_string(labels).unwrap_or_default().into(),
                Json::Object(extra).to_string().into(),
                now.into(),
            ],
        )
        .await?;
    ENTITY.returned(&rows, name)
}

/// Whether files of the asset are another's as well, of whichever project, or an upload rule's. Two assets in one container
/// share none as long as neither is the whole of it, nor a folder above the other's.
pub async fn shares_files<S: Sql>(
    sql: &S,
    project: &ProjectId,
    asset: &Asset,
) -> Result<bool, CatalogError> {
    // What the names of its files begin with.
    let prefix = match asset.sub_path.as_str() {
        "" => String::new(),
        folder => format!("{folder}/"),
    };
    // Projects may know the same storage under different names.
    let rows = sql
        .query(
            "WITH taken AS (
                 SELECT a.project_id, a.storage_account, a.container,
                        CASE a.sub_path WHEN '' THEN '' ELSE a.sub_path || '/' END AS prefix
                     FROM assets a WHERE a.container = ?3 AND a.asset_id <> ?4
                 UNION ALL SELECT r.project_id, r.storage_account, r.container, r.prefix
                     FROM upload_rules r WHERE r.container = ?3)
             SELECT 1 FROM storage_accounts own JOIN storage_accounts s ON s.url = own.url
             JOIN taken t ON t.project_id = s.project_id AND t.storage_account = s.name
             WHERE own.project_id = ?1 AND own.name = ?2
               AND (substr(t.prefix, 1, length(CAST(?5 AS TEXT))) = ?5
                    OR substr(CAST(?5 AS TEXT), 1, length(t.prefix)) = t.prefix) LIMIT 1",
            &[
                project.into(),
                Value::from(&asset.storage_account),
                Value::from(&asset.container),
                asset.asset_id.into(),
                prefix.into(),
            ],
        )
        .await?;
    Ok(!rows.is_empty())
}

/// Deletes an asset's record, its filters and tracks, and its locators, which could only answer 404. Says whether there
/// was one.
///
/// Errors: [`CatalogError::Conflict`] while a job that is not done reads or writes it, or a live output records it.
pub async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<bool, CatalogError> {
    transaction(sql, async |sql| {
        refuse_if_in_use(sql, project, name).await?;
        for table in [
            "streaming_locators",
            "locator_filters",
            "locator_keys",
            "asset_labels",
            "filters",
            "asset_tracks",
        ] {
            sql.query(
                &format!("DELETE FROM {table} WHERE project_id = ?1 AND asset_name = ?2"),
                &[project.into(), name.into()],
            )
            .await?;
        }
        ENTITY.delete(sql, project, name).await
    })
    .await
}

/// Refuses while a job that is not done reads or writes the asset, or a live output records it.
///
/// Errors: [`CatalogError::Conflict`].
pub async fn refuse_if_in_use<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<(), CatalogError> {
    let rows = sql
        .query(
            "SELECT j.name FROM jobs j WHERE j.project_id = ?1
                 AND j.state IN ('Queued', 'Scheduled', 'Processing', 'Canceling')
                 AND (j.input_asset = ?2 OR EXISTS (
                     SELECT 1 FROM job_outputs o WHERE o.job_id = j.id AND o.asset_name = ?2) OR EXISTS (
                     SELECT 1 FROM job_inputs i WHERE i.job_id = j.id AND i.asset_name = ?2)) LIMIT 1",
            &[project.into(), name.into()],
        )
        .await?;
    if let Some(row) = rows.first() {
        return Err(CatalogError::Conflict(format!(
            "Asset '{name}' is used by job '{}', which is not done.",
            row.text("name")?
        )));
    }
    match live::outputs::recording(sql, project, name).await? {
        Some(output) => Err(CatalogError::Conflict(format!(
            "Asset '{name}' is recorded by live output '{output}'; delete that first."
        ))),
        None => Ok(()),
    }
}

/// Remembers the server manifest that somebody found in the asset's container.
pub async fn set_manifest<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    manifest: &str,
) -> Result<(), CatalogError> {
    sql.query(
        "UPDATE assets SET manifest = ?3 WHERE project_id = ?1 AND name = ?2",
        &[project.into(), name.into(), manifest.into()],
    )
    .await?;
    Ok(())
}

/// Remembers how long an asset plays.
pub async fn set_duration<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    duration_ms: u32,
) -> Result<(), CatalogError> {
    sql.query(
        "UPDATE assets SET duration_ms = ?3 WHERE project_id = ?1 AND name = ?2",
        &[project.into(), name.into(), duration_ms.into()],
    )
    .await?;
    Ok(())
}
