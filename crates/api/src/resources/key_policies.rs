//! Content key policies. Spec: the management API reference, 1.9 and 2.7; content protection reference.

use headwater_blob::HttpClient;
use headwater_catalog::Sql;
use headwater_catalog::key_policies::{self, ContentKeyPolicy, Options};
use serde_json::{Value as Json, json};

use super::{key_policy_options, light_state, listed, status};
use crate::call::Call;
use crate::dialect::Envelope;
use crate::error::ApiError;
use crate::fields::{ENVELOPE, Object};
use crate::reply::Reply;

/// Most options of a policy.
pub(crate) const MOST_OPTIONS: usize = 30;
/// Members that only those see who may: blanked elsewhere.
const SECRETS: [&str; 4] = ["keyValue", "ask", "fairPlayPfx", "fairPlayPfxPassword"];

fn properties(policy: &ContentKeyPolicy) -> Json {
    json!({
        "policyId": policy.policy_id,
        "created": policy.created.to_string(),
        "lastModified": policy.modified.to_string(),
        "description": policy.description,
        "options": policy.options,
    })
}

fn render<S, C>(call: &Call<'_, S, C>, policy: &ContentKeyPolicy) -> Result<Json, ApiError> {
    let resource = Envelope {
        project: call.project()?,
        path: &[("contentKeyPolicies", &policy.name)],
        properties: properties(policy),
        created: policy.created,
        modified: Some(policy.modified),
    }
    .render();
    Ok(Json::Object(resource))
}

/// The value without secrets, wherever they are in it.
fn blank(value: &Json) -> Json {
    match value {
        Json::Object(members) => Json::Object(
            members
                .iter()
                .map(|(name, value)| {
                    let secret = SECRETS.contains(&name.as_str());
                    (name.clone(), if secret { Json::Null } else { blank(value) })
                })
                .collect(),
        ),
        Json::Array(items) => Json::Array(items.iter().map(blank).collect()),
        other => other.clone(),
    }
}

pub(super) struct Read {
    description: Option<String>,
    options: Option<Options>,
}

pub(super) fn read(body: &Json) -> Result<Read, ApiError> {
    let root = Object::root(body)?;
    root.only(ENVELOPE)?;
    let properties = root.required_object("properties")?;
    properties.only(&[
        "policyId",
        "created",
        "lastModified",
        "description",
        "options",
        // MK.IO's, for policies that come from AMS. Players are served as AMS served them in any case.
        "fairPlayAmsCompatibility",
    ])?;
    properties.flag("fairPlayAmsCompatibility")?;
    let options = match properties.objects("options")? {
        None => None,
        Some(options) if options.is_empty() || options.len() > MOST_OPTIONS => {
            return Err(ApiError::invalid(
                properties.path("options"),
                format!("must have 1 to {MOST_OPTIONS} members"),
            ));
        }
        Some(options) => Some(Options {
            complete: options
                .iter()
                .map(key_policy_options::option)
                .collect::<Result<_, _>>()?,
            blank,
        }),
    };
    Ok(Read {
        description: properties.text("description")?,
        options,
    })
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let page = key_policies::list(call.sql, &call.project()?.id, &call.listing()?).await?;
    listed(call, "ContentKeyPolicy", page, |policy| {
        render(call, &policy)
    })
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let policy = key_policies::get(call.sql, &call.project()?.id, call.var("policy")).await?;
    Ok(Reply::ok(render(call, &policy)?))
}

pub(super) async fn state<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    key_policies::get(call.sql, &call.project()?.id, call.var("policy")).await?;
    Ok(light_state("Created"))
}

/// AMS gives the properties alone, MK.IO the whole resource.
pub(super) async fn with_secrets<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    let policy =
        key_policies::with_secrets(call.sql, call.seal, project, call.var("policy")).await?;
    Ok(Reply::ok(if call.is_arm() {
        properties(&policy)
    } else {
        render(call, &policy)?
    }))
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let read = read(&call.body()?)?;
    let options = read
        .options
        .ok_or_else(|| ApiError::invalid("properties.options", "is required"))?;
    let (policy, written) = key_policies::put(
        call.sql,
        call.seal,
        &call.project()?.id,
        call.var("policy"),
        read.description.as_deref(),
        &options,
        call.moment,
    )
    .await?;
    Ok(Reply::json(status(written), render(call, &policy)?))
}

pub(super) async fn update<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let read = read(&call.body()?)?;
    let policy = key_policies::update(
        call.sql,
        call.seal,
        &call.project()?.id,
        call.var("policy"),
        read.description.as_deref(),
        read.options.as_ref(),
        call.moment,
    )
    .await?;
    Ok(Reply::ok(render(call, &policy)?))
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    let existed = key_policies::delete(call.sql, project, call.var("policy")).await?;
    Ok(Reply::deleted(existed))
}
