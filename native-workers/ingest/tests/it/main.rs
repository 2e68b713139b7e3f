//! The ingest worker between encoders, a control plane and a store: what is published, recorded, refused, and left after a fall.

mod cues;
mod encoding;
mod faults;
mod filling;
mod killed;
mod languages;
mod publishing;
mod support;
