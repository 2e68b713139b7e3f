//! Keys and their signalling as a document between whoever makes them and whoever packages (DASH-IF CPIX 2.3).
//!
//! Written and read: content keys in the clear, DRM systems, key periods and usage rules. Encrypted keys and signatures are
//! refused by name, since ignoring them would mean packaging with a key that is not one. A document travels over TLS.

mod read;
mod rules;
mod write;

pub use rules::{Media, RuleError};

use crate::{Key, Kid, Scheme};
use uuid::Uuid;

/// Longest document that is read.
pub const MAX_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;
/// Most members of each list.
pub const MAX_MEMBERS: usize = 1000;

/// A CPIX document.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cpix {
    /// What the keys are for.
    pub content_id: Option<String>,
    /// Of the specification: `2.3`.
    pub version: Option<String>,
    /// The keys.
    pub keys: Vec<ContentKey>,
    /// What key systems are told about them.
    pub systems: Vec<DrmSystem>,
    /// When keys that rotate are used.
    pub periods: Vec<KeyPeriod>,
    /// What each key is for.
    pub rules: Vec<UsageRule>,
}

/// A content key.
#[derive(Debug, Clone, PartialEq)]
pub struct ContentKey {
    /// Its id.
    pub kid: Kid,
    /// The key; `None` in requests.
    pub value: Option<Key>,
    /// The constant vector that goes with it.
    pub explicit_iv: Option<[u8; 16]>,
    /// What it encrypts.
    pub scheme: Option<Scheme>,
}

/// What one key system is told about one key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DrmSystem {
    /// The key.
    pub kid: Option<Kid>,
    /// See [`crate::pssh::system`].
    pub system: Uuid,
    /// A whole `pssh` box.
    pub pssh: Option<Vec<u8>>,
    /// Children of the MPD's `ContentProtection`, checked to be well-formed XML.
    pub content_protection: Option<String>,
    /// Tags of media playlists, one a line.
    pub hls_media: Option<String>,
    /// Tags of master playlists.
    pub hls_master: Option<String>,
    /// Of Smooth manifests.
    pub smooth_header: Option<String>,
}

/// A crypto period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPeriod {
    /// By which rules refer to it.
    pub id: String,
    /// Of all periods.
    pub index: Option<u64>,
    /// XML date and time.
    pub start: Option<String>,
    /// XML date and time.
    pub end: Option<String>,
}

/// Which tracks a key is for. Filters of one kind: any of them; kinds: all of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UsageRule {
    /// The key.
    pub kid: Option<Kid>,
    /// `VIDEO`, `AUDIO`, `SD`, …, `ALL`, joined by `+`.
    pub intended_track_type: Option<String>,
    /// Ids of periods.
    pub periods: Vec<String>,
    /// Labels of tracks.
    pub labels: Vec<String>,
    /// Kinds of video.
    pub video: Vec<VideoFilter>,
    /// Kinds of audio.
    pub audio: Vec<AudioFilter>,
    /// Bit rates, lowest and highest, in bits per second.
    pub bitrate: Vec<(Option<u64>, Option<u64>)>,
}

/// Limits include their values, but for the lower limit of frame rates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VideoFilter {
    /// Least width × height.
    pub min_pixels: Option<u64>,
    /// Most width × height.
    pub max_pixels: Option<u64>,
    /// High dynamic range.
    pub hdr: Option<bool>,
    /// Wide colour gamut.
    pub wcg: Option<bool>,
    /// More than so many frames per second.
    pub min_fps: Option<u64>,
    /// At most so many.
    pub max_fps: Option<u64>,
}

/// Limits include their values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AudioFilter {
    /// Fewest channels.
    pub min_channels: Option<u64>,
    /// Most channels.
    pub max_channels: Option<u64>,
}

#[cfg(test)]
mod tests;
