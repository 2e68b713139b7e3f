//! Upload rules: what to do with a file that appears in storage. Headwater's own resource.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::ids::ProjectId;
use crate::query::{Field, FieldKind, Listing, Page};
use crate::sql::{Row, Sql, Value, transaction};
use crate::{Written, locators, names, storage, transforms};

/// A rule's own part, as it looks on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UploadRuleWrite {
    /// A rule that is off matches nothing.
    #[serde(default = "on")]
    pub enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub storage_account_name: String,
    pub container: String,
    /// What the blob's name must begin with; empty for every blob.
    #[serde(default)]
    pub prefix: String,
    /// What it must end with, one of them, without regard to the case of ASCII letters. Not empty.
    pub suffixes: Vec<String>,
    pub transform_name: String,
    /// The policy of the locator that publishes the result.
    pub streaming_policy_name: String,
}

fn on() -> bool {
    true
}

impl UploadRuleWrite {
    /// Whether the rule is for a blob of this name.
    pub fn matches(&self, blob: &str) -> bool {
        let blob_lower = blob.to_ascii_lowercase();
        self.enabled
            && blob.starts_with(&self.prefix)
            && self
                .suffixes
                .iter()
                .any(|suffix| blob_lower.ends_with(&suffix.to_ascii_lowercase()))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRule {
    pub name: String,
    pub rule: UploadRuleWrite,
    pub created: Timestamp,
    pub modified: Timestamp,
}

pub(crate) const ENTITY: Entity<UploadRule> = Entity {
    one: "Upload rule",
    many: "upload rules",
    table: "upload_rules",
    columns: "name, enabled, description, storage_account, container, prefix, suffixes_json, transform_name, policy_name, created, modified",
    read: from_row,
    tie: Field::new("name", "name", FieldKind::Text),
    fields: &[
        Field::new("name", "name", FieldKind::Text),
        Field::new("properties/created", "created", FieldKind::Time),
        Field::new("properties/lastModified", "modified", FieldKind::Time),
        Field::new(
            "properties/storageAccountName",
            "storage_account",
            FieldKind::Text,
        ),
        Field::new("properties/container", "container", FieldKind::Text),
        Field::new(
            "properties/transformName",
            "transform_name",
            FieldKind::Text,
        ),
        Field::new(
            "properties/streamingPolicyName",
            "policy_name",
            FieldKind::Text,
        ),
    ],
    labels: None,
};

fn from_row(row: &Row<'_>) -> Result<UploadRule, CatalogError> {
    Ok(UploadRule {
        name: row.text("name")?,
        rule: UploadRuleWrite {
            enabled: row.flag("enabled")?,
            description: row.opt_text("description")?,
            storage_account_name: row.text("storage_account")?,
            container: row.text("container")?,
            prefix: row.text("prefix")?,
            suffixes: row.json("suffixes_json")?,
            transform_name: row.text("transform_name")?,
            streaming_policy_name: row.text("policy_name")?,
        },
        created: row.time("created")?,
        modified: row.time("modified")?,
    })
}

/// One rule.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<UploadRule, CatalogError> {
    ENTITY.get(sql, project, name).await
}

/// A page of a project's rules.
///
/// Errors: [`CatalogError::Invalid`] naming `$filter` or `$orderby`.
pub async fn list<S: Sql>(
    sql: &S,
    project: &ProjectId,
    listing: &Listing,
) -> Result<Page<UploadRule>, CatalogError> {
    ENTITY.list(sql, project, listing).await
}

fn validate(name: &str, rule: &UploadRuleWrite) -> Result<(), CatalogError> {
    names::plain("name", name)?;
    names::container("properties.container", &rule.container)?;
    names::text("properties.description", rule.description.as_deref(), 1024)?;
    names::text("properties.prefix", Some(&rule.prefix), 1024)?;
    if rule.suffixes.is_empty() || rule.suffixes.len() > 32 {
        return Err(CatalogError::invalid(
            "properties.suffixes",
            "must have 1 to 32 members",
        ));
    }
    for (index, suffix) in rule.suffixes.iter().enumerate() {
        let length = suffix.chars().count();
        if length == 0 || length > 64 {
            return Err(CatalogError::invalid(
                format!("properties.suffixes[{index}]"),
                "must have 1 to 64 characters",
            ));
        }
    }
    Ok(())
}

/// Creates or replaces a rule.
///
/// Errors: [`CatalogError::Invalid`], also if the storage account, transform or policy does not exist or the transform
/// has more than one output.
pub async fn put<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    rule: &UploadRuleWrite,
    now: Timestamp,
) -> Result<(UploadRule, Written), CatalogError> {
    validate(name, rule)?;
    let missing = |field: &str, error| match error {
        CatalogError::NotFound { .. } => CatalogError::invalid(field, error.to_string()),
        other => other,
    };
    transaction(sql, async |sql| {
        storage::get(sql, project, &rule.storage_account_name)
            .await
            .map_err(|error| missing("properties.storageAccountName", error))?;
        let transform = transforms::get(sql, project, &rule.transform_name)
            .await
            .map_err(|error| missing("properties.transformName", error))?;
        if transform.outputs.len() != 1 {
            return Err(CatalogError::invalid(
                "properties.transformName",
                "must name a transform with one output",
            ));
        }
        locators::check_policy(sql, project, &rule.streaming_policy_name).await?;
        let existed = sql
            .query(
                "SELECT 1 FROM upload_rules WHERE project_id = ?1 AND name = ?2",
                &[project.into(), name.into()],
            )
            .await?;
        write(sql, project, name, rule, now).await?;
        let written = if existed.is_empty() {
            Written::Created
        } else {
            Written::Existing
        };
        Ok((get(sql, project, name).await?, written))
    })
    .await
}

/// Writes the row, unchecked.
pub(crate) async fn write<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    rule: &UploadRuleWrite,
    now: Timestamp,
) -> Result<(), CatalogError> {
    sql.query(
        "INSERT INTO upload_rules (project_id, name, enabled, description, storage_account, container, prefix,
             suffixes_json, transform_name, policy_name, created, modified)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)
         ON CONFLICT (project_id, name) DO UPDATE SET enabled = excluded.enabled, description = excluded.description,
             storage_account = excluded.storage_account, container = excluded.container, prefix = excluded.prefix,
             suffixes_json = excluded.suffixes_json, transform_name = excluded.transform_name,
             policy_name = excluded.policy_name, modified = excluded.modified",
        &[
            project.into(),
            name.into(),
            rule.enabled.into(),
            Value::from(rule.description.as_deref()),
            Value::from(&rule.storage_account_name),
            Value::from(&rule.container),
            Value::from(&rule.prefix),
            serde_json::to_string(&rule.suffixes).unwrap_or_default().into(),
            Value::from(&rule.transform_name),
            Value::from(&rule.streaming_policy_name),
            now.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Deletes a rule. Says whether there was one.
pub async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<bool, CatalogError> {
    transaction(sql, async |sql| ENTITY.delete(sql, project, name).await).await
}
