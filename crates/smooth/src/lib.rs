//! Smooth Streaming ([MS-SSTR]): snapshot in, manifest and fragment headers out.
//!
//! [`Manifest::write`] makes the client manifest of a presentation (§2.2.2), [`Fragment::header`] what goes in
//! front of a fragment's samples (§2.2.4). The same value gives the same bytes.
//!
//! Left to others: where tracks and samples come from, and what URLs look like (`headwater-origin`).
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod fragment;
mod manifest;
mod private;
mod sparse;
mod text;

pub use fragment::{Following, Fragment, Sample, TooLarge};
pub use manifest::{Chunk, Level, Live, Manifest, Media, Stream, Version};
pub use private::{aac_private_data, eac3_private_data, video_private_data};
pub use sparse::{Message, Sparse};

/// Value for `Content-Type` of manifests.
pub const CONTENT_TYPE: &str = "application/vnd.ms-sstr+xml";
