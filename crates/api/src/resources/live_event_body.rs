//! Reads what clients write about a live event into the shape in which it is kept.
//!
//! Here is what a member has to look like; what goes with what is the catalog's to say. Spec: the management API reference,
//! 1.12 and 2.10.

use std::net::IpAddr;

use headwater_catalog::IsoDuration;
use headwater_catalog::live::LiveEventWrite;
use headwater_catalog::live::model::everybody;
use serde_json::{Map, Value as Json, json};

use super::endpoints::asks;
use super::location;
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::{ENVELOPE, Object};

pub(crate) const PROTOCOLS: &[&str] = &["RTMP", "RTMPS", "SRT", "FragmentedMP4"];
pub(crate) const ENCODING_TYPES: &[&str] = &[
    "None",
    "PassthroughBasic",
    "PassthroughStandard",
    "Standard",
    "Premium1080p",
];
pub(crate) const STREAM_OPTIONS: &[&str] = &["Default", "LowLatency", "LowLatencyV2"];
pub(crate) const FILLS: &[&str] = &["None", "Silence", "BlackAndSilence"];
pub(crate) const STRETCH_MODES: &[&str] = &["None", "AutoSize", "AutoFit"];

/// Most transcriptions that are kept.
pub(crate) const MOST_TRANSCRIPTIONS: usize = 10;

/// The members of one object that were read so far.
struct Part<'a> {
    from: Object<'a>,
    made: Map<String, Json>,
}

impl<'a> Part<'a> {
    fn new(from: Object<'a>) -> Self {
        Self {
            from,
            made: Map::new(),
        }
    }

    fn keep(&mut self, member: &str, value: Option<impl Into<Json>>) {
        if let Some(value) = value {
            self.made.insert(member.into(), value.into());
        }
    }

    fn text(&mut self, member: &str) -> Result<(), ApiError> {
        let text = self.from.text(member)?;
        self.keep(member, text);
        Ok(())
    }

    fn one_of(&mut self, member: &str, names: &[&str]) -> Result<(), ApiError> {
        let known = |text: &str| names.contains(&text).then(|| text.to_owned());
        let name = self.from.one_of(member, names, known)?;
        self.keep(member, name);
        Ok(())
    }

    /// A duration, or a plain number of seconds, as scripts send it. An empty one counts as missing.
    fn duration(&mut self, member: &str) -> Result<(), ApiError> {
        let text = self.from.text(member)?.filter(|text| !text.is_empty());
        let duration = text
            .map(|text| {
                let plain = text.starts_with(|c: char| c.is_ascii_digit());
                let iso = if plain { format!("PT{text}S") } else { text };
                iso.parse::<IsoDuration>().map_err(|_| {
                    ApiError::invalid(
                        self.from.path(member),
                        "must be an ISO 8601 duration, for instance PT2S",
                    )
                })
            })
            .transpose()?;
        self.keep(member, duration.map(|duration| duration.to_string()));
        Ok(())
    }
}

/// What a request says about an event.
pub(super) fn read<S, C>(call: &Call<'_, S, C>) -> Result<LiveEventWrite, ApiError> {
    let body = call.body()?;
    let root = Object::root(&body)?;
    root.only(ENVELOPE)?;
    location::check(&root, "location", &call.project()?.location)?;
    let mut write = LiveEventWrite {
        tags: root.text_map("tags")?,
        labels: root.text_map("labels")?,
        ..LiveEventWrite::default()
    };
    let Some(properties) = root.object("properties")? else {
        return Ok(write);
    };
    properties.only(&[
        // Read only.
        "provisioningState",
        "resourceState",
        "created",
        "lastModified",
        // Kept.
        "description",
        "input",
        "preview",
        "encoding",
        "streamOptions",
        "useStaticHostname",
        "hostnamePrefix",
        "transcriptions",
        "crossSiteAccessPolicies",
        // Refused unless it asks for nothing.
        "pipeline",
    ])?;
    refuse(
        &properties,
        "pipeline",
        "is not supported by this installation: it transcribes nothing",
    )?;
    let empty_is_everybody = !call.is_arm();
    if let Some(input) = properties.object("input")? {
        write.access_token = input.text("accessToken")?.filter(|token| !token.is_empty());
    }
    let mut made = Part::new(properties);
    made.text("description")?;
    if let Some(input) = made.from.object("input")? {
        made.keep("input", Some(read_input(input, empty_is_everybody)?));
    }
    if let Some(preview) = made.from.object("preview")? {
        made.keep("preview", Some(read_preview(preview, empty_is_everybody)?));
    }
    if let Some(encoding) = made.from.object("encoding")? {
        made.keep("encoding", Some(read_encoding(encoding)?));
    }
    let options = read_options(&made.from)?;
    made.keep("streamOptions", options);
    let fixed_host = made.from.flag("useStaticHostname")?;
    made.keep("useStaticHostname", fixed_host);
    let prefix = made.from.text("hostnamePrefix")?;
    let prefix = prefix.filter(|prefix| !prefix.is_empty());
    if made.from.names_member("hostnamePrefix") {
        // Without a value the prefix is taken back.
        made.keep(
            "hostnamePrefix",
            Some(prefix.map_or(Json::Null, Json::from)),
        );
    }
    let policies = super::cross_site::read(&made.from)?;
    made.keep("crossSiteAccessPolicies", policies);
    let transcriptions = read_transcriptions(&made.from, call.is_arm())?;
    made.keep("transcriptions", transcriptions);
    write.properties = made.made;
    Ok(write)
}

fn refuse(object: &Object<'_>, member: &str, why: &str) -> Result<(), ApiError> {
    if object.get(member).is_some_and(asks) {
        return Err(ApiError::invalid(object.path(member), why));
    }
    Ok(())
}

fn read_input(input: Object<'_>, empty_is_everybody: bool) -> Result<Json, ApiError> {
    input.only(&[
        "streamingProtocol",
        "accessToken",
        "keyFrameIntervalDuration",
        "accessControl",
        "fillWith",
        "fillAfter",
        // Read only.
        "endpoints",
        "timedMetadataEndpoints",
    ])?;
    let mut made = Part::new(input);
    made.one_of("streamingProtocol", PROTOCOLS)?;
    made.duration("keyFrameIntervalDuration")?;
    made.one_of("fillWith", FILLS)?;
    made.duration("fillAfter")?;
    let access = read_access(&made.from, empty_is_everybody)?;
    made.keep("accessControl", access);
    Ok(Json::Object(made.made))
}

fn read_preview(preview: Object<'_>, empty_is_everybody: bool) -> Result<Json, ApiError> {
    preview.only(&[
        "previewLocator",
        "streamingPolicyName",
        "alternativeMediaId",
        "accessControl",
        // Read only.
        "endpoints",
    ])?;
    let mut made = Part::new(preview);
    let locator = made.from.text("previewLocator")?;
    if locator.is_some_and(|locator| !locator.is_empty()) {
        let locator = made.from.uuid("previewLocator")?;
        made.keep("previewLocator", locator.map(|id| id.to_string()));
    }
    made.text("streamingPolicyName")?;
    made.text("alternativeMediaId")?;
    let access = read_access(&made.from, empty_is_everybody)?;
    made.keep("accessControl", access);
    Ok(Json::Object(made.made))
}

fn read_encoding(encoding: Object<'_>) -> Result<Json, ApiError> {
    encoding.only(&[
        "encodingType",
        "presetName",
        "keyFrameInterval",
        "stretchMode",
    ])?;
    let mut made = Part::new(encoding);
    made.one_of("encodingType", ENCODING_TYPES)?;
    let preset = made.from.text("presetName")?;
    made.keep("presetName", preset.filter(|name| !name.is_empty()));
    made.duration("keyFrameInterval")?;
    made.one_of("stretchMode", STRETCH_MODES)?;
    Ok(Json::Object(made.made))
}

/// An access list. An empty one is nobody in AMS and everybody in MK.IO: what is meant is kept in words that both
/// understand.
fn read_access(side: &Object<'_>, empty_is_everybody: bool) -> Result<Option<Json>, ApiError> {
    let Some(access) = side.object("accessControl")? else {
        return Ok(None);
    };
    access.only(&["ip"])?;
    allowed(&access, empty_is_everybody)
}

/// Of the members of an `accessControl`: `ip.allow`.
pub(super) fn allowed(
    access: &Object<'_>,
    empty_is_everybody: bool,
) -> Result<Option<Json>, ApiError> {
    let Some(ip) = access.object("ip")? else {
        return Ok(None);
    };
    ip.only(&["allow"])?;
    let Some(allow) = ip.objects("allow")? else {
        return Ok(None);
    };
    let mut ranges: Vec<Json> = allow.iter().map(range).collect::<Result<_, _>>()?;
    if ranges.is_empty() && empty_is_everybody {
        ranges.push(json!(everybody()));
    }
    Ok(Some(json!({"ip": {"allow": ranges}})))
}

fn range(range: &Object<'_>) -> Result<Json, ApiError> {
    range.only(&["name", "address", "subnetPrefixLength"])?;
    let mut made = Part::new(range.clone());
    made.text("name")?;
    let address = range.required_text("address")?;
    let address: IpAddr = address
        .parse()
        .map_err(|_| ApiError::invalid(range.path("address"), "must be an IPv4 or IPv6 address"))?;
    made.keep("address", Some(address.to_string()));
    let length = range.whole("subnetPrefixLength")?;
    if length.is_some_and(|length| length > 128) {
        return Err(ApiError::invalid(
            range.path("subnetPrefixLength"),
            "must be 0 to 32 for IPv4 and 0 to 128 for IPv6",
        ));
    }
    made.keep("subnetPrefixLength", length);
    Ok(Json::Object(made.made))
}

/// An empty list is the default.
fn read_options(properties: &Object<'_>) -> Result<Option<Json>, ApiError> {
    let options = properties.texts("streamOptions")?;
    let Some(options) = options.filter(|options| !options.is_empty()) else {
        return Ok(None);
    };
    match options
        .iter()
        .position(|name| !STREAM_OPTIONS.contains(&name.as_str()))
    {
        Some(at) => Err(ApiError::invalid(
            format!("{}[{at}]", properties.path("streamOptions")),
            format!("must be one of {}", STREAM_OPTIONS.join(", ")),
        )),
        None => Ok(Some(json!(options))),
    }
}

/// MK.IO takes transcriptions and does nothing with them; AMS did something, which is not done here.
fn read_transcriptions(properties: &Object<'_>, arm: bool) -> Result<Option<Json>, ApiError> {
    let Some(transcriptions) = properties.objects("transcriptions")? else {
        return Ok(None);
    };
    if arm && !transcriptions.is_empty() {
        return Err(ApiError::invalid(
            properties.path("transcriptions"),
            "live transcription is not supported by this installation",
        ));
    }
    if transcriptions.len() > MOST_TRANSCRIPTIONS {
        return Err(ApiError::invalid(
            properties.path("transcriptions"),
            format!("must have at most {MOST_TRANSCRIPTIONS} members"),
        ));
    }
    for transcription in &transcriptions {
        transcription.only(&[
            "language",
            "inputTrackSelection",
            "outputTranscriptionTrack",
        ])?;
    }
    Ok(Some(transcriptions.iter().map(Object::cloned).collect()))
}
