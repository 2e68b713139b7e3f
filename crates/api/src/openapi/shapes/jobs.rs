//! Transforms and jobs: `resources/transforms.rs`, `resources/jobs.rs`.

use headwater_catalog::jobs::{JobState, Priority};
use headwater_catalog::{presets, transforms};
use serde_json::{Value as Json, json};

use super::common::{name, texts};
use crate::openapi::schema::{Schema, idle, list, one_of, shape, text, time, union, whole};
use crate::openapi::shape::{
    Properties, Shape, accepted, defaulted, ignored, kind, optional, required, resource, shown,
    sometimes, update,
};
use crate::resources::jobs::MAX_FILES;

fn preset() -> Schema {
    union(&[(
        "#Microsoft.Media.BuiltInStandardEncoderPreset",
        "BuiltInStandardEncoderPreset",
    )])
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
    shapes.push(Shape::same(
        "BuiltInStandardEncoderPreset",
        "",
        vec![
            kind("BuiltInStandardEncoderPreset"),
            required("presetName", one_of(&presets::BUILT_IN)),
        ],
    ));
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
            required(
                "input",
                union(&[("#Microsoft.Media.JobInputAsset", "JobInputAsset")]),
            ),
            required(
                "outputs",
                list(shape("JobOutputAsset")).about("As many as the transform has outputs."),
            ),
            defaulted("priority", one_of(&priorities)),
            optional("description", text().at_most(4096)),
            defaulted("correlationData", texts()),
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
    shapes.extend([
        Shape::two(
            "JobInputAsset",
            "Files of an asset.",
            vec![
                kind("JobInputAsset"),
                required("assetName", text()),
                defaulted(
                    "files",
                    list(text().at_most(1024)).at_most(MAX_FILES as u64).about(
                        "Relative to the asset. Empty for the one media file that is there.",
                    ),
                ),
                optional("label", text()),
                accepted("start", idle(&[])),
                accepted("end", idle(&[])),
                accepted("inputDefinitions", idle(&[json!([])])),
            ],
        ),
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
