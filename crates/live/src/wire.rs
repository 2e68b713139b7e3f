//! Bytes of stored things: little-endian fields, texts with a length in front, frames with a checksum.

use crate::LiveError;

/// Appends fields.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// At most 2^32 - 1 bytes: nothing that is stored is longer.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }
}

/// Takes fields off.
pub(crate) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
    len: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self {
            what,
            rest: bytes,
            len: bytes.len(),
        }
    }

    pub(crate) fn damaged(&self, fault: &'static str) -> LiveError {
        LiveError::Damaged {
            what: self.what,
            offset: self.len.saturating_sub(self.rest.len()),
            fault,
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], LiveError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| self.damaged("it is cut off"))?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, LiveError> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, LiveError> {
        self.take().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, LiveError> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, LiveError> {
        self.take().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, LiveError> {
        self.take().map(i64::from_le_bytes)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], LiveError> {
        let len = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| self.damaged("it is cut off"))?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn text(&mut self) -> Result<String, LiveError> {
        let fault = self.damaged("a text is not UTF-8");
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| fault)
    }

    /// A count of things of which each takes a byte at least.
    pub(crate) fn count(&mut self) -> Result<usize, LiveError> {
        let count = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if count > self.rest.len() {
            return Err(self.damaged("it counts more than it holds"));
        }
        Ok(count)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn finish(self) -> Result<(), LiveError> {
        match self.rest.is_empty() {
            true => Ok(()),
            false => Err(self.damaged("something follows its end")),
        }
    }
}

/// `magic`, version, length, CRC-32, payload.
pub(crate) fn frame(magic: [u8; 4], version: u16, payload: &[u8]) -> Vec<u8> {
    let mut w = Writer::default();
    w.0.extend_from_slice(&magic);
    w.u16(version);
    w.u32(crc32fast::hash(payload));
    w.bytes(payload);
    w.0
}

/// A frame that was opened.
pub(crate) struct Opened<'a> {
    /// 1 to the newest.
    pub(crate) version: u16,
    pub(crate) payload: &'a [u8],
    /// What follows it.
    pub(crate) rest: &'a [u8],
}

/// Opens one frame at the start of `bytes`. `newest`: the latest version that is known; all before it are, too.
///
/// Errors: `Damaged`, `Version`.
pub(crate) fn open<'a>(
    what: &'static str,
    magic: [u8; 4],
    newest: u16,
    bytes: &'a [u8],
) -> Result<Opened<'a>, LiveError> {
    let mut r = Reader::new(what, bytes);
    if r.take::<4>()? != magic {
        return Err(LiveError::Damaged {
            what,
            offset: 0,
            fault: "it does not begin as it should",
        });
    }
    let version = r.u16()?;
    if !(1..=newest).contains(&version) {
        return Err(LiveError::Version { what, version });
    }
    let sum = r.u32()?;
    let payload = r.bytes()?;
    if crc32fast::hash(payload) != sum {
        return Err(LiveError::Damaged {
            what,
            offset: 14,
            fault: "its checksum is another",
        });
    }
    Ok(Opened {
        version,
        payload,
        rest: r.rest,
    })
}
