//! The `track` of a body, read field by field. Spec: the management API reference, 2.6.

use headwater_catalog::tracks::{NewTrack, Track, TrackKind};
use serde_json::{Map, Value as Json};

use super::policy_schemes::short;
use crate::error::ApiError;
use crate::fields::{ENVELOPE, Object};

const PREFIX: &str = "#Microsoft.Media.";
const KINDS: [&str; 3] = [
    "#Microsoft.Media.AudioTrack",
    "#Microsoft.Media.TextTrack",
    "#Microsoft.Media.VideoTrack",
];
/// Longest name for people and longest list of characteristics, in characters.
pub(crate) const LONGEST_TEXT: usize = 260;
/// Longest language tag that is of use anywhere.
pub(crate) const LONGEST_LANGUAGE: usize = 35;

const COMMON: &[&str] = &[
    "@odata.type",
    "fileName",
    "displayName",
    "languageCode",
    "hlsSettings",
];

/// A kind as its discriminator.
pub(super) fn discriminator(kind: &str) -> String {
    format!("{PREFIX}{kind}")
}

/// What a body says about a track.
pub(super) struct Read {
    pub kind: TrackKind,
    pub file_name: Option<String>,
    /// The members that are there, each as a whole; `null` for one that is to go.
    pub properties: Map<String, Json>,
}

impl Read {
    /// The track that a PUT asks for.
    pub(super) fn new_track(self) -> Result<NewTrack, ApiError> {
        let mut properties = self.properties;
        properties.retain(|_, value| !value.is_null());
        if self.kind == TrackKind::Text {
            properties
                .entry("playerVisibility")
                .or_insert("Visible".into());
        }
        Ok(NewTrack {
            kind: self.kind,
            file_name: self
                .file_name
                .ok_or_else(|| ApiError::invalid("properties.track.fileName", "is required"))?,
            properties,
        })
    }

    /// What a PATCH changes of `track`. Clients send back what they got, so what stays as it is may be there.
    pub(super) fn changes(mut self, track: &Track) -> Result<Map<String, Json>, ApiError> {
        let refuse = |member: &str, how: &str| {
            Err(ApiError::invalid(
                format!("properties.track.{member}"),
                format!("cannot be changed by PATCH; {how}"),
            ))
        };
        if self.kind != track.kind {
            return refuse("@odata.type", "delete the track and add another");
        }
        if self.file_name.is_some_and(|file| file != track.file_name) {
            return refuse("fileName", "PUT the track again");
        }
        let id = "mpeg4TrackId";
        if let Some(asked) = self.properties.remove(id)
            && !asked.is_null()
            && track.properties.get(id) != Some(&asked)
        {
            return refuse(id, "PUT the track again");
        }
        Ok(self.properties)
    }
}

pub(super) fn read(body: &Json) -> Result<Read, ApiError> {
    let root = Object::root(body)?;
    root.only(ENVELOPE)?;
    let properties = root.required_object("properties")?;
    properties.only(&["track", "provisioningState"])?;
    let track = properties.required_object("track")?;
    let kind = track.one_of("@odata.type", &KINDS, |text| {
        KINDS.into_iter().find(|known| *known == text)
    })?;
    let kind = track.required("@odata.type", kind)?;
    let kind = kind.strip_prefix(PREFIX).unwrap_or_default();
    let kind = TrackKind::parse(kind).ok_or_else(|| {
        ApiError::invalid(
            track.path("@odata.type"),
            "video comes with the media: only audio and text can be added and changed",
        )
    })?;
    let own: &[&str] = match kind {
        TrackKind::Audio => &["dashSettings", "mpeg4TrackId", "bitRate"],
        TrackKind::Text => &["playerVisibility"],
    };
    let known: Vec<_> = COMMON.iter().chain(own).copied().collect();
    track.only(&known)?;
    let mut members = Map::new();
    let mut keep = |member: &str, value: Option<Json>| {
        if track.names_member(member) {
            members.insert(member.into(), value.unwrap_or(Json::Null));
        }
    };
    let name = short(&track, "displayName", LONGEST_TEXT)?;
    keep("displayName", name.map(Json::from));
    keep("languageCode", language(&track)?.map(Json::from));
    keep("hlsSettings", hls_settings(kind, &track)?);
    match kind {
        TrackKind::Text => {
            let visibility = track.one_of("playerVisibility", &["Hidden", "Visible"], |text| {
                ["Hidden", "Visible"].into_iter().find(|name| *name == text)
            })?;
            // Every text track has one.
            if visibility.is_some() {
                keep("playerVisibility", visibility.map(Json::from));
            }
        }
        TrackKind::Audio => {
            keep("dashSettings", dash_settings(&track)?);
            let id = track.whole("mpeg4TrackId")?;
            if id.is_some_and(|id| id == 0 || u32::try_from(id).is_err()) {
                return Err(ApiError::invalid(
                    track.path("mpeg4TrackId"),
                    format!("must be a track id from 1 to {}", u32::MAX),
                ));
            }
            keep("mpeg4TrackId", id.map(Json::from));
        }
    }
    Ok(Read {
        kind,
        file_name: track.text("fileName")?,
        properties: members,
    })
}

/// RFC 5646, by its shape.
fn language(track: &Object<'_>) -> Result<Option<String>, ApiError> {
    let Some(tag) = track.text("languageCode")? else {
        return Ok(None);
    };
    let mut subtags = tag.split('-');
    let primary = subtags.next().unwrap_or_default();
    let letters = primary.chars().all(|c| c.is_ascii_alphabetic());
    let plain =
        |tag: &str| (1..=8).contains(&tag.len()) && tag.chars().all(|c| c.is_ascii_alphanumeric());
    let sound = (2..=8).contains(&primary.len()) && letters && subtags.all(plain);
    if !sound || tag.len() > LONGEST_LANGUAGE {
        return Err(ApiError::invalid(
            track.path("languageCode"),
            "must be an RFC 5646 language tag, for instance en-US",
        ));
    }
    Ok(Some(tag))
}

fn hls_settings(kind: TrackKind, track: &Object<'_>) -> Result<Option<Json>, ApiError> {
    let Some(settings) = track.object("hlsSettings")? else {
        return Ok(None);
    };
    settings.only(&["default", "forced", "characteristics"])?;
    let mut out = Map::new();
    for member in ["default", "forced"] {
        if let Some(flag) = settings.flag(member)? {
            out.insert(member.into(), flag.into());
        }
    }
    // RFC 8216 section 4.3.4.1: only subtitles can be forced.
    if kind == TrackKind::Audio && out.get("forced") == Some(&Json::Bool(true)) {
        return Err(ApiError::invalid(
            settings.path("forced"),
            "is for text tracks",
        ));
    }
    let member = "characteristics";
    if let Some(text) = short(&settings, member, LONGEST_TEXT)? {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ',' | ' ');
        if !text.chars().all(plain) {
            return Err(ApiError::invalid(
                settings.path(member),
                "must be uniform type identifiers with commas between them",
            ));
        }
        out.insert(member.into(), text.into());
    }
    Ok(Some(Json::Object(out)))
}

fn dash_settings(track: &Object<'_>) -> Result<Option<Json>, ApiError> {
    let Some(settings) = track.object("dashSettings")? else {
        return Ok(None);
    };
    settings.only(&["role"])?;
    let mut out = Map::new();
    if let Some(role) = short(&settings, "role", LONGEST_TEXT)? {
        if !role.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(ApiError::invalid(
                settings.path("role"),
                "must be a role as in ISO/IEC 23009-1, for instance alternate",
            ));
        }
        out.insert("role".into(), role.into());
    }
    Ok(Some(Json::Object(out)))
}
