//! Chained blocks (CBC, NIST SP 800-38A §6.2): one after the other, in place.
//!
//! A whole run of them is made with one backend of the `aes` crate. Where the processor has instructions for many blocks at once,
//! making round keys ready for them takes several times as long as a block, and nothing here has a use for them.

use aes::Aes128;
use aes::cipher::consts::U16;
use aes::cipher::{
    Array, BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser,
};

use crate::Pattern;

/// What AES takes at a time.
pub(crate) type Block = [u8; 16];

/// Where a chain is.
#[derive(Clone, Copy)]
pub(crate) struct Chain {
    /// What the next block is mixed with: the vector, or the block before.
    pub last: Block,
    /// Blocks into the pattern.
    pub at: u8,
}

impl Chain {
    pub(crate) fn new(iv: Block) -> Self {
        Self { last: iv, at: 0 }
    }

    /// Encrypts `bytes`, which are whole blocks, or with a pattern those of them that it says; less than a block at the end
    /// stays as it is.
    pub(crate) fn encrypt(&mut self, aes: &Aes128, pattern: Option<Pattern>, bytes: &mut [u8]) {
        let (blocks, _) = bytes.as_chunks_mut();
        aes.encrypt_with_backend(Run {
            chain: self,
            pattern,
            blocks,
        });
    }

    /// Whether the next blocks are encrypted, and how many are alike, of at most `left`; goes on behind those.
    fn next(&mut self, pattern: Option<Pattern>, left: usize) -> (bool, usize) {
        let Some(Pattern { crypt, skip }) = pattern else {
            return (true, left);
        };
        let period = crypt.saturating_add(skip);
        let encrypted = self.at < crypt;
        let end = if encrypted { crypt } else { period };
        let count = usize::from(end.saturating_sub(self.at)).min(left);
        let done = u8::try_from(count).unwrap_or(u8::MAX);
        self.at = self.at.saturating_add(done);
        if self.at >= period {
            self.at = 0;
        }
        (encrypted, count)
    }
}

/// Blocks to be encrypted with whatever backend there is.
struct Run<'a> {
    chain: &'a mut Chain,
    pattern: Option<Pattern>,
    blocks: &'a mut [Block],
}

impl BlockSizeUser for Run<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Run<'_> {
    // Into the function that the crate compiles for the processor's instructions.
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let Self {
            chain,
            pattern,
            mut blocks,
        } = self;
        while !blocks.is_empty() {
            let (encrypted, count) = chain.next(pattern, blocks.len());
            let (run, rest) = blocks.split_at_mut(count.min(blocks.len()));
            blocks = rest;
            if !encrypted {
                continue;
            }
            let mut last = chain.last;
            for block in run {
                let mut next: Array<u8, U16> = Array(*block);
                next.0
                    .iter_mut()
                    .zip(&last)
                    .for_each(|(to, from)| *to ^= from);
                backend.encrypt_block_inplace(&mut next);
                last = next.0;
                *block = last;
            }
            chain.last = last;
        }
    }
}
