//! People: who they are. What they may do is the business of their [`crate::teams`].

use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use crate::error::CatalogError;
use crate::sql::{Row, Sql, SqlError, Value, transaction};
use crate::tokens::{self, Of};
use crate::{names, teams};

/// Most people of an installation.
pub const MOST: u32 = 1000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The subject of their tokens.
    pub id: String,
    pub profile: Profile,
    pub created: Timestamp,
    pub modified: Timestamp,
}

/// What people say of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub name: String,
    /// Nobody else has it, and nobody has checked that it is theirs.
    pub login_email: Option<String>,
    /// Texts that are only shown, in MK.IO's names.
    pub details: Map<String, Json>,
    /// Tokens of somebody who is not active are refused.
    pub is_active: bool,
}

const COLUMNS: &str = "id, name, login_email, profile_json, is_active, created, modified";

fn from_row(row: &Row<'_>) -> Result<User, CatalogError> {
    Ok(User {
        id: row.text("id")?,
        profile: Profile {
            name: row.text("name")?,
            login_email: row.opt_text("login_email")?,
            details: row.json("profile_json")?,
            is_active: row.flag("is_active")?,
        },
        created: row.time("created")?,
        modified: row.time("modified")?,
    })
}

/// Everybody, in the order in which they came.
pub async fn list<S: Sql>(sql: &S) -> Result<Vec<User>, CatalogError> {
    let rows = sql
        .query(
            &format!("SELECT {COLUMNS} FROM users ORDER BY created, id"),
            &[],
        )
        .await?;
    rows.iter().map(|row| from_row(&row)).collect()
}

/// One user, if they exist.
pub async fn find<S: Sql>(sql: &S, id: &str) -> Result<Option<User>, CatalogError> {
    find_by(sql, "id", id).await
}

async fn find_by<S: Sql>(sql: &S, column: &str, value: &str) -> Result<Option<User>, CatalogError> {
    let rows = sql
        .query(
            &format!("SELECT {COLUMNS} FROM users WHERE {column} = ?1"),
            &[value.into()],
        )
        .await?;
    rows.first().map(|row| from_row(&row)).transpose()
}

/// One user.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(sql: &S, id: &str) -> Result<User, CatalogError> {
    find(sql, id)
        .await?
        .ok_or_else(|| CatalogError::not_found("User", id))
}

/// The user with this address, compared as [`email`] writes it.
pub async fn by_email<S: Sql>(sql: &S, address: &str) -> Result<Option<User>, CatalogError> {
    find_by(sql, "login_email", address).await
}

/// A mail address as it is kept: in lower case.
///
/// Errors: [`CatalogError::Invalid`] for what cannot be one.
pub fn email(field: &str, text: &str) -> Result<String, CatalogError> {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>()[]\\,;:\"".contains(c);
    let ok = text.len() <= 254
        && text.chars().all(plain)
        && text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@')
        });
    if ok {
        Ok(text.to_lowercase())
    } else {
        Err(CatalogError::invalid(field, "must be a mail address"))
    }
}

/// Inside a transaction: a new person.
///
/// Errors: [`CatalogError::Conflict`] for an address that somebody has, and beyond [`MOST`].
pub(crate) async fn create<S: Sql>(
    sql: &S,
    id: &str,
    profile: &Profile,
    now: Timestamp,
) -> Result<User, CatalogError> {
    let counted = sql
        .query("SELECT count(*) AS total FROM users", &[])
        .await?;
    if counted.total()? >= MOST {
        return Err(CatalogError::Conflict(format!(
            "There are {MOST} users already, which is the most there may be."
        )));
    }
    save(sql, id, profile, now).await
}

/// Inside a transaction: writes the row.
async fn save<S: Sql>(
    sql: &S,
    id: &str,
    profile: &Profile,
    now: Timestamp,
) -> Result<User, CatalogError> {
    names::display("spec.name", &profile.name)?;
    let rows = sql
        .query(
            &format!(
                "INSERT INTO users ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name, login_email = excluded.login_email,
                     profile_json = excluded.profile_json, is_active = excluded.is_active, modified = excluded.modified
                 RETURNING {COLUMNS}"
            ),
            &[
                id.into(),
                Value::from(&profile.name),
                Value::from(profile.login_email.as_deref()),
                serde_json::to_string(&profile.details).unwrap_or_default().into(),
                profile.is_active.into(),
                now.into(),
            ],
        )
        .await
        .map_err(|error| match error {
            SqlError::Constraint(_) => {
                CatalogError::Conflict("Somebody else has this login e-mail address.".into())
            }
            error => error.into(),
        })?;
    let row = rows
        .first()
        .ok_or_else(|| CatalogError::not_found("User", id))?;
    from_row(&row)
}

/// Changes a profile: `change` gets what there is and says what there shall be.
///
/// Errors: [`CatalogError::NotFound`]; [`CatalogError::Conflict`] for an address that somebody has;
/// [`CatalogError::WrongState`] if nobody would own the organization.
pub async fn update<S: Sql>(
    sql: &S,
    id: &str,
    change: impl Fn(Profile) -> Profile,
    now: Timestamp,
) -> Result<User, CatalogError> {
    transaction(sql, async |sql| {
        let profile = change(get(sql, id).await?.profile);
        let user = save(sql, id, &profile, now).await?;
        teams::ensure_owner(sql).await?;
        Ok(user)
    })
    .await
}

/// Inside a transaction: somebody may come in again.
pub(crate) async fn activate<S: Sql>(
    sql: &S,
    user: User,
    now: Timestamp,
) -> Result<User, CatalogError> {
    if user.profile.is_active {
        return Ok(user);
    }
    let profile = Profile {
        is_active: true,
        ..user.profile
    };
    save(sql, &user.id, &profile, now).await
}

/// The teams of a user by name, each with whether they are its administrator.
pub async fn teams_of<S: Sql>(sql: &S, id: &str) -> Result<Vec<(String, bool)>, CatalogError> {
    let rows = sql
        .query(
            "SELECT team, is_team_admin FROM team_members WHERE user_id = ?1 ORDER BY team",
            &[id.into()],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.text("team")?, row.flag("is_team_admin")?)))
        .collect()
}

/// Removes somebody from the installation: out of their teams, with all their tokens. Says whether there was somebody.
///
/// Errors: [`CatalogError::WrongState`] if nobody would own the organization.
pub async fn delete<S: Sql>(
    sql: &S,
    id: &str,
    by: &str,
    now: Timestamp,
) -> Result<bool, CatalogError> {
    transaction(sql, async |sql| {
        let rows = sql
            .query("DELETE FROM users WHERE id = ?1 RETURNING id", &[id.into()])
            .await?;
        if rows.is_empty() {
            return Ok(false);
        }
        for statement in [
            "DELETE FROM team_members WHERE user_id = ?1",
            "DELETE FROM invites WHERE user_id = ?1 OR accepted_by = ?1",
        ] {
            sql.query(statement, &[id.into()]).await?;
        }
        tokens::revoke_in(sql, Of::Subject(id), None, by, now).await?;
        teams::ensure_owner(sql).await?;
        Ok(true)
    })
    .await
}
