//! Accounts (ARM), and what MK.IO says about projects, people and places.

use std::collections::BTreeSet;

use headwater_blob::HttpClient;
use headwater_catalog::projects::{self, Project};
use headwater_catalog::{CatalogError, Sql, names, policies, storage};
use serde_json::{Value as Json, json};

use super::location;
use crate::call::Call;
use crate::dialect::{Dialect, account_path};
use crate::error::ApiError;
use crate::fields::Object;
use crate::reply::Reply;
use crate::routes;

pub(super) async fn render<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    project: &Project,
) -> Result<Json, ApiError> {
    let accounts: Vec<_> = storage::list(call.sql, &project.id)
        .await?
        .into_iter()
        .map(|account| {
            json!({
                "id": format!(
                    "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}",
                    project.subscription_id, project.resource_group, account.name
                ),
                "type": if account.primary { "Primary" } else { "Secondary" },
                "status": "Succeeded",
            })
        })
        .collect();
    Ok(json!({
        "id": account_path(project),
        "name": project.account_name,
        "type": "Microsoft.Media/mediaservices",
        "location": project.location,
        "tags": project.tags,
        "properties": {
            "mediaServiceId": project.uuid(),
            "storageAccounts": accounts,
            "storageAuthentication": "System",
            "encryption": {"type": "SystemKey"},
            "keyDelivery": {"accessControl": {"defaultAction": "Allow", "ipAllowList": []}},
            "publicNetworkAccess": "Enabled",
            "provisioningState": "Succeeded",
            "privateEndpointConnections": [],
        },
        "systemData": {
            "createdAt": project.created.to_string(), "lastModifiedAt": project.modified.to_string(),
        },
    }))
}

/// Projects that the caller's token reaches.
pub(super) async fn reachable<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    subscription: Option<&str>,
    group: Option<&str>,
) -> Result<Vec<Project>, ApiError> {
    let found = projects::list(call.sql, subscription, group).await?;
    Ok(found
        .into_iter()
        .filter(|project| call.reaches(project))
        .collect())
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let mut value = Vec::new();
    for project in reachable(
        call,
        some(call.var("subscription")),
        some(call.var("group")),
    )
    .await?
    {
        value.push(render(call, &project).await?);
    }
    Ok(Reply::ok(json!({ "value": value })))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(Reply::ok(render(call, call.project()?).await?))
}

/// ARM's catalogue of operations: what could be granted, from the route table.
pub(super) fn operations() -> Reply {
    let names: BTreeSet<_> = routes::all()
        .filter_map(|(surface, _, route)| match (surface, route.access) {
            (Dialect::Arm, routes::Access::Token(needed)) => {
                // As ARM's own names are: of the collection that the path ends in.
                let collection = route
                    .template
                    .split('/')
                    .filter(|part| !part.starts_with('{'))
                    .collect::<Vec<_>>()
                    .join("/");
                let collection = collection.trim_matches('/').to_owned();
                let verb = format!("{:?}", needed.verb).to_lowercase();
                Some((collection, verb))
            }
            _ => None,
        })
        // Those of no account, this one among them.
        .filter(|(collection, _)| {
            !["subscriptions", "providers"]
                .iter()
                .any(|root| collection.starts_with(root))
        })
        .collect();
    let value: Vec<_> = names
        .into_iter()
        .map(|(collection, verb)| {
            let resource = format!("mediaservices/{collection}");
            let resource = resource.trim_end_matches('/');
            json!({
                "name": format!("Microsoft.Media/{resource}/{verb}"),
                "display": {
                    "provider": "Headwater", "resource": resource, "operation": verb,
                    "description": format!("{verb} {resource}"),
                },
                "isDataAction": false,
            })
        })
        .collect();
    Reply::ok(json!({ "value": value }))
}

pub(super) async fn check_name<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let body = call.body()?;
    let body = Object::root(&body)?;
    let name = body.required_text("name")?;
    let refusal = names::project("name", &name).err();
    let taken = projects::list(call.sql, None, None)
        .await?
        .iter()
        .any(|project| project.account_name.eq_ignore_ascii_case(&name));
    Ok(Reply::ok(if taken {
        json!({"nameAvailable": false, "reason": "AlreadyExists", "message": format!("'{name}' is taken.")})
    } else if let Some(refusal) = refusal {
        json!({"nameAvailable": false, "reason": "Invalid", "message": refusal.to_string()})
    } else {
        json!({"nameAvailable": true})
    }))
}

pub(super) async fn stats<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let project = call.project()?;
    let counts = projects::counts(call.sql, &project.id).await?;
    let predefined = u32::try_from(policies::PREDEFINED.len()).unwrap_or_default();
    let switched = |total: u32, running: u32| json!({"running": running, "stopped": total.saturating_sub(running), "total": total});
    Ok(Reply::ok(json!({
        "assets": {"total": counts.assets},
        "contentKeyPolicies": {"total": counts.content_key_policies},
        "filters": {"total": counts.filters},
        "jobs": {"total": counts.jobs},
        "liveEvents": {
            "running": counts.live_events_running, "stopped": counts.live_events_stopped, "total": counts.live_events,
        },
        "storageAccounts": {"total": counts.storage_accounts},
        "streamingEndpoints": switched(counts.streaming_endpoints, counts.streaming_endpoints_running),
        "streamingLocators": {"total": counts.streaming_locators},
        "streamingPolicies": {"total": counts.streaming_policies.saturating_add(predefined)},
        "transforms": {"total": counts.transforms},
        "uploadRules": {"total": counts.upload_rules},
        "extra": {"subscription_id": project.uuid()},
    })))
}

fn location_record(location: &str) -> Json {
    json!({"metadata": {"id": location, "name": location, "displayName": location}, "spec": {}})
}

async fn locations<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<BTreeSet<String>, ApiError> {
    Ok(reachable(call, None, None)
        .await?
        .into_iter()
        .map(|project| project.location)
        .collect())
}

pub(super) async fn list_locations<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let items: Vec<_> = locations(call)
        .await?
        .iter()
        .map(|location| location_record(location))
        .collect();
    Ok(Reply::ok(json!({"kind": "LocationList", "items": items})))
}

pub(super) async fn get_location<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let name = call.var("location");
    let known = locations(call).await?;
    match known.iter().find(|known| location::is_same(known, name)) {
        Some(known) => Ok(Reply::ok(location_record(known))),
        None => Err(CatalogError::not_found("Location", name).into()),
    }
}
