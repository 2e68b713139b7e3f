//! Finds out whether `openh264-sys2` could compile OpenH264's assembly: its build script looks for `nasm` and goes on
//! silently, three times slower, when there is none.

use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rustc-check-cfg=cfg(openh264_asm)");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=OPENH264_NO_ASM");
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let assembly = match arch.as_str() {
        "x86" | "x86_64" => std::env::var_os("OPENH264_NO_ASM").is_none() && nasm_runs(),
        // Compiled by the C++ compiler itself.
        "arm" | "aarch64" => true,
        _ => false,
    };
    if assembly {
        println!("cargo::rustc-cfg=openh264_asm");
    } else {
        println!(
            "cargo::warning=OpenH264 is built without assembly and will encode about three times slower: install nasm, \
             then `cargo clean -p openh264-sys2` and build again"
        );
    }
}

fn nasm_runs() -> bool {
    Command::new("nasm")
        .arg("-v")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
