//! API clients: programs that sign in with an id and a secret, as the Azure SDKs' `ClientSecretCredential` does. Ours.

use headwater_auth::random_secret;
use headwater_blob::HttpClient;
use headwater_catalog::clients::{self, ApiClient, ClientSpec, NewSecret};
use headwater_catalog::{Sql, Written, projects};
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::granting::{hand_on, powers};
use super::{items, roles, status};
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::Object;
use crate::reply::Reply;

/// `secret`: in the answer that makes it, and in no other.
fn render(client: &ApiClient, secret: Option<&str>) -> Json {
    let mut metadata = json!({
        "id": client.client_id, "created": client.created.to_string(), "updated": client.modified.to_string(),
    });
    if let (Json::Object(members), Some(secret)) = (&mut metadata, secret) {
        members.insert("secret".into(), secret.into());
    }
    json!({
        "metadata": metadata,
        "spec": {
            "description": client.spec.description, "role": client.spec.role, "project": client.spec.project,
        },
    })
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let clients = clients::list(call.sql).await?;
    let records = clients.iter().map(|client| render(client, None));
    Ok(items("ClientList", records.collect()))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let client = clients::get(call.sql, call.var("client")).await?;
    Ok(Reply::ok(render(&client, None)))
}

fn secret() -> Result<String, ApiError> {
    random_secret().map_err(|error| ApiError::internal(error.to_string()))
}

/// Whoever writes a client or knows its secret can do what it can: no more than the caller.
async fn check<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    spec: &ClientSpec,
) -> Result<(), ApiError> {
    let custom = roles::custom(call.sql).await?;
    let project = match &spec.project {
        Some(name) => projects::by_name(call.sql, name).await?,
        None => None,
    };
    match powers(&spec.role, &custom) {
        Some(powers) => hand_on(call.caller()?, "spec.role", project.as_ref(), &powers),
        // The catalog says so.
        None => Ok(()),
    }
}

/// Creates a client and shows its secret, or changes one that exists.
pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(&["metadata", "spec"])?;
    let spec = root.required_object("spec")?;
    spec.only(&["description", "role", "project"])?;
    let spec = ClientSpec {
        description: spec.text("description")?,
        role: spec.required_text("role")?,
        project: spec.text("project")?,
    };
    let id = call.var("client");
    if let Some(old) = clients::find(call.sql, id).await? {
        check(call, &old.spec).await?;
    }
    check(call, &spec).await?;
    let secret = secret()?;
    let new = NewSecret {
        secret: &secret,
        salt: call.moment.ids.uuid(),
    };
    let (client, written) = clients::put(call.sql, id, &spec, new, call.moment.now).await?;
    let shown = match written {
        Written::Created => Some(secret.as_str()),
        Written::Existing => None,
    };
    Ok(Reply::json(status(written), render(&client, shown)))
}

/// Another secret, shown once. The old one is refused from here on.
pub(super) async fn rotate<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let id = call.var("client");
    check(call, &clients::get(call.sql, id).await?.spec).await?;
    let secret = secret()?;
    let new = NewSecret {
        secret: &secret,
        salt: call.moment.ids.uuid(),
    };
    let client = clients::rotate(call.sql, id, new, call.moment.now).await?;
    Ok(Reply::json(StatusCode::OK, render(&client, Some(&secret))))
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let existed = clients::delete(call.sql, call.var("client")).await?;
    Ok(Reply::deleted(existed))
}
