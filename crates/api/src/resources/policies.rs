//! Streaming policies. Spec: the management API reference, 1.8 and 2.8.

use headwater_blob::HttpClient;
use headwater_catalog::policies::{self, StreamingPolicy};
use headwater_catalog::{CatalogError, Sql};
use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::assets::query_page;
use super::status;
use crate::call::Call;
use crate::dialect::Envelope;
use crate::error::ApiError;
use crate::fields::{ENVELOPE, Object};
use crate::query;
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
    let items: Vec<_> = page
        .items
        .into_iter()
        .map(|policy| render(call, policy))
        .collect::<Result<_, _>>()?;
    let page = query_page(page.offset, page.total, page.next, items);
    Ok(Reply::ok(query::render(
        call.dialect,
        "StreamingPolicy",
        &call.url(),
        page,
        |item| item,
    )))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let policy = policies::get(call.sql, &call.project()?.id, call.var("policy")).await?;
    Ok(Reply::ok(render(call, policy)?))
}

/// The four booleans that AMS requires, all of them.
fn enabled_protocols(no_encryption: &Object<'_>) -> Result<Json, ApiError> {
    let enabled = no_encryption.required_object("enabledProtocols")?;
    enabled.only(&["download", "dash", "hls", "smoothStreaming"])?;
    let mut protocols = Map::new();
    for name in ["download", "dash", "hls"] {
        let flag = enabled.flag(name)?;
        protocols.insert(name.into(), enabled.required(name, flag)?.into());
    }
    let smooth = enabled.flag("smoothStreaming")?.unwrap_or(false);
    protocols.insert("smoothStreaming".into(), smooth.into());
    Ok(Json::Object(protocols))
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let name = call.var("policy");
    let project = &call.project()?.id;
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(ENVELOPE)?;
    let properties = root.required_object("properties")?;
    properties.only(&[
        "created",
        "defaultContentKeyPolicyName",
        "noEncryption",
        "envelopeEncryption",
        "commonEncryptionCenc",
        "commonEncryptionCbcs",
    ])?;
    for unsupported in [
        "envelopeEncryption",
        "commonEncryptionCenc",
        "commonEncryptionCbcs",
        "defaultContentKeyPolicyName",
    ] {
        if properties.get(unsupported).is_some() {
            return Err(ApiError::invalid(
                properties.path(unsupported),
                "encryption is not supported by this installation",
            ));
        }
    }
    let no_encryption = properties.required_object("noEncryption")?;
    no_encryption.only(&["enabledProtocols"])?;
    let properties =
        json!({"noEncryption": {"enabledProtocols": enabled_protocols(&no_encryption)?}});
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
