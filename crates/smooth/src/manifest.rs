//! `SmoothStreamingMedia`, [MS-SSTR] §2.2.2.
//!
//! Times of a stream are in its own `TimeScale`; of the whole in the manifest's. `c@r` counts fragments, the first one
//! included, and is there in version 2.2 only.

use crate::sparse::Sparse;
use crate::text::{attribute, number_attribute};
use headwater_time::Timescale;

/// A presentation: there in full, or as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest<'a> {
    /// Dialect.
    pub version: Version,
    /// Of `duration`.
    pub timescale: Timescale,
    /// Length of the presentation, ticks. Of no meaning while it is live.
    pub duration: u64,
    /// It goes on.
    pub live: Option<Live>,
    /// The `Protection` element, written out.
    pub protection: Option<String>,
    /// In the order in which players list them.
    pub streams: Vec<Stream<'a>>,
    /// Behind those.
    pub sparse: Vec<Sparse>,
}

/// What clients of a live presentation need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    /// How far back fragments are there, ticks.
    pub window: u64,
    /// Every fragment says of so many that come after it (`tfrf`), and is there once those are.
    pub look_ahead: u8,
}

/// Dialect of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 2.0.
    V20,
    /// 2.2: runs of equal fragments are counted.
    V22,
}

/// Tracks with the same fragments, which a player may switch between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream<'a> {
    /// Stream name.
    pub name: String,
    /// What of it is the same for all levels.
    pub media: Media,
    /// ISO 639-2 or BCP-47.
    pub language: Option<String>,
    /// For people.
    pub title: Option<String>,
    /// Value of `Role` and `Accessibility` of an audio description.
    pub describes_video: bool,
    /// With `{bitrate}` and `{start time}`.
    pub url: String,
    /// Of `chunks`.
    pub timescale: Timescale,
    /// Fragments, in order. Without length: left out.
    pub chunks: &'a [Chunk],
    /// Not empty.
    pub levels: Vec<Level>,
}

/// Kind of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `video`.
    Video {
        /// Size on screen of the largest level, pixels.
        display: (u32, u32),
    },
    /// `audio`.
    Audio,
    /// `text`, of the subtype for captions.
    Text,
}

/// A fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Its time in the URL, ticks.
    pub start: u64,
    /// Ticks to the start of the next fragment.
    pub duration: u64,
}

/// One track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// Pictures.
    Video {
        /// bit/s: what `{bitrate}` stands for.
        bitrate: u32,
        /// `H264`, `hvc1`, `hev1`.
        four_cc: &'static str,
        /// Coded size, pixels.
        size: (u32, u32),
        /// See [`crate::video_private_data`].
        private_data: String,
        /// Bytes of a sample's NAL lengths.
        nal_length_size: u8,
    },
    /// Sound.
    Audio {
        /// bit/s: what `{bitrate}` stands for.
        bitrate: u32,
        /// `AACL`, `AACH`, `EC-3`.
        four_cc: &'static str,
        /// `wFormatTag` of the codec: 255 for AAC in its own format, 65534 where the private data says more.
        tag: u16,
        /// Hz.
        sample_rate: u32,
        /// Count.
        channels: u16,
        /// See [`crate::aac_private_data`] and [`crate::eac3_private_data`].
        private_data: String,
    },
    /// TTML documents.
    Text {
        /// bit/s: what `{bitrate}` stands for.
        bitrate: u32,
    },
}

impl Level {
    /// bit/s.
    pub fn bitrate(&self) -> u32 {
        match self {
            Self::Video { bitrate, .. } | Self::Audio { bitrate, .. } | Self::Text { bitrate } => {
                *bitrate
            }
        }
    }
}

impl Manifest<'_> {
    /// Renders the manifest.
    pub fn write(&self) -> String {
        let chunks = self.streams.iter().map(|s| s.chunks.len());
        let chunks = chunks.fold(0, usize::saturating_add);
        let mut out = String::with_capacity(chunks.saturating_mul(24).saturating_add(4096));
        out.push_str(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<SmoothStreamingMedia MajorVersion=\"2\"",
        );
        let minor = match self.version {
            Version::V20 => 0,
            Version::V22 => 2,
        };
        number_attribute(&mut out, "MinorVersion", minor);
        number_attribute(&mut out, "TimeScale", self.timescale.get().into());
        match self.live {
            None => number_attribute(&mut out, "Duration", self.duration),
            Some(live) => {
                number_attribute(&mut out, "Duration", 0);
                attribute(&mut out, "IsLive", "TRUE");
                number_attribute(&mut out, "LookAheadFragmentCount", live.look_ahead.into());
                number_attribute(&mut out, "DVRWindowLength", live.window);
            }
        }
        out.push_str(">\n");
        if let Some(protection) = &self.protection {
            out.push_str("  ");
            out.push_str(protection);
            out.push('\n');
        }
        for stream in &self.streams {
            stream.write(self.version, &mut out);
        }
        for sparse in &self.sparse {
            sparse.write(&mut out);
        }
        out.push_str("</SmoothStreamingMedia>\n");
        out
    }
}

impl Stream<'_> {
    fn write(&self, version: Version, out: &mut String) {
        let present = || self.chunks.iter().filter(|c| c.duration > 0);
        out.push_str("  <StreamIndex");
        attribute(
            out,
            "Type",
            match self.media {
                Media::Video { .. } => "video",
                Media::Audio => "audio",
                Media::Text => "text",
            },
        );
        if self.media == Media::Text {
            attribute(out, "Subtype", "CAPT");
        }
        attribute(out, "Name", &self.name);
        if let Some(language) = &self.language {
            attribute(out, "Language", language);
        }
        if let Some(title) = &self.title {
            attribute(out, "Title", title);
        }
        if self.describes_video {
            attribute(out, "Role", "alternate");
            attribute(out, "Accessibility", "description");
        }
        number_attribute(out, "TimeScale", self.timescale.get().into());
        number_attribute(out, "Chunks", count(present().count()));
        number_attribute(out, "QualityLevels", count(self.levels.len()));
        attribute(out, "Url", &self.url);
        if let Media::Video { display } = self.media {
            let sizes = || {
                self.levels.iter().filter_map(|level| match level {
                    Level::Video { size, .. } => Some(*size),
                    Level::Audio { .. } | Level::Text { .. } => None,
                })
            };
            let (width, height) = (sizes().map(|s| s.0).max(), sizes().map(|s| s.1).max());
            number_attribute(out, "MaxWidth", width.unwrap_or_default().into());
            number_attribute(out, "MaxHeight", height.unwrap_or_default().into());
            number_attribute(out, "DisplayWidth", display.0.into());
            number_attribute(out, "DisplayHeight", display.1.into());
        }
        out.push_str(">\n");
        for (index, level) in (0_u64..).zip(&self.levels) {
            level.write(index, out);
        }
        let mut rest = present().peekable();
        let mut next = None;
        while let Some(chunk) = rest.next() {
            out.push_str("    <c");
            // Where a fragment does not follow the one before, it says where it is; the first always does.
            if next != Some(chunk.start) {
                number_attribute(out, "t", chunk.start);
            }
            number_attribute(out, "d", chunk.duration);
            let mut end = chunk.start.saturating_add(chunk.duration);
            let mut alike: u64 = 1;
            while version == Version::V22
                && let Some(more) = rest.next_if(|c| c.duration == chunk.duration && c.start == end)
            {
                end = more.start.saturating_add(more.duration);
                alike = alike.saturating_add(1);
            }
            if alike > 1 {
                number_attribute(out, "r", alike);
            }
            out.push_str("/>\n");
            next = Some(end);
        }
        out.push_str("  </StreamIndex>\n");
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

impl Level {
    fn write(&self, index: u64, out: &mut String) {
        out.push_str("    <QualityLevel");
        number_attribute(out, "Index", index);
        number_attribute(out, "Bitrate", self.bitrate().into());
        match self {
            Self::Video {
                four_cc,
                size,
                private_data,
                nal_length_size,
                ..
            } => {
                attribute(out, "FourCC", four_cc);
                number_attribute(out, "MaxWidth", size.0.into());
                number_attribute(out, "MaxHeight", size.1.into());
                // Four is what players take without being told.
                if *nal_length_size != 4 {
                    number_attribute(out, "NALUnitLengthField", (*nal_length_size).into());
                }
                attribute(out, "CodecPrivateData", private_data);
            }
            Self::Audio {
                four_cc,
                tag,
                sample_rate,
                channels,
                private_data,
                ..
            } => {
                attribute(out, "FourCC", four_cc);
                number_attribute(out, "AudioTag", (*tag).into());
                number_attribute(out, "SamplingRate", (*sample_rate).into());
                number_attribute(out, "Channels", (*channels).into());
                number_attribute(out, "BitsPerSample", 16);
                number_attribute(out, "PacketSize", u64::from(*channels).saturating_mul(2));
                attribute(out, "CodecPrivateData", private_data);
            }
            Self::Text { .. } => {
                attribute(out, "FourCC", "TTML");
                attribute(out, "CodecPrivateData", "");
            }
        }
        out.push_str("/>\n");
    }
}
