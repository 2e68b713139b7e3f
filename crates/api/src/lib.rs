//! The management API: two dialects over one set of rules.
//!
//! A request goes through [`Api::handle`]: route, version, token, project, permission, body, then one handler per
//! [`Operation`]; the answer is wrapped in the words of the surface it came in on. What a resource is and what may be done
//! to it is `headwater-catalog`'s business; this crate reads and writes the wire.
//!
//! | Module | Holds |
//! |---|---|
//! | [`routes`] | the table: surfaces, methods, paths, permissions, success codes |
//! | `access`, `issuers` | whose token it is, ours or another authority's, and what it is good for |
//! | [`dialect`], [`error`] | envelopes and error shapes |
//! | [`json`], `fields` | strict parsing that names the member at fault |
//! | `odata`, `query` | `$filter`, `$orderby`, paging |
//! | `captions` | is a subtitle file what its name says |
//! | [`limits`] | how many requests a project may make |
//! | `ledger` | what a request leaves in the audit log |
//! | [`passing`] | files that go through this service |
//! | [`openapi`] | the document of our own surface, made from the table |
//! | `place`, `storage_check` | containers: made, deleted, listed, signed for; accounts: tried out |
//! | `resources` | one file per kind of resource |
//!
//! No socket and no clock: storage is reached through [`HttpClient`], and `now` comes from the caller.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod access;
mod call;
mod captions;
pub mod dialect;
pub mod error;
mod fields;
mod issuers;
pub mod json;
mod ledger;
pub mod limits;
mod odata;
pub mod openapi;
pub mod passing;
mod place;
mod query;
mod reply;
mod resources;
pub mod routes;
mod storage_check;

use std::cell::Cell;

use bytes::Bytes;
use headwater_auth::{Caller, Issuer, Verifier};
use headwater_blob::HttpClient;
use headwater_catalog::audit::{self, Entry, Journal};
use headwater_catalog::projects::{Asked, Brought, Named};
use headwater_catalog::{CatalogError, Ids, Moment, Sql, keys, projects};
use headwater_keys::KeyVendor;
use headwater_seal::Seal;
use http::{HeaderMap, Method, Request, Response, header};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use call::Call;
use dialect::Dialect;
use error::{ApiError, Kind};
use ledger::{Outside, Whose};
use limits::Limiter;
use query::Query;
use reply::Reply;
use routes::{Access, Matched, NoRoute};

pub use issuers::IssuerKeys;
pub use routes::Operation;

/// Longest request body, in bytes. A worker's report of finished chunks is the longest there is.
pub const MAX_BODY: usize = 1024 * 1024;

/// The first api-version of Azure Media Services v3.
const OLDEST_VERSION: &str = "2018-07-01";

/// How often a request is put again whose changes gave way to another one's when they were to be committed.
const ATTEMPTS: usize = 40;

/// What came of putting a request once.
enum Attempt {
    Done(Box<Result<Reply, ApiError>>),
    /// Nothing was changed, and it may be put again.
    GaveWay(ApiError),
}

/// What an installation is configured with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How clients reach it: `http://localhost:8080`, without a trailing slash. Also the issuer of its tokens.
    pub public_url: String,
    /// Whether the list of published clear assets may be read without a token.
    pub public_gallery: bool,
    /// Object stores that may be reached, as the application manifest lists them: `https://*.blob.core.windows.net`.
    pub storage_hosts: Vec<String>,
    /// Where metrics can be read, if anywhere.
    pub metrics_url: Option<String>,
    /// Other authorities whose tokens are accepted.
    pub issuers: Vec<Issuer>,
    /// How long the audit log goes back, in days.
    pub audit_days: u32,
    /// Whom projects have their content keys made by.
    pub key_vendors: Vec<KeyVendor>,
}

/// The management API with everything it stands on, for one request.
pub struct Api<'a, S, C> {
    /// For requests that [`writes`] says change something: a connection that nobody else uses meanwhile.
    pub sql: &'a S,
    pub http: &'a C,
    pub seal: &'a Seal,
    pub settings: &'a Settings,
    /// May be some seconds old: an unknown key makes the API read the table again.
    pub verifier: &'a Verifier,
    /// What was read of other authorities' keys so far; for as long as the instance lives.
    pub issuer_keys: &'a IssuerKeys,
    /// Counts for this process or instance; one that is off where something in front of us counts.
    pub limiter: &'a Limiter,
    /// Where the request came from, if whoever hands it over knows. Never what the client itself says.
    pub address: Option<String>,
    pub now: Timestamp,
    pub ids: &'a dyn Ids,
}

/// The answer to a request, and what the log should know about it.
#[derive(Debug)]
pub struct Answer {
    pub response: Response<Bytes>,
    /// Also in the response (`x-ms-request-id`).
    pub request_id: String,
    /// Internal context of a failure. Never shown to a client.
    pub context: Option<String>,
    /// Where the body is in storage: whoever hands the answer over sends this, and goes on with [`passing::passed`].
    pub passing: Option<Request<Bytes>>,
}

/// The answer to a request that could not even be put to the API, in the words of the surface that `path` is on.
///
/// `kind`: what is wrong; `message`: safe for strangers.
pub fn refusal(path: &str, kind: Kind, message: &str, ids: &dyn Ids) -> Answer {
    let request_id = ids.uuid().to_string();
    let error = ApiError::new(kind, message);
    let reply = Reply::failure(&error, routes::surface_of(path), &request_id);
    Answer {
        response: reply.render(&request_id),
        request_id,
        context: None,
        passing: None,
    }
}

/// Whether a request may change the catalog, and so needs a connection of its own.
pub fn writes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A verifier for the keys that are in the catalog and good at `now`.
pub async fn verifier<S: Sql>(
    sql: &S,
    settings: &Settings,
    now: Timestamp,
) -> Result<Verifier, CatalogError> {
    let keys = keys::public_keys(sql, now).await?;
    Ok(Verifier::new(&settings.public_url, &keys))
}

impl<S: Sql, C: HttpClient> Api<'_, S, C> {
    /// Answers one request. `body` is at most [`MAX_BODY`] long, else the answer is 413.
    pub async fn handle(&self, request: Request<Bytes>) -> Answer {
        let request_id = self.ids.uuid().to_string();
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let (surface, result) = match routes::find(&parts.method, path) {
            Ok(matched) => {
                let surface = matched.surface;
                let incoming = Incoming {
                    path,
                    query: Query::parse(parts.uri.query()),
                    headers: &parts.headers,
                    origin: origin(&parts, self.settings),
                    body: &body,
                };
                let admitted = self.limiter.check(&parts.method, &matched, self.now);
                match admitted {
                    Err(error) => (surface, Err(error)),
                    Ok(admitted) => {
                        let request = (&parts.method, request_id.as_str());
                        let result = self.answer(matched, incoming, request).await;
                        self.limiter.count(admitted, status_of(&result), self.now);
                        (surface, result)
                    }
                }
            }
            Err(missing) => (routes::surface_of(path), Err(no_route(missing))),
        };
        let (mut reply, context) = match result {
            Ok(reply) => (reply, None),
            Err(error) => {
                let context = error.context.clone();
                (Reply::failure(&error, surface, &request_id), context)
            }
        };
        Answer {
            passing: reply.take_passing(),
            response: reply.render(&request_id),
            request_id,
            context,
        }
    }

    async fn answer(
        &self,
        matched: Matched,
        incoming: Incoming<'_>,
        (method, request_id): (&Method, &str),
    ) -> Result<Reply, ApiError> {
        if matched.surface == Dialect::Arm {
            check_version(&incoming.query)?;
        }
        if incoming.body.len() > MAX_BODY {
            return Err(ApiError::new(
                Kind::PayloadTooLarge,
                format!("The request body must have at most {MAX_BODY} bytes."),
            ));
        }
        let mut brought = Brought::default();
        let caller = match matched.route.access {
            Access::Open => None,
            Access::Gallery(_) if self.settings.public_gallery => None,
            Access::Token(_) | Access::Gallery(_) | Access::TeamAdmin(_) => {
                let id = matched.vars.get("projectId").to_ascii_lowercase();
                let asked = named(&matched, &id).map(|project| Asked {
                    project,
                    asset: asset_read(&matched),
                });
                let (caller, read) = self.authenticate(incoming.headers, asked).await?;
                brought = read;
                Some(caller)
            }
            Access::FileToken => Some(self.reader_of_files(incoming.headers).await?),
        };
        let asked = ledger::Asked {
            id: request_id,
            at: self.now,
            method,
            path: incoming.path,
            address: self.address.as_deref(),
        };
        let client = (matched.route.operation == Operation::IssueToken)
            .then(|| resources::client_id(&incoming))
            .flatten();
        let invite = match matched.route.operation {
            Operation::InviteAccept => resources::invite_shown(self.sql, &incoming).await?,
            _ => None,
        };
        let whose = match (&caller, &client, &invite) {
            (Some(caller), _, _) => Whose::Known(caller),
            (None, Some(client), _) => Whose::SigningIn(client),
            (None, None, Some(invite)) => Whose::Invited(invite),
            (None, None, None) => Whose::Strangers,
        };
        let entry = ledger::entry(&matched, whose, asked);
        let mut left = ATTEMPTS;
        loop {
            left = left.saturating_sub(1);
            // What was read along is as old as the rights; another attempt is one because something has changed.
            let brought = std::mem::take(&mut brought);
            let done = self.attempt(&matched, &incoming, &caller, brought, entry.clone());
            match done.await {
                Attempt::Done(result) => return *result,
                Attempt::GaveWay(_) if left > 0 => {}
                Attempt::GaveWay(error) => return Err(error),
            }
        }
    }

    /// Answers a request whose caller is known, and writes down that it did.
    async fn attempt(
        &self,
        matched: &Matched,
        incoming: &Incoming<'_>,
        caller: &Option<Caller>,
        brought: Brought,
        mut entry: Option<Entry>,
    ) -> Attempt {
        let Brought { project, asset } = brought;
        let project = self.project(matched, caller.as_ref(), project).await;
        if let Some(entry) = &mut entry {
            entry.project = match &project {
                Ok(project) => project.as_ref().map(|project| project.name.clone()),
                // As it was asked for.
                Err(_) => ["project", "account", "projectId"]
                    .map(|variable| matched.vars.get(variable))
                    .into_iter()
                    .find(|name| !name.is_empty())
                    .map(str::to_owned),
            };
        }
        let kept =
            SignedDuration::from_hours(i64::from(self.settings.audit_days).saturating_mul(24));
        let journal = Journal::new(self.sql, entry, kept);
        let outcome = match project {
            Ok(project) => {
                let brought = Brought { project, asset };
                self.perform(matched, incoming, caller.clone(), brought, &journal)
                    .await
            }
            Err(error) => Err(error),
        };
        let operation = matched.route.operation;
        match self.note(operation, &journal, &outcome).await {
            Ok(()) => Attempt::Done(Box::new(outcome)),
            Err(failure) if journal.gave_way() => Attempt::GaveWay(failure.into()),
            // Nothing was changed, so a refusal holds.
            Err(failure) => Attempt::Done(Box::new(Err(match outcome {
                Ok(_) => failure.into(),
                Err(error) => {
                    let context = error.context.unwrap_or_default();
                    ApiError {
                        context: Some(format!(
                            "{context} The audit log was not written: {failure}"
                        )),
                        ..error
                    }
                }
            }))),
        }
    }

    /// Ends the request's journal. An answer that could not be made durable is not given.
    async fn note(
        &self,
        operation: Operation,
        journal: &Journal<'_, S>,
        outcome: &Result<Reply, ApiError>,
    ) -> Result<(), CatalogError> {
        let status = status_of(outcome);
        let strangers = ledger::is_open(operation) && !status.is_success();
        if strangers
            && audit::failed_just_now(self.sql, &format!("{operation:?}"), self.now).await?
        {
            return Ok(());
        }
        let code = outcome.as_ref().err().map(|error| error.kind.code());
        let subject = outcome.as_ref().ok().and_then(Reply::subject);
        journal.close(status.as_u16(), code, subject).await
    }

    async fn perform(
        &self,
        matched: &Matched,
        incoming: &Incoming<'_>,
        caller: Option<Caller>,
        Brought { project, asset }: Brought,
        journal: &Journal<'_, S>,
    ) -> Result<Reply, ApiError> {
        if let Some(caller) = &caller {
            self.authorise(caller, matched, project.as_ref()).await?;
        }
        let call = Call {
            sql: journal,
            http: &Outside {
                journal,
                http: self.http,
            },
            seal: self.seal,
            settings: self.settings,
            moment: Moment {
                now: self.now,
                ids: self.ids,
            },
            dialect: matched.surface,
            vars: matched.vars.clone(),
            project,
            asset: Cell::new(asset),
            caller,
            incoming: incoming.clone(),
        };
        resources::dispatch(&call, matched.route.operation).await
    }

    /// The project a path names. One that the token does not reach is as if it did not exist.
    ///
    /// `brought`: the same, if it has been read already. Ok `None`: the path names none, or the operation would make it or be content that it is gone.
    async fn project(
        &self,
        matched: &Matched,
        caller: Option<&Caller>,
        brought: Option<projects::Project>,
    ) -> Result<Option<projects::Project>, ApiError> {
        let vars = &matched.vars;
        let customer = vars.get("customer");
        if !customer.is_empty() && !Uuid::parse_str(customer).is_ok_and(|id| id.is_nil()) {
            return Err(CatalogError::not_found("Organization", customer).into());
        }
        let id = vars.get("projectId").to_ascii_lowercase();
        let Some(asked) = named(matched, &id) else {
            return Ok(None);
        };
        let found = match brought {
            Some(project) => Some(project),
            None => projects::find(self.sql, asked).await?,
        };
        let reached = found.filter(|project| {
            caller.is_none_or(|caller| caller.reaches(project.id.as_str(), &project.name))
        });
        let may_be_absent = matches!(
            matched.route.operation,
            Operation::AccountPut | Operation::AccountDelete | Operation::ProjectPut
        );
        if reached.is_some() || may_be_absent {
            return Ok(reached);
        }
        // Strangers are not told which projects there are: a guess is answered as an operation that is not there.
        if matched.route.access == Access::Open {
            let operation = vars.get("operation");
            return Err(CatalogError::not_found("Operation", operation).into());
        }
        let what = if matched.surface == Dialect::Arm {
            "Media services account"
        } else {
            "Project"
        };
        let named = ["account", "project", "projectId"]
            .map(|variable| vars.get(variable))
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default();
        Err(CatalogError::not_found(what, named).into())
    }
}

/// The asset that an operation gives and reads nothing else for, so that it may be read along.
fn asset_read(matched: &Matched) -> Option<&str> {
    (matched.route.operation == Operation::AssetGet).then(|| matched.vars.get("asset"))
}

/// The project that a path is about. `id`: its `projectId` in lower case.
fn named<'a>(matched: &'a Matched, id: &'a str) -> Option<Named<'a>> {
    let vars = &matched.vars;
    let (account, name) = (vars.get("account"), vars.get("project"));
    if !account.is_empty() {
        Some(Named::Account {
            subscription_id: vars.get("subscription"),
            resource_group: vars.get("group"),
            account,
        })
    } else if !name.is_empty() {
        Some(Named::Name(name))
    } else {
        (!id.is_empty()).then_some(Named::Id(id))
    }
}

/// A request as handlers see it.
#[derive(Clone)]
pub(crate) struct Incoming<'a> {
    pub path: &'a str,
    pub query: Query,
    pub headers: &'a HeaderMap,
    /// Scheme and authority by which the client reached us.
    pub origin: String,
    pub body: &'a Bytes,
}

fn status_of(result: &Result<Reply, ApiError>) -> http::StatusCode {
    match result {
        Ok(reply) => reply.status(),
        Err(error) => error.kind.status(),
    }
}

/// ARM's `api-version`: any date from the first version on.
fn check_version(query: &Query) -> Result<(), ApiError> {
    let version = query.get("api-version").ok_or_else(|| {
        ApiError::invalid(
            "api-version",
            "is required, for instance api-version=2022-08-01",
        )
    })?;
    let date = version.strip_suffix("-preview").unwrap_or(version);
    match date.parse::<jiff::civil::Date>() {
        Ok(_) if date.len() == 10 && date >= OLDEST_VERSION => Ok(()),
        _ => Err(ApiError::invalid(
            "api-version",
            format!(
                "'{version}' is not supported; use a date from {OLDEST_VERSION} on, for instance 2022-08-01"
            ),
        )),
    }
}

/// How the client reached us: the host it named, with the scheme we are configured for.
fn origin(parts: &http::request::Parts, settings: &Settings) -> String {
    let scheme = settings.public_url.split("://").next().unwrap_or("http");
    let named = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| parts.uri.authority().map(http::uri::Authority::as_str))
        .filter(|host| host.parse::<http::uri::Authority>().is_ok() && !host.contains('@'));
    match named {
        Some(host) => format!("{scheme}://{host}"),
        None => settings.public_url.clone(),
    }
}

fn no_route(missing: NoRoute) -> ApiError {
    match missing {
        NoRoute::NotFound => ApiError::new(Kind::NotFound, "The path was not found."),
        NoRoute::MethodNotAllowed(methods) => {
            let names: Vec<_> = methods.iter().map(Method::as_str).collect();
            ApiError {
                field: Some("method".into()),
                ..ApiError::new(
                    Kind::MethodNotAllowed,
                    format!(
                        "The method is not offered here; these are: {}.",
                        names.join(", ")
                    ),
                )
            }
        }
        NoRoute::BadSegment(raw) => {
            ApiError::invalid("path", format!("'{raw}' is not percent-encoded UTF-8"))
        }
    }
}
