//! ISO base media file format: reading and writing boxes.
