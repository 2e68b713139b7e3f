//! What a caller may do: what was granted to whoever the token stands for, within the limits that the token carries.
//!
//! ```text
//! granted:  (over what, which powers)*     now, from teams, from the API client, from another authority's roles,
//!                                          or from the token itself if it stands for the installation
//! limits:   roles, project, permissions    at the time the token was made
//! may      = some grant allows it there  AND  every limit does
//! ```
//!
//! So a token is never worth more than its subject is at the moment of the request, and never more than it was made for.
//! Each kind of resource has a [`Reach`]: a right over a project says nothing about the organization.
//!
//! Spec: the management API reference, 1.2 (`permissions`: area, object id, resource kind, verbs) and 1.14.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::permission::{Permission, Reach, ResourceKind, Role, Verb};
use crate::token::{Claims, SubjectKind};

/// The one organization's id in a [`Tree`].
pub const ORGANIZATION_ID: &str = "00000000-0000-0000-0000-000000000000";

/// Kinds of resources, each with what may be done to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capabilities(BTreeMap<ResourceKind, BTreeSet<Verb>>);

impl Capabilities {
    pub fn allow(&self, permission: Permission) -> bool {
        self.0
            .get(&permission.kind)
            .is_some_and(|verbs| verbs.contains(&permission.verb))
    }

    /// Every permission in it, in order.
    pub fn permissions(&self) -> impl Iterator<Item = Permission> {
        self.0
            .iter()
            .flat_map(|(kind, verbs)| verbs.iter().map(|verb| Permission::new(*kind, *verb)))
    }

    pub fn is_empty(&self) -> bool {
        self.0.values().all(BTreeSet::is_empty)
    }
}

impl FromIterator<Permission> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        let mut kinds = BTreeMap::<_, BTreeSet<_>>::new();
        for Permission { kind, verb } in permissions {
            kinds.entry(kind).or_default().insert(verb);
        }
        Self(kinds)
    }
}

/// What one grant allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Powers {
    /// Those of a built-in role, which a later version may know more of.
    Role(Role),
    /// Those of a role of the operator's own.
    Custom(Capabilities),
}

impl Powers {
    pub fn allow(&self, permission: Permission) -> bool {
        match self {
            Self::Role(role) => permission.granted_to(*role),
            Self::Custom(capabilities) => capabilities.allow(permission),
        }
    }
}

/// What a grant is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// Everything, also projects that are made later.
    Organization,
    /// One project, by its id.
    Project(String),
}

/// Powers over something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub over: Over,
    pub powers: Powers,
}

/// Where something is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// Outside any project.
    Organization,
    Project {
        id: &'a str,
        name: &'a str,
    },
}

/// The `permissions` of a restricted token: area, object id, kind, verbs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// By the organization's id.
    #[serde(
        rename = "core.organization",
        default,
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub organization: BTreeMap<String, Capabilities>,
    /// By the project's id.
    #[serde(
        rename = "core.project",
        default,
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub projects: BTreeMap<String, Capabilities>,
}

impl Tree {
    fn allow(&self, permission: Permission, place: Place<'_>) -> bool {
        // Who one is can always be asked: clients do so first.
        if permission == Permission::new(ResourceKind::Profile, Verb::Read) {
            return true;
        }
        match (permission.kind.reach(), place) {
            (Reach::Personal | Reach::Organization, _) => self
                .organization
                .get(ORGANIZATION_ID)
                .is_some_and(|capabilities| capabilities.allow(permission)),
            (Reach::Project, Place::Project { id, .. }) => self
                .projects
                .get(id)
                .is_some_and(|capabilities| capabilities.allow(permission)),
            (Reach::Project, Place::Organization) => self
                .projects
                .values()
                .any(|capabilities| capabilities.allow(permission)),
        }
    }
}

/// Somebody with a genuine token, and everything that decides what it is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who: a user's id, a client's id, or a name that whoever runs the installation chose.
    pub subject: String,
    /// What `subject` is; `None` for the installation itself and for another authority's people.
    pub kind: Option<SubjectKind>,
    /// Of a token of ours: its `jti`.
    pub token_id: Option<String>,
    /// Of a token that we did not issue: who did.
    pub foreign: Option<String>,
    /// What `subject` may do now.
    pub grants: Vec<Grant>,
    /// Limits of the token.
    pub roles: Option<Vec<Role>>,
    /// The one project, by name.
    pub project: Option<String>,
    pub permissions: Option<Tree>,
}

impl Caller {
    /// A caller with a token of ours, whose subject has been granted this.
    pub fn new(claims: Claims, grants: Vec<Grant>) -> Self {
        Self {
            subject: claims.sub,
            kind: claims.idtyp,
            token_id: Some(claims.jti),
            foreign: None,
            grants,
            roles: claims.roles,
            project: claims.project,
            permissions: claims.permissions,
        }
    }

    /// Whether this is a person known here.
    pub fn is_user(&self) -> bool {
        self.kind == Some(SubjectKind::User)
    }

    /// Whether the token is good for whatever its subject may do.
    pub fn is_unlimited(&self) -> bool {
        self.roles.is_none() && self.project.is_none() && self.permissions.is_none()
    }

    /// Whether the caller may do this at that place. Outside any project, what belongs to projects may be asked for by
    /// those who may do it in one: the answer is held to what [`Caller::reaches`].
    pub fn may(&self, permission: Permission, place: Place<'_>) -> bool {
        self.was_granted(permission, place) && self.is_within_limits(permission, place)
    }

    fn was_granted(&self, permission: Permission, place: Place<'_>) -> bool {
        let reach = permission.kind.reach();
        if reach == Reach::Personal && self.is_user() {
            return true;
        }
        self.grants.iter().any(|grant| {
            let covers = match (&grant.over, reach, place) {
                (Over::Organization, _, _) | (_, Reach::Personal, _) => true,
                (Over::Project(_), Reach::Organization, _) => false,
                (Over::Project(_), Reach::Project, Place::Organization) => true,
                (Over::Project(own), Reach::Project, Place::Project { id, .. }) => own == id,
            };
            covers && grant.powers.allow(permission)
        })
    }

    fn is_within_limits(&self, permission: Permission, place: Place<'_>) -> bool {
        let roles = self
            .roles
            .as_ref()
            .is_none_or(|roles| roles.iter().any(|role| permission.granted_to(*role)));
        let project = self.project.as_deref().is_none_or(|own| match place {
            Place::Project { name, .. } => own == name,
            Place::Organization => permission.kind.reach() != Reach::Organization,
        });
        let tree = self
            .permissions
            .as_ref()
            .is_none_or(|tree| tree.allow(permission, place));
        roles && project && tree
    }

    /// Whether the caller has anything to do with a project. Where not, the project's very existence is a secret.
    pub fn reaches(&self, id: &str, name: &str) -> bool {
        let granted = self.grants.iter().any(|grant| match &grant.over {
            Over::Organization => true,
            Over::Project(own) => own == id,
        });
        granted
            && self.project.as_deref().is_none_or(|own| own == name)
            && self
                .permissions
                .as_ref()
                .is_none_or(|tree| tree.projects.contains_key(id))
    }

    /// Whether the caller may hand on `permission` over all there is, projects of later days included.
    pub fn may_everywhere(&self, permission: Permission) -> bool {
        let granted = self
            .grants
            .iter()
            .any(|grant| grant.over == Over::Organization && grant.powers.allow(permission));
        let personal = permission.kind.reach() == Reach::Personal && self.is_user();
        let limited_to_projects = self.project.is_some()
            || (self.permissions.is_some() && permission.kind.reach() == Reach::Project);
        (granted || personal)
            && !limited_to_projects
            && self.is_within_limits(permission, Place::Organization)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permission::{ResourceKind as K, Verb as V};

    const HERE: Place<'_> = Place::Project {
        id: "1",
        name: "here",
    };
    const THERE: Place<'_> = Place::Project {
        id: "2",
        name: "there",
    };
    const READ: Permission = Permission::new(K::Asset, V::Read);
    const WRITE: Permission = Permission::new(K::Asset, V::Write);
    const TEAM: Permission = Permission::new(K::Team, V::Write);

    fn user(grants: &[(Over, Role)]) -> Caller {
        let claims = Claims {
            idtyp: Some(SubjectKind::User),
            ..Claims::bare("i", "u", "t", 0, 1)
        };
        let grants = grants.iter().map(|(over, role)| Grant {
            over: over.clone(),
            powers: Powers::Role(*role),
        });
        Caller::new(claims, grants.collect())
    }

    fn here(role: Role) -> (Over, Role) {
        (Over::Project("1".into()), role)
    }

    #[test]
    fn rights_over_a_project_stay_there() {
        let owner = user(&[here(Role::Owner)]);
        assert!(owner.may(WRITE, HERE) && !owner.may(READ, THERE));
        assert!(owner.may(READ, Place::Organization), "lists are filtered");
        assert!(!owner.may(TEAM, Place::Organization) && !owner.may(TEAM, HERE));
        assert!(owner.reaches("1", "here") && !owner.reaches("2", "there"));
        assert!(!owner.may_everywhere(READ));
        let both = user(&[here(Role::Owner), (Over::Organization, Role::Viewer)]);
        assert!(both.may(WRITE, HERE) && both.may(READ, THERE) && !both.may(WRITE, THERE));
        assert!(both.may_everywhere(READ) && !both.may_everywhere(WRITE));
    }

    #[test]
    fn without_a_team_one_has_oneself() {
        let nobody = user(&[]);
        assert!(nobody.may(Permission::new(K::Profile, V::Write), Place::Organization));
        assert!(!nobody.may(READ, Place::Organization) && !nobody.reaches("1", "here"));
    }

    #[test]
    fn every_limit_holds_and_none_adds() {
        let owner = user(&[(Over::Organization, Role::Owner)]);
        let held = Caller {
            roles: Some(vec![Role::Viewer]),
            ..owner.clone()
        };
        assert!(held.may(READ, HERE) && !held.may(WRITE, HERE));
        assert!(
            !Caller {
                roles: Some(vec![]),
                ..owner.clone()
            }
            .may(READ, HERE)
        );
        let held = Caller {
            project: Some("here".into()),
            ..owner.clone()
        };
        assert!(held.may(WRITE, HERE) && !held.may(READ, THERE));
        assert!(!held.may(TEAM, Place::Organization) && !held.may_everywhere(READ));
        let viewer = user(&[(Over::Organization, Role::Viewer)]);
        assert!(
            !Caller {
                roles: Some(vec![Role::Owner]),
                ..viewer
            }
            .may(WRITE, HERE)
        );
    }

    #[test]
    fn a_tree_allows_what_it_names() {
        let tree: Tree =
            serde_json::from_str(r#"{"core.project": {"1": {"Asset": ["write"]}}}"#).unwrap();
        let caller = Caller {
            permissions: Some(tree),
            ..user(&[(Over::Organization, Role::Owner)])
        };
        assert!(caller.may(WRITE, HERE) && !caller.may(READ, HERE) && !caller.may(WRITE, THERE));
        assert!(caller.reaches("1", "here") && !caller.reaches("2", "there"));
        assert!(caller.may(Permission::new(K::Profile, V::Read), Place::Organization));
        assert!(!caller.may(Permission::new(K::OwnToken, V::Write), Place::Organization));
        assert!(!caller.may_everywhere(WRITE) && !caller.may(TEAM, Place::Organization));
    }
}
