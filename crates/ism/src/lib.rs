//! The server manifest (`.ism`): which files of an asset are tracks of one presentation.
//!
//! A SMIL 2.0 document (W3C, namespace `http://www.w3.org/2001/SMIL20/Language`) in the dialect of Smooth Streaming
//! and Azure Media Services: `head/meta` says what kind of files they are, `body/switch` has one `video`, `audio` or
//! `textstream` element per track. [`parse`] reads what encoders and people wrote, [`write()`] writes our own.
//!
//! Left to others: opening the files named here, and filling in what the manifest leaves out (bitrate, track
//! identifier, names); see `headwater-origin`.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod read;
mod write;

pub use read::{IsmError, MAX_BYTES, MAX_TRACKS, parse};
pub use write::write;

/// `formats` of an asset whose tracks are CMAF track files (ISO/IEC 23000-19 §7.3.3): one track a file, fragmented,
/// `sidx` in front. What our transcoder writes.
///
/// None of the values that Azure Media Services used says this: `mp4` and `mp4-v3` are progressive files, `fmp4` is
/// Smooth (`.ismv`), `vod-cmaf` is a folder of fragments. A reader that knows only those should refuse the asset
/// rather than look for `.mpi` files or folders.
pub const FORMATS_CMAF: &str = "cmaf";

/// A server manifest, in document order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerManifest {
    /// `formats` meta, verbatim: `mp4`, `mp4-v3`, `fmp4`, `vod-fmp4`, `vod-cmaf`, `cmaf`, ... `None` when absent,
    /// which by convention means Smooth files (`fmp4`).
    pub formats: Option<String>,
    /// `clientManifestRelativePath` meta: file name of the `.ismc`, if one is claimed.
    pub client_manifest: Option<String>,
    /// `fragmentsPerHLSSegment` meta: fragments that a segment of HLS over MPEG-2 TS has. Not 0.
    pub fragments_per_segment: Option<u32>,
    /// The tracks, in document order.
    pub tracks: Vec<TrackEntry>,
}

/// What a track element says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntryKind {
    /// `video`.
    Video,
    /// `audio`.
    Audio,
    /// `textstream`.
    Text,
    /// `ref`: a media object of unsaid type (sparse and control tracks). No player gets it.
    Reference,
}

/// One track element. Absent attributes and params are `None`, never guessed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackEntry {
    /// The element's name.
    pub kind: EntryKind,
    /// `src`: file name relative to the manifest; without an extension it names a folder (live archives).
    pub source: String,
    /// `systemBitrate`, bit/s: the quality level's identifier in URLs.
    pub bitrate: Option<u32>,
    /// `systemLanguage`, verbatim (ISO 639-2 or BCP-47). Any capitalisation of the attribute's name is read.
    pub language: Option<String>,
    /// `title`: display name in hand-made manifests.
    pub title: Option<String>,
    /// `trackID`: MP4 track identifier inside `source`.
    pub track_id: Option<u32>,
    /// `trackName`: stream name in URLs, verbatim.
    pub track_name: Option<String>,
    /// `accessibility`: `description` marks audio description.
    pub accessibility: Option<String>,
    /// `role`: `alternate` goes with audio description.
    pub role: Option<String>,
}

impl TrackEntry {
    /// An entry that names only its file; fill in the rest by field.
    pub fn new(kind: EntryKind, source: impl Into<String>) -> Self {
        Self {
            kind,
            source: source.into(),
            bitrate: None,
            language: None,
            title: None,
            track_id: None,
            track_name: None,
            accessibility: None,
            role: None,
        }
    }

    /// `true` if `src` names a folder of fragments (no extension in its last path segment).
    pub fn is_folder(&self) -> bool {
        let name = self.source.rsplit('/').next().unwrap_or_default();
        !name.contains('.')
    }
}
