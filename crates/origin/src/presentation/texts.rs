//! Text tracks of a presentation: what there is to them before their files are read, and after.

use super::listing::is_inside;
use crate::added::{AddedTrack, TrackSettings};
use crate::address::child::track_name;
use crate::documents::Document;
use crate::index::archive_header;
use crate::language::{bcp47, display_name};
use headwater_ism::TrackEntry;
use headwater_text::{Clock, Format};
use std::sync::Arc;

/// A text track, before its file is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextEntry {
    /// File name, relative to the asset: WebVTT, TTML, or MP4 with one of them; of an archived track that of its movie header,
    /// whether there is one or not.
    pub(crate) file: String,
    /// What was made from the file before, for an asset that has lost it.
    pub(crate) packaged: Option<String>,
    /// Stream name, safe in URLs.
    pub(crate) name: String,
    /// Bit rate for URLs.
    pub(crate) bitrate: Option<u32>,
    pub(crate) settings: TrackSettings,
    /// Name of the track in the API, if the server manifest says.
    added_as: Option<String>,
}

/// Endings of files that text tracks are made from.
const ENDINGS: [&str; 7] = ["vtt", "webvtt", "ttml", "dfxp", "xml", "cmft", "ismt"];

fn is_text(file: &str) -> bool {
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    ENDINGS
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// The language that a file is named after: its name without extension, or the last part of that.
fn language_of(file: &str) -> Option<String> {
    let name = file.rsplit('/').next()?;
    let (stem, _) = name.rsplit_once('.')?;
    let tag = stem.rsplit('.').next()?;
    // A word that no language is called by is a name.
    display_name(&bcp47(tag)?).map(|_| tag.to_owned())
}

impl TextEntry {
    /// What a server manifest's `textstream` says. The document that a packaged track was made from is read rather than
    /// that; a folder holds the fragments of a live archive. `None` for a track that is in none of them.
    pub(super) fn of(entry: &TrackEntry) -> Option<Self> {
        let files = [entry.transcript.as_deref(), Some(entry.source.as_str())];
        let files = files.into_iter().flatten();
        let mut files = files.filter(|file| is_text(file) && is_inside(file));
        let messages = entry.subtype.as_deref();
        let messages = messages.is_some_and(|subtype| subtype.eq_ignore_ascii_case("DATA"));
        let folder = entry.is_folder() && !messages && is_inside(&entry.source);
        let file = match files.next() {
            Some(file) => file.to_owned(),
            None if folder => archive_header(&entry.source),
            None => return None,
        };
        let name = entry.track_name.as_deref().map(track_name);
        Some(Self {
            file,
            packaged: files.next().map(str::to_owned),
            name: name
                .filter(|n| !n.is_empty())
                .unwrap_or_else(|| "text".to_owned()),
            bitrate: entry.bitrate,
            settings: TrackSettings {
                title: entry.display_name.clone().or_else(|| entry.title.clone()),
                language: entry.language.clone(),
                default: entry.is_default,
                forced: entry.is_forced,
                characteristics: entry.hls_characteristics.clone(),
                role: entry.role.clone(),
                // 3 is visible; what else it can be is not known.
                hidden: entry.output_flag == Some(0),
            },
            added_as: entry.arm_id.clone(),
        })
    }

    /// A track that the API has added.
    pub(super) fn added(track: &AddedTrack) -> Self {
        let name = track_name(&track.name);
        Self {
            file: track.file.clone(),
            packaged: None,
            name: if name.is_empty() {
                "text".to_owned()
            } else {
                name
            },
            bitrate: None,
            settings: TrackSettings {
                // AMS's SDKs cannot say the language of a text track; its file's name may: `en.vtt`, `film.pt-BR.vtt`.
                language: track
                    .settings
                    .language
                    .clone()
                    .or_else(|| language_of(&track.file)),
                ..track.settings.clone()
            },
            added_as: Some(track.name.clone()),
        }
    }

    /// The files that an asset without a server manifest has for the presentation `name`: named like it and a language, as
    /// `film.en.vtt` or `film_fr-CA.ttml`.
    pub(super) fn beside(name: &str, files: &[String]) -> Vec<Self> {
        let mut found = Vec::new();
        for file in files.iter().filter(|file| is_text(file)) {
            let stem = file.rsplit_once('.').map_or("", |(stem, _)| stem);
            let tag = stem.strip_prefix(name);
            let tag = tag.and_then(|rest| rest.strip_prefix(['.', '_', '-', ' ']));
            // A tag of the asset's own making would be a word like any other.
            let Some(language) = tag.filter(|tag| bcp47(tag).is_some()) else {
                continue;
            };
            found.push(Self {
                file: file.clone(),
                packaged: None,
                name: format!("text_{}", track_name(language)),
                bitrate: None,
                settings: TrackSettings {
                    language: Some(language.to_owned()),
                    ..TrackSettings::default()
                },
                added_as: None,
            });
        }
        // Of two formats of one language the first is enough.
        found.dedup_by(|a, b| a.name == b.name);
        found
    }

    /// Whether `other` is the same track, as the API and a server manifest both describe it.
    pub(super) fn is(&self, other: &Self) -> bool {
        let added = |entry: &Self| entry.added_as.clone();
        self.file == other.file || (added(self).is_some() && added(self) == added(other))
    }
}

/// A text track of a presentation.
#[derive(Debug, Clone)]
pub(crate) struct TextTrack {
    /// Stream name in URLs.
    pub(crate) name: String,
    /// Bit rate in URLs, bit/s.
    pub(crate) bitrate: u32,
    /// BCP-47.
    pub(crate) language: Option<String>,
    pub(crate) settings: TrackSettings,
    pub(crate) document: Arc<Document>,
}

impl TextTrack {
    pub(crate) fn new(entry: &TextEntry, document: Arc<Document>) -> Self {
        let own = entry.settings.language.as_deref();
        Self {
            name: entry.name.clone(),
            bitrate: entry.bitrate.unwrap_or_else(|| document.bitrate()).max(1),
            language: own.or(document.language.as_deref()).and_then(bcp47),
            settings: entry.settings.clone(),
            document,
        }
    }

    /// Sample entry codes that the track may be carried with.
    pub(crate) fn four_ccs(&self) -> &'static [&'static str] {
        match self.document.text.format() {
            Format::WebVtt => &["wvtt", "stpp"],
            Format::Ttml => &["stpp"],
        }
    }

    /// Whether it says what can be heard, too: for those who cannot.
    pub(crate) fn is_caption(&self) -> bool {
        let stated = self.settings.role.as_deref() == Some("caption");
        stated
            || self.settings.has(&[
                "accessibility.transcribes-spoken-dialog",
                "accessibility.describes-music-and-sound",
            ])
    }
}

/// Where text is cut: along with a track of the media.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid<'a> {
    /// The first video track, else the first audio track, whatever filters leave of them.
    pub(crate) track: &'a super::Track,
    pub(crate) head: &'a headwater_cmaf::index::TrackHead,
    /// Documents' time 0 is where the presentation starts.
    pub(crate) clock: Clock,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_named_after_a_language_is_in_it() {
        for (file, language) in [
            ("en.vtt", Some("en")),
            ("film.pt-BR.ttml", Some("pt-BR")),
            ("captions.vtt", None),
            ("film.xqq.vtt", None),
            ("en", None),
        ] {
            assert_eq!(language_of(file).as_deref(), language, "{file}");
        }
    }

    #[test]
    fn files_named_like_the_presentation_and_a_language_are_its_subtitles() {
        let files = [
            "film.de.vtt",
            "film.mp4",
            "film.vtt",
            "film_en-GB.ttml",
            "film_eng.vtt",
            "film_manifest.vtt",
            "filmfr.vtt",
        ];
        let files: Vec<String> = files.iter().map(|f| (*f).to_owned()).collect();
        let found = TextEntry::beside("film", &files);
        let found: Vec<_> = found
            .iter()
            .map(|t| (t.name.as_str(), t.file.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("text_de", "film.de.vtt"),
                ("text_en-GB", "film_en-GB.ttml"),
                ("text_eng", "film_eng.vtt")
            ]
        );
    }
}
