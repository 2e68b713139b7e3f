//! One chunk of video: decoded once, scaled down the ladder, encoded to every rendition.
//!
//! Runs on threads of its own, fed with samples through a channel by whoever reads the source. Pictures in flight are
//! bounded: what the decoder holds back, and [`QUEUE`] per rendition.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use headwater_bmff::{AvcConfig, TrackConfig};
use headwater_cmaf::track_file::{MediaSample, SegmentRecord, TrackFile};
use tokio_util::sync::CancellationToken;

use crate::failure::{self, Step, Stopped};
use crate::h264::decoder::{Decoded, Decoder};
use crate::h264::encoder::{Coded, Encoder, EncoderConfig, ParameterSets, Profile};
use crate::h264::level;
use crate::h264::rate::{RateControl, Trial};
use crate::ladder::Rendition;
use crate::picture::Picture;
use crate::plan::{VideoChunk, VideoPlan};
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

/// Encodes `chunk` to all renditions, in their order.
///
/// `samples`: the bytes of the chunk's samples in decode order.
/// Errors: `ContentMalformed` when the source cannot be decoded; `Interrupted`, also when `samples` ends early.
pub fn encode_chunk(
    shared: &Shared,
    chunk: &VideoChunk,
    samples: &mut dyn FnMut() -> Option<Bytes>,
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
        let decoded = decode_chunk(shared, chunk, samples, &senders);
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
        match decoded {
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

/// Puts pictures in order, fills in those that were lost, scales them and hands them out.
struct Show<'a> {
    shared: &'a Shared,
    ladder: Ladder,
    senders: &'a [SyncSender<Arc<Picture>>],
    /// Place in the chunk of each wanted sample, by its number in decode order.
    places: BTreeMap<u32, usize>,
    waiting: BTreeMap<usize, Picture>,
    next: usize,
    count: usize,
    last: Option<Vec<Arc<Picture>>>,
    /// Pictures of the chunk's beginning that did not come: shown as the first one that does.
    owed: usize,
    lost: usize,
}

impl Show<'_> {
    fn take(&mut self, decoded: Decoded) -> Step<()> {
        let place = u32::try_from(decoded.sample)
            .ok()
            .and_then(|sample| self.places.get(&sample).copied())
            .filter(|&place| place >= self.next);
        if let Some(place) = place {
            self.waiting.insert(place, decoded.picture);
        }
        self.drain(MAX_REORDER)
    }

    /// Shows what can be shown while more than `waiting` pictures wait for an earlier one.
    fn drain(&mut self, waiting: usize) -> Step<()> {
        loop {
            if let Some(picture) = self.waiting.remove(&self.next) {
                self.show(picture)?;
            } else if self.waiting.len() > waiting {
                self.miss()?;
            } else {
                return Ok(());
            }
        }
    }

    fn finish(&mut self) -> Step<()> {
        self.drain(0)?;
        while self.next < self.count {
            self.miss()?;
        }
        Ok(())
    }

    fn show(&mut self, picture: Picture) -> Step<()> {
        let scaled = self.shared.slots.run(|| {
            let upright = Arc::new(picture.rotated(self.shared.plan.rotation));
            self.ladder.apply(&upright)
        });
        let scaled = scaled.map_err(|error| {
            failure::unsupported(format!(
                "Track {} (H.264) changes its picture size: {error}.",
                self.shared.plan.track
            ))
        })?;
        // Those owed were counted when they did not come.
        self.next -= self.owed;
        for _ in 0..=self.owed {
            self.send(&scaled)?;
        }
        self.owed = 0;
        self.last = Some(scaled);
        Ok(())
    }

    /// A picture that did not come is shown as the one before it.
    fn miss(&mut self) -> Step<()> {
        self.lost += 1;
        match self.last.take() {
            Some(last) => {
                self.send(&last)?;
                self.last = Some(last);
            }
            None => {
                self.owed += 1;
                self.next += 1;
            }
        }
        Ok(())
    }

    fn send(&mut self, scaled: &[Arc<Picture>]) -> Step<()> {
        for (sender, picture) in self.senders.iter().zip(scaled) {
            sender
                .send(Arc::clone(picture))
                .map_err(|_| Stopped::Interrupted)?;
        }
        self.shared.shown.fetch_add(1, Ordering::Relaxed);
        self.next += 1;
        Ok(())
    }
}

fn decode_chunk(
    shared: &Shared,
    chunk: &VideoChunk,
    samples: &mut dyn FnMut() -> Option<Bytes>,
    senders: &[SyncSender<Arc<Picture>>],
) -> Step<()> {
    let plan = &shared.plan;
    let sizes: Vec<_> = plan
        .renditions
        .iter()
        .map(|rendition| rendition.size)
        .collect();
    let ladder = Ladder::new(plan.rotation.apply(plan.coded), &sizes)
        .map_err(|error| failure::internal(format!("The ladder cannot be made: {error}.")))?;
    let sets = plan
        .config
        .sps
        .iter()
        .chain(&plan.config.pps)
        .map(Vec::as_slice);
    let mut decoder = Decoder::new(sets, plan.config.nal_length_size)
        .map_err(|error| failure::internal(format!("The H.264 decoder failed: {error}.")))?;
    let frames = &plan.timeline.frames[chunk.frames.clone()];
    let mut show = Show {
        shared,
        ladder,
        senders,
        places: frames
            .iter()
            .enumerate()
            .map(|(place, frame)| (frame.sample, place))
            .collect(),
        waiting: BTreeMap::new(),
        next: 0,
        count: frames.len(),
        last: None,
        owed: 0,
        lost: 0,
    };
    let mut out = Vec::new();
    let mut first_error = None;
    for sample in chunk.samples.clone() {
        if shared.stop.is_cancelled() {
            return Err(Stopped::Interrupted);
        }
        let Some(bytes) = samples() else {
            return Err(Stopped::Interrupted);
        };
        let result = shared
            .slots
            .run(|| decoder.decode(&bytes, u64::from(sample), &mut out));
        if let Err(error) = result {
            first_error.get_or_insert((sample, error));
        }
        for decoded in out.drain(..) {
            show.take(decoded)?;
        }
    }
    shared.slots.run(|| decoder.flush(&mut out));
    for decoded in out.drain(..) {
        show.take(decoded)?;
    }
    show.finish()?;
    if show.lost * 2 > show.count || show.owed > 0 {
        let cause = first_error.map_or_else(
            || "the decoder gave no pictures".to_owned(),
            |(sample, error)| format!("sample {}: {error}", sample + 1),
        );
        return Err(failure::malformed(format!(
            "Track {} (H.264) cannot be decoded: {} of {} pictures are missing around {:.1} s ({cause}).",
            plan.track,
            show.lost,
            show.count,
            frames.first().map_or(0.0, |frame| frame.start as f64)
                / f64::from(plan.timeline.timescale.get()),
        )));
    }
    if show.lost > 0 {
        tracing::warn!(
            track = plan.track,
            lost = show.lost,
            "pictures could not be decoded and were repeated"
        );
    }
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
    let trial = shared
        .slots
        .run(|| trial(&mut encoder, &tried))
        .map_err(fault)?;
    let mut rate = RateControl::new(rendition.kbps * 1000, trial);
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
        rate.start_gop(seconds, u32::try_from(frames.len()).unwrap_or(u32::MAX));
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
            let quantiser = rate.quantiser(idr);
            let picture = shared
                .slots
                .run(|| encoder.encode(&picture, idr, quantiser))
                .map_err(fault)?;
            if picture.idr != idr {
                return Err(failure::internal(
                    "The H.264 encoder put an IDR picture where none belongs.",
                ));
            }
            rate.spent(picture.bytes.len());
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

fn trial(
    encoder: &mut Encoder,
    pictures: &[Arc<Picture>],
) -> Result<Trial, crate::h264::encoder::EncodeError> {
    let mut bits = [0_u64; 2];
    for (index, picture) in pictures.iter().take(2).enumerate() {
        let coded = encoder.encode(picture, index == 0, Trial::QUANTISER)?;
        bits[index] = coded.bytes.len() as u64 * 8;
    }
    Ok(Trial {
        quantiser: Trial::QUANTISER,
        intra_bits: bits[0],
        predicted_bits: bits[1],
    })
}
