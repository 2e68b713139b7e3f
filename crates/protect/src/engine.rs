//! The reference implementation of cipher runs: bytes in pieces of any length, encrypted bytes out.
//!
//! AES comes from the `aes` crate: AES-NI natively, constant-time software in Wasm, the same bytes from both.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use zeroize::Zeroizing;

use crate::chain::{Block, Chain};
use crate::{Cipher, Key, Pattern, ProtectError, Subsample};

const BLOCK: usize = size_of::<Block>();
/// Key stream blocks made at once: enough to keep the pipelined instructions busy.
const STREAM_BLOCKS: usize = 64;

/// Carries out one [`Cipher`] with its key.
pub struct Engine {
    aes: Aes128,
    mode: Mode,
    /// What is left of the run, the next part last.
    parts: Vec<Part>,
    part: Part,
    /// Clear bytes of a block that is not complete yet. Less than 16.
    held: Zeroizing<Vec<u8>>,
    /// Bytes that the run still takes.
    left: u64,
}

enum Mode {
    Ctr {
        next_iv: u64,
        stream: Box<KeyStream>,
    },
    Cbc {
        pattern: Option<Pattern>,
        iv: Block,
        chain: Chain,
        pad: bool,
    },
}

#[derive(Clone, Copy)]
struct Part {
    starts_sample: bool,
    clear: u64,
    protected: u64,
}

const NOTHING: Part = Part {
    starts_sample: false,
    clear: 0,
    protected: 0,
};

fn parts(samples: &[Vec<Subsample>]) -> Vec<Part> {
    let mut parts: Vec<Part> = samples
        .iter()
        .flat_map(|sample| {
            sample.iter().enumerate().map(|(at, part)| Part {
                starts_sample: at == 0,
                clear: part.clear.into(),
                protected: part.protected.into(),
            })
        })
        .collect();
    parts.reverse();
    parts
}

impl Engine {
    /// An engine at the start of the run. Subsamples of no bytes are fine, samples without subsamples count for their
    /// vector only if there is one (a sample has at least one).
    pub fn new(cipher: &Cipher, key: &Key) -> Self {
        let (mode, parts) = match cipher {
            Cipher::Ctr { first_iv, samples } => (
                Mode::Ctr {
                    next_iv: *first_iv,
                    stream: Box::default(),
                },
                parts(samples),
            ),
            Cipher::Cbcs {
                pattern,
                iv,
                samples,
            } => {
                let whole = *pattern == Pattern::WHOLE || pattern.skip == 0;
                let mode = Mode::Cbc {
                    pattern: (!whole).then_some(*pattern),
                    iv: *iv,
                    chain: Chain::new(*iv),
                    pad: false,
                };
                (mode, parts(samples))
            }
            Cipher::Envelope { iv, len } => {
                let mode = Mode::Cbc {
                    pattern: None,
                    iv: *iv,
                    chain: Chain::new(*iv),
                    pad: true,
                };
                let part = Part {
                    starts_sample: true,
                    clear: 0,
                    protected: *len,
                };
                (mode, vec![part])
            }
        };
        Self {
            aes: Aes128::new(&Array(*key.expose())),
            mode,
            parts,
            part: NOTHING,
            held: Zeroizing::new(Vec::with_capacity(BLOCK)),
            left: cipher.input_len(),
        }
    }

    /// Takes the next clear bytes and appends what can be encrypted of them to `out`; up to 15 bytes are kept back.
    ///
    /// Errors: `Mismatch` if there are more bytes than the run covers; nothing is appended then.
    pub fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), ProtectError> {
        self.left = u64::try_from(input.len())
            .ok()
            .and_then(|len| self.left.checked_sub(len))
            .ok_or(ProtectError::Mismatch(
                "the media is longer than its cipher run",
            ))?;
        out.reserve(input.len());
        while !input.is_empty() {
            if self.part.clear == 0 && self.part.protected == 0 {
                // The count above says that there is a part for every byte.
                let Some(part) = self.parts.pop() else { break };
                self.begin(part);
                continue;
            }
            if self.part.clear > 0 {
                let (clear, rest) = split(input, self.part.clear);
                out.extend_from_slice(clear);
                self.part.clear = self.part.clear.saturating_sub(length(clear));
                input = rest;
                continue;
            }
            let (protected, rest) = split(input, self.part.protected);
            self.part.protected = self.part.protected.saturating_sub(length(protected));
            self.protect(protected, out);
            input = rest;
        }
        Ok(())
    }

    /// Appends the end of the run: padding, if it has any.
    ///
    /// Errors: `Mismatch` if bytes are missing.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), ProtectError> {
        if self.left > 0 {
            return Err(ProtectError::Mismatch(
                "the media is shorter than its cipher run",
            ));
        }
        if let Mode::Cbc {
            pad: true, chain, ..
        } = &mut self.mode
        {
            let missing = BLOCK.saturating_sub(self.held.len());
            let fill = u8::try_from(missing).unwrap_or(16);
            self.held.resize(BLOCK, fill);
            chain.encrypt(&self.aes, None, &mut self.held);
            out.extend_from_slice(&self.held);
        }
        Ok(())
    }

    fn begin(&mut self, part: Part) {
        match &mut self.mode {
            Mode::Ctr { next_iv, stream } if part.starts_sample => {
                stream.begin(*next_iv);
                *next_iv = next_iv.wrapping_add(1);
            }
            Mode::Ctr { .. } => {}
            Mode::Cbc { iv, chain, .. } => *chain = Chain::new(*iv),
        }
        self.part = part;
    }

    /// `bytes`: of the protected part that is on, which `self.part` no longer counts.
    fn protect(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        let (pattern, chain, pad) = match &mut self.mode {
            Mode::Ctr { stream, .. } => {
                stream.apply(&self.aes, bytes, out);
                return;
            }
            Mode::Cbc {
                pattern,
                chain,
                pad,
                ..
            } => (*pattern, chain, *pad),
        };
        if !self.held.is_empty() {
            let (head, rest) = split(bytes, length_to(BLOCK, self.held.len()));
            self.held.extend_from_slice(head);
            bytes = rest;
            if self.held.len() == BLOCK {
                chain.encrypt(&self.aes, pattern, &mut self.held);
                out.append(&mut self.held);
            }
        }
        let whole = bytes.len() & !15;
        let (blocks, tail) = bytes.split_at_checked(whole).unwrap_or((bytes, &[]));
        let from = out.len();
        out.extend_from_slice(blocks);
        let made = out.get_mut(from..).unwrap_or_default();
        chain.encrypt(&self.aes, pattern, made);
        self.held.extend_from_slice(tail);
        if self.part.protected == 0 && !pad {
            // Less than a block stays clear.
            out.extend_from_slice(&self.held);
            self.held.clear();
        }
    }
}

fn split(bytes: &[u8], most: u64) -> (&[u8], &[u8]) {
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(bytes.len());
    bytes.split_at_checked(most).unwrap_or((bytes, &[]))
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn length_to(end: usize, start: usize) -> u64 {
    u64::try_from(end.saturating_sub(start)).unwrap_or(0)
}

/// The key stream of one sample.
struct KeyStream {
    iv: u64,
    /// The block that is made next.
    block: u64,
    made: Zeroizing<[Block; STREAM_BLOCKS]>,
    /// The unused end of `made`, in bytes.
    unused: usize,
}

impl Default for KeyStream {
    fn default() -> Self {
        Self {
            iv: 0,
            block: 0,
            made: Zeroizing::new([[0; BLOCK]; STREAM_BLOCKS]),
            unused: 0,
        }
    }
}

impl KeyStream {
    fn begin(&mut self, iv: u64) {
        self.iv = iv;
        self.block = 0;
        self.unused = 0;
    }

    /// Makes what `wanted` bytes need, at most a full buffer.
    fn make(&mut self, aes: &Aes128, wanted: usize) {
        let count = wanted.div_ceil(BLOCK).clamp(1, STREAM_BLOCKS);
        let skip = STREAM_BLOCKS.saturating_sub(count);
        let made = self.made.get_mut(skip..).unwrap_or_default();
        for block in made.iter_mut() {
            let counter = (u128::from(self.iv) << 64) | u128::from(self.block);
            *block = counter.to_be_bytes();
            self.block = self.block.wrapping_add(1);
        }
        aes.encrypt_blocks(Array::cast_slice_from_core_mut(made));
        self.unused = made.len().saturating_mul(BLOCK);
    }

    fn apply(&mut self, aes: &Aes128, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if self.unused == 0 {
                self.make(aes, bytes.len());
            }
            let stream = self.made.as_flattened();
            let from = stream.len().saturating_sub(self.unused);
            let stream = stream.get(from..).unwrap_or_default();
            let count = stream.len().min(bytes.len());
            let (run, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
            out.extend(run.iter().zip(stream).map(|(byte, key)| byte ^ key));
            self.unused = self.unused.saturating_sub(count);
            bytes = rest;
        }
    }
}

/// All of a run at once.
///
/// Errors: `Mismatch` unless `clear` is exactly what the run covers.
pub fn encrypt(cipher: &Cipher, key: &Key, clear: &[u8]) -> Result<Vec<u8>, ProtectError> {
    let mut out = Vec::new();
    let mut engine = Engine::new(cipher, key);
    engine.push(clear, &mut out)?;
    engine.finish(&mut out)?;
    Ok(out)
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
