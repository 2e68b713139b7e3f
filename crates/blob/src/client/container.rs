//! Request builders for one container.
//!
//! A builder returns a complete, signed request and does nothing else. `now` is used by shared key authorisation only;
//! it comes from the caller because this crate has no clock.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, RANGE};
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use jiff::{SignedDuration, Timestamp};

use crate::client::API_VERSION;
use crate::key::AccountKey;
use crate::names::{InvalidName, check_blob, decode, encode_blob, encode_query};
use crate::sas::{Permissions, ServiceSas};
use crate::shared_key;
use crate::xml::{BlockRef, BlockSource, write_block_list};

/// How requests prove their right. `Debug` shows the kind, never the secret.
#[derive(Clone)]
pub enum Auth {
    /// A shared access signature, without a leading `?`.
    Sas(String),
    /// One that is replaced while it is in use.
    Renewed(RenewedSas),
    /// The account's key: everything is allowed.
    SharedKey { account: String, key: AccountKey },
    /// Anonymous.
    None,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sas(_) => "Auth::Sas(..)",
            Self::Renewed(_) => "Auth::Renewed(..)",
            Self::SharedKey { .. } => "Auth::SharedKey(..)",
            Self::None => "Auth::None",
        })
    }
}

/// A shared access signature that whoever handed it out replaces before it lapses. All clones are the same one: requests that
/// are built after [`Self::replace`] carry the new one, whichever store builds them.
#[derive(Clone)]
pub struct RenewedSas(Arc<RwLock<String>>);

impl RenewedSas {
    /// `sas`: without a leading `?`.
    pub fn new(sas: String) -> Self {
        Self(Arc::new(RwLock::new(sas)))
    }

    /// `sas`: as in [`Self::new`].
    pub fn replace(&self, sas: String) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = sas;
    }

    fn get(&self) -> String {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl fmt::Debug for RenewedSas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RenewedSas(..)")
    }
}

/// The URL is not that of a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a container URL: scheme, host and container name, no query")]
pub struct InvalidContainer(String);

/// A request that cannot be built from its arguments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error("`{0}` cannot be sent as a header value")]
    Header(&'static str),
    #[error("an empty range")]
    EmptyRange,
    #[error("the URL is malformed")]
    Url,
}

/// Conditions on a write. Empty strings are not special: leave a field `None` to not send it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    /// Only if the blob still has this etag (quoted, as received).
    pub if_match: Option<String>,
    /// `Some("*")`: only if there is no blob of that name.
    pub if_none_match: Option<String>,
}

impl Conditions {
    /// Only if there is no blob of that name.
    pub fn absent() -> Self {
        Self {
            if_none_match: Some("*".to_owned()),
            ..Self::default()
        }
    }

    /// Only over the blob with this etag.
    pub fn matches(etag: impl Into<String>) -> Self {
        Self {
            if_match: Some(etag.into()),
            ..Self::default()
        }
    }
}

/// Arguments of List Blobs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List<'a> {
    /// Names that start with it; empty for all.
    pub prefix: &'a str,
    /// `Some("/")` folds deeper names into `BlobPage::prefixes`.
    pub delimiter: Option<&'a str>,
    /// From the previous page.
    pub marker: Option<&'a str>,
    /// At most 5000, which is also the default.
    pub max_results: Option<u32>,
}

/// A container somewhere in Azure Blob storage, an emulator or our own blob store.
#[derive(Debug, Clone)]
pub struct Container {
    url: String,
    name: String,
    auth: Auth,
}

impl Container {
    /// `url`: e.g. `https://acct.blob.core.windows.net/asset-1` or `http://127.0.0.1:10000/local/asset-1`.
    /// A trailing slash is dropped; a query is refused (pass a SAS as [`Auth::Sas`]).
    pub fn new(url: &str, auth: Auth) -> Result<Self, InvalidContainer> {
        let trimmed = url.trim_end_matches('/');
        let bad = || InvalidContainer(url.split(['?', '#']).next().unwrap_or_default().to_owned());
        if url.contains(['?', '#']) {
            return Err(bad());
        }
        let uri: Uri = trimmed.parse().map_err(|_| bad())?;
        let last = uri
            .path()
            .rsplit('/')
            .next()
            .filter(|name| !name.is_empty())
            .ok_or_else(bad)?;
        if uri.scheme().is_none() || uri.host().is_none() {
            return Err(bad());
        }
        let auth = match auth {
            Auth::Sas(sas) => Auth::Sas(sas.trim_start_matches('?').to_owned()),
            other => other,
        };
        Ok(Self {
            url: trimmed.to_owned(),
            name: decode(last).map_err(|_| bad())?,
            auth,
        })
    }

    /// Splits `https://host/container?sas` as `listContainerSas` hands it out.
    pub fn from_sas_url(url: &str) -> Result<Self, InvalidContainer> {
        let (base, sas) = url.split_once('?').unwrap_or((url, ""));
        let auth = if sas.is_empty() {
            Auth::None
        } else {
            Auth::Sas(sas.to_owned())
        };
        Self::new(base, auth)
    }

    /// Without a trailing slash and without a query.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The container's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The blob's URL without a signature.
    pub fn blob_url(&self, blob: &str) -> String {
        format!("{}/{}", self.url, encode_blob(blob))
    }

    /// A URL that reads the blob without further headers until `now + ttl`.
    ///
    /// With the account key: a blob SAS with read permission. With a SAS: that SAS, whatever it allows and however
    /// long. Without either: the plain URL.
    pub fn signed_blob_url(&self, blob: &str, now: Timestamp, ttl: SignedDuration) -> String {
        let url = self.blob_url(blob);
        match &self.auth {
            Auth::None => url,
            Auth::Sas(sas) => format!("{url}?{sas}"),
            Auth::Renewed(sas) => format!("{url}?{}", sas.get()),
            Auth::SharedKey { account, key } => {
                let expiry = now.saturating_add(ttl).unwrap_or(Timestamp::MAX);
                let sas = ServiceSas::for_blob(&self.name, blob, Permissions::READ, expiry);
                format!("{url}?{}", sas.sign(account, key))
            }
        }
    }

    /// Get Blob. `range`: absolute byte positions, `None` for all of it. Fails on the server with 412 if the blob's
    /// etag is no longer `if_match`.
    pub fn get_range(
        &self,
        now: Timestamp,
        blob: &str,
        range: Option<Range<u64>>,
        if_match: Option<&str>,
    ) -> Result<Request<Bytes>, RequestError> {
        let mut request = self.request(Method::GET, Some(blob), "")?;
        if let Some(range) = range {
            let last = range
                .end
                .checked_sub(1)
                .filter(|last| *last >= range.start)
                .ok_or(RequestError::EmptyRange)?;
            // `Range`, not `x-ms-range`: caches and plain web servers understand it as well.
            set(
                &mut request,
                RANGE,
                &format!("bytes={}-{last}", range.start),
                "Range",
            )?;
        }
        if let Some(etag) = if_match {
            set(&mut request, IF_MATCH, etag, "If-Match")?;
        }
        self.finish(request, now)
    }

    /// Get Blob Properties.
    pub fn head(&self, now: Timestamp, blob: &str) -> Result<Request<Bytes>, RequestError> {
        let request = self.request(Method::HEAD, Some(blob), "")?;
        self.finish(request, now)
    }

    /// Put Blob: writes a whole block blob in one request.
    pub fn put_block_blob(
        &self,
        now: Timestamp,
        blob: &str,
        content_type: &str,
        body: Bytes,
        conditions: &Conditions,
    ) -> Result<Request<Bytes>, RequestError> {
        let mut request = self.request(Method::PUT, Some(blob), "")?;
        set(
            &mut request,
            HeaderName::from_static("x-ms-blob-type"),
            "BlockBlob",
            "x-ms-blob-type",
        )?;
        set(
            &mut request,
            HeaderName::from_static("x-ms-blob-content-type"),
            content_type,
            "content type",
        )?;
        apply(&mut request, conditions)?;
        *request.body_mut() = body;
        self.finish(request, now)
    }

    /// Put Block: stages one block. `id`: 1 to 64 bytes, the same length for all blocks of a blob; it is sent as
    /// base64, and returned so by Get Block List.
    pub fn put_block(
        &self,
        now: Timestamp,
        blob: &str,
        id: &[u8],
        body: Bytes,
    ) -> Result<Request<Bytes>, RequestError> {
        let query = format!("comp=block&blockid={}", encode_query(&STANDARD.encode(id)));
        let mut request = self.request(Method::PUT, Some(blob), &query)?;
        *request.body_mut() = body;
        self.finish(request, now)
    }

    /// Put Block List: the blob becomes the blocks `ids` (raw, as given to [`Self::put_block`]), in this order.
    pub fn put_block_list(
        &self,
        now: Timestamp,
        blob: &str,
        ids: &[Vec<u8>],
        content_type: &str,
        conditions: &Conditions,
    ) -> Result<Request<Bytes>, RequestError> {
        let mut request = self.request(Method::PUT, Some(blob), "comp=blocklist")?;
        set(
            &mut request,
            HeaderName::from_static("x-ms-blob-content-type"),
            content_type,
            "content type",
        )?;
        set(
            &mut request,
            CONTENT_TYPE,
            "application/xml",
            "Content-Type",
        )?;
        apply(&mut request, conditions)?;
        let blocks: Vec<BlockRef> = ids
            .iter()
            .map(|id| BlockRef {
                source: BlockSource::Latest,
                id: STANDARD.encode(id),
            })
            .collect();
        *request.body_mut() = write_block_list(&blocks).into();
        self.finish(request, now)
    }

    /// Get Block List, committed and uncommitted.
    pub fn get_block_list(
        &self,
        now: Timestamp,
        blob: &str,
    ) -> Result<Request<Bytes>, RequestError> {
        let request = self.request(Method::GET, Some(blob), "comp=blocklist&blocklisttype=all")?;
        self.finish(request, now)
    }

    /// Delete Blob.
    pub fn delete(
        &self,
        now: Timestamp,
        blob: &str,
        if_match: Option<&str>,
    ) -> Result<Request<Bytes>, RequestError> {
        let mut request = self.request(Method::DELETE, Some(blob), "")?;
        if let Some(etag) = if_match {
            set(&mut request, IF_MATCH, etag, "If-Match")?;
        }
        self.finish(request, now)
    }

    /// List Blobs, one page.
    pub fn list(&self, now: Timestamp, list: &List<'_>) -> Result<Request<Bytes>, RequestError> {
        let mut query = String::from("restype=container&comp=list");
        let max = list.max_results.map(|n| n.to_string());
        let prefix = Some(list.prefix).filter(|prefix| !prefix.is_empty());
        let options = [
            ("prefix", prefix),
            ("delimiter", list.delimiter),
            ("marker", list.marker),
            ("maxresults", max.as_deref()),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                query.push('&');
                query.push_str(name);
                query.push('=');
                query.push_str(&encode_query(value));
            }
        }
        let request = self.request(Method::GET, None, &query)?;
        self.finish(request, now)
    }

    /// Create Container.
    pub fn create_container(&self, now: Timestamp) -> Result<Request<Bytes>, RequestError> {
        let request = self.request(Method::PUT, None, "restype=container")?;
        self.finish(request, now)
    }

    /// Delete Container, with everything in it.
    pub fn delete_container(&self, now: Timestamp) -> Result<Request<Bytes>, RequestError> {
        let request = self.request(Method::DELETE, None, "restype=container")?;
        self.finish(request, now)
    }

    fn request(
        &self,
        method: Method,
        blob: Option<&str>,
        query: &str,
    ) -> Result<Request<Bytes>, RequestError> {
        let mut target = match blob {
            Some(blob) => {
                check_blob(blob)?;
                self.blob_url(blob)
            }
            None => self.url.clone(),
        };
        let sas = match &self.auth {
            Auth::Sas(sas) => sas.clone(),
            Auth::Renewed(sas) => sas.get(),
            Auth::SharedKey { .. } | Auth::None => String::new(),
        };
        for part in [query, &sas].into_iter().filter(|part| !part.is_empty()) {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(part);
        }
        let uri: Uri = target.parse().map_err(|_| RequestError::Url)?;
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        set(
            &mut request,
            HeaderName::from_static("x-ms-version"),
            API_VERSION,
            "x-ms-version",
        )?;
        Ok(request)
    }

    /// Sets the length of a body and signs. Must come last.
    fn finish(
        &self,
        mut request: Request<Bytes>,
        now: Timestamp,
    ) -> Result<Request<Bytes>, RequestError> {
        if request.method() == Method::PUT {
            let len = HeaderValue::from(request.body().len());
            request.headers_mut().insert(CONTENT_LENGTH, len);
        }
        if let Auth::SharedKey { account, key } = &self.auth {
            shared_key::sign(&mut request, account, key, now).map_err(|_| RequestError::Url)?;
        }
        Ok(request)
    }
}

fn apply(request: &mut Request<Bytes>, conditions: &Conditions) -> Result<(), RequestError> {
    if let Some(etag) = &conditions.if_match {
        set(request, IF_MATCH, etag, "If-Match")?;
    }
    if let Some(etag) = &conditions.if_none_match {
        set(request, IF_NONE_MATCH, etag, "If-None-Match")?;
    }
    Ok(())
}

fn set(
    request: &mut Request<Bytes>,
    name: HeaderName,
    value: &str,
    what: &'static str,
) -> Result<(), RequestError> {
    let value = HeaderValue::from_str(value).map_err(|_| RequestError::Header(what))?;
    request.headers_mut().insert(name, value);
    Ok(())
}

#[cfg(test)]
#[path = "container_tests.rs"]
mod tests;
