//! How far slice headers reach, which needs the parameter sets that slices refer to; where the tiles of AV1 are.

mod av1;
mod av1_bits;
mod av1_frame;
mod av1_rest;
mod av1_sequence;
mod av1_tiles;
mod avc;
mod hevc;
mod hevc_sets;

pub use av1::Av1State;
pub use avc::AvcSets;
pub use hevc::HevcSets;
pub(crate) use hevc::nal_type;
