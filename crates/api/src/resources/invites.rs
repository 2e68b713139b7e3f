//! Invitations. Spec: the management API reference, 1.14; how one is accepted without mail is ours.
//!
//! ```text
//! owner     POST /api/v1/organization/invites        -> 201, metadata.secret, once
//! invited   POST /api/v1/invites/accept {"secret"}   -> 201, a login token of the user that came of it
//! ```
//!
//! The second needs no token: the secret is what is known. It is 256 random bits, so there is no rate at which guessing it
//! is worthwhile; it ends with the invite (`expires`, a week unless said otherwise) and ten minutes after it was used.
//! Somebody who is a user already (`userId`) comes in again that way; only owners let them. An address (`loginEmail`) is for
//! somebody new, whatever users say theirs is: see the catalog's `invites`.

use headwater_auth::{Claims, Powers, Role, SubjectKind, random_secret};
use headwater_blob::HttpClient;
use headwater_catalog::invites::{self, Introduction, Invitation, Invite};
use headwater_catalog::tokens::TokenKind;
use headwater_catalog::users::{self, User};
use headwater_catalog::{CatalogError, Sql, names, teams};
use http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value as Json, json};

use super::granting::hand_on;
use super::tokens::{self, NewToken};
use super::{items, teams as team_routes};
use crate::Incoming;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::fields::Object;
use crate::reply::Reply;

const USUAL: SignedDuration = SignedDuration::from_hours(7 * 24);
const LONGEST: SignedDuration = SignedDuration::from_hours(30 * 24);

fn render<S, C>(call: &Call<'_, S, C>, invite: &Invite, secret: Option<&str>) -> Json {
    let mut metadata = json!({"id": invite.id, "created": invite.created.to_string()});
    if let (Json::Object(members), Some(secret)) = (&mut metadata, secret) {
        members.insert("secret".into(), secret.into());
    }
    let time = |at: Option<jiff::Timestamp>| at.map(|at| at.to_string());
    let invitation = &invite.invitation;
    json!({
        "metadata": metadata,
        "spec": {
            "userId": invitation.user_id, "name": invitation.name, "loginEmail": invitation.login_email,
            "teams": invitation.teams, "expires": invitation.expires.to_string(),
        },
        "status": {
            "state": invite.state(call.moment.now).name(), "invitedBy": invite.invited_by,
            "accepted": time(invite.accepted), "acceptedBy": invite.accepted_by,
            "declined": time(invite.declined),
        },
    })
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let invites = invites::list(call.sql).await?;
    let records = invites.iter().map(|invite| render(call, invite, None));
    Ok(items("InviteList", records.collect()))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let invite = invites::get(call.sql, call.var("invite")).await?;
    Ok(Reply::ok(render(call, &invite, None)))
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let existed = invites::delete(call.sql, call.var("invite")).await?;
    Ok(Reply::deleted(existed))
}

fn read<S, C>(call: &Call<'_, S, C>) -> Result<Invitation, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(&["spec"])?;
    let spec = root.required_object("spec")?;
    spec.only(&["userId", "name", "loginEmail", "teams", "expires"])?;
    let now = call.moment.now;
    let expires = match spec.time("expires")? {
        None => now.checked_add(USUAL).unwrap_or(now),
        Some(at) if at > now && at.duration_since(now) <= LONGEST => at,
        Some(_) => {
            return Err(ApiError::invalid(
                "spec.expires",
                "must be in the future and at most 30 days ahead",
            ));
        }
    };
    let login_email = spec
        .text("loginEmail")?
        .map(|text| users::email("spec.loginEmail", &text))
        .transpose()?;
    Ok(Invitation {
        user_id: spec.text("userId")?,
        name: spec.text("name")?,
        login_email,
        teams: spec.texts("teams")?.unwrap_or_default(),
        expires,
    })
}

/// Invites somebody. The answer is the only time that the secret is shown.
pub(super) async fn create<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let invitation = read(call)?;
    let by = &call.caller()?.subject;
    // Whoever has the secret becomes that user, with all the rights they have by then.
    if invites::invited(call.sql, &invitation).await?.is_some() {
        hand_on(call.caller()?, "spec", None, &Powers::Role(Role::Owner))?;
    }
    let known = team_routes::known(call).await?;
    for name in &invitation.teams {
        if let Some(team) = teams::find(call.sql, name).await? {
            team_routes::check(call, &team.spec, &known)?;
        }
    }
    let secret = random_secret().map_err(|error| ApiError::internal(error.to_string()))?;
    let invite = invites::create(call.sql, &invitation, &secret, by, call.moment).await?;
    Ok(Reply::json(
        StatusCode::CREATED,
        render(call, &invite, Some(&secret)),
    ))
}

/// The id of the invite whose secret a request shows, if there is one.
pub(crate) async fn invite_shown<S: Sql>(
    sql: &S,
    incoming: &Incoming<'_>,
) -> Result<Option<String>, CatalogError> {
    let body: Option<Json> = serde_json::from_slice(incoming.body).ok();
    let secret = body.as_ref().and_then(|body| body.get("secret")?.as_str());
    match secret {
        Some(secret) => Ok(invites::by_secret(sql, secret).await?.map(|found| found.id)),
        None => Ok(None),
    }
}

/// Makes whoever has the secret a user, and lets them in.
pub(super) async fn accept<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(&["secret", "name", "loginEmail"])?;
    let secret = root.required_text("secret")?;
    let introduction = Introduction {
        name: root.text("name")?,
        login_email: root
            .text("loginEmail")?
            .map(|text| users::email("loginEmail", &text))
            .transpose()?,
    };
    if let Some(name) = &introduction.name {
        names::display("name", name)?;
    }
    let user = invites::accept(call.sql, &secret, &introduction, call.moment).await?;
    let (record, jwt) = login(call, &user).await?;
    Ok(Reply::json(StatusCode::CREATED, tokens::render(&record, Some(&jwt))).of(&user.id))
}

async fn login<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    user: &User,
) -> Result<(headwater_catalog::tokens::TokenRecord, String), ApiError> {
    let now = call.moment.now;
    let expires = now
        .checked_add(tokens::usual(TokenKind::Login))
        .map_err(|_| ApiError::new(Kind::Internal, "The clock is at its end."))?;
    let claims = Claims {
        idtyp: Some(SubjectKind::User),
        ..Claims::bare(
            &call.settings.public_url,
            &user.id,
            &call.moment.ids.uuid().to_string(),
            now.as_second(),
            expires.as_second(),
        )
    };
    let new = NewToken {
        kind: TokenKind::Login,
        description: Some("An invite was accepted.".into()),
        expires,
        claims,
    };
    tokens::issue(call, new).await
}
