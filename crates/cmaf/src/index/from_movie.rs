//! The index of any file that [`headwater_bmff`] reads.
//!
//! A file that our transcoder wrote is recognised by what is in it, and gets the index that the transcoder wrote beside
//! it, byte for byte. Everything else, fragmented files included, is packaged from its samples.

use std::ops::Range;

use headwater_bmff::write::{SegmentSample, init_segment, segment_header_len};
use headwater_bmff::{CodecConfig, Fragment, Movie, Samples, Track, TrackConfig, TrackKind};

use super::assemble::{IndexedTrack, Room, assemble};
use super::from_cmaf::stored_track;
use super::page::{Entry, leads};
use super::{MAX_KEY_FRAME_SECONDS, MAX_RUNS, SegmentOrigin, SourceId, record};
use crate::CmafError;
use crate::segments::{Span, Spans, cut};
use crate::timeline::{TimedSample, Timeline};
use crate::track_file::SegmentRecord;

/// Most samples of a segment: their `moof` takes a mebibyte. A second of the densest audio has a hundred.
const MAX_SEGMENT_SAMPLES: usize = 1 << 16;

/// The index of a file's H.264 and AAC tracks.
///
/// Tracks of other kinds and empty ones are left out; disabled ones are not, because that is how files mark alternative
/// languages. Tracks of other codecs are left out if they are disabled (pictures of chapters) or if there is another of
/// the same kind that can be played; if there is none, the file is refused rather than published mute or blind.
/// Errors: `Unsupported` names track and codec; `NoMedia`; `EditList`; `KeyFrameInterval` and `Scattered` for segments
/// that nobody could play or serve; `TooLarge`, among others for segments of 2^32 ticks or bytes.
pub fn build_from_movie(movie: &Movie, source: &SourceId) -> Result<Vec<u8>, CmafError> {
    let tracks = playable(movie)?;
    if let [track] = tracks[..]
        && let Some(stored) = stored(movie, track)
    {
        return assemble(source, &[stored]);
    }
    let mut timelines = Vec::with_capacity(tracks.len());
    for track in tracks {
        let timeline = Timeline::new(movie.timescale, track)?;
        if !timeline.is_empty() {
            timelines.push(timeline);
        }
    }
    let is_video = |timeline: &Timeline<'_>| timeline.track().config.kind == TrackKind::Video;
    let video = timelines.iter().find(|timeline| is_video(timeline));
    let video = video.map(|timeline| cut(timeline, None)).transpose()?;
    let mut room = Room::default();
    let mut indexed = Vec::with_capacity(timelines.len());
    for timeline in &timelines {
        let follow = video.as_ref().filter(|_| !is_video(timeline));
        let spans = cut(timeline, follow)?;
        indexed.push(package(timeline, &spans, &mut room)?);
    }
    assemble(source, &indexed)
}

/// The tracks to package, in the order of the file.
fn playable(movie: &Movie) -> Result<Vec<&Track>, CmafError> {
    let candidates = movie
        .tracks
        .iter()
        .filter(|track| track.config.kind != TrackKind::Other && !track.samples.is_empty());
    let is_other = |track: &Track| matches!(track.config.codec, CodecConfig::Other(_));
    let (others, tracks): (Vec<&Track>, Vec<&Track>) =
        candidates.partition(|track| is_other(track));
    for other in others.into_iter().filter(|track| track.enabled) {
        let kind = other.config.kind;
        if !tracks.iter().any(|track| track.config.kind == kind) {
            return Err(CmafError::Unsupported {
                track: other.config.id,
                codec: other.config.codec.name().to_owned(),
                reason: "only H.264 video and AAC audio can be packaged without transcoding"
                    .to_owned(),
            });
        }
    }
    Ok(tracks)
}

/// The track with the file's own segments, if the file is one of our track files: brand `cmf2`, one track, and every
/// fragment self-contained, starting with a sync sample at its earliest presentation time, where the last one ended.
fn stored(movie: &Movie, track: &Track) -> Option<IndexedTrack> {
    let fragments = movie.fragments.as_ref()?;
    let init = fragments.init.as_ref()?;
    let ours = movie.brands.contains(b"cmf2")
        && movie.tracks.len() == 1
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
    let stored = stored_track(track.config.clone(), init.clone(), segments).ok();
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

fn package(
    timeline: &Timeline<'_>,
    spans: &Spans,
    room: &mut Room,
) -> Result<IndexedTrack, CmafError> {
    let config = &timeline.track().config;
    let id = config.id;
    // How far offsets go below zero is known at the end only, and the samples of a long file are not kept.
    let mut least = 0_i32;
    each_segment(id, timeline, spans, |_, _, stated| {
        least = stated
            .iter()
            .fold(least, |least, sample| least.min(sample.cto));
        Ok(())
    })?;
    let reordering = least.unsigned_abs();
    let mut entries = Vec::with_capacity(spans.list.len());
    each_segment(id, timeline, spans, |span, samples, mut stated| {
        for sample in &mut stated {
            let cto = sample.cto.checked_add_unsigned(reordering);
            sample.cto = cto.ok_or(CmafError::TooLarge {
                track: id,
                what: "a composition offset",
            })?;
        }
        check_key_frames(config, span, samples)?;
        let entry = segment(config, span, samples, &stated)?;
        room.take(id, &entry)?;
        entries.push(entry);
        Ok(())
    })?;
    Ok(IndexedTrack {
        config: config.clone(),
        origin: SegmentOrigin::Packaged,
        init: init_segment(config, reordering)?,
        entries,
    })
}

/// Hands every segment's samples to `take`, as the source and as the segment state them: one walk for all segments, as
/// finding a sample again costs as much as its chunk is long.
fn each_segment(
    track: u32,
    timeline: &Timeline<'_>,
    spans: &Spans,
    mut take: impl FnMut(&Span, &[TimedSample], Vec<SegmentSample>) -> Result<(), CmafError>,
) -> Result<(), CmafError> {
    let mut all = timeline.iter();
    for span in &spans.list {
        if span.samples.len() > MAX_SEGMENT_SAMPLES {
            let what = "the number of samples in a segment";
            return Err(CmafError::TooLarge { track, what });
        }
        let samples: Vec<TimedSample> = all.by_ref().take(span.samples.len()).collect();
        let stated = restate(span, &samples).map_err(|what| CmafError::TooLarge { track, what })?;
        take(span, &samples, stated)?;
    }
    Ok(())
}

/// Errors: `KeyFrameInterval` for a segment of video that had to become too long. A last picture that stays for long is
/// none: it takes as many bytes as any other.
fn check_key_frames(
    config: &TrackConfig,
    span: &Span,
    samples: &[TimedSample],
) -> Result<(), CmafError> {
    let (first, last) = (samples.first(), samples.last());
    let ticks = first
        .zip(last)
        .map(|(first, last)| last.dts.abs_diff(first.dts));
    let ticks = ticks.unwrap_or(0);
    if !is_interval_too_large(config, ticks) {
        return Ok(());
    }
    Err(CmafError::KeyFrameInterval {
        track: config.id,
        from_seconds: whole_seconds(config, span.start),
        to_seconds: whole_seconds(config, span.start.saturating_add(ticks)),
    })
}

fn is_interval_too_large(config: &TrackConfig, ticks: u64) -> bool {
    let most = MAX_KEY_FRAME_SECONDS.saturating_mul(config.timescale.get().into());
    config.kind == TrackKind::Video && ticks > most
}

fn whole_seconds(config: &TrackConfig, ticks: u64) -> u64 {
    ticks
        .checked_div(config.timescale.get().into())
        .unwrap_or(0)
}

fn segment(
    config: &TrackConfig,
    span: &Span,
    samples: &[TimedSample],
    stated: &[SegmentSample],
) -> Result<Entry, CmafError> {
    let track = config.id;
    let too_large = |what| CmafError::TooLarge { track, what };
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut bytes = u64::from(segment_header_len(stated)?);
    for sample in samples {
        let end = sample.offset.saturating_add(u64::from(sample.size));
        bytes = bytes.saturating_add(u64::from(sample.size));
        let runs = ranges.len();
        match ranges.last_mut() {
            Some(run) if run.end == sample.offset => run.end = end,
            _ if sample.size == 0 => {}
            _ if runs >= MAX_RUNS => {
                return Err(CmafError::Scattered {
                    track,
                    at_seconds: whole_seconds(config, span.start),
                });
            }
            _ => ranges.push(sample.offset..end),
        }
    }
    let duration = span.end.saturating_sub(span.start);
    Ok(Entry {
        start: span.start,
        duration: u32::try_from(duration).map_err(|_| too_large("the duration of a segment"))?,
        response_len: u32::try_from(bytes).map_err(|_| too_large("a segment"))?,
        media: ranges.first().map_or(0, |run| run.start),
        sample_count: u32::try_from(samples.len()).unwrap_or(u32::MAX),
        leads: leads(stated),
        record: record::encode(stated, &ranges),
    })
}

/// States durations and composition offsets from the segment's start on, so that decode times tile as presentation
/// times do: the first sample is decoded at the segment's start, and the last one lasts until the segment's end. Every
/// sample lasts a tick at least, as long as the segment has that many: where the source says zero, or where too little
/// time is left at the end because the reordering delay shrank from one segment to the next, its neighbours give way.
fn restate(span: &Span, samples: &[TimedSample]) -> Result<Vec<SegmentSample>, &'static str> {
    let first_dts = samples.first().map_or(0, |sample| sample.dts);
    let start = i64::try_from(span.start).map_err(|_| "a time")?;
    let length = i64::try_from(span.end.saturating_sub(span.start)).map_err(|_| "a time")?;
    let count = i64::try_from(samples.len()).map_err(|_| "a segment")?;
    let least = i64::from(count <= length);
    let mut stated = Vec::with_capacity(samples.len());
    // Backwards, from the end of the segment: `next` is when the following sample is decoded, from the start on.
    let mut next = length;
    for (sample, place) in samples.iter().rev().zip((0_i64..count).rev()) {
        let wanted = sample.dts.saturating_sub(first_dts);
        let earliest = place.saturating_mul(least);
        let decoded = wanted.min(next.saturating_sub(least)).max(earliest);
        let duration = next.saturating_sub(decoded);
        let cto = sample.pts.saturating_sub(start).saturating_sub(decoded);
        stated.push(SegmentSample {
            size: sample.size,
            duration: u32::try_from(duration).map_err(|_| "the duration of a sample")?,
            cto: i32::try_from(cto).map_err(|_| "a composition offset")?,
            sync: sample.sync,
        });
        next = decoded;
    }
    stated.reverse();
    Ok(stated)
}
