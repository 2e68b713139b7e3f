//! What MK.IO says about organizations, roles and money, true of an installation of one's own: one organization, the roles
//! of the permission table, nothing to pay. Spec: the management API reference, 1.2 and 1.14.

use std::collections::{BTreeMap, BTreeSet};

use headwater_auth::{Permission, Role};
use headwater_blob::HttpClient;
use headwater_catalog::{CatalogError, Sql, projects};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::routes::{self, Access};

const ORGANIZATION: &str = "headwater";

/// What people may be, in order. Workers are not people.
const ROLES: [(Role, &str); 3] = [
    (Role::Viewer, "Reads everything that is not a secret."),
    (
        Role::Operator,
        "Runs the media side: uploads, jobs, publishing, starting and stopping.",
    ),
    (
        Role::Owner,
        "Everything, including storage credentials and the account itself.",
    ),
];

fn items(kind: &str, items: Vec<Json>) -> Reply {
    Reply::ok(json!({"kind": kind, "items": items}))
}

fn organization() -> Json {
    json!({
        "metadata": {"id": Uuid::nil(), "name": ORGANIZATION},
        "spec": {"name": ORGANIZATION},
        "status": {"state": "Active"},
    })
}

pub(super) fn get() -> Reply {
    Reply::ok(organization())
}

/// The organizations of the caller: the one there is.
pub(super) fn of_user() -> Reply {
    items("OrganizationList", vec![organization()])
}

pub(super) fn one_of_user<S, C>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let id = call.var("organization");
    if Uuid::parse_str(id).is_ok_and(|id| id.is_nil()) {
        return Ok(get());
    }
    Err(CatalogError::not_found("Organization", id).into())
}

pub(super) fn payment_methods() -> Reply {
    items("PaymentMethodList", Vec::new())
}

pub(super) fn no_payment_method<S, C>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Err(CatalogError::not_found("Payment method", call.var("method")).into())
}

/// Everything that any route asks for.
fn permissions() -> BTreeSet<Permission> {
    routes::all()
        .filter_map(|(_, _, route)| match route.access {
            Access::Token(needed) | Access::Gallery(needed) => Some(needed),
            Access::Open | Access::FileToken => None,
        })
        .collect()
}

/// Kinds of resources, each with what may be done to it.
fn capabilities(may: impl Fn(Permission) -> bool) -> BTreeMap<String, Vec<String>> {
    let mut tree: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for permission in permissions().into_iter().filter(|p| may(*p)) {
        tree.entry(format!("{:?}", permission.kind))
            .or_default()
            .push(format!("{:?}", permission.verb).to_lowercase());
    }
    tree
}

fn role_record(role: Role, description: &str) -> Json {
    json!({
        "metadata": {"id": role.name(), "name": role.name()},
        "spec": {
            "description": description,
            "capabilities": capabilities(|permission| permission.granted_to(role)),
        },
    })
}

pub(super) fn roles() -> Reply {
    let records = ROLES.map(|(role, description)| role_record(role, description));
    items("RoleList", records.to_vec())
}

pub(super) fn role<S, C>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let name = call.var("role");
    ROLES
        .into_iter()
        .find(|(role, _)| role.name() == name)
        .map(|(role, description)| Reply::ok(role_record(role, description)))
        .ok_or_else(|| CatalogError::not_found("Role", name).into())
}

/// What a role can be given over: everything, or one project.
async fn scope_records<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Vec<(String, Json)>, ApiError> {
    let claims = call.claims()?;
    let mut records = Vec::new();
    if claims.project.is_none() {
        records.push((
            ORGANIZATION.to_owned(),
            json!({
                "metadata": {"id": ORGANIZATION, "name": ORGANIZATION},
                "spec": {"description": "Every project.", "resources": ["*"]},
            }),
        ));
    }
    let reached = projects::list(call.sql, None, None).await?;
    for project in reached.iter().filter(|p| claims.reaches(&p.name)) {
        records.push((
            project.name.clone(),
            json!({
                "metadata": {"id": project.name, "name": project.name},
                "spec": {"description": project.display_name, "resources": [project.uuid()]},
            }),
        ));
    }
    Ok(records)
}

pub(super) async fn scopes<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let records = scope_records(call).await?;
    Ok(items(
        "ScopeList",
        records.into_iter().map(|(_, record)| record).collect(),
    ))
}

pub(super) async fn scope<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let name = call.var("scope");
    let records = scope_records(call).await?;
    records
        .into_iter()
        .find(|(known, _)| known == name)
        .map(|(_, record)| Reply::ok(record))
        .ok_or_else(|| CatalogError::not_found("Scope", name).into())
}

/// What the caller may do, project by project: the shape that MK.IO uses for permissions of tokens.
pub(super) async fn rbac<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let claims = call.claims()?;
    let tree = capabilities(|permission| claims.may(permission));
    let reached = projects::list(call.sql, None, None).await?;
    let by_project: BTreeMap<String, Json> = reached
        .iter()
        .filter(|project| claims.reaches(&project.name))
        .map(|project| (project.uuid().to_string(), json!(tree)))
        .collect();
    Ok(Reply::ok(json!({"core.project": by_project})))
}
