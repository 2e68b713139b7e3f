//! Which engine makes a job: the built-in one where it can, ffmpeg for the rest.
//!
//! The choice is a function of the job alone, so that a job another worker takes up goes on as it began. It is reported with
//! its reason, and shown with the job.

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::LocalBoxFuture;
use headwater_work::{Claim, JobErrorCode, JobFailure};

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

/// An engine for a job.
struct Chosen<'a> {
    engine: &'a dyn Engine,
    /// A sentence that says why this one.
    why: String,
    /// What the built-in engine found wrong with the source.
    damage: Option<JobFailure>,
}

/// Why the built-in engine does not make a job.
enum Misfit {
    /// It is asked for what it does not do: a sentence.
    Asked(String),
    /// It finds the source damaged.
    Damaged(JobFailure),
}

/// The end of a job whose source neither engine could use: the built-in one's words are the more exact ones.
fn in_own_words(damage: JobFailure, failure: JobFailure) -> JobFailure {
    let details = [damage.details, vec![failure.message], failure.details];
    JobFailure {
        details: details.concat(),
        ..damage
    }
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
        let chosen = self.engine_for(claim, job).await?;
        job.chose(chosen.engine.name(), &chosen.why);
        let made = chosen.engine.run(claim, job).await;
        match (made, chosen.damage) {
            (Err(Stopped::Failed(failure)), Some(damage)) if !failure.code.may_retry() => {
                Err(Stopped::Failed(in_own_words(damage, failure)))
            }
            (made, _) => made,
        }
    }

    async fn lend_a_hand(&self, claim: &Claim, outputs: &[u32], job: &Job) -> Step<()> {
        // Whoever has the job chose the same, or its plan is another.
        let chosen = self.engine_for(claim, job).await?;
        chosen.engine.help(claim, outputs, job).await
    }

    /// Which engine makes the job, and why that one.
    async fn engine_for(&self, claim: &Claim, job: &Job) -> Step<Chosen<'_>> {
        let chosen = |engine, why: String| Chosen {
            engine,
            why,
            damage: None,
        };
        let ffmpeg: &dyn Engine = match (&self.ffmpeg, self.choice) {
            (Ok(ffmpeg), Choice::Ffmpeg) => {
                let why = "The worker was set up with --engine ffmpeg.";
                return Ok(chosen(ffmpeg, why.into()));
            }
            (Ok(ffmpeg), _) => ffmpeg,
            (Err(why), _) => {
                let why = format!("The worker has no other engine: {why}.");
                return Ok(chosen(&self.builtin, why));
            }
        };
        Ok(match self.fits(claim, job).await? {
            Ok(()) => {
                let why =
                    "The built-in engine decodes the source and makes what the preset asks for.";
                chosen(&self.builtin, why.into())
            }
            Err(Misfit::Asked(why)) => chosen(ffmpeg, why),
            Err(Misfit::Damaged(damage)) => Chosen {
                engine: ffmpeg,
                why: format!(
                    "The built-in engine cannot read the source: {}",
                    damage.message
                ),
                damage: Some(damage),
            },
        })
    }

    /// Whether the built-in engine can make the job.
    async fn fits(&self, claim: &Claim, job: &Job) -> Step<Result<(), Misfit>> {
        let mut pictures = false;
        for output in &claim.outputs {
            match Preset::of(&preset::parse(&output.preset)?) {
                Ok(preset) => pictures |= preset.video != VideoPreset::None,
                Err(what) => {
                    return Ok(Err(Misfit::Asked(format!(
                        "The preset asks for {what}, which the built-in engine does not make."
                    ))));
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
                Some((track, codec)) => Err(Misfit::Asked(format!(
                    "Track {track} is {codec}, which the built-in engine does not decode."
                ))),
                None => Ok(()),
            }),
            Err(Stopped::Failed(failure))
                if matches!(
                    failure.code,
                    JobErrorCode::ContentUnsupported | JobErrorCode::ConfigurationUnsupported
                ) =>
            {
                Ok(Err(Misfit::Asked(failure.message)))
            }
            // ffmpeg goes on where something is missing at the end, and knows more kinds of parameter sets.
            Err(Stopped::Failed(failure)) if failure.code == JobErrorCode::ContentMalformed => {
                Ok(Err(Misfit::Damaged(failure)))
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
