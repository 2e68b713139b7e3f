//! `cargo xtask check`: what a reviewer should not have to look for.

use crate::run::{run, step};
use crate::{paths, wasm};
use anyhow::Result;
use std::process::Command;

/// Crates of the pure middle, by folder name.
pub(crate) fn pure_crates() -> Result<Vec<String>> {
    let mut names: Vec<_> = std::fs::read_dir(paths::root().join("crates"))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .map(|folder| format!("headwater-{folder}"))
        .collect();
    names.sort();
    Ok(names)
}

pub(crate) fn check() -> Result<()> {
    let cargo = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command.args(args).current_dir(paths::root());
        command
    };
    step("Formatting", || {
        run(&mut cargo(&["fmt", "--all", "--check"]))
    })?;
    step("Licences", crate::licences::check)?;
    step("Lints of the pure crates", || {
        let mut command = cargo(&["clippy", "--all-targets"]);
        for name in pure_crates()? {
            command.args(["--package", &name]);
        }
        run(command.args(["--package", "xtask", "--", "--deny", "warnings"]))
    })?;
    step("Lints of the workers", || {
        let mut command = cargo(&["clippy", "--release", "--all-targets"]);
        command.args(
            crate::build::WORKERS
                .iter()
                .flat_map(|name| ["--package", name]),
        );
        run(command.args(["--", "--deny", "warnings"]))
    })?;
    step("Documentation", || {
        let mut command = cargo(&["doc", "--no-deps", "--document-private-items"]);
        for name in pure_crates()? {
            command.args(["--package", &name]);
        }
        run(command.env("RUSTDOCFLAGS", "--deny warnings"))
    })?;
    step("The pure crates for Wasm", || {
        let mut command = wasm::toolchain()?.cargo();
        command.args(["check", "--target", "wasm32-wasip2", "--target-dir"]);
        command
            .arg(paths::target()?.join("functions"))
            .current_dir(paths::root());
        for name in pure_crates()? {
            command.args(["--package", &name]);
        }
        run(&mut command)
    })
}
