//! What a file that is not MP4 is instead, for a message that helps. Only the first bytes are looked at.

use crate::ffmpeg::container::{self, Demuxer};

/// Bytes that [`other_container`] wants to see.
pub const SNIFFED_BYTES: u64 = 64 << 10;

/// A sentence part such as "a Matroska/WebM file with VP8 and Vorbis tracks"; `None` when `head` may be MP4 or
/// QuickTime, or nothing that is known.
pub fn other_container(head: &[u8]) -> Option<String> {
    match container::demuxer(head) {
        Ok(Demuxer { name: "mov", .. }) => None,
        Ok(Demuxer {
            name: "matroska", ..
        }) => Some(matroska(head)),
        Ok(known) => Some(known.called.into()),
        Err(document) => document.map(str::to_owned),
    }
}

/// Codec identifiers of Matroska (`CodecID`, RFC 9559) as they stand in the track entries.
const MATROSKA_CODECS: [(&[u8], &str); 14] = [
    (b"V_VP8", "VP8"),
    (b"V_VP9", "VP9"),
    (b"V_AV1", "AV1"),
    (b"V_MPEG4/ISO/AVC", "H.264"),
    (b"V_MPEGH/ISO/HEVC", "HEVC (H.265)"),
    (b"V_THEORA", "Theora"),
    (b"V_MPEG2", "MPEG-2 video"),
    (b"A_VORBIS", "Vorbis"),
    (b"A_OPUS", "Opus"),
    (b"A_AAC", "AAC"),
    (b"A_AC3", "Dolby Digital (AC-3)"),
    (b"A_EAC3", "Dolby Digital Plus (E-AC-3)"),
    (b"A_FLAC", "FLAC"),
    (b"A_DTS", "DTS"),
];

fn matroska(head: &[u8]) -> String {
    let found: Vec<&str> = MATROSKA_CODECS
        .iter()
        .filter(|(id, _)| head.windows(id.len()).any(|window| window == *id))
        .map(|(_, name)| *name)
        .collect();
    match found.as_slice() {
        [] => "a Matroska/WebM file".into(),
        [one] => format!("a Matroska/WebM file with a {one} track"),
        [first @ .., last] => format!(
            "a Matroska/WebM file with {} and {last} tracks",
            first.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_called_by_their_name() {
        assert_eq!(other_container(b"....ftypisom"), None);
        assert_eq!(other_container(b""), None);
        assert!(other_container(b"#EXTM3U\n").is_some_and(|name| name.contains("playlist")));
        for (head, name) in [
            (&b"DKIF\0\0\x20\0VP80"[..], "IVF"),
            (b"\x1f\x07\0\xbf\xf8xxx", "DV"),
            (b"FORM\0\0\0\0AIFF", "AIFF"),
            (b"\0\0\0\x01\x67\x64", "H.264"),
        ] {
            let called = other_container(head);
            assert!(called.is_some_and(|called| called.contains(name)), "{name}");
        }
        let webm = [&[0x1a, 0x45, 0xdf, 0xa3][..], b"....V_VP8....A_VORBIS"].concat();
        assert_eq!(
            other_container(&webm).as_deref(),
            Some("a Matroska/WebM file with VP8 and Vorbis tracks")
        );
    }
}
