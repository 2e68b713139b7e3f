//! `#MediaKind.TrackInserterPreset`: a text track for an asset that is there already.
//!
//! | member | |
//! |---|---|
//! | `baseFilename` | name of the packaged file without `.cmft`; the input's if absent |
//! | `tracks` | one `#MediaKind.TextTrack`: `trackName`, `displayName`, `languageCode`, `playerVisibility` (`Visible`, `Hidden`), `hlsSettings` (`default`, `forced`, `characteristics`) |
//!
//! Source: MK.IO's API reference.

use crate::model::Preset;
use crate::read::{Node, PresetError};

/// A track to add to the server manifest of the output asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insert {
    /// Of the file that is written, without an extension.
    pub base: Option<String>,
    /// Stream name in URLs.
    pub name: Option<String>,
    /// For people.
    pub display_name: Option<String>,
    /// BCP-47.
    pub language: Option<String>,
    /// Players do not get it.
    pub hidden: bool,
    /// Shown unless the viewer objects.
    pub default: bool,
    /// Only what is said in another language than the sound's.
    pub forced: bool,
    /// HLS `CHARACTERISTICS`.
    pub characteristics: Option<String>,
}

/// Longest name or text, in bytes.
const LONGEST: usize = 260;

fn short(node: &Node<'_>, member: &str) -> Result<Option<String>, PresetError> {
    match node.text(member)? {
        Some(text)
            if text.is_empty() || text.len() > LONGEST || text.contains(char::is_control) =>
        {
            Err(node.fault(
                member,
                format!("must have 1 to {LONGEST} characters in one line"),
            ))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

/// A name that is part of URLs.
fn simple(node: &Node<'_>, member: &str) -> Result<Option<String>, PresetError> {
    let text = short(node, member)?;
    let fits = |c: char| c.is_alphanumeric() || "-_. ".contains(c);
    match text {
        Some(text) if !text.chars().all(fits) || text.starts_with('.') => Err(node.fault(
            member,
            "must be letters, digits, blanks, '-', '_' and '.', and not begin with '.'",
        )),
        text => Ok(text),
    }
}

pub(crate) fn parse(node: &Node<'_>) -> Result<Preset, PresetError> {
    node.only(&["@odata.type", "baseFilename", "tracks"])?;
    let base = simple(node, "baseFilename")?;
    let tracks = node.objects("tracks")?;
    let [track] = tracks.as_slice() else {
        return Err(node.fault("tracks", "must have one member"));
    };
    let kind = track.required_text("@odata.type")?;
    let kind = kind.rsplit('.').next().unwrap_or(kind);
    if kind != "TextTrack" {
        return Err(track.fault(
            "@odata.type",
            "must be #MediaKind.TextTrack: sound is added by the tracks API",
        ));
    }
    track.only(&[
        "@odata.type",
        "trackName",
        "displayName",
        "languageCode",
        "playerVisibility",
        "hlsSettings",
    ])?;
    let hidden = track.choice("playerVisibility", &[("Visible", false), ("Hidden", true)])?;
    let mut insert = Insert {
        base,
        name: simple(track, "trackName")?,
        display_name: short(track, "displayName")?,
        language: simple(track, "languageCode")?,
        hidden: hidden.unwrap_or(false),
        default: false,
        forced: false,
        characteristics: None,
    };
    if let Some(hls) = track.object("hlsSettings")? {
        hls.only(&["default", "forced", "characteristics"])?;
        insert.default = hls.flag("default")?.unwrap_or(false);
        insert.forced = hls.flag("forced")?.unwrap_or(false);
        insert.characteristics = short(&hls, "characteristics")?;
    }
    let mut preset = Preset::empty();
    preset.insert = Some(insert);
    Ok(preset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(track: &Value) -> Result<Preset, PresetError> {
        Preset::parse(
            &json!({"@odata.type": "#MediaKind.TrackInserterPreset", "baseFilename": "film_fr", "tracks": [track]}),
        )
    }

    #[test]
    fn a_text_track_is_read() {
        let read = read(
            &json!({"@odata.type": "#MediaKind.TextTrack", "trackName": "fr", "displayName": "Français",
            "languageCode": "fr-CA", "playerVisibility": "Hidden",
            "hlsSettings": {"default": true, "forced": true, "characteristics": "public.easy-to-read"}}),
        );
        let insert = read.unwrap().insert.unwrap();
        assert_eq!(insert.base.as_deref(), Some("film_fr"));
        assert_eq!(insert.display_name.as_deref(), Some("Français"));
        assert!(insert.hidden && insert.default && insert.forced);
        assert_eq!(
            insert.characteristics.as_deref(),
            Some("public.easy-to-read")
        );
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        for (track, field) in [
            (
                json!({"@odata.type": "#MediaKind.AudioTrack"}),
                "tracks[0].@odata.type",
            ),
            (
                json!({"@odata.type": "#MediaKind.TextTrack", "trackName": "../x"}),
                "tracks[0].trackName",
            ),
            (
                json!({"@odata.type": "#MediaKind.TextTrack", "dashSettings": {}}),
                "tracks[0].dashSettings",
            ),
            (
                json!({"@odata.type": "#MediaKind.TextTrack", "displayName": ""}),
                "tracks[0].displayName",
            ),
        ] {
            assert_eq!(read(&track).unwrap_err().field, field);
        }
    }
}
