//! Directory pages: 128 entries of 40 bytes and a CRC-32.

use std::ops::Range;

use headwater_bmff::write::SegmentSample;

use super::bytes::{checked, push_crc};
use super::{ENTRIES_PER_PAGE, IndexHead, SegmentEntry, SegmentOrigin, TrackHead};
use crate::CmafError;

/// Reads a directory page.
///
/// `bytes`: what the index holds at [`TrackHead::page_range`].
/// Errors: `Damaged` if the checksum fails or the entries do not tile.
pub fn parse_page(
    head: &IndexHead,
    track: &TrackHead,
    page: u32,
    bytes: &[u8],
) -> Result<Vec<SegmentEntry>, CmafError> {
    let part = "a directory page";
    let expected = track
        .page_range(page)
        .map(|range| range.end.saturating_sub(range.start));
    if expected != u64::try_from(bytes.len()).ok() {
        return Err(CmafError::damaged("a directory page of another length"));
    }
    let mut fields = checked(bytes, part)?;
    let first = page.saturating_mul(ENTRIES_PER_PAGE);
    let count = track.entries_of_page(page);
    let place = usize::try_from(page).unwrap_or(usize::MAX);
    let mut next_start = track.page_first_times.get(place).copied();
    let mut entries = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for number in (first..).take(usize::try_from(count).unwrap_or(0)) {
        let start = fields.u64()?;
        let record = fields.u64()?;
        let media = fields.u64()?;
        let duration = u64::from(fields.u32()?);
        let response_len = u64::from(fields.u32()?);
        let record_len = u64::from(fields.u32()?);
        let sample_count = fields.u32()?;
        let samples = range(record, record_len, head.index_len);
        let samples = samples.ok_or_else(|| fields.damaged("points past the end of the index"))?;
        let stored = match track.origin {
            SegmentOrigin::Packaged | SegmentOrigin::Archived => None,
            SegmentOrigin::Stored => {
                let stored = range(media, response_len, head.source.len);
                Some(
                    stored
                        .ok_or_else(|| fields.damaged("points past the end of the media file"))?,
                )
            }
        };
        // What an archive has lost is missing between two entries, never in front of a page's first.
        let tiles = match next_start {
            Some(next) if track.origin == SegmentOrigin::Archived && !entries.is_empty() => {
                start >= next
            }
            next => next == Some(start),
        };
        if !tiles || duration == 0 {
            return Err(fields.damaged("has entries that do not tile"));
        }
        next_start = start.checked_add(duration);
        entries.push(SegmentEntry {
            number,
            start,
            duration,
            response_len,
            record: match stored {
                Some(_) => samples.start..samples.start,
                None => samples.clone(),
            },
            samples,
            sample_count,
            reordering: track.reordering,
            stored,
            own_object: track.origin == SegmentOrigin::Archived,
        });
    }
    Ok(entries)
}

fn range(start: u64, len: u64, limit: u64) -> Option<Range<u64>> {
    let end = start.checked_add(len).filter(|end| *end <= limit)?;
    Some(start..end)
}

/// An entry to be written.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) start: u64,
    pub(super) duration: u32,
    pub(super) response_len: u32,
    /// Of it, what goes before the second sample.
    pub(super) opening_len: u32,
    /// Where the segment (stored) or its first sample (packaged) begins in the media file.
    pub(super) media: u64,
    pub(super) sample_count: u32,
    /// A sample is presented before the first; see [`leads`].
    pub(super) leads: bool,
    /// Bytes of its record.
    pub(super) record_len: u32,
}

/// Of `response_len` bytes, what goes before the second of `samples`.
pub(super) fn opening_len(response_len: u32, samples: &[SegmentSample]) -> u32 {
    let behind = samples.iter().skip(1);
    behind.fold(response_len, |len, sample| len.saturating_sub(sample.size))
}

/// Whether one of `samples` is presented before the first of them.
pub(super) fn leads(samples: &[SegmentSample]) -> bool {
    let first = samples.first().map_or(0, |sample| i64::from(sample.cto));
    let mut decoded = 0_i64;
    samples.iter().any(|sample| {
        let presented = decoded.saturating_add(sample.cto.into());
        decoded = decoded.saturating_add(sample.duration.into());
        presented < first
    })
}

/// Appends the directory of `entries`; records follow each other from `record_at` on. Returns where they end.
pub(super) fn push_directory(out: &mut Vec<u8>, entries: &[Entry], record_at: u64) -> u64 {
    let mut record_at = record_at;
    for page in entries.chunks(usize::try_from(ENTRIES_PER_PAGE).unwrap_or(1)) {
        let from = out.len();
        for entry in page {
            out.extend_from_slice(&entry.start.to_le_bytes());
            out.extend_from_slice(&record_at.to_le_bytes());
            out.extend_from_slice(&entry.media.to_le_bytes());
            for field in [
                entry.duration,
                entry.response_len,
                entry.record_len,
                entry.sample_count,
            ] {
                out.extend_from_slice(&field.to_le_bytes());
            }
            record_at = record_at.saturating_add(u64::from(entry.record_len));
        }
        push_crc(out, from);
    }
    record_at
}
