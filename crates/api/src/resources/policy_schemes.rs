//! What a streaming policy encrypts, read field by field, so that what is stored is what packaging and key delivery
//! understand. Spec: the management API reference, 1.8 and 2.8; the streaming reference, 4.2.

use headwater_catalog::IsoDuration;
use headwater_catalog::protection::{Encryption, ROTATION};
use serde_json::{Map, Value as Json, json};

use crate::error::ApiError;
use crate::fields::Object;

/// Most tracks entries, conditions and keys of a scheme.
pub(crate) const MOST: usize = 30;
/// Longest label or name, in characters.
pub(crate) const LONGEST_NAME: usize = 260;
/// Longest text of any other member, in characters.
pub(crate) const LONGEST_TEXT: usize = 4096;
/// Keys rotate no faster than some segments, and each asks every player for another licence.
const LEAST_ROTATION_MS: u32 = 30_000;
/// A week.
const MOST_ROTATION_MS: u32 = 7 * 24 * 3_600_000;

/// The four protocols, all of which AMS asks for. MK.IO knows no Smooth Streaming.
pub(super) fn enabled_protocols(scheme: &Object<'_>) -> Result<Json, ApiError> {
    let enabled = scheme.required_object("enabledProtocols")?;
    enabled.only(&["download", "dash", "hls", "smoothStreaming"])?;
    let mut protocols = Map::new();
    for name in ["download", "dash", "hls"] {
        let flag = enabled.flag(name)?;
        protocols.insert(name.into(), enabled.required(name, flag)?.into());
    }
    let smooth = enabled.flag("smoothStreaming")?.unwrap_or(false);
    protocols.insert("smoothStreaming".into(), smooth.into());
    Ok(Json::Object(protocols))
}

/// One scheme that encrypts, in AMS's names, with what it leaves out.
pub(super) fn scheme(encryption: Encryption, scheme: &Object<'_>) -> Result<Json, ApiError> {
    const COMMON: [&str; 4] = ["enabledProtocols", "clearTracks", "contentKeys", ROTATION];
    let own: &[&str] = match encryption {
        Encryption::Envelope => &["customKeyAcquisitionUrlTemplate"],
        Encryption::Cenc | Encryption::Cbcs => &["drm", "clearKeyEncryptionConfiguration"],
    };
    let known: Vec<_> = COMMON.iter().chain(own).copied().collect();
    scheme.only(&known)?;
    let enabled = enabled_protocols(scheme)?;
    if enabled.get("download") == Some(&Json::Bool(true)) {
        return Err(ApiError::invalid(
            scheme.path("enabledProtocols.download"),
            "must be false: files are downloaded as they are stored, never encrypted",
        ));
    }
    let rotation = rotation(scheme, &enabled)?;
    let mut out = Map::new();
    out.insert("enabledProtocols".into(), enabled);
    out.insert("clearTracks".into(), tracks(scheme, "clearTracks")?);
    out.insert("contentKeys".into(), content_keys(scheme)?);
    if let Some(interval) = rotation {
        out.insert(ROTATION.into(), interval.to_string().into());
    }
    if encryption == Encryption::Envelope {
        keep_template(&mut out, scheme, "customKeyAcquisitionUrlTemplate")?;
        return Ok(Json::Object(out));
    }
    if let Some(drm) = scheme.object("drm")? {
        out.insert("drm".into(), key_systems(encryption, &drm)?);
    }
    let clear_key = "clearKeyEncryptionConfiguration";
    if let Some(configuration) = scheme.object(clear_key)? {
        let template = "customKeysAcquisitionUrlTemplate";
        configuration.only(&[template])?;
        let mut kept = Map::new();
        keep_template(&mut kept, &configuration, template)?;
        out.insert(clear_key.into(), Json::Object(kept));
    }
    Ok(Json::Object(out))
}

/// How often the keys of what is live change: an addition of ours, AMS and MK.IO have none (ADR 37).
fn rotation(scheme: &Object<'_>, enabled: &Json) -> Result<Option<IsoDuration>, ApiError> {
    let Some(text) = scheme.text(ROTATION)? else {
        return Ok(None);
    };
    let invalid = |why: &str| ApiError::invalid(scheme.path(ROTATION), why);
    let read: Option<IsoDuration> = text.parse().ok();
    let bounds = LEAST_ROTATION_MS..=MOST_ROTATION_MS;
    let milliseconds = |read: &IsoDuration| u32::try_from(read.as_millis()).ok();
    let whole = read.filter(|read| {
        milliseconds(read).is_some_and(|ms| {
            ms % 1000 == 0 && bounds.contains(&ms) && *read == IsoDuration::from_millis(ms)
        })
    });
    let Some(interval) = whole else {
        return Err(invalid(
            "must be an ISO 8601 duration of whole seconds from PT30S to P7D, for instance PT10M",
        ));
    };
    if enabled.get("smoothStreaming") == Some(&Json::Bool(true)) {
        return Err(invalid(
            "does not go with enabledProtocols.smoothStreaming: its manifests name one key for all of the presentation",
        ));
    }
    Ok(Some(interval))
}

fn key_systems(encryption: Encryption, drm: &Object<'_>) -> Result<Json, ApiError> {
    let systems: &[&str] = match encryption {
        Encryption::Cbcs => &["fairPlay", "playReady", "widevine"],
        _ => &["playReady", "widevine"],
    };
    drm.only(systems)?;
    let mut out = Map::new();
    for system in systems {
        let Some(configuration) = drm.object(system)? else {
            continue;
        };
        let template = "customLicenseAcquisitionUrlTemplate";
        let mut kept = Map::new();
        keep_template(&mut kept, &configuration, template)?;
        match *system {
            "fairPlay" => {
                let member = "allowPersistentLicense";
                configuration.only(&[template, member])?;
                let allow = configuration.flag(member)?;
                kept.insert(member.into(), configuration.required(member, allow)?.into());
            }
            "playReady" => {
                let member = "playReadyCustomAttributes";
                configuration.only(&[template, member])?;
                if let Some(text) = short(&configuration, member, LONGEST_TEXT)? {
                    kept.insert(member.into(), text.into());
                }
            }
            _ => configuration.only(&[template])?,
        }
        out.insert((*system).into(), Json::Object(kept));
    }
    Ok(Json::Object(out))
}

fn content_keys(scheme: &Object<'_>) -> Result<Json, ApiError> {
    let mut out = Map::new();
    let mut mappings = Vec::new();
    if let Some(keys) = scheme.object("contentKeys")? {
        keys.only(&["defaultKey", "keyToTrackMappings"])?;
        let mut labels = Vec::new();
        if let Some(default) = keys.object("defaultKey")? {
            default.only(&["label", "policyName"])?;
            out.insert(
                "defaultKey".into(),
                Json::Object(named(&default, &mut labels)?),
            );
        }
        for mapping in few(&keys, "keyToTrackMappings")? {
            mapping.only(&["label", "policyName", "tracks"])?;
            let mut key = named(&mapping, &mut labels)?;
            let for_tracks = tracks(&mapping, "tracks")?;
            if for_tracks.as_array().is_none_or(Vec::is_empty) {
                return Err(ApiError::invalid(
                    mapping.path("tracks"),
                    "must name the tracks that the key is for",
                ));
            }
            key.insert("tracks".into(), for_tracks);
            mappings.push(Json::Object(key));
        }
    }
    out.insert("keyToTrackMappings".into(), mappings.into());
    Ok(Json::Object(out))
}

/// Label and policy of a key. `labels`: those of the scheme so far.
fn named(key: &Object<'_>, labels: &mut Vec<String>) -> Result<Map<String, Json>, ApiError> {
    let mut out = Map::new();
    if let Some(label) = short(key, "label", LONGEST_NAME)? {
        if labels.contains(&label) {
            return Err(ApiError::invalid(
                key.path("label"),
                "is the label of another key of the scheme",
            ));
        }
        labels.push(label.clone());
        out.insert("label".into(), label.into());
    }
    if let Some(name) = short(key, "policyName", LONGEST_NAME)? {
        out.insert("policyName".into(), name.into());
    }
    Ok(out)
}

/// Conditions that say which tracks are meant: by their codec, which is all that AMS takes here.
pub(super) fn tracks(from: &Object<'_>, member: &str) -> Result<Json, ApiError> {
    let mut entries = Vec::new();
    for entry in few(from, member)? {
        entry.only(&["trackSelections"])?;
        let mut conditions = Vec::new();
        for condition in few(&entry, "trackSelections")? {
            condition.only(&["property", "operation", "value"])?;
            for (member, only) in [("property", "FourCC"), ("operation", "Equal")] {
                let found =
                    condition.one_of(member, &[only], |text| (text == only).then_some(()))?;
                condition.required(member, found)?;
            }
            let value = condition.required_text("value")?;
            if value.len() != 4 || !value.chars().all(|c| c.is_ascii_graphic()) {
                return Err(ApiError::invalid(
                    condition.path("value"),
                    "must be a four-character code, for instance hev1",
                ));
            }
            conditions.push(json!({"property": "FourCC", "operation": "Equal", "value": value}));
        }
        if conditions.is_empty() {
            return Err(ApiError::invalid(
                entry.path("trackSelections"),
                "must have at least one member",
            ));
        }
        entries.push(json!({ "trackSelections": conditions }));
    }
    Ok(entries.into())
}

/// Objects of an array that may be missing.
pub(super) fn few<'a>(from: &Object<'a>, member: &str) -> Result<Vec<Object<'a>>, ApiError> {
    let found = from.objects(member)?.unwrap_or_default();
    if found.len() > MOST {
        return Err(ApiError::invalid(
            from.path(member),
            format!("must have at most {MOST} members"),
        ));
    }
    Ok(found)
}

/// A text that is not empty.
pub(super) fn short(
    from: &Object<'_>,
    member: &str,
    longest: usize,
) -> Result<Option<String>, ApiError> {
    let text = from.text(member)?;
    if text
        .as_ref()
        .is_some_and(|text| text.is_empty() || text.chars().count() > longest)
    {
        return Err(ApiError::invalid(
            from.path(member),
            format!("must have 1 to {longest} characters"),
        ));
    }
    Ok(text)
}

/// A URL with places to be filled in, which a player is sent to. What AMS did not know, it left as it was.
fn keep_template(
    out: &mut Map<String, Json>,
    from: &Object<'_>,
    member: &str,
) -> Result<(), ApiError> {
    let Some(template) = short(from, member, LONGEST_TEXT)? else {
        return Ok(());
    };
    let scheme = template.split("://").next().unwrap_or_default();
    let plain = template.chars().all(|c| c.is_ascii_graphic());
    if !plain || scheme == template || !["https", "http", "skd"].contains(&scheme) {
        return Err(ApiError::invalid(
            from.path(member),
            "must be a URL that begins with https://, http:// or skd://",
        ));
    }
    out.insert(member.into(), template.into());
    Ok(())
}
