//! Tokens for programs. Spec: the management API reference, 1.2.
//!
//! | `type` | lasts | good for |
//! |---|---|---|
//! | `login` | 12 hours, 24 at most | everything its user may do |
//! | `full-access` | a year | the same |
//! | `restricted` | a year | what `permissions` names of it |
//! | `ephemeral` | an hour, 24 at most | the same as the token it was made with, or what `permissions` names of it |
//!
//! A token has no more rights than whoever makes it, and no more than its user at the moment of each request. Any of them
//! can also be held to fewer `roles`, or to one `project`, which are members of our own.

use headwater_auth::{Caller, Claims, Place, Role, Tree};
use headwater_blob::HttpClient;
use headwater_catalog::tokens::{self, Of, TokenKind, TokenRecord};
use headwater_catalog::{Sql, keys, names, projects};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use super::granting::{hold, read_capabilities};
use super::items;
use super::organization::ORGANIZATION_ID;
use crate::access;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::fields::Object;
use crate::reply::Reply;

const YEAR: SignedDuration = SignedDuration::from_hours(366 * 24);
const HALF_DAY: SignedDuration = SignedDuration::from_hours(12);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Longest `permissions`, in bytes as a token carries them: it has to fit into a header.
const MAX_PERMISSIONS_BYTES: usize = 4096;

/// How long a token lasts unless something else is asked for.
pub(super) fn usual(kind: TokenKind) -> SignedDuration {
    match kind {
        TokenKind::Login => HALF_DAY,
        TokenKind::FullAccess | TokenKind::Restricted => YEAR,
        TokenKind::Ephemeral => HOUR,
    }
}

fn longest(kind: TokenKind) -> SignedDuration {
    match kind {
        TokenKind::Login | TokenKind::Ephemeral => DAY,
        TokenKind::FullAccess | TokenKind::Restricted => YEAR,
    }
}

pub(super) fn render(token: &TokenRecord, jwt: Option<&str>) -> Json {
    let mut metadata = json!({"id": token.id, "type": token.kind.name()});
    if let (Json::Object(members), Some(jwt)) = (&mut metadata, jwt) {
        members.insert("JWT".into(), jwt.into());
    }
    json!({
        "metadata": metadata,
        "spec": {
            "description": token.description,
            "issued": token.issued.to_string(),
            "expires": token.expires.to_string(),
            "revoked": token.revoked.map(|at| at.to_string()),
            "revokedBy": token.revoked_by,
            "organizationId": ORGANIZATION_ID,
            "user": token.subject,
            "roles": token.roles,
            "project": token.project,
            "permissions": token.permissions,
        },
    })
}

/// A token to be made.
pub(super) struct NewToken {
    pub(super) kind: TokenKind,
    pub(super) description: Option<String>,
    pub(super) expires: Timestamp,
    /// With the subject and the limits.
    pub(super) claims: Claims,
}

/// Records a token and signs it.
pub(super) async fn issue<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    new: NewToken,
) -> Result<(TokenRecord, String), ApiError> {
    let claims = Claims {
        kind: Some(new.kind.name().into()),
        ..new.claims
    };
    let key = keys::signing_key(call.sql, call.seal)
        .await?
        .ok_or_else(|| ApiError::internal("there is no signing key"))?;
    let jwt = key
        .issue(&claims)
        .map_err(|error| ApiError::internal(error.to_string()))?;
    let record = TokenRecord {
        id: claims.jti,
        kind: new.kind,
        subject: claims.sub,
        description: new.description,
        roles: claims.roles,
        project: claims.project,
        permissions: claims.permissions,
        issued: call.moment.now,
        expires: new.expires,
        revoked: None,
        revoked_by: None,
    };
    // Recorded before it is shown: there is no token that nobody can revoke.
    tokens::record(call.sql, &record).await?;
    Ok((record, jwt))
}

/// Makes a token. The answer is the only time it is shown.
pub(super) async fn create<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    if let Some(issuer) = &caller.foreign {
        return Err(ApiError::new(
            Kind::PermissionDenied,
            format!("Your rights are {issuer}'s to give, and so are your tokens."),
        ));
    }
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(&[
        "type",
        "organizationId",
        "description",
        "expireDate",
        "permissions",
        "roles",
        "project",
    ])?;
    let kinds = TokenKind::ALL.map(TokenKind::name);
    let kind = root.one_of("type", &kinds, TokenKind::parse)?;
    let kind = root.required("type", kind)?;
    let organization = root.uuid("organizationId")?;
    if organization.is_some_and(|id| id != ORGANIZATION_ID) {
        return Err(ApiError::invalid(
            "organizationId",
            "is not the organization of this installation; GET /api/v1/user/profile names it",
        ));
    }
    let description = root.text("description")?;
    names::text("description", description.as_deref(), 128)?;
    let now = call.moment.now;
    let expires = expires(&root, kind, now)?;
    let claims = Claims {
        idtyp: caller.kind,
        roles: roles(&root, caller)?,
        project: project(call, caller, root.text("project")?).await?,
        permissions: permissions(call, caller, kind, &root).await?,
        ..Claims::bare(
            &call.settings.public_url,
            &caller.subject,
            &call.moment.ids.uuid().to_string(),
            now.as_second(),
            expires.as_second(),
        )
    };
    let new = NewToken {
        kind,
        description,
        expires,
        claims,
    };
    let (record, jwt) = issue(call, new).await?;
    Ok(Reply::json(
        StatusCode::CREATED,
        render(&record, Some(&jwt)),
    ))
}

fn expires(root: &Object<'_>, kind: TokenKind, now: Timestamp) -> Result<Timestamp, ApiError> {
    let longest = longest(kind);
    match root.time("expireDate")? {
        None => Ok(now.checked_add(usual(kind)).unwrap_or(now)),
        Some(at) if at <= now => Err(ApiError::invalid("expireDate", "must be in the future")),
        Some(at) if at.duration_since(now) > longest => Err(ApiError::invalid(
            "expireDate",
            format!(
                "must be at most {} hours ahead for this type",
                longest.as_hours()
            ),
        )),
        Some(at) => Ok(at),
    }
}

/// The limit of roles of the new token: those asked for, none of which the caller's own token lacks; by default the
/// caller's own limit.
fn roles(root: &Object<'_>, caller: &Caller) -> Result<Option<Vec<Role>>, ApiError> {
    let Some(asked) = root.texts("roles")? else {
        return Ok(caller.roles.clone());
    };
    if asked.is_empty() {
        return Err(ApiError::invalid("roles", "must have at least one member"));
    }
    let roles = asked.iter().enumerate().map(|(at, name)| {
        let field = || format!("roles[{at}]");
        let role = headwater_catalog::rights::built_in(name)
            .ok_or_else(|| ApiError::invalid(field(), "must be one of viewer, operator, owner"))?;
        let within = |own: &Role| match own {
            Role::Owner => true,
            Role::Operator => matches!(role, Role::Operator | Role::Viewer),
            Role::Viewer => role == Role::Viewer,
            Role::Worker => false,
        };
        match &caller.roles {
            Some(own) if !own.iter().any(within) => Err(ApiError::new(
                Kind::PermissionDenied,
                format!("roles[{at}]: your own token does not have the rights of '{name}'."),
            )),
            _ => Ok(role),
        }
    });
    roles.collect::<Result<_, _>>().map(Some)
}

/// The project the new token is held to: the caller's own, or one that it reaches.
async fn project<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    caller: &Caller,
    asked: Option<String>,
) -> Result<Option<String>, ApiError> {
    let Some(name) = asked else {
        return Ok(caller.project.clone());
    };
    let found = projects::by_name(call.sql, &name).await?;
    match found.filter(|project| call.reaches(project)) {
        Some(project) => Ok(Some(project.name)),
        None => Err(ApiError::invalid(
            "project",
            format!("there is no project '{name}'"),
        )),
    }
}

/// The tree that the new token is held to: the one asked for, within what the caller may do; by default the caller's own.
async fn permissions<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    caller: &Caller,
    kind: TokenKind,
    root: &Object<'_>,
) -> Result<Option<Tree>, ApiError> {
    let scoped = matches!(kind, TokenKind::Restricted | TokenKind::Ephemeral);
    let Some(asked) = root.object("permissions")? else {
        if kind == TokenKind::Restricted {
            return Err(ApiError::invalid(
                "permissions",
                "is required for this type; GET /api/v1/user/rbac shows what can be named",
            ));
        }
        if caller.permissions.is_some() && !scoped {
            return Err(ApiError::new(
                Kind::PermissionDenied,
                "A restricted token makes restricted and ephemeral ones only.",
            ));
        }
        return Ok(caller.permissions.clone());
    };
    if !scoped {
        return Err(ApiError::invalid(
            "permissions",
            "are for tokens of the types restricted and ephemeral",
        ));
    }
    let tree = read_tree(call, caller, &asked).await?;
    let size = serde_json::to_string(&tree).map_or(usize::MAX, |text| text.len());
    if size > MAX_PERMISSIONS_BYTES {
        return Err(ApiError::invalid(
            "permissions",
            "are too many for a token; hold it to fewer projects or kinds",
        ));
    }
    Ok(Some(tree))
}

async fn read_tree<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    caller: &Caller,
    asked: &Object<'_>,
) -> Result<Tree, ApiError> {
    const AREAS: [&str; 2] = ["core.organization", "core.project"];
    asked.only(&AREAS)?;
    let mut tree = Tree::default();
    if let Some(organizations) = asked.object("core.organization")? {
        let id = ORGANIZATION_ID.to_string();
        organizations.only(&[&id])?;
        if let Some(object) = organizations.object(&id)? {
            let capabilities = read_capabilities(&object)?;
            hold(caller, &object, &capabilities, Place::Organization)?;
            tree.organization.insert(id, capabilities);
        }
    }
    if let Some(named) = asked.object("core.project")? {
        let known = projects::list(call.sql, None, None).await?;
        for id in named.names() {
            let project = known
                .iter()
                .find(|project| project.id.as_str() == id && call.reaches(project))
                .ok_or_else(|| ApiError::invalid(named.path(id), "there is no such project"))?;
            let object = named.required_object(id)?;
            let capabilities = read_capabilities(&object)?;
            hold(caller, &object, &capabilities, access::place(Some(project)))?;
            tree.projects.insert(id.to_owned(), capabilities);
        }
    }
    Ok(tree)
}

async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>, of: Of<'_>) -> Result<Reply, ApiError> {
    let records: Vec<_> = tokens::list(call.sql, of)
        .await?
        .iter()
        .map(|token| render(token, None))
        .collect();
    Ok(items("TokenList", records))
}

async fn revoke<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    of: Of<'_>,
    id: Option<&str>,
) -> Result<Reply, ApiError> {
    let by = &call.caller()?.subject;
    let count = tokens::revoke(call.sql, of, id, by, call.moment.now).await?;
    Ok(Reply::deleted(count > 0))
}

pub(super) async fn own_list<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    list(call, Of::Subject(&call.caller()?.subject)).await
}

pub(super) async fn own_get<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let of = Of::Subject(&call.caller()?.subject);
    let token = tokens::get(call.sql, of, call.var("token")).await?;
    Ok(Reply::ok(render(&token, None)))
}

pub(super) async fn own_revoke<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let of = Of::Subject(&call.caller()?.subject);
    revoke(call, of, Some(call.var("token"))).await
}

pub(super) async fn own_revoke_all<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    revoke(call, Of::Subject(&call.caller()?.subject), None).await
}

pub(super) async fn all_list<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    list(call, Of::Everybody).await
}

pub(super) async fn any_get<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let token = tokens::get(call.sql, Of::Everybody, call.var("token")).await?;
    Ok(Reply::ok(render(&token, None)))
}

pub(super) async fn all_revoke<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    revoke(call, Of::Everybody, Some(call.var("token"))).await
}
