//! HLS playlists.

use super::audio::{Sound, audio_groups, lone_tracks};
use super::text;
use super::{best_first, display_size, unturned_size};
use crate::address::{Format, TsVersion, child};
use crate::error::OriginError;
use crate::images::Images;
use crate::index::SegmentTime;
use crate::presentation::{Presentation, Track};
use crate::shield::Shield;
use crate::transport;
use headwater_cmaf::index::{TrackHead, VideoRange, codec_family};
use headwater_hls as hls;
use headwater_text::captions::Captions;

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
fn bitrates(track: &Track, head: &TrackHead, format: Format) -> (u64, u64) {
    let overhead = overhead(head, format);
    let [of_two, of_three] = head.joined_peak_bitrates;
    let peak = match format {
        Format::HlsTs(_) => {
            let stated = track.fragments_per_hls_segment;
            match transport::fragments_per_hls_segment(head, stated) {
                1 => head.peak_bitrate,
                2 => of_two,
                // Of more, it is no more.
                _ => of_three,
            }
        }
        _ => head.peak_bitrate,
    };
    (overhead.on(peak), overhead.on(head.bitrate))
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
        let (peak_bitrate, average_bitrate) = bitrates(track, head, format);
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

/// How long segments of `presentation` last at most, microseconds. `fragments`: how many of a track's make one, if it is
/// carried.
pub(crate) fn longest_segment(
    presentation: &Presentation,
    fragments: impl Fn(&Track, &TrackHead) -> Option<u32>,
) -> Result<u64, OriginError> {
    let mut longest = 0;
    for track in presentation.tracks() {
        let head = track.head()?;
        let Some(count) = fragments(track, head) else {
            continue;
        };
        let ticks = u128::from(head.max_segment_duration)
            .saturating_mul(count.into())
            .saturating_mul(1_000_000);
        let micros = ticks.checked_div(head.timescale.get().into());
        longest = longest.max(u64::try_from(micros.unwrap_or_default()).unwrap_or(u64::MAX));
    }
    Ok(longest)
}

/// The HLS media playlist of a track: its segments. `longest_of_all`: see [`longest_segment`].
pub(crate) fn media_playlist(
    track: &Track,
    (segments, longest_of_all): (&[SegmentTime], u64),
    format: Format,
    carried: child::Carried<'_>,
    keys: &Keys,
) -> Result<String, OriginError> {
    let segments: Vec<hls::Segment> = segments.iter().map(segment).collect();
    playlist(
        track,
        (hls::Listed::Segments(&segments), longest_of_all),
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
        (hls::Listed::KeyFrames(frames), 0),
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
    playlist(track, (listed, 0), format, carried, keys)
}

pub(crate) fn segment(time: &SegmentTime) -> hls::Segment {
    hls::Segment {
        start: time.start,
        duration: time.duration,
    }
}

fn playlist(
    track: &Track,
    (listed, longest_of_all): (hls::Listed<'_>, u64),
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
        longest_of_all,
        independent: says_independent(format) && !head.open_groups,
    };
    Ok(playlist.write())
}

fn sounds<'a>(
    presentation: &'a Presentation,
    asked: Asked<'_>,
) -> Result<Vec<Sound<'a>>, OriginError> {
    let sounds = (0..).zip(&presentation.audios).map(|(at, track)| {
        let head = track.head()?;
        let (peak_bitrate, average_bitrate) = bitrates(track, head, asked.format);
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
