//! The listener: HTTP/1.1 and HTTP/2 on one port, plain or TLS.
//!
//! Bounds: connections in total, time for the TLS handshake and for a request's head, size of the head, time that a peer
//! may say nothing or take nothing. A drain
//! stops accepting, lets requests in flight finish, and gives up on them after a grace period.

use crate::access_log::AccessLog;
use crate::gate::Gate;
use crate::host::{Connection, Host};
use crate::meters::Meters;
use crate::outgoing::full_body;
use crate::traced;
use anyhow::Context;
use headwater_net::Patience;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use wasmtime_wasi_http::{Error, WasiBody};

/// Bounds and extras of a listener.
#[derive(Clone)]
pub struct ServerConfig {
    /// TLS, with whatever ALPN it says; `None` for plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub max_connections: usize,
    pub handshake_timeout: Duration,
    pub head_timeout: Duration,
    /// How long a peer may say nothing at all, or take no byte of an answer.
    pub patience: Duration,
    /// How long a drain waits for requests in flight.
    pub grace: Duration,
    pub access_log: AccessLog,
    /// What is asked before the host is.
    pub gate: Option<Arc<dyn Gate>>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            tls: None,
            max_connections: 10_000,
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(30),
            patience: Duration::from_secs(60),
            grace: Duration::from_secs(25),
            access_log: AccessLog::off(),
            gate: None,
        }
    }
}

/// A bound listener that does not accept yet: its address is known before anything else starts.
pub struct Listener {
    tcp: TcpListener,
    pub addr: SocketAddr,
}

/// Binds `addr`; port 0 takes a free one.
pub async fn bind(addr: SocketAddr) -> anyhow::Result<Listener> {
    let tcp = TcpListener::bind(addr)
        .await
        .with_context(|| format!("listening on {addr}"))?;
    let addr = tcp.local_addr()?;
    Ok(Listener { tcp, addr })
}

static STOPPING: AtomicBool = AtomicBool::new(false);

/// Whether the listener has drained: what ends from here on ends with the process.
pub(crate) fn is_stopping() -> bool {
    STOPPING.load(Ordering::Relaxed)
}

/// A listener at work.
pub struct Running {
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Drains and stops.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
        STOPPING.store(true, Ordering::Relaxed);
    }
}

/// Starts answering.
pub fn serve(listener: Listener, host: Arc<Host>, config: ServerConfig) -> Running {
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    if let Ok(origin) = format!("{scheme}://{}", listener.addr).parse() {
        crate::outgoing::set_self_origin(origin);
    }
    let (stop, mut stopped) = watch::channel(false);
    let task = tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(config.max_connections));
        let graceful = GracefulShutdown::new();
        let meters = Arc::new(Meters::of_all());
        let acceptor = config.tls.clone().map(TlsAcceptor::from);
        loop {
            let accepted = tokio::select! {
                accepted = async {
                    let place = places.clone().acquire_owned().await;
                    (place, listener.tcp.accept().await)
                } => accepted,
                _ = stopped.changed() => break,
            };
            let (Ok(place), Ok((tcp, client))) = accepted else {
                // Out of descriptors, most likely: give connections time to end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let watcher = graceful.watcher();
            let (host, config, acceptor) = (host.clone(), config.clone(), acceptor.clone());
            let meters = meters.clone();
            tokio::spawn(async move {
                let _place = place;
                if let Err(error) =
                    connection(tcp, client, host, &config, acceptor, watcher, meters).await
                {
                    tracing::debug!(%client, "connection ended: {error}");
                }
            });
        }
        drop(listener);
        if tokio::time::timeout(config.grace, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("requests were still running at the end of the grace period");
        }
    });
    Running { stop, task }
}

async fn connection(
    tcp: TcpStream,
    client: SocketAddr,
    host: Arc<Host>,
    config: &ServerConfig,
    acceptor: Option<TlsAcceptor>,
    watcher: hyper_util::server::graceful::Watcher,
    meters: Arc<Meters>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    tcp.set_nodelay(true)?;
    let tls = acceptor.is_some();
    let service = service_fn(move |request| {
        answer(
            host.clone(),
            Connection { client, tls },
            request,
            config.access_log.clone(),
            config.gate.clone(),
            meters.clone(),
        )
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.head_timeout)
        .max_headers(128)
        .keep_alive(true)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(256)
        .max_header_list_size(64 << 10)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    match acceptor {
        Some(acceptor) => {
            let stream =
                tokio::time::timeout(config.handshake_timeout, acceptor.accept(tcp)).await??;
            let stream = Patience::new(stream, config.patience);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            watcher.watch(connection.into_owned()).await
        }
        None => {
            let stream = Patience::new(tcp, config.patience);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            watcher.watch(connection.into_owned()).await
        }
    }
}

async fn answer(
    host: Arc<Host>,
    connection: Connection,
    request: Request<Incoming>,
    log: AccessLog,
    gate: Option<Arc<dyn Gate>>,
    meters: Arc<Meters>,
) -> Result<Response<WasiBody>, Infallible> {
    let started = Instant::now();
    let described = log.is_on().then(|| Described::of(&request));
    let mut request = request.map(|body| body.map_err(Error::Hyper).boxed_unsync());
    let span = traced::begin(connection, &mut request);
    let mut response = match &gate {
        None => host.handle(connection, request).await,
        Some(gate) => match gate.admit(request.method(), request.uri().path()) {
            Ok(admission) => {
                let response = host.handle(connection, request).await;
                admission(response.status());
                response
            }
            Err(refusal) => (*refusal).map(full_body),
        },
    };
    response
        .headers_mut()
        .entry(http::header::SERVER)
        .or_insert(HeaderValue::from_static("Headwater"));
    meters.note(response.status(), started.elapsed());
    if let Some(described) = described {
        log.write(described.line(connection.client, &response, started.elapsed()));
    }
    Ok(traced::answered(span, response))
}

/// What the access log keeps of a request.
struct Described {
    method: http::Method,
    path: String,
    version: http::Version,
    agent: String,
}

impl Described {
    fn of(request: &Request<Incoming>) -> Self {
        let agent = request.headers().get(http::header::USER_AGENT);
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            version: request.version(),
            agent: agent
                .and_then(|v| v.to_str().ok())
                .unwrap_or("-")
                .chars()
                .filter(|c| *c != '"')
                .take(200)
                .collect(),
        }
    }

    fn line(&self, client: SocketAddr, response: &Response<WasiBody>, took: Duration) -> String {
        let bytes = response.body().size_hint().exact();
        format!(
            "{} {} \"{} {} {:?}\" {} {} {:.1}ms \"{}\"\n",
            humantime::format_rfc3339_millis(std::time::SystemTime::now()),
            client.ip(),
            self.method,
            self.path,
            self.version,
            response.status().as_u16(),
            bytes.map_or_else(|| "-".into(), |b| b.to_string()),
            took.as_secs_f64() * 1000.0,
            self.agent,
        )
    }
}
