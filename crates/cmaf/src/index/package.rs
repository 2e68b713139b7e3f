//! One track, sample by sample, to segments: entries of a directory, and records as bytes.

use std::ops::Range;

use headwater_bmff::write::{SegmentSample, init_segment, segment_header_len};
use headwater_bmff::{Sample, TrackConfig, TrackKind};

use super::assemble::{IndexedTrack, Room};
use super::page::{Entry, leads, opening_len};
use super::{MAX_KEY_FRAME_SECONDS, MAX_RUNS, SegmentOrigin, record};
use crate::CmafError;
use crate::segments::{Cutter, Spans};
use crate::timeline::{Presented, TimedSample};

/// Makes the segments of one track. What it holds grows with their number, by some 50 bytes each.
#[derive(Debug)]
pub(super) struct Packager {
    place: usize,
    config: TrackConfig,
    presented: Presented,
    cutter: Cutter,
    made: Made,
}

/// Segments of a track.
#[derive(Debug)]
pub(super) struct Made {
    entries: Vec<Entry>,
    /// Segments whose composition offsets are all 0, by place.
    plain: Vec<usize>,
    /// Lowest and highest composition offset.
    least: i32,
    most: i32,
}

impl Packager {
    /// `place`: that of the track in the file. `video`: see [`Cutter::new`].
    pub(super) fn new(
        place: usize,
        config: TrackConfig,
        presented: Presented,
        video: Option<Spans>,
    ) -> Self {
        Self {
            place,
            cutter: Cutter::new(&config, &presented, video),
            config,
            presented,
            made: Made::new(),
        }
    }

    /// The next sample of the file. Records of segments that are whole now go to `records`.
    pub(super) fn push(
        &mut self,
        sample: &Sample,
        room: &mut Room,
        records: &mut Vec<u8>,
    ) -> Result<(), CmafError> {
        let Some(timed) = self.presented.timed(sample) else {
            return Ok(());
        };
        let (config, made) = (&self.config, &mut self.made);
        self.cutter.push(timed, &mut |span, samples| {
            made.take(config, span, samples, None, (room, records))
        })
    }

    /// There are no more samples.
    pub(super) fn finish(
        self,
        room: &mut Room,
        records: &mut Vec<u8>,
    ) -> Result<IndexedTrack, CmafError> {
        let Self {
            place,
            config,
            cutter,
            mut made,
            ..
        } = self;
        cutter.finish(&mut |span, samples| {
            made.take(&config, span, samples, None, (room, records))
        })?;
        made.finish(place, config, SegmentOrigin::Packaged)
    }
}

impl IndexedTrack {
    /// Of a video: when its segments are presented, for tracks that are cut where it is.
    pub(super) fn spans(&self) -> Option<Spans> {
        let span = |entry: &Entry| entry.start..entry.start.saturating_add(entry.duration.into());
        (self.config.kind == TrackKind::Video).then(|| Spans {
            timescale: self.config.timescale,
            list: self.entries.iter().map(span).collect(),
        })
    }
}

impl Made {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
            plain: Vec::new(),
            least: 0,
            most: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The track that the segments are.
    pub(super) fn finish(
        mut self,
        place: usize,
        config: TrackConfig,
        origin: SegmentOrigin,
    ) -> Result<IndexedTrack, CmafError> {
        let too_large = |what| CmafError::TooLarge {
            track: config.id,
            what,
        };
        let reordering = self.least.unsigned_abs();
        self.most
            .checked_add_unsigned(reordering)
            .ok_or_else(|| too_large("a composition offset"))?;
        if reordering > 0 {
            // Offsets that were 0 are stated now, in four bytes each.
            for place in self.plain {
                let Some(entry) = self.entries.get_mut(place) else {
                    continue;
                };
                let stated = entry.sample_count.checked_mul(4);
                let len = stated.and_then(|bytes| entry.response_len.checked_add(bytes));
                entry.response_len = len.ok_or_else(|| too_large("a segment"))?;
            }
        }
        Ok(IndexedTrack {
            place,
            origin,
            init: init_segment(&config, reordering)?,
            config,
            reordering,
            entries: self.entries,
        })
    }

    /// Takes the segment that `samples` are. `etag`: of its own object, if it has one. Its record goes to `records`.
    pub(super) fn take(
        &mut self,
        config: &TrackConfig,
        span: Range<u64>,
        samples: &[TimedSample],
        etag: Option<&str>,
        (room, records): (&mut Room, &mut Vec<u8>),
    ) -> Result<(), CmafError> {
        let track = config.id;
        let stated = restate(&span, samples).map_err(|what| CmafError::TooLarge { track, what })?;
        for sample in &stated {
            self.least = self.least.min(sample.cto);
            self.most = self.most.max(sample.cto);
        }
        if stated.iter().all(|sample| sample.cto == 0) {
            self.plain.push(self.entries.len());
        }
        check_key_frames(config, &span, samples)?;
        let (entry, record) = segment(config, span, samples, &stated, etag)?;
        room.take(track, &entry)?;
        self.entries.push(entry);
        records.extend_from_slice(&record);
        Ok(())
    }
}

/// Errors: `KeyFrameInterval` for a segment of video that had to become too long. A last picture that stays for long is
/// none: it takes as many bytes as any other.
fn check_key_frames(
    config: &TrackConfig,
    span: &Range<u64>,
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

pub(super) fn is_interval_too_large(config: &TrackConfig, ticks: u64) -> bool {
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
    span: Range<u64>,
    samples: &[TimedSample],
    stated: &[SegmentSample],
    etag: Option<&str>,
) -> Result<(Entry, Vec<u8>), CmafError> {
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
    let record = record::encode(stated, &ranges, etag);
    let response_len = u32::try_from(bytes).map_err(|_| too_large("a segment"))?;
    let entry = Entry {
        start: span.start,
        duration: u32::try_from(duration).map_err(|_| too_large("the duration of a segment"))?,
        response_len,
        opening_len: opening_len(response_len, stated),
        media: ranges.first().map_or(0, |run| run.start),
        sample_count: u32::try_from(samples.len()).unwrap_or(u32::MAX),
        leads: leads(stated),
        record_len: u32::try_from(record.len()).map_err(|_| too_large("a record"))?,
    };
    Ok((entry, record))
}

/// States durations and composition offsets from the segment's start on, so that decode times tile as presentation
/// times do: the first sample is decoded at the segment's start, and the last one lasts until the segment's end. Every
/// sample lasts a tick at least, as long as the segment has that many: where the source says zero, or where too little
/// time is left at the end because the reordering delay shrank from one segment to the next, its neighbours give way.
fn restate(span: &Range<u64>, samples: &[TimedSample]) -> Result<Vec<SegmentSample>, &'static str> {
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
