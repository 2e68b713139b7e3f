//! The one form that all presets are read into.

use crate::{Filters, Images, Insert, OutputFormat};

/// What to make of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    /// Video to make; empty for none.
    pub videos: Vec<VideoCodec>,
    /// Sound to make; empty for none.
    pub audios: Vec<AudioCodec>,
    /// Pictures to take.
    pub images: Vec<Images>,
    /// What is done to pictures and sound before they are encoded.
    pub filters: Filters,
    /// Files to write; empty for one track a file under names of our own.
    pub formats: Vec<OutputFormat>,
    /// Video and sound of our own naming go into one file each, instead of one track a file.
    pub interleave: bool,
    /// A picture of the source as a poster, as all built-in presets make one.
    pub poster: bool,
    /// A track is added to what the output asset has, and nothing else is made.
    pub insert: Option<Insert>,
}

impl Preset {
    /// Nothing at all: what the readers start from.
    pub(crate) fn empty() -> Self {
        Self {
            videos: Vec::new(),
            audios: Vec::new(),
            images: Vec::new(),
            filters: Filters::default(),
            formats: Vec::new(),
            interleave: false,
            poster: false,
            insert: None,
        }
    }
}

/// One kind of video in an output.
#[derive(Debug, Clone, PartialEq)]
pub enum VideoCodec {
    /// As it is in the source. `top_only`: of several, the one with the highest bitrate.
    Copy {
        /// Names the track for [`OutputFormat::files`].
        label: Option<String>,
        /// Of several video tracks only the best.
        top_only: bool,
    },
    /// Encoded anew.
    Encode(VideoEncode),
}

/// How pictures are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoFormat {
    /// AVC.
    H264,
    /// HEVC.
    H265,
    /// AOMedia Video 1.
    Av1,
}

/// Video that is encoded.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoEncode {
    /// The codec.
    pub format: VideoFormat,
    /// Which renditions.
    pub ladder: Ladder,
    /// Key frames are this far apart: 500 to 20,000 ms.
    pub key_frame_ms: u32,
    /// How a picture is fitted into a layer's size.
    pub stretch: Stretch,
    /// Speed against quality.
    pub complexity: Complexity,
    /// What is done to frame times.
    pub sync: SyncMode,
    /// Additional key frames at cuts.
    pub scene_changes: bool,
    /// How bits are spent.
    pub rate: RateControl,
    /// Names the tracks of layers without a label of their own.
    pub label: Option<String>,
    /// Sources of more than 30 frames a second are thinned, as the built-in presets do.
    pub thin: bool,
}

/// Which renditions a video gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Ladder {
    /// Chosen from the source's size, frame rate and bitrate.
    Adaptive(Limits),
    /// Chosen from what the source's content needs.
    ContentAware(Limits),
    /// Boxes that the picture is fitted into, never larger than the source.
    Boxes(Vec<Layer>),
    /// Exactly these.
    Exact(Vec<VideoLayer>),
}

/// `configurations` of a built-in preset (AMS `PresetConfigurations`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Highest bitrate of a layer in bit/s.
    pub max_bitrate: Option<u32>,
    /// Lowest bitrate of a layer in bit/s.
    pub min_bitrate: Option<u32>,
    /// Lines of the largest layer.
    pub max_height: Option<u32>,
    /// Lines of the smallest layer.
    pub min_height: Option<u32>,
    /// Layers at most.
    pub max_layers: Option<u32>,
}

/// A layer of a fixed preset: the picture fits into `width` x `height`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Columns of the box.
    pub width: u32,
    /// Lines of the box.
    pub height: u32,
    /// Bitrate in kbit/s.
    pub kbps: u32,
}

/// A side of a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// Samples.
    Pixels(u32),
    /// Of the source's side.
    Percent(f64),
}

/// AMS `StretchMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    /// Exactly the size asked for, whatever becomes of the proportions.
    None,
    /// Within the size asked for, in the source's proportions.
    AutoSize,
    /// Exactly the size asked for, with bars where the proportions differ.
    AutoFit,
}

/// AMS `H264Complexity` and its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complexity {
    /// Least effort.
    Speed,
    /// In between.
    Balanced,
    /// Most effort.
    Quality,
}

/// AMS `VideoSyncMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// Times stay as they are, as far as the container allows.
    Auto,
    /// Times stay as they are.
    Passthrough,
    /// Frames are repeated and dropped for a constant rate.
    Cfr,
    /// Times stay, doubles go.
    Vfr,
}

/// How bits are spent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RateControl {
    /// An average, as each layer says.
    Average,
    /// Constant.
    Constant,
    /// Constant quality, by each layer's `crf` or the codec's own default; a layer's bitrate is its ceiling.
    Quality,
}

/// A layer of a [`Ladder::Exact`].
#[derive(Debug, Clone, PartialEq)]
pub struct VideoLayer {
    /// `None`: by the height and the source's proportions, or the source's.
    pub width: Option<Length>,
    /// As the width.
    pub height: Option<Length>,
    /// Names the track for [`OutputFormat::files`] and the macro `{Label}`.
    pub label: Option<String>,
    /// Average in bit/s.
    pub bitrate: u32,
    /// Most bit/s over the buffer window; the average if `None`.
    pub max_bitrate: Option<u32>,
    /// Over how long `max_bitrate` counts, in ms.
    pub buffer_ms: u32,
    /// Pictures between two that are shown after them; the encoder's choice if `None`.
    pub b_frames: Option<u32>,
    /// Whether there may be fewer.
    pub adaptive_b_frames: bool,
    /// Frames a second as a fraction; the source's if `None`.
    pub frame_rate: Option<(u32, u32)>,
    /// Slices of a picture.
    pub slices: Option<u32>,
    /// Pictures that others may refer to.
    pub reference_frames: Option<u32>,
    /// Quality for [`RateControl::Quality`].
    pub crf: Option<f64>,
    /// Profile, for H.264.
    pub profile: H264Profile,
    /// Ten bits a sample (`Main10`), for H.265.
    pub ten_bits: bool,
    /// Such as `4.1`; the encoder's choice if `None`.
    pub level: Option<String>,
    /// Arithmetic coding (`Cabac`) rather than `Cavlc`, for H.264; by the profile if `None`.
    pub cabac: Option<bool>,
}

/// AMS `H264VideoProfile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum H264Profile {
    /// High for large pictures, Main for small ones.
    Auto,
    /// Baseline.
    Baseline,
    /// Main.
    Main,
    /// High.
    High,
    /// High 4:2:2.
    High422,
    /// High 4:4:4 Predictive.
    High444,
}

/// One kind of sound in an output.
#[derive(Debug, Clone, PartialEq)]
pub enum AudioCodec {
    /// As it is in the source.
    Copy {
        /// Names the tracks for [`OutputFormat::files`].
        label: Option<String>,
    },
    /// Encoded anew.
    Encode(AudioEncode),
}

/// How sound is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AudioFormat {
    /// AAC-LC.
    AacLc,
    /// AAC with spectral band replication.
    HeAacV1,
    /// As that, with parametric stereo.
    HeAacV2,
    /// Dolby Digital (AC-3).
    DolbyDigital,
}

/// Sound that is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioEncode {
    /// The codec.
    pub format: AudioFormat,
    /// Bit/s of a track.
    pub bitrate: u32,
    /// Channels; the source's if `None`.
    pub channels: Option<u32>,
    /// Samples a second; the source's if `None`.
    pub sample_rate: Option<u32>,
    /// Names the tracks for [`OutputFormat::files`].
    pub label: Option<String>,
    /// A source in this format already, at no more than the bitrate, is copied.
    pub copy_if_same: bool,
}
