//! HLS playlists (draft-pantos-hls-rfc8216bis): snapshot in, text out.
//!
//! [`Multivariant::write`] makes the multivariant ("master") playlist, [`MediaPlaylist::write`] a VOD media playlist
//! over fragmented MP4. Both are complete descriptions: the same value gives the same bytes.
//!
//! Left to others: where tracks and segments come from, and what their URLs look like (`headwater-origin`). URLs
//! given here are written as they are, so they must already be percent-encoded.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod live;
mod media;
mod multivariant;
mod text;

pub use live::{LivePart, LivePlaylist, LiveSegment, LowLatency, RenditionReport, Skip};
pub use media::{MediaPlaylist, Segment};
pub use multivariant::{Audio, AudioGroup, Multivariant, Video, VideoRange};

/// Value for `Content-Type` (§10 of the draft). `application/x-mpegURL` is not legal.
pub const CONTENT_TYPE: &str = "application/vnd.apple.mpegurl";

/// `EXT-X-VERSION` of both kinds: `EXT-X-MAP` in a playlist of whole segments needs 6 (§8). A multivariant playlist
/// of its own would need 1; it says what its media playlists need, so that an old client stops there.
const VERSION: &str = "6";

/// §4.4.2.1; in a multivariant playlist it speaks for all segments of all media playlists.
const INDEPENDENT_SEGMENTS: &str = "#EXT-X-INDEPENDENT-SEGMENTS\n";
