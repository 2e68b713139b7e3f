//! Rights as people write and read them, and the one rule of handing them on: nobody gives what they do not have.

use std::collections::{BTreeMap, BTreeSet};

use headwater_auth::{Caller, Capabilities, Permission, Place, Powers, ResourceKind, Role, Verb};
use headwater_catalog::projects::Project;
use serde_json::Value as Json;

use crate::access;
use crate::error::{ApiError, Kind};
use crate::fields::Object;
use crate::routes;

/// The organization, as a scope.
pub(super) const ORGANIZATION: &str = "headwater";

/// Everything that people can be allowed: whatever a route asks for, except for what workers do.
pub(super) fn permissions() -> BTreeSet<Permission> {
    routes::all()
        .filter_map(|(_, _, route)| route.access.permission())
        .filter(|permission| permission.kind != ResourceKind::WorkQueue)
        .collect()
}

/// Kinds of resources, each with what may be done to it.
pub(super) fn capabilities(may: impl Fn(Permission) -> bool) -> Capabilities {
    permissions().into_iter().filter(|p| may(*p)).collect()
}

/// A project's name as a scope: its own, unless that is the organization's.
pub(super) fn scope_name(project: &Project) -> String {
    if project.name == ORGANIZATION {
        project.id.as_str().to_owned()
    } else {
        project.name.clone()
    }
}

/// Errors: 403 naming `field`, if whoever got these powers over `project` (or over everything) could do what the caller
/// cannot.
pub(super) fn hand_on(
    caller: &Caller,
    field: &str,
    project: Option<&Project>,
    powers: &Powers,
) -> Result<(), ApiError> {
    let may = |permission| match project {
        None => caller.may_everywhere(permission),
        // What belongs to the organization is not given with a project.
        Some(project) => {
            permission.kind.reach() != headwater_auth::Reach::Project
                || caller.may(permission, access::place(Some(project)))
        }
    };
    let missing = permissions()
        .into_iter()
        .find(|permission| powers.allow(*permission) && !may(*permission));
    match missing {
        None => Ok(()),
        Some(permission) => Err(beyond(field, permission)),
    }
}

fn beyond(field: &str, permission: Permission) -> ApiError {
    ApiError {
        field: Some(field.to_owned()),
        ..ApiError::new(
            Kind::PermissionDenied,
            format!(
                "{field}: you cannot give a right that you do not have yourself ({permission})."
            ),
        )
    }
}

/// The powers of a role by name. `custom`: the roles of the operator's own.
pub(super) fn powers(name: &str, custom: &BTreeMap<String, Capabilities>) -> Option<Powers> {
    match headwater_catalog::rights::built_in(name) {
        Some(role) => Some(Powers::Role(role)),
        None => custom.get(name).cloned().map(Powers::Custom),
    }
}

/// Reads `{kind: [verb, ...]}`. A kind is called as in `GET /user/rbac`, or as MK.IO has it (`ams.asset`); `create` is
/// MK.IO's word for `write`, because whoever may PUT may replace.
///
/// Errors: 400 naming the member.
pub(super) fn read_capabilities(object: &Object<'_>) -> Result<Capabilities, ApiError> {
    let known = permissions();
    let mut read = Vec::new();
    for name in object.names() {
        let kind = kind(&known, name).ok_or_else(|| {
            ApiError::invalid(object.path(name), "is not a known kind of resource")
        })?;
        let verbs = object.texts(name)?.unwrap_or_default();
        for (at, word) in verbs.iter().enumerate() {
            let of_kind = known.iter().filter(|permission| permission.kind == kind);
            let permission = of_kind
                .clone()
                .find(|permission| verb(word) == Some(permission.verb));
            let permission = permission.ok_or_else(|| {
                let names: Vec<_> = of_kind.map(|p| verb_name(p.verb)).collect();
                ApiError::invalid(
                    format!("{}[{at}]", object.path(name)),
                    format!("must be one of {}", names.join(", ")),
                )
            })?;
            read.push(*permission);
        }
    }
    Ok(read.into_iter().collect())
}

fn kind(known: &BTreeSet<Permission>, name: &str) -> Option<ResourceKind> {
    let word = name.strip_prefix("ams.").unwrap_or(name);
    known
        .iter()
        .map(|permission| permission.kind)
        .find(|kind| kind.name().eq_ignore_ascii_case(word))
}

fn verb(word: &str) -> Option<Verb> {
    if word == "create" {
        return Some(Verb::Write);
    }
    serde_json::from_value(Json::from(word)).ok()
}

fn verb_name(verb: Verb) -> String {
    format!("{verb:?}").to_lowercase()
}

/// Errors: 403 naming the member, if the caller may not do at `place` what a token is to be good for there.
pub(super) fn hold(
    caller: &Caller,
    object: &Object<'_>,
    capabilities: &Capabilities,
    place: Place<'_>,
) -> Result<(), ApiError> {
    match capabilities
        .permissions()
        .find(|permission| !caller.may(*permission, place))
    {
        None => Ok(()),
        Some(permission) => Err(beyond(&object.path(&permission.kind.name()), permission)),
    }
}

/// What people may be, in order. Workers are not people.
pub(super) const ROLES: [(Role, &str); 3] = [
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
