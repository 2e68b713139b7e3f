//! Which files a child may touch: Landlock (Linux 5.13 and newer), by three system calls that need no library.
//!
//! It may read programs and libraries where systems keep them, and the sources that it was given; it may write into its folder.
//! Everything else is refused by the kernel, whoever the worker runs as. Where the kernel has no Landlock the other locks of
//! [`super::sandbox`] stand alone, which is said once.
//!
//! Layout of the structures: `linux/landlock.h`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Once;

use super::sandbox::Program;

const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
/// All that the first version knows: these, removing and making of every kind.
const FIRST_VERSION: u64 = (1 << 13) - 1;
/// Truncating, since the third version.
const TRUNCATE: u64 = 1 << 14;
/// What can be done to something that is no folder.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE;

const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;

/// Where systems keep programs, libraries and what these read: nothing of anybody's.
const SYSTEM: [&str; 13] = [
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/fonts",
    "/sys/devices/system",
    "/proc/cpuinfo",
    "/dev/urandom",
    "/dev/zero",
];
const SINKS: [&str; 1] = ["/dev/null"];

/// `struct landlock_ruleset_attr`, as of the first version.
#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneathAttr {
    allowed_access: u64,
    parent_fd: i32,
}

/// What a child is restricted to.
pub(super) struct Ruleset(OwnedFd);

impl Ruleset {
    /// That of `program`. `None` where there is no Landlock.
    pub(super) fn of(program: &Program) -> Option<Self> {
        static TOLD: Once = Once::new();
        let made = version().and_then(|version| Self::new(program, version));
        match made {
            Ok(ruleset) => Some(ruleset),
            Err(error) => {
                TOLD.call_once(|| {
                    tracing::warn!(%error, "no Landlock: files outside of a job's folder are protected by the worker's user alone");
                });
                None
            }
        }
    }

    fn new(program: &Program, version: u32) -> io::Result<Self> {
        let handled = FIRST_VERSION | if version >= 3 { TRUNCATE } else { 0 };
        let attributes = RulesetAttr {
            handled_access_fs: handled,
        };
        // SAFETY: the structure is whole and outlives the call; its size is given.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_landlock_create_ruleset,
                &raw const attributes,
                size_of::<RulesetAttr>(),
                0_u32,
            )
        };
        let fd = i32::try_from(fd).unwrap_or(-1);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave it to us, and nobody else has it.
        let ruleset = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        let look = EXECUTE | READ_FILE | READ_DIR;
        for path in SYSTEM {
            ruleset.allow(Path::new(path), look);
        }
        for path in SINKS {
            ruleset.allow(Path::new(path), READ_FILE | WRITE_FILE);
        }
        for path in beside(&program.path) {
            ruleset.allow(&path, look);
        }
        for path in &program.reads {
            ruleset.allow(path, READ_FILE);
        }
        ruleset.allow(&program.folder, handled & !EXECUTE);
        Ok(ruleset)
    }

    /// Allows `access` to `path` and what is beneath it. What is not there need not be allowed.
    fn allow(&self, path: &Path, access: u64) {
        let opened = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH)
            .open(path);
        let Ok(opened) = opened else {
            return;
        };
        let folder = opened.metadata().is_ok_and(|found| found.is_dir());
        let rule = PathBeneathAttr {
            allowed_access: if folder { access } else { access & OF_FILES },
            parent_fd: opened.as_raw_fd(),
        };
        // SAFETY: the structure is whole and outlives the call; both descriptors are open.
        unsafe {
            libc::syscall(
                libc::SYS_landlock_add_rule,
                self.0.as_raw_fd(),
                RULE_PATH_BENEATH,
                &raw const rule,
                0_u32,
            );
        }
    }

    /// Restricts this process, for good. Runs in the child: makes one system call.
    pub(super) fn enter(&self) -> io::Result<()> {
        // SAFETY: a system call with plain numbers.
        match unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.0.as_raw_fd(), 0_u32) }
        {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Which version the kernel has.
///
/// Errors: `Unsupported` of the kernel where it was built or started without.
pub fn version() -> io::Result<u32> {
    // SAFETY: asks for a number; no memory is passed.
    let found = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<RulesetAttr>(),
            0_usize,
            CREATE_RULESET_VERSION,
        )
    };
    match u32::try_from(found) {
        Ok(version) if version > 0 => Ok(version),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A program that lies elsewhere, with the libraries that come with it.
fn beside(program: &Path) -> Vec<PathBuf> {
    let Ok(program) = program.canonicalize() else {
        return Vec::new();
    };
    let folder = program.parent();
    let libraries = folder
        .and_then(Path::parent)
        .map(|folder| folder.join("lib"));
    let folder = folder.map(Path::to_owned);
    std::iter::once(program.clone())
        .chain(folder)
        .chain(libraries)
        .collect()
}
