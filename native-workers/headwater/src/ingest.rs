//! `headwater ingest`: takes live events in, here or on another machine.

use crate::connect::{self, Connect};
use crate::fault::{self, Blame, Kind};
use crate::{files, tls, worker};
use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Parser;
use headwater_ingest::{CancellationToken, Config, Worker};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[derive(Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    connect: Connect,
    /// Folder for what is not in storage yet. One process at a time; kept from start to start.
    #[arg(
        long,
        env = "HEADWATER_INGEST_DATA",
        default_value = ".headwater/ingest"
    )]
    data: PathBuf,
    /// Where RTMP is taken: the primary and the backup.
    #[arg(
        long,
        env = "HEADWATER_RTMP_LISTEN",
        value_delimiter = ',',
        default_value = "0.0.0.0:1935,0.0.0.0:1936"
    )]
    rtmp_listen: Vec<SocketAddr>,
    /// Where RTMPS is taken, given a certificate: the primary and the backup.
    #[arg(
        long,
        env = "HEADWATER_RTMPS_LISTEN",
        value_delimiter = ',',
        default_value = "0.0.0.0:2935,0.0.0.0:2936"
    )]
    rtmps_listen: Vec<SocketAddr>,
    /// The certificate chain of RTMPS, in PEM.
    #[arg(long, env = "HEADWATER_INGEST_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, in PEM.
    #[arg(long, env = "HEADWATER_INGEST_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Where SRT is taken: each event has a port of its own, this one or one after it. IPv4.
    #[arg(long, env = "HEADWATER_SRT_LISTEN", default_value = "0.0.0.0:6000")]
    srt_listen: SocketAddr,
    /// The host name in the URLs that encoders are told.
    #[arg(long, env = "HEADWATER_INGEST_HOST")]
    public_host: String,
    /// Every name below that host leads here, too: events with a static host name are told one of their own.
    #[arg(long, env = "HEADWATER_INGEST_HOST_LABELS")]
    host_labels: bool,
    /// Where the origin asks for the newest moments. A private address.
    #[arg(long, env = "HEADWATER_EDGE_LISTEN", default_value = "127.0.0.1:9500")]
    edge_listen: SocketAddr,
    /// The URL under which the origin reaches that, if not its address. The origin's `live_hosts` must let it.
    #[arg(long, env = "HEADWATER_EDGE_URL")]
    edge_url: Option<String>,
    /// Where previews play; the API's URL if not given.
    #[arg(long, env = "HEADWATER_STREAMING_URL")]
    streaming_url: Option<String>,
    /// Most events at once.
    #[arg(long, env = "HEADWATER_INGEST_EVENTS", default_value_t = 32)]
    most_events: usize,
    /// Stop when standard input ends: `headwater up` runs its worker so, and none outlives it.
    #[arg(long, hide = true)]
    stop_with_stdin: bool,
}

/// Between two questions for work.
const POLL: Duration = Duration::from_millis(500);
/// How long an event is nobody's when its worker's machine is lost. A worker that is started again goes on at once.
const LEASE_SECONDS: u32 = 15;

/// What the origin shows: made once, so that an origin which remembers it is let in after a restart.
fn edge_secret(data: &Path) -> Result<String> {
    let path = data.join("edge-secret");
    match std::fs::read_to_string(&path) {
        Ok(secret) => Ok(secret),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes)
                .map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
            let secret = URL_SAFE_NO_PAD.encode(bytes);
            files::write_private(&path, secret.as_bytes())?;
            Ok(secret)
        }
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// What can be said without the API. Ok: the certificate of RTMPS, and the edge's secret.
fn check(args: &Args) -> Result<(Option<Arc<rustls::ServerConfig>>, String)> {
    files::writable(&args.data, fault::INGEST_DATA)?;
    if let Some(url) = &args.edge_url {
        connect::origin(url, fault::EDGE_URL)?;
    }
    if let Some(url) = &args.streaming_url {
        connect::base(url, fault::STREAMING_URL)?;
    }
    let rtmps = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => {
            let server = tls::server(cert, key, &[]);
            Some(server.blame(Kind::Configuration, fault::TLS_CERT)?)
        }
        _ => None,
    };
    Ok((rtmps, edge_secret(&args.data)?))
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let (rtmps, secret) = check(&args)?;
    let (ca, health) = args.connect.start().await?;
    // Another process on the same folder would take this one's leases for its own.
    let _lock = crate::up::lock(&args.data, fault::INGEST_DATA)?;
    let rtmps = rtmps.map(|tls| (args.rtmps_listen, tls));
    let api_url = args.connect.api_url;
    let streaming_url = args.streaming_url.unwrap_or_else(|| api_url.clone());
    let config = Config {
        api_url,
        token: args.connect.token,
        ca,
        name: worker::name(),
        edge_secret: secret,
        data: args.data,
        rtmp: args.rtmp_listen,
        rtmps,
        srt: args.srt_listen,
        public_host: args.public_host,
        host_labels: args.host_labels,
        edge: args.edge_listen,
        edge_url: args.edge_url,
        streaming_url,
        most_events: args.most_events,
        poll: POLL,
        lease_seconds: LEASE_SECONDS,
    };
    let shutdown = CancellationToken::new();
    worker::stop_with(args.stop_with_stdin, shutdown.clone(), health);
    let worker = Worker::start(config).await.blame(
        Kind::CannotCreate,
        "one of --rtmp-listen, --rtmps-listen, --srt-listen, --edge-listen or --data",
    )?;
    let bound = worker.bound();
    tracing::info!(rtmp = ?bound.rtmp, rtmps = ?bound.rtmps, edge = %bound.edge, "taking live events");
    worker.run(shutdown).await;
    Ok(())
}
