//! `headwater notifier`: a sender of webhooks, here or on another machine.

use anyhow::{Context, Result};
use clap::Parser;
use headwater_net::egress::{Cidr, Guard};
use headwater_notifier::{CancellationToken, Config, PATIENCE};
use std::path::PathBuf;

#[derive(Parser)]
pub(crate) struct Args {
    /// Where the API answers, e.g. `https://video.example.com`.
    #[arg(long, env = "HEADWATER_API_URL")]
    api_url: String,
    /// A token of role `worker` (`headwater token --role worker`). Better in the environment than on the command line.
    #[arg(long, env = "HEADWATER_TOKEN", hide_env_values = true)]
    token: String,
    /// A PEM file of roots to trust besides the public ones.
    #[arg(long, env = "HEADWATER_CA_FILE")]
    ca_file: Option<PathBuf>,
    #[command(flatten)]
    egress: Egress,
}

/// Where webhooks may go, and where sources may come from.
#[derive(Parser)]
pub(crate) struct Egress {
    /// Ranges of addresses that webhooks may be sent to, and sources of jobs fetched from, although they are private, e.g.
    /// `10.1.0.0/16,127.0.0.1`.
    #[arg(long, env = "HEADWATER_EGRESS_ALLOW", value_delimiter = ',')]
    egress_allow: Vec<Cidr>,
}

impl Egress {
    pub(crate) fn guard(&self) -> Guard {
        Guard::new(self.egress_allow.clone())
    }

    /// As the environment of another process has it.
    pub(crate) fn environment(&self) -> String {
        let ranges: Vec<String> = self.egress_allow.iter().map(Cidr::to_string).collect();
        ranges.join(",")
    }
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let ca = match &args.ca_file {
        Some(path) => Some(
            tokio::fs::read(path)
                .await
                .with_context(|| format!("reading {}", path.display()))?,
        ),
        None => None,
    };
    let config = Config {
        api_url: args.api_url,
        token: args.token,
        ca,
        guard: args.egress.guard(),
        patience: PATIENCE,
    };
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        crate::up::stop_signal().await;
        stop.cancel();
    });
    headwater_notifier::run(config, shutdown).await?;
    Ok(())
}
