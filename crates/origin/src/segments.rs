//! A track's segments and samples, by their place or their time, from its packaging index.
//!
//! None of what a single segment needs costs more the longer the track is; [`TrackReader::all`] and what it is made of do.

use crate::error::{Code, OriginError};
use crate::filter::Spanning;
use crate::index::{Indexes, LoadedIndex, MediaFile, SegmentTime, archive_folder, storage_error};
use crate::ports::Storage;
use bytes::Bytes;
use headwater_bmff::write::SegmentSample;
use headwater_cmaf::index::record::{self, Opening};
use headwater_cmaf::index::{
    ENTRIES_PER_PAGE, IndexHead, SegmentEntry, SegmentSamples, TrackHead, parse_page,
};
use headwater_plan::Object;
use jiff::Timestamp;
use std::borrow::Cow;
use std::ops::Range;

/// Most bytes of records that are read at once: those of a day and a half of pictures.
const MAX_RECORDS_BYTES: u64 = 24 << 20;

/// One track, and where to read of it.
pub(crate) struct TrackReader<'a, S: Storage> {
    pub(crate) indexes: &'a Indexes,
    pub(crate) storage: &'a S,
    pub(crate) media: MediaFile<'a, S::Location>,
    pub(crate) index: &'a LoadedIndex,
    pub(crate) head: &'a TrackHead,
    pub(crate) now: Timestamp,
}

impl Spanning for SegmentEntry {
    fn time(&self) -> SegmentTime {
        SegmentTime {
            start: self.start,
            duration: self.duration,
        }
    }
}

impl<S: Storage> TrackReader<'_, S> {
    /// The segment that starts at `time`.
    ///
    /// Errors: 404 `MPE_FRAGMENT_TIMESTAMP_NOT_FOUND` if none does.
    pub(crate) async fn at(&self, time: u64) -> Result<SegmentEntry, OriginError> {
        self.indexes
            .segment(
                self.storage,
                &self.media,
                self.index,
                self.head,
                time,
                self.now,
            )
            .await
    }

    /// The name of the object that holds the samples of a segment.
    pub(crate) fn object_name<'n>(
        &'n self,
        entry: &SegmentEntry,
        samples: &SegmentSamples,
    ) -> Cow<'n, str> {
        match (&samples.etag, archive_folder(self.media.file)) {
            (Some(_), Some(folder)) => Cow::Owned(format!("{folder}/{}", entry.start)),
            _ => Cow::Borrowed(self.media.file),
        }
    }

    /// The object that holds the samples of a segment.
    pub(crate) fn object(
        &self,
        entry: &SegmentEntry,
        samples: &SegmentSamples,
    ) -> Result<Object, OriginError> {
        let name = self.object_name(entry, samples);
        let etag = samples.etag.as_deref();
        let etag = etag.unwrap_or(self.index.source_etag());
        self.storage
            .object(self.media.at, &name, etag)
            .map_err(storage_error)
    }

    async fn page(&self, page: u32) -> Result<Vec<SegmentEntry>, OriginError> {
        let Some(range) = self.head.page_range(page) else {
            return Ok(Vec::new());
        };
        let bytes = self.block(range).await?;
        parse_page(self.index.head(), self.head, page, &bytes).map_err(damaged)
    }

    async fn block(&self, range: Range<u64>) -> Result<Bytes, OriginError> {
        self.indexes
            .block(self.storage, &self.media, self.index, range, self.now)
            .await
    }

    /// The segments with these numbers, as far as there are any.
    pub(crate) async fn numbered(
        &self,
        numbers: Range<u32>,
    ) -> Result<Vec<SegmentEntry>, OriginError> {
        let end = numbers.end.min(self.head.segment_count);
        let mut found = Vec::new();
        let mut next = numbers.start;
        while next < end {
            let page = next.checked_div(ENTRIES_PER_PAGE).unwrap_or_default();
            let entries = self.page(page).await?;
            let before = found.len();
            found.extend(
                entries
                    .into_iter()
                    .filter(|e| (next..end).contains(&e.number)),
            );
            if found.len() == before {
                return Err(damaged("a directory page has other segments"));
            }
            next = page.saturating_add(1).saturating_mul(ENTRIES_PER_PAGE);
        }
        Ok(found)
    }

    /// Where the segment after `entry` starts; `None` after the last.
    pub(crate) async fn next_start(
        &self,
        entry: &SegmentEntry,
    ) -> Result<Option<u64>, OriginError> {
        let next = entry.number.saturating_add(1);
        if next >= self.head.segment_count {
            return Ok(None);
        }
        if !entry.own_object {
            return Ok(Some(entry.start.saturating_add(entry.duration)));
        }
        // There may be a gap between them.
        let found = self.numbered(next..next.saturating_add(1)).await?;
        Ok(found.first().map(|next| next.start))
    }

    /// The segments that have a part of `time`, ticks of the track.
    pub(crate) async fn during(&self, time: Range<u64>) -> Result<Vec<SegmentEntry>, OriginError> {
        let mut found = Vec::new();
        let Some(mut page) = self.head.page_of_time(time.start.max(self.head.start)) else {
            return Ok(found);
        };
        while page < self.head.page_count() {
            let entries = self.page(page).await?;
            let past = entries.last().is_none_or(|last| last.start >= time.end);
            found.extend(
                entries.into_iter().filter(|e| {
                    e.start < time.end && e.start.saturating_add(e.duration) > time.start
                }),
            );
            if past {
                break;
            }
            page = page.saturating_add(1);
        }
        Ok(found)
    }

    /// All segments.
    pub(crate) async fn all(&self) -> Result<Vec<SegmentEntry>, OriginError> {
        let whole = self.head.directory_range();
        let bytes = self.block(whole.clone()).await?;
        let mut found = Vec::new();
        for page in 0..self.head.page_count() {
            let range = self.head.page_range(page).unwrap_or_default();
            let part =
                |at: u64| usize::try_from(at.saturating_sub(whole.start)).unwrap_or(usize::MAX);
            let bytes = bytes.get(part(range.start)..part(range.end));
            let entries = parse_page(
                self.index.head(),
                self.head,
                page,
                bytes.unwrap_or_default(),
            );
            found.extend(entries.map_err(damaged)?);
        }
        Ok(found)
    }

    /// The samples of a segment, and where their bytes are.
    pub(crate) async fn samples(
        &self,
        entry: &SegmentEntry,
    ) -> Result<SegmentSamples, OriginError> {
        let record = self.block(entry.samples.clone()).await?;
        record::decode(self.index.head(), entry, &record).map_err(damaged)
    }

    /// The records of neighbouring segments, with one read.
    ///
    /// Errors: 415 if they are too many.
    pub(crate) async fn records(
        &self,
        entries: &[SegmentEntry],
    ) -> Result<Records<'_>, OriginError> {
        let start = entries.iter().map(|e| e.samples.start).min();
        let end = entries.iter().map(|e| e.samples.end).max();
        let (start, end) = start.zip(end).unwrap_or_default();
        if end.saturating_sub(start) > MAX_RECORDS_BYTES {
            return Err(OriginError::new(
                Code::OutputFormatNotSupported,
                "the track is too long for a list of its key frames",
            ));
        }
        let bytes = match start < end {
            true => self.block(start..end).await?,
            false => Bytes::new(),
        };
        Ok(Records {
            head: self.index.head(),
            start,
            bytes,
        })
    }
}

/// Records of segments as the index has them. They are taken apart one by one: the samples of twelve hours are too many at once.
pub(crate) struct Records<'a> {
    head: &'a IndexHead,
    /// Where in the index they begin.
    start: u64,
    bytes: Bytes,
}

impl Records<'_> {
    fn of(&self, entry: &SegmentEntry) -> &[u8] {
        let at =
            |offset: u64| usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let range = at(entry.samples.start)..at(entry.samples.end);
        self.bytes.get(range).unwrap_or_default()
    }

    /// The samples of a segment.
    pub(crate) fn samples(&self, entry: &SegmentEntry) -> Result<SegmentSamples, OriginError> {
        record::decode(self.head, entry, self.of(entry)).map_err(damaged)
    }

    /// How the media of a segment begins.
    pub(crate) fn opening(&self, entry: &SegmentEntry) -> Result<Opening, OriginError> {
        record::opening(entry, self.of(entry)).map_err(damaged)
    }
}

/// The first sample of a segment, which is shown for as long as the segment lasts.
///
/// Errors: 404 if there is none that decodes by itself.
pub(crate) fn first_picture(
    duration: u64,
    samples: &SegmentSamples,
) -> Result<SegmentSamples, OriginError> {
    let first = samples.samples.first().filter(|sample| sample.sync);
    let first = first.ok_or_else(|| {
        OriginError::new(
            Code::FragmentTimestampNotFound,
            "the segment does not begin with a key frame",
        )
    })?;
    Ok(SegmentSamples {
        samples: vec![SegmentSample {
            duration: u32::try_from(duration).unwrap_or(u32::MAX),
            ..*first
        }],
        ranges: cut(&samples.ranges, 0..first.size.into()),
        etag: samples.etag.clone(),
    })
}

/// The bytes `part` of what `ranges` are together.
pub(crate) fn cut(ranges: &[Range<u64>], part: Range<u64>) -> Vec<Range<u64>> {
    let mut at: u64 = 0;
    let mut kept = Vec::new();
    for range in ranges {
        let begin = at;
        at = at.saturating_add(range.end.saturating_sub(range.start));
        let from = part.start.max(begin).saturating_sub(begin);
        let to = part.end.min(at).saturating_sub(begin);
        if from < to {
            kept.push(range.start.saturating_add(from)..range.start.saturating_add(to));
        }
    }
    kept
}

pub(crate) fn damaged(cause: impl std::fmt::Display) -> OriginError {
    OriginError::new(Code::Internal, "the packaging index is damaged").because(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_of_ranges_are_those_bytes(lens in proptest::collection::vec(1u64..50, 1..8), a in 0u64..200, b in 0u64..200) {
            let mut at = 7;
            let ranges: Vec<Range<u64>> = lens.iter().map(|len| { at += 100; at..at + len }).collect();
            let bytes: Vec<u64> = ranges.iter().cloned().flatten().collect();
            let (from, to) = (a.min(b), a.max(b));
            let expected: Vec<u64> = (0u64..).zip(bytes).filter(|(n, _)| (from..to).contains(n)).map(|(_, b)| b).collect();
            let got: Vec<u64> = cut(&ranges, from..to).into_iter().flatten().collect();
            prop_assert_eq!(got, expected);
        }
    }
}
