//! Storage accounts: where a project's media lies, and what opens it.
//!
//! A storage account belongs to one project. Where several projects keep media in the same one, each has a record and
//! credentials of its own, so that none can take another's storage away.
//!
//! Nothing here talks to storage: whether a credential opens it is for the caller to find out beforehand.

pub mod credentials;

use headwater_blob::{AccountUrl, Auth};
use headwater_seal::Seal;
use jiff::Timestamp;
use uuid::Uuid;

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::query::{Field, FieldKind, Listing, Page};
use crate::sql::{Row, Sql, Value, transaction};
use crate::{Written, names};

use credentials::Keeping;
pub use credentials::{Credential, CredentialKind, NewCredential};

/// Most storage accounts of a project.
pub const MOST: usize = 100;

/// A storage account attached to a project.
#[derive(Debug, Clone)]
pub struct StorageAccount {
    pub name: String,
    pub id: Uuid,
    /// The account as the storage service names it: what signatures are made for.
    pub account: String,
    /// Of the account, without a trailing slash.
    pub url: String,
    pub description: Option<String>,
    /// Where assets go that name no storage account. One per project that has any.
    pub primary: bool,
    /// The one of its credentials that lasts longest.
    pub credential: Credential,
    pub created: Timestamp,
    pub created_by: Option<String>,
    pub modified: Timestamp,
    pub modified_by: Option<String>,
}

impl StorageAccount {
    /// What requests to it prove their right with.
    ///
    /// Errors: [`CatalogError::Seal`], [`CatalogError::Corrupt`].
    pub fn auth(&self, seal: &Seal) -> Result<Auth, CatalogError> {
        self.credential.auth(seal, &self.account)
    }

    /// The URL of a container in it.
    pub fn container_url(&self, container: &str) -> String {
        format!("{}/{container}", self.url)
    }
}

const ENTITY: Entity<StorageAccount> = Entity {
    one: "Storage account",
    many: "storage accounts",
    table: "opened_storage",
    columns: "name, id, account, url, description, is_primary, created_by, modified_by, created, modified, credential_id, credential_kind, secret_sealed, sanitized, expires, credential_created_by, credential_created",
    read: from_row,
    tie: Field::new("name", "name", FieldKind::Text),
    fields: &[
        Field::new("metadata/name", "name", FieldKind::Text),
        Field::new("metadata/created", "created", FieldKind::Time),
        Field::new("metadata/updated", "modified", FieldKind::Time),
        Field::new("spec/url", "url", FieldKind::Text),
        Field::new("spec/description", "description", FieldKind::OptionalText),
    ],
    labels: None,
};

fn from_row(row: &Row<'_>) -> Result<StorageAccount, CatalogError> {
    Ok(StorageAccount {
        name: row.text("name")?,
        id: row.uuid("id")?,
        account: row.text("account")?,
        url: row.text("url")?,
        description: row.opt_text("description")?,
        primary: row.flag("is_primary")?,
        credential: Credential::in_use(row)?,
        created: row.time("created")?,
        created_by: row.opt_text("created_by")?,
        modified: row.time("modified")?,
        modified_by: row.opt_text("modified_by")?,
    })
}

/// One storage account.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<StorageAccount, CatalogError> {
    ENTITY.get(sql, project, name).await
}

/// One storage account, if it exists.
pub async fn find<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<Option<StorageAccount>, CatalogError> {
    ENTITY.find(sql, project, name).await
}

/// The account for assets that name none.
///
/// Errors: [`CatalogError::NotFound`] if the project has no primary storage account.
pub async fn primary<S: Sql>(sql: &S, project: &ProjectId) -> Result<StorageAccount, CatalogError> {
    list(sql, project)
        .await?
        .into_iter()
        .find(|account| account.primary)
        .ok_or_else(|| CatalogError::not_found("Storage account", "primary"))
}

/// All storage accounts of a project, by name.
pub async fn list<S: Sql>(
    sql: &S,
    project: &ProjectId,
) -> Result<Vec<StorageAccount>, CatalogError> {
    ENTITY.all(sql, &[("project_id", project.into())]).await
}

/// A page of a project's storage accounts.
///
/// Errors: [`CatalogError::Invalid`] naming `$filter` or `$orderby`.
pub async fn page<S: Sql>(
    sql: &S,
    project: &ProjectId,
    listing: &Listing,
) -> Result<Page<StorageAccount>, CatalogError> {
    ENTITY.list(sql, project, listing).await
}

/// All storage accounts of that name, in whichever project.
pub async fn named<S: Sql>(sql: &S, name: &str) -> Result<Vec<StorageAccount>, CatalogError> {
    ENTITY.all(sql, &[("name", name.into())]).await
}

/// What the storage service calls `account`, in whichever project: the record whose credential lasts longest.
pub async fn called<S: Sql>(
    sql: &S,
    account: &str,
) -> Result<Option<StorageAccount>, CatalogError> {
    let found = ENTITY.all(sql, &[("account", account.into())]).await?;
    Ok(found
        .into_iter()
        .max_by_key(|account| account.credential.expires))
}

/// What a writer says about a storage account.
#[derive(Debug, Clone, Copy)]
pub struct StorageWrite<'a> {
    pub url: &'a AccountUrl,
    pub description: Option<&'a str>,
    /// Takes the place of all that there are. A new storage account needs one.
    pub credential: Option<&'a NewCredential>,
    /// Who writes.
    pub by: &'a str,
}

/// Creates a storage account, or gives one that exists another description and perhaps another credential.
///
/// Errors: [`CatalogError::Invalid`], also for a change of the URL; [`CatalogError::Conflict`] beyond [`MOST`].
pub async fn put<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    name: &str,
    write: &StorageWrite<'_>,
    moment: Moment<'_>,
) -> Result<(StorageAccount, Written), CatalogError> {
    names::plain("name", name)?;
    names::text("spec.description", write.description, 1024)?;
    transaction(sql, async |sql| {
        let written = match find(sql, project, name).await? {
            Some(old) if old.url != write.url.as_str() => {
                return Err(CatalogError::invalid(
                    "spec.url",
                    format!(
                        "cannot be changed once the storage account exists (it is '{}')",
                        old.url
                    ),
                ));
            }
            Some(old) => {
                describe(sql, project, name, write.description, write.by, moment.now).await?;
                if let Some(credential) = write.credential {
                    credentials::replace(sql, seal, old.id, credential, write.by, moment).await?;
                }
                Written::Existing
            }
            None => {
                let credential = write
                    .credential
                    .ok_or_else(|| CatalogError::invalid("spec.credential", "is required"))?;
                let id = insert(sql, project, name, write, moment).await?;
                let keeping = Keeping::new(id, write.by, moment);
                credentials::insert(sql, seal, credential, keeping).await?;
                Written::Created
            }
        };
        Ok((get(sql, project, name).await?, written))
    })
    .await
}

/// Inside a transaction: adds a row, which is nothing until it has a credential.
async fn insert<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    write: &StorageWrite<'_>,
    moment: Moment<'_>,
) -> Result<Uuid, CatalogError> {
    let all = list(sql, project).await?;
    if all.len() >= MOST {
        return Err(CatalogError::Conflict(format!(
            "There are {MOST} storage accounts already, which is the most there may be."
        )));
    }
    let id = moment.ids.uuid();
    sql.query(
        "INSERT INTO storage_accounts (project_id, name, id, account, url, description, is_primary, created_by,
             modified_by, created, modified)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?9)",
        &[
            project.into(),
            name.into(),
            id.into(),
            write.url.account().into(),
            write.url.as_str().into(),
            Value::from(write.description),
            (!all.iter().any(|account| account.primary)).into(),
            write.by.into(),
            moment.now.into(),
        ],
    )
    .await?;
    Ok(id)
}

/// Inside a transaction: gives `project` its own record of a storage account that another project has, with those of its
/// credentials that are still good.
pub(crate) async fn copy<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    source: &StorageAccount,
    by: &str,
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    let url = AccountUrl::parse(&source.url)
        .map_err(|_| CatalogError::corrupt("url", "not that of a storage account"))?;
    let write = StorageWrite {
        url: &url,
        description: source.description.as_deref(),
        credential: None,
        by,
    };
    let id = insert(sql, project, &source.name, &write, moment).await?;
    for credential in credentials::all(sql, source.id).await? {
        if credential.expires > moment.now || credential.id == source.credential.id {
            let copied = credential.opened(seal)?;
            credentials::insert(sql, seal, &copied, Keeping::new(id, by, moment)).await?;
        }
    }
    Ok(())
}

/// Changes the description; `None` takes it away.
///
/// Errors: [`CatalogError::Invalid`], [`CatalogError::NotFound`].
pub async fn describe<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    description: Option<&str>,
    by: &str,
    now: Timestamp,
) -> Result<StorageAccount, CatalogError> {
    names::text("spec.description", description, 1024)?;
    sql.query(
        "UPDATE storage_accounts SET description = ?3, modified_by = ?4, modified = ?5
         WHERE project_id = ?1 AND name = ?2",
        &[
            project.into(),
            name.into(),
            Value::from(description),
            by.into(),
            now.into(),
        ],
    )
    .await?;
    get(sql, project, name).await
}

/// Deletes the record of a storage account with its credentials; what lies there stays. Says whether there was one. The
/// oldest of the others takes its place as the primary.
///
/// Errors: [`CatalogError::WrongState`] while an asset or an upload rule names it.
pub async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<bool, CatalogError> {
    transaction(sql, async |sql| {
        let Some(account) = find(sql, project, name).await? else {
            return Ok(false);
        };
        for (table, what) in [("assets", "asset"), ("upload_rules", "upload rule")] {
            let rows = sql
                .query(
                    &format!(
                        "SELECT name FROM {table} WHERE project_id = ?1 AND storage_account = ?2 ORDER BY name LIMIT 1"
                    ),
                    &[project.into(), name.into()],
                )
                .await?;
            if let Some(row) = rows.first() {
                return Err(CatalogError::WrongState(format!(
                    "Storage account '{name}' is used by {what} '{}'.",
                    row.text("name")?
                )));
            }
        }
        let id = [Value::from(account.id)];
        sql.query("DELETE FROM storage_credentials WHERE storage_id = ?1", &id)
            .await?;
        sql.query("DELETE FROM storage_accounts WHERE id = ?1", &id)
            .await?;
        if account.primary {
            sql.query(
                "UPDATE storage_accounts SET is_primary = 1 WHERE id = (
                     SELECT id FROM storage_accounts WHERE project_id = ?1 ORDER BY created, name LIMIT 1)",
                &[project.into()],
            )
            .await?;
        }
        Ok(true)
    })
    .await
}
