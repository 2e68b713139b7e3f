//! `HEVCDecoderConfigurationRecord`, the payload of `hvcC` (ISO/IEC 14496-15 §8.3.3.1), and what the sequence parameter
//! set says of colour and timing (ITU-T H.265 §7.3.2.2, §E.2.1).
//!
//! ```text
//! u8 version = 1 | profile space 2, tier 1, profile 5 | u32 compatibility | 48 bits constraints | u8 level | ...
//! at 22: u8 number of arrays, each: complete 1, reserved 1, NAL type 6 | u16 count | { u16 length, NAL unit }*
//! ```

use crate::bits::BitReader;
use crate::sps::{Timing, unescape};
use crate::{Colour, FourCc};

/// `hvc1.{space}{profile}.{compatibility}.{tier}{level}{constraints}` (ISO/IEC 14496-15 annex E.3). `None` if the record
/// is cut off or of another version.
#[must_use]
pub fn rfc6381(sample_entry: FourCc, record: &[u8]) -> Option<String> {
    let [1, profile, c0, c1, c2, c3, constraints @ .., level] = *record.first_chunk::<13>()? else {
        return None;
    };
    let space = match profile >> 6 {
        0 => "",
        1 => "A",
        2 => "B",
        _ => "C",
    };
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let compatibility = u32::from_be_bytes([c0, c1, c2, c3]).reverse_bits();
    let number = profile & 31;
    let mut text = format!("{sample_entry}.{space}{number}.{compatibility:X}.{tier}{level}");
    let used = constraints.iter().rposition(|byte| *byte != 0);
    for byte in constraints
        .iter()
        .take(used.map_or(0, |last| last.saturating_add(1)))
    {
        text.push_str(&format!(".{byte:X}"));
    }
    Some(text)
}

/// Whether the record says that its pictures are fields of interlaced video and none are frames of progressive video:
/// `general_interlaced_source_flag` without `general_progressive_source_flag` (ITU-T H.265 §7.4.4). `None` if it is cut off.
#[must_use]
pub fn interlaced(record: &[u8]) -> Option<bool> {
    Some(record.get(6)? & 0xc0 == 0x40)
}

/// The NAL units of the record, in its order: VPS, SPS, PPS and SEI, each with its header. `None` if it is cut off.
#[must_use]
pub fn parameter_sets(record: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = record.get(22..)?;
    let mut take = |count: usize| {
        let (head, tail) = rest.split_at_checked(count)?;
        rest = tail;
        Some(head)
    };
    let mut units = Vec::new();
    for _ in 0..*take(1)?.first()? {
        take(1)?;
        let count = u16::from_be_bytes(take(2)?.try_into().ok()?);
        for _ in 0..count {
            let length = u16::from_be_bytes(take(2)?.try_into().ok()?);
            units.push(take(usize::from(length))?);
        }
    }
    Some(units)
}

/// Whether a NAL unit is a VPS, SPS or PPS.
#[must_use]
pub fn is_parameter_set(nal: &[u8]) -> bool {
    nal.first()
        .is_some_and(|header| matches!((header >> 1) & 0x3f, 32..=34))
}

/// Whether there is a parameter set of every kind, so that a decoder needs none of those that may be in samples.
#[must_use]
pub fn is_whole(sets: &[&[u8]]) -> bool {
    (32..=34).all(|kind| {
        let is = |nal: &&[u8]| {
            nal.first()
                .is_some_and(|header| (header >> 1) & 0x3f == kind)
        };
        sets.iter().any(is)
    })
}

/// Bytes of a sample's NAL lengths. `None` if the record is cut off.
#[must_use]
pub fn nal_length_size(record: &[u8]) -> Option<u8> {
    Some((record.get(21)? & 3).saturating_add(1))
}

/// A record for the parameter sets of a byte stream, NAL headers included, with NAL lengths of four bytes, and the size of its
/// pictures. `None` while there is none of a kind, for a sequence parameter set that does not parse, and for more of a kind
/// than the record has room for.
#[must_use]
pub fn record(vps: &[Vec<u8>], sps: &[Vec<u8>], pps: &[Vec<u8>]) -> Option<(Vec<u8>, (u32, u32))> {
    if vps.is_empty() || pps.is_empty() {
        return None;
    }
    let head = Head::parse(sps.first()?)?;
    let mut record = vec![1];
    record.extend_from_slice(&head.profile_tier_level);
    record.extend_from_slice(&[0xf0, 0, 0xfc]);
    record.push(0xfc | u8::try_from(head.chroma).ok()?);
    record.push(0xf8 | u8::try_from(head.luma_depth).ok()?);
    record.push(0xf8 | u8::try_from(head.chroma_depth).ok()?);
    // An unknown rate; the number of layers; lengths of four bytes; three arrays.
    record.extend_from_slice(&[0, 0, head.layers_and_nesting << 2 | 3, 3]);
    for (kind, units) in [(32_u8, vps), (33, sps), (34, pps)] {
        // The array is complete: no set of the kind is in the samples.
        record.push(0x80 | kind);
        record.extend_from_slice(&u16::try_from(units.len()).ok()?.to_be_bytes());
        for unit in units {
            record.extend_from_slice(&u16::try_from(unit.len()).ok()?.to_be_bytes());
            record.extend_from_slice(unit);
        }
    }
    Some((record, head.size))
}

/// What a sequence parameter set begins with (§7.3.2.2).
struct Head {
    profile_tier_level: [u8; 12],
    /// Three bits of the number of layers, and one of their nesting.
    layers_and_nesting: u8,
    chroma: u32,
    /// Beyond 8 bits.
    luma_depth: u32,
    chroma_depth: u32,
    /// Within the conformance window.
    size: (u32, u32),
}

impl Head {
    fn parse(nal: &[u8]) -> Option<Self> {
        if (nal.first()? >> 1) & 63 != 33 {
            return None;
        }
        let payload = unescape(nal.get(2..)?);
        let profile_tier_level = *payload.get(1..)?.first_chunk::<12>()?;
        let mut bits = BitReader::new(&payload);
        bits.skip(4)?;
        let sub_layers = bits.bits(3)?;
        let nesting = u8::from(bits.bit()?);
        skip_profile_tier_level(&mut bits, sub_layers)?;
        bits.ue()?;
        let chroma = bits.ue().filter(|chroma| *chroma <= 3)?;
        if chroma == 3 {
            bits.skip(1)?;
        }
        let (width, height) = (bits.ue()?, bits.ue()?);
        let mut cut = [0; 4];
        if bits.bit()? {
            for side in &mut cut {
                *side = bits.ue()?;
            }
        }
        let depth = |bits: &mut BitReader<'_>| bits.ue().filter(|depth| *depth <= 7);
        let (luma_depth, chroma_depth) = (depth(&mut bits)?, depth(&mut bits)?);
        let (across, down) = match chroma {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let [left, right, top, bottom] = cut;
        let within = |whole: u32, unit: u32, a: u32, b: u32| {
            let cut = a.checked_add(b)?.checked_mul(unit)?;
            whole.checked_sub(cut).filter(|rest| *rest > 0)
        };
        let layers = u8::try_from(sub_layers).ok()?.checked_add(1)?;
        Some(Self {
            profile_tier_level,
            layers_and_nesting: layers << 1 | nesting,
            chroma,
            luma_depth,
            chroma_depth,
            size: (
                within(width, across, left, right)?,
                within(height, down, top, bottom)?,
            ),
        })
    }
}

/// Colour description of a sequence parameter set, `nal`; `None` for other NAL units and without one.
#[must_use]
pub fn colour(nal: &[u8]) -> Option<Colour> {
    of_usability(nal, |bits| video_signal(bits)?)
}

/// What a sequence parameter set, `nal`, says of its pictures' distances (`vui_time_scale`, `vui_num_units_in_tick`; a tick is a
/// picture); `None` for other NAL units, where it says nothing, and where pictures are fields.
#[must_use]
pub fn timing(nal: &[u8]) -> Option<Timing> {
    of_usability(nal, |bits| {
        video_signal(bits)?;
        picture_timing(bits)
    })
}

/// What `read` finds in the usability information of a sequence parameter set, `nal`.
fn of_usability<T>(nal: &[u8], read: impl FnOnce(&mut BitReader<'_>) -> Option<T>) -> Option<T> {
    if (nal.first()? >> 1) & 63 != 33 {
        return None;
    }
    let payload = unescape(nal.get(2..)?);
    let mut bits = BitReader::new(&payload);
    bits.skip(4)?;
    let sub_layers = bits.bits(3)?;
    bits.skip(1)?;
    skip_profile_tier_level(&mut bits, sub_layers)?;
    bits.ue()?;
    if bits.ue()? == 3 {
        bits.skip(1)?;
    }
    bits.ue()?;
    bits.ue()?;
    if bits.bit()? {
        for _ in 0..4 {
            bits.ue()?;
        }
    }
    bits.ue()?;
    bits.ue()?;
    let poc_bits = bits.ue()?.checked_add(4)?;
    let first = if bits.bit()? { 0 } else { sub_layers };
    for _ in first..=sub_layers {
        bits.ue()?;
        bits.ue()?;
        bits.ue()?;
    }
    for _ in 0..6 {
        bits.ue()?;
    }
    if bits.bit()? && bits.bit()? {
        scaling_lists(&mut bits)?;
    }
    bits.skip(2)?;
    if bits.bit()? {
        bits.skip(8)?;
        bits.ue()?;
        bits.ue()?;
        bits.skip(1)?;
    }
    reference_sets(&mut bits)?;
    if bits.bit()? {
        let long_term = bits.ue()?;
        if long_term > 32 {
            return None;
        }
        for _ in 0..long_term {
            bits.skip(poc_bits.checked_add(1)?)?;
        }
    }
    bits.skip(2)?;
    if !bits.bit()? {
        return None;
    }
    read(&mut bits)
}

/// §7.3.3, with the general profile present.
fn skip_profile_tier_level(bits: &mut BitReader<'_>, sub_layers: u32) -> Option<()> {
    bits.skip(96)?;
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((bits.bit()?, bits.bit()?));
    }
    if sub_layers > 0 {
        bits.skip(8_u32.checked_sub(sub_layers)?.checked_mul(2)?)?;
    }
    for (profile, level) in present {
        if profile {
            bits.skip(88)?;
        }
        if level {
            bits.skip(8)?;
        }
    }
    Some(())
}

/// §7.3.4.
fn scaling_lists(bits: &mut BitReader<'_>) -> Option<()> {
    for size in 0_u32..4 {
        let matrices = if size == 3 { 2 } else { 6 };
        for _ in 0..matrices {
            if !bits.bit()? {
                bits.ue()?;
                continue;
            }
            if size > 1 {
                bits.se()?;
            }
            let coefficients = 64.min(1_u32.checked_shl(4_u32.checked_add(size.checked_mul(2)?)?)?);
            for _ in 0..coefficients {
                bits.se()?;
            }
        }
    }
    Some(())
}

/// The short-term reference picture sets (§7.3.7).
fn reference_sets(bits: &mut BitReader<'_>) -> Option<()> {
    let sets = bits.ue()?;
    if sets > 64 {
        return None;
    }
    let mut pictures: u32 = 0;
    for set in 0..sets {
        if set > 0 && bits.bit()? {
            bits.skip(1)?;
            bits.ue()?;
            let mut kept = 0_u32;
            for _ in 0..=pictures {
                let used = bits.bit()?;
                if used || bits.bit()? {
                    kept = kept.checked_add(1)?;
                }
            }
            pictures = kept;
        } else {
            let (negative, positive) = (bits.ue()?, bits.ue()?);
            pictures = negative.checked_add(positive).filter(|sum| *sum <= 32)?;
            for _ in 0..pictures {
                bits.ue()?;
                bits.skip(1)?;
            }
        }
        if pictures > 32 {
            return None;
        }
    }
    Some(())
}

/// The head of `vui_parameters` (§E.2.1), up to the colour description. Inner `None`: there is none.
fn video_signal(bits: &mut BitReader<'_>) -> Option<Option<Colour>> {
    if bits.bit()? && bits.bits(8)? == 255 {
        bits.skip(32)?;
    }
    if bits.bit()? {
        bits.skip(1)?;
    }
    if !bits.bit()? {
        return Some(None);
    }
    bits.skip(3)?;
    let full_range = bits.bit()?;
    if !bits.bit()? {
        return Some(None);
    }
    let mut code = || u16::try_from(bits.bits(8)?).ok();
    Some(Some(Colour {
        primaries: code()?,
        transfer: code()?,
        matrix: code()?,
        full_range,
    }))
}

/// From `chroma_loc_info_present_flag` to `vui_time_scale`, from where [`video_signal`] stopped.
fn picture_timing(bits: &mut BitReader<'_>) -> Option<Timing> {
    if bits.bit()? {
        bits.ue()?;
        bits.ue()?;
    }
    bits.skip(1)?;
    let are_fields = bits.bit()?;
    bits.skip(1)?;
    if bits.bit()? {
        for _ in 0..4 {
            bits.ue()?;
        }
    }
    if are_fields || !bits.bit()? {
        return None;
    }
    let (units, scale) = (bits.bits(32)?, bits.bits(32)?);
    Timing::lowest(scale.into(), units.into(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 320x180 in the Main profile at level 2, as x265 writes it.
    const SPS: [u8; 43] = [
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x3c, 0xa0, 0x0a, 0x08, 0x0c, 0x1f, 0x3e, 0x59, 0x59, 0x52, 0x93, 0x0b, 0xc0,
        0x5a, 0x02, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x32, 0x10,
    ];

    #[test]
    fn pictures_are_as_far_apart_as_their_set_says() {
        let timing = Timing {
            frames: 25,
            seconds: 1,
            fixed: false,
        };
        assert_eq!(super::timing(&SPS), Some(timing));
        assert_eq!(colour(&SPS), None);
        for cut in 0..SPS.len() - 1 {
            assert_eq!(super::timing(&SPS[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn a_record_needs_a_set_of_every_kind() {
        let (vps, sps, pps) = (vec![vec![0x40, 1]], vec![SPS.to_vec()], vec![vec![0x44, 1]]);
        let (made, size) = record(&vps, &sps, &pps).unwrap();
        assert_eq!(size, (320, 180));
        let name = rfc6381(FourCc(*b"hvc1"), &made);
        assert_eq!(name.as_deref(), Some("hvc1.1.6.L60.90"));
        let sets = parameter_sets(&made).unwrap();
        assert_eq!(sets, [&vps[0][..], &sps[0][..], &pps[0][..]]);
        assert_eq!(record(&[], &sps, &pps), None);
        assert_eq!(record(&vps, &[], &pps), None);
        assert_eq!(record(&vps, &sps, &[]), None);
        for cut in 0..20 {
            assert_eq!(record(&vps, &[SPS[..cut].to_vec()], &pps), None, "{cut}");
        }
    }
}
