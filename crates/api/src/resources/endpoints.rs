//! Streaming endpoints. Spec: the management API reference, 1.7, 2.4 and 2.11.
//!
//! Starting and stopping is done when the request is answered; clients that expect a long-running operation get one that
//! has succeeded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_auth::{Permission, ResourceKind, Verb};
use headwater_blob::HttpClient;
use headwater_catalog::Sql;
use headwater_catalog::endpoints::{
    self, EndpointState, EndpointWrite, StreamingEndpoint, Switched,
};
use headwater_catalog::operations::{self, Operation};
use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::account_changes::tags;
use super::cross_site;
use super::live_event_body::allowed;
use super::location;
use super::locators::segment;
use super::{light_state, listed, long_running, status};
use crate::call::Call;
use crate::dialect::Envelope;
use crate::error::ApiError;
use crate::fields::{ENVELOPE, Object};
use crate::reply::Reply;

/// Most units of an endpoint (AMS).
pub(crate) const MOST_UNITS: u64 = 10;

/// Most host names of an endpoint.
const MOST_HOSTS: usize = 20;
/// Longest time that an endpoint may tell caches to keep something: a year, in seconds (RFC 9111, 1.2.2 has no use for more).
pub(crate) const LONGEST_AGE: u64 = 31_536_000;
/// Longest host name (RFC 1035, 2.3.4).
const LONGEST_HOST: usize = 253;

/// The collection of operations on endpoints.
const OPERATIONS: &str = "streamingEndpointOperations";

/// An endpoint as it is shown: the keys with which a CDN signs to those who may see secrets.
fn render<S, C>(call: &Call<'_, S, C>, endpoint: &StreamingEndpoint) -> Result<Json, ApiError> {
    let project = call.project()?;
    let reveal = Permission::new(ResourceKind::StreamingEndpoint, Verb::Reveal);
    let mut properties = match call.may(reveal) {
        true => endpoint.opened(call.seal)?,
        false => endpoint.properties.clone(),
    };
    let host = call
        .settings
        .public_url
        .split("://")
        .nth(1)
        .unwrap_or_default();
    properties.insert("hostName".into(), host.into());
    properties.insert("provisioningState".into(), "Succeeded".into());
    properties.insert("resourceState".into(), endpoint.state.name().into());
    properties.insert("created".into(), endpoint.created.to_string().into());
    properties.insert("lastModified".into(), endpoint.modified.to_string().into());
    let dedicated = properties
        .get("scaleUnits")
        .and_then(Json::as_u64)
        .is_some_and(|units| units > 0);
    let sku = json!({"name": if dedicated { "Premium" } else { "Standard" }, "capacity": 600});
    if !call.is_arm() {
        properties.insert("sku".into(), sku.clone());
    }
    let mut resource = Envelope {
        project,
        path: &[("streamingEndpoints", &endpoint.name)],
        properties: Json::Object(properties),
        created: endpoint.created,
        modified: Some(endpoint.modified),
    }
    .render();
    resource.insert("location".into(), project.location.clone().into());
    resource.insert("tags".into(), Json::Object(endpoint.tags.clone()));
    if call.is_arm() {
        resource.insert("sku".into(), sku);
    }
    Ok(Json::Object(resource))
}

async fn endpoint<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<StreamingEndpoint, ApiError> {
    Ok(endpoints::get(call.sql, &call.project()?.id, call.var("endpoint")).await?)
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let page = endpoints::list(call.sql, &call.project()?.id, &call.listing()?).await?;
    listed(call, "StreamingEndpoint", page, |endpoint| {
        render(call, &endpoint)
    })
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(Reply::ok(render(call, &endpoint(call).await?)?))
}

pub(super) async fn state<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(light_state(endpoint(call).await?.state.name()))
}

/// What is read of a body. What this installation does not do is refused rather than kept and ignored.
///
/// `home`: the project's location.
fn read(body: &Json, home: &str, empty_is_everybody: bool) -> Result<EndpointWrite, ApiError> {
    let root = Object::root(body)?;
    let known: Vec<_> = ENVELOPE.iter().copied().chain(["sku"]).collect();
    root.only(&known)?;
    location::check(&root, "location", home)?;
    let tags = tags(&root)?;
    let mut properties = Map::new();
    if let Some(given) = root.object("properties")? {
        given.only(&[
            // Read only.
            "hostName",
            "provisioningState",
            "resourceState",
            "created",
            "lastModified",
            "freeTrialEndTime",
            "sku",
            "cdnBasePath",
            // Kept.
            "description",
            "scaleUnits",
            "customHostNames",
            "accessControl",
            "maxCacheAge",
            "crossSiteAccessPolicies",
            // Refused below unless they ask for nothing.
            "cdnEnabled",
            "cdnProvider",
            "cdnProfile",
            "availabilitySetName",
            "advancedSettingsName",
            "urlStyle",
        ])?;
        // MK.IO's other style of URLs is not served.
        given.one_of("urlStyle", &["AMS"], |style| (style == "AMS").then_some(()))?;
        for member in [
            "availabilitySetName",
            "advancedSettingsName",
            "cdnProvider",
            "cdnProfile",
        ] {
            if given.get(member).is_some_and(asks) {
                return Err(ApiError::invalid(
                    given.path(member),
                    "is not supported by this installation",
                ));
            }
        }
        if given.flag("cdnEnabled")? == Some(true) {
            return Err(ApiError::invalid(
                given.path("cdnEnabled"),
                "must be false: put a CDN of your own in front of this installation",
            ));
        }
        if let Some(description) = given.text("description")? {
            if description.chars().count() > 1024 {
                return Err(ApiError::invalid(
                    given.path("description"),
                    "must have at most 1024 characters",
                ));
            }
            properties.insert("description".into(), description.into());
        }
        if let Some(units) = scale_units(&given, "scaleUnits")? {
            properties.insert("scaleUnits".into(), units.into());
        }
        // `null` takes back what was there.
        if given.names_member("accessControl") {
            let access = access(&given, empty_is_everybody)?;
            properties.insert("accessControl".into(), access.unwrap_or(Json::Null));
        }
        if let Some(policies) = cross_site::read(&given)? {
            properties.insert("crossSiteAccessPolicies".into(), policies);
        }
        if given.names_member("maxCacheAge") {
            let age = given.whole("maxCacheAge")?;
            if age.is_some_and(|age| age > LONGEST_AGE) {
                return Err(ApiError::invalid(
                    given.path("maxCacheAge"),
                    format!("must be at most {LONGEST_AGE} seconds"),
                ));
            }
            properties.insert("maxCacheAge".into(), age.into());
        }
        if let Some(hosts) = given.texts("customHostNames")? {
            let valid = |host: &String| {
                host.len() <= LONGEST_HOST && host.parse::<http::uri::Authority>().is_ok()
            };
            let wrong = match hosts.iter().position(|host| !valid(host)) {
                Some(at) => Some(format!("customHostNames[{at}]")),
                None => (hosts.len() > MOST_HOSTS).then(|| "customHostNames".to_owned()),
            };
            if let Some(member) = wrong {
                return Err(ApiError::invalid(
                    given.path(&member),
                    format!(
                        "must have at most 20 host names, each of at most {LONGEST_HOST} characters"
                    ),
                ));
            }
            properties.insert("customHostNames".into(), json!(hosts));
        }
    }
    Ok(EndpointWrite { properties, tags })
}

/// Who is served, and with which keys Akamai's servers sign. An empty list of ranges is nobody in AMS and everybody in MK.IO.
fn access(properties: &Object<'_>, empty_is_everybody: bool) -> Result<Option<Json>, ApiError> {
    let Some(access) = properties.object("accessControl")? else {
        return Ok(None);
    };
    access.only(&["ip", "akamai"])?;
    let mut made = Map::new();
    if let Some(Json::Object(allowed)) = allowed(&access, empty_is_everybody)? {
        made.extend(allowed);
    }
    if let Some(keys) = signature_keys(&access)? {
        made.insert("akamai".into(), json!({KEY_LIST: keys}));
    }
    Ok((!made.is_empty()).then_some(Json::Object(made)))
}

const KEY_LIST: &str = "akamaiSignatureHeaderAuthenticationKeyList";

/// Most keys of an endpoint: more than one at a time is for changing them.
pub(crate) const MOST_KEYS: usize = 10;
/// Longest identifier of a key, and longest key, bytes.
pub(crate) const LONGEST_KEY: usize = 128;
/// Shortest key, bytes.
const SHORTEST_KEY: usize = 8;

/// Akamai's `akamaiSignatureHeaderAuthenticationKeyList`. `None`: there are none.
fn signature_keys(access: &Object<'_>) -> Result<Option<Vec<Json>>, ApiError> {
    let Some(akamai) = access.object("akamai")? else {
        return Ok(None);
    };
    akamai.only(&[KEY_LIST])?;
    let given = akamai.objects(KEY_LIST)?.unwrap_or_default();
    if given.len() > MOST_KEYS {
        return Err(ApiError::invalid(
            akamai.path(KEY_LIST),
            format!("must have at most {MOST_KEYS} keys"),
        ));
    }
    let mut keys: Vec<Json> = Vec::new();
    for key in &given {
        key.only(&["identifier", "base64Key", "expiration"])?;
        let identifier = key.required_text("identifier")?;
        let valid = |c: char| c.is_ascii_graphic() && c != ',';
        if identifier.is_empty() || identifier.len() > LONGEST_KEY || !identifier.chars().all(valid)
        {
            return Err(ApiError::invalid(
                key.path("identifier"),
                format!("must have 1 to {LONGEST_KEY} ASCII characters, without spaces and commas"),
            ));
        }
        if keys
            .iter()
            .any(|known| known.get("identifier") == Some(&Json::from(identifier.as_str())))
        {
            return Err(ApiError::invalid(
                key.path("identifier"),
                "is that of another key",
            ));
        }
        let base64_key = key.required_text("base64Key")?;
        let bytes = STANDARD.decode(&base64_key).ok();
        if !bytes.is_some_and(|bytes| (SHORTEST_KEY..=LONGEST_KEY).contains(&bytes.len())) {
            return Err(ApiError::invalid(
                key.path("base64Key"),
                format!("must be {SHORTEST_KEY} to {LONGEST_KEY} bytes in base64"),
            ));
        }
        let mut made = Map::from_iter([
            ("identifier".to_owned(), identifier.into()),
            ("base64Key".to_owned(), base64_key.into()),
        ]);
        if let Some(expiration) = key.time("expiration")? {
            made.insert("expiration".into(), expiration.to_string().into());
        }
        keys.push(made.into());
    }
    Ok((!keys.is_empty()).then_some(keys))
}

/// Whether a setting asks for anything: not where it is empty, zero or false all the way down.
pub(super) fn asks(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(flag) => *flag,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => items.iter().any(asks),
        Json::Object(members) => members.values().any(asks),
    }
}

fn scale_units(object: &Object<'_>, member: &str) -> Result<Option<u64>, ApiError> {
    let units = object.whole(member)?;
    if units.is_some_and(|units| units > MOST_UNITS) {
        return Err(ApiError::invalid(
            object.path(member),
            format!("must be at most {MOST_UNITS}"),
        ));
    }
    Ok(units)
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let mut write = read(&call.body()?, &call.project()?.location, !call.is_arm())?;
    write.properties.entry("scaleUnits").or_insert(0.into());
    write
        .properties
        .entry("cdnEnabled")
        .or_insert(Json::Bool(false));
    let auto_start = call.incoming.query.flag("autoStart")?.unwrap_or(false);
    let (endpoint, written) = endpoints::put(
        call.sql,
        call.seal,
        &call.project()?.id,
        call.var("endpoint"),
        &write,
        auto_start,
        call.moment,
    )
    .await?;
    Ok(Reply::json(status(written), render(call, &endpoint)?))
}

pub(super) async fn update<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let write = read(&call.body()?, &call.project()?.location, !call.is_arm())?;
    change(call, &write).await
}

async fn change<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    write: &EndpointWrite,
) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    let name = call.var("endpoint");
    let endpoint =
        endpoints::update(call.sql, call.seal, project, name, write, call.moment).await?;
    Ok(Reply::ok(render(call, &endpoint)?))
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    let existed = endpoints::delete(call.sql, project, call.var("endpoint")).await?;
    Ok(Reply::deleted(existed))
}

/// Units are what the service sold; here they are a number that is shown.
pub(super) async fn scale<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let body = call.body()?;
    let body = Object::root(&body)?;
    body.only(&["scaleUnit"])?;
    let units = scale_units(&body, "scaleUnit")?;
    let units = body.required("scaleUnit", units)?;
    let properties = Map::from_iter([("scaleUnits".to_owned(), units.into())]);
    let write = EndpointWrite {
        properties,
        tags: None,
    };
    change(call, &write).await
}

pub(super) async fn skus<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    endpoint(call).await?;
    let sku = |name: &str, minimum: u64, maximum: u64| {
        json!({
            "resourceType": "Microsoft.Media/mediaservices/streamingEndpoints",
            "sku": {"name": name},
            "capacity": {
                "scaleType": "Manual", "default": minimum, "minimum": minimum, "maximum": maximum,
            },
        })
    };
    Ok(Reply::ok(json!({
        "value": [sku("Standard", 0, 0), sku("Premium", 1, MOST_UNITS)],
    })))
}

pub(super) async fn start<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    switch(call, EndpointState::Running).await
}

pub(super) async fn stop<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    switch(call, EndpointState::Stopped).await
}

async fn switch<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    to: EndpointState,
) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    match endpoints::switch(call.sql, project, call.var("endpoint"), to, call.moment).await? {
        Switched::Already => Ok(Reply::empty(StatusCode::OK)),
        Switched::Done(operation) => {
            let path = format!("/streamingEndpoints/{}", segment(&operation.resource));
            long_running::accepted(call, OPERATIONS, &path, &operation)
        }
    }
}

async fn operation_of<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Operation, ApiError> {
    let project = &call.project()?.id;
    let id = call.var("operation");
    Ok(operations::get(call.sql, project, operations::STREAMING_ENDPOINTS, id).await?)
}

pub(super) async fn operation_status<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    Ok(long_running::status(&operation_of(call).await?))
}

pub(super) async fn operation_result<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    long_running::result(&operation_of(call).await?, get(call)).await
}
