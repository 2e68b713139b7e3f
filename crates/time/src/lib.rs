//! Media time: timescales, ticks on them, and the one way to change scale.
//!
//! A media time is a count of ticks that carries its scale. Two times of different scales never meet in `+` or `<`:
//! convert one with [`MediaTime::rescale`], which names its rounding and computes in 128 bits, or compare exactly with
//! [`MediaTime::compare`]. Nothing here reads a clock or uses floating point.
//!
//! What is left to others: wall-clock time, text forms (playlists print their own), and times before the start of a
//! presentation, which exist only while a source's edit list is being applied.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod rescale;
mod scale;
mod ticks;

pub use rescale::{Rounding, rescale, rescale_signed};
pub use scale::Timescale;
pub use ticks::{MediaDuration, MediaTime, TimeError};
