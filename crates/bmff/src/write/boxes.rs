//! Builds nested boxes in one buffer; a box's size is filled in when it closes.

use crate::BmffError;

/// A growing sequence of boxes.
#[derive(Debug, Default)]
pub(super) struct BoxWriter {
    out: Vec<u8>,
    /// A box grew past what its 32-bit size can state.
    oversize: bool,
}

impl BoxWriter {
    /// A box of type `name` around what `fill` writes.
    pub(super) fn boxed(&mut self, name: &[u8; 4], fill: impl FnOnce(&mut Self)) {
        let start = self.out.len();
        self.u32(0);
        self.bytes(name);
        fill(self);
        let size = u32::try_from(self.out.len().saturating_sub(start));
        let end = start.saturating_add(4);
        match (size, self.out.get_mut(start..end)) {
            (Ok(size), Some(field)) => field.copy_from_slice(&size.to_be_bytes()),
            _ => self.oversize = true,
        }
    }

    /// A full box (ISO/IEC 14496-12 §4.2.2); only the low 24 bits of `flags` count.
    pub(super) fn full(
        &mut self,
        name: &[u8; 4],
        version: u8,
        flags: u32,
        fill: impl FnOnce(&mut Self),
    ) {
        self.boxed(name, |w| {
            w.u32((u32::from(version) << 24) | (flags & 0xff_ffff));
            fill(w);
        });
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn zeros(&mut self, count: usize) {
        self.out.resize(self.out.len().saturating_add(count), 0);
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    /// A table's row count. More rows than 32 bits hold cannot be in memory as boxes of 32-bit sizes.
    pub(super) fn count(&mut self, rows: usize) {
        match u32::try_from(rows) {
            Ok(rows) => self.u32(rows),
            Err(_) => {
                self.oversize = true;
                self.u32(u32::MAX);
            }
        }
    }

    pub(super) fn finish(self) -> Result<Vec<u8>, BmffError> {
        if self.oversize {
            return Err(BmffError::unwritable("a box", "it passes 4 GiB"));
        }
        Ok(self.out)
    }
}
