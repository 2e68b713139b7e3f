//! Blobs: opened, committed, changed and deleted.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_blob::server::{ByteRange, ErrorCode, Preconditions, Use};
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use jiff::Timestamp;

use super::client::{Answered, Call, Headers, What, header};
use super::meta::Said;
use super::parts::{MAX_OBJECT, cut, cut_copies};
use super::upload::{Job, Object, copied, in_bytes};
use super::{ATTEMPTS, ObjectStore, S3Error, meta, unusable};
use crate::disk::{
    BlobMeta, Content, Replacement, Result, SyncedFile, Terms, Turn, Write, check, is_internal,
};
use crate::events::{Api, Subject};

/// The longest wait for the next bytes of an object.
const IDLE: Duration = Duration::from_secs(60);
/// The largest object that is copied in one request.
const MAX_COPY: u64 = 5 << 30;

/// Reads of one object, as it was when it was opened.
#[derive(Debug)]
pub(crate) struct ObjectReader {
    store: Arc<ObjectStore>,
    key: String,
    etag: String,
    /// What is on its way already.
    ready: Option<(Range<u64>, Incoming)>,
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

    pub(super) async fn look(&self, key: &str) -> Answered<Option<BlobMeta>> {
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
    ) -> Result<(BlobMeta, ObjectReader)> {
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
        Ok((meta, reader))
    }

    /// Commits a blob. When this returns, the blob is in the bucket and its event is durable here.
    pub(crate) async fn write(
        &self,
        turn: &Turn,
        write: Write<'_>,
        now: Timestamp,
    ) -> Result<BlobMeta> {
        let key = self.layout.blob(&turn.container, &turn.blob)?;
        let (terms, blocks) = (write.terms, matches!(write.content, Content::Blocks(_)));
        let source = match write.content {
            Content::Whole { bytes, len } => Source::Whole(Arc::new(bytes), len),
            Content::Blocks(list) => Source::Blocks(list),
        };
        for _ in 0..ATTEMPTS {
            let old = self.writable(turn, &key, terms).await?;
            let said = Said {
                headers: write.headers.clone(),
                metadata: write.metadata.clone(),
                created: old.as_ref().map_or(now, |old| old.created),
                generation: uuid::Uuid::new_v4().simple().to_string(),
                blocks,
            };
            let put = self.put(turn, &key, &source, &said, terms, old.as_ref());
            // Somebody else wrote it since it was looked at: whether the conditions still hold is to be seen.
            let Some((etag, len)) = put.await? else {
                continue;
            };
            let meta = BlobMeta {
                generation: said.generation,
                etag,
                len,
                created: said.created,
                last_modified: now,
                headers: said.headers,
                metadata: said.metadata,
                blocks,
            };
            let api = if blocks {
                Api::PutBlockList
            } else {
                Api::PutBlob
            };
            self.tell(turn, api, &meta, now).await?;
            if let Some(old) = old.filter(|old| old.blocks) {
                self.drop_list(turn, &old.generation).await;
            }
            if blocks {
                self.drop_blocks(turn).await;
            }
            return Ok(meta);
        }
        Err(ErrorCode::ServerBusy.into())
    }

    /// What is there now, if a write may go ahead over it.
    async fn writable(&self, turn: &Turn, key: &str, terms: Terms<'_>) -> Result<Option<BlobMeta>> {
        let seen = async { Result::Ok(self.look(key).await?) };
        let (_, old) = futures::try_join!(self.container(&turn.container), seen)?;
        if old.is_some() && !terms.overwrite {
            return Err(ErrorCode::UnauthorizedBlobOverwrite.into());
        }
        check(terms.conditions, Use::Put, old.as_ref())?;
        Ok(old)
    }

    /// Writes the object once. Ok: its entity tag and length; `None` if another writer was faster.
    async fn put(
        &self,
        turn: &Turn,
        key: &str,
        source: &Source,
        said: &Said,
        terms: Terms<'_>,
        old: Option<&BlobMeta>,
    ) -> Result<Option<(String, u64)>> {
        let (jobs, len) = match source {
            Source::Whole(bytes, len) => {
                let job = |range| Job::File(Arc::clone(bytes), range);
                (cut(*len).map(job).collect(), *len)
            }
            Source::Blocks(list) => {
                let pieces = self.find_pieces(turn, old, list).await?;
                let len = pieces.iter().map(|piece| piece.len()).sum();
                if len > MAX_OBJECT {
                    return Err(ErrorCode::RequestBodyTooLarge.into());
                }
                self.keep_list(turn, &said.generation, list, &pieces)
                    .await?;
                (super::blocks::jobs(pieces, len), len)
            }
        };
        let stored = self.store(key, said.to_headers()?, guard(terms, old), len, jobs);
        let stored = match stored.await {
            Err(error) => self.unless_it_is_there(error, key, said).await,
            stored => stored,
        };
        if stored.is_err() && said.blocks {
            self.drop_list(turn, &said.generation).await;
        }
        match stored {
            Ok(etag) => Ok(Some((etag, len))),
            Err(error) if error.is_conflict() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A write may have come through although its answer was lost. The next try finds its own object, which does not meet the
    /// condition, or no such multipart upload: no other writer was there, and nobody is to be told of one.
    async fn unless_it_is_there(&self, error: S3Error, key: &str, said: &Said) -> Answered<String> {
        if !error.is_missing() && !error.is_conflict() {
            return Err(error);
        }
        match self.look(key).await? {
            Some(meta) if meta.generation == said.generation => Ok(meta.etag),
            _ => Err(error),
        }
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
                blocks: meta.blocks,
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
    fn ranges_are_read_as_they_are_sent() {
        assert_eq!(sent_range("bytes 0-9/1234"), Some(0..10));
        assert_eq!(sent_range("bytes */1234"), None);
        assert_eq!(as_sent(ByteRange::Suffix { count: 3 }), "bytes=-3");
    }
}
