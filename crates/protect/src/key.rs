//! A content key's value: 16 bytes that are wiped when dropped and invisible in logs.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{Kid, ProtectError};

/// An AES-128 key.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Zeroizing<[u8; 16]>);

impl Key {
    /// Takes the bytes over.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Errors: `Value` unless there are 16 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, ProtectError> {
        bytes
            .try_into()
            .map(Self::new)
            .map_err(|_| ProtectError::value("content key", "must have 16 bytes"))
    }

    /// The key that a seed of at least 30 bytes gives for `kid`, as PlayReady derives it: three SHA-256 digests over the
    /// seed's first 30 bytes and the id's GUID bytes, folded by exclusive or.
    ///
    /// Errors: `Value` if the seed is shorter.
    /// Spec: PlayReady Header Specification, "Key seed algorithm".
    pub fn from_seed(seed: &[u8], kid: Kid) -> Result<Self, ProtectError> {
        let seed = seed
            .get(..30)
            .ok_or_else(|| ProtectError::value("key seed", "must have at least 30 bytes"))?;
        let guid = kid.guid_bytes();
        let digest = |parts: &[&[u8]]| {
            let mut hash = Sha256::new();
            parts.iter().for_each(|part| hash.update(part));
            Zeroizing::new(<[u8; 32]>::from(hash.finalize()))
        };
        let digests = [
            digest(&[seed, &guid]),
            digest(&[seed, &guid, seed]),
            digest(&[seed, &guid, seed, &guid]),
        ];
        let mut key = Zeroizing::new([0; 16]);
        for digest in &digests {
            let (low, high) = digest.split_at(16);
            for ((to, low), high) in key.iter_mut().zip(low).zip(high) {
                *to ^= low ^ high;
            }
        }
        Ok(Self(key))
    }

    /// The bytes themselves. Call this where they are used and nowhere else.
    pub fn expose(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}
