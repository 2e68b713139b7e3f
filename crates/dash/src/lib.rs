//! DASH MPDs.
