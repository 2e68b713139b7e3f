//! Blobs: opened, committed, changed and deleted.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _};
use headwater_blob::names::encode_blob;
use headwater_blob::server::{ByteRange, ErrorCode, Preconditions, Use};
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use jiff::Timestamp;
use md5::{Digest as _, Md5};

use super::client::{Call, Headers, What, header, refused};
use super::meta::Said;
use super::parts::{MAX_OBJECT, SINGLE, cut, cut_copies};
use super::{ATTEMPTS, ObjectStore, S3Error, meta, unusable};
use crate::disk::{
    BlobMeta, Content, Replacement, Result, SyncedFile, Terms, Turn, Write, check, is_internal,
};
use crate::events::{Api, Subject};

/// The longest wait for the next bytes of an object.
const IDLE: Duration = Duration::from_secs(60);
/// The largest object that is copied in one request.
const MAX_COPY: u64 = 5 << 30;
/// Parts of one upload that are on their way at a time.
const PARTS_AT_ONCE: usize = 4;

type Outcome<T> = std::result::Result<T, S3Error>;

/// An object opened for reading.
#[derive(Debug)]
pub(crate) struct OpenObject {
    pub(crate) meta: BlobMeta,
    pub(crate) reader: ObjectReader,
}

/// Reads of one object, as it was when it was opened.
#[derive(Debug)]
pub(crate) struct ObjectReader {
    store: Arc<ObjectStore>,
    key: String,
    etag: String,
    /// What is on its way already.
    ready: Option<(Range<u64>, Incoming)>,
}

/// Bytes of one part of a multipart upload.
pub(super) enum Job {
    Held(Bytes),
    File(Arc<SyncedFile>, Range<u64>),
    /// Copied inside the store.
    Copied(Object, Range<u64>),
    /// Read and sent again.
    Sent(Vec<(Object, Range<u64>)>),
}

/// An object that bytes are taken from. It must not change meanwhile.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) key: String,
    pub(super) etag: String,
}

impl ObjectReader {
    /// The body of an answer that has this range.
    pub(crate) async fn send(
        mut self,
        range: Range<u64>,
    ) -> Result<UnsyncBoxBody<Bytes, io::Error>> {
        let body = match self.ready.take() {
            Some((ready, body)) if ready == range => body,
            _ if range.is_empty() => {
                return Ok(http_body_util::Empty::new()
                    .map_err(|never| match never {})
                    .boxed_unsync());
            }
            _ => self.ask(&range).await?.into_body(),
        };
        let frames = futures::stream::try_unfold(body, |mut body| async move {
            loop {
                let next = tokio::time::timeout(IDLE, body.frame()).await;
                let next = next.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
                let Some(frame) = next.transpose().map_err(io::Error::other)? else {
                    return Ok(None);
                };
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some((Frame::data(bytes), body)));
                }
            }
        });
        Ok(StreamBody::new(frames).boxed_unsync())
    }

    /// The bytes themselves.
    pub(crate) async fn read(self, range: Range<u64>) -> Result<Bytes> {
        let body = self.send(range).await?.collect().await?;
        Ok(body.to_bytes())
    }

    async fn ask(&self, range: &Range<u64>) -> Result<Response<Incoming>> {
        let headers = vec![
            ("if-match".to_owned(), format!("\"{}\"", self.etag)),
            ("range".to_owned(), in_bytes(range)),
        ];
        let call = Call::new(What::GetObject(&self.key)).with(headers);
        match self.store.client.stream(&call).await {
            Ok(answer) => Ok(answer),
            // Replaced or deleted since it was opened: who asks again sees what is there now.
            Err(error) if error.is_conflict() || error.is_missing() => {
                Err(ErrorCode::ServerBusy.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl ObjectStore {
    /// Whether a blob of this name can be written: for a check before its bytes arrive.
    pub(crate) async fn takes(&self, container: &str, blob: &str) -> Result<()> {
        self.layout.blob(container, blob)?;
        self.container(container).await.map(drop)
    }

    /// The blob's headers. Fails with `ContainerNotFound` or `BlobNotFound`.
    pub(crate) async fn properties(&self, container: &str, blob: &str) -> Result<BlobMeta> {
        match self.look(&self.layout.blob(container, blob)?).await? {
            Some(meta) => Ok(meta),
            None => Err(self.missing(container).await),
        }
    }

    pub(super) async fn look(&self, key: &str) -> Outcome<Option<BlobMeta>> {
        let headers = self.head(key).await?;
        headers
            .map(|headers| meta::blob(&headers).map_err(unusable))
            .transpose()
    }

    /// Opens the blob as it is now. `expected`: what will most likely be read of it, asked for in the same request; the outer `None`
    /// if that is not known.
    pub(crate) async fn open_blob(
        self: &Arc<Self>,
        container: &str,
        blob: &str,
        expected: Option<Option<ByteRange>>,
    ) -> Result<OpenObject> {
        let key = self.layout.blob(container, blob)?;
        let mut ready = None;
        let mut found = None;
        if let Some(range) = expected {
            let headers = range.map(|range| ("range".to_owned(), as_sent(range)));
            let call = Call::new(What::GetObject(&key)).with(headers.into_iter().collect());
            match self.client.stream(&call).await {
                Ok(answer) => {
                    let (head, body) = answer.into_parts();
                    let meta = meta::blob(&head.headers).map_err(unusable)?;
                    let sent = match header(&head.headers, "content-range") {
                        Some(text) => sent_range(text),
                        None => Some(0..meta.len),
                    };
                    ready = sent.map(|sent| (sent, body));
                    found = Some(meta);
                }
                Err(error) if error.is_missing() => return Err(self.missing(container).await),
                // The range is outside; the length in the headers says so in our own words.
                Err(error) if error.status() == Some(StatusCode::RANGE_NOT_SATISFIABLE) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let meta = match found {
            Some(meta) => meta,
            None => self.properties(container, blob).await?,
        };
        let reader = ObjectReader {
            store: Arc::clone(self),
            key,
            etag: meta.etag.clone(),
            ready,
        };
        Ok(OpenObject { meta, reader })
    }

    /// Commits a blob. When this returns, the blob is in the bucket and its event is durable here.
    pub(crate) async fn write(
        &self,
        turn: &Turn,
        write: Write<'_>,
        now: Timestamp,
    ) -> Result<BlobMeta> {
        let Turn {
            container, blob, ..
        } = turn;
        let key = self.layout.blob(container, blob)?;
        let Write {
            headers,
            metadata,
            terms,
            content,
        } = write;
        let content = match content {
            Content::Whole { bytes, len } => Source::Whole(Arc::new(bytes), len),
            Content::Blocks(list) => Source::Blocks(list),
        };
        for _ in 0..ATTEMPTS {
            let seen = async { Result::Ok(self.look(&key).await?) };
            let (_, old) = futures::try_join!(self.container(container), seen)?;
            if old.is_some() && !terms.overwrite {
                return Err(ErrorCode::UnauthorizedBlobOverwrite.into());
            }
            check(terms.conditions, Use::Put, old.as_ref())?;
            let mut said = Said {
                headers: headers.clone(),
                metadata: metadata.clone(),
                created: old.as_ref().map_or(now, |old| old.created),
                generation: String::new(),
            };
            let guard = guard(terms, old.as_ref());
            let (stored, len) = match &content {
                Source::Whole(bytes, len) => {
                    let jobs = cut(*len).map(|range| Job::File(Arc::clone(bytes), range));
                    let stored = self.store(&key, said.to_headers()?, guard, *len, jobs.collect());
                    (stored.await, *len)
                }
                Source::Blocks(list) => {
                    let pieces = self.find_pieces(turn, old.as_ref(), list).await?;
                    let len = pieces.iter().map(|piece| piece.len()).sum();
                    if len > MAX_OBJECT {
                        return Err(ErrorCode::RequestBodyTooLarge.into());
                    }
                    said.generation = self.keep_list(turn, list, &pieces).await?;
                    let jobs = super::blocks::jobs(pieces, len);
                    let stored = self.store(&key, said.to_headers()?, guard, len, jobs).await;
                    let stored = self
                        .unless_it_is_there(stored, &key, &said.generation)
                        .await;
                    if stored.is_err() {
                        self.drop_list(turn, &said.generation).await;
                    }
                    (stored, len)
                }
            };
            let etag = match stored {
                Ok(etag) => etag,
                // Somebody else wrote it since it was looked at: whether the conditions still hold is to be seen.
                Err(error) if error.is_conflict() => continue,
                Err(error) => return Err(error.into()),
            };
            let meta = BlobMeta {
                blocks: !said.generation.is_empty(),
                generation: said.generation,
                etag,
                len,
                created: said.created,
                last_modified: now,
                headers,
                metadata,
            };
            let api = if meta.blocks {
                Api::PutBlockList
            } else {
                Api::PutBlob
            };
            self.tell(turn, api, &meta, now).await?;
            if let Some(old) = &old {
                self.drop_list(turn, &old.generation).await;
            }
            if meta.blocks {
                self.drop_blocks(turn).await;
            }
            return Ok(meta);
        }
        Err(ErrorCode::ServerBusy.into())
    }

    /// Replaces headers or metadata: the object is copied onto itself.
    pub(crate) async fn change(
        &self,
        turn: &Turn,
        replacement: Replacement,
        conditions: &Preconditions,
        now: Timestamp,
    ) -> Result<BlobMeta> {
        let key = self.layout.blob(&turn.container, &turn.blob)?;
        for _ in 0..ATTEMPTS {
            let mut meta = self.properties(&turn.container, &turn.blob).await?;
            check(conditions, Use::Change, Some(&meta))?;
            let old = Object {
                key: key.clone(),
                etag: meta.etag.clone(),
            };
            match replacement.clone() {
                Replacement::Headers(headers) => meta.headers = headers,
                Replacement::Metadata(metadata) => meta.metadata = metadata,
            }
            let said = Said {
                headers: meta.headers.clone(),
                metadata: meta.metadata.clone(),
                created: meta.created,
                generation: meta.generation.clone(),
            };
            let mut headers = said.to_headers()?;
            let stored = if meta.len <= MAX_COPY {
                headers.extend(self.copied_from(&old));
                headers.push(("x-amz-metadata-directive".to_owned(), "REPLACE".to_owned()));
                let call = Call::new(What::PutObject(&key)).with(headers);
                let answer = self.client.send(&call).await;
                answer.and_then(|answer| copied(answer.body()))
            } else {
                let guard = vec![("if-match".to_owned(), format!("\"{}\"", old.etag))];
                let jobs = cut_copies(meta.len).map(|range| Job::Copied(old.clone(), range));
                self.multipart(&key, headers, guard, jobs.collect()).await
            };
            match stored {
                Ok(etag) => {
                    meta.etag = etag;
                    meta.last_modified = now;
                    return Ok(meta);
                }
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ErrorCode::ServerBusy.into())
    }

    /// Deletes a blob. When this returns, it is gone from the bucket and the event is durable here.
    pub(crate) async fn delete_blob(
        &self,
        turn: &Turn,
        conditions: &Preconditions,
        now: Timestamp,
    ) -> Result<()> {
        let key = self.layout.blob(&turn.container, &turn.blob)?;
        for _ in 0..ATTEMPTS {
            let meta = self.properties(&turn.container, &turn.blob).await?;
            check(conditions, Use::Change, Some(&meta))?;
            let terms = Terms {
                conditions,
                overwrite: true,
            };
            let call = Call::new(What::DeleteObject(&key)).with(guard(terms, Some(&meta)));
            match self.client.send(&call).await {
                Ok(_) => {}
                Err(error) if error.is_conflict() => continue,
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(error.into()),
            }
            self.tell(turn, Api::DeleteBlob, &meta, now).await?;
            if meta.blocks {
                self.drop_list(turn, &meta.generation).await;
                self.drop_blocks(turn).await;
            }
            return Ok(());
        }
        Err(ErrorCode::ServerBusy.into())
    }

    /// Records the event of a write that is in the bucket.
    async fn tell(&self, turn: &Turn, api: Api, meta: &BlobMeta, now: Timestamp) -> Result<()> {
        let Some(outbox) = self.outbox.as_ref().filter(|_| !is_internal(&turn.blob)) else {
            return Ok(());
        };
        let (outbox, stamp) = (Arc::clone(outbox), self.stamps.next(now));
        let (container, blob, meta) = (turn.container.clone(), turn.blob.clone(), meta.clone());
        let record = move || {
            let subject = Subject {
                container: &container,
                blob: &blob,
                api,
                meta: &meta,
                time: now,
            };
            outbox.record(stamp, &subject)
        };
        let recorded = tokio::task::spawn_blocking(record).await;
        recorded.map_err(io::Error::other)??.committed();
        Ok(())
    }

    /// Stores an object of `len` bytes, in one request if it is small. Ok: its entity tag.
    pub(super) async fn store(
        &self,
        key: &str,
        headers: Headers,
        guard: Headers,
        len: u64,
        jobs: Vec<Job>,
    ) -> Outcome<String> {
        if len > SINGLE {
            return self.multipart(key, headers, guard, jobs).await;
        }
        let _permit = self.permit().await?;
        let mut bytes = BytesMut::new();
        for job in jobs {
            bytes.extend_from_slice(&self.gather(&job).await?);
        }
        let bytes = bytes.freeze();
        let call = Call::new(What::PutObject(key))
            .with(headers)
            .with(guard)
            .with(vec![("content-md5".to_owned(), md5_of(&bytes))])
            .sending(bytes);
        let answer = self.client.send(&call).await?;
        meta::etag(answer.headers()).map_err(unusable)
    }

    /// Stores an object in parts. Ok: its entity tag. What a failure leaves is taken back.
    pub(super) async fn multipart(
        &self,
        key: &str,
        headers: Headers,
        guard: Headers,
        jobs: Vec<Job>,
    ) -> Outcome<String> {
        let call = Call::new(What::CreateUpload(key)).with(headers);
        let answer = self.client.send(&call).await?;
        let upload = field(answer.body(), "UploadId")?;
        let outcome = self.fill(key, &upload, guard, jobs).await;
        if outcome.is_err() {
            let upload = &upload;
            let abort = Call::new(What::AbortUpload { key, upload });
            if let Err(error) = self.client.send(&abort).await
                && !error.is_missing()
            {
                tracing::warn!(key, %error, "a multipart upload could not be taken back");
            }
        }
        outcome
    }

    async fn fill(
        &self,
        key: &str,
        upload: &str,
        guard: Headers,
        jobs: Vec<Job>,
    ) -> Outcome<String> {
        let etags: Vec<String> = futures::stream::iter((1u16..).zip(jobs))
            .map(|(number, job)| self.part(key, upload, number, job))
            .buffered(PARTS_AT_ONCE)
            .try_collect()
            .await?;
        let client = &self.client;
        let etags = etags.iter().map(String::as_str);
        let body = client
            .bucket
            .complete_multipart_upload(None, key, upload, etags)
            .body();
        let call = Call::new(What::CompleteUpload { key, upload })
            .with(guard)
            .sending(body.into());
        let answer = client.send(&call).await?;
        copied(answer.body())
    }

    /// Ok: the part's entity tag, with its quotes.
    async fn part(&self, key: &str, upload: &str, number: u16, job: Job) -> Outcome<String> {
        let what = What::UploadPart {
            key,
            upload,
            number,
        };
        if let Job::Copied(from, range) = &job {
            let mut headers = self.copied_from(from);
            headers.push(("x-amz-copy-source-range".to_owned(), in_bytes(range)));
            let answer = self.client.send(&Call::new(what).with(headers)).await?;
            return Ok(format!("\"{}\"", copied(answer.body())?));
        }
        let _permit = self.permit().await?;
        let bytes = self.gather(&job).await?;
        let call = Call::new(what)
            .with(vec![("content-md5".to_owned(), md5_of(&bytes))])
            .sending(bytes);
        let answer = self.client.send(&call).await?;
        let etag = header(answer.headers(), "etag").ok_or_else(|| unusable("no entity tag".into()));
        Ok(etag?.to_owned())
    }

    /// Room for one more part in memory.
    async fn permit(&self) -> Outcome<tokio::sync::SemaphorePermit<'_>> {
        let permit = self.sending.acquire().await;
        permit.map_err(|closed| S3Error::Local(io::Error::other(closed)))
    }

    /// The bytes of a part, in memory.
    async fn gather(&self, job: &Job) -> Outcome<Bytes> {
        match job {
            Job::Held(bytes) => Ok(bytes.clone()),
            Job::File(file, range) => {
                let (file, range) = (Arc::clone(file), range.clone());
                let read =
                    tokio::task::spawn_blocking(move || read_range(file.file(), &range)).await;
                let bytes = read.map_err(io::Error::other).and_then(|bytes| bytes);
                bytes.map_err(S3Error::Local)
            }
            Job::Copied(from, range) => self.fetch(from, range).await,
            Job::Sent(spans) => {
                let mut whole = BytesMut::new();
                for (from, range) in spans {
                    whole.extend_from_slice(&self.fetch(from, range).await?);
                }
                Ok(whole.freeze())
            }
        }
    }

    async fn fetch(&self, from: &Object, range: &Range<u64>) -> Outcome<Bytes> {
        let headers = vec![
            ("if-match".to_owned(), format!("\"{}\"", from.etag)),
            ("range".to_owned(), in_bytes(range)),
        ];
        let call = Call::new(What::GetObject(&from.key)).with(headers);
        let bytes = self.client.send(&call).await?.into_body();
        if u64::try_from(bytes.len()).ok() != range.end.checked_sub(range.start) {
            return Err(unusable(format!(
                "{} bytes of {}",
                bytes.len(),
                in_bytes(range)
            )));
        }
        Ok(bytes)
    }

    fn copied_from(&self, from: &Object) -> Headers {
        let source = format!("/{}/{}", self.client.bucket.name(), encode_blob(&from.key));
        vec![
            ("x-amz-copy-source".to_owned(), source),
            (
                "x-amz-copy-source-if-match".to_owned(),
                format!("\"{}\"", from.etag),
            ),
        ]
    }

    /// A multipart upload may have ended although its answer was lost, and the next try finds no such upload.
    async fn unless_it_is_there(
        &self,
        stored: Outcome<String>,
        key: &str,
        generation: &str,
    ) -> Outcome<String> {
        match stored {
            Err(error) if error.is_missing() => match self.look(key).await? {
                Some(meta) if meta.generation == generation => Ok(meta.etag),
                _ => Err(error),
            },
            other => other,
        }
    }
}

/// What is to be written, kept for as often as it is tried.
enum Source {
    Whole(Arc<SyncedFile>, u64),
    Blocks(Vec<headwater_blob::xml::BlockRef>),
}

/// What the store has to make sure of, so that the terms hold at the moment of the write.
fn guard(terms: Terms<'_>, old: Option<&BlobMeta>) -> Headers {
    if terms.overwrite && *terms.conditions == Preconditions::default() {
        return Headers::new();
    }
    vec![match old {
        Some(old) => ("if-match".to_owned(), format!("\"{}\"", old.etag)),
        None => ("if-none-match".to_owned(), "*".to_owned()),
    }]
}

/// The entity tag in the answer to a copy or to the end of an upload, which may be an error although its status is 200.
fn copied(body: &[u8]) -> Outcome<String> {
    if body.windows(7).any(|at| at == b"<Error>") {
        let conflict = body.windows(18).any(|at| at == b"PreconditionFailed");
        let status = if conflict {
            StatusCode::PRECONDITION_FAILED
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        return Err(refused(status, body));
    }
    let etag = field(body, "ETag")?;
    let etag = etag.replace("&quot;", "").replace("&#34;", "");
    Ok(meta::bare_etag(&etag).to_owned())
}

/// The text of the first element of this name.
fn field(body: &[u8], name: &str) -> Outcome<String> {
    let text = String::from_utf8_lossy(body);
    let value = text
        .split_once(&format!("<{name}>"))
        .and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
    match value {
        Some((value, _)) => Ok(value.to_owned()),
        None => Err(unusable(format!("no {name}"))),
    }
}

fn md5_of(bytes: &[u8]) -> String {
    STANDARD.encode(Md5::digest(bytes))
}

fn read_range(file: &File, range: &Range<u64>) -> io::Result<Bytes> {
    let len = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}

/// Not empty.
fn in_bytes(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end.saturating_sub(1))
}

fn as_sent(range: ByteRange) -> String {
    match range {
        ByteRange::From {
            first,
            last: Some(last),
        } => format!("bytes={first}-{last}"),
        ByteRange::From { first, last: None } => format!("bytes={first}-"),
        ByteRange::Suffix { count } => format!("bytes=-{count}"),
    }
}

/// `bytes 0-9/1234`.
fn sent_range(text: &str) -> Option<Range<u64>> {
    let (range, _) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some(first.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_behind_a_200_is_one() {
        let body = b"<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>again</Message></Error>";
        assert!(copied(body).unwrap_err().is_passing());
        let body = b"<Error><Code>PreconditionFailed</Code></Error>";
        assert!(copied(body).unwrap_err().is_conflict());
        let body = b"<CompleteMultipartUploadResult><ETag>&quot;abc-2&quot;</ETag></CompleteMultipartUploadResult>";
        assert_eq!(copied(body).unwrap(), "abc-2");
        assert!(copied(b"<html>").is_err());
    }

    #[test]
    fn ranges_are_read_as_they_are_sent() {
        assert_eq!(sent_range("bytes 0-9/1234"), Some(0..10));
        assert_eq!(sent_range("bytes */1234"), None);
        assert_eq!(in_bytes(&(5..6)), "bytes=5-5");
        assert_eq!(as_sent(ByteRange::Suffix { count: 3 }), "bytes=-3");
    }
}
