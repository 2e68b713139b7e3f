//! Jobs. Spec: the management API reference, 1.11 and 2.9.

use headwater_blob::HttpClient;
use headwater_catalog::jobs::{
    self, Job, JobOutput, JobUpdate, MissingAssets, NewJob, NewOutput, Priority,
};
use headwater_catalog::projects::Project;
use headwater_catalog::{Sql, fingerprint};
use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::{job_inputs, light_state, listed, status};
use crate::call::Call;
use crate::dialect::Envelope;
use crate::error::ApiError;
use crate::fields::{ENVELOPE, Object};
use crate::reply::Reply;

/// Inputs and files a job may name.
pub(crate) const MAX_FILES: usize = 50;

fn set(members: &mut Map<String, Json>, name: &str, value: impl Into<Json>) {
    let value = value.into();
    if !value.is_null() {
        members.insert(name.into(), value);
    }
}

/// What an output is called: as the job says, and otherwise `{presetName}_{outputIndex}` (the SDKs' `JobOutput.label`), the name being
/// that of the preset's type, as Event Grid's samples have it (`BuiltInStandardEncoderPreset_0`).
pub(super) fn label(at: usize, output: &JobOutput) -> Option<String> {
    let own = || {
        let kind = output.preset.get("@odata.type")?.as_str()?;
        let (_, name) = kind.rsplit_once('.')?;
        Some(format!("{name}_{at}"))
    };
    output.label.clone().or_else(own)
}

/// All outputs of a job.
pub(super) fn render_outputs(outputs: &[JobOutput]) -> Vec<Json> {
    let outputs = outputs.iter().enumerate();
    outputs
        .map(|(at, output)| render_output(at, output))
        .collect()
}

/// `at`: its place among the job's outputs.
pub(super) fn render_output(at: usize, output: &JobOutput) -> Json {
    let mut members = Map::new();
    set(
        &mut members,
        "@odata.type",
        "#Microsoft.Media.JobOutputAsset",
    );
    set(&mut members, "assetName", output.asset_name.clone());
    set(&mut members, "label", label(at, output));
    set(&mut members, "state", output.state.name());
    set(&mut members, "progress", output.progress);
    set(&mut members, "error", json!(output.error));
    set(
        &mut members,
        "startTime",
        output.started.map(|at| at.to_string()),
    );
    set(
        &mut members,
        "endTime",
        output.ended.map(|at| at.to_string()),
    );
    if output.overridden {
        set(&mut members, "presetOverride", output.preset.clone());
    }
    Json::Object(members)
}

fn render<S, C>(call: &Call<'_, S, C>, job: Job) -> Result<Json, ApiError> {
    Ok(resource(call.project()?, job))
}

/// A job as a GET shows it.
pub(super) fn resource(project: &Project, job: Job) -> Json {
    let mut properties = Map::new();
    set(&mut properties, "created", job.created.to_string());
    set(&mut properties, "lastModified", job.modified.to_string());
    set(&mut properties, "state", job.state.name());
    set(&mut properties, "description", job.description);
    set(&mut properties, "input", job.input);
    set(&mut properties, "outputs", render_outputs(&job.outputs));
    set(&mut properties, "priority", job.priority.name());
    set(&mut properties, "correlationData", json!(job.correlation));
    set(
        &mut properties,
        "startTime",
        job.started.map(|at| at.to_string()),
    );
    set(
        &mut properties,
        "endTime",
        job.ended.map(|at| at.to_string()),
    );
    set(&mut properties, "engine", json!(job.engine));
    let resource = Envelope {
        project,
        path: &[("transforms", &job.transform_name), ("jobs", &job.name)],
        properties: Json::Object(properties),
        created: job.created,
        modified: Some(job.modified),
    }
    .render();
    Json::Object(resource)
}

/// MK.IO's SDK sends some discriminators without the prefix.
pub(super) fn discriminator(object: &Object<'_>) -> Result<String, ApiError> {
    let kind = object.required_text("@odata.type")?;
    Ok(kind
        .strip_prefix("#Microsoft.Media.")
        .unwrap_or(&kind)
        .to_owned())
}

fn read_outputs(properties: &Object<'_>) -> Result<Vec<NewOutput>, ApiError> {
    let objects = properties.objects("outputs")?;
    let mut outputs = Vec::new();
    for object in properties.required("outputs", objects)? {
        let kind = discriminator(&object)?;
        if kind != "JobOutputAsset" {
            return Err(ApiError::invalid(
                object.path("@odata.type"),
                format!("'{kind}' is not a kind of job output"),
            ));
        }
        object.only(&[
            "@odata.type",
            "assetName",
            "label",
            "presetOverride",
            "state",
            "progress",
            "error",
            "startTime",
            "endTime",
        ])?;
        outputs.push(NewOutput {
            asset_name: object.required_text("assetName")?,
            label: object.text("label")?,
            preset_override: object
                .object("presetOverride")?
                .map(|preset| preset.cloned()),
        });
    }
    Ok(outputs)
}

fn priority(properties: &Object<'_>) -> Result<Option<Priority>, ApiError> {
    properties.one_of("priority", &["Low", "Normal", "High"], Priority::parse)
}

const KNOWN: &[&str] = &[
    "created",
    "lastModified",
    "state",
    "startTime",
    "endTime",
    "input",
    "outputs",
    "priority",
    "description",
    "correlationData",
    "engine",
];

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let transform = Some(call.var("transform")).filter(|name| !name.is_empty());
    let page = jobs::list(call.sql, &call.project()?.id, transform, &call.listing()?).await?;
    listed(call, "Job", page, |job| render(call, job))
}

async fn job<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Job, ApiError> {
    let project = &call.project()?.id;
    Ok(jobs::get(call.sql, project, call.var("transform"), call.var("job")).await?)
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(Reply::ok(render(call, job(call).await?)?))
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(ENVELOPE)?;
    let properties = root.required_object("properties")?;
    properties.only(KNOWN)?;
    let input = job_inputs::read(&properties.required_object("input")?)?;
    let outputs = read_outputs(&properties)?;
    let mut new = NewJob {
        description: properties.text("description")?,
        correlation: properties.text_map("correlationData")?.unwrap_or_default(),
        priority: priority(&properties)?.unwrap_or_default(),
        missing_assets: if call.is_arm() {
            MissingAssets::Refuse
        } else {
            MissingAssets::Create
        },
        fingerprint: String::new(),
        input,
        outputs,
    };
    let wanted: Vec<_> = new
        .outputs
        .iter()
        .map(|output| json!([output.asset_name, output.label, output.preset_override]))
        .collect();
    new.fingerprint = fingerprint(&json!([
        new.input.shown(),
        new.input.identity(),
        wanted,
        new.correlation
    ]));
    let (job, written) = jobs::create(
        call.sql,
        call.seal,
        &call.project()?.id,
        call.var("transform"),
        call.var("job"),
        &new,
        call.moment,
    )
    .await?;
    // The Azure client takes nothing but 201, for a repeated request as well.
    let status = if call.is_arm() {
        StatusCode::CREATED
    } else {
        status(written)
    };
    Ok(Reply::json(status, render(call, job)?))
}

pub(super) async fn update<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(ENVELOPE)?;
    let mut update = JobUpdate::default();
    if let Some(properties) = root.object("properties")? {
        properties.only(KNOWN)?;
        update.description = properties.text("description")?;
        update.priority = priority(&properties)?;
    }
    let project = &call.project()?.id;
    let (transform, name) = (call.var("transform"), call.var("job"));
    let job = jobs::update(call.sql, project, transform, name, &update, call.moment.now).await?;
    Ok(Reply::ok(render(call, job)?))
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    let existed = jobs::delete(call.sql, project, call.var("transform"), call.var("job")).await?;
    Ok(Reply::deleted(existed))
}

pub(super) async fn state<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(light_state(job(call).await?.state.name()))
}

pub(super) async fn cancel<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    let (transform, name) = (call.var("transform"), call.var("job"));
    jobs::cancel(call.sql, project, transform, name, call.moment).await?;
    Ok(Reply::empty(StatusCode::OK))
}
