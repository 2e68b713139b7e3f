//! Text files of assets, read and parsed: subtitles, and what says which part of a sprite sheet is when.

use crate::cache::Cache;
use crate::error::{Code, OriginError};
use crate::index::{Freshness, MediaFile, storage_error};
use crate::ports::{Storage, StorageError};
use crate::presentation::TextEntry;
use headwater_text::{MAX_BYTES, Text, thumbnails};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// How long a document is used before its file is looked at again.
const TTL: SignedDuration = SignedDuration::from_secs(5);
/// What a parsed document costs, in sizes of its file: text of its own for every cue.
const COST: usize = 4;

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
            if let Some(known) = self.known.stale(&key) {
                let info = storage.head(media.at, media.file).await;
                if info.map_err(storage_error)?.etag == known.etag {
                    self.keep(&key, &known, now);
                    return known.outcome;
                }
            }
        }
        let known = self.read(storage, media, log).await?;
        self.keep(&key, &known, now);
        known.outcome
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
                    }))
                }
            }
        };
        Ok(Known {
            etag: read.etag,
            outcome,
        })
    }
}
