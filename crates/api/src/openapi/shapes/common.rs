//! What many resources have.

use headwater_catalog::names;

use crate::openapi::schema::{Schema, anything, list, map, shape, text, time, whole};
use crate::openapi::shape::{Shape, shown, sometimes};

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
