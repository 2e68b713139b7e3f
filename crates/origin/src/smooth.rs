//! Smooth Streaming fragments, from the samples of a segment.

use crate::address::Noun;
use crate::codec::Decoder;
use crate::error::{Code, OriginError};
use crate::index::SegmentTime;
use crate::manifests::smooth::Clock;
use crate::segments::cut;
use headwater_cmaf::index::{SegmentEntry, SegmentSamples, TrackHead};
use headwater_smooth::{Following, Fragment, Sample};
use std::ops::Range;

/// Bytes of the `mdat` header, which is not part of what `FragmentInfo` is.
pub(crate) const MDAT_HEADER: usize = 8;

/// What a fragment's URL stands for: bytes, then ranges of the media file.
///
/// `KeyFrames`: each sync sample lasts until the next. `following`: what clients learn of later fragments, ticks of the track.
///
/// Errors: 415 if it passes 4 GiB.
pub(crate) fn fragment(
    head: &TrackHead,
    entry: &SegmentEntry,
    samples: &SegmentSamples,
    (clock, following): (Clock, &[SegmentTime]),
    noun: Noun,
) -> Result<(Vec<u8>, Vec<Range<u64>>), OriginError> {
    let end = entry.start.saturating_add(entry.duration);
    let mut kept: Vec<Sample> = Vec::with_capacity(samples.samples.len());
    let mut ranges = Vec::new();
    let (mut decode, mut offset) = (entry.start, 0_u64);
    let mut open = None;
    // Clients make up a movie header without an edit list.
    let delay = Decoder::of(head).map_or(0, |decoder| decoder.delay);
    for sample in &samples.samples {
        let next = decode.saturating_add(sample.duration.into());
        let after = offset.saturating_add(sample.size.into());
        if noun != Noun::KeyFrames || sample.sync {
            let start = clock.name(decode);
            close(&mut kept, open, start);
            let shown = decode.saturating_add_signed(sample.cto.into());
            let present = clock.name(shown.saturating_sub(delay));
            let composition = i128::from(present).saturating_sub(start.into());
            kept.push(Sample {
                size: sample.size,
                duration: 0,
                composition_offset: i32::try_from(composition).unwrap_or_default(),
                sync: sample.sync,
            });
            open = Some(start);
            if noun == Noun::KeyFrames {
                ranges.extend(cut(&samples.ranges, offset..after));
            }
        }
        (decode, offset) = (next, after);
    }
    close(&mut kept, open, clock.name(decode));
    if noun != Noun::KeyFrames {
        ranges.clone_from(&samples.ranges);
    }
    if noun == Noun::RawFragments {
        return Ok((Vec::new(), ranges));
    }
    let start = clock.name(entry.start);
    let following: Vec<Following> = following
        .iter()
        .map(|next| {
            let start = clock.name(next.start);
            let end = clock.name(next.start.saturating_add(next.duration));
            let duration = end.saturating_sub(start);
            Following { start, duration }
        })
        .collect();
    let mut inline = Fragment {
        sequence_number: entry.number.saturating_add(1),
        track_id: head.id,
        start,
        duration: clock.name(end).saturating_sub(start),
        following: &following,
        samples: &kept,
    }
    .header()
    .map_err(|fault| OriginError::new(Code::FormatNotSupported, fault.to_string()))?;
    if noun == Noun::FragmentInfo {
        inline.truncate(inline.len().saturating_sub(MDAT_HEADER));
        ranges.clear();
    }
    Ok((inline, ranges))
}

/// Lets the last sample end where the next one starts.
fn close(samples: &mut [Sample], open: Option<u64>, at: u64) {
    if let (Some(last), Some(open)) = (samples.last_mut(), open) {
        last.duration = u32::try_from(at.saturating_sub(open)).unwrap_or(u32::MAX);
    }
}
