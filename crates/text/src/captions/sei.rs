//! Caption data of one picture.
//!
//! ```text
//! NAL unit of type 6 (H.264), 39 or 40 (HEVC): header, then messages, emulation prevention removed:
//!   type: FF* + u8 | size: FF* + u8 | payload
//! payload of type 4 (Rec. ITU-T H.264 §D.1.6): B5 00 31 'GA94' 03 | cc_data
//! cc_data (ATSC A/53 part 4 table 6.10): 1 bit, process_cc_data_flag 1 bit, 1 bit, cc_count 5 bits | u8 |
//!   cc_count times: 5 bits, cc_valid 1 bit, cc_type 2 bits | 2 bytes
//! ```

use super::Pictures;

/// `user_data_registered_itu_t_t35`.
const REGISTERED: usize = 4;
/// Country United States, provider ATSC, identifier, `user_data_type_code` of captions.
const CAPTIONS: [u8; 8] = [0xb5, 0x00, 0x31, b'G', b'A', b'9', b'4', 0x03];

/// Three bytes of caption data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Triplet {
    pub(super) valid: bool,
    /// 0 and 1: CEA-608 of the first and second field; 2 and 3: CEA-708, 3 begins a packet.
    pub(super) kind: u8,
    pub(super) bytes: [u8; 2],
}

/// Caption data of a sample, which may be cut off at its end.
pub(super) fn caption_data(pictures: Pictures, sample: &[u8], take: &mut impl FnMut(Triplet)) {
    let (length_size, header) = match pictures {
        Pictures::Avc { nal_length_size } => (nal_length_size, 1),
        Pictures::Hevc { nal_length_size } => (nal_length_size, 2),
    };
    let mut rest = sample;
    while let Some((length, behind)) = rest.split_at_checked(length_size.into()) {
        let length = length
            .iter()
            .fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
        // What is cut off is no message that can be read; nor is there one behind it.
        let Some((nal, next)) = behind.split_at_checked(length) else {
            return;
        };
        rest = next;
        let first = nal.first().copied().unwrap_or_default();
        let is_sei = match pictures {
            Pictures::Avc { .. } => first & 0x1f == 6,
            Pictures::Hevc { .. } => matches!((first >> 1) & 0x3f, 39 | 40),
        };
        if is_sei && let Some(messages) = nal.get(header..) {
            read_messages(&unescaped(messages), take);
        }
        if length == 0 && length_size == 0 {
            return;
        }
    }
}

/// Without emulation prevention (§7.4.1 of Rec. ITU-T H.264).
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut zeros = 0_u32;
    for byte in bytes {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = match *byte {
            0 => zeros.saturating_add(1),
            _ => 0,
        };
        out.push(*byte);
    }
    out
}

fn read_messages(mut rest: &[u8], take: &mut impl FnMut(Triplet)) {
    // The last byte is the trailing bit.
    while rest.len() > 2 {
        let Some(kind) = sum(&mut rest) else { return };
        let Some(size) = sum(&mut rest) else { return };
        let Some((payload, next)) = rest.split_at_checked(size) else {
            return;
        };
        rest = next;
        if kind == REGISTERED
            && let Some(data) = payload.strip_prefix(&CAPTIONS)
        {
            read_data(data, take);
        }
    }
}

/// A number as bytes of 255 and one that is less.
fn sum(rest: &mut &[u8]) -> Option<usize> {
    let mut sum = 0_usize;
    loop {
        let (byte, next) = rest.split_first()?;
        *rest = next;
        sum = sum.saturating_add(usize::from(*byte));
        if *byte != 0xff {
            return Some(sum);
        }
    }
}

fn read_data(data: &[u8], take: &mut impl FnMut(Triplet)) {
    let Some((flags, rest)) = data.split_first() else {
        return;
    };
    if flags & 0x40 == 0 {
        return;
    }
    let triplets = rest.get(1..).unwrap_or_default();
    let count = usize::from(flags & 0x1f);
    for triplet in triplets.as_chunks::<3>().0.iter().take(count) {
        let [flags, first, second] = *triplet;
        take(Triplet {
            valid: flags & 4 != 0,
            kind: flags & 3,
            bytes: [first, second],
        });
    }
}
