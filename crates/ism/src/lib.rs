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

mod edit;
mod read;
mod write;

pub use edit::with_track;
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
    /// `fragmentsPerHLSSegment` meta: fragments that make one MPEG-2 TS segment.
    pub fragments_per_hls_segment: Option<u32>,
    /// The tracks, in document order.
    pub tracks: Vec<TrackEntry>,
    /// Track elements that are not among them, and why.
    pub warnings: Vec<EntryWarning>,
}

/// A track element that cannot be used. It does not take the others down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryWarning {
    /// Position among the track elements, from 0.
    pub index: usize,
    /// What is wrong, for people.
    pub reason: String,
}

impl ServerManifest {
    /// Whether the tracks are folders of fragments: the archive of a live event, finished or never stopped.
    pub fn is_live_archive(&self) -> bool {
        let formats = self.formats.as_deref().unwrap_or_default();
        ["vod-fmp4", "vod-cmaf", "live-fmp4", "ll-cmaf"]
            .iter()
            .any(|name| formats.eq_ignore_ascii_case(name))
    }
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
    /// `trackIndex`: the `.mpi` beside the file. Its layout is not documented and nothing depends on it.
    pub track_index: Option<String>,
    /// `transcriptsrc`: the document that a packaged text track was made from.
    pub transcript: Option<String>,
    /// `textDisplayName`: label of a text track.
    pub display_name: Option<String>,
    /// `textIsDefault`: a text track is shown unless the viewer objects.
    pub is_default: bool,
    /// `textIsForced`: only what is said in another language than the sound's. Ours; Azure Media Services had no word for it.
    pub is_forced: bool,
    /// `textHlsCharacteristic`: goes into HLS `CHARACTERISTICS`.
    pub hls_characteristics: Option<String>,
    /// `armId`: name of the track in the tracks API.
    pub arm_id: Option<String>,
    /// `outputFlag` of a text track; 3 has been seen for visible ones.
    pub output_flag: Option<u32>,
    /// `Subtype`: `DATA` is a sparse track of messages.
    pub subtype: Option<String>,
    /// `Scheme` of a sparse track's messages, a URN.
    pub scheme: Option<String>,
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
            track_index: None,
            transcript: None,
            display_name: None,
            is_default: false,
            is_forced: false,
            hls_characteristics: None,
            subtype: None,
            scheme: None,
            arm_id: None,
            output_flag: None,
        }
    }

    /// `true` if `src` names a folder of fragments (no extension in its last path segment).
    pub fn is_folder(&self) -> bool {
        let name = self.source.rsplit('/').next().unwrap_or_default();
        !name.contains('.')
    }
}
