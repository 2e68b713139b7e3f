//! Live events and live outputs: `resources/{live_events, live_event_body, live_outputs}.rs`.

use serde_json::{Value as Json, json};

use super::common::{labels, texts};
use crate::openapi::schema::{
    Schema, anything, duration, flag, idle, list, one_of, shape, text, time, url, uuid, whole,
};
use crate::openapi::shape::{
    Member, Properties, Shape, accepted, defaulted, optional, required, resource, shown,
};
use crate::resources::live_event_body::{
    ENCODING_TYPES, FILLS, MOST_TRANSCRIPTIONS, PROTOCOLS, STREAM_OPTIONS, STRETCH_MODES,
};

pub(super) fn shapes() -> Vec<Shape> {
    let mut shapes = event();
    shapes.extend(parts());
    shapes.extend(output());
    shapes
}

/// What state an event or output is in, and when it was made.
fn state(states: &[&str]) -> Vec<Member> {
    vec![
        shown("provisioningState", one_of(&["InProgress", "Succeeded"])),
        shown("resourceState", one_of(states)),
        shown("created", time()),
        shown("lastModified", time()),
    ]
}

/// As scripts write it, too.
fn interval(about: &str) -> Schema {
    text().about(about).about(
        "ISO 8601, for instance `PT2S`, or a plain number of seconds. An empty one counts as left out.",
    )
}

fn event() -> Vec<Shape> {
    let nothing = || idle(&[json!(""), json!({}), json!([])]);
    let mut members = state(&[
        "Stopped",
        "Allocating",
        "StandBy",
        "Starting",
        "Running",
        "Stopping",
        "Deleting",
    ]);
    members.extend([
        optional("description", text().at_most(4096)),
        defaulted("input", shape("LiveEventInput")),
        defaulted("preview", shape("LiveEventPreview")),
        defaulted("encoding", shape("LiveEventEncoding")),
        defaulted(
            "streamOptions",
            list(one_of(STREAM_OPTIONS))
                .at_most(1)
                .about("Cannot be changed."),
        ),
        defaulted("useStaticHostname", flag().about("Cannot be changed.")),
        optional(
            "hostnamePrefix",
            text().at_most(32).about("Needs `useStaticHostname`."),
        ),
        defaulted(
            "transcriptions",
            list(shape("LiveEventTranscription"))
                .at_most(MOST_TRANSCRIPTIONS as u64)
                .about("Kept, and nothing else: nothing is transcribed."),
        ),
        optional("crossSiteAccessPolicies", shape("CrossSiteAccessPolicies")),
        accepted("pipeline", nothing()),
    ]);
    Vec::from(resource(
        "LiveEvent",
        "What an encoder sends to.",
        Properties::Optional,
        Shape::two("LiveEventProperties", "", members),
        vec![
            defaulted("location", text().about("That of the project.")),
            defaulted("tags", texts().at_most(16)),
            defaulted("labels", labels()),
        ],
    ))
}

/// From where something may be reached.
fn access(about: &str) -> Member {
    defaulted(
        "accessControl",
        shape("LiveEventAccessControl").about(about),
    )
}

fn parts() -> Vec<Shape> {
    vec![
        Shape::two(
            "LiveEventInput",
            "How the encoder sends.",
            vec![
                defaulted(
                    "streamingProtocol",
                    one_of(PROTOCOLS).about("Cannot be changed. SRT is for events that are encoded here."),
                ),
                optional(
                    "accessToken",
                    text().about(
                        "What an encoder has to show: a UUID, or for SRT a passphrase. Made if it is not given; shown to \
                         those who may set it.",
                    ),
                ),
                optional("keyFrameIntervalDuration", duration())
                    .written_as(interval("Of pass-through events: 0.5 to 20 seconds.")),
                access("From where encoders may send."),
                optional(
                    "fillWith",
                    one_of(FILLS).about(
                        "What stands in for what the encoder does not send: silence for sound, black for pictures (H.264). \
                         `None` if it is not said.",
                    ),
                ),
                optional("fillAfter", duration()).written_as(interval(
                    "How long nothing has to come before something stands in: 0.5 to 30 seconds, 1 if it is not said.",
                )),
                shown("endpoints", list(shape("LiveEventEndpoint"))),
                shown("timedMetadataEndpoints", list(shape("LiveEventTimedMetadataEndpoint"))),
            ],
        ),
        Shape::two(
            "LiveEventPreview",
            "Where the event can be looked at before it is published.",
            vec![
                defaulted(
                    "previewLocator",
                    uuid().about("The first part of the preview's path. Made if it is not given; cannot be changed."),
                ),
                optional(
                    "streamingPolicyName",
                    text().with("enum", vec!["Predefined_ClearStreamingOnly"]),
                ),
                optional("alternativeMediaId", text().at_most(256).about("Cannot be changed.")),
                access("From where the preview may be watched."),
                shown("endpoints", list(shape("LiveEventEndpoint"))),
            ],
        ),
        Shape::two(
            "LiveEventEncoding",
            "What becomes of the incoming pictures. All but the first belong to events that are encoded here.",
            vec![
                defaulted("encodingType", one_of(ENCODING_TYPES).about("Cannot be changed.")),
                optional(
                    "presetName",
                    text().about(
                        "`Default720p` for Standard, `Default1080p` for Premium1080p, or the name of a transform with one output and a \\
                         StandardEncoderPreset of one H264Video (its layers, key frames and stretch mode) and one AacAudio at most. \\
                         What it says when the event is made counts.",
                    ),
                ),
                optional("keyFrameInterval", duration()).written_as(interval("0.5 to 20 seconds.")),
                optional("stretchMode", one_of(STRETCH_MODES)),
            ],
        ),
        Shape::two(
            "LiveEventAccessControl",
            "",
            vec![defaulted("ip", shape("LiveEventIpAccess"))],
        ),
        Shape::two(
            "LiveEventIpAccess",
            "",
            vec![defaulted(
                "allow",
                list(shape("IpRange"))
                    .at_most(100)
                    .about("An empty list lets everybody in."),
            )],
        ),
        Shape::same(
            "IpRange",
            "",
            vec![
                optional("name", text().at_most(256)),
                required("address", text().about("IPv4 or IPv6.")),
                optional(
                    "subnetPrefixLength",
                    whole()
                        .at_most(128)
                        .about("Leading bits that count: all of them by default; at most 32 for IPv4."),
                ),
            ],
        ),
        Shape::answer(
            "LiveEventEndpoint",
            "",
            vec![shown("protocol", text()), shown("url", text())],
        ),
        Shape::answer("LiveEventTimedMetadataEndpoint", "", vec![shown("url", url())]),
        Shape::same(
            "LiveEventTranscription",
            "",
            vec![
                optional("language", anything()),
                optional("inputTrackSelection", anything()),
                optional("outputTranscriptionTrack", anything()),
            ],
        ),
        Shape::request(
            "LiveEventStop",
            "",
            vec![accepted("removeOutputsOnStop", flag().with("default", false))],
        ),
    ]
}

fn output() -> Vec<Shape> {
    let mut members = state(&["Creating", "Running", "Deleting"]);
    members.extend([
        optional("description", text().at_most(4096)),
        required(
            "assetName",
            text().about("Where it is recorded: an asset that no other output has."),
        ),
        defaulted(
            "manifestName",
            text()
                .at_most(256)
                .about("Of the server manifest, without `.ism`. Made up if it is not given."),
        ),
        required(
            "archiveWindowLength",
            duration().about("What is older is deleted. At least one minute."),
        ),
        optional(
            "rewindWindowLength",
            duration().about(
                "How far back viewers may go. At most the archive, which is also the default.",
            ),
        ),
        defaulted("hls", shape("LiveOutputHls")),
        optional(
            "outputSnapTime",
            whole().about("Where the recording begins, in ticks of the incoming timeline."),
        ),
    ]);
    let mut shapes = Vec::from(resource(
        "LiveOutput",
        "A recording of a live event, which is also what viewers see of it.",
        Properties::Required,
        Shape::two("LiveOutputProperties", "", members),
        vec![],
    ));
    shapes.push(Shape::two(
        "LiveOutputHls",
        "",
        vec![defaulted(
            "fragmentsPerTsSegment",
            whole().at_least(1).at_most(10).with("default", 1).about(
                "Fragments in a segment of HLS over MPEG-2 TS. Other formats do not know of it.",
            ),
        )],
    ));
    shapes
}

pub(in crate::openapi) fn event_example() -> Json {
    let office = json!({"ip": {"allow": [
        {"name": "office", "address": "203.0.113.0", "subnetPrefixLength": 24},
    ]}});
    json!({
        "tags": {"for": "the morning show"},
        "labels": {"team": "news"},
        "properties": {
            "description": "The morning show",
            "input": {
                "streamingProtocol": "RTMP",
                "accessToken": "33333333-3333-4333-8333-333333333333",
                "keyFrameIntervalDuration": "PT2S",
                "accessControl": office,
            },
            "preview": {
                "previewLocator": "44444444-4444-4444-8444-444444444444",
                "streamingPolicyName": "Predefined_ClearStreamingOnly",
                "alternativeMediaId": "morning",
                "accessControl": office,
            },
            "encoding": {"encodingType": "PassthroughStandard"},
            "streamOptions": ["LowLatency"],
            "useStaticHostname": true,
            "hostnamePrefix": "morning",
        },
    })
}

pub(in crate::openapi) fn stop_example() -> Json {
    json!({"removeOutputsOnStop": false})
}

pub(in crate::openapi) fn output_example() -> Json {
    json!({"properties": {
        "description": "The whole show",
        "assetName": "morning-show",
        "manifestName": "morning",
        "archiveWindowLength": "PT8H",
        "rewindWindowLength": "PT1H",
        "hls": {"fragmentsPerTsSegment": 1},
        "outputSnapTime": 0,
    }})
}
