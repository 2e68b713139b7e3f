//! A checked cursor over one box's payload, which knows the box's path and byte offset for errors.
//!
//! Box header (ISO/IEC 14496-12 §4.2): `u32 size | u32 type | u64 size if size == 1 | 16 bytes if type == 'uuid'`.

use crate::{BmffError, FourCc};

/// Names a box by its ancestors; lives on the stack and becomes text only in errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'a> {
    pub(super) parent: Option<&'a Path<'a>>,
    pub(super) name: FourCc,
    /// One-based place among the siblings of the same type, where several are usual.
    pub(super) nth: Option<u32>,
}

impl Path<'_> {
    pub(super) fn top(name: FourCc) -> Self {
        Self {
            parent: None,
            name,
            nth: None,
        }
    }

    pub(super) fn render(&self) -> String {
        let own = match self.nth {
            Some(nth) => format!("{}[{nth}]", self.name),
            None => self.name.to_string(),
        };
        match self.parent {
            Some(parent) => format!("{}/{own}", parent.render()),
            None => own,
        }
    }
}

/// Reads the payload of one box.
#[derive(Debug, Clone)]
pub(super) struct BoxReader<'a> {
    path: &'a Path<'a>,
    /// Offset of the payload in the file.
    base: u64,
    payload: &'a [u8],
    at: usize,
}

pub(super) type Read<T> = Result<T, BmffError>;

impl<'a> BoxReader<'a> {
    pub(super) fn new(path: &'a Path<'a>, base: u64, payload: &'a [u8]) -> Self {
        Self {
            path,
            base,
            payload,
            at: 0,
        }
    }

    /// Offset in the file of the next byte.
    pub(super) fn offset(&self) -> u64 {
        let at = u64::try_from(self.at).unwrap_or(u64::MAX);
        self.base.saturating_add(at)
    }

    pub(super) fn path(&self) -> String {
        self.path.render()
    }

    pub(super) fn malformed(&self, fault: impl Into<String>) -> BmffError {
        BmffError::Malformed {
            path: self.path(),
            offset: self.offset(),
            fault: fault.into(),
        }
    }

    pub(super) fn remaining(&self) -> usize {
        self.payload.len().saturating_sub(self.at)
    }

    pub(super) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(count);
        match end.and_then(|end| Some((end, self.payload.get(self.at..end)?))) {
            Some((end, bytes)) => {
                self.at = end;
                Ok(bytes)
            }
            None => Err(self.malformed(format!(
                "{count} bytes expected, {} left in the box",
                self.remaining()
            ))),
        }
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = self.payload.get(self.at..).unwrap_or(&[]);
        self.at = self.payload.len();
        rest
    }

    pub(super) fn skip(&mut self, count: usize) -> Read<()> {
        self.take(count).map(|_| ())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let bytes = self.take(N)?;
        <[u8; N]>::try_from(bytes).map_err(|_| self.malformed("cut off"))
    }

    pub(super) fn u8(&mut self) -> Read<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Read<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn fourcc(&mut self) -> Read<FourCc> {
        self.array().map(FourCc)
    }

    /// A 64-bit value in version 1 of a box, a 32-bit one before.
    pub(super) fn u32_or_u64(&mut self, version: u8) -> Read<u64> {
        if version == 1 {
            self.u64()
        } else {
            self.u32().map(u64::from)
        }
    }

    /// Version and flags of a full box (§4.2.2).
    pub(super) fn version_and_flags(&mut self) -> Read<(u8, u32)> {
        let [version, a, b, c] = self.array()?;
        Ok((version, u32::from_be_bytes([0, a, b, c])))
    }

    /// The count of a table whose entries have `entry_bytes` each; refused unless the box holds that many.
    pub(super) fn table_count(&mut self, entry_bytes: usize) -> Read<usize> {
        let count = self.u32()?;
        self.check_count(count, entry_bytes)
    }

    pub(super) fn check_count(&self, count: u32, entry_bytes: usize) -> Read<usize> {
        let checked = usize::try_from(count).ok();
        let bytes = checked.and_then(|count| count.checked_mul(entry_bytes));
        match (checked, bytes) {
            (Some(count), Some(bytes)) if bytes <= self.remaining() => Ok(count),
            _ => Err(self.malformed(format!(
                "a table of {count} entries of {entry_bytes} bytes in a box with {} bytes left",
                self.remaining()
            ))),
        }
    }

    /// Visits the child boxes. Less than a header at the end, or a size of zero, ends the list: QuickTime closes some
    /// containers with four zero bytes.
    pub(super) fn children(
        &mut self,
        mut visit: impl FnMut(&mut BoxReader<'_>, FourCc) -> Read<()>,
    ) -> Read<()> {
        let (mut tracks, mut fragments) = (0_u32, 0_u32);
        while self.remaining() >= 8 {
            let start = self.offset();
            let size = self.u32()?;
            if size == 0 {
                break;
            }
            let name = self.fourcc()?;
            let (size, header) = match size {
                1 => (self.u64()?, 16_u64),
                small => (u64::from(small), 8),
            };
            let length = size
                .checked_sub(header)
                .and_then(|n| usize::try_from(n).ok());
            let Some(length) = length.filter(|n| *n <= self.remaining()) else {
                return Err(BmffError::Malformed {
                    path: self.child_path(name, None).render(),
                    offset: start,
                    fault: format!("a size of {size} bytes does not fit its parent"),
                });
            };
            let nth = match &name.0 {
                b"trak" => Some(&mut tracks),
                b"traf" => Some(&mut fragments),
                _ => None,
            };
            let nth = nth.map(|count| {
                *count = count.saturating_add(1);
                *count
            });
            let base = self.offset();
            let payload = self.take(length)?;
            let path = self.child_path(name, nth);
            visit(&mut BoxReader::new(&path, base, payload), name)?;
        }
        Ok(())
    }

    fn child_path(&self, name: FourCc, nth: Option<u32>) -> Path<'a> {
        Path {
            parent: Some(self.path),
            name,
            nth,
        }
    }
}

/// A top-level box header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BoxHeader {
    pub(super) name: FourCc,
    pub(super) header_len: u64,
    /// Whole size, header included; `None` if the box extends to the end of the file.
    pub(super) size: Option<u64>,
}

impl BoxHeader {
    /// Reads a header from up to 16 bytes; `None` if there are too few.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let (name, rest) = rest.split_first_chunk::<4>()?;
        let (header_len, size) = match u32::from_be_bytes(*size) {
            0 => (8, None),
            1 => {
                let (large, _) = rest.split_first_chunk::<8>()?;
                (16, Some(u64::from_be_bytes(*large)))
            }
            size => (8, Some(u64::from(size))),
        };
        Some(Self {
            name: FourCc(*name),
            header_len,
            size,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_path_and_offset() {
        let moov = Path::top(FourCc(*b"moov"));
        // trak (16 bytes) holding a box 'mdia' that claims 64.
        let payload = b"\0\0\0\x10trak\0\0\0\x40mdia";
        let mut reader = BoxReader::new(&moov, 100, payload);
        let error = reader.children(|trak, _| trak.children(|_, _| Ok(())));
        assert_eq!(
            error.unwrap_err().to_string(),
            "moov/trak[1]/mdia at byte 108: a size of 64 bytes does not fit its parent"
        );
    }

    #[test]
    fn a_count_is_checked_against_the_box() {
        let path = Path::top(FourCc(*b"stco"));
        let mut reader = BoxReader::new(&path, 0, &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        assert!(reader.table_count(4).is_err());
        let mut reader = BoxReader::new(&path, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(reader.table_count(4), Ok(1));
    }
}
