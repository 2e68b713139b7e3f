//! Webhook rules, what was sent by them, and the audit log: `resources/{webhooks, audit_log}.rs`.

use headwater_catalog::deliveries::Status;
use headwater_catalog::events::EventType;
use serde_json::{Value as Json, json};

use super::common::{strings, written};
use crate::openapi::schema::{
    Schema, flag, list, map, one_of, shape, text, time, url, uuid, whole,
};
use crate::openapi::shape::{Shape, dates, optional, record, required, shown};
use crate::resources::webhooks::MOST_EVENTS;

pub(super) fn shapes() -> Vec<Shape> {
    let mut shapes = rule();
    shapes.push(Shape::answer(
        "WebhookEvent",
        "An event that a receiver was told of, or is to be.",
        vec![
            shown("id", uuid()),
            shown("created", time()),
            shown("source", url().about("What it happened to.")),
            shown("type", text()),
            shown("status", one_of(&Status::ALL.map(Status::name))),
            shown("attempts", whole()),
            shown("lastAttempt", time().or_null()),
            shown("nextAttempt", time().or_null()),
            shown(
                "responseStatus",
                whole().or_null().about("What the receiver answered last."),
            ),
            shown("error", text().or_null()),
        ],
    ));
    shapes.push(audit());
    shapes
}

fn texts() -> Schema {
    map(text().at_most(4096)).at_most(32)
}

fn events() -> Schema {
    let names: Vec<_> = EventType::ALL.iter().map(|kind| kind.name()).collect();
    list(one_of(&names)).at_most(MOST_EVENTS as u64)
}

fn rule() -> Vec<Shape> {
    let [created, updated] = dates();
    let secret = "Whoever sends the asterisks back keeps what is there.";
    let mut shapes = vec![
        written(
            "WebhookRuleWrite",
            required("spec", shape("WebhookRuleWriteSpec")),
            &["metadata", "status"],
        ),
        Shape::request(
            "WebhookRuleWriteSpec",
            "",
            vec![
                required("enabled", flag()),
                required(
                    "url",
                    text()
                        .at_most(2048)
                        .about("http or https, without user information."),
                ),
                required("events", events().at_least(1)),
                optional("headers", texts().about("Sent with every delivery.")),
                optional("queryParams", texts().about("Added to the URL.")),
                optional(
                    "authentication",
                    shape("WebhookAuthentication").about(secret),
                ),
            ],
        ),
        Shape::same(
            "WebhookAuthentication",
            "As `headers` and `queryParams`, but shown as asterisks.",
            vec![
                optional("headers", texts()),
                optional("queryParams", texts()),
                optional(
                    "signingSecret",
                    text().about(
                        "What deliveries are signed with (Standard Webhooks): `whsec_` and the base64 of 24 to 64 bytes.",
                    ),
                ),
            ],
        ),
    ];
    shapes.extend(record(
        "WebhookRule",
        "Who is told of which events, and where.",
        [
            vec![shown("id", uuid()), shown("name", text()), created, updated],
            vec![
                shown("enabled", flag()),
                shown("url", text()),
                shown("events", events()),
                shown("headers", texts()),
                shown("queryParams", texts()),
                shown("authentication", shape("WebhookAuthentication")),
            ],
            vec![],
        ],
    ));
    shapes
}

fn audit() -> Shape {
    Shape::answer(
        "AuditLogEntry",
        "A request that changed something, or tried to.",
        vec![
            shown("requestId", text()),
            shown("time", time()),
            shown(
                "who",
                text().about(
                    "Whom the token stands for; the client's id where a token was asked for.",
                ),
            ),
            shown("tokenId", text().or_null()),
            shown("roles", strings()),
            shown(
                "from",
                text().or_null().about("An address, where it is known."),
            ),
            shown("operation", text()),
            shown("method", text()),
            shown("path", text()),
            shown("project", text().or_null()),
            shown("resource", text().or_null().about("Below the project.")),
            shown(
                "status",
                whole()
                    .or_null()
                    .about("Null where the change was made and there was no answer."),
            ),
            shown("errorCode", text().or_null()),
        ],
    )
}

pub(in crate::openapi) fn example() -> Json {
    json!({"spec": {
        "enabled": true,
        "url": "https://hooks.films.example/headwater",
        "events": ["MediaKind.JobFinished"],
        "headers": {"x-from": "headwater"},
        "queryParams": {"kind": "jobs"},
        "authentication": {
            "headers": {"authorization": "Bearer a secret of the receiver's"},
            "queryParams": {},
            "signingSecret": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
        },
    }})
}
