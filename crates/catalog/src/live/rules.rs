//! What may be said about a live event or output. Spec: the management API reference, 1.12, 1.13, 2.10; the streaming
//! reference, 5.1 to 5.3.

use std::collections::BTreeMap;

use headwater_work::live::{EncodingType, FillWith, Layer, Protocol, StretchMode};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::model::{AccessControl, NewLiveOutput, Properties};
use crate::error::CatalogError;
use crate::iso_duration::IsoDuration;
use crate::names;

/// Most live events of a project. AMS allowed five; one that is stopped costs nothing here.
pub const MOST_EVENTS: u32 = 100;

const MOST_TAGS: usize = 16;
const LONGEST_TAG: usize = 64;
/// Most ranges of an access list.
const MOST_RANGES: usize = 100;
const LONGEST_DESCRIPTION: usize = 4096;
const LONGEST_NAME: usize = 256;

/// AMS's limits; MK.IO's are narrower (1 to 10 s).
const KEY_FRAME_INTERVALS: std::ops::RangeInclusive<IsoDuration> =
    IsoDuration::from_millis(500)..=IsoDuration::from_millis(20_000);
const DEFAULT_KEY_FRAME_INTERVAL: IsoDuration = IsoDuration::from_millis(2_000);

const FILL_AFTER: std::ops::RangeInclusive<IsoDuration> =
    IsoDuration::from_millis(500)..=IsoDuration::from_millis(30_000);
const DEFAULT_FILL_AFTER: IsoDuration = IsoDuration::from_millis(1_000);

const SHORTEST_WINDOW: IsoDuration = IsoDuration::from_mins(1);
const FRAGMENTS_PER_TS_SEGMENT: std::ops::RangeInclusive<u32> = 1..=10;

/// What is decided when the event is made.
const FIXED: [&str; 8] = [
    "encoding.encodingType",
    "encoding.presetName",
    "input.streamingProtocol",
    "preview.previewLocator",
    "preview.streamingPolicyName",
    "preview.alternativeMediaId",
    "streamOptions",
    "useStaticHostname",
];

fn invalid<T>(member: &str, message: impl Into<String>) -> Result<T, CatalogError> {
    Err(CatalogError::invalid(
        format!("properties.{member}"),
        message,
    ))
}

/// What an event is that is written anew: what was written over `base`, and what depends on it filled in.
///
/// Errors: [`CatalogError::Invalid`].
pub(super) fn written(
    base: &Properties,
    write: &Map<String, Json>,
) -> Result<Properties, CatalogError> {
    completed(merged(base, write)?)
}

/// What an event becomes that is changed.
///
/// Errors: [`CatalogError::Invalid`], first of all for what was decided when the event was made.
pub(super) fn changed(
    old: &Properties,
    write: &Map<String, Json>,
) -> Result<Properties, CatalogError> {
    let new = merged(old, write)?;
    check_fixed(old, &new)?;
    completed(new)
}

fn merged(base: &Properties, write: &Map<String, Json>) -> Result<Properties, CatalogError> {
    let mut merged = as_json(base);
    merge(&mut merged, write);
    let mut properties: Properties = serde_json::from_value(merged)
        .map_err(|error| CatalogError::invalid("properties", error.to_string()))?;
    let input = &mut properties.input;
    let is_filled = input.fill_with.is_some_and(|with| with != FillWith::None);
    let says_when = write.get("input").and_then(|input| input.get("fillAfter"));
    match (is_filled, says_when) {
        (true, _) => {
            input.fill_after.get_or_insert(DEFAULT_FILL_AFTER);
        }
        (false, Some(_)) => {
            return invalid(
                "input.fillAfter",
                "needs input.fillWith to be Silence or BlackAndSilence",
            );
        }
        // What was said of it goes with it.
        (false, None) => input.fill_after = None,
    }
    Ok(properties)
}

/// Refuses a change of what was decided when the event was made.
fn check_fixed(old: &Properties, new: &Properties) -> Result<(), CatalogError> {
    let (old, new) = (as_json(old), as_json(new));
    let at = |properties: &Json, path: &str| {
        properties
            .pointer(&format!("/{}", path.replace('.', "/")))
            .cloned()
    };
    match FIXED.iter().find(|path| at(&old, path) != at(&new, path)) {
        Some(path) => invalid(path, "cannot be changed once the live event exists"),
        None => Ok(()),
    }
}

fn completed(mut properties: Properties) -> Result<Properties, CatalogError> {
    let encoding = &mut properties.encoding;
    let default_preset = match encoding.encoding_type {
        EncodingType::Standard => Some("Default720p"),
        EncodingType::Premium1080p => Some("Default1080p"),
        EncodingType::None | EncodingType::PassthroughBasic | EncodingType::PassthroughStandard => {
            None
        }
    };
    match default_preset {
        Some(preset) => {
            encoding.preset_name.get_or_insert_with(|| preset.into());
            encoding.stretch_mode.get_or_insert(StretchMode::None);
            encoding
                .key_frame_interval
                .get_or_insert(DEFAULT_KEY_FRAME_INTERVAL);
        }
        None => {
            properties
                .input
                .key_frame_interval_duration
                .get_or_insert(DEFAULT_KEY_FRAME_INTERVAL);
        }
    }
    check(&properties, default_preset)?;
    Ok(properties)
}

fn as_json(properties: &Properties) -> Json {
    serde_json::to_value(properties).unwrap_or_default()
}

fn merge(base: &mut Json, write: &Map<String, Json>) {
    let Json::Object(members) = base else {
        return;
    };
    for (name, value) in write {
        match (members.get_mut(name), value) {
            (Some(inner @ Json::Object(_)), Json::Object(value)) => merge(inner, value),
            _ => {
                members.insert(name.clone(), value.clone());
            }
        }
    }
}

fn check(properties: &Properties, default_preset: Option<&str>) -> Result<(), CatalogError> {
    names::text(
        "properties.description",
        properties.description.as_deref(),
        LONGEST_DESCRIPTION,
    )?;
    if properties.stream_options.len() != 1 {
        return invalid("streamOptions", "must have exactly one member");
    }
    match (&properties.hostname_prefix, properties.use_static_hostname) {
        (None, _) => {}
        (Some(prefix), true) => names::hyphenated("properties.hostnamePrefix", prefix, 32)?,
        (Some(_), false) => {
            return invalid(
                "hostnamePrefix",
                "needs properties.useStaticHostname to be true",
            );
        }
    }
    check_encoding(properties, default_preset)?;
    let (input, preview) = (&properties.input, &properties.preview);
    if input
        .fill_after
        .is_some_and(|after| !FILL_AFTER.contains(&after))
    {
        return invalid("input.fillAfter", "must be 0.5 to 30 seconds");
    }
    check_access("input", &input.access_control)?;
    check_access("preview", &preview.access_control)?;
    if preview
        .streaming_policy_name
        .as_ref()
        .is_some_and(|name| name != "Predefined_ClearStreamingOnly")
    {
        return invalid(
            "preview.streamingPolicyName",
            "must be Predefined_ClearStreamingOnly: previews are not encrypted",
        );
    }
    names::text(
        "properties.preview.alternativeMediaId",
        preview.alternative_media_id.as_deref(),
        LONGEST_NAME,
    )
}

fn check_encoding(
    properties: &Properties,
    default_preset: Option<&str>,
) -> Result<(), CatalogError> {
    const ENCODED: &str = "is for events whose encodingType is Standard or Premium1080p";
    let (input, encoding) = (&properties.input, &properties.encoding);
    let in_range = |member: &str, interval: Option<IsoDuration>| match interval {
        Some(interval) if !KEY_FRAME_INTERVALS.contains(&interval) => {
            invalid(member, "must be 0.5 to 20 seconds")
        }
        _ => Ok(()),
    };
    in_range("encoding.keyFrameInterval", encoding.key_frame_interval)?;
    in_range(
        "input.keyFrameIntervalDuration",
        input.key_frame_interval_duration,
    )?;
    let Some(default_preset) = default_preset else {
        if encoding.preset_name.is_some() {
            return invalid("encoding.presetName", ENCODED);
        }
        if encoding.key_frame_interval.is_some() {
            return invalid("encoding.keyFrameInterval", ENCODED);
        }
        return match encoding.stretch_mode {
            None | Some(StretchMode::None) => Ok(()),
            Some(_) => invalid("encoding.stretchMode", ENCODED),
        };
    };
    if input.key_frame_interval_duration.is_some() {
        return invalid(
            "input.keyFrameIntervalDuration",
            "is for pass-through events; set encoding.keyFrameInterval",
        );
    }
    if encoding.preset_name.as_deref() == Some(default_preset) {
        return Ok(());
    }
    let Some(ladder) = &encoding.ladder else {
        return invalid(
            "encoding.presetName",
            format!(
                "must be {default_preset}, or the name of a transform with a StandardEncoderPreset"
            ),
        );
    };
    let (width, height) = match encoding.encoding_type {
        EncodingType::Premium1080p => (1920, 1080),
        _ => (1280, 720),
    };
    let large = |layer: &&Layer| layer.width > width || layer.height > height;
    match ladder.layers.iter().find(large) {
        Some(layer) => invalid(
            "encoding.presetName",
            format!(
                "names a transform with a layer of {}x{}; this encodingType goes up to {width}x{height}",
                layer.width, layer.height
            ),
        ),
        None => Ok(()),
    }
}

/// The preset that is asked for by a name which is none of those that are built in.
pub(super) fn own_preset(write: &Map<String, Json>) -> Option<&str> {
    let name = write.get("encoding")?.get("presetName")?.as_str()?;
    let built_in = ["Default720p", "Default1080p"].contains(&name);
    (!built_in).then_some(name)
}

fn check_access(side: &str, access: &AccessControl) -> Result<(), CatalogError> {
    let list = format!("{side}.accessControl.ip.allow");
    if access.ip.allow.len() > MOST_RANGES {
        return invalid(&list, format!("must have at most {MOST_RANGES} members"));
    }
    for (at, range) in access.ip.allow.iter().enumerate() {
        let bits = if range.address.is_ipv4() { 32 } else { 128 };
        if range
            .subnet_prefix_length
            .is_some_and(|length| length > bits)
        {
            return invalid(
                &format!("{list}[{at}].subnetPrefixLength"),
                format!("must be 0 to {bits}"),
            );
        }
        names::text(
            &format!("properties.{list}[{at}].name"),
            range.name.as_deref(),
            LONGEST_NAME,
        )?;
    }
    Ok(())
}

/// What an encoder shows: a UUID in the path of RTMP or Smooth ingest, or an SRT passphrase.
pub(super) fn check_token(protocol: Protocol, token: &str) -> Result<(), CatalogError> {
    const MEMBER: &str = "input.accessToken";
    let printable = |c: char| c.is_ascii_graphic();
    match protocol {
        Protocol::Rtmp | Protocol::Rtmps | Protocol::FragmentedMp4
            if Uuid::parse_str(token).is_err() =>
        {
            invalid(MEMBER, "must be a UUID")
        }
        Protocol::Srt if !(10..=79).contains(&token.len()) || !token.chars().all(printable) => {
            invalid(
                MEMBER,
                "must have 10 to 79 printable ASCII characters other than the space",
            )
        }
        Protocol::Rtmp | Protocol::Rtmps | Protocol::FragmentedMp4 | Protocol::Srt => Ok(()),
    }
}

pub(super) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), CatalogError> {
    if tags.len() > MOST_TAGS {
        return Err(CatalogError::invalid(
            "tags",
            format!("must have at most {MOST_TAGS} members"),
        ));
    }
    let fits = |text: &str| text.chars().count() <= LONGEST_TAG;
    match tags.iter().find(|(key, value)| !fits(key) || !fits(value)) {
        Some((key, _)) => Err(CatalogError::invalid(
            format!("tags.{key}"),
            format!("names and values must have at most {LONGEST_TAG} characters"),
        )),
        None => Ok(()),
    }
}

/// The first member in which two events differ, as a path.
pub(super) fn difference(old: &Properties, new: &Properties) -> Option<String> {
    first_difference("properties", &as_json(old), &as_json(new))
}

fn first_difference(path: &str, old: &Json, new: &Json) -> Option<String> {
    match (old, new) {
        (Json::Object(old), Json::Object(new)) => old.keys().chain(new.keys()).find_map(|name| {
            let (old, new) = (old.get(name), new.get(name));
            let path = format!("{path}.{name}");
            first_difference(
                &path,
                old.unwrap_or(&Json::Null),
                new.unwrap_or(&Json::Null),
            )
        }),
        _ => (old != new).then(|| path.to_owned()),
    }
}

/// How much of a recording can be kept.
pub(super) fn longest_archive(encoding: EncodingType) -> IsoDuration {
    match encoding {
        EncodingType::PassthroughBasic => IsoDuration::from_hours(8),
        // MK.IO's extended archive; AMS ended at 25 hours.
        EncodingType::None
        | EncodingType::PassthroughStandard
        | EncodingType::Standard
        | EncodingType::Premium1080p => IsoDuration::from_hours(7 * 24),
    }
}

/// How many outputs an event may have (AMS).
pub(super) fn most_outputs(encoding: EncodingType) -> u32 {
    match encoding {
        EncodingType::PassthroughBasic => 1,
        EncodingType::None
        | EncodingType::PassthroughStandard
        | EncodingType::Standard
        | EncodingType::Premium1080p => 3,
    }
}

/// Whether an output fits an event of this type.
///
/// Errors: [`CatalogError::Invalid`].
pub(super) fn check_output(
    output: &NewLiveOutput,
    encoding: EncodingType,
) -> Result<(), CatalogError> {
    let properties = &output.properties;
    names::text(
        "properties.description",
        properties.description.as_deref(),
        LONGEST_DESCRIPTION,
    )?;
    let longest = longest_archive(encoding);
    let archive = properties.archive_window_length;
    if !(SHORTEST_WINDOW..=longest).contains(&archive) {
        return invalid(
            "archiveWindowLength",
            format!("must be {SHORTEST_WINDOW} to {longest}"),
        );
    }
    if properties
        .rewind_window_length
        .is_some_and(|rewind| !(SHORTEST_WINDOW..=archive).contains(&rewind))
    {
        return invalid(
            "rewindWindowLength",
            format!("must be {SHORTEST_WINDOW} to the archiveWindowLength"),
        );
    }
    if !FRAGMENTS_PER_TS_SEGMENT.contains(&properties.hls.fragments_per_ts_segment) {
        return invalid("hls.fragmentsPerTsSegment", "must be 1 to 10");
    }
    if let Some(name) = &output.manifest_name {
        names::hyphenated("properties.manifestName", name, LONGEST_NAME)?;
    }
    Ok(())
}
