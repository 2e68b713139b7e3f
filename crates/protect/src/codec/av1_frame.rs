//! AV1's frame header (§5.9): how long it is, and how many tiles follow. Values that change neither are read past.

use super::av1::Layer;
use super::av1_bits::Bits;
use super::av1_rest::Rest;
use super::av1_sequence::{Choice, Sequence};
use super::av1_tiles::Tiles;

pub(super) const REFS: usize = 8;
/// Reference frames of one frame.
const REFS_PER_FRAME: usize = 7;
const ALL: u32 = 0xff;
/// `primary_ref_frame` of frames that take nothing over.
const NO_PRIMARY: u32 = 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Key,
    Inter,
    IntraOnly,
    Switch,
}

impl Kind {
    pub(super) fn is_intra(self) -> bool {
        matches!(self, Self::Key | Self::IntraOnly)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Size {
    /// Before and after superresolution.
    pub(super) width: u32,
    pub(super) upscaled: u32,
    pub(super) height: u32,
}

/// The quantizer index of each segment: its difference to the frame's.
pub(super) type Segments = [Option<i32>; 8];

/// What a frame leaves behind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reference {
    kind: Kind,
    order_hint: u32,
    size: Size,
    segments: Segments,
}

/// The frames that later ones refer to.
pub(super) type Refs = [Option<Reference>; REFS];

/// A frame's tiles.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    tiles: Tiles,
    pub(super) tile_size_bytes: u8,
}

/// What is known of a frame while its header is read.
pub(super) struct Head<'a> {
    pub(super) sequence: &'a Sequence,
    pub(super) kind: Kind,
    pub(super) shown_or_showable: bool,
    pub(super) error_resilient: bool,
    pub(super) size: Size,
    pub(super) intra_block_copy: bool,
    pub(super) high_precision_mv: bool,
    pub(super) order_hint: u32,
    /// Order hints of the frames that it refers to; empty for intra frames.
    pub(super) hints: Vec<u32>,
    /// What segments had in the frame that it takes over from; `None`: it takes nothing over.
    pub(super) before: Option<Segments>,
}

impl Frame {
    pub(super) fn tile_count(&self) -> u32 {
        self.tiles.count()
    }

    /// Bits of a tile's number.
    pub(super) fn tile_bits(&self) -> u32 {
        self.tiles.bits()
    }

    /// `uncompressed_header`. `Some(None)` inside: a frame that is there already is shown, without tiles.
    pub(super) fn parse(
        sequence: &Sequence,
        refs: &mut Refs,
        layer: Layer,
        bits: &mut Bits<'_>,
    ) -> Option<Option<Self>> {
        let mut kind = Kind::Key;
        let (mut shown, mut showable, mut error_resilient) = (true, false, true);
        if !sequence.reduced_still_picture {
            if bits.flag()? {
                show_existing(sequence, refs, bits)?;
                return Some(None);
            }
            kind = match bits.u(2)? {
                0 => Kind::Key,
                1 => Kind::Inter,
                2 => Kind::IntraOnly,
                _ => Kind::Switch,
            };
            shown = bits.flag()?;
            if shown {
                bits.skip(sequence.presentation_time_bits.unwrap_or(0))?;
                showable = kind != Kind::Key;
            } else {
                showable = bits.flag()?;
            }
            let implied = kind == Kind::Switch || (kind == Kind::Key && shown);
            error_resilient = implied || bits.flag()?;
        }
        if kind == Kind::Key && shown {
            *refs = Refs::default();
        }
        let fixed_contexts = bits.flag()?;
        let chosen = |choice, bits: &mut Bits<'_>| match choice {
            Choice::Off => Some(false),
            Choice::On => Some(true),
            Choice::Frame => bits.flag(),
        };
        let screen_content = chosen(sequence.screen_content_tools, bits)?;
        let integer_mv = screen_content && chosen(sequence.integer_mv, bits)?;
        if let Some((id_bits, _)) = sequence.frame_ids {
            bits.skip(id_bits)?;
        }
        let other_size = match kind {
            Kind::Switch => true,
            _ => !sequence.reduced_still_picture && bits.flag()?,
        };
        let order_hint = bits.u(sequence.order_hint_bits)?;
        let primary = match kind.is_intra() || error_resilient {
            true => NO_PRIMARY,
            false => bits.u(3)?,
        };
        if let Some(model) = &sequence.decoder_model
            && bits.flag()?
        {
            for _ in 0..model.removal_times(layer) {
                bits.skip(model.removal_time_bits)?;
            }
        }
        let refreshed = match kind {
            Kind::Switch => ALL,
            Kind::Key if shown => ALL,
            _ => bits.u(8)?,
        };
        if (!kind.is_intra() || refreshed != ALL) && error_resilient && sequence.order_hints() {
            for reference in refs.iter_mut() {
                let hint = bits.u(sequence.order_hint_bits)?;
                // What was lost stands for a frame that nobody has seen.
                if reference.is_none_or(|known| known.order_hint != hint) {
                    *reference = Some(Reference {
                        kind: Kind::Inter,
                        order_hint: hint,
                        size: Size::default(),
                        segments: Segments::default(),
                    });
                }
            }
        }
        let mut head = Head {
            sequence,
            kind,
            shown_or_showable: shown || showable,
            error_resilient,
            size: Size::default(),
            intra_block_copy: false,
            high_precision_mv: false,
            order_hint,
            hints: Vec::new(),
            before: None,
        };
        if kind.is_intra() {
            head.size = frame_size(sequence, other_size, bits)?;
            render_size(bits)?;
            if screen_content && head.size.upscaled == head.size.width {
                head.intra_block_copy = bits.flag()?;
            }
        } else {
            let used = references(sequence, refs, order_hint, bits)?;
            head.size = match other_size && !error_resilient {
                true => size_with_refs(sequence, refs, &used, bits)?,
                false => {
                    let size = frame_size(sequence, other_size, bits)?;
                    render_size(bits)?;
                    size
                }
            };
            head.high_precision_mv = !integer_mv && bits.flag()?;
            // Interpolation filter.
            if !bits.flag()? {
                bits.skip(2)?;
            }
            // Whether the motion mode is switchable.
            bits.skip(1)?;
            if !error_resilient && sequence.ref_frame_mvs {
                bits.skip(1)?;
            }
            let reference = |at: &usize| refs.get(*at).copied().flatten();
            head.hints = used
                .iter()
                .map(|at| reference(at).map(|known| known.order_hint))
                .collect::<Option<_>>()?;
            if primary != NO_PRIMARY {
                let at = used.get(usize::try_from(primary).ok()?)?;
                head.before = Some(reference(at)?.segments);
            }
        }
        if !sequence.reduced_still_picture && !fixed_contexts {
            // Whether contexts are updated at the frame's end.
            bits.skip(1)?;
        }
        let tiles = Tiles::parse(sequence.large_superblocks, head.size, bits)?;
        let mut tile_size_bytes = 0;
        if tiles.bits() > 0 {
            bits.skip(tiles.bits())?;
            tile_size_bytes = u8::try_from(bits.u(2)?).ok()?.checked_add(1)?;
        }
        let segments = Rest::parse(&head, bits)?;
        for (at, reference) in refs.iter_mut().enumerate() {
            if (refreshed >> at) & 1 == 1 {
                *reference = Some(Reference {
                    kind,
                    order_hint,
                    size: head.size,
                    segments,
                });
            }
        }
        Some(Some(Self {
            tiles,
            tile_size_bytes,
        }))
    }
}

/// A frame from before is shown. A key frame takes the place of all others then (§7.21).
fn show_existing(sequence: &Sequence, refs: &mut Refs, bits: &mut Bits<'_>) -> Option<()> {
    let at = usize::try_from(bits.u(3)?).ok()?;
    bits.skip(sequence.presentation_time_bits.unwrap_or(0))?;
    if let Some((id_bits, _)) = sequence.frame_ids {
        bits.skip(id_bits)?;
    }
    let shown = (*refs.get(at)?)?;
    if shown.kind == Kind::Key {
        *refs = [Some(shown); REFS];
    }
    Some(())
}

fn frame_size(sequence: &Sequence, stated: bool, bits: &mut Bits<'_>) -> Option<Size> {
    let (mut width, mut height) = (sequence.max_width, sequence.max_height);
    if stated {
        width = bits.u(sequence.width_bits)?.checked_add(1)?;
        height = bits.u(sequence.height_bits)?.checked_add(1)?;
    }
    superres(sequence, width, height, bits)
}

/// `superres_params`: what is coded may be narrower.
fn superres(sequence: &Sequence, upscaled: u32, height: u32, bits: &mut Bits<'_>) -> Option<Size> {
    let mut width = upscaled;
    if sequence.superres && bits.flag()? {
        let denominator = bits.u(3)?.checked_add(9)?;
        let rounded = upscaled.checked_mul(8)?.checked_add(denominator >> 1)?;
        width = rounded.checked_div(denominator)?;
    }
    Some(Size {
        width,
        upscaled,
        height,
    })
}

fn render_size(bits: &mut Bits<'_>) -> Option<()> {
    bits.optional(32)
}

fn size_with_refs(
    sequence: &Sequence,
    refs: &Refs,
    used: &[usize],
    bits: &mut Bits<'_>,
) -> Option<Size> {
    for at in used {
        if bits.flag()? {
            let size = (*refs.get(*at)?)?.size;
            return superres(sequence, size.upscaled, size.height, bits);
        }
    }
    let size = frame_size(sequence, true, bits)?;
    render_size(bits)?;
    Some(size)
}

/// Which frames this one refers to.
fn references(
    sequence: &Sequence,
    refs: &Refs,
    order_hint: u32,
    bits: &mut Bits<'_>,
) -> Option<Vec<usize>> {
    let mut used = Vec::new();
    if sequence.order_hints() && bits.flag()? {
        let last = usize::try_from(bits.u(3)?).ok()?;
        let golden = usize::try_from(bits.u(3)?).ok()?;
        used = implied(sequence, refs, order_hint, last, golden)?;
    }
    let short = !used.is_empty();
    for _ in 0..REFS_PER_FRAME {
        if !short {
            used.push(usize::try_from(bits.u(3)?).ok()?);
        }
        if let Some((_, difference_bits)) = sequence.frame_ids {
            bits.skip(difference_bits)?;
        }
    }
    Some(used)
}

/// The distance of two order hints (§7.12.2 `get_relative_dist`).
pub(super) fn distance(bits: u32, a: u32, b: u32) -> Option<i64> {
    let half = 1_i64.checked_shl(bits.checked_sub(1)?)?;
    let difference = i64::from(a).checked_sub(i64::from(b))?;
    let low = difference & half.checked_sub(1)?;
    low.checked_sub(difference & half)
}

/// `set_frame_refs` (§7.8): all of them, where two are named.
fn implied(
    sequence: &Sequence,
    refs: &Refs,
    order_hint: u32,
    last: usize,
    golden: usize,
) -> Option<Vec<usize>> {
    let mut away = Vec::with_capacity(REFS);
    for reference in refs {
        away.push(distance(
            sequence.order_hint_bits,
            (*reference)?.order_hint,
            order_hint,
        )?);
    }
    let mut taken = [false; REFS];
    *taken.get_mut(last)? = true;
    *taken.get_mut(golden)? = true;
    let mut found: [Option<usize>; REFS_PER_FRAME] = [None; REFS_PER_FRAME];
    // LAST and GOLDEN.
    *found.get_mut(0)? = Some(last);
    *found.get_mut(3)? = Some(golden);
    let find = |taken: &[bool; REFS], backward: bool, latest: bool| {
        let free = away
            .iter()
            .enumerate()
            .zip(taken)
            .filter(|((_, away), taken)| !**taken && (**away >= 0) == backward)
            .map(|(found, _)| found);
        // Of equal ones the last is the latest, and the first the earliest.
        match latest {
            true => free.max_by_key(|(_, away)| **away),
            false => free.min_by_key(|(_, away)| **away),
        }
        .map(|(at, _)| at)
    };
    // ALTREF is the latest backward reference, BWDREF and ALTREF2 the closest.
    for (slot, latest) in [(6, true), (4, false), (5, false)] {
        if let Some(at) = find(&taken, true, latest) {
            *found.get_mut(slot)? = Some(at);
            *taken.get_mut(at)? = true;
        }
    }
    // LAST2, LAST3, BWDREF, ALTREF2, ALTREF: the latest forward ones that are left.
    for slot in [1, 2, 4, 5, 6] {
        if found.get(slot)?.is_none()
            && let Some(at) = find(&taken, false, true)
        {
            *found.get_mut(slot)? = Some(at);
            *taken.get_mut(at)? = true;
        }
    }
    // The rest: the earliest of all.
    let earliest = away.iter().enumerate().min_by_key(|(_, away)| **away);
    let earliest = earliest.map(|(at, _)| at)?;
    Some(found.iter().map(|at| at.unwrap_or(earliest)).collect())
}
