//! Presentations in the words of HLS and DASH.

use crate::address::child;
use crate::error::{Code, OriginError};
use crate::index::SegmentTime;
use crate::language::display_name;
use crate::presentation::{Presentation, Track};
use headwater_cmaf::index::{TrackHead, TrackKind, codec_family};
use headwater_dash as dash;
use headwater_hls as hls;
use std::collections::HashSet;

/// Bit rate that players are started with, as Apple's authoring specification has it for Wi-Fi.
const FIRST_VARIANT_BITRATE: u32 = 2_000_000;

/// The HLS multivariant playlist.
pub(crate) fn multivariant(
    presentation: &Presentation,
    audio_only: bool,
) -> Result<String, OriginError> {
    let mut videos = Vec::with_capacity(presentation.videos.len());
    for track in best_first(&presentation.videos) {
        let head = track.head()?;
        videos.push(hls::Video {
            uri: child::media_playlist(track.bitrate, &track.name),
            codec: head.codec.clone(),
            peak_bitrate: head.peak_bitrate.into(),
            average_bitrate: head.bitrate.into(),
            resolution: display_size(head),
            frame_rate: Some(head.frame_rate),
            range: hls::VideoRange::Sdr,
        });
    }
    // The rest stays sorted; only the one to begin with moves to the front.
    let first = videos
        .iter()
        .position(|v| v.average_bitrate <= FIRST_VARIANT_BITRATE.into());
    let first = first.unwrap_or(videos.len().saturating_sub(1));
    if let Some(front) = videos.get_mut(..=first) {
        front.rotate_right(1);
    }
    let mut independent = true;
    for track in presentation.tracks() {
        independent &= !track.head()?.open_groups;
    }
    let playlist = hls::Multivariant {
        videos,
        audio_groups: audio_groups(presentation)?,
        audio_only_variants: audio_only,
        independent,
    };
    Ok(playlist.write())
}

/// The HLS media playlist of a track.
pub(crate) fn media_playlist(
    track: &Track,
    segments: &[SegmentTime],
) -> Result<String, OriginError> {
    let (init_uri, uri_prefix, uri_suffix) = child::hls_segments(&track.name);
    let segments: Vec<hls::Segment> = segments
        .iter()
        .map(|s| hls::Segment {
            start: s.start,
            duration: s.duration,
        })
        .collect();
    let head = track.head()?;
    let playlist = hls::MediaPlaylist {
        timescale: head.timescale,
        init_uri: &init_uri,
        uri_prefix: &uri_prefix,
        uri_suffix,
        segments: &segments,
        independent: !head.open_groups,
    };
    Ok(playlist.write())
}

/// The DASH manifest. `segments`: of every track, in the order of [`Presentation::tracks`].
pub(crate) fn mpd(
    presentation: &Presentation,
    segments: &[Vec<SegmentTime>],
) -> Result<String, OriginError> {
    let timelines: Vec<Vec<dash::Segment>> = segments
        .iter()
        .map(|track| {
            track
                .iter()
                .map(|s| dash::Segment {
                    start: s.start,
                    duration: s.duration,
                })
                .collect()
        })
        .collect();
    let tracks: Vec<(&Track, &[dash::Segment])> = presentation
        .tracks()
        .zip(timelines.iter().map(Vec::as_slice))
        .collect();
    let zero = start_of(presentation)?;
    let mut longest: Option<(u64, &TrackHead)> = None;
    for track in presentation.tracks() {
        let head = track.head()?;
        let length = head
            .start
            .saturating_add(head.duration)
            .saturating_sub(zero.on(head));
        if longest.is_none_or(|(other, of)| later((length, head), (other, of))) {
            longest = Some((length, head));
        }
    }
    let (duration_ticks, of) =
        longest.ok_or_else(|| OriginError::new(Code::Internal, "the presentation is empty"))?;
    let default_audio = presentation
        .audios
        .iter()
        .position(|t| !t.describes_video)
        .unwrap_or_default();
    let default_audio = presentation.audios.get(default_audio).map(set_key);
    let mut adaptation_sets = Vec::new();
    for set in switching_sets(&tracks)? {
        adaptation_sets.push(adaptation_set(&set, &zero, default_audio.as_ref())?);
    }
    Ok(dash::Mpd {
        duration_ticks,
        timescale: of.timescale,
        adaptation_sets,
    }
    .write())
}

/// The instant of a presentation that is Period time 0: where its earliest track starts, so that no time is negative.
struct Zero {
    ticks: u64,
    scale: u32,
}

impl Zero {
    /// The instant in a track's ticks, rounded down.
    fn on(&self, head: &TrackHead) -> u64 {
        let ticks = u128::from(self.ticks).saturating_mul(head.timescale.get().into());
        u64::try_from(ticks.checked_div(self.scale.into()).unwrap_or_default()).unwrap_or(u64::MAX)
    }
}

fn start_of(presentation: &Presentation) -> Result<Zero, OriginError> {
    let mut earliest: Option<(u64, &TrackHead)> = None;
    for track in presentation.tracks() {
        let head = track.head()?;
        if earliest.is_none_or(|other| later(other, (head.start, head))) {
            earliest = Some((head.start, head));
        }
    }
    Ok(
        earliest.map_or(Zero { ticks: 0, scale: 1 }, |(ticks, head)| Zero {
            ticks,
            scale: head.timescale.get(),
        }),
    )
}

/// Whether `a` is later than `b`, each in ticks of its track; exact.
fn later(a: (u64, &TrackHead), b: (u64, &TrackHead)) -> bool {
    let left = u128::from(a.0).saturating_mul(b.1.timescale.get().into());
    let right = u128::from(b.0).saturating_mul(a.1.timescale.get().into());
    left > right
}

type WithTimeline<'a> = (&'a Track, &'a [dash::Segment]);

/// What tracks must share to be alternatives of each other.
type SetKey = (String, Option<String>, Option<String>, bool);

fn set_key(track: &Track) -> SetKey {
    (
        track.name.clone(),
        track.language.clone(),
        track.title.clone(),
        track.describes_video,
    )
}

/// Tracks that a player may switch between: same kind, name and language, one codec family. In order of first
/// appearance.
fn switching_sets<'a>(
    tracks: &[WithTimeline<'a>],
) -> Result<Vec<Vec<WithTimeline<'a>>>, OriginError> {
    let mut sets: Vec<((TrackKind, String, SetKey), Vec<WithTimeline<'a>>)> = Vec::new();
    for track in tracks {
        let head = track.0.head()?;
        let key = (
            head.kind,
            codec_family(&head.codec).to_owned(),
            set_key(track.0),
        );
        match sets.iter_mut().find(|(known, _)| *known == key) {
            Some((_, set)) => set.push(*track),
            None => sets.push((key, vec![*track])),
        }
    }
    Ok(sets.into_iter().map(|(_, set)| set).collect())
}

fn adaptation_set<'a>(
    set: &[WithTimeline<'a>],
    zero: &Zero,
    default_audio: Option<&SetKey>,
) -> Result<dash::AdaptationSet<'a>, OriginError> {
    let mut tracks = set.to_vec();
    tracks.sort_by_key(|(track, _)| std::cmp::Reverse(track.bitrate));
    let mut representations = Vec::with_capacity(tracks.len());
    let mut kind = TrackKind::Video;
    let mut starts_with = dash::AccessPoint::Closed;
    for (track, timeline) in &tracks {
        let head = track.head()?;
        kind = head.kind;
        if head.open_groups {
            starts_with = dash::AccessPoint::Open;
        }
        let (initialization, media) = child::dash_templates(&track.name);
        let is_video = head.kind == TrackKind::Video;
        representations.push(dash::Representation {
            id: format!(
                "{}_{}",
                track.name.replace(char::is_whitespace, "_"),
                track.bitrate
            ),
            bandwidth: track.bitrate,
            codecs: head.codec.clone(),
            resolution: display_size(head),
            frame_rate: is_video.then_some(head.frame_rate),
            sample_rate: (!is_video).then_some(head.sample_rate),
            channels: (!is_video).then_some(head.channels),
            segments: dash::SegmentTemplate {
                timescale: head.timescale,
                presentation_time_offset: zero.on(head),
                initialization,
                media,
                timeline,
            },
        });
    }
    let (first, _) = tracks
        .first()
        .ok_or_else(|| OriginError::new(Code::Internal, "a switching set is empty"))?;
    let describes = first.describes_video;
    let role = |value: &str| dash::Descriptor {
        scheme: dash::ROLE_SCHEME,
        value: value.to_owned(),
    };
    let is_default = kind == TrackKind::Audio && default_audio == Some(&set_key(first));
    Ok(dash::AdaptationSet {
        content_type: match kind {
            TrackKind::Video => dash::ContentType::Video,
            TrackKind::Audio => dash::ContentType::Audio,
            TrackKind::Text => {
                let fault = "a text track among pictures and sound";
                return Err(OriginError::new(Code::Internal, fault));
            }
        },
        language: first.language.clone(),
        label: first.title.clone(),
        accessibility: if describes {
            vec![role("description")]
        } else {
            vec![]
        },
        roles: match kind {
            TrackKind::Video | TrackKind::Text => vec![],
            TrackKind::Audio if is_default => vec![role("main")],
            TrackKind::Audio => vec![role("alternate")],
        },
        segment_alignment: aligned(&tracks)?,
        starts_with,
        representations,
    })
}

/// Whether all tracks have their segment boundaries at the same instants.
fn aligned(tracks: &[WithTimeline<'_>]) -> Result<bool, OriginError> {
    let Some(((first, timeline), rest)) = tracks.split_first() else {
        return Ok(true);
    };
    let first = first.head()?;
    for (track, other) in rest {
        let head = track.head()?;
        let same = timeline.len() == other.len()
            && timeline.iter().zip(*other).all(|(a, b)| {
                let (a, b) = ((a.start, first), (b.start, head));
                !later(a, b) && !later(b, a)
            });
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn best_first(tracks: &[Track]) -> Vec<&Track> {
    let mut tracks: Vec<&Track> = tracks.iter().collect();
    tracks.sort_by_key(|t| std::cmp::Reverse(t.bitrate));
    tracks
}

/// Groups of interchangeable renditions: one codec, one channel count, one step of the bit rate ladder. A language that
/// has fewer steps than others repeats its last, so that switching groups never loses a language.
fn audio_groups(presentation: &Presentation) -> Result<Vec<hls::AudioGroup>, OriginError> {
    // Alternatives of the same content, best first; in order of first appearance.
    let mut contents: Vec<(AudioKey, Vec<&Track>)> = Vec::new();
    for track in &presentation.audios {
        let head = track.head()?;
        let key = (
            codec_family(&head.codec).to_owned(),
            head.channels,
            content_key(track),
        );
        match contents.iter_mut().find(|(known, _)| *known == key) {
            Some((_, tracks)) => tracks.push(track),
            None => contents.push((key, vec![track])),
        }
    }
    for (_, tracks) in &mut contents {
        tracks.sort_by_key(|t| std::cmp::Reverse(t.bitrate));
    }
    let mut kinds: Vec<(String, u16)> = Vec::new();
    for ((codec, channels, _), _) in &contents {
        if !kinds.contains(&(codec.clone(), *channels)) {
            kinds.push((codec.clone(), *channels));
        }
    }
    let mut groups = Vec::new();
    for (codec, channels) in &kinds {
        let members: Vec<&Vec<&Track>> = contents
            .iter()
            .filter(|((c, n, _), _)| c == codec && n == channels)
            .map(|(_, t)| t)
            .collect();
        let steps = members.iter().map(|t| t.len()).max().unwrap_or_default();
        for step in 0..steps {
            let tracks = members
                .iter()
                .filter_map(|t| t.get(step).or(t.last()).copied());
            let id = match (kinds.len(), step) {
                (1, 0) => codec.clone(),
                (_, 0) => format!("{codec}_{channels}ch"),
                (_, step) => format!("{codec}_{channels}ch_{}", step.saturating_add(1)),
            };
            groups.push(hls::AudioGroup {
                id,
                renditions: renditions(tracks)?,
            });
        }
    }
    Ok(groups)
}

/// Codec family, channels, content.
type AudioKey = (String, u16, ContentKey);

type ContentKey = (Option<String>, Option<String>, bool, Option<String>);

/// What tells apart audio tracks that do not carry the same sound. Without language and title, the name has to.
fn content_key(track: &Track) -> ContentKey {
    let anonymous = track.language.is_none() && track.title.is_none();
    (
        track.language.clone(),
        track.title.clone(),
        track.describes_video,
        anonymous.then(|| track.name.clone()),
    )
}

fn renditions<'a>(tracks: impl Iterator<Item = &'a Track>) -> Result<Vec<hls::Audio>, OriginError> {
    let mut names: HashSet<String> = HashSet::new();
    let mut renditions: Vec<hls::Audio> = Vec::new();
    for track in tracks {
        let head = track.head()?;
        let language = track.language.as_deref().and_then(display_name);
        let base = track.title.as_deref().or(language).unwrap_or("Audio");
        let mut name = base.to_owned();
        let mut count: u32 = 1;
        while !names.insert(name.clone()) {
            count = count.saturating_add(1);
            name = format!("{base} ({count})");
        }
        renditions.push(hls::Audio {
            uri: child::media_playlist(track.bitrate, &track.name),
            codec: head.codec.clone(),
            peak_bitrate: head.peak_bitrate.into(),
            average_bitrate: head.bitrate.into(),
            name,
            language: track.language.clone(),
            channels: Some(head.channels),
            default: false,
            characteristics: track
                .describes_video
                .then(|| "public.accessibility.describes-video".to_owned()),
        });
    }
    let default = renditions
        .iter()
        .position(|r| r.characteristics.is_none())
        .unwrap_or_default();
    if let Some(rendition) = renditions.get_mut(default) {
        rendition.default = true;
    }
    Ok(renditions)
}

/// Picture size on screen: pixel shape and rotation applied. `None` for audio.
fn display_size(head: &TrackHead) -> Option<(u32, u32)> {
    if head.kind == TrackKind::Audio {
        return None;
    }
    let (width, height) = (u64::from(head.width), u64::from(head.height));
    let (horizontal, vertical) = head.pixel_aspect;
    let half = u64::from(vertical).checked_div(2)?;
    let wide = width
        .saturating_mul(horizontal.into())
        .saturating_add(half)
        .checked_div(vertical.into());
    let width = u32::try_from(wide.unwrap_or(width)).ok()?;
    let height = u32::try_from(height).ok()?;
    Some(if matches!(head.rotation, 90 | 270) {
        (height, width)
    } else {
        (width, height)
    })
}
