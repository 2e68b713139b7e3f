//! Transforms and jobs: `resources/transforms.rs`, `resources/jobs.rs`.

use headwater_catalog::jobs::{JobState, Priority};
use headwater_catalog::{presets, transforms};
use serde_json::{Value as Json, json};

use super::common::{name, texts};
use crate::openapi::schema::{
    Schema, anything, idle, list, map, number, one_of, shape, text, time, union, whole,
};
use crate::openapi::shape::{
    Member, Properties, Shape, accepted, defaulted, ignored, kind, optional, required, resource,
    shown, sometimes, update,
};
use crate::resources::job_inputs::MAX_INPUTS;
use crate::resources::jobs::MAX_FILES;

fn preset() -> Schema {
    union(&[
        (
            "#Microsoft.Media.BuiltInStandardEncoderPreset",
            "BuiltInStandardEncoderPreset",
        ),
        (
            "#Microsoft.Media.BuiltInAssetConverterPreset",
            "BuiltInAssetConverterPreset",
        ),
        (
            "#Microsoft.Media.StandardEncoderPreset",
            "StandardEncoderPreset",
        ),
        (
            "#MediaKind.ThumbnailGeneratorPreset",
            "ThumbnailGeneratorPreset",
        ),
        ("#MediaKind.TrackInserterPreset", "TrackInserterPreset"),
    ])
}

/// Presets. What is in codecs, filters and formats is described by Azure Media Services' reference; a transform whose preset
/// has something in it that is not understood is refused with the path of the member.
fn presets() -> Vec<Shape> {
    let limits = || whole().at_least(1);
    let any = || map(anything());
    vec![
        Shape::same(
            "BuiltInStandardEncoderPreset",
            "",
            vec![
                kind("BuiltInStandardEncoderPreset"),
                required("presetName", one_of(&presets::BUILT_IN)),
                optional("configurations", shape("PresetConfigurations")),
            ],
        ),
        Shape::same(
            "PresetConfigurations",
            "Only for presets that choose their layers themselves.",
            vec![
                optional("complexity", one_of(&["Speed", "Balanced", "Quality"])),
                optional(
                    "interleaveOutput",
                    one_of(&["NonInterleavedOutput", "InterleavedOutput"]),
                ),
                optional("keyFrameIntervalInSeconds", number()),
                optional("maxBitrateBps", limits()),
                optional("minBitrateBps", limits()),
                optional("maxHeight", limits()),
                optional("minHeight", limits()),
                optional("maxLayers", limits()),
            ],
        ),
        Shape::same(
            "BuiltInAssetConverterPreset",
            "Copies tracks without encoding them.",
            vec![
                kind("BuiltInAssetConverterPreset"),
                required("presetName", one_of(&presets::CONVERTERS)),
            ],
        ),
        Shape::same(
            "StandardEncoderPreset",
            "Codecs, filters and files one by one.",
            vec![
                kind("StandardEncoderPreset"),
                required("codecs", list(any()).at_least(1)),
                required("formats", list(any()).at_least(1)),
                optional("filters", any()),
                optional("experimentalOptions", idle(&[json!({})])),
            ],
        ),
        Shape::same(
            "ThumbnailGeneratorPreset",
            "Pictures of a source and nothing else.",
            vec![
                required(
                    "@odata.type",
                    one_of(&["#MediaKind.ThumbnailGeneratorPreset"]),
                ),
                optional("baseFilename", text().at_most(64)),
                required("thumbnails", list(any()).at_least(1)),
            ],
        ),
        Shape::same(
            "TrackInserterPreset",
            "A text track for what is in the output asset.",
            vec![
                required("@odata.type", one_of(&["#MediaKind.TrackInserterPreset"])),
                optional("baseFilename", text().at_most(260)),
                required("tracks", list(any()).at_least(1).at_most(1)),
            ],
        ),
    ]
}

fn clip_input() -> Schema {
    union(&[
        ("#Microsoft.Media.JobInputAsset", "JobInputAsset"),
        ("#Microsoft.Media.JobInputHttp", "JobInputHttp"),
    ])
}

fn input() -> Schema {
    union(&[
        ("#Microsoft.Media.JobInputAsset", "JobInputAsset"),
        ("#Microsoft.Media.JobInputHttp", "JobInputHttp"),
        ("#Microsoft.Media.JobInputSequence", "JobInputSequence"),
        ("#Microsoft.Media.JobInputs", "JobInputs"),
    ])
}

/// Of assets, which may be archives of live events.
fn clip_time() -> Schema {
    union(&[
        ("#Microsoft.Media.AbsoluteClipTime", "AbsoluteClipTime"),
        ("#Microsoft.Media.UtcClipTime", "UtcClipTime"),
    ])
}

/// What `JobInputAsset` and `JobInputHttp` have in common. `time`: of clips.
fn cut(time: fn() -> Schema, mut members: Vec<Member>) -> Vec<Member> {
    members.extend([
        optional("label", text()),
        optional("start", time().about("From here on, in the source's time.")),
        optional("end", time().about("Up to here.")),
        optional(
            "inputDefinitions",
            list(map(anything())).about(
                "Which tracks are used: FromAllInputFile, FromEachInputFile or InputFile, each with includedTracks.",
            ),
        ),
    ]);
    members
}

fn inputs() -> Vec<Shape> {
    let many = MAX_INPUTS as u64;
    vec![
        Shape::two(
            "JobInputAsset",
            "Files of an asset. The tracks of several are taken together.",
            cut(
                clip_time,
                vec![
                    kind("JobInputAsset"),
                    required("assetName", text()),
                    defaulted(
                        "files",
                        list(text().at_most(1024)).at_most(MAX_FILES as u64).about(
                            "Relative to the asset. Empty for the one media file that is there.",
                        ),
                    ),
                ],
            ),
        ),
        Shape::two(
            "JobInputHttp",
            "Files at URLs. What follows a question mark is never shown.",
            cut(
                || shape("AbsoluteClipTime"),
                vec![
                    kind("JobInputHttp"),
                    optional("baseUri", text()),
                    defaulted("files", list(text()).at_most(MAX_FILES as u64)),
                ],
            ),
        ),
        Shape::two(
            "JobInputSequence",
            "Inputs one after the other.",
            vec![
                kind("JobInputSequence"),
                required("inputs", list(clip_input()).at_least(1).at_most(many)),
            ],
        ),
        Shape::two(
            "JobInputs",
            "The source, and what a preset calls by label.",
            vec![
                kind("JobInputs"),
                required(
                    "inputs",
                    list(union(&[
                        ("#Microsoft.Media.JobInputAsset", "JobInputAsset"),
                        ("#Microsoft.Media.JobInputHttp", "JobInputHttp"),
                        ("#Microsoft.Media.JobInputSequence", "JobInputSequence"),
                    ]))
                    .at_least(1)
                    .at_most(many),
                ),
            ],
        ),
        Shape::same(
            "AbsoluteClipTime",
            "A time of the source.",
            vec![
                kind("AbsoluteClipTime"),
                required("time", text().about("ISO 8601, such as PT1M30.5S.")),
            ],
        ),
        Shape::same(
            "UtcClipTime",
            "A time of the day on the clock of an archive.",
            vec![kind("UtcClipTime"), required("time", time())],
        ),
        Shape::answer(
            "JobEngine",
            "What makes a job, and why that.",
            vec![
                shown("name", one_of(&["builtin", "ffmpeg"])),
                shown("reason", text()),
            ],
        ),
    ]
}

pub(super) fn shapes() -> Vec<Shape> {
    let mut shapes = transform();
    shapes.extend(job());
    shapes
}

fn transform() -> Vec<Shape> {
    let properties = Shape::two(
        "TransformProperties",
        "",
        vec![
            shown("created", time()),
            shown("lastModified", time()),
            defaulted("description", text().at_most(4096).or_null()),
            required(
                "outputs",
                list(shape("TransformOutput"))
                    .at_least(1)
                    .at_most(transforms::MAX_OUTPUTS as u64),
            ),
        ],
    );
    let mut shapes = Vec::from(update(
        "Transform",
        Properties::Optional,
        properties.update(),
    ));
    shapes.extend(resource(
        "Transform",
        "A recipe for jobs.",
        Properties::Required,
        properties,
        vec![],
    ));
    shapes.push(Shape::same(
        "TransformOutput",
        "One thing that a job of this transform makes.",
        vec![
            optional("onError", one_of(&["StopProcessingJob", "ContinueJob"])),
            optional("relativePriority", one_of(&["Low", "Normal", "High"])),
            required("preset", preset()),
        ],
    ));
    shapes.extend(presets());
    shapes
}

fn job() -> Vec<Shape> {
    let states = JobState::ALL.map(JobState::name);
    let priorities = Priority::ALL.map(Priority::name);
    let properties = Shape::two(
        "JobProperties",
        "",
        vec![
            shown("created", time()),
            shown("lastModified", time()),
            shown("state", one_of(&states)),
            sometimes("startTime", time()),
            sometimes("endTime", time()),
            required("input", input()),
            required(
                "outputs",
                list(shape("JobOutputAsset")).about("As many as the transform has outputs."),
            ),
            defaulted("priority", one_of(&priorities)),
            optional("description", text().at_most(4096)),
            defaulted("correlationData", texts()),
            sometimes("engine", shape("JobEngine")),
        ],
    );
    let patched = Shape::request(
        "JobPropertiesUpdate",
        "Only these two can be changed; what else a job shows is taken back and ignored.",
        vec![
            ignored("created"),
            ignored("lastModified"),
            ignored("state"),
            ignored("startTime"),
            ignored("endTime"),
            ignored("input"),
            ignored("outputs"),
            ignored("correlationData"),
            ignored("engine"),
            accepted("priority", one_of(&priorities)),
            accepted("description", text().at_most(4096)),
        ],
    );
    let mut shapes = Vec::from(resource(
        "Job",
        "One run of a transform.",
        Properties::Required,
        properties,
        vec![],
    ));
    shapes.extend(update("Job", Properties::Optional, patched));
    shapes.extend(inputs());
    shapes.extend([
        Shape::two(
            "JobOutputAsset",
            "Where one output goes. The asset is made if it is not there.",
            vec![
                kind("JobOutputAsset"),
                required("assetName", name()),
                optional("label", text()),
                optional("presetOverride", preset()),
                shown("state", one_of(&states)),
                shown("progress", whole().at_most(100).about("In percent.")),
                sometimes("error", shape("JobError")),
                sometimes("startTime", time()),
                sometimes("endTime", time()),
            ],
        ),
        Shape::answer(
            "JobError",
            "Why an output was not made.",
            vec![
                shown("code", text()),
                shown("category", text()),
                shown("message", text()),
                shown("retry", one_of(&["DoNotRetry", "MayRetry"])),
                shown("details", list(shape("JobErrorDetail"))),
            ],
        ),
        Shape::answer(
            "JobErrorDetail",
            "",
            vec![shown("code", text()), shown("message", text())],
        ),
    ]);
    shapes
}

pub(in crate::openapi) fn transform_example() -> Json {
    json!({"properties": {
        "description": "Every rendition up to the height of the source",
        "outputs": [{
            "onError": "StopProcessingJob",
            "relativePriority": "Normal",
            "preset": {
                "@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset",
                "presetName": "AdaptiveStreaming",
            },
        }],
    }})
}

pub(in crate::openapi) fn job_example() -> Json {
    json!({"properties": {
        "description": "The film",
        "priority": "Normal",
        "correlationData": {"ticket": "7"},
        "input": {
            "@odata.type": "#Microsoft.Media.JobInputAsset",
            "assetName": "film",
            "files": ["film.mp4"],
            "label": "source",
        },
        "outputs": [{
            "@odata.type": "#Microsoft.Media.JobOutputAsset",
            "assetName": "film-encoded",
            "label": "encoded",
            "presetOverride": {
                "@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset",
                "presetName": "H264MultipleBitrate720p",
            },
        }],
    }})
}

pub(in crate::openapi) fn job_update_example() -> Json {
    json!({"properties": {"description": "The film, sooner", "priority": "High"}})
}
