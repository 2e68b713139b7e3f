//! Webhook rules and the log of what was sent by them. Spec: the management API reference, 1.14.

use headwater_blob::HttpClient;
use headwater_catalog::Sql;
use headwater_catalog::deliveries::{self, Delivery};
use headwater_catalog::events::EventType;
use headwater_catalog::projects::Project;
use headwater_catalog::webhooks::{self, Authentication, Rule, RuleWrite};
use serde_json::{Map, Value as Json, json};

use super::assets::query_page;
use super::locators::segment;
use super::status;
use crate::Settings;
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::Object;
use crate::query;
use crate::reply::Reply;

/// Event types that one rule may name. There are fewer.
pub(crate) const MOST_EVENTS: usize = 100;

/// What is there to be sent back as it was got.
const ENVELOPE: &[&str] = &["metadata", "spec", "status"];

fn render(rule: &Rule) -> Json {
    let write = &rule.rule;
    let events: Vec<_> = write.events.iter().map(|kind| kind.name()).collect();
    let secrets = &write.authentication;
    let mut authentication = Map::new();
    authentication.insert("headers".into(), json!(secrets.headers));
    authentication.insert("queryParams".into(), json!(secrets.query_params));
    if let Some(secret) = &secrets.signing_secret {
        authentication.insert("signingSecret".into(), json!(secret));
    }
    json!({
        "metadata": {
            "id": rule.id, "name": rule.name,
            "created": rule.created.to_string(), "updated": rule.modified.to_string(),
        },
        "spec": {
            "enabled": write.enabled,
            "url": write.url,
            "events": events,
            "headers": write.headers,
            "queryParams": write.query_params,
            "authentication": authentication,
        },
    })
}

fn read(body: &Json) -> Result<RuleWrite, ApiError> {
    let root = Object::root(body)?;
    root.only(ENVELOPE)?;
    let spec = root.required_object("spec")?;
    spec.only(&[
        "enabled",
        "url",
        "events",
        "headers",
        "queryParams",
        "authentication",
    ])?;
    let enabled = spec.flag("enabled")?;
    Ok(RuleWrite {
        enabled: spec.required("enabled", enabled)?,
        url: spec.required_text("url")?,
        events: read_events(&spec)?,
        headers: spec.text_map("headers")?.unwrap_or_default(),
        query_params: spec.text_map("queryParams")?.unwrap_or_default(),
        authentication: match spec.object("authentication")? {
            None => Authentication::default(),
            Some(secrets) => {
                secrets.only(&["headers", "queryParams", "signingSecret"])?;
                Authentication {
                    headers: secrets.text_map("headers")?.unwrap_or_default(),
                    query_params: secrets.text_map("queryParams")?.unwrap_or_default(),
                    signing_secret: secrets.text("signingSecret")?,
                }
            }
        },
    })
}

fn read_events(spec: &Object<'_>) -> Result<Vec<EventType>, ApiError> {
    let named = spec.texts("events")?;
    let named = spec.required("events", named)?;
    if named.len() > MOST_EVENTS {
        return Err(ApiError::invalid(
            spec.path("events"),
            format!("must have at most {MOST_EVENTS} members"),
        ));
    }
    named
        .iter()
        .enumerate()
        .map(|(at, name)| {
            EventType::parse(name).ok_or_else(|| {
                let known: Vec<_> = EventType::ALL.iter().map(|kind| kind.name()).collect();
                ApiError::invalid(
                    format!("{}[{at}]", spec.path("events")),
                    format!(
                        "is not a type of event that there is here; these are: {}",
                        known.join(", ")
                    ),
                )
            })
        })
        .collect()
}

/// The URL of what an event happened to. `subject`: below the project's media.
pub(super) fn object_url(settings: &Settings, project: &Project, subject: &str) -> String {
    let mut url = format!(
        "{}/api/v1/projects/{}/media",
        settings.public_url,
        segment(&project.name)
    );
    for part in subject.split('/') {
        url.push('/');
        url.push_str(&segment(part));
    }
    url
}

fn render_delivery<S, C>(call: &Call<'_, S, C>, delivery: &Delivery) -> Result<Json, ApiError> {
    Ok(json!({
        "id": delivery.event_id,
        "created": delivery.created.to_string(),
        "source": object_url(call.settings, call.project()?, &delivery.subject),
        "type": delivery.kind,
        "status": delivery.status.name(),
        "attempts": delivery.attempts,
        "lastAttempt": delivery.last_attempt.map(|at| at.to_string()),
        "nextAttempt": delivery.next_attempt.map(|at| at.to_string()),
        "responseStatus": delivery.response_status,
        "error": delivery.error,
    }))
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let page = webhooks::list(call.sql, &call.project()?.id, &call.listing()?).await?;
    Ok(Reply::ok(query::render(
        call.dialect,
        "WebhookRule",
        &call.url(),
        page,
        |rule| render(&rule),
    )))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let rule = webhooks::get(call.sql, &call.project()?.id, call.var("rule")).await?;
    Ok(Reply::ok(render(&rule)))
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let (rule, written) = webhooks::put(
        call.sql,
        call.seal,
        &call.project()?.id,
        call.var("rule"),
        &read(&call.body()?)?,
        call.moment,
    )
    .await?;
    Ok(Reply::json(status(written), render(&rule)))
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    let existed = webhooks::delete(call.sql, project, call.var("rule")).await?;
    Ok(Reply::deleted(existed))
}

pub(super) async fn log<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    let page = deliveries::log(call.sql, project, call.var("rule"), &call.listing()?).await?;
    let items: Vec<_> = page
        .items
        .iter()
        .map(|delivery| render_delivery(call, delivery))
        .collect::<Result<_, _>>()?;
    let page = query_page(page.offset, page.total, page.next, items);
    Ok(Reply::ok(query::render(
        call.dialect,
        "WebhookEvent",
        &call.url(),
        page,
        |item| item,
    )))
}
