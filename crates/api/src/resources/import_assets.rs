//! Containers that are there become assets; a missing server manifest is written.

use bytes::Bytes;
use headwater_blob::HttpClient;
use headwater_catalog::{Sql, assets as catalog_assets, names, storage};
use headwater_cmaf::index::TrackKind;
use headwater_ism::{EntryKind, ServerManifest, TrackEntry};
use headwater_origin::{Report, Storage as _, StorageError};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::assets;
use super::import_items::Item;
use super::imports::{Outcome, bytes, instead, would};
use super::streaming_report::{self, Streaming};
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::place::Place;

/// An asset over a container that is there, and what of it plays. A missing server manifest is written.
pub(super) async fn asset<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    item: &Item,
    dry: bool,
    more: &mut Map<String, Json>,
) -> Result<(Outcome, Streaming), ApiError> {
    names::resource("name", &item.name)?;
    let encrypted = item.members.get("storageEncryptionFormat");
    if encrypted.is_some_and(|format| format == "MediaStorageClientEncryption") {
        return Err(ApiError::new(
            Kind::WrongState,
            "The asset is encrypted in storage. Its key was Azure Media Services' to give out, and is in no container; decrypt \
             it with an exported key first.",
        ));
    }
    let project = &call.project()?.id;
    let mut item = item.clone();
    if item.get("containerDeletionPolicy").is_none() {
        // What was there before us stays when we are done with it.
        item.set("containerDeletionPolicy", "Retain".into());
    }
    let body = bytes(&item.body);
    let put = instead(call, &[("asset", &item.name)], &body);
    let write = assets::read(&put)?;
    let existing = catalog_assets::find(call.sql, project, &item.name).await?;
    let account = match (&existing, &write.storage_account) {
        (Some(asset), _) => storage::get(call.sql, project, &asset.storage_account).await?,
        (None, Some(name)) => storage::get(call.sql, project, name).await?,
        (None, None) => storage::primary(call.sql, project).await?,
    };
    let (container, folder) = match (&existing, &write.container) {
        (Some(asset), _) => (asset.container.clone(), asset.sub_path.clone()),
        (None, Some(container)) => {
            names::container("container", container)?;
            (
                container.clone(),
                write.sub_path.clone().unwrap_or_default(),
            )
        }
        (None, None) => {
            return Err(ApiError::invalid(
                "container",
                "is required: an import makes no containers",
            ));
        }
    };
    let place = assets::open(call, &account, &container, &folder)?;
    let (files, folders) = place.list().await?;
    if files.is_empty() && folders.is_empty() {
        return Err(ApiError::new(
            Kind::NotFound,
            format!(
                "Container '{container}' of storage account '{}' is empty or not there.",
                account.name
            ),
        ));
    }
    let manifest = existing
        .as_ref()
        .and_then(|asset| asset.manifest.as_deref());
    let mut streaming = streaming_report::look(&place, manifest, call.moment.now).await?;
    let missing = match (&streaming.stem, streaming.report.has_manifest) {
        (Some(stem), false) if !streaming.report.tracks.is_empty() => Some(format!("{stem}.ism")),
        _ => None,
    };
    if let Some(name) = &missing {
        more.insert("serverManifest".into(), name.clone().into());
    }
    more.insert("streaming".into(), streaming_report::render(&streaming));
    if dry {
        return Ok((would(existing.is_some()), streaming));
    }
    let wanted = item.members.get("assetId").and_then(Json::as_str);
    let wanted = wanted.and_then(|id| Uuid::parse_str(id).ok());
    let outcome = match existing {
        Some(_) => Outcome::Exists,
        None => Outcome::of(&assets::put_as(&put, wanted).await?),
    };
    if let Some(name) = missing {
        write_manifest(&place, &name, &streaming.report).await?;
        catalog_assets::set_manifest(call.sql, project, &item.name, &name).await?;
        streaming.report.has_manifest = true;
    }
    Ok((outcome, streaming))
}

/// Writes a server manifest that lists what a report found. One that is there by now stays.
async fn write_manifest<C: HttpClient>(
    place: &Place<'_, C>,
    name: &str,
    report: &Report,
) -> Result<(), ApiError> {
    let text = headwater_ism::write(&manifest_of(report));
    let (storage, folder) = (place.blobs(), place.folder());
    match storage.put(&folder, name, Bytes::from(text), None).await {
        Ok(_) | Err(StorageError::Changed) => Ok(()),
        Err(error) => Err(ApiError {
            context: Some(error.to_string()),
            ..ApiError::new(
                Kind::Upstream,
                format!("Storage refused the server manifest '{name}'."),
            )
        }),
    }
}

fn manifest_of(report: &Report) -> ServerManifest {
    let tracks = report.tracks.iter().map(|track| {
        let kind = match track.kind {
            TrackKind::Video => EntryKind::Video,
            TrackKind::Audio => EntryKind::Audio,
            // Once there is a server manifest, nobody looks for text beside the media.
            TrackKind::Text => EntryKind::Text,
        };
        let mut entry = TrackEntry::new(kind, track.file.clone());
        entry.bitrate = Some(track.bitrate);
        entry.track_id = track.id;
        entry.track_name = Some(track.name.clone());
        entry.language = track.language.clone();
        entry
    });
    let smooth = |file: &str| {
        let file = file.to_ascii_lowercase();
        file.ends_with(".ismv") || file.ends_with(".isma")
    };
    let mut media = report.tracks.iter().filter(|t| t.kind != TrackKind::Text);
    let all_smooth = media.all(|track| smooth(&track.file));
    ServerManifest {
        formats: Some(if all_smooth { "fmp4" } else { "mp4" }.to_owned()),
        tracks: tracks.collect(),
        ..ServerManifest::default()
    }
}
