//! Writing boxes: CMAF headers, segments, segment indexes and progressive files.
//!
//! Every function returns whole boxes as bytes and is a function of its arguments only: the same input gives the same
//! bytes, with creation times of zero.

mod boxes;
mod entry;
mod header;
mod progressive;
mod segment;
mod sidx;
mod track;

pub use header::init_segment;
pub use progressive::{ProgressiveSample, ProgressiveTrack, write_progressive};
pub use segment::{SegmentHeader, SegmentSample, segment_header, segment_header_len};
pub use sidx::{SidxReference, sidx, sidx_len};
