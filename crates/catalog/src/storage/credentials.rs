//! Credentials of storage accounts: immutable, several at a time, the one that lasts longest is used.
//!
//! To rotate is to add a new one, to see that everything works, and to delete the old one. A storage account always has
//! one, so the last cannot be deleted by itself.

use headwater_blob::{AccountKey, Auth, InvalidKey, SasToken};
use headwater_seal::{Seal, Secret};
use jiff::Timestamp;
use uuid::Uuid;

use crate::Written;
use crate::error::CatalogError;
use crate::ids::Moment;
use crate::sql::{Row, Sql, Value, transaction};

/// Most credentials of a storage account.
pub const MOST: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// Allows everything, and does not run out. Can sign for others.
    AccountKey,
    /// Allows what it says until it runs out. Can be handed on, and nothing can be made from it.
    Sas,
}

impl CredentialKind {
    fn name(self) -> &'static str {
        match self {
            Self::AccountKey => "AccountKey",
            Self::Sas => "Sas",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::AccountKey, Self::Sas]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    fn auth(self, secret: &Secret, account: &str) -> Result<Auth, InvalidKey> {
        let text = secret.expose_str().unwrap_or_default();
        Ok(match self {
            Self::AccountKey => Auth::SharedKey {
                account: account.to_owned(),
                key: AccountKey::from_base64(text)?,
            },
            Self::Sas => Auth::Sas(text.to_owned()),
        })
    }
}

/// A credential that the catalog keeps. The secret is sealed.
#[derive(Debug, Clone)]
pub struct Credential {
    pub id: Uuid,
    pub kind: CredentialKind,
    /// Of a SAS: itself without the signature.
    pub sanitized: Option<String>,
    /// An account key lasts to the last instant there is.
    pub expires: Timestamp,
    pub created: Timestamp,
    pub created_by: Option<String>,
    secret_sealed: Vec<u8>,
}

impl Credential {
    fn read(row: &Row<'_>, [id, kind, by, created]: [&str; 4]) -> Result<Self, CatalogError> {
        Ok(Self {
            id: row.uuid(id)?,
            kind: CredentialKind::parse(&row.text(kind)?)
                .ok_or_else(|| CatalogError::corrupt(kind, "unknown"))?,
            sanitized: row.opt_text("sanitized")?,
            expires: row.time("expires")?,
            created: row.time(created)?,
            created_by: row.opt_text(by)?,
            secret_sealed: row.blob("secret_sealed")?,
        })
    }

    /// From a row of `opened_storage`.
    pub(crate) fn in_use(row: &Row<'_>) -> Result<Self, CatalogError> {
        let columns = [
            "credential_id",
            "credential_kind",
            "credential_created_by",
            "credential_created",
        ];
        Self::read(row, columns)
    }

    fn secret(&self, seal: &Seal) -> Result<Secret, CatalogError> {
        Ok(seal.open(&seal_context(self.id), &self.secret_sealed)?)
    }

    /// What requests prove their right with. `account`: as the storage service names it.
    ///
    /// Errors: [`CatalogError::Seal`], [`CatalogError::Corrupt`].
    pub fn auth(&self, seal: &Seal, account: &str) -> Result<Auth, CatalogError> {
        self.kind
            .auth(&self.secret(seal)?, account)
            .map_err(|_| CatalogError::corrupt("secret_sealed", "not an account key"))
    }

    /// The same once more, to be kept somewhere else.
    pub(crate) fn opened(&self, seal: &Seal) -> Result<NewCredential, CatalogError> {
        Ok(NewCredential {
            kind: self.kind,
            secret: self.secret(seal)?,
            sanitized: self.sanitized.clone(),
            expires: self.expires,
        })
    }
}

/// A credential to be kept. `Debug` shows nothing of the secret.
#[derive(Debug, Clone)]
pub struct NewCredential {
    kind: CredentialKind,
    secret: Secret,
    sanitized: Option<String>,
    expires: Timestamp,
}

impl NewCredential {
    /// `base64`: of the account key.
    pub fn account_key(base64: &str) -> Result<Self, InvalidKey> {
        AccountKey::from_base64(base64)?;
        Ok(Self {
            kind: CredentialKind::AccountKey,
            secret: base64.into(),
            sanitized: None,
            expires: Timestamp::MAX,
        })
    }

    pub fn sas(token: &SasToken) -> Self {
        Self {
            kind: CredentialKind::Sas,
            secret: token.expose().into(),
            sanitized: Some(token.sanitized()),
            expires: token.expiry(),
        }
    }

    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// What a first request proves its right with. `account`: as the storage service names it.
    pub fn auth(&self, account: &str) -> Result<Auth, InvalidKey> {
        self.kind.auth(&self.secret, account)
    }

    fn is(&self, kept: &Credential, seal: &Seal) -> Result<bool, CatalogError> {
        Ok(self.kind == kept.kind && self.secret.expose() == kept.secret(seal)?.expose())
    }
}

/// What a credential's secret is sealed for.
fn seal_context(id: Uuid) -> String {
    format!("storage/{id}")
}

const COLUMNS: &str = "id, kind, secret_sealed, sanitized, expires, created_by, created";

fn from_row(row: &Row<'_>) -> Result<Credential, CatalogError> {
    Credential::read(row, ["id", "kind", "created_by", "created"])
}

/// All credentials of a storage account, the one that is used first.
pub async fn all<S: Sql>(sql: &S, storage: Uuid) -> Result<Vec<Credential>, CatalogError> {
    let rows = sql
        .query(
            &format!(
                "SELECT {COLUMNS} FROM storage_credentials WHERE storage_id = ?1 ORDER BY expires DESC, created DESC, id"
            ),
            &[storage.into()],
        )
        .await?;
    rows.iter().map(|row| from_row(&row)).collect()
}

/// One credential of a storage account.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(sql: &S, storage: Uuid, id: &str) -> Result<Credential, CatalogError> {
    all(sql, storage)
        .await?
        .into_iter()
        .find(|credential| credential.id.to_string() == id)
        .ok_or_else(|| CatalogError::not_found("Credential", id))
}

/// The credential of a storage account that is the same as this one.
pub async fn find_same<S: Sql>(
    sql: &S,
    seal: &Seal,
    storage: Uuid,
    credential: &NewCredential,
) -> Result<Option<Credential>, CatalogError> {
    for known in all(sql, storage).await? {
        if credential.is(&known, seal)? {
            return Ok(Some(known));
        }
    }
    Ok(None)
}

/// Adds a credential. One that is there already is left as it is, so a repeated request is harmless.
///
/// Errors: [`CatalogError::NotFound`] if the storage account is gone; [`CatalogError::Conflict`] beyond [`MOST`].
pub async fn add<S: Sql>(
    sql: &S,
    seal: &Seal,
    storage: Uuid,
    credential: &NewCredential,
    by: &str,
    moment: Moment<'_>,
) -> Result<(Credential, Written), CatalogError> {
    transaction(sql, async |sql| {
        if let Some(known) = find_same(sql, seal, storage, credential).await? {
            return Ok((known, Written::Existing));
        }
        match all(sql, storage).await?.len() {
            0 => Err(CatalogError::not_found(
                "Storage account",
                storage.to_string(),
            )),
            MOST.. => Err(CatalogError::Conflict(format!(
                "There are {MOST} credentials already, which is the most there may be; delete some."
            ))),
            _ => {
                let added =
                    insert(sql, seal, credential, Keeping::new(storage, by, moment)).await?;
                Ok((added, Written::Created))
            }
        }
    })
    .await
}

/// Where, by whom and when a credential is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keeping<'a> {
    pub(crate) storage: Uuid,
    /// The credential's own.
    pub(crate) id: Uuid,
    pub(crate) by: Option<&'a str>,
    pub(crate) now: Timestamp,
}

impl<'a> Keeping<'a> {
    pub(crate) fn new(storage: Uuid, by: &'a str, moment: Moment<'_>) -> Self {
        Self {
            storage,
            id: moment.ids.uuid(),
            by: Some(by),
            now: moment.now,
        }
    }
}

/// Inside a transaction: adds a row.
pub(crate) async fn insert<S: Sql>(
    sql: &S,
    seal: &Seal,
    credential: &NewCredential,
    keeping: Keeping<'_>,
) -> Result<Credential, CatalogError> {
    let sealed = seal.seal(&seal_context(keeping.id), credential.secret.expose())?;
    let rows = sql
        .query(
            &format!(
                "INSERT INTO storage_credentials (storage_id, {COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 RETURNING {COLUMNS}"
            ),
            &[
                keeping.storage.into(),
                keeping.id.into(),
                credential.kind.name().into(),
                sealed.into(),
                Value::from(credential.sanitized.as_deref()),
                credential.expires.into(),
                Value::from(keeping.by),
                keeping.now.into(),
            ],
        )
        .await?;
    let row = rows
        .first()
        .ok_or_else(|| CatalogError::corrupt("storage_credentials", "no row"))?;
    from_row(&row)
}

/// Inside a transaction: makes `credential` the only one.
pub(crate) async fn replace<S: Sql>(
    sql: &S,
    seal: &Seal,
    storage: Uuid,
    credential: &NewCredential,
    by: &str,
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    let mut kept = false;
    for known in all(sql, storage).await? {
        if !kept && credential.is(&known, seal)? {
            kept = true;
        } else {
            remove(sql, known.id).await?;
        }
    }
    if !kept {
        insert(sql, seal, credential, Keeping::new(storage, by, moment)).await?;
    }
    Ok(())
}

/// Inside a transaction: gives the account keys of a storage account another value, where they have not got it.
#[cfg(feature = "native")]
pub(crate) async fn set_account_keys<S: Sql>(
    sql: &S,
    seal: &Seal,
    storage: Uuid,
    key: &Secret,
) -> Result<(), CatalogError> {
    for known in all(sql, storage).await? {
        if known.kind == CredentialKind::AccountKey && known.secret(seal)?.expose() != key.expose()
        {
            let sealed = seal.seal(&seal_context(known.id), key.expose())?;
            sql.query(
                "UPDATE storage_credentials SET secret_sealed = ?2 WHERE id = ?1",
                &[known.id.into(), sealed.into()],
            )
            .await?;
        }
    }
    Ok(())
}

async fn remove<S: Sql>(sql: &S, id: Uuid) -> Result<(), CatalogError> {
    sql.query(
        "DELETE FROM storage_credentials WHERE id = ?1",
        &[id.into()],
    )
    .await?;
    Ok(())
}

/// Deletes a credential. Says whether there was one.
///
/// Errors: [`CatalogError::WrongState`] for the last one.
pub async fn delete<S: Sql>(sql: &S, storage: Uuid, id: &str) -> Result<bool, CatalogError> {
    transaction(sql, async |sql| {
        let kept = all(sql, storage).await?;
        let Some(found) = kept.iter().find(|known| known.id.to_string() == id) else {
            return Ok(false);
        };
        if kept.len() == 1 {
            return Err(CatalogError::WrongState(
                "It is the storage account's only credential; add another first.".into(),
            ));
        }
        remove(sql, found.id).await?;
        Ok(true)
    })
    .await
}
