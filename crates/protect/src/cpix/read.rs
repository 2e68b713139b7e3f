//! Reading CPIX documents. Nothing of them is believed: sizes are bounded, a document type is refused, signalling is decoded
//! and checked before anybody puts it into a manifest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node};
use uuid::Uuid;

use super::{
    AudioFilter, ContentKey, Cpix, DrmSystem, KeyPeriod, MAX_DOCUMENT_BYTES, MAX_MEMBERS,
    UsageRule, VideoFilter,
};
use crate::pssh::Pssh;
use crate::{Key, Kid, ProtectError, Scheme};

const CPIX: &str = "urn:dashif:org:cpix";

fn fault(field: &str, fault: &str) -> ProtectError {
    ProtectError::value(format!("CPIX {field}"), fault)
}

impl Cpix {
    /// Reads a document. Members that this crate does not know are passed over, but for those that change what a key is.
    ///
    /// Errors: `Value` naming the member; `TooLarge`.
    pub fn from_xml(text: &str) -> Result<Self, ProtectError> {
        if text.len() > MAX_DOCUMENT_BYTES {
            return Err(ProtectError::TooLarge("the CPIX document"));
        }
        // The parser's default: no document type, so no entities.
        let document = Document::parse(text)
            .map_err(|_| fault("document", "is not well-formed XML without DTD"))?;
        let root = document.root_element();
        if !root.has_tag_name((CPIX, "CPIX")) {
            return Err(fault("document", "has another root element"));
        }
        let mut cpix = Self {
            content_id: root
                .attribute("contentId")
                .or_else(|| root.attribute("id"))
                .map(str::to_owned),
            version: root.attribute("version").map(str::to_owned),
            ..Self::default()
        };
        for list in elements(root) {
            match list.tag_name().name() {
                "ContentKeyList" => cpix.keys = members(list, "ContentKey", key)?,
                "DRMSystemList" => cpix.systems = members(list, "DRMSystem", system)?,
                "ContentKeyPeriodList" => cpix.periods = members(list, "ContentKeyPeriod", period)?,
                "ContentKeyUsageRuleList" => {
                    cpix.rules = members(list, "ContentKeyUsageRule", rule)?
                }
                "DeliveryDataList" => {
                    return Err(fault(
                        "DeliveryDataList",
                        "says that keys are encrypted, which is not supported",
                    ));
                }
                _ => {}
            }
        }
        for (at, key) in cpix.keys.iter().enumerate() {
            if cpix.keys.iter().take(at).any(|other| other.kid == key.kid) {
                return Err(fault("ContentKey@kid", "is there twice"));
            }
        }
        Ok(cpix)
    }
}

fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

fn members<T>(
    list: Node<'_, '_>,
    name: &str,
    read: fn(Node<'_, '_>) -> Result<T, ProtectError>,
) -> Result<Vec<T>, ProtectError> {
    let found: Vec<_> = elements(list)
        .filter(|node| node.has_tag_name((CPIX, name)))
        .collect();
    if found.len() > MAX_MEMBERS {
        return Err(ProtectError::TooLarge(
            "the number of members of a CPIX list",
        ));
    }
    found.into_iter().map(read).collect()
}

fn kid(node: Node<'_, '_>) -> Result<Option<Kid>, ProtectError> {
    let read = |text| Kid::parse(text).ok_or_else(|| fault("kid", "is no UUID"));
    node.attribute("kid").map(read).transpose()
}

fn required_kid(node: Node<'_, '_>, field: &str) -> Result<Kid, ProtectError> {
    kid(node)?.ok_or_else(|| fault(field, "is missing"))
}

fn base64(text: &str, field: &str) -> Result<Vec<u8>, ProtectError> {
    let compact: String = text.split_ascii_whitespace().collect();
    STANDARD
        .decode(compact)
        .map_err(|_| fault(field, "is not base64"))
}

fn decoded_text(text: &str, field: &str) -> Result<String, ProtectError> {
    String::from_utf8(base64(text, field)?).map_err(|_| fault(field, "is not UTF-8"))
}

fn number(node: Node<'_, '_>, name: &str) -> Result<Option<u64>, ProtectError> {
    let read = |text: &str| text.parse().map_err(|_| fault(name, "is no number"));
    node.attribute(name).map(read).transpose()
}

fn flag(node: Node<'_, '_>, name: &str) -> Result<Option<bool>, ProtectError> {
    node.attribute(name)
        .map(|text| match text {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(fault(name, "is neither true nor false")),
        })
        .transpose()
}

fn key(node: Node<'_, '_>) -> Result<ContentKey, ProtectError> {
    let mut value = None;
    for inner in node.descendants().filter(Node::is_element) {
        match inner.tag_name().name() {
            "PlainValue" => {
                let bytes = zeroize::Zeroizing::new(base64(
                    inner.text().unwrap_or_default(),
                    "PlainValue",
                )?);
                value = Some(Key::from_slice(&bytes)?);
            }
            "EncryptedValue" => {
                return Err(fault(
                    "EncryptedValue",
                    "is not supported: send keys in the clear over TLS",
                ));
            }
            _ => {}
        }
    }
    let iv = node.attribute("explicitIV").map(|text| {
        <[u8; 16]>::try_from(base64(text, "explicitIV")?)
            .map_err(|_| fault("explicitIV", "must have 16 bytes"))
    });
    let scheme = node
        .attribute("commonEncryptionScheme")
        .map(|text| match text {
            "cenc" => Ok(Scheme::Cenc),
            "cbcs" => Ok(Scheme::Cbcs),
            _ => Err(fault("commonEncryptionScheme", "must be cenc or cbcs")),
        });
    Ok(ContentKey {
        kid: required_kid(node, "ContentKey@kid")?,
        value,
        explicit_iv: iv.transpose()?,
        scheme: scheme.transpose()?,
    })
}

fn system(node: Node<'_, '_>) -> Result<DrmSystem, ProtectError> {
    let id = node
        .attribute("systemId")
        .and_then(|text| Uuid::try_parse(text).ok());
    let mut made = DrmSystem {
        kid: Some(required_kid(node, "DRMSystem@kid")?),
        system: id.ok_or_else(|| fault("DRMSystem@systemId", "is no UUID"))?,
        ..DrmSystem::default()
    };
    for inner in elements(node) {
        let text = inner.text().unwrap_or_default().trim();
        if text.is_empty() {
            continue;
        }
        match inner.tag_name().name() {
            "PSSH" => {
                let bytes = base64(text, "PSSH")?;
                Pssh::read_all(&bytes)?;
                made.pssh = Some(bytes);
            }
            "ContentProtectionData" => {
                let xml = decoded_text(text, "ContentProtectionData")?;
                check_fragment(&xml)?;
                made.content_protection = Some(xml);
            }
            "HLSSignalingData" => {
                let lines = decoded_text(text, "HLSSignalingData")?;
                check_lines(&lines)?;
                match inner.attribute("playlist") {
                    Some("master") => made.hls_master = Some(lines),
                    None | Some("media") => made.hls_media = Some(lines),
                    Some(_) => {
                        return Err(fault(
                            "HLSSignalingData@playlist",
                            "must be media or master",
                        ));
                    }
                }
            }
            "SmoothStreamingProtectionHeaderData" => {
                base64(text, "SmoothStreamingProtectionHeaderData")?;
                made.smooth_header = Some(text.to_owned());
            }
            _ => {}
        }
    }
    Ok(made)
}

/// XML that can stand inside an element, with prefixes declared in itself or as MPDs of ours declare them.
fn check_fragment(xml: &str) -> Result<(), ProtectError> {
    let declared: String = crate::dash::NAMESPACES
        .iter()
        .map(|(prefix, uri)| format!(" xmlns:{prefix}=\"{uri}\""))
        .collect();
    let inside = format!("<CP{declared}>{xml}</CP>");
    let sound = Document::parse(&inside).is_ok_and(|document| {
        // Text that closes the element and opens another would parse as well.
        document.root_element().range() == (0..inside.len())
    });
    if sound {
        return Ok(());
    }
    Err(fault("ContentProtectionData", "is not well-formed XML"))
}

/// Key tags, each on its line, and nothing else.
fn check_lines(lines: &str) -> Result<(), ProtectError> {
    let known =
        |line: &str| line.starts_with("#EXT-X-KEY:") || line.starts_with("#EXT-X-SESSION-KEY:");
    let sound = lines
        .lines()
        .all(|line| line.is_empty() || (known(line) && !line.contains(char::is_control)));
    if sound {
        return Ok(());
    }
    Err(fault("HLSSignalingData", "has lines other than key tags"))
}

fn period(node: Node<'_, '_>) -> Result<KeyPeriod, ProtectError> {
    Ok(KeyPeriod {
        id: node.attribute("id").unwrap_or_default().to_owned(),
        index: number(node, "index")?,
        start: node.attribute("start").map(str::to_owned),
        end: node.attribute("end").map(str::to_owned),
    })
}

fn rule(node: Node<'_, '_>) -> Result<UsageRule, ProtectError> {
    let mut made = UsageRule {
        kid: Some(required_kid(node, "ContentKeyUsageRule@kid")?),
        intended_track_type: node.attribute("intendedTrackType").map(str::to_owned),
        ..UsageRule::default()
    };
    for filter in elements(node) {
        match filter.tag_name().name() {
            "KeyPeriodFilter" => {
                let id = filter.attribute("periodId");
                made.periods.push(
                    id.ok_or_else(|| fault("KeyPeriodFilter@periodId", "is missing"))?
                        .to_owned(),
                );
            }
            "LabelFilter" => {
                let label = filter.attribute("label");
                made.labels.push(
                    label
                        .ok_or_else(|| fault("LabelFilter@label", "is missing"))?
                        .to_owned(),
                );
            }
            "VideoFilter" => made.video.push(VideoFilter {
                min_pixels: number(filter, "minPixels")?,
                max_pixels: number(filter, "maxPixels")?,
                hdr: flag(filter, "hdr")?,
                wcg: flag(filter, "wcg")?,
                min_fps: number(filter, "minFps")?,
                max_fps: number(filter, "maxFps")?,
            }),
            "AudioFilter" => made.audio.push(AudioFilter {
                min_channels: number(filter, "minChannels")?,
                max_channels: number(filter, "maxChannels")?,
            }),
            "BitrateFilter" => made
                .bitrate
                .push((number(filter, "minBitrate")?, number(filter, "maxBitrate")?)),
            // A filter that is not understood must not make the rule wider.
            other => return Err(fault(other, "is a filter that is not known")),
        }
    }
    Ok(made)
}
