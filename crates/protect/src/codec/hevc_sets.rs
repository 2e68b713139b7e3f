//! H.265 parameter sets, as far as slice headers need them (ISO/IEC 23008-2 §7.3.2.2, §7.3.2.3, §7.3.3, §7.3.7).

use crate::bits::Bits;

#[derive(Debug, Clone)]
pub(super) struct Sps {
    pub(super) separate_planes: bool,
    pub(super) chroma_array_type: u32,
    pub(super) order_lsb_bits: u32,
    /// PicSizeInCtbsY.
    pub(super) ctbs: u32,
    /// NumDeltaPocs and NumNegativePics + NumPositivePics used, of each short term reference picture set.
    pub(super) short_sets: Vec<ShortSet>,
    pub(super) long_term: bool,
    /// Of each long term picture of the set: whether the current picture uses it.
    pub(super) long_term_used: Vec<bool>,
    pub(super) temporal_mvp: bool,
    pub(super) adaptive_offset: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Pps {
    pub(super) sps: u32,
    pub(super) dependent_slices: bool,
    pub(super) output_flag: bool,
    pub(super) extra_bits: u32,
    pub(super) cabac_init: bool,
    pub(super) refs: [u32; 2],
    pub(super) slice_chroma_qp: bool,
    pub(super) chroma_offset_list: bool,
    pub(super) weighted: bool,
    pub(super) weighted_bi: bool,
    pub(super) entry_points: bool,
    pub(super) loop_filter_across: bool,
    pub(super) deblocking_override: bool,
    pub(super) deblocking_disabled: bool,
    pub(super) lists_modification: bool,
    pub(super) extension: bool,
}

/// A short term reference picture set: the offsets it has, and which the current picture uses (§7.4.8).
#[derive(Debug, Clone, Default)]
pub(super) struct ShortSet {
    negative: Vec<(i64, bool)>,
    positive: Vec<(i64, bool)>,
}

impl ShortSet {
    pub(super) fn used(&self) -> u32 {
        let both = self.negative.iter().chain(&self.positive);
        u32::try_from(both.filter(|(_, used)| *used).count()).unwrap_or(u32::MAX)
    }

    fn count(&self) -> usize {
        self.negative.len().saturating_add(self.positive.len())
    }

    /// `sets`: those before it. `in_slice`: the set is that of a slice header.
    pub(super) fn parse(b: &mut Bits<'_>, sets: &[ShortSet], in_slice: bool) -> Option<Self> {
        if !sets.is_empty() && b.flag()? {
            let back = match in_slice {
                true => b.ue()?.checked_add(1)?,
                false => 1,
            };
            let from = sets.len().checked_sub(usize::try_from(back).ok()?)?;
            let from = sets.get(from)?;
            let negative = b.flag()?;
            let size = i64::from(b.ue_to(1 << 15)?.checked_add(1)?);
            let delta = if negative { size.checked_neg()? } else { size };
            let mut flags = Vec::new();
            for _ in 0..=from.count() {
                let used = b.flag()?;
                let kept = used || b.flag()?;
                flags.push((used, kept));
            }
            return from.shifted(delta, &flags);
        }
        let negative = b.ue_to(16)?;
        let positive = b.ue_to(16)?;
        let mut set = Self::default();
        let mut at: i64 = 0;
        for _ in 0..negative {
            at = at.checked_sub(i64::from(b.ue_to(1 << 15)?.checked_add(1)?))?;
            set.negative.push((at, b.flag()?));
        }
        at = 0;
        for _ in 0..positive {
            at = at.checked_add(i64::from(b.ue_to(1 << 15)?.checked_add(1)?))?;
            set.positive.push((at, b.flag()?));
        }
        Some(set)
    }

    /// Equations (7-61) and (7-62). `flags`: used and kept, for each offset of `self` and then for `delta` itself.
    fn shifted(&self, delta: i64, flags: &[(bool, bool)]) -> Option<Self> {
        let mut set = Self::default();
        let own = flags.get(self.count());
        let of_negative = |at: usize| flags.get(at);
        let of_positive = |at: usize| flags.get(self.negative.len().saturating_add(at));
        let mut put = |to: i64, flag: Option<&(bool, bool)>| -> Option<()> {
            let (used, kept) = *flag?;
            if kept && to < 0 {
                set.negative.push((to, used));
            } else if kept && to > 0 {
                set.positive.push((to, used));
            }
            Some(())
        };
        for (at, (offset, _)) in self.negative.iter().enumerate() {
            put(offset.checked_add(delta)?, of_negative(at))?;
        }
        for (at, (offset, _)) in self.positive.iter().enumerate() {
            put(offset.checked_add(delta)?, of_positive(at))?;
        }
        put(delta, own)?;
        set.negative
            .sort_by_key(|(offset, _)| offset.saturating_neg());
        set.positive.sort_by_key(|(offset, _)| *offset);
        (set.count() <= 16).then_some(set)
    }
}

/// `None` also for screen content coding, whose slice headers have more in them.
fn profile_tier_level(b: &mut Bits<'_>, sub_layers: u32) -> Option<()> {
    b.u(3)?;
    if matches!(b.u(5)?, 9 | 11) {
        return None;
    }
    b.skip(80 + 8)?;
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((b.flag()?, b.flag()?));
    }
    if sub_layers > 0 {
        for _ in sub_layers..8 {
            b.skip(2)?;
        }
    }
    for (profile, level) in present {
        if profile {
            b.skip(88)?;
        }
        if level {
            b.skip(8)?;
        }
    }
    Some(())
}

fn scaling_lists(b: &mut Bits<'_>) -> Option<()> {
    for size in 0..4_u32 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !b.flag()? {
                b.ue()?;
                continue;
            }
            if size > 1 {
                b.se()?;
            }
            for _ in 0..if size == 0 { 16 } else { 64 } {
                b.se()?;
            }
        }
    }
    Some(())
}

pub(super) fn parse_sps(nal: &[u8]) -> Option<(u32, Sps)> {
    let mut b = Bits::new(nal, 2);
    b.u(4)?;
    let sub_layers = b.u(3)?;
    b.flag()?;
    profile_tier_level(&mut b, sub_layers)?;
    let id = b.ue_to(15)?;
    let chroma_format = b.ue_to(3)?;
    let separate_planes = chroma_format == 3 && b.flag()?;
    let width = b.ue_to(1 << 16)?;
    let height = b.ue_to(1 << 16)?;
    if b.flag()? {
        for _ in 0..4 {
            b.ue()?;
        }
    }
    b.ue_to(8)?;
    b.ue_to(8)?;
    let order_lsb_bits = b.ue_to(12)?.checked_add(4)?;
    let all_layers = b.flag()?;
    for _ in if all_layers { 0 } else { sub_layers }..=sub_layers {
        b.ue()?;
        b.ue()?;
        b.ue()?;
    }
    let min_block = b.ue_to(3)?.checked_add(3)?;
    let ctb = min_block.checked_add(b.ue_to(3)?)?;
    for _ in 0..4 {
        b.ue()?; // transform block sizes and depths
    }
    if b.flag()? && b.flag()? {
        scaling_lists(&mut b)?;
    }
    b.flag()?;
    let adaptive_offset = b.flag()?;
    if b.flag()? {
        b.skip(8)?;
        b.ue()?;
        b.ue()?;
        b.flag()?;
    }
    let mut short_sets = Vec::new();
    for _ in 0..b.ue_to(64)? {
        let set = ShortSet::parse(&mut b, &short_sets, false)?;
        short_sets.push(set);
    }
    let long_term = b.flag()?;
    let mut long_term_used = Vec::new();
    if long_term {
        for _ in 0..b.ue_to(32)? {
            b.u(order_lsb_bits)?;
            long_term_used.push(b.flag()?);
        }
    }
    let temporal_mvp = b.flag()?;
    let size = 1_u32.checked_shl(ctb)?;
    let sps = Sps {
        separate_planes,
        chroma_array_type: if separate_planes { 0 } else { chroma_format },
        order_lsb_bits,
        ctbs: width.div_ceil(size).checked_mul(height.div_ceil(size))?,
        short_sets,
        long_term,
        long_term_used,
        temporal_mvp,
        adaptive_offset,
    };
    Some((id, sps))
}

pub(super) fn parse_pps(nal: &[u8]) -> Option<(u32, Pps)> {
    let mut b = Bits::new(nal, 2);
    let id = b.ue_to(63)?;
    let sps = b.ue_to(15)?;
    let dependent_slices = b.flag()?;
    let output_flag = b.flag()?;
    let extra_bits = b.u(3)?;
    b.flag()?;
    let cabac_init = b.flag()?;
    let refs = [b.ue_to(14)?.checked_add(1)?, b.ue_to(14)?.checked_add(1)?];
    b.se()?;
    b.flag()?;
    let transform_skip = b.flag()?;
    if b.flag()? {
        b.ue()?; // diff_cu_qp_delta_depth
    }
    b.se()?;
    b.se()?;
    let slice_chroma_qp = b.flag()?;
    let weighted = b.flag()?;
    let weighted_bi = b.flag()?;
    b.flag()?;
    let tiles = b.flag()?;
    let wavefronts = b.flag()?;
    if tiles {
        let columns = b.ue_to(1 << 12)?;
        let rows = b.ue_to(1 << 12)?;
        if !b.flag()? {
            for _ in 0..columns.checked_add(rows)? {
                b.ue()?;
            }
        }
        b.flag()?;
    }
    let loop_filter_across = b.flag()?;
    let (mut deblocking_override, mut deblocking_disabled) = (false, false);
    if b.flag()? {
        deblocking_override = b.flag()?;
        deblocking_disabled = b.flag()?;
        if !deblocking_disabled {
            b.se()?;
            b.se()?;
        }
    }
    if b.flag()? {
        scaling_lists(&mut b)?;
    }
    let lists_modification = b.flag()?;
    b.ue()?;
    let extension = b.flag()?;
    let mut chroma_offset_list = false;
    if b.flag()? {
        let range = b.flag()?;
        b.skip(6)?;
        b.flag()?;
        // The range extension (§7.3.2.3.2) comes first; the others say nothing about slice headers of one layer, but for
        // screen content coding, which the sequence parameter set tells.
        if range {
            if transform_skip {
                b.ue()?;
            }
            b.flag()?;
            chroma_offset_list = b.flag()?;
        }
    }
    let pps = Pps {
        sps,
        dependent_slices,
        output_flag,
        extra_bits,
        cabac_init,
        refs,
        slice_chroma_qp,
        chroma_offset_list,
        weighted,
        weighted_bi,
        entry_points: tiles || wavefronts,
        loop_filter_across,
        deblocking_override,
        deblocking_disabled,
        lists_modification,
        extension,
    };
    Some((id, pps))
}
