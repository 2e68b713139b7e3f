//! The packaging index: what the origin reads instead of a media file's `moov`.
//!
//! There is one index per media file, with all its tracks, stored beside it as `.headwater/{file}.hwx`. A segment
//! request reads the head (cacheable: it is immutable for an entity tag), one directory page, one record and the media
//! bytes; its cost does not grow with the file. Same file and same format version, same index bytes.
//!
//! # Layout
//!
//! All integers are little-endian. Offsets count from the start of the index, unless they are said to be in the media
//! file. Texts and byte strings are `u16` (init segments `u32`) lengths followed by their bytes.
//!
//! ```text
//! head
//!   0  8  magic 89 'HWX' 0D 0A 1A 0A
//!   8  2  format version
//!  10  2  number of tracks
//!  12  4  length of the head, its CRC included
//!  16  8  length of the index
//!  24  8  length of the media file
//!  32     entity tag of the media file: text
//!         tracks, each:
//!           u32 id | u8 kind (0 video, 1 audio, 2 text) | u8 origin (0 packaged, 1 stored, 2 archived) | u16 rotation in degrees
//!           u32 timescale | u64 start | u64 duration | u64 longest segment
//!           u32 bit rate | u32 peak bit rate | u32 peak bit rate of first samples
//!           u16 width | u16 height | u32 u32 pixel aspect | u32 u32 frame rate
//!           u32 sample rate | u16 channels | u8 open groups (0 no, 1 yes) | u8 video range (0 SDR, 1 HLG, 2 PQ)
//!           u32 reordering
//!           text codec | text supplemental codec, or empty | text language | bytes init segment
//!           u32 number of segments | u64 offset of the directory
//!           u64 start of the first segment of each page
//!         u16 number of warnings, each: u32 track id | text
//!   -4  4  CRC-32 of what precedes
//! directories, one per track: pages of 128 entries (the last one has fewer), each page followed by its CRC-32
//!   entry, 40 bytes:
//!     u64 start | u64 record offset | u64 media offset (stored: of `moof`; packaged: of the first sample)
//!     u32 duration | u32 length of moof + mdat | u32 record length | u32 number of samples
//! records, one per segment: see [`record`]; those of the track that others follow in front
//! ```
//!
//! The index says what a segment is, not where its bytes may be fetched from or who may have them.

mod archive;
mod assemble;
mod builder;
mod bytes;
mod from_cmaf;
mod from_movie;
mod head;
mod naming;
mod package;
mod page;
mod playable;
mod rates;
pub mod record;

use std::ops::Range;

use headwater_bmff::write::{SegmentHeader, segment_header};
use headwater_time::Timescale;

use crate::CmafError;

pub use archive::{
    ARCHIVE_HEADER, ArchiveBuilder, FragmentReader, FragmentStep, MAX_FRAGMENTS, NotedFragment,
};
pub use builder::{BuildSizes, BuildStep, IndexBuilder};
pub use from_cmaf::build_from_cmaf;
pub use from_movie::build_from_movie;
pub use head::{HeadParse, parse_head};
pub use naming::{codec_family, default_name};
pub use page::parse_page;
pub use playable::{Pictures, UNKNOWN_COLOUR, pictures_of};
pub use record::SegmentSamples;

/// Version of the layout and of the bytes made from it. It belongs into entity tags of what the origin serves.
pub const FORMAT_VERSION: u16 = 6;

/// Most seconds from a sync sample to the last picture before the next. A segment cannot be shorter, and players hold
/// some of them. It lets pass what encoders do on their own, x264's 250 pictures at 10 a second; Azure Media Services
/// drew the line at about 20 seconds.
pub const MAX_KEY_FRAME_SECONDS: u64 = 30;

/// Most runs of bytes that a segment is put together from: one for each sample of 30 seconds, many times over.
pub const MAX_RUNS: usize = 16_000;

/// Name of the index of media file `file`, which may carry a folder: `a/b.mp4` has `a/.headwater/b.mp4.hwx`.
#[must_use]
pub fn blob_name(file: &str) -> String {
    match file.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/.headwater/{name}.hwx"),
        None => format!(".headwater/{file}.hwx"),
    }
}

/// The state of the media file that an index was built from. It is of no use for any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceId {
    /// Entity tag as the store gives it, quotes included.
    pub etag: String,
    /// Bytes.
    pub len: u64,
}

/// The head of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexHead {
    /// What the index was built from.
    pub source: SourceId,
    /// Length of the whole index in bytes.
    pub index_len: u64,
    /// In the order of the file.
    pub tracks: Vec<TrackHead>,
    /// What of the file is not among them, and why.
    pub warnings: Vec<TrackWarning>,
}

/// Something that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackWarning {
    /// Track id in the media file; 0, which is that of none (ISO/IEC 14496-12 §8.3.2.3), where it is of no track.
    pub track: u32,
    /// What is in the way, for people.
    pub reason: String,
}

impl TrackWarning {
    /// That so many `emsg` boxes were left out; nothing is said of none.
    pub(crate) fn of_messages(count: u32) -> Option<Self> {
        (count > 0).then(|| Self {
            track: 0,
            reason: format!(
                "its messages for players ({count} emsg boxes, such as timed ID3) are not carried"
            ),
        })
    }

    /// That the end of a recording was lost; nothing is said of none.
    pub(crate) fn of_cut_off(bytes: u64) -> Option<Self> {
        (bytes > 0).then(|| Self {
            track: 0,
            reason: format!(
                "it ends in the middle of a fragment: the last {bytes} bytes are left out"
            ),
        })
    }

    /// Id of the track that was left out; `None` where it is something else.
    #[must_use]
    pub fn track(&self) -> Option<u32> {
        (self.track > 0).then_some(self.track)
    }
}

impl std::fmt::Display for TrackWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.track() {
            Some(track) => write!(f, "track {track} is left out: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

/// How bright the brightest may be: the transfer characteristics in the words of HLS `VIDEO-RANGE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoRange {
    /// Standard dynamic range.
    Sdr,
    /// Hybrid log-gamma (ARIB STD-B67).
    Hlg,
    /// Perceptual quantizer (SMPTE ST 2084).
    Pq,
}

impl VideoRange {
    /// As `VIDEO-RANGE` spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sdr => "SDR",
            Self::Hlg => "HLG",
            Self::Pq => "PQ",
        }
    }
}

/// What a packaged track is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Subtitles and captions: WebVTT (`wvtt`) or TTML (`stpp`).
    Text,
}

/// Where a track's segments come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SegmentOrigin {
    /// `moof` is made from the record, the media bytes come from runs of the file.
    Packaged,
    /// The file holds them as they are served.
    Stored,
    /// As packaged, but the media bytes of each segment come from an object of its own, called by its start, and there
    /// may be gaps between them.
    Archived,
}

/// A track, as manifests and players need it. Times and durations are in ticks of its own timescale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackHead {
    /// Track id in the media file and in the segments.
    pub id: u32,
    /// Video, audio or text.
    pub kind: TrackKind,
    /// Where segments come from.
    pub origin: SegmentOrigin,
    /// Ticks per second.
    pub timescale: Timescale,
    /// RFC 6381, such as `avc1.640020`.
    pub codec: String,
    /// HLS `SUPPLEMENTAL-CODECS`, such as `dvh1.08.07/db4h`; empty without.
    pub supplemental_codec: String,
    /// Average of all segments, `moof` included, in bit/s.
    pub bitrate: u32,
    /// Highest of any run of segments that lasts 0.5 to 1.5 target durations, in bit/s; at least `bitrate`.
    pub peak_bitrate: u32,
    /// The same where two and where three segments are one, counted from the first, as transport streams have them.
    pub joined_peak_bitrates: [u32; 2],
    /// As `peak_bitrate`, of the segments' first samples with what is before them, each for as long as its segment lasts: what is sent
    /// to whoever shows key frames only.
    pub key_frame_bitrate: u32,
    /// Coded width in pixels; 0 for audio.
    pub width: u16,
    /// Coded height in pixels; 0 for audio.
    pub height: u16,
    /// Width to height of a pixel; 1:1 if square or unknown.
    pub pixel_aspect: (u32, u32),
    /// Clockwise turn for display, in degrees; width and height are those before it.
    pub rotation: u16,
    /// Frames per second as a fraction, an average if the rate varies; 0/1 for audio.
    pub frame_rate: (u32, u32),
    /// Samples per second that the decoder puts out; 0 for video.
    pub sample_rate: u32,
    /// Channels that the decoder puts out; 0 for video.
    pub channels: u16,
    /// Objects of Dolby Atmos at most; 0 without.
    pub objects: u8,
    /// Some segment has a sample that is presented before its first: such a picture may need the segment before (an open
    /// group of pictures, a stream access point of type 3), so no segment is said to decode on its own.
    pub open_groups: bool,
    /// Dynamic range of pictures; SDR unless video.
    pub video_range: VideoRange,
    /// Colour of pictures, in the code points of ISO/IEC 23091-2: primaries, transfer characteristics, matrix coefficients; each 2 if
    /// unknown.
    pub colour: [u16; 3],
    /// Ticks by which composition times in segments are late, so that no composition offset is negative; the init
    /// segment's edit list takes them off.
    pub reordering: u32,
    /// ISO 639-2/T code or BCP 47 tag; `und` if unknown.
    pub language: String,
    /// Start of the first segment.
    pub start: u64,
    /// From `start` to the end of the last segment.
    pub duration: u64,
    /// Duration of the longest segment.
    pub max_segment_duration: u64,
    /// Number of segments, not 0.
    pub segment_count: u32,
    /// The init segment.
    pub init: Vec<u8>,
    /// Start of the first segment of each directory page.
    pub page_first_times: Vec<u64>,
    /// Offset of the directory in the index.
    pub(crate) directory: u64,
}

/// Segments per directory page.
pub const ENTRIES_PER_PAGE: u32 = 128;
pub(crate) const ENTRY_LEN: u64 = 40;
pub(crate) const CRC_LEN: u64 = 4;
const PAGE_LEN: u64 = ENTRY_LEN * ENTRIES_PER_PAGE as u64 + CRC_LEN;

impl TrackHead {
    /// A track that no index has: that of a live presentation, whose segments are found elsewhere. What only an index knows is
    /// empty.
    #[must_use]
    pub fn without_index(kind: TrackKind, timescale: Timescale, codec: &str, init: &[u8]) -> Self {
        Self {
            id: 1,
            kind,
            origin: SegmentOrigin::Stored,
            timescale,
            codec: codec.to_owned(),
            supplemental_codec: String::new(),
            bitrate: 0,
            peak_bitrate: 0,
            joined_peak_bitrates: [0; 2],
            key_frame_bitrate: 0,
            width: 0,
            height: 0,
            pixel_aspect: (1, 1),
            rotation: 0,
            frame_rate: (0, 1),
            sample_rate: 0,
            channels: 0,
            objects: 0,
            open_groups: false,
            video_range: VideoRange::Sdr,
            colour: UNKNOWN_COLOUR,
            reordering: 0,
            language: "und".to_owned(),
            start: 0,
            duration: 0,
            max_segment_duration: 0,
            segment_count: 0,
            init: init.to_vec(),
            page_first_times: Vec::new(),
            directory: 0,
        }
    }

    /// Entries of every directory page but the last.
    #[must_use]
    pub fn entries_per_page(&self) -> u32 {
        ENTRIES_PER_PAGE
    }

    /// Number of directory pages.
    #[must_use]
    pub fn page_count(&self) -> u32 {
        self.segment_count.div_ceil(ENTRIES_PER_PAGE)
    }

    /// The page that holds segment `number`; `None` past the last segment.
    #[must_use]
    pub fn page_of_segment(&self, number: u32) -> Option<u32> {
        (number < self.segment_count).then_some(number / ENTRIES_PER_PAGE)
    }

    /// The page whose segments start at or before `time` and end after it; `None` outside the track.
    #[must_use]
    pub fn page_of_time(&self, time: u64) -> Option<u32> {
        if time >= self.start.saturating_add(self.duration) {
            return None;
        }
        let after = self
            .page_first_times
            .partition_point(|first| *first <= time);
        u32::try_from(after.checked_sub(1)?).ok()
    }

    /// Number of entries of `page`; 0 past the last.
    #[must_use]
    pub fn entries_of_page(&self, page: u32) -> u32 {
        let first = page.saturating_mul(ENTRIES_PER_PAGE);
        self.segment_count
            .saturating_sub(first)
            .min(ENTRIES_PER_PAGE)
    }

    /// Where `page` is in the index, its CRC included; `None` past the last.
    #[must_use]
    pub fn page_range(&self, page: u32) -> Option<Range<u64>> {
        let entries = self.entries_of_page(page);
        if entries == 0 {
            return None;
        }
        let start = u64::from(page)
            .checked_mul(PAGE_LEN)?
            .checked_add(self.directory)?;
        let len = u64::from(entries)
            .checked_mul(ENTRY_LEN)?
            .checked_add(CRC_LEN)?;
        Some(start..start.checked_add(len)?)
    }

    /// Where all pages are in the index, one after the other.
    #[must_use]
    pub fn directory_range(&self) -> Range<u64> {
        let end = self
            .page_count()
            .checked_sub(1)
            .and_then(|last| self.page_range(last));
        self.directory..end.map_or(self.directory, |range| range.end)
    }
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentEntry {
    /// Zero-based place in the track.
    pub number: u32,
    /// Earliest presentation time, which is also `tfdt` and the time in URLs.
    pub start: u64,
    /// To the start of the next segment.
    pub duration: u64,
    /// Bytes of `moof` and `mdat`.
    pub response_len: u64,
    /// The part of the index that [`segment_bytes`] needs; empty for stored segments.
    pub record: Range<u64>,
    /// The part of the index that [`record::decode`] reads: every segment's samples, stored or not.
    pub samples: Range<u64>,
    /// Number of samples.
    pub sample_count: u32,
    /// As [`TrackHead::reordering`].
    pub(crate) reordering: u32,
    /// `moof` and `mdat` in the media file, if the file holds them as they are served.
    pub stored: Option<Range<u64>>,
    /// The media bytes are in an object that is called by `start`, in decimal, beside the media file.
    pub own_object: bool,
}

impl SegmentEntry {
    /// A segment that no index has, of a track without one ([`TrackHead::without_index`]). `start`, `duration`: ticks.
    #[must_use]
    pub fn without_index(number: u32, start: u64, duration: u64, sample_count: u32) -> Self {
        Self {
            number,
            start,
            duration,
            response_len: 0,
            record: 0..0,
            samples: 0..0,
            sample_count,
            reordering: 0,
            stored: None,
            own_object: true,
        }
    }
}

/// A segment as an ordered list of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentBytes {
    /// `moof` and the header of `mdat`; empty for stored segments.
    pub inline: Vec<u8>,
    /// Ranges of the media file, in order, adjacent ones merged.
    pub ranges: Vec<Range<u64>>,
}

/// The bytes of a segment.
///
/// `record`: what the index holds at [`SegmentEntry::record`].
/// Errors: `Damaged` if the record is not this segment's.
pub fn segment_bytes(
    head: &IndexHead,
    track: &TrackHead,
    entry: &SegmentEntry,
    record: &[u8],
) -> Result<SegmentBytes, CmafError> {
    if let Some(stored) = &entry.stored {
        return Ok(SegmentBytes {
            inline: Vec::new(),
            ranges: vec![stored.clone()],
        });
    }
    let samples = record::decode(head, entry, record)?;
    let inline = segment_head(track, entry, &samples)?;
    let ranges = samples.ranges;
    let media = ranges.iter().fold(0_u64, |sum, range| {
        sum.saturating_add(range.end.saturating_sub(range.start))
    });
    let inline_len = u64::try_from(inline.len()).unwrap_or(u64::MAX);
    if inline_len.saturating_add(media) != entry.response_len {
        return Err(CmafError::damaged(format!(
            "the record of segment {} has another length than its entry",
            entry.number
        )));
    }
    Ok(SegmentBytes { inline, ranges })
}

/// `moof` and the header of `mdat` of a segment, stored or not, whose samples follow it in the order of their ranges.
///
/// Errors: `CmafError` if a field of the boxes cannot hold what the samples need.
pub fn segment_head(
    track: &TrackHead,
    entry: &SegmentEntry,
    samples: &SegmentSamples,
) -> Result<Vec<u8>, CmafError> {
    Ok(segment_header(&SegmentHeader {
        sequence_number: sequence_number(entry.number),
        track_id: track.id,
        decode_time: entry.start,
        samples: &samples.samples,
    })?)
}

/// `mfhd` sequence number of a segment: from 1, as players and checkers expect.
pub(crate) fn sequence_number(segment: u32) -> u32 {
    segment.saturating_add(1)
}
