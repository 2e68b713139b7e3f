//! Codecs: what is decoded, what is only recognised, and their RFC 6381 names.

use crate::{AacConfig, AvcConfig, BoxedCodec, FourCc};

/// A track's codec and its decoder configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecConfig {
    /// H.264 (ISO/IEC 14496-15 §5).
    Avc(AvcConfig),
    /// AAC-LC, HE-AAC or HE-AAC v2 (ISO/IEC 14496-3).
    Aac(AacConfig),
    /// Carried with its configuration box: HEVC, AV1, VP9, Dolby audio, Opus, FLAC, text.
    Boxed(BoxedCodec),
    /// Recognised by name only.
    Other(OtherCodec),
}

/// A codec this crate names but does not describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherCodec {
    /// Sample entry code.
    pub fourcc: FourCc,
    /// Name for people, such as `HEVC (H.265)`.
    pub name: String,
}

impl CodecConfig {
    /// The `codecs` parameter (RFC 6381 §3.3), such as `avc1.640020`; `None` unless the codec is described.
    #[must_use]
    pub fn rfc6381(&self) -> Option<String> {
        match self {
            Self::Avc(avc) => Some(avc.rfc6381()),
            Self::Aac(aac) => Some(aac.rfc6381()),
            Self::Boxed(codec) => Some(codec.rfc6381.clone()),
            Self::Other(_) => None,
        }
    }

    /// Name for people: `H.264`, `AAC-LC`, `HEVC (H.265)`, ...
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Avc(_) => "H.264",
            Self::Aac(aac) => aac.object_type.name(),
            Self::Boxed(codec) => codec.kind.name(),
            Self::Other(other) => &other.name,
        }
    }
}

impl CodecConfig {
    /// The colour description that the codec's configuration has.
    #[must_use]
    pub fn colour(&self) -> Option<crate::Colour> {
        match self {
            Self::Avc(avc) => {
                avc.sps
                    .first()
                    .and_then(|sps| crate::sps::Sps::parse(sps))?
                    .colour
            }
            Self::Boxed(codec) => codec.colour,
            Self::Aac(_) | Self::Other(_) => None,
        }
    }

    /// Whether pictures may be fields of interlaced video: of H.264 those that are not all coded as frames, of HEVC what says so.
    #[must_use]
    pub fn may_be_interlaced(&self) -> bool {
        match self {
            Self::Avc(avc) => {
                let mut sets = avc.sps.iter().filter_map(|sps| crate::sps::Sps::parse(sps));
                sets.any(|sps| !sps.frames_only)
            }
            Self::Boxed(codec) => {
                codec.kind == crate::BoxedKind::Hevc
                    && crate::hevc::interlaced(&codec.config).unwrap_or_default()
            }
            Self::Aac(_) | Self::Other(_) => false,
        }
    }

    /// See [`BoxedCodec::objects`]; 0 for sound without.
    #[must_use]
    pub fn objects(&self) -> u8 {
        match self {
            Self::Boxed(codec) => codec.objects().unwrap_or(0),
            _ => 0,
        }
    }

    /// Another `codecs` value for players that know it (HLS `SUPPLEMENTAL-CODECS`).
    #[must_use]
    pub fn supplemental(&self) -> Option<&str> {
        match self {
            Self::Boxed(codec) => codec.supplemental.as_deref(),
            _ => None,
        }
    }
}

impl OtherCodec {
    /// Whether the samples are encrypted, whatever they are (ISO/IEC 14496-12 §8.12).
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        matches!(&self.fourcc.0, b"encv" | b"enca" | b"enct" | b"encs")
    }

    /// A codec that would be described, were its configuration not missing or broken.
    #[must_use]
    pub fn broken(fourcc: FourCc) -> Self {
        let name = Self::recognise(fourcc).name;
        Self::named(fourcc, format!("{name} without a valid configuration"))
    }

    /// Names the codec of sample entry `fourcc`.
    #[must_use]
    pub fn recognise(fourcc: FourCc) -> Self {
        let name = match &fourcc.0 {
            b"avc1" | b"avc3" => "H.264",
            b"hvc1" | b"hev1" => "HEVC (H.265)",
            b"dvh1" | b"dvhe" | b"dvav" | b"dva1" => "Dolby Vision",
            b"vvc1" | b"vvi1" => "VVC (H.266)",
            b"av01" => "AV1",
            b"vp08" => "VP8",
            b"vp09" => "VP9",
            b"mp4v" => "MPEG-4 Visual",
            b"s263" | b"h263" => "H.263",
            b"m1v " | b"mp1v" => "MPEG-1 video",
            b"mp2v" | b"m2v1" | b"xdvb" => "MPEG-2 video",
            b"jpeg" | b"mjpa" | b"mjpb" => "Motion JPEG",
            b"mjp2" => "Motion JPEG 2000",
            b"png " => "PNG",
            b"apch" | b"apcn" | b"apcs" | b"apco" | b"ap4h" | b"ap4x" => "Apple ProRes",
            b"AVdn" | b"AVdh" => "Avid DNxHD",
            b"CFHD" => "CineForm",
            b"dvc " | b"dvcp" | b"dvpp" | b"dv5n" | b"dv5p" | b"dvh5" | b"dvh6" => "DV",
            b"SVQ1" | b"SVQ3" => "Sorenson Video",
            b"cvid" => "Cinepak",
            b"rle " => "QuickTime Animation",
            b"raw " | b"2vuy" | b"yuv2" | b"v210" => "uncompressed video",
            b"vc-1" => "VC-1",
            b"mp4a" => "MPEG-4 audio",
            b"ac-3" => "Dolby Digital (AC-3)",
            b"ec-3" => "Dolby Digital Plus (E-AC-3)",
            b"ac-4" => "Dolby AC-4",
            b"mlpa" => "Dolby TrueHD",
            b"dtsc" | b"dtsh" | b"dtsl" | b"dtse" | b"dtsx" => "DTS",
            b"Opus" => "Opus",
            b"fLaC" => "FLAC",
            b"alac" => "Apple Lossless",
            b".mp3" | b"ms\0U" => "MP3",
            b"samr" | b"sawb" => "AMR",
            b"sowt" | b"twos" | b"in24" | b"in32" | b"fl32" | b"fl64" | b"lpcm" | b"ipcm"
            | b"fpcm" => "uncompressed audio",
            b"ulaw" | b"alaw" => "G.711",
            b"QDM2" | b"QDMC" => "QDesign Music",
            b"mha1" | b"mhm1" => "MPEG-H 3D Audio",
            b"encv" => "encrypted video",
            b"enca" => "encrypted audio",
            b"wvtt" => "WebVTT",
            b"stpp" => "TTML",
            b"tx3g" | b"text" => "timed text",
            b"c608" | b"c708" => "closed captions",
            b"tmcd" => "time code",
            _ => return Self::named(fourcc, format!("codec '{fourcc}'")),
        };
        Self::named(fourcc, name)
    }

    /// The codec `name` found under sample entry `fourcc`.
    #[must_use]
    pub fn named(fourcc: FourCc, name: impl Into<String>) -> Self {
        Self {
            fourcc,
            name: name.into(),
        }
    }
}
