//! What a request leaves in the audit log: which ones do, and what the row says.
//!
//! | Request | Row |
//! |---|---|
//! | changes something, or hands out a secret, with a genuine token | always, whatever the answer |
//! | asks for a token, or accepts an invite that there is | for every one that is issued; for refusals one in a second |
//! | only reads, or is a worker's own business | none: jobs and deliveries have records of their own |
//! | without a genuine token | none: a stranger could fill the disk. The access log has it |

use bytes::Bytes;
use headwater_auth::{Caller, Permission, Powers, ResourceKind, Role, Verb};
use headwater_blob::{HttpClient, TransportError};
use headwater_catalog::Sql;
use headwater_catalog::audit::{Entry, Journal};
use http::{Method, Request, Response};
use jiff::Timestamp;

use crate::dialect::Dialect;
use crate::routes::{Matched, Operation};

/// Longest text of a row, in characters. Paths and client ids come as callers like.
const LONGEST: usize = 1024;

/// Whose request it is: nobody's known, one with a token, one that asks for a token under this name, or one that shows the
/// secret of the invite with this id.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whose<'a> {
    Strangers,
    Known(&'a Caller),
    SigningIn(&'a str),
    Invited(&'a str),
}

/// What is known of a request beside its route and its caller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub id: &'a str,
    pub at: Timestamp,
    pub method: &'a Method,
    /// Raw, without its query.
    pub path: &'a str,
    pub address: Option<&'a str>,
}

/// The row of a request as far as it is known before it is answered; none for one that leaves none.
pub(crate) fn entry(matched: &Matched, whose: Whose<'_>, asked: Asked<'_>) -> Option<Entry> {
    let (subject, caller, resource) = match (whose, matched.route.access.permission()) {
        (Whose::Known(caller), Some(needed)) if is_noted(needed) => {
            (caller.subject.clone(), Some(caller), resource(matched))
        }
        (Whose::SigningIn(client), _) => (client.to_owned(), None, resource(matched)),
        // The user that comes of it is known when it is answered.
        (Whose::Invited(invite), _) => {
            let resource = format!("organization/invites/{invite}");
            (format!("invite/{invite}"), None, Some(resource))
        }
        _ => return None,
    };
    Some(Entry {
        request_id: asked.id.to_owned(),
        at: asked.at,
        subject: short(&subject),
        token_id: caller.and_then(|caller| caller.token_id.as_deref().map(short)),
        roles: caller.map(roles).unwrap_or_default(),
        address: asked.address.map(short),
        operation: format!("{:?}", matched.route.operation),
        method: asked.method.to_string(),
        path: short(asked.path),
        project: None,
        resource,
        status: None,
        error_code: None,
    })
}

/// The names of what the caller was granted, or of what the token is held to.
fn roles(caller: &Caller) -> String {
    let held = caller.roles.iter().flatten().map(|role: &Role| role.name());
    let granted = caller.grants.iter().map(|grant| match &grant.powers {
        Powers::Role(role) => role.name(),
        Powers::Custom(_) => "custom",
    });
    let mut names: Vec<_> = match &caller.roles {
        Some(_) => held.collect(),
        None => granted.collect(),
    };
    names.sort_unstable();
    names.dedup();
    names.join(" ")
}

fn is_noted(needed: Permission) -> bool {
    needed.verb != Verb::Read && needed.kind != ResourceKind::WorkQueue
}

/// Whether failures of it are strangers' to cause.
pub(crate) fn is_open(operation: Operation) -> bool {
    matches!(operation, Operation::IssueToken | Operation::InviteAccept)
}

fn short(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// The template with its variables filled in, from below the project to the last one: `transforms/t/jobs/j`.
fn resource(matched: &Matched) -> Option<String> {
    if matched.surface == Dialect::Own {
        return None;
    }
    let below = |path: &'static str, prefix| path.strip_prefix(prefix).unwrap_or(path);
    let template = below(matched.route.template, "/api/v1");
    let template = below(template, "/projects/{project}");
    let parts: Vec<&str> = template.split('/').skip(1).collect();
    let last = parts.iter().rposition(|part| part.starts_with('{'))?;
    let filled: Vec<&str> = parts
        .into_iter()
        .take(last.saturating_add(1))
        .map(|part| match part.strip_prefix('{') {
            Some(name) => matched.vars.get(name.trim_end_matches('}')),
            None => part,
        })
        .collect();
    Some(short(&filled.join("/")))
}

/// A handler's way to storage: what it takes for committed is, before storage hears of it, and the write lock is let go.
pub(crate) struct Outside<'a, S, C> {
    pub(crate) journal: &'a Journal<'a, S>,
    pub(crate) http: &'a C,
}

impl<S: Sql, C: HttpClient> HttpClient for Outside<'_, S, C> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.journal
            .settle()
            .await
            .map_err(|error| TransportError::Broken(error.to_string()))?;
        self.http.send(request).await
    }
}
