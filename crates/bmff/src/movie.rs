//! What a file holds: tracks, their decoder configuration and their samples.

use std::ops::Range;

use headwater_time::Timescale;

use crate::{CodecConfig, EditList, FourCc, Matrix, Rotation, SampleTable};

/// A parsed MP4 or QuickTime file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movie {
    /// Ticks per second of [`Self::duration`] and of edit list durations.
    pub timescale: Timescale,
    /// Duration of the longest track in `timescale` ticks, as `mvhd` says; 0 for many fragmented files.
    pub duration: u64,
    /// Brands of the `ftyp` box; empty for QuickTime files from before it existed.
    pub brands: Brands,
    /// In the order of the file.
    pub tracks: Vec<Track>,
    /// `Some` if the file is a movie header followed by movie fragments.
    pub fragments: Option<StoredFragments>,
}

/// The `ftyp` box (ISO/IEC 14496-12 §4.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Brands {
    /// Major brand, if there is an `ftyp` box.
    pub major: Option<FourCc>,
    /// Compatible brands in the order of the file.
    pub compatible: Vec<FourCc>,
}

impl Brands {
    /// True if `brand` is the major brand or a compatible one.
    #[must_use]
    pub fn contains(&self, brand: &[u8; 4]) -> bool {
        let brand = FourCc(*brand);
        self.major == Some(brand) || self.compatible.contains(&brand)
    }
}

/// Where the fragments of a fragmented file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFragments {
    /// Bytes of the file from its start to the end of `moov`, when nothing but `ftyp` precedes `moov` and neither is
    /// larger than such boxes are without samples (1 MiB): an init segment.
    pub init: Option<Vec<u8>>,
    /// One per `moof`, in file order.
    pub list: Vec<Fragment>,
    /// Number of `emsg` boxes between them (ISO/IEC 23009-1 §5.10.3.3). What is in those is not read.
    pub messages: u32,
    /// Bytes at the end that are of no whole fragment: of a recording that was broken off. What is in them is not read.
    pub cut_off: u64,
}

/// One `moof` and the `mdat` that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// From the first byte of `moof` to the last of `mdat`; ends with `moof` if no `mdat` follows it directly.
    pub bytes: Range<u64>,
    /// Length of `moof` plus the `mdat` header, in bytes.
    pub header_len: u64,
    /// `moof` holds exactly one `traf` with a `tfdt`, one `trun`, `default-base-is-moof` and no base data offset, and
    /// the run's data begins right after the `mdat` header and fills it.
    pub self_contained: bool,
    /// Track and indices of the samples of the first track fragment, in its track's [`SampleTable`].
    pub track_id: u32,
    /// Sample indices, see [`Self::track_id`].
    pub samples: Range<u32>,
}

/// A track: what a decoder needs, the mapping to the presentation timeline, and the samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// What a decoder needs, and how the result is displayed.
    pub config: TrackConfig,
    /// Handler type, such as `vide` or `soun`.
    pub handler: FourCc,
    /// `tkhd`'s track-enabled flag. Players skip disabled tracks.
    pub enabled: bool,
    /// Duration of the media in ticks of the track, as `mdhd` says; 0 for many fragmented files.
    pub duration: u64,
    /// Mapping from media time to presentation time; empty if they are the same.
    pub edits: EditList,
    /// Every sample, in decode order.
    pub samples: SampleTable,
}

/// What a track's samples are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Subtitles and captions: handlers `text`, `subt` and `sbtl`.
    Text,
    /// Anything else: time codes, hints, metadata.
    Other,
}

/// Decoder and display configuration of a track. Reading produces it and the writers take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackConfig {
    /// Track id, unique in its file, not 0.
    pub id: u32,
    /// What the samples are for.
    pub kind: TrackKind,
    /// Ticks per second of decode times and durations.
    pub timescale: Timescale,
    /// ISO 639-2/T code or BCP 47 tag; `und` if unknown.
    pub language: String,
    /// Codec and its decoder configuration.
    pub codec: CodecConfig,
    /// Coded width in pixels from the sample entry; 0 unless video.
    pub width: u16,
    /// Coded height in pixels from the sample entry; 0 unless video.
    pub height: u16,
    /// Transformation for display; identity unless video.
    pub matrix: Matrix,
    /// Shape of a pixel; `None` if square or unknown.
    pub pixel_aspect: Option<PixelAspect>,
    /// Colour description, if the container has one.
    pub colour: Option<Colour>,
    /// Samples per second the decoder puts out; 0 unless audio.
    pub sample_rate: u32,
    /// Channels the decoder puts out; 0 unless audio.
    pub channels: u16,
}

/// Pixel width to height (`pasp`, ISO/IEC 14496-12 §12.1.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PixelAspect {
    /// Relative width, not 0.
    pub horizontal: u32,
    /// Relative height, not 0.
    pub vertical: u32,
}

/// Colour description (`colr` of type `nclx` or `nclc`), in the code points of ISO/IEC 23091-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colour {
    /// Colour primaries.
    pub primaries: u16,
    /// Transfer characteristics.
    pub transfer: u16,
    /// Matrix coefficients.
    pub matrix: u16,
    /// Luma uses the full range of values.
    pub full_range: bool,
}

impl TrackConfig {
    /// A video track that is displayed as coded, with square pixels.
    #[must_use]
    pub fn video(
        id: u32,
        timescale: Timescale,
        codec: crate::AvcConfig,
        (width, height): (u16, u16),
    ) -> Self {
        Self {
            id,
            kind: TrackKind::Video,
            timescale,
            language: "und".to_owned(),
            codec: CodecConfig::Avc(codec),
            width,
            height,
            matrix: Matrix::IDENTITY,
            pixel_aspect: None,
            colour: None,
            sample_rate: 0,
            channels: 0,
        }
    }

    /// An audio track with the rate and channels that the codec configuration states.
    #[must_use]
    pub fn audio(id: u32, timescale: Timescale, language: &str, codec: crate::AacConfig) -> Self {
        Self {
            id,
            kind: TrackKind::Audio,
            timescale,
            language: language.to_owned(),
            sample_rate: codec.sample_rate,
            channels: codec.channels,
            codec: CodecConfig::Aac(codec),
            width: 0,
            height: 0,
            matrix: Matrix::IDENTITY,
            pixel_aspect: None,
            colour: None,
        }
    }

    /// The quarter turn a player applies before display.
    #[must_use]
    pub fn rotation(&self) -> Rotation {
        self.matrix.rotation()
    }

    /// Width and height in square pixels before rotation: what `tkhd` states (ISO/IEC 14496-12 §8.3.2).
    #[must_use]
    pub fn display_size(&self) -> (u32, u32) {
        let (width, height) = (u32::from(self.width), u32::from(self.height));
        let Some(aspect) = self.pixel_aspect else {
            return (width, height);
        };
        let stretched = u64::from(width)
            .saturating_mul(u64::from(aspect.horizontal))
            .checked_div(u64::from(aspect.vertical))
            .and_then(|w| u32::try_from(w).ok())
            .filter(|w| (1..=u32::from(u16::MAX)).contains(w));
        (stretched.unwrap_or(width), height)
    }
}
