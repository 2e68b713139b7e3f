//! The URLs that manifests contain, relative to the manifest's own.
//!
//! Parentheses, commas and `=` are literal, as in AMS; a track's name is percent-encoded, as hand-made server
//! manifests put spaces and letters of all kinds into it. The characters that [`track_name`] replaces are those that
//! the grammar itself uses.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const KEEP: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// `name`, encoded for a path element.
pub fn encode(name: &str) -> String {
    utf8_percent_encode(name, KEEP).to_string()
}

/// A track's name with the characters of the URL grammar replaced, so that every track can be addressed.
pub fn track_name(name: &str) -> String {
    let replace = |c: char| {
        if matches!(c, ',' | '(' | ')' | '/' | '\\') || c.is_control() {
            '_'
        } else {
            c
        }
    };
    name.trim().chars().map(replace).collect()
}

/// An HLS media playlist, relative to the multivariant playlist.
pub fn media_playlist(bitrate: u32, name: &str) -> String {
    format!(
        "QualityLevels({bitrate})/Manifest({},format=m3u8-cmaf)",
        encode(name)
    )
}

/// The URLs of a track's segments, relative to its HLS media playlist: (init, prefix, suffix); a media segment's URL
/// is prefix, start in ticks, suffix.
pub fn hls_segments(name: &str) -> (String, String, &'static str) {
    let name = encode(name);
    (
        format!("Fragments({name}=i,format=m3u8-cmaf)"),
        format!("Fragments({name}="),
        ",format=m3u8-cmaf)",
    )
}

/// `SegmentTemplate` attributes of a track, relative to the MPD: (initialization, media).
///
/// A `$` of the name is percent-encoded, so it cannot be taken for a template's identifier.
pub fn dash_templates(name: &str) -> (String, String) {
    let name = encode(name);
    (
        format!("QualityLevels($Bandwidth$)/Fragments({name}=i,format=mpd-time-cmaf)"),
        format!("QualityLevels($Bandwidth$)/Fragments({name}=$Time$,format=mpd-time-cmaf)"),
    )
}
