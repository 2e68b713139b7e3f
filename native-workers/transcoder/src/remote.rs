//! Sources by HTTP (`JobInputHttp`), fetched past a guard.
//!
//! The URL is somebody else's choice, and the worker sits in the operator's network: every address that a name stands for
//! is held against [`Guard`], and the one that was held is the one that is connected to, after every redirect anew. What
//! comes is bounded in bytes and in time without any. Messages never repeat a query, which may hold a signature, nor an
//! address.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_net::egress::{Guard, NoAddress};
use headwater_work::{JobErrorCode, JobFailure};
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::failure::{self, Step, Stopped};

/// For a connection, and between two pieces of a body.
const PATIENCE: Duration = Duration::from_secs(30);
const REDIRECTS: usize = 5;
const ATTEMPTS: u32 = 3;

fn told(code: JobErrorCode, name: &str, why: impl Into<String>) -> Stopped {
    Stopped::Failed(JobFailure {
        code,
        message: format!("The input file '{name}' could not be fetched."),
        details: vec![why.into()],
    })
}

fn refused(name: &str, why: impl Into<String>) -> Stopped {
    told(JobErrorCode::DownloadNotAccessible, name, why)
}

fn passing(name: &str, why: impl Into<String>) -> Stopped {
    told(JobErrorCode::DownloadTransientError, name, why)
}

/// A file that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The last part of the URL's path.
    pub name: String,
    /// What the server says that tells this file from the next at the same URL, and its length.
    pub identity: String,
}

/// Fetches `url` into the file `path`.
///
/// Errors: `DownloadNotAccessible` for addresses that the guard holds back and for answers that will not change,
/// `DownloadTransientError` for others; `ContentUnsupported` for more than `most` bytes.
pub async fn fetch(
    guard: &Guard,
    url: &str,
    path: &Path,
    most: u64,
    stop: &CancellationToken,
) -> Step<Remote> {
    let name = name_of(url);
    let patiently = async {
        let mut wait = Duration::from_millis(500);
        let mut attempt = 1;
        loop {
            match fetch_once(guard, url, &name, path, most).await {
                Err(Stopped::Failed(failure)) if failure.code.may_retry() && attempt < ATTEMPTS => {
                    tokio::time::sleep(wait).await;
                    wait *= 4;
                    attempt += 1;
                }
                other => return other,
            }
        }
    };
    let identity = tokio::select! {
        biased;
        () = stop.cancelled() => return Err(Stopped::Interrupted),
        fetched = patiently => fetched?,
    };
    Ok(Remote { name, identity })
}

/// The last part of the path, without query.
fn name_of(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || path.ends_with("//") {
        "media".into()
    } else {
        name.to_owned()
    }
}

/// Gives the file's identity.
async fn fetch_once(guard: &Guard, url: &str, name: &str, path: &Path, most: u64) -> Step<String> {
    let mut uri: Uri = url
        .parse()
        .map_err(|_| refused(name, "The URL cannot be read."))?;
    for _ in 0..=REDIRECTS {
        let mut driver = JoinSet::new();
        let answer = ask(guard, &uri, name, &mut driver).await?;
        let status = answer.status();
        if status.is_redirection() {
            uri = redirected(&uri, &answer, name)?;
            continue;
        }
        if status != StatusCode::OK {
            let why = format!("The server answered with status {}.", status.as_u16());
            let for_now = status.is_server_error()
                || matches!(
                    status,
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
                );
            return Err(if for_now {
                passing(name, why)
            } else {
                refused(name, why)
            });
        }
        let validators = validators(answer.headers());
        let length = keep(answer, name, path, most).await?;
        return Ok(format!("{validators} {length}"));
    }
    Err(refused(name, "The server redirects too often."))
}

/// What tells one state of a resource from the next (RFC 9110, 8.8).
fn validators(headers: &HeaderMap) -> String {
    [header::ETAG, header::LAST_MODIFIED]
        .iter()
        .map(|name| {
            headers
                .get(name)
                .map_or("-".into(), |value| format!("{value:?}"))
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn redirected(from: &Uri, answer: &Response<Incoming>, name: &str) -> Step<Uri> {
    let wrong = || refused(name, "The server redirects to nowhere.");
    let location = answer
        .headers()
        .get(header::LOCATION)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(wrong)?;
    let to: Uri = location.parse().map_err(|_| wrong())?;
    if to.host().is_some() {
        if from.scheme_str() == Some("https") && to.scheme_str() != Some("https") {
            return Err(refused(name, "The server redirects from HTTPS to HTTP."));
        }
        return Ok(to);
    }
    let mut parts = from.clone().into_parts();
    parts.path_and_query = to.into_parts().path_and_query;
    Uri::from_parts(parts).map_err(|_| wrong())
}

/// Sends the request; `driver` holds the connection as long as it lives.
async fn ask(
    guard: &Guard,
    uri: &Uri,
    name: &str,
    driver: &mut JoinSet<()>,
) -> Step<Response<Incoming>> {
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority())
    else {
        return Err(refused(name, "Only http and https URLs are fetched."));
    };
    if authority.as_str().contains('@') {
        return Err(refused(name, "URLs with a user name are not fetched."));
    }
    let secure = scheme == "https";
    let host = authority.host();
    let port = authority
        .port_u16()
        .unwrap_or(if secure { 443 } else { 80 });
    let resolved = tokio::time::timeout(PATIENCE, guard.resolve(host, port)).await;
    let resolved =
        resolved.map_err(|_| passing(name, "Nobody says in time where the server is."))?;
    let addresses = resolved.map_err(|why| match why {
        NoAddress::Blocked(why) => refused(
            name,
            format!(
                "The URL's host is {}: this installation does not fetch from there unless its operator allows it \
                 (--egress-allow).",
                why.kind
            ),
        ),
        NoAddress::Unknown(_) => passing(name, "The URL's host has no address at the moment."),
    })?;
    let mut connected = None;
    for address in addresses.into_iter().take(4) {
        if let Ok(Ok(tcp)) = tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
            connected = Some(tcp);
            break;
        }
    }
    let tcp = connected.ok_or_else(|| passing(name, "The server cannot be connected to."))?;
    let request = Request::builder()
        .uri(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, authority.as_str())
        .header(
            header::USER_AGENT,
            concat!("Headwater/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::ACCEPT_ENCODING, "identity")
        .body(Empty::new())
        .map_err(|_| refused(name, "The URL cannot be asked for."))?;
    if !secure {
        return exchange(tcp, request, name, driver).await;
    }
    let plain = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let server = ServerName::try_from(plain)
        .map_err(|_| refused(name, "The URL's host is no name for a certificate."))?;
    let tls = secured(tls(name)?, server, tcp, name, PATIENCE).await?;
    exchange(tls, request, name, driver).await
}

/// TLS over `tcp`, agreed upon within `patience`.
async fn secured(
    tls: TlsConnector,
    server: ServerName<'static>,
    tcp: TcpStream,
    name: &str,
    patience: Duration,
) -> Step<TlsStream<TcpStream>> {
    tokio::time::timeout(patience, tls.connect(server, tcp))
        .await
        .map_err(|_| passing(name, "The server did not agree on TLS in time."))?
        .map_err(|error| refused(name, format!("TLS with the server failed: {error}.")))
}

fn tls(name: &str) -> Step<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| passing(name, error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn exchange<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: T,
    request: Request<Empty<Bytes>>,
    name: &str,
    driver: &mut JoinSet<()>,
) -> Step<Response<Incoming>> {
    let broken = |_| passing(name, "The connection to the server broke.");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    driver.spawn(async move {
        let _ = connection.await;
    });
    tokio::time::timeout(PATIENCE, sender.send_request(request))
        .await
        .map_err(|_| passing(name, "The server did not answer in time."))?
        .map_err(broken)
}

/// Gives how many bytes there were.
async fn keep(answer: Response<Incoming>, name: &str, path: &Path, most: u64) -> Step<u64> {
    let large = || {
        failure::unsupported(format!(
            "The input file '{name}' has more than the {most} bytes that this worker takes."
        ))
    };
    let stated = answer
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if stated.is_some_and(|stated| stated > most) {
        return Err(large());
    }
    let disk =
        |error: std::io::Error| told(JobErrorCode::ServiceTransientError, name, error.to_string());
    // What an attempt before this one has left.
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(disk(error)),
        _ => {}
    }
    let mut file = crate::ffmpeg::inputs::new_file(path).await.map_err(disk)?;
    let mut body = answer.into_body();
    let mut kept = 0_u64;
    loop {
        let frame = tokio::time::timeout(PATIENCE, body.frame())
            .await
            .map_err(|_| passing(name, "The server stopped sending."))?;
        let Some(frame) = frame else {
            break;
        };
        let frame = frame.map_err(|_| passing(name, "The connection to the server broke."))?;
        if let Ok(bytes) = frame.into_data() {
            kept += bytes.len() as u64;
            if kept > most {
                return Err(large());
            }
            file.write_all(&bytes).await.map_err(disk)?;
        }
    }
    file.flush().await.map_err(disk)?;
    if kept == 0 {
        return Err(failure::malformed(format!(
            "The input file '{name}' is empty."
        )));
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_no_signature() {
        assert_eq!(
            name_of("https://example.com/a/film.mp4?sig=secret"),
            "film.mp4"
        );
        assert_eq!(name_of("https://example.com/"), "media");
    }

    #[test]
    fn a_file_that_was_changed_is_another() {
        let said = |pairs: &[(header::HeaderName, &str)]| {
            let pairs = pairs.iter().cloned();
            let headers = pairs.map(|(name, value)| (name, value.parse().unwrap()));
            validators(&headers.collect())
        };
        let all = [
            said(&[]),
            said(&[(header::ETAG, "\"1\"")]),
            said(&[(header::ETAG, "\"2\"")]),
            said(&[(header::LAST_MODIFIED, "Thu, 01 Jan 1970 00:00:00 GMT")]),
        ];
        let different: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
        let dated = said(&[(header::DATE, "Thu, 01 Jan 1970 00:00:00 GMT")]);
        assert_eq!(dated, said(&[]));
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_about_tls_is_not_waited_for() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(silent.local_addr().unwrap())
            .await
            .unwrap();
        let server = ServerName::try_from("example.com").unwrap();
        let patience = Duration::from_millis(50);
        let outcome = secured(tls("film").unwrap(), server, tcp, "film", patience).await;
        match outcome.map(|_| ()) {
            Err(Stopped::Failed(failure)) => {
                assert_eq!(failure.code, JobErrorCode::DownloadTransientError);
            }
            other => panic!("{other:?}"),
        }
    }
}
