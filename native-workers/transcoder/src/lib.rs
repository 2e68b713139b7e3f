//! The transcoder.
