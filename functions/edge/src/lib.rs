//! Adapters between Spin and the pure crates.
