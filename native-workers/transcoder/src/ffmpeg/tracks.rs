//! Which tracks an output has, which files they go into, and what these are called.

use std::collections::HashSet;

use headwater_preset::formats::Values;
use headwater_preset::{AudioCodec, AudioEncode, AudioFormat, Container, Preset, VideoFormat};

use super::he_aac;
use super::probe::{AudioStream, VideoStream};
use super::rungs::Rung;
use super::tools::Tools;
use crate::builtin::language_name;
use crate::failure::{self, Step};

/// What a track is made from and how.
#[derive(Debug, Clone)]
pub enum Work {
    /// An encoder's picture: `[v{n}]` of the graph.
    Picture {
        rung: Rung,
        label: usize,
    },
    /// An encoder's sound: `[a{n}]` of the graph.
    Sound {
        codec: AudioEncode,
        /// Channels and samples a second of what is encoded.
        channels: u32,
        sample_rate: u32,
        label: usize,
    },
    /// Packets as they are.
    CopyVideo(VideoStream),
    CopyAudio(AudioStream),
}

/// A track of the output.
#[derive(Debug, Clone)]
pub struct Track {
    pub work: Work,
    pub label: Option<String>,
    pub language: String,
    /// In kbit/s, as asked for or as the source says; 0 if nobody knows.
    pub kbps: u32,
}

impl Track {
    pub fn is_video(&self) -> bool {
        matches!(self.work, Work::Picture { .. } | Work::CopyVideo(_))
    }

    pub fn is_encoded(&self) -> bool {
        matches!(self.work, Work::Picture { .. } | Work::Sound { .. })
    }

    /// For file names.
    fn codec(&self) -> String {
        match &self.work {
            Work::Picture { rung, .. } => match rung.format {
                VideoFormat::H264 => "H264".into(),
                VideoFormat::H265 => "H265".into(),
                VideoFormat::Av1 => "AV1".into(),
            },
            Work::Sound { codec, .. } => match codec.format {
                AudioFormat::DolbyDigital => "AC3".into(),
                _ => "AAC".into(),
            },
            Work::CopyVideo(stream) => stream.codec.to_ascii_uppercase(),
            Work::CopyAudio(stream) => stream.codec.to_ascii_uppercase(),
        }
    }

    /// Short and in small letters, for sound.
    pub fn short_codec(&self) -> String {
        self.codec().to_ascii_lowercase()
    }

    fn resolution(&self) -> Option<(u32, u32)> {
        match &self.work {
            Work::Picture { rung, .. } => Some((rung.size.width, rung.size.height)),
            Work::CopyVideo(stream) => Some((stream.coded.width, stream.coded.height)),
            _ => None,
        }
    }
}

/// A file of the output.
#[derive(Debug, Clone)]
pub struct File {
    pub name: String,
    pub container: Container,
    /// Places among the tracks; not empty.
    pub tracks: Vec<usize>,
}

impl File {
    /// The file without these tracks; `None` if it has no others.
    pub fn without(&self, tracks: &[usize]) -> Option<Self> {
        let mut rest = self.clone();
        rest.tracks.retain(|track| !tracks.contains(track));
        (!rest.tracks.is_empty()).then_some(rest)
    }
}

/// How the sound `audio` of a preset is made of `stream`.
///
/// Errors: `ConfigurationUnsupported` for a codec that this ffmpeg cannot encode, and bit rates that a codec has no room for.
pub fn sound(audio: &AudioEncode, stream: &AudioStream, label: usize, tools: &Tools) -> Step<Work> {
    let encoder = encoder(audio.format, tools);
    if !tools.has_encoder(encoder) {
        return Err(failure::configuration(format!(
            "The preset asks for sound that the ffmpeg of this worker ({}) cannot encode: it lacks {encoder}.",
            tools.version
        )));
    }
    let rates: &[u32] = match audio.format {
        AudioFormat::DolbyDigital => &[32_000, 44_100, 48_000],
        AudioFormat::HeAacV1 | AudioFormat::HeAacV2 => &he_aac::RATES,
        _ => &[
            8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000,
        ],
    };
    let wanted = audio.sample_rate.unwrap_or_else(|| {
        // As the built-in engine: what players know.
        if [44_100, 48_000].contains(&stream.sample_rate) {
            stream.sample_rate
        } else if stream.sample_rate.is_multiple_of(11_025) {
            44_100
        } else {
            48_000
        }
    });
    let sample_rate = rates
        .iter()
        .copied()
        .min_by_key(|rate| rate.abs_diff(wanted))
        .unwrap_or(48_000);
    let channels = match audio.format {
        // Parametric stereo is of two.
        AudioFormat::HeAacV2 => 2,
        _ => audio.channels.unwrap_or(stream.channels).clamp(1, 6),
    };
    if let Some(sound) = he_aac::Sound::of(audio, channels, sample_rate) {
        sound.encoder()?;
    }
    Ok(Work::Sound {
        codec: audio.clone(),
        channels,
        sample_rate,
        label,
    })
}

/// The name of ffmpeg's encoder.
pub fn encoder(format: AudioFormat, tools: &Tools) -> &'static str {
    match format {
        AudioFormat::AacLc if tools.has_encoder("libfdk_aac") => "libfdk_aac",
        AudioFormat::AacLc => "aac",
        AudioFormat::HeAacV1 | AudioFormat::HeAacV2 => he_aac::SAMPLES,
        AudioFormat::DolbyDigital => "ac3",
    }
}

/// The files of `preset` for `tracks`, each with a name of its own. `base`: what names begin with.
pub fn files(preset: &Preset, tracks: &[Track], base: &str, basename: &str) -> Vec<File> {
    let mut files = Vec::new();
    let mut used: HashSet<String> = HashSet::new();
    let mut add = |name: String, container: Container, tracks: Vec<usize>| {
        let name = unique(name, &mut used);
        files.push(File {
            name,
            container,
            tracks,
        });
    };
    let places = |video: bool| -> Vec<usize> {
        (0..tracks.len())
            .filter(|&index| tracks[index].is_video() == video)
            .collect()
    };
    if preset.formats.is_empty() {
        let sounds = places(false);
        for video in places(true) {
            let mut inside = vec![video];
            if preset.interleave {
                inside.extend(&sounds);
            }
            add(own_name(&tracks[video], base), Container::Mp4, inside);
        }
        if !preset.interleave || places(true).is_empty() {
            for sound in sounds {
                add(own_name(&tracks[sound], base), Container::Mp4, vec![sound]);
            }
        }
        return files;
    }
    for format in &preset.formats {
        if !matches!(
            format.container,
            Container::Mp4 | Container::TransportStream
        ) {
            continue;
        }
        let groups: Vec<Vec<usize>> = if !format.files.is_empty() {
            format
                .files
                .iter()
                .map(|labels| labelled(tracks, labels))
                .collect()
        } else {
            with_sound(&places(true), &places(false))
        };
        for group in groups {
            let Some(&lead) = group.first() else {
                continue;
            };
            let track = &tracks[lead];
            let values = Values {
                basename: basename.to_owned(),
                extension: format.container.extension().into(),
                label: track.label.clone(),
                index: None,
                audio_stream: (!track.is_video())
                    .then(|| format!("{}_{}", track.short_codec(), language_name(&track.language))),
                kbps: (track.kbps > 0).then_some(track.kbps),
                codec: Some(track.codec()),
                resolution: track.resolution(),
            };
            add(format.pattern.expand(&values), format.container, group);
        }
    }
    files
}

/// What goes together where a preset does not say (`outputFiles`): all sound into every file of pictures, as AMS put it, so that
/// each file plays when it is downloaded; a file for each where there are no pictures.
fn with_sound(videos: &[usize], sounds: &[usize]) -> Vec<Vec<usize>> {
    if videos.is_empty() {
        return sounds.iter().map(|&sound| vec![sound]).collect();
    }
    let group = |&video: &usize| [&[video], sounds].concat();
    videos.iter().map(group).collect()
}

/// Tracks with one of `labels`, video first.
fn labelled(tracks: &[Track], labels: &[String]) -> Vec<usize> {
    let mut found: Vec<usize> = (0..tracks.len())
        .filter(|&index| {
            tracks[index]
                .label
                .as_ref()
                .is_some_and(|label| labels.contains(label))
        })
        .collect();
    found.sort_by_key(|&index| !tracks[index].is_video());
    found
}

fn own_name(track: &Track, base: &str) -> String {
    match (&track.work, track.resolution()) {
        (_, Some((width, height))) => match track.kbps {
            0 => format!("{base}_{width}x{height}.mp4"),
            kbps => format!("{base}_{width}x{height}_{kbps}.mp4"),
        },
        _ => {
            let (codec, language) = (track.short_codec(), language_name(&track.language));
            match track.kbps {
                0 => format!("{base}_{codec}_{language}.mp4"),
                kbps => format!("{base}_{codec}_{language}_{kbps}.mp4"),
            }
        }
    }
}

/// `name`, or with a number before its extension if it is taken.
pub(super) fn unique(name: String, used: &mut HashSet<String>) -> String {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name.as_str(), ""));
    let mut candidate = name.clone();
    let mut number = 2;
    while !used.insert(candidate.to_lowercase()) {
        candidate = format!("{stem}_{number}.{extension}");
        number += 1;
    }
    candidate
}

/// Whether a source's sound may go over as it is, as the built-in engine has it: AAC-LC in stereo at no more than the
/// wanted rate, nothing done to it.
pub fn copyable(audio: &AudioEncode, stream: &AudioStream) -> bool {
    audio.copy_if_same
        && stream.feeds.is_empty()
        && audio.format == AudioFormat::AacLc
        && stream.codec == "aac"
        && stream.profile == "LC"
        && stream.channels == 2
        && [32_000, 44_100, 48_000].contains(&stream.sample_rate)
        && (1..=u64::from(audio.bitrate) * 106 / 100).contains(&stream.bits_per_second)
}

/// The label that a preset gives to sound.
pub fn label_of(audio: &AudioCodec) -> Option<String> {
    match audio {
        AudioCodec::Copy { label } => label.clone(),
        AudioCodec::Encode(audio) => audio.label.clone(),
    }
}
