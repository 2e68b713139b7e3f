//! The workers of `headwater up` that are children, so that a codec which falls takes nothing along. They end when their
//! standard input does, so none outlives us, however we end.

use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::sync::watch;

/// How to start one.
pub(crate) struct Worker {
    /// The subcommand.
    pub(crate) name: &'static str,
    pub(crate) api_url: String,
    pub(crate) token: String,
    pub(crate) ca_file: Option<PathBuf>,
    /// Further arguments.
    pub(crate) args: Vec<String>,
    /// How long it may take to stop.
    pub(crate) grace: Duration,
}

/// The longest pause before one that keeps falling is started again.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

impl Worker {
    fn command(&self) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("finding this program")?);
        command
            .args([self.name, "--stop-with-stdin"])
            .args(&self.args)
            .env("HEADWATER_API_URL", &self.api_url)
            .env("HEADWATER_TOKEN", &self.token)
            // One address cannot be listened on by several; whoever is to have one is told in its arguments.
            .env_remove("HEADWATER_HEALTH_LISTEN")
            .stdin(Stdio::piped())
            .kill_on_drop(true);
        if let Some(file) = &self.ca_file {
            command.env("HEADWATER_CA_FILE", file);
        }
        Ok(command)
    }
}

/// Keeps a worker running until told to stop; one that falls is started again, ever more slowly.
pub(crate) async fn supervise(worker: Worker, mut stopped: watch::Receiver<bool>) {
    let name = worker.name;
    let mut pause = Duration::from_millis(200);
    while !*stopped.borrow() {
        let started = Instant::now();
        let child = worker
            .command()
            .and_then(|mut command| command.spawn().with_context(|| format!("starting {name}")));
        match child {
            Ok(mut child) => {
                let input = child.stdin.take();
                tokio::select! {
                    status = child.wait() => match status {
                        Ok(status) => tracing::warn!("{name} ended with {status}; starting it again"),
                        Err(error) => tracing::error!("waiting for {name}: {error}"),
                    },
                    _ = stopped.changed() => {
                        drop(input);
                        let _ = tokio::time::timeout(worker.grace, child.wait()).await;
                        return;
                    }
                }
            }
            Err(error) => tracing::error!("{error:#}"),
        }
        pause = if started.elapsed() > Duration::from_secs(60) {
            Duration::from_millis(200)
        } else {
            (pause * 2).min(LONGEST_PAUSE)
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped.changed() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_for_one_process_is_not_handed_on() {
        let worker = Worker {
            name: "transcoder",
            api_url: "http://127.0.0.1:1".into(),
            token: String::new(),
            ca_file: None,
            args: Vec::new(),
            grace: Duration::ZERO,
        };
        let command = worker.command().unwrap();
        let mut handed = command.as_std().get_envs();
        let removed =
            handed.any(|(name, value)| name == "HEADWATER_HEALTH_LISTEN" && value.is_none());
        assert!(removed);
    }
}
