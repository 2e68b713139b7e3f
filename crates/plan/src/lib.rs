//! The plan of bytes.
