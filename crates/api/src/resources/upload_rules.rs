//! Upload rules: Headwater's own resource, on both surfaces' prefixes.

use headwater_blob::HttpClient;
use headwater_catalog::upload_rules::{self, UploadRule, UploadRuleWrite};
use headwater_catalog::{Sql, storage};
use serde_json::{Value as Json, json};

use super::{key_orders, listed, status};
use crate::call::Call;
use crate::dialect::Envelope;
use crate::error::ApiError;
use crate::fields::{ENVELOPE, Object};
use crate::place::Place;
use crate::reply::Reply;

fn render<S, C>(call: &Call<'_, S, C>, rule: &UploadRule) -> Result<Json, ApiError> {
    let mut properties = json!(rule.rule);
    if let Json::Object(members) = &mut properties {
        members.insert("created".into(), rule.created.to_string().into());
        members.insert("lastModified".into(), rule.modified.to_string().into());
    }
    let resource = Envelope {
        project: call.project()?,
        path: &[("uploadRules", &rule.name)],
        properties,
        created: rule.created,
        modified: Some(rule.modified),
    }
    .render();
    Ok(Json::Object(resource))
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let page = upload_rules::list(call.sql, &call.project()?.id, &call.listing()?).await?;
    listed(call, "UploadRule", page, |rule| render(call, &rule))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let rule = upload_rules::get(call.sql, &call.project()?.id, call.var("rule")).await?;
    Ok(Reply::ok(render(call, &rule)?))
}

/// Creates the container too, so that the first upload has somewhere to go.
pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(ENVELOPE)?;
    let properties = root.required_object("properties")?;
    properties.only(&[
        "enabled",
        "description",
        "storageAccountName",
        "container",
        "prefix",
        "suffixes",
        "transformName",
        "streamingPolicyName",
        "created",
        "lastModified",
    ])?;
    let suffixes = properties.texts("suffixes")?;
    let rule = UploadRuleWrite {
        enabled: properties.flag("enabled")?.unwrap_or(true),
        description: properties.text("description")?,
        storage_account_name: properties.required_text("storageAccountName")?,
        container: properties.required_text("container")?,
        prefix: properties.text("prefix")?.unwrap_or_default(),
        suffixes: properties.required("suffixes", suffixes)?,
        transform_name: properties.required_text("transformName")?,
        streaming_policy_name: properties.required_text("streamingPolicyName")?,
    };
    let project = &call.project()?.id;
    key_orders::refuse_ordered(call, &rule.streaming_policy_name).await?;
    let (rule, written) =
        upload_rules::put(call.sql, project, call.var("rule"), &rule, call.moment.now).await?;
    let account = storage::get(call.sql, project, &rule.rule.storage_account_name).await?;
    let container = &rule.rule.container;
    Place::new(
        call.http,
        call.seal,
        &account,
        container,
        "",
        call.moment.now,
    )?
    .create()
    .await?;
    Ok(Reply::json(status(written), render(call, &rule)?))
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let existed = upload_rules::delete(call.sql, &call.project()?.id, call.var("rule")).await?;
    Ok(Reply::deleted(existed))
}
