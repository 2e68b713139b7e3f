//! Which bytes of a segment's samples stay clear: asked of whoever has the samples at hand (ADR 14).
//!
//! `POST http://assembler.spin.internal/scan`, body: [`Scan::encode`]; answered with what [`Scan::read_map`] reads.
//!
//! ```text
//! "HWSC"  u16 version  u8 scheme (0 cenc, 1 cbcs)  u8 codec
//!   codec 0, H.264: u8 bytes of a NAL length, u8 count of parameter sets, each u16 length, bytes
//!   codec 1, H.265: u32 length, hvcC
//!   codec 3, AV1: u32 length, av1C
//!   codec 2, H.264 in transport streams under SAMPLE-AES: 16 bytes key, 16 bytes vector
//! u32 sample count, their sizes, u32 each; the plan of their bytes, to the end
//! ```
//! Little-endian. Of codec 2 it is asked how many bytes each sample becomes, as emulation prevention lengthens what is encrypted:
//! the answer has one subsample for each, with that many protected bytes.

use crate::encoding::Reader;
use crate::{AssembleError, DecodeError, MAX_ENCODED_BYTES, MAX_PES_BYTES, MAX_UNITS, Plan};
use crate::{PlanError, RangeSource, SampleKey, Sink, assemble};
use bytes::{BufMut, Bytes, BytesMut};
use headwater_protect::sample_aes::SampleAes;
use headwater_protect::{Cipher, ProtectError, Scanner, Scheme, Subsample};
use headwater_ts::encrypted_len;

/// Version of the wire form.
const VERSION: u16 = 2;
const MAGIC: &[u8; 4] = b"HWSC";
/// Longest decoder configuration.
const MAX_CONFIG_BYTES: usize = 64 * 1024;
/// No valid request is longer than this when encoded.
pub const MAX_SCAN_BYTES: usize = MAX_ENCODED_BYTES + MAX_CONFIG_BYTES + MAX_UNITS * 4 + 64;

/// What it takes to read NAL units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanCodec {
    /// H.264.
    Avc {
        /// Bytes of the length in front of every NAL unit.
        nal_length_size: u8,
        /// Parameter sets, NAL header included.
        sets: Vec<Vec<u8>>,
    },
    /// H.265: the payload of `hvcC`.
    Hevc(Vec<u8>),
    /// AV1: the payload of `av1C`.
    Av1(Vec<u8>),
    /// H.264 with NAL lengths of four bytes, to be encrypted in a transport stream.
    SampleAes(SampleKey),
}

/// A segment to be scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// `cenc` or `cbcs`; PIFF is as `cenc`.
    pub scheme: Scheme,
    /// Of the track.
    pub codec: ScanCodec,
    /// Bytes of each sample.
    pub sizes: Vec<u32>,
    /// The samples, one after the other, and nothing else.
    pub plan: Plan,
}

/// The subsamples of each sample. Of [`ScanCodec::SampleAes`]: one each, as long as what the sample becomes.
pub type SubsampleMap = Vec<Vec<Subsample>>;

impl Scan {
    /// Errors: [`PlanError`] if the sizes are not those of the plan, or a limit is passed.
    pub fn check(&self) -> Result<(), PlanError> {
        let whole = self.sizes.iter().map(|size| u64::from(*size));
        if self.plan.encryption().is_some()
            || whole.fold(0, u64::saturating_add) != self.plan.total_len()
        {
            return Err(PlanError::Cipher("the samples are not those of the plan"));
        }
        let limit = |what, limit| PlanError::Limit { what, limit };
        if self.sizes.len() > MAX_UNITS {
            return Err(limit(
                "samples",
                u64::try_from(MAX_UNITS).unwrap_or(u64::MAX),
            ));
        }
        if self
            .sizes
            .iter()
            .any(|size| u64::from(*size) > MAX_PES_BYTES)
        {
            return Err(limit("bytes of a sample", MAX_PES_BYTES));
        }
        let config = match &self.codec {
            ScanCodec::Avc { sets, .. } => sets.iter().map(Vec::len).fold(0, usize::saturating_add),
            ScanCodec::Hevc(record) | ScanCodec::Av1(record) => record.len(),
            ScanCodec::SampleAes(_) => 0,
        };
        if config > MAX_CONFIG_BYTES {
            return Err(limit(
                "bytes of a decoder configuration",
                u64::try_from(MAX_CONFIG_BYTES).unwrap_or(u64::MAX),
            ));
        }
        Ok(())
    }

    /// The wire form.
    pub fn encode(&self) -> Bytes {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let mut out = BytesMut::new();
        out.put_slice(MAGIC);
        out.put_u16_le(VERSION);
        out.put_u8(u8::from(self.scheme == Scheme::Cbcs));
        match &self.codec {
            ScanCodec::Avc {
                nal_length_size,
                sets,
            } => {
                out.put_u8(0);
                out.put_u8(*nal_length_size);
                out.put_u8(u8::try_from(sets.len()).unwrap_or(u8::MAX));
                for set in sets {
                    out.put_u16_le(u16::try_from(set.len()).unwrap_or(u16::MAX));
                    out.put_slice(set);
                }
            }
            ScanCodec::Hevc(record) | ScanCodec::Av1(record) => {
                let av1 = matches!(self.codec, ScanCodec::Av1(_));
                out.put_u8(if av1 { 3 } else { 1 });
                out.put_u32_le(count(record.len()));
                out.put_slice(record);
            }
            ScanCodec::SampleAes(SampleKey { key, iv }) => {
                out.put_u8(2);
                out.put_slice(key.expose());
                out.put_slice(iv);
            }
        }
        out.put_u32_le(count(self.sizes.len()));
        for size in &self.sizes {
            out.put_u32_le(*size);
        }
        out.put_slice(&self.plan.encode());
        out.freeze()
    }

    /// Reads the wire form.
    ///
    /// Errors: [`DecodeError`].
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.take(4)?.as_ref() != MAGIC {
            return Err(DecodeError::Magic);
        }
        let version = reader.u16()?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let scheme = match reader.u8()? {
            0 => Scheme::Cenc,
            1 => Scheme::Cbcs,
            _ => return Err(DecodeError::Cipher),
        };
        let codec = match reader.u8()? {
            0 => {
                let nal_length_size = reader.u8()?;
                let mut sets = Vec::new();
                for _ in 0..reader.u8()? {
                    let len = reader.u16()?;
                    sets.push(reader.take(len.into())?.to_vec());
                }
                ScanCodec::Avc {
                    nal_length_size,
                    sets,
                }
            }
            kind @ (1 | 3) => {
                let len = reader.u32()?;
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                let record = reader.take(len)?.to_vec();
                match kind {
                    1 => ScanCodec::Hevc(record),
                    _ => ScanCodec::Av1(record),
                }
            }
            2 => ScanCodec::SampleAes(SampleKey::read(&mut reader)?),
            kind => return Err(DecodeError::Step(kind)),
        };
        let mut sizes = Vec::new();
        for _ in 0..reader.u32()? {
            sizes.push(reader.u32()?);
        }
        let scan = Self {
            scheme,
            codec,
            sizes,
            plan: Plan::decode(reader.rest())?,
        };
        scan.check()?;
        Ok(scan)
    }

    /// The wire form of an answer: a run in counter mode of no vector.
    pub fn write_map(samples: SubsampleMap) -> Vec<u8> {
        let first_iv = 0;
        Cipher::Ctr { first_iv, samples }.encode()
    }

    /// Reads an answer to this request.
    ///
    /// Errors: `Value`, `TooLarge`; `Mismatch` if it is of other samples.
    pub fn read_map(&self, bytes: &[u8]) -> Result<SubsampleMap, ProtectError> {
        let other = ProtectError::Mismatch("the subsamples are of other samples");
        let Cipher::Ctr { samples, .. } = Cipher::decode(bytes)? else {
            return Err(other);
        };
        if let ScanCodec::SampleAes(_) = self.codec {
            let lengths = samples.iter().all(|sample| sample.len() == 1);
            return match lengths && samples.len() == self.sizes.len() {
                true => Ok(samples),
                false => Err(other),
            };
        }
        let sizes = samples.iter().map(|sample| {
            let parts = sample.iter().map(Subsample::len);
            parts.fold(0, u64::saturating_add)
        });
        match sizes.eq(self.sizes.iter().map(|size| u64::from(*size))) {
            true => Ok(samples),
            false => Err(other),
        }
    }
}

/// Scans samples whose bytes come in pieces of any length. A sample that is within one piece is looked at where it is.
pub struct Scanning<'a> {
    scan: &'a Scan,
    look: Look,
    held: Vec<u8>,
    map: SubsampleMap,
}

/// What is found out of a sample.
enum Look {
    Subsamples(Box<Scanner>),
    /// With room to work in.
    Length(Box<SampleAes>, Vec<u8>),
}

impl Look {
    fn at(&mut self, sample: &[u8], scheme: Scheme) -> Result<Vec<Subsample>, ProtectError> {
        match self {
            Self::Subsamples(scanner) => scanner.scan(sample, scheme),
            Self::Length(cipher, scratch) => {
                let len = encrypted_len(sample, cipher, scratch)
                    .ok()
                    .and_then(|len| u32::try_from(len).ok());
                let protected = len.ok_or(ProtectError::Mismatch(
                    "the NAL units do not fill their sample",
                ))?;
                Ok(vec![Subsample {
                    clear: 0,
                    protected,
                }])
            }
        }
    }
}

impl<'a> Scanning<'a> {
    /// Errors: as [`Scanner::avc`] and [`Scanner::hevc`].
    pub fn new(scan: &'a Scan) -> Result<Self, ProtectError> {
        let subsamples = |scanner| Look::Subsamples(Box::new(scanner));
        let look = match &scan.codec {
            ScanCodec::Avc {
                nal_length_size,
                sets,
            } => subsamples(Scanner::avc(
                *nal_length_size,
                sets.iter().map(Vec::as_slice),
            )?),
            ScanCodec::Hevc(record) => subsamples(Scanner::hevc(record)?),
            ScanCodec::Av1(record) => subsamples(Scanner::av1(record)?),
            ScanCodec::SampleAes(SampleKey { key, iv }) => {
                Look::Length(Box::new(SampleAes::new(key, *iv)), Vec::new())
            }
        };
        Ok(Self {
            scan,
            look,
            held: Vec::new(),
            map: Vec::new(),
        })
    }

    /// Takes the next bytes.
    ///
    /// Errors: as [`Scanner::scan`].
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), ProtectError> {
        while let Some(size) = self.scan.sizes.get(self.map.len()) {
            let size = usize::try_from(*size).unwrap_or(usize::MAX);
            let missing = size.saturating_sub(self.held.len());
            let Some((now, rest)) = bytes.split_at_checked(missing) else {
                self.held.extend_from_slice(bytes);
                return Ok(());
            };
            let sample = if self.held.is_empty() {
                self.look.at(now, self.scan.scheme)?
            } else {
                self.held.extend_from_slice(now);
                let sample = self.look.at(&self.held, self.scan.scheme)?;
                self.held.clear();
                sample
            };
            self.map.push(sample);
            bytes = rest;
        }
        Ok(())
    }

    /// The map, once all bytes were taken.
    ///
    /// Errors: `Mismatch` if there were too few.
    pub fn finish(self) -> Result<SubsampleMap, ProtectError> {
        match self.map.len() == self.scan.sizes.len() {
            true => Ok(self.map),
            false => Err(ProtectError::Mismatch("the samples are cut short")),
        }
    }
}

impl Sink for Scanning<'_> {
    type Error = ProtectError;

    async fn write(&mut self, bytes: Bytes) -> Result<(), ProtectError> {
        self.push(&bytes)
    }
}

/// Carries `scan` out against a source: reads every byte of the samples.
///
/// Errors: [`AssembleError`]; `Cipher` for media that does not parse.
pub async fn scan<S: RangeSource>(
    scan: &Scan,
    source: &S,
) -> Result<SubsampleMap, AssembleError<S::Error, ProtectError>> {
    let mut scanning = Scanning::new(scan).map_err(AssembleError::Cipher)?;
    assemble(&scan.plan, source, &mut scanning).await?;
    scanning.finish().map_err(AssembleError::Cipher)
}
