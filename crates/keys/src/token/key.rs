//! The keys that a policy is configured with. Each is good for the algorithms of its own kind and no others.

use super::rsa;
use headwater_seal::Secret;
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, DecodingKey};
use sha2::{Sha256, Sha384, Sha512};

/// Shorter HMAC keys could be guessed (RFC 7518 §3.2).
const LEAST_SECRET: usize = 32;
/// Shortest RSA modulus, in bytes; older AMS policies have keys of 1024 bits.
const LEAST_MODULUS: usize = 128;
const MOST_MODULUS: usize = 1024;

/// Checks signatures.
#[derive(Clone)]
pub enum VerificationKey {
    /// HMAC with SHA-2.
    Symmetric(Secret),
    /// RSASSA-PKCS1-v1_5 and RSASSA-PSS with SHA-2.
    Rsa(Box<RsaKey>),
    /// ECDSA on P-256 with SHA-256.
    P256(Box<DecodingKey>),
}

/// An RSA public key.
#[derive(Clone)]
pub struct RsaKey {
    /// For RSASSA-PKCS1-v1_5.
    pkcs1: rsa::PublicKey,
    /// For RSASSA-PSS.
    pss: DecodingKey,
}

impl VerificationKey {
    /// A shared secret.
    ///
    /// Errors: what is wrong with it.
    pub fn symmetric(secret: Secret) -> Result<Self, &'static str> {
        if secret.expose().len() < LEAST_SECRET {
            return Err("a symmetric key must have at least 32 bytes");
        }
        Ok(Self::Symmetric(secret))
    }

    /// An RSA public key, both numbers big-endian.
    ///
    /// Errors: what is wrong with it.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, &'static str> {
        let strip = |bytes: &[u8]| -> Vec<u8> {
            bytes
                .iter()
                .skip_while(|byte| **byte == 0)
                .copied()
                .collect()
        };
        let (modulus, exponent) = (strip(modulus), strip(exponent));
        if !(LEAST_MODULUS..=MOST_MODULUS).contains(&modulus.len()) {
            return Err("an RSA modulus must have 1024 to 8192 bits");
        }
        let odd = |bytes: &[u8]| bytes.last().is_some_and(|byte| byte & 1 == 1);
        if !odd(&modulus) || !odd(&exponent) || exponent == [1] || exponent.len() > 4 {
            return Err("an RSA key must have an odd modulus and an odd exponent from 3 to 2^32");
        }
        let pss = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
        let number = |sum: u32, byte: &u8| (sum << 8) | u32::from(*byte);
        let pkcs1 = rsa::PublicKey::new(&modulus, exponent.iter().fold(0, number));
        let pkcs1 = pkcs1.ok_or("not an RSA modulus")?;
        Ok(Self::Rsa(Box::new(RsaKey { pkcs1, pss })))
    }

    /// The RSA key of an X.509 certificate in DER. Its dates and its issuer are not looked at: it is trusted because it is
    /// configured.
    ///
    /// Errors: what is wrong with it.
    pub fn certificate(der: &[u8]) -> Result<Self, &'static str> {
        let (modulus, exponent) = rsa_of(der).ok_or("not an X.509 certificate with an RSA key")?;
        Self::rsa(modulus, exponent)
    }

    /// Whether `signature` over `message` was made by this key with the algorithm of that name. `None`: the key is not for
    /// the algorithm.
    pub(super) fn check(
        &self,
        algorithm: &str,
        message: &[u8],
        signature: &str,
        raw: &[u8],
    ) -> Option<bool> {
        let with = |key: &DecodingKey, algorithm| {
            jsonwebtoken::crypto::verify(signature, message, key, algorithm).unwrap_or(false)
        };
        match (self, algorithm) {
            (Self::Symmetric(secret), "HS256") => Some(hmac256(secret.expose(), message, raw)),
            (Self::Symmetric(secret), "HS384") => {
                let mac = Hmac::<Sha384>::new_from_slice(secret.expose()).ok()?;
                Some(mac.chain_update(message).verify_slice(raw).is_ok())
            }
            (Self::Symmetric(secret), "HS512") => {
                let mac = Hmac::<Sha512>::new_from_slice(secret.expose()).ok()?;
                Some(mac.chain_update(message).verify_slice(raw).is_ok())
            }
            (Self::Rsa(rsa), "RS256" | "RS384" | "RS512") => {
                rsa.pkcs1.verify(algorithm, message, raw)
            }
            (Self::Rsa(rsa), "PS256") => Some(with(&rsa.pss, Algorithm::PS256)),
            (Self::Rsa(rsa), "PS384") => Some(with(&rsa.pss, Algorithm::PS384)),
            (Self::Rsa(rsa), "PS512") => Some(with(&rsa.pss, Algorithm::PS512)),
            (Self::P256(key), "ES256") => Some(with(key, Algorithm::ES256)),
            _ => None,
        }
    }
}

/// Constant time in the signature.
pub(super) fn hmac256(secret: &[u8], message: &[u8], signature: &[u8]) -> bool {
    Hmac::<Sha256>::new_from_slice(secret)
        .is_ok_and(|mac| mac.chain_update(message).verify_slice(signature).is_ok())
}

impl std::fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Symmetric(_) => "Symmetric(..)",
            Self::Rsa(_) => "Rsa(..)",
            Self::P256(_) => "P256(..)",
        })
    }
}

/// Modulus and exponent of a certificate's key (RFC 5280 §4.1, RFC 8017 §A.1.1).
fn rsa_of(der: &[u8]) -> Option<(&[u8], &[u8])> {
    /// 1.2.840.113549.1.1.1
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    let (mut certificate, _) = value(der, 0x30)?;
    let mut body = take(&mut certificate, 0x30)?;
    if body.first() == Some(&0xa0) {
        take(&mut body, 0xa0)?;
    }
    take(&mut body, 0x02)?;
    // Algorithm, issuer, validity, subject.
    for _ in 0..4 {
        take(&mut body, 0x30)?;
    }
    let mut info = take(&mut body, 0x30)?;
    let mut algorithm = take(&mut info, 0x30)?;
    (take(&mut algorithm, 0x06)? == RSA).then_some(())?;
    let bits = take(&mut info, 0x03)?.strip_prefix(&[0])?;
    let (mut key, _) = value(bits, 0x30)?;
    Some((take(&mut key, 0x02)?, take(&mut key, 0x02)?))
}

fn take<'a>(rest: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (found, after) = value(rest, tag)?;
    *rest = after;
    Some(found)
}

/// A value of that tag, and what follows it.
fn value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    (*first == tag).then_some(())?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 3))?;
            (
                digits
                    .iter()
                    .fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit)),
                rest,
            )
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
