//! Blobs for the same process, without HTTP: the same check of the URL, then the file itself.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use headwater_blob::query::Query;
use headwater_blob::sas::Caller;
use headwater_blob::server::{
    Operation, Outcome, Preconditions, RequestHead, ServiceError, State, Use, authorize,
    parse_operation, parse_target,
};
use headwater_blob::time::parse_sas_time;
use http::{HeaderMap, Method, Uri};
use jiff::Timestamp;

use crate::disk::{Disk, Failure};
use crate::handler::Engine;

mod known;

use known::{FileId, Found, Known};

/// Opens blobs of a store in the same process. Clones share the store; calls block on the disk only.
#[derive(Debug, Clone)]
pub struct LocalReader {
    engine: Arc<Engine>,
    disk: Arc<Disk>,
    /// `scheme://host:port` of every way to address the store.
    origins: Arc<[String]>,
    known: Arc<Known>,
}

/// An open blob. The file stays readable, and its bytes the same, whatever happens to the blob.
#[derive(Debug)]
pub struct LocalBlob {
    /// Positioned reads (`read_at`) only: its cursor means nothing.
    pub file: File,
    /// Bytes.
    pub len: u64,
    /// With its quotes, as HTTP would send it.
    pub etag: String,
    pub content_type: String,
}

/// Why a blob was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// The URL is not one of this store: send it by HTTP.
    #[error("the URL does not belong to this store")]
    Elsewhere,
    /// What the HTTP path would have answered.
    #[error(transparent)]
    Refused(#[from] ServiceError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl LocalReader {
    pub(crate) fn new(engine: Arc<Engine>, disk: Arc<Disk>, origins: Vec<String>) -> Self {
        Self {
            engine,
            disk,
            origins: origins.into(),
            known: Arc::default(),
        }
    }

    /// Whether the URL is one of this store.
    pub fn owns(&self, url: &str) -> bool {
        self.origins.iter().any(|origin| {
            let rest = url.strip_prefix(origin.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
        })
    }

    /// Opens the blob of a complete URL. The signature is checked exactly as for a GET that arrives over the loopback
    /// interface; `if_match`: the etag the caller relies on, else `ConditionNotMet`.
    pub fn open(&self, url: &str, if_match: Option<&str>) -> Result<LocalBlob, LocalError> {
        if !self.owns(url) {
            return Err(LocalError::Elsewhere);
        }
        if let Some(blob) = self.known.open(url, if_match) {
            return Ok(blob);
        }
        let uri: Uri = url.parse().map_err(|_| LocalError::Elsewhere)?;
        let query =
            Query::parse(uri.query().unwrap_or_default()).map_err(|_| LocalError::Elsewhere)?;
        let headers = HeaderMap::new();
        let engine = &self.engine;
        let target = parse_target(uri.path(), &engine.account)?;
        let operation = parse_operation(&Method::GET, &target, &query, &headers)?;
        let (Operation::GetBlob, Some(container), Some(blob)) =
            (&operation, &target.container, &target.blob)
        else {
            return Err(LocalError::Elsewhere);
        };
        let caller = Caller {
            now: Timestamp::now(),
            ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            https: uri.scheme_str() == Some("https"),
        };
        let head = RequestHead {
            method: &Method::GET,
            uri: &uri,
            headers: &headers,
            query: &query,
        };
        authorize(
            head,
            &target,
            &operation,
            &engine.account,
            &engine.key,
            caller,
        )?;
        let refused = |failure| match failure {
            Failure::Service(error) => LocalError::Refused(error),
            Failure::Io(error) => LocalError::Io(error),
        };
        let files = self.disk.files(container, blob).map_err(refused)?;
        let sidecar = files.meta();
        // Before it is read: whatever takes its place meanwhile is then another one.
        let id = FileId::of(&sidecar);
        let open = self.disk.open_blob(container, blob).map_err(refused)?;
        if let Some(etag) = if_match {
            let state = State {
                etag: &open.meta.etag,
                last_modified: open.meta.last_modified,
            };
            if let Outcome::Fail(code) =
                Preconditions::if_match(etag).evaluate(Use::Read, Some(state))
            {
                return Err(LocalError::Refused(code.into()));
            }
        }
        let content_type = open.meta.headers.content_type.clone();
        let blob = LocalBlob {
            len: open.meta.len,
            etag: format!("\"{}\"", open.meta.etag),
            content_type: content_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
            file: open.file,
        };
        let expiry = query.get("se").and_then(parse_sas_time);
        if let (Ok(id), Some(expiry)) = (id, expiry)
            && let Ok(signed) = Duration::try_from(expiry.duration_since(caller.now))
        {
            let found = Found {
                if_match: if_match.map(str::to_owned),
                bytes: files.bytes(&open.meta.generation),
                sidecar,
                id,
                len: blob.len,
                etag: blob.etag.clone(),
                content_type: blob.content_type.clone(),
            };
            self.known.put(url, found, signed);
        }
        Ok(blob)
    }
}
