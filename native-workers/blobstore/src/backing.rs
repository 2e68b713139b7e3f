//! Where blobs are: in a folder, or in a bucket.
//!
//! Calls of the folder block and run on the blocking pool; those of the bucket wait for the network.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use headwater_blob::server::{ByteRange, Preconditions};
use headwater_blob::xml::{BlobPage, BlockList};
use jiff::Timestamp;

use crate::disk::{
    BlobMeta, ContainerMeta, ContainerPage, Content, Disk, HttpHeaders, Listing, Replacement,
    Result, ScratchFile, SyncedFile, Terms, Turn, Write,
};
use crate::events::Outbox;
use crate::handler::{AnswerBody, send_file};
use crate::s3::{ObjectReader, ObjectStore};

/// The store behind the protocol.
#[derive(Debug, Clone)]
pub(crate) enum Backing {
    Disk(Arc<Disk>),
    S3(Arc<ObjectStore>),
}

/// A page of blobs to be listed.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) prefix: String,
    pub(crate) delimiter: Option<String>,
    /// What the page before said; empty for the first.
    pub(crate) from: String,
    pub(crate) limit: usize,
    pub(crate) with_metadata: bool,
}

/// A blob to be created or replaced.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) headers: HttpHeaders,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) conditions: Preconditions,
    pub(crate) overwrite: bool,
}

/// A blob opened for reading.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) meta: BlobMeta,
    pub(crate) source: Source,
}

/// Where an open blob's bytes come from. They stay the same, or a read fails.
#[derive(Debug)]
pub(crate) enum Source {
    File(File),
    Object(ObjectReader),
}

impl Source {
    /// The body of an answer that has this range.
    pub(crate) async fn send(self, range: Range<u64>) -> Result<AnswerBody> {
        match self {
            Self::File(file) => Ok(send_file(file, range)),
            Self::Object(reader) => reader.send(range).await,
        }
    }

    /// A range in memory.
    pub(crate) async fn read(self, range: Range<u64>) -> Result<Bytes> {
        match self {
            Self::File(file) => {
                let len = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
                blocking(move || Ok(crate::handler::read_range(&file, range.start, len)?)).await
            }
            Self::Object(reader) => reader.read(range).await,
        }
    }
}

impl Backing {
    pub(crate) fn outbox(&self) -> Option<&Arc<Outbox>> {
        match self {
            Self::Disk(disk) => disk.outbox(),
            Self::S3(store) => store.outbox(),
        }
    }

    /// Waits until nobody else in this process writes the blob.
    pub(crate) async fn turn(&self, container: &str, blob: &str) -> Turn {
        match self {
            Self::Disk(disk) => disk.turn(container, blob).await,
            Self::S3(store) => store.turn(container, blob).await,
        }
    }

    /// A file for bytes that are on their way in.
    pub(crate) async fn scratch(&self) -> Result<ScratchFile> {
        match self.clone() {
            Self::Disk(disk) => blocking(move || Ok(disk.scratch()?)).await,
            Self::S3(store) => blocking(move || Ok(store.scratch()?)).await,
        }
    }

    /// Fails if a blob of this name cannot be written: for a check before its bytes arrive.
    pub(crate) async fn takes(&self, container: &str, blob: &str) -> Result<()> {
        match self.clone() {
            Self::Disk(disk) => {
                let (container, blob) = (container.to_owned(), blob.to_owned());
                blocking(move || disk.takes(&container, &blob)).await
            }
            Self::S3(store) => store.takes(container, blob).await,
        }
    }

    pub(crate) async fn create_container(
        &self,
        container: &str,
        metadata: Vec<(String, String)>,
        now: Timestamp,
    ) -> Result<ContainerMeta> {
        match self.clone() {
            Self::Disk(disk) => {
                let container = container.to_owned();
                blocking(move || disk.create_container(&container, metadata, now)).await
            }
            Self::S3(store) => store.create_container(container, metadata, now).await,
        }
    }

    /// Fails with `ContainerNotFound`.
    pub(crate) async fn container(&self, container: &str) -> Result<ContainerMeta> {
        match self.clone() {
            Self::Disk(disk) => {
                let container = container.to_owned();
                blocking(move || disk.container(&container)).await
            }
            Self::S3(store) => store.container(container).await,
        }
    }

    /// The container is gone when this returns; its bytes go in the background.
    pub(crate) async fn delete_container(
        &self,
        container: &str,
        conditions: Preconditions,
    ) -> Result<()> {
        match self.clone() {
            Self::Disk(disk) => {
                let container = container.to_owned();
                blocking(move || disk.delete_container(&container, &conditions)).await
            }
            Self::S3(store) => store.delete_container(container, &conditions).await,
        }
    }

    /// `from`: what the page before said; empty for the first.
    pub(crate) async fn list_containers(
        &self,
        prefix: &str,
        from: String,
        limit: u32,
        with_metadata: bool,
    ) -> Result<ContainerPage> {
        match self.clone() {
            Self::Disk(disk) => {
                let prefix = prefix.to_owned();
                blocking(move || disk.list_containers(&prefix, &from, limit)).await
            }
            Self::S3(store) => {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                store
                    .list_containers(prefix, &from, limit, with_metadata)
                    .await
            }
        }
    }

    /// One page of a container's blobs. Fails with `ContainerNotFound`.
    pub(crate) async fn list_blobs(&self, container: &str, page: Page) -> Result<BlobPage> {
        let container = container.to_owned();
        match self.clone() {
            Self::Disk(disk) => blocking(move || disk.list_blobs(&container, page.listing())).await,
            Self::S3(store) => {
                store
                    .list_blobs(&container, page.listing(), page.with_metadata)
                    .await
            }
        }
    }

    /// Fails with `ContainerNotFound` or `BlobNotFound`.
    pub(crate) async fn properties(&self, container: &str, blob: &str) -> Result<BlobMeta> {
        match self.clone() {
            Self::Disk(disk) => {
                let (container, blob) = (container.to_owned(), blob.to_owned());
                blocking(move || disk.properties(&container, &blob)).await
            }
            Self::S3(store) => store.properties(container, blob).await,
        }
    }

    /// Opens the blob as it is now. `expected`: what will most likely be read of it (the inner `None`: all), so that it can be asked
    /// for at once; the outer `None` if that is not known.
    pub(crate) async fn open(
        &self,
        container: &str,
        blob: &str,
        expected: Option<Option<ByteRange>>,
    ) -> Result<Open> {
        match self.clone() {
            Self::Disk(disk) => {
                let (container, blob) = (container.to_owned(), blob.to_owned());
                let open = blocking(move || disk.open_blob(&container, &blob)).await?;
                Ok(Open {
                    meta: open.meta,
                    source: Source::File(open.file),
                })
            }
            Self::S3(store) => {
                let (meta, reader) = store.open_blob(container, blob, expected).await?;
                let source = Source::Object(reader);
                Ok(Open { meta, source })
            }
        }
    }

    /// Keeps a block of `len` bytes until it is committed, replaced, or a week old.
    pub(crate) async fn put_block(
        &self,
        turn: Turn,
        id: String,
        bytes: SyncedFile,
        len: u64,
    ) -> Result<()> {
        match self.clone() {
            Self::Disk(disk) => blocking(move || disk.put_block(&turn, &id, bytes)).await,
            Self::S3(store) => store.put_block(&turn, &id, bytes, len).await,
        }
    }

    /// Both halves of Get Block List.
    pub(crate) async fn block_list(&self, turn: Turn) -> Result<(BlockList, Option<BlobMeta>)> {
        match self.clone() {
            Self::Disk(disk) => blocking(move || disk.block_list(&turn)).await,
            Self::S3(store) => store.block_list(&turn).await,
        }
    }

    /// Commits a blob. When this returns, blob and event are durable.
    pub(crate) async fn write(
        &self,
        turn: Turn,
        commit: Commit,
        content: Content,
        now: Timestamp,
    ) -> Result<BlobMeta> {
        match self.clone() {
            Self::Disk(disk) => blocking(move || disk.write(&turn, commit.of(content), now)).await,
            Self::S3(store) => store.write(&turn, commit.of(content), now).await,
        }
    }

    /// Replaces headers or metadata; the bytes stay.
    pub(crate) async fn change(
        &self,
        turn: Turn,
        replacement: Replacement,
        conditions: Preconditions,
        now: Timestamp,
    ) -> Result<BlobMeta> {
        match self.clone() {
            Self::Disk(disk) => {
                blocking(move || disk.change(&turn, replacement, &conditions, now)).await
            }
            Self::S3(store) => store.change(&turn, replacement, &conditions, now).await,
        }
    }

    /// Deletes a blob. When this returns, deletion and event are durable.
    pub(crate) async fn delete_blob(
        &self,
        turn: Turn,
        conditions: Preconditions,
        now: Timestamp,
    ) -> Result<()> {
        match self.clone() {
            Self::Disk(disk) => blocking(move || disk.delete_blob(&turn, &conditions, now)).await,
            Self::S3(store) => store.delete_blob(&turn, &conditions, now).await,
        }
    }

    /// Keeps house once. `stopped` cuts it short.
    pub(crate) async fn sweep(
        &self,
        stopped: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<()> {
        match self.clone() {
            Self::Disk(disk) => {
                let swept = blocking(move || Ok(disk.sweep(SystemTime::now(), &stopped))).await?;
                tracing::debug!(?swept, "blob store swept");
                Ok(())
            }
            Self::S3(store) => Ok(store.sweep(Timestamp::now(), &stopped).await?),
        }
    }
}

impl Commit {
    fn of(&self, content: Content) -> Write<'_> {
        Write {
            headers: self.headers.clone(),
            metadata: self.metadata.clone(),
            terms: Terms {
                conditions: &self.conditions,
                overwrite: self.overwrite,
            },
            content,
        }
    }
}

impl Page {
    fn listing(&self) -> Listing<'_> {
        Listing {
            prefix: &self.prefix,
            delimiter: self.delimiter.as_deref(),
            from: &self.from,
            limit: self.limit,
        }
    }
}

/// Runs something that touches the disk where blocking is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|panic| Err(io::Error::other(panic).into()))
}
