//! [`HttpClient`], the port to whatever sends requests, and [`Store`], one container behind one such client.

use std::ops::Range;

use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;

use crate::client::answer::{
    BlobProperties, ClientError, RangeRead, Written, decode_block_list, decode_done, decode_list,
    decode_properties, decode_range, decode_written,
};
use crate::client::container::{Conditions, Container, List};
use crate::xml::{BlobEntry, BlobPage, BlockList};

/// The request did not reach the store, or its answer did not come back whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("timed out")]
    Timeout,
    /// The answer is larger than the client holds in memory.
    #[error("the answer is larger than {limit_bytes} bytes")]
    TooLarge { limit_bytes: u64 },
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// Sends one request and returns the whole answer, whatever its status.
///
/// An adapter adds nothing but transport: no retries, no redirects, no headers of its own beyond framing.
#[allow(async_fn_in_trait)] // Components are single-threaded: a Send bound would shut their clients out.
pub trait HttpClient {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError>;
}

impl<C: HttpClient> HttpClient for &C {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        (**self).send(request).await
    }
}

/// The calls of one container. Retrying is the caller's: see [`ClientError::is_retryable`].
#[derive(Debug, Clone)]
pub struct Store<C> {
    client: C,
    container: Container,
    clock: Clock,
}

/// What signatures are dated by.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The caller's clock, e.g. `Timestamp::now`.
    Running(fn() -> Timestamp),
    /// One moment, for what takes less than the minutes that a signature is good for.
    Stopped(Timestamp),
}

impl Clock {
    /// The time it shows.
    pub fn now(self) -> Timestamp {
        match self {
            Self::Running(now) => now(),
            Self::Stopped(now) => now,
        }
    }
}

impl<C: HttpClient> Store<C> {
    /// `now`: the caller's clock, e.g. `Timestamp::now`.
    pub fn new(client: C, container: Container, now: fn() -> Timestamp) -> Self {
        Self::with(client, container, Clock::Running(now))
    }

    /// As [`Self::new`], by any clock.
    pub fn with(client: C, container: Container, clock: Clock) -> Self {
        Self {
            client,
            container,
            clock,
        }
    }

    pub fn container(&self) -> &Container {
        &self.container
    }

    /// Reads `range` of a blob, all of it without one. Fails with `PreconditionFailed` if the etag moved on.
    pub async fn get_range(
        &self,
        blob: &str,
        range: Option<Range<u64>>,
        if_match: Option<&str>,
    ) -> Result<RangeRead, ClientError> {
        let request = self
            .container
            .get_range(self.clock.now(), blob, range, if_match)?;
        let (parts, body) = self.client.send(request).await?.into_parts();
        decode_range(parts.status, &parts.headers, body)
    }

    pub async fn head(&self, blob: &str) -> Result<BlobProperties, ClientError> {
        let request = self.container.head(self.clock.now(), blob)?;
        let answer = self.client.send(request).await?;
        decode_properties(answer.status(), answer.headers())
    }

    /// Writes a whole blob in one request.
    pub async fn put(
        &self,
        blob: &str,
        content_type: &str,
        body: Bytes,
        conditions: &Conditions,
    ) -> Result<Written, ClientError> {
        let request = self.container.put_block_blob(
            self.clock.now(),
            blob,
            content_type,
            body,
            conditions,
        )?;
        let answer = self.client.send(request).await?;
        decode_written(answer.status(), answer.headers(), answer.body())
    }

    /// Stages a block. Repeating it with the same id replaces the block.
    pub async fn put_block(&self, blob: &str, id: &[u8], body: Bytes) -> Result<(), ClientError> {
        let request = self.container.put_block(self.clock.now(), blob, id, body)?;
        let answer = self.client.send(request).await?;
        decode_done(answer.status(), answer.headers(), answer.body())
    }

    /// Makes the staged blocks the blob.
    pub async fn put_block_list(
        &self,
        blob: &str,
        ids: &[Vec<u8>],
        content_type: &str,
        conditions: &Conditions,
    ) -> Result<Written, ClientError> {
        let request =
            self.container
                .put_block_list(self.clock.now(), blob, ids, content_type, conditions)?;
        let answer = self.client.send(request).await?;
        decode_written(answer.status(), answer.headers(), answer.body())
    }

    pub async fn get_block_list(&self, blob: &str) -> Result<BlockList, ClientError> {
        let request = self.container.get_block_list(self.clock.now(), blob)?;
        let answer = self.client.send(request).await?;
        decode_block_list(answer.status(), answer.headers(), answer.body())
    }

    pub async fn delete(&self, blob: &str, if_match: Option<&str>) -> Result<(), ClientError> {
        let request = self.container.delete(self.clock.now(), blob, if_match)?;
        let answer = self.client.send(request).await?;
        decode_done(answer.status(), answer.headers(), answer.body())
    }

    /// One page of a listing.
    pub async fn list(&self, list: &List<'_>) -> Result<BlobPage, ClientError> {
        let request = self.container.list(self.clock.now(), list)?;
        let answer = self.client.send(request).await?;
        decode_list(answer.status(), answer.headers(), answer.body())
    }

    /// Every blob whose name starts with `prefix`, in name order, but no more than `limit`.
    pub async fn list_all(
        &self,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<BlobEntry>, ClientError> {
        let mut blobs: Vec<BlobEntry> = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let page = self
                .list(&List {
                    prefix,
                    marker: marker.as_deref(),
                    ..List::default()
                })
                .await?;
            blobs.extend(page.blobs);
            if blobs.len() >= limit {
                blobs.truncate(limit);
                return Ok(blobs);
            }
            // A server that repeats its marker would keep us here for ever.
            match page.next_marker {
                Some(next) if marker.as_ref() != Some(&next) => marker = Some(next),
                _ => return Ok(blobs),
            }
        }
    }

    /// Creates the container; `false` if it was there already.
    pub async fn create_container(&self) -> Result<bool, ClientError> {
        let request = self.container.create_container(self.clock.now())?;
        let answer = self.client.send(request).await?;
        match decode_done(answer.status(), answer.headers(), answer.body()) {
            Ok(()) => Ok(true),
            Err(ClientError::Conflict { code }) if code == "ContainerAlreadyExists" => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub async fn delete_container(&self) -> Result<(), ClientError> {
        let request = self.container.delete_container(self.clock.now())?;
        let answer = self.client.send(request).await?;
        decode_done(answer.status(), answer.headers(), answer.body())
    }
}
