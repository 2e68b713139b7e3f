//! The tracks that an asset's media has: what its server manifest lists, else what its packaging indexes say.
//!
//! Several levels of one name are one track here, as they are for players.

use headwater_blob::HttpClient;
use headwater_catalog::Sql;
use headwater_catalog::assets::Asset;
use headwater_cmaf::index::{IndexHead, TrackKind, default_name};
use headwater_ism::{EntryKind, ServerManifest};
use serde_json::{Map, Value as Json};

use super::assets::place;
use crate::call::Call;
use crate::error::{ApiError, Kind};

/// A track, as AMS shows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MediaTrack {
    pub name: String,
    /// `VideoTrack`, `AudioTrack` or `TextTrack`.
    pub kind: &'static str,
    pub properties: Map<String, Json>,
}

impl MediaTrack {
    fn new(name: String, kind: &'static str) -> Self {
        Self {
            name,
            kind,
            properties: Map::new(),
        }
    }

    fn set(&mut self, member: &str, value: Option<impl Into<Json>>) {
        if let Some(value) = value {
            self.properties.insert(member.into(), value.into());
        }
    }
}

/// Errors: [`Kind::WrongState`] for a server manifest that cannot be read.
pub(super) async fn of<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
    asset: &Asset,
) -> Result<Vec<MediaTrack>, ApiError> {
    let place = place(call, asset).await?;
    let manifest = match &asset.manifest {
        Some(manifest) => Some(manifest.clone()),
        None => {
            let (files, _) = place.list().await?;
            let is_manifest = |name: &String| name.to_ascii_lowercase().ends_with(".ism");
            files.into_iter().map(|file| file.name).find(is_manifest)
        }
    };
    if let Some(manifest) = manifest {
        let limit = u64::try_from(headwater_ism::MAX_BYTES).unwrap_or(u64::MAX);
        if let Some(start) = place.start_of(&manifest, limit.saturating_add(1)).await? {
            let parsed = headwater_ism::parse(&start.bytes).map_err(|error| {
                ApiError::new(Kind::WrongState, format!("'{manifest}': {error}."))
            })?;
            return Ok(listed(&parsed));
        }
    }
    Ok(indexed(&place.indexes().await?))
}

fn listed(manifest: &ServerManifest) -> Vec<MediaTrack> {
    let mut tracks: Vec<MediaTrack> = Vec::new();
    for entry in &manifest.tracks {
        let (kind, unnamed) = match entry.kind {
            EntryKind::Video => ("VideoTrack", "video"),
            EntryKind::Audio => ("AudioTrack", "audio"),
            EntryKind::Text => ("TextTrack", "text"),
            EntryKind::Reference => continue,
        };
        let taken = |name: &str| tracks.iter().any(|track| track.name == name);
        let name = match &entry.track_name {
            Some(name) => name.clone(),
            // Levels of video are one track, but every sound without a name is one of its own.
            None if entry.kind == EntryKind::Video => unnamed.to_owned(),
            None => (1..)
                .map(|number: u32| match number {
                    1 => unnamed.to_owned(),
                    number => format!("{unnamed}_{number}"),
                })
                .find(|name| !taken(name))
                .unwrap_or_default(),
        };
        if taken(&name) {
            continue;
        }
        let mut track = MediaTrack::new(name, kind);
        if entry.kind != EntryKind::Video {
            track.set("fileName", Some(entry.source.clone()));
            track.set("displayName", entry.title.clone());
            track.set("languageCode", entry.language.clone());
        }
        if entry.kind == EntryKind::Audio {
            track.set("mpeg4TrackId", entry.track_id);
            track.set("bitRate", entry.bitrate);
        }
        tracks.push(track);
    }
    tracks
}

/// `indexes`: with the names of their media files.
fn indexed(indexes: &[(String, IndexHead)]) -> Vec<MediaTrack> {
    let mut tracks: Vec<MediaTrack> = Vec::new();
    for (file, head) in indexes {
        for found in &head.tracks {
            let language = match found.kind {
                TrackKind::Audio if found.language != "und" => found.language.as_str(),
                _ => "",
            };
            let name = default_name(found, language, found.bitrate.max(1));
            if tracks.iter().any(|track| track.name == name) {
                continue;
            }
            let mut track = match found.kind {
                TrackKind::Video => MediaTrack::new(name, "VideoTrack"),
                TrackKind::Audio => MediaTrack::new(name, "AudioTrack"),
                TrackKind::Text => MediaTrack::new(name, "TextTrack"),
            };
            if found.kind == TrackKind::Audio {
                track.set("fileName", Some(file.clone()));
                track.set(
                    "languageCode",
                    Some(language).filter(|code| !code.is_empty()),
                );
                track.set("mpeg4TrackId", Some(found.id));
                track.set("bitRate", Some(found.bitrate));
            }
            tracks.push(track);
        }
    }
    tracks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_one_track_and_unnamed_sounds_are_several() {
        let manifest = "<smil><body><switch>
            <video src='a.mp4' systemBitrate='1'/><video src='b.mp4' systemBitrate='2'/>
            <audio src='a.mp4' systemLanguage='eng' systemBitrate='3'><param name='trackID' value='2'/></audio>
            <audio src='fr.mp4' systemLanguage='fra' title='Français'/>
            <audio src='named.mp4'><param name='trackName' value='x'/></audio>
            <textstream src='en.vtt'/><ref src='meta.mp4'/>
        </switch></body></smil>";
        let tracks = listed(&headwater_ism::parse(manifest.as_bytes()).unwrap());
        let names: Vec<_> = tracks
            .iter()
            .map(|track| (track.name.as_str(), track.kind))
            .collect();
        assert_eq!(
            names,
            [
                ("video", "VideoTrack"),
                ("audio", "AudioTrack"),
                ("audio_2", "AudioTrack"),
                ("x", "AudioTrack"),
                ("text", "TextTrack"),
            ]
        );
        assert!(tracks[0].properties.is_empty());
        assert_eq!(
            Json::Object(tracks[1].properties.clone()),
            serde_json::json!({"fileName": "a.mp4", "languageCode": "eng", "mpeg4TrackId": 2, "bitRate": 3})
        );
        assert_eq!(tracks[2].properties["displayName"], "Français");
    }
}
