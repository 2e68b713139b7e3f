//! Vendors that keys are ordered from: whoever licenses Widevine, PlayReady and FairPlay for a project makes its keys, too.
//!
//! Configured beside licence servers, as elements `{"system": "Speke", "url": "https://…", "headers": {…}, "project": "…",
//! "systems": ["Widevine", …]}`; `systems` are those that the vendor licenses, without it all three.

use headwater_protect::cpix::{AudioFilter, Cpix, UsageRule, VideoFilter};
use headwater_protect::pssh::system as ids;
use headwater_protect::{Key, Kid, Scheme};
use headwater_seal::Secret;
use http::header::{HeaderName, HeaderValue};
use http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::backend::{BackendError, check_url, elements, origin_of, read_headers};
use crate::policy::System;
use crate::speke::{KeyOrder, SpekeError};

/// What the element's `system` says.
const NAME: &str = "Speke";

/// A vendor.
#[derive(Debug, Clone)]
pub struct KeyVendor {
    /// The one project it is for, by id; without it, all that have none of their own.
    pub project: Option<String>,
    url: String,
    headers: Vec<(HeaderName, Secret)>,
    systems: Vec<System>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    #[serde(rename = "system")]
    _system: String,
    url: String,
    #[serde(default)]
    project: Option<String>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    systems: Option<Vec<String>>,
}

/// A key that is to be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedKey {
    /// Its id, made by us.
    pub kid: Kid,
    /// Sample entry codes of the tracks it is for; empty: all that no other key is for.
    pub codes: Vec<String>,
}

/// Whether an element of the configuration is a vendor.
pub(crate) fn is_one(element: &Json) -> bool {
    element.get("system").and_then(Json::as_str) == Some(NAME)
}

impl KeyVendor {
    /// Reads the vendors of a configuration; its other elements are licence servers ([`crate::Backend::parse_all`]).
    ///
    /// Errors: `Configuration`.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, BackendError> {
        elements(text)?
            .into_iter()
            .enumerate()
            .filter(|(_, element)| is_one(element))
            .map(|(at, element)| {
                Self::make(element).map_err(|fault| BackendError::Configuration { at, fault })
            })
            .collect()
    }

    pub(crate) fn make(element: Json) -> Result<Self, &'static str> {
        let stored: Stored = serde_json::from_value(element)
            .map_err(|_| "has unknown, missing or mistyped members")?;
        check_url(&stored.url)?;
        let all = || [System::Widevine, System::PlayReady, System::FairPlay].into();
        let systems = match &stored.systems {
            None => all(),
            Some(names) => names
                .iter()
                .map(|name| match name.as_str() {
                    "Widevine" => Ok(System::Widevine),
                    "PlayReady" => Ok(System::PlayReady),
                    "FairPlay" => Ok(System::FairPlay),
                    _ => Err("systems: must be of Widevine, PlayReady and FairPlay"),
                })
                .collect::<Result<_, _>>()?,
        };
        Ok(Self {
            project: stored.project,
            headers: read_headers(stored.headers)?,
            url: stored.url,
            systems,
        })
    }

    /// Scheme, host and port, as an allow list has them.
    pub fn origin(&self) -> Option<String> {
        origin_of(&self.url)
    }

    /// The one for a project: its own before one for all.
    pub fn choose<'v>(all: &'v [Self], project: &str) -> Option<&'v Self> {
        let of = |owner: Option<&str>| all.iter().find(|vendor| vendor.project.as_deref() == owner);
        of(Some(project)).or_else(|| of(None))
    }

    /// Whether it licenses a system.
    pub fn licenses(&self, system: System) -> bool {
        self.systems.contains(&system)
    }

    /// An order of keys for one scheme of some content, with signalling for `systems`, all of which the vendor licenses.
    ///
    /// Errors: `Order` if the keys are not for tracks that the vendor's contract can tell apart: all, or pictures and sound.
    pub fn order(
        &self,
        content_id: &str,
        scheme: Scheme,
        keys: &[WantedKey],
        systems: &[System],
    ) -> Result<KeyOrder, SpekeError> {
        let mut rules = Vec::new();
        for key in keys {
            let kind = track_type(key, keys)?;
            let mut rule = UsageRule {
                kid: Some(key.kid),
                intended_track_type: Some(kind.to_owned()),
                ..UsageRule::default()
            };
            if kind != "AUDIO" {
                rule.video.push(VideoFilter::default());
            }
            if kind != "VIDEO" {
                rule.audio.push(AudioFilter::default());
            }
            rules.push(rule);
        }
        let systems: Vec<Uuid> = systems
            .iter()
            .filter_map(|system| match system {
                System::Widevine => Some(ids::WIDEVINE),
                System::PlayReady => Some(ids::PLAYREADY),
                System::FairPlay => Some(ids::FAIRPLAY),
                System::ClearKey => None,
            })
            .collect();
        KeyOrder::new(content_id, scheme, rules, &systems)
    }

    /// The request of an order. Its headers hold what the vendor knows us by.
    ///
    /// Errors: `Url`, `Order`.
    pub fn request(&self, order: &KeyOrder) -> Result<Request<Vec<u8>>, SpekeError> {
        let mut request = order.request(&self.url)?;
        for (name, value) in &self.headers {
            let mut value = HeaderValue::from_bytes(value.expose())
                .map_err(|_| SpekeError::Order("has a header that cannot be sent"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(name.clone(), value);
        }
        Ok(request)
    }

    /// The keys that an answer gives.
    ///
    /// Errors: `Status`; as [`KeyOrder::accept`].
    pub fn keys(
        &self,
        order: &KeyOrder,
        status: StatusCode,
        body: &[u8],
    ) -> Result<Vec<(Kid, Key)>, SpekeError> {
        if status != StatusCode::OK {
            return Err(SpekeError::Status(status.as_u16()));
        }
        let Cpix { keys, .. } = order.accept(body)?;
        Ok(keys
            .into_iter()
            .filter_map(|key| Some((key.kid, key.value?)))
            .collect())
    }
}

/// What the contract calls the tracks of a key.
fn track_type(key: &WantedKey, all: &[WantedKey]) -> Result<&'static str, SpekeError> {
    let sound = |code: &String| {
        let code = code.to_ascii_lowercase();
        ["mp4a", "ac-3", "ec-3", "opus", "flac"].contains(&code.as_str())
    };
    let of_sound = |key: &WantedKey| key.codes.iter().all(sound);
    let of_pictures = |key: &WantedKey| !key.codes.iter().any(sound);
    let others = || all.iter().filter(|other| other.kid != key.kid);
    match key.codes.is_empty() {
        true if others().next().is_none() => Ok("ALL"),
        // What is left by keys for the one is the other.
        true if others().all(of_sound) => Ok("VIDEO"),
        true if others().all(of_pictures) => Ok("AUDIO"),
        false if of_sound(key) => Ok("AUDIO"),
        false if of_pictures(key) => Ok("VIDEO"),
        _ => Err(SpekeError::Order(
            "can tell pictures from sound, and keys of the streaming policy are for both or for parts of them",
        )),
    }
}

#[cfg(test)]
#[path = "vendor_tests.rs"]
mod tests;
