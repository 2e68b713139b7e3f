//! What comes behind the tile layout in an AV1 frame header (§5.9.12 to §5.9.30): read to find the header's end.

use super::av1_bits::Bits;
use super::av1_frame::{Head, Kind, Segments, distance};

pub(super) struct Rest;

/// Bits of segmentation features, and whether they have a sign. The first is the quantizer index.
const FEATURES: [(u32, bool); 8] = [
    (8, true),
    (6, true),
    (6, true),
    (6, true),
    (6, true),
    (3, false),
    (0, false),
    (0, false),
];

struct Quantizer {
    index: u32,
    /// Whether no plane has a difference.
    plain: bool,
}

impl Rest {
    /// Reads to the end; gives what segments are quantized with.
    pub(super) fn parse(head: &Head<'_>, bits: &mut Bits<'_>) -> Option<Segments> {
        let sequence = head.sequence;
        let quantizer = quantizer(head, bits)?;
        let segments = segmentation(head, bits)?;
        if quantizer.index > 0 && bits.flag()? {
            bits.skip(2)?;
            if !head.intra_block_copy && bits.flag()? {
                bits.skip(3)?;
            }
        }
        let index = i64::from(quantizer.index);
        let lossless = quantizer.plain
            && segments.iter().all(|difference| {
                let own = i64::from(difference.unwrap_or(0));
                index.saturating_add(own).clamp(0, 255) == 0
            });
        let filtered = !lossless && !head.intra_block_copy;
        if filtered {
            loop_filter(head, bits)?;
            if sequence.cdef {
                cdef(head, bits)?;
            }
        }
        let all_lossless = lossless && head.size.width == head.size.upscaled;
        if !all_lossless && !head.intra_block_copy && sequence.restoration {
            restoration(head, bits)?;
        }
        if !lossless {
            // Transform mode.
            bits.skip(1)?;
        }
        let compound = !head.kind.is_intra() && bits.flag()?;
        if compound && skip_mode_allowed(head)? {
            bits.skip(1)?;
        }
        if !head.kind.is_intra() && !head.error_resilient && sequence.warped_motion {
            bits.skip(1)?;
        }
        // Reduced set of transforms.
        bits.skip(1)?;
        if !head.kind.is_intra() {
            for _ in 0..7 {
                global_motion(head, bits)?;
            }
        }
        if sequence.film_grain && head.shown_or_showable {
            film_grain(head, bits)?;
        }
        Some(segments)
    }
}

fn quantizer(head: &Head<'_>, bits: &mut Bits<'_>) -> Option<Quantizer> {
    let sequence = head.sequence;
    let index = bits.u(8)?;
    let mut plain = true;
    let mut difference = |bits: &mut Bits<'_>| {
        if bits.flag()? && bits.su(7)? != 0 {
            plain = false;
        }
        Some(())
    };
    difference(bits)?;
    if !sequence.monochrome {
        let separate = sequence.separate_uv_delta_q && bits.flag()?;
        difference(bits)?;
        difference(bits)?;
        if separate {
            difference(bits)?;
            difference(bits)?;
        }
    }
    if bits.flag()? {
        bits.skip(8)?;
        if sequence.separate_uv_delta_q {
            bits.skip(4)?;
        }
    }
    Some(Quantizer { index, plain })
}

fn segmentation(head: &Head<'_>, bits: &mut Bits<'_>) -> Option<Segments> {
    let mut segments = Segments::default();
    if !bits.flag()? {
        return Some(segments);
    }
    let updated = match head.before {
        None => true,
        Some(_) => {
            if bits.flag()? {
                bits.skip(1)?;
            }
            bits.flag()?
        }
    };
    if !updated {
        return head.before;
    }
    for segment in &mut segments {
        for (at, (count, signed)) in FEATURES.into_iter().enumerate() {
            if !bits.flag()? {
                continue;
            }
            let value = match signed {
                true => bits.su(count.checked_add(1)?)?,
                false => i32::try_from(bits.u(count)?).ok()?,
            };
            if at == 0 {
                *segment = Some(value);
            }
        }
    }
    Some(segments)
}

fn loop_filter(head: &Head<'_>, bits: &mut Bits<'_>) -> Option<()> {
    let levels = (bits.u(6)?, bits.u(6)?);
    if !head.sequence.monochrome && levels != (0, 0) {
        bits.skip(12)?;
    }
    bits.skip(3)?;
    if bits.flag()? && bits.flag()? {
        // Differences of eight references and two modes.
        for _ in 0..10 {
            bits.optional(7)?;
        }
    }
    Some(())
}

fn cdef(head: &Head<'_>, bits: &mut Bits<'_>) -> Option<()> {
    bits.skip(2)?;
    let count = 1_u32.checked_shl(bits.u(2)?)?;
    let each = if head.sequence.monochrome { 6 } else { 12 };
    bits.skip(count.checked_mul(each)?)
}

fn restoration(head: &Head<'_>, bits: &mut Bits<'_>) -> Option<()> {
    let sequence = head.sequence;
    let (mut used, mut chroma) = (false, false);
    let planes = if sequence.monochrome { 1 } else { 3 };
    for plane in 0..planes {
        if bits.u(2)? != 0 {
            used = true;
            chroma |= plane > 0;
        }
    }
    if !used {
        return Some(());
    }
    if sequence.large_superblocks {
        bits.skip(1)?;
    } else {
        bits.optional(1)?;
    }
    if sequence.subsampled && chroma {
        bits.skip(1)?;
    }
    Some(())
}

/// §5.9.22: whether there is a frame before and one after this one, or two before.
fn skip_mode_allowed(head: &Head<'_>) -> Option<bool> {
    let order = head.sequence.order_hint_bits;
    if order == 0 {
        return Some(false);
    }
    let (mut forward, mut backward) = (None::<u32>, false);
    for hint in &head.hints {
        let away = distance(order, *hint, head.order_hint)?;
        if away < 0 {
            let later = match forward {
                None => true,
                Some(known) => distance(order, *hint, known)? > 0,
            };
            if later {
                forward = Some(*hint);
            }
        }
        backward |= away > 0;
    }
    let Some(forward) = forward else {
        return Some(false);
    };
    if backward {
        return Some(true);
    }
    for hint in &head.hints {
        if distance(order, *hint, forward)? < 0 {
            return Some(true);
        }
    }
    Some(false)
}

/// `global_motion_params` of one reference. How many bits a parameter has does not depend on those of earlier frames.
fn global_motion(head: &Head<'_>, bits: &mut Bits<'_>) -> Option<()> {
    if !bits.flag()? {
        return Some(());
    }
    let rotates = bits.flag()?;
    let translates = !rotates && bits.flag()?;
    let low = u32::from(!head.high_precision_mv);
    let (rotation, translation) = match (rotates, translates) {
        (true, _) => (2, 12),
        (_, true) => (0, 9_u32.checked_sub(low)?),
        _ => (4, 12),
    };
    for _ in 0..rotation {
        parameter(12, bits)?;
    }
    for _ in 0..2 {
        parameter(translation, bits)?;
    }
    Some(())
}

/// `decode_signed_subexp_with_ref` of values up to `2^magnitude`.
fn parameter(magnitude: u32, bits: &mut Bits<'_>) -> Option<()> {
    let count = 2_u32.checked_shl(magnitude)?.checked_add(1)?;
    let (mut round, mut below) = (0_u32, 0_u32);
    loop {
        let width = match round {
            0 => 3,
            round => round.checked_add(2)?,
        };
        let step = 1_u32.checked_shl(width)?;
        if count <= below.checked_add(step.checked_mul(3)?)? {
            bits.ns(count.checked_sub(below)?)?;
            return Some(());
        }
        if !bits.flag()? {
            return bits.skip(width);
        }
        round = round.checked_add(1)?;
        below = below.checked_add(step)?;
    }
}

fn film_grain(head: &Head<'_>, bits: &mut Bits<'_>) -> Option<()> {
    let sequence = head.sequence;
    if !bits.flag()? {
        return Some(());
    }
    bits.skip(16)?;
    if head.kind == Kind::Inter && !bits.flag()? {
        // As in a frame before.
        return bits.skip(3);
    }
    let points = |bits: &mut Bits<'_>| {
        let count = bits.u(4)?;
        bits.skip(count.checked_mul(16)?)?;
        Some(count)
    };
    let luma = points(bits)?;
    let from_luma = !sequence.monochrome && bits.flag()?;
    let none = sequence.monochrome || from_luma || (sequence.subsampled && luma == 0);
    let (blue, red) = match none {
        true => (0, 0),
        false => (points(bits)?, points(bits)?),
    };
    bits.skip(2)?;
    let lag = bits.u(2)?;
    let mut positions = lag.checked_mul(2)?.checked_mul(lag.checked_add(1)?)?;
    if luma > 0 {
        bits.skip(positions.checked_mul(8)?)?;
        positions = positions.checked_add(1)?;
    }
    for count in [blue, red] {
        if from_luma || count > 0 {
            bits.skip(positions.checked_mul(8)?)?;
        }
    }
    bits.skip(4)?;
    for count in [blue, red] {
        if count > 0 {
            bits.skip(25)?;
        }
    }
    bits.skip(2)
}
