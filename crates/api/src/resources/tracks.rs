//! Tracks of an asset: those of its media, and files that were added. Spec: the management API reference, 2.3, 2.4, 2.6.
//!
//! What the media has is shown and not changed: its server manifest says what it is. MK.IO has no tracks; here they are on its
//! surfaces, too.

use headwater_blob::HttpClient;
use headwater_catalog::assets::{self, Asset};
use headwater_catalog::operations::{self, Operation};
use headwater_catalog::tracks::{self, NewTrack, Track, TrackKind};
use headwater_catalog::{CatalogError, Sql};
use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::assets::place;
use super::locators::segment;
use super::media_tracks::{self, MediaTrack};
use super::{asset_storage, listed, long_running, status, track_fields, whole};
use crate::call::Call;
use crate::captions;
use crate::dialect::{Envelope, account_path};
use crate::error::{ApiError, Kind};
use crate::reply::Reply;

async fn asset<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Asset, ApiError> {
    Ok(assets::get(call.sql, &call.project()?.id, call.var("asset")).await?)
}

async fn added<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Option<Track>, ApiError> {
    let project = &call.project()?.id;
    Ok(tracks::find(call.sql, project, call.var("asset"), call.var("track")).await?)
}

fn resource<S, C>(
    call: &Call<'_, S, C>,
    asset: &Asset,
    (name, kind): (&str, &str),
    mut track: Map<String, Json>,
    times: (jiff::Timestamp, jiff::Timestamp),
) -> Result<Json, ApiError> {
    track.insert(
        "@odata.type".into(),
        track_fields::discriminator(kind).into(),
    );
    let resource = Envelope {
        project: call.project()?,
        path: &[("assets", &asset.name), ("tracks", name)],
        properties: json!({"track": track, "provisioningState": "Succeeded"}),
        created: times.0,
        modified: Some(times.1),
    }
    .render();
    Ok(Json::Object(resource))
}

fn render<S, C>(call: &Call<'_, S, C>, asset: &Asset, track: Track) -> Result<Json, ApiError> {
    let mut members = track.properties;
    members.insert("fileName".into(), track.file_name.into());
    let times = (track.created, track.modified);
    resource(
        call,
        asset,
        (&track.name, track.kind.name()),
        members,
        times,
    )
}

fn render_media<S, C>(
    call: &Call<'_, S, C>,
    asset: &Asset,
    track: MediaTrack,
) -> Result<Json, ApiError> {
    let times = (asset.created, asset.modified);
    resource(
        call,
        asset,
        (&track.name, track.kind),
        track.properties,
        times,
    )
}

/// All of them, those of the media first: AMS knows no pages here.
pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let asset = asset(call).await?;
    let added = tracks::list(call.sql, &call.project()?.id, &asset.name).await?;
    let mut items = Vec::new();
    for track in media_tracks::of(call, &asset).await? {
        // A name that was used before the media had it stays with the track that was added.
        if !added.iter().any(|added| added.name == track.name) {
            items.push(render_media(call, &asset, track)?);
        }
    }
    for track in added {
        items.push(render(call, &asset, track)?);
    }
    listed(call, "AssetTrack", whole(items), Ok)
}

/// The track of the media that a path names.
async fn of_media<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    asset: &Asset,
) -> Result<Option<MediaTrack>, ApiError> {
    let name = call.var("track");
    let tracks = media_tracks::of(call, asset).await?;
    Ok(tracks.into_iter().find(|track| track.name == name))
}

/// Why a track that was not added cannot be changed: there is none, or it is the media's.
async fn refusal<S: Sql, C: HttpClient>(call: &Call<'_, S, C>, asset: &Asset) -> ApiError {
    let name = call.var("track");
    match of_media(call, asset).await {
        Err(error) => error,
        Ok(None) => tracks::not_found(name).into(),
        Ok(Some(_)) => ApiError::new(
            Kind::WrongState,
            format!(
                "Track '{name}' is part of the media of asset '{}', which this installation does not rewrite; \
                 tracks that were added can be changed and deleted.",
                asset.name
            ),
        ),
    }
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let asset = asset(call).await?;
    if let Some(track) = added(call).await? {
        return Ok(Reply::ok(render(call, &asset, track)?));
    }
    match of_media(call, &asset).await? {
        Some(track) => Ok(Reply::ok(render_media(call, &asset, track)?)),
        None => Err(tracks::not_found(call.var("track")).into()),
    }
}

pub(super) async fn put<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let name = call.var("track");
    let new = track_fields::read(&call.body()?)?.new_track()?;
    tracks::check(name, &new)?;
    let asset = asset(call).await?;
    if added(call).await?.is_none() && of_media(call, &asset).await?.is_some() {
        return Err(refusal(call, &asset).await);
    }
    check_file(call, &asset, &new).await?;
    let (track, written, done) = tracks::put(
        call.sql,
        &call.project()?.id,
        &asset.name,
        name,
        &new,
        call.moment,
    )
    .await?;
    let reply = Reply::json(status(written), render(call, &asset, track)?);
    // azure-mgmt-media 10.2.1 reads an answer that is final at once a second time, when the kind of track is lost to it.
    // With an operation to follow it asks for the track anew.
    followed(call, reply, &done)
}

/// Looks at the beginning of a track's file.
///
/// Errors: [`Kind::InvalidArgument`] naming the file, and the line in it.
async fn check_file<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    asset: &Asset,
    track: &NewTrack,
) -> Result<(), ApiError> {
    let file = &track.file_name;
    let wrong = |what: String| Err(ApiError::invalid("properties.track.fileName", what));
    let place = place(call, asset).await?;
    let Some(start) = place.start_of(file, captions::LOOKED_AT).await? else {
        return wrong(format!(
            "'{file}' not found in the container of asset '{}'",
            asset.name
        ));
    };
    let checked = match track.kind {
        TrackKind::Audio if start.bytes.is_empty() => return wrong(format!("'{file}' is empty")),
        // A recording is shown by its timeline, which has no place for a file.
        TrackKind::Audio if asset_storage::is_recording(call, asset, &place).await? => {
            return Err(ApiError::new(
                Kind::WrongState,
                format!(
                    "Asset '{}' is the recording of a live event: text can be added to it, sound cannot. Make MP4 files \
                     of it first ('BuiltInAssetConverterPreset').",
                    asset.name
                ),
            ));
        }
        TrackKind::Audio => Ok(()),
        TrackKind::Text if file.to_ascii_lowercase().ends_with(".ttml") => {
            captions::check_ttml(&start.bytes, start.whole)
        }
        TrackKind::Text => captions::check_webvtt(&start.bytes, start.whole),
    };
    match checked {
        Ok(()) => Ok(()),
        Err(fault) => wrong(format!("'{file}' line {}: {}", fault.line, fault.reason)),
    }
}

fn accepted<S, C>(call: &Call<'_, S, C>, done: &Operation) -> Result<Reply, ApiError> {
    followed(call, Reply::empty(StatusCode::ACCEPTED), done)
}

/// An answer with the headers that clients follow an operation by.
fn followed<S, C>(
    call: &Call<'_, S, C>,
    reply: Reply,
    done: &Operation,
) -> Result<Reply, ApiError> {
    let (asset, track) = (segment(call.var("asset")), segment(call.var("track")));
    let base = format!("/assets/{asset}/tracks/{track}");
    long_running::followed_at(
        call,
        reply,
        &format!("{base}/operationStatuses/{}", done.id),
        &format!("{base}/operationResults/{}", done.id),
    )
}

pub(super) async fn update<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let read = track_fields::read(&call.body()?)?;
    let asset = asset(call).await?;
    let Some(track) = added(call).await? else {
        return Err(refusal(call, &asset).await);
    };
    let changes = read.changes(&track)?;
    let project = &call.project()?.id;
    let (_, done) = tracks::update(
        call.sql,
        project,
        &asset.name,
        &track.name,
        &changes,
        call.moment,
    )
    .await?;
    accepted(call, &done)
}

/// Looks at the file again, which was replaced.
pub(super) async fn update_data<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let asset = asset(call).await?;
    let Some(track) = added(call).await? else {
        return Err(refusal(call, &asset).await);
    };
    let name = track.name;
    let track = NewTrack {
        kind: track.kind,
        file_name: track.file_name,
        properties: track.properties,
    };
    check_file(call, &asset, &track).await?;
    let project = &call.project()?.id;
    let done = tracks::touch(call.sql, project, &asset.name, &name, call.moment).await?;
    accepted(call, &done)
}

/// Takes the track away and leaves its file, as AMS did.
pub(super) async fn delete<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let project = &call.project()?.id;
    let (asset, name) = (call.var("asset"), call.var("track"));
    if let Some(done) = tracks::delete(call.sql, project, asset, name, call.moment).await? {
        return accepted(call, &done);
    }
    match assets::find(call.sql, project, asset).await? {
        Some(asset) if of_media(call, &asset).await?.is_some() => Err(refusal(call, &asset).await),
        _ => Ok(Reply::empty(StatusCode::NO_CONTENT)),
    }
}

async fn operation_of<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Operation, ApiError> {
    let id = call.var("operation");
    let found = operations::get(call.sql, &call.project()?.id, operations::TRACKS, id).await?;
    if found.resource != tracks::resource(call.var("asset"), call.var("track")) {
        return Err(CatalogError::not_found("Operation", id).into());
    }
    Ok(found)
}

pub(super) async fn operation_status<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let operation = operation_of(call).await?;
    let id = format!(
        "{}/assets/{}/operationStatuses/{}",
        account_path(call.project()?),
        operation.resource.replace('/', "/tracks/"),
        operation.id
    );
    let time = operation.created.to_string();
    Ok(Reply::ok(json!({
        "name": operation.id, "id": id, "status": operation.status.name(), "startTime": time, "endTime": time,
    })))
}

/// The track, or nothing if it was deleted.
pub(super) async fn operation_result<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    operation_of(call).await?;
    let asset = assets::find(call.sql, &call.project()?.id, call.var("asset")).await?;
    match (asset, added(call).await?) {
        (Some(asset), Some(track)) => Ok(Reply::ok(render(call, &asset, track)?)),
        _ => Ok(Reply::empty(StatusCode::NO_CONTENT)),
    }
}
