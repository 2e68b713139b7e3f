//! Which track a stream is, and how a new one is called.
//!
//! Addresses of tracks are a name and a bit rate. The first stream of a kind and a bit rate is called by the kind, `audio`; one that is
//! something else is `audio-2`, and so on. So one name has sound of one language, and a track has samples at one rate.

use crate::timeline::{Timeline, TrackIndex};

/// Where a stream goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Known(TrackIndex),
    /// A new track of this name.
    New(String),
}

/// Two languages are stated, and are not the same.
fn differ(known: Option<&str>, stated: Option<&str>) -> bool {
    match (known, stated) {
        (Some(known), Some(stated)) => !known.eq_ignore_ascii_case(stated),
        _ => false,
    }
}

/// The place of a stream of this `name` (without a dash), bit rate and language among the tracks. `fits`: whether it can be that track
/// at all.
///
/// A track of the same language comes first. Next is one where either has none: who says it may come after who does not, as after
/// silence that was filled in, or by RTMP beside SRT.
pub(super) fn place(
    timeline: &Timeline,
    (name, bitrate): (&str, u32),
    language: Option<&str>,
    fits: impl Fn(TrackIndex) -> bool,
) -> Place {
    let base = name.split('-').next().unwrap_or_default();
    let mut likely = None;
    let mut called = name.to_owned();
    for again in 2_u32.. {
        let mut others = timeline.tracks.iter().filter(|track| track.name == called);
        let other = others.any(|track| differ(track.language.as_deref(), language));
        let index = timeline.find(&called, bitrate);
        if index.is_none() && !other {
            break;
        }
        if let Some(index) = index.filter(|index| fits(*index)) {
            let track = timeline.tracks.get(usize::from(index));
            let known = track.and_then(|track| track.language.as_deref());
            let same = match (known, language) {
                (Some(known), Some(stated)) => known.eq_ignore_ascii_case(stated),
                (known, stated) => known == stated,
            };
            if same {
                return Place::Known(index);
            }
            if !other {
                likely = likely.or(Some(index));
            }
        }
        called = format!("{base}-{again}");
    }
    likely.map_or(Place::New(called), Place::Known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Kind;
    use crate::timeline::Track;

    fn timeline(tracks: &[(&str, u32, Option<&str>)]) -> Timeline {
        let tracks = tracks.iter().map(|(name, bitrate, language)| Track {
            kind: Kind::Audio,
            name: (*name).to_owned(),
            bitrate: *bitrate,
            language: language.map(str::to_owned),
            configs: Vec::new(),
        });
        Timeline {
            tracks: tracks.collect(),
            ..Timeline::default()
        }
    }

    #[test]
    fn a_name_has_one_language() {
        let new = |name: &str| Place::New(name.to_owned());
        let known = [
            ("audio", 128_000, Some("eng")),
            ("audio-2", 128_000, Some("deu")),
            ("audio-3", 128_000, None),
        ];
        let known = timeline(&known);
        let of = |rate, language| place(&known, ("audio", rate), language, |_| true);
        assert_eq!(of(128_000, Some("eng")), Place::Known(0));
        assert_eq!(of(128_000, Some("DEU")), Place::Known(1));
        // One that states none is the track that states none, before one that states some.
        assert_eq!(of(128_000, None), Place::Known(2));
        // That one comes to have a language.
        assert_eq!(of(128_000, Some("fra")), Place::Known(2));
        // Another bit rate of the same language has its name.
        assert_eq!(of(64_000, Some("eng")), new("audio"));
        assert_eq!(of(64_000, Some("deu")), new("audio-2"));
        assert_eq!(of(64_000, Some("fra")), new("audio-3"));
        assert_eq!(of(64_000, None), new("audio"));
        // What it cannot be, as another of the same encoder is.
        let of = |language, but: &[TrackIndex]| {
            place(&known, ("audio", 128_000), language, |at| {
                !but.contains(&at)
            })
        };
        assert_eq!(of(None, &[2]), Place::Known(0));
        assert_eq!(of(None, &[0, 1, 2]), new("audio-4"));
        assert_eq!(of(Some("fra"), &[2]), new("audio-4"));
        let empty = Timeline::default();
        let first = place(&empty, ("audio", 1), Some("eng"), |_| true);
        assert_eq!(first, new("audio"));
    }
}
