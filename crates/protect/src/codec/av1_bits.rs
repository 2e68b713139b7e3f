//! Bits of AV1 headers (§4.10): most significant first, no emulation prevention.

/// Reads bits.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Bits that were read.
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes up to here, one that is begun included.
    pub(super) fn bytes_read(&self) -> usize {
        self.at.div_ceil(8)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at >> 3)?;
        let set = byte & (0x80_u8 >> (self.at & 7)) != 0;
        self.at = self.at.saturating_add(1);
        Some(set)
    }

    /// f(n), `count` at most 32.
    pub(super) fn u(&mut self, count: u32) -> Option<u32> {
        let mut value: u32 = 0;
        for _ in 0..count {
            value = (value << 1) | u32::from(self.flag()?);
        }
        Some(value)
    }

    pub(super) fn skip(&mut self, count: u32) -> Option<()> {
        for _ in 0..count {
            self.flag()?;
        }
        Some(())
    }

    /// A flag, and what follows if it is set.
    pub(super) fn optional(&mut self, count: u32) -> Option<()> {
        if self.flag()? {
            self.skip(count)
        } else {
            Some(())
        }
    }

    /// su(n).
    pub(super) fn su(&mut self, count: u32) -> Option<i32> {
        let value = i32::try_from(self.u(count)?).ok()?;
        let sign = 1_i32.checked_shl(count.checked_sub(1)?)?;
        match value & sign {
            0 => Some(value),
            _ => value.checked_sub(sign.checked_mul(2)?),
        }
    }

    /// ns(n), of `count` values.
    pub(super) fn ns(&mut self, count: u32) -> Option<u32> {
        let width = count.checked_ilog2()?.checked_add(1)?;
        let short = 1_u32.checked_shl(width)?.checked_sub(count)?;
        let value = self.u(width.checked_sub(1)?)?;
        if value < short {
            return Some(value);
        }
        let extra = u32::from(self.flag()?);
        (value << 1).checked_sub(short)?.checked_add(extra)
    }

    /// uvlc().
    pub(super) fn uvlc(&mut self) -> Option<()> {
        let mut zeros: u32 = 0;
        while !self.flag()? {
            zeros = zeros.checked_add(1)?;
        }
        if zeros < 32 {
            self.skip(zeros)
        } else {
            Some(())
        }
    }
}
