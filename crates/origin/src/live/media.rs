//! A live segment as what the rest of the origin works on: a track's head, and samples with their places.
//!
//! ```text
//! {moof mdat}{moof mdat}...   chunks of a segment, in storage or at the worker
//!   header     media          headers are read, media stays where it is
//! ```
//!
//! Encrypted in place, a segment stays a run of chunks, each with the boxes of its own samples: so a part of low-latency HLS is
//! the same bytes alone and within its segment. One cipher run covers all of it, headers as clear bytes of the sample behind
//! them.

use crate::error::{Code, OriginError};
use crate::language::bcp47;
use crate::shield::unprotectable;
use headwater_bmff::write::SegmentSample;
use headwater_cmaf::index::{SegmentEntry, SegmentSamples, TrackHead, TrackKind};
use headwater_live::chunk::Chunk;
use headwater_live::stream::Kind;
use headwater_live::timeline::{Config, Row, Segment, Track};
use headwater_plan::SubsampleMap;
use headwater_protect::{Cipher, Pattern, ProtectedSegment, Scheme, SegmentProtection, Subsample};
use headwater_time::Timescale;
use std::ops::Range;
use std::sync::Arc;

/// Pictures in a second, at most as many as there usually are: what a container adds to each is announced before any is
/// counted.
const USUAL_RATE: u32 = 60;
/// Pictures' distances are taken to so many parts of a second.
const RATE_STEPS: u32 = 200;

/// A track with one of its init segments.
pub(crate) fn head(track: &Track, config: &Config) -> TrackHead {
    let kind = match track.kind {
        Kind::Video => TrackKind::Video,
        Kind::Audio => TrackKind::Audio,
    };
    let small = |size: u32| u16::try_from(size).unwrap_or(u16::MAX);
    let mut head = TrackHead::without_index(kind, config.timescale, &config.codec, &config.init);
    (head.bitrate, head.peak_bitrate) = (track.bitrate, track.bitrate);
    (head.width, head.height) = (small(config.width), small(config.height));
    (head.sample_rate, head.channels) = (config.sample_rate, config.channels);
    if kind == TrackKind::Video {
        head.frame_rate = (USUAL_RATE, 1);
    }
    head
}

/// What language a track is in, BCP-47.
pub(crate) fn language(track: &Track) -> Option<String> {
    track.language.as_deref().and_then(bcp47)
}

/// The frame rate that a segment's samples have, or a little less: encoders that count milliseconds, and lose a picture now and
/// then, give the same one for all segments.
pub(crate) fn frame_rate<'a>(
    samples: impl Iterator<Item = &'a SegmentSample>,
    scale: Timescale,
) -> (u32, u32) {
    let (ticks, count) = samples.fold((0_u64, 0_u64), |(ticks, count), sample| {
        let ticks = ticks.saturating_add(sample.duration.into());
        (ticks, count.saturating_add(1))
    });
    let step = u64::from(scale.get())
        .checked_div(RATE_STEPS.into())
        .unwrap_or(1)
        .max(1);
    let half = step.checked_div(2).unwrap_or(0);
    let each = ticks.checked_div(count).unwrap_or(0);
    let steps = each
        .saturating_add(half)
        .checked_div(step)
        .unwrap_or(0)
        .saturating_add(1);
    (RATE_STEPS, u32::try_from(steps).unwrap_or(u32::MAX))
}

/// The samples of a whole segment, and where they are in its object.
pub(crate) fn samples(
    row: &Row,
    segment: &Segment,
    chunks: &[Arc<Chunk>],
) -> (SegmentEntry, SegmentSamples) {
    let mut samples: Vec<SegmentSample> = Vec::new();
    let (mut at, mut last) = (0_u64, 0_u64);
    for chunk in chunks {
        // After a hole a chunk begins where it goes on.
        if let Some(before) = samples.last_mut() {
            let lasts = chunk.decode_time.saturating_sub(last);
            before.duration = u32::try_from(lasts).unwrap_or(u32::MAX).max(1);
        }
        at = at.max(chunk.decode_time);
        for sample in &chunk.samples {
            last = at;
            at = at.saturating_add(sample.duration.into());
            samples.push(*sample);
        }
    }
    let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    let number = u32::try_from(row.number & 0x7fff_ffff).unwrap_or(0);
    let entry = SegmentEntry::without_index(number, segment.start, segment.duration.into(), count);
    let samples = SegmentSamples {
        samples,
        ranges: media_ranges(segment),
        etag: None,
    };
    (entry, samples)
}

/// Where the media of a segment's parts is in its object.
pub(crate) fn media_ranges(segment: &Segment) -> Vec<Range<u64>> {
    let parts = (0..segment.parts.len()).zip(&segment.parts);
    let ranges = parts.filter_map(|(number, part)| {
        let range = segment.part_range(number)?;
        Some(range.start.saturating_add(part.header.into())..range.end)
    });
    ranges.collect()
}

/// Chunks whose samples are encrypted.
pub(crate) struct Protected {
    /// What precedes the media of each.
    pub(crate) heads: Vec<Vec<u8>>,
    /// Over everything but the first head.
    pub(crate) cipher: Cipher,
}

/// Encrypts neighbouring chunks. `map`: of all their samples. `first_iv`: of the first sample.
///
/// Errors: 415 for what cannot be encrypted.
pub(crate) fn protect(
    protection: &SegmentProtection,
    chunks: &[Arc<Chunk>],
    map: SubsampleMap,
    first_iv: u64,
) -> Result<Protected, OriginError> {
    let mut heads = Vec::with_capacity(chunks.len());
    let mut all: SubsampleMap = Vec::with_capacity(map.len());
    let mut rest = map.into_iter();
    let mut iv = first_iv;
    for chunk in chunks {
        let own: SubsampleMap = rest.by_ref().take(chunk.samples.len()).collect();
        let count = u64::try_from(own.len()).unwrap_or(u64::MAX);
        let planned = ProtectedSegment::plan(protection, &chunk.header, own, iv, None);
        let planned = planned.map_err(unprotectable)?;
        iv = iv.wrapping_add(count);
        let (Cipher::Ctr { samples, .. } | Cipher::Cbcs { samples, .. }) = planned.cipher else {
            return Err(lost());
        };
        let mut samples = samples.into_iter();
        let first = samples.next().ok_or_else(lost)?;
        match heads.is_empty() {
            true => all.push(first),
            false => {
                let clear = u32::try_from(planned.head.len()).map_err(|_| lost())?;
                let head = Subsample {
                    clear,
                    protected: 0,
                };
                all.push(std::iter::once(head).chain(first).collect());
            }
        }
        all.extend(samples);
        heads.push(planned.head);
    }
    let cipher = match protection.scheme {
        Scheme::Cbcs => Cipher::Cbcs {
            pattern: protection.encryption().pattern.unwrap_or(Pattern::WHOLE),
            iv: protection.constant_iv,
            samples: all,
        },
        _ => Cipher::Ctr {
            first_iv,
            samples: all,
        },
    };
    Ok(Protected { heads, cipher })
}

fn lost() -> OriginError {
    OriginError::new(Code::Internal, "a chunk has no samples to encrypt")
}
