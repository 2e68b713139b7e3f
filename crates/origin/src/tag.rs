//! Entity tags of what the origin makes: a hash of everything the bytes depend on, so that they are known before the
//! bytes are, and the same on every node.

use crate::images::Images;
use crate::presentation::{TextTrack, Track};
use headwater_cmaf::index::FORMAT_VERSION as INDEX_VERSION;
use headwater_text::captions::Captions;

/// Version of the texts that this crate and the playlist writers make. To be raised when their bytes change for the
/// same input.
const FORMAT_VERSION: u16 = 10;

/// FNV-1a, 64 bit: stable over releases of Rust, unlike its standard hasher. Nobody gains by making tags collide.
pub(crate) struct Tag(u64);

impl Tag {
    pub(crate) fn new() -> Self {
        let mut tag = Self(0xcbf2_9ce4_8422_2325);
        tag.number(FORMAT_VERSION.into());
        tag.number(INDEX_VERSION.into());
        tag
    }

    pub(crate) fn number(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    /// With its length, so that two texts never look like one.
    pub(crate) fn text(&mut self, text: &str) {
        self.number(u64::try_from(text.len()).unwrap_or(u64::MAX));
        self.bytes(text.as_bytes());
    }

    /// What a track's segments depend on.
    pub(crate) fn track_bytes(&mut self, track: &Track) {
        self.text(track.index.source_etag());
        self.number(u64::try_from(track.position).unwrap_or(u64::MAX));
    }

    /// What a manifest says of a track.
    pub(crate) fn track(&mut self, track: &Track) {
        self.track_bytes(track);
        self.text(&track.name);
        self.number(track.bitrate.into());
        self.text(track.language.as_deref().unwrap_or_default());
        self.text(track.title.as_deref().unwrap_or_default());
        self.number(u64::from(track.describes_video));
        self.number(u64::from(track.default));
        self.text(track.characteristics.as_deref().unwrap_or_default());
        self.text(track.role.as_deref().unwrap_or_default());
    }

    /// Captions inside of pictures.
    pub(crate) fn captions(&mut self, captions: Option<Captions>) {
        self.text(&captions.map(|known| known.to_word()).unwrap_or_default());
    }

    /// What a text track's segments depend on, besides where they are cut.
    pub(crate) fn text_bytes(&mut self, track: &TextTrack) {
        self.text(&track.document.etag);
        self.text(track.language.as_deref().unwrap_or_default());
    }

    /// What a manifest says of a text track.
    pub(crate) fn text_track(&mut self, track: &TextTrack) {
        self.text_bytes(track);
        self.text(&track.name);
        self.number(track.bitrate.into());
        self.text(track.settings.title.as_deref().unwrap_or_default());
        self.text(
            track
                .settings
                .characteristics
                .as_deref()
                .unwrap_or_default(),
        );
        self.text(track.settings.role.as_deref().unwrap_or_default());
        self.number(u64::from(track.settings.default));
        self.number(u64::from(track.settings.forced));
    }

    /// What is said of sheets of pictures.
    pub(crate) fn images(&mut self, images: &Images) {
        self.text(&images.etag);
        self.number(images.bitrate.into());
    }

    /// The tag, quoted. The version in front is for people who compare tags of two releases.
    pub(crate) fn finish(self) -> String {
        format!("\"hw{FORMAT_VERSION}-{:016x}\"", self.0)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
