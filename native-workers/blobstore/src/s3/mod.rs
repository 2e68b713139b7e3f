//! The store in a bucket of S3, or of what speaks its protocol: the same Azure Blob requests, answered from objects.
//!
//! | part | what |
//! |---|---|
//! | `layout` | which key is what |
//! | `meta` | an object's headers as a blob's, and back |
//! | `parts` | how blocks become a multipart upload |
//! | `upload` | bytes into the bucket, in one request or in parts |
//! | `client`, `credentials` | requests, signed and repeated |
//! | `blobs`, `blocks`, `containers`, `listing`, `sweep` | the operations |
//!
//! Everything that counts is in the bucket, so that any number of processes may serve one. **Commit.** An object appears whole
//! or not at all, which is S3's promise; a write that has conditions, or may not replace, carries `If-Match` or `If-None-Match` to
//! the store, so that of two writers through two processes one is told. `open` makes sure that the store heeds them.
//! A blob's entity tag is its object's: bytes that are the same have the same.
//!
//! Uploads pass through a file of `scratch`, so that checksums are known before anything is sent and a request can be repeated.

mod blobs;
mod blocks;
mod client;
mod containers;
mod credentials;
mod layout;
mod listing;
mod meta;
mod parts;
mod sweep;
mod upload;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::{fmt, io};

use bytes::Bytes;
use headwater_blob::client::InvalidCa;
use headwater_blob::server::{ErrorCode, ServiceError};
use headwater_blob::{HyperClient, HyperOptions};
use http::HeaderMap;
use rusty_s3::{Bucket, UrlStyle};
use tokio::sync::Semaphore;

pub(crate) use blobs::ObjectReader;
pub use client::S3Error;
pub use credentials::{CredentialsError, S3Credentials};

use crate::disk::{Failure, Locks, ScratchFile, Stamps, Turn, claim, empty};
use crate::events::Outbox;
use client::{Answered, Call, Client, What};
use credentials::Source;
use layout::Layout;

/// For a request and its whole answer; the store may take minutes to put a large upload together.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(300);
/// Requests with bodies of ours that are made at a time, whoever wants them: each holds a part of some 16 MiB in memory.
const SENDING: usize = 24;
/// How often a write is tried again that lost against another writer of its blob.
const ATTEMPTS: usize = 8;

/// Which bucket, and where.
#[derive(Clone)]
#[non_exhaustive]
pub struct S3Config {
    /// `https://s3.eu-west-1.amazonaws.com`, `http://minio:9000`.
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    /// The folder of the bucket in which everything is; may be empty.
    pub prefix: String,
    /// `http://host/bucket/key` rather than `http://bucket.host/key`.
    pub path_style: bool,
    pub credentials: S3Credentials,
    /// Certificates in PEM that are trusted besides the public roots.
    pub ca_pem: Option<Vec<u8>>,
}

impl S3Config {
    pub fn new(
        endpoint: impl Into<String>,
        region: impl Into<String>,
        bucket: impl Into<String>,
        credentials: S3Credentials,
    ) -> Self {
        Self {
            endpoint: endpoint.into(),
            region: region.into(),
            bucket: bucket.into(),
            prefix: String::new(),
            path_style: true,
            credentials,
            ca_pem: None,
        }
    }
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Config")
            .field("endpoint", &self.endpoint)
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Why a bucket cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    #[error("{0}")]
    Folder(#[from] io::Error),
    #[error("the bucket's address: {0}")]
    Address(String),
    #[error(transparent)]
    Ca(#[from] InvalidCa),
    #[error("the bucket answers {0}")]
    Bucket(#[from] S3Error),
    /// Two writers could overwrite each other unseen.
    #[error(
        "the store takes no heed of {0}: of two that write the same object both would be told that they succeeded"
    )]
    Heedless(&'static str),
}

/// The open store.
#[derive(Debug)]
pub(crate) struct ObjectStore {
    client: Client,
    layout: Layout,
    locks: Locks,
    stamps: Stamps,
    outbox: Option<Arc<Outbox>>,
    scratch: PathBuf,
    /// How long the block ids of blobs are that are being uploaded, by their folder of blocks.
    id_lengths: Mutex<HashMap<String, usize>>,
    sending: Semaphore,
    /// Keeps a second process out of the folder. Released by the kernel however we end.
    _lock: File,
}

impl ObjectStore {
    /// Opens the folder that uploads pass through and looks at the bucket. Fails if the bucket cannot be used as it must.
    pub(crate) async fn open(
        config: &S3Config,
        root: &Path,
        with_events: bool,
    ) -> std::result::Result<Self, OpenError> {
        let lock = claim(root)?;
        let scratch = root.join("scratch");
        for folder in [&scratch, &root.join("outbox")] {
            std::fs::create_dir_all(folder)?;
        }
        empty(&scratch)?;
        let (outbox, last_event) = if with_events {
            let (outbox, last) = Outbox::open(root.join("outbox"))?;
            (Some(Arc::new(outbox)), last)
        } else {
            (None, 0)
        };
        let endpoint = config
            .endpoint
            .parse()
            .map_err(|e: url::ParseError| OpenError::Address(e.to_string()))?;
        let style = if config.path_style {
            UrlStyle::Path
        } else {
            UrlStyle::VirtualHost
        };
        let (name, region) = (config.bucket.clone(), config.region.clone());
        let bucket = Bucket::new(endpoint, style, name, region)
            .map_err(|e| OpenError::Address(e.to_string()))?;
        let http = HyperClient::new(HyperOptions {
            extra_ca_pem: config.ca_pem.clone(),
            timeout: TIMEOUT,
            idle_per_host: 64,
            ..HyperOptions::default()
        })?;
        let store = Self {
            client: Client {
                http,
                bucket,
                credentials: Source::new(config.credentials.clone()),
            },
            layout: Layout::new(&config.prefix),
            locks: Locks::default(),
            stamps: Stamps::after(last_event),
            outbox,
            scratch,
            id_lengths: Mutex::default(),
            sending: Semaphore::new(SENDING),
            _lock: lock,
        };
        store.probe().await?;
        Ok(store)
    }

    pub(crate) fn outbox(&self) -> Option<&Arc<Outbox>> {
        self.outbox.as_ref()
    }

    /// Waits until nobody else in this process writes the blob.
    pub(crate) async fn turn(&self, container: &str, blob: &str) -> Turn {
        self.locks.turn(container, blob).await
    }

    /// A file for bytes that are on their way in.
    pub(crate) fn scratch(&self) -> io::Result<ScratchFile> {
        ScratchFile::create(&self.scratch)
    }

    /// `Err` while the bucket does not answer. It asks for what is not there, which is the cheapest question.
    pub(crate) async fn answers(&self) -> Answered<()> {
        self.head(&self.layout.probe("pulse")).await.map(drop)
    }

    /// Writes an object with conditions that do not hold, and sees that it is told so.
    async fn probe(&self) -> std::result::Result<(), OpenError> {
        let key = self
            .layout
            .probe(&uuid::Uuid::new_v4().simple().to_string());
        let put = |name: &str, value: &str| {
            Call::new(What::PutObject(&key))
                .with(vec![(name.to_owned(), value.to_owned())])
                .sending(Bytes::from_static(b"probe"))
        };
        self.client.send(&put("if-none-match", "*")).await?;
        let outcome = async {
            let again = self.client.send(&put("if-none-match", "*")).await;
            heeded(again, "If-None-Match")?;
            let other = "\"00000000000000000000000000000000\"";
            let changed = self.client.send(&put("if-match", other)).await;
            heeded(changed, "If-Match")?;
            let guard = vec![("if-none-match".to_owned(), "*".to_owned())];
            let upload = self
                .multipart(
                    &key,
                    Vec::new(),
                    guard,
                    vec![upload::Job::Held(Bytes::from_static(b"probe"))],
                )
                .await;
            heeded(upload, "If-None-Match at the end of a multipart upload")
        }
        .await;
        if let Err(error) = self.remove(&key).await {
            tracing::warn!(key, %error, "an object that the start made could not be removed");
        }
        outcome
    }

    /// The headers of an object; `None` if there is none.
    async fn head(&self, key: &str) -> Answered<Option<HeaderMap>> {
        match self.client.send(&Call::new(What::HeadObject(key))).await {
            Ok(answer) => Ok(Some(answer.into_parts().0.headers)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes an object; it being gone already is fine.
    async fn remove(&self, key: &str) -> Answered<()> {
        match self.client.send(&Call::new(What::DeleteObject(key))).await {
            Err(error) if !error.is_missing() => Err(error),
            _ => Ok(()),
        }
    }
}

/// Whether a write whose condition does not hold was refused for it.
fn heeded<T>(outcome: Answered<T>, condition: &'static str) -> std::result::Result<(), OpenError> {
    match outcome {
        Ok(_) => Err(OpenError::Heedless(condition)),
        Err(error) if error.is_conflict() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl From<S3Error> for Failure {
    fn from(error: S3Error) -> Self {
        if error.is_passing() {
            tracing::warn!(%error, "the bucket does not answer as it should");
            let detail = "The bucket behind this store does not answer.";
            return ServiceError::new(ErrorCode::ServerBusy, detail).into();
        }
        Self::Io(io::Error::other(error))
    }
}

/// An answer of the store that lacks something.
fn unusable(what: String) -> S3Error {
    S3Error::Answer(what)
}
