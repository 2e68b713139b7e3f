//! Writes a server manifest: the params that Azure Media Services tools read, in the order it wrote them.

use crate::{EntryKind, ServerManifest, TrackEntry};
use quick_xml::escape::escape;

/// Renders `manifest` as a UTF-8 document without a byte order mark. The same value gives the same bytes.
///
/// `systemBitrate` and `systemLanguage` are written as an attribute and as a param, as readers exist for either.
pub fn write(manifest: &ServerManifest) -> String {
    let mut out = String::with_capacity(512);
    out.push_str("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
    out.push_str("<smil xmlns=\"http://www.w3.org/2001/SMIL20/Language\">\n  <head>\n");
    if let Some(client) = &manifest.client_manifest {
        meta(&mut out, "clientManifestRelativePath", client);
    }
    let fragments = manifest.fragments_per_hls_segment.map(|n| n.to_string());
    if let Some(formats) = &manifest.formats {
        meta(&mut out, "formats", formats);
    }
    if let Some(fragments) = &fragments {
        meta(&mut out, "fragmentsPerHLSSegment", fragments);
    }
    out.push_str("  </head>\n  <body>\n    <switch>\n");
    for track in &manifest.tracks {
        element(&mut out, track);
    }
    out.push_str("    </switch>\n  </body>\n</smil>\n");
    out
}

fn meta(out: &mut String, name: &str, content: &str) {
    out.push_str("    <meta");
    attribute(out, "name", name);
    attribute(out, "content", content);
    out.push_str(" />\n");
}

pub(crate) fn element(out: &mut String, track: &TrackEntry) {
    let name = match track.kind {
        EntryKind::Video => "video",
        EntryKind::Audio => "audio",
        EntryKind::Text => "textstream",
        EntryKind::Reference => "ref",
    };
    let bitrate = track.bitrate.map(|b| b.to_string());
    let id = track.track_id.map(|id| id.to_string());
    out.push_str("      <");
    out.push_str(name);
    attribute(out, "src", &track.source);
    for (key, value) in [
        ("systemBitrate", bitrate.as_deref()),
        ("systemLanguage", track.language.as_deref()),
        ("title", track.title.as_deref()),
    ] {
        if let Some(value) = value {
            attribute(out, key, value);
        }
    }
    let flag = track.output_flag.map(|flag| flag.to_string());
    let params = [
        ("systemBitrate", bitrate.as_deref()),
        ("trackID", id.as_deref()),
        ("trackName", track.track_name.as_deref()),
        ("systemLanguage", track.language.as_deref()),
        ("accessibility", track.accessibility.as_deref()),
        ("role", track.role.as_deref()),
        ("trackIndex", track.track_index.as_deref()),
        ("transcriptsrc", track.transcript.as_deref()),
        ("textDisplayName", track.display_name.as_deref()),
        ("textIsDefault", track.is_default.then_some("TRUE")),
        ("textIsForced", track.is_forced.then_some("TRUE")),
        (
            "textHlsCharacteristic",
            track.hls_characteristics.as_deref(),
        ),
        ("armId", track.arm_id.as_deref()),
        ("outputFlag", flag.as_deref()),
    ];
    if params.iter().all(|(_, value)| value.is_none()) {
        out.push_str(" />\n");
        return;
    }
    out.push_str(">\n");
    for (key, value) in params {
        if let Some(value) = value {
            out.push_str("        <param");
            attribute(out, "name", key);
            attribute(out, "value", value);
            attribute(out, "valuetype", "data");
            out.push_str(" />\n");
        }
    }
    out.push_str("      </");
    out.push_str(name);
    out.push_str(">\n");
}

fn attribute(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    // Characters that XML 1.0 (§2.2) cannot hold in any spelling are dropped; line ends and tabs would be normalised
    // to spaces on reading (§3.3.3), so they are written as spaces.
    let printable: String = value
        .chars()
        .filter_map(|c| match c {
            '\t' | '\n' | '\r' => Some(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => None,
            c => Some(c),
        })
        .collect();
    out.push_str(&escape(printable.as_str()));
    out.push('"');
}
