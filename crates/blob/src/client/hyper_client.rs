//! [`HttpClient`] for native programs: hyper, pooled connections, rustls with ring.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::client::store::{HttpClient, TransportError};

/// How a [`HyperClient`] behaves.
#[derive(Debug, Clone)]
pub struct HyperOptions {
    /// One or more certificates in PEM, trusted in addition to the public roots.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// For a request and its whole answer.
    pub timeout: Duration,
    pub connect_timeout: Duration,
    /// Largest answer that `send` gathers, bytes.
    pub max_answer_bytes: u64,
    /// Idle connections kept per host.
    pub idle_per_host: usize,
}

impl Default for HyperOptions {
    fn default() -> Self {
        Self {
            extra_ca_pem: None,
            timeout: Duration::from_secs(120),
            connect_timeout: Duration::from_secs(10),
            max_answer_bytes: 64 << 20,
            idle_per_host: 16,
        }
    }
}

/// The extra CA is not a PEM file with at least one certificate, or TLS could not be set up with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the extra CA file: {0}")]
pub struct InvalidCa(String);

/// A pooled HTTP/1.1 and HTTP/2 client. Clones share the pool. `http` and `https` URLs are both sent.
#[derive(Debug, Clone)]
pub struct HyperClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// What goes along with every request.
    headers: HeaderMap,
    timeout: Duration,
    max_answer_bytes: usize,
}

impl HyperClient {
    pub fn new(options: HyperOptions) -> Result<Self, InvalidCa> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(pem) = &options.extra_ca_pem {
            let mut added = 0u32;
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|e| InvalidCa(e.to_string()))?;
                roots
                    .add(certificate)
                    .map_err(|e| InvalidCa(e.to_string()))?;
                added = added.saturating_add(1);
            }
            if added == 0 {
                return Err(InvalidCa("no certificate found".to_owned()));
            }
        }
        // The provider is named so that no process-wide default has to be installed.
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| InvalidCa(e.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(options.connect_timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(options.idle_per_host)
            .build(connector);
        let max_answer_bytes = usize::try_from(options.max_answer_bytes).unwrap_or(usize::MAX);
        Ok(Self {
            client,
            headers: HeaderMap::new(),
            timeout: options.timeout,
            max_answer_bytes,
        })
    }

    /// The same, with these headers for every request that says nothing else by their names. They are not signed.
    #[must_use]
    pub fn sending(&self, headers: HeaderMap) -> Self {
        Self {
            headers,
            ..self.clone()
        }
    }

    /// Sends a request and returns as soon as the headers are there; the caller reads the body. The timeout covers
    /// the headers only.
    pub async fn stream(
        &self,
        mut request: Request<Bytes>,
    ) -> Result<Response<Incoming>, TransportError> {
        for (name, value) in &self.headers {
            let entry = request.headers_mut().entry(name);
            entry.or_insert_with(|| value.clone());
        }
        let pending = self.client.request(request.map(Full::new));
        let answer = tokio::time::timeout(self.timeout, pending)
            .await
            .map_err(|_| TransportError::Timeout)?;
        answer.map_err(|error| {
            // The legacy client's own text is just "client error": the cause says more.
            let cause = std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), ToString::to_string);
            if error.is_connect() {
                TransportError::Connect(cause)
            } else {
                TransportError::Broken(cause)
            }
        })
    }
}

impl HttpClient for HyperClient {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let whole = async {
            let (parts, body) = self.stream(request).await?.into_parts();
            let limited = Limited::new(body, self.max_answer_bytes)
                .collect()
                .await
                .map_err(|error| {
                    if error.is::<LengthLimitError>() {
                        TransportError::TooLarge {
                            limit_bytes: u64::try_from(self.max_answer_bytes).unwrap_or(u64::MAX),
                        }
                    } else {
                        TransportError::Broken(error.to_string())
                    }
                })?;
            Ok(Response::from_parts(parts, limited.to_bytes()))
        };
        tokio::time::timeout(self.timeout, whole)
            .await
            .map_err(|_| TransportError::Timeout)?
    }
}
