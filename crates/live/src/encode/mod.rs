//! Live encoding, the part that decides: which layers a source gets ([`ladder`]), which of its pictures are encoded and which of
//! these are key frames ([`cadence`]), in which order decoded pictures are shown ([`order`]), and what is given up when encoders
//! cannot keep up ([`relief`]).
//!
//! What was decided is the same for all layers, so they are cut at the same pictures. Decoding and encoding is done by
//! the worker that runs an event.

pub mod cadence;
pub mod ladder;
pub mod order;
pub mod relief;
