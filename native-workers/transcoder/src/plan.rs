//! What a job will make, decided from the source's movie header and presets before a picture is decoded.
//!
//! The plan is a function of the source and the preset alone: the same on every worker, however often the job is taken
//! up again. Its fingerprint goes into every chunk's record; a record with another fingerprint is of no use.
//!
//! Video is cut into segments (two seconds, the same for every rendition) and segments into chunks of eight to sixteen
//! seconds, the unit of work and of resumption. Where in that span a chunk ends is chosen so that little of the source
//! has to be decoded twice: best is right before a sync sample of the source.

use headwater_bmff::{AvcConfig, Colour, SampleTable};

use crate::ladder::Rendition;
use crate::picture::{Rotation, Size};
use crate::timeline::VideoTimeline;

/// Moves when the bytes of outputs do.
pub const FORMAT: u32 = 4;

/// Segments of a chunk, at least and at most.
const CHUNK_SEGMENTS: std::ops::RangeInclusive<usize> = 4..=8;

/// The video of one output.
#[derive(Debug, Clone)]
pub struct VideoPlan {
    pub track: u32,
    pub config: AvcConfig,
    pub samples: SampleTable,
    pub timeline: VideoTimeline,
    /// As the decoder gives it.
    pub coded: Size,
    pub rotation: Rotation,
    /// Stated or decided; the same in every rendition.
    pub colour: Colour,
    /// Largest first; not empty.
    pub renditions: Vec<Rendition>,
    /// First frame of each segment.
    pub segments: Vec<usize>,
    pub chunks: Vec<VideoChunk>,
}

/// A run of segments, and the samples that have to be decoded for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoChunk {
    pub segments: std::ops::Range<usize>,
    pub frames: std::ops::Range<usize>,
    /// In decode order, from a sync sample on.
    pub samples: std::ops::Range<u32>,
}

impl VideoPlan {
    /// The frames of segment `index`.
    pub fn frames_of(&self, index: usize) -> std::ops::Range<usize> {
        let end = self
            .segments
            .get(index + 1)
            .copied()
            .unwrap_or(self.timeline.frames.len());
        self.segments[index]..end
    }

    /// The start of segment `index` in ticks.
    pub fn start_of(&self, index: usize) -> u64 {
        self.timeline.frames[self.segments[index]].start
    }
}

/// What the cutting needs to know about each sample.
struct SampleOrder {
    /// Composition time and whether it is a sync sample, in decode order.
    samples: Vec<(i64, bool)>,
}

impl SampleOrder {
    fn new(table: &SampleTable) -> Self {
        Self {
            samples: table
                .iter()
                .map(|sample| (sample.composition_time(), sample.sync))
                .collect(),
        }
    }

    /// The samples to decode for `frames`: from the last sync sample that is neither decoded nor shown after the first
    /// of them. A sync sample with pictures that are decoded after and shown before it (an open GOP) is passed over
    /// when one of those is wanted.
    fn needed(
        &self,
        timeline: &VideoTimeline,
        frames: std::ops::Range<usize>,
    ) -> std::ops::Range<u32> {
        let wanted = &timeline.frames[frames];
        let first_decoded = wanted.iter().map(|frame| frame.sample).min().unwrap_or(0);
        let last_decoded = wanted.iter().map(|frame| frame.sample).max().unwrap_or(0);
        let first_shown = wanted
            .iter()
            .map(|frame| self.samples[frame.sample as usize].0)
            .min()
            .unwrap_or(0);
        let start = (0..=first_decoded as usize)
            .rev()
            .find(|&index| {
                let (shown, sync) = self.samples[index];
                sync && shown <= first_shown
            })
            .unwrap_or(0);
        start as u32..last_decoded + 1
    }
}

/// The samples to decode to see frame `frame`.
pub fn samples_for(
    timeline: &VideoTimeline,
    samples: &SampleTable,
    frame: usize,
) -> std::ops::Range<u32> {
    SampleOrder::new(samples).needed(timeline, frame..frame + 1)
}

/// Cuts the segments of `timeline` into chunks.
pub fn video_chunks(
    timeline: &VideoTimeline,
    samples: &SampleTable,
    segments: &[usize],
) -> Vec<VideoChunk> {
    let order = SampleOrder::new(samples);
    let frame_at = |segment: usize| {
        segments
            .get(segment)
            .copied()
            .unwrap_or(timeline.frames.len())
    };
    let mut chunks = Vec::new();
    let mut from = 0;
    while from < segments.len() {
        let left = segments.len() - from;
        // What is left goes into one chunk, or two; never a crumb at the end.
        let to = if left <= *CHUNK_SEGMENTS.end() {
            segments.len()
        } else {
            CHUNK_SEGMENTS
                .map(|length| from + length)
                .filter(|&to| segments.len() - to >= *CHUNK_SEGMENTS.start())
                .min_by_key(|&to| {
                    let frame = frame_at(to);
                    let again = order.needed(timeline, frame..frame + 1);
                    (again.len(), to)
                })
                .unwrap_or(segments.len())
        };
        let frames = frame_at(from)..frame_at(to);
        chunks.push(VideoChunk {
            segments: from..to,
            samples: order.needed(timeline, frames.clone()),
            frames,
        });
        from = to;
    }
    chunks
}

/// FNV-1a over whatever identifies a plan: not for defence, only to tell plans apart.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprint(u64);

impl Fingerprint {
    pub fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325).add(FORMAT)
    }

    /// Adds the text of `part`.
    #[must_use]
    pub fn add(self, part: impl std::fmt::Debug) -> Self {
        let text = format!("{part:?}\n");
        Self(text.bytes().fold(self.0, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }))
    }

    pub fn text(self) -> String {
        format!("{:016x}", self.0)
    }
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self::new()
    }
}
