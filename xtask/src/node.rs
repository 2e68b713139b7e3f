//! npm packages, installed from lock files.

use crate::run::{has, one_at_a_time, quiet, step};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// A Node.js that Vite runs on is there.
pub(crate) fn ensure_node() -> Result<()> {
    const NEEDED: &str = "Node.js 20.19, 22.12 or newer with npm: https://nodejs.org";
    if !has("node") || !has("npm") {
        bail!("missing: {NEEDED}");
    }
    let version = quiet(Command::new("node").arg("--version"))?;
    let version = version.trim();
    if !recent_enough(version) {
        bail!("Node.js {version} is too old: {NEEDED}");
    }
    Ok(())
}

/// Whether `version` (`v20.19.1`) is one of those that Vite 7 names.
fn recent_enough(version: &str) -> bool {
    let mut numbers = version
        .trim_start_matches('v')
        .split('.')
        .map_while(|number| number.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(20), Some(minor)) => minor >= 19,
        (Some(22), Some(minor)) => minor >= 12,
        (Some(major), Some(_)) => major > 22,
        _ => false,
    }
}

/// `npm ci` in `directory`, unless its lock file is the one that was installed last.
pub(crate) fn install(directory: &Path) -> Result<()> {
    let _turn = one_at_a_time();
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
    let _turn = one_at_a_time();
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

#[cfg(test)]
mod tests {
    use super::recent_enough;

    #[test]
    fn versions_that_vite_runs_on() {
        for good in ["v20.19.0", "v22.12.3", "v24.0.0"] {
            assert!(recent_enough(good), "{good}");
        }
        for bad in ["v18.20.4", "v20.18.1", "v21.7.0", "v22.11.0", "nightly"] {
            assert!(!recent_enough(bad), "{bad}");
        }
    }
}
