//! One table: which role may do what to which kind of resource.

use serde::{Deserialize, Serialize};

/// What a token may be good for. A token carries one or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything that is not a secret.
    Viewer,
    /// Runs the media side: uploads, jobs, publishing, starting and stopping.
    Operator,
    /// Everything, including storage credentials and the account itself.
    Owner,
    /// A worker of this installation: takes jobs and reports on them, nothing else.
    Worker,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Owner, Self::Worker];

    /// The name in tokens and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Owner => "owner",
            Self::Worker => "worker",
        }
    }

    /// The role of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// What a permission is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ResourceKind {
    Account,
    Profile,
    Storage,
    Asset,
    Transform,
    Job,
    StreamingPolicy,
    StreamingLocator,
    StreamingEndpoint,
    UploadRule,
    LiveEvent,
    LiveOutput,
    /// Asset and account filters.
    Filter,
    ContentKeyPolicy,
    /// The caller's own tokens, which are no more than the caller.
    OwnToken,
    /// Everybody's tokens.
    Token,
    /// People, and what is known of them.
    User,
    Team,
    Invite,
    /// Roles of the operator's own making.
    CustomRole,
    /// Programs that sign in with a secret.
    ApiClient,
    SigningKey,
    /// What the installation's organization is called.
    Organization,
    /// Webhook rules and what was sent by them.
    Webhook,
    /// Who changed what, and from where.
    AuditLog,
    WorkQueue,
}

/// How far a right to a kind of resource goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The caller's own affairs: no team has to grant them.
    Personal,
    /// What belongs to a project: a right there says nothing about the next project.
    Project,
    /// What there is once in an installation: takes a right over the whole organization.
    Organization,
}

impl ResourceKind {
    /// How far a right to it goes.
    pub fn reach(self) -> Reach {
        match self {
            Self::Profile | Self::OwnToken => Reach::Personal,
            Self::Token
            | Self::User
            | Self::Team
            | Self::Invite
            | Self::CustomRole
            | Self::ApiClient
            | Self::SigningKey
            | Self::Organization
            | Self::WorkQueue => Reach::Organization,
            _ => Reach::Project,
        }
    }

    /// Its name, as rights are written.
    pub fn name(self) -> String {
        format!("{self:?}")
    }
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    Read,
    /// Creates, replaces or changes.
    Write,
    Delete,
    /// Starts, stops, cancels.
    Act,
    /// Hands out something that opens a door: keys, signed URLs.
    Reveal,
}

/// What an operation asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Permission {
    pub kind: ResourceKind,
    pub verb: Verb,
}

/// As `Asset Read`.
impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.kind, self.verb)
    }
}

impl Permission {
    pub const fn new(kind: ResourceKind, verb: Verb) -> Self {
        Self { kind, verb }
    }

    /// Whether `role` alone is enough.
    pub fn granted_to(self, role: Role) -> bool {
        let queue = self.kind == ResourceKind::WorkQueue;
        match role {
            Role::Worker => queue,
            Role::Owner => !queue,
            Role::Operator => match self.kind {
                ResourceKind::WorkQueue => false,
                ResourceKind::Account | ResourceKind::Storage => self.verb == Verb::Read,
                ResourceKind::Token
                | ResourceKind::User
                | ResourceKind::Team
                | ResourceKind::Invite
                | ResourceKind::CustomRole
                | ResourceKind::ApiClient
                | ResourceKind::SigningKey
                | ResourceKind::Organization
                | ResourceKind::AuditLog => false,
                ResourceKind::Profile
                | ResourceKind::Asset
                | ResourceKind::Transform
                | ResourceKind::Job
                | ResourceKind::StreamingPolicy
                | ResourceKind::StreamingLocator
                | ResourceKind::StreamingEndpoint
                | ResourceKind::UploadRule
                | ResourceKind::LiveEvent
                | ResourceKind::LiveOutput
                | ResourceKind::Filter
                | ResourceKind::ContentKeyPolicy
                | ResourceKind::Webhook
                | ResourceKind::OwnToken => true,
            },
            Role::Viewer => match self.kind {
                // Who one is, is one's own to write.
                ResourceKind::OwnToken | ResourceKind::Profile => true,
                ResourceKind::AuditLog => false,
                kind if kind.reach() == Reach::Organization => false,
                _ => self.verb == Verb::Read,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_changes_nothing_and_sees_no_secret() {
        for verb in [Verb::Write, Verb::Delete, Verb::Act, Verb::Reveal] {
            assert!(!Permission::new(ResourceKind::Asset, verb).granted_to(Role::Viewer));
        }
        assert!(Permission::new(ResourceKind::Asset, Verb::Read).granted_to(Role::Viewer));
    }

    #[test]
    fn a_worker_and_people_do_not_share_a_door() {
        let queue = Permission::new(ResourceKind::WorkQueue, Verb::Act);
        for role in Role::ALL {
            assert_eq!(queue.granted_to(role), role == Role::Worker);
        }
        assert!(!Permission::new(ResourceKind::Asset, Verb::Read).granted_to(Role::Worker));
    }

    #[test]
    fn storage_credentials_are_the_owners() {
        let write = Permission::new(ResourceKind::Storage, Verb::Write);
        assert!(write.granted_to(Role::Owner));
        assert!(!write.granted_to(Role::Operator));
    }
}
