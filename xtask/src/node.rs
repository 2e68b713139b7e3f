//! npm packages, installed from lock files.

use crate::run::{has, quiet, step};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Node 20 or newer is there.
pub(crate) fn ensure_node() -> Result<()> {
    if !has("node") || !has("npm") {
        bail!(
            "missing: Node.js 20 or newer with npm. Install it, e.g. `sudo apt-get install nodejs npm`"
        );
    }
    let version = quiet(Command::new("node").arg("--version"))?;
    let major: u32 = version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|n| n.parse().ok())
        .with_context(|| format!("node --version says {version:?}"))?;
    if major < 20 {
        bail!(
            "Node.js {} is too old; 20 or newer is needed",
            version.trim()
        );
    }
    Ok(())
}

/// `npm ci` in `directory`, unless its lock file is the one that was installed last.
pub(crate) fn install(directory: &Path) -> Result<()> {
    ensure_node()?;
    let lock = std::fs::read(directory.join("package-lock.json"))
        .with_context(|| format!("{} has no package-lock.json", directory.display()))?;
    let stamp = directory.join("node_modules/.headwater-lock");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    step(
        &format!(
            "Installing npm packages of {}",
            directory.file_name().unwrap_or_default().to_string_lossy()
        ),
        || {
            let npm = |verb: &str| {
                quiet(
                    Command::new("npm")
                        .args([verb, "--no-audit", "--no-fund"])
                        .current_dir(directory),
                )
            };
            // `npm ci` refuses a lock file without the optional packages of other platforms, and npm writes such lock
            // files wherever the registry does not offer them. `npm install` keeps to the same versions.
            if npm("ci").is_err() {
                let installed = npm("install");
                std::fs::write(directory.join("package-lock.json"), &lock)?;
                installed?;
            }
            std::fs::write(&stamp, lock)?;
            Ok(())
        },
    )
}

/// Installs the pinned packages of a package.json without a lock file into a folder outside the checkout.
pub(crate) fn install_into(package: &Path, directory: &Path) -> Result<()> {
    ensure_node()?;
    let text = std::fs::read(package).with_context(|| format!("reading {}", package.display()))?;
    let stamp = directory.join(".headwater-package");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == text) {
        return Ok(());
    }
    step("Installing npm packages for the tests", || {
        std::fs::create_dir_all(directory)?;
        std::fs::write(directory.join("package.json"), &text)?;
        quiet(
            Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--no-package-lock"])
                .current_dir(directory),
        )?;
        std::fs::write(&stamp, &text)?;
        Ok(())
    })
}
