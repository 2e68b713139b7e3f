//! Frames of silence, coded for the parameters that a track has: nothing changes for its decoder.

use bytes::Bytes;

use crate::stream::{Kind, StreamConfig};

/// A frame of silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    pub bytes: Bytes,
    /// Ticks of the track.
    pub duration: u32,
}

/// Opus: 20 ms of an empty CELT frame in full band (RFC 6716 §3.1), which stereo decoders play on both sides.
const OPUS: [u8; 3] = [0xf8, 0xff, 0xfe];
const OPUS_SAMPLES: u32 = 960;

/// Elements of a raw data block (ISO/IEC 14496-3 table 4.85).
const SINGLE: u32 = 0;
const PAIR: u32 = 1;
const LOW: u32 = 3;
const END: u32 = 7;

/// Silence for a track; `None` if its codec or its channels are none that it can be written for.
#[must_use]
pub fn of(stream: &StreamConfig) -> Option<Silence> {
    if stream.kind != Kind::Audio {
        return None;
    }
    if stream.codec == "opus" {
        return Some(Silence {
            bytes: Bytes::from_static(&OPUS),
            duration: OPUS_SAMPLES,
        });
    }
    // Without a word of spectral band replication, a decoder of HE-AAC has nothing to add; of HE-AAC v2 one channel is coded.
    let (channels, samples) = match stream.codec.as_str() {
        "mp4a.40.2" => (stream.channels, 1024),
        "mp4a.40.5" => (stream.channels, 2048),
        "mp4a.40.29" => (1, 2048),
        _ => return None,
    };
    Some(Silence {
        bytes: aac(channels)?.into(),
        duration: stream.unit_duration.unwrap_or(samples),
    })
}

/// A raw data block without a spectral coefficient: no scale factor band is sent (§4.4.2.1, tables 4.4 and 4.6).
fn aac(channels: u16) -> Option<Vec<u8>> {
    // The elements of channelConfiguration 1 to 7 (table 1.19).
    let elements: &[u32] = match channels {
        1 => &[SINGLE],
        2 => &[PAIR],
        3 => &[SINGLE, PAIR],
        4 => &[SINGLE, PAIR, SINGLE],
        5 => &[SINGLE, PAIR, PAIR],
        6 => &[SINGLE, PAIR, PAIR, LOW],
        8 => &[SINGLE, PAIR, PAIR, PAIR, LOW],
        _ => return None,
    };
    let mut bits = Bits::default();
    for (at, element) in elements.iter().enumerate() {
        let earlier = elements.iter().take(at);
        let tag = earlier.filter(|other| *other == element).count();
        bits.put(3, *element);
        bits.put(4, u32::try_from(tag).unwrap_or(0));
        if *element == PAIR {
            // One window for both, no mid/side coding.
            bits.put(1, 1);
            bits.ics_info();
            bits.put(2, 0);
            bits.channel(false);
            bits.channel(false);
        } else {
            bits.channel(true);
        }
    }
    bits.put(3, END);
    Some(bits.bytes)
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    /// The lowest `count` bits of `value`, the highest of them first.
    fn put(&mut self, count: u32, value: u32) {
        for at in (0..count).rev() {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let bit = u8::try_from(value.checked_shr(at).unwrap_or(0) & 1).unwrap_or(0);
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << 7_u32.saturating_sub(self.used);
            }
            self.used = self.used.saturating_add(1) % 8;
        }
    }

    /// One long window, no scale factor band, no prediction.
    fn ics_info(&mut self) {
        self.put(1 + 2 + 1 + 6 + 1, 0);
    }

    fn channel(&mut self, with_info: bool) {
        // Global gain, which nothing is multiplied by.
        self.put(8, 0);
        if with_info {
            self.ics_info();
        }
        // No pulse data, no temporal noise shaping, no gain control.
        self.put(3, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_whole_bytes_and_end() {
        // The end follows bit 29, and bit 43.
        assert_eq!(aac(1).unwrap(), [0, 0, 0, 0b0000_0111]);
        assert_eq!(aac(2).unwrap(), [0x21, 0, 0, 0, 0, 0b0001_1100]);
        assert_eq!(aac(0), None);
        assert_eq!(aac(7), None);
    }

    #[test]
    fn others_have_none() {
        let mut stream = StreamConfig::aac(&[0x11, 0x90]).unwrap();
        assert_eq!(of(&stream).unwrap().duration, 1024);
        stream.codec = "ac-3".into();
        assert_eq!(of(&stream), None);
    }
}
