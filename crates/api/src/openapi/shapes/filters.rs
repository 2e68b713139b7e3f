//! Asset and account filters: `resources/filters.rs`.

use serde_json::{Value as Json, json};

use crate::openapi::schema::{flag, list, one_of, shape, text, whole};
use crate::openapi::shape::{Properties, Shape, optional, required, resource};
use crate::resources::filters::MOST_ENTRIES;

pub(super) fn shapes() -> Vec<Shape> {
    let properties = Shape::two(
        "FilterProperties",
        "Entries of `tracks` are alternatives; the conditions of an entry hold together.",
        vec![
            optional("presentationTimeRange", shape("PresentationTimeRange")),
            optional("firstQuality", shape("FirstQuality")),
            optional(
                "tracks",
                list(shape("FilterTrack")).at_most(MOST_ENTRIES as u64),
            ),
        ],
    );
    let mut shapes = Vec::from(resource(
        "Filter",
        "Which part of a presentation is played, and which of its tracks.",
        Properties::Optional,
        properties,
        vec![],
    ));
    let ticks = |about: &str| whole().about(about);
    shapes.extend([
        Shape::same(
            "PresentationTimeRange",
            "Times are in ticks of `timescale`. 9223372036854775807 and what is above it stand for \"not set\".",
            vec![
                optional("startTimestamp", ticks("From the start of the content; before `endTimestamp`.")),
                optional("endTimestamp", ticks("From the start of the content.")),
                optional(
                    "presentationWindowDuration",
                    ticks("How far back a live presentation reaches: at least 60 seconds."),
                ),
                optional(
                    "liveBackoffDuration",
                    ticks("How far a live presentation stays behind: at most 300 seconds."),
                ),
                optional(
                    "timescale",
                    whole().at_least(1).with("default", 10_000_000).about("Ticks per second."),
                ),
                optional("forceEndTimestamp", flag().about("Needs an `endTimestamp`.")),
            ],
        ),
        Shape::same(
            "FirstQuality",
            "",
            vec![required(
                "bitrate",
                whole().about("In bits per second: the rendition that HLS players start with."),
            )],
        ),
        Shape::same(
            "FilterTrack",
            "",
            vec![required(
                "trackSelections",
                list(shape("TrackCondition")).at_least(1).at_most(MOST_ENTRIES as u64),
            )],
        ),
        Shape::same(
            "TrackCondition",
            "",
            vec![
                required(
                    "property",
                    one_of(&["Type", "Name", "Language", "FourCC", "Bitrate"]),
                ),
                required("operation", one_of(&["Equal", "NotEqual"])),
                required(
                    "value",
                    text().at_least(1).at_most(260).about(
                        "For `Type` one of Audio, Video, Text; for `Bitrate` bits per second, or two as in `0-1500000`.",
                    ),
                ),
            ],
        ),
    ]);
    shapes
}

pub(in crate::openapi) fn example() -> Json {
    json!({"properties": {
        "presentationTimeRange": {
            "startTimestamp": 0,
            "endTimestamp": 60_000,
            "presentationWindowDuration": 120_000,
            "liveBackoffDuration": 0,
            "timescale": 1_000,
            "forceEndTimestamp": true,
        },
        "firstQuality": {"bitrate": 1_500_000},
        "tracks": [{"trackSelections": [
            {"property": "Type", "operation": "Equal", "value": "Video"},
            {"property": "Bitrate", "operation": "Equal", "value": "0-1500000"},
        ]}],
    }})
}
