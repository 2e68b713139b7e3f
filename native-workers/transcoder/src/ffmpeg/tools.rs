//! The programs themselves: where they are and what they can do, asked for once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::sandbox::{Ended, Limits, Program};

/// ffmpeg and ffprobe as they are installed.
#[derive(Debug, Clone)]
pub struct Tools {
    pub ffmpeg: PathBuf,
    pub ffprobe: PathBuf,
    /// Such as `5.1.9`.
    pub version: String,
    encoders: BTreeSet<String>,
    filters: BTreeSet<String>,
}

const ASKING: Limits = Limits {
    memory_bytes: 4 << 30,
    file_bytes: 0,
    cpu: Duration::from_secs(20),
    silence: Duration::from_secs(20),
};

impl Tools {
    /// Looks for both programs in `PATH`, or in `folder`. Err: a sentence that says why there are none.
    pub async fn find(folder: Option<PathBuf>) -> Result<Self, String> {
        let folders: Vec<PathBuf> = match folder {
            Some(folder) => vec![folder],
            None => std::env::var_os("PATH")
                .map(|paths| std::env::split_paths(&paths).collect())
                .unwrap_or_default(),
        };
        let program = |name: &str| {
            folders
                .iter()
                .map(|folder| folder.join(name))
                .find(|path| path.is_absolute() && path.is_file())
                .ok_or_else(|| format!("{name} is not installed"))
        };
        let (ffmpeg, ffprobe) = (program("ffmpeg")?, program("ffprobe")?);
        let version = ask(&ffmpeg, "-version").await?;
        let encoders = names(&ask(&ffmpeg, "-encoders").await?);
        let filters = names(&ask(&ffmpeg, "-filters").await?);
        Ok(Self {
            version: version_of(&version),
            ffmpeg,
            ffprobe,
            encoders,
            filters,
        })
    }

    /// The first number of the version; 0 if it has none.
    pub fn major(&self) -> u32 {
        let digits: String = self
            .version
            .trim_start_matches('n')
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().unwrap_or(0)
    }

    pub fn has_encoder(&self, name: &str) -> bool {
        self.encoders.contains(name)
    }

    pub fn has_filter(&self, name: &str) -> bool {
        self.filters.contains(name)
    }
}

async fn ask(ffmpeg: &Path, question: &str) -> Result<String, String> {
    let program = Program {
        path: ffmpeg.to_owned(),
        arguments: vec!["-hide_banner".into(), question.into()],
        folder: std::env::temp_dir(),
        limits: ASKING,
        reads: Vec::new(),
    };
    match program.run(&CancellationToken::new(), None).await {
        Ended::Done { stdout, .. } => Ok(String::from_utf8_lossy(&stdout).into_owned()),
        other => Err(format!("ffmpeg {question} does not run: {other:?}")),
    }
}

/// `ffmpeg version 5.1.9-0+deb12u1 Copyright ...`: the third word, up to what a distribution added.
fn version_of(text: &str) -> String {
    let word = text.split_whitespace().nth(2).unwrap_or("unknown");
    word.split(['-', '+']).next().unwrap_or(word).to_owned()
}

/// The second column of `-encoders` and `-filters`.
fn names(table: &str) -> BTreeSet<String> {
    table
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_versions_are_read() {
        assert_eq!(
            version_of("ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000"),
            "5.1.9"
        );
        assert_eq!(version_of("ffmpeg version n7.1 Copyright"), "n7.1");
        let table = " V....D libx264              libx264 H.264\n ..C amix              N->A       Mixing.\n";
        assert_eq!(names(table), ["amix", "libx264"].map(str::to_owned).into());
    }
}
