//! CMAF track files as our transcoder writes them (ISO/IEC 23000-19 §7.3.3): `ftyp moov sidx { moof mdat }*`, one
//! segment per `moof`, one track per file.
//!
//! A segment can be written before the others are known; each leaves a [`SegmentRecord`], which a job checkpoints. From
//! the records of all segments come `sidx` and the packaging index.

use headwater_bmff::TrackConfig;
use headwater_bmff::write::{
    SegmentHeader, SegmentSample, SidxReference, init_segment, segment_header, sidx, sidx_len,
};

use crate::CmafError;
use crate::index::{SourceId, build_from_cmaf, record, sequence_number};

/// Writes the parts of one track file.
#[derive(Debug, Clone)]
pub struct TrackFile {
    config: TrackConfig,
    init: Vec<u8>,
    /// Ticks by which composition times are late; the init segment's edit list takes them off.
    reordering: u32,
}

/// One access unit of a segment to be written.
#[derive(Debug, Clone, Copy)]
pub struct MediaSample<'a> {
    /// NAL units with 4-byte lengths in front, or one AAC frame.
    pub bytes: &'a [u8],
    /// Ticks to the next sample's decode time.
    pub duration: u32,
    /// Presentation time minus decode time, in ticks; see [`TrackFile::segment`].
    pub cto: i32,
    /// Decodes without earlier samples.
    pub sync: bool,
}

/// What is left of a segment once it is written: its times and sizes, without its media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRecord {
    /// Earliest presentation time in ticks, which is also `tfdt`.
    pub start: u64,
    /// Bytes of `moof` and the header of `mdat`.
    pub header_len: u32,
    /// In decode order.
    pub samples: Vec<SegmentSample>,
}

/// Most references of one `sidx`: 36 hours of two-second segments. Longer files have none; it is optional.
const MAX_REFERENCES: usize = 65_535;

/// Bytes of the `sidx` box of a track file with `segments` segments.
pub(crate) fn sidx_box_len(segments: usize) -> u64 {
    if segments > MAX_REFERENCES {
        0
    } else {
        sidx_len(segments)
    }
}

impl TrackFile {
    /// A writer for `config`. Errors: `Movie` for codecs that cannot be written.
    pub fn new(config: TrackConfig) -> Result<Self, CmafError> {
        Self::reordered(config, 0)
    }

    /// A writer for a track whose samples decode in another order than they are shown in: `reordering` is the lead, in
    /// ticks, that the decoder needs. The composition offsets given to [`Self::segment`] have it in them, so none is
    /// negative, and an edit list takes it off again.
    ///
    /// Errors: as [`Self::new`].
    pub fn reordered(config: TrackConfig, reordering: u32) -> Result<Self, CmafError> {
        let init = init_segment(&config, reordering)?;
        Ok(Self {
            config,
            init,
            reordering,
        })
    }

    /// The init segment: the first bytes of the file.
    #[must_use]
    pub fn init(&self) -> &[u8] {
        &self.init
    }

    /// The configuration given.
    #[must_use]
    pub fn config(&self) -> &TrackConfig {
        &self.config
    }

    /// Writes segment `number` (zero-based), which starts at `start` ticks.
    ///
    /// `samples`: decode order, not empty, the first one sync. `start` is the earliest presentation time and the first
    /// decode time, so composition offsets are such that the earliest sample is presented at `start`, or the track's
    /// reordering later: all 0 without one.
    /// Errors: `BadSegment` if they are not, or if the segment lasts 2^32 ticks or has 4 GiB.
    pub fn segment(
        &self,
        number: u32,
        start: u64,
        samples: &[MediaSample<'_>],
    ) -> Result<(Vec<u8>, SegmentRecord), CmafError> {
        let bad = |fault: &str| CmafError::BadSegment {
            number,
            fault: fault.to_owned(),
        };
        let mut stated = Vec::with_capacity(samples.len());
        let mut earliest: Option<i64> = None;
        let (mut elapsed, mut media) = (0_i64, 0_usize);
        for sample in samples {
            let time = elapsed.saturating_add(i64::from(sample.cto));
            earliest = Some(earliest.map_or(time, |least| least.min(time)));
            elapsed = elapsed.saturating_add(i64::from(sample.duration));
            media = media.saturating_add(sample.bytes.len());
            stated.push(SegmentSample {
                size: u32::try_from(sample.bytes.len()).map_err(|_| bad("a sample has 4 GiB"))?,
                duration: sample.duration,
                cto: sample.cto,
                sync: sample.sync,
            });
        }
        if samples.first().is_some_and(|first| !first.sync) {
            return Err(bad("it does not start with a sync sample"));
        }
        if earliest.is_some_and(|earliest| earliest != i64::from(self.reordering)) {
            return Err(bad("its earliest presentation time is not its start"));
        }
        let mut bytes = segment_header(&SegmentHeader {
            sequence_number: sequence_number(number),
            track_id: self.config.id,
            decode_time: start,
            samples: &stated,
        })?;
        let record = SegmentRecord {
            start,
            header_len: u32::try_from(bytes.len()).map_err(|_| bad("it has 4 GiB"))?,
            samples: stated,
        };
        if record.duration().is_none_or(|duration| duration == 0) {
            return Err(bad("it lasts no time, or 2^32 ticks or more"));
        }
        bytes.reserve_exact(media);
        for sample in samples {
            bytes.extend_from_slice(sample.bytes);
        }
        Ok((bytes, record))
    }

    /// The `sidx` box of all segments, which goes between the init segment and the first of them. Empty for more than
    /// 65535 segments.
    ///
    /// Errors: `Movie` for a segment of 2 GiB.
    pub fn sidx(&self, segments: &[SegmentRecord]) -> Result<Vec<u8>, CmafError> {
        if segments.len() > MAX_REFERENCES {
            return Ok(Vec::new());
        }
        let references: Vec<SidxReference> = segments
            .iter()
            .map(|segment| SidxReference {
                size: segment.len(),
                duration: segment.duration().unwrap_or(u32::MAX),
            })
            .collect();
        let start = segments.first().map_or(0, |segment| segment.start);
        Ok(sidx(
            self.config.id,
            self.config.timescale,
            start,
            &references,
        )?)
    }

    /// Length of the whole file: init segment, `sidx` and segments.
    #[must_use]
    pub fn file_len(&self, segments: &[SegmentRecord]) -> u64 {
        let init = u64::try_from(self.init.len()).unwrap_or(u64::MAX);
        let front = init.saturating_add(sidx_box_len(segments.len()));
        segments.iter().fold(front, |sum, segment| {
            sum.saturating_add(u64::from(segment.len()))
        })
    }

    /// The packaging index of the file, stored under `etag`.
    ///
    /// Errors: `BadSegment` if the segments do not tile; `NoMedia` without any.
    pub fn index(&self, segments: &[SegmentRecord], etag: &str) -> Result<Vec<u8>, CmafError> {
        let source = SourceId {
            etag: etag.to_owned(),
            len: self.file_len(segments),
        };
        build_from_cmaf(&self.init, segments, &source)
    }
}

impl SegmentRecord {
    /// Sum of the samples' durations in ticks; `None` from 2^32 on.
    #[must_use]
    pub fn duration(&self) -> Option<u32> {
        self.samples
            .iter()
            .try_fold(0_u32, |sum, sample| sum.checked_add(sample.duration))
    }

    /// Bytes of the segment, saturating: a written one has fewer than 4 GiB.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // a segment is never empty
    pub fn len(&self) -> u32 {
        self.samples.iter().fold(self.header_len, |sum, sample| {
            sum.saturating_add(sample.size)
        })
    }

    /// Compact form for checkpoints, some two bytes a sample.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        record::encode_segment(self)
    }

    /// Reads [`Self::to_bytes`]. Errors: `Damaged` if the bytes are others.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CmafError> {
        record::decode_segment(bytes)
    }
}
