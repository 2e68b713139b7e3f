//! What a file that is not MP4 is instead, for a message that helps. Only the first bytes are looked at.

/// Bytes that [`other_container`] wants to see.
pub const SNIFFED_BYTES: u64 = 64 << 10;

/// A sentence part such as "a Matroska/WebM file with VP8 and Vorbis tracks"; `None` when `head` may be MP4 or
/// QuickTime, or nothing that is known.
pub fn other_container(head: &[u8]) -> Option<String> {
    if head.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        return Some(matroska(head));
    }
    let at = |offset: usize, wanted: &[u8]| {
        head.get(offset..)
            .is_some_and(|rest| rest.starts_with(wanted))
    };
    let name = if at(0, b"#EXTM3U") || at(3, b"#EXTM3U") {
        "an HLS playlist, not a media file"
    } else if at(0, b"<?xml") || at(3, b"<?xml") || at(0, b"<MPD") || at(0, b"<smil") {
        "an XML document, not a media file"
    } else if at(0, b"RIFF") && at(8, b"AVI ") {
        "an AVI file"
    } else if at(0, b"RIFF") && at(8, b"WAVE") {
        "a WAVE file"
    } else if at(0, b"FLV\x01") {
        "a Flash video (FLV) file"
    } else if at(0, b"OggS") {
        "an Ogg file"
    } else if at(0, b"fLaC") {
        "a FLAC file"
    } else if at(0, b"ID3") || at(0, &[0xff, 0xfb]) || at(0, &[0xff, 0xf3]) {
        "an MP3 file"
    } else if at(0, &[0xff, 0xf1]) || at(0, &[0xff, 0xf9]) {
        "an AAC file in ADTS framing"
    } else if at(0, &[0, 0, 1, 0xba]) {
        "an MPEG program stream"
    } else if at(0, &[0x47]) && at(188, &[0x47]) && at(376, &[0x47]) {
        "an MPEG transport stream"
    } else if at(0, &[0x30, 0x26, 0xb2, 0x75]) {
        "a Windows Media (ASF) file"
    } else if at(0, &[0x06, 0x0e, 0x2b, 0x34]) {
        "an MXF file"
    } else if at(0, &[0xff, 0xd8, 0xff]) {
        "a JPEG image"
    } else if at(0, b"\x89PNG") {
        "a PNG image"
    } else if at(0, b"WEBVTT") || at(3, b"WEBVTT") {
        "a WebVTT file"
    } else {
        return None;
    };
    Some(name.into())
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
        let webm = [&[0x1a, 0x45, 0xdf, 0xa3][..], b"....V_VP8....A_VORBIS"].concat();
        assert_eq!(
            other_container(&webm).as_deref(),
            Some("a Matroska/WebM file with VP8 and Vorbis tracks")
        );
    }
}
