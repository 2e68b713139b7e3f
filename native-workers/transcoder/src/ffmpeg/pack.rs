//! From the files that ffmpeg writes to the files that are published.
//!
//! ffmpeg writes one progressive MP4 per track, with edit lists for what encoders need beforehand. Published are track files
//! as the built-in engine makes them: they start at 0, are cut at the same times, and need no edit list but for
//! pictures that decode in another order than they are shown in.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::Bytes;
use headwater_bmff::{
    Matrix, Movie, MovieReader, Rotation, Sample, Step as ReaderStep, Track, TrackConfig,
    TrackKind, matrix_places,
};
use headwater_cmaf::index::{SourceId, blob_name, build_from_movie};
use headwater_cmaf::track_file::{MediaSample, SegmentRecord, TrackFile};
use headwater_time::Timescale;

use super::inputs::open_own;
use crate::failure::{self, Step};
use crate::output::OutputPlace;

/// Bytes after which a block of a track file is uploaded.
const BLOCK_BYTES: usize = 8 << 20;
/// Longest segment of sound that is not cut where pictures are.
const SOUND_SEGMENT_MS: u64 = 2000;

fn damaged(path: &Path, why: impl std::fmt::Display) -> failure::Stopped {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    failure::internal(format!("What ffmpeg made ({name}) cannot be used: {why}."))
}

/// Whether nothing is in a file that ffmpeg made: of a track that its source declares and does not have, or not in the part that is asked
/// for.
pub(super) fn is_empty(path: &Path) -> Step<bool> {
    let file = open_own(path).map_err(|error| damaged(path, error))?;
    let movie = movie(&file).map_err(|error| damaged(path, error))?;
    Ok(movie.tracks.iter().all(|track| track.samples.is_empty()))
}

/// A file that ffmpeg made, with one track.
pub struct Made {
    file: File,
    pub track: Track,
    /// Place of each sample in its own file, in decode order.
    samples: Vec<Sample>,
    /// When each is shown, in ticks from the start of the presentation.
    shown: Vec<i64>,
    /// How players are told to turn its pictures.
    turn: Rotation,
}

impl Made {
    /// Reads the description of the media in `path`.
    pub fn open(path: &Path) -> Step<Self> {
        let file = open_own(path).map_err(|error| damaged(path, error))?;
        let movie = movie(&file).map_err(|error| damaged(path, error))?;
        let scale = movie.timescale;
        let track = movie
            .tracks
            .into_iter()
            .next()
            .filter(|track| !track.samples.is_empty())
            .ok_or_else(|| damaged(path, "it has no samples"))?;
        let window = track
            .edits
            .window(scale, track.config.timescale)
            .map_err(|error| damaged(path, error))?;
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let shift = signed(window.delay).saturating_sub(signed(window.start));
        let samples: Vec<Sample> = track.samples.iter().collect();
        let shown = samples
            .iter()
            .map(|sample| sample.composition_time().saturating_add(shift))
            .collect();
        Ok(Self {
            file,
            track,
            samples,
            shown,
            turn: Rotation::None,
        })
    }

    /// The same, to be turned by players.
    pub(super) fn turned(self, turn: Rotation) -> Self {
        Self { turn, ..self }
    }

    pub fn scale(&self) -> Timescale {
        self.track.config.timescale
    }

    pub fn frames(&self) -> usize {
        self.samples.len()
    }

    /// When the last sample ends, in seconds.
    pub fn seconds(&self) -> f64 {
        let end = self
            .samples
            .iter()
            .zip(&self.shown)
            .map(|(sample, shown)| shown.saturating_add(i64::from(sample.duration)))
            .max()
            .unwrap_or(0);
        end as f64 / f64::from(self.scale().get())
    }

    /// Average bits a second, and channels.
    pub(super) fn shape(&self) -> (u32, u16) {
        (self.bits_per_second(), self.track.config.channels)
    }

    /// Average bits a second.
    pub fn bits_per_second(&self) -> u32 {
        let bits = self.track.samples.total_bytes() as f64 * 8.0;
        (bits / self.seconds().max(0.001)) as u32
    }

    /// Gives its pictures exactly the times `planned` (ascending), which they are to be within `tolerance` ticks of.
    /// Err: how they differ.
    pub(super) fn place(&mut self, planned: &[u64], tolerance: u64) -> Result<(), String> {
        if self.shown.len() != planned.len() {
            return Err(format!(
                "a part of it should have {} pictures, and has {}",
                planned.len(),
                self.shown.len()
            ));
        }
        let mut order: Vec<usize> = (0..self.shown.len()).collect();
        order.sort_by_key(|&index| self.shown[index]);
        for (index, &time) in order.into_iter().zip(planned) {
            let exact = i64::try_from(time).unwrap_or(i64::MAX);
            if self.shown[index].abs_diff(exact) > tolerance {
                return Err("its pictures are not shown when its packets say".into());
            }
            self.shown[index] = exact;
        }
        Ok(())
    }

    /// When the picture that is shown last ends, in ticks.
    pub(super) fn last_end(&self) -> u64 {
        let last = self.samples.iter().zip(&self.shown);
        let last = last.max_by_key(|(_, shown)| **shown);
        last.map_or(0, |(sample, &shown)| {
            u64::try_from(shown).unwrap_or(0) + u64::from(sample.duration.max(1))
        })
    }

    fn read(&self, sample: &Sample) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; sample.size as usize];
        self.file.read_exact_at(&mut bytes, sample.offset)?;
        Ok(bytes)
    }
}

/// The description of the media in `file`, with the times that its fragments state.
pub(super) fn movie(file: &File) -> Result<Movie, String> {
    let len = file.metadata().map_err(|error| error.to_string())?.len();
    let mut reader = MovieReader::new(len);
    loop {
        match reader.step().map_err(|error| error.to_string())? {
            ReaderStep::Done(movie) => return Ok(*movie),
            ReaderStep::Need { offset, len } => {
                let mut bytes = vec![0; usize::try_from(len).map_err(|error| error.to_string())?];
                file.read_exact_at(&mut bytes, offset)
                    .map_err(|error| error.to_string())?;
                reader
                    .feed(offset, Bytes::from(bytes))
                    .map_err(|error| error.to_string())?;
            }
        }
    }
}

/// How a track is cut, and the times of its samples.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cut {
    /// Samples in decode order; each segment is a range of them.
    segments: Vec<Range<usize>>,
    /// Start of each segment in ticks.
    starts: Vec<u64>,
    /// Decode duration of each sample.
    durations: Vec<u32>,
    /// Composition offset of each sample, with `reordering` in it.
    offsets: Vec<i32>,
    reordering: u32,
}

/// Cuts pictures at the first sync sample in every `grid` ticks.
///
/// `shown`: ticks, by decode order. `last`: duration of the picture that is shown last.
/// Err: why the track is not what was asked for.
fn cut_pictures(shown: &[i64], sync: &[bool], last: u32, grid: u64) -> Result<Cut, String> {
    let mut order: Vec<i64> = shown.to_vec();
    order.sort_unstable();
    if order.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("two pictures are shown at one time".into());
    }
    // What is first on screen is so from the start.
    let opening = order[0];
    let place = |time: i64| -> u64 {
        if time == opening {
            0
        } else {
            u64::try_from(time).unwrap_or(0)
        }
    };
    if order.get(1).is_some_and(|&second| second <= 0) {
        return Err("pictures are shown before the start".into());
    }
    let end = place(order[order.len() - 1]).saturating_add(u64::from(last.max(1)));
    // A hair of slack, as the encoder had it when it placed its key frames: half a millisecond at 90 kHz.
    let cell = |time: u64| time.saturating_add(45) / grid;
    let mut firsts = vec![0];
    let mut latest = 0;
    for (index, (&time, &sync)) in shown.iter().zip(sync).enumerate().skip(1) {
        if sync && cell(place(time)) > latest {
            latest = cell(place(time));
            firsts.push(index);
        }
    }
    if !sync.first().copied().unwrap_or(false) {
        return Err("it does not begin with a key frame".into());
    }
    let mut segments = Vec::with_capacity(firsts.len());
    for (number, &first) in firsts.iter().enumerate() {
        let past = firsts.get(number + 1).copied().unwrap_or(shown.len());
        segments.push(first..past);
    }
    let placed: Vec<u64> = shown.iter().map(|&time| place(time)).collect();
    for (number, segment) in segments.iter().enumerate() {
        let start = placed[segment.start];
        if placed[segment.clone()]
            .iter()
            .any(|&time| cell(time) > cell(start))
        {
            return Err(format!(
                "the encoder put no key frame where segment {} should begin",
                number + 1
            ));
        }
    }
    let mut cut = cut_at(&placed, segments, end)?;
    let least = cut.offsets.iter().copied().min().unwrap_or(0).min(0);
    cut.late(least.unsigned_abs())?;
    Ok(cut)
}

/// Cuts pictures that are shown at `times` (by decode order) into `segments`, which follow each other, up to `end`. The
/// offsets are negative where a picture is shown before it is decoded.
fn cut_at(times: &[u64], segments: Vec<Range<usize>>, end: u64) -> Result<Cut, String> {
    let mut cut = Cut {
        segments: Vec::with_capacity(segments.len()),
        starts: Vec::with_capacity(segments.len()),
        durations: Vec::with_capacity(times.len()),
        offsets: Vec::with_capacity(times.len()),
        reordering: 0,
    };
    for (number, segment) in segments.into_iter().enumerate() {
        let in_decode_order = times.get(segment.clone()).unwrap_or_default();
        let Some(&start) = in_decode_order.first() else {
            return Err(format!("segment {} has no pictures", number + 1));
        };
        let next = times.get(segment.end).copied().unwrap_or(end);
        let mut sorted = in_decode_order.to_vec();
        sorted.sort_unstable();
        if sorted[0] != start || sorted[sorted.len() - 1] >= next {
            return Err(format!(
                "the pictures of segment {} are not shown between its key frame and the next",
                number + 1
            ));
        }
        for (index, &time) in in_decode_order.iter().enumerate() {
            // The n-th to decode is decoded when the n-th is shown.
            let decoded = sorted[index];
            let until = sorted.get(index + 1).copied().unwrap_or(next);
            let duration =
                u32::try_from(until - decoded).map_err(|_| "a picture is shown for too long")?;
            let offset = time as i64 - decoded as i64;
            cut.durations.push(duration);
            cut.offsets
                .push(i32::try_from(offset).map_err(|_| "a picture is reordered too far")?);
        }
        cut.segments.push(segment);
        cut.starts.push(start);
    }
    Ok(cut)
}

impl Cut {
    /// Makes all offsets `reordering` later. Err: one stays negative.
    fn late(&mut self, reordering: u32) -> Result<(), String> {
        let later = i32::try_from(reordering).map_err(|_| "a picture is reordered too far")?;
        for offset in &mut self.offsets {
            *offset += later;
            if *offset < 0 {
                return Err("the encoder orders pictures further than is planned with".into());
            }
        }
        self.reordering = reordering;
        Ok(())
    }
}

/// Cuts sound at the first sample at or after each of `boundaries` (ticks of this track), and where there are none,
/// every two seconds. Leaves out what lies before the start.
fn cut_sound(
    shown: &[i64],
    durations: &[u32],
    boundaries: &[u64],
    scale: Timescale,
) -> Result<Cut, String> {
    let skipped = shown
        .iter()
        .zip(durations)
        .take_while(|&(&time, &duration)| time.saturating_add(i64::from(duration)) <= 0)
        .count();
    if skipped == shown.len() {
        return Err("it plays nothing".into());
    }
    let start = u64::try_from(shown[skipped]).unwrap_or(0);
    let grid = u64::from(scale.get()) * SOUND_SEGMENT_MS / 1000;
    let mut cut = Cut {
        segments: Vec::new(),
        starts: Vec::new(),
        durations: durations.to_vec(),
        offsets: vec![0; durations.len()],
        reordering: 0,
    };
    let mut marks = boundaries
        .iter()
        .copied()
        .filter(|&mark| mark > start)
        .peekable();
    let last_mark = boundaries.last().copied().unwrap_or(0);
    let (mut first, mut at, mut began) = (skipped, start, start);
    for (index, &duration) in durations.iter().enumerate().skip(skipped) {
        let mut due = false;
        while marks.next_if(|&mark| mark <= at).is_some() {
            due = true;
        }
        // Beyond the pictures, or where one stands still for long.
        let alone = marks.peek().is_none() && at / grid > began.max(last_mark) / grid;
        if index > first && (due || alone || at - began >= grid * 5) {
            cut.segments.push(first..index);
            cut.starts.push(began);
            (first, began) = (index, at);
        }
        at = at.saturating_add(u64::from(duration));
    }
    cut.segments.push(first..durations.len());
    cut.starts.push(began);
    Ok(cut)
}

/// A track file that is published.
pub struct Published {
    pub segments: Vec<SegmentRecord>,
    /// Starts of the segments, in ticks.
    pub starts: Vec<u64>,
    pub scale: Timescale,
}

/// Publishes the pictures or sound of `made` as the track file `name`.
///
/// `grid_ms`: how far key frames are apart. `boundaries`: where pictures were cut and their timescale, for sound.
pub async fn publish(
    made: &Made,
    name: &str,
    language: &str,
    place: &OutputPlace,
    grid_ms: u32,
    boundaries: Option<(&[u64], Timescale)>,
) -> Step<Published> {
    let fault = |why: String| {
        failure::internal(format!("The file '{name}' cannot be put together: {why}."))
    };
    let config = config(made, language);
    let scale = config.timescale;
    let ticks = u64::from(scale.get());
    let cut = if config.kind == TrackKind::Video {
        let sync: Vec<bool> = made.samples.iter().map(|sample| sample.sync).collect();
        let last = made
            .samples
            .iter()
            .zip(&made.shown)
            .max_by_key(|(_, shown)| **shown)
            .map_or(1, |(sample, _)| sample.duration);
        cut_pictures(
            &made.shown,
            &sync,
            last,
            (ticks * u64::from(grid_ms) / 1000).max(1),
        )
    } else {
        let durations: Vec<u32> = made.samples.iter().map(|sample| sample.duration).collect();
        let own: Vec<u64> = boundaries
            .map(|(starts, from)| {
                starts
                    .iter()
                    .map(|&start| {
                        let exact = (u128::from(start) * u128::from(ticks))
                            .div_ceil(u128::from(from.get()));
                        u64::try_from(exact).unwrap_or(u64::MAX)
                    })
                    .collect()
            })
            .unwrap_or_default();
        cut_sound(&made.shown, &durations, &own, scale)
    }
    .map_err(fault)?;
    let writer =
        TrackFile::reordered(config, cut.reordering).map_err(|error| fault(error.to_string()))?;
    let mut published = Published {
        segments: Vec::with_capacity(cut.segments.len()),
        starts: cut.starts.clone(),
        scale,
    };
    let (mut block, mut blocks) = (Vec::new(), 0);
    for (number, (range, &start)) in (0_u32..).zip(cut.segments.iter().zip(&cut.starts)) {
        let (segment, record) =
            segment(&writer, made, &cut, range.clone(), number, start).map_err(fault)?;
        published.segments.push(record);
        block.extend_from_slice(&segment);
        if block.len() >= BLOCK_BYTES {
            place
                .stage(
                    name,
                    &place.block_id(blocks),
                    std::mem::take(&mut block).into(),
                )
                .await?;
            blocks += 1;
        }
    }
    if !block.is_empty() {
        place
            .stage(name, &place.block_id(blocks), block.into())
            .await?;
        blocks += 1;
    }
    place
        .commit(
            name,
            &writer,
            &published.segments,
            (0..blocks).map(|block| place.block_id(block)).collect(),
        )
        .await?;
    Ok(published)
}

/// What a track file says of the track of `made`.
fn config(made: &Made, language: &str) -> TrackConfig {
    let config = made.track.config.clone();
    TrackConfig {
        id: 1,
        matrix: Matrix::rotate(made.turn, config.width, config.height),
        language: language.to_owned(),
        ..config
    }
}

/// Segment `number`: the samples `range` of `made`, which is `cut`, from `start` on.
fn segment(
    writer: &TrackFile,
    made: &Made,
    cut: &Cut,
    range: Range<usize>,
    number: u32,
    start: u64,
) -> Result<(Vec<u8>, SegmentRecord), String> {
    let mut bytes = Vec::with_capacity(range.len());
    for sample in &made.samples[range.clone()] {
        bytes.push(made.read(sample).map_err(|error| error.to_string())?);
    }
    let samples: Vec<MediaSample<'_>> = range
        .zip(&bytes)
        .map(|(index, bytes)| MediaSample {
            bytes,
            duration: cut.durations[index],
            cto: cut.offsets[index],
            sync: made.samples[index].sync,
        })
        .collect();
    writer
        .segment(number, start, &samples)
        .map_err(|error| error.to_string())
}

/// Some segments of a track file.
pub(super) struct Packed {
    pub(super) bytes: Vec<u8>,
    pub(super) segments: Vec<SegmentRecord>,
    pub(super) writer: TrackFile,
}

/// Cuts `made`, whose pictures have their times ([`Made::place`]), into `segments` up to `end`. `first`: the number of the
/// first of them in the track. `reordering`: of the whole track, in ticks. Err: why that does not go.
pub(super) fn chunk(
    made: &Made,
    language: &str,
    first: u32,
    segments: &[Range<usize>],
    end: u64,
    reordering: u64,
) -> Result<Packed, String> {
    if made.scale().get() != 90_000 {
        return Err("the encoder counts in other ticks".into());
    }
    let reordering = u32::try_from(reordering).map_err(|_| "a picture is reordered too far")?;
    let times: Vec<u64> = made
        .shown
        .iter()
        .map(|&time| u64::try_from(time).unwrap_or(0))
        .collect();
    let mut cut = cut_at(&times, segments.to_vec(), end)?;
    cut.late(reordering)?;
    let writer = TrackFile::reordered(config(made, language), reordering)
        .map_err(|error| error.to_string())?;
    let mut packed = Packed {
        bytes: Vec::new(),
        segments: Vec::with_capacity(segments.len()),
        writer,
    };
    for (number, (range, &start)) in (first..).zip(cut.segments.iter().zip(&cut.starts)) {
        let (bytes, record) = segment(&packed.writer, made, &cut, range.clone(), number, start)?;
        packed.bytes.extend_from_slice(&bytes);
        packed.segments.push(record);
    }
    Ok(packed)
}

/// The writer that wrote `init`. `None` if it was not one of ours.
pub(super) fn writer_of(init: &[u8]) -> Option<TrackFile> {
    let movie = headwater_bmff::parse_movie(Bytes::copy_from_slice(init)).ok()?;
    let track = movie.tracks.into_iter().next()?;
    let window = track
        .edits
        .window(movie.timescale, track.config.timescale)
        .ok()?;
    let writer = TrackFile::reordered(track.config, u32::try_from(window.start).ok()?).ok()?;
    (writer.init() == init).then_some(writer)
}

/// Tells players how to turn the tracks of the MP4 file at `path`: `matrices` in the order of its tracks, `None` for those that
/// stay as they are.
pub(super) fn turn(path: &Path, matrices: &[Option<Matrix>]) -> Step<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let written = || -> std::io::Result<()> {
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        let (start, len) = movie_box(&file)?;
        let mut moov = vec![0; len];
        file.read_exact_at(&mut moov, start)?;
        let places = matrix_places(&moov, start).map_err(std::io::Error::other)?;
        for (place, matrix) in places.into_iter().zip(matrices) {
            if let Some(matrix) = matrix {
                file.write_all_at(&matrix.to_bytes(), place)?;
            }
        }
        Ok(())
    };
    written().map_err(|error| damaged(path, error))
}

/// Where the payload of `moov` begins, and how long it is.
fn movie_box(file: &File) -> std::io::Result<(u64, usize)> {
    let no_movie = || std::io::Error::other("it has no moov box");
    let mut at = 0_u64;
    loop {
        let mut head = [0; 16];
        // The last box may be shorter than the longest header.
        let read = file.read_at(&mut head, at)?;
        let (Some(small), Some(name)) = (head.first_chunk::<4>(), head.get(4..8)) else {
            return Err(no_movie());
        };
        let (header, size) = match u32::from_be_bytes(*small) {
            1 => (
                16,
                u64::from_be_bytes(*head.last_chunk().unwrap_or(&[0; 8])),
            ),
            small => (8, u64::from(small)),
        };
        if read < header || size < header as u64 {
            return Err(no_movie());
        }
        if name == b"moov" {
            let len = usize::try_from(size - header as u64).map_err(std::io::Error::other)?;
            return Ok((at + header as u64, len));
        }
        at = at.checked_add(size).ok_or_else(no_movie)?;
    }
}

/// Uploads the file at `path` as it is; gives the state of what is stored.
pub async fn upload(
    path: &Path,
    name: &str,
    content_type: &str,
    place: &OutputPlace,
) -> Step<SourceId> {
    let file = open_own(path).map_err(|error| damaged(path, error))?;
    let len = file.metadata().map_err(|error| damaged(path, error))?.len();
    if len == 0 {
        return Err(damaged(path, "it is empty"));
    }
    let (mut offset, mut blocks) = (0_u64, Vec::new());
    while offset < len {
        let size = (len - offset).min(BLOCK_BYTES as u64);
        let mut bytes = vec![0; size as usize];
        file.read_exact_at(&mut bytes, offset)
            .map_err(|error| damaged(path, error))?;
        let id = place.block_id(blocks.len() as u32);
        place.stage(name, &id, bytes.into()).await?;
        blocks.push(id);
        offset += size;
    }
    let etag = place.commit_plain(name, &blocks, content_type).await?;
    Ok(SourceId { etag, len })
}

/// Writes the packaging index of the MP4 file at `path`, which is stored as `name` in the state `stored`, so that nobody who plays it
/// waits for one. What the origin cannot package has none; it says why when it is asked for.
pub async fn write_index(
    path: &Path,
    name: &str,
    stored: &SourceId,
    place: &OutputPlace,
) -> Step<()> {
    let file = open_own(path).map_err(|error| damaged(path, error))?;
    let movie = movie(&file).map_err(|error| damaged(path, error))?;
    match build_from_movie(&movie, stored) {
        Ok(bytes) => {
            let index = blob_name(name);
            let kind = "application/octet-stream";
            place.put(&index, kind, bytes.into()).await.map(drop)
        }
        Err(error) => {
            tracing::info!(file = name, %error, "not packaged beforehand");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reordered_pictures_decode_before_they_are_shown() {
        // I P B B | I P B B, in decode order, 25 a second on a scale of 90 kHz; the second group is half a second later.
        let shown = [
            900, 11_700, 4_500, 8_100, 180_000, 190_800, 183_600, 187_200,
        ];
        let sync = [true, false, false, false, true, false, false, false];
        let cut = cut_pictures(&shown, &sync, 3600, 180_000).unwrap();
        assert_eq!(cut.segments, [0..4, 4..8]);
        assert_eq!(cut.starts, [0, 180_000]);
        assert_eq!(cut.durations.iter().sum::<u32>(), 194_400);
        assert_eq!(cut.reordering, 3600);
        // Decode times in the second group: 180000, 183600, 187200, 190800.
        assert_eq!(&cut.offsets[4..], [3600, 10_800, 0, 0]);
        for segment in &cut.segments {
            let least = segment.clone().map(|index| cut.offsets[index]).min();
            assert_eq!(least, Some(0));
        }
    }

    #[test]
    fn a_chunk_is_cut_where_it_was_planned() {
        let times = [
            900, 11_700, 4_500, 8_100, 180_000, 190_800, 183_600, 187_200,
        ];
        let mut cut = cut_at(&times, vec![0..4, 4..8], 360_000).unwrap();
        assert_eq!(cut.starts, [900, 180_000]);
        assert_eq!(cut.durations.iter().sum::<u32>(), 359_100);
        assert!(cut.clone().late(3599).is_err());
        cut.late(7200).unwrap();
        assert_eq!(&cut.offsets[4..], [7200, 14_400, 3600, 3600]);
        // Key frames are where they should be, and groups closed.
        assert!(cut_at(&times, vec![0..3, 3..8], 360_000).is_err());
        assert!(cut_at(&times, vec![0..4, 4..8], 190_000).is_err());
    }

    #[test]
    fn a_group_that_is_not_closed_is_noticed() {
        let shown = [0, 3600, 180_000, 176_400];
        let sync = [true, false, true, false];
        assert!(cut_pictures(&shown, &sync, 3600, 180_000).is_err());
        assert!(cut_pictures(&[0, 0], &[true, false], 1, 10).is_err());
        assert!(cut_pictures(&[0, 5], &[false, false], 1, 10).is_err());
    }

    #[test]
    fn sound_is_cut_where_pictures_are() {
        let scale = Timescale::new(48_000).unwrap();
        let durations = vec![1024; 300];
        let shown: Vec<i64> = (0..300).map(|index| index * 1024 - 1024).collect();
        let cut = cut_sound(&shown, &durations, &[0, 96_000, 192_000], scale).unwrap();
        // The first access unit is the encoder's run-up.
        assert_eq!(cut.segments[0].start, 1);
        assert_eq!(cut.starts, [0, 94 * 1024, 188 * 1024, 282 * 1024]);
        let alone = cut_sound(&shown, &durations, &[], scale).unwrap();
        assert_eq!(alone.starts, cut.starts);
        assert!(cut_sound(&[-5000], &[1024], &[], scale).is_err());
    }
}
