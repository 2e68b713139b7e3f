//! Streaming locators and their keys. Spec: the management API reference, 1.8 and 2.8.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_blob::HttpClient;
use headwater_catalog::key_plan::GivenKey;
use headwater_catalog::locator_keys::{self, KEY_BYTES};
use headwater_catalog::locators::{self, IfExists, NewLocator, StreamingLocator};
use headwater_catalog::projects::Project;
use headwater_catalog::protection::Encryption;
use headwater_catalog::{Sql, fingerprint};
use headwater_seal::Secret;
use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value as Json, json};

use super::{key_documents, key_orders, light_state, listed, policy_schemes, status};
use crate::call::Call;
use crate::dialect::{Dialect, END_OF_TIME, Envelope};
use crate::error::ApiError;
use crate::fields::{ENVELOPE, Object};
use crate::reply::Reply;

/// What a path segment may hold unescaped (RFC 3986 section 3.3, without the sub-delimiters that tools trip over).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One path segment, percent-encoded.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

pub(crate) const READ_ONLY: &[&str] = &["created"];

pub(crate) const WRITABLE: &[&str] = &[
    "assetName",
    "streamingPolicyName",
    "streamingLocatorId",
    "defaultContentKeyPolicyName",
    "alternativeMediaId",
    "contentId",
    "startTime",
    "endTime",
    "contentKeys",
    "contentKeyDocument",
    "filters",
    "defaultManifestFilename",
    "suppressed",
];

fn end_time(locator: &StreamingLocator) -> String {
    locator
        .end_time
        .map_or_else(|| END_OF_TIME.to_owned(), |at| at.to_string())
}

fn render<S, C>(call: &Call<'_, S, C>, locator: StreamingLocator) -> Result<Json, ApiError> {
    Ok(resource(call.project()?, call.dialect, locator))
}

/// A locator as a GET shows it.
pub(super) fn resource(project: &Project, dialect: Dialect, locator: StreamingLocator) -> Json {
    let end_time = end_time(&locator);
    let mut properties = locator.extra;
    let mut set = |name: &str, value: Json| {
        if !value.is_null() {
            properties.insert(name.into(), value);
        }
    };
    set("assetName", locator.asset_name.into());
    set("created", locator.created.to_string().into());
    set(
        "startTime",
        locator.start_time.map(|at| at.to_string()).into(),
    );
    set("endTime", end_time.into());
    set("streamingLocatorId", locator.locator_id.to_string().into());
    set("streamingPolicyName", locator.policy_name.into());
    set("alternativeMediaId", locator.alternative_media_id.into());
    set("defaultManifestFilename", locator.default_manifest.into());
    set("defaultContentKeyPolicyName", locator.key_policy.into());
    set("contentId", locator.content_id.into());
    set("contentKeys", locator.keys);
    set("filters", locator.filters.into());
    if dialect != Dialect::Arm {
        set("suppressed", locator.suppressed.into());
    }
    let resource = Envelope {
        project,
        path: &[("streamingLocators", &locator.name)],
        properties: Json::Object(properties),
        created: locator.created,
        modified: None,
    }
    .render();
    Json::Object(resource)
}

/// AMS `AssetStreamingLocator`.
pub(super) fn summary(locator: &StreamingLocator) -> Json {
    let mut shown = json!({
        "name": locator.name,
        "assetName": locator.asset_name,
        "created": locator.created.to_string(),
        "endTime": end_time(locator),
        "streamingLocatorId": locator.locator_id,
        "streamingPolicyName": locator.policy_name,
    });
    if let Json::Object(members) = &mut shown {
        if let Some(start) = locator.start_time {
            members.insert("startTime".into(), start.to_string().into());
        }
        if let Some(policy) = &locator.key_policy {
            members.insert("defaultContentKeyPolicyName".into(), policy.clone().into());
        }
    }
    shown
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let page = locators::list(call.sql, &call.project()?.id, &call.listing()?).await?;
    listed(call, "StreamingLocator", page, |locator| {
        render(call, locator)
    })
}

pub(super) async fn locator<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<StreamingLocator, ApiError> {
    Ok(locators::get(call.sql, &call.project()?.id, call.var("locator")).await?)
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(Reply::ok(render(call, locator(call).await?)?))
}

fn read<S, C>(call: &Call<'_, S, C>) -> Result<NewLocator, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(ENVELOPE)?;
    let properties = root.required_object("properties")?;
    // AMS writes "never" as the last instant of the year 9999, which is beyond what can be an instant here.
    let never = jiff::Timestamp::MAX;
    let known: Vec<&str> = READ_ONLY.iter().chain(WRITABLE).copied().collect();
    let new = NewLocator {
        locator_id: properties.uuid("streamingLocatorId")?,
        asset_name: properties.required_text("assetName")?,
        policy_name: properties.required_text("streamingPolicyName")?,
        key_policy: properties.text("defaultContentKeyPolicyName")?,
        start_time: properties.time("startTime")?,
        end_time: properties.time("endTime")?.filter(|end| *end < never),
        alternative_media_id: properties.text("alternativeMediaId")?,
        content_id: properties.text("contentId")?,
        filters: properties.texts("filters")?.unwrap_or_default(),
        keys: given_keys(&properties)?,
        default_manifest: properties.text("defaultManifestFilename")?,
        suppressed: properties.flag("suppressed")?.unwrap_or(false),
        extra: properties.beyond(&known),
        ordered: Vec::new(),
        fingerprint: String::new(),
    };
    let request = json!([
        new.asset_name,
        new.policy_name,
        new.key_policy,
        new.start_time.map(|at| at.to_string()),
        new.end_time.map(|at| at.to_string()),
        new.alternative_media_id,
        new.content_id,
        new.filters,
        new.default_manifest,
        new.suppressed,
        new.extra,
    ]);
    Ok(NewLocator {
        fingerprint: fingerprint(&request),
        ..new
    })
}

/// The keys that a client brings along, listed or as a document.
fn given_keys(properties: &Object<'_>) -> Result<Vec<GivenKey>, ApiError> {
    let listed: Vec<GivenKey> = policy_schemes::few(properties, "contentKeys")?
        .iter()
        .map(key)
        .collect::<Result<_, _>>()?;
    match properties.text("contentKeyDocument")? {
        None => Ok(listed),
        Some(_) if !listed.is_empty() => Err(ApiError::invalid(
            properties.path("contentKeyDocument"),
            "stands in place of contentKeys",
        )),
        Some(text) => key_documents::given(&properties.path("contentKeyDocument"), &text),
    }
}

/// A content key as a client brings it along, perhaps as it was shown before.
fn key(key: &Object<'_>) -> Result<GivenKey, ApiError> {
    key.only(&[
        "id",
        "type",
        "value",
        "labelReferenceInStreamingPolicy",
        "policyName",
        "tracks",
    ])?;
    let id = key.uuid("id")?;
    let types = Encryption::ALL.map(Encryption::name);
    let value = key.text("value")?.map(|text| {
        let bytes = STANDARD.decode(text).ok();
        bytes
            .filter(|bytes| bytes.len() == KEY_BYTES)
            .map(Secret::new)
            .ok_or_else(|| {
                ApiError::invalid(
                    key.path("value"),
                    format!("must be the standard base64 of {KEY_BYTES} bytes"),
                )
            })
    });
    Ok(GivenKey {
        id: key.required("id", id)?,
        encryption: key.one_of("type", &types, Encryption::parse)?,
        label: key.text("labelReferenceInStreamingPolicy")?,
        value: value.transpose()?,
        policy_name: key.text("policyName")?,
        tracks: Some(policy_schemes::tracks(key, "tracks")?)
            .filter(|tracks| tracks.as_array().is_some_and(|tracks| !tracks.is_empty())),
    })
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let mut new = read(call)?;
    let if_exists = if call.is_arm() {
        IfExists::Keep
    } else {
        IfExists::Replace
    };
    let project = &call.project()?.id;
    let kept = if_exists == IfExists::Keep
        && locators::get(call.sql, project, call.var("locator"))
            .await
            .is_ok();
    if !kept {
        key_orders::order(call, call.var("locator"), &mut new).await?;
    }
    let (locator, written) = locators::put(
        call.sql,
        call.seal,
        project,
        call.var("locator"),
        &new,
        if_exists,
        call.moment,
    )
    .await?;
    // The Azure client takes nothing but 201, for a repeated request as well.
    let status = if call.is_arm() {
        StatusCode::CREATED
    } else {
        status(written)
    };
    Ok(Reply::json(status, render(call, locator)?))
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let existed = locators::delete(call.sql, &call.project()?.id, call.var("locator")).await?;
    Ok(Reply::deleted(existed))
}

pub(super) async fn state<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    locator(call).await?;
    Ok(light_state("Created"))
}

/// All keys with their values, for whoever packages or gives them out elsewhere, as a CPIX document for clients that accept
/// XML. Clear content has none.
pub(super) async fn content_keys<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let locator = locator(call).await?;
    let project = &call.project()?.id;
    let keys = locator_keys::list(call.sql, call.seal, project, &locator.name).await?;
    if key_documents::is_asked_for(call.incoming.headers) {
        let document = key_documents::document(&locator, &keys)?;
        return Ok(Reply::text(key_documents::XML, document));
    }
    let shown: Vec<_> = keys
        .iter()
        .map(|key| {
            let mut members = key.usage.describe(key.id);
            let value = STANDARD.encode(key.value.expose());
            members.insert("value".into(), value.into());
            Json::Object(members)
        })
        .collect();
    Ok(Reply::ok(json!({ "contentKeys": shown })))
}
