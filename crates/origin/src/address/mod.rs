//! Streaming URLs: the grammar of Azure Media Services and MK.IO, as data.
//!
//! ```text
//! /{locator}/{name}.ism/manifest(format=m3u8-cmaf)                                the presentation
//! /{locator}/{name}.ism/QualityLevels(381048)/Manifest(video,format=m3u8-cmaf)    one track's playlist
//! /{locator}/{name}.ism/QualityLevels(381048)/Fragments(video=0,format=m3u8-cmaf) a segment; `=i` the init segment
//! /{locator}/{name}.ism/QualityLevels(381048)/FragmentInfo(video=0)               parts of a Smooth fragment
//! /{locator}/{name}.ism/QualityLevels(381048)/KeyFrames(video=0,format=m3u8-cmaf) its first picture, in every format
//! /{locator}/{name}.ism/time                                                       the origin's clock
//! /{locator}/{file}                                                               a file as it is stored
//! ```
//! Words, option names and values compare case-insensitively; names of manifests, tracks and files do not. Every
//! path element is percent-decoded on its own, so that an encoded slash never makes two elements of one.
//!
//! [`parse()`] reads, [`child`] writes the URLs that manifests contain.

pub mod child;
mod format;
mod options;
mod parse;
mod window;

pub use format::{Format, Protocol, SmoothVersion, TsVersion};
pub use options::{AudioTrack, Encryption, Options};
pub(crate) use parse::TIME;
pub use parse::{MAX_PATH_BYTES, parse};
pub use window::{Clock, Window};

/// What a URL asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The streaming locator's identifier: a UUID, lower case, with hyphens.
    pub locator: String,
    /// What of it.
    pub target: Target,
}

/// The part of a URL after the locator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The manifest of a presentation.
    Manifest {
        /// Server manifest's file name without `.ism`.
        name: String,
        /// Between the parentheses.
        options: Options,
    },
    /// The HLS media playlist of a track.
    MediaPlaylist {
        /// Which track.
        track: TrackAddress,
        /// Between the parentheses.
        options: Options,
    },
    /// An init or media segment of a track.
    Fragment {
        /// Which track.
        track: TrackAddress,
        /// Which segment.
        part: Part,
        /// What of it.
        noun: Noun,
        /// Between the parentheses.
        options: Options,
    },
    /// What time it is, as MPDs refer to it (`urn:mpeg:dash:utc:http-xsdate:2014`).
    Time,
    /// A file of the asset: path relative to the asset, elements joined by `/`.
    File {
        /// Not empty; no empty, `.` or `..` elements.
        path: String,
    },
}

/// How URLs name a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackAddress {
    /// Server manifest's file name without `.ism`.
    pub manifest: String,
    /// `QualityLevels(..)`: the track's bit rate, an identifier.
    pub bitrate: u32,
    /// Stream name, e.g. `video`.
    pub name: String,
}

/// Which segment of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `=i`.
    Init,
    /// The media segment that starts at this many ticks of the track's timescale.
    Start(u64),
}

/// What of a segment: the nouns of Smooth Streaming ([MS-SSTR] §2.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noun {
    /// `Fragments`: all of it.
    Fragments,
    /// `FragmentInfo`: what precedes the media.
    FragmentInfo,
    /// `RawFragments`: the media alone.
    RawFragments,
    /// `KeyFrames`: in Smooth Streaming its sync samples, elsewhere its first picture alone. See ADR 35.
    KeyFrames,
}
