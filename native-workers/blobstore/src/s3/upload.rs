//! How bytes get into the bucket: in one request, or in the parts of a multipart upload.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _};
use headwater_blob::names::encode_blob;
use http::StatusCode;

use super::client::{Answered, Call, Headers, What, header, refused};
use super::parts::SINGLE;
use super::{ObjectStore, S3Error, meta, unusable};
use crate::disk::SyncedFile;
use crate::handler::{md5_base64, read_range};

/// Parts of one upload that are on their way at a time.
const PARTS_AT_ONCE: usize = 4;

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

impl ObjectStore {
    /// Stores an object of `len` bytes, in one request if it is small. Ok: its entity tag.
    pub(super) async fn store(
        &self,
        key: &str,
        headers: Headers,
        guard: Headers,
        len: u64,
        jobs: Vec<Job>,
    ) -> Answered<String> {
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
            .with(vec![("content-md5".to_owned(), md5_base64(&bytes))])
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
    ) -> Answered<String> {
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
    ) -> Answered<String> {
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
    async fn part(&self, key: &str, upload: &str, number: u16, job: Job) -> Answered<String> {
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
            .with(vec![("content-md5".to_owned(), md5_base64(&bytes))])
            .sending(bytes);
        let answer = self.client.send(&call).await?;
        let etag = header(answer.headers(), "etag").ok_or_else(|| unusable("no entity tag".into()));
        Ok(etag?.to_owned())
    }

    /// Room for one more part in memory.
    async fn permit(&self) -> Answered<tokio::sync::SemaphorePermit<'_>> {
        let permit = self.sending.acquire().await;
        permit.map_err(|closed| S3Error::Local(io::Error::other(closed)))
    }

    /// The bytes of a part, in memory.
    async fn gather(&self, job: &Job) -> Answered<Bytes> {
        match job {
            Job::Held(bytes) => Ok(bytes.clone()),
            Job::File(file, range) => {
                let (file, Range { start, end }) = (Arc::clone(file), range.clone());
                let len = usize::try_from(end.saturating_sub(start)).map_err(io::Error::other)?;
                let read = move || read_range(file.file(), start, len);
                let read = tokio::task::spawn_blocking(read).await;
                Ok(read.map_err(io::Error::other)??)
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

    async fn fetch(&self, from: &Object, range: &Range<u64>) -> Answered<Bytes> {
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

    pub(super) fn copied_from(&self, from: &Object) -> Headers {
        let source = format!("/{}/{}", self.client.bucket.name(), encode_blob(&from.key));
        vec![
            ("x-amz-copy-source".to_owned(), source),
            (
                "x-amz-copy-source-if-match".to_owned(),
                format!("\"{}\"", from.etag),
            ),
        ]
    }
}

/// The entity tag in the answer to a copy or to the end of an upload, which may be an error although its status is 200.
pub(super) fn copied(body: &[u8]) -> Answered<String> {
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
fn field(body: &[u8], name: &str) -> Answered<String> {
    let text = String::from_utf8_lossy(body);
    let value = text
        .split_once(&format!("<{name}>"))
        .and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
    match value {
        Some((value, _)) => Ok(value.to_owned()),
        None => Err(unusable(format!("no {name}"))),
    }
}

/// Not empty.
pub(super) fn in_bytes(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end.saturating_sub(1))
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
        assert_eq!(in_bytes(&(5..6)), "bytes=5-5");
    }
}
