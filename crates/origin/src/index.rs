//! Packaging indexes: found beside the media, checked against it, or built from it.
//!
//! An index is read as its head (with whatever else the first read brought), and later single blocks: a directory
//! page, a record. The cost of none of these grows with the media. An index that is missing, damaged or of another
//! state of the media is built anew by reading the media's movie header through range requests, and stored for all
//! others ([`build`]); a store that does not take it costs the next instance the same again, nothing more.

mod ahead;
mod archive;
mod build;
mod stored;

pub(crate) use archive::{archive_folder, archive_header, fragment_names};

use crate::cache::Cache;
use crate::error::{Code, Kind, OriginError};
use crate::ports::{ObjectInfo, Storage, StorageError};
use bytes::Bytes;
use headwater_cmaf::index::{IndexHead, SegmentEntry, TrackHead, blob_name, parse_page};
use jiff::{SignedDuration, Timestamp};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use stored::{NoHead, read_head};

/// How long an index is used before its media file is looked at again.
const TTL: SignedDuration = SignedDuration::from_secs(5);
/// How long a file that cannot be packaged is not tried again: the same bytes would fail in the same way, at the cost of
/// reading them.
const REFUSAL_TTL: SignedDuration = SignedDuration::from_secs(60);
/// Room for what is known of such files.
const REFUSAL_BYTES: usize = 64 * 1024;
/// Blocks larger than this are not kept: whole directories of long files, which end up in a kept playlist anyway.
const MAX_KEPT_BLOCK_BYTES: usize = 64 * 1024;

/// An index that fits its media file.
#[derive(Debug)]
pub(crate) struct LoadedIndex {
    /// The media file, relative to the asset.
    pub(crate) file: String,
    head: IndexHead,
    /// The first bytes of the index; all of it if it could not be stored.
    prefix: Bytes,
    /// Entity tag of the stored index.
    etag: Option<String>,
}

impl LoadedIndex {
    pub(crate) fn head(&self) -> &IndexHead {
        &self.head
    }

    /// Entity tag of the media file that it was built from.
    pub(crate) fn source_etag(&self) -> &str {
        &self.head.source.etag
    }

    fn cost_bytes(&self) -> usize {
        let tracks = self.head.tracks.iter().map(|t| {
            t.init
                .len()
                .saturating_add(t.page_first_times.len().saturating_mul(8))
                .saturating_add(256)
        });
        tracks.fold(self.prefix.len(), usize::saturating_add)
    }
}

/// What there is of a media file.
pub(crate) enum Found {
    /// An index that fits it.
    Index(Arc<LoadedIndex>),
    /// The file alone; its index has to be built.
    MediaOnly {
        info: ObjectInfo,
        /// Entity tag of a stored index that is of no use.
        useless: Option<String>,
    },
}

/// How much a request trusts what the instance remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// What was true seconds ago will do.
    Remembered,
    /// The store has just contradicted it: look again.
    Looked,
}

/// The indexes of all assets that an instance has served.
pub(crate) struct Indexes {
    loaded: Cache<Arc<LoadedIndex>>,
    blocks: Cache<Bytes>,
    /// Why the index of a media file in one state could not be built.
    refusals: Cache<OriginError>,
    /// Builds that are going on.
    ///
    /// Requests that need the same index each build it, and all write the same bytes. They do not wait for one
    /// another: a task of a component cannot be woken by another one (`wit-bindgen` panics on it unless built with
    /// `inter-task-wakeup`).
    builds: AtomicUsize,
}

/// When a segment plays: what manifests need of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentTime {
    /// Ticks of the track.
    pub(crate) start: u64,
    /// Ticks to the start of the next segment.
    pub(crate) duration: u64,
}

/// A media file of an asset: where it is, and what it is called in caches.
pub(crate) struct MediaFile<'a, L> {
    pub(crate) at: &'a L,
    /// See [`crate::Published::place`].
    pub(crate) place: &'a str,
    pub(crate) file: &'a str,
}

impl<L> MediaFile<'_, L> {
    fn key(&self) -> String {
        format!("{}\n{}", self.place, self.file)
    }
}

impl Indexes {
    pub(crate) fn new(loaded_bytes: usize, block_bytes: usize) -> Self {
        Self {
            loaded: Cache::new(loaded_bytes),
            blocks: Cache::new(block_bytes),
            refusals: Cache::new(REFUSAL_BYTES),
            builds: AtomicUsize::new(0),
        }
    }

    /// The index of a media file, if it is remembered or stored.
    ///
    /// Errors: 404 if there is no such file, and what storage says.
    pub(crate) async fn find<S: Storage>(
        &self,
        storage: &S,
        media: &MediaFile<'_, S::Location>,
        now: Timestamp,
        freshness: Freshness,
        log: fn(&str),
    ) -> Result<Found, OriginError> {
        let key = media.key();
        if freshness == Freshness::Remembered
            && let Some(index) = self.loaded.get(&key, now)
        {
            return Ok(Found::Index(index));
        }
        if freshness == Freshness::Remembered
            && let Some(index) = self.loaded.stale(&key)
        {
            let info = storage.head(media.at, media.file).await;
            if fits(index.head(), &info.map_err(storage_error)?) {
                self.remember(&key, &index, now);
                return Ok(Found::Index(index));
            }
        }
        let found = self.look(storage, media, log).await?;
        if let Found::Index(index) = &found {
            self.remember(&key, index, now);
        }
        Ok(found)
    }

    fn remember(&self, key: &str, index: &Arc<LoadedIndex>, now: Timestamp) {
        self.loaded.put(
            key,
            Arc::clone(index),
            index.cost_bytes(),
            now.checked_add(TTL).ok(),
        );
    }

    async fn look<S: Storage>(
        &self,
        storage: &S,
        media: &MediaFile<'_, S::Location>,
        log: fn(&str),
    ) -> Result<Found, OriginError> {
        let name = blob_name(media.file);
        // Both are needed nearly always, so they travel together.
        let (info, stored) = futures::join!(
            storage.head(media.at, media.file),
            read_head(storage, media.at, &name)
        );
        let info = info.map_err(storage_error)?;
        let useless = match stored {
            Ok((head, prefix, etag)) if fits(&head, &info) => {
                return Ok(Found::Index(Arc::new(LoadedIndex {
                    file: media.file.to_owned(),
                    head,
                    prefix,
                    etag: Some(etag),
                })));
            }
            Ok((_, _, etag)) => {
                log("a packaging index is of another state of its media file; building it again");
                Some(etag)
            }
            Err(NoHead::Storage(StorageError::NotFound)) => None,
            Err(NoHead::Storage(
                error @ (StorageError::Unavailable(_) | StorageError::PermissionDenied(_)),
            )) => {
                return Err(storage_error(error));
            }
            Err(NoHead::Storage(error)) => {
                log(&format!(
                    "a packaging index cannot be read: {error}; building it again"
                ));
                // An empty one, for instance.
                let there = storage.head(media.at, &name).await;
                there.ok().map(|info| info.etag)
            }
            Err(NoHead::Damaged { fault, etag }) => {
                log(&format!(
                    "a packaging index is not usable: {fault}; building it again"
                ));
                Some(etag)
            }
        };
        Ok(Found::MediaOnly { info, useless })
    }

    /// Builds the index of a media file in the state of `info`, and stores it in place of the `useless` one that was
    /// found. Of several instances that build at the same time the first one stores it and the others take what it
    /// stored: were each to store its own, the bytes would stay the same and the entity tag that readers hold would not.
    ///
    /// A request builds one at a time: what it has in memory then is one movie header, however many files the asset
    /// has, and every file that is done is stored should a later one fail.
    ///
    /// Errors: 415 if the file is not something that can be packaged, and what storage says.
    pub(crate) async fn build<S: Storage>(
        &self,
        storage: &S,
        media: &MediaFile<'_, S::Location>,
        info: &ObjectInfo,
        useless: Option<&str>,
        now: Timestamp,
        log: fn(&str),
    ) -> Result<Arc<LoadedIndex>, OriginError> {
        let state = format!("{}\n{}", media.key(), info.etag);
        if let Some(refusal) = self.refusals.get(&state, now) {
            return Err(refusal);
        }
        let permit = build::Permit::take(&self.builds)?;
        let built = match archive_folder(media.file) {
            Some(folder) => {
                let archive = archive::Archive {
                    storage,
                    media,
                    folder,
                    info,
                };
                archive.build(useless, log).await
            }
            None => build::build(storage, media, info, useless, log).await,
        };
        drop(permit);
        if let Err(refusal) = &built
            && refusal.code().kind() == Kind::UnsupportedMedia
        {
            let until = now.checked_add(REFUSAL_TTL).ok();
            let bytes = refusal.log_line().len();
            self.refusals.put(&state, refusal.clone(), bytes, until);
        }
        let index = built?;
        let index = Arc::new(index);
        self.remember(&media.key(), &index, now);
        Ok(index)
    }

    /// Bytes of an index.
    ///
    /// Errors: `StorageError::Changed` (as 503) if the index was replaced since it was loaded.
    pub(crate) async fn block<S: Storage>(
        &self,
        storage: &S,
        media: &MediaFile<'_, S::Location>,
        index: &LoadedIndex,
        range: Range<u64>,
        now: Timestamp,
    ) -> Result<Bytes, OriginError> {
        let len = range.end.saturating_sub(range.start);
        if len == 0 {
            return Ok(Bytes::new());
        }
        if let (Ok(start), Ok(end)) = (usize::try_from(range.start), usize::try_from(range.end))
            && start <= end
            && end <= index.prefix.len()
        {
            return Ok(index.prefix.slice(start..end));
        }
        let Some(etag) = &index.etag else {
            return Err(OriginError::new(
                Code::Internal,
                "the packaging index is shorter than it says",
            ));
        };
        let key = format!("{}\n{etag}\n{}\n{len}", media.key(), range.start);
        if let Some(bytes) = self.blocks.get(&key, now) {
            return Ok(bytes);
        }
        let name = blob_name(media.file);
        let read = storage
            .read_same(media.at, &name, range, etag)
            .await
            .map_err(|error| match error {
                // Replaced or cleaned away under us; a second look puts that right.
                StorageError::NotFound
                | StorageError::Changed
                | StorageError::RangeNotSatisfiable => {
                    self.loaded.remove(&media.key());
                    OriginError::new(
                        Code::StorageServerBusy,
                        "the packaging index is being replaced",
                    )
                    .because(error)
                }
                other => storage_error(other),
            })?;
        if u64::try_from(read.len()) != Ok(len) {
            return Err(OriginError::new(
                Code::StorageUnexpected,
                "the packaging index is cut short",
            ));
        }
        if read.len() <= MAX_KEPT_BLOCK_BYTES {
            self.blocks.put(&key, read.clone(), read.len(), None);
        }
        Ok(read)
    }

    /// The segment that starts at `time`.
    ///
    /// Errors: 404 `MPE_FRAGMENT_TIMESTAMP_NOT_FOUND` if none does.
    pub(crate) async fn segment<S: Storage>(
        &self,
        storage: &S,
        media: &MediaFile<'_, S::Location>,
        index: &LoadedIndex,
        track: &TrackHead,
        time: u64,
        now: Timestamp,
    ) -> Result<SegmentEntry, OriginError> {
        let none = || {
            OriginError::new(
                Code::FragmentTimestampNotFound,
                "no segment of the track starts at this time",
            )
        };
        let page = track.page_of_time(time).ok_or_else(none)?;
        let range = track.page_range(page).ok_or_else(none)?;
        let bytes = self.block(storage, media, index, range, now).await?;
        let entries = parse_page(index.head(), track, page, &bytes).map_err(damaged)?;
        entries
            .into_iter()
            .find(|e| e.start == time)
            .ok_or_else(none)
    }

    /// When the segments of a track play, in order.
    pub(crate) async fn directory<S: Storage>(
        &self,
        storage: &S,
        media: &MediaFile<'_, S::Location>,
        index: &LoadedIndex,
        track: &TrackHead,
        now: Timestamp,
    ) -> Result<Vec<SegmentTime>, OriginError> {
        let all = track.directory_range();
        let bytes = self.block(storage, media, index, all.clone(), now).await?;
        let mut times =
            Vec::with_capacity(usize::try_from(track.segment_count).unwrap_or_default());
        for page in 0..track.page_count() {
            let range = track
                .page_range(page)
                .ok_or_else(|| damaged("it has fewer pages than it says"))?;
            let part =
                |at: u64| usize::try_from(at.saturating_sub(all.start)).unwrap_or(usize::MAX);
            let bytes = bytes
                .get(part(range.start)..part(range.end))
                .unwrap_or_default();
            let entries = parse_page(index.head(), track, page, bytes).map_err(damaged)?;
            times.extend(entries.iter().map(|e| SegmentTime {
                start: e.start,
                duration: e.duration,
            }));
        }
        Ok(times)
    }
}

fn fits(head: &IndexHead, info: &ObjectInfo) -> bool {
    head.source.etag == info.etag && head.source.len == info.len
}

fn damaged(cause: impl std::fmt::Display) -> OriginError {
    OriginError::new(Code::Internal, "the packaging index is damaged").because(cause)
}

/// Storage's failure in the words of the streaming endpoint.
pub(crate) fn storage_error(error: StorageError) -> OriginError {
    let (code, detail) = match &error {
        StorageError::NotFound => (
            Code::ResourceNotFound,
            "a file of the asset is not in its storage",
        ),
        StorageError::Changed | StorageError::RangeNotSatisfiable => (
            Code::StorageServerBusy,
            "a file of the asset is being replaced",
        ),
        StorageError::PermissionDenied(_) => (
            Code::StorageAuthentication,
            "storage refuses access to the asset",
        ),
        StorageError::Unavailable(_) => (Code::StorageServerBusy, "storage is not available"),
        StorageError::Media(_) => (
            Code::InvalidVideoNalUnit,
            "the pictures are not what the file says they are, so they cannot be encrypted",
        ),
        StorageError::Unexpected(_) => {
            (Code::StorageUnexpected, "storage gave an unexpected answer")
        }
    };
    OriginError::new(code, detail).because(error)
}
