//! HTTP through the host (`wasi:http@0.3.0`): whole answers for small things, unread streams for media.
//!
//! [`SpinHttp`] is the storage client's port and holds a whole answer in memory, up to a limit. [`open`] returns an
//! answer whose body has not been touched: [`Opened::hand_on`] makes it the body of our own response, in which case
//! the host connects both ends and no byte enters the component; [`Opened::next`] reads it in pieces.

use crate::memory;
use bytes::Bytes;
use headwater_blob::{HttpClient, TransportError};
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use spin_sdk::wasip3::http::types::{
    ErrorCode, Fields, Method as WasiMethod, Request as WasiRequest, Response as WasiResponse,
    Scheme, Trailers,
};
use spin_sdk::wasip3::{wit_future, wit_stream};
use spin_sdk::wit_bindgen::{FutureReader, StreamReader, StreamResult};

/// What a component may hold of one answer, unless it says otherwise: blocks of an index, listings, small files.
pub const DEFAULT_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;

/// The storage client's transport.
#[derive(Debug, Clone, Copy)]
pub struct SpinHttp {
    /// Longer answers are an error.
    pub limit_bytes: u64,
}

impl Default for SpinHttp {
    fn default() -> Self {
        Self {
            limit_bytes: DEFAULT_LIMIT_BYTES,
        }
    }
}

impl HttpClient for SpinHttp {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let is_head = request.method() == Method::HEAD;
        let mut opened = open(request).await?;
        let mut body = Vec::new();
        if !is_head {
            let too_large = TransportError::TooLarge {
                limit_bytes: self.limit_bytes,
            };
            let announced = opened.content_length();
            if announced.is_some_and(|len| len > self.limit_bytes) {
                return Err(too_large);
            }
            body.reserve_exact(
                announced
                    .and_then(|len| usize::try_from(len).ok())
                    .unwrap_or_default(),
            );
            while let Some(piece) = opened.next().await? {
                let len = body.len().saturating_add(piece.len());
                if u64::try_from(len).is_ok_and(|len| len > self.limit_bytes) {
                    return Err(too_large);
                }
                body.extend_from_slice(&piece);
            }
        }
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = opened.status;
        *response.headers_mut() = opened.headers;
        Ok(response)
    }
}

/// An answer with its body still on the way.
pub struct Opened {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    stream: StreamReader<u8>,
    trailers: Option<FutureReader<Result<Option<Trailers>, ErrorCode>>>,
}

/// Sends `request` and returns as soon as the answer's head is there.
pub async fn open(request: Request<Bytes>) -> Result<Opened, TransportError> {
    memory::others().await;
    let response = spin_sdk::wasip3::http::client::send(outgoing(request)?)
        .await
        .map_err(transport)?;
    let status = StatusCode::from_u16(response.get_status_code())
        .map_err(|_| TransportError::Broken("the answer's status is not a status".to_owned()))?;
    let headers = HeaderMap::try_from(response.get_headers()).map_err(transport)?;
    let (result, reader) = wit_future::new(|| Ok(()));
    let (stream, trailers) = WasiResponse::consume_body(response, reader);
    // Dropping the writer reports success: what becomes of the body is for our own response to say.
    drop(result);
    Ok(Opened {
        status,
        headers,
        stream,
        trailers: Some(trailers),
    })
}

impl Opened {
    /// Length of the body, if the answer announces it.
    pub fn content_length(&self) -> Option<u64> {
        self.headers
            .get(CONTENT_LENGTH)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    }

    /// The next piece of the body, at most 64 KiB; `None` at its end.
    ///
    /// Errors: `Broken` if the body ends in a fault rather than an end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, TransportError> {
        loop {
            let (result, piece) = self.stream.read(Vec::with_capacity(READ_BYTES)).await;
            match result {
                // A writer may complete a write of nothing.
                StreamResult::Complete(_) if piece.is_empty() => {}
                StreamResult::Complete(_) => return Ok(Some(piece.into())),
                StreamResult::Dropped | StreamResult::Cancelled => {
                    if !piece.is_empty() {
                        return Ok(Some(piece.into()));
                    }
                    // How the body ended is told once.
                    return match self.trailers.take() {
                        Some(trailers) => trailers.await.map(|_| None).map_err(transport),
                        None => Ok(None),
                    };
                }
            }
        }
    }

    /// Our own response over this answer's body, unread: the host moves the bytes.
    ///
    /// Errors: `Broken` if a header cannot be sent, or trailers were read already.
    pub fn hand_on(
        self,
        status: StatusCode,
        headers: HeaderMap,
    ) -> Result<WasiResponse, TransportError> {
        let trailers = self
            .trailers
            .ok_or_else(|| TransportError::Broken("the body was read already".to_owned()))?;
        response(status, headers, Some(self.stream), trailers)
    }
}

/// What a component wants to know of a request before it reads a body, if it does.
///
/// Not the SDK's `http::Request`: that asks the host for scheme, authority and options, and reads every header twice.
#[derive(Debug)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// Path and query as they came.
    target: String,
    /// The headers, without those that the host adds.
    pub headers: HeaderMap,
    /// The client, as `spin-client-addr` says. Not every host sees to it that no client says so itself.
    pub client: Option<std::net::SocketAddr>,
}

impl Asked {
    /// Reads a request's head; its body stays unread.
    ///
    /// Errors: what the host should answer instead of us.
    pub fn read(request: &WasiRequest) -> Result<Self, ErrorCode> {
        let method = Method::try_from(request.get_method())
            .map_err(|_| ErrorCode::HttpRequestMethodInvalid)?;
        let target = request.get_path_with_query().unwrap_or_default();
        Ok(Self::new(method, target, request.get_headers().copy_all()))
    }

    /// `headers`: as the host has them.
    pub(crate) fn new(method: Method, target: String, all: Vec<(String, Vec<u8>)>) -> Self {
        let mut headers = HeaderMap::with_capacity(all.len());
        let mut client = None;
        for (name, value) in all {
            if name.starts_with("spin-") {
                if name == "spin-client-addr" {
                    client = std::str::from_utf8(&value)
                        .ok()
                        .and_then(|at| at.parse().ok());
                }
                continue;
            }
            // The host has parsed them once.
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_maybe_shared(Bytes::from(value)),
            ) {
                headers.append(name, value);
            }
        }
        Self {
            method,
            target,
            headers,
            client,
        }
    }

    /// The request as `http` has it, with `body`. `authority`: the server that was asked, which stands in its URI.
    ///
    /// Errors: these are not the parts of a URL.
    pub fn into_request(
        self,
        authority: Option<String>,
        body: Bytes,
    ) -> Result<Request<Bytes>, http::Error> {
        let mut uri = Uri::builder().path_and_query(self.target);
        if let Some(authority) = authority {
            uri = uri.scheme("http").authority(authority);
        }
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri.build()?;
        *request.headers_mut() = self.headers;
        Ok(request)
    }

    /// The path, percent-encoded as it came.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The query as it came, without its question mark; empty without one.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

/// Why the body of a request is not there.
#[derive(Debug)]
pub enum Unread {
    /// It is longer than it may be.
    TooLong,
    /// It ended in a fault rather than an end.
    Broken,
}

/// Reads the body of a request, `limit` bytes at most.
pub async fn body(request: WasiRequest, limit: usize) -> Result<Bytes, Unread> {
    let (result, reader) = wit_future::new(|| Ok(()));
    let (mut stream, trailers) = WasiRequest::consume_body(request, reader);
    drop(result);
    let mut body = Vec::new();
    loop {
        let (result, mut piece) = stream.read(Vec::with_capacity(READ_BYTES)).await;
        if body.len().saturating_add(piece.len()) > limit {
            return Err(Unread::TooLong);
        }
        if body.is_empty() {
            body = piece;
        } else {
            body.append(&mut piece);
        }
        match result {
            StreamResult::Complete(_) => {}
            StreamResult::Dropped | StreamResult::Cancelled => {
                return match trailers.await {
                    Ok(_) => Ok(body.into()),
                    Err(_) => Err(Unread::Broken),
                };
            }
        }
    }
}

/// A response with a small body, or none, written straight to the host.
///
/// `Content-Length` is set from `body` unless `headers` has one (an answer to `HEAD`).
pub fn whole(
    status: StatusCode,
    mut headers: HeaderMap,
    body: Bytes,
) -> Result<WasiResponse, TransportError> {
    let (trailers, trailers_reader) = wit_future::new(|| Ok(None));
    drop(trailers);
    if !headers.contains_key(CONTENT_LENGTH)
        && status != StatusCode::NO_CONTENT
        && status != StatusCode::NOT_MODIFIED
    {
        headers.insert(CONTENT_LENGTH, body.len().into());
    }
    if body.is_empty() {
        return response(status, headers, None, trailers_reader);
    }
    let (mut writer, reader) = wit_stream::new();
    let response = response(status, headers, Some(reader), trailers_reader)?;
    spin_sdk::wit_bindgen::spawn(async move {
        // What is left over belongs to a client that went away.
        let _unsent = writer.write_all(Vec::from(body)).await;
    });
    Ok(response)
}

/// A streamed response: the returned sink writes its body. Its end must be told with [`BodySink::finish`]; a sink that
/// is dropped before breaks the response off.
pub fn streamed(
    status: StatusCode,
    headers: HeaderMap,
) -> Result<(WasiResponse, BodySink), TransportError> {
    let (writer, reader) = wit_stream::new();
    let (end, end_reader) = wit_future::new(|| {
        Err(ErrorCode::InternalError(Some(
            "the body was broken off".to_owned(),
        )))
    });
    let response = response(status, headers, Some(reader), end_reader)?;
    Ok((response, BodySink { writer, end }))
}

/// The writing end of a streamed response.
pub struct BodySink {
    writer: spin_sdk::wit_bindgen::StreamWriter<u8>,
    end: spin_sdk::wit_bindgen::FutureWriter<Result<Option<Trailers>, ErrorCode>>,
}

/// The client of a streamed response went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientGone;

impl BodySink {
    /// Writes `bytes` and returns when the host has taken them.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ClientGone> {
        let unsent = self.writer.write_all(Vec::from(bytes)).await;
        if unsent.is_empty() {
            Ok(())
        } else {
            Err(ClientGone)
        }
    }

    /// The body is complete.
    pub async fn finish(self) {
        drop(self.writer);
        // Nobody may be listening any more.
        let _ = self.end.write(Ok(None)).await;
    }
}

fn response(
    status: StatusCode,
    headers: HeaderMap,
    body: Option<StreamReader<u8>>,
    trailers: FutureReader<Result<Option<Trailers>, ErrorCode>>,
) -> Result<WasiResponse, TransportError> {
    let (response, _sent) = WasiResponse::new(fields(headers)?, body, trailers);
    // What it is until something else is said.
    if status != StatusCode::OK {
        response
            .set_status_code(status.as_u16())
            .map_err(|()| TransportError::Broken("the status cannot be sent".to_owned()))?;
    }
    Ok(response)
}

fn outgoing(request: Request<Bytes>) -> Result<WasiRequest, TransportError> {
    let (mut parts, body) = request.into_parts();
    // The host takes the authority from the URI and refuses a `Host` header.
    parts.headers.remove(HOST);
    if !body.is_empty() || !matches!(parts.method, Method::GET | Method::HEAD) {
        parts.headers.insert(CONTENT_LENGTH, body.len().into());
    }
    let (trailers, trailers_reader) = wit_future::new(|| Ok(None));
    drop(trailers);
    let (writer, reader) = if body.is_empty() {
        (None, None)
    } else {
        let (writer, reader) = wit_stream::new();
        (Some(writer), Some(reader))
    };
    let (outgoing, _sent) = WasiRequest::new(fields(parts.headers)?, reader, trailers_reader, None);
    let malformed =
        |what: &str| TransportError::Broken(format!("the request's {what} cannot be sent"));
    outgoing
        .set_method(&WasiMethod::from(&parts.method))
        .map_err(|()| malformed("method"))?;
    let scheme = parts.uri.scheme().map(Scheme::from);
    outgoing
        .set_scheme(scheme.as_ref())
        .map_err(|()| malformed("scheme"))?;
    outgoing
        .set_authority(parts.uri.authority().map(|a| a.as_str()))
        .map_err(|()| malformed("authority"))?;
    let path = parts.uri.path_and_query().map(|p| p.as_str());
    outgoing
        .set_path_with_query(path)
        .map_err(|()| malformed("path"))?;
    if let Some(mut writer) = writer {
        spin_sdk::wit_bindgen::spawn(async move {
            // A peer that answers before it has read everything is heard out by the caller.
            let _unsent = writer.write_all(Vec::from(body)).await;
        });
    }
    Ok(outgoing)
}

fn fields(headers: HeaderMap) -> Result<Fields, TransportError> {
    Fields::try_from(headers)
        .map_err(|e| TransportError::Broken(format!("a header cannot be sent: {e:?}")))
}

/// The host's error, without addresses or credentials: error codes hold none.
fn transport(code: ErrorCode) -> TransportError {
    match code {
        ErrorCode::DnsTimeout
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => TransportError::Timeout,
        ErrorCode::DnsError(_)
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::DestinationIpProhibited
        | ErrorCode::ConnectionRefused
        | ErrorCode::TlsCertificateError
        | ErrorCode::TlsProtocolError => TransportError::Connect(code.to_string()),
        other => TransportError::Broken(other.to_string()),
    }
}
