//! The transcoder: uploaded files become CMAF track files that every player can play.
//!
//! [`run`] is the worker. It claims jobs from the control plane ([`worker`], [`api`]) and lets an [`engine`] make their
//! outputs: the [`builtin`] engine with our own demuxer, OpenH264 and FDK AAC, or where it is installed the [`mod@ffmpeg`]
//! engine with everything else; [`auto`] chooses. The way of a job through the built-in engine:
//!
//! ```text
//! source (range reads) ─> analysis (tracks, edit lists) ─> plan (ladder, segments, chunks)
//!        │
//!        └─ feed ─> video: decode once ─> scale step by step ─> encode every rendition ─┐
//!                └> audio: decode ─> mix, resample ─> encode, or copy ──────────────────┴─> output (blocks, index, .ism)
//! ```
//!
//! Chunks are independent of each other, so any number of them can be worked on at a time, by any worker, in any order,
//! and the bytes are the same. What is not here: deciding which job is next (the API), and packaging (the origin).

pub mod aac;
pub mod analysis;
pub mod api;
pub mod audio;
pub mod auto;
pub mod builtin;
pub mod colour;
pub mod compare;
pub mod demo;
pub mod division;
pub mod engine;
pub mod failure;
pub mod feed;
pub mod ffmpeg;
pub mod h264;
mod inserter;
mod jitter;
pub mod ladder;
pub mod output;
pub mod picture;
pub mod plan;
pub mod poster;
pub mod preset;
pub mod remote;
pub mod retry;
pub mod scale;
pub mod slots;
pub mod sniff;
pub mod source;
pub mod storage;
pub mod timeline;
pub mod video;
pub mod worker;

pub use demo::demo_source;
pub use tokio_util::sync::CancellationToken;
pub use worker::{WorkerConfig, WorkerError, run, run_with};
