//! The server's side of RTMP (Adobe, "RTMP Specification 1.0"; Enhanced RTMP v1 for HEVC, AV1 and Opus), without IO.
//!
//! * [`Session`]: bytes of one connection go in; events and bytes to send back come out. It takes a publisher, and no
//!   player: what publishers need of the protocol is here and no more.
//! * [`flv`]: what is in audio and video messages.
//! * [`amf0`]: values in commands and metadata.
//!
//! Memory is bounded by [`Limits`] per connection, whatever a peer sends: a message is allocated as its bytes come in.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod amf0;
mod chunk;
mod error;
pub mod flv;
mod session;

pub use chunk::Limits;
pub use error::RtmpError;
pub use session::{Event, Session};
