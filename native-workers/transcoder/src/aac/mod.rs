//! AAC through Fraunhofer's library (ADR 0005), and what happens to samples between decoder and encoder.
//!
//! * [`decoder`] and [`encoder`] are the only places that call the C library.
//! * [`mix`] brings any channel layout to stereo, [`resample`] rates that streaming does not use to 44.1 or 48 kHz.

pub mod decoder;
pub mod encoder;
pub mod mix;
pub mod resample;

/// Samples of one channel in an AAC-LC access unit.
pub const FRAME: u64 = 1024;
