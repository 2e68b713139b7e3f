//! `AVCDecoderConfigurationRecord`, the payload of `avcC` (ISO/IEC 14496-15 §5.3.3.1).
//!
//! ```text
//! u8 version = 1 | u8 profile | u8 compatibility | u8 level | 6 bits 1, 2 bits NAL length size - 1
//! 3 bits 1, 5 bits SPS count | { u16 length, SPS }* | u8 PPS count | { u16 length, PPS }*
//! for profiles 100, 110, 122, 144: 6 bits 1, chroma format | 5 bits 1, luma depth - 8 | 5 bits 1, chroma depth - 8 |
//! u8 SPS extension count | { u16 length, SPS extension }*
//! ```

use crate::sps::Sps;
use crate::{BmffError, FourCc};

/// H.264 decoder configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvcConfig {
    /// `avc1` (parameter sets only here) or `avc3` (also in the samples).
    pub sample_entry: FourCc,
    /// The record as it is in the file.
    pub record: Vec<u8>,
    /// `profile_idc`.
    pub profile: u8,
    /// The constraint flags byte that follows `profile_idc` in the SPS.
    pub compatibility: u8,
    /// `level_idc`.
    pub level: u8,
    /// Bytes of the length in front of every NAL unit of a sample: 1, 2 or 4.
    pub nal_length_size: u8,
    /// Sequence parameter sets, NAL header included.
    pub sps: Vec<Vec<u8>>,
    /// Picture parameter sets, NAL header included.
    pub pps: Vec<Vec<u8>>,
}

/// Profiles whose record ends with chroma format and bit depths.
fn is_high(profile: u8) -> bool {
    matches!(profile, 100 | 110 | 122 | 144)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    Some(head)
}

fn take_u8(rest: &mut &[u8]) -> Option<u8> {
    take(rest, 1)?.first().copied()
}

fn take_sets(rest: &mut &[u8], count: u8) -> Option<Vec<Vec<u8>>> {
    let mut sets = Vec::new();
    for _ in 0..count {
        let length = <[u8; 2]>::try_from(take(rest, 2)?).ok()?;
        sets.push(take(rest, usize::from(u16::from_be_bytes(length)))?.to_vec());
    }
    Some(sets)
}

impl AvcConfig {
    /// Reads a record. `None` if it is cut off, of another version, or has NAL lengths of three bytes. Whatever follows
    /// the picture parameter sets is kept in [`Self::record`] and not interpreted.
    #[must_use]
    pub fn parse(sample_entry: FourCc, record: &[u8]) -> Option<Self> {
        let mut rest = record;
        let head = <[u8; 6]>::try_from(take(&mut rest, 6)?).ok()?;
        let [
            version,
            profile,
            compatibility,
            level,
            length_size,
            sps_count,
        ] = head;
        let nal_length_size = (length_size & 3).checked_add(1)?;
        if version != 1 || nal_length_size == 3 {
            return None;
        }
        let sps = take_sets(&mut rest, sps_count & 31)?;
        let pps_count = take_u8(&mut rest)?;
        let pps = take_sets(&mut rest, pps_count)?;
        Some(Self {
            sample_entry,
            record: record.to_vec(),
            profile,
            compatibility,
            level,
            nal_length_size,
            sps,
            pps,
        })
    }

    /// Builds an `avc1` configuration with 4-byte NAL lengths from parameter sets (NAL header included, no start code).
    ///
    /// Errors: `Unwritable` without an SPS or PPS, with more than 31 or 255, one above 65535 bytes, or an SPS that does
    /// not parse.
    pub fn from_parameter_sets(sps: Vec<Vec<u8>>, pps: Vec<Vec<u8>>) -> Result<Self, BmffError> {
        let refuse = |fault: &str| BmffError::unwritable("avcC", fault);
        let first = sps.first().ok_or_else(|| refuse("no SPS"))?;
        if pps.is_empty() {
            return Err(refuse("no PPS"));
        }
        let parsed = Sps::parse(first).ok_or_else(|| refuse("the SPS does not parse"))?;
        let sps_count = u8::try_from(sps.len()).ok().filter(|n| *n < 32);
        let sps_count = sps_count.ok_or_else(|| refuse("more than 31 SPS"))?;
        let pps_count = u8::try_from(pps.len()).map_err(|_| refuse("more than 255 PPS"))?;
        let (profile, compatibility, level) = (parsed.profile, parsed.compatibility, parsed.level);
        let mut record = vec![1, profile, compatibility, level, 0xff, 0xe0 | sps_count];
        let push = |record: &mut Vec<u8>, sets: &[Vec<u8>]| {
            for set in sets {
                let length =
                    u16::try_from(set.len()).map_err(|_| refuse("a parameter set is too long"))?;
                record.extend_from_slice(&length.to_be_bytes());
                record.extend_from_slice(set);
            }
            Ok(())
        };
        push(&mut record, &sps)?;
        record.push(pps_count);
        push(&mut record, &pps)?;
        if is_high(profile) {
            record.push(0xfc | parsed.chroma_format);
            record.push(0xf8 | parsed.bit_depth_luma.saturating_sub(8));
            record.push(0xf8 | parsed.bit_depth_chroma.saturating_sub(8));
            record.push(0);
        }
        Ok(Self {
            sample_entry: FourCc(*b"avc1"),
            record,
            profile,
            compatibility,
            level,
            nal_length_size: 4,
            sps,
            pps,
        })
    }

    /// `avc1.PPCCLL` (RFC 6381 §3.3, ISO/IEC 14496-15 annex E), lower case.
    #[must_use]
    pub fn rfc6381(&self) -> String {
        format!(
            "{}.{:02x}{:02x}{:02x}",
            self.sample_entry, self.profile, self.compatibility, self.level
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From bigbuckbunny.mp4: Main profile, level 3.1.
    const SPS: &[u8] = &[
        0x67, 0x4d, 0x40, 0x1f, 0xe8, 0x80, 0x28, 0x02, 0xdd, 0x80, 0xb5, 0x01, 0x01, 0x01, 0x40,
        0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc6, 0x0c, 0x44, 0x80,
    ];

    #[test]
    fn a_built_record_parses_to_itself() {
        let pps = vec![0x68, 0xeb, 0xaf, 0x20];
        let built = AvcConfig::from_parameter_sets(vec![SPS.to_vec()], vec![pps]).unwrap();
        assert_eq!(built.rfc6381(), "avc1.4d401f");
        let parsed = AvcConfig::parse(FourCc(*b"avc1"), &built.record);
        assert_eq!(parsed, Some(built));
    }

    #[test]
    fn a_cut_off_record_is_refused() {
        let pps = vec![0x68, 0xeb, 0xaf, 0x20];
        let built = AvcConfig::from_parameter_sets(vec![SPS.to_vec()], vec![pps]).unwrap();
        for length in 0..built.record.len() {
            assert_eq!(
                AvcConfig::parse(FourCc(*b"avc1"), &built.record[..length]),
                None
            );
        }
    }
}
