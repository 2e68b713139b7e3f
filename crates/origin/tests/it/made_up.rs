//! Films that are made up: their samples depend on no encoder, and have the decoder configurations of a shared file.

use crate::common::media;
use headwater_bmff::write::ProgressiveSample;
use headwater_bmff::{Movie, TrackConfig, TrackKind, parse_movie};
use headwater_time::Timescale;
use std::sync::OnceLock;

fn shared() -> &'static Movie {
    static MOVIE: OnceLock<Movie> = OnceLock::new();
    MOVIE.get_or_init(|| parse_movie(media("bigbuckbunny.mp4")).unwrap())
}

/// How the shared file's track of a kind is decoded, in ticks of another scale.
pub(crate) fn config(kind: TrackKind, scale: u32) -> TrackConfig {
    let mut tracks = shared().tracks.iter();
    let track = tracks.find(|track| track.config.kind == kind).unwrap();
    let mut config = track.config.clone();
    config.timescale = Timescale::new(scale).unwrap();
    config
}

/// A sample that is presented when it is decoded.
pub(crate) fn sample(bytes: &[u8], duration: u32, sync: bool) -> ProgressiveSample<'_> {
    ProgressiveSample {
        bytes,
        duration,
        cto: 0,
        sync,
    }
}

/// Starts and durations of a stream in a Smooth manifest, as a client counts them.
pub(crate) fn chunks(manifest: &str, name: &str) -> Vec<(u64, u64)> {
    let document = roxmltree::Document::parse(manifest).unwrap();
    let mut nodes = document.descendants();
    let stream = nodes
        .find(|node| node.attribute("Name") == Some(name))
        .unwrap();
    let mut found: Vec<(u64, u64)> = Vec::new();
    for chunk in stream.children().filter(|node| node.has_tag_name("c")) {
        let number = |name: &str| {
            chunk
                .attribute(name)
                .map(|value| value.parse::<u64>().unwrap())
        };
        for nth in 0..number("r").unwrap_or(1) {
            let end = found.last().map(|(start, duration)| start + duration);
            let stated = number("t").filter(|_| nth == 0);
            found.push((stated.or(end).unwrap_or(0), number("d").unwrap()));
        }
    }
    found
}
