//! Incoming sound: decoded, mixed to stereo, brought to 48 kHz, encoded as AAC-LC.
//!
//! Samples are counted from the first stamp on. Stamps that differ from the count by up to [`SLACK`] are rounding; beyond,
//! silence is put in or samples are left out, and after a longer hole the count begins anew.

use headwater_live::engine::{AccessUnit, HOLE_MS, SOUND_SLACK_MS, SourceId};
use headwater_live::reason::Reason;
use headwater_live::stream::{Kind, StreamConfig};
use headwater_live::timeline::TrackIndex;
use headwater_transcoder::aac::decoder::{Decoder, Format};
use headwater_transcoder::aac::encoder::Encoder;
use headwater_transcoder::aac::resample::Resampler;
use headwater_transcoder::aac::{FRAME, mix};

use super::source::Audio;
use crate::event::Live;

/// What layers of both presets have (management reference, 1.12).
const RATE: u32 = 48_000;
pub(crate) const BITRATE: u32 = 96_000;

/// 90 kHz ticks.
const SLACK: i64 = clock(SOUND_SLACK_MS);
const HOLE: i64 = clock(HOLE_MS);

const fn clock(ms: i64) -> i64 {
    ms * headwater_live::CLOCK_PER_MS
}

/// Interleaved stereo.
const STEREO: usize = 2;

pub(super) struct Sound {
    decoder: Decoder,
    /// Bits per second.
    bitrate: u32,
    config: StreamConfig,
    track: std::cell::Cell<Option<TrackIndex>>,
    /// As the last access unit was.
    format: Option<Format>,
    run: Option<Run>,
}

/// Sound without a hole.
struct Run {
    encoder: Encoder,
    resampler: Option<Resampler>,
    /// Stamp of the first sample.
    start: i64,
    /// Samples per second that come in, and how many have.
    rate: u32,
    came: i64,
    /// Samples that the decoder lags behind.
    lag: i64,
    /// Samples to leave out.
    surplus: i64,
    /// Before the resampler: what is still needed, and the number of its first sample.
    input: Vec<i16>,
    first: i64,
    /// Samples that the resampler has given.
    given: i64,
    /// Before the encoder.
    output: Vec<i16>,
    /// Frames that the encoder has given.
    frames: i64,
}

fn fault(error: impl std::fmt::Display) -> Reason {
    tracing::info!("incoming sound: {error}");
    Reason::CodecNotSupported
}

impl Sound {
    /// Errors: `CodecNotSupported` for a configuration that cannot be decoded.
    pub(super) fn new(audio: &Audio, bitrate: u32) -> Result<Self, Reason> {
        let decoder = Decoder::new(&audio.config).map_err(fault)?;
        let encoder = Encoder::new(RATE, bitrate).map_err(fault)?;
        Ok(Self {
            decoder,
            bitrate,
            config: StreamConfig {
                language: audio.language.clone(),
                ..StreamConfig::aac(encoder.config()).map_err(fault)?
            },
            track: None.into(),
            format: None,
            run: None,
        })
    }

    /// Hands encoded sound to the event.
    pub(super) fn hand_on(
        &self,
        live: &Live,
        source: SourceId,
        units: impl Iterator<Item = AccessUnit>,
    ) -> Result<(), Reason> {
        for unit in units {
            let track = match self.track.get() {
                Some(track) => track,
                None => {
                    live.announce_layer(source, Kind::Audio, self.bitrate, self.config.clone())?
                }
            };
            self.track.set(Some(track));
            // Who comes back sends some of what it has sent already.
            if !live.is_past(source, Kind::Audio, unit.dts) {
                live.push(source, track, unit)?;
            }
        }
        Ok(())
    }

    /// An access unit. Gives what became ready.
    pub(super) fn push(&mut self, unit: &AccessUnit) -> Vec<AccessUnit> {
        let mut stereo = Vec::new();
        match self.decoder.decode(&unit.bytes) {
            Ok((format, samples)) if mix::is_known(format.channels) => {
                mix::to_stereo(samples, format.channels, &mut stereo);
                self.format = Some(format);
            }
            // What cannot be heard lasts as long as what can.
            Ok((format, _)) => {
                stereo.resize(format.frame * STEREO, 0);
                self.format = Some(format);
            }
            Err(error) => {
                tracing::debug!("incoming sound: {error}");
                let frame = self.format.map_or(0, |format| format.frame);
                stereo.resize(frame * STEREO, 0);
            }
        }
        let Some(format) = self.format else {
            return Vec::new();
        };
        let fits = |run: &Run| {
            run.rate == format.sample_rate && run.off(unit.pts).saturating_abs() <= HOLE
        };
        if !self.run.as_ref().is_some_and(fits) {
            let lag = i64::from(self.decoder.delay());
            match Run::new(unit.pts, (format.sample_rate, self.bitrate), lag) {
                Ok(run) => self.run = Some(run),
                Err(error) => {
                    tracing::warn!("incoming sound: {error}");
                    return Vec::new();
                }
            }
        }
        match &mut self.run {
            Some(run) => run.push(unit.pts, stereo),
            None => Vec::new(),
        }
    }
}

impl Sound {
    /// What is still held back, with silence after it: nothing comes any more.
    pub(super) fn finish(&mut self) -> Vec<AccessUnit> {
        self.run.take().map_or_else(Vec::new, Run::finish)
    }
}

impl Run {
    fn new(
        start: i64,
        (rate, bitrate): (u32, u32),
        lag: i64,
    ) -> Result<Self, headwater_transcoder::aac::encoder::EncodeError> {
        Ok(Self {
            encoder: Encoder::new(RATE, bitrate)?,
            resampler: Resampler::new(rate, RATE),
            start,
            rate,
            came: 0,
            lag,
            surplus: 0,
            input: Vec::new(),
            first: 0,
            given: 0,
            output: Vec::new(),
            frames: 0,
        })
    }

    /// How far a stamp is after the count, in 90 kHz ticks.
    fn off(&self, pts: i64) -> i64 {
        let counted = (self.came - self.surplus) * 90_000 / i64::from(self.rate.max(1));
        pts.saturating_sub(self.start).saturating_sub(counted)
    }

    fn push(&mut self, pts: i64, mut stereo: Vec<i16>) -> Vec<AccessUnit> {
        let off = self.off(pts);
        let samples = off.saturating_abs() * i64::from(self.rate) / 90_000;
        if off > SLACK {
            let silence = usize::try_from(samples).unwrap_or(0) * STEREO;
            self.came += samples;
            self.input.resize(self.input.len() + silence, 0);
        } else if off < -SLACK {
            self.surplus += samples;
        }
        let arrived = (stereo.len() / STEREO) as i64;
        let left_out = self.surplus.min(arrived);
        self.surplus -= left_out;
        self.came += arrived - left_out;
        let from = usize::try_from(left_out).unwrap_or(0) * STEREO;
        self.input.extend(stereo.drain(from.min(stereo.len())..));
        self.resample();
        self.encode()
    }

    fn finish(mut self) -> Vec<AccessUnit> {
        let held = self.output.len() / STEREO + self.encoder.delay() as usize;
        let frame = FRAME as usize;
        self.output.resize(held.div_ceil(frame) * frame * STEREO, 0);
        self.encode()
    }

    /// Moves what came in on, as far as it has all its neighbours: some samples stay behind for ever at the end.
    fn resample(&mut self) {
        let Some(resampler) = &self.resampler else {
            self.output.append(&mut self.input);
            return;
        };
        let (_, reach) = resampler.needs(0, 0);
        let (rate, out) = (i64::from(self.rate), i64::from(RATE));
        let to = ((self.came - reach + 1) * out - 1).div_euclid(rate);
        if to <= self.given {
            return;
        }
        let made = resampler.run(&self.input, self.first, self.given, to);
        self.output.extend(made);
        self.given = to;
        let (needed, _) = resampler.needs(to, to);
        let gone = (needed - self.first).clamp(0, (self.input.len() / STEREO) as i64);
        self.input
            .drain(..usize::try_from(gone).unwrap_or(0) * STEREO);
        self.first += gone;
    }

    fn encode(&mut self) -> Vec<AccessUnit> {
        let frame = FRAME as usize * STEREO;
        let mut units = Vec::new();
        let whole = self.output.len() / frame * frame;
        for samples in self.output[..whole].chunks_exact(frame) {
            let delay = self.encoder.delay() as i64;
            match self.encoder.encode(samples) {
                Ok(Some(bytes)) => {
                    let at = (self.frames * FRAME as i64 - delay) * 90_000 / i64::from(RATE);
                    let lag = self.lag * 90_000 / i64::from(self.rate);
                    let time = self.start + at - lag;
                    self.frames += 1;
                    units.push(AccessUnit {
                        dts: time,
                        pts: time,
                        sync: true,
                        bytes: bytes.to_vec().into(),
                    });
                }
                Ok(None) => {}
                Err(error) => tracing::warn!("sound is lost: {error}"),
            }
        }
        self.output.drain(..whole);
        units
    }
}
