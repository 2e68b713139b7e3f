//! The multivariant playlist, §4.4.6 of the draft and Apple's authoring specification.
//!
//! Audio in renditions of its own: every video variant is listed once per audio group, as a variant names one group
//! only. Audio that is in the segments of the video is not listed; it shows in bit rates and codecs.

use crate::INDEPENDENT_SEGMENTS;
use crate::captions::ClosedCaptions;
use crate::images::Images;
use crate::subtitles::{SUBTITLES_GROUP, Subtitles};
use crate::text::{attribute, decimal, number, uri_line};

/// Everything that a player can choose from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Multivariant {
    /// `EXT-X-VERSION`; see [`crate::version`].
    pub version: u8,
    /// Video tracks, in the order in which they are listed; players start with the first. May be empty: then the
    /// playlist is audio only.
    pub videos: Vec<Video>,
    /// Groups of interchangeable audio renditions, best first. May be empty.
    pub audio_groups: Vec<AudioGroup>,
    /// Where the audio is.
    pub audio_place: AudioPlace,
    /// One group of subtitles that all variants have. May be empty.
    pub subtitles: Vec<Subtitles>,
    /// Captions inside of the pictures of all videos.
    pub captions: ClosedCaptions,
    /// Playlists of pictures for seeking, in the order in which they are listed.
    pub images: Vec<Images>,
    /// I-frame playlists, in the order in which they are listed.
    pub key_frames: Vec<KeyFrames>,
    /// Whether to list variants without video besides those with it.
    pub audio_only_variants: bool,
    /// Whether each segment of every track decodes without another.
    pub independent: bool,
    /// `EXT-X-SESSION-KEY` lines, without line breaks.
    pub session_keys: Vec<String>,
}

/// Where audio is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AudioPlace {
    /// In playlists of its own.
    #[default]
    Renditions,
    /// In the segments of the video. Each group is then one track, and of several the first is in there.
    WithVideo,
}

/// The I-frame playlist of a video track (§4.4.6.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFrames {
    /// URL of the playlist.
    pub uri: String,
    /// No run of key frames needs more, bit/s.
    pub peak_bitrate: u64,
    /// RFC 6381 codec string.
    pub codec: String,
    /// See [`Video::supplemental_codec`].
    pub supplemental_codec: Option<String>,
    /// Picture size, pixels.
    pub resolution: Option<(u32, u32)>,
    /// Dynamic range of the stream.
    pub range: VideoRange,
}

/// One video track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Video {
    /// URL of its media playlist.
    pub uri: String,
    /// RFC 6381 codec string.
    pub codec: String,
    /// `SUPPLEMENTAL-CODECS`: what players see in the stream that know more than its codec, with the brands that it is
    /// compatible with, e.g. `dvh1.08.07/db4h`.
    pub supplemental_codec: Option<String>,
    /// Largest segment bit rate, bit/s, container included.
    pub peak_bitrate: u64,
    /// Average segment bit rate, bit/s, container included.
    pub average_bitrate: u64,
    /// Picture size, pixels.
    pub resolution: Option<(u32, u32)>,
    /// Frames per second as a fraction; `None` or a zero denominator when unknown.
    pub frame_rate: Option<(u32, u32)>,
    /// Dynamic range of the stream.
    pub range: VideoRange,
}

/// `VIDEO-RANGE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VideoRange {
    /// Transfer characteristics of BT.709 and the like.
    #[default]
    Sdr,
    /// Hybrid log-gamma.
    Hlg,
    /// SMPTE ST 2084.
    Pq,
}

/// Renditions of the same content in one codec at about the same bit rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioGroup {
    /// `GROUP-ID`, unique.
    pub id: String,
    /// Not empty. At most one is the default.
    pub renditions: Vec<Audio>,
}

/// One audio track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// URL of its media playlist.
    pub uri: String,
    /// RFC 6381 codec string.
    pub codec: String,
    /// Largest segment bit rate, bit/s.
    pub peak_bitrate: u64,
    /// Average segment bit rate, bit/s.
    pub average_bitrate: u64,
    /// `NAME`, for people; unique in the group.
    pub name: String,
    /// `LANGUAGE`, BCP-47.
    pub language: Option<String>,
    /// `CHANNELS`.
    pub channels: Option<u16>,
    /// Objects of Dolby Atmos, which `CHANNELS` then counts instead; 0 without.
    pub objects: u8,
    /// Chosen when the viewer has no preference.
    pub default: bool,
    /// `CHARACTERISTICS`, e.g. `public.accessibility.describes-video`.
    pub characteristics: Option<String>,
}

impl AudioGroup {
    /// What the heaviest rendition adds to a variant: (peak, average).
    fn bitrates(&self) -> (u64, u64) {
        let peak = self.renditions.iter().map(|a| a.peak_bitrate).max();
        let average = self.renditions.iter().map(|a| a.average_bitrate).max();
        (peak.unwrap_or_default(), average.unwrap_or_default())
    }

    fn default_rendition(&self) -> Option<&Audio> {
        self.renditions
            .iter()
            .find(|a| a.default)
            .or(self.renditions.first())
    }
}

impl Multivariant {
    /// Renders the playlist.
    ///
    /// `BANDWIDTH` and `AVERAGE-BANDWIDTH` include the heaviest rendition of the variant's audio group, `CODECS`
    /// lists the codecs of both.
    pub fn write(&self) -> String {
        let mut out = String::with_capacity(1024);
        out.push_str("#EXTM3U\n#EXT-X-VERSION:");
        number(&mut out, self.version.max(self.captions.version()).into());
        out.push('\n');
        if self.independent {
            out.push_str(INDEPENDENT_SEGMENTS);
        }
        for line in &self.session_keys {
            out.push_str(line);
            out.push('\n');
        }
        let renditions = self.audio_place == AudioPlace::Renditions;
        if renditions {
            for group in &self.audio_groups {
                for audio in &group.renditions {
                    media(&mut out, group, audio);
                }
            }
        }
        // A muxed variant has one audio track; renditions are a variant for each group.
        let groups = match self.audio_groups.get(..1) {
            Some(first) if !renditions => first,
            _ => self.audio_groups.as_slice(),
        };
        for subtitles in &self.subtitles {
            subtitles.write(&mut out);
        }
        if !self.videos.is_empty() {
            self.captions.write(&mut out);
        }
        let stream = |out: &mut String, video, group, uri: &str| {
            stream(out, video, group, renditions, self, uri);
        };
        for video in &self.videos {
            if groups.is_empty() {
                stream(&mut out, Some(video), None, &video.uri);
            }
            for group in groups {
                stream(&mut out, Some(video), Some(group), &video.uri);
            }
        }
        if self.videos.is_empty() || self.audio_only_variants {
            for group in &self.audio_groups {
                if let Some(audio) = group.default_rendition() {
                    stream(&mut out, None, Some(group), &audio.uri);
                }
            }
        }
        for frames in &self.key_frames {
            key_frames(&mut out, frames);
        }
        for images in &self.images {
            images.write(&mut out);
        }
        out
    }
}

fn media(out: &mut String, group: &AudioGroup, audio: &Audio) {
    out.push_str("#EXT-X-MEDIA:TYPE=AUDIO");
    attribute(out, "GROUP-ID", &group.id);
    attribute(out, "NAME", &audio.name);
    if let Some(language) = &audio.language {
        attribute(out, "LANGUAGE", language);
    }
    out.push_str(if audio.default {
        ",DEFAULT=YES"
    } else {
        ",DEFAULT=NO"
    });
    out.push_str(",AUTOSELECT=YES");
    if let Some(channels) = audio.channels {
        out.push_str(",CHANNELS=\"");
        match audio.objects {
            0 => number(out, channels.into()),
            objects => {
                number(out, objects.into());
                out.push_str("/JOC");
            }
        }
        out.push('"');
    }
    if let Some(characteristics) = &audio.characteristics {
        attribute(out, "CHARACTERISTICS", characteristics);
    }
    attribute(out, "URI", &audio.uri);
    out.push('\n');
}

/// `renditions`: the group's are listed and named. `all`: what all variants have.
fn stream(
    out: &mut String,
    video: Option<&Video>,
    group: Option<&AudioGroup>,
    renditions: bool,
    all: &Multivariant,
    uri: &str,
) {
    let subtitles = all.subtitles.as_slice();
    let (audio_peak, audio_average) = group.map(AudioGroup::bitrates).unwrap_or_default();
    let peak = video.map_or(0, |v| v.peak_bitrate);
    let average = video.map_or(0, |v| v.average_bitrate);
    out.push_str("#EXT-X-STREAM-INF:BANDWIDTH=");
    let text = subtitles
        .iter()
        .map(|s| s.bitrate)
        .max()
        .unwrap_or_default();
    number(
        out,
        peak.saturating_add(audio_peak).saturating_add(text).max(1),
    );
    out.push_str(",AVERAGE-BANDWIDTH=");
    number(
        out,
        average
            .saturating_add(audio_average)
            .saturating_add(text)
            .max(1),
    );
    attribute(out, "CODECS", &codecs(video, group, subtitles));
    if let Some(video) = video {
        supplemental(out, video.supplemental_codec.as_deref());
        resolution(out, video.resolution);
        if let Some(milli) = video.frame_rate.and_then(milli_frames) {
            out.push_str(",FRAME-RATE=");
            decimal(out, milli, 3);
        }
        video_range(out, video.range);
    }
    if let Some(group) = group.filter(|_| renditions) {
        attribute(out, "AUDIO", &group.id);
    }
    if !subtitles.is_empty() {
        attribute(out, "SUBTITLES", SUBTITLES_GROUP);
    }
    // "None" is said by all variants or by none (§4.4.6.2), so that no player waits for what another variant might have.
    if video.is_some() || (all.captions.are_none() && !all.videos.is_empty()) {
        all.captions.write_attribute(out);
    }
    out.push('\n');
    uri_line(out, uri);
}

fn key_frames(out: &mut String, frames: &KeyFrames) {
    out.push_str("#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=");
    number(out, frames.peak_bitrate.max(1));
    attribute(out, "CODECS", &frames.codec);
    supplemental(out, frames.supplemental_codec.as_deref());
    resolution(out, frames.resolution);
    video_range(out, frames.range);
    attribute(out, "URI", &frames.uri);
    out.push('\n');
}

pub(crate) fn resolution(out: &mut String, size: Option<(u32, u32)>) {
    if let Some((width, height)) = size {
        out.push_str(",RESOLUTION=");
        number(out, width.into());
        out.push('x');
        number(out, height.into());
    }
}

fn supplemental(out: &mut String, codec: Option<&str>) {
    if let Some(codec) = codec {
        attribute(out, "SUPPLEMENTAL-CODECS", codec);
    }
}

fn video_range(out: &mut String, range: VideoRange) {
    out.push_str(",VIDEO-RANGE=");
    out.push_str(match range {
        VideoRange::Sdr => "SDR",
        VideoRange::Hlg => "HLG",
        VideoRange::Pq => "PQ",
    });
}

/// Every codec that the variant needs, each once.
fn codecs(video: Option<&Video>, group: Option<&AudioGroup>, subtitles: &[Subtitles]) -> String {
    let mut seen: Vec<&str> = Vec::new();
    let audio = group
        .into_iter()
        .flat_map(|g| &g.renditions)
        .map(|a| a.codec.as_str());
    let text = subtitles.iter().map(|s| s.codec);
    for codec in video
        .map(|v| v.codec.as_str())
        .into_iter()
        .chain(audio)
        .chain(text)
    {
        if !seen.contains(&codec) {
            seen.push(codec);
        }
    }
    seen.join(",")
}

/// Thousandths of a frame per second, rounded half up.
fn milli_frames((frames, seconds): (u32, u32)) -> Option<u64> {
    let half = u64::from(seconds).checked_div(2)?;
    let scaled = u64::from(frames).saturating_mul(1000).saturating_add(half);
    scaled
        .checked_div(u64::from(seconds))
        .filter(|milli| *milli > 0)
}
