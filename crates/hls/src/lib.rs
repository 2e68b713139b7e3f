//! HLS playlists (draft-pantos-hls-rfc8216bis): snapshot in, text out.
//!
//! [`Multivariant::write`] makes the multivariant ("master") playlist, [`MediaPlaylist::write`] a VOD media playlist
//! over fragmented MP4 or MPEG-2 TS, or an I-frame playlist over either. Both are complete descriptions: the same value gives the same bytes.
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

mod captions;
mod cues;
mod images;
mod live;
mod media;
mod multivariant;
mod subtitles;
mod text;

pub use captions::{ClosedCaption, ClosedCaptions, InstreamId};
pub use cues::{CueTag, DateRange, SpliceKind};
pub use images::{ImagePlaylist, Images};
pub use live::{LiveKeys, LivePart, LivePlaylist, LiveSegment, LowLatency, RenditionReport, Skip};
pub use media::{KeyFrame, Listed, MediaPlaylist, Segment};
pub use multivariant::{Audio, AudioGroup, AudioPlace, KeyFrames, Multivariant, Video, VideoRange};
pub use subtitles::Subtitles;

/// Value for `Content-Type` (§10 of the draft). `application/x-mpegURL` is not legal.
pub const CONTENT_TYPE: &str = "application/vnd.apple.mpegurl";

/// Values of `EXT-X-VERSION` (§8). A multivariant playlist of its own would need 1; it says what its media playlists need,
/// so that an old client stops there.
pub mod version {
    /// Decimal durations: MPEG-2 TS, audio with the video.
    pub const DECIMAL_DURATIONS: u8 = 3;
    /// I-frame playlists and byte ranges; audio in renditions.
    pub const KEY_FRAMES: u8 = 4;
    /// `EXT-X-MAP` in a playlist of whole segments: fragmented MP4.
    pub const INIT_SEGMENTS: u8 = 6;
    /// `KEYFORMAT`, and keys of samples.
    pub const KEY_FORMATS: u8 = 5;
    /// What live presentations with ad signals were served as.
    pub const VARIABLES: u8 = 8;
    /// `EXT-X-GAP`.
    pub const GAPS: u8 = 8;
    /// `EXT-X-SKIP`.
    pub const SKIPPED: u8 = 9;
}

/// §4.4.2.1; in a multivariant playlist it speaks for all segments of all media playlists.
const INDEPENDENT_SEGMENTS: &str = "#EXT-X-INDEPENDENT-SEGMENTS\n";

/// §4.4.3.6.
const I_FRAMES_ONLY: &str = "#EXT-X-I-FRAMES-ONLY\n";
