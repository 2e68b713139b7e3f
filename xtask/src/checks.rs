//! `cargo xtask check`: what a reviewer should not have to look for.

use crate::run::{self, run, step};
use crate::{paths, wasm};
use anyhow::Result;

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
        let mut command = run::cargo();
        command.args(args).current_dir(paths::root());
        command
    };
    step("Formatting", || {
        run(&mut cargo(&["fmt", "--all", "--check"]))
    })?;
    step("Licences", crate::licences::check)?;
    // The portal's component holds the portal's files.
    crate::build::functions()?;
    step("Lints of the pure crates and the functions", || {
        let mut command = cargo(&["clippy", "--all-targets"]);
        let functions = crate::build::FUNCTIONS.map(|name| format!("headwater-fn-{name}"));
        for name in pure_crates()?.iter().chain(&functions) {
            command.args(["--package", name]);
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
        let mut command = cargo(&[
            "doc",
            "--no-deps",
            "--document-private-items",
            "--keep-going",
        ]);
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
