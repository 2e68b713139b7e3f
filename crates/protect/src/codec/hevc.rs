//! H.265 slice segment headers (ISO/IEC 23008-2 §7.3.6).

use std::collections::HashMap;

use super::hevc_sets::{Pps, ShortSet, Sps, parse_pps, parse_sps};
use crate::bits::Bits;

/// The parameter sets of a track, by id. Ones that come with the samples replace what was there.
#[derive(Debug, Clone, Default)]
pub struct HevcSets {
    sps: HashMap<u32, Sps>,
    pps: HashMap<u32, Pps>,
}

/// `nal_unit_type`.
pub(crate) fn nal_type(nal: &[u8]) -> Option<u8> {
    Some(nal.first()? >> 1 & 63)
}

fn bits_for(values: u32) -> u32 {
    u32::BITS.saturating_sub(values.saturating_sub(1).leading_zeros())
}

impl HevcSets {
    /// Takes in a sequence or picture parameter set, NAL header included. `None` if it does not parse; other NAL units
    /// are none of its business and fine.
    pub fn add(&mut self, nal: &[u8]) -> Option<()> {
        match nal_type(nal)? {
            33 => {
                let (id, sps) = parse_sps(nal)?;
                self.sps.insert(id, sps);
            }
            34 => {
                let (id, pps) = parse_pps(nal)?;
                self.pps.insert(id, pps);
            }
            _ => {}
        }
        Some(())
    }

    /// Bytes of NAL header and slice segment header of a coded slice segment (types 0 to 31), its alignment and emulation
    /// prevention included. `None` if it does not parse or its parameter sets are not there.
    pub fn slice_header_len(&self, nal: &[u8]) -> Option<usize> {
        let kind = nal_type(nal)?;
        let mut b = Bits::new(nal, 2);
        let first = b.flag()?;
        if (16..=23).contains(&kind) {
            b.flag()?;
        }
        let pps = self.pps.get(&b.ue()?)?;
        let sps = self.sps.get(&pps.sps)?;
        let mut dependent = false;
        if !first {
            dependent = pps.dependent_slices && b.flag()?;
            b.u(bits_for(sps.ctbs))?;
        }
        if !dependent {
            independent(&mut b, kind, pps, sps)?;
        }
        if pps.entry_points {
            let count = b.ue_to(1 << 16)?;
            if count > 0 {
                let bits = b.ue_to(31)?.checked_add(1)?;
                for _ in 0..count {
                    b.u(bits)?;
                }
            }
        }
        if pps.extension {
            for _ in 0..b.ue_to(256)? {
                b.u(8)?;
            }
        }
        b.flag()?; // byte_alignment: a one, then zeros
        Some(b.bytes_read())
    }
}

fn independent(b: &mut Bits<'_>, kind: u8, pps: &Pps, sps: &Sps) -> Option<()> {
    b.skip(pps.extra_bits)?;
    // 0 B, 1 P, 2 I.
    let slice = b.ue_to(2)?;
    if pps.output_flag {
        b.flag()?;
    }
    if sps.separate_planes {
        b.u(2)?;
    }
    let mut motion = false;
    let mut pictures = 0;
    if !matches!(kind, 19 | 20) {
        (motion, pictures) = references(b, sps)?;
    }
    let chroma = sps.chroma_array_type != 0;
    let (mut luma_offset, mut chroma_offset) = (false, false);
    if sps.adaptive_offset {
        luma_offset = b.flag()?;
        chroma_offset = chroma && b.flag()?;
    }
    if slice < 2 {
        predicted(b, slice == 0, pps, chroma, motion, pictures)?;
    }
    b.se()?; // slice_qp_delta
    if pps.slice_chroma_qp {
        b.se()?;
        b.se()?;
    }
    if pps.chroma_offset_list {
        b.flag()?;
    }
    let overrides = pps.deblocking_override && b.flag()?;
    let mut disabled = pps.deblocking_disabled;
    if overrides {
        disabled = b.flag()?;
        if !disabled {
            b.se()?;
            b.se()?;
        }
    }
    if pps.loop_filter_across && (luma_offset || chroma_offset || !disabled) {
        b.flag()?;
    }
    Some(())
}

/// Whether motion vectors may come from other pictures, and NumPicTotalCurr.
fn references(b: &mut Bits<'_>, sps: &Sps) -> Option<(bool, u32)> {
    b.u(sps.order_lsb_bits)?;
    let sets = u32::try_from(sps.short_sets.len()).ok()?;
    let mut pictures = if !b.flag()? {
        ShortSet::parse(b, &sps.short_sets, true)?.used()
    } else {
        let index = if sets > 1 { b.u(bits_for(sets))? } else { 0 };
        sps.short_sets.get(usize::try_from(index).ok()?)?.used()
    };
    if sps.long_term {
        let mut from_sps = 0;
        let listed = u32::try_from(sps.long_term_used.len()).ok()?;
        if listed > 0 {
            from_sps = b.ue_to(32)?;
        }
        let own = b.ue_to(32)?;
        for at in 0..from_sps.checked_add(own)? {
            if at < from_sps {
                let index = if listed > 1 {
                    b.u(bits_for(listed))?
                } else {
                    0
                };
                let used = *sps.long_term_used.get(usize::try_from(index).ok()?)?;
                pictures = pictures.checked_add(u32::from(used))?;
            } else {
                b.u(sps.order_lsb_bits)?;
                pictures = pictures.checked_add(u32::from(b.flag()?))?;
            }
            if b.flag()? {
                b.ue()?;
            }
        }
    }
    let motion = sps.temporal_mvp && b.flag()?;
    Some((motion, pictures))
}

fn predicted(
    b: &mut Bits<'_>,
    both: bool,
    pps: &Pps,
    chroma: bool,
    motion: bool,
    pictures: u32,
) -> Option<()> {
    let mut refs = pps.refs;
    if b.flag()? {
        refs[0] = b.ue_to(14)?.checked_add(1)?;
        if both {
            refs[1] = b.ue_to(14)?.checked_add(1)?;
        }
    }
    let lists = if both { 2 } else { 1 };
    if pps.lists_modification && pictures > 1 {
        let bits = bits_for(pictures);
        for count in refs.iter().take(lists) {
            if b.flag()? {
                for _ in 0..*count {
                    b.u(bits)?;
                }
            }
        }
    }
    if both {
        b.flag()?;
    }
    if pps.cabac_init {
        b.flag()?;
    }
    if motion {
        let first = !both || b.flag()?;
        let count = if first { refs[0] } else { refs[1] };
        if count > 1 {
            b.ue()?;
        }
    }
    if (pps.weighted && !both) || (pps.weighted_bi && both) {
        b.ue()?;
        if chroma {
            b.se()?;
        }
        for count in refs.iter().take(lists) {
            weights(b, *count, chroma)?;
        }
    }
    b.ue_to(4)?; // five_minus_max_num_merge_cand
    Some(())
}

/// One list of pred_weight_table (§7.3.6.3), of pictures of the same layer at other times.
fn weights(b: &mut Bits<'_>, count: u32, chroma: bool) -> Option<()> {
    let mut flags = Vec::new();
    for _ in 0..count {
        flags.push((b.flag()?, false));
    }
    if chroma {
        for flag in &mut flags {
            flag.1 = b.flag()?;
        }
    }
    for (luma, chroma) in flags {
        if luma {
            b.se()?;
            b.se()?;
        }
        if chroma {
            for _ in 0..4 {
                b.se()?;
            }
        }
    }
    Some(())
}
