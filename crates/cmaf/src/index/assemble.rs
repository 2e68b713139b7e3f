//! Putting an index together from tracks whose segments are known.

use headwater_bmff::{TrackConfig, TrackKind as MediaKind};

use super::head::push_head;
use super::page::{Entry, push_directory};
use super::rates::{bitrates, frame_rate};
use super::{ENTRIES_PER_PAGE, SegmentOrigin, SourceId, TrackHead, TrackKind};
use crate::CmafError;
use crate::segments::MAX_SEGMENTS;

/// A track with its segments.
pub(super) struct IndexedTrack {
    pub(super) config: TrackConfig,
    pub(super) origin: SegmentOrigin,
    pub(super) init: Vec<u8>,
    /// In order, tiling, not empty.
    pub(super) entries: Vec<Entry>,
}

/// Most bytes of all records, which are in memory twice while the index is put together: a day and a half of picture and
/// sound at the two bytes that most samples take.
const MAX_RECORD_BYTES: usize = 20 << 20;

/// What the index of one file may still take.
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
        let bytes = self.record_bytes.checked_sub(entry.record.len());
        self.record_bytes = bytes.ok_or_else(|| too_large("the index"))?;
        Ok(())
    }
}

/// The bytes of the index.
pub(super) fn assemble(source: &SourceId, tracks: &[IndexedTrack]) -> Result<Vec<u8>, CmafError> {
    if tracks.is_empty() {
        return Err(CmafError::NoMedia);
    }
    let mut heads = Vec::with_capacity(tracks.len());
    for track in tracks {
        heads.push(track.head()?);
    }
    let mut sizing = Vec::new();
    push_head(&mut sizing, source, 0, &heads)?;
    let mut at = u64::try_from(sizing.len()).unwrap_or(u64::MAX);
    for head in &mut heads {
        head.directory = at;
        at = head.directory_range().end;
    }
    let mut directories = Vec::new();
    for track in tracks {
        at = push_directory(&mut directories, &track.entries, at);
    }
    let mut index = Vec::with_capacity(usize::try_from(at).unwrap_or(0));
    push_head(&mut index, source, at, &heads)?;
    index.append(&mut directories);
    for entry in tracks.iter().flat_map(|track| &track.entries) {
        index.extend_from_slice(&entry.record);
    }
    Ok(index)
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
            MediaKind::Other => return Err(unsupported("neither video nor audio")),
        };
        let codec = config.codec.rfc6381();
        let codec = codec.ok_or_else(|| unsupported("this codec cannot be packaged"))?;
        let (bitrate, peak_bitrate) = bitrates(config.timescale, &self.entries);
        let start = self.entries.first().map_or(0, |entry| entry.start);
        let (mut duration, mut samples) = (0_u64, 0_u64);
        for entry in &self.entries {
            duration = duration.saturating_add(u64::from(entry.duration));
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
            bitrate,
            peak_bitrate,
            width: config.width,
            height: config.height,
            pixel_aspect: config
                .pixel_aspect
                .map_or((1, 1), |aspect| (aspect.horizontal, aspect.vertical)),
            rotation: config.rotation().degrees(),
            frame_rate: match kind {
                TrackKind::Video => frame_rate(config.timescale, samples, duration),
                TrackKind::Audio => (0, 1),
            },
            sample_rate: config.sample_rate,
            channels: config.channels,
            open_groups: self.entries.iter().any(|entry| entry.leads),
            language: config.language.clone(),
            start,
            duration,
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
