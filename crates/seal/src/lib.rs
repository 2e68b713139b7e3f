//! Secrets at rest: AES-256-GCM under a master key that never reaches the database.
//!
//! A sealed secret is bytes of our own layout, so that a later algorithm or a rotated master key can be told apart
//! from this one:
//!
//! | offset | length | what |
//! |---|---|---|
//! | 0 | 1 | format version, `1` |
//! | 1 | 4 | key id: the first bytes of SHA-256 over a label and the master key |
//! | 5 | 12 | nonce, random |
//! | 17 | n + 16 | AES-256-GCM ciphertext and tag |
//!
//! The associated data is the first five bytes followed by the caller's *context*, a short name of the place the
//! secret belongs to (`storage/local`). A sealed secret that is copied to another row does not open there.
//!
//! Spec: NIST SP 800-38D. One key seals fewer than 2^32 secrets, so random nonces are safe (section 8.3).
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod secret;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub use secret::Secret;

const FORMAT_VERSION: u8 = 1;
const KEY_ID_LEN: usize = 4;
const NONCE_LEN: usize = 12;

/// Why a secret could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The master key is not the base64 of 32 bytes.
    #[error("the master key is not the base64 of 32 bytes")]
    BadMasterKey,
    /// The bytes are not something this crate sealed, or a newer version did.
    #[error("not a sealed secret of a known format")]
    BadFormat,
    /// Sealed under a master key that is not among ours.
    #[error("sealed under another master key")]
    UnknownKey,
    /// The bytes were changed, or belong to another context.
    #[error("the sealed secret does not belong here or was changed")]
    NotAuthentic,
    /// The system gave no random bytes.
    #[error("no randomness available")]
    NoRandomness,
}

/// Seals and opens secrets. Cheap to build, holds the master key; its `Debug` shows nothing of it.
pub struct Seal {
    active: Key,
    retired: Vec<Key>,
}

struct Key {
    id: [u8; KEY_ID_LEN],
    cipher: Aes256Gcm,
}

impl Key {
    /// `base64`: standard alphabet, 32 bytes once decoded; space around it is ignored.
    fn parse(base64: &str) -> Result<Self, SealError> {
        let bytes = Zeroizing::new(
            STANDARD
                .decode(base64.trim())
                .map_err(|_| SealError::BadMasterKey)?,
        );
        let key: Zeroizing<[u8; 32]> = Zeroizing::new(
            bytes
                .as_slice()
                .try_into()
                .map_err(|_| SealError::BadMasterKey)?,
        );
        let digest = Sha256::new()
            .chain_update(b"headwater master key id")
            .chain_update(key.as_slice())
            .finalize();
        let mut id = [0; KEY_ID_LEN];
        for (to, from) in id.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        let cipher =
            Aes256Gcm::new_from_slice(key.as_slice()).map_err(|_| SealError::BadMasterKey)?;
        Ok(Self { id, cipher })
    }

    fn header(&self) -> Vec<u8> {
        let mut header = vec![FORMAT_VERSION];
        header.extend_from_slice(&self.id);
        header
    }
}

impl Seal {
    /// `master_key`: base64 of 32 bytes.
    ///
    /// Errors: [`SealError::BadMasterKey`].
    pub fn new(master_key: &str) -> Result<Self, SealError> {
        Ok(Self {
            active: Key::parse(master_key)?,
            retired: Vec::new(),
        })
    }

    /// Several master keys, separated by white space: the first seals, all of them open. That is how a key is replaced
    /// while an installation runs.
    ///
    /// Errors: [`SealError::BadMasterKey`], also for none at all.
    pub fn with_keys(master_keys: &str) -> Result<Self, SealError> {
        let mut keys = master_keys.split_ascii_whitespace();
        let active = Self::new(keys.next().ok_or(SealError::BadMasterKey)?)?;
        keys.try_fold(active, Self::with_retired)
    }

    /// Whether `sealed` is under the active key. What no key here made is not.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.starts_with(&self.active.header())
    }

    /// Also opens what an earlier master key sealed; new secrets use the active one.
    ///
    /// Errors: [`SealError::BadMasterKey`].
    pub fn with_retired(mut self, master_key: &str) -> Result<Self, SealError> {
        self.retired.push(Key::parse(master_key)?);
        Ok(self)
    }

    /// Seals `plain` for `context`. Two calls never give the same bytes.
    ///
    /// Errors: [`SealError::NoRandomness`].
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let mut sealed = self.active.header();
        let aad = associated_data(&sealed, context);
        let body = self
            .active
            .cipher
            .encrypt(
                &Nonce::from(nonce),
                Payload {
                    msg: plain,
                    aad: &aad,
                },
            )
            .map_err(|_| SealError::BadFormat)?;
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Opens what [`Seal::seal`] made for the same `context`.
    ///
    /// Errors: [`SealError::BadFormat`], [`SealError::UnknownKey`], [`SealError::NotAuthentic`].
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Secret, SealError> {
        let (header, rest) = sealed
            .split_at_checked(1 + KEY_ID_LEN)
            .ok_or(SealError::BadFormat)?;
        let (nonce, body) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(SealError::BadFormat)?;
        let (version, id) = header.split_first().ok_or(SealError::BadFormat)?;
        if *version != FORMAT_VERSION {
            return Err(SealError::BadFormat);
        }
        let key = std::iter::once(&self.active)
            .chain(&self.retired)
            .find(|key| key.id == id)
            .ok_or(SealError::UnknownKey)?;
        let plain = key
            .cipher
            .decrypt(
                &Nonce::from(*nonce),
                Payload {
                    msg: body,
                    aad: &associated_data(header, context),
                },
            )
            .map_err(|_| SealError::NotAuthentic)?;
        Ok(Secret::new(plain))
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

fn associated_data(header: &[u8], context: &str) -> Vec<u8> {
    let mut aad = header.to_vec();
    aad.extend_from_slice(context.as_bytes());
    aad
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const OTHER: &str = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=";

    #[test]
    fn opens_only_in_the_context_it_was_sealed_for() {
        let seal = Seal::new(KEY).unwrap();
        let sealed = seal.seal("storage/local", b"account key").unwrap();
        assert_eq!(
            seal.open("storage/local", &sealed).unwrap().expose(),
            b"account key"
        );
        assert_eq!(
            seal.open("storage/other", &sealed).unwrap_err(),
            SealError::NotAuthentic
        );
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let seal = Seal::new(KEY).unwrap();
        let sealed = seal.seal("c", b"x").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(seal.open("c", &changed).is_err(), "byte {at}");
        }
        for len in 0..sealed.len() {
            assert!(seal.open("c", &sealed[..len]).is_err(), "length {len}");
        }
    }

    #[test]
    fn a_retired_key_still_opens_and_an_unknown_one_is_named() {
        let sealed = Seal::new(OTHER).unwrap().seal("c", b"x").unwrap();
        assert_eq!(
            Seal::new(KEY).unwrap().open("c", &sealed).unwrap_err(),
            SealError::UnknownKey
        );
        let both = Seal::new(KEY).unwrap().with_retired(OTHER).unwrap();
        assert_eq!(both.open("c", &sealed).unwrap().expose(), b"x");
    }

    #[test]
    fn of_several_keys_the_first_seals_and_all_open() {
        let old = Seal::new(OTHER).unwrap().seal("c", b"x").unwrap();
        let both = Seal::with_keys(&format!(" {KEY}\n{OTHER} ")).unwrap();
        assert_eq!(both.open("c", &old).unwrap().expose(), b"x");
        assert!(!both.is_current(&old));
        let new = both.seal("c", b"x").unwrap();
        assert!(both.is_current(&new));
        assert_eq!(
            Seal::new(KEY).unwrap().open("c", &new).unwrap().expose(),
            b"x"
        );
        for bad in ["", " ", "AAEC", &format!("{KEY} AAEC")] {
            assert_eq!(Seal::with_keys(bad).unwrap_err(), SealError::BadMasterKey);
        }
    }

    #[test]
    fn rejects_keys_of_the_wrong_length() {
        for bad in ["", "AAEC", "not base64!"] {
            assert_eq!(Seal::new(bad).unwrap_err(), SealError::BadMasterKey);
        }
    }

    /// Made with Python's `cryptography`: `AESGCM(bytes(range(32))).encrypt(nonce, b"golden", header + b"test/golden")`.
    #[test]
    fn opens_a_vector_made_elsewhere() {
        let seal = Seal::new(KEY).unwrap();
        let sealed: Vec<u8> = GOLDEN
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        assert_eq!(
            seal.open("test/golden", &sealed).unwrap().expose(),
            b"golden"
        );
    }

    const GOLDEN: &str =
        "0188e7c02f6465666768696a6b6c6d6e6f2f74b2021c871ab140ed80b1db418b0152b23121857b";

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Seal::new(KEY).unwrap()), "Seal { .. }");
        assert_eq!(format!("{:?}", Secret::new(b"x".to_vec())), "Secret(..)");
    }
}
