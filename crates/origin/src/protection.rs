//! How a locator's media is encrypted: schemes, keys, and what tells players where keys are.

use crate::codec::is_code;
use headwater_protect::{Key, Kid, Rotation};
use serde_json::Value as Json;

/// A way of encrypting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Whole segments, AES-128.
    Envelope,
    /// Common encryption in counter mode.
    Cenc,
    /// Common encryption in CBC mode with a pattern.
    Cbcs,
}

/// What hands keys to players.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySystem {
    /// The key itself, to whom its policy lets have it.
    ClearKey,
    /// Apple's.
    FairPlay,
    /// Microsoft's.
    PlayReady,
    /// Google's.
    Widevine,
}

/// A key system that the streaming policy offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOffer {
    /// Which.
    pub system: KeySystem,
    /// Of somebody else's licence server; see [`headwater_protect::template`]. `None`: our own.
    pub url_template: Option<String>,
    /// XML for PlayReady's header.
    pub custom_attributes: Option<String>,
}

/// Which tracks a key is for, or which stay clear (AMS `TrackSelection`s): those with one of these sample entry codes. What
/// cannot be read selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tracks(Vec<Vec<Option<String>>>);

impl Tracks {
    /// Reads AMS's array of `{trackSelections: [{property, operation, value}]}`: a track is selected by any element all of
    /// whose conditions it meets.
    pub fn read(tracks: &Json) -> Self {
        let array = |value: Option<&Json>| value.and_then(Json::as_array).cloned();
        let tracks = array(Some(tracks)).unwrap_or_default();
        let selections = tracks.iter().map(|track| {
            let conditions = array(track.get("trackSelections")).unwrap_or_default();
            let conditions = conditions.iter().map(|condition| {
                let is = |member: &str, word: &str| {
                    let value = condition.get(member).and_then(Json::as_str);
                    value.is_some_and(|value| value.eq_ignore_ascii_case(word))
                };
                let known = is("property", "FourCC") && is("operation", "Equal");
                let value = condition.get("value").and_then(Json::as_str);
                value.filter(|_| known).map(str::to_owned)
            });
            conditions.collect()
        });
        Self(selections.collect())
    }

    /// Whether there is no selection at all: a key for all tracks that no other is for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a track with this codec string is among them.
    pub(crate) fn select(&self, codec: &str) -> bool {
        let code = codec.split('.').next().unwrap_or_default();
        let meets = |condition: &Option<String>| {
            let value = condition.as_deref();
            value.is_some_and(|value| is_code(code, value))
        };
        self.0
            .iter()
            .any(|all| !all.is_empty() && all.iter().all(meets))
    }
}

/// A content key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentKey {
    /// Its id.
    pub kid: Kid,
    /// Its value.
    pub key: Key,
    /// What it is for.
    pub tracks: Tracks,
}

/// One scheme of a locator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemeProtection {
    /// Which.
    pub way: Way,
    /// In the order of the policy.
    pub keys: Vec<ContentKey>,
    /// Not encrypted.
    pub clear: Tracks,
    /// In no order.
    pub offers: Vec<KeyOffer>,
    /// How often keys change with the time of live media and its recordings; those above are what the keys of periods are
    /// derived from.
    pub rotation: Option<Rotation>,
}

/// How a locator's media is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protection {
    /// Those that its streaming policy has.
    pub schemes: Vec<SchemeProtection>,
    /// What `{AlternativeMediaId}` stands for.
    pub media_id: Option<String>,
    /// Where our own key delivery is, without a slash at the end: `https://video.example/keys`.
    pub key_url: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tracks_are_selected_by_their_codes_and_nothing_else() {
        let condition = |property: &str, value: &str| json!({"property": property, "operation": "Equal", "value": value});
        let tracks = Tracks::read(&json!([
            {"trackSelections": [condition("FourCC", "hvc1")]},
            {"trackSelections": [condition("FourCC", "MP4A"), condition("FourCC", "mp4a")]},
            {"trackSelections": [condition("FourCC", "ec-3"), condition("Unknown", "x")]},
            {"trackSelections": []},
        ]));
        let codecs = ["hvc1.1.6", "hev1.1.6", "mp4a.40.2", "ec-3", "avc1.64001f"];
        let selected = codecs.map(|c| tracks.select(c));
        assert_eq!(selected, [true, true, true, false, false]);
        assert!(Tracks::read(&json!([])).is_empty() && !Tracks::read(&json!([])).select("avc1"));
    }
}
