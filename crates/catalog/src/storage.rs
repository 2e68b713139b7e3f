//! Storage accounts: where a project's media lies, and the sealed key to it.

use headwater_seal::{Seal, Secret};
use jiff::Timestamp;
use uuid::Uuid;

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::ids::ProjectId;
use crate::query::{Field, FieldKind};
use crate::sql::{Row, Sql};

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
    /// Where assets go that name no storage account. One per project.
    pub primary: bool,
    pub created: Timestamp,
    pub modified: Timestamp,
    credential_sealed: Vec<u8>,
}

impl StorageAccount {
    /// The account key, base64.
    pub fn account_key(&self, seal: &Seal) -> Result<Secret, CatalogError> {
        Ok(seal.open(&seal_context(&self.id.to_string()), &self.credential_sealed)?)
    }

    /// The URL of a container in it.
    pub fn container_url(&self, container: &str) -> String {
        format!("{}/{container}", self.url)
    }
}

/// What a storage account's key is sealed for. `id`: the account's id, lower case with hyphens.
pub(crate) fn seal_context(id: &str) -> String {
    format!("storage/{id}")
}

const ENTITY: Entity<StorageAccount> = Entity {
    one: "Storage account",
    many: "storage accounts",
    table: "storage_accounts",
    columns: "name, id, account, url, description, credential_sealed, is_primary, created, modified",
    read: from_row,
    tie: "name",
    fields: &[Field::new("name", "name", FieldKind::Text)],
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
        created: row.time("created")?,
        modified: row.time("modified")?,
        credential_sealed: row.blob("credential_sealed")?,
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
