//! Storage events in.
