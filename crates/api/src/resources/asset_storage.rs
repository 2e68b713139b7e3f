//! What lies in an asset's place: files, folders, and what they are of. Spec: the management API reference, 1.5.
//!
//! | `formatHint` | For | Members |
//! |---|---|---|
//! | `mk.mezz.v0` | what a live output records or has recorded | `periods`, empty until there are media: clients poll it for that |
//! | `ams.v0` | files with a server manifest | `tracks`: what it says, by its name |
//! | `null` | anything else | neither |
//!
//! Only the server manifest or the head of the recording is read: what of it plays is said by `streaming`.

use headwater_blob::HttpClient;
use headwater_catalog::assets::Asset;
use headwater_catalog::{Sql, live};
use headwater_ism::{EntryKind, ServerManifest, TrackEntry};
use headwater_live::archive::{self, Recording};
use headwater_live::stream::Kind;
use headwater_live::timeline::{Config, Track};
use serde_json::{Map, Value as Json, json};

use super::assets::{asset, place};
use crate::call::Call;
use crate::error::ApiError;
use crate::place::{File, Place};
use crate::reply::Reply;

/// As the origin reads it.
const MOST_HEAD_BYTES: u64 = 8 << 20;

/// The one period of a recording, as MK.IO calls it.
const PERIOD: &str = "0/index/edge";

/// What the files are of.
#[derive(Default)]
struct Format {
    hint: Option<&'static str>,
    tracks: Map<String, Json>,
    periods: Map<String, Json>,
    error: Option<String>,
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let asset = asset(call).await?;
    let place = place(call, &asset).await?;
    let (files, folders) = place.list().await?;
    let format = look(call, &asset, &place, (&files, &folders)).await?;
    let error = format.error.map(|message| json!({"message": message}));
    let files: Vec<_> = files
        .iter()
        .map(|file| json!({"name": file.name, "size": file.len}))
        .collect();
    let folders: Vec<_> = folders
        .iter()
        .map(|folder| json!({"name": folder.trim_end_matches('/')}))
        .collect();
    Ok(Reply::ok(json!({
        "metadata": {
            "id": asset.asset_id, "name": asset.name,
            "created": asset.created.to_string(), "updated": asset.modified.to_string(),
            // The audit log has it.
            "createdBy": null, "updatedBy": null,
        },
        "spec": {
            "container": asset.container, "files": files, "folders": folders, "formatHint": format.hint,
            "tracks": format.tracks, "periods": format.periods, "error": error.unwrap_or(json!({})), "exceptions": [],
        },
    })))
}

async fn look<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    asset: &Asset,
    place: &Place<'_, C>,
    (files, folders): (&[File], &[String]),
) -> Result<Format, ApiError> {
    let there = |name: &str| files.iter().any(|file| file.name == name);
    let Some(manifest) = manifest_of(asset, files) else {
        return Ok(Format::default());
    };
    let stem = stem(manifest);
    if folders.contains(&timeline_folder(stem)) {
        return recorded(place, stem).await;
    }
    if is_recorded_into(call, asset).await? {
        return Ok(Format {
            hint: Some("mk.mezz.v0"),
            ..Format::default()
        });
    }
    match there(manifest) {
        true => written_down(place, manifest).await,
        false => Ok(Format::default()),
    }
}

/// Whether the asset has what a live output records or has recorded.
pub(super) async fn is_recording<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    asset: &Asset,
    place: &Place<'_, C>,
) -> Result<bool, ApiError> {
    let (files, folders) = place.list().await?;
    let folder = manifest_of(asset, &files).map(|manifest| timeline_folder(stem(manifest)));
    match folder.is_some_and(|folder| folders.contains(&folder)) {
        true => Ok(true),
        false => is_recorded_into(call, asset).await,
    }
}

async fn is_recorded_into<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    asset: &Asset,
) -> Result<bool, ApiError> {
    let project = &call.project()?.id;
    let output = live::outputs::recording(call.sql, project, &asset.name).await?;
    Ok(output.is_some())
}

/// The server manifest: that of a recording is known before it is written.
fn manifest_of<'a>(asset: &'a Asset, files: &'a [File]) -> Option<&'a str> {
    let listed = || {
        let mut names = files.iter().map(|file| file.name.as_str());
        names.find(|name| name.to_ascii_lowercase().ends_with(".ism"))
    };
    asset.manifest.as_deref().or_else(listed)
}

fn stem(manifest: &str) -> &str {
    manifest.rsplit_once('.').map_or(manifest, |(stem, _)| stem)
}

/// Where the timeline of a recording is.
fn timeline_folder(stem: &str) -> String {
    format!("{stem}.live/")
}

async fn recorded<C: HttpClient>(place: &Place<'_, C>, stem: &str) -> Result<Format, ApiError> {
    let mut format = Format {
        hint: Some("mk.mezz.v0"),
        ..Format::default()
    };
    let name = archive::head_name(stem);
    let Some(head) = place.start_of(&name, MOST_HEAD_BYTES).await? else {
        return Ok(format);
    };
    match Recording::parse(&head.bytes) {
        Ok(recording) => {
            if let Some(period) = period(&recording.open.tracks) {
                format.periods.insert(PERIOD.into(), period);
            }
        }
        Err(error) => format.error = Some(format!("'{name}': {error}.")),
    }
    Ok(format)
}

/// The tracks of which there are media; `None` if there are none.
fn period(tracks: &[Track]) -> Option<Json> {
    // Levels of one name are one set that players switch in.
    let mut sets: Vec<((Kind, &str), Vec<Json>)> = Vec::new();
    for track in tracks {
        let Some(config) = track.configs.last() else {
            continue;
        };
        let of = (track.kind, track.name.as_str());
        let shown = representation(track, config);
        match sets.iter_mut().find(|(other, _)| *other == of) {
            Some((_, levels)) => levels.push(shown),
            None => sets.push((of, vec![shown])),
        }
    }
    let sets: Vec<_> = sets
        .into_iter()
        .map(|((kind, _), levels)| json!({"content_type": kind.name(), "representation": levels}))
        .collect();
    (!sets.is_empty()).then(|| json!({"adaptation_set": sets}))
}

fn representation(track: &Track, config: &Config) -> Json {
    let mut shown = json!({
        "id": archive::folder(track), "bandwidth": track.bitrate, "codecs": config.codec,
    });
    let more = match track.kind {
        Kind::Video => [("width", config.width), ("height", config.height)],
        Kind::Audio => [
            ("audioSamplingRate", config.sample_rate),
            ("audio_channel_configuration", config.channels.into()),
        ],
    };
    if let Json::Object(members) = &mut shown {
        members.extend(more.map(|(name, value)| (name.to_owned(), value.into())));
    }
    shown
}

async fn written_down<C: HttpClient>(
    place: &Place<'_, C>,
    manifest: &str,
) -> Result<Format, ApiError> {
    let mut format = Format {
        hint: Some("ams.v0"),
        ..Format::default()
    };
    let limit = u64::try_from(headwater_ism::MAX_BYTES).unwrap_or(u64::MAX);
    let start = place.start_of(manifest, limit.saturating_add(1)).await?;
    let Some(start) = start else {
        return Ok(format);
    };
    match headwater_ism::parse(&start.bytes) {
        Ok(parsed) => {
            format.tracks.insert(manifest.into(), document(&parsed));
        }
        Err(error) => format.error = Some(format!("'{manifest}': {error}.")),
    }
    Ok(format)
}

/// A server manifest as MK.IO shows it.
fn document(manifest: &ServerManifest) -> Json {
    let of = |kind: EntryKind| -> Vec<Json> {
        let entries = manifest.tracks.iter();
        entries
            .filter(|entry| entry.kind == kind)
            .map(element)
            .collect()
    };
    json!({
        "head": {
            "formats": manifest.formats, "compatVersion": null,
            "clientManifestRelativePath": manifest.client_manifest, "availabilityStartTime": null,
            "fragmentsPerHLSSegment": manifest.fragments_per_hls_segment, "extra": {},
        },
        "body": {
            "video": of(EntryKind::Video), "audio": of(EntryKind::Audio), "textstream": of(EntryKind::Text),
        },
    })
}

fn element(entry: &TrackEntry) -> Json {
    json!({
        "src": entry.source, "systemBitrate": entry.bitrate, "systemLanguage": entry.language,
        "trackID": entry.track_id, "trackName": entry.track_name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(kind: Kind, name: &str, bitrate: u32, configs: Vec<Config>) -> Track {
        Track {
            kind,
            name: name.into(),
            bitrate,
            language: None,
            configs,
        }
    }

    fn config(codec: &str, (width, height): (u32, u32), channels: u16) -> Config {
        Config {
            codec: codec.into(),
            timescale: headwater_live::CLOCK,
            width,
            height,
            sample_rate: 48_000,
            channels,
            init: Vec::new(),
        }
    }

    #[test]
    fn a_period_has_a_set_for_each_track_of_which_there_are_media() {
        assert_eq!(period(&[]), None);
        let announced = track(Kind::Video, "video", 1, Vec::new());
        assert_eq!(period(std::slice::from_ref(&announced)), None);
        let video = |bitrate, size| {
            let configs = vec![config("avc1.64001f", size, 0)];
            track(Kind::Video, "video", bitrate, configs)
        };
        let sound = vec![config("mp4a.40.2", (0, 0), 2)];
        let tracks = [
            announced,
            video(2, (640, 360)),
            track(Kind::Audio, "audio", 9, sound),
            video(3, (1280, 720)),
        ];
        assert_eq!(
            period(&tracks).unwrap(),
            json!({"adaptation_set": [
                {"content_type": "video", "representation": [
                    {"id": "video_2", "bandwidth": 2, "codecs": "avc1.64001f", "width": 640, "height": 360},
                    {"id": "video_3", "bandwidth": 3, "codecs": "avc1.64001f", "width": 1280, "height": 720},
                ]},
                {"content_type": "audio", "representation": [{
                    "id": "audio_9", "bandwidth": 9, "codecs": "mp4a.40.2",
                    "audioSamplingRate": 48000, "audio_channel_configuration": 2,
                }]},
            ]})
        );
    }
}
