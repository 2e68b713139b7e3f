//! What a job reads. Spec: the management API reference, 1.11 and 2.9.
//!
//! | `@odata.type` | |
//! |---|---|
//! | `JobInputAsset` | files of an asset |
//! | `JobInputHttp` | files at URLs |
//! | `JobInputSequence` | such inputs one after the other |
//! | `JobInputs` | the source first, then what a preset calls by label |
//!
//! The first two take `start` and `end` (`AbsoluteClipTime`, and of assets `UtcClipTime`) and `inputDefinitions`, which choose
//! tracks.

use headwater_catalog::IsoDuration;
use headwater_catalog::jobs::{Cut, JobInput};
use headwater_work::{Channel, ChoiceBy, Selection, TrackChoice};
use serde_json::Map;

use super::jobs::{MAX_FILES, discriminator};
use crate::error::ApiError;
use crate::fields::Object;

/// Inputs of a list.
pub(crate) const MAX_INPUTS: usize = 50;

/// Reads `properties.input`.
pub(super) fn read(input: &Object<'_>) -> Result<JobInput, ApiError> {
    match discriminator(input)?.as_str() {
        "JobInputs" => {
            let mut inputs = list(input)?
                .iter()
                .map(|object| match discriminator(object)?.as_str() {
                    "JobInputSequence" => sequence(object),
                    _ => clip(object),
                })
                .collect::<Result<Vec<_>, _>>()?;
            for (index, input) in inputs.iter().enumerate().skip(1) {
                let labelled = match input {
                    JobInput::Asset { cut, .. } | JobInput::Http { cut, .. } => {
                        cut.selection.label.is_some()
                    }
                    _ => false,
                };
                if !labelled {
                    return Err(ApiError::invalid(
                        format!("properties.input.inputs[{index}].label"),
                        "is required of all inputs but the first, which cannot be a sequence then",
                    ));
                }
            }
            // One in a list is no list.
            Ok(match inputs.len() {
                1 => inputs.remove(0),
                _ => JobInput::Several { inputs },
            })
        }
        "JobInputSequence" => sequence(input),
        _ => clip(input),
    }
}

fn list<'a>(input: &Object<'a>) -> Result<Vec<Object<'a>>, ApiError> {
    input.only(&["@odata.type", "inputs"])?;
    let inputs = input.objects("inputs")?;
    let inputs = input.required("inputs", inputs)?;
    if inputs.is_empty() || inputs.len() > MAX_INPUTS {
        return Err(ApiError::invalid(
            input.path("inputs"),
            format!("must have 1 to {MAX_INPUTS} members"),
        ));
    }
    Ok(inputs)
}

fn sequence(input: &Object<'_>) -> Result<JobInput, ApiError> {
    let inputs = list(input)?.iter().map(clip).collect::<Result<_, _>>()?;
    Ok(JobInput::Sequence { inputs })
}

fn clip(input: &Object<'_>) -> Result<JobInput, ApiError> {
    let common = [
        "@odata.type",
        "files",
        "label",
        "start",
        "end",
        "inputDefinitions",
    ];
    let known = |own: &'static str| common.into_iter().chain([own]).collect::<Vec<_>>();
    match discriminator(input)?.as_str() {
        "JobInputAsset" => {
            input.only(&known("assetName"))?;
            Ok(JobInput::Asset {
                asset_name: input.required_text("assetName")?,
                files: files(input)?,
                label: input.text("label")?,
                cut: cut(input)?,
            })
        }
        "JobInputHttp" => {
            input.only(&known("baseUri"))?;
            http(input)
        }
        other => Err(ApiError::invalid(
            input.path("@odata.type"),
            format!("'{other}' is not a kind of job input"),
        )),
    }
}

fn files(input: &Object<'_>) -> Result<Vec<String>, ApiError> {
    let mut files = input.texts("files")?.unwrap_or_default();
    // Clients send [""] for "whatever is there".
    files.retain(|file| !file.is_empty());
    if files.len() > MAX_FILES {
        return Err(ApiError::invalid(
            input.path("files"),
            format!("must have at most {MAX_FILES} members"),
        ));
    }
    Ok(files)
}

/// `baseUri` and `files` are put together as they are, with a slash where there is none; without `baseUri` files are whole
/// URLs.
fn http(input: &Object<'_>) -> Result<JobInput, ApiError> {
    let files = files(input)?;
    let base = input.text("baseUri")?.unwrap_or_default();
    if files.is_empty() && base.is_empty() {
        return Err(ApiError::invalid(input.path("files"), "is required"));
    }
    let (base_path, base_query) = base.split_once('?').unwrap_or((&base, ""));
    let mut urls = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let url = if base.is_empty() {
            file.clone()
        } else {
            let slash = if base_path.ends_with('/') { "" } else { "/" };
            // A signature on the base is for every file.
            let query = match (base_query, file.contains('?')) {
                ("", _) => String::new(),
                (query, true) => format!("&{query}"),
                (query, false) => format!("?{query}"),
            };
            format!("{base_path}{slash}{}{query}", file.trim_start_matches('/'))
        };
        urls.push(checked(&format!("{}[{index}]", input.path("files")), url)?);
    }
    if urls.is_empty() {
        urls.push(checked(&input.path("baseUri"), base.clone())?);
    }
    let bare = |text: &str| text.split(['?', '#']).next().unwrap_or_default().to_owned();
    let mut shown = Map::new();
    shown.insert("@odata.type".into(), "#Microsoft.Media.JobInputHttp".into());
    if !base.is_empty() {
        shown.insert("baseUri".into(), bare(&base).into());
    }
    let bare_files: Vec<String> = files.iter().map(|file| bare(file)).collect();
    shown.insert("files".into(), bare_files.into());
    if let Some(label) = input.text("label")? {
        shown.insert("label".into(), label.into());
    }
    Ok(JobInput::Http {
        shown,
        urls,
        cut: cut(input)?,
    })
}

/// Only http and https, with a host, without a user name. Whether the host may be asked is decided by who asks.
fn checked(field: &str, url: String) -> Result<String, ApiError> {
    let parsed = url.parse::<http::Uri>().ok().filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri
                .authority()
                .is_some_and(|authority| !authority.as_str().contains('@'))
    });
    if parsed.is_none() || url.len() > 4096 {
        return Err(ApiError::invalid(
            field,
            "must make an http or https URL without a user name, of at most 4096 characters",
        ));
    }
    Ok(url)
}

fn cut(input: &Object<'_>) -> Result<Cut, ApiError> {
    let mut shown = Map::new();
    for member in ["start", "end", "inputDefinitions"] {
        if let Some(value) = input.get(member).filter(|value| !value.is_null()) {
            shown.insert(member.to_owned(), value.clone());
        }
    }
    let (start, end) = (time(input, "start")?, time(input, "end")?);
    let ends_first = match (start, end) {
        (None, Some(ClipTime::Absolute(end))) => end == 0,
        (Some(ClipTime::Absolute(start)), Some(ClipTime::Absolute(end))) => end <= start,
        (Some(ClipTime::Utc(start)), Some(ClipTime::Utc(end))) => end <= start,
        // One is of the archive, the other of the time of day: who reads the archive knows.
        _ => false,
    };
    if ends_first {
        return Err(ApiError::invalid(input.path("end"), "must be after start"));
    }
    let absolute = |time: Option<ClipTime>| match time {
        Some(ClipTime::Absolute(ms)) => Some(ms),
        _ => None,
    };
    let utc = |time: Option<ClipTime>| match time {
        Some(ClipTime::Utc(ms)) => Some(ms),
        _ => None,
    };
    let mut tracks = Vec::new();
    for definition in input.objects("inputDefinitions")?.unwrap_or_default() {
        definition_of(&definition, &mut tracks)?;
    }
    Ok(Cut {
        shown,
        selection: Selection {
            label: input.text("label")?,
            start_ms: absolute(start),
            end_ms: absolute(end),
            start_utc_ms: utc(start),
            end_utc_ms: utc(end),
            tracks,
        },
    })
}

/// Where a clip begins or ends.
#[derive(Debug, Clone, Copy)]
enum ClipTime {
    /// Milliseconds from the beginning of the source.
    Absolute(u64),
    /// Milliseconds since 1970.
    Utc(i64),
}

fn time(input: &Object<'_>, member: &str) -> Result<Option<ClipTime>, ApiError> {
    let Some(object) = input.object(member)? else {
        return Ok(None);
    };
    match discriminator(&object)?.as_str() {
        "AbsoluteClipTime" => {
            object.only(&["@odata.type", "time"])?;
            let text = object.required_text("time")?;
            let time: IsoDuration = text.parse().map_err(|_| {
                ApiError::invalid(object.path("time"), "must be an ISO 8601 duration")
            })?;
            Ok(Some(ClipTime::Absolute(time.as_millis())))
        }
        "UtcClipTime" if discriminator(input)? == "JobInputHttp" => Err(ApiError::invalid(
            object.path("@odata.type"),
            "UtcClipTime is for archives of live events in assets: use AbsoluteClipTime",
        )),
        "UtcClipTime" => {
            object.only(&["@odata.type", "time"])?;
            let time = object.time("time")?;
            let time = object.required("time", time)?;
            Ok(Some(ClipTime::Utc(time.as_millisecond())))
        }
        other => Err(ApiError::invalid(
            object.path("@odata.type"),
            format!("'{other}' is not a kind of clip time"),
        )),
    }
}

fn definition_of(definition: &Object<'_>, tracks: &mut Vec<TrackChoice>) -> Result<(), ApiError> {
    let kind = discriminator(definition)?;
    let each = kind == "FromEachInputFile";
    let file = match kind.as_str() {
        "FromAllInputFile" | "FromEachInputFile" => {
            definition.only(&["@odata.type", "includedTracks"])?;
            None
        }
        "InputFile" => {
            definition.only(&["@odata.type", "includedTracks", "filename"])?;
            Some(definition.required_text("filename")?)
        }
        other => {
            return Err(ApiError::invalid(
                definition.path("@odata.type"),
                format!("'{other}' is not a kind of input definition"),
            ));
        }
    };
    let included = definition.objects("includedTracks")?.unwrap_or_default();
    if included.is_empty() {
        for audio in [false, true] {
            tracks.push(TrackChoice {
                audio,
                file: file.clone(),
                by: ChoiceBy::All,
                each,
                mapping: None,
            });
        }
    }
    for track in &included {
        let (audio, by) = choice(track)?;
        tracks.push(TrackChoice {
            audio,
            file: file.clone(),
            by,
            each,
            mapping: if audio { mapping(track)? } else { None },
        });
    }
    if tracks.len() > 100 {
        return Err(ApiError::invalid(
            definition.path("includedTracks"),
            "chooses too many tracks",
        ));
    }
    Ok(())
}

/// `channelMapping`.
fn mapping(track: &Object<'_>) -> Result<Option<Channel>, ApiError> {
    let Some(name) = track.text("channelMapping")? else {
        return Ok(None);
    };
    let known = Channel::ALL.into_iter().find(|(known, _)| *known == name);
    known.map(|(_, channel)| Some(channel)).ok_or_else(|| {
        let names = Channel::ALL.map(|(name, _)| name).join(", ");
        ApiError::invalid(
            track.path("channelMapping"),
            format!("must be one of {names}"),
        )
    })
}

fn choice(track: &Object<'_>) -> Result<(bool, ChoiceBy), ApiError> {
    let kind = discriminator(track)?;
    let audio = kind.contains("Audio");
    let only = |own: &[&'static str]| {
        let mapping = audio.then_some("channelMapping");
        let known = ["@odata.type"].into_iter().chain(mapping);
        track.only(&known.chain(own.iter().copied()).collect::<Vec<_>>())
    };
    let by = match kind.as_str() {
        "AudioTrackDescriptor" | "VideoTrackDescriptor" => {
            only(&[])?;
            ChoiceBy::All
        }
        "SelectAudioTrackById" | "SelectVideoTrackById" => {
            only(&["trackId"])?;
            let id = track.whole("trackId")?;
            ChoiceBy::Id {
                id: track.required("trackId", id)?,
            }
        }
        "SelectAudioTrackByAttribute" | "SelectVideoTrackByAttribute" => {
            only(&["attribute", "filter", "filterValue"])?;
            let attribute = track.required_text("attribute")?;
            let filter = track.required_text("filter")?;
            let value = || track.required_text("filterValue");
            match (attribute.as_str(), filter.as_str()) {
                (_, "All") => ChoiceBy::All,
                ("Bitrate", "Top") => ChoiceBy::TopBitrate,
                ("Bitrate", "Bottom") => ChoiceBy::BottomBitrate,
                ("Bitrate", "ValueEquals") => ChoiceBy::Bitrate {
                    bits_per_second: value()?.parse().map_err(|_| {
                        ApiError::invalid(track.path("filterValue"), "must be a bitrate in bit/s")
                    })?,
                },
                ("Language", "ValueEquals") if audio => ChoiceBy::Language { language: value()? },
                _ => {
                    return Err(ApiError::invalid(
                        track.path("filter"),
                        "must be All, or Top, Bottom or ValueEquals of Bitrate, or ValueEquals of Language (of sound)",
                    ));
                }
            }
        }
        other => {
            return Err(ApiError::invalid(
                track.path("@odata.type"),
                format!("'{other}' is not a kind of track descriptor"),
            ));
        }
    };
    Ok((audio, by))
}
