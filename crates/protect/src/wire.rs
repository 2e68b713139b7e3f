//! The wire form of a cipher run, for plans of bytes and for subsample maps that are kept beside a packaging index.
//!
//! ```text
//! u8 kind: 0 CTR: u64 first vector (big-endian), samples
//!          1 cbcs: u8 crypt, u8 skip, 16 bytes vector, samples
//!          2 envelope: 16 bytes vector, varint length
//! samples: varint count, then per sample: varint count, then per subsample: varint clear, varint protected
//! ```
//! Varints have seven bits a byte, the lowest first. Nothing follows.

use crate::{Cipher, Pattern, ProtectError, Subsample};

/// Most subsamples in a run, all samples together. A minute of 60 pictures a second with 32 slices each has 115 200.
pub(crate) const MAX_SUBSAMPLES: usize = 1 << 18;

impl Cipher {
    /// The wire form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Ctr { first_iv, samples } => {
                out.push(0);
                out.extend_from_slice(&first_iv.to_be_bytes());
                put_samples(&mut out, samples);
            }
            Self::Cbcs {
                pattern,
                iv,
                samples,
            } => {
                out.extend_from_slice(&[1, pattern.crypt, pattern.skip]);
                out.extend_from_slice(iv);
                put_samples(&mut out, samples);
            }
            Self::Envelope { iv, len } => {
                out.push(2);
                out.extend_from_slice(iv);
                put_varint(&mut out, *len);
            }
        }
        out
    }

    /// Reads the wire form.
    ///
    /// Errors: `Value`, with the byte at which it stops making sense; `TooLarge` past the crate's limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtectError> {
        let mut reader = Reader { bytes, at: 0 };
        let cipher = match reader.u8()? {
            0 => Self::Ctr {
                first_iv: u64::from_be_bytes(reader.array()?),
                samples: reader.samples()?,
            },
            1 => Self::Cbcs {
                pattern: Pattern {
                    crypt: reader.u8()?,
                    skip: reader.u8()?,
                },
                iv: reader.array()?,
                samples: reader.samples()?,
            },
            2 => Self::Envelope {
                iv: reader.array()?,
                len: reader.varint()?,
            },
            _ => return Err(reader.fault("an unknown kind of cipher")),
        };
        if reader.at < bytes.len() {
            return Err(reader.fault("bytes after the end"));
        }
        Ok(cipher)
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn put_samples(out: &mut Vec<u8>, samples: &[Vec<Subsample>]) {
    let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
    put_varint(out, count(samples.len()));
    for sample in samples {
        put_varint(out, count(sample.len()));
        for part in sample {
            put_varint(out, part.clear.into());
            put_varint(out, part.protected.into());
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn fault(&self, fault: &str) -> ProtectError {
        ProtectError::value(format!("cipher run at byte {}", self.at), fault)
    }

    fn u8(&mut self) -> Result<u8, ProtectError> {
        let byte = self.bytes.get(self.at).copied();
        let byte = byte.ok_or_else(|| self.fault("cut off"))?;
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtectError> {
        let mut array = [0; N];
        for to in &mut array {
            *to = self.u8()?;
        }
        Ok(array)
    }

    fn varint(&mut self) -> Result<u64, ProtectError> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.fault("a number past 64 bits"))
    }

    fn u32(&mut self) -> Result<u32, ProtectError> {
        let value = self.varint()?;
        u32::try_from(value).map_err(|_| self.fault("a number past 32 bits"))
    }

    fn samples(&mut self) -> Result<Vec<Vec<Subsample>>, ProtectError> {
        let mut total: usize = 0;
        let mut samples = Vec::new();
        for _ in 0..self.varint()? {
            let mut sample = Vec::new();
            for _ in 0..self.varint()? {
                total = total.saturating_add(1);
                if total > MAX_SUBSAMPLES {
                    return Err(ProtectError::TooLarge("the number of subsamples"));
                }
                sample.push(Subsample {
                    clear: self.u32()?,
                    protected: self.u32()?,
                });
            }
            total = total.saturating_add(1);
            if total > MAX_SUBSAMPLES {
                return Err(ProtectError::TooLarge("the number of samples"));
            }
            samples.push(sample);
        }
        Ok(samples)
    }
}
