//! Roles: the built-in ones to look at, and the operator's own. Spec: the management API reference, 1.14; writing roles is
//! ours.

use std::collections::BTreeMap;

use headwater_auth::{Capabilities, Powers, Role};
use headwater_blob::HttpClient;
use headwater_catalog::roles::{self, CustomRole};
use headwater_catalog::{CatalogError, Sql};
use serde_json::{Value as Json, json};

use super::granting::{ROLES, capabilities, hand_on, read_capabilities};
use super::{items, status};
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::Object;
use crate::reply::Reply;

fn built_in(role: Role, description: &str) -> Json {
    json!({
        "metadata": {"id": role.name(), "name": role.name(), "builtIn": true},
        "spec": {
            "description": description,
            "capabilities": capabilities(|permission| permission.granted_to(role)),
        },
    })
}

fn render(role: &CustomRole) -> Json {
    json!({
        "metadata": {
            "id": role.name, "name": role.name, "builtIn": false,
            "created": role.created.to_string(), "updated": role.modified.to_string(),
        },
        "spec": {"description": role.description, "capabilities": role.capabilities},
    })
}

/// The capabilities of all custom roles by name.
pub(super) async fn custom<S: Sql>(sql: &S) -> Result<BTreeMap<String, Capabilities>, ApiError> {
    Ok(roles::list(sql)
        .await?
        .into_iter()
        .map(|role| (role.name, role.capabilities))
        .collect())
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let custom = roles::list(call.sql).await?;
    let records = ROLES
        .iter()
        .map(|(role, description)| built_in(*role, description))
        .chain(custom.iter().map(render));
    Ok(items("RoleList", records.collect()))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let name = call.var("role");
    if let Some((role, description)) = ROLES.iter().find(|(role, _)| role.name() == name) {
        return Ok(Reply::ok(built_in(*role, description)));
    }
    match roles::find(call.sql, name).await? {
        Some(role) => Ok(Reply::ok(render(&role))),
        None => Err(CatalogError::not_found("Role", name).into()),
    }
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(&["metadata", "spec"])?;
    let spec = root.required_object("spec")?;
    spec.only(&["description", "capabilities"])?;
    let capabilities = read_capabilities(&spec.required_object("capabilities")?)?;
    hand_on(
        call.caller()?,
        "spec.capabilities",
        None,
        &Powers::Custom(capabilities.clone()),
    )?;
    let (role, written) = roles::put(
        call.sql,
        call.var("role"),
        spec.text("description")?.as_deref(),
        &capabilities,
        call.moment.now,
    )
    .await?;
    Ok(Reply::json(status(written), render(&role)))
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let existed = roles::delete(call.sql, call.var("role")).await?;
    Ok(Reply::deleted(existed))
}
