//! HE-AAC, both versions, by Fraunhofer's library (ADR 5): ffmpeg has an encoder for it only where it was built with that library, and
//! Debian's was not.
//!
//! ffmpeg decodes, mixes and resamples, and leaves plain samples in a file. Of these the access units are made, in a track file
//! that is published as ffmpeg's are. Its first access unit plays from the first sample on: the delay of encoder and decoder is taken
//! out by feeding so much silence that it is a whole number of frames, and dropping these.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use headwater_bmff::{AacConfig, AudioObjectType, TrackConfig};
use headwater_cmaf::track_file::{MediaSample, TrackFile};
use headwater_preset::{AudioEncode, AudioFormat};
use headwater_time::Timescale;
use tokio_util::sync::CancellationToken;

use super::inputs::open_own;
use crate::aac::encoder::Encoder;
use crate::failure::{self, Step, Stopped};

/// The encoder of ffmpeg for plain samples: two bytes each, the lower one first.
pub(super) const SAMPLES: &str = "pcm_s16le";
/// Its muxer: nothing but samples.
pub(super) const PLAIN: &str = "s16le";
/// Sampling rates, of what comes in and of what a decoder puts out. The core has half of it.
pub(super) const RATES: [u32; 6] = [16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
/// Access units of a segment: some two seconds.
const SEGMENT: usize = 48;

/// What is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sound {
    object_type: AudioObjectType,
    channels: u32,
    sample_rate: u32,
    bits_per_second: u32,
}

impl Sound {
    /// `None`: ffmpeg has an encoder for it.
    pub(super) fn of(codec: &AudioEncode, channels: u32, sample_rate: u32) -> Option<Self> {
        let object_type = match codec.format {
            AudioFormat::HeAacV1 => AudioObjectType::He,
            AudioFormat::HeAacV2 => AudioObjectType::HeV2,
            AudioFormat::AacLc | AudioFormat::DolbyDigital => return None,
        };
        Some(Self {
            object_type,
            channels,
            sample_rate,
            bits_per_second: codec.bitrate,
        })
    }

    /// Errors: `ConfigurationUnsupported` for rates that the format has no room for.
    pub(super) fn encoder(self) -> Step<Encoder> {
        let made = Encoder::of_type(
            self.object_type,
            self.channels,
            self.sample_rate,
            self.bits_per_second,
        );
        let refused = |nearest: String| {
            failure::configuration(format!(
                "The preset asks for {} of {} bit/s, which {} channel(s) at {} Hz cannot have{nearest}.",
                self.object_type.name(),
                self.bits_per_second,
                self.channels,
                self.sample_rate
            ))
        };
        let encoder = made.map_err(|_| refused(String::new()))?;
        match encoder.bits_per_second() {
            kept if kept == self.bits_per_second => Ok(encoder),
            nearest => Err(refused(format!(": {nearest} is the nearest"))),
        }
    }

    /// Makes the track file `to` of the samples in the file `from`.
    ///
    /// Errors: of reading and writing; `Interrupted` when `stop` is.
    pub(super) fn encode(self, from: &Path, to: &Path, stop: &CancellationToken) -> Step<()> {
        let lost = |error: std::io::Error| {
            failure::passing(format!("The sound of the job cannot be kept: {error}."))
        };
        let samples = BufReader::new(open_own(from).map_err(lost)?);
        let mut out = BufWriter::new(File::create(to).map_err(lost)?);
        let made = self.write(samples, &mut out, stop)?;
        made.and_then(|()| out.flush()).map_err(lost)
    }

    /// As [`Self::encode`]; the inner errors are of reading and writing.
    fn write(
        self,
        mut samples: impl Read,
        mut out: impl Write,
        stop: &CancellationToken,
    ) -> Step<std::io::Result<()>> {
        let mut encoder = self.encoder()?;
        let unreadable = || failure::internal("The AAC encoder describes itself in other words.");
        let config = AacConfig::parse(encoder.config()).ok_or_else(unreadable)?;
        let scale = Timescale::new(self.sample_rate).ok_or_else(unreadable)?;
        let frame = config.frame_len;
        let config = TrackConfig::audio(1, scale, "und", config);
        let writer =
            TrackFile::new(config).map_err(|error| failure::internal(format!("{error}.")))?;
        let mut track = Track {
            writer,
            frame,
            units: Vec::new(),
            segments: 0,
        };
        if let Err(error) = out.write_all(track.writer.init()) {
            return Ok(Err(error));
        }

        let (delay, frame) = (encoder.whole_delay(), u64::from(frame));
        let shift = (frame - delay % frame) % frame;
        let mut dropped = (shift + delay) / frame;
        let per_frame = usize::try_from(frame * u64::from(self.channels)).unwrap_or(0);
        let early = usize::try_from(shift * u64::from(self.channels)).unwrap_or(0);
        let mut fed = vec![0_i16; per_frame];
        let mut bytes = vec![0_u8; per_frame * 2];
        // Units that play something; the delay is behind the last of the samples.
        let (mut wanted, mut heard, mut over) = (u64::MAX, 0_u64, false);
        let mut from = early;
        while track.count() < wanted {
            if stop.is_cancelled() {
                return Err(Stopped::Interrupted);
            }
            let there = match over {
                true => 0,
                false => match fill(&mut samples, &mut bytes[from * 2..]) {
                    Ok(there) => there / 2,
                    Err(error) => return Ok(Err(error)),
                },
            };
            for (to, pair) in fed[from..]
                .iter_mut()
                .zip(bytes[from * 2..].chunks_exact(2))
            {
                *to = i16::from_le_bytes([pair[0], pair[1]]);
            }
            fed[from + there..].fill(0);
            heard += there as u64 / u64::from(self.channels);
            if there < per_frame - from {
                over = true;
                wanted = heard.div_ceil(frame).max(1);
            }
            from = 0;
            let unit = encoder.encode(&fed);
            let unit = unit.map_err(|error| failure::internal(format!("{error}.")))?;
            match (unit, dropped) {
                (None, _) => {}
                (Some(_), 1..) => dropped -= 1,
                (Some(unit), 0) => {
                    let unit = unit.to_vec();
                    if let Err(error) = track.push(unit, &mut out)? {
                        return Ok(Err(error));
                    }
                }
            }
        }
        track.end(&mut out)
    }
}

/// Reads until `bytes` are full or nothing is left; gives how many came.
fn fill(from: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// A track file as it grows.
struct Track {
    writer: TrackFile,
    /// Ticks of an access unit.
    frame: u32,
    /// Of the segment that is not written yet.
    units: Vec<Vec<u8>>,
    segments: u32,
}

impl Track {
    /// Access units so far.
    fn count(&self) -> u64 {
        u64::from(self.segments) * SEGMENT as u64 + self.units.len() as u64
    }

    fn push(&mut self, unit: Vec<u8>, out: &mut impl Write) -> Step<std::io::Result<()>> {
        self.units.push(unit);
        match self.units.len() < SEGMENT {
            true => Ok(Ok(())),
            false => self.end(out),
        }
    }

    /// Writes what is not written yet.
    fn end(&mut self, out: &mut impl Write) -> Step<std::io::Result<()>> {
        if self.units.is_empty() {
            return Ok(Ok(()));
        }
        let samples = self.units.iter().map(|unit| MediaSample {
            bytes: unit,
            duration: self.frame,
            cto: 0,
            sync: true,
        });
        let samples: Vec<_> = samples.collect();
        let start = u64::from(self.segments) * SEGMENT as u64 * u64::from(self.frame);
        let segment = self.writer.segment(self.segments, start, &samples);
        let (bytes, _) = segment.map_err(|error| failure::internal(format!("{error}.")))?;
        self.segments += 1;
        self.units.clear();
        Ok(out.write_all(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(format: AudioFormat, channels: u32, sample_rate: u32, bitrate: u32) -> Sound {
        let codec = AudioEncode {
            format,
            bitrate,
            channels: Some(channels),
            sample_rate: None,
            label: None,
            copy_if_same: false,
        };
        Sound::of(&codec, channels, sample_rate).unwrap()
    }

    fn made(sound: Sound, samples: usize) -> headwater_bmff::Track {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("plain"), folder.path().join("t.mp4"));
        std::fs::write(&from, vec![0; samples * 2 * sound.channels as usize]).unwrap();
        sound.encode(&from, &to, &CancellationToken::new()).unwrap();
        let movie = super::super::pack::movie(&File::open(&to).unwrap()).unwrap();
        movie.tracks.into_iter().next().unwrap()
    }

    #[test]
    fn access_units_cover_the_samples_and_no_more() {
        for format in [AudioFormat::HeAacV1, AudioFormat::HeAacV2] {
            for (samples, units) in [(1, 1), (2048, 1), (2049, 2), (48 * 2048, 48), (200_000, 98)] {
                let track = made(sound(format, 2, 48_000, 48_000), samples);
                assert_eq!(track.samples.len(), units, "{format:?}: {samples}");
                let ends = track
                    .samples
                    .iter()
                    .last()
                    .map(|last| last.dts + u64::from(last.duration));
                assert_eq!(ends, Some(u64::from(units) * 2048));
                assert_eq!(
                    (track.config.sample_rate, track.config.channels),
                    (48_000, 2)
                );
            }
        }
        let track = made(sound(AudioFormat::HeAacV1, 6, 44_100, 160_000), 100_000);
        assert_eq!(
            (track.config.sample_rate, track.config.channels),
            (44_100, 6)
        );
        let track = made(sound(AudioFormat::HeAacV1, 1, 32_000, 32_000), 100_000);
        assert_eq!(
            (track.config.sample_rate, track.config.channels),
            (32_000, 1)
        );
    }

    #[test]
    fn rates_without_room_are_refused_by_name() {
        let Err(Stopped::Failed(failure)) =
            sound(AudioFormat::HeAacV2, 2, 48_000, 640_000).encoder()
        else {
            panic!("640 kbit/s");
        };
        assert_eq!(
            failure.code,
            headwater_work::JobErrorCode::ConfigurationUnsupported
        );
        assert!(
            failure.message.contains("HE-AAC v2 of 640000 bit/s, which 2 channel(s) at 48000 Hz cannot have: 144000 is the nearest"),
            "{}",
            failure.message
        );
    }

    #[test]
    fn what_is_stopped_stops() {
        let stop = CancellationToken::new();
        stop.cancel();
        let made = sound(AudioFormat::HeAacV1, 2, 48_000, 64_000).write(
            [0; 100_000].as_slice(),
            Vec::new(),
            &stop,
        );
        assert!(matches!(made, Err(Stopped::Interrupted)));
    }
}
