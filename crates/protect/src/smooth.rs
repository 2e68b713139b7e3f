//! `ProtectionHeader` of Smooth Streaming manifests as a value ([MS-SSTR] §2.2.2.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::dash::ContentProtection;
use crate::text::{Element, escape};

/// The `Protection` element's one header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectionHeader {
    /// GUID text, upper case.
    pub system_id: &'static str,
    /// What is between the tags.
    pub content: String,
}

impl ProtectionHeader {
    /// PlayReady. `object`: the PlayReady object.
    pub fn playready(object: &[u8]) -> Self {
        Self {
            system_id: "9A04F079-9840-4286-AB92-E65BE0885F95",
            content: STANDARD.encode(object),
        }
    }

    /// Whole fragments under AES-128, as Azure Media Services signals them.
    pub fn envelope(key_url: &str, iv: [u8; 16]) -> Self {
        Self {
            system_id: "B47B251A-2409-4B42-958E-08DBAE7B4EE9",
            content: escape(&ContentProtection::envelope_standing_alone(key_url, iv).to_string()),
        }
    }
}

/// The whole `Protection` element.
impl std::fmt::Display for ProtectionHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let header = Element::new("ProtectionHeader")
            .with("SystemID", self.system_id)
            .text("");
        let header = header
            .to_string()
            .replace("></", &format!(">{}</", self.content));
        write!(f, "<Protection>{header}</Protection>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_headers_are_well_formed() {
        let made = ProtectionHeader::playready(&[1, 2, 3]).to_string();
        assert_eq!(
            made,
            "<Protection><ProtectionHeader SystemID=\"9A04F079-9840-4286-AB92-E65BE0885F95\">AQID</ProtectionHeader></Protection>"
        );
        let made = ProtectionHeader::envelope("https://kd/?kid=1&a=2", [1; 16]).to_string();
        let outer = roxmltree::Document::parse(&made).unwrap();
        let inner = outer.descendants().find_map(|node| node.text()).unwrap();
        let inner = roxmltree::Document::parse(inner).unwrap();
        let period = inner
            .descendants()
            .find(|node| node.has_tag_name(("urn:mpeg:dash:schema:sea:2012", "CryptoPeriod")))
            .unwrap();
        assert_eq!(
            period.attribute("keyUriTemplate"),
            Some("https://kd/?kid=1&a=2")
        );
    }
}
