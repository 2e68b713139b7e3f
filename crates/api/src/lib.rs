//! The management API: two dialects over one set of rules.
//!
//! A request goes through [`Api::handle`]: route, version, token, project, permission, body, then one handler per
//! [`Operation`]; the answer is wrapped in the words of the surface it came in on. What a resource is and what may be done
//! to it is `headwater-catalog`'s business; this crate reads and writes the wire.
//!
//! | Module | Holds |
//! |---|---|
//! | [`routes`] | the table: surfaces, methods, paths, permissions, success codes |
//! | [`dialect`], [`error`] | envelopes and error shapes |
//! | [`json`], `fields` | strict parsing that names the member at fault |
//! | `odata`, `query` | `$filter`, `$orderby`, paging |
//! | [`openapi`] | the document of our own surface, made from the table |
//! | `place` | containers: made, deleted, listed, signed for |
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

mod call;
pub mod dialect;
pub mod error;
mod fields;
pub mod json;
mod odata;
pub mod openapi;
mod place;
mod query;
mod reply;
mod resources;
pub mod routes;

use bytes::Bytes;
use headwater_auth::{AuthError, Claims, Permission, Verifier};
use headwater_blob::HttpClient;
use headwater_catalog::{CatalogError, Ids, Moment, Sql, keys, projects};
use headwater_seal::Seal;
use http::{HeaderMap, Method, Request, Response, header};
use jiff::Timestamp;

use call::Call;
use dialect::Dialect;
use error::{ApiError, Kind};
use query::Query;
use reply::Reply;
use routes::{Access, Matched, NoRoute};

pub use routes::Operation;

/// Longest request body, in bytes. A worker's report of finished chunks is the longest there is.
pub const MAX_BODY: usize = 1024 * 1024;

/// The first api-version of Azure Media Services v3.
const OLDEST_VERSION: &str = "2018-07-01";

/// What an installation is configured with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How clients reach it: `http://localhost:8080`, without a trailing slash. Also the issuer of its tokens.
    pub public_url: String,
    /// Whether the list of published clear assets may be read without a token.
    pub public_gallery: bool,
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
    }
}

/// Whether a request may change the catalog, and so needs a connection of its own.
pub fn writes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A verifier for the keys that are in the catalog now.
pub async fn verifier<S: Sql>(sql: &S, settings: &Settings) -> Result<Verifier, CatalogError> {
    let keys = keys::public_keys(sql).await?;
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
                (surface, self.answer(matched, incoming).await)
            }
            Err(missing) => (routes::surface_of(path), Err(no_route(missing))),
        };
        let (reply, context) = match result {
            Ok(reply) => (reply, None),
            Err(error) => {
                let context = error.context.clone();
                (Reply::failure(&error, surface, &request_id), context)
            }
        };
        Answer {
            response: reply.render(&request_id),
            request_id,
            context,
        }
    }

    async fn answer(&self, matched: Matched, incoming: Incoming<'_>) -> Result<Reply, ApiError> {
        if matched.surface == Dialect::Arm {
            check_version(&incoming.query)?;
        }
        if incoming.body.len() > MAX_BODY {
            return Err(ApiError::new(
                Kind::PayloadTooLarge,
                format!("The request body must have at most {MAX_BODY} bytes."),
            ));
        }
        let claims = match matched.route.access {
            Access::Open => None,
            Access::Token(_) => Some(self.authenticate(incoming.headers).await?),
            Access::Gallery(_) if self.settings.public_gallery => None,
            Access::Gallery(_) => Some(self.authenticate(incoming.headers).await?),
        };
        let project = self.project(&matched, claims.as_ref()).await?;
        if let (Some(claims), Access::Token(needed) | Access::Gallery(needed)) =
            (&claims, matched.route.access)
        {
            authorise(claims, needed)?;
        }
        let call = Call {
            sql: self.sql,
            http: self.http,
            seal: self.seal,
            settings: self.settings,
            moment: Moment {
                now: self.now,
                ids: self.ids,
            },
            dialect: matched.surface,
            vars: matched.vars,
            project,
            claims,
            incoming,
        };
        resources::dispatch(&call, matched.route.operation).await
    }

    /// The project a path names. One that the token does not reach is as if it did not exist.
    async fn project(
        &self,
        matched: &Matched,
        claims: Option<&Claims>,
    ) -> Result<Option<projects::Project>, ApiError> {
        let vars = &matched.vars;
        let (found, name) = match (vars.get("account"), vars.get("project")) {
            ("", "") => return Ok(None),
            ("", name) => (projects::by_name(self.sql, name).await?, name),
            (account, _) => (
                projects::by_account(
                    self.sql,
                    vars.get("subscription"),
                    vars.get("group"),
                    account,
                )
                .await?,
                account,
            ),
        };
        let what = if matched.surface == Dialect::Arm {
            "Media services account"
        } else {
            "Project"
        };
        let reached =
            found.filter(|project| claims.is_none_or(|claims| claims.reaches(&project.name)));
        match reached {
            Some(project) => Ok(Some(project)),
            None => Err(CatalogError::not_found(what, name).into()),
        }
    }

    async fn authenticate(&self, headers: &HeaderMap) -> Result<Claims, ApiError> {
        let refuse = |reason: &str| ApiError::new(Kind::Unauthenticated, reason);
        let token = token(headers).ok_or_else(|| {
            refuse("A token is needed: 'Authorization: Bearer <token>' or 'x-mkio-token: <token>'.")
        })?;
        let verified = match self.verifier.verify(token, self.now) {
            // Signed with a key that was made since the verifier was.
            Err(AuthError::UnknownKey) => verifier(self.sql, self.settings)
                .await?
                .verify(token, self.now),
            verified => verified,
        };
        let claims =
            verified.map_err(|error| refuse(&format!("The token is not accepted: {error}.")))?;
        if keys::is_revoked(self.sql, &claims.jti).await? {
            return Err(refuse("The token is not accepted: it has been revoked."));
        }
        Ok(claims)
    }
}

/// A request as handlers see it.
pub(crate) struct Incoming<'a> {
    pub path: &'a str,
    pub query: Query,
    pub headers: &'a HeaderMap,
    /// Scheme and authority by which the client reached us.
    pub origin: String,
    pub body: &'a Bytes,
}

fn authorise(claims: &Claims, needed: Permission) -> Result<(), ApiError> {
    if claims.may(needed) {
        return Ok(());
    }
    Err(ApiError::new(
        Kind::PermissionDenied,
        format!(
            "The token's roles do not allow this ({:?} {:?}).",
            needed.verb, needed.kind
        ),
    ))
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    });
    let older = || headers.get("x-mkio-token")?.to_str().ok().map(str::trim);
    bearer.or_else(older).filter(|token| !token.is_empty())
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
