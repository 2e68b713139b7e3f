//! ISO base media file format (ISO/IEC 14496-12), as far as streaming needs it: reading MP4 and QuickTime files,
//! progressive or fragmented, and writing CMAF headers, segments, `sidx` and progressive files.
//!
//! Reading: [`MovieReader`] says which range of the file it needs next and ends with a [`Movie`]: its tracks, each with
//! a [`TrackConfig`] (what a decoder needs), an [`EditList`] and a compact [`SampleTable`]. Writing: the functions of
//! [`mod@write`] return bytes. Codec parts on their own: [`AvcConfig`], [`AacConfig`],
//! [`BoxedCodec`], [`sps`], [`hevc`], [`av1`].
//!
//! Nothing here does IO, reads a clock or panics on input. Errors name the box path and the byte offset. Memory is
//! bounded by the bytes fed: a table's count is checked against its box before anything is allocated.
//!
//! Left to others: where segments begin and end, and how edit lists become presentation times (`headwater-cmaf`).
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod aac;
pub mod av1;
mod avc;
mod bits;
mod boxed;
mod codec;
mod edit;
mod error;
mod fourcc;
pub mod hevc;
mod matrix;
mod movie;
mod read;
pub mod sps;
mod table;
pub mod write;

pub use aac::{AacConfig, AudioObjectType};
pub use avc::AvcConfig;
pub use boxed::{BoxedCodec, BoxedKind};
pub use codec::{CodecConfig, OtherCodec};
pub use edit::{Edit, EditError, EditList, MediaWindow};
pub use error::BmffError;
pub use fourcc::FourCc;
pub use matrix::{Matrix, Rotation};
pub use movie::{
    Brands, Colour, Fragment, Movie, PixelAspect, StoredFragments, Track, TrackConfig, TrackKind,
};
pub use read::{
    Limits, MovieOutline, MovieReader, OutlineReader, OutlineStep, OutlineTrack, Step, TrackWalk,
    WalkFields, WalkStep, parse_movie,
};
pub use read::{MFRO_LEN, matrix_places, mfra_len, mfra_places, sidx_places};
pub use table::{Sample, SampleTable, Samples};
