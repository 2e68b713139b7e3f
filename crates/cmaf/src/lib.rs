//! CMAF (ISO/IEC 23000-19) presentations of single files: where segments begin, when samples are presented, and the
//! packaging index that lets the origin answer a segment request without reading the file's `moov`.
//!
//! * [`timeline`]: a source track's edit list and decode times become presentation times.
//! * [`segments`]: the timeline is cut into segments that start at sync samples.
//! * [`index`]: the side file with one fixed-size entry per segment and the samples of each.
//! * [`track_file`]: the CMAF track files that our transcoder writes.
//!
//! Left to others: manifests, reading and storing bytes, encryption.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod error;
pub mod index;
pub mod segments;
pub mod timeline;
pub mod track_file;

pub use error::CmafError;
