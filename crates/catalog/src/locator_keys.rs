//! The content keys of streaming locators: given by the writer or made here, sealed in a row of their own.
//!
//! Which keys a locator has is planned by [`crate::key_plan`]. A key stays with its locator for good: replacing the locator
//! keeps what the new policy still has. Whoever brings keys along, as migrations do, keeps them.

use headwater_protect::{Handle, Key, Kid, Rotation};
use headwater_seal::{Seal, Secret};
use uuid::Uuid;

use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::key_plan::{KeyUse, PlannedKey};
use crate::key_policies::SealedOptions;
use crate::protection::Encryption;
use crate::sql::{Row, Sql, Value};

/// Length of a content key.
pub const KEY_BYTES: usize = 16;

/// A key of a locator.
#[derive(Debug, Clone)]
pub struct ContentKey {
    pub id: Uuid,
    pub usage: KeyUse,
    /// [`KEY_BYTES`] bytes. Of keys that rotate that from which the keys of periods are derived.
    pub value: Secret,
    /// How often those change.
    pub rotation: Option<Rotation>,
}

/// Inside a transaction: whether no given value differs from what the locator has.
pub(crate) async fn are_those_of<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    locator: &str,
    planned: &[PlannedKey],
) -> Result<bool, CatalogError> {
    let has = list(sql, seal, project, locator).await?;
    let given = planned.iter().filter_map(|key| key.given.as_ref());
    Ok(given
        .filter_map(|given| Some((given.id, given.value.as_ref()?)))
        .all(|(id, value)| {
            has.iter()
                .any(|key| key.id == id && key.value.expose() == value.expose())
        }))
}

/// Inside a transaction: gives a locator the planned keys and no others. Keys that it had and is still to have stay as
/// they are.
///
/// Errors: [`CatalogError::Conflict`] if a given id is that of another key.
pub(crate) async fn write<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    (locator, asset): (&str, &str),
    planned: &[PlannedKey],
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    let old = list(sql, seal, project, locator).await?;
    delete(sql, project, locator).await?;
    for (position, key) in (0_i64..).zip(planned) {
        let (id, value) = settle(sql, seal, project, key, &old, moment).await?;
        let sealed = seal.seal(&seal_context(project, id), value.expose())?;
        let handle = match key.rotation {
            Some(_) => Some(handle(id, &value)?),
            None => None,
        };
        let seconds = key.rotation.map(|rotation| i64::from(rotation.seconds()));
        sql.query(
            "INSERT INTO locator_keys (project_id, locator_name, asset_name, position, key_id, type, label, policy_name,
                 tracks_json, value_sealed, rotation_s, rotation_handle)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            &[
                project.into(),
                locator.into(),
                asset.into(),
                position.into(),
                id.into(),
                key.usage.encryption.name().into(),
                Value::from(key.usage.label.as_deref()),
                Value::from(key.usage.policy_name.as_deref()),
                key.usage.tracks.to_string().into(),
                sealed.into(),
                Value::from(seconds),
                Value::from(handle.as_deref()),
            ],
        )
        .await?;
    }
    Ok(())
}

/// What the ids of a key's periods lead to its row by.
fn handle(id: Uuid, value: &Secret) -> Result<String, CatalogError> {
    let key = Key::from_slice(value.expose())
        .map_err(|_| CatalogError::corrupt("value_sealed", "has not 16 bytes"))?;
    Ok(Handle::of(Kid::from(id), &key).hex())
}

/// Id and value of a planned key.
async fn settle<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    planned: &PlannedKey,
    old: &[ContentKey],
    moment: Moment<'_>,
) -> Result<(Uuid, Secret), CatalogError> {
    let Some(given) = &planned.given else {
        return Ok(
            match old.iter().find(|key| planned.usage.is_place_of(&key.usage)) {
                Some(key) => (key.id, key.value.clone()),
                None => match &planned.ordered {
                    Some(ordered) => ordered.clone(),
                    None => (moment.ids.uuid(), Secret::random(KEY_BYTES)?),
                },
            },
        );
    };
    let known = match old.iter().find(|key| key.id == given.id) {
        Some(key) => Some(key.value.clone()),
        None => known(sql, seal, project, given.id).await?,
    };
    let value = match (&given.value, known) {
        (Some(value), Some(known)) if value.expose() != known.expose() => {
            return Err(taken(given.id));
        }
        (_, Some(known)) => known,
        (Some(value), None) => value.clone(),
        (None, None) => match &planned.ordered {
            Some((id, value)) if *id == given.id => value.clone(),
            _ => Secret::random(KEY_BYTES)?,
        },
    };
    Ok((given.id, value))
}

/// A key that a locator is to have and that nobody has a value of yet.
#[derive(Debug, Clone, PartialEq)]
pub struct MissingKey {
    pub usage: KeyUse,
    /// Chosen by the writer.
    pub id: Option<Uuid>,
}

/// Those of the planned keys whose values would be made here.
pub(crate) async fn missing<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    locator: &str,
    planned: &[PlannedKey],
) -> Result<Vec<MissingKey>, CatalogError> {
    let old = list(sql, seal, project, locator).await?;
    let mut found = Vec::new();
    for key in planned {
        let there = match &key.given {
            None => old.iter().any(|old| key.usage.is_place_of(&old.usage)),
            Some(given) => {
                given.value.is_some()
                    || old.iter().any(|old| old.id == given.id)
                    || known(sql, seal, project, given.id).await?.is_some()
            }
        };
        if !there {
            found.push(MissingKey {
                usage: key.usage.clone(),
                id: key.given.as_ref().map(|given| given.id),
            });
        }
    }
    Ok(found)
}

fn taken(id: Uuid) -> CatalogError {
    CatalogError::Conflict(format!("Content key id '{id}' is that of another key."))
}

/// The value of a key that a locator of the project has under this id.
///
/// Errors: [`CatalogError::Conflict`] if one of another project has.
async fn known<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    id: Uuid,
) -> Result<Option<Secret>, CatalogError> {
    let rows = sql
        .query(
            "SELECT project_id, value_sealed FROM locator_keys WHERE key_id = ?1 LIMIT 1",
            &[id.into()],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    if row.text("project_id")? != project.as_str() {
        return Err(taken(id));
    }
    let sealed = row.blob("value_sealed")?;
    Ok(Some(seal.open(&seal_context(project, id), &sealed)?))
}

/// Inside a transaction: takes a locator's keys away.
pub(crate) async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    locator: &str,
) -> Result<(), CatalogError> {
    sql.query(
        "DELETE FROM locator_keys WHERE project_id = ?1 AND locator_name = ?2",
        &[project.into(), locator.into()],
    )
    .await?;
    Ok(())
}

/// A locator's keys with their values, in the order of its streaming policy. For its owner, and for packaging.
///
/// Errors: [`CatalogError::Seal`] if the master key is another one.
pub async fn list<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    locator: &str,
) -> Result<Vec<ContentKey>, CatalogError> {
    let rows = sql
        .query(
            "SELECT key_id, type, label, policy_name, tracks_json, value_sealed, rotation_s FROM locator_keys
             WHERE project_id = ?1 AND locator_name = ?2 ORDER BY position",
            &[project.into(), locator.into()],
        )
        .await?;
    rows.iter()
        .map(|row| from_row(seal, project, &row))
        .collect()
}

/// A key by its id or by that of one of its periods, once for each content key policy that gives it out, with the project that it
/// is in and the policy's options. No more than 20. Whether `id` is that of a period is for who has opened the key.
///
/// In one statement: this is asked for every key that a player fetches.
///
/// Ok empty if there is no such key, or nobody here gives it out.
/// Errors: [`CatalogError::Seal`] if the master key is another one.
pub(crate) async fn given_out<S: Sql>(
    sql: &S,
    seal: &Seal,
    id: Uuid,
) -> Result<Vec<(ProjectId, ContentKey, SealedOptions)>, CatalogError> {
    let rows = sql
        .query(
            "SELECT k.project_id AS project_id, k.key_id AS key_id, k.type AS type, k.label AS label, k.policy_name AS policy_name,
                    k.tracks_json AS tracks_json, k.value_sealed AS value_sealed, k.rotation_s AS rotation_s,
                    p.policy_id AS policy_id, p.options_sealed AS options_sealed
             FROM locator_keys k JOIN content_key_policies p ON p.project_id = k.project_id AND p.name = k.policy_name
             WHERE k.key_id = ?1 OR k.rotation_handle = ?2
             ORDER BY k.project_id, k.policy_name, k.locator_name LIMIT 100",
            &[id.into(), Handle::in_id(Kid::from(id)).hex().into()],
        )
        .await?;
    let mut keys: Vec<(ProjectId, ContentKey, SealedOptions)> = Vec::new();
    for row in rows.iter() {
        let project = ProjectId(row.text("project_id")?);
        let policy = row.opt_text("policy_name")?;
        let rotation = rotation(&row)?;
        let known = keys.iter().any(|(other, key, _)| {
            *other == project && key.usage.policy_name == policy && key.rotation == rotation
        });
        if !known && keys.len() < 20 {
            let key = from_row(seal, &project, &row)?;
            keys.push((project, key, SealedOptions::of(&row)?));
        }
    }
    Ok(keys)
}

/// The ids of a locator's default keys, by encryption. No value is looked at.
pub async fn default_ids<S: Sql>(
    sql: &S,
    project: &ProjectId,
    locator: &str,
) -> Result<Vec<(Encryption, Uuid)>, CatalogError> {
    let rows = sql
        .query(
            "SELECT key_id, type FROM locator_keys
             WHERE project_id = ?1 AND locator_name = ?2 AND tracks_json = '[]' ORDER BY position",
            &[project.into(), locator.into()],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((encryption(&row)?, row.uuid("key_id")?)))
        .collect()
}

fn encryption(row: &Row<'_>) -> Result<Encryption, CatalogError> {
    Encryption::parse(row.str("type")?).ok_or_else(|| CatalogError::corrupt("type", "unknown"))
}

fn from_row(seal: &Seal, project: &ProjectId, row: &Row<'_>) -> Result<ContentKey, CatalogError> {
    let id = row.uuid("key_id")?;
    Ok(ContentKey {
        id,
        usage: KeyUse {
            encryption: encryption(row)?,
            label: row.opt_text("label")?,
            policy_name: row.opt_text("policy_name")?,
            tracks: row.json("tracks_json")?,
        },
        value: seal.open(&seal_context(project, id), &row.blob("value_sealed")?)?,
        rotation: rotation(row)?,
    })
}

fn rotation(row: &Row<'_>) -> Result<Option<Rotation>, CatalogError> {
    let seconds = row.opt_integer("rotation_s")?;
    Ok(seconds.and_then(|seconds| Rotation::every(u32::try_from(seconds).ok()?)))
}

/// What a content key is sealed for.
fn seal_context(project: &ProjectId, id: Uuid) -> String {
    format!("content-key/{}/{id}", project.as_str())
}
