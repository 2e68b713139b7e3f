//! Building an index: media bytes in by ranges, the index out in parts.
//!
//! However long the file, a build holds some windows on its movie header, one part of the index and a directory entry
//! for each segment. An index of one part is put at once; the parts of a larger one are staged as they come and become
//! the index together, or not at all.

use super::ahead::Ahead;
use super::stored::{FIRST_READ_BYTES, read_head};
use super::{LoadedIndex, MediaFile, damaged, fits, storage_error};
use crate::error::{Code, OriginError};
use crate::ports::{ObjectInfo, Storage, StorageError};
use bytes::{Bytes, BytesMut};
use headwater_bmff::Limits;
use headwater_cmaf::CmafError;
use headwater_cmaf::index::{
    BuildSizes, BuildStep, HeadParse, IndexBuilder, IndexHead, SourceId, blob_name, parse_head,
};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Largest single read while an index is built.
const READ_BYTES: u64 = 4 << 20;
/// What is read of a media file to build its index. A progressive one is read by windows; of a fragmented one the
/// samples are kept, at 4 to 16 bytes each.
const LIMITS: Limits = Limits {
    moov_bytes: 1 << 30,
    moof_bytes: 4 << 20,
    samples: 1 << 24,
    table_bytes: 48 << 20,
    top_level_boxes: 1 << 18,
    window_bytes: 64 << 10,
};
/// Most requests of one instance that build at a time, one index each.
const MAX_BUILDS: usize = 2;
/// An index that the store does not take is used once and from memory, up to this size.
const MAX_UNSTORED_BYTES: usize = 16 << 20;

/// The right to build, given back when dropped.
pub(super) struct Permit<'a>(&'a AtomicUsize);

impl<'a> Permit<'a> {
    pub(super) fn take(builds: &'a AtomicUsize) -> Result<Self, OriginError> {
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

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Parts on their way to the store.
struct Staging<'a, S: Storage> {
    storage: &'a S,
    at: &'a S::Location,
    name: String,
    /// Names of the parts are those of this state of the media: another build's must not end up in this index.
    prefix: String,
    staged: u32,
    /// The parts themselves while there is but one, or while the store refuses them.
    held: Vec<Bytes>,
    refusal: Option<StorageError>,
}

impl<S: Storage> Staging<'_, S> {
    fn part_name(&self, number: u32) -> String {
        format!("{}-{number:08}", self.prefix)
    }

    async fn take(&mut self, part: Bytes) -> Result<(), OriginError> {
        self.held.push(part);
        if self.held.len() > 1 || self.staged > 0 {
            self.stage().await?;
        }
        Ok(())
    }

    /// Sends off what is held.
    async fn stage(&mut self) -> Result<(), OriginError> {
        for part in std::mem::take(&mut self.held) {
            if self.refusal.is_some() {
                self.held.push(part);
                continue;
            }
            let id = self.part_name(self.staged);
            let sent = self.storage.stage(self.at, &self.name, &id, part.clone());
            match sent.await {
                Ok(()) => self.staged = self.staged.saturating_add(1),
                Err(error) if self.staged > 0 => return Err(storage_error(error)),
                Err(error) => {
                    self.refusal = Some(error);
                    self.held.push(part);
                }
            }
        }
        let held = self
            .held
            .iter()
            .fold(0, |sum: usize, part| sum.saturating_add(part.len()));
        match &self.refusal {
            Some(error) if held > MAX_UNSTORED_BYTES => Err(storage_error(error.clone())),
            _ => Ok(()),
        }
    }
}

/// Builds the index of `media` in the state of `info` and stores it in place of the `useless` one.
///
/// Errors: 415 if the file cannot be packaged, and what storage says.
pub(super) async fn build<S: Storage>(
    storage: &S,
    media: &MediaFile<'_, S::Location>,
    info: &ObjectInfo,
    useless: Option<&str>,
    log: fn(&str),
) -> Result<LoadedIndex, OriginError> {
    let source = SourceId {
        etag: info.etag.clone(),
        len: info.len,
    };
    let mut staging = Staging {
        storage,
        at: media.at,
        name: blob_name(media.file),
        prefix: state_name(&source),
        staged: 0,
        held: Vec::new(),
        refusal: None,
    };
    let mut builder = IndexBuilder::new(source, LIMITS, BuildSizes::default());
    let mut ahead: Option<Ahead<'_, S>> = None;
    let front = loop {
        match builder.step().map_err(refused)? {
            BuildStep::Need { offset, len } => {
                if ahead.is_none() && builder.reads_fragments() {
                    ahead = Some(Ahead::of(storage, media, info).await?);
                }
                let at_hand = match &mut ahead {
                    Some(ahead) => ahead.read(offset, len).await?,
                    None => None,
                };
                let bytes = match at_hand {
                    Some(bytes) => bytes,
                    None => read_exactly(storage, media, info, offset, len).await?,
                };
                builder.feed(offset, bytes).map_err(refused)?;
            }
            BuildStep::Part(part) => staging.take(Bytes::from(part)).await?,
            BuildStep::Done(front) => break Bytes::from(front),
        }
    };
    drop(builder);
    let head = match parse_head(&front).map_err(damaged)? {
        HeadParse::Complete(head) => head,
        HeadParse::NeedMore(_) => return Err(damaged("it is cut short")),
    };
    for warning in &head.warnings {
        log(&format!("{}: {warning}", media.file));
    }
    let name = staging.name.clone();
    let (written, whole) = if staging.staged == 0 {
        let whole = joined(&front, &staging.held);
        let written = match staging.refusal.take() {
            Some(error) => Err(error),
            None => storage.put(media.at, &name, whole.clone(), useless).await,
        };
        (written, Some(whole))
    } else {
        let ids: Vec<String> = (0..staging.staged).map(|n| staging.part_name(n)).collect();
        let first = format!("{}-front000", staging.prefix);
        let ids = [vec![first.clone()], ids].concat();
        let sent = storage.stage(media.at, &name, &first, front.clone()).await;
        let written = match sent {
            Ok(()) => storage.commit(media.at, &name, &ids, useless).await,
            Err(error) => Err(error),
        };
        (written, None)
    };
    settle(storage, media, info, written, (head, front, whole), log).await
}

/// What has become of an index that was written, or not. `front`: its first bytes at least; `whole`: all of it, should it be
/// at hand.
pub(super) async fn settle<S: Storage>(
    storage: &S,
    media: &MediaFile<'_, S::Location>,
    info: &ObjectInfo,
    written: Result<String, StorageError>,
    (head, front, whole): (IndexHead, Bytes, Option<Bytes>),
    log: fn(&str),
) -> Result<LoadedIndex, OriginError> {
    let name = blob_name(media.file);
    let loaded = |prefix: Bytes, etag: Option<String>| LoadedIndex {
        file: media.file.to_owned(),
        head,
        prefix,
        etag,
    };
    let error = match written {
        Ok(etag) => {
            let first = usize::try_from(FIRST_READ_BYTES).unwrap_or(usize::MAX);
            let bytes = whole.as_ref().unwrap_or(&front);
            let prefix = bytes.get(..first.min(bytes.len())).unwrap_or_default();
            return Ok(loaded(Bytes::copy_from_slice(prefix), Some(etag)));
        }
        Err(error) => error,
    };
    // Of several instances that build at the same time the first one stores its index and the others take that.
    if error == StorageError::Changed
        && let Ok((head, prefix, etag)) = read_head(storage, media.at, &name).await
        && fits(&head, info)
    {
        return Ok(LoadedIndex {
            file: media.file.to_owned(),
            head,
            prefix,
            etag: Some(etag),
        });
    }
    log(&format!("a packaging index could not be stored: {error}"));
    match whole {
        Some(whole) => Ok(loaded(whole, None)),
        None => Err(storage_error(error)),
    }
}

fn joined(front: &Bytes, parts: &[Bytes]) -> Bytes {
    let all = parts
        .iter()
        .fold(front.len(), |sum, part| sum.saturating_add(part.len()));
    let mut whole = BytesMut::with_capacity(all);
    whole.extend_from_slice(front);
    for part in parts {
        whole.extend_from_slice(part);
    }
    whole.freeze()
}

/// Names a state of a media file in 16 hexadecimal digits: FNV-1a, which is to keep apart what is not hostile.
fn state_name(source: &SourceId) -> String {
    let bytes = source.etag.bytes().chain(source.len.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Reads `len` bytes at `offset` of the media file as it was when `info` was given, in bounded pieces.
pub(super) async fn read_exactly<S: Storage>(
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
        let to = at.saturating_add(READ_BYTES).min(end);
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

pub(super) fn refused(error: CmafError) -> OriginError {
    match error {
        CmafError::KeyFrameInterval { .. } => {
            OriginError::new(Code::KeyFrameIntervalTooLarge, error.to_string())
        }
        CmafError::Encrypted { .. } => OriginError::new(Code::AlreadyEncrypted, error.to_string()),
        other => OriginError::new(
            Code::FormatNotSupported,
            format!("the stored media cannot be streamed: {other}"),
        ),
    }
}
