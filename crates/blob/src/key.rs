//! The account key and the one thing done with it: HMAC-SHA256.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A storage account's key. Its bytes never appear in `Debug` output or in an error.
#[derive(Clone)]
pub struct AccountKey {
    secret: Zeroizing<Vec<u8>>,
    /// The keyed state, so that a signature costs no key schedule.
    mac: Hmac<Sha256>,
}

/// The text is not a base64 key of 16 to 256 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an account key is 16 to 256 bytes in standard base64")]
pub struct InvalidKey;

impl AccountKey {
    /// Reads the key as the portal and connection strings show it: standard base64.
    pub fn from_base64(text: &str) -> Result<Self, InvalidKey> {
        let secret = STANDARD.decode(text.trim()).map_err(|_| InvalidKey)?;
        Self::from_bytes(secret)
    }

    /// Takes the raw key. Azure's keys are 64 random bytes.
    pub fn from_bytes(secret: Vec<u8>) -> Result<Self, InvalidKey> {
        let secret = Zeroizing::new(secret);
        if !(16..=256).contains(&secret.len()) {
            return Err(InvalidKey);
        }
        let mac = Hmac::<Sha256>::new_from_slice(&secret).map_err(|_| InvalidKey)?;
        Ok(Self { secret, mac })
    }

    /// The key as standard base64. For connection strings and for sealing; never for a log.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.secret.as_slice())
    }

    /// HMAC-SHA256 of `string_to_sign` as standard base64.
    pub(crate) fn sign(&self, string_to_sign: &str) -> String {
        let mut mac = self.mac.clone();
        mac.update(string_to_sign.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }

    /// Compares in constant time. A signature that is not base64 is simply wrong.
    pub(crate) fn verify(&self, string_to_sign: &str, signature_base64: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature_base64) else {
            return false;
        };
        let mut mac = self.mac.clone();
        mac.update(string_to_sign.as_bytes());
        mac.verify_slice(&signature).is_ok()
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key every Azure emulator uses; printed in Microsoft's documentation.
    const EMULATOR: &str =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    #[test]
    fn debug_output_hides_the_key() {
        let key = AccountKey::from_base64(EMULATOR).unwrap();
        assert_eq!(format!("{key:?}"), "AccountKey(..)");
        assert_eq!(key.to_base64(), EMULATOR);
    }

    #[test]
    fn a_signature_verifies_only_for_its_text() {
        let key = AccountKey::from_base64(EMULATOR).unwrap();
        let signature = key.sign("a\nb");
        assert!(key.verify("a\nb", &signature));
        assert!(!key.verify("a\nc", &signature));
        assert!(!key.verify("a\nb", "not base64!"));
        assert!(!key.verify("a\nb", ""));
    }

    #[test]
    fn short_and_malformed_keys_are_refused() {
        assert!(AccountKey::from_base64("c2hvcnQ=").is_err());
        assert!(AccountKey::from_base64("***").is_err());
        assert!(AccountKey::from_bytes(vec![0; 257]).is_err());
    }
}
