//! Roles of the operator's own making, beside the built-in ones of `headwater-auth`.

use headwater_auth::{Capabilities, Role};
use jiff::Timestamp;

use crate::error::CatalogError;
use crate::sql::{Row, Sql, Value, transaction};
use crate::{Written, names};

/// Most custom roles of an installation.
pub const MOST: u32 = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomRole {
    pub name: String,
    pub description: Option<String>,
    pub capabilities: Capabilities,
    pub created: Timestamp,
    pub modified: Timestamp,
}

const COLUMNS: &str = "name, description, capabilities_json, created, modified";

fn from_row(row: &Row<'_>) -> Result<CustomRole, CatalogError> {
    Ok(CustomRole {
        name: row.text("name")?,
        description: row.opt_text("description")?,
        capabilities: row.json("capabilities_json")?,
        created: row.time("created")?,
        modified: row.time("modified")?,
    })
}

/// All custom roles by name.
pub async fn list<S: Sql>(sql: &S) -> Result<Vec<CustomRole>, CatalogError> {
    let rows = sql
        .query(
            &format!("SELECT {COLUMNS} FROM custom_roles ORDER BY name"),
            &[],
        )
        .await?;
    rows.iter().map(|row| from_row(&row)).collect()
}

/// One custom role, if it exists.
pub async fn find<S: Sql>(sql: &S, name: &str) -> Result<Option<CustomRole>, CatalogError> {
    let rows = sql
        .query(
            &format!("SELECT {COLUMNS} FROM custom_roles WHERE name = ?1"),
            &[name.into()],
        )
        .await?;
    rows.first().map(|row| from_row(&row)).transpose()
}

fn refuse_built_in(name: &str) -> Result<(), CatalogError> {
    match Role::parse(name) {
        Some(_) => Err(CatalogError::Conflict(format!(
            "Role '{name}' is built in and cannot be changed."
        ))),
        None => Ok(()),
    }
}

/// Creates or replaces a custom role. Whoever has it may do so much from the next request on.
///
/// Errors: [`CatalogError::Invalid`]; [`CatalogError::Conflict`] for a built-in one, and beyond [`MOST`].
pub async fn put<S: Sql>(
    sql: &S,
    name: &str,
    description: Option<&str>,
    capabilities: &Capabilities,
    now: Timestamp,
) -> Result<(CustomRole, Written), CatalogError> {
    names::plain("name", name)?;
    names::text("spec.description", description, 1024)?;
    refuse_built_in(name)?;
    transaction(sql, async |sql| {
        let written = match find(sql, name).await? {
            Some(_) => Written::Existing,
            None => Written::Created,
        };
        if written == Written::Created {
            let counted = sql
                .query("SELECT count(*) AS total FROM custom_roles", &[])
                .await?;
            if counted.total()? >= MOST {
                return Err(CatalogError::Conflict(format!(
                    "There are {MOST} roles already, which is the most there may be."
                )));
            }
        }
        let rows = sql
            .query(
                &format!(
                    "INSERT INTO custom_roles ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?4)
                     ON CONFLICT (name) DO UPDATE SET description = excluded.description,
                         capabilities_json = excluded.capabilities_json, modified = excluded.modified
                     RETURNING {COLUMNS}"
                ),
                &[
                    name.into(),
                    Value::from(description),
                    serde_json::to_string(capabilities)
                        .unwrap_or_default()
                        .into(),
                    now.into(),
                ],
            )
            .await?;
        let row = rows
            .first()
            .ok_or_else(|| CatalogError::not_found("Role", name))?;
        Ok((from_row(&row)?, written))
    })
    .await
}

/// Deletes a custom role. Says whether there was one.
///
/// Errors: [`CatalogError::Conflict`] for a built-in one; [`CatalogError::WrongState`] while a team or client has it.
pub async fn delete<S: Sql>(sql: &S, name: &str) -> Result<bool, CatalogError> {
    refuse_built_in(name)?;
    transaction(sql, async |sql| {
        let used = sql
            .query(
                "SELECT team AS who FROM team_grants WHERE role = ?1
                 UNION SELECT client_id AS who FROM api_clients WHERE role = ?1 LIMIT 1",
                &[name.into()],
            )
            .await?;
        if let Some(row) = used.first() {
            let who = row.text("who")?;
            return Err(CatalogError::WrongState(format!(
                "Role '{name}' is still granted to '{who}'."
            )));
        }
        let rows = sql
            .query(
                "DELETE FROM custom_roles WHERE name = ?1 RETURNING name",
                &[name.into()],
            )
            .await?;
        Ok(!rows.is_empty())
    })
    .await
}

/// Whether there is such a role that can be granted, built in or not.
pub(crate) async fn exists<S: Sql>(sql: &S, name: &str) -> Result<bool, CatalogError> {
    Ok(crate::rights::built_in(name).is_some() || find(sql, name).await?.is_some())
}
