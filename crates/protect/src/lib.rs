//! Content protection without IO: what is encrypted, with which bytes around it, and how players are told.
//!
//! * [`Kid`], [`Key`]: a key's name in its four spellings, and its value.
//! * [`Scanner`]: which bytes of a sample stay clear (subsamples of H.264, HEVC and AV1; CENC §9.5, §10).
//! * [`Cipher`]: a cipher run over the bytes of a segment, its reference implementation ([`Engine`]) and wire form.
//! * [`boxes`], [`init`], [`fragment`]: `tenc`, `senc`, `saiz`, `saio`, `seig`, `sinf`, and rewriting of `moov` and `moof`.
//! * [`pssh`], [`widevine`], [`playready`]: what license systems want to be told in `pssh`.
//! * [`hls`], [`dash`], [`smooth`]: the same as values of manifests. [`cpix`]: as a document between keys and packagers.
//! * [`rotation`]: keys of live media that change with its time.
//! * [`sample_aes`]: Apple's encryption of elementary streams in MPEG-2 TS.
//!
//! The usual order: scan samples to [`Subsample`]s, [`ProtectedSegment::plan`] gives `moof` and the cipher run, and whoever
//! moves the bytes applies the run with the key. Keys appear here only as arguments.
//!
//! Left to others: where keys come from and who may have them (`headwater-keys`), reading media, HTTP.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod bits;
pub mod boxes;
mod chain;
mod cipher;
mod codec;
pub mod cpix;
pub mod dash;
mod engine;
mod error;
pub mod fragment;
pub mod hls;
pub mod init;
mod iv;
mod key;
mod kid;
pub mod playready;
pub mod pssh;
pub mod rotation;
pub mod sample_aes;
mod scan;
mod scheme;
mod segment;
pub mod smooth;
pub mod template;
mod text;
pub mod widevine;
mod wire;

pub use cipher::{Cipher, Restart};
pub use codec::{Av1State, AvcSets, HevcSets};
pub use engine::{Engine, encrypt};
pub use error::ProtectError;
pub use iv::{IvSpace, RowIvs};
pub use key::Key;
pub use kid::Kid;
pub use rotation::{Handle, Period, Rotation};
pub use scan::{Scanner, Subsample};
pub use scheme::{Pattern, Scheme};
pub use segment::{ProtectedSegment, SegmentProtection};
