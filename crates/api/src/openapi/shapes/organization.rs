//! Projects, places, the organization and counts: `resources/{accounts, projects, organization}.rs`.

use serde_json::{Value as Json, json};

use super::common::{capabilities, foreign, identity, strings, written};
use crate::openapi::schema::{flag, list, map, one_of, shape, text, time, url, uuid, whole};
use crate::openapi::shape::{Shape, accepted, dates, items, record, shown, sometimes};

pub(super) fn shapes() -> Vec<Shape> {
    let mut shapes = projects();
    shapes.extend(organization());
    shapes.extend(metrics());
    shapes.extend(stats());
    shapes
}

fn projects() -> Vec<Shape> {
    let [created, updated] = dates();
    let mut shapes = vec![
        items("ProjectList", "Project"),
        items("LocationList", "Location"),
        written(
            "ProjectWrite",
            accepted("spec", shape("ProjectWriteSpec")),
            &["metadata", "status"],
        ),
        Shape::request(
            "ProjectWriteSpec",
            "",
            vec![
                accepted("displayName", text()),
                accepted(
                    "locationName",
                    text().about("One of the installation's. Cannot be changed."),
                ),
                accepted(
                    "paymentMethodId",
                    text()
                        .or_null()
                        .about("Whom MK.IO sends the bill to. Nobody is sent one here."),
                ),
            ],
        ),
    ];
    shapes.extend(record(
        "Project",
        "An account of its own: what a token may be held to.",
        [
            vec![shown("id", uuid()), shown("name", text()), created, updated],
            vec![shown("displayName", text()), shown("locationName", text())],
            vec![shown("state", text())],
        ],
    ));
    shapes.extend([
        Shape::answer(
            "Location",
            "",
            vec![
                shown("metadata", shape("LocationMetadata")),
                shown("spec", foreign()),
            ],
        ),
        Shape::answer(
            "LocationMetadata",
            "",
            vec![
                shown("id", text()),
                shown("name", text()),
                shown("displayName", text()),
            ],
        ),
    ]);
    shapes
}

/// Where metrics are, which belongs to the whole installation.
fn metrics() -> Vec<Shape> {
    record(
        "MetricsEndpoint",
        "Where a Prometheus server finds the metrics of the whole installation.",
        [
            vec![shown("name", text())],
            vec![
                shown("enabled", flag()),
                shown("type", one_of(&["Prometheus"])),
                shown("url", url().or_null()),
            ],
            vec![],
        ],
    )
}

fn organization() -> Vec<Shape> {
    let mut shapes = vec![
        items("OrganizationList", "Organization"),
        items("PaymentMethodList", "PaymentMethod"),
        items("ScopeList", "Scope"),
        Shape::answer(
            "PaymentMethod",
            "There is none: nothing is paid for here.",
            vec![],
        ),
        Shape::answer(
            "Rights",
            "What the caller may do. The `permissions` of a token have the same shape.",
            vec![
                shown(
                    "core.organization",
                    map(capabilities()).about("By the organization's id."),
                ),
                shown(
                    "core.project",
                    map(capabilities()).about("By the project's id."),
                ),
            ],
        ),
        Shape::answer(
            "OwnInvite",
            "An invite of the caller's that waits for an answer.",
            vec![shown("id", text()), shown("teams", strings())],
        ),
    ];
    shapes.extend([
        written(
            "OrganizationWrite",
            accepted("spec", shape("OrganizationWriteSpec")),
            &["metadata", "status"],
        ),
        Shape::request(
            "OrganizationWriteSpec",
            "",
            vec![
                accepted("name", text()),
                accepted(
                    "legalEntityName",
                    text().about("An empty one takes it back."),
                ),
                accepted(
                    "legalEntityContactEmail",
                    text().about("An empty one takes it back."),
                ),
            ],
        ),
    ]);
    shapes.extend(record(
        "Organization",
        "",
        [
            [identity(), vec![sometimes("updated", time())]].concat(),
            vec![
                shown("name", text()),
                sometimes("legalEntityName", text()),
                sometimes("legalEntityContactEmail", text()),
            ],
            vec![
                shown("state", one_of(&["Active"])),
                sometimes("invites", list(shape("OwnInvite"))),
            ],
        ],
    ));
    shapes.extend(record(
        "Scope",
        "What a role can be given over.",
        [
            identity(),
            vec![shown("description", text()), shown("resources", strings())],
            vec![],
        ],
    ));
    shapes
}

fn stats() -> Vec<Shape> {
    let total = |name| shown(name, shape("Count"));
    let running = |name| shown(name, shape("RunningCount"));
    vec![
        Shape::answer(
            "Stats",
            "How many resources a project has.",
            vec![
                total("assets"),
                total("contentKeyPolicies"),
                total("filters"),
                total("jobs"),
                running("liveEvents"),
                total("storageAccounts"),
                running("streamingEndpoints"),
                total("streamingLocators"),
                total("streamingPolicies"),
                total("transforms"),
                total("uploadRules"),
                shown("extra", foreign()),
            ],
        ),
        Shape::answer("Count", "", vec![shown("total", whole())]),
        Shape::answer(
            "RunningCount",
            "",
            vec![
                shown("running", whole()),
                shown("stopped", whole()),
                shown("total", whole()),
            ],
        ),
    ]
}

pub(in crate::openapi) fn example() -> Json {
    json!({"spec": {"name": "Our studio", "legalEntityContactEmail": "legal@example.com"}})
}

pub(in crate::openapi) fn project_example() -> Json {
    json!({"spec": {"displayName": "Our films", "locationName": "local"}})
}
