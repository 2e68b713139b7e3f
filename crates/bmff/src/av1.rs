//! AV1: the RFC 6381 string of an `av1C` (AV1 in ISOBMFF §5), and what its sequence header says of colour (AV1 §5.5).

use crate::Colour;
use crate::bits::BitReader;

/// `OBU_SEQUENCE_HEADER` (AV1 §6.2.2).
const SEQUENCE_HEADER: u32 = 1;
/// Unspecified, in the code points of ISO/IEC 23091-2.
const UNSPECIFIED: u16 = 2;

/// What `av1C` has before the OBUs.
struct Record<'a> {
    profile: u32,
    level: u32,
    high_tier: bool,
    depth: u32,
    monochrome: bool,
    /// Horizontally and vertically.
    subsampled: (bool, bool),
    chroma_position: u32,
    units: &'a [u8],
}

impl<'a> Record<'a> {
    /// 1 bit 1, version 1 | profile 3, level 5 | tier, high bit depth, twelve bit, monochrome, subsampling x and y, chroma position 2 |
    /// initial delay | OBUs.
    fn read(record: &'a [u8]) -> Option<Self> {
        let (_, units) = record.split_at_checked(4)?;
        let mut bits = BitReader::new(record);
        if bits.bits(8)? != 0x81 {
            return None;
        }
        let (profile, level, high_tier) = (bits.bits(3)?, bits.bits(5)?, bits.bit()?);
        let depth = match (bits.bit()?, bits.bit()?) {
            (false, _) => 8,
            (true, false) => 10,
            (true, true) => 12,
        };
        Some(Self {
            profile,
            level,
            high_tier,
            depth,
            monochrome: bits.bit()?,
            subsampled: (bits.bit()?, bits.bit()?),
            chroma_position: bits.bits(2)?,
            units,
        })
    }
}

/// The RFC 6381 string of `record`, the payload of an `av1C`. Short where all that may follow the depth is as players assume:
/// 4:2:0, BT.709, limited range. `None` for what is no `av1C`.
#[must_use]
pub fn rfc6381(record: &[u8]) -> Option<String> {
    let stated = colour(record);
    let record = Record::read(record)?;
    let tier = if record.high_tier { 'H' } else { 'M' };
    let (profile, level, depth) = (record.profile, record.level, record.depth);
    let mut text = format!("av01.{profile}.{level:02}{tier}.{depth:02}");
    // What is not stated is taken for what players assume.
    let or_usual = |code: Option<u16>| match code {
        None | Some(UNSPECIFIED) => 1,
        Some(code) => code,
    };
    let primaries = or_usual(stated.map(|colour| colour.primaries));
    let transfer = or_usual(stated.map(|colour| colour.transfer));
    let matrix = or_usual(stated.map(|colour| colour.matrix));
    let full_range = stated.is_some_and(|colour| colour.full_range);
    let is_usual = !record.monochrome
        && record.subsampled == (true, true)
        && (primaries, transfer, matrix, full_range) == (1, 1, 1, false);
    if !is_usual {
        let (across, down) = record.subsampled;
        let place = if across && down {
            record.chroma_position
        } else {
            0
        };
        let [monochrome, across, down, full] =
            [record.monochrome, across, down, full_range].map(u8::from);
        text.push_str(&format!(
            ".{monochrome}.{across}{down}{place}.{primaries:02}.{transfer:02}.{matrix:02}.{full}"
        ));
    }
    Some(text)
}

/// Colour description of the sequence header in `record`, the payload of an `av1C`. `None` without one.
#[must_use]
pub fn colour(record: &[u8]) -> Option<Colour> {
    let mut units = Record::read(record)?.units;
    while !units.is_empty() {
        let mut bits = BitReader::new(units);
        bits.skip(1)?;
        let kind = bits.bits(4)?;
        let (extended, sized) = (bits.bit()?, bits.bit()?);
        let head = if extended { 2 } else { 1 };
        let (_, rest) = units.split_at_checked(head)?;
        let (unit, after) = match sized {
            true => {
                let (len, rest) = leb128(rest)?;
                rest.split_at_checked(len)?
            }
            false => (rest, &[][..]),
        };
        if kind == SEQUENCE_HEADER {
            return sequence_colour(unit);
        }
        units = after;
    }
    None
}

/// A number of at most eight bytes (AV1 §4.10.5), and what is behind it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_usize;
    for (at, byte) in bytes.iter().enumerate().take(8) {
        let shift = u32::try_from(at).ok()?.checked_mul(7)?;
        value |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at.checked_add(1)?..)?));
        }
    }
    None
}

/// `sequence_header_obu` up to `color_config` (AV1 §5.5.1, §5.5.2).
fn sequence_colour(unit: &[u8]) -> Option<Colour> {
    let mut bits = BitReader::new(unit);
    let profile = bits.bits(3)?;
    // Still picture.
    bits.skip(1)?;
    let reduced = bits.bit()?;
    if reduced {
        // Level.
        bits.skip(5)?;
    } else {
        operating_points(&mut bits)?;
    }
    let (width_bits, height_bits) = (bits.bits(4)?, bits.bits(4)?);
    bits.skip(width_bits.checked_add(height_bits)?.checked_add(2)?)?;
    if !reduced && bits.bit()? {
        // Lengths of frame ids.
        bits.skip(7)?;
    }
    // Superblocks of 128 samples, filtered intra pictures and their edges.
    bits.skip(3)?;
    if !reduced {
        tools(&mut bits)?;
    }
    // Scaling of pictures, directional enhancement, restoration.
    bits.skip(3)?;
    let deep = bits.bit()?;
    if profile == 2 && deep {
        bits.skip(1)?;
    }
    let monochrome = profile != 1 && bits.bit()?;
    let mut colour = Colour {
        primaries: UNSPECIFIED,
        transfer: UNSPECIFIED,
        matrix: UNSPECIFIED,
        full_range: false,
    };
    if bits.bit()? {
        let mut code = || u16::try_from(bits.bits(8)?).ok();
        (colour.primaries, colour.transfer, colour.matrix) = (code()?, code()?, code()?);
    }
    let is_srgb = (colour.primaries, colour.transfer, colour.matrix) == (1, 13, 0);
    colour.full_range = (is_srgb && !monochrome) || bits.bit()?;
    Some(colour)
}

/// From timing to the last operating point.
fn operating_points(bits: &mut BitReader<'_>) -> Option<()> {
    let mut delay_bits = None;
    if bits.bit()? {
        // Units and scale of time.
        bits.skip(64)?;
        if bits.bit()? {
            uvlc(bits)?;
        }
        if bits.bit()? {
            delay_bits = Some(bits.bits(5)?.checked_add(1)?);
            bits.skip(32 + 5 + 5)?;
        }
    }
    let delays_stated = bits.bit()?;
    for _ in 0..=bits.bits(5)? {
        bits.skip(12)?;
        // Levels above 3.3 have tiers.
        if bits.bits(5)? > 7 {
            bits.skip(1)?;
        }
        if let Some(delay_bits) = delay_bits
            && bits.bit()?
        {
            bits.skip(delay_bits.checked_mul(2)?.checked_add(1)?)?;
        }
        if delays_stated && bits.bit()? {
            bits.skip(4)?;
        }
    }
    Some(())
}

/// Which tools pictures use that refer to others.
fn tools(bits: &mut BitReader<'_>) -> Option<()> {
    // Interintra, masks, warps, two filters.
    bits.skip(4)?;
    let ordered = bits.bit()?;
    if ordered {
        bits.skip(2)?;
    }
    // Screen content: as each picture says, or for all.
    let screen = bits.bit()? || bits.bit()?;
    if screen && !bits.bit()? {
        bits.skip(1)?;
    }
    if ordered {
        bits.skip(3)?;
    }
    Some(())
}

/// AV1 §4.10.3.
fn uvlc(bits: &mut BitReader<'_>) -> Option<()> {
    let mut zeros = 0_u32;
    while !bits.bit()? {
        zeros = zeros.checked_add(1)?;
    }
    if zeros < 32 {
        bits.skip(zeros)
    } else {
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `av1C` of pictures of 192 by 108, as ffmpeg writes it of what three encoders make, with its string and transfer.
    const MADE: [(&str, &str, u16); 9] = [
        // libaom, SVT-AV1, rav1e: SMPTE ST 2084.
        (
            "81004c000a0d00000003b5feb36be542440241",
            "av01.0.00M.10.0.110.09.16.09.0",
            16,
        ),
        (
            "81004c000a0d00000003b5feb00be142440241",
            "av01.0.00M.10.0.110.09.16.09.0",
            16,
        ),
        (
            "811f4c000a0e000000f9daff58842ba122012280",
            "av01.0.31M.10.0.110.09.16.09.0",
            16,
        ),
        // Hybrid log-gamma.
        (
            "81004c000a0d00000003b5feb36be542448241",
            "av01.0.00M.10.0.110.09.18.09.0",
            18,
        ),
        (
            "811f4c000a0e000000f9daff58842ba122412280",
            "av01.0.31M.10.0.110.09.18.09.0",
            18,
        ),
        // Nothing stated, BT.709, and full range.
        ("81000c000a0a00000003b5feb36be401", "av01.0.00M.08", 2),
        ("81000c000a0d00000003b5feb00be040404041", "av01.0.00M.08", 1),
        (
            "811f0c000a0e000000f9daff58842b2040405280",
            "av01.0.31M.08.0.110.01.01.01.1",
            2,
        ),
        // 4:4:4.
        (
            "812000000a0a20000003b5feb36be408",
            "av01.1.00M.08.0.000.01.01.01.0",
            2,
        ),
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn what_encoders_state_is_read() {
        for (record, text, transfer) in MADE {
            let record = bytes(record);
            assert_eq!(rfc6381(&record).unwrap(), text);
            assert_eq!(colour(&record).unwrap().transfer, transfer, "{text}");
        }
        // Without a sequence header.
        assert_eq!(rfc6381(&[0x81, 0x08, 0x4c, 0]).unwrap(), "av01.0.08M.10");
        assert_eq!(colour(&[0x81, 0x08, 0x4c, 0]), None);
        assert_eq!(rfc6381(&[0x81, 0x08, 0x4c]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(made in 0..MADE.len(), at in 4_usize..19, byte: u8, cut in 0_usize..20) {
            let mut record = bytes(MADE[made].0);
            if let Some(place) = record.get_mut(at) {
                *place = byte;
            }
            record.truncate(record.len().saturating_sub(cut));
            let _ = (rfc6381(&record), colour(&record));
        }
    }
}
