//! Ed25519 signing keys.
//!
//! Private keys travel as PKCS#8 DER (RFC 8410 section 7, version 1: the seed without the public key), public ones as the
//! `x` of a JWK (RFC 8037 section 2). A key's `kid` is its JWK thumbprint (RFC 7638), so it follows from the key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headwater_seal::Secret;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use sha2::{Digest, Sha256};

use crate::token::{AuthError, Claims};

/// `SEQUENCE { INTEGER 0, SEQUENCE { OID 1.3.101.112 }, OCTET STRING { OCTET STRING (32 bytes) } }` up to the seed.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The half of a signing key that everybody may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub kid: String,
    /// The raw key, base64url without padding.
    pub x: String,
}

/// Signs tokens. `Debug` shows the key id only.
#[derive(Debug)]
pub struct SigningKey {
    public: PublicKey,
    private: Secret,
}

impl SigningKey {
    /// Makes a new key from the system's randomness.
    ///
    /// Errors: [`AuthError::NoRandomness`].
    pub fn generate() -> Result<Self, AuthError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| AuthError::NoRandomness)?;
        let mut pkcs8 = PKCS8_PREFIX.to_vec();
        pkcs8.extend_from_slice(&seed);
        Self::from_pkcs8(Secret::new(pkcs8))
    }

    /// Takes up a key that [`SigningKey::pkcs8`] gave.
    ///
    /// Errors: [`AuthError::BadKey`].
    pub fn from_pkcs8(pkcs8: Secret) -> Result<Self, AuthError> {
        let seed: &[u8; 32] = pkcs8
            .expose()
            .strip_prefix(&PKCS8_PREFIX)
            .and_then(|seed| seed.try_into().ok())
            .ok_or(AuthError::BadKey)?;
        let raw = ed25519_dalek::SigningKey::from_bytes(seed)
            .verifying_key()
            .to_bytes();
        let x = URL_SAFE_NO_PAD.encode(raw);
        let kid = thumbprint(&x);
        Ok(Self {
            public: PublicKey { kid, x },
            private: pkcs8,
        })
    }

    /// The private key, for sealing.
    pub fn pkcs8(&self) -> &Secret {
        &self.private
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// A token with these claims.
    ///
    /// Errors: [`AuthError::BadKey`].
    pub fn issue(&self, claims: &Claims) -> Result<String, AuthError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.public.kid.clone());
        let key = EncodingKey::from_ed_der(self.private.expose());
        jsonwebtoken::encode(&header, claims, &key).map_err(|_| AuthError::BadKey)
    }
}

/// 32 random bytes as base64url without padding: 256 bits that nobody guesses, so hashing them once is enough to keep them.
///
/// Errors: [`AuthError::NoRandomness`].
pub fn random_secret() -> Result<String, AuthError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| AuthError::NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn thumbprint(x: &str) -> String {
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(canonical.as_bytes()))
}

/// The JWK set of these keys: what `/.well-known/jwks.json` answers.
pub fn jwks(keys: &[PublicKey]) -> serde_json::Value {
    let keys: Vec<_> = keys
        .iter()
        .map(|key| {
            serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key.kid, "x": key.x,
            })
        })
        .collect();
    serde_json::json!({ "keys": keys })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kid_of_the_rfc_8037_key_is_its_published_thumbprint() {
        // RFC 8037 appendix A.1 to A.3.
        let seed = URL_SAFE_NO_PAD
            .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
            .unwrap();
        let mut pkcs8 = PKCS8_PREFIX.to_vec();
        pkcs8.extend_from_slice(&seed);
        let key = SigningKey::from_pkcs8(Secret::new(pkcs8)).unwrap();
        assert_eq!(
            key.public().x,
            "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
        );
        assert_eq!(
            key.public().kid,
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn a_stored_key_is_the_same_key() {
        let key = SigningKey::generate().unwrap();
        let again = SigningKey::from_pkcs8(key.pkcs8().clone()).unwrap();
        assert_eq!(key.public(), again.public());
        assert_eq!(
            SigningKey::from_pkcs8(Secret::new(vec![1, 2, 3])).unwrap_err(),
            AuthError::BadKey
        );
    }

    #[test]
    fn the_key_set_holds_no_private_part() {
        let key = SigningKey::generate().unwrap();
        let set = jwks(std::slice::from_ref(key.public()));
        assert!(set["keys"][0].get("d").is_none());
        assert_eq!(set["keys"][0]["kid"], key.public().kid);
    }
}
