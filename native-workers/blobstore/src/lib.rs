//! The embedded blob store.
