//! The transcoder of `headwater up`: a child, so that a codec which falls takes nothing along. It ends when its standard
//! input does, so it never outlives us, however we end.

use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::sync::watch;

/// How to start it.
pub(crate) struct Worker {
    pub(crate) api_url: String,
    pub(crate) token: String,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) threads: Option<usize>,
    /// Ranges of private addresses that sources may be fetched from, with commas between.
    pub(crate) egress_allow: String,
}

impl Worker {
    fn command(&self) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("finding this program")?);
        command
            .args(["transcoder", "--stop-with-stdin"])
            .env("HEADWATER_API_URL", &self.api_url)
            .env("HEADWATER_TOKEN", &self.token)
            .stdin(Stdio::piped())
            .kill_on_drop(true);
        if let Some(file) = &self.ca_file {
            command.env("HEADWATER_CA_FILE", file);
        }
        if !self.egress_allow.is_empty() {
            command.env("HEADWATER_EGRESS_ALLOW", &self.egress_allow);
        }
        if let Some(threads) = self.threads {
            command.env("HEADWATER_THREADS", threads.to_string());
        }
        Ok(command)
    }
}

/// Keeps a transcoder running until told to stop; one that falls is started again, ever more slowly.
pub(crate) async fn supervise(worker: Worker, mut stopped: watch::Receiver<bool>) {
    let mut pause = Duration::from_millis(200);
    while !*stopped.borrow() {
        let started = Instant::now();
        let child = worker
            .command()
            .and_then(|mut command| command.spawn().context("starting the transcoder"));
        match child {
            Ok(mut child) => {
                let input = child.stdin.take();
                tokio::select! {
                    status = child.wait() => match status {
                        Ok(status) => tracing::warn!("the transcoder ended with {status}; starting it again"),
                        Err(error) => tracing::error!("waiting for the transcoder: {error}"),
                    },
                    _ = stopped.changed() => {
                        drop(input);
                        let _ = tokio::time::timeout(Duration::from_secs(10), child.wait()).await;
                        return;
                    }
                }
            }
            Err(error) => tracing::error!("{error:#}"),
        }
        pause = if started.elapsed() > Duration::from_secs(60) {
            Duration::from_millis(200)
        } else {
            (pause * 2).min(Duration::from_secs(10))
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped.changed() => {}
        }
    }
}
