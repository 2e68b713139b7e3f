//! `pssh`: what a key system wants to know before it asks for a key (CENC §8.1).
//!
//! ```text
//! version 0 | 1, flags 0, 16 bytes system id, version 1: [u32 count, count key ids], u32 length, data
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::{Uuid, uuid};

use crate::boxes::{PIFF_PSSH, boxed, version};
use crate::{Kid, ProtectError};

/// Ids of key systems, as registered with DASH-IF.
pub mod system {
    use super::{Uuid, uuid};

    /// The common box of the W3C: key ids and nothing else.
    pub const COMMON: Uuid = uuid!("1077efec-c0b2-4d02-ace3-3c1e52e2fb4b");
    /// ClearKey, in MPDs only.
    pub const CLEARKEY: Uuid = uuid!("e2719d58-a985-b3c9-781a-b030af78d30e");
    /// Widevine.
    pub const WIDEVINE: Uuid = uuid!("edef8ba9-79d6-4ace-a3c8-27dcd51d21ed");
    /// PlayReady.
    pub const PLAYREADY: Uuid = uuid!("9a04f079-9840-4286-ab92-e65be0885f95");
    /// FairPlay Streaming.
    pub const FAIRPLAY: Uuid = uuid!("94ce86fb-07ff-4f43-adb8-93d2fa968ca2");
}

/// Most key ids that a box is read with.
const MAX_KIDS: usize = 1024;

/// A protection system specific header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pssh {
    /// See [`system`].
    pub system: Uuid,
    /// Written as version 1 if there are any.
    pub kids: Vec<Kid>,
    /// Of the system's own making.
    pub data: Vec<u8>,
}

impl Pssh {
    /// The W3C's common box.
    pub fn common(kids: impl Into<Vec<Kid>>) -> Self {
        Self {
            system: system::COMMON,
            kids: kids.into(),
            data: Vec::new(),
        }
    }

    fn body(&self) -> Result<Vec<u8>, ProtectError> {
        let len = |len: usize| {
            u32::try_from(len)
                .map(u32::to_be_bytes)
                .map_err(|_| ProtectError::TooLarge("a pssh box"))
        };
        let mut out = version(u8::from(!self.kids.is_empty()), 0).to_vec();
        out.extend_from_slice(self.system.as_bytes());
        if !self.kids.is_empty() {
            out.extend_from_slice(&len(self.kids.len())?);
            self.kids
                .iter()
                .for_each(|kid| out.extend_from_slice(kid.bytes()));
        }
        out.extend_from_slice(&len(self.data.len())?);
        out.extend_from_slice(&self.data);
        Ok(out)
    }

    /// The whole box.
    ///
    /// Errors: `TooLarge`.
    pub fn to_box(&self) -> Result<Vec<u8>, ProtectError> {
        boxed(b"pssh", &[&self.body()?])
    }

    /// The whole box in base64: `cenc:pssh`, `data:` URIs.
    pub fn base64(&self) -> Result<String, ProtectError> {
        Ok(STANDARD.encode(self.to_box()?))
    }

    /// PIFF's box, which knows no key ids.
    pub fn to_piff(&self) -> Result<Vec<u8>, ProtectError> {
        let plain = Self {
            kids: Vec::new(),
            ..self.clone()
        };
        boxed(b"uuid", &[&PIFF_PSSH, &plain.body()?])
    }

    /// Reads one or more whole boxes, as EME's `cenc` init data has them.
    ///
    /// Errors: `Box`.
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>, ProtectError> {
        crate::init::children(bytes, "pssh", 0)?
            .into_iter()
            .map(|found| {
                let fault = |fault| ProtectError::Box {
                    path: "pssh".into(),
                    offset: 0,
                    fault,
                };
                if &found.kind != b"pssh" {
                    return Err(fault("it is another box"));
                }
                Self::read(found.body).ok_or_else(|| fault("it does not parse"))
            })
            .collect()
    }

    fn read(body: &[u8]) -> Option<Self> {
        let (head, rest) = body.split_first_chunk::<4>()?;
        let (system, mut rest) = rest.split_first_chunk::<16>()?;
        let mut kids = Vec::new();
        if head.first()? > &0 {
            let (count, after) = rest.split_first_chunk::<4>()?;
            rest = after;
            let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
            if count > MAX_KIDS {
                return None;
            }
            for _ in 0..count {
                let (kid, after) = rest.split_first_chunk::<16>()?;
                kids.push(Kid::from_bytes(*kid));
                rest = after;
            }
        }
        let (length, data) = rest.split_first_chunk::<4>()?;
        (usize::try_from(u32::from_be_bytes(*length)).ok()? == data.len()).then_some(())?;
        Some(Self {
            system: Uuid::from_bytes(*system),
            kids,
            data: data.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_box_comes_back(system: [u8; 16], kids: Vec<[u8; 16]>, data: Vec<u8>) {
            let pssh = Pssh {
                system: Uuid::from_bytes(system),
                kids: kids.into_iter().map(Kid::from_bytes).collect(),
                data,
            };
            let bytes = pssh.to_box().unwrap();
            prop_assert_eq!(Pssh::read_all(&bytes).unwrap(), [pssh]);
            for end in 1..bytes.len() {
                prop_assert!(Pssh::read_all(&bytes[..end]).is_err());
            }
        }
    }
}
