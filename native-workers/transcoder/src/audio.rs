//! One audio track: where its sound belongs on the presentation's timeline, and its chunks.
//!
//! What we write is AAC-LC in frames of 1024 samples on the scale of its own sample rate, without an edit list. A source
//! in stereo AAC-LC at no more than the wanted rate is copied frame by frame: the first frame kept is the first that
//! starts in the presentation, the rest keep their distance. Everything else is decoded, mixed to stereo, resampled if
//! its rate is unusual, and encoded so that frame 0 starts at 0: the encoder's delay is taken out by feeding it early
//! and dropping what comes out first. A track that starts late starts with silence; gaps stay silent.
//!
//! Chunks are encoded independently: each feeds its encoder a few frames of what comes before, so that at the seam both
//! sides have heard the same and overlap as if they were one.

use std::ops::Range;

use bytes::Bytes;
use headwater_bmff::{AacConfig, AudioObjectType, MediaWindow, SampleTable, TrackConfig};
use headwater_cmaf::track_file::{MediaSample, TrackFile};
use headwater_time::Timescale;
use tokio_util::sync::CancellationToken;

use crate::aac::decoder::{Decoder, Format};
use crate::aac::encoder::Encoder;
use crate::aac::resample::{Resampler, published_rate};
use crate::aac::{FRAME, mix};
use crate::failure::{self, Step, Stopped};
use crate::jitter::{Heard, LOOK_SECONDS, jitter};
use crate::video::EncodedChunk;

/// Frames an encoder hears before the first one that counts.
const ENCODER_RUN_UP: i64 = 8;
/// Access units a decoder gets before the first one that counts: overlap, and spectral band replication's history.
const DECODER_RUN_UP: i64 = 4;
/// Frames that count as one unit of a job's work, as a picture does: about a second.
const UNIT_FRAMES: u64 = 50;
/// A chunk ends with the segment that fills it up to this. Chunks are held in memory as plain samples.
const CHUNK_SECONDS: u64 = 60;
/// Where the video shows one picture for longer, the sound is cut on its own: every [`SEGMENT_SECONDS`].
const LONGEST_SEGMENT_SECONDS: u64 = 10;
const SEGMENT_SECONDS: u64 = 2;
/// Longest sound that is published. What a file claims of its times costs it a few bytes and us hours.
const MOST_HOURS: u64 = 100;
/// Silence that a track may claim beside four times its own sound: late starts, pauses in a recording.
const MOST_SILENT_HOURS: u64 = 24;
/// A copied source may exceed the wanted rate by this share, in percent: encoders do not hit it exactly.
const COPY_TOLERANCE_PERCENT: u64 = 6;

/// A stretch of access units that follow each other without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u32,
    /// Where the first one's sound starts, in source samples from the start of the presentation.
    position: i64,
}

/// Where every access unit of a track belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceAudio {
    /// Ascending; not empty.
    runs: Vec<Run>,
    units: u32,
    /// Source samples from the start of the presentation to where the sound ends.
    end: i64,
    /// Output of the decoder.
    pub format: Format,
    delay: i64,
}

impl SourceAudio {
    /// `window`: the track's edit list. `probe`: what the decoder said of the first access units.
    fn new(
        scale: Timescale,
        samples: &SampleTable,
        window: MediaWindow,
        format: Format,
        delay: u32,
    ) -> Self {
        let rate = i128::from(format.sample_rate);
        let ticks = i128::from(scale.get());
        let offset = i128::from(window.delay) - i128::from(window.start);
        let at = |time: i64| -> i64 {
            let exact = (i128::from(time) + offset) * rate;
            i64::try_from((exact + ticks / 2).div_euclid(ticks)).unwrap_or(i64::MAX)
        };
        let unit = format.frame as i64;
        // Timescales that are not the sample rate wobble, and recorders state when access units came; a real gap is longer than 20 ms,
        // and than the wobble of this file.
        let wobble = jitter(&heard(samples, format, at)) * f64::from(format.sample_rate);
        let tolerance = (i64::from(format.sample_rate) / 50).max(wobble.ceil() as i64 + 1);
        let mut runs: Vec<Run> = Vec::new();
        let mut expected = 0_i64;
        for sample in samples.iter() {
            let position = at(sample.composition_time());
            if runs.is_empty() || position.abs_diff(expected) > tolerance.unsigned_abs() {
                runs.push(Run {
                    first: sample.index,
                    position,
                });
                expected = position;
            }
            expected = expected.saturating_add(unit);
        }
        let end = window
            .end
            .and_then(|end| i64::try_from(end).ok())
            .map_or(expected, |end| at(end).min(expected));
        Self {
            runs,
            units: samples.len(),
            end,
            format,
            delay: i64::from(delay),
        }
    }

    fn position(&self, unit: u32) -> i64 {
        let run = self
            .runs
            .partition_point(|run| run.first <= unit)
            .saturating_sub(1);
        self.runs.get(run).map_or(0, |run| {
            run.position + i64::from(unit - run.first) * self.format.frame as i64
        })
    }

    /// The access units whose sound lies in source samples `from..to`, with the decoder's run-up.
    fn units(&self, from: i64, to: i64) -> Range<u32> {
        let find = |wanted: i64| -> i64 {
            // Positions ascend, so a binary search over units does.
            let (mut low, mut high) = (0_u32, self.units);
            while low < high {
                let middle = low + (high - low) / 2;
                if self.position(middle) < wanted {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            i64::from(low)
        };
        let clamp = |unit: i64| u32::try_from(unit.clamp(0, i64::from(self.units))).unwrap_or(0);
        let first = find(from) - 1 - DECODER_RUN_UP;
        // The decoder's delay pushes sound into later access units.
        let last = find(to + self.delay) + 1;
        clamp(first)..clamp(last)
    }
}

/// How a track is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AudioWork {
    /// Access units go over as they are, from sample `first` on, which starts `start` ticks into the presentation.
    Copy {
        first: u32,
        start: u64,
    },
    Encode(SourceAudio),
}

/// One audio rendition.
#[derive(Debug, Clone)]
pub struct AudioPlan {
    /// Id in the source, for messages.
    pub track: u32,
    pub language: String,
    pub kbps: u32,
    pub sample_rate: u32,
    pub work: AudioWork,
    pub config: AacConfig,
    pub samples: SampleTable,
    /// Frames of 1024 samples.
    pub frames: u64,
    /// First frame of each segment.
    pub segments: Vec<u64>,
    /// The segments of each chunk.
    pub chunks: Vec<Range<usize>>,
}

/// What the plan of an audio track is made from.
pub struct AudioSource<'a> {
    pub track: &'a TrackConfig,
    pub config: &'a AacConfig,
    pub samples: &'a SampleTable,
    pub window: MediaWindow,
    /// What a decoder says after the first access units, and its delay.
    pub probed: (Format, u32),
}

impl AudioPlan {
    /// `boundaries`: starts of the video's segments and their timescale, if there is video.
    pub fn new(
        source: &AudioSource<'_>,
        kbps: u32,
        boundaries: Option<(&[u64], Timescale)>,
    ) -> Step<Self> {
        let track = source.track.id;
        let (format, delay) = source.probed;
        if !mix::is_known(format.channels) {
            return Err(failure::unsupported(format!(
                "Track {track} ({}) has {} channels, which is not supported.",
                source.config.object_type.name(),
                format.channels
            )));
        }
        let (work, sample_rate, frames, start) = match copyable(source, kbps) {
            Some((first, start)) => {
                let end = last_inside(source);
                let frames = u64::from(end.saturating_sub(first));
                (
                    AudioWork::Copy { first, start },
                    format.sample_rate,
                    frames,
                    start,
                )
            }
            None => {
                let audio = SourceAudio::new(
                    source.track.timescale,
                    source.samples,
                    source.window,
                    format,
                    delay,
                );
                let sample_rate = published_rate(format.sample_rate);
                let length = i128::from(audio.end.max(0)) * i128::from(sample_rate);
                let length = length.div_euclid(i128::from(format.sample_rate));
                let frames = u64::try_from(length).unwrap_or(0).div_ceil(FRAME);
                (AudioWork::Encode(audio), sample_rate, frames, 0)
            }
        };
        if let Some(claim) = excessive(frames, source) {
            return Err(failure::unsupported(format!(
                "Track {track} ({}) {claim}.",
                source.config.object_type.name()
            )));
        }
        if frames == 0 {
            return Err(failure::malformed(format!(
                "Track {track} ({}) plays nothing: its edit list leaves out every sample.",
                source.config.object_type.name()
            )));
        }
        let segments = segments(frames, start, sample_rate, boundaries);
        Ok(Self {
            track,
            language: source.track.language.clone(),
            kbps,
            sample_rate,
            work,
            config: source.config.clone(),
            samples: source.samples.clone(),
            frames,
            chunks: chunks(&segments, sample_rate),
            segments,
        })
    }

    /// The frames of chunk `index`.
    pub fn frames_of(&self, index: usize) -> Range<u64> {
        let segments = self.chunks[index].clone();
        self.frame_at(segments.start)..self.frame_at(segments.end)
    }

    fn frame_at(&self, segment: usize) -> u64 {
        self.segments.get(segment).copied().unwrap_or(self.frames)
    }

    /// Units of work in chunk `index`.
    pub fn work_of(&self, index: usize) -> u64 {
        let frames = self.frames_of(index);
        (frames.end - frames.start) / UNIT_FRAMES
    }

    /// The source samples that chunk `index` needs.
    pub fn samples_of(&self, index: usize) -> Range<u32> {
        let Range {
            start: first,
            end: last,
        } = self.frames_of(index);
        match &self.work {
            AudioWork::Copy { first: skipped, .. } => {
                let place =
                    |frame: u64| skipped.saturating_add(u32::try_from(frame).unwrap_or(u32::MAX));
                place(first)..place(last)
            }
            AudioWork::Encode(audio) => {
                let (from, to) = self.needs(audio, first, last);
                audio.units(from, to)
            }
        }
    }

    /// Source samples for frames `first..last`, run-up and look-ahead included.
    fn needs(&self, audio: &SourceAudio, first: u64, last: u64) -> (i64, i64) {
        let frame = FRAME as i64;
        let from = (first as i64 - ENCODER_RUN_UP - 4) * frame;
        let to = (last as i64 + 8) * frame;
        match Resampler::new(audio.format.sample_rate, self.sample_rate) {
            Some(resampler) => resampler.needs(from, to),
            None => (from, to),
        }
    }

    /// The track of the rendition's file.
    pub fn track_config(&self) -> Step<TrackConfig> {
        let config = match &self.work {
            AudioWork::Copy { .. } => self.config.clone(),
            AudioWork::Encode(_) => AacConfig::lc(self.sample_rate, 2)
                .ok_or_else(|| failure::internal("AAC-LC has no code for the sample rate."))?,
        };
        let scale = Timescale::new(self.sample_rate)
            .ok_or_else(|| failure::internal("A sample rate of zero."))?;
        Ok(TrackConfig::audio(1, scale, &self.language, config))
    }

    /// Makes chunk `index`. `units`: the bytes of [`Self::samples_of`], in order. `done`: told of units of work as they
    /// are done, in all [`Self::work_of`].
    pub fn encode_chunk(
        &self,
        index: usize,
        units: &[Bytes],
        done: &dyn Fn(u64),
        stop: &CancellationToken,
    ) -> Step<EncodedChunk> {
        let Range {
            start: first,
            end: last,
        } = self.frames_of(index);
        let encoded: Vec<Bytes> = match &self.work {
            AudioWork::Copy { .. } => {
                done(self.work_of(index));
                units.to_vec()
            }
            AudioWork::Encode(audio) => {
                let sound = self.decode(audio, index, units, first, last, stop)?;
                self.encode(&sound, first..last, done, stop)?
            }
        };
        let start = match self.work {
            AudioWork::Copy { start, .. } => start,
            AudioWork::Encode(_) => 0,
        };
        let writer = TrackFile::new(self.track_config()?)
            .map_err(|error| failure::internal(format!("{error}.")))?;
        let mut out = EncodedChunk {
            bytes: Vec::new(),
            segments: Vec::new(),
            parameter_sets: None,
        };
        for segment in self.chunks[index].clone() {
            let frames = self.frame_at(segment)..self.frame_at(segment + 1);
            let samples: Vec<MediaSample<'_>> = frames
                .clone()
                .filter_map(|frame| encoded.get(usize::try_from(frame - first).ok()?))
                .map(|bytes| MediaSample {
                    bytes,
                    duration: FRAME as u32,
                    cto: 0,
                    sync: true,
                })
                .collect();
            let number =
                u32::try_from(segment).map_err(|_| failure::internal("Too many segments."))?;
            let (bytes, record) = writer
                .segment(number, start + frames.start * FRAME, &samples)
                .map_err(|error| {
                    failure::internal(format!("A segment cannot be written: {error}."))
                })?;
            out.bytes.extend_from_slice(&bytes);
            out.segments.push(record);
        }
        Ok(out)
    }

    /// Stereo at the published rate, for frames `first - ENCODER_RUN_UP - 4` to `last + 8`.
    fn decode(
        &self,
        audio: &SourceAudio,
        index: usize,
        units: &[Bytes],
        first: u64,
        last: u64,
        stop: &CancellationToken,
    ) -> Step<Vec<i16>> {
        let frame = FRAME as i64;
        let (from, to) = self.needs(audio, first, last);
        let length = usize::try_from(to - from).unwrap_or(0);
        let mut sound = vec![0_i16; length * 2];
        let mut decoder = Decoder::new(&self.config.asc).map_err(|error| {
            failure::unsupported(format!("Track {} (AAC): {error}.", self.track))
        })?;
        let mut stereo = Vec::new();
        let (mut damaged, mut first_error) = (0_usize, None);
        let numbers = self.samples_of(index);
        let mut place = |position: i64, stereo: &[i16]| {
            for (pair, at) in stereo.chunks_exact(2).zip(position - from..) {
                // Neither before the presentation nor past the track's end.
                if at >= 0 && at < length as i64 && at + from >= 0 && at + from < audio.end {
                    let at = at as usize * 2;
                    sound[at] = pair[0];
                    sound[at + 1] = pair[1];
                }
            }
        };
        let mut after = None;
        for (unit, bytes) in numbers.zip(units) {
            if stop.is_cancelled() {
                return Err(Stopped::Interrupted);
            }
            match decoder.decode(bytes) {
                Ok((format, samples)) if format.sample_rate == audio.format.sample_rate => {
                    stereo.clear();
                    mix::to_stereo(samples, format.channels, &mut stereo);
                    let position = audio.position(unit) - audio.delay;
                    place(position, &stereo);
                    after = Some(position + (stereo.len() / 2) as i64);
                }
                Ok((format, _)) => {
                    return Err(failure::unsupported(format!(
                        "Track {} (AAC) changes its sample rate from {} to {} Hz.",
                        self.track, audio.format.sample_rate, format.sample_rate
                    )));
                }
                Err(error) => {
                    damaged += 1;
                    first_error.get_or_insert((unit, error));
                }
            }
        }
        if audio.delay > 0
            && let (Some(position), Ok((format, samples))) = (after, decoder.flush())
        {
            stereo.clear();
            mix::to_stereo(samples, format.channels, &mut stereo);
            place(position, &stereo);
        }
        if let Some((unit, error)) = first_error {
            if damaged * 2 > units.len() {
                return Err(failure::malformed(format!(
                    "Track {} ({}) cannot be decoded: {damaged} of {} access units around {:.1} s are damaged \
                     (sample {}: {error}).",
                    self.track,
                    self.config.object_type.name(),
                    units.len(),
                    first as f64 * FRAME as f64 / f64::from(self.sample_rate),
                    unit + 1
                )));
            }
            tracing::warn!(
                track = self.track,
                damaged,
                "access units could not be decoded and are silent"
            );
        }
        let (out_from, out_to) = (
            (first as i64 - ENCODER_RUN_UP - 4) * frame,
            (last as i64 + 8) * frame,
        );
        Ok(
            match Resampler::new(audio.format.sample_rate, self.sample_rate) {
                Some(resampler) => resampler.run(&sound, from, out_from, out_to),
                None => sound,
            },
        )
    }

    /// The access units of `frames`.
    ///
    /// Access unit `j` of an encoder with a delay of `d` samples plays what was fed from `1024 j - d` on. Feeding starts
    /// such that `d` plus what is fed too early is a whole number of frames.
    fn encode(
        &self,
        sound: &[i16],
        frames: Range<u64>,
        done: &dyn Fn(u64),
        stop: &CancellationToken,
    ) -> Step<Vec<Bytes>> {
        let fault =
            |error: crate::aac::encoder::EncodeError| failure::internal(format!("{error}."));
        let mut encoder = Encoder::new(self.sample_rate, self.kbps * 1000).map_err(fault)?;
        let delay = encoder.delay();
        let shift = (FRAME - delay % FRAME) % FRAME;
        let dropped = ENCODER_RUN_UP as u64 + (shift + delay) / FRAME;
        // `sound` begins 4 frames before the run-up.
        let fed_from = (4 * FRAME - shift) as usize * 2;
        let wanted = usize::try_from(frames.end - frames.start).unwrap_or(0);
        let mut units = Vec::with_capacity(wanted);
        let mut made = 0;
        for frame in sound
            .get(fed_from..)
            .unwrap_or_default()
            .chunks_exact(FRAME as usize * 2)
        {
            if stop.is_cancelled() {
                return Err(Stopped::Interrupted);
            }
            let Some(unit) = encoder.encode(frame).map_err(fault)? else {
                continue;
            };
            if made >= dropped && units.len() < wanted {
                units.push(Bytes::copy_from_slice(unit));
                if (units.len() as u64).is_multiple_of(UNIT_FRAMES) {
                    done(1);
                }
            }
            made += 1;
        }
        if units.len() < wanted {
            return Err(failure::internal(
                "The AAC encoder gave too few access units.",
            ));
        }
        Ok(units)
    }
}

/// The first sample to copy and where it starts, if the track can be copied.
fn copyable(source: &AudioSource<'_>, kbps: u32) -> Option<(u32, u64)> {
    let (format, _) = source.probed;
    let config = source.config;
    let same_rate = source.track.timescale.get() == format.sample_rate;
    let plain = config.object_type == AudioObjectType::Lc
        && format.channels == 2
        && format.frame as u64 == FRAME
        && published_rate(format.sample_rate) == format.sample_rate;
    if !plain || !same_rate || source.window.delay >= FRAME {
        return None;
    }
    let first = source.samples.iter().find(|sample| {
        sample.composition_time() >= i64::try_from(source.window.start).unwrap_or(i64::MAX)
    })?;
    let end = last_inside(source);
    let mut expected = first.composition_time();
    let mut bytes = 0_u64;
    for sample in source
        .samples
        .iter_from(first.index)
        .take_while(|sample| sample.index < end)
    {
        if sample.composition_time() != expected || sample.size == 0 {
            return None;
        }
        expected += FRAME as i64;
        bytes += u64::from(sample.size);
    }
    let frames = u64::from(end.checked_sub(first.index)?);
    let bits_per_second = bytes * 8 * u64::from(format.sample_rate) / (frames * FRAME).max(1);
    if bits_per_second * 100 > u64::from(kbps) * 1000 * (100 + COPY_TOLERANCE_PERCENT) {
        return None;
    }
    let start =
        u64::try_from(first.composition_time()).ok()? - source.window.start + source.window.delay;
    Some((first.index, start))
}

/// One past the last sample that starts before the window's end.
fn last_inside(source: &AudioSource<'_>) -> u32 {
    let Some(end) = source.window.end.and_then(|end| i64::try_from(end).ok()) else {
        return source.samples.len();
    };
    let mut last = source.samples.len();
    while last > 0
        && source
            .samples
            .get(last - 1)
            .is_some_and(|sample| sample.composition_time() >= end)
    {
        last -= 1;
    }
    last
}

/// The access units of a track's beginning, by which it is judged.
fn heard(samples: &SampleTable, format: Format, at: impl Fn(i64) -> i64) -> Vec<Heard> {
    let rate = f64::from(format.sample_rate);
    let lasts = format.frame as f64 / rate;
    let units = f64::from(LOOK_SECONDS) / lasts;
    let samples = samples.iter().take(units as usize);
    let time = |time: i64| at(time) as f64 / rate;
    samples
        .map(|sample| (time(sample.composition_time()), lasts))
        .collect()
}

/// "claims 300 hours of sound, ...", if `frames` of the published rate are more than a track may have.
fn excessive(frames: u64, source: &AudioSource<'_>) -> Option<String> {
    let (format, _) = source.probed;
    let an_hour = u64::from(published_rate(format.sample_rate)) * 3600;
    let hours = frames.saturating_mul(FRAME) / an_hour;
    if hours > MOST_HOURS {
        return Some(format!(
            "claims {hours} hours of sound; at most {MOST_HOURS} are supported"
        ));
    }
    let held = u64::from(source.samples.len()) * format.frame as u64
        / (u64::from(format.sample_rate) * 3600);
    (hours > 4 * held + MOST_SILENT_HOURS).then(|| {
        format!(
            "claims {hours} hours of sound but holds no more than {}",
            held + 1
        )
    })
}

/// The first frame at or after each boundary of the video, and after the last one every two seconds. A stretch between
/// two boundaries that is too long for a segment is cut in the same way.
fn segments(
    frames: u64,
    start: u64,
    sample_rate: u32,
    boundaries: Option<(&[u64], Timescale)>,
) -> Vec<u64> {
    let rate = u64::from(sample_rate);
    let grid = SEGMENT_SECONDS * rate;
    let longest = LONGEST_SEGMENT_SECONDS * rate;
    let end = start + frames * FRAME;
    let mut starts = vec![0];
    let mut push = |position: u64| {
        let frame = position.saturating_sub(start).div_ceil(FRAME);
        if frame < frames && starts.last().is_some_and(|&last| frame > last) {
            starts.push(frame);
        }
    };
    let mut cut = |from: u64, to: u64| {
        let mut next = (from / grid + 1) * grid;
        while next < to.min(end) {
            push(next);
            next += grid;
        }
        push(to);
    };
    let mut last = 0;
    if let Some((boundaries, scale)) = boundaries {
        for &boundary in boundaries {
            let exact = (u128::from(boundary) * u128::from(rate)).div_ceil(u128::from(scale.get()));
            let boundary = u64::try_from(exact).unwrap_or(u64::MAX);
            // With nothing to cut in between.
            let from = if boundary.saturating_sub(last) > longest {
                last
            } else {
                boundary
            };
            cut(from, boundary);
            last = boundary;
        }
    }
    cut(last, end);
    starts
}

/// Groups segments, given by their first frames, into chunks.
fn chunks(segments: &[u64], sample_rate: u32) -> Vec<Range<usize>> {
    let least = CHUNK_SECONDS * u64::from(sample_rate);
    let mut chunks = Vec::new();
    let mut first = 0;
    for (index, &start) in segments.iter().enumerate() {
        if (start - segments[first]) * FRAME >= least {
            chunks.push(first..index);
            first = index;
        }
    }
    chunks.push(first..segments.len());
    chunks
}

#[cfg(test)]
mod tests {
    use headwater_bmff::{CodecConfig, MovieReader, Step as ReaderStep};

    use super::*;

    #[test]
    fn audio_is_cut_where_the_video_is_and_goes_on_alone() {
        let scale = Timescale::new(1000).unwrap();
        // 2 s are 93.75 frames.
        assert_eq!(
            segments(400, 0, 48_000, Some((&[0, 2000, 4000], scale))),
            [0, 94, 188, 282, 375]
        );
        assert_eq!(segments(190, 0, 48_000, None), [0, 94, 188]);
        assert_eq!(segments(190, 512, 48_000, None), [0, 94, 187]);
    }

    #[test]
    fn a_picture_shown_for_minutes_does_not_make_a_segment_of_minutes() {
        let scale = Timescale::new(1).unwrap();
        // An hour of pictures that change every five minutes.
        let boundaries: Vec<u64> = (0..12).map(|at| at * 300).collect();
        let frames = 3600 * 48_000 / FRAME;
        let starts = segments(frames, 0, 48_000, Some((&boundaries, scale)));
        for pair in starts.windows(2) {
            assert!((1..=94).contains(&(pair[1] - pair[0])), "{pair:?}");
        }
        for boundary in boundaries {
            assert!(starts.contains(&(boundary * 48_000).div_ceil(FRAME)));
        }
        let chunks = chunks(&starts, 48_000);
        assert!((58..=60).contains(&chunks.len()));
        assert_eq!(chunks.last().unwrap().end, starts.len());
        for pair in chunks.windows(2) {
            assert_eq!(pair[0].end, pair[1].start);
            let seconds = (starts[pair[0].end] - starts[pair[0].start]) * FRAME / 48_000;
            assert!((59..=62).contains(&seconds), "{seconds}");
        }
    }

    /// The plan of the demo's sound, and the bytes of its first chunk.
    fn demo(kbps: u32) -> (AudioPlan, Vec<Bytes>) {
        let file = Bytes::from(crate::demo::demo_bytes(4).unwrap());
        let mut reader = MovieReader::new(file.len() as u64);
        let movie = loop {
            match reader.step().unwrap() {
                ReaderStep::Done(movie) => break movie,
                ReaderStep::Need { offset, len } => {
                    let range = offset as usize..(offset + len) as usize;
                    reader.feed(offset, file.slice(range)).unwrap();
                }
            }
        };
        let track = &movie.tracks[1];
        let CodecConfig::Aac(config) = &track.config.codec else {
            panic!("not AAC")
        };
        let scale = track.config.timescale;
        let format = Format {
            sample_rate: 48_000,
            channels: 2,
            frame: 1024,
        };
        let source = AudioSource {
            track: &track.config,
            config,
            samples: &track.samples,
            window: track.edits.window(movie.timescale, scale).unwrap(),
            probed: (format, 0),
        };
        let plan = AudioPlan::new(&source, kbps, None).unwrap();
        let wanted = plan.samples_of(0);
        let units = track
            .samples
            .iter_from(wanted.start)
            .take(wanted.len())
            .map(|sample| {
                let start = sample.offset as usize;
                file.slice(start..start + sample.size as usize)
            })
            .collect();
        (plan, units)
    }

    #[test]
    fn progress_is_told_while_sound_is_encoded() {
        let stop = CancellationToken::new();
        for (kbps, told) in [(64, vec![1, 1, 1]), (128, vec![3])] {
            let (plan, units) = demo(kbps);
            let heard = std::cell::RefCell::new(Vec::new());
            plan.encode_chunk(0, &units, &|units| heard.borrow_mut().push(units), &stop)
                .unwrap();
            assert_eq!(heard.into_inner(), told);
            assert_eq!(plan.work_of(0), told.iter().sum::<u64>());
        }
    }
}
