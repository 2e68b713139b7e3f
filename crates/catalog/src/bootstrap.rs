//! The first start, and every later one: schema, then what an installation cannot do without.
//!
//! Whatever exists is left as it is, so an operator's changes survive a restart; only the address and key of the embedded
//! storage follow the configuration, because ports may change between runs.

use headwater_auth::SigningKey;
use headwater_seal::{Seal, Secret};
use serde_json::json;

use crate::clients::{self, ClientSpec, NewSecret};
use crate::error::CatalogError;
use crate::ids::{Ids, Moment, ProjectId};
use crate::keys;
use crate::native::NativeSqlite;
use crate::projects::{self, Project};
use crate::rights::ORGANIZATION;
use crate::sql::{Sql, Value, transaction};
use crate::transforms::TransformOutput;
use crate::upload_rules::UploadRuleWrite;
use crate::users::{self, Profile};
use crate::{storage, teams, transforms, upload_rules};

/// The container whose uploads are encoded and published.
pub const UPLOADS: &str = "uploads";
/// The transform that the default upload rule uses.
pub const DEFAULT_TRANSFORM: &str = "AdaptiveStreaming";
/// Project, account and streaming endpoint.
pub const DEFAULT: &str = "default";

/// What the binary knows at start.
#[derive(Debug, Clone)]
pub struct BootstrapConfig {
    /// Base64 of 32 bytes.
    pub master_key: Secret,
    /// The embedded storage account's URL, without a trailing slash: `http://127.0.0.1:10000/local`.
    pub blob_url: String,
    /// The storage account's name: `local`.
    pub account: String,
    /// Base64.
    pub account_key: Secret,
    pub subscription_id: String,
    pub resource_group: String,
    /// As the API shows it (AMS `location`).
    pub location: String,
    /// A program that may sign in with client credentials as owner.
    pub client: Option<BootstrapClient>,
}

#[derive(Debug, Clone)]
pub struct BootstrapClient {
    pub client_id: String,
    /// Random, at least 16 characters.
    pub secret: Secret,
}

/// What the rest of the start needs.
#[derive(Debug)]
pub struct Bootstrapped {
    pub project: Project,
    /// Signs the tokens of this installation.
    pub signing_key: SigningKey,
    /// The id of the user who has owned the organization for longest.
    pub owner: String,
    /// Schema steps taken.
    pub migrations: usize,
}

/// Brings the database to what this version needs. Running it again is harmless.
///
/// The container [`UPLOADS`] is the caller's to create: nothing here talks to storage.
pub async fn bootstrap(
    sql: &NativeSqlite,
    config: &BootstrapConfig,
    now: jiff::Timestamp,
    ids: &(dyn Ids + Sync),
) -> Result<Bootstrapped, CatalogError> {
    let migrations = sql.migrate()?;
    let master_key = config
        .master_key
        .expose_str()
        .ok_or(headwater_seal::SealError::BadMasterKey)?;
    let seal = Seal::new(master_key)?;
    let signing_key = keys::ensure_signing_key(sql, &seal, now).await?;
    let moment = Moment { now, ids };
    let project = transaction(sql, async |sql| {
        let project = ensure_project(sql, config, moment).await?;
        ensure_storage(sql, &seal, config, &project.id, moment).await?;
        ensure_endpoint(sql, &project.id, now).await?;
        Ok(project)
    })
    .await?;
    seed(sql, config, &project.id, now).await?;
    if let Some(client) = &config.client {
        let secret = client
            .secret
            .expose_str()
            .filter(|secret| secret.len() >= 16)
            .ok_or_else(|| {
                CatalogError::invalid("client.secret", "must have at least 16 characters")
            })?;
        let spec = ClientSpec {
            description: Some("Of this installation's own scripts.".into()),
            role: headwater_auth::Role::Owner.name().into(),
            project: None,
        };
        let salt = ids.uuid();
        let secret = NewSecret { secret, salt };
        clients::put(sql, &client.client_id, &spec, secret, now).await?;
        // The configuration's secret may be another one than last time.
        clients::rotate(sql, &client.client_id, secret, now).await?;
    }
    let owner = ensure_first_user(sql, &project, now).await?;
    Ok(Bootstrapped {
        project,
        signing_key,
        owner,
        migrations,
    })
}

/// Somebody owns the organization from the start: once in an installation's life, because owners see to it from then on
/// that there is one. Returns the owner.
async fn ensure_first_user(
    sql: &NativeSqlite,
    project: &Project,
    now: jiff::Timestamp,
) -> Result<String, CatalogError> {
    transaction(sql, async |sql| {
        if let Some(owner) = teams::first_owner(sql).await? {
            return Ok(owner);
        }
        // As unique as the first project's.
        let id = uuid::Uuid::new_v5(&project.uuid(), b"first user").to_string();
        let profile = Profile {
            name: "owner".into(),
            login_email: None,
            details: serde_json::Map::new(),
            is_active: true,
        };
        users::create(sql, &id, &profile, now).await?;
        sql.query(
            "INSERT INTO teams (name, description, created, modified) VALUES (?1, 'Everything, everywhere.', ?2, ?2)
             ON CONFLICT (name) DO NOTHING",
            &[teams::OWNERS.into(), now.into()],
        )
        .await?;
        teams::add_member(sql, teams::OWNERS, &id, true).await?;
        sql.query(
            "INSERT INTO team_grants (team, scope, role) VALUES (?1, ?2, ?3) ON CONFLICT (team, scope, role) DO NOTHING",
            &[
                teams::OWNERS.into(),
                ORGANIZATION.into(),
                headwater_auth::Role::Owner.name().into(),
            ],
        )
        .await?;
        Ok(id)
    })
    .await
}

/// Makes the default transform and upload rule: once in an installation's life, so that deleting them is final.
async fn seed(
    sql: &NativeSqlite,
    config: &BootstrapConfig,
    project: &ProjectId,
    now: jiff::Timestamp,
) -> Result<(), CatalogError> {
    const MILESTONE: &str = "defaults seeded";
    let reached = sql
        .query(
            "SELECT 1 FROM milestones WHERE name = ?1",
            &[MILESTONE.into()],
        )
        .await?;
    if !reached.is_empty() {
        return Ok(());
    }
    let outputs = [TransformOutput {
        on_error: Some("StopProcessingJob".into()),
        relative_priority: Some("Normal".into()),
        preset: json!({
            "@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset",
            "presetName": "AdaptiveStreaming",
        }),
    }];
    let description = "H.264 and AAC in a ladder that follows the source.";
    transforms::put(
        sql,
        project,
        DEFAULT_TRANSFORM,
        Some(description),
        &outputs,
        now,
    )
    .await?;
    let rule = UploadRuleWrite {
        enabled: true,
        description: Some("Encodes and publishes films put into the container 'uploads'.".into()),
        storage_account_name: config.account.clone(),
        container: UPLOADS.into(),
        prefix: String::new(),
        suffixes: vec![".mp4".into(), ".m4v".into(), ".mov".into()],
        transform_name: DEFAULT_TRANSFORM.into(),
        streaming_policy_name: "Predefined_DownloadAndClearStreaming".into(),
    };
    upload_rules::put(sql, project, UPLOADS, &rule, now).await?;
    // Last: a start that dies before this line makes them again, which changes nothing.
    sql.query(
        "INSERT INTO milestones (name, reached) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        &[MILESTONE.into(), now.into()],
    )
    .await?;
    Ok(())
}

async fn ensure_project(
    sql: &NativeSqlite,
    config: &BootstrapConfig,
    moment: Moment<'_>,
) -> Result<Project, CatalogError> {
    sql.query(
        "INSERT INTO projects (id, name, display_name, location, subscription_id, resource_group, account_name, created, modified)
         VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?2, ?6, ?6) ON CONFLICT (name) DO NOTHING",
        &[
            moment.ids.uuid().into(),
            DEFAULT.into(),
            Value::from(&config.location),
            Value::from(&config.subscription_id),
            Value::from(&config.resource_group),
            moment.now.into(),
        ],
    )
    .await?;
    projects::by_name(sql, DEFAULT)
        .await?
        .ok_or_else(|| CatalogError::not_found("Project", DEFAULT))
}

async fn ensure_storage(
    sql: &NativeSqlite,
    seal: &Seal,
    config: &BootstrapConfig,
    project: &ProjectId,
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    let existing = storage::list(sql, project).await?;
    let old = existing
        .iter()
        .find(|account| account.name == config.account);
    let id = old.map_or_else(|| moment.ids.uuid(), |account| account.id);
    let url = config.blob_url.trim_end_matches('/');
    if let Some(old) = old
        && old.url == url
        && old.account_key(seal)?.expose() == config.account_key.expose()
    {
        return Ok(());
    }
    let sealed = seal.seal(
        &storage::seal_context(&id.to_string()),
        config.account_key.expose(),
    )?;
    sql.query(
        "INSERT INTO storage_accounts (project_id, name, id, account, url, credential_sealed, is_primary, created, modified)
         VALUES (?1, ?2, ?3, ?2, ?4, ?5, ?6, ?7, ?7)
         ON CONFLICT (project_id, name) DO UPDATE SET url = excluded.url,
             credential_sealed = excluded.credential_sealed, modified = excluded.modified",
        &[
            project.into(),
            Value::from(&config.account),
            id.into(),
            url.into(),
            sealed.into(),
            (!existing.iter().any(|account| account.primary)).into(),
            moment.now.into(),
        ],
    )
    .await?;
    Ok(())
}

async fn ensure_endpoint(
    sql: &NativeSqlite,
    project: &ProjectId,
    now: jiff::Timestamp,
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
