//! Progressive MP4 files: `ftyp`, `moov`, then one `mdat` with interleaved chunks (ISO/IEC 14496-12 §8).

use headwater_time::{MediaTime, Rounding, Timescale, rescale};

use super::boxes::BoxWriter;
use super::track::{TrackBoxes, TrackDuration, mvhd};
use crate::{BmffError, Edit, EditList, TrackConfig};

/// A track with its samples in memory.
#[derive(Debug, Clone)]
pub struct ProgressiveTrack<'a> {
    /// Decoder configuration; ids must be unique in the file.
    pub config: TrackConfig,
    /// Edit list, in the movie timescale given to [`write_progressive`].
    pub edits: EditList,
    /// In decode order.
    pub samples: Vec<ProgressiveSample<'a>>,
}

/// One access unit.
#[derive(Debug, Clone, Copy)]
pub struct ProgressiveSample<'a> {
    /// NAL units with lengths in front, or one AAC frame.
    pub bytes: &'a [u8],
    /// Ticks to the next sample's decode time.
    pub duration: u32,
    /// Presentation time minus decode time, in ticks.
    pub cto: i32,
    /// Decodes without earlier samples.
    pub sync: bool,
}

/// Samples of one track that lie together in the file.
struct Chunk {
    track: usize,
    start: MediaTime,
    samples: std::ops::Range<usize>,
    bytes: u64,
}

/// Most media time in a chunk: half a second, so that a player of the interleaved file need not seek.
const CHUNKS_PER_SECOND: u64 = 2;

/// Writes a file with the movie header in front.
///
/// `movie_timescale`: of `mvhd` and the edit lists. Durations in the headers follow from samples and edits.
/// Errors: `Unwritable` for codecs that are only recognised, and tables or times that do not fit.
pub fn write_progressive(
    movie_timescale: Timescale,
    tracks: &[ProgressiveTrack<'_>],
) -> Result<Vec<u8>, BmffError> {
    let chunks = chunks(tracks);
    let total: u64 = chunks
        .iter()
        .fold(0, |sum, chunk| sum.saturating_add(chunk.bytes));
    let header = MovieHeader {
        movie_timescale,
        tracks,
        chunks: &chunks,
        media: total,
    };
    // The length of the header does not depend on where the media begins, so it is written twice.
    let header_len = u64::try_from(header.write(0)?.len()).unwrap_or(u64::MAX);
    let mut file = header.write(header_len)?;
    for chunk in &chunks {
        for sample in header.samples(chunk) {
            file.extend_from_slice(sample.bytes);
        }
    }
    Ok(file)
}

/// Cuts every track into chunks and orders them by time, tracks in the order given where times are equal.
fn chunks(tracks: &[ProgressiveTrack<'_>]) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    for (number, track) in tracks.iter().enumerate() {
        let scale = track.config.timescale;
        let mut time: u64 = 0;
        let mut period = None;
        for (index, sample) in track.samples.iter().enumerate() {
            let ticks = time.saturating_mul(CHUNKS_PER_SECOND);
            let this = rescale(ticks, scale, Timescale::SECONDS, Rounding::Floor);
            let size = u64::try_from(sample.bytes.len()).unwrap_or(u64::MAX);
            let next = index.saturating_add(1);
            match chunks.last_mut() {
                Some(chunk) if period == Some(this) => {
                    chunk.samples.end = next;
                    chunk.bytes = chunk.bytes.saturating_add(size);
                }
                _ => chunks.push(Chunk {
                    track: number,
                    start: MediaTime::new(time, scale),
                    samples: index..next,
                    bytes: size,
                }),
            }
            period = Some(this);
            time = time.saturating_add(u64::from(sample.duration));
        }
    }
    chunks.sort_by(|a, b| a.start.compare(b.start));
    chunks
}

struct MovieHeader<'a> {
    movie_timescale: Timescale,
    tracks: &'a [ProgressiveTrack<'a>],
    chunks: &'a [Chunk],
    /// Bytes of media.
    media: u64,
}

impl<'a> MovieHeader<'a> {
    fn samples(&self, chunk: &Chunk) -> &'a [ProgressiveSample<'a>] {
        let track = self.tracks.get(chunk.track);
        track
            .and_then(|track| track.samples.get(chunk.samples.clone()))
            .unwrap_or(&[])
    }

    /// `ftyp`, `moov` and the header of `mdat`, whose payload begins at `media_at`.
    fn write(&self, media_at: u64) -> Result<Vec<u8>, BmffError> {
        let mut boxes = Vec::with_capacity(self.tracks.len());
        let mut longest = 0;
        for track in self.tracks {
            let mut part = TrackBoxes::new(&track.config)?;
            part.edits = &track.edits.entries;
            part.duration = self.duration(track)?;
            longest = longest.max(part.duration.presentation);
            boxes.push(part);
        }
        // Decided by the media alone, with room for the header, so that both passes agree.
        let wide = self.media > u64::from(u32::MAX - (1 << 26));
        let last_id = self.tracks.iter().map(|track| track.config.id).max();
        let mut w = BoxWriter::default();
        w.boxed(b"ftyp", |w| {
            w.bytes(b"isom");
            w.u32(0x200);
            w.bytes(b"isomiso2avc1mp41");
        });
        w.boxed(b"moov", |w| {
            mvhd(w, self.movie_timescale.get(), longest, last_id.unwrap_or(0));
            for (number, part) in boxes.iter().enumerate() {
                part.write(w, |w| self.tables(w, number, media_at, wide));
            }
        });
        match u32::try_from(self.media.saturating_add(8)) {
            Ok(size) if !wide => {
                w.u32(size);
                w.bytes(b"mdat");
            }
            _ => {
                w.u32(1);
                w.bytes(b"mdat");
                w.u64(self.media.saturating_add(16));
            }
        }
        w.finish()
    }

    fn duration(&self, track: &ProgressiveTrack<'_>) -> Result<TrackDuration, BmffError> {
        let media = track.samples.iter().fold(0_u64, |sum, sample| {
            sum.saturating_add(u64::from(sample.duration))
        });
        let presented = |edits: &[Edit]| {
            edits
                .iter()
                .fold(0_u64, |sum, edit| sum.saturating_add(edit.duration))
        };
        let scale = track.config.timescale;
        let presentation = match presented(&track.edits.entries) {
            0 => rescale(media, scale, self.movie_timescale, Rounding::HalfUp)
                .ok_or_else(|| BmffError::unwritable("tkhd", "a duration past 64 bits"))?,
            ticks => ticks,
        };
        Ok(TrackDuration {
            presentation,
            media,
        })
    }

    /// The sample tables of one track behind `stsd`.
    fn tables(&self, w: &mut BoxWriter, number: usize, media_at: u64, wide: bool) {
        let Some(track) = self.tracks.get(number) else {
            return;
        };
        let samples = &track.samples;
        let runs = run_lengths(samples.iter().map(|sample| sample.duration));
        w.full(b"stts", 0, 0, |w| {
            w.count(runs.len());
            for (count, duration) in runs {
                w.u32(count);
                w.u32(duration);
            }
        });
        if samples.iter().any(|sample| sample.cto != 0) {
            let version = u8::from(samples.iter().any(|sample| sample.cto < 0));
            let runs = run_lengths(samples.iter().map(|sample| sample.cto));
            w.full(b"ctts", version, 0, |w| {
                w.count(runs.len());
                for (count, offset) in runs {
                    w.u32(count);
                    w.i32(offset);
                }
            });
        }
        if samples.iter().any(|sample| !sample.sync) {
            let numbers = (1_u32..).zip(samples).filter(|(_, sample)| sample.sync);
            let numbers: Vec<u32> = numbers.map(|(number, _)| number).collect();
            w.full(b"stss", 0, 0, |w| {
                w.count(numbers.len());
                for number in numbers {
                    w.u32(number);
                }
            });
        }
        let own = |chunk: &&Chunk| chunk.track == number;
        let lengths = self
            .chunks
            .iter()
            .filter(own)
            .map(|chunk| chunk.samples.len());
        let runs = run_lengths(lengths);
        w.full(b"stsc", 0, 0, |w| {
            w.count(runs.len());
            let mut first: u32 = 1;
            for (chunks, samples) in runs {
                w.u32(first);
                w.count(samples);
                w.u32(1);
                first = first.saturating_add(chunks);
            }
        });
        w.full(b"stsz", 0, 0, |w| {
            w.u32(0);
            w.count(samples.len());
            for sample in samples {
                w.count(sample.bytes.len());
            }
        });
        self.chunk_offsets(w, number, media_at, wide);
    }

    fn chunk_offsets(&self, w: &mut BoxWriter, number: usize, media_at: u64, wide: bool) {
        let mut offsets = Vec::new();
        let mut at = media_at;
        for chunk in self.chunks {
            if chunk.track == number {
                offsets.push(at);
            }
            at = at.saturating_add(chunk.bytes);
        }
        let name = if wide { b"co64" } else { b"stco" };
        w.full(name, 0, 0, |w| {
            w.count(offsets.len());
            for offset in offsets {
                match u32::try_from(offset) {
                    Ok(offset) if !wide => w.u32(offset),
                    _ => w.u64(offset),
                }
            }
        });
    }
}

fn run_lengths<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<(u32, T)> {
    let mut runs: Vec<(u32, T)> = Vec::new();
    for value in values {
        match runs.last_mut() {
            Some((count, last)) if *last == value => *count = count.saturating_add(1),
            _ => runs.push((1, value)),
        }
    }
    runs
}
