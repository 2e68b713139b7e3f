//! The ingest worker: takes live events from the API, lets encoders in, and makes what they send into live timelines.
//!
//! | part | what |
//! |---|---|
//! | [`run`], [`Config`] | claims events and keeps their leases |
//! | `holder` | one event: brings what the worker does to what is wanted |
//! | `lease` | how long it is certainly this worker's |
//! | `resume` | the leases of a worker that was killed, for its next life |
//! | `event` | one event's engine, its newest media in memory, its journal and spool on disk |
//! | `recording` | one live output: segments, pages and head into storage, trimming, the end |
//! | `hub` | which event an access token is for; what protocol adapters push into |
//! | `rtmp`, `push`, `srt` | the protocols |
//! | `encode` | events that are encoded here: decoders, scaler, encoders |
//! | `edge` | the private listener that the origin asks for the newest moments |
//! | `stats`, `measure` | what comes in, counted: for the API's `health`, heartbeats and metrics |
//! | `facts` | what clients are told: encoders that come and go, drops, heartbeats |
//!
//! Deciding is `headwater-live`'s; here are sockets, files and clocks. A worker may be killed at any moment: row numbers
//! are on its disk before anybody hears of them, and a complete segment is there before a manifest can name it, until it
//! is in the storage of every output. Another machine goes on from the heads in storage.

mod api;
mod black;
mod edge;
mod encode;
mod event;
mod facts;
mod holder;
mod hub;
mod lease;
mod measure;
mod push;
mod recording;
mod resume;
mod rtmp;
mod said;
mod spool;
mod srt;
mod stats;
mod store;
mod told;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use headwater_blob::{HyperClient, HyperOptions};
use headwater_work::live::ClaimRequest;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use tokio_util::sync::CancellationToken;

use api::Api;
use hub::Hub;

/// What a worker needs to know.
pub struct Config {
    /// Where the API answers, e.g. `http://localhost:8080`.
    pub api_url: String,
    /// Of role `worker`.
    pub token: String,
    /// PEM certificates to trust besides the public ones, of the API and of storage.
    pub ca: Option<Vec<u8>>,
    /// For people: host and process id.
    pub name: String,
    /// Journals and segments that are not in storage yet. One process at a time; kept from start to start.
    pub data: PathBuf,
    /// Where RTMP and Smooth ingest are taken: the primary and the backup port. Port 0 picks a free one.
    pub rtmp: Vec<SocketAddr>,
    /// Where both are taken over TLS, and with which certificate.
    pub rtmps: Option<(Vec<SocketAddr>, Arc<tokio_rustls::rustls::ServerConfig>)>,
    /// Where SRT is taken. Every event has a port of its own, as its passphrase is all that tells it from others: this one and
    /// those after it; with port 0, free ones.
    pub srt: SocketAddr,
    /// The host name in the URLs that encoders are told.
    pub public_host: String,
    /// Whether every name below `public_host` leads here, too: events with a static host name have one of their own then.
    pub host_labels: bool,
    /// Where the origin asks, and the secret that it shows: 16 to 128 letters, digits, `-`, `_` and `.`.
    pub edge: SocketAddr,
    pub edge_secret: String,
    /// The address under which the origin reaches that; without one, `edge` itself.
    pub edge_url: Option<String>,
    /// Where previews play, e.g. `http://localhost:8080`.
    pub streaming_url: String,
    /// Most events at once.
    pub most_events: usize,
    /// Between two questions for work.
    pub poll: Duration,
    /// How long a lease lasts unless renewed; 5 to 300 seconds.
    pub lease_seconds: u32,
}

/// Why a worker did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    #[error(transparent)]
    Ca(#[from] headwater_blob::client::InvalidCa),
    #[error("{what}: {error}")]
    Io { what: String, error: std::io::Error },
}

/// Where a worker listens.
#[derive(Debug, Clone)]
pub struct Bound {
    pub rtmp: Vec<SocketAddr>,
    pub rtmps: Vec<SocketAddr>,
    pub edge: SocketAddr,
}

/// A worker whose listeners are open.
pub struct Worker {
    config: Config,
    bound: Bound,
    hub: Arc<Hub>,
    api: Api,
    client: HyperClient,
    listeners: Vec<(TcpListener, Option<tokio_rustls::TlsAcceptor>)>,
    edge: TcpListener,
}

/// The longest pause after a question that the API did not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long after such a question other workers' events are left to them: they could not renew either, and need so long to ask
/// again, as each of their calls is waited for.
const OTHERS_FIRST: Duration = Duration::from_secs(11);

async fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), IngestError> {
    let failed = |error| IngestError::Io {
        what: format!("listening on {addr}"),
        error,
    };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Its futures are boxed: what they do is compiled here, and not once more in every program that waits for them.
impl Worker {
    /// Opens the listeners.
    ///
    /// Errors: `Ca`; `Io` for a port or a folder that cannot be used.
    pub fn start(config: Config) -> BoxFuture<'static, Result<Self, IngestError>> {
        Box::pin(Self::open(config))
    }

    async fn open(config: Config) -> Result<Self, IngestError> {
        let client = HyperClient::new(HyperOptions {
            extra_ca_pem: config.ca.clone(),
            timeout: Duration::from_secs(30),
            ..HyperOptions::default()
        })?;
        tokio::fs::create_dir_all(&config.data)
            .await
            .map_err(|error| IngestError::Io {
                what: format!("creating {}", config.data.display()),
                error,
            })?;
        if let Err(error) = spool::sweep(&config.data) {
            tracing::warn!("removing what is left of old events: {error}");
        }
        let mut listeners = Vec::new();
        let (mut rtmp, mut rtmps) = (Vec::new(), Vec::new());
        for addr in &config.rtmp {
            let (listener, bound) = bind(*addr).await?;
            listeners.push((listener, None));
            rtmp.push(bound);
        }
        if let Some((addrs, tls)) = &config.rtmps {
            let acceptor = tokio_rustls::TlsAcceptor::from(tls.clone());
            for addr in addrs {
                let (listener, bound) = bind(*addr).await?;
                listeners.push((listener, Some(acceptor.clone())));
                rtmps.push(bound);
            }
        }
        let (edge, edge_addr) = bind(config.edge).await?;
        let bound = Bound {
            rtmp,
            rtmps,
            edge: edge_addr,
        };
        Ok(Self {
            api: Api::new(client.clone(), &config.api_url, config.token.clone()),
            hub: Arc::new(Hub::default()),
            client,
            listeners,
            edge,
            bound,
            config,
        })
    }

    /// Where it listens.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Works until `shutdown`. Then encoders are let go, what came is brought into storage, and the events are released for
    /// other workers.
    pub fn run(self, shutdown: CancellationToken) -> BoxFuture<'static, ()> {
        Box::pin(self.run_until(shutdown))
    }

    async fn run_until(self, shutdown: CancellationToken) {
        let stop_listening = CancellationToken::new();
        let mut servers = JoinSet::new();
        for (listener, tls) in self.listeners {
            servers.spawn(rtmp::listen(
                listener,
                tls,
                self.hub.clone(),
                stop_listening.clone(),
            ));
        }
        servers.spawn(edge::listen(
            self.edge,
            self.hub.clone(),
            self.config.edge_secret.clone(),
            stop_listening.clone(),
        ));
        let around = Arc::new(holder::Around {
            api: self.api,
            client: self.client,
            hub: self.hub,
            bound: self.bound,
            config: self.config,
        });
        let mut holders = JoinSet::new();
        for claim in resume::all(&around, &shutdown).await {
            holders.spawn(holder::hold(around.clone(), claim, shutdown.clone()));
        }
        let mut pause = around.config.poll;
        let mut failed: Option<Instant> = None;
        while !shutdown.is_cancelled() {
            while holders.try_join_next().is_some() {}
            let request = ClaimRequest {
                worker: around.config.name.clone(),
                lease_seconds: around.config.lease_seconds,
                leave_lapsed: failed.is_some_and(|at| at.elapsed() < OTHERS_FIRST),
            };
            let claimed = match holders.len() < around.config.most_events {
                true => around.api.claim(&request).await,
                false => Ok(None),
            };
            match claimed {
                Ok(Some(claim)) => {
                    pause = around.config.poll;
                    holders.spawn(holder::hold(around.clone(), claim, shutdown.clone()));
                    continue;
                }
                Ok(None) => pause = around.config.poll,
                Err(error) => {
                    tracing::warn!("asking for live events: {error}");
                    // A refusal is an answer; of an API of before, to what it does not know, it is one that would last.
                    let away = matches!(error, api::ApiError::Unavailable(_));
                    failed = away.then(Instant::now);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => {}
            }
        }
        while holders.join_next().await.is_some() {}
        stop_listening.cancel();
        while servers.join_next().await.is_some() {}
    }
}

/// Opens the listeners and works until `shutdown`.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), IngestError> {
    Worker::start(config).await?.run(shutdown).await;
    Ok(())
}

/// Milliseconds since the Unix epoch.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
