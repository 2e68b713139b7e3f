//! The index of a CMAF track file as our transcoder writes it: `ftyp moov [sidx] { moof mdat }*`, one segment per
//! `moof`. Built from the records of the segments alone, so that a job resumed from checkpoints needs no media.

use std::borrow::Borrow;
use std::ops::Range;

use bytes::Bytes;
use headwater_bmff::write::segment_header_len;
use headwater_bmff::{TrackConfig, parse_movie};

use super::assemble::{IndexedTrack, Room, assemble};
use super::page::{Entry, leads, opening_len};
use super::{SegmentOrigin, SourceId, record};
use crate::CmafError;
use crate::track_file::{SegmentRecord, sidx_box_len};

/// The index of a track file.
///
/// `init`: the file's init segment. `segments`: all of its segments, in order. Between the two lies the `sidx` of
/// [`TrackFile::sidx`](crate::track_file::TrackFile::sidx).
/// Errors: `BadSegment` if the segments do not tile; `Movie` if the init segment does not parse or has not one track.
pub fn build_from_cmaf(
    init: &[u8],
    segments: &[SegmentRecord],
    source: &SourceId,
) -> Result<Vec<u8>, CmafError> {
    let movie = parse_movie(Bytes::copy_from_slice(init))?;
    let track = <[_; 1]>::try_from(movie.tracks).map_err(|_| CmafError::NoMedia)?;
    let [track] = track;
    let init_len = u64::try_from(init.len()).unwrap_or(u64::MAX);
    let mut at = init_len.saturating_add(sidx_box_len(segments.len()));
    let mut placed = Vec::with_capacity(segments.len());
    for segment in segments {
        let start = at;
        at = at.saturating_add(u64::from(segment.len()));
        placed.push((start..at, segment));
    }
    if at != source.len {
        return Err(CmafError::BadSegment {
            number: u32::try_from(segments.len()).unwrap_or(u32::MAX),
            fault: format!("the file has {} bytes, its parts {at}", source.len),
        });
    }
    let mut records = Vec::new();
    let track = stored_track(
        track.config,
        init.to_vec(),
        placed.into_iter(),
        &mut records,
    )?;
    let mut index = assemble(source, &[track], &[])?;
    index.append(&mut records);
    Ok(index)
}

/// A track whose segments are served as they are stored; their records go to `records`.
pub(super) fn stored_track(
    config: TrackConfig,
    init: Vec<u8>,
    segments: impl Iterator<Item = (Range<u64>, impl Borrow<SegmentRecord>)>,
    records: &mut Vec<u8>,
) -> Result<IndexedTrack, CmafError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut next_start = None;
    let mut room = Room::default();
    for (number, (bytes, segment)) in (0_u32..).zip(segments) {
        let segment: &SegmentRecord = segment.borrow();
        let bad = |fault: &str| CmafError::BadSegment {
            number,
            fault: fault.to_owned(),
        };
        if next_start.is_some_and(|next| next != segment.start) {
            return Err(bad("it does not start where the previous one ends"));
        }
        if segment.header_len != segment_header_len(&segment.samples)? {
            return Err(bad("its header has another length than its samples make"));
        }
        let duration = segment
            .duration()
            .ok_or_else(|| bad("it lasts 2^32 ticks or more"))?;
        let media_at = bytes.start.saturating_add(u64::from(segment.header_len));
        next_start = segment.start.checked_add(u64::from(duration));
        if next_start.is_none() || duration == 0 {
            return Err(bad("its duration is zero or ends past 64 bits"));
        }
        let run = media_at..bytes.end;
        let record = record::encode(&segment.samples, std::slice::from_ref(&run), None);
        let entry = Entry {
            start: segment.start,
            duration,
            response_len: segment.len(),
            opening_len: opening_len(segment.len(), &segment.samples),
            media: bytes.start,
            sample_count: u32::try_from(segment.samples.len()).unwrap_or(u32::MAX),
            leads: leads(&segment.samples),
            record_len: u32::try_from(record.len()).unwrap_or(u32::MAX),
        };
        records.extend_from_slice(&record);
        room.take(config.id, &entry)?;
        entries.push(entry);
    }
    if entries.is_empty() {
        return Err(CmafError::NoMedia);
    }
    Ok(IndexedTrack {
        place: 0,
        config,
        reordering: 0,
        origin: SegmentOrigin::Stored,
        init,
        entries,
    })
}
