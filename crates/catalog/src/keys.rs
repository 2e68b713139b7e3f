//! Signing keys and revoked tokens.
//!
//! One key signs. A key that was replaced verifies for as long as a token of its last moment may last, without its private
//! half; a key that is revoked is refused at once, with everything it signed.

use headwater_auth::token::LONGEST_SECONDS;
use headwater_auth::{PublicKey, SigningKey};
use headwater_seal::Seal;
use jiff::{SignedDuration, Timestamp};

use crate::error::CatalogError;
use crate::sql::{Row, Sql, Value, transaction};

/// A key that is younger than this is what a repeated request to replace the one before it gets.
const REPEATED: SignedDuration = SignedDuration::from_mins(1);

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
        make(sql, seal, now).await
    })
    .await
}

/// Inside a transaction: a new key that signs.
async fn make<S: Sql>(sql: &S, seal: &Seal, now: Timestamp) -> Result<SigningKey, CatalogError> {
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
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    pub kid: String,
    pub created: Timestamp,
    /// Signs no more from here on.
    pub retired: Option<Timestamp>,
    /// Verifies until then; without it, for now.
    pub verifies_until: Option<Timestamp>,
    /// Refused from here on.
    pub revoked: Option<Timestamp>,
}

const COLUMNS: &str = "kid, created, retired, verifies_until, revoked";

fn from_row(row: &Row<'_>) -> Result<KeyRecord, CatalogError> {
    Ok(KeyRecord {
        kid: row.text("kid")?,
        created: row.time("created")?,
        retired: row.opt_time("retired")?,
        verifies_until: row.opt_time("verifies_until")?,
        revoked: row.opt_time("revoked")?,
    })
}

/// Every key that there is a record of, newest first.
pub async fn list<S: Sql>(sql: &S) -> Result<Vec<KeyRecord>, CatalogError> {
    let rows = sql
        .query(
            &format!("SELECT {COLUMNS} FROM signing_keys ORDER BY created DESC, kid"),
            &[],
        )
        .await?;
    rows.iter().map(|row| from_row(&row)).collect()
}

async fn find<S: Sql>(sql: &S, kid: &str) -> Result<KeyRecord, CatalogError> {
    let rows = sql
        .query(
            &format!("SELECT {COLUMNS} FROM signing_keys WHERE kid = ?1"),
            &[kid.into()],
        )
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| CatalogError::not_found("Signing key", kid))?;
    from_row(&row)
}

/// Makes a key that signs from here on. The one before it goes on verifying until the last of its tokens has run out.
/// A key that has just been made is not replaced, so a repeated request is harmless.
pub async fn rotate<S: Sql>(
    sql: &S,
    seal: &Seal,
    now: Timestamp,
) -> Result<KeyRecord, CatalogError> {
    transaction(sql, async |sql| {
        let signing = list(sql)
            .await?
            .into_iter()
            .find(|key| key.retired.is_none());
        match signing {
            Some(key) if now.duration_since(key.created) < REPEATED => Ok(key),
            _ => replace(sql, seal, now).await,
        }
    })
    .await
}

/// Inside a transaction: retires what signs, and makes another. Keys whose tokens have all run out are forgotten.
async fn replace<S: Sql>(sql: &S, seal: &Seal, now: Timestamp) -> Result<KeyRecord, CatalogError> {
    let longest = SignedDuration::from_secs(LONGEST_SECONDS);
    let until = now.checked_add(longest).unwrap_or(Timestamp::MAX);
    // What signs no more needs no private half.
    sql.query(
        "UPDATE signing_keys SET retired = ?1, verifies_until = ?2, private_sealed = ?3 WHERE retired IS NULL",
        &[now.into(), until.into(), Vec::new().into()],
    )
    .await?;
    sql.query(
        "DELETE FROM signing_keys WHERE verifies_until < ?1",
        &[now.into()],
    )
    .await?;
    let key = make(sql, seal, now).await?;
    find(sql, &key.public().kid).await
}

/// Refuses a key and everything it signed, from the next request on. If it is the one that signs, another takes over.
/// Doing so again changes nothing.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn revoke_key<S: Sql>(
    sql: &S,
    seal: &Seal,
    kid: &str,
    now: Timestamp,
) -> Result<KeyRecord, CatalogError> {
    transaction(sql, async |sql| {
        if find(sql, kid).await?.retired.is_none() {
            replace(sql, seal, now).await?;
        }
        sql.query(
            "UPDATE signing_keys SET revoked = coalesce(revoked, ?2) WHERE kid = ?1",
            &[kid.into(), now.into()],
        )
        .await?;
        find(sql, kid).await
    })
    .await
}

/// Every key whose signatures are good at `now`, newest first.
pub async fn public_keys<S: Sql>(sql: &S, now: Timestamp) -> Result<Vec<PublicKey>, CatalogError> {
    let rows = sql
        .query(
            "SELECT kid, public_key FROM signing_keys
             WHERE revoked IS NULL AND (verifies_until IS NULL OR verifies_until > ?1)
             ORDER BY created DESC, kid",
            &[now.into()],
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
