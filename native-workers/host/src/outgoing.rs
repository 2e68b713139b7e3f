//! Requests that leave a component: checked against its allow list, then chained in process, answered by a native
//! stand-in, or sent over a pooled connection.
//!
//! `http://<component>.spin.internal/` never touches a socket. Where the host was given a stand-in for that
//! component, the stand-in answers instead: same contract, same bytes, native code.

use crate::component::LoadedComponent;
use crate::host::Registry;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// A native answer in place of a component, behind the same private route.
pub trait StandIn: Send + Sync + 'static {
    /// Answers one request. An error becomes `HttpProtocolError` for the caller.
    fn call(
        &self,
        request: Request<WasiBody>,
    ) -> futures::future::BoxFuture<'static, Result<Response<WasiBody>, Error>>;
}

/// The one client that all components share: keep-alive, HTTP/1.1 and, by ALPN, HTTP/2.
pub(crate) type HttpClient = Client<HttpsConnector<HttpConnector>, WasiBody>;

const SUFFIX: &str = ".spin.internal";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(60);

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
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(tcp);
    Client::builder(hyper_util::rt::TokioExecutor::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(64)
        .build(connector)
}

/// An instance's way out.
pub(crate) struct Outgoing {
    pub(crate) component: Arc<LoadedComponent>,
    pub(crate) registry: Weak<Registry>,
}

type Sent = Result<
    (
        Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _result: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let component = self.component.clone();
        let registry = self.registry.clone();
        Box::new(async move {
            let response = send(&component, registry, request, options).await?;
            let done: Box<dyn Future<Output = Result<(), Error>> + Send> =
                Box::new(async { Ok(()) });
            Ok((response, done))
        })
    }
}

async fn send(
    component: &LoadedComponent,
    registry: Weak<Registry>,
    mut request: Request<WasiBody>,
    options: Option<RequestOptions>,
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
        return match registry.stand_ins.get(id) {
            Some(stand_in) => stand_in.call(request).await,
            None => registry.chain(id, request).await,
        };
    }
    if matches!(host.as_str(), "self" | "self.alt") {
        let origin = self_origin().ok_or(Error::DestinationNotFound)?;
        *request.uri_mut() = absolute(origin, request.uri())?;
    }
    let first_byte = options
        .and_then(|o| o.first_byte_timeout)
        .unwrap_or(FIRST_BYTE_TIMEOUT);
    let response = tokio::time::timeout(first_byte, registry.client.request(request))
        .await
        .map_err(|_| Error::ConnectionReadTimeout)?
        .map_err(|error| {
            if error.is_connect() {
                Error::ConnectionRefused
            } else {
                Error::InternalError(Some(error.to_string()))
            }
        })?;
    Ok(response.map(|body| body.map_err(Error::Hyper).boxed_unsync()))
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
