//! Requests that leave a component: checked against its allow list, then chained in process, answered by a native
//! stand-in, or sent over a pooled connection.
//!
//! `http://<component>.spin.internal/` never touches a socket. Where the host was given a stand-in for that
//! component, the stand-in answers instead: same contract, same bytes, native code.

mod remembered;

use crate::component::LoadedComponent;
use crate::host::Registry;
use crate::lately::PATIENCE;
use bytes::Bytes;
use headwater_trace::{Here, Kind, Span};
use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

pub(crate) use remembered::Told;

/// A native answer in place of a component, behind the same private route.
pub trait StandIn: Send + Sync + 'static {
    /// Answers one request. An error becomes `HttpProtocolError` for the caller.
    fn call(
        &self,
        request: Request<WasiBody>,
    ) -> futures::future::BoxFuture<'static, Result<Response<WasiBody>, Error>>;
}

/// The one client that all components share: keep-alive, HTTP/1.1 and, by ALPN, HTTP/2.
#[derive(Clone)]
pub(crate) struct HttpClient {
    pool: Client<HttpsConnector<HttpConnector>, WasiBody>,
    here: Option<Here>,
}

impl HttpClient {
    /// For requests that are part of a span.
    pub(crate) fn within(&self, here: Option<Here>) -> Self {
        Self {
            pool: self.pool.clone(),
            here,
        }
    }
}

const SUFFIX: &str = ".spin.internal";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Less than a request's deadline, so that a component can still say what is wrong.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(20);
const BETWEEN_BYTES_TIMEOUT: Duration = Duration::from_secs(30);
/// A peer that vanished without a word is found out by these.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

pub(crate) fn client(extra_roots: &[rustls_pki_types::CertificateDer<'static>]) -> HttpClient {
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    roots.add_parsable_certificates(extra_roots.iter().cloned());
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .expect("ring supports the default versions")
    .with_root_certificates(roots)
    .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEP_ALIVE));
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(tcp);
    let pool = Client::builder(hyper_util::rt::TokioExecutor::new())
        .timer(hyper_util::rt::TokioTimer::new())
        .http2_keep_alive_interval(KEEP_ALIVE)
        .pool_timer(hyper_util::rt::TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(64)
        .build(connector);
    HttpClient { pool, here: None }
}

/// An instance's way out.
pub(crate) struct Outgoing {
    pub(crate) component: Arc<LoadedComponent>,
    pub(crate) registry: Weak<Registry>,
    /// What the instance answers, if that is traced.
    pub(crate) here: Option<Here>,
}

type Sent = Result<
    (
        Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

/// How much of a body leaves a guest in one go, in bytes.
///
/// A guest that has written its body is done with the request; one whose body waits for a slow reader is not, and what
/// happens to its next request would happen to that body too. Playlists of a day fit.
const BODY_CHUNK: usize = 16 << 20;

impl WasiHttpHooks for Outgoing {
    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _result: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let component = self.component.clone();
        let registry = self.registry.clone();
        let here = self.here.clone();
        Box::new(async move {
            let response = send(&component, registry, request, options, here).await?;
            let done: Box<dyn Future<Output = Result<(), Error>> + Send> =
                Box::new(async { Ok(()) });
            Ok((response, done))
        })
    }
}

/// Sends a component's request to where it is for.
pub(crate) async fn send(
    component: &LoadedComponent,
    registry: Weak<Registry>,
    mut request: Request<WasiBody>,
    options: Option<RequestOptions>,
    here: Option<Here>,
) -> Result<Response<WasiBody>, Error> {
    let registry = registry.upgrade().ok_or(Error::ConnectionTerminated)?;
    let (scheme, host, port) = target(request.uri());
    if !component.allowed_hosts.allows(&scheme, &host, port) {
        tracing::warn!(component = %component.id, host, port, "outbound request denied by allowed_outbound_hosts");
        return Err(Error::HttpRequestDenied);
    }
    if let Some(id) = host.strip_suffix(SUFFIX) {
        // The name is not an address: a guest that looks at Host must not take it for one.
        request.headers_mut().remove(http::header::HOST);
        if let Some(here) = here {
            request.extensions_mut().insert(here);
        }
        return match registry.stand_ins.get(id) {
            Some(stand_in) => stand_in.call(request).await,
            None => registry.chain(id, request).await,
        };
    }
    if matches!(host.as_str(), "self" | "self.alt") {
        let origin = self_origin().ok_or(Error::DestinationNotFound)?;
        *request.uri_mut() = absolute(origin, request.uri())?;
    }
    let patience = options.map_or_else(Patience::default, |options| Patience {
        first_byte: options.first_byte_timeout.unwrap_or(FIRST_BYTE_TIMEOUT),
        between_bytes: options
            .between_bytes_timeout
            .unwrap_or(BETWEEN_BYTES_TIMEOUT),
    });
    let (lately, client) = (&registry.lately, &registry.client.within(here));
    if let Some(grace) = remembered::grace(&mut request) {
        return remembered::ask(lately, &component.id, client, request, patience, grace).await;
    }
    let peer = request.uri().authority().map_or("", |to| to.as_str());
    let patience = match lately.is_away(peer) {
        true => patience.at_most(PATIENCE),
        false => patience,
    };
    fetch(client, request, patience).await
}

/// How long a peer may be silent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    first_byte: Duration,
    between_bytes: Duration,
}

impl Patience {
    /// With no more than `first_byte` until somebody begins to answer.
    fn at_most(self, first_byte: Duration) -> Self {
        Self {
            first_byte: self.first_byte.min(first_byte),
            ..self
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_byte: FIRST_BYTE_TIMEOUT,
            between_bytes: BETWEEN_BYTES_TIMEOUT,
        }
    }
}

/// Sends a request. The answer's body fails if the peer falls silent in the middle of it.
pub(crate) async fn fetch(
    client: &HttpClient,
    mut request: Request<WasiBody>,
    patience: Patience,
) -> Result<Response<WasiBody>, Error> {
    let mut span = asking(client.here.as_ref(), &mut request);
    let answered = tokio::time::timeout(patience.first_byte, client.pool.request(request)).await;
    let answered = answered
        .map_err(|_| Error::ConnectionReadTimeout)
        .and_then(|answered| {
            answered.map_err(|error| match error.is_connect() {
                true => Error::ConnectionRefused,
                false => Error::InternalError(Some(error.to_string())),
            })
        });
    match &answered {
        Ok(response) => span.set(
            "http.response.status_code",
            i64::from(response.status().as_u16()),
        ),
        Err(error) => span.fail(|| format!("{error:?}")),
    }
    drop(span);
    let response = answered?;
    Ok(response.map(|body| {
        let body = Flowing {
            body,
            limit: patience.between_bytes,
            silent: None,
        };
        body.boxed_unsync()
    }))
}

/// The span of a request to somebody else, who is told of it.
fn asking(here: Option<&Here>, request: &mut Request<WasiBody>) -> Span {
    if here.is_none() {
        return Span::none();
    }
    let method = request.method().as_str().to_owned();
    let mut span = Span::part_of(here, Kind::Client, method.clone());
    if let Some(here) = span.here() {
        here.tell(request.headers_mut());
    }
    span.set("http.request.method", method);
    let uri = request.uri();
    span.set("server.address", uri.host().unwrap_or_default().to_owned());
    let usual = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    span.set("server.port", i64::from(uri.port_u16().unwrap_or(usual)));
    // Without the query, which is signed.
    span.set("url.path", uri.path().to_owned());
    span
}

/// A body that may not pause for longer than `limit`.
struct Flowing {
    body: Incoming,
    limit: Duration,
    /// Runs while the next frame is awaited.
    silent: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Body for Flowing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.silent = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::Hyper)));
        }
        let limit = this.limit;
        let timer = this
            .silent
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Scheme, host and port as the allow list sees them; a relative request goes to `self`.
fn target(uri: &Uri) -> (String, String, u16) {
    let scheme = uri.scheme_str().unwrap_or("http").to_owned();
    let host = uri
        .host()
        .filter(|h| !h.is_empty())
        .unwrap_or("self")
        .to_ascii_lowercase();
    let port = uri
        .port_u16()
        .unwrap_or(if scheme == "https" { 443 } else { 80 });
    (scheme, host, port)
}

static SELF_ORIGIN: OnceLock<Uri> = OnceLock::new();

/// Where this process answers, known once the listener is bound; for requests to `self`.
pub(crate) fn set_self_origin(origin: Uri) {
    let _ = SELF_ORIGIN.set(origin);
}

fn self_origin() -> Option<&'static Uri> {
    SELF_ORIGIN.get()
}

fn absolute(origin: &Uri, relative: &Uri) -> Result<Uri, Error> {
    let mut parts = origin.clone().into_parts();
    parts.path_and_query = relative.path_and_query().cloned();
    Uri::from_parts(parts).map_err(|_| Error::HttpRequestUriInvalid)
}

/// A body of one piece.
pub fn full_body(bytes: impl Into<Bytes>) -> WasiBody {
    http_body_util::Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}
