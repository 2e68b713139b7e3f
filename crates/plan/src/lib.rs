//! The plan of bytes: what a response body consists of, before any media is read.
//!
//! A [`Plan`] is an ordered list of steps over a few stored objects: inline bytes (a generated `moof`), object ranges
//! (samples), and samples that are put into an MPEG-2 transport stream ([`Packetise`]); all of it may be encrypted ([`Cover`]). Its total length is known at once, [`Plan::slice`] answers an HTTP `Range`, [`Plan::encode`]
//! makes the request to the assembler (`http://assembler.spin.internal/`), and its `Display` is the text that
//! `headwater inspect` prints. [`assemble()`] is the reference implementation of carrying a plan out.
//!
//! Plans hold signed URLs, and content keys. They never leave the process as text: `Debug` and `Display` leave query strings
//! and keys out.
//!
//! Left to others: computing plans (`headwater-origin`), fetching (the adapters behind [`RangeSource`]).
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod assemble;
mod build;
mod cover;
mod display;
mod encoding;
mod kept;
mod packetise;
mod reads;
mod scan;
mod slice;
mod store;

pub use assemble::{AssembleError, ByteStream, MAX_CHUNK_BYTES, RangeSource, Sink, assemble};
pub use build::PlanBuilder;
pub use cover::{Cover, Covering, MAX_CIPHER_BYTES};
pub use encoding::{DecodeError, FORMAT_VERSION, MAX_ENCODED_BYTES};
pub use packetise::{
    MAX_PES_BYTES, MAX_PIECES, MAX_STREAMS, MAX_UNITS, Packetise, Piece, SampleKey, Source,
};
pub use reads::{MAX_GAP_BYTES, Read, Run};
pub use scan::{MAX_SCAN_BYTES, Scan, ScanCodec, Scanning, SubsampleMap, scan};
pub use store::{StoreAnswer, StoreFault};

use bytes::Bytes;
use std::sync::{Arc, OnceLock};

/// Most steps in one plan. A two second segment of a frame-by-frame interleaved file has about a hundred.
pub const MAX_STEPS: usize = 16 * 1024;
/// Most objects in one plan.
pub const MAX_OBJECTS: usize = 64;
/// Most inline bytes in one plan, all steps together.
pub const MAX_INLINE_BYTES: usize = 4 * 1024 * 1024;
/// Longest body a plan may describe: 32 TiB, well above the largest block blob.
pub const MAX_TOTAL_BYTES: u64 = 1 << 45;
/// Longest object URL, signature included.
pub const MAX_URL_BYTES: usize = 8 * 1024;
/// Longest entity tag.
pub const MAX_ETAG_BYTES: usize = 256;

/// A stored object that a plan reads from.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Object {
    url: String,
    if_match: Option<String>,
}

impl Object {
    /// `url`: complete and signed, `http:` or `https:`. `if_match`: the entity tag that the bytes must still have,
    /// verbatim with its quotes; `None` reads whatever is there.
    ///
    /// Errors: [`PlanError::Object`] if the URL has another scheme, either is over its limit, or either holds
    /// characters that no request line or header may (spaces, controls, non-ASCII).
    pub fn new(url: impl Into<String>, if_match: Option<String>) -> Result<Self, PlanError> {
        let url = url.into();
        let printable = |s: &str| s.bytes().all(|b| b.is_ascii_graphic());
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            return Err(PlanError::Object("its URL is neither http nor https"));
        }
        if url.len() > MAX_URL_BYTES || !printable(&url) {
            return Err(PlanError::Object(
                "its URL is too long or not printable ASCII",
            ));
        }
        if let Some(etag) = &if_match
            && (etag.is_empty() || etag.len() > MAX_ETAG_BYTES || !printable(etag))
        {
            return Err(PlanError::Object(
                "its entity tag is empty, too long or not printable ASCII",
            ));
        }
        Ok(Self { url, if_match })
    }

    /// The complete URL, signature included. For the request only: never log it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The value for `If-Match`.
    pub fn if_match(&self) -> Option<&str> {
        self.if_match.as_deref()
    }
}

/// One step of a plan.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// These bytes. Not empty.
    Inline(Bytes),
    /// `len` bytes of an object, from `offset`. `len` is not 0 and `offset + len` does not overflow.
    Range {
        /// Index into [`Plan::objects`].
        object: u32,
        /// First byte.
        offset: u64,
        /// Count of bytes.
        len: u64,
    },
    /// A transport stream made of samples.
    Packetise(Box<Packetise>),
}

impl Step {
    /// Bytes this step contributes to the body.
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::Range { len, .. } => *len,
            Self::Packetise(step) => step.len(),
        }
    }

    /// Always `false`: a plan holds no empty steps.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An ordered, validated list of steps. Built by [`PlanBuilder`] or [`Plan::decode`], so its invariants hold:
/// limits kept, no empty steps, every step's object exists, the total is the sum of the steps or what their cover makes of
/// them.
///
/// Clones share what they consist of, their wire form too.
#[derive(Clone, PartialEq, Eq)]
pub struct Plan(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    objects: Vec<Object>,
    steps: Vec<Step>,
    cover: Option<Cover>,
    total: u64,
    /// The wire form, once somebody asked for it.
    encoded: OnceLock<Bytes>,
}

impl PartialEq for Parts {
    fn eq(&self, other: &Self) -> bool {
        // The wire form follows from the rest.
        self.total == other.total
            && self.objects == other.objects
            && self.steps == other.steps
            && self.cover == other.cover
    }
}

impl Eq for Parts {}

impl Plan {
    /// The objects that steps refer to.
    pub fn objects(&self) -> &[Object] {
        &self.0.objects
    }

    /// The steps, in body order.
    pub fn steps(&self) -> &[Step] {
        &self.0.steps
    }

    /// Length of the body, in bytes.
    pub fn total_len(&self) -> u64 {
        self.0.total
    }

    /// About how many bytes of memory the plan takes with its wire form, if it only puts pieces of objects together.
    pub fn footprint(&self) -> Option<usize> {
        if self.0.cover.is_some() {
            return None;
        }
        let mut bytes = self.0.steps.len().saturating_mul(size_of::<Step>());
        for step in &self.0.steps {
            match step {
                Step::Inline(inline) => bytes = bytes.saturating_add(inline.len()),
                Step::Range { .. } => {}
                Step::Packetise(_) => return None,
            }
        }
        let urls = self.0.objects.iter().map(|object| object.url().len());
        let bytes = bytes.saturating_add(urls.sum());
        Some(bytes.saturating_add(self.encoded_len()))
    }

    /// The body, if the plan reads no object and encrypts nothing: such a body needs no assembler.
    pub fn inline_only(&self) -> Option<Bytes> {
        if self.0.cover.is_some() {
            return None;
        }
        match self.0.steps.as_slice() {
            [] => Some(Bytes::new()),
            [Step::Inline(bytes)] => Some(bytes.clone()),
            steps => {
                let inline = |step: &Step| match step {
                    Step::Inline(bytes) => Some(bytes.clone()),
                    _ => None,
                };
                let parts: Option<Vec<Bytes>> = steps.iter().map(inline).collect();
                Some(parts?.concat().into())
            }
        }
    }
}

/// Why a plan cannot exist.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlanError {
    /// An object that cannot be requested.
    #[error("an object of the plan cannot be read: {0}")]
    Object(&'static str),
    /// A limit of this crate is passed.
    #[error("the plan has more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A step refers to an object that the plan does not have.
    #[error("a step of the plan refers to object {0}, which it does not have")]
    NoSuchObject(u32),
    /// A range whose end is not a 64-bit number.
    #[error("a range of the plan ends past 2^64")]
    RangeOverflow,
    /// Samples and packets of a [`Packetise`] that do not match.
    #[error("a transport stream of the plan cannot be made: {0}")]
    Packets(&'static str),
    /// A cipher run that does not fit what it is for.
    #[error("the plan's cipher run does not fit: {0}")]
    Cipher(&'static str),
    /// A slice that is not inside the body.
    #[error("bytes {start} to {end} are not inside a body of {total} bytes")]
    SliceOutside {
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
        /// Length of the body.
        total: u64,
    },
}
