//! PlayReady objects and their header (Microsoft, PlayReady Header Object and PlayReady Header specifications).
//!
//! ```text
//! u32le length of all, u16le records, then per record: u16le type, u16le length, bytes
//! ```
//! Type 1 is the header: `WRMHEADER` XML in UTF-16LE without a byte order mark. 4.0.0.0 where it can be, since every client
//! reads it; 4.2.0.0 for several keys; 4.3.0.0 for AES-CBC, which knows no checksum.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::pssh::{Pssh, system};
use crate::text::Element;
use crate::{Key, Kid, ProtectError, Scheme};

/// Longest object that clients must take.
pub const MAX_OBJECT_BYTES: usize = 15 * 1024;
const HEADER_RECORD: u16 = 1;
const NAMESPACE: &str = "http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader";

/// What a header is to say.
#[derive(Debug, Clone)]
pub struct PlayReadyHeader<'a> {
    /// With the key, for its checksum; at least one.
    pub keys: &'a [(Kid, Key)],
    /// Decides about the version.
    pub scheme: Scheme,
    /// Where licences are: `LA_URL`.
    pub license_url: Option<&'a str>,
    /// `CUSTOMATTRIBUTES`: a well-formed fragment of XML, which AMS policies give (`playReadyCustomAttributes`).
    pub custom_attributes: Option<&'a str>,
}

/// First 8 bytes of the id's GUID bytes, encrypted with the key as one block.
pub fn checksum(kid: Kid, key: &Key) -> [u8; 8] {
    let mut block = Array(kid.guid_bytes());
    Aes128::new(&Array(*key.expose())).encrypt_block(&mut block);
    let [a, b, c, d, e, f, g, h, ..] = block.0;
    [a, b, c, d, e, f, g, h]
}

impl PlayReadyHeader<'_> {
    /// The `WRMHEADER` as text.
    ///
    /// Errors: `Value` without keys, or for custom attributes that are not well-formed.
    pub fn xml(&self) -> Result<String, ProtectError> {
        let Some((first, rest)) = self.keys.split_first() else {
            return Err(ProtectError::value("PlayReady header", "needs a key"));
        };
        let sum = |(kid, key): &(Kid, Key)| STANDARD.encode(checksum(*kid, key));
        let base = Element::new("DATA");
        let (version, mut head) = if self.scheme != Scheme::Cbcs && rest.is_empty() {
            let info = Element::new("PROTECTINFO")
                .child(Element::new("KEYLEN").text("16"))
                .child(Element::new("ALGID").text("AESCTR"));
            let data = base
                .child(info)
                .child(Element::new("KID").text(first.0.guid_base64()))
                .child(Element::new("CHECKSUM").text(sum(first)));
            ("4.0.0.0", data)
        } else {
            let cbc = self.scheme == Scheme::Cbcs;
            let kids = self.keys.iter().map(|key| {
                // Attributes in alphabetical order, elements closed by name.
                Element::new("KID")
                    .with("ALGID", if cbc { "AESCBC" } else { "AESCTR" })
                    .maybe("CHECKSUM", (!cbc).then(|| sum(key)))
                    .with("VALUE", key.0.guid_base64())
                    .text("")
            });
            let info = Element::new("PROTECTINFO").list("KIDS", kids);
            (if cbc { "4.3.0.0" } else { "4.2.0.0" }, base.child(info))
        };
        if let Some(url) = self.license_url {
            head = head.child(Element::new("LA_URL").text(url));
        }
        let mut out =
            format!("<WRMHEADER xmlns=\"{NAMESPACE}\" version=\"{version}\">{head}</WRMHEADER>");
        if let Some(custom) = self.custom_attributes {
            let custom = format!("<CUSTOMATTRIBUTES>{custom}</CUSTOMATTRIBUTES>");
            roxmltree::Document::parse(&custom).map_err(|_| {
                ProtectError::value("playReadyCustomAttributes", "is not well-formed XML")
            })?;
            out = out.replace(
                "</DATA></WRMHEADER>",
                &format!("{custom}</DATA></WRMHEADER>"),
            );
        }
        Ok(out)
    }

    /// The PlayReady object.
    ///
    /// Errors: as [`Self::xml`]; `TooLarge` past [`MAX_OBJECT_BYTES`].
    pub fn object(&self) -> Result<Vec<u8>, ProtectError> {
        let xml = self.xml()?;
        let header: Vec<u8> = xml.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let total = header.len().saturating_add(10);
        if total > MAX_OBJECT_BYTES {
            return Err(ProtectError::TooLarge("the PlayReady object"));
        }
        let too_large = |_| ProtectError::TooLarge("the PlayReady object");
        let mut out = u32::try_from(total)
            .map_err(too_large)?
            .to_le_bytes()
            .to_vec();
        out.extend_from_slice(&1_u16.to_le_bytes());
        out.extend_from_slice(&HEADER_RECORD.to_le_bytes());
        out.extend_from_slice(
            &u16::try_from(header.len())
                .map_err(too_large)?
                .to_le_bytes(),
        );
        out.extend(header);
        Ok(out)
    }

    /// The `pssh`, of version 0.
    ///
    /// Errors: as [`Self::object`].
    pub fn pssh(&self) -> Result<Pssh, ProtectError> {
        Ok(Pssh {
            system: system::PLAYREADY,
            kids: Vec::new(),
            data: self.object()?,
        })
    }
}

/// The header of a PlayReady object as text.
///
/// Errors: `Value`.
pub fn header_of(object: &[u8]) -> Result<String, ProtectError> {
    let fault = |fault| ProtectError::value("PlayReady object", fault);
    let cut = || fault("is cut off");
    let (length, rest) = object.split_first_chunk::<4>().ok_or_else(cut)?;
    if usize::try_from(u32::from_le_bytes(*length)) != Ok(object.len()) {
        return Err(fault("has another length than it says"));
    }
    let (count, mut rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
    for _ in 0..u16::from_le_bytes(*count) {
        let (kind, after) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
        let (length, after) = after.split_first_chunk::<2>().ok_or_else(cut)?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (value, after) = after.split_at_checked(length).ok_or_else(cut)?;
        rest = after;
        if u16::from_le_bytes(*kind) == HEADER_RECORD {
            let (units, odd) = value.as_chunks::<2>();
            if !odd.is_empty() {
                return Err(fault("has a header of an odd number of bytes"));
            }
            let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
            return String::from_utf16(&units)
                .map_err(|_| fault("has a header that is not UTF-16"));
        }
    }
    Err(fault("has no header"))
}

/// The key ids of a `WRMHEADER` of any version.
///
/// Errors: `Value` if it is not one, or has none.
pub fn kids_of(xml: &str) -> Result<Vec<Kid>, ProtectError> {
    let fault = |fault: &str| ProtectError::value("WRMHEADER", fault);
    let document = roxmltree::Document::parse(xml).map_err(|_| fault("is not well-formed XML"))?;
    let root = document.root_element();
    if root.tag_name().name() != "WRMHEADER" {
        return Err(fault("is another element"));
    }
    let kids = root
        .descendants()
        .filter(|node| node.is_element() && node.tag_name().name() == "KID")
        .map(|node| {
            let value = node
                .attribute("VALUE")
                .or_else(|| node.text())
                .unwrap_or_default();
            Kid::from_guid_base64(value).ok_or_else(|| fault("has a KID that is not one"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if kids.is_empty() {
        return Err(fault("has no KID"));
    }
    Ok(kids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str, fill: u8) -> (Kid, Key) {
        (Kid::parse(text).unwrap(), Key::new([fill; 16]))
    }

    #[test]
    fn each_scheme_and_count_has_its_version() {
        let one = [key("00112233-4455-6677-8899-aabbccddeeff", 1)];
        let two = [
            one[0].clone(),
            key("10112233-4455-6677-8899-aabbccddeeff", 2),
        ];
        for (keys, scheme, version, sums) in [
            (&one[..], Scheme::Cenc, "4.0.0.0", true),
            (&two[..], Scheme::Cenc, "4.2.0.0", true),
            (&one[..], Scheme::Cbcs, "4.3.0.0", false),
            (&two[..], Scheme::Cbcs, "4.3.0.0", false),
            (&one[..], Scheme::Piff, "4.0.0.0", true),
        ] {
            let header = PlayReadyHeader {
                keys,
                scheme,
                license_url: Some("https://kd/?a=1&b=2"),
                custom_attributes: Some("<a>b</a>"),
            };
            let xml = header.xml().unwrap();
            assert!(xml.contains(&format!("version=\"{version}\"")), "{xml}");
            assert_eq!(xml.contains("CHECKSUM"), sums);
            assert!(xml.contains("<LA_URL>https://kd/?a=1&amp;b=2</LA_URL><CUSTOMATTRIBUTES><a>b</a></CUSTOMATTRIBUTES></DATA>"));
            let read = kids_of(&header_of(&header.object().unwrap()).unwrap()).unwrap();
            assert_eq!(read, keys.iter().map(|key| key.0).collect::<Vec<_>>());
            assert!(!xml.contains("/>"));
        }
        let broken = PlayReadyHeader {
            keys: &one,
            scheme: Scheme::Cenc,
            license_url: None,
            custom_attributes: Some("</CUSTOMATTRIBUTES><x>"),
        };
        assert!(broken.xml().is_err());
    }
}
