//! Signing keys, revoked tokens and API clients.

use headwater_auth::{PublicKey, Role, SigningKey};
use headwater_seal::Seal;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::error::CatalogError;
use crate::sql::{Sql, Value, transaction};

fn seal_context(kid: &str) -> String {
    format!("signing-key/{kid}")
}

/// The key that signs now.
///
/// Ok `None` if there is none yet; see [`ensure_signing_key`].
pub async fn signing_key<S: Sql>(sql: &S, seal: &Seal) -> Result<Option<SigningKey>, CatalogError> {
    let rows = sql
        .query(
            "SELECT kid, private_sealed FROM signing_keys WHERE retired IS NULL ORDER BY created DESC, kid LIMIT 1",
            &[],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let pkcs8 = seal.open(
        &seal_context(&row.text("kid")?),
        &row.blob("private_sealed")?,
    )?;
    SigningKey::from_pkcs8(pkcs8)
        .map(Some)
        .map_err(|_| CatalogError::corrupt("private_sealed", "not a signing key"))
}

/// The key that signs now, made on the first call.
pub async fn ensure_signing_key<S: Sql>(
    sql: &S,
    seal: &Seal,
    now: Timestamp,
) -> Result<SigningKey, CatalogError> {
    transaction(sql, async |sql| {
        if let Some(key) = signing_key(sql, seal).await? {
            return Ok(key);
        }
        let key = SigningKey::generate()
            .map_err(|_| CatalogError::Seal(headwater_seal::SealError::NoRandomness))?;
        let public = key.public();
        let sealed = seal.seal(&seal_context(&public.kid), key.pkcs8().expose())?;
        sql.query(
            "INSERT INTO signing_keys (kid, public_key, private_sealed, created) VALUES (?1, ?2, ?3, ?4)",
            &[
                Value::from(&public.kid),
                Value::from(&public.x),
                sealed.into(),
                now.into(),
            ],
        )
        .await?;
        Ok(key)
    })
    .await
}

/// Every key whose signatures are still good, newest first.
pub async fn public_keys<S: Sql>(sql: &S) -> Result<Vec<PublicKey>, CatalogError> {
    let rows = sql
        .query(
            "SELECT kid, public_key FROM signing_keys ORDER BY created DESC, kid",
            &[],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(PublicKey {
                kid: row.text("kid")?,
                x: row.text("public_key")?,
            })
        })
        .collect()
}

/// Ids of revoked tokens that have not run out by themselves at `now`.
pub async fn revoked<S: Sql>(sql: &S, now: Timestamp) -> Result<Vec<String>, CatalogError> {
    let rows = sql
        .query(
            "SELECT jti FROM revoked_tokens WHERE expires > ?1 ORDER BY jti",
            &[now.into()],
        )
        .await?;
    rows.iter().map(|row| row.text("jti")).collect()
}

/// Whether this token has been revoked.
pub async fn is_revoked<S: Sql>(sql: &S, jti: &str) -> Result<bool, CatalogError> {
    let rows = sql
        .query("SELECT 1 FROM revoked_tokens WHERE jti = ?1", &[jti.into()])
        .await?;
    Ok(!rows.is_empty())
}

/// Revokes a token. Doing so again changes nothing.
pub async fn revoke<S: Sql>(
    sql: &S,
    jti: &str,
    expires: Timestamp,
    now: Timestamp,
) -> Result<(), CatalogError> {
    sql.query(
        "INSERT INTO revoked_tokens (jti, revoked, expires) VALUES (?1, ?2, ?3) ON CONFLICT (jti) DO NOTHING",
        &[jti.into(), now.into(), expires.into()],
    )
    .await?;
    Ok(())
}

/// A program that may sign in with a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiClient {
    pub client_id: String,
    pub role: Role,
    /// The one project it reaches; without it, every project.
    pub project: Option<String>,
}

/// The client, if the secret is right. The comparison takes the same time whether it is nearly right or not at all.
pub async fn authenticate_client<S: Sql>(
    sql: &S,
    client_id: &str,
    secret: &str,
) -> Result<Option<ApiClient>, CatalogError> {
    let rows = sql
        .query(
            "SELECT client_id, salt, secret_hash, role, project FROM api_clients WHERE client_id = ?1",
            &[client_id.into()],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    // Both sides are digests, so the position of the first difference says nothing about the secret.
    if hash_secret(&row.text("salt")?, secret) != row.text("secret_hash")? {
        return Ok(None);
    }
    Ok(Some(ApiClient {
        client_id: row.text("client_id")?,
        role: Role::parse(&row.text("role")?)
            .ok_or_else(|| CatalogError::corrupt("role", "unknown"))?,
        project: row.opt_text("project")?,
    }))
}

/// Creates or replaces an API client. `secret` must be random (32 bytes or so, encoded): it is hashed once, not
/// stretched. `salt`: anything unique.
pub async fn put_client<S: Sql>(
    sql: &S,
    client: &ApiClient,
    secret: &str,
    salt: uuid::Uuid,
    now: Timestamp,
) -> Result<(), CatalogError> {
    let salt = salt.simple().to_string();
    let hash = hash_secret(&salt, secret);
    sql.query(
        "INSERT INTO api_clients (client_id, salt, secret_hash, role, project, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (client_id) DO UPDATE SET salt = excluded.salt, secret_hash = excluded.secret_hash,
             role = excluded.role, project = excluded.project",
        &[
            Value::from(&client.client_id),
            salt.into(),
            hash.into(),
            client.role.name().into(),
            Value::from(client.project.as_deref()),
            now.into(),
        ],
    )
    .await?;
    Ok(())
}

fn hash_secret(salt: &str, secret: &str) -> String {
    let digest = Sha256::new()
        .chain_update(salt.as_bytes())
        .chain_update([0])
        .chain_update(secret.as_bytes())
        .finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
