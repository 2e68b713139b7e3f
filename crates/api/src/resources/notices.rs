//! The sender's side of webhooks: what is due, as complete requests, and what came of them. The contract is
//! `headwater_work::webhooks`.
//!
//! A body is one event in the JSON format of CloudEvents 1.0 (section 3.1). Its `data` depends on the type:
//!
//! | Type | `data` |
//! |---|---|
//! | `MediaKind.…`, `Headwater.…` | `projectName`, `previousState`, `state`, `resource` as a GET shows it |
//! | `Microsoft.Media.…` | what Event Grid carried for AMS |
//!
//! A rule with a signing secret has its requests signed as Standard Webhooks does it: `webhook-signature` is HMAC-SHA256 over
//! `{webhook-id}.{webhook-timestamp}.{body}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_blob::HttpClient;
use headwater_catalog::Sql;
use headwater_catalog::deliveries::{self, Claimed, Outcome};
use headwater_catalog::events::{EventType, Payload};
use headwater_catalog::jobs::Job;
use headwater_work::live::Endpoints;
use headwater_work::webhooks::{
    ClaimDeliveries, ClaimedDeliveries, DeliveryOutcome, ReportDelivery, WorkDelivery,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use sha2::Sha256;

use super::webhooks::object_url;
use super::work::read;
use super::{jobs, live_events, locators};
use crate::Settings;
use crate::call::Call;
use crate::dialect::{Dialect, account_path};
use crate::error::ApiError;
use crate::reply::Reply;

/// CloudEvents in JSON (its HTTP binding, section 3.2).
const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

fn data(claimed: &Claimed) -> Json {
    let resource = match &claimed.payload {
        Payload::Job(job) if claimed.kind.is_ams() => return job_data(claimed, job),
        Payload::JobOutput { job, output } => return output_data(claimed, job, *output),
        Payload::Rendered(data) if claimed.kind.is_ams() => return data.clone(),
        Payload::Rendered(resource) => resource.clone(),
        Payload::Job(job) => jobs::resource(&claimed.project, (**job).clone()),
        Payload::StreamingLocator(locator) => {
            locators::resource(&claimed.project, Dialect::MkIo, (**locator).clone())
        }
        Payload::LiveEvent(event) => live_events::resource(
            &claimed.project,
            Dialect::MkIo,
            event,
            &Endpoints::default(),
            None,
        ),
    };
    json!({
        "projectName": claimed.project.name,
        "previousState": claimed.previous,
        "state": claimed.state,
        "resource": resource,
    })
}

/// Event Grid's `MediaJobStateChangeEventData` and what derives from it.
fn job_data(claimed: &Claimed, job: &Job) -> Json {
    json!({
        "previousState": claimed.previous,
        "state": claimed.state,
        "correlationData": job.correlation,
        "outputs": jobs::render_outputs(&job.outputs),
    })
}

/// Event Grid's `MediaJobOutputStateChangeEventData`, and `MediaJobOutputProgressEventData`.
fn output_data(claimed: &Claimed, job: &Job, at: usize) -> Json {
    let output = job.outputs.get(at);
    if claimed.kind == EventType::AMS_OUTPUT_PROGRESS {
        return json!({
            "jobCorrelationData": job.correlation,
            "label": output.and_then(|output| jobs::label(at, output)),
            "progress": output.map(|output| output.progress),
        });
    }
    json!({
        "previousState": claimed.previous,
        "output": output.map(|output| jobs::render_output(at, output)),
        "jobCorrelationData": job.correlation,
    })
}

/// The CloudEvents envelope.
fn body(settings: &Settings, claimed: &Claimed) -> Json {
    let mut event = json!({
        "specversion": "1.0",
        "id": claimed.event_id,
        "type": claimed.kind.name(),
        "time": claimed.created.to_string(),
        "datacontenttype": "application/json",
        "source": object_url(settings, &claimed.project, &claimed.subject),
        "data": data(claimed),
    });
    if let (true, Json::Object(members)) = (claimed.kind.is_ams(), &mut event) {
        // Event Grid names the account, and below it the job; a live event in the singular.
        let subject = match claimed.subject.strip_prefix("liveEvents/") {
            Some(name) => format!("liveEvent/{name}"),
            None => claimed.subject.clone(),
        };
        members.insert("source".into(), account_path(&claimed.project).into());
        members.insert("subject".into(), subject.into());
    }
    event
}

fn url(claimed: &Claimed) -> String {
    let write = &claimed.rule.rule;
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in write
        .query_params
        .iter()
        .chain(&write.authentication.query_params)
    {
        query.append_pair(name, value);
    }
    let query = query.finish();
    match (query.is_empty(), write.url.contains('?')) {
        (true, _) => write.url.clone(),
        (false, true) => format!("{}&{query}", write.url),
        (false, false) => format!("{}?{query}", write.url),
    }
}

/// `v1,` and the base64 of the signature. `secret`: as a rule has it, checked.
fn signature(secret: &str, id: &str, timestamp: &str, body: &str) -> Option<String> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    Some(format!(
        "v1,{}",
        STANDARD.encode(mac.finalize().into_bytes())
    ))
}

fn prepare(settings: &Settings, claimed: &Claimed, now: Timestamp) -> WorkDelivery {
    let write = &claimed.rule.rule;
    let body = body(settings, claimed).to_string();
    let (id, timestamp) = (claimed.event_id.to_string(), now.as_second().to_string());
    let mut headers = vec![("content-type".to_owned(), CONTENT_TYPE.to_owned())];
    for (name, value) in write.headers.iter().chain(&write.authentication.headers) {
        headers.push((name.clone(), value.clone()));
    }
    if let Some(secret) = &write.authentication.signing_secret
        && let Some(signature) = signature(secret, &id, &timestamp, &body)
    {
        headers.push(("webhook-id".to_owned(), id));
        headers.push(("webhook-timestamp".to_owned(), timestamp));
        headers.push(("webhook-signature".to_owned(), signature));
    }
    WorkDelivery {
        rule_id: claimed.rule.id,
        event_id: claimed.event_id,
        lease: claimed.lease.clone(),
        url: url(claimed),
        headers,
        body,
    }
}

pub(super) async fn claim<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let request: ClaimDeliveries = read(call)?;
    let claimed = deliveries::claim(
        call.sql,
        call.seal,
        request.most,
        request.lease_seconds,
        call.moment,
    )
    .await?;
    if claimed.is_empty() {
        return Ok(Reply::empty(StatusCode::NO_CONTENT));
    }
    let deliveries = claimed
        .iter()
        .map(|claimed| prepare(call.settings, claimed, call.moment.now))
        .collect();
    Ok(Reply::ok(json!(ClaimedDeliveries { deliveries })))
}

pub(super) async fn report<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let request: ReportDelivery = read(call)?;
    let outcome = match request.outcome {
        DeliveryOutcome::Answered {
            status,
            retry_after_seconds,
        } => Outcome::Answered {
            status,
            retry_after_seconds,
        },
        DeliveryOutcome::Unanswered { reason } => Outcome::Unanswered { reason },
        DeliveryOutcome::Refused { reason } => Outcome::Refused { reason },
    };
    deliveries::report(
        call.sql,
        (request.rule_id, request.event_id),
        &request.lease,
        &outcome,
        call.moment,
    )
    .await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

#[cfg(test)]
mod tests {
    use super::signature;

    /// The example of the Standard Webhooks specification, also in its libraries' tests.
    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        assert_eq!(
            signature(
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                "1614265330",
                r#"{"test": 2432232314}"#
            )
            .unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }
}
