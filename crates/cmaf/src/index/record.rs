//! Records: the samples of one segment and where their bytes are. From them the origin makes `moof`, and any other
//! format that needs single samples (encryption, MPEG-2 TS, Smooth Streaming).
//!
//! Numbers are varints (seven bits a byte, the lowest first), signed ones zigzag coded:
//!
//! ```text
//! number of samples
//! number of byte runs, then per run: signed distance from the end of the previous run (the first: from 0) | length
//! durations:           runs of (count, duration)
//! composition offsets: runs of (count, signed offset), to each of which the track's reordering is added
//! sync flags:          runs of (count), alternating, the first of sync samples (possibly 0)
//! sizes:               one per sample
//! u32 CRC-32 of what precedes
//! ```
//!
//! The record of a segment that has an object of its own begins with the length of that object's entity tag, and the tag.

use std::ops::Range;

use headwater_bmff::write::SegmentSample;

use super::bytes::{Fields, checked, push_crc, push_signed, push_varint};
use super::{IndexHead, SegmentEntry};
use crate::CmafError;
use crate::track_file::SegmentRecord;

/// The samples of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentSamples {
    /// In decode order.
    pub samples: Vec<SegmentSample>,
    /// Ranges of the media file that hold the samples' bytes one after the other; adjacent ones are merged. Of the segment's
    /// own object, if [`SegmentEntry::own_object`] is set.
    pub ranges: Vec<Range<u64>>,
    /// Entity tag of that object.
    pub etag: Option<String>,
}

/// Reads the record of `entry`.
///
/// `bytes`: what the index holds at [`SegmentEntry::samples`].
/// Errors: `Damaged` if the checksum fails, or the record does not match its entry or the media file.
pub fn decode(
    head: &IndexHead,
    entry: &SegmentEntry,
    bytes: &[u8],
) -> Result<SegmentSamples, CmafError> {
    let mut fields = checked(bytes, "a record")?;
    let etag = match entry.own_object {
        true => Some(decode_tag(&mut fields)?),
        false => None,
    };
    let count = fields.varint_u32()?;
    if count != entry.sample_count {
        return Err(fields.damaged("has another number of samples than its entry"));
    }
    let runs = decode_ranges(&mut fields)?;
    let mut samples = decode_samples(&mut fields, count)?;
    for sample in &mut samples {
        let cto = sample.cto.checked_add_unsigned(entry.reordering);
        sample.cto =
            cto.ok_or_else(|| fields.damaged("holds a composition offset past 32 bits"))?;
    }
    let sizes = samples.iter().fold(0_u64, |sum, sample| {
        sum.saturating_add(u64::from(sample.size))
    });
    let mut covered: u64 = 0;
    for range in &runs {
        covered = covered.saturating_add(range.end.saturating_sub(range.start));
        if range.end > head.source.len && !entry.own_object {
            return Err(fields.damaged("points past the end of the media file"));
        }
    }
    if covered != sizes {
        return Err(fields.damaged("has byte runs of another length than its samples"));
    }
    Ok(SegmentSamples {
        samples,
        ranges: runs,
        etag,
    })
}

/// Where the first sample of a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Bytes of the first sample.
    pub first: u32,
    /// Bytes of all samples.
    pub media: u64,
}

/// Reads of the record of `entry` how its media begins, without taking the samples apart: of a playlist of key frames a track
/// has many records.
///
/// `bytes`: what the index holds at [`SegmentEntry::samples`].
/// Errors: `Damaged` if the checksum fails, or what is read makes no sense.
pub fn opening(entry: &SegmentEntry, bytes: &[u8]) -> Result<Opening, CmafError> {
    let mut fields = checked(bytes, "a record")?;
    if entry.own_object {
        decode_tag(&mut fields)?;
    }
    let count = fields.varint()?;
    let runs = decode_ranges(&mut fields)?;
    let media = runs.iter().fold(0_u64, |sum, run| {
        sum.saturating_add(run.end.saturating_sub(run.start))
    });
    pass(&mut fields, count, |fields| fields.varint().map(|_| ()))?;
    pass(&mut fields, count, |fields| {
        fields.varint_signed().map(|_| ())
    })?;
    pass(&mut fields, count, |_| Ok(()))?;
    let first = match count {
        0 => 0,
        _ => fields.varint_u32()?,
    };
    if u64::from(first) > media {
        return Err(fields.damaged("has byte runs of another length than its samples"));
    }
    Ok(Opening { first, media })
}

/// Steps over runs of (count, value) of `count` samples.
fn pass(
    fields: &mut Fields<'_>,
    count: u64,
    mut value: impl FnMut(&mut Fields<'_>) -> Result<(), CmafError>,
) -> Result<(), CmafError> {
    let mut left = count;
    while left > 0 {
        let run = fields.varint()?;
        value(fields)?;
        left = left
            .checked_sub(run)
            .ok_or_else(|| fields.damaged("has a run past its samples"))?;
    }
    Ok(())
}

/// `etag`: of the segment's own object, if it has one.
pub(super) fn encode(
    samples: &[SegmentSample],
    ranges: &[Range<u64>],
    etag: Option<&str>,
) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(etag) = etag {
        push_varint(&mut out, length(etag.len()));
        out.extend_from_slice(etag.as_bytes());
    }
    encode_body(&mut out, samples, ranges);
    push_crc(&mut out, 0);
    out
}

pub(super) fn encode_body(out: &mut Vec<u8>, samples: &[SegmentSample], ranges: &[Range<u64>]) {
    push_varint(out, length(samples.len()));
    push_varint(out, length(ranges.len()));
    let mut end: u64 = 0;
    for range in ranges {
        // Both lie below 2^63: they are offsets in a file.
        let distance = i128::from(range.start).saturating_sub(i128::from(end));
        push_signed(out, i64::try_from(distance).unwrap_or(i64::MAX));
        push_varint(out, range.end.saturating_sub(range.start));
        end = range.end;
    }
    encode_samples(out, samples);
}

/// What [`encode_body`] wrote; nothing may follow it.
pub(super) fn decode_body(
    fields: &mut Fields<'_>,
) -> Result<(Vec<SegmentSample>, Vec<Range<u64>>), CmafError> {
    let count = fields.varint_u32()?;
    let ranges = decode_ranges(fields)?;
    Ok((decode_samples(fields, count)?, ranges))
}

/// An entity tag behind its length.
pub(super) fn decode_tag(fields: &mut Fields<'_>) -> Result<String, CmafError> {
    let len = usize::try_from(fields.varint()?).unwrap_or(usize::MAX);
    let tag = std::str::from_utf8(fields.take(len)?).map(str::to_owned);
    tag.map_err(|_| fields.damaged("holds text that is none"))
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn decode_ranges(fields: &mut Fields<'_>) -> Result<Vec<Range<u64>>, CmafError> {
    let count = fields.varint()?;
    let mut ranges = Vec::new();
    let mut end: u64 = 0;
    for _ in 0..count {
        let distance = fields.varint_signed()?;
        let length = fields.varint()?;
        let start = end.checked_add_signed(distance);
        let range = start.and_then(|start| Some(start..start.checked_add(length)?));
        let range = range.ok_or_else(|| fields.damaged("points outside 64 bits"))?;
        end = range.end;
        ranges.push(range);
    }
    Ok(ranges)
}

/// Samples without their number, which precedes them elsewhere.
pub(super) fn encode_samples(out: &mut Vec<u8>, samples: &[SegmentSample]) {
    for run in samples.chunk_by(|a, b| a.duration == b.duration) {
        push_varint(out, length(run.len()));
        push_varint(out, run.first().map_or(0, |sample| sample.duration.into()));
    }
    for run in samples.chunk_by(|a, b| a.cto == b.cto) {
        push_varint(out, length(run.len()));
        push_signed(out, run.first().map_or(0, |sample| sample.cto.into()));
    }
    if samples.first().is_some_and(|first| !first.sync) {
        push_varint(out, 0);
    }
    for run in samples.chunk_by(|a, b| a.sync == b.sync) {
        push_varint(out, length(run.len()));
    }
    for sample in samples {
        push_varint(out, sample.size.into());
    }
}

pub(super) fn decode_samples(
    fields: &mut Fields<'_>,
    count: u32,
) -> Result<Vec<SegmentSample>, CmafError> {
    // Every size takes a byte at least, so the bytes there are bound what is allocated.
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > fields.remaining() {
        return Err(fields.damaged("is cut off"));
    }
    let blank = SegmentSample {
        size: 0,
        duration: 0,
        cto: 0,
        sync: true,
    };
    let mut samples = vec![blank; count];
    fill(fields, &mut samples, |fields| {
        let duration = fields.varint_u32()?;
        Ok(move |sample: &mut SegmentSample| sample.duration = duration)
    })?;
    fill(fields, &mut samples, |fields| {
        let cto = i32::try_from(fields.varint_signed()?)
            .map_err(|_| fields.damaged("holds a composition offset past 32 bits"))?;
        Ok(move |sample: &mut SegmentSample| sample.cto = cto)
    })?;
    let mut sync = false;
    fill(fields, &mut samples, |_| {
        sync = !sync;
        let sync = sync;
        Ok(move |sample: &mut SegmentSample| sample.sync = sync)
    })?;
    for sample in &mut samples {
        sample.size = fields.varint_u32()?;
    }
    if fields.remaining() > 0 {
        return Err(fields.damaged("is too long"));
    }
    Ok(samples)
}

/// Applies runs of (count, value) to `samples` until all have one.
fn fill<S: Fn(&mut SegmentSample)>(
    fields: &mut Fields<'_>,
    mut samples: &mut [SegmentSample],
    mut value: impl FnMut(&mut Fields<'_>) -> Result<S, CmafError>,
) -> Result<(), CmafError> {
    while !samples.is_empty() {
        let count = usize::try_from(fields.varint()?).unwrap_or(usize::MAX);
        let set = value(fields)?;
        let split = samples.split_at_mut_checked(count);
        let (run, rest) = split.ok_or_else(|| fields.damaged("has a run past its samples"))?;
        run.iter_mut().for_each(set);
        samples = rest;
    }
    Ok(())
}

/// A [`SegmentRecord`]: start, header length, number of samples, samples, CRC-32.
pub(crate) fn encode_segment(segment: &SegmentRecord) -> Vec<u8> {
    let mut out = Vec::new();
    push_varint(&mut out, segment.start);
    push_varint(&mut out, segment.header_len.into());
    push_varint(&mut out, length(segment.samples.len()));
    encode_samples(&mut out, &segment.samples);
    push_crc(&mut out, 0);
    out
}

pub(crate) fn decode_segment(bytes: &[u8]) -> Result<SegmentRecord, CmafError> {
    let mut fields = checked(bytes, "a checkpointed segment")?;
    let start = fields.varint()?;
    let header_len = fields.varint_u32()?;
    let count = fields.varint_u32()?;
    Ok(SegmentRecord {
        start,
        header_len,
        samples: decode_samples(&mut fields, count)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples() -> impl Strategy<Value = Vec<SegmentSample>> {
        let sample = (any::<u32>(), 0u32..3, -2i32..3, any::<bool>());
        let sample = sample.prop_map(|(size, duration, cto, sync)| SegmentSample {
            size,
            duration,
            cto,
            sync,
        });
        proptest::collection::vec(sample, 1..100)
    }

    proptest! {
        #[test]
        fn a_checkpointed_segment_comes_back(start: u64, header_len: u32, samples in samples()) {
            let segment = SegmentRecord { start, header_len, samples };
            prop_assert_eq!(SegmentRecord::from_bytes(&segment.to_bytes()).unwrap(), segment);
        }

        #[test]
        fn a_segment_opens_with_its_first_sample(
            samples in samples(),
            lens in proptest::collection::vec(1u64..500, 0..4),
            etag in proptest::option::of("[a-z]{0,9}"),
        ) {
            let mut samples = samples;
            let media: u64 = lens.iter().sum();
            // Sizes that come to what the runs have.
            let mut left = media;
            let last = samples.len() - 1;
            for (at, sample) in samples.iter_mut().enumerate() {
                let size = if at == last { left } else { u64::from(sample.size) % (left + 1) };
                sample.size = size as u32;
                left -= size;
            }
            let ranges: Vec<Range<u64>> = (0_u64..).zip(&lens).map(|(n, len)| n * 1000..n * 1000 + len).collect();
            let bytes = encode(&samples, &ranges, etag.as_deref());
            let mut entry = SegmentEntry::without_index(0, 0, 1, samples.len() as u32);
            entry.own_object = etag.is_some();
            let opening = opening(&entry, &bytes).unwrap();
            prop_assert_eq!(opening, Opening { first: samples[0].size, media });
        }

        #[test]
        fn records_behind_a_good_checksum_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..60), own: bool) {
            push_crc(&mut bytes, 0);
            let mut entry = SegmentEntry::without_index(0, 0, 1, 1);
            entry.own_object = own;
            let _ = opening(&entry, &bytes);
        }

        #[test]
        fn damage_is_an_error(samples in samples(), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = SegmentRecord { start: 1, header_len: 2, samples }.to_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(SegmentRecord::from_bytes(&bytes).is_err());
        }

        #[test]
        fn numbers_behind_a_good_checksum_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            push_crc(&mut bytes, 0);
            let _ = SegmentRecord::from_bytes(&bytes);
        }
    }
}
