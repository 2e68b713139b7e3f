//! The toolchain for `wasm32-wasip2`.
//!
//! Tried in order: the target that rustup has; the one it can fetch; Debian's own rustc, unpacked into a cache folder
//! beside rustup's and used through `RUSTC` for the components only. Nothing is installed system-wide. Every step
//! leaves a stamp, so that an interrupted set-up goes on where it stopped; the last one builds a probe component.

use crate::probe::probe;
use crate::run::{has, quiet, step};
use crate::{paths, run};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";
/// Which release the packages come from: the first whose rustc is new enough (1.94, for spin-sdk 7) and has the target.
const SUITES: [&str; 2] = ["forky", "sid"];
/// Packages and the libraries they need at run time. Versioned names are patterns.
const PACKAGES: [&str; 18] = [
    "rustc",
    "libstd-rust-1.",
    "libstd-rust-dev",
    "libstd-rust-dev-wasm32",
    "libllvm",
    "libc6",
    "libstdc++6",
    "libgcc-s1",
    "zlib1g",
    "libzstd1",
    "libxml2",
    "libffi8",
    "libedit2",
    "libtinfo6",
    "libbsd0",
    "libmd0",
    "libz3-4",
    "liblzma5",
];

/// A way to compile for the target.
pub(crate) struct Toolchain {
    /// Set for Debian's compiler: the wrapper, and the folders with rustup's linkers.
    debian: Option<(PathBuf, Vec<PathBuf>)>,
}

impl Toolchain {
    /// A `cargo` that compiles for the target.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = run::cargo();
        if let Some((rustc, linkers)) = &self.debian {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let path = linkers.iter().cloned().chain(std::env::split_paths(&path));
            command.env("RUSTC", rustc);
            if let Ok(path) = std::env::join_paths(path) {
                command.env("PATH", path);
            }
            // rustup's shim would put its own compiler back.
            command
                .env_remove("RUSTUP_TOOLCHAIN")
                .env_remove("RUSTC_WRAPPER");
        }
        command
    }
}

/// Finds or makes the toolchain.
pub(crate) fn toolchain() -> Result<Toolchain> {
    if has_target()? || fetched_by_rustup() {
        return Ok(Toolchain { debian: None });
    }
    debian()
}

fn sysroot() -> Result<PathBuf> {
    Ok(PathBuf::from(
        quiet(Command::new("rustc").args(["--print", "sysroot"]))?.trim(),
    ))
}

fn has_target() -> Result<bool> {
    if !has("rustc") {
        bail!("missing: Rust. Install it with rustup, https://rustup.rs");
    }
    Ok(sysroot()?
        .join("lib/rustlib")
        .join(TARGET)
        .join("lib")
        .is_dir())
}

fn fetched_by_rustup() -> bool {
    // A failed download is remembered for a day: rustup's own time-outs are long.
    let Ok(stamp) = paths::cache().map(|c| c.join("rustup-cannot-download")) else {
        return false;
    };
    let recent = std::fs::metadata(&stamp)
        .and_then(|m| m.modified())
        .is_ok_and(|t| t.elapsed().is_ok_and(|e| e.as_secs() < 86_400));
    if recent || !has("rustup") {
        return false;
    }
    let fetched = step("Asking rustup for the Wasm target", || {
        let mut rustup = Command::new("timeout");
        rustup.args(["120", "rustup", "target", "add", TARGET]);
        Ok(quiet(&mut rustup).is_ok() && has_target()?)
    });
    let fetched = fetched.unwrap_or(false);
    if !fetched {
        let _ = std::fs::write(stamp, "");
    }
    fetched
}

fn debian() -> Result<Toolchain> {
    for program in ["apt-get", "dpkg"] {
        if !has(program) {
            bail!(
                "rustup has no {TARGET} target and cannot fetch it: run `rustup target add {TARGET}` where it can"
            );
        }
    }
    if !cfg!(target_arch = "x86_64") {
        bail!(
            "missing: the {TARGET} target, which is fetched from Debian on x86-64 only. Add it with `rustup target add {TARGET}`"
        );
    }
    let home = paths::cache()?.join("wasm-toolchain");
    std::fs::create_dir_all(&home)?;
    let root = home.join("root");
    let tools = sysroot()?.join("lib/rustlib/x86_64-unknown-linux-gnu/bin");
    let toolchain = Toolchain {
        debian: Some((
            home.join("rustc"),
            vec![tools.clone(), tools.join("gcc-ld")],
        )),
    };
    let stamp = |name: &str| home.join(format!("{name}.done"));

    if !stamp("unpacked").exists() {
        let packages = step(
            "Fetching Debian's Rust for the Wasm components (about 190 MB, once)",
            || download(&home),
        )?;
        step("Unpacking it", || {
            for package in &packages {
                quiet(Command::new("dpkg").arg("-x").arg(package).arg(&root))?;
            }
            std::fs::write(stamp("unpacked"), "")?;
            std::fs::remove_dir_all(home.join("archives"))?;
            Ok(())
        })?;
    }
    write_wrapper(&home.join("rustc"), &root)?;
    if !stamp("probed").exists() {
        step("Building a probe component", || {
            probe(&toolchain, &home.join("probe"))
        })?;
        std::fs::write(stamp("probed"), "")?;
    }
    Ok(toolchain)
}

fn write_wrapper(wrapper: &Path, root: &Path) -> Result<()> {
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let text = format!(
        "#!/bin/sh\nexec {loader} --library-path {libraries} {rustc} --sysroot {sysroot} \"$@\"\n",
        loader = libraries.join("ld-linux-x86-64.so.2").display(),
        libraries = libraries.display(),
        rustc = root.join("usr/bin/rustc").display(),
        sysroot = root.join("usr").display(),
    );
    if std::fs::read_to_string(wrapper).is_ok_and(|old| old == text) {
        return Ok(());
    }
    std::fs::write(wrapper, text)?;
    run::run(Command::new("chmod").arg("+x").arg(wrapper))
}

/// Downloads the packages with a private apt: its own lists and archives, the machine's mirror and keyring. A mirror that
/// has not been brought up to date for weeks will do: what it signed is what we want, and nothing of it is installed.
fn download(home: &Path) -> Result<Vec<PathBuf>> {
    let (mirror, keyring) = mirror()?;
    let archives = home.join("archives");
    for folder in ["lists/partial", "archives/partial", "state"] {
        std::fs::create_dir_all(home.join(folder))?;
    }
    std::fs::write(home.join("state/status"), "")?;
    let mut sources = String::new();
    for suite in SUITES {
        sources += &format!("deb [signed-by={keyring}] {mirror} {suite} main\n");
    }
    std::fs::write(home.join("sources.list"), sources)?;
    let at = |path: &str| home.join(path).display().to_string();
    std::fs::write(
        home.join("apt.conf"),
        format!(
            "Dir::Etc::sourcelist \"{}\";\nDir::Etc::sourceparts \"-\";\nDir::State \"{}\";\nDir::State::lists \"{}\";\nDir::State::status \"{}\";\nDir::Cache \"{}\";\nDir::Cache::archives \"{}\";\nAPT::Sandbox::User \"\";\nAcquire::Check-Valid-Until \"false\";\nAPT::Default-Release \"{}\";\nAcquire::Languages \"none\";\n",
            at("sources.list"),
            at("state"),
            at("lists"),
            at("state/status"),
            at(""),
            at("archives"),
            SUITES[0],
        ),
    )?;
    let apt = |program: &str| {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", home.join("apt.conf"))
            .current_dir(&archives);
        command
    };
    quiet(apt("apt-get").arg("update"))?;
    let closure = quiet(apt("apt-cache").args([
        "depends",
        "--recurse",
        "--no-recommends",
        "--no-suggests",
        "--no-conflicts",
        "--no-breaks",
        "--no-replaces",
        "--no-enhances",
        "rustc",
        "libstd-rust-dev-wasm32",
    ]))?;
    let wanted: std::collections::BTreeSet<&str> = closure
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_alphanumeric()))
        .map(str::trim)
        .filter(|name| {
            PACKAGES
                .iter()
                .any(|p| *name == *p || is_version_of(name, p))
        })
        .collect();
    for needed in ["rustc", "libstd-rust-dev-wasm32", "libstd-rust-dev"] {
        if !wanted.contains(needed) {
            bail!(
                "the machine's Debian mirror offers no {needed} in {}",
                SUITES.join(" or ")
            );
        }
    }
    quiet(apt("apt-get").arg("download").args(&wanted))?;
    let mut packages = Vec::new();
    for entry in std::fs::read_dir(&archives)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "deb") {
            packages.push(path);
        }
    }
    Ok(packages)
}

/// `libllvm22` of `libllvm`, `libxml2-16` of `libxml2`, `libstd-rust-1.97` of `libstd-rust-1.`; not `libllvm22-dev`.
fn is_version_of(name: &str, pattern: &str) -> bool {
    let versioned = pattern.ends_with('.') || matches!(pattern, "libllvm" | "libxml2");
    versioned
        && name.strip_prefix(pattern).is_some_and(|rest| {
            !rest.is_empty()
                && rest
                    .chars()
                    .all(|c| c.is_ascii_digit() || c == '-' || c == '.')
        })
}

/// The Debian mirror that this machine uses, and the keyring that signs it.
fn mirror() -> Result<(String, String)> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = std::fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.filter_map(|e| e.ok().map(|e| e.path())));
    }
    files.sort();
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let suite = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .unwrap_or_default()
        .trim_matches('"');
    files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .find_map(|text| repository(&text, suite))
        .map(|url| (url, "/usr/share/keyrings/debian-archive-keyring.gpg".into()))
        .ok_or_else(|| {
            anyhow::anyhow!(
                "no Debian mirror in /etc/apt: run `rustup target add {TARGET}` on a machine with a network"
            )
        })
}

/// The address of the repository that serves the `main` of `suite`, in a file of either of apt's formats: others hold
/// somebody's packages, not Debian's.
fn repository(text: &str, suite: &str) -> Option<String> {
    let serves = |words: &str| {
        let has = |word: &str| words.split_whitespace().any(|w| w == word);
        (has(suite) || has("stable") || has("testing") || has("sid")) && has("main")
    };
    let address = |words: &str| {
        let url = words.split_whitespace().find(|word| word.contains("://"))?;
        Some(url.to_owned())
    };
    let one_line = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("deb "))
        .find(|line| serves(line))
        .and_then(address);
    one_line.or_else(|| {
        text.split("\n\n").find_map(|stanza| {
            let lines = || stanza.lines().filter(|line| !line.starts_with('#'));
            let words: Vec<&str> = lines().filter_map(|l| Some(l.split_once(':')?.1)).collect();
            let addresses = lines().find_map(|line| line.strip_prefix("URIs:"))?;
            serves(&words.join(" ")).then(|| address(addresses))?
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{is_version_of, repository};

    #[test]
    fn debians_own_repository_is_found_among_others() {
        let stanzas = "# comment\nTypes: deb\nURIs: https://packages.example/azure\nSuites: bookworm\nComponents: cli\n\nTypes: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\nTypes: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main\n";
        let found = Some("http://mirror.example/debian".to_owned());
        assert_eq!(repository(stanzas, "bookworm"), found);
        let lines = "deb [signed-by=/k] https://packages.example/x bookworm cli\ndeb [arch=amd64] http://mirror.example/debian bookworm main contrib\n";
        assert_eq!(repository(lines, "bookworm"), found);
        assert_eq!(repository(lines, "trixie"), None);
    }

    #[test]
    fn versioned_package_names_are_recognised() {
        assert!(is_version_of("libllvm22", "libllvm"));
        assert!(is_version_of("libxml2-16", "libxml2"));
        assert!(is_version_of("libstd-rust-1.97", "libstd-rust-1."));
        assert!(!is_version_of("libllvm22-dev", "libllvm"));
        assert!(!is_version_of("libc6-dev", "libc6"));
    }
}
