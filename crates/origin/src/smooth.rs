//! Smooth Streaming fragments, from the samples of a segment.

use crate::address::Noun;
use crate::codec::Decoder;
use crate::error::{Code, OriginError};
use crate::index::SegmentTime;
use crate::manifests::smooth::Clock;
use crate::segments::cut;
use crate::shield::unprotectable;
use headwater_cmaf::index::{SegmentEntry, SegmentSamples, TrackHead};
use headwater_plan::SubsampleMap;
use headwater_protect::{Cipher, ProtectedSegment, SegmentProtection};
use headwater_smooth::{Following, Fragment, Sample};
use std::ops::Range;

/// Bytes of the `mdat` header, which is not part of what `FragmentInfo` is.
pub(crate) const MDAT_HEADER: usize = 8;

/// A clear fragment: bytes, then ranges of the media file.
pub(crate) struct Clear {
    /// Up to and with the header of `mdat`.
    head: Vec<u8>,
    ranges: Vec<Range<u64>>,
    /// Which samples of the segment it has; `None`: all.
    places: Option<Vec<usize>>,
}

/// A fragment, or what another noun of its URL stands for.
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
) -> Result<Clear, OriginError> {
    let alone = noun == Noun::KeyFrames;
    let end = entry.start.saturating_add(entry.duration);
    let mut kept: Vec<Sample> = Vec::with_capacity(samples.samples.len());
    let (mut ranges, mut places) = (Vec::new(), Vec::new());
    let (mut decode, mut offset) = (entry.start, 0_u64);
    let mut open = None;
    // Clients make up a movie header without an edit list.
    let delay = Decoder::of(head).map_or(0, |decoder| decoder.delay);
    for (place, sample) in samples.samples.iter().enumerate() {
        let next = decode.saturating_add(sample.duration.into());
        let after = offset.saturating_add(sample.size.into());
        if !alone || sample.sync {
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
            if alone {
                ranges.extend(cut(&samples.ranges, offset..after));
                places.push(place);
            }
        }
        (decode, offset) = (next, after);
    }
    close(&mut kept, open, clock.name(decode));
    if !alone {
        ranges.clone_from(&samples.ranges);
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
    let head = Fragment {
        sequence_number: entry.number.saturating_add(1),
        track_id: head.id,
        start,
        duration: clock.name(end).saturating_sub(start),
        following: &following,
        samples: &kept,
    }
    .header()
    .map_err(|fault| OriginError::new(Code::FormatNotSupported, fault.to_string()))?;
    Ok(Clear {
        head,
        ranges,
        places: alone.then_some(places),
    })
}

impl Clear {
    /// Encrypts it sample by sample. `map`: subsamples of all of the segment's samples. `first_iv`: of the first of those.
    ///
    /// Errors: 415 for what cannot be encrypted.
    pub(crate) fn protect(
        &self,
        protection: &SegmentProtection,
        map: SubsampleMap,
        first_iv: u64,
    ) -> Result<ProtectedSegment, OriginError> {
        match &self.places {
            None => ProtectedSegment::plan(protection, &self.head, map, first_iv, None),
            Some(places) => {
                ProtectedSegment::plan_some(protection, &self.head, (map, places), first_iv)
            }
        }
        .map_err(unprotectable)
    }

    /// What `noun` stands for: bytes, ranges of the media file, and what is done to the bytes of those. `protected`: the fragment
    /// with its samples encrypted.
    pub(crate) fn part(
        self,
        noun: Noun,
        protected: Option<ProtectedSegment>,
    ) -> (Vec<u8>, Vec<Range<u64>>, Option<Cipher>) {
        let (mut head, mut cipher) = (self.head, None);
        if let Some(protected) = protected {
            head = protected.head;
            cipher = Some(protected.cipher).filter(|cipher| cipher.input_len() > 0);
        }
        match noun {
            Noun::Fragments | Noun::KeyFrames => (head, self.ranges, cipher),
            Noun::FragmentInfo => {
                head.truncate(head.len().saturating_sub(MDAT_HEADER));
                (head, Vec::new(), None)
            }
            Noun::RawFragments => (Vec::new(), self.ranges, cipher),
        }
    }
}

/// Lets the last sample end where the next one starts.
fn close(samples: &mut [Sample], open: Option<u64>, at: u64) {
    if let (Some(last), Some(open)) = (samples.last_mut(), open) {
        last.duration = u32::try_from(at.saturating_sub(open)).unwrap_or(u32::MAX);
    }
}
