//! Text files of assets, read and parsed: subtitles, and what says which part of a sprite sheet is when.
//!
//! The text of a live archive is a folder of fragments. They are read once and joined to one file, which is kept beside the
//! packaging indexes, `{folder}/.headwater/header.text`, and is of one state of the folder's movie header:
//!
//! ```text
//! headwater text 1
//! "entity tag of the movie header", empty without one
//! name of the last fragment that is in it, or `all`
//! the file: the fragments that say something, and at last what they say as WebVTT
//! ```
//!
//! It is safe to delete, and made anew then.

use crate::cache::Cache;
use crate::error::{Code, OriginError};
use crate::index::{Freshness, MediaFile, archive_folder, fragment_names, storage_error};
use crate::ports::{Storage, StorageError};
use crate::presentation::{Grid, TextEntry, TextTrack};
use crate::tag::Tag;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use headwater_cmaf::index::blob_name;
use headwater_text::{MAX_BYTES, Text, archive, thumbnails};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// How long a document is used before its file is looked at again.
const TTL: SignedDuration = SignedDuration::from_secs(5);
/// What a parsed document costs, in sizes of its file: text of its own for every cue.
const COST: usize = 4;

/// Fragments of an archive that are read at a time, and between two times that what they hold is stored.
const AT_A_TIME: usize = 16;
const CHECKPOINT: usize = 2048;
/// Most that the fragments of an archive may hold until they are joined: what is said in some ten hours.
const MAX_JOINED_BYTES: usize = 24 << 20;
/// Largest fragment of text.
const MAX_FRAGMENT_BYTES: u64 = 1 << 20;
const TITLE: &str = "headwater text 1";
/// Stands where the last fragment does, when there is no other.
const ALL: &str = "all";

/// Why a track of text is none whose cues are parts of pictures.
pub(crate) const NO_TEXT: &str = "parts of pictures are no text";

/// A text file in one state.
#[derive(Debug)]
pub(crate) struct Document {
    /// Entity tag of the file.
    pub(crate) etag: String,
    /// Bytes of the file.
    len: usize,
    pub(crate) text: Text,
    /// What the document itself says, BCP-47 or not.
    pub(crate) language: Option<String>,
    /// What it is if its cues are parts of pictures.
    pub(crate) sheets: Option<thumbnails::Track>,
    /// Its times are those of the media, rather than counted from where the presentation starts.
    absolute: bool,
}

impl Document {
    /// Average bit rate, bit/s: a name in URLs.
    pub(crate) fn bitrate(&self) -> u32 {
        let seconds = self.text.end_ms().div_ceil(1000).max(1);
        let bits = u64::try_from(self.len)
            .unwrap_or(u64::MAX)
            .saturating_mul(8);
        u32::try_from(bits.div_ceil(seconds)).unwrap_or(u32::MAX)
    }
}

/// A file in one state, and what came of reading it.
#[derive(Clone)]
struct Known {
    etag: String,
    outcome: Result<Arc<Document>, OriginError>,
}

/// Reads the documents of an asset.
pub(crate) struct Reader<'a, S: Storage> {
    pub(crate) storage: &'a S,
    pub(crate) documents: &'a Documents,
    pub(crate) at: &'a S::Location,
    /// See [`crate::Published::place`].
    pub(crate) place: &'a str,
    pub(crate) now: Timestamp,
    pub(crate) freshness: Freshness,
    pub(crate) log: fn(&str),
}

impl<S: Storage> Reader<'_, S> {
    /// See [`Documents::load`].
    pub(crate) async fn document(&self, file: &str) -> Result<Arc<Document>, OriginError> {
        let media = MediaFile {
            at: self.at,
            place: self.place,
            file,
        };
        self.documents
            .load(self.storage, &media, self.now, self.freshness, self.log)
            .await
    }

    /// The document of a text track: the file, or what was packaged from it where that is all that is left.
    pub(crate) async fn of_entry(&self, entry: &TextEntry) -> Result<Arc<Document>, OriginError> {
        match (self.document(&entry.file).await, &entry.packaged) {
            (Err(error), Some(packaged)) if error.code() == Code::ResourceNotFound => {
                self.document(packaged).await
            }
            (found, _) => found,
        }
    }

    /// Lets a track's document count from where the presentation starts.
    pub(crate) fn place(&self, text: &mut TextTrack, grid: Grid<'_>) {
        let start_ms = grid.clock.zero_ms();
        text.document = self
            .documents
            .placed(self.place, &text.document, start_ms, self.now);
    }
}

/// The documents that an instance has served.
pub(crate) struct Documents {
    known: Cache<Known>,
}

impl Documents {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            known: Cache::new(bytes),
        }
    }

    /// The document in a file.
    ///
    /// Errors: 404 if there is no such file, 415 if it is no text track; and what storage says.
    pub(crate) async fn load<S: Storage>(
        &self,
        storage: &S,
        media: &MediaFile<'_, S::Location>,
        now: Timestamp,
        freshness: Freshness,
        log: fn(&str),
    ) -> Result<Arc<Document>, OriginError> {
        let key = format!("{}\n{}", media.place, media.file);
        if freshness == Freshness::Remembered {
            if let Some(known) = self.known.get(&key, now) {
                return known.outcome;
            }
            if let Some(known) = self.known.stale(&key)
                && state(storage, media).await? == known.etag
            {
                self.keep(&key, &known, now);
                return known.outcome;
            }
        }
        let known = match archive_folder(media.file) {
            Some(folder) => self.read_archive(storage, media, folder, log).await?,
            None => self.read(storage, media, log).await?,
        };
        self.keep(&key, &known, now);
        known.outcome
    }

    /// The document as it counts from where its presentation starts. `start_ms`: that, in the time of the media.
    fn placed(
        &self,
        place: &str,
        document: &Arc<Document>,
        start_ms: u64,
        now: Timestamp,
    ) -> Arc<Document> {
        if !document.absolute || start_ms == 0 {
            return Arc::clone(document);
        }
        let key = format!("{place}\n{}\n{start_ms}", document.etag);
        if let Some(known) = self.known.get(&key, now)
            && known.etag == document.etag
            && let Ok(placed) = known.outcome
        {
            return placed;
        }
        let placed = Arc::new(Document {
            etag: document.etag.clone(),
            len: document.len,
            text: document.text.earlier(start_ms),
            language: document.language.clone(),
            sheets: None,
            absolute: false,
        });
        let known = Known {
            etag: document.etag.clone(),
            outcome: Ok(Arc::clone(&placed)),
        };
        self.keep(&key, &known, now);
        placed
    }

    fn keep(&self, key: &str, known: &Known, now: Timestamp) {
        let bytes = match &known.outcome {
            Ok(document) => document.len.saturating_mul(COST).saturating_add(256),
            Err(_) => 256,
        };
        let until = now.checked_add(TTL).ok();
        self.known.put(key, known.clone(), bytes, until);
    }

    async fn read<S: Storage>(
        &self,
        storage: &S,
        media: &MediaFile<'_, S::Location>,
        log: fn(&str),
    ) -> Result<Known, OriginError> {
        let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
        let read = storage.read(media.at, media.file, 0..limit, None).await;
        let read = match read {
            Ok(read) => read,
            Err(StorageError::RangeNotSatisfiable) => {
                return Err(OriginError::new(
                    Code::FormatNotSupported,
                    "the text file is empty",
                ));
            }
            Err(error) => return Err(storage_error(error)),
        };
        let refuse = |why: String| OriginError::new(Code::FormatNotSupported, why);
        let outcome = if read.total_len > limit {
            Err(refuse(format!("the text file has more than {limit} bytes")))
        } else {
            match Text::parse(&read.bytes) {
                Err(error) => Err(refuse(error.to_string())),
                Ok((text, warnings)) => {
                    for warning in warnings {
                        log(&format!("{}: {warning}", media.file));
                    }
                    Ok(Arc::new(Document {
                        etag: read.etag.clone(),
                        len: read.bytes.len(),
                        language: text.language().map(str::to_owned),
                        sheets: thumbnails::Track::of(text.cues()),
                        text,
                        absolute: false,
                    }))
                }
            }
        };
        Ok(Known {
            etag: read.etag,
            outcome,
        })
    }

    /// The text of an archive: from the file that was joined before, or joined now.
    async fn read_archive<S: Storage>(
        &self,
        storage: &S,
        media: &MediaFile<'_, S::Location>,
        folder: &str,
        log: fn(&str),
    ) -> Result<Known, OriginError> {
        let etag = state(storage, media).await?;
        let refuse = |why: String| OriginError::new(Code::FormatNotSupported, why);
        let outcome = match joined(storage, media, folder, &etag, log).await {
            Ok(file) => match Text::parse(&file) {
                Err(error) => Err(refuse(error.to_string())),
                Ok((text, _)) => {
                    let mut tag = Tag::new();
                    tag.bytes(&file);
                    Ok(Arc::new(Document {
                        etag: tag.finish(),
                        len: file.len(),
                        language: text.language().map(str::to_owned),
                        sheets: None,
                        // Whatever it was, so that it is the same where it is placed.
                        text: text.earlier(0),
                        absolute: true,
                    }))
                }
            },
            Err(error) if error.code() == Code::FormatNotSupported => Err(error),
            Err(error) => return Err(error),
        };
        Ok(Known { etag, outcome })
    }
}

/// The state of a text file: its entity tag. An archive without a movie header has always the same.
async fn state<S: Storage>(
    storage: &S,
    media: &MediaFile<'_, S::Location>,
) -> Result<String, OriginError> {
    match storage.head(media.at, media.file).await {
        Ok(info) => Ok(info.etag),
        Err(StorageError::NotFound) if archive_folder(media.file).is_some() => Ok(String::new()),
        Err(error) => Err(storage_error(error)),
    }
}

/// Name of the joined file of an archive with this movie header.
fn joined_name(header: &str) -> String {
    let index = blob_name(header);
    let stem = index.strip_suffix(".hwx").unwrap_or(&index);
    format!("{stem}.text")
}

/// What is stored of the state `etag`: the last fragment in it, `None` for all of them, and the file. `None` if it is of
/// another state, or none.
fn read_joined(stored: &Bytes, etag: &str) -> Option<(Option<u64>, Bytes)> {
    let mut lines = stored.splitn(4, |byte| *byte == b'\n');
    let ours = lines.next()? == TITLE.as_bytes() && lines.next()? == etag.as_bytes();
    let last = std::str::from_utf8(lines.next().filter(|_| ours)?).ok()?;
    let last = match last {
        ALL => None,
        number => Some(number.parse().ok()?),
    };
    Some((last, stored.slice_ref(lines.next()?)))
}

/// What the fragments of an archive say, as WebVTT in the time of the media.
///
/// Errors: 404 for an empty folder, 415 for more text than is joined, and what storage says.
async fn joined<S: Storage>(
    storage: &S,
    media: &MediaFile<'_, S::Location>,
    folder: &str,
    etag: &str,
    log: fn(&str),
) -> Result<Bytes, OriginError> {
    let (at, name) = (media.at, joined_name(media.file));
    let limit = u64::try_from(MAX_JOINED_BYTES).unwrap_or(u64::MAX);
    let most = limit.saturating_add(4096);
    let (mut replaces, mut begun) = (None, None);
    match storage.read(at, &name, 0..most, None).await {
        Ok(stored) => {
            match read_joined(&stored.bytes, etag) {
                Some((None, file)) => return Ok(file),
                other => begun = other,
            }
            replaces = Some(stored.etag);
        }
        Err(StorageError::NotFound | StorageError::RangeNotSatisfiable) => {}
        Err(error) => return Err(storage_error(error)),
    }
    let header = match storage
        .read(at, media.file, 0..MAX_FRAGMENT_BYTES, None)
        .await
    {
        Ok(read) => read.bytes,
        Err(StorageError::NotFound | StorageError::RangeNotSatisfiable) => Bytes::new(),
        Err(error) => return Err(storage_error(error)),
    };
    let init = archive::init(&header).map_err(|error| {
        OriginError::new(Code::FormatNotSupported, "the text has no place").because(error)
    })?;
    let names = fragment_names(storage, at, folder).await?;
    if names.is_empty() {
        return Err(OriginError::new(
            Code::ResourceNotFound,
            "a folder of the asset has no fragments",
        ));
    }
    let (last, mut file) = match begun {
        Some((last, file)) => (last, file.to_vec()),
        None => (None, init.clone()),
    };
    let left = names.partition_point(|name| last.is_some_and(|last| *name <= last));
    let mut rest = names
        .get(left..)
        .unwrap_or_default()
        .chunks(CHECKPOINT)
        .peekable();
    let mut unread = 0_u32;
    while let Some(starts) = rest.next() {
        let reads = starts.iter().map(|start| async move {
            let name = format!("{folder}/{start}");
            storage.read(at, &name, 0..MAX_FRAGMENT_BYTES, None).await
        });
        let mut reads = stream::iter(reads).buffered(AT_A_TIME);
        while let Some(read) = reads.next().await {
            let read = match read {
                Ok(read) => read.bytes,
                // Archives lose their oldest fragments.
                Err(StorageError::NotFound | StorageError::RangeNotSatisfiable) => continue,
                Err(error) => return Err(storage_error(error)),
            };
            match archive::fragment(&init, &read) {
                Ok(Some(fragment)) => file.extend_from_slice(&fragment),
                Ok(None) => {}
                Err(_) => unread = unread.saturating_add(1),
            }
        }
        if file.len() > MAX_JOINED_BYTES {
            return Err(OriginError::new(
                Code::FormatNotSupported,
                format!("the archive has more than {limit} bytes of text"),
            ));
        }
        let last = match (rest.peek(), starts.last()) {
            (Some(_), Some(last)) => last.to_string(),
            _ => {
                let text = archive::webvtt(&file).map_err(|error| {
                    OriginError::new(Code::FormatNotSupported, error.to_string())
                })?;
                file = text.into_bytes();
                ALL.to_owned()
            }
        };
        let stored = [format!("{TITLE}\n{etag}\n{last}\n").as_bytes(), &file].concat();
        let put = storage.put(at, &name, Bytes::from(stored), replaces.as_deref());
        match put.await {
            Ok(etag) => replaces = Some(etag),
            // Somebody else is at it, too, or may write here and we may not.
            Err(error) => log(&format!("{name} could not be stored: {error}")),
        }
    }
    if unread > 0 {
        log(&format!("{folder}: {unread} fragments are no text"));
    }
    Ok(Bytes::from(file))
}
