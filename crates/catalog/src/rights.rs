//! What the subject of a token may do at this moment: one indexed statement a request.
//!
//! Rights are looked up rather than carried in the token, so that whatever is taken away is gone with the next request.
//! The statement that asks whether a token has been revoked has to be run anyway; teams, roles and clients are joined to
//! it by primary key, so a request costs as many round trips as before. (Claims with a version number would need a lookup
//! of the version, which is the same round trip, and a way to issue the token again.) The project that the request is about
//! comes along with it.

use headwater_auth::{Capabilities, Grant, Over, Powers, Role};

use crate::error::CatalogError;
use crate::projects::{self, Asked, Brought};
use crate::sql::{Row, Rows, Sql, Value};

/// How a table names the organization as a scope.
pub const ORGANIZATION: &str = "*";

/// How things stand with a token and its subject.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// The token or the key that signed it has been revoked.
    pub revoked: bool,
    /// What the subject may do.
    pub grants: Vec<Grant>,
    /// The one project that the subject is held to, by name.
    pub project: Option<String>,
    /// What was asked about along with it.
    pub brought: Brought,
}

/// Identifies a token for its revocation.
#[derive(Debug, Clone, Copy)]
pub struct TokenId<'a> {
    pub jti: &'a str,
    /// Of the key that signed it.
    pub kid: &'a str,
}

impl TokenId<'_> {
    /// A column of its own, with the parameters `?1` and `?2`.
    const REVOKED: &'static str = "(SELECT count(*) FROM revoked_tokens WHERE jti = ?1)
         + (SELECT count(*) FROM signing_keys WHERE kid = ?2 AND revoked IS NOT NULL) AS revocations";

    fn parameters(self) -> [Value; 2] {
        [self.jti.into(), self.kid.into()]
    }
}

fn is_revoked(rows: &Rows) -> Result<bool, CatalogError> {
    match rows.first() {
        Some(row) => Ok(row.integer("revocations")? > 0),
        None => Ok(false),
    }
}

/// Whether a token that brings its own rights has been revoked.
pub async fn is_token_revoked<S: Sql>(sql: &S, token: TokenId<'_>) -> Result<bool, CatalogError> {
    let rows = sql
        .query(&format!("SELECT {}", TokenId::REVOKED), &token.parameters())
        .await?;
    is_revoked(&rows)
}

/// How things stand with a token that brings its own rights: whether it has been revoked.
pub async fn of_nobody<S: Sql>(
    sql: &S,
    token: TokenId<'_>,
    asked: Option<Asked<'_>>,
) -> Result<Standing, CatalogError> {
    let along = projects::along(asked, 3);
    let mut params = token.parameters().to_vec();
    params.extend(along.params);
    let rows = sql
        .query(
            &format!(
                "SELECT {}{} FROM (SELECT 1 AS one) AS one{}",
                TokenId::REVOKED,
                along.columns,
                along.join
            ),
            &params,
        )
        .await?;
    Ok(Standing {
        revoked: is_revoked(&rows)?,
        brought: brought(&rows, asked)?,
        ..Standing::default()
    })
}

fn brought(rows: &Rows, asked: Option<Asked<'_>>) -> Result<Brought, CatalogError> {
    match rows.first() {
        Some(row) => projects::brought(&row, asked),
        None => Ok(Brought::default()),
    }
}

/// How things stand with a user's token. `None`: there is no such user, or they are not active.
pub async fn of_user<S: Sql>(
    sql: &S,
    user: &str,
    token: TokenId<'_>,
    asked: Option<Asked<'_>>,
) -> Result<Option<Standing>, CatalogError> {
    let along = projects::along(asked, 4);
    let mut params = token.parameters().to_vec();
    params.push(user.into());
    params.extend(along.params);
    let rows = sql
        .query(
            &format!(
                "SELECT g.scope, g.role, r.capabilities_json, {}{}
                 FROM users u
                 LEFT JOIN team_members m ON m.user_id = u.id
                 LEFT JOIN team_grants g ON g.team = m.team
                 LEFT JOIN custom_roles r ON r.name = g.role{}
                 WHERE u.id = ?3 AND u.is_active = 1",
                TokenId::REVOKED,
                along.columns,
                along.join
            ),
            &params,
        )
        .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut grants = Vec::new();
    for row in rows.iter() {
        // Somebody without a team, or a team without roles.
        let Some(scope) = row.opt_text("scope")? else {
            continue;
        };
        let over = if scope == ORGANIZATION {
            Over::Organization
        } else {
            Over::Project(scope)
        };
        grants.extend(powers(&row)?.map(|powers| Grant { over, powers }));
    }
    Ok(Some(Standing {
        revoked: is_revoked(&rows)?,
        grants,
        project: None,
        brought: brought(&rows, asked)?,
    }))
}

/// How things stand with an API client's token. `None`: there is no such client.
pub async fn of_client<S: Sql>(
    sql: &S,
    client: &str,
    token: TokenId<'_>,
    asked: Option<Asked<'_>>,
) -> Result<Option<Standing>, CatalogError> {
    let along = projects::along(asked, 4);
    let mut params = token.parameters().to_vec();
    params.push(client.into());
    params.extend(along.params);
    let rows = sql
        .query(
            &format!(
                "SELECT c.role, c.project, r.capabilities_json, {}{}
                 FROM api_clients c LEFT JOIN custom_roles r ON r.name = c.role{} WHERE c.client_id = ?3",
                TokenId::REVOKED,
                along.columns,
                along.join
            ),
            &params,
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let over = Over::Organization;
    Ok(Some(Standing {
        revoked: is_revoked(&rows)?,
        grants: powers(&row)?
            .map(|powers| Grant { over, powers })
            .into_iter()
            .collect(),
        project: row.opt_text("project")?,
        brought: projects::brought(&row, asked)?,
    }))
}

/// What roles allow, by name. Those that do not exist allow nothing.
pub async fn of_roles<S: Sql>(sql: &S, names: &[String]) -> Result<Vec<Powers>, CatalogError> {
    let mut found = Vec::new();
    for name in names {
        if let Some(role) = built_in(name) {
            found.push(Powers::Role(role));
            continue;
        }
        let rows = sql
            .query(
                "SELECT name AS role, capabilities_json FROM custom_roles WHERE name = ?1",
                &[name.into()],
            )
            .await?;
        if let Some(row) = rows.first() {
            found.extend(powers(&row)?);
        }
    }
    Ok(found)
}

/// The built-in role of that name. Workers are not people: their role is not granted.
pub fn built_in(name: &str) -> Option<Role> {
    Role::parse(name).filter(|role| *role != Role::Worker)
}

/// The powers of a row's `role`; `None` if it does not exist any more.
fn powers(row: &Row<'_>) -> Result<Option<Powers>, CatalogError> {
    if let Some(role) = built_in(row.str("role")?) {
        return Ok(Some(Powers::Role(role)));
    }
    match row.opt_text("capabilities_json")? {
        None => Ok(None),
        Some(_) => Ok(Some(Powers::Custom(
            row.json::<Capabilities>("capabilities_json")?,
        ))),
    }
}
