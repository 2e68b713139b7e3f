//! The listening side: connections, TLS, limits, background work, shutdown.

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use headwater_blob::client::InvalidCa;
use headwater_blob::{HyperClient, HyperOptions};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backing::Backing;
use crate::config::{Config, reachable};
use crate::disk::{Disk, Failure};
use crate::events::{self, Delivery};
use crate::handler::{Cors, Engine, Peer};
use crate::local::LocalReader;
use crate::s3::{ObjectStore, OpenError};
use headwater_net::Patience;

/// How often housekeeping goes through the store.
const SWEEP_INTERVAL: Duration = Duration::from_secs(6 * 3600);
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);
/// Most bytes of a request's head, and of the buffer for a connection's input.
const MAX_HEAD: usize = 256 << 10;

/// Why a store could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    #[error("the blob folder {}: {error}", path.display())]
    Folder { path: PathBuf, error: io::Error },
    #[error("cannot listen on {addr}: {error}")]
    Listen { addr: SocketAddr, error: io::Error },
    #[error(transparent)]
    Bucket(#[from] OpenError),
    #[error(transparent)]
    EventCa(#[from] InvalidCa),
}

/// A store that answers requests.
#[derive(Debug)]
pub struct Running {
    /// The real address, also if port 0 was asked for.
    pub addr: SocketAddr,
    local: Option<LocalReader>,
    backing: Backing,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    /// For reading blobs in this process; `None` if they are in a bucket.
    pub fn local_reader(&self) -> Option<LocalReader> {
        self.local.clone()
    }

    /// What tells whether folder or bucket answer.
    pub fn pulse(&self) -> Pulse {
        Pulse(self.backing.clone())
    }

    /// Accepts no more, lets requests end (within the configured time), stops background work.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Asks a running store's folder or bucket.
#[derive(Debug, Clone)]
pub struct Pulse(Backing);

impl Pulse {
    /// `Err`: what is wrong, for an operator.
    pub async fn ask(&self) -> Result<(), String> {
        match &self.0 {
            Backing::S3(store) => store.answers().await.map_err(|error| error.to_string()),
            Backing::Disk(_) => match self.0.list_containers("", String::new(), 1, false).await {
                Ok(_) => Ok(()),
                Err(Failure::Service(error)) => Err(error.to_string()),
                Err(Failure::Io(error)) => Err(error.to_string()),
            },
        }
    }
}

/// Opens the folder and listens. When this returns, requests are answered.
///
/// Boxed: what it does is compiled here, and not once more in every program that waits for it.
pub fn serve(config: Config) -> BoxFuture<'static, Result<Running, StartError>> {
    Box::pin(start(config))
}

async fn start(config: Config) -> Result<Running, StartError> {
    let backing = open(&config).await?;
    let listen_error = |error| StartError::Listen {
        addr: config.listen,
        error,
    };
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(listen_error)?;
    let addr = listener.local_addr().map_err(listen_error)?;
    let engine = Arc::new(Engine {
        store: backing.clone(),
        account: config.account.clone(),
        key: config.key.clone(),
        cors: Cors::new(config.cors_origins.clone()),
        idle_timeout: config.idle_timeout,
    });
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let base_url = config.base_url(addr);
    if let (Some(sink), Some(outbox)) = (&config.events, backing.outbox()) {
        let options = HyperOptions {
            extra_ca_pem: config.events_ca_pem.clone(),
            timeout: Duration::from_secs(30),
            max_answer_bytes: 1 << 20,
            idle_per_host: 1,
            ..HyperOptions::default()
        };
        let delivery = Delivery {
            sink: sink.clone(),
            topic: config.topic.clone(),
            account_url: format!("{base_url}/{}", config.account),
            client: HyperClient::new(options)?,
        };
        tasks.spawn(events::run(Arc::clone(outbox), delivery, stop.clone()));
    }
    let local = match &backing {
        Backing::Disk(disk) => {
            let origins = origins(&config, addr, base_url);
            let (engine, disk) = (Arc::clone(&engine), Arc::clone(disk));
            Some(LocalReader::new(engine, disk, origins))
        }
        Backing::S3(_) => None,
    };
    tasks.spawn(sweep(backing.clone(), stop.clone()));
    tasks.spawn(accept(listener, engine, config, stop.clone()));
    Ok(Running {
        addr,
        local,
        backing,
        stop,
        tasks,
    })
}

/// Every way a program on this machine may write the store's address.
fn origins(config: &Config, addr: SocketAddr, base_url: String) -> Vec<String> {
    let (scheme, here) = (config.scheme(), reachable(addr));
    let mut origins = vec![base_url, format!("{scheme}://{here}")];
    if here.ip().is_loopback() {
        origins.push(format!("{scheme}://localhost:{}", here.port()));
    }
    origins
}

/// The folder, or the bucket.
async fn open(config: &Config) -> Result<Backing, StartError> {
    let (root, with_events) = (config.root.clone(), config.events.is_some());
    if let Some(bucket) = &config.s3 {
        let store = ObjectStore::open(bucket, &root, with_events).await?;
        return Ok(Backing::S3(Arc::new(store)));
    }
    let opened = tokio::task::spawn_blocking(move || Disk::open(&root, with_events)).await;
    let disk = opened.map_err(io::Error::other).and_then(|disk| disk);
    let disk = disk.map_err(|error| StartError::Folder {
        path: config.root.clone(),
        error,
    })?;
    Ok(Backing::Disk(Arc::new(disk)))
}

/// Keeps house until `stop`, which also cuts a sweep short: a large store takes longer than a shutdown may.
async fn sweep(backing: Backing, stop: CancellationToken) {
    loop {
        let stopped = stop.clone();
        if let Err(failure) = backing.sweep(move || stopped.is_cancelled()).await {
            tracing::warn!(?failure, "the blob store was not swept");
        }
        tokio::select! {
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn accept(
    listener: TcpListener,
    engine: Arc<Engine>,
    config: Config,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(config.max_connections));
    let graceful = GracefulShutdown::new();
    let tls = config.tls.clone().map(TlsAcceptor::from);
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            next = next => next,
            () = stop.cancelled() => break,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: give others time to end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let peer = Peer {
            ip: remote.ip(),
            https: tls.is_some(),
        };
        let (engine, tls, watcher) = (Arc::clone(&engine), tls.clone(), graceful.watcher());
        let idle = config.idle_timeout;
        tokio::spawn(async move {
            let _slot = slot;
            let _ = stream.set_nodelay(true);
            let Some(stream) = secure(stream, tls).await else {
                return;
            };
            let service = service_fn(move |request| {
                let engine = Arc::clone(&engine);
                async move { Ok::<_, std::convert::Infallible>(engine.handle(request, peer).await) }
            });
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(idle)
                .max_buf_size(MAX_HEAD);
            builder
                .http2()
                .timer(TokioTimer::new())
                .max_concurrent_streams(64)
                .max_header_list_size(MAX_HEAD as u32);
            builder
                .http2()
                .keep_alive_interval(Some(idle))
                .keep_alive_timeout(idle);
            let connection =
                builder.serve_connection(TokioIo::new(Patience::new(stream, idle)), service);
            if let Err(error) = watcher.watch(connection.into_owned()).await {
                tracing::debug!(%error, "a blob connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(config.drain_timeout, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some blob requests were cut off by the shutdown");
    }
}

/// Either kind of connection.
type Connection = tokio_util::either::Either<TcpStream, tokio_rustls::server::TlsStream<TcpStream>>;

async fn secure(stream: TcpStream, tls: Option<TlsAcceptor>) -> Option<Connection> {
    let Some(tls) = tls else {
        return Some(Connection::Left(stream));
    };
    match tokio::time::timeout(TLS_HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(Connection::Right(stream)),
        _ => None,
    }
}
