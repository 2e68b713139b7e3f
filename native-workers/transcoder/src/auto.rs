//! Which engine makes a job: the built-in one where it can, ffmpeg for the rest.
//!
//! The choice is a function of the job alone, so that a job another worker takes up goes on as it began. It is reported with
//! its reason, and shown with the job.

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::LocalBoxFuture;
use headwater_work::{Claim, JobErrorCode};

use crate::analysis::Analysis;
use crate::builtin::BuiltIn;
use crate::engine::{Engine, Job};
use crate::failure::{Step, Stopped};
use crate::ffmpeg::{Ffmpeg, Settings, Tools, scratch};
use crate::inserter;
use crate::preset::{self, Preset, VideoPreset};
use crate::source::Source;

/// Which engine a worker uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Choice {
    /// Per job.
    #[default]
    Auto,
    /// Always the built-in one.
    BuiltIn,
    /// Always ffmpeg.
    Ffmpeg,
}

impl std::str::FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "builtin" => Ok(Self::BuiltIn),
            "ffmpeg" => Ok(Self::Ffmpeg),
            other => Err(format!("'{other}' is not one of auto, builtin, ffmpeg")),
        }
    }
}

/// Both engines, and the choice between them.
pub struct Auto {
    builtin: BuiltIn,
    /// Err: why there is none.
    ffmpeg: Result<Ffmpeg, String>,
    choice: Choice,
}

impl Auto {
    /// Looks for ffmpeg in `folder`, or in `PATH`.
    pub async fn find(choice: Choice, settings: Settings, folder: Option<PathBuf>) -> Arc<Self> {
        let builtin = BuiltIn::new(settings.threads);
        // Before the first job, whichever engine: this worker may have lost its ffmpeg since.
        let scratch = settings.scratch.clone();
        let _ = tokio::task::spawn_blocking(move || scratch::sweep(&scratch)).await;
        let ffmpeg = match choice {
            Choice::BuiltIn => Err("the worker was set up with --engine builtin".into()),
            _ => Tools::find(folder)
                .await
                .map(|tools| Ffmpeg::new(tools, settings)),
        };
        Arc::new(Self {
            builtin,
            ffmpeg,
            choice,
        })
    }

    /// For the worker's first line.
    pub fn describe(&self) -> String {
        match &self.ffmpeg {
            Ok(ffmpeg) => format!("built in, and ffmpeg {}", ffmpeg.tools.version),
            Err(why) => format!("built in only: {why}"),
        }
    }

    async fn job(&self, claim: &Claim, job: &Job) -> Step<Vec<String>> {
        if let Some(inserts) = inserter::of(claim)? {
            return inserter::run(claim, job, &inserts).await;
        }
        let (engine, why) = self.engine_for(claim, job).await?;
        job.chose(engine.name(), &why);
        engine.run(claim, job).await
    }

    async fn lend_a_hand(&self, claim: &Claim, outputs: &[u32], job: &Job) -> Step<()> {
        // Whoever has the job chose the same, or its plan is another.
        let (engine, _) = self.engine_for(claim, job).await?;
        engine.help(claim, outputs, job).await
    }

    /// Which engine makes the job, and why that one.
    async fn engine_for(&self, claim: &Claim, job: &Job) -> Step<(&dyn Engine, String)> {
        let ffmpeg = match (&self.ffmpeg, self.choice) {
            (Ok(ffmpeg), Choice::Ffmpeg) => {
                let why = "The worker was set up with --engine ffmpeg.";
                return Ok((ffmpeg, why.into()));
            }
            (Ok(ffmpeg), _) => ffmpeg,
            (Err(why), _) => {
                let why = format!("The worker has no other engine: {why}.");
                return Ok((&self.builtin, why));
            }
        };
        Ok(match self.fits(claim, job).await? {
            Ok(()) => {
                let why =
                    "The built-in engine decodes the source and makes what the preset asks for.";
                (&self.builtin, why.into())
            }
            Err(why) => (ffmpeg, why),
        })
    }

    /// Whether the built-in engine can make the job. The inner error: a sentence that says why not.
    async fn fits(&self, claim: &Claim, job: &Job) -> Step<Result<(), String>> {
        let mut pictures = false;
        for output in &claim.outputs {
            match Preset::of(&preset::parse(&output.preset)?) {
                Ok(preset) => pictures |= preset.video != VideoPreset::None,
                Err(what) => {
                    return Ok(Err(format!(
                        "The preset asks for {what}, which the built-in engine does not make."
                    )));
                }
            }
        }
        let analysed = async {
            let source = Source::open(&job.storage, &claim.input, &job.stop).await?;
            Analysis::new(&source, pictures).await
        };
        match analysed.await {
            // Others would miss it: ffmpeg makes all of the sound that it can.
            Ok(analysis) => Ok(match analysis.passed_over.first() {
                Some((track, codec)) => Err(format!(
                    "Track {track} is {codec}, which the built-in engine does not decode."
                )),
                None => Ok(()),
            }),
            Err(Stopped::Failed(failure))
                if matches!(
                    failure.code,
                    JobErrorCode::ContentUnsupported | JobErrorCode::ConfigurationUnsupported
                ) =>
            {
                Ok(Err(failure.message))
            }
            // Damaged, or out of reach: the built-in engine's words are the more exact ones.
            Err(Stopped::Failed(failure)) if failure.code == JobErrorCode::ContentMalformed => {
                Ok(Ok(()))
            }
            Err(other) => Err(other),
        }
    }
}

impl Engine for Auto {
    fn name(&self) -> &'static str {
        match self.choice {
            Choice::Auto => "auto",
            Choice::BuiltIn => "builtin",
            Choice::Ffmpeg => "ffmpeg",
        }
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
        Box::pin(self.lend_a_hand(claim, outputs, job))
    }
}
