//! Content key policies: who gets the key of what is encrypted.
//!
//! The options are checked by the caller for shape. They are kept twice: as everybody may see them, and sealed with their
//! secrets (token keys, FairPlay's certificate and its password).

use headwater_seal::Seal;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::query::{Field, FieldKind, Listing, Page};
use crate::sql::{Row, Sql, Value, transaction};
use crate::{Written, names};

#[derive(Debug, Clone, PartialEq)]
pub struct ContentKeyPolicy {
    pub name: String,
    pub policy_id: Uuid,
    pub description: Option<String>,
    /// An array, in AMS's names, its secrets blanked.
    pub options: Json,
    pub created: Timestamp,
    pub modified: Timestamp,
}

/// What a writer says about the options.
#[derive(Clone)]
pub struct Options {
    /// An array of objects, each with `name`, `configuration` and `restriction`, without `policyOptionId`.
    pub complete: Vec<Json>,
    /// Takes the secrets out of one option.
    pub blank: fn(&Json) -> Json,
}

const ENTITY: Entity<ContentKeyPolicy> = Entity {
    one: "Content key policy",
    many: "content key policies",
    table: "content_key_policies",
    columns: "name, policy_id, description, options_json, created, modified",
    read: from_row,
    tie: Field::new("name", "name", FieldKind::Text),
    fields: &[
        Field::new("name", "name", FieldKind::Text),
        Field::new("properties/created", "created", FieldKind::Time),
        Field::new("properties/lastModified", "modified", FieldKind::Time),
        Field::new(
            "properties/description",
            "description",
            FieldKind::OptionalText,
        ),
        Field::new("properties/policyId", "policy_id", FieldKind::Uuid),
    ],
    labels: None,
};

fn from_row(row: &Row<'_>) -> Result<ContentKeyPolicy, CatalogError> {
    Ok(ContentKeyPolicy {
        name: row.text("name")?,
        policy_id: row.uuid("policy_id")?,
        description: row.opt_text("description")?,
        options: row.json("options_json")?,
        created: row.time("created")?,
        modified: row.time("modified")?,
    })
}

/// A policy's options with their secrets, as they are stored. Equal ones are of the same policy and say the same: a nonce is not
/// used twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedOptions {
    /// Of the policy.
    pub policy_id: Uuid,
    sealed: Vec<u8>,
}

impl SealedOptions {
    /// From `policy_id` and `options_sealed`.
    pub(crate) fn of(row: &Row<'_>) -> Result<Self, CatalogError> {
        Ok(Self {
            policy_id: row.uuid("policy_id")?,
            sealed: row.blob("options_sealed")?,
        })
    }

    /// The options.
    ///
    /// Errors: [`CatalogError::Seal`] if the master key is another one.
    pub fn open(&self, seal: &Seal) -> Result<Json, CatalogError> {
        let opened = seal.open(&seal_context(self.policy_id), &self.sealed)?;
        serde_json::from_slice(opened.expose())
            .map_err(|_| CatalogError::corrupt("options_sealed", "not the JSON expected"))
    }
}

impl AsRef<[u8]> for SealedOptions {
    fn as_ref(&self) -> &[u8] {
        &self.sealed
    }
}

/// What a policy's secrets are sealed for.
fn seal_context(policy_id: Uuid) -> String {
    format!("content-key-policy/{policy_id}")
}

/// One policy, its secrets blanked.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<ContentKeyPolicy, CatalogError> {
    ENTITY.get(sql, project, name).await
}

/// One policy that another resource names. `field`: where.
///
/// Errors: [`CatalogError::Invalid`] if it does not exist.
pub(crate) async fn named<S: Sql>(
    sql: &S,
    project: &ProjectId,
    field: &str,
    name: &str,
) -> Result<ContentKeyPolicy, CatalogError> {
    match get(sql, project, name).await {
        Err(missing @ CatalogError::NotFound { .. }) => {
            Err(CatalogError::invalid(field, missing.to_string()))
        }
        found => found,
    }
}

/// One policy with its secrets, for its owner.
///
/// Errors: [`CatalogError::NotFound`]; [`CatalogError::Seal`] if the master key is another one.
pub async fn with_secrets<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    name: &str,
) -> Result<ContentKeyPolicy, CatalogError> {
    let rows = sql
        .query(
            &format!(
                "SELECT {}, options_sealed FROM content_key_policies WHERE project_id = ?1 AND name = ?2",
                ENTITY.columns
            ),
            &[project.into(), name.into()],
        )
        .await?;
    let policy = ENTITY.returned(&rows, name)?;
    let row = rows
        .first()
        .ok_or_else(|| CatalogError::not_found(ENTITY.one, name))?;
    let options = SealedOptions::of(&row)?.open(seal)?;
    Ok(ContentKeyPolicy { options, ..policy })
}

/// A page of policies.
pub async fn list<S: Sql>(
    sql: &S,
    project: &ProjectId,
    listing: &Listing,
) -> Result<Page<ContentKeyPolicy>, CatalogError> {
    ENTITY.list(sql, project, listing).await
}

/// Creates or replaces a policy. It keeps its id, and options that keep their name and place keep theirs.
///
/// Errors: [`CatalogError::Invalid`].
pub async fn put<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    name: &str,
    description: Option<&str>,
    options: &Options,
    moment: Moment<'_>,
) -> Result<(ContentKeyPolicy, Written), CatalogError> {
    names::resource("name", name)?;
    names::text("properties.description", description, 1024)?;
    transaction(sql, async |sql| {
        let old = ENTITY.find(sql, project, name).await?;
        let written = match old {
            Some(_) => Written::Existing,
            None => Written::Created,
        };
        let policy = write(sql, seal, project, name, old, description, options, moment).await?;
        Ok((policy, written))
    })
    .await
}

/// Changes what is given of an existing policy.
///
/// Errors: as [`put`], and [`CatalogError::NotFound`].
pub async fn update<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    name: &str,
    description: Option<&str>,
    options: Option<&Options>,
    moment: Moment<'_>,
) -> Result<ContentKeyPolicy, CatalogError> {
    names::text("properties.description", description, 1024)?;
    transaction(sql, async |sql| {
        let old = ENTITY.get(sql, project, name).await?;
        let Some(options) = options else {
            let rows = sql
                .query(
                    &format!(
                        "UPDATE content_key_policies SET description = coalesce(?3, description), modified = ?4
                         WHERE project_id = ?1 AND name = ?2 RETURNING {}",
                        ENTITY.columns
                    ),
                    &[
                        project.into(),
                        name.into(),
                        Value::from(description),
                        moment.now.into(),
                    ],
                )
                .await?;
            return ENTITY.returned(&rows, name);
        };
        let kept = old.description.clone();
        let description = description.or(kept.as_deref());
        write(sql, seal, project, name, Some(old), description, options, moment).await
    })
    .await
}

/// Inside a transaction: writes the row.
#[allow(clippy::too_many_arguments, reason = "it is the row, once")]
async fn write<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    name: &str,
    old: Option<ContentKeyPolicy>,
    description: Option<&str>,
    options: &Options,
    moment: Moment<'_>,
) -> Result<ContentKeyPolicy, CatalogError> {
    let policy_id = old
        .as_ref()
        .map_or_else(|| moment.ids.uuid(), |old| old.policy_id);
    let complete = identified(old.as_ref(), &options.complete, moment);
    let shown: Vec<Json> = complete.iter().map(options.blank).collect();
    let sealed = seal.seal(
        &seal_context(policy_id),
        Json::Array(complete).to_string().as_bytes(),
    )?;
    let rows = sql
            .query(
                &format!(
                    "INSERT INTO content_key_policies (project_id, name, policy_id, description, options_json,
                         options_sealed, created, modified)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
                     ON CONFLICT (project_id, name) DO UPDATE SET description = excluded.description,
                         options_json = excluded.options_json, options_sealed = excluded.options_sealed,
                         modified = excluded.modified
                     RETURNING {}",
                    ENTITY.columns
                ),
                &[
                    project.into(),
                    name.into(),
                    policy_id.into(),
                    Value::from(description),
                    Json::Array(shown).to_string().into(),
                    sealed.into(),
                    moment.now.into(),
                ],
            )
            .await?;
    ENTITY.returned(&rows, name)
}

/// The options with their ids.
fn identified(old: Option<&ContentKeyPolicy>, options: &[Json], moment: Moment<'_>) -> Vec<Json> {
    let before = |at: usize| old?.options.get(at);
    options
        .iter()
        .enumerate()
        .map(|(at, option)| {
            let kept = before(at)
                .filter(|before| before.get("name") == option.get("name"))
                .and_then(|before| before.get("policyOptionId").cloned());
            let id = kept.unwrap_or_else(|| json!(moment.ids.uuid()));
            let mut option = option.clone();
            if let Json::Object(members) = &mut option {
                members.insert("policyOptionId".into(), id);
            }
            option
        })
        .collect()
}

/// Deletes a policy. Says whether there was one.
///
/// Errors: [`CatalogError::Conflict`] while the keys of a locator are given out by it.
pub async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<bool, CatalogError> {
    transaction(sql, async |sql| {
        let used = sql
            .query(
                "SELECT locator_name AS name FROM locator_keys WHERE project_id = ?1 AND policy_name = ?2
                 UNION ALL SELECT name FROM streaming_locators WHERE project_id = ?1 AND key_policy = ?2 LIMIT 1",
                &[project.into(), name.into()],
            )
            .await?;
        if let Some(row) = used.first() {
            return Err(CatalogError::Conflict(format!(
                "Content key policy '{name}' is used by streaming locator '{}'.",
                row.text("name")?
            )));
        }
        ENTITY.delete(sql, project, name).await
    })
    .await
}
