//! The origin over presentations in memory and over real files: one module per part.

mod again;
mod air;
mod archives;
mod captions;
mod common;
mod compressed;
mod filters;
mod formats;
mod fragments;
mod golden;
mod gstreamer;
mod hdr;
mod ladder;
mod live;
mod live_begins;
mod live_captions;
mod live_cues;
mod live_formats;
mod live_metadata;
mod live_periods;
mod live_protected;
mod live_rotation;
mod live_runs;
mod live_texts;
mod made_up;
mod matrix;
mod packaged_texts;
mod playback;
mod protection;
#[path = "../../../dash/tests/schema/mod.rs"]
mod schema;
mod sealed;
mod serving;
mod tables;
mod texts;
mod tiling;
