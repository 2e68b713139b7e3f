//! `headwater blobstore`: the embedded object store on a machine of its own, for installations of several hosts that have no
//! other. It is one process on one folder, or any number of processes on one bucket of S3.

use crate::bucket::{self, BucketArgs};
use crate::connect;
use crate::fault::{self, Blame, Kind};
use crate::files;
use crate::health::{Ask, Health};
use crate::metrics;
use anyhow::Result;
use clap::Parser;
use headwater_blob::AccountKey;
use headwater_blobstore::{Config, EventSink, serve};
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Parser)]
pub(crate) struct Args {
    /// Folder of the installation; blobs are in `blobs`, as those of `headwater up` are.
    #[arg(long, env = "HEADWATER_DATA", default_value = ".headwater")]
    data: PathBuf,
    #[command(flatten)]
    bucket: BucketArgs,
    /// Where the Azure Blob protocol is spoken.
    #[arg(long, env = "HEADWATER_BLOB_LISTEN", default_value = "127.0.0.1:10000", value_parser = crate::up::address)]
    blob_listen: SocketAddr,
    /// Scheme, host and port under which others reach it, if not that address.
    #[arg(long, env = "HEADWATER_BLOB_PUBLIC_URL")]
    blob_public_url: Option<String>,
    /// The account's name: the first part of every path.
    #[arg(long, env = "HEADWATER_STORAGE_ACCOUNT", default_value = crate::storage::EMBEDDED)]
    storage_account: String,
    /// The account's key (base64). Better in the environment than on the command line.
    #[arg(long, env = "HEADWATER_STORAGE_KEY", hide_env_values = true)]
    storage_key: String,
    /// The installation that is told about new blobs, e.g. `https://video.example.com`; nobody if not given.
    #[arg(long, env = "HEADWATER_API_URL", requires = "event_secret")]
    api_url: Option<String>,
    /// What is shown there: the hosts' `--event-secret`.
    #[arg(long, env = "HEADWATER_EVENT_SECRET", hide_env_values = true)]
    event_secret: Option<String>,
    /// Where `/livez`, `/readyz` and `/metrics` are answered; nowhere if not given.
    #[arg(long, env = "HEADWATER_HEALTH_LISTEN", value_parser = crate::up::address)]
    health_listen: Option<SocketAddr>,
    /// A PEM file of roots to trust besides the public ones.
    #[arg(long, env = "HEADWATER_CA_FILE")]
    ca_file: Option<PathBuf>,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let key = AccountKey::from_base64(args.storage_key.trim())
        .blame(Kind::Configuration, fault::STORAGE_KEY)?;
    for (url, setting) in [
        (&args.api_url, fault::API_URL),
        (&args.blob_public_url, fault::BLOB_PUBLIC_URL),
    ] {
        if let Some(url) = url {
            connect::origin(url, setting)?;
        }
    }
    let s3 = args.bucket.config()?;
    files::writable(&args.data, fault::DATA)?;
    let _lock = crate::up::lock(&args.data, fault::DATA)?;
    let root = args.data.join(folder(s3.is_some()));
    let mut config = Config::new(root, args.blob_listen, args.storage_account, key);
    config.s3 = s3;
    config.public_url = args.blob_public_url;
    config.events_ca_pem = files::ca(args.ca_file.as_deref())?;
    config.events = args
        .api_url
        .zip(args.event_secret)
        .map(|(url, secret)| EventSink {
            url: format!("{}/events/storage", url.trim_end_matches('/')),
            secret,
        });
    let store = serve(config).await;
    let store = store.map_err(|error| bucket::blame(error, fault::DATA))?;
    let pulse = store.pulse();
    let ask: Ask = Box::new(move || {
        let pulse = pulse.clone();
        Box::pin(async move { pulse.ask().await })
    });
    let health = Health::new(vec![("storage", ask)]);
    if let Some(address) = args.health_listen {
        metrics::serve(address, health.clone(), fault::HEALTH_LISTEN).await?;
    }
    tracing::info!(address = %store.addr, "keeping blobs");
    crate::up::stop_signal().await;
    health.stop();
    store.shutdown().await;
    Ok(())
}

/// The store's folder in that of the installation: of all blobs, or of what is on its way to a bucket.
pub(crate) fn folder(in_bucket: bool) -> &'static str {
    if in_bucket { "bucket" } else { "blobs" }
}
