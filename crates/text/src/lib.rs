//! Timed text: WebVTT (W3C) and TTML (W3C TTML2, IMSC 1.1 text profile) as documents, and cut into the segments of a track.
//!
//! A file beside the media becomes a [`Text`] ([`Text::parse`]). A segment of it is made for a window of a track's
//! timeline, in whatever container the protocol wants:
//!
//! * [`Text::webvtt_segment`]: WebVTT with `X-TIMESTAMP-MAP`, for HLS over MPEG-2 TS.
//! * [`Text::ttml_segment`]: a TTML document, with times of the track or of the segment (Smooth Streaming).
//! * [`mp4`]: `wvtt` and `stpp` tracks of fragmented MP4 (ISO/IEC 14496-30).
//!
//! A cue is in every segment that its time touches, and in no other. In WebVTT segments it keeps its times, as HLS wants
//! it; elsewhere it is cut at the segment's edges, so that no player shows it twice.
//!
//! Both formats are converted into each other: what is kept is text, line breaks, italics, bold, underlines, the eight
//! named colours, and where on the picture the text stands. Text that was packaged into MP4 before is read back. [`thumbnails`] reads the WebVTT of sprite sheets.
//!
//! Left to others: which window, and where the file is (`headwater-origin`).
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod archive;
pub mod captions;
mod convert;
mod document;
mod error;
pub mod mp4;
mod packaged;
mod place;
mod rich;
pub mod thumbnails;
mod time;
pub mod ttml;
pub mod vtt;

pub use document::{Format, MAX_BYTES, Text};
pub use error::{TextError, Warning};
pub use time::{Clock, Span};
pub use ttml::Base;

/// `Content-Type` of WebVTT.
pub const WEBVTT_TYPE: &str = "text/vtt; charset=utf-8";
