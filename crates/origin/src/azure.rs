//! [`Storage`] over Azure Blob storage, through the sans-IO client of `headwater-blob`.

use crate::live::Edge;
use crate::ports::{ObjectInfo, ObjectRead, Storage, StorageError, part_of};
use bytes::Bytes;
use headwater_blob::client::{BlobProperties, RangeRead, RequestError, Written};
use headwater_blob::{
    ClientError, Clock, Conditions, Container, HttpClient, List, Store, TransportError,
};
use headwater_plan::{Object, PlanBuilder, Scan, SubsampleMap};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use jiff::{SignedDuration, Timestamp};
use std::ops::Range;
use std::pin::Pin;

/// Who reads media for us: on our host natively, else `functions/assembler`.
const ASSEMBLER: &str = "http://assembler.spin.internal/";
const SCANNER: &str = "http://assembler.spin.internal/scan";
/// How long a store that does not answer is taken to be as it was, as the host's manifest has it for the catalog.
const STALE: HeaderValue = HeaderValue::from_static("stale-if-error=300");
/// How long a signed URL in a plan is good for. The assembler uses it at once; reading on takes as long as it takes.
const SIGNED_URL_TTL: SignedDuration = SignedDuration::from_mins(15);

/// A folder of a container, with credentials. `Debug` shows none.
#[derive(Debug, Clone)]
pub struct BlobFolder {
    /// The container.
    pub container: Container,
    /// Without slashes at either end; empty for the whole container.
    pub folder: String,
}

impl BlobFolder {
    fn blob(&self, name: &str) -> String {
        if self.folder.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.folder)
        }
    }
}

/// Azure Blob storage behind an HTTP client.
#[derive(Debug, Clone)]
pub struct BlobStorage<H> {
    http: H,
    clock: Clock,
    pause: Option<Pause>,
    assembled: bool,
    lenient: bool,
}

/// Waits so many milliseconds.
pub type Pause = fn(u64) -> Pin<Box<dyn Future<Output = ()>>>;

impl<H: HttpClient> BlobStorage<H> {
    /// `now`: the caller's clock, for signatures.
    pub fn new(http: H, now: fn() -> Timestamp) -> Self {
        Self::with(http, Clock::Running(now))
    }

    /// As [`Self::new`], by any clock.
    pub fn with(http: H, clock: Clock) -> Self {
        Self {
            http,
            clock,
            pause: None,
            assembled: false,
            lenient: false,
        }
    }

    /// With the assembler to read through what stays as it is: it may have it nearby.
    #[must_use]
    pub fn assembled(self) -> Self {
        Self {
            assembled: true,
            ..self
        }
    }

    /// Going by what a store said lately while it does not answer, where whoever sends the requests can do that: our host
    /// (RFC 5861 §4).
    #[must_use]
    pub fn lenient(self) -> Self {
        Self {
            lenient: true,
            ..self
        }
    }

    /// With a way to wait for a live event's worker that is started again.
    #[must_use]
    pub fn pausing(self, pause: Pause) -> Self {
        Self {
            pause: Some(pause),
            ..self
        }
    }

    fn store<'a>(&'a self, at: &BlobFolder) -> Store<Reader<'a, H>> {
        let (http, lenient) = (&self.http, self.lenient);
        Store::with(Reader { http, lenient }, at.container.clone(), self.clock)
    }
}

/// Marks reads that may be answered by what was said lately. Stores themselves look at no such directive, and no signature
/// covers it.
#[derive(Debug)]
struct Reader<'a, H> {
    http: &'a H,
    lenient: bool,
}

impl<H: HttpClient> HttpClient for Reader<'_, H> {
    async fn send(
        &self,
        mut request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, TransportError> {
        let reads = matches!(*request.method(), http::Method::GET | http::Method::HEAD);
        if self.lenient && reads {
            request.headers_mut().insert(CACHE_CONTROL, STALE);
        }
        self.http.send(request).await
    }
}

impl<H: HttpClient> BlobStorage<H> {
    /// What the worker answers, with the status: 200, or 206 for a range.
    async fn asked(
        &self,
        edge: &Edge,
        path: &str,
        range: Option<&Range<u64>>,
    ) -> Result<Option<(u16, Bytes)>, StorageError> {
        let unexpected = |why: String| StorageError::Unexpected(why);
        let request = || {
            let request = http::Request::get(format!("{}{path}", edge.url))
                .header("authorization", format!("Bearer {}", edge.secret));
            let request = match range {
                Some(range) => {
                    let last = range.end.saturating_sub(1);
                    request.header("range", format!("bytes={}-{last}", range.start))
                }
                None => request,
            };
            request
                .body(Bytes::new())
                .map_err(|error| unexpected(error.to_string()))
        };
        let answer = match self.http.send(request()?).await {
            Ok(answer) => answer,
            // A pooled connection of a worker that has been started again.
            Err(_) => {
                let answer = self.http.send(request()?).await;
                answer.map_err(|error| StorageError::Unavailable(error.to_string()))?
            }
        };
        match answer.status().as_u16() {
            status @ (200 | 206) => Ok(Some((status, answer.into_body()))),
            404 | 410 => Ok(None),
            401 => Err(StorageError::PermissionDenied("the live edge".to_owned())),
            503 => Err(StorageError::Unavailable("the live edge".to_owned())),
            status => Err(unexpected(format!("the live edge: {status}"))),
        }
    }
}

/// Repeats a read once if it did not come through: a pooled connection may have been closed by the other side. All
/// other retries are the player's.
macro_rules! twice {
    ($call:expr) => {
        match $call {
            Err(ClientError::Transport(_)) => $call,
            other => other,
        }
    };
}

impl<H: HttpClient> Storage for BlobStorage<H> {
    type Location = BlobFolder;

    async fn head(&self, at: &BlobFolder, name: &str) -> Result<ObjectInfo, StorageError> {
        let (store, blob) = (self.store(at), at.blob(name));
        let BlobProperties {
            len,
            etag,
            last_modified,
            ..
        } = twice!(store.head(&blob).await).map_err(failure)?;
        Ok(ObjectInfo {
            len,
            etag,
            last_modified,
        })
    }

    async fn read(
        &self,
        at: &BlobFolder,
        name: &str,
        range: Range<u64>,
        if_match: Option<&str>,
    ) -> Result<ObjectRead, StorageError> {
        let (store, blob) = (self.store(at), at.blob(name));
        let read = twice!(store.get_range(&blob, Some(range.clone()), if_match).await);
        let RangeRead {
            bytes,
            offset,
            total_len,
            etag,
            ..
        } = read.map_err(failure)?;
        if offset != range.start {
            return Err(StorageError::Unexpected(
                "another range than was asked for".to_owned(),
            ));
        }
        Ok(ObjectRead {
            bytes,
            total_len,
            etag,
        })
    }

    async fn list(&self, at: &BlobFolder, limit: usize) -> Result<Vec<String>, StorageError> {
        let store = self.store(at);
        let prefix = at.blob("");
        let mut names = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let list = List {
                prefix: &prefix,
                delimiter: Some("/"),
                marker: marker.as_deref(),
                ..List::default()
            };
            let page = twice!(store.list(&list).await).map_err(failure)?;
            names.extend(
                page.blobs
                    .into_iter()
                    .filter_map(|b| b.name.strip_prefix(&prefix).map(str::to_owned)),
            );
            if names.len() >= limit {
                names.truncate(limit);
                return Ok(names);
            }
            match page.next_marker {
                Some(next) if marker.as_ref() != Some(&next) => marker = Some(next),
                _ => return Ok(names),
            }
        }
    }

    async fn list_page(
        &self,
        at: &BlobFolder,
        folder: &str,
        marker: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), StorageError> {
        let store = self.store(at);
        let prefix = at.blob(&format!("{folder}/"));
        let list = List {
            prefix: &prefix,
            delimiter: Some("/"),
            marker,
            ..List::default()
        };
        let page = twice!(store.list(&list).await).map_err(failure)?;
        let names = page.blobs.into_iter();
        let names = names.filter_map(|b| b.name.strip_prefix(&prefix).map(str::to_owned));
        // A server that repeats its marker would keep us here for ever.
        let next = page
            .next_marker
            .filter(|next| marker != Some(next.as_str()));
        Ok((names.collect(), next))
    }

    async fn put(
        &self,
        at: &BlobFolder,
        name: &str,
        bytes: Bytes,
        replaces: Option<&str>,
    ) -> Result<String, StorageError> {
        let (store, blob) = (self.store(at), at.blob(name));
        let written = store
            .put(&blob, CONTENT_TYPE, bytes, &in_place_of(replaces))
            .await;
        etag_of(written)
    }

    async fn stage(
        &self,
        at: &BlobFolder,
        name: &str,
        id: &str,
        bytes: Bytes,
    ) -> Result<(), StorageError> {
        let (store, blob) = (self.store(at), at.blob(name));
        let staged = twice!(store.put_block(&blob, id.as_bytes(), bytes.clone()).await);
        staged.map_err(failure)
    }

    async fn commit(
        &self,
        at: &BlobFolder,
        name: &str,
        ids: &[String],
        replaces: Option<&str>,
    ) -> Result<String, StorageError> {
        let (store, blob) = (self.store(at), at.blob(name));
        let ids: Vec<Vec<u8>> = ids.iter().map(|id| id.clone().into_bytes()).collect();
        let written = store
            .put_block_list(&blob, &ids, CONTENT_TYPE, &in_place_of(replaces))
            .await;
        match written {
            // InvalidBlockList: somebody else has written the blob, which discards the blocks that were staged.
            Err(ClientError::Unexpected { status: 400, .. }) => Err(StorageError::Changed),
            written => etag_of(written),
        }
    }

    async fn read_same(
        &self,
        at: &BlobFolder,
        name: &str,
        range: Range<u64>,
        etag: &str,
    ) -> Result<Bytes, StorageError> {
        if !self.assembled {
            return Ok(self.read(at, name, range, Some(etag)).await?.bytes);
        }
        let unexpected = |why: String| StorageError::Unexpected(why);
        let mut plan = PlanBuilder::new();
        let planned = plan
            .object(self.object(at, name, etag)?)
            .and_then(|object| plan.range(object, range));
        planned.map_err(|error| unexpected(error.to_string()))?;
        let request = http::Request::post(ASSEMBLER)
            .body(plan.finish().into_encoded())
            .map_err(|error| unexpected(error.to_string()))?;
        let answer = self.http.send(request).await;
        let answer = answer.map_err(|error| StorageError::Unavailable(error.to_string()))?;
        match answer.status().as_u16() {
            200 => Ok(answer.into_body()),
            404 => Err(StorageError::NotFound),
            412 => Err(StorageError::Changed),
            503 | 504 => Err(StorageError::Unavailable("the assembler".to_owned())),
            status => Err(unexpected(format!("a range of {name}: {status}"))),
        }
    }

    async fn scan(&self, scan: &Scan) -> Result<SubsampleMap, StorageError> {
        let unexpected = |why: String| StorageError::Unexpected(why);
        let request = http::Request::post(SCANNER)
            .body(scan.encode())
            .map_err(|error| unexpected(error.to_string()))?;
        let answer = self.http.send(request).await;
        let answer = answer.map_err(|error| StorageError::Unavailable(error.to_string()))?;
        match answer.status().as_u16() {
            200 => scan
                .read_map(answer.body())
                .map_err(|error| unexpected(error.to_string())),
            404 | 412 => Err(StorageError::Changed),
            422 => Err(StorageError::Media("a scan of a segment".to_owned())),
            503 | 504 => Err(StorageError::Unavailable("the assembler".to_owned())),
            status => Err(unexpected(format!("the scan of a segment: {status}"))),
        }
    }

    async fn ask(&self, edge: &Edge, path: &str) -> Result<Option<Bytes>, StorageError> {
        Ok(self.asked(edge, path, None).await?.map(|(_, bytes)| bytes))
    }

    async fn ask_range(
        &self,
        edge: &Edge,
        path: &str,
        range: Range<u64>,
    ) -> Result<Option<Bytes>, StorageError> {
        match self.asked(edge, path, Some(&range)).await? {
            Some((206, bytes)) => Ok(Some(bytes)),
            Some((_, whole)) => part_of(&whole, range).map(Some),
            None => Ok(None),
        }
    }

    async fn pause(&self, ms: u64) {
        if let Some(pause) = self.pause {
            pause(ms).await;
        }
    }

    fn object(&self, at: &BlobFolder, name: &str, etag: &str) -> Result<Object, StorageError> {
        let url = at
            .container
            .signed_blob_url(&at.blob(name), self.clock.now(), SIGNED_URL_TTL);
        let if_match = (!etag.is_empty()).then(|| etag.to_owned());
        Object::new(url, if_match).map_err(|e| StorageError::Unexpected(e.to_string()))
    }
}

const CONTENT_TYPE: &str = "application/octet-stream";

fn in_place_of(replaces: Option<&str>) -> Conditions {
    match replaces {
        Some(etag) => Conditions {
            if_match: Some(etag.to_owned()),
            ..Conditions::default()
        },
        None => Conditions::absent(),
    }
}

fn etag_of(written: Result<Written, ClientError>) -> Result<String, StorageError> {
    match written {
        Ok(written) => Ok(written.etag),
        // BlobAlreadyExists.
        Err(ClientError::Conflict { .. }) => Err(StorageError::Changed),
        Err(error) => Err(failure(error)),
    }
}

fn failure(error: ClientError) -> StorageError {
    match error {
        // A name that no blob can have.
        ClientError::NotFound { .. } | ClientError::Request(RequestError::Name(_)) => {
            StorageError::NotFound
        }
        ClientError::PreconditionFailed { .. } => StorageError::Changed,
        ClientError::RangeNotSatisfiable => StorageError::RangeNotSatisfiable,
        ClientError::PermissionDenied { code, .. } => StorageError::PermissionDenied(code),
        ClientError::Unavailable { .. } | ClientError::Transport(_) => {
            StorageError::Unavailable(error.to_string())
        }
        other => StorageError::Unexpected(other.to_string()),
    }
}
