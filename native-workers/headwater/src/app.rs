//! Where the application comes from: inside this binary, or a folder.

use anyhow::{Context, Result, bail};
use headwater_host::{AppDirectory, AppSource};
use std::path::{Path, PathBuf};

include!(concat!(env!("OUT_DIR"), "/app.rs"));

/// The application that was built into this binary.
struct Embedded;

impl AppSource for Embedded {
    fn read(&self, path: &str) -> Result<Vec<u8>> {
        FILES
            .iter()
            .find(|(name, _)| *name == path)
            .map(|(_, bytes)| bytes.to_vec())
            .with_context(|| format!("{path} is not in this binary"))
    }

    fn directory(&self) -> Option<&Path> {
        None
    }
}

/// The application in `directory`, or the embedded one.
pub(crate) fn source(directory: Option<PathBuf>) -> Result<Box<dyn AppSource + Sync>> {
    match directory {
        Some(directory) => Ok(Box::new(AppDirectory(directory))),
        None if FILES.is_empty() => {
            bail!(
                "this binary was built without the application: run `cargo xtask up`, or pass --app DIR"
            )
        }
        None => Ok(Box::new(Embedded)),
    }
}
