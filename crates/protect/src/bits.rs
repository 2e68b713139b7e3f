//! Bits of a NAL unit that may hold emulation prevention bytes (ISO/IEC 14496-10 §7.4.1), which are skipped and counted.

/// Reads a raw byte sequence payload inside its NAL unit.
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    /// The byte that bits are taken from next.
    at: usize,
    /// Bits of it that are taken, 0 to 7.
    bit: u8,
    /// Zero bytes that directly precede `at`.
    zeros: u8,
}

impl<'a> Bits<'a> {
    /// `bytes`: the NAL unit. `start`: where to begin, past its header.
    pub(crate) fn new(bytes: &'a [u8], start: usize) -> Self {
        Self {
            bytes,
            at: start,
            bit: 0,
            zeros: 0,
        }
    }

    /// Bytes of the NAL unit up to here, one that is begun included.
    pub(crate) fn bytes_read(&self) -> usize {
        self.at.saturating_add(usize::from(self.bit > 0))
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        if self.bit == 0 && self.zeros >= 2 && self.bytes.get(self.at) == Some(&3) {
            self.at = self.at.saturating_add(1);
            self.zeros = 0;
        }
        let byte = *self.bytes.get(self.at)?;
        let set = byte & (0x80_u8 >> self.bit) != 0;
        self.bit = self.bit.saturating_add(1);
        if self.bit == 8 {
            self.bit = 0;
            self.at = self.at.saturating_add(1);
            self.zeros = if byte == 0 {
                self.zeros.saturating_add(1)
            } else {
                0
            };
        }
        Some(set)
    }

    /// `count`: at most 32.
    pub(crate) fn u(&mut self, count: u32) -> Option<u32> {
        let mut value: u32 = 0;
        for _ in 0..count {
            value = (value << 1) | u32::from(self.flag()?);
        }
        Some(value)
    }

    pub(crate) fn skip(&mut self, count: u32) -> Option<()> {
        for _ in 0..count {
            self.flag()?;
        }
        Some(())
    }

    /// ue(v), below 2^32 - 1 (§9.1).
    pub(crate) fn ue(&mut self) -> Option<u32> {
        let mut zeros: u32 = 0;
        while !self.flag()? {
            zeros = zeros.checked_add(1).filter(|zeros| *zeros < 32)?;
        }
        let rest = self.u(zeros)?;
        1_u32.checked_shl(zeros)?.checked_sub(1)?.checked_add(rest)
    }

    /// ue(v) that may not pass `most`.
    pub(crate) fn ue_to(&mut self, most: u32) -> Option<u32> {
        self.ue().filter(|value| *value <= most)
    }

    /// se(v).
    pub(crate) fn se(&mut self) -> Option<i64> {
        let code = i64::from(self.ue()?);
        let half = code.checked_add(1)? >> 1;
        Some(if code & 1 == 1 {
            half
        } else {
            half.checked_neg()?
        })
    }
}
