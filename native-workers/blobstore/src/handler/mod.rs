//! One request: parse, authorise, do, answer.

mod body;
mod checksum;
mod containers;
mod cors;
mod headers;
mod read;
mod write;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_blob::AccountKey;
use headwater_blob::query::Query;
use headwater_blob::sas::Caller;
use headwater_blob::server::{
    Authorized, ErrorCode, Operation, RequestHead, ServiceError, Target, authorize,
    parse_operation, parse_target,
};
use headwater_trace::Span;
use http::header::{CONTENT_TYPE, EXPECT, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use jiff::Timestamp;

use crate::backing::Backing;
use crate::disk::Failure;
pub(crate) use body::{read_range, send as send_file};
pub(crate) use checksum::md5_base64;
pub(crate) use cors::Cors;

/// Longest request target, bytes.
const MAX_URI: usize = 16 << 10;
/// The version named in answers to requests that name none.
const DEFAULT_VERSION: &str = "2021-12-02";
/// How much of a refused upload is read and thrown away, so that the client sees the refusal and not a reset.
const MAX_DRAIN: u64 = 16 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, std::io::Error>;
pub(crate) type Answer = Response<AnswerBody>;
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// What answers requests.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) store: Backing,
    pub(crate) account: String,
    pub(crate) key: AccountKey,
    pub(crate) cors: Cors,
    /// For reading a body: the longest wait for the next bytes.
    pub(crate) idle_timeout: Duration,
}

/// The other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) ip: IpAddr,
    pub(crate) https: bool,
}

/// An authorised request.
struct Call {
    target: Target,
    head: http::request::Parts,
    authorized: Authorized,
    peer: Peer,
}

impl Call {
    /// The container's name; every operation but listing containers has one.
    fn container(&self) -> Result<&str> {
        self.target
            .container
            .as_deref()
            .ok_or_else(|| ErrorCode::InvalidUri.into())
    }

    fn blob(&self) -> Result<&str> {
        self.target
            .blob
            .as_deref()
            .ok_or_else(|| ErrorCode::InvalidUri.into())
    }

    /// `scheme://host/account/`, as the client knows the store.
    fn service_endpoint(&self, account: &str) -> String {
        let host = self
            .head
            .headers
            .get(http::header::HOST)
            .and_then(|host| host.to_str().ok());
        let host = host.or(self.head.uri.host()).unwrap_or_default();
        format!(
            "{}://{host}/{account}/",
            if self.peer.https { "https" } else { "http" }
        )
    }
}

impl Engine {
    /// Answers one request. Never fails: a failure is an answer too.
    pub(crate) async fn handle(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> Answer {
        let (head, mut body) = request.into_parts();
        let request_id = uuid::Uuid::new_v4().to_string();
        let echo = Echo::from(&head.headers);
        let origin = head.headers.get(http::header::ORIGIN).cloned();
        let (method, expects) = (head.method.clone(), head.headers.contains_key(EXPECT));
        let mut span = Span::serve(&head.headers, || method.as_str().to_owned().into());
        span.tell("http.request.method", || method.as_str().to_owned().into());
        span.tell("url.path", || head.uri.path().to_owned().into());
        tracing::debug!(%method, path = head.uri.path(), request_id, "blob request");
        let mut answer = if method == Method::OPTIONS {
            self.cors.preflight(&head.headers)
        } else {
            match self.answer(head, &mut body, peer).await {
                Ok(answer) => answer,
                Err(failure) => {
                    if !expects {
                        drain(body).await;
                    }
                    refuse(failure, &method, &request_id)
                }
            }
        };
        let headers = answer.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            headers.insert(HeaderName::from_static("x-ms-request-id"), value);
        }
        echo.apply(headers);
        self.cors.apply(origin.as_ref(), headers);
        let status = answer.status();
        span.set("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            span.fail(|| status.to_string());
        }
        answer
    }

    async fn answer(
        self: &Arc<Self>,
        head: http::request::Parts,
        body: &mut Incoming,
        peer: Peer,
    ) -> Result<Answer> {
        let too_long = head
            .uri
            .path_and_query()
            .is_some_and(|target| target.as_str().len() > MAX_URI);
        if too_long {
            return Err(ServiceError::new(ErrorCode::InvalidUri, "The URL is too long.").into());
        }
        let query = Query::parse(head.uri.query().unwrap_or_default())?;
        let target = parse_target(head.uri.path(), &self.account)?;
        let operation = parse_operation(&head.method, &target, &query, &head.headers)?;
        let caller = Caller {
            now: Timestamp::now(),
            ip: Some(peer.ip),
            https: peer.https,
        };
        let view = RequestHead {
            method: &head.method,
            uri: &head.uri,
            headers: &head.headers,
            query: &query,
        };
        let authorized = authorize(view, &target, &operation, &self.account, &self.key, caller)?;
        headers::refuse_unsupported(&head.headers)?;
        let call = Call {
            target,
            head,
            authorized,
            peer,
        };
        match operation {
            Operation::ListContainers(list) => self.list_containers(call, list).await,
            Operation::CreateContainer => self.create_container(call).await,
            Operation::DeleteContainer => self.delete_container(call).await,
            Operation::GetContainerProperties => self.container_properties(call).await,
            Operation::ListBlobs(list) => self.list_blobs(call, list).await,
            Operation::GetBlob => self.get_blob(call).await,
            Operation::GetBlobProperties => self.blob_properties(call).await,
            Operation::GetBlockList {
                committed,
                uncommitted,
            } => self.get_block_list(call, committed, uncommitted).await,
            Operation::PutBlob => self.put_blob(call, body).await,
            Operation::PutBlock { id } => self.put_block(call, id, body).await,
            Operation::PutBlockList => self.put_block_list(call, body).await,
            Operation::SetBlobProperties => self.set_properties(call).await,
            Operation::SetBlobMetadata => self.set_metadata(call).await,
            Operation::DeleteBlob => self.delete_blob(call).await,
        }
    }
}

/// Headers of the request that every answer repeats.
struct Echo {
    version: HeaderValue,
    client_request_id: Option<HeaderValue>,
}

impl Echo {
    fn from(headers: &HeaderMap) -> Self {
        let is_date = |v: &&HeaderValue| {
            v.len() == 10
                && v.as_bytes()
                    .iter()
                    .all(|b| b.is_ascii_digit() || *b == b'-')
        };
        let version = headers.get("x-ms-version").filter(is_date).cloned();
        Self {
            version: version.unwrap_or(HeaderValue::from_static(DEFAULT_VERSION)),
            client_request_id: headers
                .get("x-ms-client-request-id")
                .filter(|v| v.len() <= 1024)
                .cloned(),
        }
    }

    fn apply(self, headers: &mut HeaderMap) {
        headers.insert(HeaderName::from_static("x-ms-version"), self.version);
        if let Some(id) = self.client_request_id {
            headers.insert(HeaderName::from_static("x-ms-client-request-id"), id);
        }
    }
}

/// An answer without a body.
fn bare(status: StatusCode) -> Answer {
    let mut answer = Response::new(empty_body());
    *answer.status_mut() = status;
    answer
}

fn xml(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(full_body(text.into()));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer
}

fn empty_body() -> AnswerBody {
    full_body(Bytes::new())
}

fn full_body(bytes: Bytes) -> AnswerBody {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// The answer to a failed request.
fn refuse(failure: Failure, method: &Method, request_id: &str) -> Answer {
    let error = match failure {
        Failure::Service(error) => error,
        Failure::Io(error) => {
            tracing::error!(%error, request_id, "a blob request failed");
            ErrorCode::InternalError.into()
        }
    };
    let status = error.code.status();
    let mut answer = if *method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
        bare(status)
    } else {
        xml(
            status,
            error.body(request_id, &Timestamp::now().to_string()),
        )
    };
    let headers = answer.headers_mut();
    headers.insert(
        HeaderName::from_static("x-ms-error-code"),
        HeaderValue::from_static(error.code.as_str()),
    );
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("SharedKey"));
    }
    answer
}

/// Reads what is left of a refused upload if that is little and comes soon.
async fn drain(mut body: Incoming) {
    if body.size_hint().lower() > MAX_DRAIN {
        return;
    }
    let rest = async {
        let mut seen = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, |data| data.len() as u64);
            if seen > MAX_DRAIN {
                return;
            }
        }
    };
    // Too slow: then the answer comes at once and the connection ends.
    let _ = tokio::time::timeout(DRAIN_TIME, rest).await;
}
