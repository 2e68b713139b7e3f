//! A presentation: the tracks that a server manifest lists, with what their files say of them.
//!
//! [`Listing`] is the server manifest, or the one that an asset without would have; [`Presentation`] joins it with the
//! packaging indexes and settles how tracks are addressed: the stream name and the bit rate of the URL, unique
//! together.

mod find;
mod listing;
mod texts;

pub use find::LeftOut;
pub(crate) use find::{LIST_LIMIT, find};
pub(crate) use listing::{Entry, Listing, is_inside};
pub(crate) use texts::{Grid, TextEntry, TextTrack};

use crate::address::AudioTrack;
use crate::error::{Code, OriginError};
use crate::index::LoadedIndex;
use crate::language::bcp47;
use crate::transport;
use headwater_cmaf::index::{TrackHead, TrackKind, default_name};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// One track of a presentation.
#[derive(Debug, Clone)]
pub(crate) struct Track {
    /// The index of its file.
    pub(crate) index: Arc<LoadedIndex>,
    /// Which of the index's tracks.
    pub(crate) position: usize,
    /// Stream name in URLs.
    pub(crate) name: String,
    /// Bit rate in URLs, bit/s; unique among the tracks of the same name.
    pub(crate) bitrate: u32,
    /// BCP-47.
    pub(crate) language: Option<String>,
    /// For people, as the server manifest has it.
    pub(crate) title: Option<String>,
    /// Audio description.
    pub(crate) describes_video: bool,
    /// Chosen when the viewer has no preference.
    pub(crate) default: bool,
    /// HLS `CHARACTERISTICS`, if they are stated.
    pub(crate) characteristics: Option<String>,
    /// DASH `Role`, if it is stated.
    pub(crate) role: Option<String>,
    /// Fragments to a segment of HLS over MPEG-2 TS, if the server manifest says.
    pub(crate) fragments_per_hls_segment: Option<u32>,
}

impl Track {
    /// What the index says of the track.
    pub(crate) fn head(&self) -> Result<&TrackHead, OriginError> {
        self.index
            .head()
            .tracks
            .get(self.position)
            .ok_or_else(|| OriginError::new(Code::Internal, "the packaging index lost a track"))
    }
}

/// Everything that can be played together.
#[derive(Debug, Clone)]
pub(crate) struct Presentation {
    /// Video tracks, in the order of the server manifest.
    pub(crate) videos: Vec<Track>,
    /// Audio tracks, in the order of the server manifest.
    pub(crate) audios: Vec<Track>,
    /// Text tracks. They are cut along with the media, so there are none without.
    pub(crate) texts: Vec<TextTrack>,
}

impl Presentation {
    /// Joins `listing` with `files`, the indexes of the files it names. Entries whose file has no track of their kind
    /// that we can package are left out: one unplayable track does not take the others down.
    ///
    /// Errors: `FormatNotSupported` if nothing is left.
    pub(crate) fn build(
        listing: &Listing,
        files: &HashMap<String, Arc<LoadedIndex>>,
    ) -> Result<Self, OriginError> {
        let mut presentation = Self {
            videos: Vec::new(),
            audios: Vec::new(),
            texts: Vec::new(),
        };
        let mut taken: HashSet<(String, usize)> = HashSet::new();
        let mut addresses: HashSet<(String, u32)> = HashSet::new();
        for entry in &listing.entries {
            let Some(index) = files.get(&entry.file) else {
                continue;
            };
            for position in matching(entry, &index.head().tracks, &taken) {
                let Some(head) = index.head().tracks.get(position) else {
                    continue;
                };
                taken.insert((entry.file.clone(), position));
                // Encoders tag pictures with whatever language they were set to; only the server manifest is believed.
                let language = match (&entry.settings.language, head.kind) {
                    (Some(language), _) => language.clone(),
                    (None, TrackKind::Audio) => head.language.clone(),
                    (None, TrackKind::Video | TrackKind::Text) => String::new(),
                };
                let mut bitrate = entry.bitrate.unwrap_or(head.bitrate).max(1);
                let name = match &entry.name {
                    Some(name) => name.clone(),
                    None => default_name(head, &language, bitrate),
                };
                while !addresses.insert((name.clone(), bitrate)) {
                    bitrate = bitrate.wrapping_add(1);
                }
                let track = Track {
                    index: Arc::clone(index),
                    position,
                    name,
                    bitrate,
                    language: bcp47(&language),
                    title: entry.settings.title.clone(),
                    describes_video: entry.describes_video,
                    default: entry.settings.default,
                    characteristics: entry.settings.characteristics.clone(),
                    role: entry.settings.role.clone(),
                    fragments_per_hls_segment: listing.fragments_per_hls_segment,
                };
                match head.kind {
                    TrackKind::Video => presentation.videos.push(track),
                    TrackKind::Audio => presentation.audios.push(track),
                    // No listing asks for it.
                    TrackKind::Text => {}
                }
            }
        }
        if presentation.videos.is_empty() && presentation.audios.is_empty() {
            return Err(OriginError::new(
                Code::FormatNotSupported,
                "the asset has no track that can be streamed (H.264 video or AAC audio)",
            ));
        }
        Ok(presentation)
    }

    /// All tracks, video first.
    pub(crate) fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.videos.iter().chain(&self.audios)
    }

    /// The audio track that goes with the video in a transport stream, where only one can: the one asked for, else the one
    /// that the owner chose, else the first that is no audio description, of those that such a stream carries.
    ///
    /// Errors: 404 if there is none of that name.
    pub(crate) fn audio_with_video(
        &self,
        wanted: Option<&AudioTrack>,
    ) -> Result<Option<Track>, OriginError> {
        match wanted {
            Some(AudioTrack::Silent) => Ok(None),
            None => {
                let carried = |track: &&Track| track.head().is_ok_and(transport::carries);
                let all = || self.audios.iter().filter(carried);
                let chosen = all().find(|track| track.default);
                let plain = || all().find(|track| !track.describes_video);
                Ok(chosen.or_else(plain).or(all().next()).cloned())
            }
            Some(AudioTrack::Named(name)) => match self.audios.iter().find(|t| t.name == *name) {
                Some(track) => Ok(Some(track.clone())),
                None => Err(OriginError::new(
                    Code::EgressTrackNotFound,
                    "the presentation has no audio track of this name",
                )),
            },
        }
    }

    /// The track that a URL names.
    pub(crate) fn find(&self, name: &str, bitrate: u32) -> Result<&Track, OriginError> {
        let mut known = false;
        for track in self.tracks().filter(|t| t.name == name) {
            known = true;
            if track.bitrate == bitrate {
                return Ok(track);
            }
        }
        Err(if known {
            OriginError::new(
                Code::ManifestMediaEntryNotFound,
                "the track does not exist at this bit rate",
            )
        } else {
            OriginError::new(
                Code::EgressTrackNotFound,
                "the presentation has no track of this name",
            )
        })
    }
}

/// Which tracks of its file an entry stands for, by position.
///
/// With a `trackID`, that one; without, the first of the entry's kind that no other entry has taken. An entry of any
/// kind (assets without a server manifest) stands for all tracks.
fn matching(entry: &Entry, tracks: &[TrackHead], taken: &HashSet<(String, usize)>) -> Vec<usize> {
    let free = |at: usize| !taken.contains(&(entry.file.clone(), at));
    let mut candidates = tracks.iter().enumerate().filter(|(_, t)| {
        entry.kinds.includes(t.kind) && entry.track_id.is_none_or(|id| id == t.id)
    });
    if entry.all_tracks {
        candidates
            .map(|(at, _)| at)
            .filter(|at| free(*at))
            .collect()
    } else {
        candidates
            .find(|(at, _)| free(*at))
            .map(|(at, _)| at)
            .into_iter()
            .collect()
    }
}

/// Entries whose file has nothing for them.
pub(crate) fn without_track(
    listing: &Listing,
    loaded: &HashMap<String, Arc<LoadedIndex>>,
) -> Vec<LeftOut> {
    let mut left_out = Vec::new();
    for (at, entry) in listing.entries.iter().enumerate() {
        let Some(index) = loaded.get(&entry.file) else {
            continue;
        };
        let same = |other: &&Entry| {
            other.file == entry.file
                && other.kinds == entry.kinds
                && other.track_id == entry.track_id
        };
        let before = listing.entries.iter().take(at).filter(same).count();
        let fitting = index.head().tracks.iter().filter(|track| {
            entry.kinds.includes(track.kind) && entry.track_id.is_none_or(|id| id == track.id)
        });
        let enough = fitting.count() > if entry.all_tracks { 0 } else { before };
        let warned = index.head().warnings.iter();
        let said = warned.filter(|w| entry.track_id == Some(w.track)).count() > 0;
        if !enough && !said {
            left_out.push(LeftOut {
                file: entry.file.clone(),
                track: entry.track_id,
                reason: "the file has no such track that can be packaged".to_owned(),
            });
        }
    }
    left_out
}
