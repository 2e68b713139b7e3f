//! The wire form of a plan, between the origin and the assembler of the same release.
//!
//! ```text
//! "HWPL"  u16 version  u16 object count  u32 step count  u64 total length of the steps
//! object: u16 url length, url, u16 entity tag length (0: none), entity tag
//! step:   u8 kind
//!           0 inline:  u32 length, bytes
//!           1 range:   u16 object, u64 offset, u64 length
//!           2 packets: u64 bytes skipped, u64 length, u8 encrypted (1: 16 bytes key, 16 bytes vector), u8 stream count,
//!                      u32 piece count, streams, pieces
//! stream: u32 range count, ranges as above
//! piece:  u8 kind
//!           0 packets: u32 length, bytes
//!           1 PES:     u8 stream, u16 PID, u8 stream_id, u8 counter, u8 flags (1 random access, 2 PCR, 4 DTS, 8 H.264,
//!                      16 encrypted, 32 each frame of a sample by itself),
//!                      u32 packets, u64 PTS, u64 PCR, u64 DTS (each if there), u16 unit count,
//!                      units: u32 media length, u32 length in the stream (encrypted H.264 only), u16 prefix length, prefix
//! ```
//! Little-endian. After the last step: u8 0, or u8 1 and the cover: u64 clear bytes, u64 bytes skipped, u64 length, 16 bytes
//! key, u32 length of the cipher run, the run as `headwater-protect` writes it. Nothing follows. Kinds 3 to 255 are kept for
//! steps to come; a reader that does not know a version or a kind refuses the plan, as it cannot know the bytes.

use crate::{
    MAX_CIPHER_BYTES, MAX_ETAG_BYTES, MAX_INLINE_BYTES, MAX_OBJECTS, MAX_PIECES, MAX_STEPS,
    MAX_STREAMS, MAX_UNITS, MAX_URL_BYTES, Object, Plan, PlanBuilder, PlanError, Step,
};
use bytes::{Buf, BufMut, Bytes, BytesMut};

mod cover;
mod packets;

/// Version of the wire form.
pub const FORMAT_VERSION: u16 = 5;
/// No valid plan is longer than this when encoded; a receiver need not read more.
pub const MAX_ENCODED_BYTES: usize = 20
    + MAX_OBJECTS * (MAX_URL_BYTES + MAX_ETAG_BYTES + 4)
    + MAX_STEPS * 19
    + MAX_INLINE_BYTES
    + 55
    + MAX_STREAMS * 4
    + MAX_PIECES * (18 + 37)
    + MAX_UNITS * 10
    + 45
    + MAX_CIPHER_BYTES;

const MAGIC: &[u8; 4] = b"HWPL";
const INLINE: u8 = 0;
const RANGE: u8 = 1;
const PACKETS: u8 = 2;

/// Why bytes are not a plan.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end inside the plan, or go on after it.
    #[error("the plan is {0} at byte {1}")]
    Length(&'static str, usize),
    /// Not a plan at all.
    #[error("these bytes are not a plan")]
    Magic,
    /// A version that this build does not speak.
    #[error("the plan has version {0}; this build speaks {FORMAT_VERSION}")]
    Version(u16),
    /// A kind of step that this build does not know.
    #[error("the plan has a step of unknown kind {0}")]
    Step(u8),
    /// A URL or entity tag that is not text.
    #[error("the plan has a URL or entity tag that is not UTF-8")]
    Text,
    /// The steps do not add up to the length that the plan declares, or a step is empty.
    #[error("the plan declares {declared} bytes but its steps have {actual}")]
    Total {
        /// In the header.
        declared: u64,
        /// Sum of the steps.
        actual: u64,
    },
    /// A cipher run that does not read.
    #[error("the plan has a broken cipher run")]
    Cipher,
    /// A limit or an invariant of plans is broken.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl Plan {
    /// The wire form. It is written once, and kept with the plan.
    pub fn encode(&self) -> Bytes {
        self.0.encoded.get_or_init(|| self.write()).clone()
    }

    /// The wire form of a plan that is done with: nobody else has the bytes then.
    pub fn into_encoded(self) -> Bytes {
        self.encode()
    }

    fn write(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.encoded_len());
        out.put_slice(MAGIC);
        out.put_u16_le(FORMAT_VERSION);
        // The counts and lengths below are within the limits of the crate, all of which fit.
        out.put_u16_le(u16::try_from(self.0.objects.len()).unwrap_or(u16::MAX));
        out.put_u32_le(u32::try_from(self.0.steps.len()).unwrap_or(u32::MAX));
        out.put_u64_le(self.given());
        for object in &self.0.objects {
            put_text(&mut out, &object.url);
            put_text(&mut out, object.if_match.as_deref().unwrap_or_default());
        }
        for step in &self.0.steps {
            match step {
                Step::Inline(bytes) => {
                    out.put_u8(INLINE);
                    out.put_u32_le(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                    out.put_slice(bytes);
                }
                Step::Range {
                    object,
                    offset,
                    len,
                } => {
                    out.put_u8(RANGE);
                    out.put_u16_le(u16::try_from(*object).unwrap_or(u16::MAX));
                    out.put_u64_le(*offset);
                    out.put_u64_le(*len);
                }
                Step::Packetise(step) => {
                    out.put_u8(PACKETS);
                    packets::put(&mut out, step);
                }
            }
        }
        match &self.0.cover {
            None => out.put_u8(0),
            Some(cover) => cover::put(&mut out, cover),
        }
        out.freeze()
    }

    pub(crate) fn encoded_len(&self) -> usize {
        let objects = self.0.objects.iter().map(|o| {
            o.url
                .len()
                .saturating_add(o.if_match.as_deref().map_or(0, str::len))
                .saturating_add(4)
        });
        let steps = self.0.steps.iter().map(|s| match s {
            Step::Inline(bytes) => bytes.len().saturating_add(5),
            Step::Range { .. } => 19,
            Step::Packetise(step) => packets::encoded_len(step).saturating_add(1),
        });
        objects.chain(steps).fold(21, usize::saturating_add)
    }

    /// Reads the wire form. Inline bytes share `bytes`.
    ///
    /// Errors: [`DecodeError`]. Memory is bounded by the input and the limits of the crate.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.take(4)?.as_ref() != MAGIC {
            return Err(DecodeError::Magic);
        }
        let version = reader.u16()?;
        if version != FORMAT_VERSION {
            return Err(DecodeError::Version(version));
        }
        let objects = reader.u16()?;
        let steps = reader.u32()?;
        let declared = reader.u64()?;
        let mut plan = PlanBuilder::new();
        for _ in 0..objects {
            let url = reader.text()?;
            let etag = reader.text()?;
            plan.object(Object::new(url, (!etag.is_empty()).then_some(etag))?)?;
        }
        for _ in 0..steps {
            match reader.u8()? {
                INLINE => {
                    let len = reader.u32()?;
                    let bytes = reader.take(usize::try_from(len).unwrap_or(usize::MAX))?;
                    if bytes.is_empty() {
                        return Err(DecodeError::Total {
                            declared,
                            actual: 0,
                        });
                    }
                    plan.inline(bytes)?;
                }
                RANGE => {
                    let object = reader.u16()?;
                    let offset = reader.u64()?;
                    let len = reader.u64()?;
                    if object >= objects {
                        return Err(PlanError::NoSuchObject(object.into()).into());
                    }
                    if len == 0 {
                        return Err(DecodeError::Total {
                            declared,
                            actual: 0,
                        });
                    }
                    offset.checked_add(len).ok_or(PlanError::RangeOverflow)?;
                    plan.push(Step::Range {
                        object: object.into(),
                        offset,
                        len,
                    })?;
                }
                PACKETS => plan.packetise(packets::read(&mut reader)?)?,
                kind => return Err(DecodeError::Step(kind)),
            }
        }
        let cover = match reader.u8()? {
            0 => None,
            1 => Some(cover::read(&mut reader)?),
            kind => return Err(DecodeError::Step(kind)),
        };
        if !reader.rest.is_empty() {
            return Err(DecodeError::Length("too long", reader.position()));
        }
        let plan = plan.finish();
        if plan.0.total != declared {
            return Err(DecodeError::Total {
                declared,
                actual: plan.0.total,
            });
        }
        match cover {
            None => Ok(plan),
            Some(cover) => Ok(plan.covered(cover)?),
        }
    }
}

fn put_text(out: &mut BytesMut, text: &str) {
    out.put_u16_le(u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.put_slice(text.as_bytes());
}

pub(crate) struct Reader {
    rest: Bytes,
    len: usize,
}

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self {
            len: bytes.len(),
            rest: bytes,
        }
    }

    /// All that is left.
    pub(crate) fn rest(self) -> Bytes {
        self.rest
    }

    fn position(&self) -> usize {
        self.len.saturating_sub(self.rest.len())
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        if self.rest.len() < len {
            return Err(self.cut_short());
        }
        Ok(self.rest.split_to(len))
    }

    // Numbers are read where they are: to split each off would count who shares the bytes up and down again, twelve hundred
    // times in a segment of interleaved sound.

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.rest.try_get_u8().map_err(|_| self.cut_short())
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.rest.try_get_u16_le().map_err(|_| self.cut_short())
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.rest.try_get_u32_le().map_err(|_| self.cut_short())
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.rest.try_get_u64_le().map_err(|_| self.cut_short())
    }

    fn cut_short(&self) -> DecodeError {
        DecodeError::Length("cut short", self.position())
    }

    fn text(&mut self) -> Result<String, DecodeError> {
        let len = self.u16()?;
        let bytes = self.take(len.into())?;
        String::from_utf8(bytes.into()).map_err(|_| DecodeError::Text)
    }
}
