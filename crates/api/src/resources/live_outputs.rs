//! Live outputs. Spec: the management API reference, 1.13, 2.3, 2.4 and 2.10.

use headwater_blob::HttpClient;
use headwater_catalog::live::model::{Hls, OutputProperties};
use headwater_catalog::live::outputs::{self, Put};
use headwater_catalog::live::{LiveOutput, LiveOutputState, NewLiveOutput, actions};
use headwater_catalog::operations::{LIVE_OUTPUTS, Operation, OperationStatus};
use headwater_catalog::{IsoDuration, Sql, assets};
use serde_json::{Value as Json, json};

use super::assets::{place, query_page};
use super::live_events::counted;
use super::locators::segment;
use super::{light_state, long_running, status};
use crate::call::Call;
use crate::dialect::Envelope;
use crate::error::ApiError;
use crate::fields::{ENVELOPE, Object};
use crate::reply::Reply;

/// The collection of operations on live outputs.
const OPERATIONS: &str = "liveOutputOperations";

fn render<S, C>(call: &Call<'_, S, C>, output: &LiveOutput) -> Result<Json, ApiError> {
    let mut properties = json!(output.properties);
    if let Json::Object(members) = &mut properties {
        let provisioning = match output.state {
            LiveOutputState::Running => "Succeeded",
            LiveOutputState::Creating | LiveOutputState::Deleting => "InProgress",
        };
        members.insert("assetName".into(), output.asset_name.clone().into());
        members.insert("manifestName".into(), output.manifest_name.clone().into());
        members.insert("provisioningState".into(), provisioning.into());
        members.insert("resourceState".into(), output.state.name().into());
        members.insert("created".into(), output.created.to_string().into());
        members.insert("lastModified".into(), output.modified.to_string().into());
    }
    let resource = Envelope {
        project: call.project()?,
        path: &[
            ("liveEvents", call.var("event")),
            ("liveOutputs", &output.name),
        ],
        properties,
        created: output.created,
        modified: Some(output.modified),
    }
    .render();
    Ok(Json::Object(resource))
}

fn read<S, C>(call: &Call<'_, S, C>) -> Result<NewLiveOutput, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(ENVELOPE)?;
    let properties = root.required_object("properties")?;
    properties.only(&[
        // Read only.
        "provisioningState",
        "resourceState",
        "created",
        "lastModified",
        // Kept.
        "description",
        "assetName",
        "archiveWindowLength",
        "rewindWindowLength",
        "manifestName",
        "hls",
        "outputSnapTime",
    ])?;
    let fragments = match properties.object("hls")? {
        None => None,
        Some(hls) => {
            hls.only(&["fragmentsPerTsSegment"])?;
            hls.whole("fragmentsPerTsSegment")?
        }
    };
    let archive = duration(&properties, "archiveWindowLength")?;
    let snap = properties.whole("outputSnapTime")?;
    Ok(NewLiveOutput {
        asset_name: properties.required_text("assetName")?,
        manifest_name: properties
            .text("manifestName")?
            .filter(|name| !name.is_empty()),
        properties: OutputProperties {
            description: properties.text("description")?,
            archive_window_length: properties.required("archiveWindowLength", archive)?,
            rewind_window_length: duration(&properties, "rewindWindowLength")?,
            hls: Hls {
                // What is too much for the type is too much for the rule as well.
                fragments_per_ts_segment: fragments
                    .map_or(1, |count| u32::try_from(count).unwrap_or(u32::MAX)),
            },
            output_snap_time: snap.map(|ticks| i64::try_from(ticks).unwrap_or(i64::MAX)),
        },
    })
}

fn duration(object: &Object<'_>, member: &str) -> Result<Option<IsoDuration>, ApiError> {
    object
        .text(member)?
        .map(|text| {
            text.parse().map_err(|_| {
                ApiError::invalid(
                    object.path(member),
                    "must be an ISO 8601 duration, for instance PT8H",
                )
            })
        })
        .transpose()
}

async fn output<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<LiveOutput, ApiError> {
    let project = &call.project()?.id;
    let (event, name) = (call.var("event"), call.var("output"));
    Ok(outputs::get(call.sql, project, event, name, call.moment.now).await?)
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let mut listing = call.listing()?;
    listing.count = true;
    let project = &call.project()?.id;
    let event = call.var("event");
    let page = outputs::list(call.sql, project, event, &listing, call.moment.now).await?;
    let items: Vec<_> = page
        .items
        .iter()
        .map(|output| render(call, output))
        .collect::<Result<_, _>>()?;
    let page = query_page(page.offset, page.total, page.next, items);
    Ok(counted(call, "LiveOutput", page))
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(Reply::ok(render(call, &output(call).await?)?))
}

pub(super) async fn state<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    Ok(light_state(output(call).await?.state.name()))
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let new = read(call)?;
    let project = &call.project()?.id;
    let (event, name) = (call.var("event"), call.var("output"));
    // An asset that a job or an upload rule made has no container yet, and the worker makes none.
    if let Some(asset) = assets::find(call.sql, project, &new.asset_name).await? {
        place(call, &asset).await?.create().await?;
    }
    let Put {
        output,
        written,
        operation,
    } = outputs::put(call.sql, project, event, name, &new, call.moment).await?;
    let reply = Reply::json(status(written), render(call, &output)?);
    match operation.status {
        OperationStatus::InProgress => {
            long_running::followed(call, reply, OPERATIONS, &path(call), &operation)
        }
        OperationStatus::Succeeded | OperationStatus::Failed => Ok(reply),
    }
}

pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    let (event, name) = (call.var("event"), call.var("output"));
    match outputs::delete(call.sql, project, event, name, call.moment).await? {
        None => Ok(Reply::deleted(false)),
        Some(operation) if operation.status == OperationStatus::Succeeded => {
            Ok(Reply::deleted(true))
        }
        Some(operation) => long_running::accepted(call, OPERATIONS, &path(call), &operation),
    }
}

/// The output's path below the account.
fn path<S, C>(call: &Call<'_, S, C>) -> String {
    let (event, output) = (segment(call.var("event")), segment(call.var("output")));
    format!("/liveEvents/{event}/liveOutputs/{output}")
}

async fn operation<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Operation, ApiError> {
    let project = &call.project()?.id;
    let id = call.var("operation");
    Ok(actions::operation(call.sql, project, LIVE_OUTPUTS, id, call.moment.now).await?)
}

pub(super) async fn operation_status<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    Ok(long_running::status(&operation(call).await?))
}

pub(super) async fn operation_result<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    long_running::result(&operation(call).await?, get(call)).await
}
