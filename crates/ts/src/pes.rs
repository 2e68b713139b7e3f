//! PES packets (ISO/IEC 13818-1 §2.4.3.6) and the transport packets that carry them (§2.4.3.2).

use crate::PACKET_LEN;
use crate::avc::{BadNalUnit, to_byte_stream};
use crate::protected::encrypt_picture;
use headwater_protect::sample_aes::SampleAes;

/// Most bytes of a packet that are payload.
const ROOM: usize = PACKET_LEN - 4;
/// Adaptation field with a PCR: length, flags, clock.
const CLOCK_FIELD: usize = 8;
/// Adaptation field with flags only.
const FLAG_FIELD: usize = 2;

/// How the media bytes of a unit become those of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// They are the same.
    AsIs,
    /// H.264 samples with NAL lengths of four bytes; see the module `avc`.
    Avc,
    /// The same under SAMPLE-AES; see the module `protected`.
    ProtectedAvc,
    /// Audio frames under SAMPLE-AES, without their ADTS headers.
    ProtectedFrame,
    /// The same of E-AC-3, whose samples may be several syncframes, each encrypted by itself.
    ProtectedFrames,
}

impl Framing {
    /// Whether a key is needed.
    #[must_use]
    pub fn is_protected(self) -> bool {
        match self {
            Self::AsIs | Self::Avc => false,
            Self::ProtectedAvc | Self::ProtectedFrame | Self::ProtectedFrames => true,
        }
    }
}

/// A sample in a PES packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// What goes in front of it.
    pub prefix: Vec<u8>,
    /// Media bytes.
    pub len: u32,
    /// Bytes that they become: as many, but for [`Framing::ProtectedAvc`].
    pub becomes: u32,
}

/// One PES packet, all but its media bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pes {
    /// Packet identifier, 13 bits.
    pub pid: u16,
    /// `stream_id`.
    pub stream_id: u8,
    /// `continuity_counter` of the first transport packet.
    pub counter: u8,
    /// Whether decoding can begin here.
    pub random_access: bool,
    /// PCR of the first transport packet, 90 kHz.
    pub pcr: Option<u64>,
    /// 90 kHz, 33 bits.
    pub pts: u64,
    /// 90 kHz, 33 bits; `None` if it is the same as `pts`.
    pub dts: Option<u64>,
    /// Transport packets: at least [`Pes::least_packets`].
    pub packets: u32,
    /// Of all units.
    pub framing: Framing,
    /// In order, not empty.
    pub units: Vec<Unit>,
}

/// Why a PES packet is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PesError {
    /// A sample is damaged.
    #[error(transparent)]
    Media(#[from] BadNalUnit),
    /// The media bytes are not as many as the units say.
    #[error("a PES packet got {given} media bytes instead of {expected}")]
    Length {
        /// Of the units.
        expected: u64,
        /// Given.
        given: u64,
    },
    /// Encrypted, a picture has not as many bytes as the unit says.
    #[error("an encrypted sample has {given} bytes instead of {expected}")]
    Becomes {
        /// Of the unit.
        expected: u32,
        /// Made.
        given: usize,
    },
    /// It is to be encrypted, and there is no key.
    #[error("a PES packet is to be encrypted without a key")]
    Keyless,
    /// Its number of packets is not one that its bytes can fill.
    #[error("a PES packet of {payload} bytes cannot be spread over {packets} packets")]
    Packets {
        /// Header and units.
        payload: usize,
        /// Wanted.
        packets: u32,
    },
}

impl Pes {
    /// Media bytes of all units.
    #[must_use]
    pub fn media_len(&self) -> u64 {
        self.units
            .iter()
            .fold(0, |sum, unit| sum.saturating_add(unit.len.into()))
    }

    /// Bytes of all its transport packets.
    #[must_use]
    pub fn len(&self) -> u64 {
        u64::from(self.packets).saturating_mul(PACKET_LEN as u64)
    }

    /// Whether it has no transport packets, which a written one always has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }

    fn header_len(&self) -> usize {
        if self.dts.is_some() { 19 } else { 14 }
    }

    /// Header and units; what is spread over transport packets.
    fn payload_len(&self) -> usize {
        self.units.iter().fold(self.header_len(), |sum, unit| {
            sum.saturating_add(unit.prefix.len())
                .saturating_add(usize::try_from(unit.becomes).unwrap_or(usize::MAX))
        })
    }

    /// Adaptation field of the first packet, without stuffing.
    fn field_len(&self) -> usize {
        match (self.pcr, self.random_access) {
            (Some(_), _) => CLOCK_FIELD,
            (None, true) => FLAG_FIELD,
            (None, false) => 0,
        }
    }

    fn first_room(&self) -> usize {
        ROOM.saturating_sub(self.field_len())
    }

    /// Transport packets that it needs.
    #[must_use]
    pub fn least_packets(&self) -> u32 {
        let rest = self.payload_len().saturating_sub(self.first_room());
        u32::try_from(rest.div_ceil(ROOM))
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    }

    /// Transport packets that it can be stretched to: the first holds the header, every other one byte at least.
    #[must_use]
    pub fn most_packets(&self) -> u32 {
        let media = self.payload_len().saturating_sub(self.header_len());
        u32::try_from(media)
            .unwrap_or(u32::MAX)
            .saturating_add(1)
            .max(self.least_packets())
    }

    /// Appends the transport packets.
    ///
    /// `media`: the bytes of all units, one after the other. `cipher`: for the framings under SAMPLE-AES.
    /// Errors: [`PesError`]; `out` is then as it was.
    pub fn write(
        &self,
        media: &[u8],
        cipher: Option<&SampleAes>,
        out: &mut Vec<u8>,
    ) -> Result<(), PesError> {
        let length = || PesError::Length {
            expected: self.media_len(),
            given: u64::try_from(media.len()).unwrap_or(u64::MAX),
        };
        let mut payload =
            Vec::with_capacity(self.payload_len().min(media.len().saturating_add(4096)));
        self.push_header(&mut payload);
        let mut rest = media;
        for unit in &self.units {
            payload.extend_from_slice(&unit.prefix);
            let len = usize::try_from(unit.len).map_err(|_| length())?;
            let (sample, after) = rest.split_at_checked(len).ok_or_else(length)?;
            rest = after;
            let at = payload.len();
            if self.framing == Framing::ProtectedAvc {
                encrypt_picture(sample, cipher.ok_or(PesError::Keyless)?, &mut payload)?;
            } else {
                payload.extend_from_slice(sample);
            }
            let made = payload.get_mut(at..).unwrap_or_default();
            match self.framing {
                Framing::Avc => to_byte_stream(made)?,
                Framing::ProtectedFrame => {
                    cipher.ok_or(PesError::Keyless)?.audio_frame(made, 0);
                }
                Framing::ProtectedFrames => {
                    let cipher = cipher.ok_or(PesError::Keyless)?;
                    cipher.syncframes(made);
                }
                Framing::AsIs | Framing::ProtectedAvc => {}
            }
            if u32::try_from(made.len()) != Ok(unit.becomes) {
                return Err(PesError::Becomes {
                    expected: unit.becomes,
                    given: made.len(),
                });
            }
        }
        if !rest.is_empty() {
            return Err(length());
        }
        if self.packets < self.least_packets() || self.packets > self.most_packets() {
            return Err(PesError::Packets {
                payload: payload.len(),
                packets: self.packets,
            });
        }
        self.push_packets(&payload, out);
        Ok(())
    }

    fn push_header(&self, out: &mut Vec<u8>) {
        let timed: u8 = if self.dts.is_some() { 10 } else { 5 };
        // 0 is "unbounded", for video only; what else there is stays below 64 KiB.
        let behind = self.payload_len().saturating_sub(6);
        let length = match self.stream_id {
            0xe0..=0xef => 0,
            _ => u16::try_from(behind).unwrap_or(0),
        };
        out.extend_from_slice(&[0, 0, 1, self.stream_id]);
        out.extend_from_slice(&length.to_be_bytes());
        // Aligned: an access unit starts right behind the header.
        out.extend_from_slice(&[0x84, if self.dts.is_some() { 0xc0 } else { 0x80 }, timed]);
        match self.dts {
            None => out.extend_from_slice(&time_stamp(2, self.pts)),
            Some(dts) => {
                out.extend_from_slice(&time_stamp(3, self.pts));
                out.extend_from_slice(&time_stamp(1, dts));
            }
        }
    }

    fn push_packets(&self, payload: &[u8], out: &mut Vec<u8>) {
        out.reserve(usize::try_from(self.len()).unwrap_or_default());
        let mut rest = payload;
        let mut counter = self.counter & 0x0f;
        for left in (0..self.packets).rev() {
            let first = left.saturating_add(1) == self.packets;
            let field = if first { self.field_len() } else { 0 };
            // As much as fits, but a byte for each of the packets to come.
            let later = usize::try_from(left).unwrap_or(usize::MAX);
            let take = ROOM
                .saturating_sub(field)
                .min(rest.len().saturating_sub(later))
                .min(rest.len());
            let (now, after) = rest.split_at_checked(take).unwrap_or((rest, &[]));
            rest = after;
            let stuffing = ROOM.saturating_sub(field).saturating_sub(now.len());
            let start: u16 = if first { 0x4000 } else { 0 };
            out.push(0x47);
            out.extend_from_slice(&(start | (self.pid & 0x1fff)).to_be_bytes());
            let adapted = field.saturating_add(stuffing) > 0;
            out.push(if adapted { 0x30 } else { 0x10 } | counter);
            if adapted {
                self.push_field(first, field.saturating_add(stuffing), out);
            }
            out.extend_from_slice(now);
            counter = counter.wrapping_add(1) & 0x0f;
        }
    }

    /// An adaptation field of `len` bytes, its length byte included.
    fn push_field(&self, first: bool, len: usize, out: &mut Vec<u8>) {
        let end = out.len().saturating_add(len);
        out.push(u8::try_from(len.saturating_sub(1)).unwrap_or_default());
        if len > 1 {
            let mut flags = 0;
            if first && self.random_access {
                flags |= 0x40;
            }
            let pcr = self.pcr.filter(|_| first);
            if pcr.is_some() {
                flags |= 0x10;
            }
            out.push(flags);
            if let Some(pcr) = pcr {
                // 33 bits of the 90 kHz clock, six bits reserved, no extension.
                let field = ((pcr & 0x1_ffff_ffff) << 15) | (0x3f << 9);
                out.extend(field.to_be_bytes().into_iter().skip(2));
            }
        }
        out.resize(end, 0xff);
    }
}

/// A time stamp of 33 bits in five bytes with marker bits (§2.4.3.7).
fn time_stamp(prefix: u8, time: u64) -> [u8; 5] {
    let bits = |shift: u32, mask: u64| u8::try_from((time >> shift) & mask).unwrap_or_default();
    [
        (prefix << 4) | (bits(30, 7) << 1) | 1,
        bits(22, 0xff),
        (bits(15, 0x7f) << 1) | 1,
        bits(7, 0xff),
        (bits(0, 0x7f) << 1) | 1,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The payloads of the packets, and their counters.
    fn unpack(packets: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (mut payload, mut counters) = (Vec::new(), Vec::new());
        for packet in packets.chunks(PACKET_LEN) {
            assert_eq!(packet[0], 0x47);
            counters.push(packet[3] & 15);
            let start = match packet[3] >> 4 {
                1 => 4,
                3 => 5 + usize::from(packet[4]),
                other => panic!("adaptation field control {other}"),
            };
            assert!(start < PACKET_LEN, "a packet with payload has some");
            payload.extend_from_slice(&packet[start..]);
        }
        (payload, counters)
    }

    proptest! {
        #[test]
        fn bytes_come_out_in_as_many_packets_as_said(
            sizes in proptest::collection::vec(0u32..700, 1..5), pcr: Option<u32>, dts: bool, random_access: bool, stretch in 0u32..40
        ) {
            let mut pes = Pes {
                pid: 0x101, stream_id: 0xc0, counter: 14, random_access, pcr: pcr.map(u64::from), pts: 5, dts: dts.then_some(3),
                packets: 0, framing: Framing::AsIs,
                units: sizes.iter().map(|len| Unit { prefix: vec![7, 7], len: *len, becomes: *len }).collect(),
            };
            pes.packets = pes.least_packets().saturating_add(stretch).min(pes.most_packets());
            let media: Vec<u8> = (0..pes.media_len()).map(|n| n as u8).collect();
            let mut out = Vec::new();
            pes.write(&media, None, &mut out).unwrap();
            prop_assert_eq!(out.len() as u64, pes.len());
            let (payload, counters) = unpack(&out);
            let mut expected = Vec::new();
            pes.push_header(&mut expected);
            let mut rest = media.as_slice();
            for len in sizes {
                expected.extend_from_slice(&[7, 7]);
                expected.extend_from_slice(&rest[..len as usize]);
                rest = &rest[len as usize..];
            }
            prop_assert_eq!(payload, expected);
            for (n, counter) in counters.iter().enumerate() {
                prop_assert_eq!(usize::from(*counter), (14 + n) % 16);
            }
        }
    }

    #[test]
    fn media_of_another_length_is_refused() {
        let pes = Pes {
            pid: 0x100,
            stream_id: 0xe0,
            counter: 0,
            random_access: true,
            pcr: Some(1),
            pts: 2,
            dts: None,
            packets: 1,
            framing: Framing::AsIs,
            units: vec![Unit {
                prefix: vec![],
                len: 4,
                becomes: 4,
            }],
        };
        let mut out = Vec::new();
        for media in [&[0; 3][..], &[0; 5]] {
            assert!(matches!(
                pes.write(media, None, &mut out),
                Err(PesError::Length { expected: 4, .. })
            ));
        }
        let two = Pes { packets: 6, ..pes };
        assert!(matches!(
            two.write(&[0; 4], None, &mut out),
            Err(PesError::Packets { .. })
        ));
        assert_eq!(out, []);
    }
}
