//! Encryption of a plan's body: a cipher run over what its steps give (ADR 14).
//!
//! The steps stay what they are without it. What the run makes of them is a text of its own, of which the body is a window:
//! so a part of a body needs no more of the media than the samples, or the chain of blocks, that reach into it.

use crate::{MAX_TOTAL_BYTES, Plan, PlanBuilder, PlanError};
use bytes::Bytes;
use headwater_protect::{Cipher, Engine, Key, ProtectError};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Most bytes of a cipher run in its wire form: the subsamples that `headwater-protect` lets a run have, and its head.
pub const MAX_CIPHER_BYTES: usize = (1 << 18) * 11 + 64;
/// Bytes after the last one wanted that the engine may have to see before it lets go of that.
const HELD: u64 = 15;

/// How the output of a plan's steps becomes its body. The key is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Cover {
    pub(crate) clear: u64,
    pub(crate) cipher: Cipher,
    pub(crate) key: Key,
    pub(crate) skip: u64,
    pub(crate) len: u64,
}

impl Cover {
    /// Bytes at the start that stay as they are: a segment's head.
    pub fn clear(&self) -> u64 {
        self.clear
    }

    /// What is done to the bytes after those.
    pub fn cipher(&self) -> &Cipher {
        &self.cipher
    }

    /// `given`: bytes of the steps together.
    fn check(&self, given: u64) -> Result<(), PlanError> {
        let whole = self
            .clear
            .checked_add(self.cipher.input_len())
            .ok_or(PlanError::RangeOverflow)?;
        let end = self
            .skip
            .checked_add(self.len)
            .ok_or(PlanError::RangeOverflow)?;
        if given > whole || self.clear > given {
            return Err(PlanError::Cipher(
                "it covers other bytes than the steps have",
            ));
        }
        let there = match given == whole {
            true => self.clear.saturating_add(self.cipher.output_len()),
            false => given.saturating_sub(HELD),
        };
        if self.len == 0 || end > there {
            return Err(PlanError::Cipher("its length is not that of its steps"));
        }
        if end > MAX_TOTAL_BYTES {
            return Err(PlanError::Limit {
                what: "bytes",
                limit: MAX_TOTAL_BYTES,
            });
        }
        if self.cipher.encode().len() > MAX_CIPHER_BYTES {
            return Err(PlanError::Limit {
                what: "bytes of a cipher run",
                limit: u64::try_from(MAX_CIPHER_BYTES).unwrap_or(u64::MAX),
            });
        }
        Ok(())
    }
}

impl Plan {
    /// The plan whose body is this one's encrypted: all but the first `clear` bytes go through `cipher` under `key`.
    ///
    /// Errors: [`PlanError::Cipher`] if the run is for another number of bytes, or there is one already.
    pub fn cover(self, clear: u64, cipher: Cipher, key: Key) -> Result<Self, PlanError> {
        if self.0.cover.is_some() {
            return Err(PlanError::Cipher("there is one already"));
        }
        if clear.checked_add(cipher.input_len()) != Some(self.0.total) {
            return Err(PlanError::Cipher(
                "it covers other bytes than the steps have",
            ));
        }
        let len = clear.saturating_add(cipher.output_len());
        self.covered(Cover {
            clear,
            cipher,
            key,
            skip: 0,
            len,
        })
    }

    pub(crate) fn covered(mut self, cover: Cover) -> Result<Self, PlanError> {
        cover.check(self.given())?;
        let parts = Arc::make_mut(&mut self.0);
        parts.total = cover.len;
        parts.cover = Some(cover);
        parts.encoded = OnceLock::new();
        Ok(self)
    }

    /// Bytes of the steps together: of the body, unless there is a cover.
    pub(crate) fn given(&self) -> u64 {
        let steps = self.0.steps.iter().map(crate::Step::len);
        steps.fold(0, u64::saturating_add)
    }

    /// How the body is encrypted.
    pub fn encryption(&self) -> Option<&Cover> {
        self.0.cover.as_ref()
    }

    /// The part `range` of the body, which is inside of it.
    pub(crate) fn slice_covered(
        &self,
        cover: &Cover,
        range: Range<u64>,
    ) -> Result<Plan, PlanError> {
        if range.is_empty() {
            return Ok(PlanBuilder::new().finish());
        }
        let start = cover.skip.saturating_add(range.start);
        let end = cover.skip.saturating_add(range.end);
        if end <= cover.clear {
            return self.part(start..end);
        }
        let (from, clear, cipher) = match start.checked_sub(cover.clear) {
            None | Some(0) => (
                start,
                cover.clear.saturating_sub(start),
                cover.cipher.clone(),
            ),
            Some(into) => {
                let restart = cover.cipher.restart(into);
                let from = cover.clear.saturating_add(restart.offset);
                (from, 0, restart.cipher)
            }
        };
        let to = self.given().min(end.saturating_add(HELD));
        self.part(from..to)?.covered(Cover {
            clear,
            cipher,
            key: cover.key.clone(),
            skip: start.saturating_sub(from),
            len: end.saturating_sub(start),
        })
    }
}

/// Carries a plan's cover out over the bytes of its steps, in order and in pieces of any length.
pub struct Covering {
    engine: Option<Engine>,
    clear: u64,
    skip: u64,
    /// Bytes of the body that are still to come.
    left: u64,
}

impl Covering {
    /// `None` if the plan has no cover.
    pub fn of(plan: &Plan) -> Option<Self> {
        let cover = plan.0.cover.as_ref()?;
        Some(Self {
            engine: Some(Engine::new(&cover.cipher, &cover.key)),
            clear: cover.clear,
            skip: cover.skip,
            left: cover.len,
        })
    }

    /// Takes the next bytes of the steps, and gives those of the body that are known by then.
    ///
    /// Errors: as [`Engine::push`].
    pub fn push(&mut self, bytes: &Bytes) -> Result<Bytes, ProtectError> {
        let clear = usize::try_from(self.clear)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        self.clear = self.clear.saturating_sub(wide(clear));
        let (head, rest) = bytes.split_at_checked(clear).unwrap_or((bytes, &[]));
        if rest.is_empty() {
            return Ok(self.window(bytes.clone()));
        }
        let mut out = Vec::with_capacity(bytes.len().saturating_add(16));
        out.extend_from_slice(head);
        if let Some(engine) = &mut self.engine {
            engine.push(rest, &mut out)?;
        }
        Ok(self.window(out.into()))
    }

    /// The end of the body, once all bytes of the steps were taken.
    ///
    /// Errors: `Mismatch` if they were too few.
    pub fn finish(&mut self) -> Result<Bytes, ProtectError> {
        let mut out = Vec::new();
        if self.left > 0
            && let Some(engine) = self.engine.take()
        {
            engine.finish(&mut out)?;
        }
        let end = self.window(out.into());
        if self.left > 0 {
            return Err(ProtectError::Mismatch(
                "the media is shorter than its cipher run",
            ));
        }
        Ok(end)
    }

    fn window(&mut self, mut bytes: Bytes) -> Bytes {
        let skip = usize::try_from(self.skip)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        self.skip = self.skip.saturating_sub(wide(skip));
        let mut bytes = bytes.split_off(skip);
        bytes.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left = self.left.saturating_sub(wide(bytes.len()));
        bytes
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
