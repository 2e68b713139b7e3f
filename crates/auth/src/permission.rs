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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// Asset and account filters.
    Filter,
    ContentKeyPolicy,
    /// The caller's own tokens, which are no more than the caller.
    OwnToken,
    /// Everybody's tokens.
    Token,
    /// Webhook rules and what was sent by them.
    Webhook,
    /// Who changed what, and from where.
    AuditLog,
    WorkQueue,
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
                ResourceKind::Token | ResourceKind::AuditLog => false,
                ResourceKind::Profile
                | ResourceKind::Asset
                | ResourceKind::Transform
                | ResourceKind::Job
                | ResourceKind::StreamingPolicy
                | ResourceKind::StreamingLocator
                | ResourceKind::StreamingEndpoint
                | ResourceKind::UploadRule
                | ResourceKind::Filter
                | ResourceKind::ContentKeyPolicy
                | ResourceKind::Webhook
                | ResourceKind::OwnToken => true,
            },
            Role::Viewer => match self.kind {
                ResourceKind::WorkQueue | ResourceKind::Token | ResourceKind::AuditLog => false,
                ResourceKind::OwnToken => true,
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
