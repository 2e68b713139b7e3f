//! H.264 through OpenH264 (ADR 0006): decoding what sources bring, encoding what we publish.
//!
//! * [`support`] refuses by name what OpenH264's decoder does not have, before anything is decoded.
//! * [`nal`] converts between length-prefixed samples (ISO/IEC 14496-15) and Annex B byte streams.
//! * [`decoder`] and [`encoder`] are the only places that call the C++ library.
//! * [`rate`] holds a rendition's bitrate: OpenH264's own control needs to drop frames for that, and we never do. [`pace`] is an encoder
//!   under it.

pub mod decoder;
pub mod encoder;
pub mod level;
pub mod nal;
pub mod pace;
pub mod rate;
pub mod support;

/// Whether OpenH264 was compiled with its assembly. Without it (no `nasm` while building on x86) encoding takes
/// three times as long; the worker says so when it starts.
pub const fn has_assembly() -> bool {
    cfg!(openh264_asm)
}

#[cfg(test)]
mod tests {
    /// The macros for it are set in the workspace's `.cargo/config.toml`, where they could get lost without anybody's
    /// noticing more than a bill.
    #[cfg(all(
        openh264_asm,
        target_arch = "x86_64",
        target_os = "linux",
        target_env = "gnu"
    ))]
    #[test]
    fn openh264_has_its_avx2_code() {
        // Put together here, so that this program does not hold the name but for the function.
        let name = ["WelsSampleSatd16x16", "avx2"].join("_");
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let found = program
            .windows(name.len())
            .any(|window| window == name.as_bytes());
        assert!(found, "`cargo clean -p openh264-sys2`, and build again");
    }
}
