//! Which tracks of a file are packaged, and what is said of those that are not.

use bytes::Bytes;
use headwater_bmff::sps::{Sps, Timing};
use headwater_bmff::{
    BmffError, BoxedKind, CodecConfig, Colour, Track, TrackConfig, TrackKind, hevc, parse_movie,
};

use super::rates::is_usual;
use super::{TrackWarning, VideoRange};
use crate::CmafError;

/// The tracks to package, by place in the file, and the warnings about the others.
///
/// Tracks that hold something else than pictures, sound or text are left out without a word; disabled ones are not,
/// because that is how files mark alternative languages.
pub(super) fn playable<'t>(
    tracks: impl Iterator<Item = (&'t Track, u32)>,
) -> (Vec<usize>, Vec<TrackWarning>) {
    let (mut places, mut warnings) = (Vec::new(), Vec::new());
    for (place, (track, samples)) in tracks.enumerate() {
        let config = &track.config;
        match &config.codec {
            _ if samples == 0 || config.kind == TrackKind::Other => {}
            CodecConfig::Other(other) => warnings.push(TrackWarning {
                track: config.id,
                reason: match other.is_encrypted() {
                    true => CmafError::Encrypted { track: config.id }.to_string(),
                    false => format!("{} cannot be packaged without transcoding", other.name),
                },
            }),
            _ => places.push(place),
        }
    }
    (places, warnings)
}

/// Places in the order in which tracks are packaged: sound and text are cut where the first video is, so that goes first.
pub(super) fn video_first(mut places: Vec<usize>, tracks: &[&Track]) -> Vec<usize> {
    places.sort_by_key(|place| {
        tracks
            .get(*place)
            .is_none_or(|track| track.config.kind != TrackKind::Video)
    });
    places
}

/// What a file without a playable track is refused with.
pub(super) fn nothing_playable(warnings: &[TrackWarning], tracks: &[&Track]) -> CmafError {
    let first = warnings.first();
    let track = first.and_then(|warning| {
        let mut tracks = tracks.iter();
        tracks.find(|track| track.config.id == warning.track)
    });
    match (first, track) {
        (Some(_), Some(track)) => not_playable(&track.config),
        _ => CmafError::NoMedia,
    }
}

/// What a track of a codec that is not packaged is refused with.
pub(super) fn not_playable(config: &TrackConfig) -> CmafError {
    match &config.codec {
        CodecConfig::Other(other) if other.is_encrypted() => {
            CmafError::Encrypted { track: config.id }
        }
        codec => CmafError::Unsupported {
            track: config.id,
            codec: codec.name().to_owned(),
            reason: "it cannot be packaged without transcoding".to_owned(),
        },
    }
}

/// Whether an error is about one track alone, so that the others of the file can go without it.
pub(super) fn warning(track: u32, error: &CmafError) -> Option<TrackWarning> {
    match error {
        CmafError::Unsupported { .. }
        | CmafError::EditList { .. }
        | CmafError::Movie(BmffError::Unsupported { .. }) => Some(TrackWarning {
            track,
            reason: error.to_string(),
        }),
        _ => None,
    }
}

/// What an init segment says of its pictures beside their codec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pictures {
    /// Dynamic range.
    pub range: VideoRange,
    /// See [`TrackHead::colour`](super::TrackHead::colour).
    pub colour: [u16; 3],
    /// The codec string for players that see more in them, if there is one
    /// ([`TrackHead::supplemental_codec`](super::TrackHead::supplemental_codec)).
    pub supplemental_codec: Option<String>,
    /// Frames and seconds, if the codec's own configuration says it: of H.264, where frames are equally far apart, or their times are
    /// counted at a usual rate.
    pub frame_rate: Option<(u32, u32)>,
}

/// What `init` says of its pictures. Of what cannot be read: SDR, and nothing.
#[must_use]
pub fn pictures_of(init: &[u8]) -> Pictures {
    let movie = parse_movie(Bytes::copy_from_slice(init));
    let track = movie.ok().and_then(|movie| movie.tracks.into_iter().next());
    let config = track.as_ref().map(|track| &track.config);
    Pictures {
        range: config.map_or(VideoRange::Sdr, video_range),
        colour: config.map_or(UNKNOWN_COLOUR, colour),
        supplemental_codec: config.and_then(|c| c.codec.supplemental().map(str::to_owned)),
        frame_rate: config.and_then(|config| stated_frame_rate(&config.codec)),
    }
}

/// Faster is no frame rate but a clock, as x264 states where frames come at any time.
const FASTEST: u32 = 300;

fn stated_frame_rate(codec: &CodecConfig) -> Option<(u32, u32)> {
    let timing = match codec {
        CodecConfig::Avc(avc) => Sps::parse(avc.sps.first()?)?.timing,
        CodecConfig::Boxed(boxed) if boxed.kind == BoxedKind::Hevc => {
            let sets = hevc::parameter_sets(&boxed.config)?;
            sets.into_iter().find_map(hevc::timing)
        }
        _ => None,
    };
    rate_of(timing?)
}

fn rate_of(timing: Timing) -> Option<(u32, u32)> {
    let rate = (timing.frames, timing.seconds);
    let per_second = timing.frames.checked_div(timing.seconds)?;
    let known = match timing.fixed {
        true => (1..=FASTEST).contains(&per_second),
        false => is_usual(rate),
    };
    known.then_some(rate)
}

/// Code points of a colour of which nothing is known (ISO/IEC 23091-2).
pub const UNKNOWN_COLOUR: [u16; 3] = [2; 3];

/// Primaries, transfer characteristics and matrix coefficients that the container states, or else the codec, each by itself.
pub(super) fn colour(config: &TrackConfig) -> [u16; 3] {
    let points = |colour: Option<Colour>| match colour {
        Some(colour) => [colour.primaries, colour.transfer, colour.matrix],
        None => UNKNOWN_COLOUR,
    };
    let (container, codec) = (points(config.colour), points(config.codec.colour()));
    // 0 is reserved, but for the matrix, where it is RGB.
    let known = |at: usize, point: u16| point != 2 && (point != 0 || at == 2);
    let mut stated = container;
    for (at, (point, other)) in stated.iter_mut().zip(codec).enumerate() {
        if !known(at, *point) {
            *point = if known(at, other) { other } else { 2 };
        }
    }
    stated
}

/// `VIDEO-RANGE` of the transfer characteristics (ISO/IEC 23091-2 §8.2).
pub(super) fn video_range(config: &TrackConfig) -> VideoRange {
    let [_, transfer, _] = colour(config);
    match transfer {
        16 => VideoRange::Pq,
        18 => VideoRange::Hlg,
        _ => VideoRange::Sdr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_no_frame_rate() {
        let rate = |frames, seconds, fixed| {
            rate_of(Timing {
                frames,
                seconds,
                fixed,
            })
        };
        assert_eq!(rate(25, 1, false), Some((25, 1)));
        assert_eq!(rate(30_000, 1001, false), Some((30_000, 1001)));
        assert_eq!(rate(27, 2, true), Some((27, 2)));
        // Milliseconds, and what only some frames are apart.
        assert_eq!(rate(1000, 1, false), None);
        assert_eq!(rate(1000, 1, true), None);
        assert_eq!(rate(27, 2, false), None);
        assert_eq!(rate(1, 2, true), None);
    }
}
