//! Upload rules: `resources/upload_rules.rs`.

use headwater_catalog::names;
use serde_json::{Value as Json, json};

use crate::openapi::schema::{flag, list, text, time};
use crate::openapi::shape::{Properties, Shape, defaulted, optional, required, resource, shown};

pub(super) fn shapes() -> Vec<Shape> {
    let properties = Shape::two(
        "UploadRuleProperties",
        "",
        vec![
            shown("created", time()),
            shown("lastModified", time()),
            defaulted("enabled", flag().with("default", true)),
            optional("description", text().at_most(1024)),
            required("storageAccountName", text()),
            required(
                "container",
                text()
                    .at_least(3)
                    .at_most(63)
                    .pattern(names::CONTAINER_PATTERN)
                    .about("Made if it is not there."),
            ),
            defaulted(
                "prefix",
                text()
                    .at_most(1024)
                    .with("default", "")
                    .about("What a file's name must begin with."),
            ),
            required(
                "suffixes",
                list(text().at_least(1).at_most(64))
                    .at_least(1)
                    .at_most(32)
                    .about("What it must end with, one of them, without regard to case."),
            ),
            required("transformName", text().about("It must have one output.")),
            required(
                "streamingPolicyName",
                text().about("Of the locator that publishes the result."),
            ),
        ],
    );
    Vec::from(resource(
        "UploadRule",
        "What to do with a file that appears in storage.",
        Properties::Required,
        properties,
        vec![],
    ))
}

pub(in crate::openapi) fn example() -> Json {
    json!({"properties": {
        "enabled": true,
        "description": "Whatever the editors drop",
        "storageAccountName": "local",
        "container": "uploads",
        "prefix": "films/",
        "suffixes": [".mp4", ".mov"],
        "transformName": "adaptive",
        "streamingPolicyName": "Predefined_ClearStreamingOnly",
    }})
}
