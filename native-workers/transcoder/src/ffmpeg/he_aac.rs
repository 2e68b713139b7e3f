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
        let samples = BufReader::new(open_own(from).map_err(lost)?);
        // An attempt in chunks may have made it. Whatever lies there, it is not written through.
        let _ = std::fs::remove_file(to);
        let mut out = BufWriter::new(File::create_new(to).map_err(lost)?);
        self.write(samples, &mut out, stop)?;
        out.flush().map_err(lost)
    }

    /// As [`Self::encode`].
    fn write(
        self,
        mut samples: impl Read,
        mut out: impl Write,
        stop: &CancellationToken,
    ) -> Step<()> {
        let mut encoder = self.encoder()?;
        let unreadable = || failure::internal("The AAC encoder describes itself in other words.");
        let config = AacConfig::parse(encoder.config()).ok_or_else(unreadable)?;
        let scale = Timescale::new(self.sample_rate).ok_or_else(unreadable)?;
        let frame = config.frame_len;
        let config = TrackConfig::audio(1, scale, "und", config);
        let mut track = Track {
            writer: TrackFile::new(config).map_err(internal)?,
            frame,
            units: Vec::new(),
            segments: 0,
        };
        out.write_all(track.writer.init()).map_err(lost)?;

        let (delay, frame) = (encoder.whole_delay(), u64::from(frame));
        let shift = (frame - delay % frame) % frame;
        let mut dropped = (shift + delay) / frame;
        let values = |frames: u64| usize::try_from(frames * u64::from(self.channels)).unwrap_or(0);
        let mut fed = vec![0_i16; values(shift)];
        let mut bytes = Vec::new();
        // Units that play something; the delay is behind the last of the samples.
        let (mut wanted, mut heard) = (u64::MAX, 0_usize);
        while track.count() < wanted {
            if stop.is_cancelled() {
                return Err(Stopped::Interrupted);
            }
            let room = values(frame) - fed.len();
            bytes.clear();
            let mut some = samples.by_ref().take(room as u64 * 2);
            some.read_to_end(&mut bytes).map_err(lost)?;
            let there = bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
            fed.extend(there.map(i16::from_le_bytes));
            heard += bytes.len() / 2;
            if bytes.len() < room * 2 {
                wanted = heard.div_ceil(values(frame)).max(1) as u64;
                fed.resize(values(frame), 0);
            }
            let unit = encoder.encode(&fed).map_err(internal)?;
            match (unit, dropped) {
                (None, _) => {}
                (Some(_), 1..) => dropped -= 1,
                (Some(unit), 0) => track.push(unit.to_vec(), &mut out)?,
            }
            fed.clear();
        }
        track.end(&mut out)
    }
}

/// Trouble with the worker's own disk, which may be over on another worker.
fn lost(error: std::io::Error) -> Stopped {
    failure::passing(format!("The sound of the job cannot be kept: {error}."))
}

fn internal(error: impl std::fmt::Display) -> Stopped {
    failure::internal(format!("{error}."))
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

    fn push(&mut self, unit: Vec<u8>, out: &mut impl Write) -> Step<()> {
        self.units.push(unit);
        match self.units.len() < SEGMENT {
            true => Ok(()),
            false => self.end(out),
        }
    }

    /// Writes what is not written yet.
    fn end(&mut self, out: &mut impl Write) -> Step<()> {
        if self.units.is_empty() {
            return Ok(());
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
        let (bytes, _) = segment.map_err(internal)?;
        self.segments += 1;
        self.units.clear();
        out.write_all(&bytes).map_err(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_bmff::CodecConfig;

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
        for (format, object_type) in [
            (AudioFormat::HeAacV1, AudioObjectType::He),
            (AudioFormat::HeAacV2, AudioObjectType::HeV2),
        ] {
            for (samples, units) in [(1, 1), (2048, 1), (2049, 2), (48 * 2048, 48), (200_000, 98)] {
                let track = made(sound(format, 2, 48_000, 48_000), samples);
                assert_eq!(track.samples.len(), units, "{format:?}: {samples}");
                // What decoders are told, whatever they make of it.
                let CodecConfig::Aac(aac) = &track.config.codec else {
                    panic!("{:?}", track.config.codec);
                };
                assert_eq!(aac.object_type, object_type);
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
    fn nothing_is_written_through_a_link_that_was_planted() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to, other] = ["plain", "t.mp4", "other"].map(|name| folder.path().join(name));
        std::fs::write(&from, [0; 9000]).unwrap();
        std::fs::write(&other, "of others").unwrap();
        std::os::unix::fs::symlink(&other, &to).unwrap();
        let sound = sound(AudioFormat::HeAacV1, 2, 48_000, 64_000);
        sound.encode(&from, &to, &CancellationToken::new()).unwrap();
        assert_eq!(std::fs::read(&other).unwrap(), b"of others");
        assert!(std::fs::symlink_metadata(&to).unwrap().is_file());
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
