//! H.264 through OpenH264 (ADR 0006): decoding what sources bring, encoding what we publish.
//!
//! * [`support`] refuses by name what OpenH264's decoder does not have, before anything is decoded.
//! * [`nal`] converts between length-prefixed samples (ISO/IEC 14496-15) and Annex B byte streams.
//! * [`decoder`] and [`encoder`] are the only places that call the C++ library.
//! * [`rate`] holds a rendition's bitrate: OpenH264's own control needs to drop frames for that, and we never do.

pub mod decoder;
pub mod encoder;
pub mod level;
pub mod nal;
pub mod rate;
pub mod support;

/// Whether OpenH264 was compiled with its assembly. Without it (no `nasm` while building on x86) encoding takes
/// three times as long; the worker says so when it starts.
pub const fn has_assembly() -> bool {
    cfg!(openh264_asm)
}
