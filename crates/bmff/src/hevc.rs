//! `HEVCDecoderConfigurationRecord`, the payload of `hvcC` (ISO/IEC 14496-15 §8.3.3.1), and what the sequence parameter
//! set says of colour (ITU-T H.265 §7.3.2.2, §E.2.1).
//!
//! ```text
//! u8 version = 1 | profile space 2, tier 1, profile 5 | u32 compatibility | 48 bits constraints | u8 level | ...
//! at 22: u8 number of arrays, each: complete 1, reserved 1, NAL type 6 | u16 count | { u16 length, NAL unit }*
//! ```

use crate::bits::BitReader;
use crate::sps::unescape;
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

/// Colour description of a sequence parameter set, `nal`; `None` for other NAL units and without one.
#[must_use]
pub fn colour(nal: &[u8]) -> Option<Colour> {
    if (nal.first()? >> 1) & 63 != 33 {
        return None;
    }
    let payload = unescape(nal.get(2..)?);
    let mut bits = BitReader::new(&payload);
    bits.skip(4)?;
    let sub_layers = bits.bits(3)?;
    bits.skip(1)?;
    profile_tier_level(&mut bits, sub_layers)?;
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
    usability(&mut bits)
}

/// §7.3.3, with the general profile present.
fn profile_tier_level(bits: &mut BitReader<'_>, sub_layers: u32) -> Option<()> {
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

/// The head of `vui_parameters` (§E.2.1).
fn usability(bits: &mut BitReader<'_>) -> Option<Colour> {
    if bits.bit()? && bits.bits(8)? == 255 {
        bits.skip(32)?;
    }
    if bits.bit()? {
        bits.skip(1)?;
    }
    if !bits.bit()? {
        return None;
    }
    bits.skip(3)?;
    let full_range = bits.bit()?;
    if !bits.bit()? {
        return None;
    }
    let mut code = || u16::try_from(bits.bits(8)?).ok();
    Some(Colour {
        primaries: code()?,
        transfer: code()?,
        matrix: code()?,
        full_range,
    })
}
