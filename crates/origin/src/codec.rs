//! A track's decoder configuration, from its init segment.

use bytes::Bytes;
use headwater_bmff::{CodecConfig, parse_movie};
use headwater_cmaf::index::TrackHead;

/// Whether `wanted`, as a filter, a policy or a key has it, is the code of a sample entry. Those of HEVC are one: which of them a file
/// has is no matter of what is in it, and both are served as `hvc1`.
pub(crate) fn is_code(code: &str, wanted: &str) -> bool {
    let is_hevc = |code: &str| {
        ["hvc1", "hev1"]
            .iter()
            .any(|hevc| hevc.eq_ignore_ascii_case(code))
    };
    code.eq_ignore_ascii_case(wanted) || is_hevc(code) && is_hevc(wanted)
}

/// What an init segment tells a player.
pub(crate) struct Decoder {
    pub(crate) config: CodecConfig,
    /// Ticks that the track's edit list takes off every presentation time: how long pictures that are decoded early wait.
    /// Containers without edit lists have to take it off themselves.
    pub(crate) delay: u64,
}

impl Decoder {
    /// `None` if the init segment does not say, which that of a packaged track does.
    pub(crate) fn of(head: &TrackHead) -> Option<Self> {
        let movie = parse_movie(Bytes::copy_from_slice(&head.init)).ok()?;
        let track = movie.tracks.into_iter().find(|t| t.config.id == head.id)?;
        let edits = track.edits.entries.iter();
        Some(Self {
            delay: edits.filter_map(|edit| edit.media_time).next().unwrap_or(0),
            config: track.config.codec,
        })
    }
}
