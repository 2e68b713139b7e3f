//! The bytes of a file that a pull parser holds, and those it has asked for.

use bytes::Bytes;

use crate::BmffError;

/// Bytes fed last, where they begin, and the range asked for.
#[derive(Debug, Default, Clone)]
pub(super) struct Window {
    bytes: Bytes,
    at: u64,
    wanted: Option<(u64, u64)>,
}

impl Window {
    /// `len` bytes from `at` on, if they are here.
    pub(super) fn have(&self, at: u64, len: u64) -> Option<Bytes> {
        let start = usize::try_from(at.checked_sub(self.at)?).ok()?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        (end <= self.bytes.len()).then(|| self.bytes.slice(start..end))
    }

    /// As [`Self::have`], of a number of bytes known beforehand.
    pub(super) fn array<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let start = usize::try_from(at.checked_sub(self.at)?).ok()?;
        let bytes = self.bytes.get(start..start.checked_add(N)?)?;
        <[u8; N]>::try_from(bytes).ok()
    }

    pub(super) fn want(&mut self, offset: u64, len: u64) {
        self.wanted = Some((offset, len));
    }

    pub(super) fn is_wanting(&self) -> bool {
        self.wanted.is_some()
    }

    /// Takes the place of what was here. Errors: `WrongFeed` if `bytes` do not cover what was asked for.
    pub(super) fn feed(&mut self, offset: u64, bytes: Bytes) -> Result<(), BmffError> {
        let (wanted_at, wanted_len) = self.wanted.unwrap_or((offset, 0));
        let fed_len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let covers = offset <= wanted_at
            && offset.saturating_add(fed_len) >= wanted_at.saturating_add(wanted_len);
        if !covers {
            return Err(BmffError::WrongFeed {
                offset: wanted_at,
                len: wanted_len,
                fed_offset: offset,
                fed_len,
            });
        }
        self.wanted = None;
        self.bytes = bytes;
        self.at = offset;
        Ok(())
    }
}
