//! The ingest worker's side: claim, renew, release. The contract is `headwater_work::live`.

use headwater_blob::HttpClient;
use headwater_catalog::jobs::queue::Location;
use headwater_catalog::live::queue::{self, Assigned, Report};
use headwater_catalog::live::{LiveOutput, LiveOutputState, source};
use headwater_catalog::{IsoDuration, Sql};
use headwater_work::live::{
    Assignment, Claim, ClaimRequest, Encoding, Fill, FillWith, Input, Output, OutputWanted,
    Preview, ReleaseRequest, RenewRequest, StreamOption,
};
use http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use super::work::{everything, open, read, signed};
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;

fn event_id<S, C>(call: &Call<'_, S, C>) -> Result<Uuid, ApiError> {
    Uuid::parse_str(call.var("id")).map_err(|_| ApiError::invalid("eventId", "must be a UUID"))
}

pub(super) async fn claim<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let request: ClaimRequest = read(call)?;
    let claimed = queue::claim(
        call.sql,
        call.seal,
        &request.worker,
        request.lease_seconds,
        request.leave_lapsed,
        call.moment,
    )
    .await?;
    let Some((lease, assigned)) = claimed else {
        return Ok(Reply::empty(StatusCode::NO_CONTENT));
    };
    Ok(Reply::ok(json!(Claim {
        lease,
        lease_seconds: request.lease_seconds,
        assignment: assignment(call, assigned)?,
    })))
}

pub(super) async fn renew<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let request: RenewRequest = read(call)?;
    let report = Report {
        state: request.state,
        generation: request.generation,
        endpoints: &request.endpoints,
        edge: request.edge.as_ref(),
        outputs: &request.outputs,
        health: request.health.as_ref(),
    };
    let assigned = queue::renew(
        call.sql,
        call.seal,
        event_id(call)?,
        &request.lease,
        report,
        call.moment.now,
    )
    .await?;
    Ok(Reply::ok(json!(assignment(call, assigned)?)))
}

pub(super) async fn release<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let request: ReleaseRequest = read(call)?;
    let failure = request.failure.as_deref();
    let now = call.moment.now;
    queue::release(call.sql, event_id(call)?, &request.lease, failure, now).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// What the worker is told.
fn assignment<S, C: HttpClient>(
    call: &Call<'_, S, C>,
    assigned: Assigned,
) -> Result<Assignment, ApiError> {
    let wanted = assigned.wanted();
    let event = assigned.event;
    let stream_option = event.properties.stream_option();
    let properties = event.properties;
    let outputs = assigned
        .outputs
        .into_iter()
        .map(|(output, location)| instruct(call, output, location, stream_option))
        .collect::<Result<_, _>>()?;
    let name = event.name;
    let static_hostname = properties
        .use_static_hostname
        .then(|| properties.hostname_prefix.unwrap_or_else(|| name.clone()));
    Ok(Assignment {
        event_id: event.id,
        project: assigned.project,
        event_name: name,
        wanted,
        generation: event.generation,
        input: Input {
            protocol: properties.input.streaming_protocol,
            access_token: assigned.access_token,
            key_frame_interval_ms: properties
                .input
                .key_frame_interval_duration
                .map(|interval| interval.as_millis()),
            allow: properties.input.access_control.ip.allow,
            fill: fill(properties.input.fill_with, properties.input.fill_after),
        },
        preview: Preview {
            locator: properties.preview.preview_locator,
            allow: properties.preview.access_control.ip.allow,
        },
        encoding: Encoding {
            encoding_type: properties.encoding.encoding_type,
            preset_name: properties.encoding.preset_name,
            key_frame_interval_ms: properties
                .encoding
                .key_frame_interval
                .map(|interval| interval.as_millis()),
            stretch_mode: properties.encoding.stretch_mode,
            ladder: properties.encoding.ladder,
        },
        stream_option,
        static_hostname,
        outputs,
    })
}

fn fill(with: Option<FillWith>, after: Option<IsoDuration>) -> Option<Fill> {
    Some(Fill {
        with: with.filter(|with| *with != FillWith::None)?,
        after_ms: after?.as_millis(),
    })
}

fn instruct<S, C: HttpClient>(
    call: &Call<'_, S, C>,
    output: LiveOutput,
    location: Location,
    stream_option: StreamOption,
) -> Result<Output, ApiError> {
    let place = open(call, &location)?;
    let archive_window_ms = output.properties.archive_window_length.as_millis();
    let rewind_window_ms = source::rewind_ms(&output.properties, stream_option);
    Ok(Output {
        output_id: output.id,
        name: output.name,
        asset_name: output.asset_name,
        wanted: match output.state {
            LiveOutputState::Creating | LiveOutputState::Running => OutputWanted::Record,
            LiveOutputState::Deleting => OutputWanted::Finish,
        },
        place: signed(&place, location.sub_path, everything())?,
        manifest_name: output.manifest_name,
        archive_window_ms,
        rewind_window_ms,
        fragments_per_ts_segment: output.properties.hls.fragments_per_ts_segment,
        output_snap_time: output.properties.output_snap_time,
        made: i64::try_from(output.created.as_nanosecond() / 100).ok(),
    })
}
