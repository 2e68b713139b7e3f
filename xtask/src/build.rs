//! Building functions, portal and the binary.

use crate::debian::Need;
use crate::run::{cargo, quiet, run, step};
use crate::{debian, node, paths, wasm};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The components of `spin.toml`.
pub(crate) const FUNCTIONS: [&str; 6] = ["api", "origin", "assembler", "events", "keys", "portal"];

/// The binary and what it is made of. Always built and tested together: another selection would unite other features
/// of shared dependencies, and compile wasmtime once more.
pub(crate) const WORKERS: [&str; 9] = [
    "headwater",
    "headwater-host",
    "headwater-blobstore",
    "headwater-transcoder",
    "headwater-net",
    "headwater-notifier",
    "headwater-ingest",
    "headwater-postgres",
    "headwater-trace",
];

/// What a build is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// To be used and measured: as Cargo.toml has it.
    Use,
    /// To be tested. The host, which Cargo.toml has compiled in one unit so that calls are inlined across all of it, takes seven
    /// minutes of one core that way; in many units, and optimised less, a fourth. The same goes for what else only moves bytes or
    /// asks the catalog. What they do is the same.
    Tests,
}

/// What is optimised less to be tested: all but what encodes, packages and encrypts.
const LIGHT: [&str; 6] = [
    "headwater",
    "headwater-host",
    "headwater-blobstore",
    "headwater-notifier",
    "headwater-api",
    "headwater-catalog",
];

impl For {
    /// For a cargo command that builds with `--release`.
    pub(crate) fn args(self) -> Vec<String> {
        if self == Self::Use {
            return Vec::new();
        }
        let of = |name: &str, setting: &str| {
            let setting = format!("profile.release.package.{name}.{setting}");
            ["--config".to_owned(), setting]
        };
        let light = LIGHT.iter().flat_map(|name| of(name, "opt-level=1"));
        light
            .chain(of("headwater-host", "codegen-units=16"))
            .collect()
    }
}

/// Everything that `headwater up` needs; returns the binary.
pub(crate) fn everything(purpose: For) -> Result<PathBuf> {
    debian::ensure(&[Need::program("c++", "g++")])?;
    debian::ensure_unpacked("nasm", "nasm")?;
    functions()?;
    step("Building headwater", || {
        let mut command = cargo();
        command
            .args(["build", "--release"])
            .args(purpose.args())
            .args(WORKERS.iter().flat_map(|name| ["--package", name]))
            .current_dir(paths::root());
        run(&mut command)
    })?;
    paths::headwater()
}

/// The components of the host's tests, in dist/guests.
pub(crate) fn guests() -> Result<()> {
    components(
        &["headwater-test-guest", "headwater-test-greeter"],
        &paths::root().join("dist/guests"),
        "headwater-test-",
    )
}

/// The components, in dist/functions.
pub(crate) fn functions() -> Result<()> {
    portal()?;
    let packages: Vec<String> = FUNCTIONS
        .iter()
        .map(|name| format!("headwater-fn-{name}"))
        .collect();
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    components(
        &packages,
        &paths::root().join("dist/functions"),
        "headwater-fn-",
    )
}

/// Builds `packages` and copies each to `dist/<name without prefix>.wasm`.
fn components(packages: &[&str], dist: &Path, prefix: &str) -> Result<()> {
    let toolchain = wasm::toolchain()?;
    let target = paths::target()?.join("functions");
    std::fs::create_dir_all(dist)?;
    step("Building the components", || {
        let mut cargo = toolchain.cargo();
        cargo.args([
            "build",
            "--profile",
            "function",
            "--target",
            "wasm32-wasip2",
        ]);
        for package in packages {
            cargo.args(["--package", package]);
        }
        cargo
            .arg("--target-dir")
            .arg(&target)
            .current_dir(paths::root());
        run(&mut cargo)
    })?;
    for package in packages {
        let file = package.replace('-', "_");
        let from = target.join(format!("wasm32-wasip2/function/{file}.wasm"));
        let to = dist.join(format!(
            "{}.wasm",
            package.strip_prefix(prefix).unwrap_or(package)
        ));
        let bytes = std::fs::read(&from).with_context(|| format!("reading {}", from.display()))?;
        // An unchanged component keeps its date, so that the binary which embeds it is not built again.
        if std::fs::read(&to).ok().as_deref() != Some(&bytes) {
            std::fs::write(&to, bytes)?;
        }
    }
    Ok(())
}

/// The portal's files, in portal/dist.
pub(crate) fn portal() -> Result<()> {
    // Suites of the sources want it while the build makes it.
    static MAKING: Mutex<()> = Mutex::new(());
    let _turn = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let portal = paths::root().join("portal");
    node::install(&portal)?;
    // Its client of the API is generated from the document.
    let document = std::fs::metadata(paths::root().join("docs/openapi.json"))?.modified()?;
    let newest = newest_source(&portal)?.max(document);
    let built = std::fs::metadata(portal.join("dist/index.html"))
        .and_then(|m| m.modified())
        .ok();
    if built.is_some_and(|built| built > newest) {
        return Ok(());
    }
    step("Building the portal", || {
        quiet(
            Command::new("npm")
                .args(["run", "build"])
                .current_dir(&portal),
        )
        .map(drop)
    })
}

fn newest_source(directory: &std::path::Path) -> Result<std::time::SystemTime> {
    let mut newest = std::time::SystemTime::UNIX_EPOCH;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        // The last is generated before every build and test.
        if name == "node_modules" || name == "dist" || name == "schema.d.ts" {
            continue;
        }
        let modified = if entry.file_type()?.is_dir() {
            newest_source(&entry.path())?
        } else {
            entry.metadata()?.modified()?
        };
        newest = newest.max(modified);
    }
    Ok(newest)
}
