//! Which demuxer a file gets, by its first bytes.
//!
//! Never by ffmpeg's own guess: among its demuxers are ones that open what the file names (playlists, concatenations,
//! descriptions), and a guess can be led there. What is not in this table is not opened.

/// A demuxer of ffmpeg, for `-f`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demuxer {
    pub name: &'static str,
    /// What it opens: "an AVI file".
    pub called: &'static str,
    /// The file states how long it is, so that one that was cut off is known.
    pub states_duration: bool,
    /// A single picture.
    pub still: bool,
    /// Some of its streams begin late: what it is has to be looked for further than usual.
    pub patient: bool,
}

impl Demuxer {
    /// The arguments that have it looked at for long enough.
    pub(super) fn patience(&self) -> &'static [&'static str] {
        match self.patient {
            true => &["-probesize", "64M", "-analyzeduration", "120M"],
            false => &[],
        }
    }
}

const fn stated(name: &'static str, called: &'static str) -> Demuxer {
    Demuxer {
        name,
        called,
        states_duration: true,
        still: false,
        patient: false,
    }
}

const fn stream(name: &'static str, called: &'static str) -> Demuxer {
    Demuxer {
        name,
        called,
        states_duration: false,
        still: false,
        patient: false,
    }
}

const fn picture(name: &'static str, called: &'static str) -> Demuxer {
    Demuxer {
        name,
        called,
        states_duration: false,
        still: true,
        patient: false,
    }
}

/// The demuxer for a file that begins with `head` ([`crate::sniff::SNIFFED_BYTES`] of it, or all).
///
/// Err: a sentence part that says what the file is instead, if anything is known.
pub fn demuxer(head: &[u8]) -> Result<Demuxer, Option<&'static str>> {
    let at = |offset: usize, wanted: &[u8]| {
        head.get(offset..)
            .is_some_and(|rest| rest.starts_with(wanted))
    };
    if let Some(inner) = after_id3(head) {
        return Ok(inner);
    }
    Ok(
        if [
            "ftyp", "moov", "mdat", "wide", "free", "skip", "pnot", "styp",
        ]
        .iter()
        .any(|name| at(4, name.as_bytes()))
        {
            stated("mov", "an MP4 or QuickTime file")
        } else if at(0, &[0x1a, 0x45, 0xdf, 0xa3]) {
            stated("matroska", "a Matroska/WebM file")
        } else if at(0, b"RIFF") && at(8, b"AVI ") {
            stated("avi", "an AVI file")
        } else if (at(0, b"RIFF") || at(0, b"RF64")) && at(8, b"WAVE") {
            stated("wav", "a WAVE file")
        } else if at(0, b"FORM") && (at(8, b"AIFF") || at(8, b"AIFC")) {
            stated("aiff", "an AIFF file")
        } else if at(0, b"FLV\x01") {
            stream("flv", "a Flash video (FLV) file")
        } else if at(0, b"OggS") {
            stream("ogg", "an Ogg file")
        } else if at(0, b"fLaC") {
            stated("flac", "a FLAC file")
        } else if at(0, b"caff") {
            stated("caf", "a Core Audio file")
        } else if at(0, &[0x30, 0x26, 0xb2, 0x75]) {
            stated("asf", "a Windows Media (ASF) file")
        } else if at(0, &[0x06, 0x0e, 0x2b, 0x34]) {
            stated("mxf", "an MXF file")
        } else if at(0, b"DKIF") {
            stream("ivf", "an IVF file")
        } else if at(0, b"YUV4MPEG2 ") {
            stream("yuv4mpegpipe", "a YUV4MPEG2 file")
        } else if at(0, &[0x1f, 0x07, 0x00]) {
            // The header block of the first DIF sequence (IEC 61834-2, 11.2; SMPTE 314M, 6.4).
            stream("dv", "a DV recording")
        } else if at(0, b"#!AMR") {
            stream("amr", "an AMR file")
        } else if at(0, &[0, 0, 1, 0xba]) {
            stream("mpeg", "an MPEG program stream")
        } else if at(0, &[0, 0, 1, 0xb3]) {
            stream("mpegvideo", "MPEG video without a container")
        } else if at(0, &[0x0b, 0x77]) {
            if head.get(5).is_some_and(|byte| byte >> 3 > 10) {
                stream("eac3", "a Dolby Digital Plus (E-AC-3) file")
            } else {
                stream("ac3", "a Dolby Digital (AC-3) file")
            }
        } else if at(0, &[0xff, 0xd8, 0xff]) {
            picture("jpeg_pipe", "a JPEG image")
        } else if at(0, b"\x89PNG\r\n\x1a\n") {
            picture("png_pipe", "a PNG image")
        } else if at(0, b"BM") && bitmap(head) {
            picture("bmp_pipe", "a BMP image")
        } else if at(0, b"GIF8") {
            if moves(head) {
                stream("gif", "an animated GIF")
            } else {
                picture("gif", "a GIF image")
            }
        } else if let Some(found) = elementary(head) {
            found
        } else if at(0, &[0xff, 0xf1]) || at(0, &[0xff, 0xf9]) {
            stream("aac", "an AAC file in ADTS framing")
        } else if mpeg_audio(head) {
            stream("mp3", "an MP3 file")
        } else if transport(head) {
            stream("mpegts", "an MPEG transport stream")
        } else {
            return Err(document(head));
        },
    )
}

/// Whether there are packets of a transport stream (ISO/IEC 13818-1, 2.4.3): plain ones, behind times of arrival, or before the
/// sixteen bytes of a code that corrects errors. Where they do not begin with the file, there have to be more of them.
fn transport(head: &[u8]) -> bool {
    let synced = |offset: usize, packet: usize, wanted: usize| {
        let starts = || head.iter().skip(offset).step_by(packet);
        starts().count() >= wanted && starts().take(wanted.max(4)).all(|&byte| byte == 0x47)
    };
    synced(0, 188, 2)
        || synced(0, 204, 2)
        || synced(4, 192, 2)
        || [188, 192, 204]
            .into_iter()
            .any(|packet| (1..packet).any(|offset| synced(offset, packet, 20)))
}

/// Whether the header of a bitmap names one of the sizes that its second part may have.
fn bitmap(head: &[u8]) -> bool {
    let size = head.get(14..18).and_then(|size| size.try_into().ok());
    let size = size.map(u32::from_le_bytes);
    size.is_some_and(|size| [12, 40, 52, 56, 64, 108, 124].contains(&size))
}

/// What is no media, and what some of it would have others open.
fn document(head: &[u8]) -> Option<&'static str> {
    // Behind a byte order mark, or without one.
    let begins = |wanted: &[u8]| {
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        text.starts_with(wanted)
    };
    if begins(b"#EXTM3U") {
        Some("an HLS playlist, not a media file")
    } else if begins(b"<?xml") || begins(b"<MPD") || begins(b"<smil") {
        Some("an XML document, not a media file")
    } else if begins(b"WEBVTT") {
        Some("a WebVTT file")
    } else {
        None
    }
}

/// What follows an ID3 tag: MPEG audio, AAC, or FLAC where a tagger knew no better.
fn after_id3(head: &[u8]) -> Option<Demuxer> {
    if !head.starts_with(b"ID3") {
        return None;
    }
    // Four times seven bits, after the header of ten bytes.
    let size = head
        .get(6..10)?
        .iter()
        .fold(0_usize, |sum, &byte| sum << 7 | usize::from(byte & 0x7f));
    let size = size + 10;
    if head
        .get(size..)
        .is_some_and(|rest| rest.starts_with(b"fLaC"))
    {
        return Some(stated("flac", "a FLAC file"));
    }
    Some(match head.get(size..size + 2) {
        Some([0xff, 0xf1 | 0xf9]) => stream("aac", "an AAC file in ADTS framing"),
        _ => stream("mp3", "an MP3 file"),
    })
}

/// Whether a GIF has more than one picture: a loop (Netscape's extension), or a second graphic control block.
fn moves(head: &[u8]) -> bool {
    let count = |wanted: &[u8]| {
        let windows = head.windows(wanted.len());
        windows.filter(|window| *window == wanted).count()
    };
    count(b"NETSCAPE2.0") > 0 || count(&[0x21, 0xf9, 0x04]) > 1
}

fn mpeg_audio(head: &[u8]) -> bool {
    matches!(head, [0xff, second, third, ..] if second & 0xe0 == 0xe0
        && second & 0x18 != 0x08 && second & 0x06 != 0 && third & 0xf0 != 0xf0)
}

/// H.264 and H.265 without a container (ITU-T H.264 and H.265, annex B).
fn elementary(head: &[u8]) -> Option<Demuxer> {
    let unit = match head {
        [0, 0, 0, 1, rest @ ..] | [0, 0, 1, rest @ ..] => rest,
        _ => return None,
    };
    match unit {
        // Access unit delimiter, sequence parameter set, SEI.
        [first, ..] if first & 0x80 == 0 && matches!(first & 0x1f, 7 | 9 | 6) && *first != 0x46 => {
            Some(stream("h264", "H.264 without a container"))
        }
        // Video and sequence parameter sets, access unit delimiter, in the first layer.
        [0x40 | 0x42 | 0x44 | 0x46, 1, ..] => Some(stream("hevc", "H.265 without a container")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(head: &[u8]) -> Option<&'static str> {
        demuxer(head).ok().map(|found| found.name)
    }

    #[test]
    fn files_are_known_by_their_first_bytes() {
        assert_eq!(name(b"\0\0\0\x18ftypisom"), Some("mov"));
        assert_eq!(name(&[0x1a, 0x45, 0xdf, 0xa3, 0]), Some("matroska"));
        assert_eq!(name(b"RIFF\0\0\0\0WAVEfmt "), Some("wav"));
        assert_eq!(name(&[0, 0, 0, 1, 0x67, 0x64]), Some("h264"));
        assert_eq!(name(&[0, 0, 0, 1, 0x40, 1]), Some("hevc"));
        assert_eq!(name(&[0, 0, 0, 1, 0x46, 1]), Some("hevc"));
        assert_eq!(name(&[0xff, 0xfb, 0x90, 0x64]), Some("mp3"));
        let mut packets = vec![0_u8; 188 * 4];
        for packet in 0..4 {
            packets[packet * 188] = 0x47;
        }
        assert_eq!(name(&packets), Some("mpegts"));
        let sent = |before: usize, packet: usize, count: usize| {
            let mut bytes = vec![0_u8; before + packet * count];
            for number in 0..count {
                bytes[before + number * packet] = 0x47;
            }
            bytes
        };
        assert_eq!(name(&sent(0, 204, 4)), Some("mpegts"));
        assert_eq!(name(&sent(4, 192, 4)), Some("mpegts"));
        // A recording that begins in the middle of a packet.
        assert_eq!(name(&sent(100, 188, 40)), Some("mpegts"));
        assert_eq!(name(&sent(203, 204, 40)), Some("mpegts"));
        assert_eq!(name(&sent(100, 188, 4)), None);
        let mut bitmap = b"BM".to_vec();
        bitmap.resize(14, 0);
        bitmap.extend(40_u32.to_le_bytes());
        assert_eq!(name(&bitmap), Some("bmp_pipe"));
        assert_eq!(name(b"BM is a beginning of many words"), None);
        assert_eq!(name(b"ID3\x04\0\0\0\0\0\x02xyfLaC"), Some("flac"));
        let tagged = [b"ID3\x04\0\0\0\0\0\x02xy".as_slice(), &[0xff, 0xf1]].concat();
        assert_eq!(name(&tagged), Some("aac"));
    }

    #[test]
    fn what_opens_other_files_is_not_opened() {
        for bait in [
            "#EXTM3U\n#EXTINF:1,\nhttp://169.254.169.254/\n",
            "ffconcat version 1.0\nfile /etc/passwd\n",
            "<?xml version=\"1.0\"?><MPD/>",
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n",
            "[playlist]\nFile1=/etc/passwd\n",
            "file:///etc/passwd",
            "GIF",
            "",
        ] {
            assert_eq!(name(bait.as_bytes()), None, "{bait}");
        }
    }
}
