//! What RTMP data messages say of moments (streaming reference, 5.7): `onAdCue` and `onCuePoint` are cues, `onUserDataEvent` is
//! a message for players.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_live::cue::{
    self, Body, ID3_SCHEME, MAX_MESSAGE_BYTES, MAX_TEXT_BYTES, Message, Role, Said, Signal,
};
use headwater_live::timeline::clock_of_ticks;
use headwater_rtmp::amf0::Value;
use headwater_time::Timescale;

/// What a message says. `now`: its own time stamp, 90 kHz. Ok `None` for messages of other names.
///
/// Errors: what is wrong with it, for an operator.
pub(crate) fn of_data(name: &str, values: &[Value], now: i64) -> Result<Option<Said>, String> {
    let first = values.first().unwrap_or(&Value::Null);
    match name {
        "onAdCue" => ad_cue(first, now).map(Some),
        "onCuePoint" => cue_point(first, now).map(Some),
        "onUserDataEvent" => match first {
            Value::Text(text) => user_data(text, now).map(Some),
            _ => Err("it holds no text".to_owned()),
        },
        _ => Ok(None),
    }
}

/// What a sample of a sparse track of Smooth ingest says (streaming reference, 5.8). `time`: of its fragment,
/// 90 kHz; `scale`: what the track counts in.
///
/// Errors: what is wrong with it, for an operator.
pub(crate) fn of_sparse(
    scheme: &str,
    (time, scale): (i64, Timescale),
    sample: &[u8],
) -> Result<Said, String> {
    let Some((head, data)) = sample.split_first_chunk::<12>() else {
        return Err(format!("it has {} bytes", sample.len()));
    };
    let [v0, v1, v2, v3, i0, i1, i2, i3, d0, d1, d2, d3] = *head;
    let version = u32::from_be_bytes([v0, v1, v2, v3]);
    if version != 1 {
        return Err(format!("its version is {version}"));
    }
    let id = u32::from_be_bytes([i0, i1, i2, i3]);
    let delta = u32::from_be_bytes([d0, d1, d2, d3]);
    let time = time.saturating_add(clock_of_ticks(delta.into(), scale));
    if scheme.eq_ignore_ascii_case(cue::SPLICE_SCHEME) {
        return spliced(data, Some(id.to_string()), time, None);
    }
    if data.len() > MAX_MESSAGE_BYTES {
        return Err(format!("its data has {} bytes", data.len()));
    }
    Ok(Said::Message(Message {
        scheme: short(scheme),
        value: String::new(),
        time,
        duration: None,
        id,
        data: data.to_vec(),
    }))
}

/// Seconds of a member in 90 kHz ticks.
fn ticks(value: &Value, name: &str) -> Option<i64> {
    let seconds = value.get(name)?.as_number()?;
    // From floating point, saturating.
    seconds
        .is_finite()
        .then(|| (seconds * 90_000.0).round() as i64)
}

fn duration(value: &Value) -> Option<u64> {
    let ticks = u64::try_from(ticks(value, "duration")?).ok()?;
    (ticks > 0).then_some(ticks)
}

/// Text, or a number as text, shortened.
fn text(value: Option<&Value>) -> Option<String> {
    let text = match value? {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(short(&text)).filter(|text| !text.is_empty())
}

fn short(text: &str) -> String {
    let mut short = String::new();
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        if short.len() + letter.len_utf8() > MAX_TEXT_BYTES {
            break;
        }
        short.push(letter);
    }
    short
}

fn ad_cue(value: &Value, now: i64) -> Result<Said, String> {
    let kind = value.get("type").and_then(Value::as_text);
    match kind {
        Some("SpliceOut") => Ok(simple(value, now)),
        Some("scte35" | "urn:scte:scte35:2013:bin") => splice(value, now),
        Some(other) => Err(format!("its type is '{}'", short(other))),
        None => Err("it has no type".to_owned()),
    }
}

/// Elemental's: what is said is in `parameters`.
fn cue_point(value: &Value, now: i64) -> Result<Said, String> {
    if value.get("name").and_then(Value::as_text) != Some("scte35") {
        return Err("its name is not 'scte35'".to_owned());
    }
    let none = Value::Object(Vec::new());
    let parameters = value.get("parameters").unwrap_or(&none);
    // What is missing in the one may be in the other.
    let mut members = Vec::new();
    for of in [parameters, value] {
        if let Value::Object(own) = of {
            let all = own
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "type" | "name" | "parameters"));
            members.extend(all.cloned());
        }
    }
    let merged = Value::Object(members);
    match merged.get("cue") {
        Some(_) => splice(&merged, now),
        None => Ok(simple(&merged, now)),
    }
}

fn simple(value: &Value, now: i64) -> Said {
    let time = ticks(value, "time").unwrap_or(now);
    Said::Signal(Signal {
        id: text(value.get("id")).unwrap_or_else(|| time.to_string()),
        time,
        duration: duration(value),
        cancel: false,
        body: Body::Break,
    })
}

fn splice(value: &Value, now: i64) -> Result<Said, String> {
    let encoded = value.get("cue").and_then(Value::as_text);
    let encoded = encoded.ok_or("it has no cue")?;
    let section = STANDARD
        .decode(encoded.trim())
        .map_err(|error| format!("its cue is not base64: {error}"))?;
    let id = text(value.get("id"));
    // The time in the section is of the transport stream that it came from.
    let time = ticks(value, "time").unwrap_or(now);
    spliced(&section, id, time, duration(value))
}

/// A splice section. `id`, `duration`: as they were said beside it.
fn spliced(
    section: &[u8],
    id: Option<String>,
    time: i64,
    duration: Option<u64>,
) -> Result<Said, String> {
    let found = cue::splice(section).map_err(|error| error.to_string())?;
    let found = found.ok_or("its cue splices nothing")?;
    let event = || match found.event {
        Some(event) => event.to_string(),
        None => crc32fast::hash(section).to_string(),
    };
    Ok(Said::Signal(Signal {
        id: id.unwrap_or_else(event),
        time,
        duration: match found.role {
            Role::In => None,
            Role::Out | Role::Other => duration.or(found.duration),
        },
        cancel: found.cancel,
        body: Body::Splice {
            role: found.role,
            section: section.to_vec(),
        },
    }))
}

/// An `EventStream` in XML with one `Event`.
fn user_data(xml: &str, now: i64) -> Result<Said, String> {
    if xml.len() > 2 * MAX_MESSAGE_BYTES {
        return Err(format!("it has {} bytes", xml.len()));
    }
    let document = roxmltree::Document::parse(xml).map_err(|error| error.to_string())?;
    let stream = document.root_element();
    if stream.tag_name().name() != "EventStream" {
        return Err(format!("it is a '{}'", short(stream.tag_name().name())));
    }
    let scheme = stream
        .attribute("schemeIdUri")
        .ok_or("it has no schemeIdUri")?;
    let mut events = stream
        .children()
        .filter(|node| node.tag_name().name() == "Event");
    let (Some(event), None) = (events.next(), events.next()) else {
        return Err("it has not one Event".to_owned());
    };
    let number = |node: roxmltree::Node<'_, '_>, name: &str| -> Result<Option<u64>, String> {
        let value = node.attribute(name).map(str::parse::<u64>).transpose();
        value.map_err(|_| format!("its {name} is no number"))
    };
    let scale = number(stream, "timescale")?.unwrap_or(1_000);
    if scale == 0 {
        return Err("its timescale is 0".to_owned());
    }
    let clock = |ticks: u64| {
        let scaled = u128::from(ticks) * 90_000 / u128::from(scale);
        u64::try_from(scaled).unwrap_or(u64::MAX)
    };
    let time = number(event, "presentationTime")?;
    let time = time.map(|ticks| i64::try_from(clock(ticks)).unwrap_or(i64::MAX));
    let inner: String = event.children().filter_map(|node| node.text()).collect();
    let data = event.attribute("messageData").unwrap_or(inner.trim());
    let encoded = event.attribute("contentEncoding") == Some("base64") || scheme == ID3_SCHEME;
    let data = match encoded {
        true => STANDARD
            .decode(data)
            .map_err(|error| format!("its data is not base64: {error}"))?,
        false => data.as_bytes().to_vec(),
    };
    if data.len() > MAX_MESSAGE_BYTES {
        return Err(format!("its data has {} bytes", data.len()));
    }
    let id = number(event, "id")?.and_then(|id| u32::try_from(id).ok());
    Ok(Said::Message(Message {
        scheme: short(scheme),
        value: short(stream.attribute("value").unwrap_or_default()),
        time: time.unwrap_or(now),
        duration: number(event, "duration")?.map(clock),
        id: id.unwrap_or_else(|| crc32fast::hash(&data)),
        data,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 900_000;
    /// ANSI/SCTE 35, 14.2.
    const CUE: &str = "/DAvAAAAAAAA///wFAVIAACPf+/+c2nALv4AUsz1AAAAAAAKAAhDVUVJAAABNWLbowo=";

    fn object(members: &[(&str, Value)]) -> Value {
        let members = members.iter();
        Value::Object(
            members
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        )
    }

    fn said(name: &str, value: Value) -> Result<Option<Said>, String> {
        of_data(name, &[value], NOW)
    }

    #[test]
    fn ad_cues_of_both_modes() {
        let text = |text: &str| Value::Text(text.to_owned());
        let simple = object(&[
            ("type", text("SpliceOut")),
            ("id", text("a1")),
            ("duration", Value::Number(30.0)),
            ("time", Value::Number(12.5)),
        ]);
        assert_eq!(
            said("onAdCue", simple).unwrap().unwrap(),
            Said::Signal(Signal {
                id: "a1".into(),
                time: 1_125_000,
                duration: Some(2_700_000),
                cancel: false,
                body: Body::Break,
            })
        );
        let splice = object(&[
            ("type", text("scte35")),
            ("cue", text(CUE)),
            ("duration", Value::Number(0.0)),
        ]);
        let Said::Signal(signal) = said("onAdCue", splice).unwrap().unwrap() else {
            panic!("a cue is a signal");
        };
        assert_eq!(
            (signal.id.as_str(), signal.time, signal.duration),
            ("1207959695", NOW, Some(0x52_ccf5))
        );
        let Body::Splice { role, section } = signal.body else {
            panic!("a splice has its section");
        };
        assert_eq!((role, STANDARD.encode(section).as_str()), (Role::Out, CUE));
        let point = object(&[
            ("name", text("scte35")),
            ("time", Value::Number(20.0)),
            ("type", text("event")),
            (
                "parameters",
                object(&[
                    ("id", Value::Number(7.0)),
                    ("duration", Value::Number(15.0)),
                ]),
            ),
        ]);
        let Said::Signal(signal) = said("onCuePoint", point).unwrap().unwrap() else {
            panic!("a cue is a signal");
        };
        assert_eq!(
            (signal.id.as_str(), signal.time, signal.duration),
            ("7", 1_800_000, Some(1_350_000))
        );
    }

    #[test]
    fn user_data_is_a_message() {
        let xml = |attributes: &str, event: &str| {
            Value::Text(format!(
                "<EventStream xmlns='urn:mpeg:dash:schema:mpd:2011' {attributes}>{event}</EventStream>"
            ))
        };
        let id3 = xml(
            "schemeIdUri='https://aomedia.org/emsg/ID3' value='v'",
            "<Event id='3' presentationTime='5000' duration='1000'>SUQzBA==</Event>",
        );
        assert_eq!(
            said("onUserDataEvent", id3).unwrap().unwrap(),
            Said::Message(Message {
                scheme: ID3_SCHEME.into(),
                value: "v".into(),
                time: 450_000,
                duration: Some(90_000),
                id: 3,
                data: b"ID3\x04".to_vec(),
            })
        );
        let plain = xml(
            "schemeIdUri='urn:x' timescale='10'",
            "<Event> hello </Event>",
        );
        let Said::Message(message) = said("onUserDataEvent", plain).unwrap().unwrap() else {
            panic!("user data is a message");
        };
        assert_eq!(
            (message.time, message.data.as_slice()),
            (NOW, &b"hello"[..])
        );
    }

    #[test]
    fn what_says_nothing_is_told_why() {
        let text = |text: &str| Value::Text(text.to_owned());
        for (name, value, fault) in [
            ("onAdCue", Value::Null, "it has no type"),
            ("onAdCue", object(&[("type", text("x"))]), "its type is 'x'"),
            (
                "onAdCue",
                object(&[("type", text("scte35"))]),
                "it has no cue",
            ),
            (
                "onAdCue",
                object(&[("type", text("scte35")), ("cue", text("/DAv"))]),
                "a splice section cannot be used: ",
            ),
            ("onCuePoint", Value::Null, "its name is not 'scte35'"),
            ("onUserDataEvent", Value::Null, "it holds no text"),
            ("onUserDataEvent", text("<x/>"), "it is a 'x'"),
            (
                "onUserDataEvent",
                text("<EventStream/>"),
                "it has no schemeIdUri",
            ),
            (
                "onUserDataEvent",
                text("<EventStream schemeIdUri='x' timescale='0'><Event/></EventStream>"),
                "its timescale is 0",
            ),
            (
                "onUserDataEvent",
                text("<EventStream schemeIdUri='x'><Event duration='-1'/></EventStream>"),
                "its duration is no number",
            ),
        ] {
            let error = said(name, value).unwrap_err();
            assert!(error.starts_with(fault), "{error}");
        }
        assert_eq!(said("onTextData", Value::Null), Ok(None));
    }
}
