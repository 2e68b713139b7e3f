//! Reads a server manifest as written by encoders, SDK samples and people.
//!
//! Tolerated, because all of it is in the wild: a UTF-8 byte order mark, UTF-16, a missing namespace, `valueType` for
//! `valuetype`, `SystemLanguage` for `systemLanguage`, missing params, several elements over one `src`, and elements,
//! params and metas we do not know. Left out with a warning: tracks without a `src`, and those with numbers that are
//! none. Refused: document type declarations (entity expansion), more than [`MAX_BYTES`] or [`MAX_TRACKS`].

use crate::{EntryKind, EntryWarning, ServerManifest, TrackEntry};
use roxmltree::{Document, Node, ParsingOptions};
use std::borrow::Cow;

/// Largest document that is parsed. A manifest of [`MAX_TRACKS`] tracks with every param is below 1 MiB.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Most tracks in one manifest. Azure Media Services stopped at 64 quality levels per type.
pub const MAX_TRACKS: usize = 256;
const MAX_NODES: u32 = 20_000;

/// Why a server manifest could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IsmError {
    /// Longer than [`MAX_BYTES`].
    #[error("the server manifest has {0} bytes, more than {MAX_BYTES}")]
    TooLong(usize),
    /// Not UTF-8.
    #[error("the server manifest is not UTF-8 (byte {0})")]
    NotUtf8(usize),
    /// Begins as UTF-16 does, and is none.
    #[error("the server manifest is not UTF-16 (byte {0})")]
    NotUtf16(usize),
    /// Not well-formed XML, has a document type declaration, or is too complex.
    #[error("the server manifest is not acceptable XML: {0}")]
    Xml(#[from] roxmltree::Error),
    /// The root element is not `smil`, or there is no `body`.
    #[error("the server manifest is not a SMIL document: no {0} element")]
    NotSmil(&'static str),
    /// More than [`MAX_TRACKS`] tracks.
    #[error("the server manifest has more than {MAX_TRACKS} tracks")]
    TooManyTracks,
}

/// The text of `bytes` without a byte order mark; of UTF-16 also without an XML declaration, which names that encoding.
pub(crate) fn undecorated(bytes: &[u8]) -> Result<Cow<'_, str>, IsmError> {
    if bytes.len() > MAX_BYTES {
        return Err(IsmError::TooLong(bytes.len()));
    }
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] | [b'<', 0, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] | [0, b'<', ..] => u16::from_be_bytes,
        _ => {
            let text = std::str::from_utf8(bytes);
            let text = text.map_err(|error| IsmError::NotUtf8(error.valid_up_to()))?;
            return Ok(Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)));
        }
    };
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len());
    for letter in char::decode_utf16(pairs.iter().copied().map(unit)) {
        let letter = letter.map_err(|_| {
            let before = text.encode_utf16().count();
            IsmError::NotUtf16(before.saturating_mul(2))
        })?;
        text.push(letter);
    }
    if !rest.is_empty() {
        return Err(IsmError::NotUtf16(bytes.len().saturating_sub(1)));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim_start();
    let declaration = text
        .strip_prefix("<?xml")
        .and_then(|rest| rest.split_once("?>"));
    let text = declaration.map_or(text, |(_, rest)| rest);
    Ok(Cow::Owned(text.to_owned()))
}

/// `text` as XML, within bounds.
pub(crate) fn document(text: &str) -> Result<Document<'_>, IsmError> {
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    Ok(Document::parse_with_options(text, options)?)
}

/// Parses a server manifest. `bytes`: the whole file.
///
/// Errors: [`IsmError`]; nothing panics on input, and memory is bounded by the limits of this module.
pub fn parse(bytes: &[u8]) -> Result<ServerManifest, IsmError> {
    let text = undecorated(bytes)?;
    let document = document(&text)?;
    let root = document.root_element();
    if !root.tag_name().name().eq_ignore_ascii_case("smil") {
        return Err(IsmError::NotSmil("smil"));
    }
    let mut manifest = ServerManifest::default();
    for meta in child(root, "head")
        .into_iter()
        .flat_map(|head| head.children())
        .filter(|n| named(*n, "meta"))
    {
        let Some(content) = attribute(meta, "content") else {
            continue;
        };
        match attribute(meta, "name") {
            Some(name) if name.eq_ignore_ascii_case("formats") => {
                manifest.formats = Some(content.to_owned())
            }
            Some(name) if name.eq_ignore_ascii_case("clientManifestRelativePath") => {
                manifest.client_manifest = Some(content.to_owned());
            }
            Some(name) if name.eq_ignore_ascii_case("fragmentsPerHLSSegment") => {
                let count = content.trim().parse().ok();
                manifest.fragments_per_hls_segment = count.filter(|count| *count > 0);
            }
            _ => {}
        }
    }
    let body = child(root, "body").ok_or(IsmError::NotSmil("body"))?;
    // `switch` is what everybody writes; a body that holds its tracks directly, or several switches, loses nothing.
    for node in body.descendants().filter(Node::is_element) {
        let Some(kind) = entry_kind(node) else {
            continue;
        };
        let index = manifest
            .tracks
            .len()
            .saturating_add(manifest.warnings.len());
        if index >= MAX_TRACKS {
            return Err(IsmError::TooManyTracks);
        }
        match track(node, kind) {
            Ok(track) => manifest.tracks.push(track),
            Err(reason) => manifest.warnings.push(EntryWarning { index, reason }),
        }
    }
    Ok(manifest)
}

fn entry_kind(node: Node<'_, '_>) -> Option<EntryKind> {
    match node.tag_name().name() {
        "video" => Some(EntryKind::Video),
        "audio" => Some(EntryKind::Audio),
        "textstream" => Some(EntryKind::Text),
        "ref" => Some(EntryKind::Reference),
        _ => None,
    }
}

/// Errors: why the element cannot be used.
fn track(node: Node<'_, '_>, kind: EntryKind) -> Result<TrackEntry, String> {
    let source = attribute(node, "src")
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .ok_or("it names no file")?;
    let param = |name: &str| {
        node.children()
            .filter(|n| named(*n, "param"))
            .find(|n| attribute(*n, "name").is_some_and(|v| v.trim().eq_ignore_ascii_case(name)))
            .and_then(|n| attribute(n, "value"))
            .map(str::trim)
            .filter(|v| !v.is_empty())
    };
    // An attribute wins over the param that repeats it.
    let either = |name: &str| {
        attribute(node, name)
            .map(str::trim)
            .filter(|v| !v.is_empty())
            .or_else(|| param(name))
    };
    let number = |name: &'static str| match either(name) {
        None => Ok(None),
        Some(text) => text
            .parse::<u32>()
            .map(Some)
            .map_err(|_| format!("{name} is not a number: '{}'", shortened(text))),
    };
    let owned = |value: Option<&str>| value.map(str::to_owned);
    Ok(TrackEntry {
        kind,
        source: source.to_owned(),
        // Writers put 0 where they do not know.
        bitrate: number("systemBitrate")?.filter(|b| *b > 0 || kind == EntryKind::Reference),
        language: owned(either("systemLanguage")),
        title: owned(either("title")),
        track_id: number("trackID")?,
        track_name: owned(either("trackName")),
        accessibility: owned(either("accessibility")),
        role: owned(either("role")),
        track_index: owned(either("trackIndex")),
        transcript: owned(either("transcriptsrc")),
        display_name: owned(either("textDisplayName")),
        is_default: either("textIsDefault").is_some_and(|v| v.eq_ignore_ascii_case("true")),
        is_forced: either("textIsForced").is_some_and(|v| v.eq_ignore_ascii_case("true")),
        hls_characteristics: owned(either("textHlsCharacteristic")),
        arm_id: owned(either("armId")),
        // Its bits are not documented, so one that is no number says nothing.
        output_flag: either("outputFlag").and_then(|text| text.parse().ok()),
        subtype: owned(either("Subtype")),
        scheme: owned(either("Scheme")),
    })
}

/// What fits into a line of a log.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// The attribute `name` in any capitalisation, ignoring its namespace.
fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.attributes()
        .find(|a| a.name().eq_ignore_ascii_case(name))
        .map(|a| a.value())
}

fn named(node: Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name().eq_ignore_ascii_case(name)
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|n| named(*n, name))
}
