//! Streaming endpoints. Spec: the management API reference, 1.7, 2.4 and 2.11.
//!
//! Starting and stopping is done when the request is answered; clients that expect a long-running operation get one that
//! has succeeded.

use headwater_blob::HttpClient;
use headwater_catalog::Sql;
use headwater_catalog::endpoints::{self, EndpointState, StreamingEndpoint, Switched};
use headwater_catalog::operations::{self, Operation};
use http::StatusCode;
use http::header::{HeaderName, LOCATION, RETRY_AFTER};
use serde_json::{Value as Json, json};

use super::assets::query_page;
use super::light_state;
use super::locators::segment;
use crate::call::Call;
use crate::dialect::{Dialect, Envelope};
use crate::error::ApiError;
use crate::query;
use crate::reply::Reply;

const ASYNC_OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");

fn render<S, C>(call: &Call<'_, S, C>, endpoint: &StreamingEndpoint) -> Result<Json, ApiError> {
    let project = call.project()?;
    let mut properties = endpoint.properties.clone();
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
    let found = endpoints::list(call.sql, &call.project()?.id).await?;
    let items: Vec<_> = found
        .iter()
        .map(|endpoint| render(call, endpoint))
        .collect::<Result<_, _>>()?;
    let total = u32::try_from(items.len()).ok();
    let page = query_page(0, total, None, items);
    Ok(Reply::ok(query::render(
        call.dialect,
        "StreamingEndpoint",
        &call.url(),
        page,
        |item| item,
    )))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(Reply::ok(render(call, &endpoint(call).await?)?))
}

pub(super) async fn state<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(light_state(endpoint(call).await?.state.name()))
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
        Switched::Done(operation) => accepted(call, &operation),
    }
}

/// 202 with the headers that both SDK families poll by.
fn accepted<S, C>(call: &Call<'_, S, C>, operation: &Operation) -> Result<Reply, ApiError> {
    let project = call.project()?;
    let origin = &call.incoming.origin;
    let base = match call.dialect {
        Dialect::Arm => format!("{origin}{}", crate::dialect::account_path(project)),
        Dialect::MkIoOlder => format!("{origin}/api/ams/{}", segment(&project.name)),
        Dialect::MkIo | Dialect::Own => {
            format!("{origin}/api/v1/projects/{}/media", segment(&project.name))
        }
    };
    let query = match call.incoming.query.get("api-version") {
        Some(version) if call.is_arm() => format!("?api-version={}", segment(version)),
        _ => String::new(),
    };
    let id = &operation.id;
    let reply = Reply::empty(StatusCode::ACCEPTED)
        .with(
            ASYNC_OPERATION,
            format!("{base}/streamingEndpointOperations/{id}{query}"),
        )
        .with(RETRY_AFTER, "1");
    if !call.is_arm() {
        return Ok(reply);
    }
    let name = segment(&operation.resource);
    Ok(reply.with(
        LOCATION,
        format!("{base}/streamingEndpoints/{name}/operationLocations/{id}{query}"),
    ))
}

async fn operation<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Operation, ApiError> {
    let project = &call.project()?.id;
    let id = call.var("operation");
    Ok(operations::get(call.sql, project, operations::STREAMING_ENDPOINTS, id).await?)
}

pub(super) async fn operation_status<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let operation = operation(call).await?;
    Ok(Reply::ok(
        json!({"name": operation.id, "status": operation.status}),
    ))
}

pub(super) async fn operation_result<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    operation(call).await?;
    Ok(Reply::empty(StatusCode::OK))
}
