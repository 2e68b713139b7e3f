//! H.264 slice headers (ISO/IEC 14496-10 §7.3.2.1, §7.3.2.2, §7.3.3).

use std::collections::HashMap;

use crate::bits::Bits;

/// The parameter sets of a track, by id. Ones that come with the samples replace what was there.
#[derive(Debug, Clone, Default)]
pub struct AvcSets {
    sps: HashMap<u32, Sps>,
    pps: HashMap<u32, Pps>,
}

#[derive(Debug, Clone, Copy)]
struct Sps {
    separate_planes: bool,
    chroma_array_type: u32,
    frame_num_bits: u32,
    order_type: u32,
    order_lsb_bits: u32,
    delta_always_zero: bool,
    frames_only: bool,
    /// PicSizeInMapUnits.
    map_units: u32,
}

#[derive(Debug, Clone, Copy)]
struct Pps {
    sps: u32,
    cabac: bool,
    order_in_frame: bool,
    /// SliceGroupChangeRate, of slice groups that change.
    change_rate: Option<u32>,
    refs: [u32; 2],
    weighted: bool,
    weighted_bi: u32,
    deblocking: bool,
    redundant: bool,
}

impl AvcSets {
    /// Takes in a sequence or picture parameter set, NAL header included. `None` if it does not parse; other NAL units
    /// are none of its business and fine.
    pub fn add(&mut self, nal: &[u8]) -> Option<()> {
        match nal.first()? & 31 {
            7 => {
                let (id, sps) = parse_sps(nal)?;
                self.sps.insert(id, sps);
            }
            8 => {
                let (id, pps) = parse_pps(nal)?;
                self.pps.insert(id, pps);
            }
            _ => {}
        }
        Some(())
    }

    /// Bytes of NAL header and slice header of a coded slice (types 1 and 5), emulation prevention included; a byte that
    /// the header shares with slice data counts. `None` if it does not parse or its parameter sets are not there.
    pub fn slice_header_len(&self, nal: &[u8]) -> Option<usize> {
        let head = *nal.first()?;
        let (idr, reference) = (head & 31 == 5, head >> 5 & 3 != 0);
        let mut b = Bits::new(nal, 1);
        b.ue()?; // first_mb_in_slice
        let kind = b.ue_to(9)? % 5;
        let pps = self.pps.get(&b.ue()?)?;
        let sps = self.sps.get(&pps.sps)?;
        if sps.separate_planes {
            b.u(2)?;
        }
        b.u(sps.frame_num_bits)?;
        let mut field = false;
        if !sps.frames_only {
            field = b.flag()?;
            if field {
                b.flag()?;
            }
        }
        if idr {
            b.ue()?;
        }
        match sps.order_type {
            0 => {
                b.u(sps.order_lsb_bits)?;
                if pps.order_in_frame && !field {
                    b.se()?;
                }
            }
            1 if !sps.delta_always_zero => {
                b.se()?;
                if pps.order_in_frame && !field {
                    b.se()?;
                }
            }
            _ => {}
        }
        if pps.redundant {
            b.ue()?;
        }
        // 0 P, 1 B, 2 I, 3 SP, 4 SI.
        let predicted = matches!(kind, 0 | 1 | 3);
        if kind == 1 {
            b.flag()?;
        }
        let mut refs = pps.refs;
        if predicted && b.flag()? {
            refs[0] = b.ue_to(31)?.checked_add(1)?;
            if kind == 1 {
                refs[1] = b.ue_to(31)?.checked_add(1)?;
            }
        }
        if predicted {
            list_modification(&mut b)?;
            if kind == 1 {
                list_modification(&mut b)?;
            }
        }
        if (pps.weighted && matches!(kind, 0 | 3)) || (pps.weighted_bi == 1 && kind == 1) {
            weights(&mut b, sps.chroma_array_type != 0, &refs, kind == 1)?;
        }
        if reference {
            marking(&mut b, idr)?;
        }
        if pps.cabac && predicted {
            b.ue_to(2)?;
        }
        b.se()?; // slice_qp_delta
        if kind >= 3 {
            if kind == 3 {
                b.flag()?;
            }
            b.se()?;
        }
        if pps.deblocking && b.ue_to(2)? != 1 {
            b.se()?;
            b.se()?;
        }
        if let Some(rate) = pps.change_rate {
            let cycles = sps.map_units.div_ceil(rate.max(1));
            b.u(bits_for(cycles.checked_add(1)?))?;
        }
        Some(b.bytes_read())
    }
}

/// Ceil(Log2(values)).
fn bits_for(values: u32) -> u32 {
    u32::BITS.saturating_sub(values.saturating_sub(1).leading_zeros())
}

fn list_modification(b: &mut Bits<'_>) -> Option<()> {
    if b.flag()? {
        while b.ue_to(5)? != 3 {
            b.ue()?;
        }
    }
    Some(())
}

fn weights(b: &mut Bits<'_>, chroma: bool, refs: &[u32; 2], both: bool) -> Option<()> {
    b.ue()?;
    if chroma {
        b.ue()?;
    }
    for count in refs.iter().take(if both { 2 } else { 1 }) {
        for _ in 0..*count {
            if b.flag()? {
                b.se()?;
                b.se()?;
            }
            if chroma && b.flag()? {
                for _ in 0..4 {
                    b.se()?;
                }
            }
        }
    }
    Some(())
}

fn marking(b: &mut Bits<'_>, idr: bool) -> Option<()> {
    if idr {
        return b.skip(2);
    }
    if b.flag()? {
        loop {
            match b.ue_to(6)? {
                0 => break,
                3 => {
                    b.ue()?;
                    b.ue()?;
                }
                5 => {}
                _ => {
                    b.ue()?;
                }
            }
        }
    }
    Some(())
}

fn parse_sps(nal: &[u8]) -> Option<(u32, Sps)> {
    let mut b = Bits::new(nal, 1);
    let profile = b.u(8)?;
    b.skip(16)?;
    let id = b.ue_to(31)?;
    let mut chroma_format = 1;
    let mut separate_planes = false;
    if matches!(
        profile,
        100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
    ) {
        chroma_format = b.ue_to(3)?;
        if chroma_format == 3 {
            separate_planes = b.flag()?;
        }
        b.ue_to(6)?;
        b.ue_to(6)?;
        b.flag()?;
        if b.flag()? {
            for list in 0..if chroma_format == 3 { 12 } else { 8 } {
                if b.flag()? {
                    scaling_list(&mut b, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    let frame_num_bits = b.ue_to(12)?.checked_add(4)?;
    let order_type = b.ue_to(2)?;
    let (mut order_lsb_bits, mut delta_always_zero) = (0, false);
    match order_type {
        0 => order_lsb_bits = b.ue_to(12)?.checked_add(4)?,
        1 => {
            delta_always_zero = b.flag()?;
            b.se()?;
            b.se()?;
            for _ in 0..b.ue_to(255)? {
                b.se()?;
            }
        }
        _ => {}
    }
    b.ue()?;
    b.flag()?;
    let width = b.ue_to(1 << 16)?.checked_add(1)?;
    let height = b.ue_to(1 << 16)?.checked_add(1)?;
    let frames_only = b.flag()?;
    let sps = Sps {
        separate_planes,
        chroma_array_type: if separate_planes { 0 } else { chroma_format },
        frame_num_bits,
        order_type,
        order_lsb_bits,
        delta_always_zero,
        frames_only,
        map_units: width.checked_mul(height)?,
    };
    Some((id, sps))
}

fn scaling_list(b: &mut Bits<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..size {
        if next != 0 {
            let delta = b.se()?;
            next = last.checked_add(delta)?.rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

fn parse_pps(nal: &[u8]) -> Option<(u32, Pps)> {
    let mut b = Bits::new(nal, 1);
    let id = b.ue_to(255)?;
    let sps = b.ue_to(31)?;
    let cabac = b.flag()?;
    let order_in_frame = b.flag()?;
    let mut change_rate = None;
    let groups = b.ue_to(7)?;
    if groups > 0 {
        match b.ue_to(6)? {
            0 => {
                for _ in 0..=groups {
                    b.ue()?;
                }
            }
            2 => {
                for _ in 0..groups {
                    b.ue()?;
                    b.ue()?;
                }
            }
            3..=5 => {
                b.flag()?;
                change_rate = Some(b.ue()?.checked_add(1)?);
            }
            6 => {
                let bits = bits_for(groups.checked_add(1)?);
                for _ in 0..=b.ue()? {
                    b.u(bits)?;
                }
            }
            _ => {}
        }
    }
    let refs = [b.ue_to(31)?.checked_add(1)?, b.ue_to(31)?.checked_add(1)?];
    let weighted = b.flag()?;
    let weighted_bi = b.u(2)?;
    b.se()?;
    b.se()?;
    b.se()?;
    let deblocking = b.flag()?;
    b.flag()?;
    let redundant = b.flag()?;
    let pps = Pps {
        sps,
        cabac,
        order_in_frame,
        change_rate,
        refs,
        weighted,
        weighted_bi,
        deblocking,
        redundant,
    };
    Some((id, pps))
}
