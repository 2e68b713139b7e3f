//! Bits, most significant first, as the codec configurations of ISO/IEC 14496-3 and -10 are written.

/// Reads bits; `None` past the end.
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits already read.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn bit(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at >> 3)?;
        let shift = 7_usize.saturating_sub(self.at & 7);
        self.at = self.at.checked_add(1)?;
        Some((byte.checked_shr(u32::try_from(shift).ok()?)?) & 1 == 1)
    }

    /// At most 32 bits.
    pub(crate) fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value: u32 = 0;
        for _ in 0..count {
            value = (value << 1) | u32::from(self.bit()?);
        }
        Some(value)
    }

    pub(crate) fn skip(&mut self, count: u32) -> Option<()> {
        self.at = self.at.checked_add(usize::try_from(count).ok()?)?;
        (self.at <= self.len()).then_some(())
    }

    pub(crate) fn remaining(&self) -> usize {
        self.len().saturating_sub(self.at)
    }

    fn len(&self) -> usize {
        self.bytes.len().saturating_mul(8)
    }

    /// Unsigned Exp-Golomb code (ISO/IEC 14496-10 §9.1).
    pub(crate) fn ue(&mut self) -> Option<u32> {
        let mut zeros: u32 = 0;
        while !self.bit()? {
            zeros = zeros.checked_add(1)?;
            if zeros > 31 {
                return None;
            }
        }
        let offset = 1_u32.checked_shl(zeros)?.checked_sub(1)?;
        offset.checked_add(self.bits(zeros)?)
    }

    /// Signed Exp-Golomb code (ISO/IEC 14496-10 §9.1.1).
    pub(crate) fn se(&mut self) -> Option<i32> {
        let code = self.ue()?;
        let magnitude = i32::try_from(code.div_ceil(2)).ok()?;
        if code & 1 == 1 {
            Some(magnitude)
        } else {
            magnitude.checked_neg()
        }
    }
}
