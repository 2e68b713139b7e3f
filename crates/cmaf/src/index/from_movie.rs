//! The index of any file that [`headwater_bmff`] reads into memory.
//!
//! A file that our transcoder wrote is recognised by what is in it, and gets the index that the transcoder wrote beside
//! it, byte for byte. Everything else, fragmented files included, is packaged from its samples.

use std::ops::Range;

use headwater_bmff::write::{SegmentSample, init_segment};
use headwater_bmff::{Fragment, Movie, Samples, Track, TrackConfig};

use super::assemble::{IndexedTrack, Room, assemble};
use super::from_cmaf::stored_track;
use super::package::{Packager, is_interval_too_large};
use super::playable::{nothing_playable, playable, video_first, warning};
use super::{SourceId, TrackWarning};
use crate::CmafError;
use crate::segments::MAX_SEGMENT_SAMPLES;
use crate::timeline::{Presented, WindowScan};
use crate::track_file::SegmentRecord;

/// The index of a file's tracks.
///
/// A track whose codec or edit list stands in the way is left out, and the head of the index says so. Empty tracks and
/// those of other kinds are left out silently.
/// Errors: `Unsupported` or `EditList` if nothing is left, with the first track's name; `NoMedia`; `KeyFrameInterval`
/// and `Scattered` for segments that nobody could play or serve; `TooLarge`, among others for segments of 2^32 ticks or
/// bytes.
pub fn build_from_movie(movie: &Movie, source: &SourceId) -> Result<Vec<u8>, CmafError> {
    let mut records = Vec::new();
    let told = remarks(movie);
    if let Some(stored) = stored(movie, &mut records) {
        let mut index = assemble(source, &[stored], &told)?;
        index.append(&mut records);
        return Ok(index);
    }
    records.clear();
    let all: Vec<&Track> = movie.tracks.iter().collect();
    let counted = all.iter().map(|track| (*track, track.samples.len()));
    let (places, mut warnings) = playable(counted);
    let mut room = Room::default();
    let (mut indexed, mut spans, mut refusal) = (Vec::new(), None, None);
    for place in video_first(places, &all) {
        let Some(track) = all.get(place) else {
            continue;
        };
        let presented = match presented(movie, track) {
            Ok(presented) => presented,
            Err(error) => match warning(track.config.id, &error) {
                Some(text) => {
                    warnings.push(text);
                    refusal.get_or_insert(error);
                    continue;
                }
                None => return Err(error),
            },
        };
        if presented.is_empty() {
            continue;
        }
        let mut packager = Packager::new(place, track.config.clone(), presented, spans.clone());
        for sample in &track.samples {
            packager.push(&sample, &mut room, &mut records)?;
        }
        let track = packager.finish(&mut room, &mut records)?;
        spans = spans.or_else(|| track.spans());
        indexed.push(track);
    }
    if indexed.is_empty() {
        return Err(refusal.unwrap_or_else(|| nothing_playable(&warnings, &all)));
    }
    warnings.extend(told);
    let mut index = assemble(source, &indexed, &warnings)?;
    index.append(&mut records);
    Ok(index)
}

/// Number of `emsg` boxes between fragments.
pub(super) fn messages(movie: &Movie) -> u32 {
    let fragments = movie.fragments.as_ref();
    fragments.map_or(0, |fragments| fragments.messages)
}

/// What operators are told of a file's fragments.
pub(super) fn remarks(movie: &Movie) -> Vec<TrackWarning> {
    let Some(fragments) = &movie.fragments else {
        return Vec::new();
    };
    let messages = TrackWarning::of_messages(fragments.messages);
    let cut_off = TrackWarning::of_cut_off(fragments.cut_off);
    messages.into_iter().chain(cut_off).collect()
}

fn presented(movie: &Movie, track: &Track) -> Result<Presented, CmafError> {
    let mut scan = WindowScan::new(movie.timescale, track)?;
    for sample in &track.samples {
        scan.push(&sample);
    }
    scan.finish()
}

/// The track with the file's own segments, if the file is one of our track files: brand `cmf2`, one track, and every
/// fragment self-contained, starting with a sync sample at its earliest presentation time, where the last one ended.
pub(super) fn stored(movie: &Movie, records: &mut Vec<u8>) -> Option<IndexedTrack> {
    let [track] = &movie.tracks[..] else {
        return None;
    };
    let fragments = movie.fragments.as_ref()?;
    let init = fragments.init.as_ref()?;
    let ours = movie.brands.contains(b"cmf2")
        && track.edits.entries.is_empty()
        && init_segment(&track.config, 0).ok().as_ref() == Some(init);
    if !ours {
        return None;
    }
    let mut samples = track.samples.iter();
    let mut next_start = None;
    let mut all_fit = true;
    let segments = fragments.list.iter().map_while(|fragment| {
        let segment = stored_segment(&track.config, fragment, &mut samples, &mut next_start);
        all_fit &= segment.is_some();
        segment
    });
    let stored = stored_track(track.config.clone(), init.clone(), segments, records).ok();
    stored.filter(|_| all_fit)
}

/// The segment that a fragment is, made of the next of `samples`; `None` if it is none of ours. `next_start`: where it
/// has to start, if it is not the first.
fn stored_segment(
    config: &TrackConfig,
    fragment: &Fragment,
    samples: &mut Samples<'_>,
    next_start: &mut Option<u64>,
) -> Option<(Range<u64>, SegmentRecord)> {
    let count = fragment.samples.len();
    if count > MAX_SEGMENT_SAMPLES {
        return None;
    }
    let (mut start, mut last) = (None, 0);
    let (mut stated, mut earliest) = (Vec::with_capacity(count), i64::MAX);
    for sample in samples.take(count) {
        start.get_or_insert(sample.dts);
        last = sample.dts;
        earliest = earliest.min(sample.composition_time());
        stated.push(SegmentSample {
            size: sample.size,
            duration: sample.duration,
            cto: sample.cto,
            sync: sample.sync,
        });
    }
    let start = start?;
    let record = SegmentRecord {
        start,
        header_len: u32::try_from(fragment.header_len).ok()?,
        samples: stated,
    };
    let whole = fragment.bytes.end.checked_sub(fragment.bytes.start)?;
    let fits = fragment.self_contained
        && record.samples.first()?.sync
        && !is_interval_too_large(config, last.saturating_sub(start))
        && i64::try_from(start) == Ok(earliest)
        && next_start.is_none_or(|next| next == start)
        && whole == u64::from(record.len());
    *next_start = Some(start.checked_add(u64::from(record.duration()?))?);
    fits.then(|| (fragment.bytes.clone(), record))
}
