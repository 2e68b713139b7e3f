//! What many resources have.

use headwater_catalog::names;

use crate::openapi::schema::{Schema, anything, list, map, one_of, shape, text, time, whole};
use crate::openapi::shape::{Member, Shape, ignored, shown, sometimes};

pub(super) fn shapes() -> Vec<Shape> {
    vec![
        Shape::answer(
            "SystemData",
            "When a resource was made and changed.",
            vec![shown("createdAt", time()), shown("lastModifiedAt", time())],
        ),
        Shape::answer(
            "Supplemental",
            "Where in a list a page stands.",
            vec![
                shown("count", whole().about("Items on this page.")),
                shown("kind", text()),
                shown("operation", text()),
                shown("pagination", shape("Pagination")),
            ],
        ),
        Shape::answer(
            "Pagination",
            "",
            vec![
                shown("start", whole()),
                shown(
                    "end",
                    whole().about("What `$skiptoken` of the next page is."),
                ),
                shown("records", whole()),
                shown("total", whole().about("Items in the whole list.")),
            ],
        ),
        Shape::answer("State", "", vec![shown("status", shape("StateStatus"))]),
        Shape::answer("StateStatus", "", vec![shown("state", text())]),
        Shape::answer(
            "OperationStatus",
            "What became of a long-running operation.",
            vec![
                shown("name", text()),
                shown("status", one_of(&["InProgress", "Succeeded", "Failed"])),
                sometimes("error", shape("OperationError")),
            ],
        ),
        Shape::answer(
            "OperationError",
            "Why an operation failed.",
            vec![shown("code", text()), shown("message", text())],
        ),
        Shape::answer(
            "Error",
            "A refused or failed request.",
            vec![
                shown("error", shape("ErrorBody")),
                shown("status", whole().about("The status code once more.")),
                shown("ref", text().about("The request's id, for the log.")),
            ],
        ),
        Shape::answer(
            "ErrorBody",
            "",
            vec![
                shown("code", text().about("For programs.")),
                shown("detail", text().about("For people.")),
                shown("extraDetail", shape("ErrorExtra")),
            ],
        ),
        Shape::answer(
            "ErrorExtra",
            "",
            vec![sometimes(
                "field",
                text().about("The member, parameter or header at fault, as a path."),
            )],
        ),
        Shape::answer(
            "Problem",
            "A refused or failed request (RFC 9457).",
            vec![
                shown("type", text()),
                shown("title", text()),
                shown("status", whole()),
                shown("detail", text()),
                shown("instance", text().about("The request's id, for the log.")),
                sometimes("field", text()),
            ],
        ),
    ]
}

/// The name of a resource in a body.
pub(super) fn name() -> Schema {
    text()
        .at_least(1)
        .at_most(260)
        .pattern(names::RESOURCE_PATTERN)
}

/// `headwater_catalog::names::folder`, whose rule about single parts no pattern here says.
pub(super) fn folder() -> Schema {
    text().at_most(1024)
}

/// Short texts by name, as clients attach them.
pub(super) fn texts() -> Schema {
    map(text().or_null())
}

/// An object that is another system's affair.
pub(super) fn foreign() -> Schema {
    anything().with("type", "object")
}

pub(super) fn strings() -> Schema {
    list(text())
}

/// What resources are found by, as MK.IO has it: `headwater_catalog`'s rule of labels.
pub(super) fn labels() -> Schema {
    let label = |most: u64, pattern: &str| text().at_most(most).pattern(pattern);
    map(label(256, r"^[A-Za-z0-9_ -]*$").or_null())
        .with("propertyNames", label(256, r"^[A-Za-z0-9_-]+$").json())
        .at_most(32)
}

/// Kinds of resources, each with what may be done to it.
pub(super) fn capabilities() -> Schema {
    map(strings()).about("Kinds of resources, each with its verbs.")
}

/// What most records begin with.
pub(super) fn identity() -> Vec<Member> {
    vec![shown("id", text()), shown("name", text())]
}

/// The body of a request in MK.IO's words: a `spec`, beside which what was shown may stand.
///
/// `spec`: the member; `read_only`: the others.
pub(super) fn written(name: &str, spec: Member, read_only: &[&'static str]) -> Shape {
    let mut members: Vec<_> = read_only.iter().map(|member| ignored(member)).collect();
    members.push(spec);
    Shape::request(name, "", members)
}
