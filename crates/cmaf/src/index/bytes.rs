//! Little-endian reading and writing of the index, with checked bounds.

use crate::CmafError;

/// Reads fields of one part of the index.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    part: &'static str,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], part: &'static str) -> Self {
        Self { rest: bytes, part }
    }

    pub(super) fn damaged(&self, fault: &str) -> CmafError {
        CmafError::damaged(format!("{} {fault}", self.part))
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], CmafError> {
        let split = self.rest.split_at_checked(count);
        let (taken, rest) = split.ok_or_else(|| self.damaged("is cut off"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CmafError> {
        let bytes = self.take(N)?;
        <[u8; N]>::try_from(bytes).map_err(|_| self.damaged("is cut off"))
    }

    pub(super) fn u8(&mut self) -> Result<u8, CmafError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, CmafError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, CmafError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, CmafError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Result<String, CmafError> {
        let length = self.u16()?;
        let bytes = self.take(usize::from(length))?;
        let text =
            std::str::from_utf8(bytes).map_err(|_| self.damaged("holds text that is none"))?;
        Ok(text.to_owned())
    }

    /// Seven bits a byte, the lowest first.
    pub(super) fn varint(&mut self) -> Result<u64, CmafError> {
        let mut value: u64 = 0;
        let mut shift: u32 = 0;
        loop {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits
                .checked_shl(shift)
                .filter(|v| v.checked_shr(shift) == Some(bits));
            value |= shifted.ok_or_else(|| self.damaged("holds a number past 64 bits"))?;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            shift = shift.saturating_add(7);
        }
    }

    pub(super) fn varint_u32(&mut self) -> Result<u32, CmafError> {
        u32::try_from(self.varint()?).map_err(|_| self.damaged("holds a number past 32 bits"))
    }

    /// Signed, zigzag coded.
    pub(super) fn varint_signed(&mut self) -> Result<i64, CmafError> {
        let coded = self.varint()?;
        let magnitude = i64::try_from(coded >> 1).map_err(|_| self.damaged("is cut off"))?;
        Ok(if coded & 1 == 0 {
            magnitude
        } else {
            !magnitude
        })
    }
}

pub(super) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

pub(super) fn push_signed(out: &mut Vec<u8>, value: i64) {
    let coded = value.wrapping_shl(1) ^ (value >> 63);
    push_varint(out, u64::from_le_bytes(coded.to_le_bytes()));
}

/// Appends the CRC-32 of `out[from..]`.
pub(super) fn push_crc(out: &mut Vec<u8>, from: usize) {
    let crc = crc32fast::hash(out.get(from..).unwrap_or(&[]));
    out.extend_from_slice(&crc.to_le_bytes());
}

/// Splits off and checks the CRC-32 at the end of `bytes`.
pub(super) fn checked<'a>(bytes: &'a [u8], part: &'static str) -> Result<Fields<'a>, CmafError> {
    let (body, crc) = bytes
        .split_last_chunk::<4>()
        .ok_or_else(|| CmafError::damaged(format!("{part} is cut off")))?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return Err(CmafError::damaged(format!("{part} fails its checksum")));
    }
    Ok(Fields::new(body, part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_round_trip(unsigned: u64, signed: i64) {
            let mut out = Vec::new();
            push_varint(&mut out, unsigned);
            push_signed(&mut out, signed);
            let mut fields = Fields::new(&out, "test");
            prop_assert_eq!(fields.varint().unwrap(), unsigned);
            prop_assert_eq!(fields.varint_signed().unwrap(), signed);
            prop_assert_eq!(fields.remaining(), 0);
        }
    }
}
