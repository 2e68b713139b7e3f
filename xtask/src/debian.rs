//! Packages from Debian: the tools that tests and a quick build need.

use crate::run::{has, quiet, step};
use anyhow::{Result, bail};
use std::process::Command;

/// Makes sure that programs are there; `needs` pairs a program with its Debian package.
///
/// As root on a Debian-like machine they are installed; anywhere else one line says what to install.
pub(crate) fn ensure(needs: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> = needs
        .iter()
        .filter(|(program, _)| !has(program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !has("apt-get") || !is_root() {
        bail!("missing: {list}. Install them, e.g. `sudo apt-get install {list}`");
    }
    step(&format!("Installing {list}"), || {
        let apt = |args: &[&str]| {
            let mut command = Command::new("apt-get");
            command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
            quiet(&mut command)
        };
        apt(&["update"])?;
        let mut args = vec!["install", "-y", "--no-install-recommends"];
        args.extend(&missing);
        apt(&args).map(drop)
    })
}

fn is_root() -> bool {
    quiet(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
