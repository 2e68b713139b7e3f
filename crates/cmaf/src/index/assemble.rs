//! Putting an index together from tracks whose segments are known.

use headwater_bmff::{TrackConfig, TrackKind as MediaKind};

use super::head::push_head;
use super::page::{Entry, push_directory};
use super::playable::{colour, video_range};
use super::rates::{bitrates, frame_rate, joined};
use super::{
    ENTRIES_PER_PAGE, SegmentOrigin, SourceId, TrackHead, TrackKind, TrackWarning, UNKNOWN_COLOUR,
    VideoRange,
};
use crate::CmafError;
use crate::segments::MAX_SEGMENTS;

/// A track with its segments.
#[derive(Debug)]
pub(super) struct IndexedTrack {
    /// Its place among the tracks of the file.
    pub(super) place: usize,
    pub(super) config: TrackConfig,
    /// See [`TrackHead::reordering`].
    pub(super) reordering: u32,
    pub(super) origin: SegmentOrigin,
    pub(super) init: Vec<u8>,
    /// In order, not empty; tiling, but where an archive has gaps.
    pub(super) entries: Vec<Entry>,
}

/// Most bytes of all records: two days of pictures that are reordered one by one, with several sounds, scattered over the
/// file.
const MAX_RECORD_BYTES: usize = 256 << 20;

/// What the index of one file may still take.
#[derive(Debug)]
pub(super) struct Room {
    segments: usize,
    record_bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            segments: MAX_SEGMENTS,
            record_bytes: MAX_RECORD_BYTES,
        }
    }
}

impl Room {
    /// Takes the room of one more segment. Errors: `TooLarge` if it is not there.
    pub(super) fn take(&mut self, track: u32, entry: &Entry) -> Result<(), CmafError> {
        let too_large = |what| CmafError::TooLarge { track, what };
        let segments = self.segments.checked_sub(1);
        self.segments = segments.ok_or_else(|| too_large("the number of segments"))?;
        let bytes = self
            .record_bytes
            .checked_sub(usize::try_from(entry.record_len).unwrap_or(usize::MAX));
        self.record_bytes = bytes.ok_or_else(|| too_large("the index"))?;
        Ok(())
    }
}

/// The index but for its records: head and directories.
///
/// `tracks`: in the order in which their records follow each other, which is not that of the head; see
/// [`IndexedTrack::place`].
pub(super) fn assemble(
    source: &SourceId,
    tracks: &[IndexedTrack],
    warnings: &[TrackWarning],
) -> Result<Vec<u8>, CmafError> {
    if tracks.is_empty() {
        return Err(CmafError::NoMedia);
    }
    let mut heads = Vec::with_capacity(tracks.len());
    for track in tracks {
        heads.push((track.place, track.head()?));
    }
    // Where the records of each are, from the first record on.
    let mut records = Vec::with_capacity(tracks.len());
    let mut record_at: u64 = 0;
    for track in tracks {
        records.push((track, record_at));
        for entry in &track.entries {
            record_at = record_at.saturating_add(entry.record_len.into());
        }
    }
    heads.sort_by_key(|(place, _)| *place);
    records.sort_by_key(|(track, _)| track.place);
    let mut heads: Vec<TrackHead> = heads.into_iter().map(|(_, head)| head).collect();
    let mut sizing = Vec::new();
    push_head(&mut sizing, source, 0, &heads, warnings)?;
    let mut at = u64::try_from(sizing.len()).unwrap_or(u64::MAX);
    for head in &mut heads {
        head.directory = at;
        at = head.directory_range().end;
    }
    let mut front = Vec::with_capacity(usize::try_from(at).unwrap_or(0));
    let index_len = at.saturating_add(record_at);
    push_head(&mut front, source, index_len, &heads, warnings)?;
    for (track, record_at) in records {
        push_directory(&mut front, &track.entries, at.saturating_add(record_at));
    }
    Ok(front)
}

impl IndexedTrack {
    fn head(&self) -> Result<TrackHead, CmafError> {
        let config = &self.config;
        let unsupported = |reason: &str| CmafError::Unsupported {
            track: config.id,
            codec: config.codec.name().to_owned(),
            reason: reason.to_owned(),
        };
        let kind = match config.kind {
            MediaKind::Video => TrackKind::Video,
            MediaKind::Audio => TrackKind::Audio,
            MediaKind::Text => TrackKind::Text,
            MediaKind::Other => return Err(unsupported("neither video, audio nor text")),
        };
        let codec = config.codec.rfc6381();
        let codec = codec.ok_or_else(|| unsupported("this codec cannot be packaged"))?;
        let rates = |len| bitrates(config.timescale, &self.entries, len);
        let joined_peak = |count| {
            let joined = joined(&self.entries, count);
            bitrates(config.timescale, &joined, |entry| entry.response_len).1
        };
        let (bitrate, peak_bitrate) = rates(|entry| entry.response_len);
        let (_, key_frame_bitrate) = rates(|entry| entry.opening_len);
        let start = self.entries.first().map_or(0, |entry| entry.start);
        let end = self.entries.last();
        let end = end.map_or(0, |entry| entry.start.saturating_add(entry.duration.into()));
        let (mut played, mut samples) = (0_u64, 0_u64);
        for entry in &self.entries {
            played = played.saturating_add(u64::from(entry.duration));
            samples = samples.saturating_add(u64::from(entry.sample_count));
        }
        let pages = usize::try_from(ENTRIES_PER_PAGE).unwrap_or(1);
        let too_many = CmafError::TooLarge {
            track: config.id,
            what: "the number of segments",
        };
        Ok(TrackHead {
            id: config.id,
            kind,
            origin: self.origin,
            timescale: config.timescale,
            codec,
            supplemental_codec: config.codec.supplemental().unwrap_or_default().to_owned(),
            bitrate,
            peak_bitrate,
            joined_peak_bitrates: [2, 3].map(joined_peak),
            key_frame_bitrate,
            width: config.width,
            height: config.height,
            pixel_aspect: config
                .pixel_aspect
                .map_or((1, 1), |aspect| (aspect.horizontal, aspect.vertical)),
            rotation: config.rotation().degrees(),
            frame_rate: match kind {
                TrackKind::Video => frame_rate(config.timescale, samples, played),
                TrackKind::Audio | TrackKind::Text => (0, 1),
            },
            sample_rate: config.sample_rate,
            channels: config.channels,
            objects: config.codec.objects(),
            video_range: match kind {
                TrackKind::Video => video_range(config),
                _ => VideoRange::Sdr,
            },
            colour: match kind {
                TrackKind::Video => colour(config),
                _ => UNKNOWN_COLOUR,
            },
            reordering: self.reordering,
            open_groups: self.entries.iter().any(|entry| entry.leads),
            language: config.language.clone(),
            start,
            duration: end.saturating_sub(start),
            max_segment_duration: self
                .entries
                .iter()
                .map(|entry| u64::from(entry.duration))
                .max()
                .unwrap_or(0),
            segment_count: u32::try_from(self.entries.len()).map_err(|_| too_many)?,
            init: self.init.clone(),
            page_first_times: self
                .entries
                .iter()
                .step_by(pages)
                .map(|entry| entry.start)
                .collect(),
            directory: 0,
        })
    }
}
