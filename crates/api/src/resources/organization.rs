//! What MK.IO says about organizations, scopes and money, true of an installation of one's own: one organization, nothing
//! to pay. Spec: the management API reference, 1.2 and 1.14.

use std::collections::BTreeMap;

use headwater_auth::{Over, Place, Reach};
use headwater_blob::HttpClient;
use headwater_catalog::invites::{self, Answer};
use headwater_catalog::organization::{self as catalog, Organization};
use headwater_catalog::{CatalogError, Sql, projects, users};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::granting::{ORGANIZATION, capabilities, scope_name};
use super::items;
use super::users::person;
use crate::access;
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::Object;
use crate::reply::Reply;

/// The one organization's id.
pub(super) const ORGANIZATION_ID: Uuid = Uuid::nil();

/// `metadata.name` is what scopes say, which stays; `spec.name` is what it is called.
fn render(organization: &Organization) -> Json {
    let mut spec = Map::new();
    spec.insert("name".into(), organization.name.as_str().into());
    let told = [
        ("legalEntityName", &organization.legal_entity_name),
        (
            "legalEntityContactEmail",
            &organization.legal_entity_contact_email,
        ),
    ];
    for (member, text) in told {
        if let Some(text) = text {
            spec.insert(member.into(), text.as_str().into());
        }
    }
    let mut metadata = json!({"id": ORGANIZATION_ID, "name": ORGANIZATION});
    if let (Some(at), Json::Object(metadata)) = (organization.modified, &mut metadata) {
        metadata.insert("updated".into(), at.to_string().into());
    }
    json!({"metadata": metadata, "spec": spec, "status": {"state": "Active"}})
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(Reply::ok(render(&catalog::get(call.sql).await?)))
}

/// Changes what was sent; an empty text takes back what may be missing.
pub(super) async fn update<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(&["metadata", "spec", "status"])?;
    let spec = root.required_object("spec")?;
    spec.only(&["name", "legalEntityName", "legalEntityContactEmail"])?;
    let name = spec.text("name")?;
    let entity = spec.text("legalEntityName")?;
    let address = spec.text("legalEntityContactEmail")?;
    let told = |sent: &Option<String>, old| sent.clone().or(old).filter(|text| !text.is_empty());
    let change = |old: Organization| Organization {
        name: name.clone().unwrap_or(old.name),
        legal_entity_name: told(&entity, old.legal_entity_name),
        legal_entity_contact_email: told(&address, old.legal_entity_contact_email),
        modified: old.modified,
    };
    let changed = catalog::update(call.sql, change, call.moment.now).await?;
    Ok(Reply::ok(render(&changed)))
}

/// MK.IO makes a new customer by this.
pub(super) fn no_other<S, C>(_call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Err(CatalogError::Conflict(
        "This installation has its one organization. Change it with PATCH /api/v1/organization."
            .into(),
    )
    .into())
}

/// The organization as the caller stands to it.
async fn own<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Json, ApiError> {
    let mut record = render(&catalog::get(call.sql).await?);
    let caller = call.caller()?;
    if let (Some(Json::Object(status)), true) = (record.get_mut("status"), caller.is_user()) {
        let waiting = invites::pending(call.sql, &caller.subject, call.moment.now).await?;
        let waiting: Vec<_> = waiting
            .iter()
            .map(|invite| json!({"id": invite.id, "teams": invite.invitation.teams}))
            .collect();
        status.insert("invites".into(), waiting.into());
    }
    Ok(record)
}

/// The organizations of the caller: the one there is.
pub(super) async fn of_user<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    Ok(items("OrganizationList", vec![own(call).await?]))
}

/// Errors: 404 for any organization but the one there is.
fn check_organization<S, C>(call: &Call<'_, S, C>) -> Result<(), ApiError> {
    let id = call.var("organization");
    if Uuid::parse_str(id).is_ok_and(|id| id == ORGANIZATION_ID) {
        return Ok(());
    }
    Err(CatalogError::not_found("Organization", id).into())
}

pub(super) async fn one_of_user<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    check_organization(call)?;
    Ok(Reply::ok(own(call).await?))
}

/// Takes up one invite of the caller's, or, with the organization's id, all of them.
pub(super) async fn accept<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    if !call.incoming.body.is_empty() {
        Object::root(&call.body()?)?.only(&[])?;
    }
    let (user, now) = (person(call)?, call.moment.now);
    if check_organization(call).is_ok() {
        invites::accept_own(call.sql, user, now).await?;
    } else {
        let invite = call.var("organization");
        invites::answer_own(call.sql, user, invite, Answer::Accept, now).await?;
    }
    Ok(Reply::ok(own(call).await?))
}

/// Declines one invite of the caller's. With the organization's id, the caller leaves it: is a user no more.
pub(super) async fn leave<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let (user, now) = (person(call)?, call.moment.now);
    if check_organization(call).is_ok() {
        users::delete(call.sql, user, user, now).await?;
    } else {
        let invite = call.var("organization");
        invites::answer_own(call.sql, user, invite, Answer::Decline, now).await?;
    }
    Ok(Reply::deleted(true))
}

pub(super) fn payment_methods() -> Reply {
    items("PaymentMethodList", Vec::new())
}

pub(super) fn no_payment_method<S, C>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Err(CatalogError::not_found("Payment method", call.var("method")).into())
}

/// What a role can be given over: everything, or one project.
async fn scope_records<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Vec<(String, Json)>, ApiError> {
    let caller = call.caller()?;
    let mut records = Vec::new();
    let mut grants = caller.grants.iter();
    let everywhere = grants.any(|grant| grant.over == Over::Organization);
    if everywhere && caller.project.is_none() && caller.permissions.is_none() {
        records.push((
            ORGANIZATION.to_owned(),
            json!({
                "metadata": {"id": ORGANIZATION, "name": ORGANIZATION},
                "spec": {"description": "Every project.", "resources": ["*"]},
            }),
        ));
    }
    let reached = projects::list(call.sql, None, None).await?;
    for project in reached.iter().filter(|project| call.reaches(project)) {
        let scope = scope_name(project);
        records.push((
            scope.clone(),
            json!({
                "metadata": {"id": scope, "name": scope},
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

/// What the caller may do: area, object, kind, verbs. `permissions` of a token have the same shape.
pub(super) async fn rbac<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let organization = capabilities(|permission| {
        permission.kind.reach() != Reach::Project && caller.may(permission, Place::Organization)
    });
    let reached = projects::list(call.sql, None, None).await?;
    let by_project: BTreeMap<String, Json> = reached
        .iter()
        .filter(|project| call.reaches(project))
        .map(|project| {
            let tree = capabilities(|permission| {
                permission.kind.reach() == Reach::Project
                    && caller.may(permission, access::place(Some(project)))
            });
            (project.id.as_str().to_owned(), json!(tree))
        })
        .collect();
    Ok(Reply::ok(json!({
        "core.organization": {ORGANIZATION_ID.to_string(): organization},
        "core.project": by_project,
    })))
}
