//! Tracks that were added to an asset through the API: files beside its media.

use serde_json::{Map, Value as Json};

/// What an added track is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddedKind {
    /// Sound: a media file, or a track of one.
    Audio,
    /// Subtitles or captions: WebVTT or TTML.
    Text,
}

/// A track that was added to an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedTrack {
    /// Of the resource.
    pub name: String,
    /// Of it.
    pub kind: AddedKind,
    /// Relative to the asset.
    pub file: String,
    /// What players are told.
    pub settings: TrackSettings,
    /// MP4 track identifier in the file.
    pub track_id: Option<u32>,
}

/// What players are told of a track that was added, or that a server manifest describes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrackSettings {
    /// For people.
    pub title: Option<String>,
    /// As written, any spelling.
    pub language: Option<String>,
    /// Chosen when the viewer has no preference.
    pub default: bool,
    /// Shown even to those who want no subtitles.
    pub forced: bool,
    /// HLS `CHARACTERISTICS`.
    pub characteristics: Option<String>,
    /// DASH `Role`.
    pub role: Option<String>,
    /// Left out of manifests.
    pub hidden: bool,
}

impl AddedTrack {
    /// `properties`: in AMS's names, as they are stored.
    pub fn read(
        name: String,
        kind: AddedKind,
        file: String,
        properties: &Map<String, Json>,
    ) -> Self {
        let text = |of: &Map<String, Json>, member: &str| {
            let text = of.get(member).and_then(Json::as_str);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let none = Map::new();
        let object = |member: &str| {
            let found = properties.get(member).and_then(Json::as_object);
            found.unwrap_or(&none)
        };
        let hls = object("hlsSettings");
        let flag = |member: &str| hls.get(member).and_then(Json::as_bool).unwrap_or_default();
        let id = properties.get("mpeg4TrackId").and_then(Json::as_u64);
        Self {
            name,
            kind,
            file,
            track_id: id.and_then(|id| u32::try_from(id).ok()),
            settings: TrackSettings {
                title: text(properties, "displayName"),
                language: text(properties, "languageCode"),
                default: flag("default"),
                forced: flag("forced"),
                characteristics: text(hls, "characteristics"),
                role: text(object("dashSettings"), "role"),
                hidden: text(properties, "playerVisibility").as_deref() == Some("Hidden"),
            },
        }
    }
}

impl TrackSettings {
    /// Whether HLS's characteristics have one of `uniform`, type identifiers without their prefix.
    pub(crate) fn has(&self, uniform: &[&str]) -> bool {
        let listed = self.characteristics.iter().flat_map(|c| c.split(','));
        let mut known = listed.filter_map(|c| c.trim().strip_prefix("public."));
        known.any(|c| uniform.contains(&c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_of_the_api_are_read() {
        let properties = serde_json::json!({
            "displayName": "Français", "languageCode": "fr", "playerVisibility": "Hidden",
            "hlsSettings": { "default": true, "forced": true, "characteristics": "public.easy-to-read, public.x" },
            "dashSettings": { "role": "alternate" }, "mpeg4TrackId": 3,
        });
        let read = |properties: &Json| {
            let kind = AddedKind::Text;
            let properties = properties.as_object().unwrap();
            AddedTrack::read("t".to_owned(), kind, "fr.vtt".to_owned(), properties)
        };
        let track = read(&properties);
        assert_eq!(track.track_id, Some(3));
        assert_eq!(track.settings.title.as_deref(), Some("Français"));
        assert!(track.settings.default && track.settings.forced && track.settings.hidden);
        assert!(track.settings.has(&["easy-to-read"]));
        assert!(!track.settings.has(&["easy"]));
        assert_eq!(track.settings.role.as_deref(), Some("alternate"));
        assert_eq!(
            read(&serde_json::json!({})).settings,
            TrackSettings::default()
        );
    }
}
