//! Storage events.
