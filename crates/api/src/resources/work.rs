//! The worker's side: claim, renew, finish; and share, assist, take, records, by which several make one job. The contract is `headwater-work`.

use headwater_blob::{HttpClient, Permissions};
use headwater_catalog::Sql;
use headwater_catalog::jobs::queue::{self, Claimed, ClaimedInput, Ending, Location};
use headwater_catalog::jobs::sharing;
use headwater_work::{
    Assist, AssistRequest, Claim, ClaimRequest, FinishRequest, JobErrorCode, JobFailure, Outcome,
    PLACES_LAST, Place as WorkPlace, PlacesRequest, PlacesResponse, RecordsRequest,
    RecordsResponse, RenewRequest, RenewResponse, ShareRequest, TakeRequest, TakeResponse,
    WorkInput, WorkOutput,
};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::json;
use uuid::Uuid;

use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::place::Place;
use crate::reply::Reply;

pub(super) fn read<T: DeserializeOwned, S, C>(call: &Call<'_, S, C>) -> Result<T, ApiError> {
    serde_json::from_value(call.body()?).map_err(|error| ApiError::invalid("body", error))
}

fn job_id<S, C>(call: &Call<'_, S, C>) -> Result<Uuid, ApiError> {
    Uuid::parse_str(call.var("id")).map_err(|_| ApiError::invalid("jobId", "must be a UUID"))
}

pub(super) fn open<'a, S, C: HttpClient>(
    call: &'a Call<'_, S, C>,
    location: &Location,
) -> Result<Place<'a, C>, ApiError> {
    Place::new(
        call.http,
        call.seal,
        &location.storage,
        &location.container,
        &location.sub_path,
        call.moment.now,
    )
}

pub(super) fn signed<C: HttpClient>(
    place: &Place<'_, C>,
    sub_path: String,
    permissions: Permissions,
) -> Result<WorkPlace, ApiError> {
    Ok(WorkPlace {
        container_url: place.container_url().to_owned(),
        sas: place.worker_sas(permissions, PLACES_LAST)?,
        sub_path,
    })
}

fn reading() -> Permissions {
    Permissions::READ.with(Permissions::LIST)
}

/// What a place that is written to is signed for.
pub(super) fn everything() -> Permissions {
    reading()
        .with(Permissions::WRITE)
        .with(Permissions::CREATE)
        .with(Permissions::DELETE)
}

pub(super) async fn claim<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let request: ClaimRequest = read(call)?;
    let claimed = queue::claim(
        call.sql,
        call.seal,
        &request.worker,
        request.lease_seconds,
        call.moment,
    )
    .await?;
    let Some(claimed) = claimed else {
        return Ok(Reply::empty(StatusCode::NO_CONTENT));
    };
    let (job, lease) = (claimed.job_id, claimed.lease.clone());
    match prepare(call, claimed, request.lease_seconds, Containers::ToMake).await {
        Ok(claim) => Ok(Reply::ok(json!(claim))),
        Err(error) => {
            // Without a place to work in there is no claim.
            let ending = Ending::Unprepared(unprepared(&error));
            queue::finish(call.sql, job, &lease, &ending, None, call.moment).await?;
            Err(error)
        }
    }
}

/// What the job's owner learns once it is given up.
fn unprepared(error: &ApiError) -> JobFailure {
    JobFailure {
        code: if error.kind == Kind::Unavailable {
            JobErrorCode::UploadTransientError
        } else {
            JobErrorCode::UploadNotAccessible
        },
        message: "The containers of the job's assets could not be made ready.".into(),
        details: vec![error.message.clone()],
    }
}

fn input<S, C: HttpClient>(
    call: &Call<'_, S, C>,
    claimed: ClaimedInput,
) -> Result<WorkInput, ApiError> {
    let all = |inputs: Vec<ClaimedInput>| {
        inputs
            .into_iter()
            .map(|claimed| input(call, claimed))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(match claimed {
        ClaimedInput::Http { urls, selection } => WorkInput::Http { urls, selection },
        ClaimedInput::Asset {
            location,
            files,
            selection,
        } => {
            let place = open(call, &location)?;
            WorkInput::Asset {
                place: signed(&place, location.sub_path, reading())?,
                files,
                selection,
            }
        }
        ClaimedInput::Sequence { inputs } => WorkInput::Sequence {
            inputs: all(inputs)?,
        },
        ClaimedInput::Several { inputs } => WorkInput::Several {
            inputs: all(inputs)?,
        },
    })
}

/// Whether the containers of outputs are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Containers {
    Are,
    /// Assets that a job or an upload rule made have none yet.
    ToMake,
}

async fn prepare<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    claimed: Claimed,
    lease_seconds: u32,
    containers: Containers,
) -> Result<Claim, ApiError> {
    let all = everything();
    let input = input(call, claimed.input)?;
    let mut outputs = Vec::with_capacity(claimed.outputs.len());
    for output in claimed.outputs {
        let place = open(call, &output.location)?;
        if containers == Containers::ToMake {
            place.create().await?;
        }
        outputs.push(WorkOutput {
            index: output.index,
            asset_name: output.asset_name,
            place: signed(&place, output.location.sub_path, all)?,
            preset: output.preset,
            continues: output.continues,
            urgency: output.urgency,
        });
    }
    Ok(Claim {
        job_id: claimed.job_id,
        lease: claimed.lease,
        lease_seconds,
        attempt: claimed.attempt,
        input,
        outputs,
        chunks: claimed.chunks,
    })
}

pub(super) async fn renew<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let request: RenewRequest = read(call)?;
    let cancel = queue::renew(
        call.sql,
        job_id(call)?,
        &request.lease,
        &request.progress,
        &request.chunks,
        call.moment,
    )
    .await?;
    if let Some(engine) = &request.engine {
        queue::note_engine(call.sql, job_id(call)?, &request.lease, engine).await?;
    }
    Ok(Reply::ok(json!(RenewResponse { cancel })))
}

pub(super) async fn places<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let request: PlacesRequest = read(call)?;
    let claimed = sharing::claimed(call.sql, call.seal, job_id(call)?, &request.lease).await?;
    let claim = prepare(call, claimed, 0, Containers::Are).await?;
    let places = claim.places().into_iter().cloned().collect();
    Ok(Reply::ok(json!(PlacesResponse { places })))
}

pub(super) async fn finish<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let request: FinishRequest = read(call)?;
    let ending = match request.outcome {
        Outcome::Finished {
            manifests,
            encoded,
            failed,
        } => Ending::Finished {
            manifests,
            encoded,
            failed,
        },
        Outcome::Error(failure) => Ending::Failed(failure),
        Outcome::Canceled => Ending::Stopped,
    };
    queue::finish(
        call.sql,
        job_id(call)?,
        &request.lease,
        &ending,
        request.engine.as_ref(),
        call.moment,
    )
    .await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn share<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let request: ShareRequest = read(call)?;
    sharing::share(
        call.sql,
        job_id(call)?,
        &request.lease,
        (request.output, &request.plan),
        &request.lots,
        call.moment,
    )
    .await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn take<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let request: TakeRequest = read(call)?;
    let want = sharing::Want {
        output: request.output,
        plan: &request.plan,
        holding: &request.holding,
    };
    let taken = sharing::take(call.sql, job_id(call)?, &request.lease, want, call.moment).await?;
    Ok(Reply::ok(json!(TakeResponse {
        chunks: taken.chunks,
        left: taken.left,
        made: taken.made,
    })))
}

pub(super) async fn records<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let request: RecordsRequest = read(call)?;
    let records = sharing::records(
        call.sql,
        job_id(call)?,
        &request.lease,
        request.output,
        &request.chunks,
    )
    .await?;
    Ok(Reply::ok(json!(RecordsResponse { records })))
}

pub(super) async fn assist<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let request: AssistRequest = read(call)?;
    let worker = (request.worker.as_str(), request.lease_seconds);
    let found = sharing::assist(call.sql, call.seal, worker, &request.except, call.moment).await?;
    let Some((claimed, outputs)) = found else {
        return Ok(Reply::empty(StatusCode::NO_CONTENT));
    };
    let claim = prepare(call, claimed, request.lease_seconds, Containers::Are).await?;
    Ok(Reply::ok(json!(Assist { claim, outputs })))
}
