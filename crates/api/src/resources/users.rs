//! People, and what they say of themselves. Spec: the management API reference, 1.14.

use std::collections::BTreeMap;

use headwater_blob::HttpClient;
use headwater_catalog::users::{self, Profile, User};
use headwater_catalog::{Sql, names};
use serde_json::{Map, Value as Json, json};

use super::items;
use super::organization::ORGANIZATION_ID;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::fields::Object;
use crate::reply::Reply;

/// Texts of a profile that are only shown, with how long they may be.
pub(crate) const DETAILS: [(&str, usize); 6] = [
    ("contactEmail", 254),
    ("company", 128),
    ("country", 128),
    ("jobRole", 128),
    ("phoneNumber", 64),
    ("avatar", 2048),
];

fn spec(profile: &Profile) -> Json {
    let mut spec = Map::new();
    spec.insert("activeOrganizationId".into(), json!(ORGANIZATION_ID));
    spec.insert("name".into(), json!(profile.name));
    spec.insert("loginEmail".into(), json!(profile.login_email));
    for (name, _) in DETAILS {
        let value = profile.details.get(name).cloned();
        spec.insert(name.into(), value.unwrap_or_default());
    }
    spec.insert("isActive".into(), json!(profile.is_active));
    Json::Object(spec)
}

/// A user as the organization sees them. `teams`: by name, whether they are its administrator.
fn render(user: &User, teams: Vec<(String, bool)>) -> Json {
    let teams: BTreeMap<_, _> = teams
        .into_iter()
        .map(|(team, admin)| (team, json!({"isTeamAdmin": admin})))
        .collect();
    json!({
        "metadata": {
            "id": user.id, "name": user.profile.name,
            "created": user.created.to_string(), "updated": user.modified.to_string(),
        },
        "spec": spec(&user.profile),
        "status": {"teams": teams},
    })
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let users = users::list(call.sql).await?;
    let records = users.iter().map(|user| {
        json!({
            "metadata": {
                "id": user.id, "name": user.profile.name,
                "created": user.created.to_string(), "updated": user.modified.to_string(),
            },
            "spec": spec(&user.profile),
        })
    });
    Ok(items("UserList", records.collect()))
}

async fn one<S: Sql, C: HttpClient>(call: &Call<'_, S, C>, id: &str) -> Result<Json, ApiError> {
    let user = users::get(call.sql, id).await?;
    let teams = users::teams_of(call.sql, id).await?;
    Ok(render(&user, teams))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(Reply::ok(one(call, call.var("user")).await?))
}

/// Removes somebody, with their tokens.
pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let by = &call.caller()?.subject;
    let existed = users::delete(call.sql, call.var("user"), by, call.moment.now).await?;
    Ok(Reply::deleted(existed))
}

/// Who the token belongs to. The MK.IO SDK takes its customer id from `activeOrganizationId`.
pub(super) async fn profile<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let mut record = if caller.is_user() {
        one(call, &caller.subject).await?
    } else {
        json!({
            "metadata": {"id": caller.subject},
            "spec": {
                "name": caller.subject, "activeOrganizationId": ORGANIZATION_ID, "isActive": true,
            },
            "status": {},
        })
    };
    // What the token is held to, whatever its subject may do besides.
    if let Some(Json::Object(status)) = record.get_mut("status") {
        status.insert("roles".into(), json!(caller.roles));
        status.insert("project".into(), json!(caller.project));
        status.insert("issuer".into(), json!(caller.foreign));
    }
    Ok(Reply::ok(record))
}

/// The id of the person who calls.
///
/// Errors: 409 for what is no person.
pub(super) fn person<'a, S, C>(call: &'a Call<'_, S, C>) -> Result<&'a str, ApiError> {
    let caller = call.caller()?;
    if caller.is_user() {
        return Ok(&caller.subject);
    }
    Err(ApiError::new(
        Kind::WrongState,
        "The token is not that of a user of this installation, so there is nobody to change.",
    ))
}

/// Members of a profile that were sent.
struct Changes {
    name: Option<String>,
    login_email: Option<String>,
    details: Map<String, Json>,
    is_active: Option<bool>,
}

fn read(body: &Json) -> Result<Changes, ApiError> {
    let root = Object::root(body)?;
    root.only(&["metadata", "spec", "status"])?;
    let spec = root.required_object("spec")?;
    let known: Vec<_> = ["activeOrganizationId", "name", "loginEmail", "isActive"]
        .into_iter()
        .chain(DETAILS.iter().map(|(name, _)| *name))
        .collect();
    spec.only(&known)?;
    if spec
        .uuid("activeOrganizationId")?
        .is_some_and(|id| id != ORGANIZATION_ID)
    {
        return Err(ApiError::invalid(
            "spec.activeOrganizationId",
            "must be the one organization of this installation",
        ));
    }
    let name = spec.text("name")?;
    if let Some(name) = &name {
        names::display("spec.name", name)?;
    }
    let login_email = spec
        .text("loginEmail")?
        .map(|text| users::email("spec.loginEmail", &text))
        .transpose()?;
    let mut details = Map::new();
    for (name, longest) in DETAILS {
        if let Some(text) = spec.text(name)? {
            names::text(&spec.path(name), Some(&text), longest)?;
            details.insert(name.into(), text.into());
        }
    }
    Ok(Changes {
        name,
        login_email,
        details,
        is_active: spec.flag("isActive")?,
    })
}

/// Changes what was sent.
pub(super) async fn update_profile<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let id = person(call)?;
    let changes = read(&call.body()?)?;
    let change = |mut old: Profile| {
        old.details.extend(changes.details.clone());
        Profile {
            name: changes.name.clone().unwrap_or(old.name),
            login_email: changes.login_email.clone().or(old.login_email),
            details: old.details,
            is_active: changes.is_active.unwrap_or(old.is_active),
        }
    };
    let user = users::update(call.sql, id, change, call.moment.now).await?;
    let teams = users::teams_of(call.sql, id).await?;
    Ok(Reply::ok(render(&user, teams)))
}

/// Puts what was sent in the place of the whole profile.
pub(super) async fn replace_profile<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let id = person(call)?;
    let sent = read(&call.body()?)?;
    let name = sent
        .name
        .ok_or_else(|| ApiError::invalid("spec.name", "is required"))?;
    let change = |_| Profile {
        name: name.clone(),
        login_email: sent.login_email.clone(),
        details: sent.details.clone(),
        is_active: sent.is_active.unwrap_or(true),
    };
    let user = users::update(call.sql, id, change, call.moment.now).await?;
    let teams = users::teams_of(call.sql, id).await?;
    Ok(Reply::ok(render(&user, teams)))
}
