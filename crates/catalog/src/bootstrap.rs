//! The first start, and every later one: schema, then what an installation cannot do without.
//!
//! Whatever exists is left as it is, so an operator's changes survive a restart; only the address and key of the embedded
//! storage follow the configuration, because ports may change between runs.

use headwater_auth::SigningKey;
use headwater_seal::{Seal, Secret};

use crate::clients::{self, ClientSpec, NewSecret};
use crate::error::CatalogError;
use crate::ids::{Ids, Moment, ProjectId};
use crate::keys;
use crate::migrations::Migrate;
use crate::projects::{self, Project, setup};
use crate::rights::ORGANIZATION;
use crate::sql::{Sql, Value, transaction};
use crate::storage::{self, NewCredential, credentials};
use crate::teams;
use crate::users::{self, Profile};

/// The container whose uploads are encoded and published.
pub const UPLOADS: &str = "uploads";
pub use crate::projects::DEFAULT;
/// The transform that the default upload rule uses.
pub const DEFAULT_TRANSFORM: &str = setup::DEFAULT_TRANSFORM;

/// What the binary knows at start.
#[derive(Debug, Clone)]
pub struct BootstrapConfig {
    /// Base64 of 32 bytes; further keys after white space open what they sealed.
    pub master_key: Secret,
    /// The embedded storage account's URL, without a trailing slash: `http://127.0.0.1:10000/local`.
    pub blob_url: String,
    /// The storage account's name: `local`.
    pub account: String,
    /// Base64.
    pub account_key: Secret,
    pub subscription_id: String,
    pub resource_group: String,
    /// As the API shows it (AMS `location`). All projects are there: another one than last time moves them.
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
pub async fn bootstrap<S: Migrate>(
    sql: &S,
    config: &BootstrapConfig,
    now: jiff::Timestamp,
    ids: &(dyn Ids + Sync),
) -> Result<Bootstrapped, CatalogError> {
    let migrations = sql.migrate().await?;
    let master_key = config
        .master_key
        .expose_str()
        .ok_or(headwater_seal::SealError::BadMasterKey)?;
    let seal = Seal::with_keys(master_key)?;
    let signing_key = keys::ensure_signing_key(sql, &seal, now).await?;
    let moment = Moment { now, ids };
    let project = transaction(sql, async |sql| {
        let project = ensure_project(sql, config, moment).await?;
        ensure_storage(sql, &seal, config, &project.id, moment).await?;
        setup::endpoint(sql, &project.id, now).await?;
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
async fn ensure_first_user<S: Sql>(
    sql: &S,
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
async fn seed<S: Sql>(
    sql: &S,
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
    transaction(sql, async |sql| {
        setup::uploads(sql, project, &config.account, UPLOADS, now).await?;
        sql.query(
            "INSERT INTO milestones (name, reached) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
            &[MILESTONE.into(), now.into()],
        )
        .await?;
        Ok(())
    })
    .await
}

async fn ensure_project<S: Sql>(
    sql: &S,
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
    // An installation is in one place. `local` was what it was called before it could be said.
    sql.query(
        "UPDATE projects SET location = ?1, modified = ?2 WHERE location <> ?1",
        &[Value::from(&config.location), moment.now.into()],
    )
    .await?;
    projects::by_name(sql, DEFAULT)
        .await?
        .ok_or_else(|| CatalogError::not_found("Project", DEFAULT))
}

/// The embedded storage account, and every other project's record of it.
async fn ensure_storage<S: Sql>(
    sql: &S,
    seal: &Seal,
    config: &BootstrapConfig,
    project: &ProjectId,
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    let url = config.blob_url.trim_end_matches('/');
    let Some(own) = storage::find(sql, project, &config.account).await? else {
        return add_storage(sql, seal, config, project, url, moment).await;
    };
    let known = sql
        .query(
            "UPDATE storage_accounts SET url = ?3, modified = CASE url WHEN ?3 THEN modified ELSE ?4 END
             WHERE account = ?1 AND url = ?2 RETURNING id",
            &[
                Value::from(&config.account),
                Value::from(&own.url),
                url.into(),
                moment.now.into(),
            ],
        )
        .await?;
    for row in known.iter() {
        credentials::set_account_keys(sql, seal, row.uuid("id")?, &config.account_key).await?;
    }
    Ok(())
}

async fn add_storage<S: Sql>(
    sql: &S,
    seal: &Seal,
    config: &BootstrapConfig,
    project: &ProjectId,
    url: &str,
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    let first = storage::list(sql, project).await?.is_empty();
    let id = moment.ids.uuid();
    // Not by way of `storage::put`: the account's name is the configuration's, whatever the URL says.
    sql.query(
        "INSERT INTO storage_accounts (project_id, name, id, account, url, is_primary, created, modified)
         VALUES (?1, ?2, ?3, ?2, ?4, ?5, ?6, ?6)",
        &[
            project.into(),
            Value::from(&config.account),
            id.into(),
            url.into(),
            first.into(),
            moment.now.into(),
        ],
    )
    .await?;
    let key = config
        .account_key
        .expose_str()
        .and_then(|text| NewCredential::account_key(text).ok())
        .ok_or_else(|| CatalogError::invalid("accountKey", "must be an account key in base64"))?;
    // One id for both, as migration 7 left it where there was an account before.
    let keeping = credentials::Keeping {
        storage: id,
        id,
        by: None,
        now: moment.now,
    };
    credentials::insert(sql, seal, &key, keeping).await?;
    Ok(())
}
