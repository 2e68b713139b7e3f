//! Tokens for programs. Spec: the management API reference, 1.2.
//!
//! A token never has more rights than whoever makes it. MK.IO's `restricted` tokens carry a tree of permissions; here a
//! token is held to fewer `roles`, or to one `project`, which are members of our own.

use headwater_auth::{AUDIENCE, Claims, Role};
use headwater_blob::HttpClient;
use headwater_catalog::tokens::{self, Of, TokenKind, TokenRecord};
use headwater_catalog::{Sql, keys, names, projects};
use http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::fields::Object;
use crate::reply::Reply;

const YEAR: SignedDuration = SignedDuration::from_hours(366 * 24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const LONGEST_EPHEMERAL: SignedDuration = SignedDuration::from_hours(24);
/// The one organization of an installation, as the profile names it.
const ORGANIZATION: Uuid = Uuid::nil();

fn claims<'a, S, C>(call: &'a Call<'_, S, C>) -> Result<&'a Claims, ApiError> {
    call.claims
        .as_ref()
        .ok_or_else(|| ApiError::internal("tokens without a token"))
}

fn render(token: &TokenRecord, jwt: Option<&str>) -> Json {
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
            "organizationId": ORGANIZATION,
            "user": token.subject,
            "roles": token.roles,
            "project": token.project,
        },
    })
}

/// Makes a token. The answer is the only time it is shown.
pub(super) async fn create<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let caller = claims(call)?;
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
    if root.has("permissions") {
        return Err(ApiError::invalid(
            "permissions",
            "are not supported by this installation; hold the token to fewer roles or to one project",
        ));
    }
    let kinds = TokenKind::ALL.map(TokenKind::name);
    let kind = root.one_of("type", &kinds, TokenKind::parse)?;
    let kind = root.required("type", kind)?;
    let organization = root.uuid("organizationId")?;
    if organization.is_some_and(|id| id != ORGANIZATION) {
        return Err(ApiError::invalid(
            "organizationId",
            "is not the organization of this installation; GET /api/v1/user/profile names it",
        ));
    }
    let description = root.text("description")?;
    names::text("description", description.as_deref(), 128)?;
    let project = project(call, caller, root.text("project")?).await?;
    let now = call.moment.now;
    let (usual, longest) = match kind {
        TokenKind::FullAccess => (YEAR, YEAR),
        TokenKind::Ephemeral => (HOUR, LONGEST_EPHEMERAL),
    };
    let expires = match root.time("expireDate")? {
        None => now.checked_add(usual).unwrap_or(now),
        Some(at) if at <= now => {
            return Err(ApiError::invalid("expireDate", "must be in the future"));
        }
        Some(at) if at.duration_since(now) > longest => {
            let hours = longest.as_hours();
            return Err(ApiError::invalid(
                "expireDate",
                format!("must be at most {hours} hours ahead for this type"),
            ));
        }
        Some(at) => at,
    };
    let record = TokenRecord {
        id: call.moment.ids.uuid().to_string(),
        kind,
        subject: caller.sub.clone(),
        description,
        roles: roles(&root, caller)?,
        project,
        issued: now,
        expires,
        revoked: None,
        revoked_by: None,
    };
    let key = keys::signing_key(call.sql, call.seal)
        .await?
        .ok_or_else(|| ApiError::internal("there is no signing key"))?;
    let jwt = key
        .issue(&Claims {
            iss: call.settings.public_url.clone(),
            aud: AUDIENCE.into(),
            sub: record.subject.clone(),
            iat: now.as_second(),
            exp: expires.as_second(),
            jti: record.id.clone(),
            roles: record.roles.clone(),
            project: record.project.clone(),
        })
        .map_err(|error| ApiError::internal(error.to_string()))?;
    // Recorded before it is shown: there is no token that nobody can revoke.
    tokens::record(call.sql, &record).await?;
    Ok(Reply::json(
        StatusCode::CREATED,
        render(&record, Some(&jwt)),
    ))
}

/// Roles of the new token: those asked for, none of which the caller lacks; by default the caller's.
fn roles(root: &Object<'_>, caller: &Claims) -> Result<Vec<Role>, ApiError> {
    let Some(asked) = root.texts("roles")? else {
        return Ok(caller.roles.clone());
    };
    if asked.is_empty() {
        return Err(ApiError::invalid("roles", "must have at least one member"));
    }
    asked
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let field = || format!("roles[{at}]");
            let role = Role::parse(name)
                .filter(|role| *role != Role::Worker)
                .ok_or_else(|| {
                    ApiError::invalid(field(), "must be one of viewer, operator, owner")
                })?;
            let within = |own: &Role| match own {
                Role::Owner => true,
                Role::Operator => matches!(role, Role::Operator | Role::Viewer),
                Role::Viewer => role == Role::Viewer,
                Role::Worker => false,
            };
            if !caller.roles.iter().any(within) {
                return Err(ApiError::new(
                    Kind::PermissionDenied,
                    format!("roles[{at}]: your own token does not have the rights of '{name}'."),
                ));
            }
            Ok(role)
        })
        .collect()
}

/// The project the new token is held to: the caller's own, or one that it reaches.
async fn project<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    caller: &Claims,
    asked: Option<String>,
) -> Result<Option<String>, ApiError> {
    let Some(name) = asked else {
        return Ok(caller.project.clone());
    };
    let found = projects::by_name(call.sql, &name).await?;
    match found.filter(|project| caller.reaches(&project.name)) {
        Some(project) => Ok(Some(project.name)),
        None => Err(ApiError::invalid(
            "project",
            format!("there is no project '{name}'"),
        )),
    }
}

async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>, of: Of<'_>) -> Result<Reply, ApiError> {
    let items: Vec<_> = tokens::list(call.sql, of)
        .await?
        .iter()
        .map(|token| render(token, None))
        .collect();
    Ok(Reply::ok(json!({"kind": "TokenList", "items": items})))
}

async fn revoke<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    of: Of<'_>,
    id: Option<&str>,
) -> Result<Reply, ApiError> {
    let by = &claims(call)?.sub;
    let count = tokens::revoke(call.sql, of, id, by, call.moment.now).await?;
    Ok(Reply::deleted(count > 0))
}

pub(super) async fn own_list<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    list(call, Of::Subject(&claims(call)?.sub)).await
}

pub(super) async fn own_get<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let of = Of::Subject(&claims(call)?.sub);
    let token = tokens::get(call.sql, of, call.var("token")).await?;
    Ok(Reply::ok(render(&token, None)))
}

pub(super) async fn own_revoke<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let of = Of::Subject(&claims(call)?.sub);
    revoke(call, of, Some(call.var("token"))).await
}

pub(super) async fn own_revoke_all<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    revoke(call, Of::Subject(&claims(call)?.sub), None).await
}

pub(super) async fn all_list<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    list(call, Of::Everybody).await
}

pub(super) async fn all_revoke<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    revoke(call, Of::Everybody, Some(call.var("token"))).await
}
