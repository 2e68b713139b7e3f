//! Streaming endpoints: whether a project's locators are served, and to whom.
//!
//! Of `accessControl.akamai` the keys are kept apart from the other properties, sealed: see `keys`.

mod keys;

pub use keys::SignatureKey;

use headwater_seal::Seal;
use headwater_work::live::IpRange;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::ids::{Moment, ProjectId};
use crate::query::{Field, FieldKind, Listing, Page};
use crate::sql::{Row, Sql, Value, transaction};
use crate::{Written, names, operations};

/// Starting and stopping take no time, so the states in between never show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    Stopped,
    Running,
}

impl EndpointState {
    /// AMS `StreamingEndpointResourceState`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Running => "Running",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct StreamingEndpoint {
    pub name: String,
    /// What a writer may set, in AMS's names, but for the keys of [`Self::opened`].
    pub properties: Map<String, Json>,
    keys: Option<keys::Sealed>,
    pub tags: Map<String, Json>,
    pub state: EndpointState,
    pub created: Timestamp,
    pub modified: Timestamp,
}

impl StreamingEndpoint {
    /// What a writer may set, in AMS's names, as it was written.
    ///
    /// Errors: [`CatalogError::Seal`], or [`CatalogError::Corrupt`] for what was not sealed here.
    pub fn opened(&self, seal: &Seal) -> Result<Map<String, Json>, CatalogError> {
        let mut properties = self.properties.clone();
        if let Some(sealed) = &self.keys {
            keys::put_back(&mut properties, sealed.open(seal)?);
        }
        Ok(properties)
    }
}

/// What a running endpoint says of whom it serves, and for how long answers are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointRules {
    /// `customHostNames`
    pub hosts: Vec<String>,
    /// `accessControl.ip.allow`: everybody if `None`, nobody if empty.
    pub allow: Option<Vec<IpRange>>,
    /// `accessControl.akamai`: if there are keys, what is asked for has to be signed with one of them.
    pub signed_with: Vec<SignatureKey>,
    /// `maxCacheAge`, seconds.
    pub max_age: Option<u32>,
}

impl EndpointRules {
    /// Errors: [`CatalogError::Corrupt`] for what the API would not have written. Nobody is served by a guess.
    fn of(properties: &Map<String, Json>) -> Result<Self, CatalogError> {
        let corrupt = || CatalogError::corrupt("properties_json", "not an endpoint's");
        let allow = match properties.get("accessControl") {
            None | Some(Json::Null) => None,
            Some(access) => match access.pointer("/ip/allow") {
                None | Some(Json::Null) => None,
                Some(ranges) => Some(Vec::deserialize(ranges).map_err(|_| corrupt())?),
            },
        };
        let hosts = match properties.get("customHostNames") {
            None | Some(Json::Null) => Vec::new(),
            Some(hosts) => Vec::deserialize(hosts).map_err(|_| corrupt())?,
        };
        let max_age = match properties.get("maxCacheAge") {
            None | Some(Json::Null) => None,
            Some(seconds) => {
                Some(u32::deserialize(seconds).map_err(|_| corrupt())?).filter(|&age| age > 0)
            }
        };
        Ok(Self {
            hosts,
            allow,
            signed_with: keys::read(properties).ok_or_else(corrupt)?,
            max_age,
        })
    }

    /// Whether there is anything to look at when serving.
    fn bind(&self) -> bool {
        self.allow.is_some() || self.max_age.is_some() || !self.signed_with.is_empty()
    }
}

/// What an endpoint or a live event says to players of an older kind, who ask a host for XML about who may read its media.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CrossSite {
    /// `customHostNames`
    pub hosts: Vec<String>,
    /// `/crossdomain.xml`, of Flash.
    pub cross_domain: Option<String>,
    /// `/clientaccesspolicy.xml`, of Silverlight.
    pub client_access: Option<String>,
}

impl CrossSite {
    fn of(properties: &Map<String, Json>) -> Self {
        let policy = |name: &str| {
            let policy = properties.get("crossSiteAccessPolicies")?.get(name)?;
            policy.as_str().filter(|text| !text.is_empty())
        };
        let hosts = properties.get("customHostNames").map(Vec::deserialize);
        Self {
            hosts: hosts.and_then(Result::ok).unwrap_or_default(),
            cross_domain: policy("crossDomainPolicy").map(str::to_owned),
            client_access: policy("clientAccessPolicy").map(str::to_owned),
        }
    }
}

/// What all say that run, of all projects, as one address serves them all: endpoints, with those that have host names of their own
/// and say nothing; and live events, whose previews are there.
pub async fn cross_site<S: Sql>(sql: &S) -> Result<(Vec<CrossSite>, Vec<CrossSite>), CatalogError> {
    let endpoints = cross_site_of(sql, "streaming_endpoints").await?;
    let events = cross_site_of(sql, "live_events").await?;
    Ok((endpoints, events))
}

async fn cross_site_of<S: Sql>(sql: &S, table: &str) -> Result<Vec<CrossSite>, CatalogError> {
    let rows = sql
        .query(
            &format!(
                "SELECT properties_json FROM {table}
                 WHERE state = 'Running' AND (properties_json LIKE '%\"crossSiteAccessPolicies\"%'
                                              OR properties_json LIKE '%\"customHostNames\"%')
                 ORDER BY project_id, name"
            ),
            &[],
        )
        .await?;
    let said = rows.iter().map(|row| {
        let properties: Map<String, Json> = row.json("properties_json")?;
        Ok(CrossSite::of(&properties))
    });
    said.collect()
}

/// The rules of a project's running endpoints, by name.
pub(crate) async fn rules<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
) -> Result<Vec<EndpointRules>, CatalogError> {
    all(sql, project)
        .await?
        .iter()
        .filter(|endpoint| endpoint.state == EndpointState::Running)
        .map(|endpoint| EndpointRules::of(&endpoint.opened(seal)?))
        .collect()
}

const ENTITY: Entity<StreamingEndpoint> = Entity {
    one: "Streaming endpoint",
    many: "streaming endpoints",
    table: "streaming_endpoints",
    columns: "name, properties_json, akamai_id, akamai_sealed, tags_json, state, created, modified",
    read: from_row,
    tie: Field::new("name", "name", FieldKind::Text),
    fields: &[
        Field::new("name", "name", FieldKind::Text),
        Field::new("properties/created", "created", FieldKind::Time),
        Field::new("properties/lastModified", "modified", FieldKind::Time),
        Field::new("properties/resourceState", "state", FieldKind::Text),
    ],
    labels: None,
};

fn from_row(row: &Row<'_>) -> Result<StreamingEndpoint, CatalogError> {
    Ok(StreamingEndpoint {
        name: row.text("name")?,
        properties: row.json("properties_json")?,
        keys: keys::Sealed::of(row)?,
        tags: row.json("tags_json")?,
        state: match row.text("state")?.as_str() {
            "Running" => EndpointState::Running,
            "Stopped" => EndpointState::Stopped,
            _ => return Err(CatalogError::corrupt("state", "unknown")),
        },
        created: row.time("created")?,
        modified: row.time("modified")?,
    })
}

/// One endpoint.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn get<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<StreamingEndpoint, CatalogError> {
    ENTITY.get(sql, project, name).await
}

/// A page of a project's endpoints.
///
/// Errors: [`CatalogError::Invalid`] naming `$filter` or `$orderby`.
pub async fn list<S: Sql>(
    sql: &S,
    project: &ProjectId,
    listing: &Listing,
) -> Result<Page<StreamingEndpoint>, CatalogError> {
    ENTITY.list(sql, project, listing).await
}

/// All endpoints of a project, by name.
async fn all<S: Sql>(sql: &S, project: &ProjectId) -> Result<Vec<StreamingEndpoint>, CatalogError> {
    ENTITY.all(sql, &[("project_id", project.into())]).await
}

/// Most endpoints of a project. AMS allowed two; they cost nothing here.
pub const MOST: usize = 20;

/// What a writer may set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EndpointWrite {
    /// In AMS's names, checked by the caller.
    pub properties: Map<String, Json>,
    pub tags: Option<Map<String, Json>>,
}

/// Creates an endpoint, stopped unless `auto_start`, or sets the properties of one that exists, whose state stays.
///
/// Errors: [`CatalogError::Invalid`] for the name; [`CatalogError::Conflict`] beyond [`MOST`].
pub async fn put<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    name: &str,
    endpoint: &EndpointWrite,
    auto_start: bool,
    moment: Moment<'_>,
) -> Result<(StreamingEndpoint, Written), CatalogError> {
    names::endpoint("name", name)?;
    transaction(sql, async |sql| {
        let all = all(sql, project).await?;
        let written = match all.iter().any(|known| known.name == name) {
            true => Written::Existing,
            false if all.len() >= MOST => {
                return Err(CatalogError::Conflict(format!(
                    "There are {MOST} streaming endpoints already, which is the most there may be."
                )));
            }
            false => Written::Created,
        };
        let state = if auto_start {
            EndpointState::Running
        } else {
            EndpointState::Stopped
        };
        let tags = endpoint.tags.clone().unwrap_or_default();
        let mut properties = endpoint.properties.clone();
        properties.retain(|_, value| !value.is_null());
        let ruled = EndpointRules::of(&properties)?.bind();
        let (id, sealed) = keys::seal(&mut properties, seal, moment)?;
        let rows = sql
            .query(
                &format!(
                    "INSERT INTO streaming_endpoints (project_id, name, properties_json, tags_json, state, created, modified, ruled,
                         akamai_id, akamai_sealed)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9)
                     ON CONFLICT (project_id, name) DO UPDATE SET properties_json = excluded.properties_json,
                         tags_json = excluded.tags_json, modified = excluded.modified, ruled = excluded.ruled,
                         akamai_id = excluded.akamai_id, akamai_sealed = excluded.akamai_sealed
                     RETURNING {}",
                    ENTITY.columns
                ),
                &[
                    project.into(),
                    name.into(),
                    json(&properties),
                    json(&tags),
                    state.name().into(),
                    moment.now.into(),
                    ruled.into(),
                    id,
                    sealed,
                ],
            )
            .await?;
        Ok((ENTITY.returned(&rows, name)?, written))
    })
    .await
}

/// Changes the given properties of an endpoint.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn update<S: Sql>(
    sql: &S,
    seal: &Seal,
    project: &ProjectId,
    name: &str,
    endpoint: &EndpointWrite,
    moment: Moment<'_>,
) -> Result<StreamingEndpoint, CatalogError> {
    transaction(sql, async |sql| {
        let old = get(sql, project, name).await?;
        let mut properties = old.opened(seal)?;
        properties.extend(endpoint.properties.clone());
        // `null` takes back what was there.
        properties.retain(|_, value| !value.is_null());
        let ruled = EndpointRules::of(&properties)?.bind();
        let (id, sealed) = keys::seal(&mut properties, seal, moment)?;
        let tags = endpoint.tags.clone().unwrap_or(old.tags);
        let rows = sql
            .query(
                &format!(
                    "UPDATE streaming_endpoints SET properties_json = ?3, tags_json = ?4, modified = ?5, ruled = ?6,
                         akamai_id = ?7, akamai_sealed = ?8
                     WHERE project_id = ?1 AND name = ?2 RETURNING {}",
                    ENTITY.columns
                ),
                &[
                    project.into(),
                    name.into(),
                    json(&properties),
                    json(&tags),
                    moment.now.into(),
                    ruled.into(),
                    id,
                    sealed,
                ],
            )
            .await?;
        ENTITY.returned(&rows, name)
    })
    .await
}

fn json(members: &Map<String, Json>) -> Value {
    Value::Text(serde_json::to_string(members).unwrap_or_default())
}

/// Deletes an endpoint. Says whether there was one.
///
/// Errors: [`CatalogError::WrongState`] while it is running.
pub async fn delete<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
) -> Result<bool, CatalogError> {
    transaction(sql, async |sql| {
        let found = ENTITY.find(sql, project, name).await?;
        if found.is_some_and(|endpoint| endpoint.state == EndpointState::Running) {
            return Err(CatalogError::WrongState(format!(
                "Streaming endpoint '{name}' is running; stop it first."
            )));
        }
        ENTITY.delete(sql, project, name).await
    })
    .await
}

/// What [`switch`] did.
#[derive(Debug, Clone, PartialEq)]
pub enum Switched {
    /// The endpoint was in that state already.
    Already,
    /// It is now; the operation can be asked about.
    Done(operations::Operation),
}

/// Starts or stops an endpoint. Asking for the state it is in is a success, so a repeated request is harmless.
///
/// Errors: [`CatalogError::NotFound`].
pub async fn switch<S: Sql>(
    sql: &S,
    project: &ProjectId,
    name: &str,
    to: EndpointState,
    moment: Moment<'_>,
) -> Result<Switched, CatalogError> {
    transaction(sql, async |sql| {
        let endpoint = get(sql, project, name).await?;
        if endpoint.state == to {
            return Ok(Switched::Already);
        }
        sql.query(
            "UPDATE streaming_endpoints SET state = ?3, modified = ?4 WHERE project_id = ?1 AND name = ?2",
            &[project.into(), name.into(), to.name().into(), moment.now.into()],
        )
        .await?;
        let operation =
            operations::succeeded(sql, project, operations::STREAMING_ENDPOINTS, name, moment).await?;
        Ok(Switched::Done(operation))
    })
    .await
}
