//! The URLs that manifests contain, relative to the manifest's own.
//!
//! Parentheses, commas and `=` are literal, as in AMS; a track's name is percent-encoded, as hand-made server
//! manifests put spaces and letters of all kinds into it. The characters that [`track_name`] replaces are those that
//! the grammar itself uses.

use super::{AudioTrack, Encryption, Format, Options, Protocol};
use headwater_protect::Period;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const KEEP: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// `name`, encoded for a path element.
pub fn encode(name: &str) -> String {
    utf8_percent_encode(name, KEEP).to_string()
}

/// A track's name with the characters of the URL grammar replaced, so that every track can be addressed.
pub fn track_name(name: &str) -> String {
    let replace = |c: char| {
        if matches!(c, ',' | '(' | ')' | '/' | '\\') || c.is_control() {
            '_'
        } else {
            c
        }
    };
    name.trim().chars().map(replace).collect()
}

/// The options that a manifest's URL hands down to those it contains.
#[derive(Debug, Clone, Copy)]
pub struct Carried<'a> {
    options: &'a Options,
    audio_track: Option<&'a AudioTrack>,
}

/// What is around a live segment's start in its URL.
#[derive(Debug, Clone)]
pub struct LiveSegments {
    prefix: String,
    suffix: String,
}

impl LiveSegments {
    /// The segment that starts at `start` ticks and holds `fragments` of them.
    pub fn uri(&self, start: u64, fragments: u64) -> String {
        let Self { prefix, suffix } = self;
        match fragments {
            ..=1 => format!("{prefix}{start}{suffix}"),
            several => format!("{prefix}{start},fragments={several}{suffix}"),
        }
    }
}

/// The URL of an init segment with which of several it is.
fn which(init: String, config: u16, period: Option<Period>) -> String {
    let Some((front, end)) = init.rsplit_once(')') else {
        return init;
    };
    let mut url = front.to_owned();
    if config > 0 {
        url.push_str(&format!(",part={config}"));
    }
    if let Some(period) = period {
        url.push_str(&format!(",period={}", period.number()));
    }
    format!("{url}){end}")
}

impl<'a> Carried<'a> {
    /// `options`: of the manifest. `audio_track`: the audio that is in the video's segments, where URLs are to say.
    pub fn new(options: &'a Options, audio_track: Option<&'a AudioTrack>) -> Self {
        Self {
            options,
            audio_track,
        }
    }

    /// For tracks that are played alone.
    #[must_use]
    pub fn alone(self) -> Self {
        Self {
            audio_track: None,
            ..self
        }
    }

    /// What decides on the bytes of segments.
    fn of_segments(&self, out: &mut String) {
        // Smooth fragments are the same for all dialects of the manifest.
        if let Some(format) = self.options.format.value()
            && self.options.format.protocol() != Protocol::Smooth
        {
            out.push_str(",format=");
            out.push_str(format);
        }
        if let Some(encryption) = self.options.encryption {
            out.push_str(",encryption=");
            out.push_str(match (encryption, self.options.format.protocol()) {
                (Encryption::Cbcs, Protocol::Dash) => "cbcs",
                _ => encryption.value(),
            });
        }
        if let Some(track) = self.audio_track {
            out.push_str(",audioTrack=");
            if let AudioTrack::Named(name) = track {
                out.push_str(&encode(name));
            }
        }
    }

    /// That, and what decides on the list of segments.
    fn of_playlists(&self, out: &mut String) {
        self.of_segments(out);
        let filters = self.options.filters.iter().map(|name| encode(name));
        let filters: Vec<String> = filters.collect();
        if !filters.is_empty() {
            out.push_str(",filter=");
            out.push_str(&filters.join(";"));
        }
        self.options.window.write(out);
    }

    /// An HLS media playlist, relative to the multivariant playlist.
    pub fn media_playlist(&self, bitrate: u32, name: &str) -> String {
        let mut uri = format!("QualityLevels({bitrate})/Manifest({}", encode(name));
        self.of_playlists(&mut uri);
        uri.push(')');
        uri
    }

    /// The I-frame playlist of a video track, relative to the multivariant playlist.
    pub fn key_frame_playlist(&self, bitrate: u32, name: &str) -> String {
        let mut uri = self.media_playlist(bitrate, name);
        uri.pop();
        uri.push_str(",type=keyframes)");
        uri
    }

    /// The URLs of a track's segments, relative to its HLS media playlist: (init, prefix, suffix); a media segment's URL
    /// is prefix, start in ticks, suffix.
    pub fn hls_segments(&self, name: &str) -> (String, String, String) {
        let mut suffix = String::new();
        self.of_segments(&mut suffix);
        suffix.push(')');
        // AMS had no file extensions; ffmpeg since 7.1 plays no segment without one that it knows.
        let (init, media) = match self.options.format {
            Format::HlsCmaf => (".mp4", ".m4s"),
            Format::HlsTs(_) => ("", ".ts"),
            _ => ("", ""),
        };
        let name = encode(name);
        (
            format!("Fragments({name}=i{suffix}{init}"),
            format!("Fragments({name}="),
            format!("{suffix}{media}"),
        )
    }

    /// The URLs of a track's key frames as resources of their own, relative to its I-frame playlist: (prefix, suffix) around the
    /// start of the segment that they begin.
    pub fn hls_key_frames(&self, name: &str) -> (String, String) {
        let (_, prefix, suffix) = self.hls_segments(name);
        (key_frames(&prefix), suffix)
    }

    /// The same of a live track.
    pub fn live_key_frames(&self, name: &str) -> LiveSegments {
        let (prefix, suffix) = self.hls_key_frames(name);
        LiveSegments { prefix, suffix }
    }

    /// One of several init segments of a live track, relative to its HLS media playlist. `period`: whose key it names.
    pub fn live_init(&self, name: &str, config: u16, period: Option<Period>) -> String {
        let (init, _, _) = self.hls_segments(name);
        which(init, config, period)
    }

    /// A part of a live segment, which is named by its number, relative to the HLS media playlist.
    pub fn live_part(&self, name: &str, number: u64, part: usize) -> String {
        let (_, prefix, suffix) = self.hls_segments(name);
        let (front, end) = suffix.rsplit_once(')').unwrap_or((&suffix, ""));
        format!("{prefix}{number}{front},part={part}){end}")
    }

    /// The segments of a live track, relative to its HLS media playlist.
    pub fn live_segments(&self, name: &str) -> LiveSegments {
        let (_, prefix, suffix) = self.hls_segments(name);
        LiveSegments { prefix, suffix }
    }

    /// As [`Self::dash_templates`], of a live track with the init segment `config`, which names the key of `period`.
    pub fn live_templates(
        &self,
        name: &str,
        config: u16,
        period: Option<Period>,
    ) -> (String, String) {
        let (init, media) = self.dash_templates(name);
        (which(init, config, period), media)
    }

    /// The URLs of a text track's segments, relative to its HLS media playlist; as [`Self::hls_segments`].
    pub fn text_segments(&self, name: &str) -> (String, String, String) {
        let (init, prefix, suffix) = self.hls_segments(name);
        match self.options.format {
            Format::HlsTs(_) => {
                let suffix = suffix.strip_suffix(".ts").unwrap_or(&suffix);
                (init, prefix, format!("{suffix}.vtt"))
            }
            _ => (init, prefix, suffix),
        }
    }

    /// The same of a recording: (init, segments).
    pub fn live_texts(&self, name: &str) -> (String, LiveSegments) {
        let (init, prefix, suffix) = self.text_segments(name);
        (init, LiveSegments { prefix, suffix })
    }

    /// The URLs of sheets of pictures, relative to their HLS playlist: (prefix, suffix) around the sheet's number.
    pub fn sheets(&self, name: &str) -> (String, String) {
        let (_, prefix, suffix) = self.hls_segments(name);
        let bare = [".ts", ".m4s"].iter().find_map(|s| suffix.strip_suffix(s));
        (prefix, format!("{}.jpg", bare.unwrap_or(&suffix)))
    }

    /// `SegmentTemplate@media` of sheets of pictures, relative to the MPD, with `$Number$`.
    pub fn dash_sheets(&self, name: &str) -> String {
        let (_, media) = self.dash_templates(name);
        media.replace("$Time$", "$Number$")
    }

    /// `SegmentTemplate` attributes of a track, relative to the MPD: (initialization, media).
    ///
    /// A `$` of the name is percent-encoded, so it cannot be taken for a template's identifier.
    pub fn dash_templates(&self, name: &str) -> (String, String) {
        let mut suffix = String::new();
        self.of_segments(&mut suffix);
        let name = encode(name);
        (
            format!("QualityLevels($Bandwidth$)/Fragments({name}=i{suffix})"),
            format!("QualityLevels($Bandwidth$)/Fragments({name}=$Time${suffix})"),
        )
    }

    /// `SegmentTemplate@media` of a track's key frames; as [`Self::dash_templates`]. `None` unless they are asked for.
    pub fn dash_key_frames(&self, name: &str) -> Option<String> {
        let (_, media) = self.dash_templates(name);
        self.options.key_frames.then(|| key_frames(&media))
    }

    /// `StreamIndex@Url` of a track, relative to the Smooth manifest.
    pub fn smooth_url(&self, name: &str) -> String {
        let mut suffix = String::new();
        self.of_segments(&mut suffix);
        format!(
            "QualityLevels({{bitrate}})/Fragments({}={{start time}}{suffix})",
            encode(name)
        )
    }
}

/// The URL of a segment as that of its first picture.
fn key_frames(segment: &str) -> String {
    segment.replacen("Fragments(", "KeyFrames(", 1)
}
