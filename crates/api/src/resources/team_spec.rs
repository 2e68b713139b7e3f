//! A team on the wire: projects by the names of their scopes, changes as a whole or as a JSON Patch (RFC 6902).

use std::collections::{BTreeMap, BTreeSet};

use headwater_auth::Capabilities;
use headwater_catalog::projects::Project;
use headwater_catalog::rights;
use headwater_catalog::teams::{Team, TeamSpec};
use json_patch::{Patch, PatchOperation};
use serde_json::{Value as Json, json};

use super::granting::{ORGANIZATION, powers, scope_name};
use crate::error::ApiError;
use crate::fields::Object;

/// Most operations of a patch.
pub(crate) const MOST_OPERATIONS: usize = 100;

/// The team as it is shown. A scope whose project is gone is shown by its id.
pub(super) fn render(team: &Team, projects: &[Project]) -> Json {
    let members: BTreeMap<_, _> = team
        .spec
        .members
        .iter()
        .map(|(user, admin)| (user, json!({"isTeamAdmin": admin})))
        .collect();
    let scopes: BTreeMap<_, _> = team
        .spec
        .scopes
        .iter()
        .map(|(scope, roles)| (wire_scope(scope, projects), json!({"roles": roles})))
        .collect();
    json!({
        "metadata": {
            "id": team.name, "name": team.name,
            "created": team.created.to_string(), "updated": team.modified.to_string(),
        },
        "spec": {"description": team.spec.description, "members": members, "scopes": scopes},
    })
}

fn wire_scope(scope: &str, projects: &[Project]) -> String {
    if scope == rights::ORGANIZATION {
        return ORGANIZATION.to_owned();
    }
    projects
        .iter()
        .find(|project| project.id.as_str() == scope)
        .map_or_else(|| scope.to_owned(), scope_name)
}

/// What there is for a team to refer to, besides users.
pub(super) struct Known {
    pub(super) projects: Vec<Project>,
    pub(super) custom_roles: BTreeMap<String, Capabilities>,
}

/// Reads a team's body.
///
/// Errors: 400 naming the member.
pub(super) fn read(body: &Json, known: &Known) -> Result<TeamSpec, ApiError> {
    let root = Object::root(body)?;
    root.only(&["metadata", "spec"])?;
    let spec = root.required_object("spec")?;
    spec.only(&["description", "members", "scopes"])?;
    let mut members = BTreeMap::new();
    if let Some(sent) = spec.object("members")? {
        for user in sent.names() {
            let member = sent.required_object(user)?;
            member.only(&["isTeamAdmin"])?;
            let admin = member.flag("isTeamAdmin")?.unwrap_or(false);
            members.insert(user.to_owned(), admin);
        }
    }
    let mut scopes = BTreeMap::new();
    if let Some(sent) = spec.object("scopes")? {
        for name in sent.names() {
            let granted = sent.required_object(name)?;
            granted.only(&["roles"])?;
            let roles = granted.texts("roles")?;
            let roles = granted.required("roles", roles)?;
            let strange = |role: &String| powers(role, &known.custom_roles).is_none();
            if let Some(at) = roles.iter().position(strange) {
                let field = format!("{}[{at}]", granted.path("roles"));
                return Err(ApiError::invalid(field, "there is no such role"));
            }
            let roles: BTreeSet<_> = roles.into_iter().collect();
            if roles.is_empty() {
                let field = granted.path("roles");
                return Err(ApiError::invalid(field, "must have at least one member"));
            }
            let scope = stored_scope(name, &known.projects)
                .ok_or_else(|| ApiError::invalid(sent.path(name), "there is no such scope"))?;
            if scopes.insert(scope, roles).is_some() {
                return Err(ApiError::invalid(sent.path(name), "is there twice"));
            }
        }
    }
    Ok(TeamSpec {
        description: spec.text("description")?,
        members,
        scopes,
    })
}

/// A project by its scope's name or by its id.
fn stored_scope(name: &str, projects: &[Project]) -> Option<String> {
    if name == ORGANIZATION {
        return Some(rights::ORGANIZATION.to_owned());
    }
    projects
        .iter()
        .find(|project| scope_name(project) == name || project.id.as_str() == name)
        .map(|project| project.id.as_str().to_owned())
}

/// Reads a patch: add, remove, replace, move and test. No copying, by which a short patch makes a huge document.
///
/// Errors: 400 naming the operation.
pub(super) fn read_patch(body: &Json) -> Result<Patch, ApiError> {
    let Json::Array(operations) = body else {
        return Err(ApiError::invalid(
            "body",
            "must be a JSON Patch: an array of operations",
        ));
    };
    if operations.len() > MOST_OPERATIONS {
        return Err(ApiError::invalid(
            "body",
            format!("must have at most {MOST_OPERATIONS} operations"),
        ));
    }
    let mut patch = Vec::new();
    for (at, operation) in operations.iter().enumerate() {
        let field = format!("[{at}]");
        let operation: PatchOperation = serde_json::from_value(operation.clone()).map_err(|_| {
            let known = "an operation of RFC 6902 with op (add, remove, replace, move, test), path, and value or from";
            ApiError::invalid(&field, format!("must be {known}"))
        })?;
        if matches!(operation, PatchOperation::Copy(_)) {
            return Err(ApiError::invalid(
                format!("{field}.op"),
                "copy is not supported",
            ));
        }
        patch.push(operation);
    }
    Ok(Patch(patch))
}

/// What becomes of a team as it is shown. Only its `spec` can be changed.
///
/// Errors: 400 naming the operation that fails, or the member that comes out wrong.
pub(super) fn patched(team: &Team, patch: &Patch, known: &Known) -> Result<TeamSpec, ApiError> {
    let before = render(team, &known.projects);
    let mut after = before.clone();
    json_patch::patch(&mut after, patch).map_err(|error| {
        ApiError::invalid(
            format!("[{}]", error.operation),
            format!("{} at '{}'", error.kind, error.path),
        )
    })?;
    if after.get("metadata") != before.get("metadata") {
        return Err(ApiError::invalid("/metadata", "cannot be changed"));
    }
    read(&after, known)
}
