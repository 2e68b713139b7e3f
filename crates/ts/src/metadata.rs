//! Timed metadata: ID3 tags in a stream of their own (ISO/IEC 13818-1 §2.12; Apple, *Timed Metadata for HTTP Live Streaming*).
//!
//! Its bytes are made with the layout: tags are small, and no part of the media.

use crate::clock::{CLOCK_ORIGIN, wrap};
use crate::pes::{Framing, Pes, Unit};

/// PID of the metadata stream.
pub const METADATA_PID: u16 = 0x102;

/// Longest tag: a PES packet states its length in 16 bits, and counts the rest of its header.
pub const MAX_TAG_BYTES: usize = 65_535 - 8;

/// Metadata in PES packets.
pub(crate) const STREAM_TYPE: u8 = 0x15;

/// In the program map, `metadata_pointer_descriptor` (§2.6.58): the program's metadata is ID3, in this program.
pub(crate) const POINTER: [u8; 17] = [
    0x25, 15, 0xff, 0xff, b'I', b'D', b'3', b' ', 0xff, b'I', b'D', b'3', b' ', 0, 0x1f, 0, 1,
];

/// Of the stream, `metadata_descriptor` (§2.6.60): ID3, without a decoder configuration.
pub(crate) const DESCRIPTOR: [u8; 15] = [
    0x26, 13, 0xff, 0xff, b'I', b'D', b'3', b' ', 0xff, b'I', b'D', b'3', b' ', 0, 0x0f,
];

/// An ID3 tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag<'a> {
    /// Presentation time, 90 kHz.
    pub time: i64,
    /// The whole tag, at most [`MAX_TAG_BYTES`].
    pub data: &'a [u8],
}

/// A PES packet for each of `tags`, with the time (not wrapped) of each, by time.
pub(crate) fn packets(tags: &[Tag<'_>]) -> Vec<(i64, Pes)> {
    let mut packets: Vec<(i64, Pes)> = tags
        .iter()
        .map(|tag| {
            let at = tag.time.saturating_add(CLOCK_ORIGIN);
            let pes = Pes {
                pid: METADATA_PID,
                stream_id: 0xbd,
                counter: 0,
                random_access: false,
                pcr: None,
                pts: wrap(at),
                dts: None,
                packets: 0,
                framing: Framing::AsIs,
                units: vec![Unit {
                    prefix: tag.data.to_vec(),
                    len: 0,
                    becomes: 0,
                }],
            };
            (at, pes)
        })
        .collect();
    packets.sort_by_key(|(at, _)| *at);
    packets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Adts, Audio, AudioCodec, Fragment, PACKET_LEN, Part, Sample, Segment, TsError, multiplex,
    };
    use headwater_time::Timescale;

    /// A second of sound from the tenth on, with `tags`.
    fn segment(tags: Option<&[Tag<'_>]>) -> Result<Segment, TsError> {
        let samples = (0..47).map(|n| Sample {
            size: 300,
            becomes: 300,
            decode: 480_000 + n * 1024,
            present: 480_000 + n * 1024,
            sync: true,
        });
        let fragments = [Fragment {
            number: Some(3),
            samples: samples.collect(),
        }];
        let audio = Audio {
            codec: AudioCodec::Aac(Adts::new(48_000, 2).unwrap()),
            timescale: Timescale::new(48_000).unwrap(),
            fragments: &fragments,
            setup: None,
        };
        multiplex(None, Some(&audio), tags)
    }

    /// Time stamp and content of a PES packet, and the counters of its packets.
    fn read(packets: &[u8]) -> (u64, Vec<u8>, Vec<u8>) {
        let (mut pes, mut counters) = (Vec::new(), Vec::new());
        for (number, packet) in packets.chunks(PACKET_LEN).enumerate() {
            let start = if number == 0 { 0x41 } else { 0x01 };
            assert_eq!(packet[..3], [0x47, start, 0x02]);
            counters.push(packet[3] & 15);
            let skipped = match packet[3] >> 4 {
                1 => 4,
                _ => 5 + usize::from(packet[4]),
            };
            pes.extend_from_slice(&packet[skipped..]);
        }
        let len = u16::from_be_bytes([pes[4], pes[5]]);
        assert_eq!(usize::from(len), pes.len() - 6);
        // Private stream 1, aligned, with a presentation time alone.
        assert_eq!(pes[..4], [0, 0, 1, 0xbd]);
        assert_eq!(pes[6..9], [0x84, 0x80, 5]);
        let bits = pes[9..14]
            .iter()
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let time = bits >> 3 & 7 << 30 | bits >> 2 & 0x7fff << 15 | bits >> 1 & 0x7fff;
        (time, pes[14..].to_vec(), counters)
    }

    #[test]
    fn tags_come_at_their_times_and_nothing_else_changes() {
        let tags = [
            (943_200, &b"ID3 the second of them"[..]),
            (90_000 * 3, b"ID3 of before the segment"),
            (90_000 * 60, b"ID3 of long after it"),
        ]
        .map(|(time, data)| Tag { time, data });
        let with = segment(Some(&tags)).unwrap();
        let mut found = Vec::new();
        let mut counters = Vec::new();
        let mut sound_before = Vec::new();
        let mut sound = 0;
        for part in &with.parts {
            match part {
                Part::Tag(packets) => {
                    let (time, data, own) = read(packets);
                    found.push((time, data));
                    counters.extend(own);
                    sound_before.push(sound);
                }
                Part::Pes(_, pes) => {
                    sound += 1;
                    assert_eq!(pes.pid, crate::AUDIO_PID);
                }
                Part::Tables(_) => assert_eq!(sound, 0),
            }
        }
        assert_eq!(
            found,
            [
                (1_170_000, tags[1].data.to_vec()),
                (1_843_200, tags[0].data.to_vec()),
                (6_300_000, tags[2].data.to_vec()),
            ]
        );
        assert_eq!(sound_before, [1, 5, sound]);
        // They follow one another, and those of the next segment follow them.
        assert_eq!(counters.len() % 16, 0);
        let expected = (0..16).cycle().take(counters.len());
        assert!(counters.iter().copied().eq(expected), "{counters:?}");
        let without = segment(None).unwrap();
        let media = |segment: &Segment| {
            let parts = segment.parts.iter();
            let media = parts.filter(|part| matches!(part, Part::Pes(..)));
            media.cloned().collect::<Vec<_>>()
        };
        assert_eq!(media(&with), media(&without));
    }

    #[test]
    fn the_map_names_the_stream_with_and_without_tags() {
        let map = [
            &[0xe1, 0x01, 0xf0, 17, 0x25, 15, 0xff, 0xff][..],
            b"ID3 \xffID3 \0\x1f\0\x01",
            &[0x0f, 0xe1, 0x01, 0xf0, 0],
            &[0x15, 0xe1, 0x02, 0xf0, 15, 0x26, 13, 0xff, 0xff],
            b"ID3 \xffID3 \0\x0f",
        ]
        .concat();
        for (tags, named) in [(Some(&[][..]), true), (None, false)] {
            let segment = segment(tags).unwrap();
            let Part::Tables(tables) = &segment.parts[0] else {
                panic!("tables come first");
            };
            assert_eq!(tables.len(), crate::TABLES_LEN);
            assert_eq!(tables.windows(map.len()).any(|bytes| bytes == map), named);
        }
    }

    #[test]
    fn the_longest_tag_fits_and_no_longer_one() {
        let long = vec![7; MAX_TAG_BYTES + 1];
        let of = |data| [Tag { time: 0, data }];
        let whole = segment(Some(&of(&long[1..]))).unwrap();
        let tag = whole.parts.iter().find_map(|part| match part {
            Part::Tag(packets) => Some(read(packets).1),
            _ => None,
        });
        assert_eq!(tag.as_deref(), Some(&long[1..]));
        assert_eq!(
            segment(Some(&of(&long))),
            Err(TsError::TagTooLong(MAX_TAG_BYTES + 1))
        );
    }
}
