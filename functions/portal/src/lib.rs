//! The portal's files.
