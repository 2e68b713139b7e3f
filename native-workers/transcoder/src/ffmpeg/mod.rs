//! The engine around `ffmpeg`: any container and codec in, H.264, H.265 and AV1 out.
//!
//! ```text
//! sources ─> the job's folder ─> sniffed, probed ─> one run: decode once, filter, encode every track ─> files of one track
//!                                                                                                       │
//!    storage <─ track files, indexes, .ism  <─ cut at key frames ─────────────────────────────────────────┤
//!            <─ MP4 with several tracks, TS <─ joined without encoding ─────────────────────────────────┘
//! ```
//!
//! ffmpeg runs as a confined child ([`sandbox`]), with a demuxer that we chose ([`container`]). It is no part of the
//! product: a worker on a machine without it goes on with the built-in engine ([`crate::auto`]). Pictures are encoded in
//! chunks that are kept (`split`, `chunks`) where that goes; what does not go in chunks begins anew with another worker.

mod archive;
pub mod channels;
mod chunks;
pub mod container;
pub mod fault;
pub mod graph;
mod he_aac;
pub mod images;
mod indexed;
pub mod inputs;
#[cfg(target_os = "linux")]
pub mod landlock;
mod languages;
mod later;
mod manifest;
mod measure;
pub mod output;
mod overlays;
pub mod pack;
pub mod pieces;
mod planning;
pub mod probe;
mod publish;
pub mod rungs;
pub mod sandbox;
pub mod scratch;
mod sound;
mod split;
mod stretch;
mod times;
pub mod tools;
pub mod tracks;
mod varying;

use std::path::PathBuf;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use headwater_net::egress::Guard;
use headwater_preset::{AudioCodec, Preset, VideoCodec};
use headwater_work::{Claim, WorkOutput};

use crate::engine::{Engine, Job, by_urgency};
use crate::failure::{self, Step};
use crate::preset;
use inputs::{Loader, Sources};
use output::OutputRun;
use sandbox::Limits;
use scratch::JobFolder;
pub use tools::Tools;

/// How an engine is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Threads of one child.
    pub threads: usize,
    /// Folders of jobs are made in here.
    pub scratch: PathBuf,
    /// Largest source that is fetched.
    pub source_bytes: u64,
    /// Address space of one child.
    pub memory_bytes: u64,
    /// Where sources by HTTP may come from.
    pub guard: Guard,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            scratch: std::env::temp_dir(),
            source_bytes: 256 << 30,
            memory_bytes: 16 << 30,
            guard: Guard::default(),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Ffmpeg {
    pub tools: Tools,
    pub settings: Settings,
}

/// Without a word from a child that encodes.
const SILENCE: Duration = Duration::from_secs(300);
/// For copies: Debian's ffmpeg 5.1 calls FLAC in MP4 experimental, and writes none without consent.
const UNRIPE: [&str; 2] = ["-strict", "experimental"];
/// Processor time of a run: so much, and so much more for every second of the source and rendition. AV1 at its slowest
/// takes some hundred times as long as it plays.
const LEAST_CPU: f64 = 300.0;
const CPU_PER_SECOND: f64 = 300.0;

impl Ffmpeg {
    pub fn new(tools: Tools, settings: Settings) -> Self {
        Self { tools, settings }
    }

    /// For a run over `seconds` of source that makes `tracks`.
    fn limits(&self, seconds: f64, tracks: usize) -> Limits {
        let cpu = LEAST_CPU + CPU_PER_SECOND * seconds.max(0.0) * (tracks as f64 + 1.0);
        Limits {
            memory_bytes: self.settings.memory_bytes,
            file_bytes: self.settings.source_bytes,
            cpu: Duration::from_secs(cpu.min(30.0 * 86_400.0) as u64),
            silence: SILENCE,
        }
    }

    async fn job(&self, claim: &Claim, job: &Job) -> Step<Vec<String>> {
        let mut manifests = vec![String::new(); claim.outputs.len()];
        self.outputs(claim, job, None, async |at, output, run| {
            manifests[at] = job.settle(output, run.run().await)?.unwrap_or_default();
            Ok(())
        })
        .await?;
        Ok(manifests)
    }

    /// Gets the sources, and does `each` with the job's outputs, or those with the indexes `only`, by urgency.
    async fn outputs(
        &self,
        claim: &Claim,
        job: &Job,
        only: Option<&[u32]>,
        mut each: impl AsyncFnMut(usize, &WorkOutput, OutputRun<'_>) -> Step<()>,
    ) -> Step<()> {
        let presets = claim
            .outputs
            .iter()
            .map(|output| preset::parse(&output.preset))
            .collect::<Step<Vec<_>>>()?;
        let folder = JobFolder::new(&self.settings.scratch).map_err(|error| {
            failure::passing(format!("The job's folder cannot be made: {error}."))
        })?;
        let loader = Loader {
            engine: self,
            storage: &job.storage,
            stop: &job.stop,
            folder: folder.path(),
            all_files: presets.iter().all(copies),
            copies: presets.iter().any(copies),
            copies_sound: presets.iter().any(copies_sound),
        };
        let sources = loader.load(&claim.input).await?;
        let mut runs = Vec::with_capacity(presets.len());
        let wanted = |output: &WorkOutput| only.is_none_or(|only| only.contains(&output.index));
        for (at, output) in by_urgency(claim) {
            if !wanted(output) {
                continue;
            }
            let done = job.start(output.index, progress_units(&sources));
            let inside = folder.path().join(format!("out{}", output.index));
            std::fs::create_dir(&inside).map_err(|error| {
                failure::passing(format!("The job's folder cannot be used: {error}."))
            })?;
            let run = OutputRun::new(
                self,
                claim,
                job,
                output,
                &presets[at],
                &sources,
                inside,
                done,
            )?;
            runs.push((at, output, run));
        }
        for (at, output, run) in runs {
            each(at, output, run).await?;
        }
        Ok(())
    }
}

/// Whether nothing is encoded.
fn copies(preset: &Preset) -> bool {
    preset
        .videos
        .iter()
        .any(|video| matches!(video, VideoCodec::Copy { .. }))
}

/// Whether sound is taken as it is.
fn copies_sound(preset: &Preset) -> bool {
    let mut audios = preset.audios.iter();
    audios.any(|audio| matches!(audio, AudioCodec::Copy { .. }))
}

/// Milliseconds of the presentation.
fn progress_units(sources: &Sources) -> u64 {
    let seconds: f64 = sources.parts.iter().map(|part| part.seconds).sum();
    (seconds * 1000.0).max(1.0) as u64
}

impl Engine for Ffmpeg {
    fn name(&self) -> &'static str {
        "ffmpeg"
    }

    fn run<'a>(&'a self, claim: &'a Claim, job: &'a Job) -> LocalBoxFuture<'a, Step<Vec<String>>> {
        Box::pin(self.job(claim, job))
    }

    fn help<'a>(
        &'a self,
        claim: &'a Claim,
        outputs: &'a [u32],
        job: &'a Job,
    ) -> LocalBoxFuture<'a, Step<()>> {
        Box::pin(self.outputs(claim, job, Some(outputs), async |_, _, run| {
            run.help().await
        }))
    }
}
