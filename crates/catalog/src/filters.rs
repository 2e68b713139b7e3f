//! Asset and account filters: which part of a presentation a player is shown.
//!
//! Their properties are checked by the caller for shape and kept as they are shown.

use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::ids::ProjectId;
use crate::query::{self, Field, FieldKind, Listing, Page};
use crate::sql::{Row, Sql, Value, transaction};
use crate::{Written, assets, names};

/// Most filters of one asset, or of one account (AMS quota).
pub const MOST: u32 = 100;

/// Most filters of one locator (AMS quota).
pub const MOST_OF_LOCATOR: usize = 10;

#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    pub name: String,
    /// In AMS's names.
    pub properties: Map<String, Json>,
    pub created: Timestamp,
    pub modified: Timestamp,
}

/// Whose filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    Account,
    Asset(&'a str),
}

impl<'a> Owner<'a> {
    /// As the table has it.
    fn column(self) -> &'a str {
        match self {
            Self::Account => "",
            Self::Asset(name) => name,
        }
    }

    fn scope(self, project: &ProjectId) -> [(&'static str, Value); 2] {
        [
            ("project_id", project.into()),
            ("asset_name", self.column().into()),
        ]
    }

    /// Errors: [`CatalogError::NotFound`] if it is an asset that does not exist.
    async fn check<S: Sql>(self, sql: &S, project: &ProjectId) -> Result<(), CatalogError> {
        match self {
            Self::Account => Ok(()),
            Self::Asset(name) => assets::get(sql, project, name).await.map(drop),
        }
    }
}

const ENTITY: Entity<Filter> = Entity {
    one: "Filter",
    many: "filters",
    table: "filters",
    columns: "name, properties_json, created, modified",
    read: from_row,
    tie: Field::new("name", "name", FieldKind::Text),
    fields: &[
        Field::new("name", "name", FieldKind::Text),
        Field::new("properties/created", "created", FieldKind::Time),
    ],
    labels: None,
};

fn from_row(row: &Row<'_>) -> Result<Filter, CatalogError> {
    Ok(Filter {
        name: row.text("name")?,
        properties: row.json("properties_json")?,
        created: row.time("created")?,
        modified: row.time("modified")?,
    })
}

async fn find<S: Sql>(
    sql: &S,
    project: &ProjectId,
    owner: Owner<'_>,
    name: &str,
) -> Result<Option<Filter>, CatalogError> {
    let [project, asset] = owner.scope(project);
    let scope = [project, asset, ("name", name.into())];
    Ok(ENTITY.all(sql, &scope).await?.pop())
}

/// One filter.
///
/// Errors: [`CatalogError::NotFound`], also for an asset that does not exist.
pub async fn get<S: Sql>(
    sql: &S,
    project: &ProjectId,
    owner: Owner<'_>,
    name: &str,
) -> Result<Filter, CatalogError> {
    owner.check(sql, project).await?;
    find(sql, project, owner, name)
        .await?
        .ok_or_else(|| CatalogError::not_found(ENTITY.one, name))
}

/// A page of filters.
///
/// Errors: [`CatalogError::NotFound`] for an asset that does not exist.
pub async fn list<S: Sql>(
    sql: &S,
    project: &ProjectId,
    owner: Owner<'_>,
    listing: &Listing,
) -> Result<Page<Filter>, CatalogError> {
    owner.check(sql, project).await?;
    query::list(sql, &ENTITY, &owner.scope(project), listing).await
}

/// Creates or replaces a filter.
///
/// Errors: [`CatalogError::Invalid`]; [`CatalogError::NotFound`] for an asset that does not exist;
/// [`CatalogError::Conflict`] beyond [`MOST`].
pub async fn put<S: Sql>(
    sql: &S,
    project: &ProjectId,
    owner: Owner<'_>,
    name: &str,
    properties: &Map<String, Json>,
    now: Timestamp,
) -> Result<(Filter, Written), CatalogError> {
    names::filter("name", name)?;
    transaction(sql, async |sql| {
        owner.check(sql, project).await?;
        let written = match find(sql, project, owner, name).await? {
            Some(_) => Written::Existing,
            None => Written::Created,
        };
        if written == Written::Created {
            let counted = sql
                .query(
                    "SELECT count(*) AS total FROM filters WHERE project_id = ?1 AND asset_name = ?2",
                    &[project.into(), owner.column().into()],
                )
                .await?;
            if counted.total()? >= MOST {
                return Err(CatalogError::Conflict(format!(
                    "There are {MOST} filters already, which is the most there may be."
                )));
            }
        }
        let filter = write(sql, project, owner, name, properties, now).await?;
        Ok((filter, written))
    })
    .await
}

/// Changes the given properties of a filter, each as a whole.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn update<S: Sql>(
    sql: &S,
    project: &ProjectId,
    owner: Owner<'_>,
    name: &str,
    changes: &Map<String, Json>,
    now: Timestamp,
) -> Result<Filter, CatalogError> {
    transaction(sql, async |sql| {
        let mut properties = get(sql, project, owner, name).await?.properties;
        properties.extend(changes.clone());
        write(sql, project, owner, name, &properties, now).await
    })
    .await
}

/// Inside a transaction: writes the row.
async fn write<S: Sql>(
    sql: &S,
    project: &ProjectId,
    owner: Owner<'_>,
    name: &str,
    properties: &Map<String, Json>,
    now: Timestamp,
) -> Result<Filter, CatalogError> {
    let rows = sql
        .query(
            &format!(
                "INSERT INTO filters (project_id, asset_name, name, properties_json, created, modified)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5)
                 ON CONFLICT (project_id, asset_name, name) DO UPDATE
                     SET properties_json = excluded.properties_json, modified = excluded.modified
                 RETURNING {}",
                ENTITY.columns
            ),
            &[
                project.into(),
                owner.column().into(),
                name.into(),
                serde_json::to_string(properties).unwrap_or_default().into(),
                now.into(),
            ],
        )
        .await?;
    ENTITY.returned(&rows, name)
}

/// Deletes a filter. Says whether there was one.
///
/// Errors: [`CatalogError::Conflict`] while a locator applies it. An asset's own filter stands in for one of its account
/// that has the same name, so an account filter may go where only its name is in use.
pub async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    owner: Owner<'_>,
    name: &str,
) -> Result<bool, CatalogError> {
    let key = [project.into(), owner.column().into(), name.into()];
    transaction(sql, async |sql| {
        let used = sql
            .query(
                "SELECT l.locator_name FROM locator_filters l
                 WHERE l.project_id = ?1 AND l.filter_name = ?3 AND (l.asset_name = ?2 OR (?2 = '' AND NOT EXISTS (
                     SELECT 1 FROM filters f WHERE f.project_id = l.project_id AND f.asset_name = l.asset_name
                         AND f.name = l.filter_name))) LIMIT 1",
                &key,
            )
            .await?;
        if let Some(row) = used.first() {
            return Err(CatalogError::Conflict(format!(
                "Filter '{name}' is used by streaming locator '{}'.",
                row.text("locator_name")?
            )));
        }
        let rows = sql
            .query(
                "DELETE FROM filters WHERE project_id = ?1 AND asset_name = ?2 AND name = ?3 RETURNING name",
                &key,
            )
            .await?;
        Ok(!rows.is_empty())
    })
    .await
}

/// Inside a transaction: whether a locator of `asset` may apply these filters.
///
/// Errors: [`CatalogError::Invalid`].
pub(crate) async fn check_for_locator<S: Sql>(
    sql: &S,
    project: &ProjectId,
    asset: &str,
    filters: &[String],
) -> Result<(), CatalogError> {
    if filters.len() > MOST_OF_LOCATOR {
        return Err(CatalogError::invalid(
            "properties.filters",
            format!("must have at most {MOST_OF_LOCATOR} members"),
        ));
    }
    for (at, name) in filters.iter().enumerate() {
        let field = format!("properties.filters[{at}]");
        if filters.iter().take(at).any(|earlier| earlier == name) {
            return Err(CatalogError::invalid(field, "is there twice"));
        }
        let exists = match find(sql, project, Owner::Asset(asset), name).await? {
            None => find(sql, project, Owner::Account, name).await?,
            found => found,
        };
        if exists.is_none() {
            let missing = CatalogError::not_found(ENTITY.one, name);
            return Err(CatalogError::invalid(field, missing.to_string()));
        }
    }
    Ok(())
}

/// Inside a transaction: remembers which filters a locator applies.
pub(crate) async fn use_in_locator<S: Sql>(
    sql: &S,
    project: &ProjectId,
    (locator, asset): (&str, &str),
    filters: &[String],
) -> Result<(), CatalogError> {
    sql.query(
        "DELETE FROM locator_filters WHERE project_id = ?1 AND locator_name = ?2",
        &[project.into(), locator.into()],
    )
    .await?;
    for filter in filters {
        sql.query(
            "INSERT INTO locator_filters (project_id, locator_name, asset_name, filter_name) VALUES (?1, ?2, ?3, ?4)",
            &[project.into(), locator.into(), asset.into(), filter.into()],
        )
        .await?;
    }
    Ok(())
}
