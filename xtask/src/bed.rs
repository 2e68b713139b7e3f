//! `cargo xtask bed`: an installation of many processes on this machine, each of which is killed or paused in turn.

use crate::debian::Need;
use crate::suites::{azurite_modules, python};
use crate::{build, debian, paths, run};
use anyhow::Result;
use std::process::Command;

/// What the bed needs beyond the build.
const TOOLS: [Need; 4] = [
    Need::program("ffmpeg", "ffmpeg"),
    Need::program("nginx", "nginx"),
    Need::python("venv, ensurepip", "python3-venv"),
    Need::path("/usr/lib/postgresql", "postgresql"),
];

/// Builds everything and runs tests/bed. `args`: for pytest.
pub(crate) fn bed(args: &[String]) -> Result<()> {
    debian::ensure(&TOOLS)?;
    let binary = build::everything()?;
    let tests = paths::root().join("tests");
    let python = python(&tests.join("e2e/requirements.txt"))?;
    let azurite = azurite_modules()?.join("node_modules/.bin/azurite-blob");
    let mut command = Command::new(python);
    command
        .args(["-m", "pytest", "-q", "-s"])
        .arg(tests.join("bed"))
        .args(args)
        .env("HEADWATER_BINARY", binary)
        .env("HEADWATER_AZURITE", azurite)
        .current_dir(paths::root());
    run::run(&mut command)
}
