//! Reading files.
//!
//! [`pull`] finds the boxes of the top level by range requests; the other modules each read one box or family of boxes
//! from memory, through the checked [`cursor`].

mod cursor;
mod entry;
mod esds;
mod fragment_places;
mod matrices;
mod moof;
mod moov;
mod outline;
mod places;
mod pull;
mod stbl;
mod trak;
mod walk;
mod window;

pub use fragment_places::{MFRO_LEN, mfra_len, mfra_places, sidx_places};
pub use matrices::matrix_places;
pub use outline::{MovieOutline, OutlineReader, OutlineStep, OutlineTrack};
pub use pull::{Limits, MovieReader, Step, parse_movie};
pub use walk::{TrackWalk, WalkFields, WalkStep};
