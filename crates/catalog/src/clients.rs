//! API clients: programs that sign in with an id and a secret (OAuth 2.0 client credentials, RFC 6749 section 4.4).
//!
//! Secrets are random, so hashing them once with a salt is enough. What a client may do is looked up with each request
//! (see [`crate::rights`]): a client that is deleted has lost its tokens.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::error::CatalogError;
use crate::sql::{Row, Sql, Value, transaction};
use crate::{Written, names, projects, roles, users};

/// Most API clients of an installation.
pub const MOST: u32 = 200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiClient {
    pub client_id: String,
    pub spec: ClientSpec,
    pub created: Timestamp,
    pub modified: Timestamp,
}

/// What can be changed of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSpec {
    pub description: Option<String>,
    /// Built in or custom.
    pub role: String,
    /// The one project it reaches, by name; without it, every project.
    pub project: Option<String>,
}

/// A new secret with what it is hashed with.
#[derive(Clone, Copy)]
pub struct NewSecret<'a> {
    /// Random, 32 bytes or so, encoded.
    pub secret: &'a str,
    /// Anything unique.
    pub salt: uuid::Uuid,
}

impl NewSecret<'_> {
    /// Salt and hash, as they are kept.
    fn kept(self) -> [Value; 2] {
        let salt = self.salt.simple().to_string();
        let hash = hash(&salt, self.secret);
        [salt.into(), hash.into()]
    }
}

const COLUMNS: &str = "client_id, description, role, project, created, modified";

fn from_row(row: &Row<'_>) -> Result<ApiClient, CatalogError> {
    let created = row.time("created")?;
    Ok(ApiClient {
        client_id: row.text("client_id")?,
        spec: ClientSpec {
            description: row.opt_text("description")?,
            role: row.text("role")?,
            project: row.opt_text("project")?,
        },
        created,
        modified: row.opt_time("modified")?.unwrap_or(created),
    })
}

/// All clients by id.
pub async fn list<S: Sql>(sql: &S) -> Result<Vec<ApiClient>, CatalogError> {
    let rows = sql
        .query(
            &format!("SELECT {COLUMNS} FROM api_clients ORDER BY client_id"),
            &[],
        )
        .await?;
    rows.iter().map(|row| from_row(&row)).collect()
}

/// One client, if it exists.
pub async fn find<S: Sql>(sql: &S, id: &str) -> Result<Option<ApiClient>, CatalogError> {
    let rows = sql
        .query(
            &format!("SELECT {COLUMNS} FROM api_clients WHERE client_id = ?1"),
            &[id.into()],
        )
        .await?;
    rows.first().map(|row| from_row(&row)).transpose()
}

/// One client.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(sql: &S, id: &str) -> Result<ApiClient, CatalogError> {
    find(sql, id)
        .await?
        .ok_or_else(|| CatalogError::not_found("API client", id))
}

/// The client, if the secret is right. The comparison takes the same time whether it is nearly right or not at all.
pub async fn authenticate<S: Sql>(
    sql: &S,
    id: &str,
    secret: &str,
) -> Result<Option<ApiClient>, CatalogError> {
    let rows = sql
        .query(
            &format!("SELECT {COLUMNS}, salt, secret_hash FROM api_clients WHERE client_id = ?1"),
            &[id.into()],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    // Both sides are digests, so the position of the first difference says nothing about the secret.
    if hash(&row.text("salt")?, secret) != row.text("secret_hash")? {
        return Ok(None);
    }
    from_row(&row).map(Some)
}

/// Creates a client with this secret, or changes one that exists and leaves its secret alone.
///
/// Errors: [`CatalogError::Invalid`]; [`CatalogError::Conflict`] for the id of a user, and beyond [`MOST`].
pub async fn put<S: Sql>(
    sql: &S,
    id: &str,
    spec: &ClientSpec,
    secret: NewSecret<'_>,
    now: Timestamp,
) -> Result<(ApiClient, Written), CatalogError> {
    names::plain("client", id)?;
    names::text("spec.description", spec.description.as_deref(), 1024)?;
    transaction(sql, async |sql| {
        check_references(sql, spec).await?;
        let written = match find(sql, id).await? {
            Some(_) => Written::Existing,
            None => Written::Created,
        };
        if written == Written::Created {
            // Records of tokens are found by their subject.
            if users::find(sql, id).await?.is_some() {
                return Err(CatalogError::Conflict(format!("'{id}' is the id of a user.")));
            }
            let counted = sql.query("SELECT count(*) AS total FROM api_clients", &[]).await?;
            if counted.total()? >= MOST {
                return Err(CatalogError::Conflict(format!(
                    "There are {MOST} clients already, which is the most there may be."
                )));
            }
        }
        let [salt, hash] = secret.kept();
        let rows = sql
            .query(
                &format!(
                    "INSERT INTO api_clients ({COLUMNS}, salt, secret_hash) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7)
                     ON CONFLICT (client_id) DO UPDATE SET description = excluded.description,
                         role = excluded.role, project = excluded.project, modified = excluded.modified
                     RETURNING {COLUMNS}"
                ),
                &[
                    id.into(),
                    Value::from(spec.description.as_deref()),
                    Value::from(&spec.role),
                    Value::from(spec.project.as_deref()),
                    now.into(),
                    salt,
                    hash,
                ],
            )
            .await?;
        let row = rows
            .first()
            .ok_or_else(|| CatalogError::not_found("API client", id))?;
        Ok((from_row(&row)?, written))
    })
    .await
}

async fn check_references<S: Sql>(sql: &S, spec: &ClientSpec) -> Result<(), CatalogError> {
    if !roles::exists(sql, &spec.role).await? {
        let message = format!("there is no role '{}'", spec.role);
        return Err(CatalogError::invalid("spec.role", message));
    }
    if let Some(name) = &spec.project
        && projects::by_name(sql, name).await?.is_none()
    {
        let message = format!("there is no project '{name}'");
        return Err(CatalogError::invalid("spec.project", message));
    }
    Ok(())
}

/// Gives a client another secret. The old one is refused from here on.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn rotate<S: Sql>(
    sql: &S,
    id: &str,
    secret: NewSecret<'_>,
    now: Timestamp,
) -> Result<ApiClient, CatalogError> {
    let [salt, hash] = secret.kept();
    let rows = sql
        .query(
            &format!(
                "UPDATE api_clients SET salt = ?2, secret_hash = ?3, modified = ?4 WHERE client_id = ?1
                 RETURNING {COLUMNS}"
            ),
            &[id.into(), salt, hash, now.into()],
        )
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| CatalogError::not_found("API client", id))?;
    from_row(&row)
}

/// Deletes a client, and with it what its tokens are good for. Says whether there was one.
pub async fn delete<S: Sql>(sql: &S, id: &str) -> Result<bool, CatalogError> {
    let rows = sql
        .query(
            "DELETE FROM api_clients WHERE client_id = ?1 RETURNING client_id",
            &[id.into()],
        )
        .await?;
    Ok(!rows.is_empty())
}

fn hash(salt: &str, secret: &str) -> String {
    let digest = Sha256::new()
        .chain_update(salt.as_bytes())
        .chain_update([0])
        .chain_update(secret.as_bytes())
        .finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
