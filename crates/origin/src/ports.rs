//! What the origin needs from outside: a catalog that resolves locators and a store that holds the assets.

use crate::added::AddedTrack;
use crate::cross_site::CrossSite;
use crate::endpoints::Endpoint;
use crate::filter::Stored;
use crate::live::{Broadcast, Edge};
use crate::protection::Protection;
use bytes::Bytes;
use headwater_plan::{Object, Scan, SubsampleMap};
use jiff::Timestamp;
use std::ops::Range;

/// A streaming locator, with what is needed to serve it. `L`: how the store finds the asset's folder.
#[derive(Debug, Clone)]
pub struct Published<L> {
    /// Not served before (404).
    pub start: Option<Timestamp>,
    /// Not served from here on (410).
    pub end: Option<Timestamp>,
    /// Switched off (404).
    pub suppressed: bool,
    /// The streaming endpoints that run; without one nothing is served (503).
    pub endpoints: Vec<Endpoint>,
    /// What the streaming policy allows in the clear.
    pub protocols: Protocols,
    /// What it allows encrypted.
    pub encrypted: Encrypted,
    /// Names of the locator's own filters. They apply to whatever manifest is asked for.
    pub filters: Vec<String>,
    /// Names the asset's folder in all stores: the key of caches, and what initialisation vectors go by. The same on every
    /// host and at all times, whatever the store's address is. Holds no secret.
    pub place: String,
    /// The asset's folder, with credentials.
    pub location: L,
    /// What records the asset now, if anything does.
    pub live: Option<Broadcast>,
}

/// Protocols that a policy enables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Protocols {
    /// HLS.
    pub hls: bool,
    /// DASH.
    pub dash: bool,
    /// Smooth Streaming.
    pub smooth: bool,
    /// Files as they are stored.
    pub download: bool,
}

/// Protocols that a policy enables, for each way of encrypting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Encrypted {
    /// Whole segments, AES-128.
    pub envelope: Protocols,
    /// Common encryption in counter mode.
    pub cenc: Protocols,
    /// Common encryption in CBC mode with a pattern.
    pub cbcs: Protocols,
}

/// The catalog cannot answer. For the log.
#[derive(Debug, thiserror::Error)]
#[error("the catalog cannot resolve the locator: {0}")]
pub struct CatalogError(pub String);

/// Resolves locators.
#[allow(async_fn_in_trait)] // Guests are single-threaded: a Send bound would shut them out.
pub trait Catalog {
    /// See [`Published`].
    type Location: Clone;

    /// `locator`: a UUID, lower case, with hyphens. Ok `None` if there is no such locator.
    async fn resolve(
        &self,
        locator: &str,
    ) -> Result<Option<Published<Self::Location>>, CatalogError>;

    /// How the locator's media is encrypted, keys included. Ok `None` if there is no such locator. Asked only for URLs that
    /// ask for encryption and that the policy lets have it.
    async fn protection(&self, locator: &str) -> Result<Option<Protection>, CatalogError>;

    /// The filters called `names`, in that order, as the locator's asset and account have them: an asset's own stands in
    /// for one of the account that has the same name. `None` for a name that neither has. What is stored and cannot be applied
    /// is that filter's fault, not the catalog's.
    async fn filters(
        &self,
        locator: &str,
        names: &[String],
    ) -> Result<Vec<Option<Stored>>, CatalogError>;

    /// The tracks that were added to the locator's asset, in the order in which players list them. None if there is no such
    /// locator.
    async fn added_tracks(&self, locator: &str) -> Result<Vec<AddedTrack>, CatalogError>;

    /// The documents of all endpoints that run, of whatever project, and of all live events that do.
    async fn cross_site(&self) -> Result<(Vec<CrossSite>, Vec<CrossSite>), CatalogError>;
}

/// What a store says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Bytes.
    pub len: u64,
    /// With its quotes, as the store wrote it.
    pub etag: String,
    /// When it was written, if the store says so.
    pub last_modified: Option<Timestamp>,
}

/// Part of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRead {
    /// The bytes from the start of the range; fewer than asked for if the object ends first.
    pub bytes: Bytes,
    /// Length of the whole object.
    pub total_len: u64,
    /// Its entity tag, with quotes.
    pub etag: String,
}

/// Why the store did not do what was asked. The text is for the log and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// There is no such object, or no such folder.
    #[error("no such object")]
    NotFound,
    /// The object has changed since `if_match`.
    #[error("the object has changed")]
    Changed,
    /// The range starts at or past the end.
    #[error("the range is outside of the object")]
    RangeNotSatisfiable,
    /// Our credentials are refused.
    #[error("the store refuses our credentials: {0}")]
    PermissionDenied(String),
    /// Overloaded or not reachable; the same call may succeed later.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The media is not what its tables say it is.
    #[error("the media does not parse: {0}")]
    Media(String),
    /// Anything else.
    #[error("the store answered something unexpected: {0}")]
    Unexpected(String),
}

/// Objects in folders. Names are relative to the folder, `/` separates elements.
#[allow(async_fn_in_trait)]
pub trait Storage {
    /// A folder with what it takes to get in.
    type Location;

    /// What the store says of an object.
    async fn head(&self, at: &Self::Location, name: &str) -> Result<ObjectInfo, StorageError>;

    /// Reads `range` (not empty; it may reach past the end). With `if_match`, only if the object still has that
    /// entity tag, else [`StorageError::Changed`].
    async fn read(
        &self,
        at: &Self::Location,
        name: &str,
        range: Range<u64>,
        if_match: Option<&str>,
    ) -> Result<ObjectRead, StorageError>;

    /// Reads a range that is there (not empty, not past the end) of the object with the entity tag `etag`, wherever those bytes are kept.
    async fn read_same(
        &self,
        at: &Self::Location,
        name: &str,
        range: Range<u64>,
        etag: &str,
    ) -> Result<Bytes, StorageError> {
        Ok(self.read(at, name, range, Some(etag)).await?.bytes)
    }

    /// Names of the objects directly in the folder, in name order, at most `limit`.
    async fn list(&self, at: &Self::Location, limit: usize) -> Result<Vec<String>, StorageError>;

    /// Names of the objects directly in `folder`, in name order, without the folder: one page of the listing, from `marker`
    /// on. With it where the next page begins; `None` behind the last.
    async fn list_page(
        &self,
        at: &Self::Location,
        folder: &str,
        marker: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), StorageError>;

    /// Writes a whole object and returns its entity tag: in place of the one with the entity tag `replaces`, or, without
    /// that, only if there is none of this name. Else [`StorageError::Changed`].
    async fn put(
        &self,
        at: &Self::Location,
        name: &str,
        bytes: Bytes,
        replaces: Option<&str>,
    ) -> Result<String, StorageError>;

    /// Keeps a part of a future object `name`. It is part of none until [`Self::commit`], and may be lost if that does
    /// not follow within days. `id`: at most 64 letters, digits and hyphens, of the same length for all parts of an
    /// object; a part of the same name is replaced.
    async fn stage(
        &self,
        at: &Self::Location,
        name: &str,
        id: &str,
        bytes: Bytes,
    ) -> Result<(), StorageError>;

    /// Writes an object from staged parts in the order of `ids`; otherwise as [`Self::put`].
    async fn commit(
        &self,
        at: &Self::Location,
        name: &str,
        ids: &[String],
        replaces: Option<&str>,
    ) -> Result<String, StorageError>;

    /// Which bytes of the samples that `scan` names stay clear, from whoever has them at hand.
    ///
    /// Errors: [`StorageError::Media`] for samples that do not parse.
    async fn scan(&self, scan: &Scan) -> Result<SubsampleMap, StorageError>;

    /// Asks the worker that runs a live event (`headwater_live::edge`). `path`: with its query. Ok `None`: it does not have
    /// that, or not any more.
    ///
    /// Errors: [`StorageError::PermissionDenied`] for another secret, [`StorageError::Unavailable`] if it does not answer.
    async fn ask(&self, edge: &Edge, path: &str) -> Result<Option<Bytes>, StorageError> {
        let _ = (edge, path);
        Err(StorageError::Unavailable("no live edge".to_owned()))
    }

    /// As [`Self::ask`], a range of what is there, which is not empty and does not reach past the end.
    async fn ask_range(
        &self,
        edge: &Edge,
        path: &str,
        range: Range<u64>,
    ) -> Result<Option<Bytes>, StorageError> {
        let whole = self.ask(edge, path).await?;
        whole.map(|whole| part_of(&whole, range)).transpose()
    }

    /// Waits so many milliseconds, where something else than this request makes progress meanwhile.
    async fn pause(&self, ms: u64) {
        let _ = ms;
    }

    /// The object as a plan names it: complete signed URL, and `If-Match` with `etag` unless that is empty.
    fn object(&self, at: &Self::Location, name: &str, etag: &str) -> Result<Object, StorageError>;
}

/// The bytes `range` of a whole object.
///
/// Errors: [`StorageError::RangeNotSatisfiable`].
pub(crate) fn part_of(whole: &Bytes, range: Range<u64>) -> Result<Bytes, StorageError> {
    let outside = |_| StorageError::RangeNotSatisfiable;
    let start = usize::try_from(range.start).map_err(outside)?;
    let end = usize::try_from(range.end).map_err(outside)?;
    match start <= end && end <= whole.len() {
        true => Ok(whole.slice(start..end)),
        false => Err(StorageError::RangeNotSatisfiable),
    }
}
