//! Teams: who is a member, and which roles they have over what.
//!
//! What a person may do is the union over their teams. There is always one active person who owns the organization:
//! a change that would leave none is refused.

use std::collections::{BTreeMap, BTreeSet};

use headwater_auth::Role;
use jiff::Timestamp;

use crate::error::CatalogError;
use crate::rights::ORGANIZATION;
use crate::sql::{Sql, Value, transaction};
use crate::{names, projects, roles, users};

/// Most teams of an installation.
pub const MOST: u32 = 200;
/// Most members of a team.
pub const MOST_MEMBERS: usize = 500;
/// Most scopes of a team, and most roles over one.
pub const MOST_SCOPES: usize = 100;
/// The team that is there from the start.
pub const OWNERS: &str = "owners";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    pub name: String,
    pub spec: TeamSpec,
    pub created: Timestamp,
    pub modified: Timestamp,
}

/// What can be changed of a team.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TeamSpec {
    pub description: Option<String>,
    /// By user id: whether they are the team's administrators.
    pub members: BTreeMap<String, bool>,
    /// Roles by project id or [`ORGANIZATION`].
    pub scopes: BTreeMap<String, BTreeSet<String>>,
}

/// All teams by name.
pub async fn list<S: Sql>(sql: &S) -> Result<Vec<Team>, CatalogError> {
    select(sql, None).await
}

/// One team, if it exists.
pub async fn find<S: Sql>(sql: &S, name: &str) -> Result<Option<Team>, CatalogError> {
    Ok(select(sql, Some(name)).await?.pop())
}

/// One team.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(sql: &S, name: &str) -> Result<Team, CatalogError> {
    find(sql, name)
        .await?
        .ok_or_else(|| CatalogError::not_found("Team", name))
}

/// Three statements, however many teams.
async fn select<S: Sql>(sql: &S, name: Option<&str>) -> Result<Vec<Team>, CatalogError> {
    let (one, parameters) = match name {
        Some(name) => ("= ?1", [Value::from(name)]),
        // So that both have the parameter.
        None => ("<> ?1", [Value::from("")]),
    };
    let rows = sql
        .query(
            &format!(
                "SELECT name, description, created, modified FROM teams WHERE name {one} ORDER BY name"
            ),
            &parameters,
        )
        .await?;
    let mut teams = BTreeMap::new();
    for row in rows.iter() {
        let name = row.text("name")?;
        let team = Team {
            name: name.clone(),
            spec: TeamSpec {
                description: row.opt_text("description")?,
                ..TeamSpec::default()
            },
            created: row.time("created")?,
            modified: row.time("modified")?,
        };
        teams.insert(name, team);
    }
    let members = sql
        .query(
            &format!("SELECT team, user_id, is_team_admin FROM team_members WHERE team {one}"),
            &parameters,
        )
        .await?;
    for row in members.iter() {
        if let Some(team) = teams.get_mut(&row.text("team")?) {
            let admin = row.flag("is_team_admin")?;
            team.spec.members.insert(row.text("user_id")?, admin);
        }
    }
    let grants = sql
        .query(
            &format!("SELECT team, scope, role FROM team_grants WHERE team {one}"),
            &parameters,
        )
        .await?;
    for row in grants.iter() {
        if let Some(team) = teams.get_mut(&row.text("team")?) {
            let roles = team.spec.scopes.entry(row.text("scope")?).or_default();
            roles.insert(row.text("role")?);
        }
    }
    Ok(teams.into_values().collect())
}

/// Creates or replaces a team, if it still is as `before` says: the caller has decided by what it saw. Ok `None` if it is
/// not, which is for the caller to look again.
///
/// Errors: [`CatalogError::Invalid`] naming members, scopes and roles that do not exist; [`CatalogError::Conflict`] beyond
/// [`MOST`]; [`CatalogError::WrongState`] if nobody would own the organization.
pub async fn write<S: Sql>(
    sql: &S,
    name: &str,
    before: Option<&Team>,
    spec: &TeamSpec,
    now: Timestamp,
) -> Result<Option<Team>, CatalogError> {
    names::plain("name", name)?;
    check_sizes(spec)?;
    transaction(sql, async |sql| {
        if find(sql, name).await?.as_ref() != before {
            return Ok(None);
        }
        if before.is_none() {
            let counted = sql.query("SELECT count(*) AS total FROM teams", &[]).await?;
            if counted.total()? >= MOST {
                return Err(CatalogError::Conflict(format!(
                    "There are {MOST} teams already, which is the most there may be."
                )));
            }
        }
        check_references(sql, spec).await?;
        sql.query(
            "INSERT INTO teams (name, description, created, modified) VALUES (?1, ?2, ?3, ?3)
             ON CONFLICT (name) DO UPDATE SET description = excluded.description, modified = excluded.modified",
            &[name.into(), Value::from(spec.description.as_deref()), now.into()],
        )
        .await?;
        clear(sql, name).await?;
        for (user, admin) in &spec.members {
            add_member(sql, name, user, *admin).await?;
        }
        for (scope, roles) in &spec.scopes {
            for role in roles {
                sql.query(
                    "INSERT INTO team_grants (team, scope, role) VALUES (?1, ?2, ?3)",
                    &[name.into(), scope.into(), role.into()],
                )
                .await?;
            }
        }
        ensure_owner(sql).await?;
        get(sql, name).await.map(Some)
    })
    .await
}

fn check_sizes(spec: &TeamSpec) -> Result<(), CatalogError> {
    names::text("spec.description", spec.description.as_deref(), 1024)?;
    let at_most = |field: String, count: usize, most: usize| {
        if count > most {
            let message = format!("must have at most {most} members");
            return Err(CatalogError::invalid(field, message));
        }
        Ok(())
    };
    at_most("spec.members".into(), spec.members.len(), MOST_MEMBERS)?;
    at_most("spec.scopes".into(), spec.scopes.len(), MOST_SCOPES)?;
    for (scope, roles) in &spec.scopes {
        let field = format!("spec.scopes.{scope}.roles");
        at_most(field, roles.len(), MOST_SCOPES)?;
    }
    Ok(())
}

async fn check_references<S: Sql>(sql: &S, spec: &TeamSpec) -> Result<(), CatalogError> {
    for user in spec.members.keys() {
        if users::find(sql, user).await?.is_none() {
            let field = format!("spec.members.{user}");
            return Err(CatalogError::invalid(field, "there is no such user"));
        }
    }
    for (scope, roles) in &spec.scopes {
        let field = format!("spec.scopes.{scope}");
        if scope != ORGANIZATION && projects::by_id(sql, scope).await?.is_none() {
            return Err(CatalogError::invalid(field, "there is no such scope"));
        }
        for role in roles {
            if !roles::exists(sql, role).await? {
                let message = format!("there is no role '{role}'");
                return Err(CatalogError::invalid(format!("{field}.roles"), message));
            }
        }
    }
    Ok(())
}

async fn clear<S: Sql>(sql: &S, name: &str) -> Result<(), CatalogError> {
    for table in ["team_members", "team_grants"] {
        sql.query(
            &format!("DELETE FROM {table} WHERE team = ?1"),
            &[name.into()],
        )
        .await?;
    }
    Ok(())
}

/// Deletes a team. Says whether there was one.
///
/// Errors: [`CatalogError::WrongState`] if nobody would own the organization.
pub async fn delete<S: Sql>(sql: &S, name: &str) -> Result<bool, CatalogError> {
    transaction(sql, async |sql| {
        clear(sql, name).await?;
        let rows = sql
            .query(
                "DELETE FROM teams WHERE name = ?1 RETURNING name",
                &[name.into()],
            )
            .await?;
        ensure_owner(sql).await?;
        Ok(!rows.is_empty())
    })
    .await
}

/// Whether this user may change who is a member.
pub async fn is_admin<S: Sql>(sql: &S, name: &str, user: &str) -> Result<bool, CatalogError> {
    let rows = sql
        .query(
            "SELECT 1 FROM team_members WHERE team = ?1 AND user_id = ?2 AND is_team_admin = 1",
            &[name.into(), user.into()],
        )
        .await?;
    Ok(!rows.is_empty())
}

/// Inside a transaction: makes somebody a member, unless they are.
pub(crate) async fn add_member<S: Sql>(
    sql: &S,
    team: &str,
    user: &str,
    admin: bool,
) -> Result<(), CatalogError> {
    sql.query(
        "INSERT INTO team_members (team, user_id, is_team_admin) VALUES (?1, ?2, ?3)
         ON CONFLICT (team, user_id) DO NOTHING",
        &[team.into(), user.into(), admin.into()],
    )
    .await?;
    Ok(())
}

/// The active user who has owned the organization for longest, if there is one.
pub async fn first_owner<S: Sql>(sql: &S) -> Result<Option<String>, CatalogError> {
    let rows = sql
        .query(
            "SELECT u.id FROM users u
             JOIN team_members m ON m.user_id = u.id
             JOIN team_grants g ON g.team = m.team
             WHERE u.is_active = 1 AND g.scope = ?1 AND g.role = ?2
             ORDER BY u.created, u.id LIMIT 1",
            &[ORGANIZATION.into(), Role::Owner.name().into()],
        )
        .await?;
    rows.first().map(|row| row.text("id")).transpose()
}

/// At the end of a transaction that takes something from somebody.
///
/// Errors: [`CatalogError::WrongState`] if nobody owns the organization now.
pub(crate) async fn ensure_owner<S: Sql>(sql: &S) -> Result<(), CatalogError> {
    match first_owner(sql).await? {
        Some(_) => Ok(()),
        None => Err(CatalogError::WrongState(
            "The organization would be left without an owner. Make somebody else an owner first."
                .into(),
        )),
    }
}
