//! Projects, places, people and counts: `resources/{accounts, organization}.rs`.

use super::common::{foreign, strings};
use crate::openapi::schema::{flag, list, map, one_of, shape, text, uuid, whole};
use crate::openapi::shape::{Member, Shape, dates, items, record, shown};

/// What most records begin with.
fn identity() -> Vec<Member> {
    vec![shown("id", text()), shown("name", text())]
}

fn role() -> crate::openapi::schema::Schema {
    one_of(&["viewer", "operator", "owner"])
}

pub(super) fn shapes() -> Vec<Shape> {
    let mut shapes = projects();
    shapes.extend(organization());
    shapes.extend(stats());
    shapes
}

fn projects() -> Vec<Shape> {
    let [created, updated] = dates();
    let mut shapes = vec![
        items("ProjectList", "Project"),
        items("LocationList", "Location"),
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

fn organization() -> Vec<Shape> {
    let mut shapes = vec![
        items("OrganizationList", "Organization"),
        items("PaymentMethodList", "PaymentMethod"),
        items("RoleList", "Role"),
        items("ScopeList", "Scope"),
        Shape::answer(
            "PaymentMethod",
            "There is none: nothing is paid for here.",
            vec![],
        ),
        Shape::answer(
            "Capabilities",
            "What the caller may do, by project: kinds of resources, each with its verbs.",
            vec![shown(
                "core.project",
                map(map(strings())).about("By the project's id."),
            )],
        ),
    ];
    shapes.extend(record(
        "Profile",
        "Who the token belongs to.",
        [
            vec![shown("id", text())],
            vec![
                shown("name", text()),
                shown("activeOrganizationId", uuid()),
                shown("isActive", flag()),
            ],
            vec![
                shown("roles", list(role())),
                shown("project", text().or_null()),
            ],
        ],
    ));
    shapes.extend(record(
        "Organization",
        "",
        [
            identity(),
            vec![shown("name", text())],
            vec![shown("state", text())],
        ],
    ));
    shapes.extend(record(
        "Role",
        "",
        [
            identity(),
            vec![
                shown("description", text()),
                shown(
                    "capabilities",
                    map(strings()).about("Kinds of resources, each with its verbs."),
                ),
            ],
            vec![],
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
                total("jobs"),
                running("liveEvents"),
                total("storageAccounts"),
                running("streamingEndpoints"),
                total("streamingLocators"),
                total("streamingPolicies"),
                total("transforms"),
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
