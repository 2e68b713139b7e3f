//! Tokens that people make for their programs: a record of each, and their end.
//!
//! The token itself is the caller's to sign and to show once. A record outlives its token until somebody lists and finds it
//! run out for `KEPT`.

use headwater_auth::{Role, Tree};
use jiff::{SignedDuration, Timestamp};

use crate::error::CatalogError;
use crate::keys;
use crate::sql::{Row, Sql, Value, transaction};

/// How long the record of a token that has run out is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Most tokens of one person that are still good.
pub const MOST: u32 = 200;

/// What a token is for (MK.IO).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// What somebody gets who comes in: short-lived, with all their rights.
    Login,
    /// Up to a year.
    FullAccess,
    /// Up to a year, held to a tree of permissions.
    Restricted,
    /// Short-lived.
    Ephemeral,
}

impl TokenKind {
    pub const ALL: [Self; 4] = [
        Self::Login,
        Self::FullAccess,
        Self::Restricted,
        Self::Ephemeral,
    ];

    /// MK.IO's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::FullAccess => "full-access",
            Self::Restricted => "restricted",
            Self::Ephemeral => "ephemeral",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The record of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// The token's `jti`.
    pub id: String,
    pub kind: TokenKind,
    /// Who made it, and whom it stands for.
    pub subject: String,
    pub description: Option<String>,
    /// No more than these, if any are named.
    pub roles: Option<Vec<Role>>,
    /// The one project it reaches; without it, every project.
    pub project: Option<String>,
    /// No more than this.
    pub permissions: Option<Tree>,
    pub issued: Timestamp,
    pub expires: Timestamp,
    pub revoked: Option<Timestamp>,
    pub revoked_by: Option<String>,
}

const COLUMNS: &str = "id, kind, subject, description, roles_json, project, issued, expires, revoked, revoked_by, permissions_json";

fn from_row(row: &Row<'_>) -> Result<TokenRecord, CatalogError> {
    Ok(TokenRecord {
        id: row.text("id")?,
        kind: TokenKind::parse(row.str("kind")?)
            .ok_or_else(|| CatalogError::corrupt("kind", "unknown"))?,
        subject: row.text("subject")?,
        description: row.opt_text("description")?,
        roles: row.json("roles_json")?,
        project: row.opt_text("project")?,
        permissions: match row.opt_text("permissions_json")? {
            Some(_) => row.json("permissions_json")?,
            None => None,
        },
        issued: row.time("issued")?,
        expires: row.time("expires")?,
        revoked: row.opt_time("revoked")?,
        revoked_by: row.opt_text("revoked_by")?,
    })
}

/// Whose tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of<'a> {
    Everybody,
    Subject(&'a str),
}

impl Of<'_> {
    fn condition(self) -> &'static str {
        match self {
            // So that both have the parameter.
            Self::Everybody => "?1 = ''",
            Self::Subject(_) => "subject = ?1",
        }
    }

    fn parameter(self) -> Value {
        match self {
            Self::Everybody => "".into(),
            Self::Subject(subject) => subject.into(),
        }
    }
}

/// Records a token that is about to be signed.
///
/// Errors: [`CatalogError::Conflict`] beyond [`MOST`].
pub async fn record<S: Sql>(sql: &S, token: &TokenRecord) -> Result<(), CatalogError> {
    transaction(sql, async |sql| {
        let counted = sql
            .query(
                "SELECT count(*) AS total FROM api_tokens
                 WHERE subject = ?1 AND revoked IS NULL AND expires > ?2",
                &[Value::from(&token.subject), token.issued.into()],
            )
            .await?;
        if counted.total()? >= MOST {
            return Err(CatalogError::Conflict(format!(
                "There are {MOST} tokens already, which is the most there may be; revoke some."
            )));
        }
        let oldest = token.issued.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        sql.query(
            "DELETE FROM api_tokens WHERE expires < ?1",
            &[oldest.into()],
        )
        .await?;
        sql.query(
            &format!("INSERT INTO api_tokens ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL, NULL, ?9)"),
            &[
                Value::from(&token.id),
                token.kind.name().into(),
                Value::from(&token.subject),
                Value::from(token.description.as_deref()),
                serde_json::to_string(&token.roles).unwrap_or_default().into(),
                Value::from(token.project.as_deref()),
                token.issued.into(),
                token.expires.into(),
                Value::from(
                    token
                        .permissions
                        .as_ref()
                        .map(|tree| serde_json::to_string(tree).unwrap_or_default()),
                ),
            ],
        )
        .await?;
        Ok(())
    })
    .await
}

/// Records, newest first.
pub async fn list<S: Sql>(sql: &S, of: Of<'_>) -> Result<Vec<TokenRecord>, CatalogError> {
    let rows = sql
        .query(
            &format!(
                "SELECT {COLUMNS} FROM api_tokens WHERE {} ORDER BY issued DESC, id LIMIT 1000",
                of.condition()
            ),
            &[of.parameter()],
        )
        .await?;
    rows.iter().map(|row| from_row(&row)).collect()
}

/// One record.
///
/// Errors: [`CatalogError::NotFound`], also for somebody else's.
pub async fn get<S: Sql>(sql: &S, of: Of<'_>, id: &str) -> Result<TokenRecord, CatalogError> {
    let rows = sql
        .query(
            &format!(
                "SELECT {COLUMNS} FROM api_tokens WHERE {} AND id = ?2",
                of.condition()
            ),
            &[of.parameter(), id.into()],
        )
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| CatalogError::not_found("Token", id))?;
    from_row(&row)
}

/// Ends tokens: the one of this id, or all. From here on they are refused. Says how many there were; doing it again
/// changes nothing.
pub async fn revoke<S: Sql>(
    sql: &S,
    of: Of<'_>,
    id: Option<&str>,
    by: &str,
    now: Timestamp,
) -> Result<usize, CatalogError> {
    transaction(sql, async |sql| revoke_in(sql, of, id, by, now).await).await
}

/// The same inside a transaction.
pub(crate) async fn revoke_in<S: Sql>(
    sql: &S,
    of: Of<'_>,
    id: Option<&str>,
    by: &str,
    now: Timestamp,
) -> Result<usize, CatalogError> {
    let named = match id {
        Some(_) => "id = ?4",
        None => "?4 = ''",
    };
    let rows = sql
        .query(
            &format!(
                "UPDATE api_tokens SET revoked = coalesce(revoked, ?2), revoked_by = coalesce(revoked_by, ?3)
                 WHERE {} AND {named} RETURNING id, expires",
                of.condition()
            ),
            &[
                of.parameter(),
                now.into(),
                by.into(),
                id.unwrap_or_default().into(),
            ],
        )
        .await?;
    for row in rows.iter() {
        keys::revoke(sql, &row.text("id")?, row.time("expires")?, now).await?;
    }
    Ok(rows.rows.len())
}

/// Inside a transaction: ends the tokens that are good for a project only, and takes away its programs' way to new ones.
pub(crate) async fn end_with_project<S: Sql>(
    sql: &S,
    project: &str,
    by: &str,
    now: Timestamp,
) -> Result<(), CatalogError> {
    let rows = sql
        .query(
            "UPDATE api_tokens SET revoked = coalesce(revoked, ?2), revoked_by = coalesce(revoked_by, ?3)
             WHERE project = ?1 RETURNING id, expires",
            &[project.into(), now.into(), by.into()],
        )
        .await?;
    for row in rows.iter() {
        keys::revoke(sql, &row.text("id")?, row.time("expires")?, now).await?;
    }
    sql.query(
        "DELETE FROM api_clients WHERE project = ?1",
        &[project.into()],
    )
    .await?;
    Ok(())
}
