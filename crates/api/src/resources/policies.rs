//! Streaming policies. Spec: the management API reference, 1.8 and 2.8.

use headwater_blob::HttpClient;
use headwater_catalog::policies::{self, StreamingPolicy};
use headwater_catalog::protection::Encryption;
use headwater_catalog::{CatalogError, Sql};
use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::{listed, policy_schemes, status};
use crate::call::Call;
use crate::dialect::Envelope;
use crate::error::ApiError;
use crate::fields::{ENVELOPE, Object};
use crate::reply::Reply;

fn render<S, C>(call: &Call<'_, S, C>, policy: StreamingPolicy) -> Result<Json, ApiError> {
    let mut properties = policy.properties;
    if let Json::Object(members) = &mut properties {
        members.insert("created".into(), policy.created.to_string().into());
    }
    let resource = Envelope {
        project: call.project()?,
        path: &[("streamingPolicies", &policy.name)],
        properties,
        created: policy.created,
        modified: None,
    }
    .render();
    Ok(Json::Object(resource))
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let page = policies::list(call.sql, &call.project()?.id, &call.listing()?).await?;
    listed(call, "StreamingPolicy", page, |policy| render(call, policy))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let policy = policies::get(call.sql, &call.project()?.id, call.var("policy")).await?;
    Ok(Reply::ok(render(call, policy)?))
}

/// The schemes that a body holds, each of the right shape.
pub(super) fn read(body: &Json) -> Result<Json, ApiError> {
    let root = Object::root(body)?;
    root.only(ENVELOPE)?;
    let properties = root.required_object("properties")?;
    let default_policy = "defaultContentKeyPolicyName";
    let encryptions = Encryption::ALL.map(Encryption::property);
    let known: Vec<_> = ["created", default_policy, "noEncryption"]
        .into_iter()
        .chain(encryptions)
        .collect();
    properties.only(&known)?;
    let mut read = Map::new();
    if let Some(clear) = properties.object("noEncryption")? {
        clear.only(&["enabledProtocols"])?;
        let enabled = policy_schemes::enabled_protocols(&clear)?;
        read.insert("noEncryption".into(), json!({"enabledProtocols": enabled}));
    }
    for encryption in Encryption::ALL {
        if let Some(scheme) = properties.object(encryption.property())? {
            let scheme = policy_schemes::scheme(encryption, &scheme)?;
            read.insert(encryption.property().into(), scheme);
        }
    }
    let encrypts = encryptions.iter().any(|scheme| read.contains_key(*scheme));
    if read.is_empty() {
        return Err(ApiError::invalid(
            "properties",
            format!(
                "must have noEncryption, {} or more of them",
                encryptions.join(", ")
            ),
        ));
    }
    if let Some(name) = properties.text(default_policy)? {
        if !encrypts {
            return Err(ApiError::invalid(
                properties.path(default_policy),
                "is for policies that encrypt",
            ));
        }
        read.insert(default_policy.into(), name.into());
    }
    Ok(Json::Object(read))
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let name = call.var("policy");
    let project = &call.project()?.id;
    let properties = read(&call.body()?)?;
    let (policy, written) =
        policies::create(call.sql, project, name, properties, call.moment).await?;
    let status = if call.is_arm() {
        StatusCode::CREATED
    } else {
        status(written)
    };
    Ok(Reply::json(status, render(call, policy)?))
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let outcome = policies::delete(call.sql, &call.project()?.id, call.var("policy")).await;
    match outcome {
        Err(CatalogError::NotFound { .. }) => Ok(Reply::deleted(false)),
        outcome => Ok(Reply::deleted(outcome?)),
    }
}
