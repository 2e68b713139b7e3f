//! One delivery: resolve, connect, send, read the answer's head.
//!
//! Sentences in an outcome are shown to whoever wrote the rule, so they say what the receiver did and nothing about us.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_net::egress::{Guard, NoAddress};
use headwater_trace::{Here, Kind, Span};
use headwater_work::webhooks::{DeliveryOutcome, WorkDelivery};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::NotifierError;

/// For a connection to one address.
const CONNECT: Duration = Duration::from_secs(5);
/// Addresses of a name that are tried.
const ADDRESSES: usize = 4;
/// Longest head of an answer, in bytes.
const LONGEST_HEAD: usize = 64 << 10;

const USER_AGENT: &str = concat!("Headwater/", env!("CARGO_PKG_VERSION"));

/// Sends deliveries. Clones share the TLS set-up.
#[derive(Clone)]
pub(crate) struct Sender {
    guard: Arc<Guard>,
    tls: TlsConnector,
    /// For a whole attempt.
    patience: Duration,
}

fn unanswered(reason: impl Into<String>) -> DeliveryOutcome {
    DeliveryOutcome::Unanswered {
        reason: reason.into(),
    }
}

fn refused(reason: impl Into<String>) -> DeliveryOutcome {
    DeliveryOutcome::Refused {
        reason: reason.into(),
    }
}

impl Sender {
    /// `ca`: PEM certificates to trust besides the public ones.
    pub(crate) fn new(
        guard: Guard,
        ca: Option<&[u8]>,
        patience: Duration,
    ) -> Result<Self, NotifierError> {
        let failed = |error: &dyn std::fmt::Display| NotifierError::Tls(error.to_string());
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for certificate in ca.into_iter().flat_map(CertificateDer::pem_slice_iter) {
            let certificate = certificate.map_err(|error| failed(&error))?;
            roots.add(certificate).map_err(|error| failed(&error))?;
        }
        // The provider is named so that no process-wide default has to be installed.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            guard: Arc::new(guard),
            tls: TlsConnector::from(Arc::new(config)),
            patience,
        })
    }

    /// Sends once.
    pub(crate) async fn send(&self, delivery: &WorkDelivery) -> DeliveryOutcome {
        let mut span = Span::within(None, Kind::Client, "webhook");
        span.tell("headwater.rule", || delivery.rule_id.to_string().into());
        let here = span.here();
        let tried =
            tokio::time::timeout(self.patience, self.attempt(delivery, here.as_ref())).await;
        let outcome = match tried {
            Ok(Ok(answer)) => DeliveryOutcome::Answered {
                status: answer.status().as_u16(),
                retry_after_seconds: retry_after(answer.headers(), Timestamp::now()),
            },
            Ok(Err(outcome)) => outcome,
            Err(_) => unanswered(format!(
                "The receiver did not answer within {} seconds.",
                self.patience.as_secs_f32()
            )),
        };
        match &outcome {
            DeliveryOutcome::Answered { status, .. } => {
                span.set("http.response.status_code", i64::from(*status));
            }
            DeliveryOutcome::Unanswered { reason } | DeliveryOutcome::Refused { reason } => {
                span.fail(|| reason.clone());
            }
        }
        outcome
    }

    async fn attempt(
        &self,
        delivery: &WorkDelivery,
        here: Option<&Here>,
    ) -> Result<Response<Incoming>, DeliveryOutcome> {
        let uri: Uri = delivery
            .url
            .parse()
            .map_err(|_| refused("The URL cannot be sent to."))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(refused("The URL has no host."));
        };
        let secure = scheme == "https";
        let port = authority
            .port_u16()
            .unwrap_or(if secure { 443 } else { 80 });
        let host = authority.host();
        let mut request = request(delivery, &uri)?;
        if let Some(here) = here {
            here.tell(request.headers_mut());
        }
        let tcp = self.connect(host, port).await?;
        if !secure {
            return exchange(tcp, request).await;
        }
        let name = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name = ServerName::try_from(name)
            .map_err(|_| refused("The URL's host is not a name that a certificate can have."))?;
        let tls = self
            .tls
            .connect(name, tcp)
            .await
            .map_err(|error| unanswered(format!("TLS with the receiver failed: {error}.")))?;
        exchange(tls, request).await
    }

    /// Connects to an address that the guard has let through: the name is looked up once, and not by anybody else.
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, DeliveryOutcome> {
        let addresses = match self.guard.resolve(host, port).await {
            Ok(addresses) => addresses,
            Err(NoAddress::Blocked(why)) => {
                return Err(refused(format!(
                    "The URL's host is {}: this installation does not send there unless its operator allows it (--egress-allow).",
                    why.kind
                )));
            }
            Err(NoAddress::Unknown(_)) => {
                return Err(unanswered("The URL's host has no address at the moment."));
            }
        };
        let mut last = "no address".to_owned();
        for address in addresses.into_iter().take(ADDRESSES) {
            match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    let _ = tcp.set_nodelay(true);
                    return Ok(tcp);
                }
                Ok(Err(error)) => last = error.kind().to_string(),
                Err(_) => last = "timed out".to_owned(),
            }
        }
        Err(unanswered(format!(
            "The receiver cannot be connected to: {last}."
        )))
    }
}

fn request(delivery: &WorkDelivery, uri: &Uri) -> Result<Request<Full<Bytes>>, DeliveryOutcome> {
    let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let host = uri.authority().map_or("", |authority| authority.as_str());
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(target)
        .header(header::HOST, host)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(delivery.body.clone())))
        .map_err(|_| refused("The URL cannot be sent to."))?;
    for (name, value) in &delivery.headers {
        // Names and values were checked when the rule was written.
        match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => request.headers_mut().append(name, value),
            _ => return Err(refused(format!("The header {name} cannot be sent."))),
        };
    }
    Ok(request)
}

/// Sends over a connection and reads the head of the answer. The connection ends here, whatever is still to come.
async fn exchange<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: T,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, DeliveryOutcome> {
    let broken = |error: hyper::Error| {
        let what = if error.is_parse() {
            "The receiver's answer is not HTTP."
        } else {
            "The connection broke before the receiver answered."
        };
        unanswered(what)
    };
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(LONGEST_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // Dropped, and with it the connection, when this returns.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    sender.send_request(request).await.map_err(broken)
}

/// `Retry-After` in seconds (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<u32> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    u32::try_from(at.duration_since(now).as_secs().max(0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_a_span_or_a_date() {
        let now: Timestamp = "1994-11-06T08:49:07Z".parse().unwrap();
        for (text, seconds) in [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("99999999999", None),
        ] {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), seconds, "{text}");
        }
    }
}
