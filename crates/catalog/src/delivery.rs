//! What key delivery needs to know about a content key, and how often a token has been used.

use headwater_protect::Rotation;
use headwater_seal::{Seal, Secret};
use jiff::Timestamp;
use uuid::Uuid;

use crate::error::CatalogError;
use crate::ids::ProjectId;
use crate::key_policies::SealedOptions;
use crate::locator_keys::{self, ContentKey};
use crate::protection::Encryption;
use crate::sql::{Sql, Value};

/// A content key with a policy that gives it out.
#[derive(Debug, Clone)]
pub struct Deliverable {
    pub project: ProjectId,
    pub encryption: Encryption,
    /// As it is stored.
    pub id: Uuid,
    /// 16 bytes.
    pub value: Secret,
    /// How often the keys change that are derived from it.
    pub rotation: Option<Rotation>,
    /// The policy's options, for who keeps those that it has read.
    pub options: SealedOptions,
}

/// A key by its id or by that of a period, once for each policy that gives it out.
///
/// Ok empty if there is no such key, or nobody here gives it out.
/// Errors: [`CatalogError::Seal`] if the master key is another one.
pub async fn deliverable<S: Sql>(
    sql: &S,
    seal: &Seal,
    kid: Uuid,
) -> Result<Vec<Deliverable>, CatalogError> {
    let found = locator_keys::given_out(sql, seal, kid).await?;
    let deliverable = |(project, key, options): (_, ContentKey, _)| Deliverable {
        project,
        encryption: key.usage.encryption,
        id: key.id,
        value: key.value,
        rotation: key.rotation,
        options,
    };
    Ok(found.into_iter().map(deliverable).collect())
}

/// Counts a use of a token, in one statement with the check: of two requests at the same time only one gets the last use.
/// Whether there was one left.
///
/// `most`: uses in all. `expires`: when the count can be forgotten.
pub async fn count_use<S: Sql>(
    sql: &S,
    policy_id: Uuid,
    fingerprint: &[u8; 32],
    most: u64,
    expires: Timestamp,
    now: Timestamp,
) -> Result<bool, CatalogError> {
    sql.query("DELETE FROM token_uses WHERE expires < ?1", &[now.into()])
        .await?;
    let fingerprint = fingerprint
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = sql
        .query(
            "INSERT INTO token_uses (policy_id, fingerprint, uses, expires) VALUES (?1, ?2, 1, ?3)
             ON CONFLICT (policy_id, fingerprint) DO UPDATE SET uses = token_uses.uses + 1 WHERE token_uses.uses < ?4
             RETURNING uses",
            &[
                policy_id.into(),
                fingerprint.into(),
                expires.into(),
                Value::from(most),
            ],
        )
        .await?;
    Ok(rows.first().is_some())
}
