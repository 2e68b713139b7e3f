//! What an encoder says of a stream before its media: codec, size, rate. From it come the init segment and the names in
//! manifests.
//!
//! H.264 (`AVCDecoderConfigurationRecord`) and AAC (`AudioSpecificConfig`) are described in full; HEVC
//! (`HEVCDecoderConfigurationRecord`, ISO/IEC 14496-15 §8.3.3.1), AV1 (`AV1CodecConfigurationRecord`) and Opus
//! (identification header, RFC 7845 §5.1) are passed on as they are and read only as far as manifests need it.

use headwater_bmff::sps::Sps;
use headwater_bmff::write::init_segment;
use headwater_bmff::{AacConfig, AvcConfig, FourCc, TrackConfig};
use headwater_time::Timescale;

use crate::boxes::{self, Entry};
use crate::{CLOCK, LiveError};

/// Pictures or sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Video,
    Audio,
}

impl Kind {
    /// `video` or `audio`, as in URLs and events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }
}

/// A stream's decoder configuration and what players are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamConfig {
    pub kind: Kind,
    /// Of sound, as it is stated; see [`language`](crate::language).
    pub language: Option<String>,
    /// RFC 6381.
    pub codec: String,
    /// Of the track that is written: 90 kHz for pictures, the sampling rate for sound.
    pub timescale: Timescale,
    /// Pixels; 0 for sound.
    pub width: u32,
    pub height: u32,
    /// 0 for pictures.
    pub sample_rate: u32,
    pub channels: u16,
    /// What a decoder needs, as a CMAF header of a track with id 1.
    pub init: Vec<u8>,
    /// Ticks that every access unit lasts, if they last the same: sound.
    pub unit_duration: Option<u32>,
    /// Bytes of the length in front of a NAL unit; `None` for what has none.
    pub nal_length_size: Option<u8>,
}

fn bad(codec: &'static str, fault: impl Into<String>) -> LiveError {
    LiveError::Codec {
        codec,
        fault: fault.into(),
    }
}

impl StreamConfig {
    /// H.264 from `avcC`.
    ///
    /// Errors: `Codec` for a record that cannot be read.
    pub fn avc(record: &[u8]) -> Result<Self, LiveError> {
        let config = AvcConfig::parse(FourCc(*b"avc1"), record)
            .ok_or_else(|| bad("H.264", "the configuration record does not parse"))?;
        Self::avc_config(config)
    }

    /// H.264 from parameter sets, NAL headers included.
    ///
    /// Errors: `Codec` for sets that cannot be read, `Box` for too many.
    pub fn avc_sets(sps: Vec<Vec<u8>>, pps: Vec<Vec<u8>>) -> Result<Self, LiveError> {
        Self::avc_config(AvcConfig::from_parameter_sets(sps, pps)?)
    }

    fn avc_config(config: AvcConfig) -> Result<Self, LiveError> {
        let sps = config.sps.first().and_then(|nal| Sps::parse(nal));
        let sps = sps.ok_or_else(|| bad("H.264", "the sequence parameter set does not parse"))?;
        let side = |pixels: u32| {
            u16::try_from(pixels).map_err(|_| bad("H.264", "a picture side has 65536 pixels"))
        };
        let (codec, nal) = (config.rfc6381(), config.nal_length_size);
        let mut track = TrackConfig::video(1, CLOCK, config, (side(sps.width)?, side(sps.height)?));
        track.pixel_aspect = sps.pixel_aspect;
        track.colour = sps.colour;
        Ok(Self {
            kind: Kind::Video,
            language: None,
            codec,
            timescale: CLOCK,
            width: sps.width,
            height: sps.height,
            sample_rate: 0,
            channels: 0,
            init: init_segment(&track, 0)?,
            unit_duration: None,
            nal_length_size: Some(nal),
        })
    }

    /// HEVC from `hvcC`. `size`: as the stream's metadata have it, for want of a look inside.
    ///
    /// Errors: `Codec` for a record that is cut off.
    pub fn hevc(record: &[u8], size: (u32, u32)) -> Result<Self, LiveError> {
        let head = record
            .first_chunk::<23>()
            .filter(|head| head[0] == 1)
            .ok_or_else(|| bad("HEVC", "the configuration record is cut off"))?;
        let [
            _,
            profile,
            c0,
            c1,
            c2,
            c3,
            constraints @ ..,
            level,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            lengths,
            _,
        ] = head;
        let compatibility = u32::from_be_bytes([*c0, *c1, *c2, *c3]).reverse_bits();
        let space = match profile >> 6 {
            0 => "",
            1 => "A",
            2 => "B",
            _ => "C",
        };
        let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
        let mut codec = format!(
            "hvc1.{space}{}.{compatibility:X}.{tier}{level}",
            profile & 31
        );
        let used = constraints.iter().rposition(|byte| *byte != 0);
        for byte in constraints
            .iter()
            .take(used.map_or(0, |at| at.saturating_add(1)))
        {
            codec.push_str(&format!(".{byte:X}"));
        }
        let nal = (lengths & 3).saturating_add(1);
        Self::opaque_video(codec, b"hvc1", (b"hvcC", record), size, Some(nal))
    }

    /// AV1 from `av1C`. `size`: as for [`Self::hevc`].
    ///
    /// Errors: `Codec` for a record that is cut off.
    pub fn av1(record: &[u8], size: (u32, u32)) -> Result<Self, LiveError> {
        let codec = headwater_bmff::av1::rfc6381(record)
            .ok_or_else(|| bad("AV1", "the configuration record is cut off"))?;
        Self::opaque_video(codec, b"av01", (b"av1C", record), size, None)
    }

    fn opaque_video(
        codec: String,
        entry: &[u8; 4],
        config: (&[u8; 4], &[u8]),
        (width, height): (u32, u32),
        nal_length_size: Option<u8>,
    ) -> Result<Self, LiveError> {
        let side = |pixels: u32| {
            u16::try_from(pixels)
                .ok()
                .filter(|pixels| *pixels > 0)
                .ok_or_else(|| bad("video", "the metadata do not state the picture's size"))
        };
        let entry = Entry::Video {
            name: entry,
            size: (side(width)?, side(height)?),
            config,
        };
        Ok(Self {
            kind: Kind::Video,
            language: None,
            codec,
            timescale: CLOCK,
            width,
            height,
            sample_rate: 0,
            channels: 0,
            init: boxes::init_segment(CLOCK, &entry),
            unit_duration: None,
            nal_length_size,
        })
    }

    /// AAC from its `AudioSpecificConfig`.
    ///
    /// Errors: `Codec` for object types that are not LC, HE or HE v2, and for channels that only the stream states.
    pub fn aac(asc: &[u8]) -> Result<Self, LiveError> {
        let config = AacConfig::parse(asc)
            .filter(|config| config.channels > 0)
            .ok_or_else(|| bad("AAC", "the AudioSpecificConfig is not AAC-LC or HE-AAC"))?;
        let timescale =
            Timescale::new(config.sample_rate).ok_or_else(|| bad("AAC", "a sampling rate of 0"))?;
        let codec = config.rfc6381();
        let (sample_rate, channels, frame) =
            (config.sample_rate, config.channels, config.frame_len);
        let track = TrackConfig::audio(1, timescale, "und", config);
        Ok(Self {
            kind: Kind::Audio,
            language: None,
            codec,
            timescale,
            width: 0,
            height: 0,
            sample_rate,
            channels,
            init: init_segment(&track, 0)?,
            unit_duration: Some(frame),
            nal_length_size: None,
        })
    }

    /// Opus from its identification header.
    ///
    /// Errors: `Codec` for one that is cut off, or with a channel mapping beyond stereo.
    pub fn opus(head: &[u8]) -> Result<Self, LiveError> {
        let Some((magic, rest)) = head.split_at_checked(8) else {
            return Err(bad("Opus", "the identification header is cut off"));
        };
        let Some([_, channels, s0, s1, r0, r1, r2, r3, g0, g1, 0]) = rest.first_chunk::<11>()
        else {
            return Err(bad("Opus", "more than two channels, or a header cut off"));
        };
        if magic != b"OpusHead" || !(1..=2).contains(channels) {
            return Err(bad("Opus", "not an identification header"));
        }
        // The box has the header's fields, big-endian (Opus in ISOBMFF §4.3.2).
        let config = [0, *channels, *s1, *s0, *r3, *r2, *r1, *r0, *g1, *g0, 0];
        let timescale = Timescale::new(48_000).unwrap_or(CLOCK);
        let entry = Entry::Audio {
            name: b"Opus",
            channels: u16::from(*channels),
            sample_rate: 48_000,
            config: (b"dOps", &config),
        };
        Ok(Self {
            kind: Kind::Audio,
            language: None,
            codec: "opus".to_owned(),
            timescale,
            width: 0,
            height: 0,
            sample_rate: 48_000,
            channels: u16::from(*channels),
            init: boxes::init_segment(timescale, &entry),
            // Packets may last from 2.5 to 120 ms, and change.
            unit_duration: None,
            nal_length_size: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codec_names_are_those_of_rfc_6381() {
        let mut hvcc = vec![1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
        hvcc.extend_from_slice(&[0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 0]);
        let hevc = StreamConfig::hevc(&hvcc, (1280, 720)).unwrap();
        assert_eq!(hevc.codec, "hvc1.1.6.L93.90");
        assert_eq!(hevc.nal_length_size, Some(4));
        let av1 = StreamConfig::av1(&[0x81, 0x08, 0x0c, 0], (1920, 1080)).unwrap();
        assert_eq!(av1.codec, "av01.0.08M.08");
        assert_eq!(StreamConfig::aac(&[0x11, 0x90]).unwrap().codec, "mp4a.40.2");
    }

    #[test]
    fn headers_of_opaque_codecs_are_read_by_our_own_reader() {
        let head = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00";
        let opus = StreamConfig::opus(head).unwrap();
        let movie = headwater_bmff::parse_movie(opus.init.into()).unwrap();
        assert_eq!(movie.tracks[0].config.codec.name(), "Opus");
        assert_eq!(movie.tracks[0].config.channels, 2);
        assert!(StreamConfig::opus(b"OpusHead").is_err());
        assert!(StreamConfig::av1(&[0x81, 0x08, 0x0c, 0], (0, 0)).is_err());
    }
}
