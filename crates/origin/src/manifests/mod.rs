//! Presentations in the words of HLS, DASH and Smooth Streaming.
//!
//! What the three have in common is here: which tracks are alternatives of each other, and where a presentation begins.

pub(crate) mod audio;
pub(crate) mod dash;
pub(crate) mod hls;
pub(crate) mod smooth;
pub(crate) mod text;

use crate::error::{Code, OriginError};
use crate::filter::Instant;
use crate::images::Images;
use crate::index::SegmentTime;
use crate::presentation::{Grid, Presentation, Track};
use headwater_cmaf::index::{TrackHead, TrackKind, codec_family};
use headwater_text::Clock;
use headwater_text::captions::Captions;

/// A track and those of its segments that are shown.
pub(crate) type WithTimeline<'a> = (&'a Track, &'a [SegmentTime]);

/// Tracks with their segments. `segments`: of every track, in the order of [`Presentation::tracks`].
fn with_timelines<'a>(
    presentation: &'a Presentation,
    segments: &'a [Vec<SegmentTime>],
) -> Vec<WithTimeline<'a>> {
    let segments = segments.iter().map(Vec::as_slice);
    presentation.tracks().zip(segments).collect()
}

/// The instant of a presentation that players count from: where its earliest track starts, so that no time is negative.
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

fn start_of(tracks: &[WithTimeline<'_>]) -> Result<Zero, OriginError> {
    let mut earliest: Option<(u64, &TrackHead)> = None;
    for (track, segments) in tracks {
        let head = track.head()?;
        let start = segments.first().map_or(head.start, |s| s.start);
        if earliest.is_none_or(|other| later(other, (start, head))) {
            earliest = Some((start, head));
        }
    }
    Ok(
        earliest.map_or(Zero { ticks: 0, scale: 1 }, |(ticks, head)| Zero {
            ticks,
            scale: head.timescale.get(),
        }),
    )
}

/// Where a presentation starts, unfiltered.
pub(crate) fn start(presentation: &Presentation) -> Result<Instant, OriginError> {
    let tracks: Vec<WithTimeline<'_>> = presentation.tracks().map(|t| (t, &[][..])).collect();
    let zero = start_of(&tracks)?;
    Ok(Instant::new(zero.ticks, zero.scale.into()))
}

/// Where the presentation's text is cut, and where its documents begin. `presentation`: unfiltered, as the text's segments
/// are the same whatever is left out.
pub(crate) fn grid(presentation: &Presentation) -> Result<Grid<'_>, OriginError> {
    let track = presentation.tracks().next();
    let track =
        track.ok_or_else(|| OriginError::new(Code::Internal, "the presentation is empty"))?;
    let head = track.head()?;
    let tracks: Vec<WithTimeline<'_>> = presentation.tracks().map(|t| (t, &[][..])).collect();
    let zero = start_of(&tracks)?.on(head);
    Ok(Grid {
        track,
        head,
        clock: Clock {
            scale: head.timescale,
            zero,
        },
    })
}

/// How a presentation's text is cut.
#[derive(Clone, Copy)]
pub(crate) struct TextCut<'a> {
    pub(crate) grid: Grid<'a>,
    /// The segments that are shown.
    pub(crate) segments: &'a [SegmentTime],
}

/// What a manifest has besides the media.
#[derive(Clone, Copy)]
pub(crate) struct Beside<'a> {
    /// `None`: there is no text.
    pub(crate) text: Option<TextCut<'a>>,
    pub(crate) images: Option<&'a Images>,
    /// Captions inside of pictures, if it is known which.
    pub(crate) captions: Option<Captions>,
}

/// From `zero` to where the last track ends: ticks, and the track that they are of.
fn length<'a>(
    tracks: &[WithTimeline<'a>],
    zero: &Zero,
) -> Result<(u64, &'a TrackHead), OriginError> {
    let mut longest: Option<(u64, &TrackHead)> = None;
    for (track, segments) in tracks {
        let head = track.head()?;
        let end = segments.last().map(|s| s.start.saturating_add(s.duration));
        let length = end.unwrap_or_default().saturating_sub(zero.on(head));
        if longest.is_none_or(|(other, of)| later((length, head), (other, of))) {
            longest = Some((length, head));
        }
    }
    longest.ok_or_else(|| OriginError::new(Code::Internal, "the presentation is empty"))
}

/// Whether `a` is later than `b`, each in ticks of its track; exact.
fn later(a: (u64, &TrackHead), b: (u64, &TrackHead)) -> bool {
    let left = u128::from(a.0).saturating_mul(b.1.timescale.get().into());
    let right = u128::from(b.0).saturating_mul(a.1.timescale.get().into());
    left > right
}

/// What tracks must share to be alternatives of each other: name, language, title, and whether they describe pictures.
pub(crate) type SetKey = (String, Option<String>, Option<String>, bool);

/// Puts what has the same key together. In order of first appearance.
pub(crate) fn grouped<K: PartialEq, T>(keyed: impl Iterator<Item = (K, T)>) -> Vec<(K, Vec<T>)> {
    let mut groups: Vec<(K, Vec<T>)> = Vec::new();
    for (key, item) in keyed {
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    groups
}

fn set_key(track: &Track) -> SetKey {
    (
        track.name.clone(),
        track.language.clone(),
        track.title.clone(),
        track.describes_video,
    )
}

/// Tracks that a player may switch between: same kind, name and language, one codec family, as many objects, one dynamic range. In order of first
/// appearance.
fn switching_sets<'a>(
    tracks: &[WithTimeline<'a>],
) -> Result<Vec<Vec<WithTimeline<'a>>>, OriginError> {
    let keyed: Result<Vec<_>, OriginError> = tracks
        .iter()
        .map(|track| {
            let head = track.0.head()?;
            let family = codec_family(&head.codec);
            let key = (
                head.kind,
                family,
                head.objects,
                head.video_range,
                set_key(track.0),
            );
            Ok((key, *track))
        })
        .collect();
    let sets = grouped(keyed?.into_iter());
    Ok(sets.into_iter().map(|(_, set)| set).collect())
}

fn best_first(tracks: &[Track]) -> Vec<&Track> {
    let mut tracks: Vec<&Track> = tracks.iter().collect();
    tracks.sort_by_key(|t| std::cmp::Reverse(t.bitrate));
    tracks
}

/// Picture size where nobody is told of a rotation: pixel shape applied. `None` for audio.
fn unturned_size(head: &TrackHead) -> Option<(u32, u32)> {
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
    Some((width, u32::try_from(height).ok()?))
}

/// Picture size on screen: pixel shape and rotation applied. `None` for audio.
fn display_size(head: &TrackHead) -> Option<(u32, u32)> {
    let (width, height) = unturned_size(head)?;
    Some(if matches!(head.rotation, 90 | 270) {
        (height, width)
    } else {
        (width, height)
    })
}
