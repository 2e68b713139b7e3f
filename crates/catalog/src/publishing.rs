//! What the origin needs to know about a locator, in one read.

use headwater_blob::Auth;
use headwater_seal::Seal;
use jiff::Timestamp;
use serde_json::{Map, Value as Json};

use crate::endpoints::{self, EndpointRules};
use crate::entity::Entity;
use crate::error::CatalogError;
use crate::ids::ProjectId;
use crate::live::{self, LiveSource};
use crate::locator_keys::{self, ContentKey};
use crate::locators::{self, StreamingLocator};
use crate::policies::{self, Publishing};
use crate::protection::{self, Scheme};
use crate::query::{self, Comparison, Field, FieldKind, Listing, Order, Page};
use crate::sql::{Row, Sql, Value};
use crate::storage::Credential;

/// A streaming locator with everything needed to serve it.
///
/// The catalog judges nothing here: time window, suppression and the endpoint's state are the origin's to answer.
#[derive(Debug, Clone)]
pub struct PublishedLocator {
    pub project: ProjectId,
    /// The first element of the URL's path, lower case, with hyphens.
    pub locator_id: String,
    /// The resource's name.
    pub name: String,
    pub asset_name: String,
    /// Not served before.
    pub start_time: Option<Timestamp>,
    /// Gone from here on.
    pub end_time: Option<Timestamp>,
    /// Off the air without being deleted.
    pub suppressed: bool,
    /// What the streaming policy allows.
    pub policy: Publishing,
    /// Names of the locator's filters, which apply to whatever is streamed.
    pub filters: Vec<String>,
    /// Storage account's URL and container, without a trailing slash: `http://127.0.0.1:10000/local/asset-1f3c`.
    pub container_url: String,
    pub container: String,
    /// Folder in the container, without slashes at either end; empty for the whole container.
    pub sub_path: String,
    /// What opens the container.
    pub auth: Auth,
    /// File name of the server manifest (`film.ism`), if it is known. An asset that was not made by a job has none
    /// here until somebody looked into its container.
    pub manifest: Option<String>,
    /// The locator's own choice of a default manifest name.
    pub default_manifest: Option<String>,
    /// The running streaming endpoints of the project. Where none of them has rules, one stands for all.
    pub endpoints: Vec<EndpointRules>,
    /// A job is to fill the asset and has not finished: what lies there is a part, perhaps the pictures without the sound.
    pub unfinished: bool,
    /// The live output that records the asset, while there is one.
    pub live: Option<LiveSource>,
}

/// Looks a locator up by its streaming locator id.
///
/// `locator_id`: the path element as it came; anything that is not a UUID is simply not found.
///
/// Ok `None` if there is no such locator, or its asset or storage account is gone.
pub async fn published_locator<S: Sql>(
    sql: &S,
    seal: &Seal,
    locator_id: &str,
) -> Result<Option<PublishedLocator>, CatalogError> {
    let Ok(id) = uuid::Uuid::parse_str(locator_id) else {
        return Ok(None);
    };
    let rows = sql
        .query(
            "SELECT l.project_id, l.locator_id, l.name, l.asset_name, l.start_time, l.end_time, l.suppressed,
                    l.policy_name, l.filters_json, l.default_manifest, a.container, a.sub_path, a.manifest,
                    s.account, s.url, s.credential_id, s.credential_kind, s.secret_sealed, s.sanitized, s.expires,
                    s.credential_created_by, s.credential_created, p.properties_json,
                    -- NULL: none runs; 0: none of those that run has rules.
                    (SELECT MAX(e.ruled) FROM streaming_endpoints e
                            WHERE e.project_id = l.project_id AND e.state = 'Running') AS ruled,
                    (a.manifest IS NULL AND EXISTS (
                            SELECT 1 FROM job_outputs o JOIN jobs j ON j.id = o.job_id
                            WHERE j.project_id = l.project_id AND o.asset_name = a.name)
                        -- Pictures and transport streams are finished without a manifest.
                        AND NOT EXISTS (
                            SELECT 1 FROM job_outputs o JOIN jobs j ON j.id = o.job_id
                            WHERE j.project_id = l.project_id AND o.asset_name = a.name AND o.state = 'Finished')) AS unfinished,
                    lo.manifest_name AS live_manifest, lo.properties_json AS output_json, 
                    e.id AS event_id, e.state AS event_state, e.properties_json AS event_json, e.edge_sealed
             FROM streaming_locators l
             JOIN assets a ON a.project_id = l.project_id AND a.name = l.asset_name
             JOIN opened_storage s ON s.project_id = a.project_id AND s.name = a.storage_account
             LEFT JOIN streaming_policies p ON p.project_id = l.project_id AND p.name = l.policy_name
             LEFT JOIN live_outputs lo ON lo.project_id = a.project_id AND lo.asset_name = a.name
             LEFT JOIN live_events e ON e.id = lo.event_id
             WHERE l.locator_id = ?1",
            &[Value::from(id)],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let policy_name = row.text("policy_name")?;
    let Some(policy) =
        policies::publishing(&policy_name, row.opt_text("properties_json")?.as_deref())
    else {
        return Ok(None);
    };
    let container = row.text("container")?;
    let project = ProjectId(row.text("project_id")?);
    let endpoints = match row.opt_integer("ruled")? {
        None => Vec::new(),
        Some(0) => vec![EndpointRules::default()],
        Some(_) => endpoints::rules(sql, seal, &project).await?,
    };
    Ok(Some(PublishedLocator {
        project,
        locator_id: row.text("locator_id")?,
        name: row.text("name")?,
        asset_name: row.text("asset_name")?,
        start_time: row.opt_time("start_time")?,
        end_time: row.opt_time("end_time")?,
        suppressed: row.flag("suppressed")?,
        policy,
        filters: row.json("filters_json")?,
        container_url: format!("{}/{container}", row.text("url")?),
        container,
        sub_path: row.text("sub_path")?,
        auth: Credential::in_use(&row)?.auth(seal, &row.text("account")?)?,
        manifest: row.opt_text("manifest")?,
        default_manifest: row.opt_text("default_manifest")?,
        endpoints,
        unfinished: row.flag("unfinished")?,
        live: live::source::of_output(&row, seal)?,
    }))
}

/// How a locator's media is encrypted.
#[derive(Debug, Clone)]
pub struct LocatorProtection {
    /// The schemes of its streaming policy that encrypt.
    pub schemes: Vec<Scheme>,
    /// Its keys with their values, in the order of the policy.
    pub keys: Vec<ContentKey>,
    /// What `{AlternativeMediaId}` stands for in URLs.
    pub alternative_media_id: Option<String>,
}

/// How the media of a locator is encrypted, by its streaming locator id. For packaging: it holds the keys.
///
/// Ok `None` if there is no such locator or its policy is gone.
/// Errors: [`CatalogError::Seal`] if the master key is another one.
pub async fn locator_protection<S: Sql>(
    sql: &S,
    seal: &Seal,
    locator_id: &str,
) -> Result<Option<LocatorProtection>, CatalogError> {
    let Ok(id) = uuid::Uuid::parse_str(locator_id) else {
        return Ok(None);
    };
    let rows = sql
        .query(
            "SELECT l.project_id, l.name, l.policy_name, l.alternative_media_id, p.properties_json
             FROM streaming_locators l
             LEFT JOIN streaming_policies p ON p.project_id = l.project_id AND p.name = l.policy_name
             WHERE l.locator_id = ?1",
            &[Value::from(id)],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let custom = row.opt_text("properties_json")?;
    let Some(properties) = policies::properties(&row.text("policy_name")?, custom.as_deref())
    else {
        return Ok(None);
    };
    let project = ProjectId(row.text("project_id")?);
    Ok(Some(LocatorProtection {
        schemes: protection::schemes(&properties),
        keys: locator_keys::list(sql, seal, &project, &row.text("name")?).await?,
        alternative_media_id: row.opt_text("alternative_media_id")?,
    }))
}

/// The filters called `names`, in that order, that a locator or a URL of it may apply: of its asset, or else of its account.
/// Their properties are in AMS's names.
///
/// `None` for a name that neither has, and for all names if there is no such locator.
pub async fn applicable_filters<S: Sql>(
    sql: &S,
    locator_id: &str,
    names: &[String],
) -> Result<Vec<Option<Map<String, Json>>>, CatalogError> {
    let mut found: Vec<Option<Map<String, Json>>> = vec![None; names.len()];
    let Ok(id) = uuid::Uuid::parse_str(locator_id) else {
        return Ok(found);
    };
    for (name, slot) in names.iter().zip(&mut found) {
        // The account's have no asset name, so an asset's own comes before it.
        let rows = sql
            .query(
                "SELECT f.properties_json FROM streaming_locators l
                 JOIN filters f ON f.project_id = l.project_id AND f.asset_name IN ('', l.asset_name)
                 WHERE l.locator_id = ?1 AND f.name = ?2 ORDER BY f.asset_name DESC LIMIT 1",
                &[Value::from(id), name.as_str().into()],
            )
            .await?;
        if let Some(row) = rows.first() {
            *slot = Some(row.json("properties_json")?);
        }
    }
    Ok(found)
}

/// A locator that may be played now, for lists that people look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    pub locator: StreamingLocator,
    /// The asset's server manifest. Without one, nobody knows yet whether there is anything to play.
    pub manifest: Option<String>,
    /// How long it plays, in milliseconds, once known.
    pub duration_ms: Option<u32>,
    pub policy: Publishing,
}

/// Locators that stream in the clear and without filters and whose asset no unfinished or failed job is to fill, nor a live
/// output that has recorded nothing yet. When they play is for whoever asks: `starts` and `ends`.
const PLAYABLE: &str = "(SELECT l.project_id, l.name, l.locator_id, l.asset_name, l.policy_name, l.key_policy, l.start_time,
        l.end_time, l.alternative_media_id, l.content_id, l.filters_json, l.keys_json, l.default_manifest, l.suppressed,
        l.extra_json, l.created, a.manifest, a.duration_ms, p.properties_json,
        coalesce(l.start_time, 0) AS starts, coalesce(l.end_time, 9223372036854775807) AS ends
    FROM streaming_locators l JOIN assets a ON a.project_id = l.project_id AND a.name = l.asset_name
    LEFT JOIN streaming_policies p ON p.project_id = l.project_id AND p.name = l.policy_name
    WHERE l.suppressed = 0 AND l.filters_json = '[]'
        AND (l.policy_name IN ('Predefined_ClearStreamingOnly', 'Predefined_DownloadAndClearStreaming')
            OR p.streams_clear = 1)
        AND (a.manifest IS NOT NULL OR NOT EXISTS (
            SELECT 1 FROM job_outputs o JOIN jobs j ON j.id = o.job_id
            WHERE j.project_id = l.project_id AND o.asset_name = a.name))
        AND NOT EXISTS (
            SELECT 1 FROM live_outputs o
            WHERE o.project_id = l.project_id AND o.asset_name = a.name AND o.started IS NULL)) AS playable";

const ENTITY: Entity<Listed> = Entity {
    one: "Published video",
    many: "published videos",
    table: PLAYABLE,
    columns: "name, locator_id, asset_name, policy_name, key_policy, start_time, end_time, alternative_media_id, content_id, filters_json, keys_json, default_manifest, suppressed, extra_json, created, manifest, duration_ms, properties_json",
    read: listed_from_row,
    tie: Field::new("name", "name", FieldKind::Text),
    fields: &[
        Field::new("created", "created", FieldKind::Time),
        Field::new("name", "name", FieldKind::Text),
        Field::new("assetName", "asset_name", FieldKind::Text),
        Field::new("locatorId", "locator_id", FieldKind::Uuid),
    ],
    labels: None,
};

fn listed_from_row(row: &Row<'_>) -> Result<Listed, CatalogError> {
    let locator = (locators::ENTITY.read)(row)?;
    let custom = row.opt_text("properties_json")?;
    let policy = policies::publishing(&locator.policy_name, custom.as_deref())
        .ok_or_else(|| CatalogError::corrupt("properties_json", "not a streaming policy"))?;
    Ok(Listed {
        locator,
        manifest: row.opt_text("manifest")?,
        duration_ms: row
            .opt_integer("duration_ms")?
            .and_then(|ms| u32::try_from(ms).ok()),
        policy,
    })
}

/// A page of the locators of `project` that may be played now; newest first unless another order is asked for.
///
/// Errors: [`CatalogError::Invalid`] naming `$filter` or `$orderby`.
pub async fn published<S: Sql>(
    sql: &S,
    project: &ProjectId,
    now: Timestamp,
    listing: &Listing,
) -> Result<Page<Listed>, CatalogError> {
    let newest_first = || Order {
        field: "created".into(),
        descending: true,
    };
    let listing = Listing {
        order: Some(listing.order.clone().unwrap_or_else(newest_first)),
        ..listing.clone()
    };
    let scope = [
        ("project_id", Comparison::Equal, project.into()),
        ("starts", Comparison::LessOrEqual, now.into()),
        ("ends", Comparison::Greater, now.into()),
    ];
    query::list_where(sql, &ENTITY, &scope, &listing).await
}

/// Whether any streaming endpoint of `project` is running.
pub async fn endpoint_running<S: Sql>(sql: &S, project: &ProjectId) -> Result<bool, CatalogError> {
    let rows = sql
        .query(
            "SELECT 1 FROM streaming_endpoints WHERE project_id = ?1 AND state = 'Running' LIMIT 1",
            &[project.into()],
        )
        .await?;
    Ok(!rows.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_predefined_policies_that_stream_in_the_clear_are_those_of_the_query() {
        for name in policies::PREDEFINED {
            let clear = policies::publishing(name, None).is_some_and(Publishing::streams_clear);
            assert_eq!(PLAYABLE.contains(&format!("'{name}'")), clear, "{name}");
        }
    }
}
