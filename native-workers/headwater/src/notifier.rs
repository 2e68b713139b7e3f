//! `headwater notifier`: a sender of webhooks, here or on another machine.

use crate::connect::Connect;
use crate::worker;
use anyhow::Result;
use clap::Parser;
use headwater_net::egress::{Cidr, Guard};
use headwater_notifier::{CancellationToken, Config, PATIENCE};

#[derive(Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    connect: Connect,
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
    let (ca, health) = args.connect.start().await?;
    let config = Config {
        api_url: args.connect.api_url,
        token: args.connect.token,
        ca,
        guard: args.egress.guard(),
        patience: PATIENCE,
    };
    let shutdown = CancellationToken::new();
    worker::stop_with(false, shutdown.clone(), health);
    headwater_notifier::run(config, shutdown).await?;
    Ok(())
}
