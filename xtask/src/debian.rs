//! Packages from Debian: the tools that tests and a quick build need.

use crate::paths;
use crate::run::{has, quiet, step};
use anyhow::{Result, bail};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Something that has to be there.
pub(crate) struct Need {
    /// How to find out.
    probe: Probe,
    /// The Debian package that brings it.
    package: &'static str,
}

enum Probe {
    Program(&'static str),
    /// A file or folder that the package brings.
    Path(&'static str),
    /// Modules that Python can import. Debian splits Python: the interpreter may be there without them.
    PythonModules(&'static str),
}

impl Need {
    pub(crate) const fn program(program: &'static str, package: &'static str) -> Self {
        Self {
            probe: Probe::Program(program),
            package,
        }
    }

    pub(crate) const fn path(path: &'static str, package: &'static str) -> Self {
        Self {
            probe: Probe::Path(path),
            package,
        }
    }

    pub(crate) const fn python(modules: &'static str, package: &'static str) -> Self {
        Self {
            probe: Probe::PythonModules(modules),
            package,
        }
    }

    fn is_met(&self) -> bool {
        match self.probe {
            Probe::Program(program) => has(program),
            Probe::Path(path) => std::path::Path::new(path).exists(),
            Probe::PythonModules(modules) => {
                let import = format!("import {modules}");
                has("python3") && quiet(Command::new("python3").args(["-c", &import])).is_ok()
            }
        }
    }
}

/// Makes sure that everything is there.
///
/// As root on a Debian-like machine what is missing is installed; anywhere else one line says what to install.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    // apt takes one at a time, and the second may find there what the first has installed.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _turn = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let missing: Vec<&str> = needs
        .iter()
        .filter(|need| !need.is_met())
        .map(|need| need.package)
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

/// Makes sure that `program` is there, without root if need be: its package is unpacked into the cache, which suits
/// programs that need no more than libc.
pub(crate) fn ensure_unpacked(program: &'static str, package: &'static str) -> Result<()> {
    if has(program) || unpacked()?.join(program).exists() {
        return Ok(());
    }
    if !is_root() && has("apt-get") && has("dpkg") && unpack(package).is_ok() {
        return Ok(());
    }
    ensure(&[Need::program(program, package)])
}

fn unpack(package: &str) -> Result<()> {
    step(&format!("Fetching {package}"), || {
        let folder = paths::cache()?.join("tools/archives");
        std::fs::create_dir_all(&folder)?;
        quiet(
            Command::new("apt-get")
                .args(["download", package])
                .current_dir(&folder),
        )?;
        for entry in std::fs::read_dir(&folder)? {
            let archive = entry?.path();
            let into = paths::cache()?.join("tools/root");
            quiet(Command::new("dpkg").arg("-x").arg(archive).arg(into))?;
        }
        Ok(std::fs::remove_dir_all(folder)?)
    })
}

/// Where [`ensure_unpacked`] puts programs.
fn unpacked() -> Result<PathBuf> {
    Ok(paths::cache()?.join("tools/root/usr/bin"))
}

/// `PATH` with the unpacked programs, if there are any.
pub(crate) fn search_path() -> Option<OsString> {
    let tools = unpacked().ok().filter(|tools| tools.is_dir())?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::env::split_paths(&path).chain([tools])).ok()
}

pub(crate) fn is_root() -> bool {
    quiet(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
