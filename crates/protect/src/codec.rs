//! How far slice headers reach, which needs the parameter sets that slices refer to.

mod avc;
mod hevc;
mod hevc_sets;

pub use avc::AvcSets;
pub use hevc::HevcSets;
pub(crate) use hevc::nal_type;
