//! Codecs that are carried as their configuration box says, without being decoded here: HEVC, AV1, VP9, AC-3, E-AC-3,
//! Opus, FLAC, and text.
//!
//! The box is kept byte by byte and written back into init segments. What manifests need is read from it: the `codecs`
//! parameter (RFC 6381), colour, channels and sampling rate.

use crate::bits::BitReader;
use crate::{Colour, FourCc, av1, hevc};

/// A codec that is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoxedCodec {
    /// Which one.
    pub kind: BoxedKind,
    /// Sample entry code to write, such as `hvc1`: also for `hev1` if the configuration has all parameter sets.
    pub sample_entry: FourCc,
    /// Type of the configuration box; of text, which has its fields in the sample entry itself, that of the entry.
    pub config_box: FourCc,
    /// Payload of the configuration box; of text, what follows the data reference index of its sample entry.
    pub config: Vec<u8>,
    /// Further boxes of the sample entry that are carried, as they are in the file: mastering display and light levels
    /// (`mdcv`, `clli`), Dolby Vision (`dvcC`, `dvvC`).
    pub extra: Vec<u8>,
    /// The `codecs` parameter.
    pub rfc6381: String,
    /// Another `codecs` value for players that know it (HLS `SUPPLEMENTAL-CODECS`), such as `dvh1.08.07/db4h`.
    pub supplemental: Option<String>,
    /// Colour description inside of the configuration.
    pub colour: Option<Colour>,
    /// Samples per second that the decoder puts out; 0 if the configuration does not say.
    pub sample_rate: u32,
    /// Channels that the decoder puts out; 0 if the configuration does not say.
    pub channels: u16,
}

/// Codecs that are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BoxedKind {
    /// H.265 (ISO/IEC 14496-15 §8): `hvc1` or `hev1` with `hvcC`.
    Hevc,
    /// AV1 (AV1 Codec ISO Media File Format Binding): `av01` with `av1C`.
    Av1,
    /// VP9 (VP Codec ISO Media File Format Binding): `vp09` with `vpcC`.
    Vp9,
    /// Dolby Digital (ETSI TS 102 366 annex F): `ac-3` with `dac3`.
    Ac3,
    /// Dolby Digital Plus (ETSI TS 102 366 annex F): `ec-3` with `dec3`.
    Eac3,
    /// Opus (Encapsulation of Opus in ISO Base Media File Format): `Opus` with `dOps`.
    Opus,
    /// FLAC (Encapsulation of FLAC in ISO Base Media File Format): `fLaC` with `dfLa`.
    Flac,
    /// WebVTT (ISO/IEC 14496-30 §7): `wvtt`.
    WebVtt,
    /// TTML (ISO/IEC 14496-12 §12.6): `stpp`.
    Ttml,
}

impl BoxedKind {
    /// The codec of a sample entry, and the type of its configuration box.
    #[must_use]
    pub fn of_entry(entry: FourCc) -> Option<(Self, FourCc)> {
        let (kind, config) = match &entry.0 {
            b"hvc1" | b"hev1" => (Self::Hevc, b"hvcC"),
            b"av01" => (Self::Av1, b"av1C"),
            b"vp09" => (Self::Vp9, b"vpcC"),
            b"ac-3" => (Self::Ac3, b"dac3"),
            b"ec-3" => (Self::Eac3, b"dec3"),
            b"Opus" => (Self::Opus, b"dOps"),
            b"fLaC" => (Self::Flac, b"dfLa"),
            b"wvtt" => (Self::WebVtt, b"wvtt"),
            b"stpp" => (Self::Ttml, b"stpp"),
            _ => return None,
        };
        Some((kind, FourCc(*config)))
    }

    /// Name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hevc => "HEVC (H.265)",
            Self::Av1 => "AV1",
            Self::Vp9 => "VP9",
            Self::Ac3 => "Dolby Digital (AC-3)",
            Self::Eac3 => "Dolby Digital Plus (E-AC-3)",
            Self::Opus => "Opus",
            Self::Flac => "FLAC",
            Self::WebVtt => "WebVTT",
            Self::Ttml => "TTML",
        }
    }
}

impl BoxedCodec {
    /// Reads the configuration of `sample_entry`. `extra`: see [`Self::extra`]. `None` if the entry is not one of
    /// [`BoxedKind`], or the configuration is cut off or contradicts itself.
    #[must_use]
    pub fn parse(sample_entry: FourCc, config: &[u8], extra: &[u8]) -> Option<Self> {
        let (kind, config_box) = BoxedKind::of_entry(sample_entry)?;
        let mut codec = Self {
            kind,
            sample_entry,
            config_box,
            config: config.to_vec(),
            extra: extra.to_vec(),
            rfc6381: sample_entry.to_string(),
            supplemental: None,
            colour: None,
            sample_rate: 0,
            channels: 0,
        };
        match kind {
            BoxedKind::Hevc => {
                let sets = hevc::parameter_sets(config)?;
                // `hev1` says that there may be parameter sets in samples, too. Apple's players show nothing of it, and all that takes
                // `hev1` takes `hvc1`.
                if hevc::is_whole(&sets) {
                    codec.sample_entry = FourCc(*b"hvc1");
                }
                codec.rfc6381 = hevc::rfc6381(codec.sample_entry, config)?;
                codec.colour = sets.iter().find_map(|nal| hevc::colour(nal));
                codec.supplemental = dolby_vision(extra);
            }
            BoxedKind::Av1 => {
                codec.rfc6381 = av1::rfc6381(config)?;
                codec.colour = av1::colour(config);
            }
            BoxedKind::Vp9 => codec.vp9()?,
            BoxedKind::Ac3 => codec.ac3()?,
            BoxedKind::Eac3 => codec.eac3()?,
            BoxedKind::Opus => {
                // u8 version = 0 | u8 channels | u16 pre-skip | u32 input rate | i16 gain | u8 mapping family
                let [0, channels, _, _, _, _, _, _, _, _, _] = *config.first_chunk::<11>()? else {
                    return None;
                };
                codec.channels = u16::from(channels);
                codec.sample_rate = 48_000;
            }
            BoxedKind::Flac => codec.flac()?,
            BoxedKind::WebVtt => {}
            BoxedKind::Ttml => {
                // Namespaces, schema locations and auxiliary types, each closed by a zero byte.
                let namespaces = config.split(|byte| *byte == 0).next()?;
                let ttml = b"http://www.w3.org/ns/ttml";
                if namespaces.windows(ttml.len()).any(|text| text == ttml) {
                    codec.rfc6381.push_str(".ttml.im1t");
                }
            }
        }
        Some(codec)
    }

    /// `vpcC`: version 1 and flags | u8 profile | u8 level | depth 4, chroma 3, full range 1 | u8 primaries, transfer,
    /// matrix | u16 length of initialisation data.
    fn vp9(&mut self) -> Option<()> {
        let [
            1,
            _,
            _,
            _,
            profile,
            level,
            format,
            primaries,
            transfer,
            matrix,
            ..,
        ] = *self.config.first_chunk::<12>()?
        else {
            return None;
        };
        let (depth, chroma, full) = (format >> 4, (format >> 1) & 7, format & 1);
        self.rfc6381 = format!(
            "vp09.{profile:02}.{level:02}.{depth:02}.{chroma:02}.{primaries:02}.{transfer:02}.{matrix:02}.{full:02}"
        );
        self.colour = Some(Colour {
            primaries: primaries.into(),
            transfer: transfer.into(),
            matrix: matrix.into(),
            full_range: full == 1,
        });
        Some(())
    }

    /// `dac3`: fscod 2, bsid 5, bsmod 3, acmod 3, lfeon 1, bit rate code 5, reserved 5.
    fn ac3(&mut self) -> Option<()> {
        let mut bits = BitReader::new(&self.config);
        self.sample_rate = dolby_rate(bits.bits(2)?)?;
        bits.skip(8)?;
        let mode = bits.bits(3)?;
        self.channels = dolby_channels(mode, bits.bit()?)?;
        bits.skip(5)?;
        Some(())
    }

    /// `dec3`: data rate 13, independent substreams - 1 in 3, then for each: fscod 2, bsid 5, reserved 1, asvc 1, bsmod
    /// 3, acmod 3, lfeon 1, reserved 3, dependent substreams 4, and with any of those their channel locations 9, else
    /// reserved 1.
    fn eac3(&mut self) -> Option<()> {
        let mut bits = BitReader::new(&self.config);
        bits.skip(16)?;
        self.sample_rate = dolby_rate(bits.bits(2)?)?;
        bits.skip(10)?;
        let mode = bits.bits(3)?;
        self.channels = dolby_channels(mode, bits.bit()?)?;
        bits.skip(3)?;
        if bits.bits(4)? > 0 {
            // Each location is a channel or, the first, second, fifth, sixth and seventh of them, a pair.
            let locations = bits.bits(9)?;
            let pairs = (locations & 0b0_0111_0011).count_ones();
            let more = locations.count_ones().checked_add(pairs)?;
            self.channels = self.channels.checked_add(u16::try_from(more).ok()?)?;
        }
        Some(())
    }

    /// How many objects of Dolby Atmos there are at most in Dolby Digital Plus, its complexity index; `None` where there are none.
    /// ETSI TS 103 420, which extends `dec3`: behind all substreams, whose fields are those of `eac3`, reserved 7, flag 1, index 8.
    #[must_use]
    pub fn objects(&self) -> Option<u8> {
        if self.kind != BoxedKind::Eac3 {
            return None;
        }
        let mut bits = BitReader::new(&self.config);
        bits.skip(13)?;
        for _ in 0..=bits.bits(3)? {
            bits.skip(19)?;
            let dependent = bits.bits(4)?;
            bits.skip(if dependent > 0 { 9 } else { 1 })?;
        }
        bits.skip(7)?;
        let extended = bits.bit()?;
        let objects = u8::try_from(bits.bits(8)?).ok()?;
        Some(objects).filter(|&objects| extended && objects > 0)
    }

    /// The speakers that Dolby Digital Plus is for, as a channel mask of `WAVEFORMATEXTENSIBLE`, without those that it has no
    /// bit for. `None` for other codecs.
    #[must_use]
    pub fn speakers(&self) -> Option<u32> {
        const FRONT: u32 = 0x3;
        const CENTRE: u32 = 0x4;
        const LOW_FREQUENCY: u32 = 0x8;
        const BACK: u32 = 0x30;
        const BACK_CENTRE: u32 = 0x100;
        const SIDE: u32 = 0x600;
        if self.kind != BoxedKind::Eac3 {
            return None;
        }
        let mut bits = BitReader::new(&self.config);
        bits.skip(28)?;
        let mut speakers = match bits.bits(3)? {
            1 => CENTRE,
            3 => FRONT | CENTRE,
            4 => FRONT | BACK_CENTRE,
            5 => FRONT | CENTRE | BACK_CENTRE,
            6 => FRONT | BACK,
            7 => FRONT | CENTRE | BACK,
            _ => FRONT,
        };
        if bits.bit()? {
            speakers |= LOW_FREQUENCY;
        }
        bits.skip(3)?;
        if bits.bits(4)? > 0 {
            let locations = bits.bits(9)?;
            // Of two pairs of surround speakers those of the first are at the sides.
            if locations & 0b10 != 0 && speakers & BACK != 0 {
                speakers |= SIDE;
            }
            for (location, mask) in [
                (0b1, 0xc0), // between the front's and the centre
                (0b10, BACK),
                (0b100, BACK_CENTRE),
                (0b1000, 0x800),       // top
                (0b100_0000, 0x5000),  // above the front's
                (0b1000_0000, 0x2000), // above the centre
            ] {
                if locations & location != 0 {
                    speakers |= mask;
                }
            }
        }
        Some(speakers)
    }

    /// `dfLa`: version and flags | metadata blocks, the first of which is STREAMINFO (RFC 9639 §8.2).
    fn flac(&mut self) -> Option<()> {
        let mut bits = BitReader::new(&self.config);
        bits.skip(33)?;
        if bits.bits(7)? != 0 || bits.bits(24)? < 34 {
            return None;
        }
        bits.skip(80)?;
        self.sample_rate = bits.bits(20)?;
        self.channels = u16::try_from(bits.bits(3)?.checked_add(1)?).ok()?;
        (self.sample_rate > 0).then_some(())
    }
}

fn dolby_rate(code: u32) -> Option<u32> {
    match code {
        0 => Some(48_000),
        1 => Some(44_100),
        2 => Some(32_000),
        _ => None,
    }
}

fn dolby_channels(mode: u32, low_frequency: bool) -> Option<u16> {
    let full = match mode {
        0 | 2 => 2_u16,
        1 => 1,
        3 | 4 => 3,
        5 | 6 => 4,
        _ => 5,
    };
    full.checked_add(u16::from(low_frequency))
}

/// The string of a Dolby Vision configuration (`dvcC`, `dvvC`) whose base layer other players can show: profile 8, with
/// the brand of what the base layer is compatible with (Dolby Vision Streams Within the HTTP Live Streaming Format).
fn dolby_vision(mut boxes: &[u8]) -> Option<String> {
    while let Some((head, _)) = boxes.split_first_chunk::<8>() {
        let [a, b, c, d, name @ ..] = *head;
        let size = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
        let (whole, rest) = boxes.split_at_checked(size.max(8))?;
        boxes = rest;
        if &name != b"dvcC" && &name != b"dvvC" {
            continue;
        }
        let mut bits = BitReader::new(whole.get(8..)?);
        bits.skip(16)?; // versions
        let (profile, level) = (bits.bits(7)?, bits.bits(6)?);
        bits.skip(3)?;
        let brand = match bits.bits(4)? {
            1 => "db1p",
            2 => "db2g",
            4 => "db4h",
            _ => return None,
        };
        return (profile == 8).then(|| format!("dvh1.{profile:02}.{level:02}/{brand}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(entry: &[u8; 4], config: &[u8]) -> BoxedCodec {
        BoxedCodec::parse(FourCc(*entry), config, &[]).unwrap()
    }

    #[test]
    fn strings_of_every_codec() {
        // Main 10, level 5.1, high tier, as x265 writes it.
        let hvcc = [
            1, 0x22, 0x20, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 153, 0xf0, 0, 0xfc, 0xfd, 0xfa, 0xfa, 0,
            0, 0x0f, 0,
        ];
        assert_eq!(parse(b"hvc1", &hvcc).rfc6381, "hvc1.2.4.H153.90");
        assert_eq!(
            parse(b"av01", &[0x81, 0x08, 0x4c, 0]).rfc6381,
            "av01.0.08M.10"
        );
        let vp9 = parse(b"vp09", &[1, 0, 0, 0, 2, 10, 0xa2, 9, 16, 9, 0, 0]);
        assert_eq!(vp9.rfc6381, "vp09.02.10.10.01.09.16.09.00");
        assert_eq!(vp9.colour.unwrap().transfer, 16);
        let opus = parse(b"Opus", &[0, 6, 1, 56, 0, 0, 0xbb, 0x80, 0, 0, 1]);
        assert_eq!((opus.rfc6381.as_str(), opus.channels), ("Opus", 6));
        let ttml = parse(b"stpp", b"http://www.w3.org/ns/ttml\0\0\0");
        assert_eq!(ttml.rfc6381, "stpp.ttml.im1t");
    }

    #[test]
    fn channels_and_rates_of_dolby_audio() {
        // 48 kHz, 3/2 and LFE.
        let ac3 = parse(b"ac-3", &[0x10, 0x3d, 0xe0]);
        assert_eq!((ac3.sample_rate, ac3.channels), (48_000, 6));
        // The same with a dependent substream of a pair (Lrs/Rrs): 7.1.
        let eac3 = parse(b"ec-3", &[0x1f, 0xf8, 0x20, 0x0f, 0x02, 0x02]);
        assert_eq!((eac3.sample_rate, eac3.channels), (48_000, 8));
    }

    #[test]
    fn speakers_of_dolby_digital_plus() {
        let of = |dec3: &[u8]| parse(b"ec-3", dec3).speakers();
        assert_eq!(of(&[0x06, 0, 0x20, 0x04, 0]), Some(0x3));
        assert_eq!(of(&[0x06, 0, 0x20, 0x0f, 0]), Some(0x3f));
        assert_eq!(of(&[0x1f, 0xf8, 0x20, 0x0f, 0x02, 0x02]), Some(0x63f));
        assert_eq!(parse(b"ac-3", &[0x10, 0x3d, 0xe0]).speakers(), None);
    }

    #[test]
    fn objects_of_dolby_atmos() {
        let of = |dec3: &[u8]| parse(b"ec-3", dec3).objects();
        // 768 kbit/s, 5.1, alone; and with a dependent substream.
        assert_eq!(of(&[0x18, 0, 0x20, 0x0f, 0, 0x01, 16]), Some(16));
        assert_eq!(of(&[0x18, 0, 0x20, 0x0f, 0x02, 0x02, 0x01, 12]), Some(12));
        assert_eq!(of(&[0x18, 0, 0x20, 0x0f, 0, 0x00, 16]), None);
        assert_eq!(of(&[0x18, 0, 0x20, 0x0f, 0]), None);
    }

    #[test]
    fn dolby_vision_8_4_is_supplemental() {
        let mut extra = b"\0\0\0\x20dvvC".to_vec();
        extra.extend([1, 0, 0x10, 0x3d, 0x40]);
        extra.resize(32, 0);
        assert_eq!(dolby_vision(&extra).as_deref(), Some("dvh1.08.07/db4h"));
    }

    proptest! {
        #[test]
        fn never_panics(entry in 0usize..10, config in proptest::collection::vec(any::<u8>(), 0..200)) {
            let entries = [b"hvc1", b"hev1", b"av01", b"vp09", b"ac-3", b"ec-3", b"Opus", b"fLaC", b"wvtt", b"stpp"];
            let _ = BoxedCodec::parse(FourCc(*entries[entry]), &config, &config);
        }
    }
}
