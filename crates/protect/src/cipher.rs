//! A cipher run: what is done to the bytes of one segment's media, without the key.
//!
//! It is data, so that a plan of bytes can carry it to whoever moves the bytes; [`crate::Engine`] is what it means.

use crate::{Pattern, Subsample};

/// Encryption of successive bytes. No run changes how many bytes there are, but for [`Envelope`](Self::Envelope), which pads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cipher {
    /// AES-CTR. The counter block of sample *n* starts as `first_iv + n` (big-endian, 8 bytes) and 8 zero bytes; it goes on
    /// over the protected bytes of all subsamples of the sample (CENC §9.5).
    Ctr {
        /// Of the first sample.
        first_iv: u64,
        /// Of each sample, in order. Together they are the bytes that the run covers.
        samples: Vec<Vec<Subsample>>,
    },
    /// AES-CBC with a pattern. Chain and pattern begin anew with the protected bytes of each subsample; what is less than a
    /// block at their end stays clear (CENC §9.6).
    Cbcs {
        /// Which blocks.
        pattern: Pattern,
        /// Of every subsample.
        iv: [u8; 16],
        /// As in [`Ctr`](Self::Ctr).
        samples: Vec<Vec<Subsample>>,
    },
    /// AES-CBC over everything, padded as PKCS #7 says (RFC 8216 §4.3.2.4).
    Envelope {
        /// The first chaining value.
        iv: [u8; 16],
        /// Clear bytes.
        len: u64,
    },
}

/// A place where a run can begin without what precedes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// Where its input begins, in bytes of the whole run's input; as far into the output.
    pub offset: u64,
    /// The run from there on.
    pub cipher: Cipher,
}

fn bytes_of(sample: &[Subsample]) -> u64 {
    sample
        .iter()
        .fold(0, |sum: u64, part| sum.saturating_add(part.len()))
}

impl Cipher {
    /// Bytes that the run takes.
    pub fn input_len(&self) -> u64 {
        match self {
            Self::Ctr { samples, .. } | Self::Cbcs { samples, .. } => samples
                .iter()
                .fold(0, |sum, sample| sum.saturating_add(bytes_of(sample))),
            Self::Envelope { len, .. } => *len,
        }
    }

    /// Bytes that come out.
    pub fn output_len(&self) -> u64 {
        match self {
            Self::Envelope { len, .. } => envelope_len(*len),
            _ => self.input_len(),
        }
    }

    /// The last place at or before `offset` of the output where the run can begin: a sample, or the start.
    pub fn restart(&self, offset: u64) -> Restart {
        let skipped = |samples: &[Vec<Subsample>]| {
            let (mut at, mut count) = (0_u64, 0_usize);
            for sample in samples {
                let end = at.saturating_add(bytes_of(sample));
                if end > offset {
                    break;
                }
                at = end;
                count = count.saturating_add(1);
            }
            let rest = samples.get(count..).unwrap_or_default().to_vec();
            (at, count, rest)
        };
        match self {
            Self::Ctr { first_iv, samples } => {
                let (offset, count, samples) = skipped(samples);
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                let first_iv = first_iv.wrapping_add(count);
                let cipher = Self::Ctr { first_iv, samples };
                Restart { offset, cipher }
            }
            Self::Cbcs {
                pattern,
                iv,
                samples,
            } => {
                let (offset, _, samples) = skipped(samples);
                let (pattern, iv) = (*pattern, *iv);
                let cipher = Self::Cbcs {
                    pattern,
                    iv,
                    samples,
                };
                Restart { offset, cipher }
            }
            Self::Envelope { .. } => Restart {
                offset: 0,
                cipher: self.clone(),
            },
        }
    }
}

/// Length of `len` bytes once padded: at least one byte more.
pub(crate) fn envelope_len(len: u64) -> u64 {
    (len & !15).saturating_add(16)
}
