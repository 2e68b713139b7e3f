//! What ISO/IEC 23009-1 asks of the elements that we write: which may be where and in which order, what their attributes are.
//! In our own words, and of these elements alone; `tests/e2e/test_mpd_schema.py` takes the standard's schema itself.
#![allow(dead_code, unreachable_pub)] // Every test file uses another part.

use roxmltree::{Document, Node};

const DASH: &str = "urn:mpeg:dash:schema:mpd:2011";

/// Elements that stand in AdaptationSet and Representation alike, in front of their own.
const COMMON: [&str; 6] = [
    "AudioChannelConfiguration",
    "ContentProtection",
    "EssentialProperty",
    "SupplementalProperty",
    "InbandEventStream",
    "Label",
];

/// Attributes that both may have.
const COMMON_ATTRIBUTES: [(&str, Type); 12] = [
    ("profiles", Type::Profiles),
    ("width", Type::Unsigned(32)),
    ("height", Type::Unsigned(32)),
    ("sar", Type::Ratio),
    ("frameRate", Type::FrameRate),
    ("audioSamplingRate", Type::Unsigned(32)),
    ("mimeType", Type::Text),
    ("codecs", Type::Codecs),
    ("startWithSAP", Type::AccessPoint),
    ("maxPlayoutRate", Type::Decimal),
    ("codingDependency", Type::Boolean),
    ("scanType", Type::Text),
];

#[derive(Debug, Clone, Copy)]
enum Type {
    AccessPoint,
    Boolean,
    Codecs,
    Content,
    Date,
    Decimal,
    Duration,
    FrameRate,
    Language,
    NoSpace,
    Presentation,
    Profiles,
    Ratio,
    Text,
    /// Bits.
    Unsigned(u32),
    Uri,
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    digits(whole) && digits(fraction)
}

/// `2026-06-01T13:15:00Z`, with or without a fraction.
fn is_date(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else {
        return false;
    };
    let fraction = rest.strip_suffix('Z').unwrap_or("?");
    fraction.is_empty() || fraction.strip_prefix('.').is_some_and(digits)
}

impl Type {
    fn takes(self, value: &str) -> bool {
        let graphic = |c: char| c.is_ascii_graphic() && !"\"(),/:;<=>?@[]".contains(c);
        match self {
            Self::AccessPoint => matches!(value, "0" | "1" | "2" | "3" | "4" | "5" | "6"),
            Self::Boolean => matches!(value, "true" | "false"),
            Self::Codecs => value
                .split(',')
                .all(|codec| !codec.is_empty() && codec.chars().all(graphic)),
            Self::Content => matches!(value, "video" | "audio" | "text" | "image"),
            Self::Date => is_date(value),
            Self::Decimal => decimal(value),
            Self::Duration => value
                .strip_prefix("PT")
                .and_then(|rest| rest.strip_suffix('S'))
                .is_some_and(decimal),
            Self::FrameRate => {
                let (frames, seconds) = value.split_once('/').unwrap_or((value, "1"));
                digits(frames) && digits(seconds) && !seconds.starts_with('0')
            }
            Self::Language => {
                let mut parts = value.split('-');
                let short = |part: &str| (1..=8).contains(&part.len());
                let first = parts.next().unwrap_or_default();
                short(first)
                    && first.bytes().all(|b| b.is_ascii_alphabetic())
                    && parts.all(|p| short(p) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
            }
            Self::NoSpace => !value.is_empty() && !value.chars().any(char::is_whitespace),
            Self::Presentation => matches!(value, "static" | "dynamic"),
            Self::Profiles => value
                .split(',')
                .all(|profile| !profile.is_empty() && !profile.contains(' ')),
            Self::Ratio => {
                let parts = value.split_once(':');
                parts.is_some_and(|(a, b)| digits(a) && digits(b))
            }
            Self::Text => true,
            Self::Unsigned(bits) => {
                let number: Option<u64> = value.parse().ok();
                digits(value) && number.is_some_and(|n| bits == 64 || n >> bits == 0)
            }
            Self::Uri => !value.is_empty() && !value.contains(' '),
        }
    }
}

/// Children in their order, attributes, and which of these have to be there.
type Rules = (
    Vec<&'static str>,
    Vec<(&'static str, Type)>,
    Vec<&'static str>,
);

fn rules(element: &str) -> Rules {
    use Type::*;
    let descriptor = vec![("schemeIdUri", Uri), ("value", Text), ("id", Text)];
    let events = || {
        vec![
            ("schemeIdUri", Uri),
            ("value", Text),
            ("timescale", Unsigned(32)),
            ("presentationTimeOffset", Unsigned(64)),
        ]
    };
    let common = |own: &[&'static str], attributes: &[(&'static str, Type)]| {
        let children = COMMON.iter().chain(own).copied().collect();
        let attributes = COMMON_ATTRIBUTES.iter().chain(attributes).copied();
        (children, attributes.collect())
    };
    match element {
        "MPD" => (
            vec!["ServiceDescription", "Period", "UTCTiming"],
            vec![
                ("profiles", Profiles),
                ("type", Presentation),
                ("availabilityStartTime", Date),
                ("publishTime", Date),
                ("mediaPresentationDuration", Duration),
                ("minimumUpdatePeriod", Duration),
                ("minBufferTime", Duration),
                ("timeShiftBufferDepth", Duration),
                ("suggestedPresentationDelay", Duration),
                ("maxSegmentDuration", Duration),
            ],
            vec!["profiles", "minBufferTime"],
        ),
        "ServiceDescription" => (
            vec!["Latency", "PlaybackRate"],
            vec![("id", Unsigned(32))],
            vec![],
        ),
        "Latency" => (
            vec![],
            ["target", "min", "max"]
                .map(|name| (name, Unsigned(32)))
                .to_vec(),
            vec![],
        ),
        "PlaybackRate" => (vec![], vec![("min", Decimal), ("max", Decimal)], vec![]),
        "Period" => (
            vec!["EventStream", "AdaptationSet"],
            vec![("id", Text), ("start", Duration)],
            vec![],
        ),
        "EventStream" => (vec!["Event"], events(), vec!["schemeIdUri"]),
        "InbandEventStream" => (vec![], events(), vec!["schemeIdUri"]),
        "Event" => (
            vec![],
            vec![
                ("presentationTime", Unsigned(64)),
                ("duration", Unsigned(64)),
                ("id", Unsigned(32)),
            ],
            vec![],
        ),
        "AdaptationSet" => {
            let (children, attributes) = common(
                &["Accessibility", "Role", "SegmentTemplate", "Representation"],
                &[
                    ("id", Unsigned(32)),
                    ("lang", Language),
                    ("contentType", Content),
                    ("par", Ratio),
                    ("maxWidth", Unsigned(32)),
                    ("maxHeight", Unsigned(32)),
                    ("segmentAlignment", Boolean),
                ],
            );
            (children, attributes, vec![])
        }
        "Representation" => {
            let own = [("id", NoSpace), ("bandwidth", Unsigned(32))];
            let (children, attributes) = common(&["SegmentTemplate"], &own);
            (children, attributes, vec!["id", "bandwidth"])
        }
        "SegmentTemplate" => (
            vec!["SegmentTimeline"],
            vec![
                ("timescale", Unsigned(32)),
                ("presentationTimeOffset", Unsigned(64)),
                ("initialization", Text),
                ("media", Text),
                ("duration", Unsigned(32)),
                ("startNumber", Unsigned(32)),
                ("availabilityTimeOffset", Decimal),
                ("availabilityTimeComplete", Boolean),
            ],
            vec![],
        ),
        "SegmentTimeline" => (vec!["S"], vec![], vec![]),
        "S" => (
            vec![],
            vec![
                ("t", Unsigned(64)),
                ("d", Unsigned(64)),
                ("r", Unsigned(64)),
            ],
            vec!["d"],
        ),
        "Label" => (vec![], vec![("lang", Language)], vec![]),
        "AudioChannelConfiguration"
        | "ContentProtection"
        | "EssentialProperty"
        | "SupplementalProperty"
        | "Accessibility"
        | "Role"
        | "UTCTiming" => (vec![], descriptor, vec!["schemeIdUri"]),
        other => panic!("{other}: not an element that we write"),
    }
}

/// Asserts that `text` is as the standard has MPDs.
pub fn check(text: &str) {
    let document = Document::parse(text).unwrap_or_else(|fault| panic!("{fault}\n{text}"));
    let root = document.root_element();
    assert!(root.has_tag_name((DASH, "MPD")), "{text}");
    element(root, text);
    for period in root.children().filter(|c| c.has_tag_name((DASH, "Period"))) {
        for name in ["AdaptationSet", "Representation"] {
            let found = period
                .descendants()
                .filter(|d| d.has_tag_name((DASH, name)));
            let mut ids: Vec<&str> = found.filter_map(|d| d.attribute("id")).collect();
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), count, "{name}@id is not unique\n{text}");
        }
    }
}

fn element(node: Node<'_, '_>, text: &str) {
    let name = node.tag_name().name();
    let (order, attributes, required) = rules(name);
    for attribute in node.attributes() {
        // What other namespaces have is theirs.
        if attribute.namespace().is_some() {
            continue;
        }
        let (key, value) = (attribute.name(), attribute.value());
        let known = attributes.iter().find(|(known, _)| *known == key);
        let (_, kind) = known.unwrap_or_else(|| panic!("{name}@{key} is not there\n{text}"));
        assert!(
            kind.takes(value),
            "{name}@{key}=\"{value}\" is no {kind:?}\n{text}"
        );
    }
    for key in required {
        assert!(node.has_attribute(key), "{name}@{key} is missing\n{text}");
    }
    let mut at = 0;
    for child in node.children().filter(Node::is_element) {
        if child.tag_name().namespace() != Some(DASH) {
            continue;
        }
        let own = child.tag_name().name();
        let place = order.iter().position(|known| *known == own);
        let place = place.unwrap_or_else(|| panic!("{own} in {name}\n{text}"));
        assert!(place >= at, "{own} of {name} comes too late\n{text}");
        at = place;
        element(child, text);
    }
}
