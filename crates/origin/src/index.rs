//! Packaging indexes: found beside the media, checked against it, or built from it.
//!
//! An index is read as its head (with whatever else the first read brought), and later single blocks: a directory
//! page, a record. The cost of none of these grows with the media. An index that is missing, damaged or of another
//! state of the media is built anew by reading the media's movie header through range requests, and stored for all
//! others; a store that does not take it costs the next instance the same again, nothing more.

use crate::cache::Cache;
use crate::error::{Code, Kind, OriginError};
use crate::ports::{ObjectInfo, Storage, StorageError};
use bytes::{Bytes, BytesMut};
use headwater_bmff::{Limits, MovieReader, Step};
use headwater_cmaf::CmafError;
use headwater_cmaf::index::{
    HeadParse, IndexHead, SegmentEntry, SourceId, TrackHead, blob_name, build_from_movie,
    parse_head, parse_page,
};
use jiff::{SignedDuration, Timestamp};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// First read of an index: holds the head of nearly every file, and all of a short one's index.
const FIRST_READ_BYTES: u64 = 16 * 1024;
/// Largest head that is asked for after the first read.
const MAX_HEAD_BYTES: u64 = 16 << 20;
/// Largest single read while an index is built.
const BUILD_READ_BYTES: u64 = 4 << 20;
/// What is read of a media file to build its index: of a progressive one about eight hours of picture and sound with
/// everything listed sample by sample. An instance has 128 MiB. While the movie header is read it takes four times its
/// size at most, afterwards the tables stay and the index takes 50 MiB at most on top of them.
const LIMITS: Limits = Limits {
    moov_bytes: 16 << 20,
    moof_bytes: 4 << 20,
    samples: 1 << 23,
    table_bytes: 48 << 20,
    top_level_boxes: 1 << 18,
    window_bytes: 64 << 10,
};
/// How long an index is used before its media file is looked at again.
const TTL: SignedDuration = SignedDuration::from_secs(5);
/// Most requests of one instance that build at a time, one index each: a build holds a whole movie header in memory.
const MAX_BUILDS: usize = 4;
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

/// The right to build, given back when dropped.
struct BuildPermit<'a>(&'a AtomicUsize);

impl<'a> BuildPermit<'a> {
    fn take(builds: &'a AtomicUsize) -> Result<Self, OriginError> {
        let taken = builds.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |going_on| {
            going_on.checked_add(1).filter(|sum| *sum <= MAX_BUILDS)
        });
        match taken {
            Ok(_) => Ok(Self(builds)),
            Err(_) => Err(OriginError::new(
                Code::StorageServerBusy,
                "the asset is being prepared for streaming",
            )),
        }
    }
}

impl Drop for BuildPermit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
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
        let found = self.look(storage, media, &key, freshness, log).await?;
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
        key: &str,
        freshness: Freshness,
        log: fn(&str),
    ) -> Result<Found, OriginError> {
        let remembered = self
            .loaded
            .stale(key)
            .filter(|_| freshness == Freshness::Remembered);
        if let Some(index) = remembered {
            let info = storage
                .head(media.at, media.file)
                .await
                .map_err(storage_error)?;
            if fits(index.head(), &info) {
                return Ok(Found::Index(index));
            }
        }
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
        let permit = BuildPermit::take(&self.builds)?;
        let built = build(storage, media, info).await;
        drop(permit);
        if let Err(refusal) = &built
            && refusal.code().kind() == Kind::UnsupportedMedia
        {
            let until = now.checked_add(REFUSAL_TTL).ok();
            let bytes = refusal.log_line().len();
            self.refusals.put(&state, refusal.clone(), bytes, until);
        }
        let built = built?;
        let head = complete_head(&built)?;
        let name = blob_name(media.file);
        let index = match storage.put(media.at, &name, built.clone(), useless).await {
            Ok(etag) => {
                let first = usize::try_from(FIRST_READ_BYTES)
                    .unwrap_or(usize::MAX)
                    .min(built.len());
                LoadedIndex {
                    file: media.file.to_owned(),
                    head,
                    prefix: Bytes::copy_from_slice(built.get(..first).unwrap_or_default()),
                    etag: Some(etag),
                }
            }
            Err(error) => {
                let theirs = match &error {
                    StorageError::Changed => read_head(storage, media.at, &name).await.ok(),
                    _ => None,
                };
                match theirs {
                    Some((head, prefix, etag)) if fits(&head, info) => LoadedIndex {
                        file: media.file.to_owned(),
                        head,
                        prefix,
                        etag: Some(etag),
                    },
                    _ => {
                        log(&format!("a packaging index could not be stored: {error}"));
                        LoadedIndex {
                            file: media.file.to_owned(),
                            head,
                            prefix: built,
                            etag: None,
                        }
                    }
                }
            }
        };
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
            .read(media.at, &name, range, Some(etag))
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
        if u64::try_from(read.bytes.len()) != Ok(len) {
            return Err(OriginError::new(
                Code::StorageUnexpected,
                "the packaging index is cut short",
            ));
        }
        if read.bytes.len() <= MAX_KEPT_BLOCK_BYTES {
            self.blocks
                .put(&key, read.bytes.clone(), read.bytes.len(), None);
        }
        Ok(read.bytes)
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

enum NoHead {
    Storage(StorageError),
    Damaged { fault: String, etag: String },
}

/// The head of a stored index, the bytes that the first read brought, and its entity tag.
async fn read_head<S: Storage>(
    storage: &S,
    at: &S::Location,
    name: &str,
) -> Result<(IndexHead, Bytes, String), NoHead> {
    let first = storage
        .read(at, name, 0..FIRST_READ_BYTES, None)
        .await
        .map_err(NoHead::Storage)?;
    let mut bytes = first.bytes;
    let damaged = |e: &dyn std::fmt::Display| NoHead::Damaged {
        fault: e.to_string(),
        etag: first.etag.clone(),
    };
    for _ in 0..2 {
        match parse_head(&bytes).map_err(|e| damaged(&e))? {
            HeadParse::Complete(head) if head.index_len == first.total_len => {
                return Ok((head, bytes, first.etag.clone()));
            }
            HeadParse::Complete(_) => return Err(damaged(&"its length is not the one it states")),
            HeadParse::NeedMore(len) if len <= MAX_HEAD_BYTES && len <= first.total_len => {
                let read = storage
                    .read(at, name, 0..len, Some(&first.etag))
                    .await
                    .map_err(NoHead::Storage)?;
                bytes = read.bytes;
            }
            HeadParse::NeedMore(_) => break,
        }
    }
    Err(damaged(&"it is cut short"))
}

fn complete_head(index: &Bytes) -> Result<IndexHead, OriginError> {
    match parse_head(index) {
        Ok(HeadParse::Complete(head)) => Ok(head),
        Ok(HeadParse::NeedMore(_)) => Err(damaged("it is cut short")),
        Err(error) => Err(damaged(error)),
    }
}

/// Builds the index of a media file by reading its movie header.
async fn build<S: Storage>(
    storage: &S,
    media: &MediaFile<'_, S::Location>,
    info: &ObjectInfo,
) -> Result<Bytes, OriginError> {
    let mut reader = MovieReader::with_limits(info.len, LIMITS);
    let movie = loop {
        match reader.step().map_err(unpackageable)? {
            Step::Need { offset, len } => {
                let bytes = read_exactly(storage, media, info, offset, len).await?;
                reader.feed(offset, bytes).map_err(unpackageable)?;
            }
            Step::Done(movie) => break movie,
        }
    };
    drop(reader);
    let source = SourceId {
        etag: info.etag.clone(),
        len: info.len,
    };
    build_from_movie(&movie, &source)
        .map(Bytes::from)
        .map_err(|error| match error {
            CmafError::KeyFrameInterval { .. } => {
                OriginError::new(Code::KeyFrameIntervalTooLarge, error.to_string())
            }
            other => unpackageable(other),
        })
}

/// Reads `len` bytes at `offset` of the media file as it was when `info` was given, in bounded pieces.
async fn read_exactly<S: Storage>(
    storage: &S,
    media: &MediaFile<'_, S::Location>,
    info: &ObjectInfo,
    offset: u64,
    len: u64,
) -> Result<Bytes, OriginError> {
    let end = offset.saturating_add(len);
    let mut at = offset;
    // Room for all of it at once: growing would take as much again while it copies.
    let mut whole = BytesMut::new();
    loop {
        let to = at.saturating_add(BUILD_READ_BYTES).min(end);
        let read = storage
            .read(media.at, media.file, at..to, Some(&info.etag))
            .await
            .map_err(storage_error)?;
        if u64::try_from(read.bytes.len()) != Ok(to.saturating_sub(at)) {
            return Err(OriginError::new(
                Code::StorageUnexpected,
                "the media file is cut short",
            ));
        }
        if at == offset && to == end {
            return Ok(read.bytes);
        }
        whole.reserve(usize::try_from(end.saturating_sub(at)).unwrap_or(0));
        whole.extend_from_slice(&read.bytes);
        at = to;
        if at >= end {
            return Ok(whole.freeze());
        }
    }
}

fn unpackageable(cause: impl std::fmt::Display) -> OriginError {
    OriginError::new(
        Code::FormatNotSupported,
        format!("the stored media cannot be streamed: {cause}"),
    )
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
        StorageError::Unexpected(_) => {
            (Code::StorageUnexpected, "storage gave an unexpected answer")
        }
    };
    OriginError::new(code, detail).because(error)
}
