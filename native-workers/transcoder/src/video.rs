//! Chunks of video: decoded once, scaled down the ladder, encoded to every rendition.
//!
//! Runs on threads of its own, fed with samples through a channel by whoever reads the source. Pictures in flight are
//! bounded: what the decoder holds back, and [`QUEUE`] per rendition.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

use bytes::Bytes;
use headwater_bmff::{AvcConfig, TrackConfig};
use headwater_cmaf::track_file::{MediaSample, SegmentRecord, TrackFile};
use tokio_util::sync::CancellationToken;

use crate::failure::{self, Step, Stopped};
use crate::h264::decoder::{DecodeError, Decoded, Decoder};
use crate::h264::encoder::{Coded, EncodeError, Encoder, EncoderConfig, ParameterSets, Profile};
use crate::h264::level;
use crate::h264::pace::Pace;
use crate::ladder::Rendition;
use crate::picture::Picture;
use crate::plan::{VideoChunk, VideoPass, VideoPlan};
use crate::scale::Ladder;
use crate::slots::Slots;

/// Pictures waiting for one encoder.
const QUEUE: usize = 3;

/// Pictures that may come out of the decoder before one that is shown earlier: the largest decoded picture buffer.
const MAX_REORDER: usize = 17;

/// One rendition of a chunk: segments one after the other, and what the end of the job has to know of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedChunk {
    pub bytes: Vec<u8>,
    pub segments: Vec<SegmentRecord>,
    pub parameter_sets: Option<ParameterSets>,
}

/// What all chunks of a job share.
pub struct Shared {
    pub plan: VideoPlan,
    pub slots: Arc<Slots>,
    pub stop: CancellationToken,
    /// Pictures handed to the encoders, over all chunks.
    pub shown: Arc<AtomicU64>,
}

/// The encoder settings of a rendition.
pub fn encoder_config(plan: &VideoPlan, rendition: Rendition) -> EncoderConfig {
    let frames_per_second = plan.timeline.frames_per_second();
    EncoderConfig {
        size: rendition.size,
        profile: if rendition.size.short_side() >= 720 {
            Profile::High
        } else {
            Profile::Main
        },
        level: level::lowest(rendition.size, frames_per_second, rendition.kbps),
        frames_per_second: frames_per_second.clamp(1.0, 60.0) as f32,
        colour: Some(plan.colour),
    }
}

/// The track of a rendition's file.
pub fn track_config(
    plan: &VideoPlan,
    rendition: Rendition,
    sets: &ParameterSets,
) -> Step<TrackConfig> {
    let config = AvcConfig::from_parameter_sets(vec![sets.sps.clone()], vec![sets.pps.clone()])
        .map_err(|error| {
            failure::internal(format!(
                "The encoder's parameter sets do not parse: {error}."
            ))
        })?;
    let side = |side: u32| {
        u16::try_from(side).map_err(|_| failure::internal("A rendition is too large for MP4."))
    };
    let size = (side(rendition.size.width)?, side(rendition.size.height)?);
    let mut track = TrackConfig::video(1, plan.timeline.timescale, config, size);
    track.colour = Some(plan.colour);
    Ok(track)
}

/// How a chunk is divided among threads. What is made is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// One for the whole chunk. Threads that hand each other a picture wake each other for it, which takes a fourteenth of the time.
    One,
    /// One for each rendition, and one that decodes and scales: nothing else is there to keep all slots busy.
    PerRendition,
}

/// Makes the chunks of `pass` one after the other, each in all renditions and in their order.
///
/// `samples`: the bytes of the pass's samples in decode order. `made`: takes a finished chunk by its index, and says
/// whether to go on with the next.
/// Errors: `ContentMalformed` when the source cannot be decoded; `Interrupted`, also when `samples` ends early.
pub fn encode_pass(
    shared: &Shared,
    pass: &VideoPass,
    threads: Threads,
    samples: &mut dyn FnMut() -> Option<Bytes>,
    made: &mut dyn FnMut(usize, Vec<EncodedChunk>) -> ControlFlow<()>,
) -> Step<()> {
    let plan = &shared.plan;
    let sizes: Vec<_> = plan
        .renditions
        .iter()
        .map(|rendition| rendition.size)
        .collect();
    let ladder = Ladder::new(plan.rotation.apply(plan.coded), &sizes)
        .map_err(|error| failure::internal(format!("The ladder cannot be made: {error}.")))?;
    let mut pictures = Pictures::new(shared, pass, samples)?;
    for &index in &pass.chunks {
        let chunk = &plan.chunks[index];
        let encoded = match threads {
            Threads::One => encode_in_turn(shared, chunk, &mut pictures, &ladder)?,
            Threads::PerRendition => encode_at_once(shared, chunk, &mut pictures, &ladder)?,
        };
        if made(index, encoded).is_break() {
            break;
        }
    }
    Ok(())
}

/// See [`Threads::One`].
fn encode_in_turn(
    shared: &Shared,
    chunk: &VideoChunk,
    pictures: &mut Pictures<'_>,
    ladder: &Ladder,
) -> Step<Vec<EncodedChunk>> {
    let renditions = shared.plan.renditions.iter();
    let mut encoders = renditions
        .map(|&rendition| RenditionEncoder::new(shared, chunk, rendition))
        .collect::<Step<Vec<_>>>()?;
    show_chunk(shared, chunk, pictures, ladder, &mut |scaled| {
        for (encoder, picture) in encoders.iter_mut().zip(scaled) {
            encoder.push(Arc::clone(picture))?;
        }
        Ok(())
    })?;
    encoders.into_iter().map(RenditionEncoder::finish).collect()
}

/// See [`Threads::PerRendition`].
fn encode_at_once(
    shared: &Shared,
    chunk: &VideoChunk,
    pictures: &mut Pictures<'_>,
    ladder: &Ladder,
) -> Step<Vec<EncodedChunk>> {
    let plan = &shared.plan;
    let (senders, receivers): (Vec<_>, Vec<_>) = plan
        .renditions
        .iter()
        .map(|_| sync_channel::<Arc<Picture>>(QUEUE))
        .unzip();
    std::thread::scope(|scope| {
        let encoders: Vec<_> = plan
            .renditions
            .iter()
            .zip(receivers)
            .map(|(&rendition, pictures)| {
                scope.spawn(move || encode_rendition(shared, chunk, rendition, &pictures))
            })
            .collect();
        let shown = show_chunk(shared, chunk, pictures, ladder, &mut |scaled| {
            for (sender, picture) in senders.iter().zip(scaled) {
                sender
                    .send(Arc::clone(picture))
                    .map_err(|_| Stopped::Interrupted)?;
            }
            Ok(())
        });
        drop(senders);
        let encoded: Vec<Step<EncodedChunk>> = encoders
            .into_iter()
            .map(|encoder| {
                encoder
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect();
        // The decoder's own error is the cause; encoders that got too few pictures only follow from it.
        match shown {
            Err(stopped @ Stopped::Failed(_)) => Err(stopped),
            Err(Stopped::Interrupted) => {
                let failed = encoded.into_iter().find_map(|result| match result {
                    Err(stopped @ Stopped::Failed(_)) => Some(stopped),
                    _ => None,
                });
                Err(failed.unwrap_or(Stopped::Interrupted))
            }
            Ok(()) => encoded.into_iter().collect(),
        }
    })
}

/// The pictures of a pass, decoded as they are asked for and put in order.
struct Pictures<'a> {
    shared: &'a Shared,
    /// Gone when all samples are decoded.
    decoder: Option<Decoder>,
    feed: &'a mut dyn FnMut() -> Option<Bytes>,
    /// Yet to be decoded.
    samples: Range<u32>,
    /// The frame that each wanted sample is shown as, by its number in decode order.
    frames: BTreeMap<u32, usize>,
    waiting: BTreeMap<usize, Picture>,
    out: Vec<Decoded>,
    /// Since it was last asked for.
    first_error: Option<(u32, DecodeError)>,
}

impl<'a> Pictures<'a> {
    fn new(
        shared: &'a Shared,
        pass: &VideoPass,
        feed: &'a mut dyn FnMut() -> Option<Bytes>,
    ) -> Step<Self> {
        let plan = &shared.plan;
        let sets = plan
            .config
            .sps
            .iter()
            .chain(&plan.config.pps)
            .map(Vec::as_slice);
        let decoder = Decoder::new(sets, plan.config.nal_length_size)
            .map_err(|error| failure::internal(format!("The H.264 decoder failed: {error}.")))?;
        let frames = pass
            .chunks
            .iter()
            .flat_map(|&chunk| plan.chunks[chunk].frames.clone())
            .map(|frame| (plan.timeline.frames[frame].sample, frame))
            .collect();
        Ok(Self {
            shared,
            decoder: Some(decoder),
            feed,
            samples: pass.samples.clone(),
            frames,
            waiting: BTreeMap::new(),
            out: Vec::new(),
            first_error: None,
        })
    }

    /// The picture of `frame`, which lies after those asked for before; `None` if it is lost.
    fn take(&mut self, frame: usize) -> Step<Option<Picture>> {
        loop {
            if let Some(picture) = self.waiting.remove(&frame) {
                return Ok(Some(picture));
            }
            if self.decoder.is_none() || self.waiting.len() > MAX_REORDER {
                return Ok(None);
            }
            self.decode(frame)?;
        }
    }

    /// Decodes the next sample, or what the decoder holds back after the last. Keeps what is shown from `frame` on.
    fn decode(&mut self, frame: usize) -> Step<()> {
        let shared = self.shared;
        if shared.stop.is_cancelled() {
            return Err(Stopped::Interrupted);
        }
        if let (Some(sample), Some(decoder)) = (self.samples.next(), &mut self.decoder) {
            let bytes = (self.feed)().ok_or(Stopped::Interrupted)?;
            let decode = || decoder.decode(&bytes, u64::from(sample), &mut self.out);
            if let Err(error) = shared.slots.run(decode) {
                self.first_error.get_or_insert((sample, error));
            }
        } else if let Some(decoder) = self.decoder.take() {
            shared.slots.run(|| decoder.flush(&mut self.out));
        }
        for decoded in self.out.drain(..) {
            let place = u32::try_from(decoded.sample)
                .ok()
                .and_then(|sample| self.frames.get(&sample).copied())
                .filter(|&place| place >= frame);
            if let Some(place) = place {
                self.waiting.insert(place, decoded.picture);
            }
        }
        Ok(())
    }
}

/// Scales the pictures of a chunk and gives each, in all sizes, to `show`. One that is lost is shown as the one before it, and
/// at the chunk's beginning as the first that comes.
fn show_chunk(
    shared: &Shared,
    chunk: &VideoChunk,
    pictures: &mut Pictures<'_>,
    ladder: &Ladder,
    show: &mut dyn FnMut(&[Arc<Picture>]) -> Step<()>,
) -> Step<()> {
    let mut show = |scaled: &[Arc<Picture>]| {
        show(scaled)?;
        shared.shown.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Stopped>(())
    };
    let mut last: Option<Vec<Arc<Picture>>> = None;
    let (mut lost, mut owed) = (0_usize, 0_usize);
    for frame in chunk.frames.clone() {
        if let Some(picture) = pictures.take(frame)? {
            let scaled = scale(shared, ladder, picture)?;
            for _ in 0..=std::mem::take(&mut owed) {
                show(&scaled)?;
            }
            last = Some(scaled);
            continue;
        }
        lost += 1;
        match &last {
            Some(last) => show(last)?,
            None => owed += 1,
        }
    }
    let first_error = pictures.first_error.take();
    if lost * 2 > chunk.frames.len() || owed > 0 {
        let cause = first_error.map_or_else(
            || "the decoder gave no pictures".to_owned(),
            |(sample, error)| format!("sample {}: {error}", sample + 1),
        );
        let timeline = &shared.plan.timeline;
        let start = timeline.frames[chunk.frames.start].start as f64;
        return Err(failure::malformed(format!(
            "Track {} (H.264) cannot be decoded: {lost} of {} pictures are missing around {:.1} s ({cause}).",
            shared.plan.track,
            chunk.frames.len(),
            start / f64::from(timeline.timescale.get()),
        )));
    }
    if lost > 0 {
        tracing::warn!(
            track = shared.plan.track,
            lost,
            "pictures could not be decoded and were repeated"
        );
    }
    Ok(())
}

fn scale(shared: &Shared, ladder: &Ladder, picture: Picture) -> Step<Vec<Arc<Picture>>> {
    let scaled = shared.slots.run(|| {
        let upright = Arc::new(picture.rotated(shared.plan.rotation));
        ladder.apply(&upright)
    });
    scaled.map_err(|error| {
        failure::unsupported(format!(
            "Track {} (H.264) changes its picture size: {error}.",
            shared.plan.track
        ))
    })
}

/// Encodes the pictures that come until it has those of the chunk.
fn encode_rendition(
    shared: &Shared,
    chunk: &VideoChunk,
    rendition: Rendition,
    pictures: &Receiver<Arc<Picture>>,
) -> Step<EncodedChunk> {
    let mut encoder = RenditionEncoder::new(shared, chunk, rendition)?;
    for _ in chunk.frames.clone() {
        let picture = pictures.recv().map_err(|_| Stopped::Interrupted)?;
        encoder.push(picture)?;
    }
    encoder.finish()
}

/// One rendition of a chunk, in the making.
struct RenditionEncoder<'a> {
    shared: &'a Shared,
    chunk: &'a VideoChunk,
    rendition: Rendition,
    encoder: Encoder,
    /// There when the first pictures were tried.
    pace: Option<Pace>,
    /// The first two pictures, which are tried and then encoded in earnest.
    tried: Vec<Arc<Picture>>,
    /// The frame that the next picture is shown as, and the segment that it belongs to.
    frame: usize,
    segment: usize,
    /// Pictures of that segment.
    coded: Vec<Coded>,
    writer: Option<TrackFile>,
    out: EncodedChunk,
}

impl<'a> RenditionEncoder<'a> {
    fn new(shared: &'a Shared, chunk: &'a VideoChunk, rendition: Rendition) -> Step<Self> {
        let encoder = Encoder::new(encoder_config(&shared.plan, rendition)).map_err(fault)?;
        Ok(Self {
            shared,
            chunk,
            rendition,
            encoder,
            pace: None,
            tried: Vec::new(),
            frame: chunk.frames.start,
            segment: chunk.segments.start,
            coded: Vec::new(),
            writer: None,
            out: EncodedChunk {
                bytes: Vec::new(),
                segments: Vec::new(),
                parameter_sets: None,
            },
        })
    }

    /// Takes the next picture, of at most as many as the chunk has.
    fn push(&mut self, picture: Arc<Picture>) -> Step<()> {
        if let Some(pace) = self.pace.take() {
            self.pace = Some(self.encode(pace, picture)?);
            return Ok(());
        }
        self.tried.push(picture);
        if self.tried.len() < self.chunk.frames.len().min(2) {
            return Ok(());
        }
        let tried = std::mem::take(&mut self.tried);
        let firsts: Vec<&Picture> = tried.iter().map(|picture| &**picture).collect();
        let bits = self.rendition.kbps * 1000;
        let begin = || Pace::begin(&mut self.encoder, bits, &firsts);
        let mut pace = self.shared.slots.run(begin).map_err(fault)?;
        for picture in tried {
            pace = self.encode(pace, picture)?;
        }
        self.pace = Some(pace);
        Ok(())
    }

    fn encode(&mut self, mut pace: Pace, picture: Arc<Picture>) -> Step<Pace> {
        let (shared, plan) = (self.shared, &self.shared.plan);
        if shared.stop.is_cancelled() {
            return Err(Stopped::Interrupted);
        }
        let frames = plan.frames_of(self.segment);
        let idr = self.frame == frames.start;
        if idr {
            let ticks = plan.timeline.end_of(frames.end - 1) - plan.start_of(self.segment);
            let seconds = ticks as f64 / f64::from(plan.timeline.timescale.get());
            let count = u32::try_from(frames.len()).unwrap_or(u32::MAX);
            pace.start_gop(seconds, count, self.segment + 1 == self.chunk.segments.end);
            self.coded.reserve(frames.len());
        }
        let encode = || pace.encode(&mut self.encoder, picture, idr);
        let coded = shared.slots.run(encode).map_err(fault)?;
        if coded.idr != idr {
            return Err(failure::internal(
                "The H.264 encoder put an IDR picture where none belongs.",
            ));
        }
        self.coded.push(coded);
        self.frame += 1;
        if self.frame == frames.end {
            self.end_segment(frames)?;
        }
        Ok(pace)
    }

    /// Writes the segment of `frames`, all of whose pictures are there.
    fn end_segment(&mut self, frames: Range<usize>) -> Step<()> {
        let plan = &self.shared.plan;
        let coded = std::mem::take(&mut self.coded);
        let samples: Vec<MediaSample<'_>> = coded
            .iter()
            .zip(frames)
            .map(|(coded, frame)| MediaSample {
                bytes: &coded.bytes,
                duration: u32::try_from(
                    plan.timeline.end_of(frame) - plan.timeline.frames[frame].start,
                )
                .unwrap_or(u32::MAX),
                cto: 0,
                sync: coded.idr,
            })
            .collect();
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let sets = self.encoder.parameter_sets().ok_or_else(|| {
                    failure::internal("The H.264 encoder gave no parameter sets.")
                })?;
                let config = track_config(plan, self.rendition, sets)?;
                let writer = TrackFile::new(config)
                    .map_err(|error| failure::internal(format!("{error}.")))?;
                none.insert(writer)
            }
        };
        let number =
            u32::try_from(self.segment).map_err(|_| failure::internal("Too many segments."))?;
        let start = plan.start_of(self.segment);
        let (bytes, record) = writer
            .segment(number, start, &samples)
            .map_err(|error| failure::internal(format!("A segment cannot be written: {error}.")))?;
        self.out.bytes.extend_from_slice(&bytes);
        self.out.segments.push(record);
        self.segment += 1;
        Ok(())
    }

    /// The chunk. Errors: `Interrupted` if pictures are missing.
    fn finish(mut self) -> Step<EncodedChunk> {
        if self.frame != self.chunk.frames.end {
            return Err(Stopped::Interrupted);
        }
        self.out.parameter_sets = self.encoder.parameter_sets().cloned();
        Ok(self.out)
    }
}

fn fault(error: EncodeError) -> Stopped {
    failure::internal(format!("{error}."))
}
