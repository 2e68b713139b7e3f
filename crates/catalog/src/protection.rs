//! What a streaming policy encrypts, with which keys, and how players come by them: read from its properties.
//!
//! Spec: the management API reference, 1.8 and 2.8; the streaming reference, 4.2.

use headwater_protect::Rotation;
use serde_json::{Value as Json, json};

use crate::iso_duration::IsoDuration;
use crate::policies::Protocols;

/// A way of encrypting media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encryption {
    /// Whole segments, AES-128 in CBC mode.
    Envelope,
    /// Common encryption, AES in counter mode.
    Cenc,
    /// Common encryption, AES in CBC mode with a pattern.
    Cbcs,
}

impl Encryption {
    pub const ALL: [Self; 3] = [Self::Envelope, Self::Cenc, Self::Cbcs];

    /// The member of a policy's properties.
    pub fn property(self) -> &'static str {
        match self {
            Self::Envelope => "envelopeEncryption",
            Self::Cenc => "commonEncryptionCenc",
            Self::Cbcs => "commonEncryptionCbcs",
        }
    }

    /// The type of its keys, and the `encryptionScheme` of its paths.
    pub fn name(self) -> &'static str {
        match self {
            Self::Envelope => "EnvelopeEncryption",
            Self::Cenc => "CommonEncryptionCenc",
            Self::Cbcs => "CommonEncryptionCbcs",
        }
    }

    /// The encryption of that [`name`](Self::name).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|encryption| encryption.name() == name)
    }
}

/// What hands keys to players.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeySystem {
    /// The key itself, to whom the policy lets have it.
    ClearKey,
    FairPlay,
    PlayReady,
    Widevine,
}

impl KeySystem {
    /// For people, and inside of the discriminator of key policies.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClearKey => "ClearKey",
            Self::FairPlay => "FairPlay",
            Self::PlayReady => "PlayReady",
            Self::Widevine => "Widevine",
        }
    }

    /// The member of `drm`.
    pub fn member(self) -> &'static str {
        match self {
            Self::ClearKey => "clearKey",
            Self::FairPlay => "fairPlay",
            Self::PlayReady => "playReady",
            Self::Widevine => "widevine",
        }
    }

    /// Whether one of a content key policy's options is for this system.
    pub(crate) fn is_among(self, options: &Json) -> bool {
        let kind = format!(
            "#Microsoft.Media.ContentKeyPolicy{}Configuration",
            self.name()
        );
        let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
        options.iter().any(|option| {
            option.pointer("/configuration/@odata.type") == Some(&Json::String(kind.clone()))
        })
    }
}

/// A key system that a policy offers for a scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub system: KeySystem,
    /// Of somebody else's licence server. `{ContentKeyId}` and `{AlternativeMediaId}` stand for what their names say.
    pub url_template: Option<String>,
    /// XML that PlayReady's header carries to the player.
    pub custom_attributes: Option<String>,
}

/// A key that every locator on the policy has.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyKey {
    /// By which locators refer to it.
    pub label: Option<String>,
    /// The content key policy that gives it out.
    pub policy_name: Option<String>,
    /// The tracks it is for; empty: all that no other key is for.
    pub tracks: Json,
}

/// One scheme of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheme {
    pub encryption: Encryption,
    pub protocols: Protocols,
    /// The default key first. There always is one: what no mapping is for must not go out in the clear.
    pub keys: Vec<PolicyKey>,
    pub offers: Vec<Offer>,
    /// Tracks that stay clear, as AMS writes them; an array.
    pub clear_tracks: Json,
    /// How often the keys of what is live change.
    pub rotation: Option<Rotation>,
}

/// The member of a scheme that says how often its keys change: a duration of ISO 8601 (`headwater_api` bounds it).
pub const ROTATION: &str = "keyRotationInterval";

impl Scheme {
    /// Whether players of a key system can come by the keys.
    pub(crate) fn offers(&self, system: KeySystem) -> bool {
        self.offers.iter().any(|offer| offer.system == system)
    }
}

/// The schemes of a policy that encrypt. `properties`: of the policy, checked for shape when it was made.
pub fn schemes(properties: &Json) -> Vec<Scheme> {
    Encryption::ALL
        .into_iter()
        .filter_map(|encryption| {
            let scheme = properties
                .get(encryption.property())
                .filter(|scheme| !scheme.is_null())?;
            Some(Scheme {
                encryption,
                protocols: Protocols::read(scheme),
                keys: keys(scheme),
                offers: offers(encryption, scheme),
                clear_tracks: scheme
                    .get("clearTracks")
                    .filter(|tracks| tracks.is_array())
                    .cloned()
                    .unwrap_or_else(|| json!([])),
                rotation: rotation(scheme),
            })
        })
        .collect()
}

fn rotation(scheme: &Json) -> Option<Rotation> {
    let interval: IsoDuration = scheme.get(ROTATION)?.as_str()?.parse().ok()?;
    let seconds = interval.as_millis().checked_div(1000)?;
    Rotation::every(u32::try_from(seconds).ok()?)
}

/// Where our own key delivery gives out a key or its licence; what the origin's manifests say as well. Spec: the streaming
/// reference, 4.6.
///
/// `delivery`: its URL without a slash at the end. `key`: the key's id.
pub fn own_url(delivery: &str, encryption: Encryption, system: KeySystem, key: &str) -> String {
    match (encryption, system) {
        (Encryption::Envelope, _) => format!("{delivery}/?kid={key}"),
        (_, KeySystem::ClearKey) => format!("{delivery}/ClearKey"),
        (_, KeySystem::Widevine) => format!("{delivery}/Widevine/?kid={key}"),
        (_, KeySystem::PlayReady) => format!("{delivery}/PlayReady/"),
        (_, KeySystem::FairPlay) => format!("{delivery}/FairPlay/?kid={key}"),
    }
}

fn text(object: Option<&Json>, member: &str) -> Option<String> {
    object?.get(member)?.as_str().map(str::to_owned)
}

fn keys(scheme: &Json) -> Vec<PolicyKey> {
    let key = |from: Option<&Json>| PolicyKey {
        label: text(from, "label"),
        policy_name: text(from, "policyName"),
        tracks: from
            .and_then(|key| key.get("tracks").cloned())
            .unwrap_or_else(|| json!([])),
    };
    let mappings = scheme
        .pointer("/contentKeys/keyToTrackMappings")
        .and_then(Json::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    std::iter::once(key(scheme.pointer("/contentKeys/defaultKey")))
        .chain(mappings.iter().map(|mapping| key(Some(mapping))))
        .collect()
}

fn offers(encryption: Encryption, scheme: &Json) -> Vec<Offer> {
    let offer = |system, template: &str, from: Option<&Json>| Offer {
        system,
        url_template: text(from, template),
        custom_attributes: text(from, "playReadyCustomAttributes"),
    };
    if encryption == Encryption::Envelope {
        let template = "customKeyAcquisitionUrlTemplate";
        return vec![offer(KeySystem::ClearKey, template, Some(scheme))];
    }
    let present = |value: Option<&Json>| value.is_some_and(|value| !value.is_null());
    let mut offers = Vec::new();
    for system in [
        KeySystem::FairPlay,
        KeySystem::PlayReady,
        KeySystem::Widevine,
    ] {
        let from = scheme.get("drm").and_then(|drm| drm.get(system.member()));
        if present(from) {
            offers.push(offer(system, "customLicenseAcquisitionUrlTemplate", from));
        }
    }
    let clear = scheme.get("clearKeyEncryptionConfiguration");
    if present(clear) {
        let template = "customKeysAcquisitionUrlTemplate";
        offers.push(offer(KeySystem::ClearKey, template, clear));
    }
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_read_with_their_keys_and_offers() {
        let tracks = json!([{"trackSelections": [{"property": "FourCC", "operation": "Equal", "value": "mp4a"}]}]);
        let read = schemes(&json!({
            "noEncryption": {"enabledProtocols": {"hls": true}},
            "envelopeEncryption": null,
            "commonEncryptionCenc": {
                "enabledProtocols": {"dash": true},
                "contentKeys": {
                    "defaultKey": {"label": "a"},
                    "keyToTrackMappings": [{"label": "b", "policyName": "p", "tracks": tracks}],
                },
                "drm": {"widevine": {"customLicenseAcquisitionUrlTemplate": "https://l/"}, "playReady": {}},
                "clearKeyEncryptionConfiguration": {},
                "keyRotationInterval": "PT10M",
            },
            "commonEncryptionCbcs": {"enabledProtocols": {}},
        }));
        let [cenc, cbcs] = read.as_slice() else {
            panic!("{read:?}");
        };
        assert_eq!(
            (cenc.encryption, cbcs.encryption),
            (Encryption::Cenc, Encryption::Cbcs)
        );
        assert!(cenc.protocols.dash && !cenc.protocols.hls);
        let labels: Vec<_> = cenc.keys.iter().map(|key| key.label.as_deref()).collect();
        assert_eq!(labels, [Some("a"), Some("b")]);
        assert_eq!(cenc.keys[1].policy_name.as_deref(), Some("p"));
        assert_eq!(cenc.keys[1].tracks, tracks);
        assert_eq!((cenc.rotation, cbcs.rotation), (Rotation::every(600), None));
        let offers: Vec<_> = cenc
            .offers
            .iter()
            .map(|offer| (offer.system, offer.url_template.as_deref()))
            .collect();
        assert_eq!(
            offers,
            [
                (KeySystem::PlayReady, None),
                (KeySystem::Widevine, Some("https://l/")),
                (KeySystem::ClearKey, None),
            ]
        );
        assert_eq!(
            (cbcs.keys.len(), cbcs.keys[0].label.as_ref()),
            (1, None),
            "what is encrypted has a key"
        );
    }
}
