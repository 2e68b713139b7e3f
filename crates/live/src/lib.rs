//! Live: from access units that encoders send to a timeline that players follow and that becomes a film at the end.
//!
//! * [`source`]: an encoder's clock, wrapped and restarted, becomes the event's, which is wall-clock time.
//! * [`stream`]: what an encoder announces of a stream, and its init segment.
//! * [`engine`]: access units of all streams of an event are cut, aligned, into CMAF chunks and segments.
//! * [`timeline`]: what there is: tracks, rows of segments, sequence numbers, discontinuities. [`group`]: its rows by segments
//!   of a transport stream.
//! * [`journal`]: the timeline as a worker keeps it on its disk. [`archive`]: as it is in storage beside the media.
//! * [`limits`], [`reason`]: what is let in, and in which words it is refused or dropped.
//! * [`cue`]: what encoders say of moments to come: ad breaks, messages for players.
//! * [`encode`]: what is decided of an event that is encoded here.
//! * [`ts`]: transport streams, as SRT brings them.
//! * [`chunk`]: the samples of a chunk, from its header.
//! * [`edge`]: what the origin and the worker that runs an event say to each other about its newest moments.
//!
//! The event's clock counts 90 kHz ticks since the Unix epoch. So media times say when something was live, two workers
//! that never spoke to each other do not use the same time twice, and a manifest's availability start is the epoch for ever.
//!
//! Nothing here does IO or reads a clock; *now* is an argument, in milliseconds since the Unix epoch. Memory is bounded by
//! the limits of the engine's configuration, whatever comes in.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod archive;
mod boxes;
pub mod chunk;
pub mod cue;
pub mod edge;
pub mod encode;
pub mod engine;
mod error;
mod grid;
pub mod group;
pub mod journal;
pub mod language;
pub mod limits;
pub mod message;
pub mod reason;
pub mod silence;
pub mod smooth;
pub mod source;
pub mod stream;
pub mod timeline;
mod track;
pub mod ts;
mod wire;

pub use error::LiveError;

use headwater_time::Timescale;

/// Scale of the event's clock, and of every video track.
pub const CLOCK: Timescale = Timescale::MPEG;

/// Ticks of [`CLOCK`] in a millisecond.
pub const CLOCK_PER_MS: i64 = 90;

/// Milliseconds in ticks of [`CLOCK`].
#[must_use]
pub const fn clock_of_ms(ms: i64) -> i64 {
    ms.saturating_mul(CLOCK_PER_MS)
}
