//! A key's id, in the spellings that formats want. The classic mistake is to mix them up, so each has a name here.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use uuid::Uuid;

/// The id of a content key: 16 bytes, in the order of its UUID text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kid([u8; 16]);

impl Kid {
    /// From the bytes in `tenc` and `pssh`: those of the UUID text, in order.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// From UUID text: with hyphens or without, any case, nothing around it.
    pub fn parse(text: &str) -> Option<Self> {
        if !matches!(text.len(), 32 | 36) {
            return None;
        }
        Uuid::try_parse(text).ok().map(|id| Self(id.into_bytes()))
    }

    /// From the spelling of ClearKey JSON.
    pub fn from_base64url(text: &str) -> Option<Self> {
        if text.len() != 22 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// From the spelling of PlayReady headers.
    pub fn from_guid_base64(text: &str) -> Option<Self> {
        let bytes: [u8; 16] = STANDARD.decode(text.trim()).ok()?.try_into().ok()?;
        Some(Self(Uuid::from_bytes_le(bytes).into_bytes()))
    }

    /// `tenc`, `pssh`, CPIX in binary.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// 32 hexadecimal digits, lower case: `KEYID` in playlists (after `0x`).
    pub fn hex(&self) -> String {
        Uuid::from_bytes(self.0).simple().to_string()
    }

    /// Base64url without padding of the bytes: ClearKey JSON.
    pub fn base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The bytes of a Windows GUID: the first three groups turned around.
    pub fn guid_bytes(&self) -> [u8; 16] {
        Uuid::from_bytes(self.0).to_bytes_le()
    }

    /// Base64 of [`Self::guid_bytes`]: PlayReady headers.
    pub fn guid_base64(&self) -> String {
        STANDARD.encode(self.guid_bytes())
    }

    /// The same id as the `uuid` crate has it.
    pub fn uuid(&self) -> Uuid {
        Uuid::from_bytes(self.0)
    }
}

impl From<Uuid> for Kid {
    fn from(id: Uuid) -> Self {
        Self(id.into_bytes())
    }
}

/// Lower case with hyphens: `default_KID`, CPIX, `kid` in URLs.
impl std::fmt::Display for Kid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.uuid().hyphenated().fmt(f)
    }
}

impl std::fmt::Debug for Kid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_spelling_comes_back(bytes: [u8; 16]) {
            let kid = Kid::from_bytes(bytes);
            prop_assert_eq!(Kid::parse(&kid.to_string()), Some(kid));
            prop_assert_eq!(Kid::parse(&kid.hex()), Some(kid));
            prop_assert_eq!(Kid::from_base64url(&kid.base64url()), Some(kid));
            prop_assert_eq!(Kid::from_guid_base64(&kid.guid_base64()), Some(kid));
        }
    }

    #[test]
    fn the_guid_has_its_first_three_groups_turned() {
        let kid = Kid::parse("00112233-4455-6677-8899-aabbccddeeff").unwrap();
        assert_eq!(kid.guid_base64(), "MyIRAFVEd2aImaq7zN3u/w==");
        assert_eq!(kid.base64url(), "ABEiM0RVZneImaq7zN3u_w");
        for bad in [
            "",
            "0",
            "{00112233-4455-6677-8899-aabbccddeeff}",
            "urn:uuid:00112233-4455-6677-8899-aabbccddeeff",
            "../00112233445566778899aabbccddee",
        ] {
            assert_eq!(Kid::parse(bad), None, "{bad}");
        }
    }
}
