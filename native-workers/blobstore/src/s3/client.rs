//! Requests to the bucket: signed by `rusty-s3`, sent by the client that everything else here uses, repeated where that is safe.

use std::time::Duration;

use bytes::Bytes;
use headwater_blob::client::HttpClient as _;
use headwater_blob::{HyperClient, TransportError};
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use rusty_s3::{Bucket, Method, S3Action};

use super::credentials::{CredentialsError, Source};

/// How long a signature is good for: the clocks of both sides may differ by as much.
const SIGNED_FOR: Duration = Duration::from_secs(900);
/// How often a request is repeated.
const REPEATS: u32 = 3;
/// The pause before it is; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest text of an error's message that is kept.
const MAX_MESSAGE: usize = 300;
/// Longest body of an error that is read, bytes.
const MAX_REFUSAL: usize = 64 << 10;

/// What the bucket says to a request, or why it does not.
pub(super) type Answered<T> = std::result::Result<T, S3Error>;

/// Headers of a request, by their names in lower case. All of them are signed.
pub(super) type Headers = Vec<(String, String)>;

/// Why the bucket did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum S3Error {
    /// What the store said.
    #[error("{status} {code}: {message}")]
    Refused {
        status: StatusCode,
        /// `NoSuchKey` and the like; empty where there was no body (HEAD).
        code: String,
        message: String,
    },
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A file of our own.
    #[error(transparent)]
    Local(#[from] std::io::Error),
    /// An answer that is none of the protocol's.
    #[error("the answer is not S3's: {0}")]
    Answer(String),
}

impl S3Error {
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What a missing key or bucket is told by.
    pub fn is_missing(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// Whether somebody else was faster: the condition of a write does not hold, or two of them met.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(
            self.status(),
            Some(StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT)
        )
    }

    /// Whether credentials are what is wrong.
    pub fn is_denied(&self) -> bool {
        matches!(
            self.status(),
            Some(StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED)
        )
    }

    /// Whether the same request may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused { status, code, .. } => {
                status.is_server_error()
                    || *status == StatusCode::TOO_MANY_REQUESTS
                    || matches!(
                        code.as_str(),
                        "RequestTimeout" | "SlowDown" | "InternalError"
                    )
            }
            Self::Transport(error) => !matches!(error, TransportError::TooLarge { .. }),
            Self::Credentials(_) => true,
            Self::Local(_) | Self::Answer(_) => false,
        }
    }
}

/// One bucket, and who asks it.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) http: HyperClient,
    pub(super) bucket: Bucket,
    pub(super) credentials: Source,
}

/// A request before it is signed. Signatures are made anew for every try.
pub(super) struct Call<'a> {
    pub(super) what: What<'a>,
    pub(super) headers: Headers,
    pub(super) body: Bytes,
}

/// The operations, by S3's names.
pub(super) enum What<'a> {
    GetObject(&'a str),
    HeadObject(&'a str),
    /// Also CopyObject, which is told by a header.
    PutObject(&'a str),
    DeleteObject(&'a str),
    DeleteObjects,
    ListObjects(List<'a>),
    CreateUpload(&'a str),
    /// Also UploadPartCopy.
    UploadPart {
        key: &'a str,
        upload: &'a str,
        number: u16,
    },
    CompleteUpload {
        key: &'a str,
        upload: &'a str,
    },
    AbortUpload {
        key: &'a str,
        upload: &'a str,
    },
}

/// Arguments of ListObjectsV2.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct List<'a> {
    pub(super) prefix: &'a str,
    pub(super) delimiter: Option<&'a str>,
    /// Only keys behind this one.
    pub(super) after: Option<&'a str>,
    pub(super) token: Option<&'a str>,
    pub(super) limit: usize,
}

impl<'a> Call<'a> {
    pub(super) fn new(what: What<'a>) -> Self {
        Self {
            what,
            headers: Headers::new(),
            body: Bytes::new(),
        }
    }

    pub(super) fn with(mut self, headers: Headers) -> Self {
        self.headers.extend(headers);
        self
    }

    pub(super) fn sending(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }
}

impl Client {
    /// Sends a request until it is answered by something other than a passing trouble. Ok: a 2xx.
    pub(super) async fn send(&self, call: &Call<'_>) -> Answered<Response<Bytes>> {
        let mut tries = self.tries();
        loop {
            match self.once(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => tries.after(error).await?,
            }
        }
    }

    /// The same, as soon as the headers are there; the caller reads the body.
    pub(super) async fn stream(&self, call: &Call<'_>) -> Answered<Response<Incoming>> {
        let mut tries = self.tries();
        loop {
            match self.begin(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => tries.after(error).await?,
            }
        }
    }

    async fn once(&self, call: &Call<'_>) -> Answered<Response<Bytes>> {
        let answer = self.http.send(self.sign(call).await?).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(refused(answer.status(), answer.body()))
    }

    async fn begin(&self, call: &Call<'_>) -> Answered<Response<Incoming>> {
        let answer = self.http.stream(self.sign(call).await?).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = Limited::new(answer.into_body(), MAX_REFUSAL)
            .collect()
            .await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        Err(refused(status, &body))
    }

    fn tries(&self) -> Tries<'_> {
        Tries {
            credentials: &self.credentials,
            left: REPEATS,
            pause: FIRST_PAUSE,
        }
    }

    async fn sign(&self, call: &Call<'_>) -> Answered<Request<Bytes>> {
        let credentials = self.credentials.current().await?;
        let (bucket, who) = (&self.bucket, Some(&credentials));
        let headers = &call.headers;
        let (method, url) = match &call.what {
            What::GetObject(key) => signed(bucket.get_object(who, key), headers),
            What::HeadObject(key) => signed(bucket.head_object(who, key), headers),
            What::PutObject(key) => signed(bucket.put_object(who, key), headers),
            What::DeleteObject(key) => signed(bucket.delete_object(who, key), headers),
            What::DeleteObjects => signed(
                bucket.delete_objects(
                    who,
                    std::iter::empty::<&rusty_s3::actions::ObjectIdentifier>(),
                ),
                headers,
            ),
            What::ListObjects(list) => signed(list.action(bucket.list_objects_v2(who)), headers),
            What::CreateUpload(key) => signed(bucket.create_multipart_upload(who, key), headers),
            What::UploadPart {
                key,
                upload,
                number,
            } => signed(bucket.upload_part(who, key, *number, upload), headers),
            What::CompleteUpload { key, upload } => signed(
                bucket.complete_multipart_upload(who, key, upload, std::iter::empty::<&str>()),
                headers,
            ),
            What::AbortUpload { key, upload } => {
                signed(bucket.abort_multipart_upload(who, key, upload), headers)
            }
        };
        let mut request = Request::new(call.body.clone());
        *request.method_mut() = method;
        let uri = |e: http::uri::InvalidUri| S3Error::Answer(e.to_string());
        *request.uri_mut() = url.as_str().parse().map_err(uri)?;
        for (name, value) in headers {
            let unsendable =
                |what: &dyn std::fmt::Display| S3Error::Answer(format!("{name}: {what}"));
            let value = HeaderValue::from_str(value).map_err(|e| unsendable(&e))?;
            let name = HeaderName::try_from(name).map_err(|e| unsendable(&e))?;
            request.headers_mut().insert(name, value);
        }
        debug_assert!(
            !request.headers().contains_key(HOST),
            "the URL names the host"
        );
        Ok(request)
    }
}

/// How often a request may still be made.
struct Tries<'a> {
    credentials: &'a Source,
    left: u32,
    pause: Duration,
}

impl Tries<'_> {
    /// Ok, after a pause: the request may be made again. `Err`: what it ends with.
    async fn after(&mut self, error: S3Error) -> Answered<()> {
        // Credentials of a role end; those that were kept are not given again.
        let renewed = error.is_denied() && self.credentials.forget();
        if self.left == 0 || !(renewed || error.is_passing()) {
            return Err(error);
        }
        tracing::debug!(%error, left = self.left, "a request to the bucket is repeated");
        tokio::time::sleep(self.pause).await;
        self.left -= 1;
        self.pause *= 2;
        Ok(())
    }
}

impl List<'_> {
    fn action<'a>(
        &'a self,
        mut action: rusty_s3::actions::ListObjectsV2<'a>,
    ) -> rusty_s3::actions::ListObjectsV2<'a> {
        action.with_prefix(self.prefix);
        action.with_max_keys(self.limit);
        if let Some(delimiter) = self.delimiter {
            action.with_delimiter(delimiter);
        }
        if let Some(after) = self.after {
            action.with_start_after(after);
        }
        if let Some(token) = self.token {
            action.with_continuation_token(token);
        }
        action
    }
}

fn signed<'a, A: S3Action<'a>>(mut action: A, headers: &'a Headers) -> (http::Method, url::Url) {
    for (name, value) in headers {
        action.headers_mut().insert(name.as_str(), value.as_str());
    }
    let method = match A::METHOD {
        Method::Head => http::Method::HEAD,
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Delete => http::Method::DELETE,
    };
    (method, action.sign(SIGNED_FOR))
}

/// A body of the protocol's errors: `<Error><Code>…</Code><Message>…</Message></Error>`.
pub(super) fn refused(status: StatusCode, body: &[u8]) -> S3Error {
    let text = String::from_utf8_lossy(body);
    let field = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once(&format!("</{name}>"))?;
        Some(value.chars().take(MAX_MESSAGE).collect::<String>())
    };
    S3Error::Refused {
        status,
        code: field("Code").unwrap_or_default(),
        message: field("Message").unwrap_or_else(|| "no reason was given".to_owned()),
    }
}

/// The value of a header, if it is text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_in_the_stores_words() {
        let body = b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>not there</Message></Error>";
        let error = refused(StatusCode::NOT_FOUND, body);
        assert_eq!(error.to_string(), "404 Not Found NoSuchKey: not there");
        assert!(error.is_missing() && !error.is_passing());
        let error = refused(StatusCode::SERVICE_UNAVAILABLE, b"<html>");
        assert!(error.is_passing(), "{error}");
        let error = refused(StatusCode::CONFLICT, b"");
        assert!(error.is_conflict() && !error.is_denied());
    }
}
