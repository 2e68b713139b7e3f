//! Reading files.
//!
//! [`pull`] finds the boxes of the top level by range requests; the other modules each read one box or family of boxes
//! from memory, through the checked [`cursor`].

mod cursor;
mod entry;
mod esds;
mod moof;
mod moov;
mod pull;
mod stbl;
mod trak;

pub use pull::{Limits, MovieReader, Step, parse_movie};
