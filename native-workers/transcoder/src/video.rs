//! Chunks of video: decoded once, scaled down the ladder, encoded to every rendition.
//!
//! Runs on threads of its own, fed with samples through a channel by whoever reads the source. Pictures in flight are
//! bounded: what the decoder holds back, and [`QUEUE`] per rendition.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use headwater_bmff::{AvcConfig, TrackConfig};
use headwater_cmaf::track_file::{MediaSample, SegmentRecord, TrackFile};
use tokio_util::sync::CancellationToken;

use crate::failure::{self, Step, Stopped};
use crate::h264::decoder::{DecodeError, Decoded, Decoder};
use crate::h264::encoder::{Coded, Encoder, EncoderConfig, ParameterSets, Profile};
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

/// Makes the chunks of `pass` one after the other, each in all renditions and in their order.
///
/// `samples`: the bytes of the pass's samples in decode order. `made`: takes a finished chunk by its index, and says
/// whether to go on with the next.
/// Errors: `ContentMalformed` when the source cannot be decoded; `Interrupted`, also when `samples` ends early.
pub fn encode_pass(
    shared: &Shared,
    pass: &VideoPass,
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
        let encoded = encode_chunk(shared, &plan.chunks[index], &mut pictures, &ladder)?;
        if made(index, encoded).is_break() {
            break;
        }
    }
    Ok(())
}

fn encode_chunk(
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
        let shown = show_chunk(shared, chunk, pictures, ladder, &senders);
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

/// Scales the pictures of a chunk and hands them to the encoders. One that is lost is shown as the one before it, and at
/// the chunk's beginning as the first that comes.
fn show_chunk(
    shared: &Shared,
    chunk: &VideoChunk,
    pictures: &mut Pictures<'_>,
    ladder: &Ladder,
    senders: &[SyncSender<Arc<Picture>>],
) -> Step<()> {
    let mut last: Option<Vec<Arc<Picture>>> = None;
    let (mut lost, mut owed) = (0_usize, 0_usize);
    for frame in chunk.frames.clone() {
        if let Some(picture) = pictures.take(frame)? {
            let scaled = scale(shared, ladder, picture)?;
            for _ in 0..=std::mem::take(&mut owed) {
                send(shared, senders, &scaled)?;
            }
            last = Some(scaled);
            continue;
        }
        lost += 1;
        match &last {
            Some(last) => send(shared, senders, last)?,
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

fn send(
    shared: &Shared,
    senders: &[SyncSender<Arc<Picture>>],
    scaled: &[Arc<Picture>],
) -> Step<()> {
    for (sender, picture) in senders.iter().zip(scaled) {
        sender
            .send(Arc::clone(picture))
            .map_err(|_| Stopped::Interrupted)?;
    }
    shared.shown.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn encode_rendition(
    shared: &Shared,
    chunk: &VideoChunk,
    rendition: Rendition,
    pictures: &Receiver<Arc<Picture>>,
) -> Step<EncodedChunk> {
    let plan = &shared.plan;
    let fault = |error: crate::h264::encoder::EncodeError| failure::internal(format!("{error}."));
    let mut encoder = Encoder::new(encoder_config(plan, rendition)).map_err(fault)?;
    let next = || pictures.recv().map_err(|_| Stopped::Interrupted);
    // The first two pictures are tried and then encoded in earnest.
    let mut tried = vec![next()?];
    if chunk.frames.len() > 1 {
        tried.push(next()?);
    }
    let firsts: Vec<&Picture> = tried.iter().map(|picture| &**picture).collect();
    let mut pace = shared
        .slots
        .run(|| Pace::begin(&mut encoder, rendition.kbps * 1000, &firsts))
        .map_err(fault)?;
    let mut tried = tried.into_iter();
    let mut writer: Option<TrackFile> = None;
    let mut out = EncodedChunk {
        bytes: Vec::new(),
        segments: Vec::new(),
        parameter_sets: None,
    };
    for segment in chunk.segments.clone() {
        let frames = plan.frames_of(segment);
        let start = plan.start_of(segment);
        let ticks = plan.timeline.end_of(frames.end - 1) - start;
        let seconds = ticks as f64 / f64::from(plan.timeline.timescale.get());
        let is_last = segment + 1 == chunk.segments.end;
        pace.start_gop(
            seconds,
            u32::try_from(frames.len()).unwrap_or(u32::MAX),
            is_last,
        );
        let mut coded: Vec<Coded> = Vec::with_capacity(frames.len());
        for frame in frames.clone() {
            if shared.stop.is_cancelled() {
                return Err(Stopped::Interrupted);
            }
            let picture = match tried.next() {
                Some(picture) => picture,
                None => next()?,
            };
            let idr = frame == frames.start;
            let picture = shared
                .slots
                .run(|| pace.encode(&mut encoder, picture, idr))
                .map_err(fault)?;
            if picture.idr != idr {
                return Err(failure::internal(
                    "The H.264 encoder put an IDR picture where none belongs.",
                ));
            }
            coded.push(picture);
        }
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
        if writer.is_none() {
            let sets = encoder
                .parameter_sets()
                .ok_or_else(|| failure::internal("The H.264 encoder gave no parameter sets."))?;
            let config = track_config(plan, rendition, sets)?;
            writer = Some(
                TrackFile::new(config).map_err(|error| failure::internal(format!("{error}.")))?,
            );
        }
        if let Some(writer) = &writer {
            let number =
                u32::try_from(segment).map_err(|_| failure::internal("Too many segments."))?;
            let (bytes, record) = writer.segment(number, start, &samples).map_err(|error| {
                failure::internal(format!("A segment cannot be written: {error}."))
            })?;
            out.bytes.extend_from_slice(&bytes);
            out.segments.push(record);
        }
    }
    out.parameter_sets = encoder.parameter_sets().cloned();
    Ok(out)
}
