//! The DASH manifest.

use super::{
    Beside, SetKey, WithTimeline, Zero, display_size, later, length, set_key, start_of,
    switching_sets, text, with_timelines,
};
use crate::address::{Format, child};
use crate::error::{Code, OriginError};
use crate::index::SegmentTime;
use crate::presentation::Presentation;
use crate::shield::Shield;
use headwater_cmaf::index::{TrackKind, VideoRange};
use headwater_dash as dash;
use headwater_text::captions::Captions;
use headwater_time::Timescale;

/// The MPD. `segments`: those shown of every track, in the order of [`Presentation::tracks`].
pub(crate) fn mpd(
    presentation: &Presentation,
    segments: &[Vec<SegmentTime>],
    format: Format,
    carried: child::Carried<'_>,
    shield: Option<&Shield>,
    beside: Beside<'_>,
) -> Result<String, OriginError> {
    let tracks = with_timelines(presentation, segments);
    let zero = start_of(&tracks)?;
    let (duration_ticks, of) = length(&tracks, &zero)?;
    let audios = || presentation.audios.iter();
    let default_audio = audios()
        .position(|t| t.default)
        .or_else(|| audios().position(|t| !t.describes_video))
        .unwrap_or_default();
    let default_audio = presentation.audios.get(default_audio).map(set_key);
    let mut adaptation_sets = Vec::new();
    let mut namespaces = Vec::new();
    for set in switching_sets(&tracks)? {
        for (set, protection) in under_one_key(set, shield)? {
            if !protection.is_empty() {
                namespaces = headwater_protect::dash::NAMESPACES.to_vec();
            }
            let default = default_audio.as_ref();
            let mut made = adaptation_set(&set, &zero, default, carried)?;
            made.protection = protection;
            if made.content_type == dash::ContentType::Video {
                made.accessibility = closed_captions(beside.captions);
            }
            adaptation_sets.push(made);
        }
    }
    if let Some(shown) = &beside.text {
        let head = shown.grid.head;
        let cut = text::Cut {
            segments: shown.segments,
            scale: head.timescale,
            offset: zero.on(head),
        };
        for text in &presentation.texts {
            let mut made = text::adaptation_set(text, &cut, format, carried);
            if let Some(shield) = shield
                && let Some(key) = shield.text_key(text::codec(format, text))?
            {
                made.protection = shield.dash(key)?;
            }
            adaptation_sets.push(made);
        }
    }
    let tiles = beside.images.map(|images| images.dash(carried));
    Ok(dash::Mpd {
        profile: match format {
            Format::DashCsf => dash::Profile::CommonStreamingFormat,
            _ => dash::Profile::Cmaf,
        },
        duration_ticks,
        timescale: of.timescale,
        namespaces,
        adaptation_sets,
        tiles: tiles.into_iter().collect(),
    }
    .write())
}

/// `Representation@id`: without spaces, whatever the track's name has.
pub(crate) fn representation_id(name: &str, bitrate: u32) -> String {
    format!("{}_{bitrate}", name.replace(char::is_whitespace, "_"))
}

/// How many times as fast the first pictures of segments are shown if they come at the rate that all do: as many as a segment has.
fn playout_rate(segments: &[SegmentTime], scale: Timescale, (frames, seconds): (u32, u32)) -> u32 {
    let ticks = segments.iter().map(|segment| segment.duration);
    let ticks = ticks.fold(0_u64, u64::saturating_add);
    let count = u64::try_from(segments.len()).unwrap_or(u64::MAX);
    let shown = u128::from(ticks).saturating_mul(frames.into());
    let per = u128::from(count)
        .saturating_mul(scale.get().into())
        .saturating_mul(seconds.into());
    let rate = shown.checked_div(per).unwrap_or(1).max(1);
    u32::try_from(rate).unwrap_or(u32::MAX)
}

/// Captions inside of pictures, as DASH has them. Nothing in a picture says their language.
pub(crate) fn closed_captions(captions: Option<Captions>) -> Vec<dash::Descriptor> {
    let captions = captions.unwrap_or_default();
    let channels: Vec<String> = captions
        .channels()
        .map(|number| format!("CC{number}=und"))
        .collect();
    let services: Vec<String> = captions
        .own_services()
        .map(|number| format!("{number}=lang:und"))
        .collect();
    let all = [
        (dash::CEA_608_SCHEME, channels),
        (dash::CEA_708_SCHEME, services),
    ];
    let there = all.into_iter().filter(|(_, values)| !values.is_empty());
    let descriptors = there.map(|(scheme, values)| dash::Descriptor {
        scheme,
        value: values.join(";"),
    });
    descriptors.collect()
}

fn role(value: &str) -> dash::Descriptor {
    dash::Descriptor {
        scheme: dash::ROLE_SCHEME,
        value: value.to_owned(),
    }
}

/// The role of sound: the one that is stated, else whether players begin with it.
pub(crate) fn audio_role(stated: Option<&str>, is_default: bool) -> dash::Descriptor {
    role(match (stated, is_default) {
        (Some(stated), _) => stated,
        (None, true) => "main",
        (None, false) => "alternate",
    })
}

/// What of a colour is stated: that of a range beyond the usual one.
pub(crate) fn stated_colour(range: VideoRange, colour: [u16; 3]) -> Option<[u16; 3]> {
    (range != VideoRange::Sdr).then_some(colour)
}

fn adaptation_set(
    set: &[WithTimeline<'_>],
    zero: &Zero,
    default_audio: Option<&SetKey>,
    carried: child::Carried<'_>,
) -> Result<dash::AdaptationSet, OriginError> {
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
        let (initialization, media) = carried.dash_templates(&track.name);
        let is_video = head.kind == TrackKind::Video;
        let key_frames = carried.dash_key_frames(&track.name).filter(|_| is_video);
        representations.push(dash::Representation {
            id: representation_id(&track.name, track.bitrate),
            bandwidth: track.bitrate,
            codecs: head.codec.clone(),
            resolution: display_size(head),
            frame_rate: is_video.then_some(head.frame_rate),
            sample_rate: (!is_video).then_some(head.sample_rate),
            channels: (!is_video).then_some(head.channels),
            objects: head.objects,
            segments: dash::SegmentTemplate {
                timescale: head.timescale,
                presentation_time_offset: zero.on(head),
                initialization,
                media,
                available_early_ms: None,
                timeline: timeline
                    .iter()
                    .map(|s| dash::Segment {
                        start: s.start,
                        duration: s.duration,
                    })
                    .collect(),
            },
            key_frames: key_frames.map(|media| dash::KeyFrames {
                media,
                count: timeline.len(),
                rate: playout_rate(timeline, head.timescale, head.frame_rate),
            }),
        });
    }
    let (first, _) = tracks
        .first()
        .ok_or_else(|| OriginError::new(Code::Internal, "a switching set is empty"))?;
    let head = first.head()?;
    let describes = first.describes_video;
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
            TrackKind::Audio => vec![audio_role(first.role.as_deref(), is_default)],
        },
        segment_alignment: aligned(&tracks)?,
        starts_with,
        colour: stated_colour(head.video_range, head.colour),
        protection: Vec::new(),
        inband: Vec::new(),
        representations,
    })
}

/// Tracks, and what their set says of encryption.
type UnderOneKey<'a> = (Vec<WithTimeline<'a>>, Vec<String>);

/// Splits a set by key, as an adaptation set names one; with what it says of that.
fn under_one_key<'a>(
    set: Vec<WithTimeline<'a>>,
    shield: Option<&Shield>,
) -> Result<Vec<UnderOneKey<'a>>, OriginError> {
    let Some(shield) = shield else {
        return Ok(vec![(set, Vec::new())]);
    };
    let mut sets: Vec<UnderOneKey<'a>> = Vec::new();
    for track in set {
        let protection = match shield.key(track.0.head()?)? {
            Some(key) => shield.dash(key)?,
            None => Vec::new(),
        };
        match sets.iter_mut().find(|(_, known)| *known == protection) {
            Some((tracks, _)) => tracks.push(track),
            None => sets.push((vec![track], protection)),
        }
    }
    Ok(sets)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_no_spaces_of_any_kind() {
        let id = representation_id("my show\u{a0}x\u{2003}y\tz", 5);
        assert_eq!(id, "my_show_x_y_z_5");
    }
}
