//! Audio and video messages: FLV tag bodies (Adobe, "Video File Format 10.1", annex E.4.2 and E.4.3) with the extended
//! headers of Enhanced RTMP v1.

use bytes::Bytes;

/// Codecs that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Avc,
    Hevc,
    Av1,
    Aac,
    Opus,
}

/// What a tag holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// Decoder configuration: `avcC`, `hvcC`, `av1C`, an AudioSpecificConfig, an Opus identification header.
    Config { codec: Codec, record: Bytes },
    /// An access unit. `offset`: presentation minus decode time in milliseconds.
    Unit {
        codec: Codec,
        sync: bool,
        offset: i32,
        bytes: Bytes,
    },
    /// Nothing to keep: end of sequence, metadata, a codec's silence.
    Nothing,
    /// A codec that is not understood, by its name.
    Unsupported(String),
    /// Cut off.
    Malformed,
}

fn signed24(bytes: &[u8]) -> Option<i32> {
    let [a, b, c] = *bytes.first_chunk::<3>()?;
    Some(i32::from_be_bytes([a, b, c, 0]) >> 8)
}

/// A video tag.
#[must_use]
pub fn video(payload: &Bytes) -> Tag {
    let Some(first) = payload.first() else {
        return Tag::Nothing;
    };
    let frame = (first >> 4) & 7;
    if first & 0x80 != 0 {
        return enhanced_video(payload, frame, first & 15);
    }
    match first & 15 {
        7 => {}
        id => {
            let name = match id {
                2 => "Sorenson H.263",
                4 | 5 => "VP6",
                12 => "HEVC in an unofficial form",
                _ => "an unknown video codec",
            };
            return Tag::Unsupported(name.to_owned());
        }
    }
    let (Some(kind), Some(offset), Some(rest)) = (
        payload.get(1),
        payload.get(2..).and_then(signed24),
        payload.len().checked_sub(5).map(|_| payload.slice(5..)),
    ) else {
        return Tag::Malformed;
    };
    match kind {
        0 => Tag::Config {
            codec: Codec::Avc,
            record: rest,
        },
        1 => Tag::Unit {
            codec: Codec::Avc,
            sync: frame == 1,
            offset,
            bytes: rest,
        },
        _ => Tag::Nothing,
    }
}

fn enhanced_video(payload: &Bytes, frame: u8, kind: u8) -> Tag {
    let Some(name) = payload.get(1..5) else {
        return Tag::Malformed;
    };
    let codec = match name {
        b"avc1" => Codec::Avc,
        b"hvc1" => Codec::Hevc,
        b"av01" => Codec::Av1,
        other => return Tag::Unsupported(String::from_utf8_lossy(other).into_owned()),
    };
    let from = |at: usize| payload.slice(at.min(payload.len())..);
    match kind {
        0 => Tag::Config {
            codec,
            record: from(5),
        },
        // CodedFrames: with a composition offset, but for AV1.
        1 => {
            let (offset, at) = match codec {
                Codec::Av1 => (0, 5),
                _ => match payload.get(5..).and_then(signed24) {
                    Some(offset) => (offset, 8),
                    None => return Tag::Malformed,
                },
            };
            Tag::Unit {
                codec,
                sync: frame == 1,
                offset,
                bytes: from(at),
            }
        }
        // CodedFramesX: an offset of 0.
        3 => Tag::Unit {
            codec,
            sync: frame == 1,
            offset: 0,
            bytes: from(5),
        },
        2 | 4 => Tag::Nothing,
        _ => Tag::Unsupported("a form of Enhanced RTMP v2".to_owned()),
    }
}

/// An audio tag.
#[must_use]
pub fn audio(payload: &Bytes) -> Tag {
    let Some(first) = payload.first() else {
        return Tag::Nothing;
    };
    let from = |at: usize| payload.slice(at.min(payload.len())..);
    let unit = |codec, at| Tag::Unit {
        codec,
        sync: true,
        offset: 0,
        bytes: from(at),
    };
    match first >> 4 {
        10 => match payload.get(1) {
            Some(0) => Tag::Config {
                codec: Codec::Aac,
                record: from(2),
            },
            Some(1) => unit(Codec::Aac, 2),
            Some(_) => Tag::Nothing,
            None => Tag::Malformed,
        },
        // The extended header of Enhanced RTMP.
        9 => {
            let codec = match payload.get(1..5) {
                Some(b"mp4a") => Codec::Aac,
                Some(b"Opus") => Codec::Opus,
                Some(other) => {
                    return Tag::Unsupported(String::from_utf8_lossy(other).into_owned());
                }
                None => return Tag::Malformed,
            };
            match first & 15 {
                0 => Tag::Config {
                    codec,
                    record: from(5),
                },
                1 => unit(codec, 5),
                2 | 4 => Tag::Nothing,
                _ => Tag::Unsupported("a form of Enhanced RTMP v2".to_owned()),
            }
        }
        2 | 14 => Tag::Unsupported("MP3".to_owned()),
        11 => Tag::Unsupported("Speex".to_owned()),
        _ => Tag::Unsupported("an old audio codec".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_both_generations() {
        let unit = video(&Bytes::from_static(&[0x17, 1, 0xff, 0xff, 0xfe, 9]));
        let expected = Tag::Unit {
            codec: Codec::Avc,
            sync: true,
            offset: -2,
            bytes: Bytes::from_static(&[9]),
        };
        assert_eq!(unit, expected);
        let hevc = video(&Bytes::from_static(b"\xa1hvc1\0\0\x28x"));
        assert!(matches!(
            hevc,
            Tag::Unit {
                codec: Codec::Hevc,
                sync: false,
                offset: 40,
                ..
            }
        ));
        assert_eq!(
            video(&Bytes::from_static(b"\x90vp09")),
            Tag::Unsupported("vp09".into())
        );
        let config = audio(&Bytes::from_static(&[0xaf, 0, 0x11, 0x90]));
        assert!(matches!(
            config,
            Tag::Config {
                codec: Codec::Aac,
                ..
            }
        ));
        assert_eq!(audio(&Bytes::from_static(&[0xaf])), Tag::Malformed);
        assert_eq!(video(&Bytes::from_static(&[0x17, 1, 0])), Tag::Malformed);
    }
}
