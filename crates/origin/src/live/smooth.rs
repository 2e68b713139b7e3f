//! Live presentations and their recordings as Smooth Streaming.
//!
//! Clients of a live presentation read its manifest once. What comes later they learn from fragments, each of which says of the
//! [`LOOK_AHEAD`] after it; so one is listed, and there, when those are complete.

use super::cues;
use super::hls::Listed;
use super::media;
use super::show::Show;
use super::texts;
use crate::address::SmoothVersion;
use crate::address::child::Carried;
use crate::error::{Code, OriginError};
use crate::index::SegmentTime;
use crate::manifests::smooth::{Clock, chunks, level};
use crate::manifests::text;
use crate::presentation::TextTrack;
use crate::shield::Shield;
use headwater_cmaf::index::codec_family;
use headwater_live::CLOCK;
use headwater_live::stream::Kind;
use headwater_smooth as smooth;
use headwater_time::Timescale;

/// Fragments that a fragment says of.
pub(crate) const LOOK_AHEAD: usize = 2;
/// Units of 100 ns in a millisecond.
const UNITS_PER_MS: u64 = 10_000;

/// A manifest, and why tracks are not in it.
pub(crate) struct Written {
    pub(crate) text: String,
    pub(crate) left_out: Vec<String>,
}

/// A stream as it is put together.
struct Gathered<'a> {
    first: Listed<'a>,
    chunks: Vec<smooth::Chunk>,
    levels: Vec<smooth::Level>,
    scale: Timescale,
}

/// The client manifest of `tracks` and `texts`.
///
/// Errors: 404 while nothing is there; 415 if the protocol has no place for any track; as those of [`Shield`].
pub(crate) fn manifest(
    show: &Show,
    (tracks, texts): (&[Listed<'_>], &[TextTrack]),
    version: SmoothVersion,
    carried: Carried<'_>,
    shield: Option<&Shield>,
) -> Result<Written, OriginError> {
    let mut left_out = Vec::new();
    let mut found: Vec<Gathered<'_>> = Vec::new();
    let mut heads = Vec::new();
    let mut best_first = tracks.to_vec();
    best_first
        .sort_by_key(|(_, track, _)| (track.kind == Kind::Audio, std::cmp::Reverse(track.bitrate)));
    for listed in best_first {
        let (_, track, config) = &listed;
        let head = media::head(track, config);
        let Some(level) = level(track.bitrate, &head) else {
            left_out.push(format!(
                "{}: Smooth Streaming does not carry {}",
                track.name, head.codec
            ));
            continue;
        };
        let clock = Clock::of(&head);
        let own = chunks(&times(show, &listed), clock);
        let same = |known: &&mut Gathered<'_>| {
            let (_, first, of) = known.first;
            first.name == track.name
                && media::language(first) == media::language(track)
                && codec_family(&of.codec) == codec_family(&config.codec)
        };
        match found.iter_mut().find(same) {
            None => found.push(Gathered {
                first: listed,
                chunks: own,
                levels: vec![level],
                scale: clock.scale,
            }),
            Some(known) if known.chunks == own => known.levels.push(level),
            Some(_) => {
                left_out.push(format!(
                    "{} at {}: its fragments are not those of the other levels",
                    track.name, track.bitrate
                ));
                continue;
            }
        }
        heads.push(head);
    }
    if found.is_empty() {
        return Err(OriginError::new(
            Code::FormatNotSupported,
            "the presentation has no track that Smooth Streaming carries",
        ));
    }
    let shown = found.iter().flat_map(|stream| &stream.chunks);
    let start = shown.clone().map(|chunk| chunk.start).min();
    let end = shown.map(|chunk| chunk.start.saturating_add(chunk.duration));
    let (Some(start), Some(end)) = (start, end.max()) else {
        return Err(OriginError::new(
            Code::NotYetAvailable,
            "nothing of the presentation is there yet",
        ));
    };
    let protection = match shield {
        Some(shield) => shield.smooth(&heads)?,
        None => None,
    };
    let streams = found.iter().map(|stream| {
        let (_, track, config) = stream.first;
        smooth::Stream {
            name: track.name.clone(),
            media: match track.kind {
                Kind::Video => smooth::Media::Video {
                    display: (config.width, config.height),
                },
                Kind::Audio => smooth::Media::Audio,
            },
            language: media::language(track),
            title: None,
            describes_video: false,
            url: carried.smooth_url(&track.name),
            timescale: stream.scale,
            chunks: &stream.chunks,
            levels: stream.levels.clone(),
        }
    });
    let (text_chunks, clock) = match texts {
        [] => (Vec::new(), Clock::with(CLOCK)),
        _ => texts::smooth_chunks(show),
    };
    let texts = texts
        .iter()
        .map(|track| text::stream(track, (&text_chunks, clock.scale), carried));
    let streams = streams.chain(texts);
    let parent = found.first().map_or("", |stream| &stream.first.1.name);
    let sparse = cues::sparse(show, parent, carried);
    let manifest = smooth::Manifest {
        version: match version {
            SmoothVersion::V20 => smooth::Version::V20,
            SmoothVersion::V22 => smooth::Version::V22,
        },
        timescale: Timescale::HUNDRED_NANOS,
        duration: end.saturating_sub(start),
        live: (!show.ended).then(|| smooth::Live {
            window: show.window_ms.saturating_mul(UNITS_PER_MS),
            look_ahead: u8::try_from(LOOK_AHEAD).unwrap_or(u8::MAX),
        }),
        protection,
        streams: streams.collect(),
        sparse: sparse.into_iter().collect(),
    };
    Ok(Written {
        text: manifest.write(),
        left_out,
    })
}

/// The fragments of a track that are there. A level has one set of parameters: what was before the last change is left out.
fn times(show: &Show, (index, _, _): &Listed<'_>) -> Vec<SegmentTime> {
    let newest = show.newest_config(*index);
    let lane = show.lane(*index);
    let own = lane
        .items
        .iter()
        .rev()
        .map_while(|item| match item.segment {
            Some(segment) if Some(segment.config) != newest => None,
            other => Some(other),
        });
    let mut times: Vec<SegmentTime> = own
        .flatten()
        .skip(if show.ended { 0 } else { LOOK_AHEAD })
        .map(|segment| SegmentTime {
            start: segment.start,
            duration: segment.duration.into(),
        })
        .collect();
    times.reverse();
    times
}
