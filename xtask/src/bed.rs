//! `cargo xtask bed`: an installation of many processes on this machine, each of which is killed or paused in turn. And
//! `cargo xtask bench hosts`, which measures on it what two hosts serve.

use crate::debian::Need;
use crate::suites::{azurite_modules, python};
use crate::{build, debian, node, paths, run};
use anyhow::Result;
use std::path::Path;
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
    node::install(&paths::root().join("tests/sdk-js"))?;
    let azurite = azurite_modules()?.join("node_modules/.bin/azurite-blob");
    let mut command = pytest(&build::everything(build::For::Use)?, "bed")?;
    run::run(command.args(args).env("HEADWATER_AZURITE", azurite))
}

/// Two hosts in multiples of one.
pub(crate) fn bench_hosts(binary: &Path) -> Result<()> {
    debian::ensure(&TOOLS)?;
    run::run(&mut pytest(binary, "bed/bench_hosts.py")?)
}

fn pytest(binary: &Path, what: &str) -> Result<Command> {
    let tests = paths::root().join("tests");
    let mut command = Command::new(python(&tests.join("e2e/requirements.txt"))?);
    command
        .args(["-m", "pytest", "-q", "-s"])
        .arg(tests.join(what))
        .env("HEADWATER_BINARY", binary)
        .current_dir(paths::root());
    Ok(command)
}
