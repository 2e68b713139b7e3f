//! A track's decoder configuration, from its init segment.

use bytes::Bytes;
use headwater_bmff::{CodecConfig, parse_movie};
use headwater_cmaf::index::TrackHead;

/// `None` if the init segment does not say, which that of a packaged track does.
pub(crate) fn of(head: &TrackHead) -> Option<CodecConfig> {
    let movie = parse_movie(Bytes::copy_from_slice(&head.init)).ok()?;
    let track = movie.tracks.into_iter().find(|t| t.config.id == head.id)?;
    Some(track.config.codec)
}
