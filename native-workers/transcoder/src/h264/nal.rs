//! NAL units: length-prefixed as MP4 stores them (ISO/IEC 14496-15 §4.3), with start codes as OpenH264 takes and
//! gives them (ITU-T H.264 Annex B).

/// NAL unit types (H.264 table 7-1) that this crate tells apart.
pub mod kind {
    pub const IDR_SLICE: u8 = 5;
    pub const SPS: u8 = 7;
    pub const PPS: u8 = 8;
    pub const ACCESS_UNIT_DELIMITER: u8 = 9;
    pub const FILLER: u8 = 12;
}

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The type of a NAL unit.
pub fn kind(nal: &[u8]) -> Option<u8> {
    nal.first().map(|header| header & 0x1f)
}

/// A sample's length prefixes do not add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a NAL unit runs past the end of its sample")]
pub struct BadLength;

/// Appends `nal` with a start code.
pub fn push_annex_b(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&START_CODE);
    out.extend_from_slice(nal);
}

/// Appends a length-prefixed sample as an Annex B access unit. Delimiters, filler and the NAL unit types of the
/// scalable and multiview extensions are left out: they carry nothing for a decoder of the base view.
///
/// `length_size`: bytes of a length prefix, 1 to 4.
pub fn sample_to_annex_b(
    out: &mut Vec<u8>,
    sample: &[u8],
    length_size: u8,
) -> Result<(), BadLength> {
    let length_size = usize::from(length_size.clamp(1, 4));
    let mut rest = sample;
    while !rest.is_empty() {
        let (prefix, after) = rest.split_at_checked(length_size).ok_or(BadLength)?;
        let length = prefix
            .iter()
            .fold(0_usize, |length, &byte| length << 8 | usize::from(byte));
        let (nal, after) = after.split_at_checked(length).ok_or(BadLength)?;
        rest = after;
        match kind(nal) {
            None | Some(kind::ACCESS_UNIT_DELIMITER | kind::FILLER | 14 | 15 | 20 | 21) => {}
            Some(_) => push_annex_b(out, nal),
        }
    }
    Ok(())
}

/// The NAL units of an Annex B byte stream, without start codes and trailing zeros.
pub fn split_annex_b(stream: &[u8]) -> Vec<&[u8]> {
    let mut nals = Vec::new();
    let mut start = None;
    let mut at = 0;
    while at + 3 <= stream.len() {
        if stream[at..at + 3] == [0, 0, 1] {
            if let Some(start) = start {
                nals.push(trim_zeros(&stream[start..at]));
            }
            start = Some(at + 3);
            at += 3;
        } else {
            at += 1;
        }
    }
    if let Some(start) = start {
        nals.push(trim_zeros(&stream[start..]));
    }
    nals.retain(|nal| !nal.is_empty());
    nals
}

fn trim_zeros(nal: &[u8]) -> &[u8] {
    let end = nal
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    &nal[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_becomes_an_access_unit() {
        let mut out = Vec::new();
        sample_to_annex_b(&mut out, &[0, 1, 0x09, 0, 2, 0x65, 7, 0, 0], 2).unwrap();
        assert_eq!(out, [0, 0, 0, 1, 0x65, 7]);
    }

    #[test]
    fn a_length_past_the_end_is_an_error() {
        assert_eq!(
            sample_to_annex_b(&mut Vec::new(), &[0, 0, 0, 9, 1], 4),
            Err(BadLength)
        );
        assert_eq!(
            sample_to_annex_b(&mut Vec::new(), &[0, 0, 0], 4),
            Err(BadLength)
        );
    }

    #[test]
    fn start_codes_of_both_lengths_split() {
        let stream = [0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2, 0, 0, 0, 1, 0x65, 3];
        assert_eq!(
            split_annex_b(&stream),
            [&[0x67, 1][..], &[0x68, 2], &[0x65, 3]]
        );
    }
}
