//! Key tags of HLS playlists as values (RFC 8216 §4.3.2.4, §4.3.4.5; draft-pantos-hls-rfc8216bis §4.4.4.4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::pssh::Pssh;
use crate::{Kid, ProtectError, Scheme};

/// What `METHOD` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Whole segments.
    Aes128,
    /// Samples: `cbcs` in fMP4, Apple's own in TS.
    SampleAes,
    /// Samples with `cenc`.
    SampleAesCtr,
}

impl Method {
    /// For samples of fMP4 under `scheme`.
    pub const fn of(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Cbcs => Self::SampleAes,
            Scheme::Cenc | Scheme::Piff => Self::SampleAesCtr,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Aes128 => "AES-128",
            Self::SampleAes => "SAMPLE-AES",
            Self::SampleAesCtr => "SAMPLE-AES-CTR",
        }
    }
}

/// The attributes of `EXT-X-KEY` and `EXT-X-SESSION-KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTag {
    /// `METHOD`.
    pub method: Method,
    /// `URI`.
    pub uri: String,
    /// `IV`.
    pub iv: Option<[u8; 16]>,
    /// `KEYID`, which is no standard attribute and which Widevine and ClearKey players want.
    pub key_id: Option<Kid>,
    /// `KEYFORMAT`; `None`: `identity`.
    pub format: Option<&'static str>,
}

impl KeyTag {
    /// The key itself, from `uri`: AES-128, and SAMPLE-AES with a key that players may see.
    pub fn identity(method: Method, uri: impl Into<String>, iv: [u8; 16]) -> Self {
        Self {
            method,
            uri: uri.into(),
            iv: Some(iv),
            key_id: None,
            format: None,
        }
    }

    /// FairPlay. `uri`: `skd://…`. The vector comes with the licence.
    pub fn fairplay(uri: impl Into<String>) -> Self {
        Self {
            method: Method::SampleAes,
            uri: uri.into(),
            iv: None,
            key_id: None,
            format: Some("com.apple.streamingkeydelivery"),
        }
    }

    /// Widevine. `pssh`: Widevine's.
    ///
    /// Errors: as [`Pssh::to_box`].
    pub fn widevine(scheme: Scheme, kid: Kid, pssh: &Pssh) -> Result<Self, ProtectError> {
        Ok(Self {
            method: Method::of(scheme),
            uri: format!("data:text/plain;base64,{}", pssh.base64()?),
            iv: None,
            key_id: Some(kid),
            format: Some("urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"),
        })
    }

    /// PlayReady. `object`: the PlayReady object.
    pub fn playready(scheme: Scheme, object: &[u8]) -> Self {
        let object = STANDARD.encode(object);
        Self {
            method: Method::of(scheme),
            uri: format!("data:text/plain;charset=UTF-16;base64,{object}"),
            iv: None,
            key_id: None,
            format: Some("com.microsoft.playready"),
        }
    }

    /// ClearKey, as hls.js plays it without complaint: the bare key id, not a `pssh`.
    pub fn clearkey(scheme: Scheme, kid: Kid) -> Self {
        Self {
            method: Method::of(scheme),
            uri: format!("data:text/plain;base64,{}", STANDARD.encode(kid.bytes())),
            iv: None,
            key_id: Some(kid),
            format: Some("org.w3.clearkey"),
        }
    }

    /// The tag of a media playlist, without a line break.
    pub fn key_line(&self) -> String {
        format!("#EXT-X-KEY:{self}")
    }

    /// The tag of a master playlist.
    pub fn session_key_line(&self) -> String {
        format!("#EXT-X-SESSION-KEY:{self}")
    }

    /// The lowest `EXT-X-VERSION` that has the attributes.
    pub const fn version(&self) -> u8 {
        match (self.method, self.format, self.iv) {
            (Method::SampleAes | Method::SampleAesCtr, _, _) | (_, Some(_), _) => 5,
            (_, None, Some(_)) => 2,
            (_, None, None) => 1,
        }
    }
}

/// The attribute list.
impl std::fmt::Display for KeyTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A quoted string holds no quote and no line break (§4.2).
        let uri: String = self
            .uri
            .chars()
            .filter(|c| *c != '"' && !c.is_control())
            .collect();
        write!(f, "METHOD={},URI=\"{uri}\"", self.method.name())?;
        if let Some(iv) = self.iv {
            write!(f, ",IV=0x{:032x}", u128::from_be_bytes(iv))?;
        }
        if let Some(kid) = self.key_id {
            write!(f, ",KEYID=0x{}", kid.hex())?;
        }
        if let Some(format) = self.format {
            write!(f, ",KEYFORMAT=\"{format}\",KEYFORMATVERSIONS=\"1\"")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::widevine::WidevineData;

    #[test]
    fn tags_are_as_the_tables_say() {
        let kid = Kid::parse("00112233-4455-6677-8899-aabbccddeeff").unwrap();
        let tag = KeyTag::identity(Method::Aes128, "https://kd/?kid=1", [1; 16]);
        assert_eq!(
            tag.key_line(),
            "#EXT-X-KEY:METHOD=AES-128,URI=\"https://kd/?kid=1\",IV=0x01010101010101010101010101010101"
        );
        assert_eq!(
            KeyTag::fairplay("skd://kd/FairPlay/?kid=1").session_key_line(),
            "#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://kd/FairPlay/?kid=1\",KEYFORMAT=\"com.apple.streamingkeydelivery\",KEYFORMATVERSIONS=\"1\""
        );
        let pssh = WidevineData::new([kid], Scheme::Cenc).pssh();
        let line = KeyTag::widevine(Scheme::Cenc, kid, &pssh)
            .unwrap()
            .key_line();
        assert!(
            line.starts_with("#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI=\"data:text/plain;base64,AAAA"),
            "{line}"
        );
        assert!(
            line.contains(
                ",KEYID=0x00112233445566778899aabbccddeeff,KEYFORMAT=\"urn:uuid:edef8ba9-"
            )
        );
        let line = KeyTag::clearkey(Scheme::Cbcs, kid).key_line();
        assert!(
            line.contains(
                "METHOD=SAMPLE-AES,URI=\"data:text/plain;base64,ABEiM0RVZneImaq7zN3u/w==\""
            )
        );
        let hostile = KeyTag::identity(Method::Aes128, "https://kd/\"\n#EXT-X-ENDLIST", [0; 16]);
        assert_eq!(hostile.key_line().lines().count(), 1);
    }
}
