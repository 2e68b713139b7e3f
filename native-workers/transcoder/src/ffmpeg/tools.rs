//! The programs themselves: where they are and what they can do, asked for once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::sandbox::{Ended, Limits, Program};
use crate::plan::Fingerprint;

/// ffmpeg and ffprobe as they are installed.
#[derive(Debug, Clone)]
pub struct Tools {
    pub ffmpeg: PathBuf,
    pub ffprobe: PathBuf,
    /// Such as `5.1.9`.
    pub version: String,
    /// What `-version` says.
    about: String,
    /// See [`Self::identity`]; found out when it is first asked for.
    identity: Arc<OnceCell<String>>,
    encoders: BTreeSet<String>,
    filters: BTreeSet<String>,
}

/// Encoders of pictures. Most are libraries of their own, of which `-version` says nothing.
const ENCODERS: [(&str, &[&str]); 4] = [
    ("libx264", &[]),
    // Its settings would hold the machine's.
    ("libx265", &["-x265-params", "info=0"]),
    ("libsvtav1", &["-svtav1-params", "lp=1"]),
    ("libaom-av1", &["-cpu-used", "8"]),
];
/// What x265 and SVT-AV1 say of themselves, in their own words.
const VERSIONS: [&str; 2] = ["encoder version", "Encoder Lib"];

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
            identity: known(&ffmpeg, &version),
            about: version,
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

    /// Tells this build from others: bytes that one makes do not go beside those of another.
    pub async fn identity(&self) -> &str {
        let found = async || identity(&self.ffmpeg, &self.about, &self.encoders).await;
        self.identity.get_or_init(found).await
    }

    pub fn has_encoder(&self, name: &str) -> bool {
        self.encoders.contains(name)
    }

    pub fn has_filter(&self, name: &str) -> bool {
        self.filters.contains(name)
    }
}

/// Where the identity of a build is kept: one process asks each build once, however many workers it runs.
fn known(ffmpeg: &Path, about: &str) -> Arc<OnceCell<String>> {
    type Builds = BTreeMap<(PathBuf, String), Arc<OnceCell<String>>>;
    static BUILDS: Mutex<Builds> = Mutex::new(BTreeMap::new());
    let mut builds = BUILDS.lock().unwrap_or_else(PoisonError::into_inner);
    let build = (ffmpeg.to_owned(), about.to_owned());
    Arc::clone(builds.entry(build).or_default())
}

/// `version`: what `-version` says, with the configuration and the libraries of ffmpeg itself. Of the encoders of others: what they
/// make of a few pictures, and what they say of their version.
async fn identity(ffmpeg: &Path, version: &str, encoders: &BTreeSet<String>) -> String {
    let there = ENCODERS
        .into_iter()
        .filter(|(encoder, _)| encoders.contains(*encoder));
    let samples =
        there.map(async |(encoder, options)| (encoder, sample(ffmpeg, encoder, options).await));
    let samples = futures::future::join_all(samples).await;
    Fingerprint::new().with(version).with(samples).text()
}

/// Empty where the encoder does not run.
async fn sample(ffmpeg: &Path, encoder: &str, options: &[&str]) -> String {
    let source = "testsrc2=s=128x128:r=25:d=1";
    let program = Program {
        path: ffmpeg.to_owned(),
        arguments: ["-hide_banner", "-nostdin", "-f", "lavfi", "-i", source]
            .into_iter()
            .chain(["-frames:v", "5", "-pix_fmt", "yuv420p", "-c:v", encoder])
            .chain(options.iter().copied())
            .chain(["-threads", "1", "-f", "md5", "-"])
            .map(str::to_owned)
            .collect(),
        folder: std::env::temp_dir(),
        limits: Limits {
            memory_bytes: 16 << 30,
            ..ASKING
        },
        reads: Vec::new(),
    };
    match program.run(&CancellationToken::new(), None).await {
        Ended::Done { stdout, stderr } => {
            let mut told = String::from_utf8_lossy(&stdout).into_owned();
            let versions = stderr
                .lines()
                .filter_map(|line| VERSIONS.iter().find_map(|words| line.split_once(words)));
            told.extend(versions.map(|(_, version)| version));
            told
        }
        _ => String::new(),
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

    #[tokio::test]
    async fn a_build_is_known_by_its_encoders() {
        let tools = Tools::find(None).await.unwrap();
        let again = Tools::find(None).await.unwrap();
        assert_eq!(tools.identity().await, again.identity().await);
        let about = tools.about.replace("--enable", "--disable");
        let other = identity(&tools.ffmpeg, &about, &tools.encoders).await;
        assert_ne!(tools.identity().await, other);
        for (encoder, options) in ENCODERS {
            if tools.has_encoder(encoder) {
                let said = sample(&tools.ffmpeg, encoder, options).await;
                assert!(said.contains("MD5="), "{encoder}: {said}");
            }
        }
        let none = identity(&tools.ffmpeg, &tools.about, &BTreeSet::new()).await;
        assert_ne!(tools.identity().await, none);
    }

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
