//! HLS playlists.

use super::text;
use super::{best_first, display_size, grouped, unturned_size};
use crate::address::{Format, TsVersion, child};
use crate::error::OriginError;
use crate::images::Images;
use crate::index::SegmentTime;
use crate::language::display_name;
use crate::presentation::{Presentation, Track};
use crate::shield::Shield;
use crate::transport;
use headwater_cmaf::index::{TrackHead, VideoRange, codec_family};
use headwater_hls as hls;
use headwater_text::captions::Captions;
use std::collections::HashSet;

/// Bit rate that players are started with, as Apple's authoring specification has it for Wi-Fi.
const FIRST_VARIANT_BITRATE: u64 = 2_000_000;

/// What a multivariant playlist is made for.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) format: Format,
    pub(crate) carried: child::Carried<'a>,
    pub(crate) audio_only: bool,
    /// bit/s: the variant closest to it comes first.
    pub(crate) first_quality: Option<u64>,
    pub(crate) shield: Option<&'a Shield>,
    /// Sheets of pictures for seeking.
    pub(crate) images: Option<&'a Images>,
    /// Captions inside of pictures, if it is known which.
    pub(crate) captions: Option<Captions>,
}

/// What a media playlist says of keys.
#[derive(Default)]
pub(crate) struct Keys {
    pub(crate) lines: Vec<String>,
    /// The least `EXT-X-VERSION` that has them.
    pub(crate) version: u8,
    /// Whether the init segment is rewritten for them; whole segments leave it clear.
    pub(crate) cover_init: bool,
}

pub(crate) fn version(format: Format) -> u8 {
    match format {
        Format::HlsTs(TsVersion::V3) => hls::version::DECIMAL_DURATIONS,
        Format::HlsTs(TsVersion::V4) => hls::version::KEY_FRAMES,
        Format::HlsTs(TsVersion::V8) => hls::version::VARIABLES,
        _ => hls::version::INIT_SEGMENTS,
    }
}

/// Old clients stop at tags that they do not know.
pub(crate) fn says_independent(format: Format) -> bool {
    !matches!(format, Format::HlsTs(TsVersion::V3 | TsVersion::V4))
}

/// Peak and average bit rate of a track in the format's container.
fn bitrates(head: &TrackHead, format: Format) -> (u64, u64) {
    let overhead = overhead(head, format);
    (overhead.on(head.peak_bitrate), overhead.on(head.bitrate))
}

fn overhead(head: &TrackHead, format: Format) -> transport::Overhead {
    match format {
        Format::HlsTs(_) => transport::overhead(head),
        _ => transport::Overhead::NONE,
    }
}

pub(crate) fn video_range(range: VideoRange) -> hls::VideoRange {
    match range {
        VideoRange::Sdr => hls::VideoRange::Sdr,
        VideoRange::Hlg => hls::VideoRange::Hlg,
        VideoRange::Pq => hls::VideoRange::Pq,
    }
}

fn supplemental_codec(head: &TrackHead) -> Option<String> {
    let codec = head.supplemental_codec.as_str();
    (!codec.is_empty()).then(|| codec.to_owned())
}

/// The HLS multivariant playlist.
///
/// With audio in the segments of the video, `presentation` has only the audio that is.
pub(crate) fn multivariant(
    presentation: &Presentation,
    asked: Asked<'_>,
) -> Result<String, OriginError> {
    let Asked {
        format, carried, ..
    } = asked;
    let muxed = format == Format::HlsTs(TsVersion::V3);
    let size = match format {
        Format::HlsTs(_) => unturned_size,
        _ => display_size,
    };
    let mut videos = Vec::with_capacity(presentation.videos.len());
    let mut key_frames = Vec::new();
    for track in best_first(&presentation.videos) {
        let head = track.head()?;
        let (peak_bitrate, average_bitrate) = bitrates(head, format);
        videos.push(hls::Video {
            uri: carried.media_playlist(track.bitrate, &track.name),
            codec: head.codec.clone(),
            supplemental_codec: supplemental_codec(head),
            peak_bitrate,
            average_bitrate,
            resolution: size(head),
            frame_rate: Some(head.frame_rate),
            range: video_range(head.video_range),
        });
        if !muxed {
            key_frames.push(hls::KeyFrames {
                uri: carried.key_frame_playlist(track.bitrate, &track.name),
                peak_bitrate: overhead(head, format).on(head.key_frame_bitrate),
                codec: head.codec.clone(),
                supplemental_codec: supplemental_codec(head),
                resolution: size(head),
                range: video_range(head.video_range),
            });
        }
    }
    // The rest stays sorted; only the one to begin with moves to the front.
    let first = match asked.first_quality {
        Some(wanted) => (0..videos.len()).min_by_key(|at| {
            let bitrate = best_first(&presentation.videos).get(*at).map(|t| t.bitrate);
            u64::from(bitrate.unwrap_or_default()).abs_diff(wanted)
        }),
        None => videos
            .iter()
            .position(|v| v.average_bitrate <= FIRST_VARIANT_BITRATE),
    };
    let first = first.unwrap_or(videos.len().saturating_sub(1));
    if let Some(front) = videos.get_mut(..=first) {
        front.rotate_right(1);
    }
    let mut independent = says_independent(format);
    for track in presentation.tracks() {
        independent &= !track.head()?.open_groups;
    }
    let session_keys = match asked.shield {
        None => Vec::new(),
        Some(shield) => {
            let heads: Result<Vec<_>, _> = presentation.tracks().map(Track::head).collect();
            shield.hls_session(heads?)?
        }
    };
    let keys_version = match session_keys.is_empty() {
        true => 0,
        // Of their formats.
        false => hls::version::KEY_FORMATS,
    };
    let sounds = sounds(presentation, asked)?;
    let playlist = hls::Multivariant {
        version: version(format).max(keys_version),
        videos,
        audio_groups: match muxed {
            true => lone_tracks(&sounds),
            false => audio_groups(&sounds),
        },
        audio_place: if muxed {
            hls::AudioPlace::WithVideo
        } else {
            hls::AudioPlace::Renditions
        },
        subtitles: text::subtitles(&presentation.texts, format, carried),
        images: asked
            .images
            .map(|images| images.hls(carried))
            .into_iter()
            .collect(),
        captions: closed_captions(asked.captions),
        key_frames,
        audio_only_variants: asked.audio_only,
        independent,
        session_keys,
    };
    Ok(playlist.write())
}

/// Captions inside of pictures, as HLS has them.
pub(crate) fn closed_captions(captions: Option<Captions>) -> hls::ClosedCaptions {
    let Some(captions) = captions else {
        return hls::ClosedCaptions::Unknown;
    };
    let channels = captions.channels().map(hls::InstreamId::Channel);
    let services = captions.own_services().map(hls::InstreamId::Service);
    let listed = channels.chain(services).map(|id| hls::ClosedCaption {
        id,
        // Nothing in a picture says it.
        language: None,
    });
    hls::ClosedCaptions::Known(listed.collect())
}

/// The HLS media playlist of a track: its segments.
pub(crate) fn media_playlist(
    track: &Track,
    segments: &[SegmentTime],
    format: Format,
    carried: child::Carried<'_>,
    keys: &Keys,
) -> Result<String, OriginError> {
    let segments: Vec<hls::Segment> = segments.iter().map(segment).collect();
    playlist(
        track,
        hls::Listed::Segments(&segments),
        format,
        carried,
        keys,
    )
}

/// The I-frame playlist of a track.
pub(crate) fn key_frame_playlist(
    track: &Track,
    frames: &[hls::KeyFrame],
    format: Format,
    carried: child::Carried<'_>,
) -> Result<String, OriginError> {
    playlist(
        track,
        hls::Listed::KeyFrames(frames),
        format,
        carried,
        &Keys::default(),
    )
}

/// The I-frame playlist of a track that is encrypted: each picture is a resource of its own, as what is around it in its segment
/// is not known before that is encrypted, or is one with it.
pub(crate) fn picture_playlist(
    track: &Track,
    pictures: &[SegmentTime],
    format: Format,
    carried: child::Carried<'_>,
    keys: &Keys,
) -> Result<String, OriginError> {
    let pictures: Vec<hls::Segment> = pictures.iter().map(segment).collect();
    let listed = hls::Listed::Pictures(&pictures);
    playlist(track, listed, format, carried, keys)
}

pub(crate) fn segment(time: &SegmentTime) -> hls::Segment {
    hls::Segment {
        start: time.start,
        duration: time.duration,
    }
}

fn playlist(
    track: &Track,
    listed: hls::Listed<'_>,
    format: Format,
    carried: child::Carried<'_>,
    keys: &Keys,
) -> Result<String, OriginError> {
    let (init_uri, mut uri_prefix, mut uri_suffix) = carried.hls_segments(&track.name);
    if let hls::Listed::Pictures(_) = listed {
        (uri_prefix, uri_suffix) = carried.hls_key_frames(&track.name);
    }
    let head = track.head()?;
    let init_uri = match format {
        Format::HlsTs(_) => None,
        _ => Some(init_uri.as_str()),
    };
    let playlist = hls::MediaPlaylist {
        version: version(format).max(keys.version),
        timescale: head.timescale,
        init_uri,
        keys: &keys.lines,
        keys_cover_init: keys.cover_init,
        uri_prefix: &uri_prefix,
        uri_suffix: &uri_suffix,
        listed,
        independent: says_independent(format) && !head.open_groups,
    };
    Ok(playlist.write())
}

/// A track of sound, as a multivariant playlist needs to know it.
pub(crate) struct Sound<'a> {
    /// URL of its media playlist.
    pub(crate) uri: String,
    /// Stream name in URLs.
    pub(crate) name: &'a str,
    /// Bit rate in URLs.
    pub(crate) bitrate: u32,
    /// RFC 6381 codec string.
    pub(crate) codec: &'a str,
    pub(crate) channels: u16,
    /// Objects of Dolby Atmos; 0 without.
    pub(crate) objects: u8,
    /// bit/s, in the format's container.
    pub(crate) peak_bitrate: u64,
    pub(crate) average_bitrate: u64,
    /// BCP-47.
    pub(crate) language: Option<String>,
    /// For people, if it has a name.
    pub(crate) title: Option<&'a str>,
    /// Audio description.
    pub(crate) describes_video: bool,
    /// Chosen when the viewer has no preference.
    pub(crate) default: bool,
    /// `CHARACTERISTICS`, if they are stated.
    pub(crate) characteristics: Option<&'a str>,
    /// Among those of its kind and language in one file.
    pub(crate) place: usize,
}

fn sounds<'a>(
    presentation: &'a Presentation,
    asked: Asked<'_>,
) -> Result<Vec<Sound<'a>>, OriginError> {
    let sounds = (0..).zip(&presentation.audios).map(|(at, track)| {
        let head = track.head()?;
        let (peak_bitrate, average_bitrate) = bitrates(head, asked.format);
        let alone = asked.carried.alone();
        Ok(Sound {
            uri: alone.media_playlist(track.bitrate, &track.name),
            name: &track.name,
            bitrate: track.bitrate,
            codec: &head.codec,
            channels: head.channels,
            objects: head.objects,
            peak_bitrate,
            average_bitrate,
            language: track.language.clone(),
            title: track.title.as_deref(),
            describes_video: track.describes_video,
            default: track.default,
            characteristics: track.characteristics.as_deref(),
            place: place_in_file(presentation.audios.get(..at).unwrap_or_default(), track)?,
        })
    });
    sounds.collect()
}

/// How many other sounds of the same kind and language are in the file of `track` before it. What has one name is one sound.
fn place_in_file(before: &[Track], track: &Track) -> Result<usize, OriginError> {
    let kind = |track: &Track| {
        let head = track.head()?;
        let family = codec_family(&head.codec).to_owned();
        Ok::<_, OriginError>((family, head.channels, head.objects))
    };
    let own = kind(track)?;
    let mut others: Vec<&str> = Vec::new();
    for other in before {
        let alike = other.index.file == track.index.file
            && other.language == track.language
            && other.title == track.title
            && other.describes_video == track.describes_video
            && kind(other)? == own;
        if alike && !others.contains(&other.name.as_str()) {
            others.push(&other.name);
        }
    }
    let known = others.iter().position(|name| *name == track.name);
    Ok(known.unwrap_or(others.len()))
}

/// Every track as a group of its own: what is in the segments of the video, or is all there is.
pub(crate) fn lone_tracks(sounds: &[Sound<'_>]) -> Vec<hls::AudioGroup> {
    let groups = sounds.iter().map(|sound| hls::AudioGroup {
        id: sound.name.to_owned(),
        renditions: renditions(std::iter::once(sound)),
    });
    groups.collect()
}

/// Groups of interchangeable renditions: one codec, one channel count, with objects or without, one step of the bit rate ladder. A language that
/// has fewer steps than others repeats its last, so that switching groups never loses a language.
pub(crate) fn audio_groups(sounds: &[Sound<'_>]) -> Vec<hls::AudioGroup> {
    // Alternatives of the same content, best first; in order of first appearance.
    let keyed = sounds.iter().map(|sound| {
        let kind = (codec_family(sound.codec), sound.channels, sound.objects);
        ((kind, content_key(sound)), sound)
    });
    let mut contents = grouped(keyed);
    for (_, tracks) in &mut contents {
        tracks.sort_by_key(|sound| std::cmp::Reverse(sound.bitrate));
    }
    let by_kind = contents
        .iter()
        .map(|((kind, _), tracks)| (*kind, tracks.as_slice()));
    let kinds = grouped(by_kind);
    let mut groups = Vec::new();
    for ((codec, channels, objects), members) in &kinds {
        let layout = match objects {
            0 => format!("{channels}ch"),
            objects => format!("{objects}joc"),
        };
        let steps = members.iter().map(|t| t.len()).max().unwrap_or_default();
        for step in 0..steps {
            let tracks = members
                .iter()
                .filter_map(|t| t.get(step).or(t.last()).copied());
            let id = match (kinds.len(), step) {
                (1, 0) => (*codec).to_owned(),
                (_, 0) => format!("{codec}_{layout}"),
                (_, step) => format!("{codec}_{layout}_{}", step.saturating_add(1)),
            };
            groups.push(hls::AudioGroup {
                id,
                renditions: renditions(tracks),
            });
        }
    }
    groups
}

type ContentKey<'a> = (
    Option<&'a str>,
    Option<&'a str>,
    bool,
    Option<&'a str>,
    usize,
);

/// What tells apart sounds that are not the same content: those of one language in one file are a film's own and what somebody says
/// of it, say. Without language and title, the name has to.
fn content_key<'a>(sound: &'a Sound<'_>) -> ContentKey<'a> {
    let anonymous = sound.language.is_none() && sound.title.is_none();
    (
        sound.language.as_deref(),
        sound.title,
        sound.describes_video,
        anonymous.then_some(sound.name),
        sound.place,
    )
}

fn renditions<'a>(sounds: impl Iterator<Item = &'a Sound<'a>>) -> Vec<hls::Audio> {
    let mut names: HashSet<String> = HashSet::new();
    let mut renditions: Vec<hls::Audio> = Vec::new();
    let mut described: Vec<(bool, bool)> = Vec::new();
    for sound in sounds {
        let language = sound.language.as_deref().and_then(display_name);
        let base = sound.title.or(language).unwrap_or("Audio");
        let mut name = base.to_owned();
        let mut count: u32 = 1;
        while !names.insert(name.clone()) {
            count = count.saturating_add(1);
            name = format!("{base} ({count})");
        }
        renditions.push(hls::Audio {
            uri: sound.uri.clone(),
            codec: sound.codec.to_owned(),
            peak_bitrate: sound.peak_bitrate,
            average_bitrate: sound.average_bitrate,
            name,
            language: sound.language.clone(),
            channels: Some(sound.channels),
            objects: sound.objects,
            default: false,
            characteristics: match (sound.characteristics, sound.describes_video) {
                (Some(stated), _) => Some(stated.to_owned()),
                (None, true) => Some("public.accessibility.describes-video".to_owned()),
                (None, false) => None,
            },
        });
        described.push((sound.default, sound.describes_video));
    }
    // What the owner chose; else the first that is no audio description.
    let default = described
        .iter()
        .position(|(chosen, _)| *chosen)
        .or_else(|| described.iter().position(|(_, describes)| !describes))
        .unwrap_or_default();
    if let Some(rendition) = renditions.get_mut(default) {
        rendition.default = true;
    }
    renditions
}
