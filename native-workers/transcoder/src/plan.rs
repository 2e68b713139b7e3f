//! What a job will make, decided from the source's movie header and presets before a picture is decoded.
//!
//! The plan is a function of the source and the preset alone: the same on every worker, however often the job is taken
//! up again. Its fingerprint goes into every chunk's record; a record with another fingerprint is of no use.
//!
//! Video is cut into segments (two seconds, the same for every rendition) and segments into chunks of eight to sixteen
//! seconds, the unit of work and of resumption. Where in that span a chunk ends is chosen so that little of the source
//! has to be decoded twice: best is right before a sync sample of the source. Where those are far apart, chunks share a
//! pass over the source, which decodes on from one to the next. The last half minute of a film that several workers may
//! make is cut into chunks of four to eight seconds: whoever is done first waits for the others' last chunk.

use headwater_bmff::{AvcConfig, Colour, SampleTable};

use crate::ladder::Rendition;
use crate::picture::{Rotation, Size};
use crate::timeline::VideoTimeline;

/// Moves when the bytes of outputs do.
pub const FORMAT: u32 = 7;

/// Segments of a chunk, at least and at most.
const CHUNK_SEGMENTS: std::ops::RangeInclusive<usize> = 4..=8;
/// The same of the chunks at a film's end.
const LAST_SEGMENTS: std::ops::RangeInclusive<usize> = 2..=4;
/// How many segments the end is.
const END: usize = 16;
/// Segments of a film that has such an end: below, one worker makes it, and small chunks only cost.
const LONG: usize = 24;

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

/// Chunks that are made one after the other by one decoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoPass {
    /// Ascending; not empty.
    pub chunks: Vec<usize>,
    /// In decode order, from a sync sample on.
    pub samples: std::ops::Range<u32>,
}

/// Groups the chunks `todo` (ascending) into passes such that no more than about twice their samples are decoded: a chunk
/// joins the pass before it when most of what it needs would be decoded again.
pub fn passes(chunks: &[VideoChunk], todo: impl IntoIterator<Item = usize>) -> Vec<VideoPass> {
    let mut passes: Vec<VideoPass> = Vec::new();
    for index in todo {
        let samples = chunks[index].samples.clone();
        if let Some(pass) = passes.last_mut() {
            let again = pass.samples.end.saturating_sub(samples.start);
            let new = samples.end.saturating_sub(pass.samples.end);
            if again > new && samples.start >= pass.samples.start {
                pass.chunks.push(index);
                pass.samples.end = pass.samples.end.max(samples.end);
                continue;
            }
        }
        passes.push(VideoPass {
            chunks: vec![index],
            samples,
        });
    }
    passes
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

/// Sync samples that are looked at before decoding from the first sample is accepted.
const MOST_SYNC_SAMPLES: usize = 64;

/// What the cutting needs to know about each sample.
struct SampleOrder {
    /// Composition times in decode order.
    shown: Vec<i64>,
    /// Sync samples, ascending.
    sync: Vec<u32>,
}

impl SampleOrder {
    fn new(table: &SampleTable) -> Self {
        Self {
            shown: table
                .iter()
                .map(|sample| sample.composition_time())
                .collect(),
            sync: table
                .iter()
                .filter(|sample| sample.sync)
                .map(|sample| sample.index)
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
            .map(|frame| self.shown[frame.sample as usize])
            .min()
            .unwrap_or(0);
        let before = self.sync.partition_point(|&sync| sync <= first_decoded);
        let start = self.sync[..before]
            .iter()
            .rev()
            .take(MOST_SYNC_SAMPLES)
            .find(|&&sync| self.shown[sync as usize] <= first_shown);
        start.copied().unwrap_or(0)..last_decoded + 1
    }
}

/// Most samples that are decoded to see one picture.
const MOST_FOR_A_LOOK: u32 = 600;

/// A frame to look at and the samples to decode for it: `frame`, or one before it if that is too far from where decoding
/// can begin.
pub fn look_at(
    timeline: &VideoTimeline,
    samples: &SampleTable,
    frame: usize,
) -> (usize, std::ops::Range<u32>) {
    let order = SampleOrder::new(samples);
    let needed = order.needed(timeline, frame..frame + 1);
    let within = needed.start..needed.end.min(needed.start + MOST_FOR_A_LOOK);
    let near = timeline.frames[..=frame]
        .iter()
        .rposition(|frame| within.contains(&frame.sample))
        .unwrap_or(frame);
    (near, order.needed(timeline, near..near + 1))
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
        let to = chunk_end(segments.len(), from, |to| {
            let frame = frame_at(to);
            order.needed(timeline, frame..frame + 1).len()
        });
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

/// Where the chunk ends that begins with segment `from` of `count`. `again`: what is decoded twice where it ends with that
/// segment.
fn chunk_end(count: usize, from: usize, again: impl Fn(usize) -> usize) -> usize {
    let left = count - from;
    let long = count >= LONG;
    let lengths = if long && left <= END {
        LAST_SEGMENTS
    } else {
        CHUNK_SEGMENTS
    };
    let least = *lengths.start();
    // What is left goes into one chunk; never a crumb at the end.
    if left < 2 * least || (!long && left <= *lengths.end()) {
        return count;
    }
    lengths
        .map(|length| from + length)
        .filter(|&to| to + least <= count)
        .min_by_key(|&to| (again(to), to))
        .unwrap_or(count)
}

/// FNV-1a over whatever identifies a plan: not for defence, only to tell plans apart.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprint(u64);

impl Fingerprint {
    pub fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325).with(FORMAT)
    }

    /// With the text of `part` added.
    #[must_use]
    pub fn with(self, part: impl std::fmt::Debug) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Chunks of 250 samples over a track with a sync sample every `group`.
    fn chunks(count: u32, group: u32) -> Vec<VideoChunk> {
        (0..count)
            .map(|at| VideoChunk {
                segments: at as usize * 4..at as usize * 4 + 4,
                frames: at as usize * 250..at as usize * 250 + 250,
                samples: at * 250 / group * group..at * 250 + 250,
            })
            .collect()
    }

    fn decoded(passes: &[VideoPass]) -> u32 {
        passes.iter().map(|pass| pass.samples.len() as u32).sum()
    }

    #[test]
    fn no_source_is_decoded_more_than_twice() {
        for group in [10, 50, 250, 333, 400, 600, 1500, 100_000] {
            let chunks = chunks(100, group);
            let passes = passes(&chunks, 0..100);
            assert!(
                decoded(&passes) <= 2 * 25_000,
                "{group}: {}",
                decoded(&passes)
            );
            let made: Vec<usize> = passes.iter().flat_map(|pass| pass.chunks.clone()).collect();
            assert_eq!(made, (0..100).collect::<Vec<_>>());
            for pass in &passes {
                for &chunk in &pass.chunks {
                    let samples = &chunks[chunk].samples;
                    assert!(pass.samples.start <= samples.start && samples.end <= pass.samples.end);
                }
            }
        }
    }

    /// The lengths of the chunks of `count` segments, each of which begins with a sync sample.
    fn lengths(count: usize) -> Vec<usize> {
        let mut ends = vec![0];
        while let Some(&from) = ends.last()
            && from < count
        {
            ends.push(chunk_end(count, from, |_| 1));
        }
        ends.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[test]
    fn chunks_of_a_long_film_are_small_at_its_end() {
        assert_eq!(lengths(60), [[4; 11].as_slice(), &[2; 8]].concat());
        for count in LONG..200 {
            let lengths = lengths(count);
            assert_eq!(lengths.iter().sum::<usize>(), count);
            let (last, before) = lengths.split_last().unwrap();
            assert!(*last <= 3, "{count}: {lengths:?}");
            assert!(
                before.iter().all(|&length| (2..=8).contains(&length)),
                "{count}: {lengths:?}"
            );
        }
    }

    #[test]
    fn a_short_film_has_no_small_chunks() {
        for count in 1..LONG {
            let lengths = lengths(count);
            assert_eq!(lengths.iter().sum::<usize>(), count);
            assert!(
                lengths.len() == 1 || lengths.iter().all(|&length| (4..=8).contains(&length)),
                "{count}: {lengths:?}"
            );
        }
    }

    #[test]
    fn chunks_that_begin_with_a_sync_sample_are_made_side_by_side() {
        assert_eq!(passes(&chunks(10, 250), 0..10).len(), 10);
        // What is done already is not made again.
        let rest = passes(&chunks(10, 100_000), [7, 9]);
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].chunks, [7, 9]);
    }
}
