//! Indexes of archived live tracks: a folder of objects, one a fragment.
//!
//! Every fragment's movie fragment header is read once, some at a time. The names come by pages and only they are held;
//! of what was read there are notes. An archive of a day takes longer than a request may, so every few thousand fragments
//! the notes are stored: the next request goes on from there.
//!
//! An archive does not change but by losing its oldest fragments. Its index is that of a state of its movie header.

use super::build::{refused, settle};
use super::{LoadedIndex, MediaFile, damaged, storage_error};
use crate::error::{Code, OriginError};
use crate::ports::{ObjectInfo, Storage, StorageError};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use headwater_cmaf::CmafError;
use headwater_cmaf::index::{
    ARCHIVE_HEADER, ArchiveBuilder, FragmentStep, HeadParse, MAX_FRAGMENTS, NotedFragment,
    SourceId, blob_name, parse_head,
};

/// Largest movie header.
const MAX_HEADER_BYTES: u64 = 1 << 20;
/// First read of a fragment: holds the movie fragment header of two seconds, and of a short fragment everything.
const FIRST_READ_BYTES: u64 = 16 << 10;
/// Largest object of notes.
const MAX_NOTES_BYTES: u64 = 48 << 20;
/// Largest read of a fragment.
const MAX_READ_BYTES: u64 = 1 << 20;
/// Fragments that are read at a time.
const AT_A_TIME: usize = 16;
/// Fragments between two times that the notes are stored: some seconds of reading.
const CHECKPOINT: usize = 2048;

/// The name of an archived track's movie header, which stands for the track as a media file does.
pub(crate) fn archive_header(folder: &str) -> String {
    format!("{folder}/{ARCHIVE_HEADER}")
}

/// The folder whose movie header `file` is; `None` for media files.
pub(crate) fn archive_folder(file: &str) -> Option<&str> {
    file.strip_suffix(ARCHIVE_HEADER)?.strip_suffix('/')
}

/// Starts of all fragments in a folder, ascending: names that are decimal numbers as they are written.
///
/// Errors: 415 for too many, and what storage says.
pub(crate) async fn fragment_names<S: Storage>(
    storage: &S,
    at: &S::Location,
    folder: &str,
) -> Result<Vec<u64>, OriginError> {
    let mut starts: Vec<u64> = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        let page = storage.list_page(at, folder, marker.as_deref());
        let (names, next) = page.await.map_err(storage_error)?;
        let numbers = names.iter().filter_map(|name| {
            let start = name.parse::<u64>().ok()?;
            (start.to_string() == *name).then_some(start)
        });
        starts.extend(numbers);
        if starts.len() > MAX_FRAGMENTS {
            return Err(OriginError::new(
                Code::FormatNotSupported,
                "the archive has too many fragments",
            ));
        }
        match next {
            Some(next) => marker = Some(next),
            None => break,
        }
    }
    starts.sort_unstable();
    starts.dedup();
    Ok(starts)
}

/// A folder of fragments.
pub(super) struct Archive<'a, S: Storage> {
    pub(super) storage: &'a S,
    /// Its movie header.
    pub(super) media: &'a MediaFile<'a, S::Location>,
    pub(super) folder: &'a str,
    /// State of the movie header.
    pub(super) info: &'a ObjectInfo,
}

/// What has become of a fragment.
enum Read {
    Fragment(NotedFragment, String),
    Unreadable(String),
    /// It is not there any more.
    Gone,
}

impl<S: Storage> Archive<'_, S> {
    /// Builds the index and stores it in place of the `useless` one.
    ///
    /// Errors: 415 if nothing can be packaged, and what storage says.
    pub(super) async fn build(
        &self,
        useless: Option<&str>,
        log: fn(&str),
    ) -> Result<LoadedIndex, OriginError> {
        let at = self.media.at;
        let header = self
            .storage
            .read(
                at,
                self.media.file,
                0..MAX_HEADER_BYTES,
                Some(&self.info.etag),
            )
            .await
            .map_err(|error| match error {
                StorageError::RangeNotSatisfiable => {
                    OriginError::new(Code::FormatNotSupported, "the header of the track is empty")
                }
                other => storage_error(other),
            })?;
        let source = SourceId {
            etag: self.info.etag.clone(),
            len: self.info.len,
        };
        let mut builder = ArchiveBuilder::new(header.bytes, source).map_err(refused)?;
        let names = fragment_names(self.storage, self.media.at, self.folder).await?;
        let notes = self.notes_name();
        let mut noted = None;
        if names.len() > CHECKPOINT
            && let Ok((bytes, etag)) = self.whole(&notes).await
        {
            noted = Some(etag);
            // Notes of another state are of no use.
            let _ = builder.resume(&bytes);
        }
        let left = names.partition_point(|name| builder.last().is_some_and(|last| *name <= last));
        let left = names.get(left..).unwrap_or_default();
        let mut rest = left.chunks(CHECKPOINT).peekable();
        while let Some(chunk) = rest.next() {
            self.take(chunk, &mut builder).await?;
            if rest.peek().is_some() {
                let state = Bytes::from(builder.state());
                let put = self.storage.put(at, &notes, state, noted.as_deref());
                match put.await {
                    Ok(etag) => noted = Some(etag),
                    // Somebody else is at it, too, or may write here and we may not.
                    Err(error) => log(&format!(
                        "{}: notes could not be stored: {error}",
                        self.folder
                    )),
                }
            }
        }
        let (index, remarks) = builder.finish().map_err(refused)?;
        for remark in remarks {
            log(&format!("{}: {remark}", self.folder));
        }
        let whole = Bytes::from(index);
        let head = match parse_head(&whole).map_err(damaged)? {
            HeadParse::Complete(head) => head,
            HeadParse::NeedMore(_) => return Err(damaged("it is cut short")),
        };
        for warning in &head.warnings {
            log(&format!("{}: {warning}", self.folder));
        }
        let name = blob_name(self.media.file);
        let written = self.storage.put(at, &name, whole.clone(), useless).await;
        if written.is_ok()
            && let Some(noted) = noted
        {
            // There is no removing; what is empty costs nothing.
            let _ = self
                .storage
                .put(at, &notes, Bytes::new(), Some(&noted))
                .await;
        }
        let bytes = (head, whole.clone(), Some(whole));
        settle(self.storage, self.media, self.info, written, bytes, log).await
    }

    fn notes_name(&self) -> String {
        format!("{}.notes", blob_name(self.media.file))
    }

    async fn whole(&self, name: &str) -> Result<(Bytes, String), StorageError> {
        let read = self
            .storage
            .read(self.media.at, name, 0..MAX_NOTES_BYTES, None);
        read.await.map(|read| (read.bytes, read.etag))
    }

    /// Reads fragments and notes them.
    async fn take(&self, starts: &[u64], builder: &mut ArchiveBuilder) -> Result<(), OriginError> {
        let mut done: Vec<(u64, Read)> = Vec::with_capacity(starts.len());
        {
            let builder: &ArchiveBuilder = builder;
            let reads = starts
                .iter()
                .map(|start| async move { (*start, self.fragment(*start, builder).await) });
            let mut reads = stream::iter(reads).buffered(AT_A_TIME);
            while let Some((start, read)) = reads.next().await {
                done.push((start, read?));
            }
        }
        for (start, read) in done {
            match read {
                Read::Fragment(fragment, etag) => builder.push(start, &etag, &fragment),
                Read::Unreadable(why) => builder.skip(start, &why),
                Read::Gone => Ok(()),
            }
            .map_err(refused)?;
        }
        Ok(())
    }

    async fn fragment(&self, start: u64, builder: &ArchiveBuilder) -> Result<Read, OriginError> {
        let name = format!("{}/{start}", self.folder);
        let first = self
            .storage
            .read(self.media.at, &name, 0..FIRST_READ_BYTES, None);
        let first = match first.await {
            Ok(first) => first,
            Err(StorageError::NotFound) => return Ok(Read::Gone),
            Err(StorageError::RangeNotSatisfiable) => {
                return Ok(Read::Unreadable("it is empty".to_owned()));
            }
            Err(error) => return Err(storage_error(error)),
        };
        let mut reader = builder.reader(first.total_len);
        loop {
            match reader.step() {
                Ok(FragmentStep::Need { offset, len }) => {
                    let end = offset.saturating_add(len);
                    let fed = if let Some(bytes) = slice(&first.bytes, offset, end) {
                        reader.feed(offset, bytes)
                    } else if len > MAX_READ_BYTES {
                        return Ok(Read::Unreadable("its header is too large".to_owned()));
                    } else {
                        let range = offset..end;
                        let read =
                            self.storage
                                .read(self.media.at, &name, range, Some(&first.etag));
                        reader.feed(offset, read.await.map_err(storage_error)?.bytes)
                    };
                    if let Err(fault) = fed {
                        return Ok(Read::Unreadable(fault.to_string()));
                    }
                }
                Ok(FragmentStep::Done(fragment)) => {
                    return Ok(Read::Fragment(fragment, first.etag));
                }
                Err(CmafError::NoMedia) => {
                    return Ok(Read::Unreadable("it has no samples".to_owned()));
                }
                Err(fault) => return Ok(Read::Unreadable(fault.to_string())),
            }
        }
    }
}

fn slice(bytes: &Bytes, from: u64, to: u64) -> Option<Bytes> {
    let (from, to) = (usize::try_from(from).ok()?, usize::try_from(to).ok()?);
    (from <= to && to <= bytes.len()).then(|| bytes.slice(from..to))
}
