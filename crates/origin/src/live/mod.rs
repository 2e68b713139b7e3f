//! Recordings: while they are made, and afterwards, when the same URLs are a film.
//!
//! ```text
//! newest rows, growing segments  <- the worker that runs the event (headwater_live::edge)
//! everything else                <- storage: {manifest}.live/head and pages, {track}/{start}
//! ```
//!
//! [`show`] is the snapshot that a request is answered from: the rows of its window, whoever had them; [`runs`] has a track's
//! rows as segments. [`hls`], [`dash`] and
//! [`smooth`] say it in the words of players, [`texts`] what was added to a recording, [`media`] is what segments are made from. Numbers and times are the timeline's own, so two nodes that ask at the same moment give
//! the same bytes. Reading is in `serve::live`.

pub(crate) mod cues;
pub(crate) mod dash;
pub(crate) mod hls;
pub(crate) mod media;
pub(crate) mod messages;
pub(crate) mod runs;
pub(crate) mod show;
pub(crate) mod smooth;
pub(crate) mod texts;

use crate::endpoints;
use headwater_live::group::RowsPerSegment;
use headwater_work::live::IpRange;
use std::fmt;
use std::net::IpAddr;

/// What records an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broadcast {
    /// The event's id, as the worker knows it.
    pub event: String,
    /// Server manifest's file name without `.ism`.
    pub manifest: String,
    /// The worker that has the newest moments, while there is one.
    pub edge: Option<Edge>,
    /// What is older is deleted.
    pub archive_ms: u64,
    /// How far back viewers may go. `None`: as far as the archive.
    pub rewind_ms: Option<u64>,
    /// What segments of transport streams hold, until there is a recording that says it.
    pub rows_per_segment: RowsPerSegment,
    /// A preview: shows what the worker has in memory, and nothing is in storage. Who may look: an address has to be in one of
    /// the ranges.
    pub preview: Option<Vec<IpRange>>,
}

/// The manifest's name in a preview's URLs.
pub const PREVIEW: &str = "preview";

impl Broadcast {
    /// Whether a client may look. `client`: its address, if the host tells.
    pub(crate) fn admits(&self, client: Option<IpAddr>) -> bool {
        self.preview
            .as_ref()
            .is_none_or(|allowed| endpoints::admits(allowed, client))
    }
}

/// A worker's private listener. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Edge {
    /// `http://10.0.0.7:9500`
    pub url: String,
    /// What a request shows.
    pub secret: String,
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}
