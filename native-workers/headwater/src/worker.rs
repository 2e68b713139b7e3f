//! `headwater transcoder`: a transcoding worker, here or on another machine.

use anyhow::Result;
use clap::Parser;
use headwater_transcoder::auto::Choice;
use headwater_transcoder::{CancellationToken, WorkerConfig, WorkerError};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;

use crate::connect::Connect;
use crate::fault::{self, Fault, Kind};
use crate::files;
use crate::health::Health;
use crate::notifier::Egress;

#[derive(Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    connect: Connect,
    /// Threads to encode with; all cores by default.
    #[arg(long, env = "HEADWATER_THREADS")]
    threads: Option<usize>,
    /// What makes jobs: `auto` (the built-in engine where it can, ffmpeg for the rest), `builtin` or `ffmpeg`.
    #[arg(long, env = "HEADWATER_ENGINE", default_value = "auto")]
    engine: Choice,
    /// The folder with ffmpeg and ffprobe; looked for in `PATH` by default.
    #[arg(long, env = "HEADWATER_FFMPEG_DIR")]
    ffmpeg_dir: Option<PathBuf>,
    /// Where sources and results lie while ffmpeg works on them; the system's folder for such files by default.
    #[arg(long, env = "HEADWATER_SCRATCH")]
    scratch: Option<PathBuf>,
    #[command(flatten)]
    egress: Egress,
    /// Stop when standard input ends: `headwater up` runs its worker so, and none outlives it.
    #[arg(long, hide = true)]
    stop_with_stdin: bool,
}

/// Between two questions for work.
const POLL: Duration = Duration::from_millis(500);

/// For people: host and process id.
pub(crate) fn name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "worker".into(), |name| name.trim().to_owned());
    format!("{host}-{}", std::process::id())
}

/// Cancels `shutdown`, and is not ready any more, at a signal, and at the end of standard input if that is what a parent holds.
pub(crate) fn stop_with(stdin: bool, shutdown: CancellationToken, health: Arc<Health>) {
    tokio::spawn(async move {
        let parent_gone = async {
            if stdin {
                let mut byte = [0];
                // Nothing is ever written: any return means that the other end is closed.
                while tokio::io::stdin()
                    .read(&mut byte)
                    .await
                    .is_ok_and(|read| read > 0)
                {}
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = crate::up::stop_signal() => {}
            () = parent_gone => {}
        }
        health.stop();
        shutdown.cancel();
    });
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let scratch = args.scratch.unwrap_or_else(std::env::temp_dir);
    files::writable(&scratch, fault::SCRATCH)?;
    let (ca, health) = args.connect.start().await?;
    let config = WorkerConfig {
        api_url: args.connect.api_url,
        token: args.connect.token,
        ca,
        threads: args.threads.unwrap_or(0),
        poll: POLL,
        name: name(),
        engine: args.engine,
        ffmpeg: args.ffmpeg_dir,
        scratch,
        guard: args.egress.guard(),
    };
    let shutdown = CancellationToken::new();
    stop_with(args.stop_with_stdin, shutdown.clone(), health);
    headwater_transcoder::run(config, shutdown)
        .await
        .map_err(|error| {
            let kind = match &error {
                WorkerError::Refused(_) => Kind::Refused,
                _ => Kind::Configuration,
            };
            anyhow::Error::new(error).context(Fault::new(kind, fault::TOKEN))
        })
}
