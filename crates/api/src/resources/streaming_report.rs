//! What of an asset plays, track by track and protocol by protocol, and why the rest does not: the origin's judgement.
//!
//! It is made as the first player's request would make it, packaging indexes included, so that one finds them there.

use headwater_blob::HttpClient;
use headwater_catalog::{Sql, assets};
use headwater_cmaf::index::TrackKind;
use headwater_origin::{Report, report};
use serde_json::{Map, Value as Json, json};

use super::assets::place;
use super::locator_paths::streaming_stem;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::place::Place;
use crate::reply::Reply;

/// What there is to play in a place.
pub(super) struct Streaming {
    /// The name in streaming URLs, without `.ism`; `None` if there is nothing to play.
    pub stem: Option<String>,
    pub report: Report,
}

/// Protocols, as `streamingProtocol` names them, but for HLS, whose two containers do not carry the same.
const PROTOCOLS: [&str; 4] = ["Hls", "HlsTs", "Dash", "SmoothStreaming"];

/// Looks at a place. `manifest`: the server manifest, if it is known.
pub(super) async fn look<C: HttpClient>(
    place: &Place<'_, C>,
    manifest: Option<&str>,
    now: jiff::Timestamp,
) -> Result<Streaming, ApiError> {
    let nothing = |left_out| Report {
        has_manifest: false,
        tracks: Vec::new(),
        sheets: None,
        left_out,
        warnings: Vec::new(),
    };
    let (files, _) = place.list().await?;
    let there = |name: &&str| files.iter().any(|file| file.name == *name);
    let Some(stem) = streaming_stem(manifest.filter(there), &files) else {
        return Ok(Streaming {
            stem: None,
            report: nothing(Vec::new()),
        });
    };
    let (storage, folder) = (place.blobs(), place.folder());
    let identity = format!("{}/{}", place.container_url(), folder.folder);
    let made = report(&storage, (&folder, &identity), &stem, now, |_| {}).await;
    let report = match made {
        Ok(report) => report,
        Err(error) => match error.code().kind().status() {
            // The media or its description is at fault, and that is what is asked for.
            404 | 415 => nothing(vec![headwater_origin::LeftOut {
                file: format!("{stem}.ism"),
                track: None,
                reason: error.detail().to_owned(),
            }]),
            503 => {
                return Err(ApiError {
                    context: Some(error.log_line()),
                    ..ApiError::new(
                        Kind::Unavailable,
                        "Storage is busy, or the asset is being looked at. Try again.",
                    )
                });
            }
            _ => {
                return Err(ApiError {
                    context: Some(error.log_line()),
                    ..ApiError::new(Kind::Upstream, "Storage refused the request.")
                });
            }
        },
    };
    Ok(Streaming {
        stem: Some(stem),
        report,
    })
}

/// As the wire has it.
pub(super) fn render(streaming: &Streaming) -> Json {
    let report = &streaming.report;
    let tracks = report.tracks.iter().map(|track| {
        let mut members = Map::new();
        let mut set = |name: &str, value: Json| {
            if !value.is_null() {
                members.insert(name.into(), value);
            }
        };
        let refused = |protocol: &str| {
            let of = match protocol {
                "HlsTs" => "HLS over MPEG-2 TS",
                "SmoothStreaming" => "Smooth Streaming",
                _ => return None,
            };
            track.refusals.iter().find(|refusal| refusal.protocol == of)
        };
        let carried = PROTOCOLS
            .into_iter()
            .filter(|protocol| refused(protocol).is_none());
        let refusals = PROTOCOLS.into_iter().filter_map(|protocol| {
            let refusal = refused(protocol)?;
            Some(json!({"protocol": protocol, "reason": refusal.reason}))
        });
        set("name", track.name.clone().into());
        set("type", kind(track.kind).into());
        set("fileName", track.file.clone().into());
        set("mpeg4TrackId", track.id.into());
        set("bitRate", track.bitrate.into());
        set("codec", track.codec.clone().into());
        set("languageCode", track.language.clone().into());
        set("durationMs", track.duration_ms.into());
        set("segments", track.segments.into());
        set("protocols", carried.collect::<Vec<_>>().into());
        set("refusals", refusals.collect());
        Json::Object(members)
    });
    let left_out = report.left_out.iter().map(|left_out| {
        let mut members = Map::new();
        if !left_out.file.is_empty() {
            members.insert("fileName".into(), left_out.file.clone().into());
        }
        if let Some(track) = left_out.track {
            members.insert("mpeg4TrackId".into(), track.into());
        }
        members.insert("reason".into(), left_out.reason.clone().into());
        Json::Object(members)
    });
    let mut shown = json!({
        "hasManifest": report.has_manifest,
        "tracks": tracks.collect::<Vec<_>>(),
        "leftOut": left_out.collect::<Vec<_>>(),
        "warnings": report.warnings,
    });
    if let Json::Object(members) = &mut shown {
        if let Some(stem) = &streaming.stem {
            members.insert("name".into(), stem.clone().into());
        }
        if let Some(sheets) = &report.sheets {
            members.insert("thumbnails".into(), sheets.clone().into());
        }
    }
    shown
}

fn kind(kind: TrackKind) -> &'static str {
    match kind {
        TrackKind::Video => "Video",
        TrackKind::Audio => "Audio",
        TrackKind::Text => "Text",
    }
}

pub(super) async fn get<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let asset = assets::get(call.sql, &call.project()?.id, call.var("asset")).await?;
    let place = place(call, &asset).await?;
    let streaming = look(&place, asset.manifest.as_deref(), call.moment.now).await?;
    Ok(Reply::ok(render(&streaming)))
}
