//! Program association and program map tables (ISO/IEC 13818-1 §2.4.4): one program of at most one video, one audio and
//! one metadata stream.

use crate::PACKET_LEN;

/// PID of the program map table.
const MAP_PID: u16 = 0x1000;
/// PID of the video stream.
pub const VIDEO_PID: u16 = 0x100;
/// PID of the audio stream.
pub const AUDIO_PID: u16 = 0x101;
/// Bytes of both tables.
pub const TABLES_LEN: usize = 2 * PACKET_LEN;

const PROGRAM: u16 = 1;
const POLYNOMIAL: u32 = 0x04c1_1db7;

/// An elementary stream, as the map lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) pid: u16,
    pub(crate) stream_type: u8,
    /// Descriptors, ready; at most [`MAX_DESCRIPTORS`] bytes.
    pub(crate) descriptors: Vec<u8>,
}

/// Most descriptor bytes of a stream: the map has one packet. (Those of pictures and of metadata are a few bytes, whatever
/// the media.)
pub(crate) const MAX_DESCRIPTORS: usize = 64;

/// A registration descriptor (§2.6.8) of a `format_identifier`.
pub(crate) fn registration(identifier: [u8; 4]) -> Vec<u8> {
    [&[5, 4][..], &identifier].concat()
}

/// PAT and PMT, a packet each. `program`: the program's descriptors. `counter`: of both packets. The first stream carries the
/// PCR.
pub(crate) fn tables(program: &[u8], streams: &[Listed], counter: u8) -> Vec<u8> {
    let mut association = Vec::new();
    association.extend_from_slice(&PROGRAM.to_be_bytes());
    association.extend_from_slice(&(0xe000 | MAP_PID).to_be_bytes());
    let mut map = Vec::new();
    let clock_pid = streams.first().map_or(0x1fff, |stream| stream.pid);
    map.extend_from_slice(&(0xe000 | clock_pid).to_be_bytes());
    let len = u16::try_from(program.len()).unwrap_or_default();
    map.extend_from_slice(&(0xf000 | len).to_be_bytes());
    map.extend_from_slice(program);
    for stream in streams {
        map.push(stream.stream_type);
        map.extend_from_slice(&(0xe000 | stream.pid).to_be_bytes());
        let descriptors = stream.descriptors.get(..MAX_DESCRIPTORS);
        let descriptors = descriptors.unwrap_or(&stream.descriptors);
        let len = u16::try_from(descriptors.len()).unwrap_or_default();
        map.extend_from_slice(&(0xf000 | len).to_be_bytes());
        map.extend_from_slice(descriptors);
    }
    let mut out = Vec::with_capacity(TABLES_LEN);
    packet(&mut out, 0, counter, &section(0, 1, &association));
    packet(&mut out, MAP_PID, counter, &section(2, PROGRAM, &map));
    out
}

/// A section of version 0, the only one of its table.
fn section(table: u8, extension: u16, body: &[u8]) -> Vec<u8> {
    // What follows the length field: five bytes, the body and the CRC. Bodies have some tens of bytes.
    let length = u16::try_from(body.len())
        .unwrap_or(u16::MAX)
        .saturating_add(9);
    let mut section = vec![table];
    section.extend_from_slice(&(0xb000 | length).to_be_bytes());
    section.extend_from_slice(&extension.to_be_bytes());
    section.extend_from_slice(&[0xc1, 0, 0]);
    section.extend_from_slice(body);
    let crc = crc32(&section);
    section.extend_from_slice(&crc.to_be_bytes());
    section
}

fn packet(out: &mut Vec<u8>, pid: u16, counter: u8, section: &[u8]) {
    let end = out.len().saturating_add(PACKET_LEN);
    out.push(0x47);
    out.extend_from_slice(&(0x4000 | pid).to_be_bytes());
    out.push(0x10 | (counter & 0x0f));
    out.push(0); // pointer_field
    out.extend_from_slice(section);
    out.resize(end, 0xff);
}

/// CRC-32 of annex A.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |mut crc, byte| {
        crc ^= u32::from(*byte) << 24;
        for _ in 0..8 {
            let carry = crc & 0x8000_0000 != 0;
            crc <<= 1;
            if carry {
                crc ^= POLYNOMIAL;
            }
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn association_table_has_the_known_checksum() {
        // The PAT that ffmpeg 5.1 writes for one program mapped by PID 0x1000.
        let known = [
            0x00, 0xb0, 0x0d, 0x00, 0x01, 0xc1, 0x00, 0x00, 0x00, 0x01, 0xf0, 0x00, 0x2a, 0xb1,
            0x04, 0xb2,
        ];
        let out = tables(&[], &[], 3);
        assert_eq!(out.len(), TABLES_LEN);
        assert_eq!(out[..5], [0x47, 0x40, 0, 0x13, 0]);
        assert_eq!(out[5..21], known);
    }
}
