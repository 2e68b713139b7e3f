//! `ContentProtection` elements of MPDs as values (ISO/IEC 23009-1 §5.8.4.1, ISO/IEC 23001-7 §11.2, DASH-IF IOP DRM).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::pssh::{Pssh, system};
use crate::text::Element;
use crate::{Kid, ProtectError, Scheme};

/// The namespaces that [`ContentProtection`] elements use, for the `MPD` element: prefix and URI.
pub const NAMESPACES: [(&str, &str); 5] = [
    ("cenc", "urn:mpeg:cenc:2013"),
    ("mspr", "urn:microsoft:playready"),
    ("dashif", "https://dashif.org/CPS"),
    ("ms", "urn:microsoft"),
    ("sea", "urn:mpeg:dash:schema:sea:2012"),
];

/// One `ContentProtection` element, with prefixes as in [`NAMESPACES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentProtection(Element);

impl std::fmt::Display for ContentProtection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

fn element(scheme_id: impl Into<String>) -> Element {
    Element::new("ContentProtection").with("schemeIdUri", scheme_id)
}

fn of_system(id: uuid::Uuid) -> Element {
    element(format!("urn:uuid:{id}"))
}

/// Where licences are: for players of today, and the attribute that those of AMS's time read.
fn laurl(url: &str) -> Element {
    Element::new("dashif:Laurl")
        .with("Lic_type", "EME-1.0")
        .text(url)
}

impl ContentProtection {
    /// The common element, which is first in an adaptation set.
    pub fn common(scheme: Scheme, kid: Kid) -> Self {
        Self(
            element("urn:mpeg:dash:mp4protection:2011")
                .with("value", scheme.name())
                .with("cenc:default_KID", kid.to_string()),
        )
    }

    /// Widevine. `pssh`: Widevine's.
    ///
    /// Errors: as [`Pssh::to_box`].
    pub fn widevine(pssh: &Pssh, license_url: Option<&str>) -> Result<Self, ProtectError> {
        let mut made =
            of_system(system::WIDEVINE).child(Element::new("cenc:pssh").text(pssh.base64()?));
        if let Some(url) = license_url {
            made = made
                .child(Element::new("ms:laurl").with("licenseUrl", url))
                .child(laurl(url));
        }
        Ok(Self(made))
    }

    /// PlayReady. `pssh`: PlayReady's, with the object as its data.
    ///
    /// Errors: as [`Pssh::to_box`].
    pub fn playready(pssh: &Pssh, license_url: Option<&str>) -> Result<Self, ProtectError> {
        let mut made = of_system(system::PLAYREADY)
            .with("value", "MSPR 2.0")
            .child(Element::new("cenc:pssh").text(pssh.base64()?))
            .child(Element::new("mspr:pro").text(STANDARD.encode(&pssh.data)));
        if let Some(url) = license_url {
            made = made.child(laurl(url));
        }
        Ok(Self(made))
    }

    /// The W3C's common `pssh`, which ClearKey players take key ids from.
    ///
    /// Errors: as [`Pssh::to_box`].
    pub fn w3c(kid: Kid) -> Result<Self, ProtectError> {
        let pssh = Pssh::common([kid]);
        Ok(Self(
            of_system(system::COMMON).child(Element::new("cenc:pssh").text(pssh.base64()?)),
        ))
    }

    /// ClearKey: where its licences are. Goes with [`Self::w3c`]: players differ in which of the two they look at.
    pub fn clearkey(license_url: &str) -> Self {
        Self(
            of_system(system::CLEARKEY)
                .with("value", "ClearKey1.0")
                .child(laurl(license_url)),
        )
    }

    /// Whole segments under AES-128 (ISO/IEC 23009-4). `key_url`: where the key itself is.
    pub fn envelope(key_url: &str, iv: [u8; 16]) -> Self {
        Self(envelope(key_url, iv))
    }

    /// The same for Smooth manifests, whose root declares no prefix.
    pub(crate) fn envelope_standing_alone(key_url: &str, iv: [u8; 16]) -> Self {
        Self(envelope(key_url, iv).with("xmlns:sea", "urn:mpeg:dash:schema:sea:2012"))
    }
}

fn envelope(key_url: &str, iv: [u8; 16]) -> Element {
    let iv = format!("0x{:032X}", u128::from_be_bytes(iv));
    element("urn:mpeg:dash:sea:2012")
        .child(
            Element::new("sea:SegmentEncryption")
                .with("schemeIdUri", "urn:mpeg:dash:sea:aes128-cbc:2013"),
        )
        .child(
            Element::new("sea:KeySystem")
                .with("keySystemUri", "urn:mpeg:dash:sea:keysys:http:2013"),
        )
        .child(
            Element::new("sea:CryptoPeriod")
                .with("IV", iv)
                .with("keyUriTemplate", key_url),
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widevine::WidevineData;

    #[test]
    fn elements_are_as_the_tables_say_and_escape() {
        let kid = Kid::parse("00112233445566778899AABBCCDDEEFF").unwrap();
        assert_eq!(
            ContentProtection::common(Scheme::Piff, kid).to_string(),
            "<ContentProtection schemeIdUri=\"urn:mpeg:dash:mp4protection:2011\" value=\"cenc\" cenc:default_KID=\"00112233-4455-6677-8899-aabbccddeeff\"/>"
        );
        assert_eq!(
            ContentProtection::clearkey("https://l/?a=1&b=<").to_string(),
            "<ContentProtection schemeIdUri=\"urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e\" value=\"ClearKey1.0\"><dashif:Laurl Lic_type=\"EME-1.0\">https://l/?a=1&amp;b=&lt;</dashif:Laurl></ContentProtection>"
        );
        let widevine = WidevineData::new([kid], Scheme::Cbcs).pssh();
        let declared: String = NAMESPACES
            .iter()
            .map(|(prefix, uri)| format!(" xmlns:{prefix}=\"{uri}\""))
            .collect();
        for made in [
            ContentProtection::widevine(&widevine, Some("https://l/")).unwrap(),
            ContentProtection::w3c(kid).unwrap(),
            ContentProtection::envelope("https://kd/?kid=1&x", [1; 16]),
        ] {
            roxmltree::Document::parse(&format!("<MPD{declared}>{made}</MPD>")).unwrap();
        }
    }
}
