//! What ARM clients change of an account, and what they ask about private links.
//! Spec: the management API reference, 2.3 and 2.5.
//!
//! An account that exists has its storage, and only its tags can be changed here. A client that says again what is so, as
//! declarative tools do, succeeds; one that asks for something else is told which member that is.

use headwater_blob::HttpClient;
use headwater_catalog::operations::{self, Operation};
use headwater_catalog::{CatalogError, Sql, projects, storage};
use http::StatusCode;
use http::header::{LOCATION, RETRY_AFTER};
use serde_json::{Map, Value as Json, json};

use super::location;
use super::locators::segment;
use super::long_running::ASYNC_OPERATION;
use super::{account_create, accounts};
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::{ENVELOPE, Object};
use crate::reply::Reply;

/// Of a resource.
const MOST_TAGS: usize = 50;
const LONGEST_TAG_NAME: usize = 512;
const LONGEST_TAG: usize = 256;

/// The account that a body describes must be the one there is. Its tags, if it names any.
async fn read<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Option<Map<String, Json>>, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    location::check(&root, "location", &call.project()?.location)?;
    if let Some(properties) = fixed(&root)?
        && let Some(accounts) = properties.objects("storageAccounts")?
    {
        storage_accounts(call, &properties, &accounts).await?;
    }
    tags(&root)
}

/// What no account can be given here, whether it exists or not. Its `properties`, if there are any.
pub(super) fn fixed<'a>(root: &Object<'a>) -> Result<Option<Object<'a>>, ApiError> {
    let known: Vec<_> = ENVELOPE.iter().copied().chain(["identity"]).collect();
    root.only(&known)?;
    if let Some(identity) = root.object("identity")? {
        same(&identity, "type", &["None"])?;
    }
    let Some(properties) = root.object("properties")? else {
        return Ok(None);
    };
    properties.only(&[
        "mediaServiceId",
        "provisioningState",
        "privateEndpointConnections",
        "storageAccounts",
        "storageAuthentication",
        "encryption",
        "keyDelivery",
        "publicNetworkAccess",
    ])?;
    same(&properties, "storageAuthentication", &["System"])?;
    same(&properties, "publicNetworkAccess", &["Enabled"])?;
    if let Some(encryption) = properties.object("encryption")? {
        same(&encryption, "type", &["SystemKey"])?;
    }
    if let Some(delivery) = properties.object("keyDelivery")?
        && let Some(access) = delivery.object("accessControl")?
    {
        same(&access, "defaultAction", &["Allow"])?;
        if access.has("ipAllowList") {
            return Err(ApiError::invalid(
                access.path("ipAllowList"),
                "must be empty where everybody is allowed",
            ));
        }
    }
    Ok(Some(properties))
}

/// As Azure has them: at most 50, with names of 512 characters and values of 256.
pub(super) fn tags(root: &Object<'_>) -> Result<Option<Map<String, Json>>, ApiError> {
    let Some(tags) = root.text_map("tags")? else {
        return Ok(None);
    };
    if tags.len() > MOST_TAGS {
        return Err(ApiError::invalid(
            root.path("tags"),
            format!("must have at most {MOST_TAGS} members"),
        ));
    }
    for (name, value) in &tags {
        if name.chars().count() > LONGEST_TAG_NAME || value.chars().count() > LONGEST_TAG {
            // The name may be what is too long.
            let shown: String = name.chars().take(LONGEST_TAG_NAME).collect();
            return Err(ApiError::invalid(
                format!("{}.{shown}", root.path("tags")),
                format!(
                    "must have a name of at most {LONGEST_TAG_NAME} characters and a value of at most {LONGEST_TAG}"
                ),
            ));
        }
    }
    let tags = tags.into_iter();
    Ok(Some(
        tags.map(|(name, value)| (name, Json::String(value)))
            .collect(),
    ))
}

/// A member that may only say what is so.
fn same(object: &Object<'_>, member: &str, allowed: &[&str]) -> Result<(), ApiError> {
    match object.text(member)? {
        Some(text) if !allowed.iter().any(|a| a.eq_ignore_ascii_case(&text)) => {
            Err(ApiError::invalid(
                object.path(member),
                format!(
                    "must be '{}' in this installation",
                    allowed.first().copied().unwrap_or_default()
                ),
            ))
        }
        _ => Ok(()),
    }
}

async fn storage_accounts<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    properties: &Object<'_>,
    given: &[Object<'_>],
) -> Result<(), ApiError> {
    let known = storage::list(call.sql, &call.project()?.id).await?;
    for account in given {
        let name = storage_name(&account.required_text("id")?);
        let found = known.iter().find(|known| known.name == name);
        let Some(found) = found else {
            return Err(ApiError::invalid(
                account.path("id"),
                format!("there is no storage account '{name}' in this account"),
            ));
        };
        let kind = if found.primary {
            "Primary"
        } else {
            "Secondary"
        };
        same(account, "type", &[kind])?;
    }
    if given.len() != known.len() {
        return Err(ApiError::invalid(
            properties.path("storageAccounts"),
            "must name all storage accounts of the account; they are added and removed elsewhere",
        ));
    }
    Ok(())
}

/// The last segment of a resource id.
pub(super) fn storage_name(id: &str) -> String {
    id.rsplit('/').next().unwrap_or_default().to_owned()
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    if call.project.is_none() {
        return account_create::create(call).await;
    }
    let tags = read(call).await?.unwrap_or_default();
    let project = &call.project()?.id;
    let changed = projects::set_tags(call.sql, project, &tags, call.moment).await?;
    Ok(Reply::ok(accounts::render(call, &changed.0).await?))
}

pub(super) async fn update<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let project = call.project()?;
    let tags = read(call).await?.unwrap_or_else(|| project.tags.clone());
    let (changed, operation) =
        projects::set_tags(call.sql, &project.id, &tags, call.moment).await?;
    let body = accounts::render(call, &changed).await?;
    let base = format!(
        "{}/subscriptions/{}/providers/Microsoft.Media/locations/{}",
        call.incoming.origin,
        segment(&changed.subscription_id),
        segment(&changed.location)
    );
    let version = segment(call.incoming.query.get("api-version").unwrap_or_default());
    let at = |what: &str| format!("{base}/{what}/{}?api-version={version}", operation.id);
    Ok(Reply::json(StatusCode::ACCEPTED, body)
        .with(ASYNC_OPERATION, at("mediaServicesOperationStatuses"))
        .with(LOCATION, at("mediaServicesOperationResults"))
        .with(RETRY_AFTER, "1"))
}

/// An account in which there is something to lose stays.
pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let Some(project) = &call.project else {
        return Ok(Reply::deleted(false));
    };
    let by = &call.caller()?.subject;
    let existed = projects::delete(call.sql, &project.id, by, call.moment.now).await?;
    Ok(Reply::deleted(existed))
}

/// The keys of storage are read from the catalog each time: there is nothing that could be out of step.
pub(super) async fn sync_storage_keys<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let body = call.body()?;
    let body = Object::root(&body)?;
    body.only(&["id"])?;
    let name = storage_name(&body.required_text("id")?);
    match storage::get(call.sql, &call.project()?.id, &name).await {
        Err(CatalogError::NotFound { .. }) => Err(ApiError::invalid(
            "id",
            format!("there is no storage account '{name}' in this account"),
        )),
        found => found
            .map(|_| Reply::empty(StatusCode::OK))
            .map_err(Into::into),
    }
}

/// Policies for the edge modules that AMS had; there are none here.
pub(super) fn edge_policies<S, C>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let body = call.body()?;
    Object::root(&body)?.only(&["deviceId"])?;
    Ok(Reply::ok(json!({})))
}

async fn operation<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<(Operation, projects::Project), ApiError> {
    let id = call.var("operation");
    let missing = || CatalogError::not_found("Operation", id);
    let (operation, project) = operations::of_account(call.sql, id)
        .await?
        .ok_or_else(missing)?;
    if call.reaches(&project) {
        Ok((operation, project))
    } else {
        Err(missing().into())
    }
}

pub(super) async fn operation_status<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let (operation, _) = operation(call).await?;
    Ok(Reply::ok(
        json!({"name": operation.id, "status": operation.status.name()}),
    ))
}

pub(super) async fn operation_result<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let (_, project) = operation(call).await?;
    Ok(Reply::ok(accounts::render(call, &project).await?))
}

/// Private links are between Azure's networks. There are none to list, and none can be made.
pub(super) fn no_private_links() -> Reply {
    Reply::ok(json!({"value": []}))
}

pub(super) fn no_such_link<S, C>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Err(CatalogError::not_found("Private link", call.var("link")).into())
}

pub(super) fn no_new_link() -> Result<Reply, ApiError> {
    Err(ApiError::invalid(
        "properties",
        "private endpoint connections are not supported by this installation",
    ))
}
