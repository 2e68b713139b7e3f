//! Checksums of uploads: Content-MD5, and the CRC-64 that newer SDKs send.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_blob::server::{ErrorCode, ServiceError};
use http::HeaderMap;
use md5::{Digest as _, Md5};

/// Azure Storage's CRC-64, reflected polynomial (the one also known as CRC-64/NVME).
const POLYNOMIAL: u64 = 0x9A6C_9329_AC4B_C9B5;

const TABLE: [u64; 256] = table();

const fn table() -> [u64; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ POLYNOMIAL
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// CRC-64 of a stream.
#[derive(Debug, Clone, Copy)]
struct Crc64(u64);

impl Crc64 {
    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let index = usize::from((self.0 as u8) ^ byte);
            self.0 = TABLE[index] ^ (self.0 >> 8);
        }
    }

    fn finish(self) -> [u8; 8] {
        (!self.0).to_le_bytes()
    }
}

/// What a request says about its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Expected {
    md5: Option<[u8; 16]>,
    crc64: Option<[u8; 8]>,
}

impl Expected {
    /// `md5_headers`: every header that must equal the MD5 of the body.
    pub(super) fn from_headers(
        headers: &HeaderMap,
        md5_headers: &[&str],
    ) -> Result<Self, ServiceError> {
        let mut expected = Self {
            md5: None,
            crc64: None,
        };
        for name in md5_headers {
            let Some(value) = headers.get(*name) else {
                continue;
            };
            let md5 =
                decode(value.as_bytes()).ok_or(ServiceError::new(ErrorCode::InvalidMd5, *name))?;
            if expected.md5.is_some_and(|other| other != md5) {
                return Err(ErrorCode::Md5Mismatch.into());
            }
            expected.md5 = Some(md5);
        }
        if let Some(value) = headers.get("x-ms-content-crc64") {
            let invalid = || ServiceError::new(ErrorCode::InvalidHeaderValue, "x-ms-content-crc64");
            expected.crc64 = Some(decode(value.as_bytes()).ok_or_else(invalid)?);
        }
        Ok(expected)
    }
}

fn decode<const N: usize>(base64: &[u8]) -> Option<[u8; N]> {
    STANDARD.decode(base64).ok()?.try_into().ok()
}

/// Computes what is needed while the bytes go by.
#[derive(Debug)]
pub(super) struct Checksums {
    expected: Expected,
    md5: Option<Md5>,
    crc64: Option<Crc64>,
}

impl Checksums {
    /// `always_md5`: also when the request did not send one.
    pub(super) fn new(expected: Expected, always_md5: bool) -> Self {
        let md5 = (always_md5 || expected.md5.is_some()).then(Md5::new);
        Self {
            expected,
            md5,
            crc64: expected.crc64.map(|_| Crc64(!0)),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(crc64) = &mut self.crc64 {
            crc64.update(bytes);
        }
    }

    /// Compares with what was sent; returns the MD5 in base64 if it was computed.
    pub(super) fn finish(self) -> Result<Option<String>, ErrorCode> {
        let md5: Option<[u8; 16]> = self.md5.map(|md5| md5.finalize().into());
        if self.expected.md5.is_some() && self.expected.md5 != md5 {
            return Err(ErrorCode::Md5Mismatch);
        }
        if self.expected.crc64.is_some() && self.expected.crc64 != self.crc64.map(Crc64::finish) {
            return Err(ErrorCode::Crc64Mismatch);
        }
        Ok(md5.map(|md5| STANDARD.encode(md5)))
    }
}

/// MD5 of a short run of bytes, base64.
pub(crate) fn md5_base64(bytes: &[u8]) -> String {
    STANDARD.encode(Md5::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(headers: &[(&'static str, String)]) -> Result<Option<String>, ErrorCode> {
        let map = headers
            .iter()
            .map(|(n, v)| (http::HeaderName::from_static(n), v.parse().unwrap()))
            .collect();
        let mut sums = Checksums::new(
            Expected::from_headers(&map, &["content-md5"]).map_err(|e| e.code)?,
            false,
        );
        sums.update(b"1234");
        sums.update(b"56789");
        sums.finish()
    }

    #[test]
    fn checksums_are_compared() {
        // The check value of CRC-64/NVME in the RevEng catalogue; MD5 of the same text from md5sum.
        let crc = STANDARD.encode(0xAE8B_1486_0A79_9888u64.to_le_bytes());
        let md5 = "JfnnlDI7RTiF9RgfG2JNCw==".to_owned();
        assert_eq!(run(&[]), Ok(None));
        assert_eq!(run(&[("x-ms-content-crc64", crc)]), Ok(None));
        assert_eq!(run(&[("content-md5", md5.clone())]), Ok(Some(md5.clone())));
        assert_eq!(
            run(&[("content-md5", STANDARD.encode([0; 16]))]),
            Err(ErrorCode::Md5Mismatch)
        );
        assert_eq!(
            run(&[("x-ms-content-crc64", STANDARD.encode([0; 8]))]),
            Err(ErrorCode::Crc64Mismatch)
        );
        assert_eq!(
            run(&[("content-md5", "short".to_owned())]),
            Err(ErrorCode::InvalidMd5)
        );
        assert_eq!(
            run(&[("content-md5", md5), ("x-ms-content-crc64", "?".to_owned())]),
            Err(ErrorCode::InvalidHeaderValue)
        );
    }
}
