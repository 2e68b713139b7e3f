//! The smallest program that proves a Wasm toolchain: a library that links to a component.

use crate::run::quiet;
use crate::wasm::Toolchain;
use anyhow::{Result, bail};
use std::path::Path;

/// Builds a one-line component in `directory` and looks at its first bytes.
pub(crate) fn probe(toolchain: &Toolchain, directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory.join("src"))?;
    std::fs::write(
        directory.join("Cargo.toml"),
        "[package]\nname = \"probe\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n",
    )?;
    std::fs::write(
        directory.join("src/lib.rs"),
        "#[unsafe(no_mangle)]\npub extern \"C\" fn answer() -> u64 { std::env::args().count() as u64 }\n",
    )?;
    let mut cargo = toolchain.cargo();
    cargo
        .args([
            "build",
            "--quiet",
            "--target",
            "wasm32-wasip2",
            "--target-dir",
        ])
        .arg(directory.join("target"))
        .current_dir(directory);
    quiet(&mut cargo)?;
    let built = std::fs::read(directory.join("target/wasm32-wasip2/debug/probe.wasm"))?;
    // A component's preamble: magic, version 0x0d, layer 1.
    if built.get(..8) != Some(&[0, b'a', b's', b'm', 0x0d, 0, 1, 0]) {
        bail!("the probe was built, but it is not a component");
    }
    Ok(())
}
