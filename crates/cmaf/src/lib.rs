//! CMAF tracks and the packaging index.
