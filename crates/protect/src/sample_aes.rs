//! Apple's encryption of elementary streams in MPEG-2 TS ("MPEG-2 Stream Encryption Format for HTTP Live Streaming").
//!
//! Each NAL unit and each audio frame begins with the playlist's vector. Encryption comes before emulation prevention, which
//! is then put on the whole NAL unit once more, on top of what it has.

use aes::Aes128;
use aes::cipher::{Array, KeyInit};

use crate::chain::Chain;
use crate::{Key, Pattern, ProtectError};

/// Clear bytes at the start of a slice's NAL unit.
const LEADER: usize = 32;
/// Bytes of a pattern: an encrypted block and nine clear ones.
const PERIOD: usize = 160;
/// NAL units up to this length stay clear.
const SHORT_NAL: usize = 48;
/// Clear bytes after an audio frame's header.
const AUDIO_LEADER: usize = 16;

/// Stream types that the program map has for encrypted streams.
pub mod stream_type {
    /// H.264.
    pub const AVC: u8 = 0xdb;
    /// AAC in ADTS.
    pub const AAC: u8 = 0xcf;
    /// AC-3.
    pub const AC3: u8 = 0xc1;
    /// Enhanced AC-3.
    pub const EC3: u8 = 0xc2;
}

/// Descriptors of the program map for an encrypted H.264 stream: `private_data_indicator_descriptor` with `zavc`.
pub const AVC_DESCRIPTORS: [u8; 6] = [15, 4, b'z', b'a', b'v', b'c'];

/// Descriptors for an encrypted AAC stream: `private_data_indicator_descriptor` with `aacd`, and a registration descriptor
/// with the audio setup. `config`: the AudioSpecificConfig.
///
/// Errors: `TooLarge` if it is longer than a descriptor holds.
pub fn aac_descriptors(config: &[u8]) -> Result<Vec<u8>, ProtectError> {
    audio_descriptors(b"aacd", b"zaac", config)
}

/// The same for AC-3 (`enhanced`: Enhanced AC-3). `setup`: the first 10 bytes of the stream, or the `dec3` box's payload.
///
/// Errors: `TooLarge` if it is longer than a descriptor holds.
pub fn ac3_descriptors(enhanced: bool, setup: &[u8]) -> Result<Vec<u8>, ProtectError> {
    match enhanced {
        false => audio_descriptors(b"ac3d", b"zac3", setup),
        true => audio_descriptors(b"ec3d", b"zec3", setup),
    }
}

/// The start of an AC-3 frame (10 bytes, ETSI TS 102 366 §4.3), as the audio setup has it, from the payload of `dac3`: what
/// differs from frame to frame, the checksum and mixing levels, is zero. `None` if the payload is cut off.
pub fn ac3_setup(dac3: &[u8]) -> Option<[u8; 10]> {
    let (first, _) = dac3.split_first_chunk::<3>()?;
    let bits = first
        .iter()
        .fold(0_u32, |all, byte| (all << 8) | u32::from(*byte));
    // fscod 2, bsid 5, bsmod 3, acmod 3, lfeon 1, bit_rate_code 5, reserved 5.
    let field = |from: u32, mask: u32| (bits >> from) & mask;
    let acmod = field(11, 7);
    let mut header: u128 = 0x0b77 << 16;
    let mut length = 32_u32;
    let mut put = |value: u32, count: u32| {
        header = (header << count) | u128::from(value);
        length = length.saturating_add(count);
    };
    put(field(22, 3), 2);
    put(field(5, 31) << 1, 6);
    put(field(17, 31), 5);
    put(field(14, 7), 3);
    put(acmod, 3);
    if acmod & 1 == 1 && acmod != 1 {
        put(0, 2);
    }
    if acmod & 4 == 4 {
        put(0, 2);
    }
    if acmod == 2 {
        put(0, 2);
    }
    put(field(10, 1), 1);
    let header = header.checked_shl(128_u32.saturating_sub(length))?;
    header.to_be_bytes().first_chunk().copied()
}

fn audio_descriptors(
    private: &[u8; 4],
    audio: &[u8; 4],
    setup: &[u8],
) -> Result<Vec<u8>, ProtectError> {
    let too_long = ProtectError::TooLarge("the audio setup");
    let Some((length, total)) = u8::try_from(setup.len())
        .ok()
        .and_then(|length| Some((length, length.checked_add(12)?)))
    else {
        return Err(too_long);
    };
    let mut out = vec![15, 4];
    out.extend_from_slice(private);
    // Registration `apad`: audio type, priming 0, version 1, setup.
    out.extend_from_slice(&[5, total]);
    out.extend_from_slice(b"apad");
    out.extend_from_slice(audio);
    out.extend_from_slice(&[0, 0, 1, length]);
    out.extend_from_slice(setup);
    Ok(out)
}

/// Encrypts for one key and vector.
pub struct SampleAes {
    aes: Aes128,
    iv: [u8; 16],
}

impl SampleAes {
    /// `iv`: of the playlist's tag.
    pub fn new(key: &Key, iv: [u8; 16]) -> Self {
        Self {
            aes: Aes128::new(&Array(*key.expose())),
            iv,
        }
    }

    /// Appends an H.264 NAL unit (no start code, emulation prevention as it is) to `out`, encrypted if it is a coded slice
    /// (types 1 and 5) of more than 48 bytes.
    pub fn nal(&self, nal: &[u8], out: &mut Vec<u8>) {
        let kind = nal.first().map_or(0, |head| head & 31);
        if !matches!(kind, 1 | 5) || nal.len() <= SHORT_NAL {
            out.extend_from_slice(nal);
            return;
        }
        let mut made = nal.to_vec();
        let rest = made.get_mut(LEADER..).unwrap_or_default();
        // A block is encrypted only if there is something behind it.
        let kept = if rest.len() % PERIOD == 16 { 16 } else { 0 };
        let end = rest.len().saturating_sub(kept);
        let rest = rest.get_mut(..end).unwrap_or_default();
        Chain::new(self.iv).encrypt(&self.aes, Some(Pattern::VIDEO), rest);
        escape(&made, out);
    }

    /// Encrypts the frames of an Enhanced AC-3 access unit in place, each from the vector on. What is no frame is taken for one:
    /// nothing stays clear for being damaged.
    pub fn syncframes(&self, mut unit: &mut [u8]) {
        while !unit.is_empty() {
            let Some((frame, rest)) = unit.split_at_mut_checked(syncframe(unit)) else {
                return;
            };
            self.audio_frame(frame, 0);
            unit = rest;
        }
    }

    /// Encrypts an audio frame in place: an ADTS frame (7 or 9 bytes of header), or with `header` 0 an AC-3 or Enhanced AC-3
    /// frame. The next 16 bytes stay clear, and what is less than a block at the end.
    pub fn audio_frame(&self, frame: &mut [u8], header: usize) {
        let Some(body) = frame.get_mut(header.saturating_add(AUDIO_LEADER)..) else {
            return;
        };
        Chain::new(self.iv).encrypt(&self.aes, None, body);
    }
}

/// The length of the Enhanced AC-3 frame at the start (ETSI TS 102 366 §E.1.3.1.3): `frmsiz`, in words, less one. All that is there
/// where there is no such frame, or one that is cut off.
fn syncframe(bytes: &[u8]) -> usize {
    let length = match *bytes {
        [0x0b, 0x77, high, low, ..] => {
            let words = u16::from_be_bytes([high & 7, low]).saturating_add(1);
            usize::from(words).saturating_mul(2)
        }
        _ => bytes.len(),
    };
    length.min(bytes.len())
}

/// Emulation prevention (ISO/IEC 14496-10 §7.4.1). The last byte is always one that was there before, so not zero.
fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    let mut zeros: u8 = 0;
    for byte in bytes {
        if zeros >= 2 && *byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        out.push(*byte);
        zeros = if *byte == 0 {
            zeros.saturating_add(1)
        } else {
            0
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_an_access_unit_are_encrypted_one_by_one() {
        let cipher = SampleAes::new(&Key::new([3; 16]), [5; 16]);
        // Of 60 and of 100 bytes.
        let frames = [(29_u8, 60), (49, 100)].map(|(words, length)| {
            let mut frame = vec![0x0b, 0x77, 0, words];
            frame.resize(length, words);
            frame
        });
        let mut alone = frames.clone();
        for frame in &mut alone {
            cipher.audio_frame(frame, 0);
        }
        let mut unit = frames.concat();
        cipher.syncframes(&mut unit);
        assert_eq!(unit, alone.concat());
        assert_eq!(unit[60..76], frames[1][..16]);
        assert_ne!(unit, frames.concat());

        // Cut off, or no frame at all: as one frame, so that nothing is left as it was.
        for mut damaged in [frames[1][..70].to_vec(), vec![1; 70], vec![0x0b; 3]] {
            let mut whole = damaged.clone();
            cipher.audio_frame(&mut whole, 0);
            cipher.syncframes(&mut damaged);
            assert_eq!(damaged, whole);
        }
    }
}
