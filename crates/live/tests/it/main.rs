//! The engine of an event, driven by encoders in simulated time.

mod cues;
mod engine;
mod filling;
mod group;
mod languages;
mod support;
