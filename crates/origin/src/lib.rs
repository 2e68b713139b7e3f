//! The origin: what to answer to a player.
//!
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod address;
mod answer;
mod cache;
mod error;
pub mod language;
mod ports;

pub use answer::{Body, Request, failure};
pub use error::{Code, Kind, OriginError};
