//! Containers: made, emptied, listed and signed for.
//!
//! Everything here is one or a few requests to storage through the [`HttpClient`] port. A request that storage refuses for
//! now is sent again twice; the client above retries as well, so there is no reason to be stubborn.

use std::time::Duration;

use bytes::Bytes;
use headwater_blob::client::{decode_done, decode_list, decode_range};
use headwater_blob::xml::BlobPage;
use headwater_blob::{
    Auth, ClientError, Clock, Container, HttpClient, List, Permissions, ServiceSas,
};
use headwater_catalog::storage::StorageAccount;
use headwater_cmaf::index::{HeadParse, IndexHead, parse_head};
use headwater_origin::{BlobFolder, BlobStorage};
use headwater_seal::Seal;
use http::header::RANGE;
use http::{HeaderValue, Request, Response};
use jiff::{SignedDuration, Timestamp};

use crate::error::{ApiError, Kind};

const ATTEMPTS: usize = 3;

/// Files that a listing looks at before it stops.
const MAX_FILES: usize = 5000;

/// What is read of a packaging index at first. Enough for the head of nearly every one.
const HEAD_BYTES: u64 = 16 * 1024;
/// Longest head that is read at all.
const MAX_HEAD_BYTES: u64 = 1024 * 1024;

/// Where the packaging index lies; not part of the media.
const INDEX_FOLDER: &str = ".headwater/";
const INDEX_ENDING: &str = ".hwx";

/// Packaging indexes that are read to list an asset's tracks: more than a ladder has.
const MAX_INDEXES: usize = 32;

/// How long the address of a single file can be used.
const FILE_URL_LASTS: SignedDuration = SignedDuration::from_mins(15);

/// A container or a folder in one, with what opens it.
pub(crate) struct Place<'a, C> {
    http: &'a C,
    container: Container,
    auth: Auth,
    /// Name of the storage account, for messages.
    storage: String,
    sub_path: String,
    now: Timestamp,
}

/// A file in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// Relative to the place.
    pub name: String,
    pub len: u64,
}

/// The beginning of a file.
pub(crate) struct Start {
    pub bytes: Bytes,
    /// There is no more.
    pub whole: bool,
}

impl<'a, C: HttpClient> Place<'a, C> {
    /// `sub_path`: folder in the container, without slashes at either end; empty for the whole container.
    pub(crate) fn new(
        http: &'a C,
        seal: &Seal,
        storage: &StorageAccount,
        container: &str,
        sub_path: &str,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        if storage.credential.expires <= now {
            return Err(ApiError::new(
                Kind::WrongState,
                format!(
                    "The credential of storage account '{}' ran out at {}; add another.",
                    storage.name, storage.credential.expires
                ),
            ));
        }
        let auth = storage.auth(seal)?;
        let container = Container::new(&storage.container_url(container), auth.clone())
            .map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(Self {
            http,
            container,
            auth,
            storage: storage.name.clone(),
            sub_path: sub_path.to_owned(),
            now,
        })
    }

    /// Without a trailing slash and without a query.
    pub(crate) fn container_url(&self) -> &str {
        self.container.url()
    }

    /// The place, for the origin's eyes.
    pub(crate) fn folder(&self) -> BlobFolder {
        BlobFolder {
            container: self.container.clone(),
            folder: self.sub_path.clone(),
        }
    }

    /// The storage that [`Self::folder`] is in.
    pub(crate) fn blobs(&self) -> BlobStorage<&'a C> {
        BlobStorage::with(self.http, Clock::Stopped(self.now))
    }

    /// A signature for the whole container, without a leading `?`.
    ///
    /// Errors: [`Kind::WrongState`] where there is no account key to make one with.
    pub(crate) fn sas(
        &self,
        permissions: Permissions,
        expiry: Timestamp,
    ) -> Result<String, ApiError> {
        match &self.auth {
            Auth::SharedKey { account, key } => {
                Ok(
                    ServiceSas::for_container(self.container.name(), permissions, expiry)
                        .sign(account, key),
                )
            }
            Auth::Sas(_) | Auth::Renewed(_) | Auth::None => Err(self.nothing_to_sign_with()),
        }
    }

    /// For one of our own workers, from now on. Where there is no account key it is the storage account's own SAS, with
    /// whatever that allows and as long as that lasts.
    pub(crate) fn worker_sas(
        &self,
        permissions: Permissions,
        ttl: Duration,
    ) -> Result<String, ApiError> {
        if let Auth::Sas(sas) = &self.auth {
            return Ok(sas.clone());
        }
        let expiry = self.now.saturating_add(ttl).unwrap_or(Timestamp::MAX);
        self.sas(permissions, expiry)
    }

    /// Where `file` can be read for some minutes without further ado. `file`: within the container. `None` where there
    /// is no account key: a storage account's own SAS is not for strangers.
    pub(crate) fn file_url(&self, file: &str) -> Option<String> {
        match &self.auth {
            Auth::SharedKey { .. } => {
                let lasts = FILE_URL_LASTS;
                Some(self.container.signed_blob_url(file, self.now, lasts))
            }
            Auth::Sas(_) | Auth::Renewed(_) | Auth::None => None,
        }
    }

    /// The request for a file's bytes, for whoever hands them on. `file`: within the container; `stretch`: the value of
    /// `Range`.
    pub(crate) fn file_request(
        &self,
        file: &str,
        stretch: Option<&HeaderValue>,
    ) -> Result<Request<Bytes>, ApiError> {
        let mut request = self
            .container
            .get_range(self.now, file, None, None)
            .map_err(|error| ApiError::internal(error.to_string()))?;
        if let Some(stretch) = stretch {
            request.headers_mut().insert(RANGE, stretch.clone());
        }
        Ok(request)
    }

    fn nothing_to_sign_with(&self) -> ApiError {
        ApiError::new(
            Kind::WrongState,
            format!(
                "Nothing can be signed for storage account '{}': its credential is a SAS. Add its account key as a \
                 credential, or hand out signatures of your own.",
                self.storage
            ),
        )
    }

    /// Creates the container; says whether it was not there before. A SAS for one container, which is what MK.IO asks for,
    /// makes none, not even one that is there: then it is enough that the place can be listed.
    pub(crate) async fn create(&self) -> Result<bool, ApiError> {
        let build = || self.container.create_container(self.now);
        let done = self
            .call(build, |answer| {
                decode_done(answer.status(), answer.headers(), answer.body())
            })
            .await;
        match done {
            Ok(()) => Ok(true),
            Err(ClientError::Conflict { code }) if code == "ContainerAlreadyExists" => Ok(false),
            Err(ClientError::PermissionDenied { .. }) if self.is_there().await => Ok(false),
            Err(error) => Err(upstream(&error)),
        }
    }

    /// Whether the place can be listed.
    async fn is_there(&self) -> bool {
        let prefix = self.prefix();
        let build = || {
            let list = List {
                prefix: &prefix,
                delimiter: Some("/"),
                marker: None,
                max_results: Some(1),
            };
            self.container.list(self.now, &list)
        };
        let listed = self.call(build, |answer| {
            decode_list(answer.status(), answer.headers(), answer.body())
        });
        listed.await.is_ok()
    }

    /// Deletes the container, or with a folder the files in it. Nothing to delete is a success.
    pub(crate) async fn delete(&self) -> Result<(), ApiError> {
        if self.sub_path.is_empty() {
            let build = || self.container.delete_container(self.now);
            let done = self.call(build, done).await;
            return match done {
                Ok(()) | Err(ClientError::NotFound { .. }) => Ok(()),
                Err(error) => Err(upstream(&error)),
            };
        }
        let prefix = self.prefix();
        loop {
            let page = self.page(&prefix, None, None).await?;
            if page.blobs.is_empty() {
                return Ok(());
            }
            for blob in &page.blobs {
                let build = || self.container.delete(self.now, &blob.name, None);
                match self.call(build, done).await {
                    Ok(()) | Err(ClientError::NotFound { .. }) => {}
                    Err(error) => return Err(upstream(&error)),
                }
            }
        }
    }

    /// Files and folders directly in the place, in name order, without the packaging index. A container that does not
    /// exist is an empty place.
    pub(crate) async fn list(&self) -> Result<(Vec<File>, Vec<String>), ApiError> {
        let prefix = self.prefix();
        let relative = |name: &str| {
            name.strip_prefix(prefix.as_str())
                .unwrap_or(name)
                .to_owned()
        };
        let mut files = Vec::new();
        let mut folders = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let page = self.page(&prefix, Some("/"), marker.as_deref()).await?;
            files.extend(page.blobs.iter().map(|blob| File {
                name: relative(&blob.name),
                len: blob.len,
            }));
            folders.extend(
                page.prefixes
                    .iter()
                    .map(|folder| relative(folder))
                    .filter(|folder| folder != INDEX_FOLDER),
            );
            match page.next_marker {
                Some(next) if files.len() < MAX_FILES && marker.as_ref() != Some(&next) => {
                    marker = Some(next);
                }
                _ => return Ok((files, folders)),
            }
        }
    }

    /// The first bytes of a file, at most `limit`; `None` if there is no such file.
    pub(crate) async fn start_of(&self, file: &str, limit: u64) -> Result<Option<Start>, ApiError> {
        let blob = format!("{}{file}", self.prefix());
        let build = || {
            self.container
                .get_range(self.now, &blob, Some(0..limit), None)
        };
        let decode = |answer: &Response<Bytes>| {
            decode_range(answer.status(), answer.headers(), answer.body().clone())
        };
        match self.call(build, decode).await {
            Ok(read) => Ok(Some(Start {
                whole: read.total_len <= limit,
                bytes: read.bytes,
            })),
            // What storage says of the start of an empty file.
            Err(ClientError::RangeNotSatisfiable) => Ok(Some(Start {
                whole: true,
                bytes: Bytes::new(),
            })),
            Err(ClientError::NotFound { .. }) => Ok(None),
            Err(error) => Err(upstream(&error)),
        }
    }

    /// How long the place plays, in milliseconds, as far as a packaging index in it says. `None` without one.
    pub(crate) async fn duration_ms(&self) -> Result<Option<u32>, ApiError> {
        for blob in self.index_blobs().await? {
            if let Some(head) = self.index_head(&blob.name, blob.len).await? {
                return Ok(longest_ms(&head));
            }
        }
        Ok(None)
    }

    /// The heads of the packaging indexes in the place, with the names of their media files, in name order; at most
    /// [`MAX_INDEXES`].
    pub(crate) async fn indexes(&self) -> Result<Vec<(String, IndexHead)>, ApiError> {
        let mut heads = Vec::new();
        for blob in self.index_blobs().await?.iter().take(MAX_INDEXES) {
            let file = blob.name.rsplit('/').next().unwrap_or_default();
            let file = file.strip_suffix(INDEX_ENDING).unwrap_or(file).to_owned();
            if let Some(head) = self.index_head(&blob.name, blob.len).await? {
                heads.push((file, head));
            }
        }
        Ok(heads)
    }

    async fn index_blobs(&self) -> Result<Vec<File>, ApiError> {
        let folder = format!("{}{INDEX_FOLDER}", self.prefix());
        let page = self.page(&folder, Some("/"), None).await?;
        let indexes = page.blobs.into_iter().map(|blob| File {
            name: blob.name,
            len: blob.len,
        });
        Ok(indexes
            .filter(|file| file.name.ends_with(INDEX_ENDING))
            .collect())
    }

    /// The head of a packaging index; `None` if it is gone or not one that we read.
    async fn index_head(&self, blob: &str, len: u64) -> Result<Option<IndexHead>, ApiError> {
        let mut wanted = HEAD_BYTES.min(len);
        loop {
            if wanted == 0 || wanted > MAX_HEAD_BYTES.min(len) {
                return Ok(None);
            }
            let build = || {
                self.container
                    .get_range(self.now, blob, Some(0..wanted), None)
            };
            let decode = |answer: &Response<Bytes>| {
                decode_range(answer.status(), answer.headers(), answer.body().clone())
            };
            let bytes = match self.call(build, decode).await {
                Ok(read) => read.bytes,
                Err(ClientError::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(upstream(&error)),
            };
            match parse_head(&bytes) {
                Ok(HeadParse::Complete(head)) => return Ok(Some(head)),
                Ok(HeadParse::NeedMore(more)) if more > wanted => wanted = more,
                Ok(HeadParse::NeedMore(_)) | Err(_) => return Ok(None),
            }
        }
    }

    fn prefix(&self) -> String {
        if self.sub_path.is_empty() {
            String::new()
        } else {
            format!("{}/", self.sub_path)
        }
    }

    async fn page(
        &self,
        prefix: &str,
        delimiter: Option<&str>,
        marker: Option<&str>,
    ) -> Result<BlobPage, ApiError> {
        let build = || {
            let list = List {
                prefix,
                delimiter,
                marker,
                max_results: None,
            };
            self.container.list(self.now, &list)
        };
        let decode = |answer: &Response<Bytes>| {
            decode_list(answer.status(), answer.headers(), answer.body())
        };
        match self.call(build, decode).await {
            Ok(page) => Ok(page),
            Err(ClientError::NotFound { .. }) => Ok(BlobPage::default()),
            Err(error) => Err(upstream(&error)),
        }
    }

    async fn call<T>(
        &self,
        build: impl Fn() -> Result<Request<Bytes>, headwater_blob::client::RequestError>,
        decode: impl Fn(&Response<Bytes>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let mut left = ATTEMPTS;
        loop {
            left = left.saturating_sub(1);
            let outcome = match self.http.send(build()?).await {
                Ok(answer) => decode(&answer),
                Err(error) => Err(error.into()),
            };
            match outcome {
                Err(error) if error.is_retryable() && left > 0 => {}
                outcome => return outcome,
            }
        }
    }
}

/// The longest track's duration.
fn longest_ms(head: &IndexHead) -> Option<u32> {
    head.tracks
        .iter()
        .filter_map(|track| {
            let ms = u128::from(track.duration)
                .checked_mul(1000)?
                .checked_div(u128::from(track.timescale.get()))?;
            u32::try_from(ms).ok()
        })
        .max()
}

fn done(answer: &Response<Bytes>) -> Result<(), ClientError> {
    decode_done(answer.status(), answer.headers(), answer.body())
}

pub(crate) fn upstream(error: &ClientError) -> ApiError {
    let (kind, message) = if error.is_retryable() {
        (
            Kind::Unavailable,
            "Storage cannot be reached at the moment. Try again.",
        )
    } else {
        (Kind::Upstream, "Storage refused the request.")
    };
    ApiError {
        context: Some(error.to_string()),
        ..ApiError::new(kind, message)
    }
}
