//! What was used: `resources/usage.rs`.

use headwater_catalog::usage::Meter;
use serde_json::{Value as Json, json};

use super::common::strings;
use crate::openapi::schema::{Schema, flag, idle, list, number, one_of, shape, text, time};
use crate::openapi::shape::{Shape, accepted, required, shown};
use crate::resources::usage::{GRANULARITIES, MOST_PROJECTS};

fn meter() -> Schema {
    one_of(&Meter::ALL.map(Meter::name))
}

fn unit() -> Schema {
    one_of(&["pieces", "minutes", "gigabytes"])
}

pub(super) fn shapes() -> Vec<Shape> {
    let granularities: Vec<_> = GRANULARITIES.iter().map(|(name, _)| *name).collect();
    let day = |about: &str| {
        text()
            .about(about)
            .about("A date, or the RFC 3339 date and time of a full hour.")
    };
    vec![
        Shape::answer(
            "UsageList",
            "What a project used since the month began (UTC).",
            vec![
                shown("kind", text().with("const", "UsageList")),
                shown("projectName", text()),
                shown("startDate", time()),
                shown("endDate", time()),
                shown("items", list(shape("UsageTotal"))),
            ],
        ),
        Shape::answer(
            "UsageTotal",
            "",
            vec![
                shown("meter", meter()),
                shown("description", text()),
                shown("unit", unit()),
                shown("quantity", number()),
            ],
        ),
        Shape::request(
            "UsageReportRequest",
            "",
            vec![
                required("startDate", day("The first moment.")),
                required(
                    "endDate",
                    day("The first moment that is not in the report any more."),
                ),
                accepted(
                    "granularity",
                    one_of(&granularities).with("default", "day").about(
                        "At most 31 days by the hour, 366 by day and week, 1830 by month and year.",
                    ),
                ),
                accepted(
                    "projectNames",
                    strings()
                        .at_most(MOST_PROJECTS as u64)
                        .about("All that the token reaches by default."),
                ),
                accepted("paymentMethodIds", idle(&[json!([])])),
                accepted("format", one_of(&["json", "csv"]).with("default", "json")),
                accepted(
                    "download",
                    flag().about("Whether the answer is to be kept as a file."),
                ),
                accepted(
                    "filterOnReportedDate",
                    flag().about("Comes to the same either way."),
                ),
            ],
        ),
        Shape::answer(
            "UsageReport",
            "",
            vec![
                shown("kind", text().with("const", "UsageReport")),
                shown("startDate", time()),
                shown("endDate", time()),
                shown("items", list(shape("UsageLine"))),
            ],
        ),
        Shape::answer(
            "UsageLine",
            "What a project used in one period.",
            vec![
                shown("periodStart", time()),
                shown("periodEnd", time()),
                shown("projectName", text()),
                shown("meter", meter()),
                shown("unit", unit()),
                shown("quantity", number()),
            ],
        ),
    ]
}

pub(in crate::openapi) fn example() -> Json {
    json!({
        "startDate": "2026-01-01",
        "endDate": "2026-02-01",
        "granularity": "day",
        "projectNames": ["default"],
        "format": "json",
        "download": false,
    })
}
