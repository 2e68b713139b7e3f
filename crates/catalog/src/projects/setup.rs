//! How a project comes to be, and how it goes.
//!
//! A new project has a running streaming endpoint, and where it is given storage, a transform and an upload rule: a film
//! put into the container `uploads-{project}` of its primary storage account is encoded and published. The very first
//! project has the same from its bootstrap, with a container called `uploads`.

use headwater_seal::Seal;
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::{COLUMNS, DEFAULT, Project, by_id, by_name, from_row};
use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::sql::{Sql, transaction};
use crate::storage::{self, StorageAccount};
use crate::transforms::TransformOutput;
use crate::upload_rules::UploadRuleWrite;
use crate::{names, tokens, transforms, upload_rules};

/// The transform that the default upload rule uses.
pub(crate) const DEFAULT_TRANSFORM: &str = "AdaptiveStreaming";

/// The default upload rule.
const UPLOADS: &str = "uploads";

/// What keeps a project from being deleted, and what messages call it: nobody should lose it by the way.
const KEEPERS: &[(&str, &str)] = &[
    ("assets", "assets"),
    ("jobs", "jobs"),
    ("streaming_locators", "streaming locators"),
    ("content_key_policies", "content key policies"),
    ("live_events", "live events"),
];

/// What goes with a project.
const FOLLOWERS: &[&str] = &[
    "asset_labels",
    "asset_tracks",
    "filters",
    "ingested_blobs",
    "job_turns",
    "live_outputs",
    "locator_filters",
    "locator_keys",
    "storage_accounts",
    "streaming_endpoints",
    "streaming_policies",
    "transforms",
    "upload_rules",
    "webhook_rules",
    "webhook_subscriptions",
];

/// A project to be made.
#[derive(Debug, Clone)]
pub struct NewProject<'a> {
    pub name: &'a str,
    pub display_name: &'a str,
    pub location: &'a str,
    /// How the AMS surface finds it; the account is called as the project is.
    pub subscription_id: &'a str,
    pub resource_group: &'a str,
    pub tags: Map<String, Json>,
    /// Other projects' storage accounts of which it gets records of its own; the first is its primary.
    pub storage: &'a [StorageAccount],
    /// Who makes it.
    pub by: &'a str,
}

impl NewProject<'_> {
    /// The container that the default upload rule is for.
    pub fn uploads_container(&self) -> String {
        format!("{UPLOADS}-{}", self.name)
    }

    /// Checks what can be checked without the database.
    ///
    /// Errors: [`CatalogError::Invalid`].
    pub fn check(&self) -> Result<(), CatalogError> {
        names::project("name", self.name)?;
        names::subscription("subscriptionId", self.subscription_id)?;
        names::resource_group("resourceGroupName", self.resource_group)?;
        check_display_name(self.display_name)
    }
}

pub(super) fn check_display_name(name: &str) -> Result<(), CatalogError> {
    names::text("spec.displayName", Some(name), 128)?;
    if name.trim().is_empty() {
        return Err(CatalogError::invalid(
            "spec.displayName",
            "must not be empty",
        ));
    }
    Ok(())
}

/// Makes a project. The container of its upload rule is the caller's to make beforehand.
///
/// Errors: [`CatalogError::Invalid`]; [`CatalogError::Conflict`] if the name is taken.
pub async fn create<S: Sql>(
    sql: &S,
    seal: &Seal,
    new: &NewProject<'_>,
    moment: Moment<'_>,
) -> Result<Project, CatalogError> {
    new.check()?;
    transaction(sql, async |sql| {
        if by_name(sql, new.name).await?.is_some() {
            return Err(CatalogError::Conflict(format!(
                "There is a project '{}' already.",
                new.name
            )));
        }
        let rows = sql
            .query(
                &format!(
                    "INSERT INTO projects (id, name, display_name, location, subscription_id, resource_group,
                         account_name, tags_json, created, modified)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?2, ?7, ?8, ?8) RETURNING {COLUMNS}"
                ),
                &[
                    moment.ids.uuid().into(),
                    new.name.into(),
                    new.display_name.into(),
                    new.location.into(),
                    new.subscription_id.into(),
                    new.resource_group.into(),
                    serde_json::to_string(&new.tags).unwrap_or_default().into(),
                    moment.now.into(),
                ],
            )
            .await?;
        let row = rows
            .first()
            .ok_or_else(|| CatalogError::corrupt("projects", "no row written"))?;
        let project = from_row(&row)?;
        endpoint(sql, &project.id, moment.now).await?;
        for source in new.storage {
            storage::copy(sql, seal, &project.id, source, new.by, moment).await?;
        }
        if let Some(primary) = new.storage.first() {
            let container = new.uploads_container();
            uploads(sql, &project.id, &primary.name, &container, moment.now).await?;
        }
        Ok(project)
    })
    .await
}

/// Inside a transaction: makes the streaming endpoint, if it is not there.
pub(crate) async fn endpoint<S: Sql>(
    sql: &S,
    project: &ProjectId,
    now: Timestamp,
) -> Result<(), CatalogError> {
    sql.query(
        "INSERT INTO streaming_endpoints (project_id, name, properties_json, tags_json, state, created, modified)
         VALUES (?1, ?2, ?3, '{}', 'Running', ?4, ?4) ON CONFLICT (project_id, name) DO NOTHING",
        &[
            project.into(),
            DEFAULT.into(),
            json!({"scaleUnits": 0, "cdnEnabled": false, "customHostNames": []})
                .to_string()
                .into(),
            now.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Inside a transaction: makes the transform and the rule that encode and publish what is put into `container`.
pub(crate) async fn uploads<S: Sql>(
    sql: &S,
    project: &ProjectId,
    storage_account: &str,
    container: &str,
    now: Timestamp,
) -> Result<(), CatalogError> {
    let outputs = [TransformOutput {
        on_error: Some("StopProcessingJob".into()),
        relative_priority: Some("Normal".into()),
        preset: json!({
            "@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset",
            "presetName": "AdaptiveStreaming",
        }),
    }];
    let description = Some("H.264 and AAC in a ladder that follows the source.");
    transforms::write(sql, project, DEFAULT_TRANSFORM, description, &outputs, now).await?;
    let rule = UploadRuleWrite {
        enabled: true,
        description: Some(format!(
            "Encodes and publishes films put into the container '{container}'."
        )),
        storage_account_name: storage_account.into(),
        container: container.into(),
        prefix: String::new(),
        suffixes: vec![".mp4".into(), ".m4v".into(), ".mov".into()],
        transform_name: DEFAULT_TRANSFORM.into(),
        streaming_policy_name: "Predefined_DownloadAndClearStreaming".into(),
    };
    upload_rules::write(sql, project, UPLOADS, &rule, now).await
}

/// Deletes a project in which there is nothing to lose, with its settings, its records of storage and the tokens that are
/// good for it alone. What lies in storage stays, and so does what it used. Says whether there was one.
///
/// Errors: [`CatalogError::WrongState`] for the [`DEFAULT`] one, which every start would make again, and while there are
/// assets, jobs, streaming locators or content key policies.
pub async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    by: &str,
    now: Timestamp,
) -> Result<bool, CatalogError> {
    transaction(sql, async |sql| {
        let Some(found) = by_id(sql, project.as_str()).await? else {
            return Ok(false);
        };
        let name = &found.name;
        if name == DEFAULT {
            return Err(CatalogError::WrongState(format!(
                "'{name}' is part of this installation and cannot be deleted."
            )));
        }
        for (table, what) in KEEPERS {
            let some = format!("SELECT 1 FROM {table} WHERE project_id = ?1 LIMIT 1");
            if !sql.query(&some, &[project.into()]).await?.is_empty() {
                return Err(CatalogError::WrongState(format!(
                    "There are {what} in '{name}'; delete them first."
                )));
            }
        }
        sql.query(
            "DELETE FROM storage_credentials
             WHERE storage_id IN (SELECT id FROM storage_accounts WHERE project_id = ?1)",
            &[project.into()],
        )
        .await?;
        sql.query(
            "DELETE FROM webhook_deliveries
             WHERE rule_id IN (SELECT rule_id FROM webhook_rules WHERE project_id = ?1)",
            &[project.into()],
        )
        .await?;
        for table in FOLLOWERS {
            let all = format!("DELETE FROM {table} WHERE project_id = ?1");
            sql.query(&all, &[project.into()]).await?;
        }
        tokens::end_with_project(sql, name, by, now).await?;
        sql.query("DELETE FROM api_clients WHERE project = ?1", &[name.into()])
            .await?;
        sql.query("DELETE FROM projects WHERE id = ?1", &[project.into()])
            .await?;
        Ok(true)
    })
    .await
}

#[cfg(all(test, feature = "native"))]
mod tests {
    use std::collections::BTreeSet;

    use futures::executor::block_on;

    use super::*;
    use crate::migrations::Migrate as _;
    use crate::native::NativeSqlite;

    /// A table that is added later has to say what becomes of it.
    #[test]
    fn every_table_of_a_project_has_a_place_when_it_goes() {
        // Asked about after the project is gone.
        const REMAIN: [&str; 2] = ["metered_usage", "operations"];
        let sql = NativeSqlite::in_memory().unwrap();
        block_on(sql.migrate()).unwrap();
        let rows = block_on(sql.query(
            "SELECT m.name AS name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'project_id'
             WHERE m.type = 'table'",
            &[],
        ))
        .unwrap();
        let there: BTreeSet<_> = rows.iter().map(|row| row.text("name").unwrap()).collect();
        let known = KEEPERS.iter().map(|(table, _)| *table);
        let known = known.chain(FOLLOWERS.iter().copied()).chain(REMAIN);
        assert_eq!(there, known.map(str::to_owned).collect());
    }
}
