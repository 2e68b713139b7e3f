//! DASH manifests (ISO/IEC 23009-1): snapshot in, text out.
//!
//! [`Mpd::write`] makes a static MPD of one Period with `SegmentTimeline`s, profile `isoff-live` over CMAF segments.
//! [`Recording::write`] makes the MPD of a live presentation, and of what is left of it.
//! The same value gives the same bytes; elements come in the order of the schema.
//!
//! Left to others: where tracks and segments come from, and what their URLs look like (`headwater-origin`).
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod events;
mod live;
mod mpd;
mod text;
mod tiles;
mod timeline;

pub use events::{Event, EventStream, Inband, SIMPLE_SCHEME, SPLICE_SCHEME};
pub use live::{Dynamic, Period, Recording, Timing};
pub use mpd::{
    AccessPoint, AdaptationSet, ContentType, Descriptor, KeyFrames, Mpd, Profile, Representation,
    SegmentTemplate,
};
pub use tiles::TileSet;
pub use timeline::Segment;

/// Value for `Content-Type`.
pub const CONTENT_TYPE: &str = "application/dash+xml";

/// Scheme of `Role` and `Accessibility` values such as `main`, `alternate`, `description`.
pub const ROLE_SCHEME: &str = "urn:mpeg:dash:role:2011";

/// `@schemeIdUri` of `Accessibility` for captions inside of pictures, channels of CEA-608 (SCTE 214-1 §7.2):
/// `CC1=eng;CC3=swe`.
pub const CEA_608_SCHEME: &str = "urn:scte:dash:cc:cea-608:2015";

/// The same for services of CEA-708: `1=lang:eng;2=lang:swe`.
pub const CEA_708_SCHEME: &str = "urn:scte:dash:cc:cea-708:2015";
