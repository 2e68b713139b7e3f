//! Live events. Spec: the management API reference, 1.12, 2.3, 2.4 and 2.10.

use headwater_auth::{Permission, ResourceKind, Verb};
use headwater_blob::HttpClient;
use headwater_catalog::live::actions::{self, Outputs};
use headwater_catalog::live::events::{self, Put};
use headwater_catalog::live::{Acted, Action, LiveEvent};
use headwater_catalog::operations::{LIVE_EVENTS, Operation, OperationStatus};
use headwater_catalog::projects::Project;
use headwater_catalog::{CatalogError, Sql};
use headwater_work::live::{EncodingType, Endpoint, Endpoints};
use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::assets::query_page;
use super::live_event_body as body;
use super::locators::segment;
use super::{light_state, long_running, status};
use crate::call::Call;
use crate::dialect::{Dialect, Envelope};
use crate::error::ApiError;
use crate::fields::Object;
use crate::query;
use crate::reply::Reply;

/// The collection of operations on live events.
const OPERATIONS: &str = "liveEventOperations";

/// An event as it is shown. What lets a stranger in as the encoder, the access token and the ingest URLs that hold it, is
/// shown to those who could have set it.
fn render<S, C>(call: &Call<'_, S, C>, event: &LiveEvent) -> Result<Json, ApiError> {
    let project = call.project()?;
    let reveal = Permission::new(ResourceKind::LiveEvent, Verb::Reveal);
    let endpoints = event.endpoints(call.seal)?;
    let token = match call.may(reveal) {
        true => Some(event.access_token(call.seal)?),
        false => None,
    };
    Ok(resource(
        project,
        call.dialect,
        event,
        &endpoints,
        token.as_deref(),
    ))
}

/// An event as a GET shows it. `token`: what an encoder has to show; without it the ingest URLs stay away too.
pub(super) fn resource(
    project: &Project,
    dialect: Dialect,
    event: &LiveEvent,
    endpoints: &Endpoints,
    token: Option<&str>,
) -> Json {
    let urls = |list: &[Endpoint]| json!(list);
    let metadata: Vec<_> = endpoints
        .timed_metadata
        .iter()
        .map(|url| json!({ "url": url }))
        .collect();
    let mut properties = json!(event.properties);
    if let Some(Json::Object(encoding)) = properties.get_mut("encoding") {
        encoding.remove("ladder");
    }
    if let Some(Json::Object(input)) = properties.get_mut("input") {
        let shown = |list: Json| token.map_or_else(|| json!([]), |_| list);
        input.insert("endpoints".into(), shown(urls(&endpoints.input)));
        input.insert("timedMetadataEndpoints".into(), shown(metadata.into()));
        if let Some(token) = token {
            input.insert("accessToken".into(), token.into());
        }
    }
    if let Some(Json::Object(preview)) = properties.get_mut("preview") {
        preview.insert("endpoints".into(), urls(&endpoints.preview));
    }
    if let Json::Object(members) = &mut properties {
        let provisioning = if event.state.is_passing() {
            "InProgress"
        } else {
            "Succeeded"
        };
        members.insert("provisioningState".into(), provisioning.into());
        members.insert("resourceState".into(), event.state.name().into());
        members.insert("created".into(), event.created.to_string().into());
        members.insert("lastModified".into(), event.modified.to_string().into());
    }
    let mut resource = Envelope {
        project,
        path: &[("liveEvents", &event.name)],
        properties,
        created: event.created,
        modified: Some(event.modified),
    }
    .render();
    resource.insert("location".into(), project.location.clone().into());
    resource.insert("tags".into(), json!(event.tags));
    if dialect != Dialect::Arm {
        resource.insert("labels".into(), json!(event.labels));
    }
    Json::Object(resource)
}

async fn event<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<LiveEvent, ApiError> {
    let project = &call.project()?.id;
    Ok(events::get(call.sql, project, call.var("event"), call.moment.now).await?)
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let mut listing = call.listing()?;
    listing.count = true;
    let page = events::list(call.sql, &call.project()?.id, &listing, call.moment.now).await?;
    let items: Vec<_> = page
        .items
        .iter()
        .map(|event| render(call, event))
        .collect::<Result<_, _>>()?;
    let page = query_page(page.offset, page.total, page.next, items);
    Ok(counted(call, "LiveEvent", page))
}

/// A list as the surface shows it; ARM's live lists say how long the whole one is.
pub(super) fn counted<S, C>(
    call: &Call<'_, S, C>,
    kind: &str,
    page: headwater_catalog::query::Page<Json>,
) -> Reply {
    let total = page.total;
    let mut body = query::render(call.dialect, kind, &call.url(), page, |item| item);
    if let (true, Json::Object(members)) = (call.is_arm(), &mut body) {
        members.insert("@odata.count".into(), total.into());
    }
    Reply::ok(body)
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(Reply::ok(render(call, &event(call).await?)?))
}

pub(super) async fn state<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(light_state(event(call).await?.state.name()))
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let mut write = body::read(call)?;
    if !call.is_arm() {
        mkio_defaults(&mut write.properties);
    }
    let auto_start = call.incoming.query.flag("autoStart")?.unwrap_or(false);
    let Put {
        event,
        written,
        operation,
    } = events::put(
        call.sql,
        call.seal,
        &call.project()?.id,
        call.var("event"),
        &write,
        auto_start,
        call.moment,
    )
    .await?;
    let reply = Reply::json(status(written), render(call, &event)?);
    match operation {
        Some(operation) => long_running::followed(call, reply, OPERATIONS, &path(call), &operation),
        None => Ok(reply),
    }
}

/// MK.IO fits pictures into its ladder where AMS did not.
fn mkio_defaults(properties: &mut Map<String, Json>) {
    if let Some(Json::Object(encoding)) = properties.get_mut("encoding")
        && encoding
            .get("encodingType")
            .and_then(|name| serde_json::from_value::<EncodingType>(name.clone()).ok())
            .is_some_and(|kind| !kind.is_passthrough())
    {
        encoding
            .entry("stretchMode")
            .or_insert_with(|| "AutoSize".into());
    }
}

pub(super) async fn update<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let write = body::read(call)?;
    let project = &call.project()?.id;
    let name = call.var("event");
    let event = events::update(call.sql, call.seal, project, name, &write, call.moment.now).await?;
    Ok(Reply::ok(render(call, &event)?))
}

/// The event's path below the account.
fn path<S, C>(call: &Call<'_, S, C>) -> String {
    format!("/liveEvents/{}", segment(call.var("event")))
}

fn answer<S, C>(call: &Call<'_, S, C>, acted: Acted) -> Result<Reply, ApiError> {
    match acted {
        Acted::Already => Ok(Reply::empty(StatusCode::OK)),
        Acted::Begun(operation) => {
            long_running::accepted(call, OPERATIONS, &path(call), &operation)
        }
        Acted::Absent => Ok(Reply::deleted(false)),
        // MK.IO's clients know a 400 by this.
        Acted::OutputsInTheWay(message) if !call.is_arm() => {
            Err(ApiError::invalid("liveOutputs", message))
        }
        Acted::OutputsInTheWay(message) => Err(CatalogError::WrongState(message).into()),
    }
}

pub(super) async fn act<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    action: Action,
) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    let acted = actions::act(call.sql, project, call.var("event"), action, call.moment).await?;
    answer(call, acted)
}

pub(super) async fn stop<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let outputs = if call.incoming.body.is_empty() {
        Outputs::Kept
    } else {
        let body = call.body()?;
        let body = Object::root(&body)?;
        body.only(&["removeOutputsOnStop"])?;
        match body.flag("removeOutputsOnStop")? {
            Some(true) => Outputs::Removed,
            Some(false) | None => Outputs::Kept,
        }
    };
    let project = &call.project()?.id;
    let acted = actions::stop(call.sql, project, call.var("event"), outputs, call.moment).await?;
    answer(call, acted)
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    match actions::delete(call.sql, project, call.var("event"), call.moment).await? {
        Acted::Begun(operation) if operation.status == OperationStatus::Succeeded => {
            Ok(Reply::deleted(true))
        }
        acted => answer(call, acted),
    }
}

async fn operation<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Operation, ApiError> {
    let project = &call.project()?.id;
    let id = call.var("operation");
    Ok(actions::operation(call.sql, project, LIVE_EVENTS, id, call.moment.now).await?)
}

pub(super) async fn operation_status<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    Ok(long_running::status(&operation(call).await?))
}

pub(super) async fn operation_result<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    long_running::result(&operation(call).await?, get(call)).await
}
