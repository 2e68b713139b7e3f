//! Which files make up a presentation: read from a server manifest, or made up for an asset that has none.

use super::LeftOut;
use super::texts::TextEntry;
use crate::added::{AddedKind, AddedTrack, TrackSettings};
use crate::address::child::track_name;
use crate::index::{archive_folder, archive_header};
use headwater_cmaf::index::TrackKind;
use headwater_ism::{EntryKind, ServerManifest};

/// The tracks of a presentation, before their files are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Listing {
    pub(crate) entries: Vec<Entry>,
    /// `fragmentsPerHLSSegment`.
    pub(crate) fragments_per_hls_segment: Option<u32>,
    /// Folders of CMAF fragments: what a live output leaves.
    pub(crate) recording: bool,
    /// Text tracks, each with a name of its own.
    pub(crate) texts: Vec<TextEntry>,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// File name, relative to the asset; of an archived track that of its movie header.
    pub(crate) file: String,
    /// Which kinds of track it stands for.
    pub(crate) kinds: Kinds,
    /// Every track of those kinds, rather than the first.
    pub(crate) all_tracks: bool,
    /// MP4 track identifier in the file.
    pub(crate) track_id: Option<u32>,
    /// Stream name, safe in URLs.
    pub(crate) name: Option<String>,
    /// Bit rate for URLs.
    pub(crate) bitrate: Option<u32>,
    /// What players are told.
    pub(crate) settings: TrackSettings,
    pub(crate) describes_video: bool,
}

/// A set of track kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kinds {
    Video,
    Audio,
    Both,
}

impl Kinds {
    pub(crate) fn includes(self, kind: TrackKind) -> bool {
        match self {
            Self::Both => kind != TrackKind::Text,
            Self::Video => kind == TrackKind::Video,
            Self::Audio => kind == TrackKind::Audio,
        }
    }
}

impl Listing {
    /// The playable entries of a server manifest. Reference tracks are not packaged yet and left out.
    pub(crate) fn of(manifest: &ServerManifest) -> Self {
        let entries = manifest
            .tracks
            .iter()
            .filter(|t| is_inside(&t.source))
            .filter_map(|t| {
                let kinds = match t.kind {
                    EntryKind::Video => Kinds::Video,
                    EntryKind::Audio => Kinds::Audio,
                    EntryKind::Text | EntryKind::Reference => return None,
                };
                let describes = |value: &Option<String>| {
                    value
                        .as_deref()
                        .is_some_and(|v| v.eq_ignore_ascii_case("description"))
                };
                Some(Entry {
                    file: match t.is_folder() {
                        true => archive_header(&t.source),
                        false => t.source.clone(),
                    },
                    kinds,
                    all_tracks: false,
                    // A folder holds one track, whatever it is called.
                    track_id: t.track_id.filter(|_| !t.is_folder()),
                    name: t
                        .track_name
                        .as_deref()
                        .map(track_name)
                        .filter(|n| !n.is_empty()),
                    bitrate: t.bitrate,
                    settings: TrackSettings {
                        language: t.language.clone(),
                        title: t.title.clone(),
                        ..TrackSettings::default()
                    },
                    describes_video: describes(&t.accessibility) || describes(&t.role),
                })
            });
        let mut listing = Self {
            entries: entries.collect(),
            fragments_per_hls_segment: manifest.fragments_per_hls_segment,
            recording: manifest.formats.as_deref() == Some("vod-cmaf"),
            texts: Vec::new(),
        };
        for entry in manifest.tracks.iter().filter(|t| t.kind == EntryKind::Text) {
            if let Some(text) = TextEntry::of(entry) {
                listing.add_text(text);
            }
        }
        listing
    }

    /// With the tracks that were added to the asset. What they say of a track that is there already counts.
    pub(crate) fn with(mut self, added: &[AddedTrack]) -> Self {
        for track in added.iter().filter(|track| is_inside(&track.file)) {
            match track.kind {
                AddedKind::Text => self.add_text(TextEntry::added(track)),
                AddedKind::Audio => self.add_audio(track),
            }
        }
        self
    }

    fn add_text(&mut self, text: TextEntry) {
        let known = self.texts.iter_mut().find(|known| known.is(&text));
        if let Some(known) = known {
            known.settings = text.settings;
            known.file = text.file;
            return;
        }
        let mut text = text;
        let name = text.name.clone();
        let mut number: u32 = 1;
        while self.has_name(&text.name) {
            number = number.saturating_add(1);
            text.name = format!("{name}_{number}");
        }
        self.texts.push(text);
    }

    /// Names by which tracks of the media are addressed are theirs.
    fn has_name(&self, name: &str) -> bool {
        let media = self.entries.iter().filter_map(|e| e.name.as_deref());
        let texts = self.texts.iter().map(|t| t.name.as_str());
        media
            .chain(texts)
            .chain(["video", "audio", crate::images::NAME])
            .any(|n| n == name)
    }

    fn add_audio(&mut self, track: &AddedTrack) {
        let describes = track.settings.has(&["accessibility.describes-video"])
            || track.settings.role.as_deref() == Some("description");
        let is = |entry: &&mut Entry| {
            entry.kinds == Kinds::Audio
                && entry.file == track.file
                && (track.track_id.is_none() || entry.track_id == track.track_id)
        };
        if let Some(known) = self.entries.iter_mut().find(is) {
            known.settings = track.settings.clone();
            known.describes_video = describes;
            return;
        }
        self.entries.push(Entry {
            all_tracks: false,
            track_id: track.track_id,
            name: Some(track_name(&track.name)),
            settings: track.settings.clone(),
            describes_video: describes,
            ..entry(&track.file, Kinds::Audio)
        });
    }

    /// Whether it may be of a live output.
    pub(crate) fn is_recording(&self) -> bool {
        self.recording
    }

    /// What of a server manifest is not in its listing, and why.
    pub(crate) fn left_out(manifest: &ServerManifest) -> Vec<LeftOut> {
        let left_out = |file: &str, reason: String| LeftOut {
            file: file.to_owned(),
            track: None,
            reason,
        };
        let broken = manifest.warnings.iter().map(|warning| {
            let number = warning.index.saturating_add(1);
            left_out("", format!("track element {number}: {}", warning.reason))
        });
        let unused = manifest.tracks.iter().filter_map(|track| {
            let reason = match track.kind {
                _ if !is_inside(&track.source) => "it lies outside of the asset",
                EntryKind::Text if TextEntry::of(track).is_some() => return None,
                EntryKind::Text if track.is_folder() => "it has messages for programs, and no text",
                EntryKind::Text => {
                    "it is no kind of file that text is read from, and names none that it was made from"
                }
                EntryKind::Reference => "it is a reference, which is not packaged",
                EntryKind::Video | EntryKind::Audio => return None,
            };
            Some(left_out(&track.source, reason.to_owned()))
        });
        broken.chain(unused).collect()
    }

    /// The listing that stands in for a missing `{name}.ism`. `files`: all names directly in the asset's folder.
    ///
    /// The media file called `name`, if there is one, by extension as in [`MEDIA`] if there are several; else the media files whose names start with `name` and a
    /// separator, the renditions of one title. Of the latter, files that are audio by their name give the audio; if
    /// there are none, the first file does, as such files repeat the same audio. `None` if nothing fits.
    pub(crate) fn made_up(name: &str, files: &[String]) -> Option<Self> {
        let mut media: Vec<&String> = files.iter().filter(|f| rank(f).is_some()).collect();
        media.sort();
        let named = media.iter().filter(|f| stem(f) == name);
        if let Some(file) = named.min_by_key(|f| rank(f)) {
            return Some(Self {
                entries: vec![entry(file, Kinds::Both)],
                fragments_per_hls_segment: None,
                recording: false,
                texts: TextEntry::beside(name, files),
            });
        }
        let belongs = |file: &str| {
            stem(file)
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['_', '-', '.', ' ']))
        };
        let (audio, video): (Vec<_>, Vec<_>) = media
            .into_iter()
            .filter(|f| belongs(f))
            .partition(|f| is_audio_by_name(f));
        let mut entries: Vec<Entry> = Vec::new();
        for (at, file) in video.iter().enumerate() {
            let interleaved_audio = audio.is_empty() && at == 0;
            entries.push(entry(
                file,
                if interleaved_audio {
                    Kinds::Both
                } else {
                    Kinds::Video
                },
            ));
        }
        entries.extend(audio.iter().map(|file| entry(file, Kinds::Audio)));
        (!entries.is_empty()).then_some(Self {
            entries,
            fragments_per_hls_segment: None,
            recording: false,
            texts: TextEntry::beside(name, files),
        })
    }

    /// The entry that a URL names, if the listing alone can tell: all names and bit rates are written down and no two
    /// are the same. Then a segment request need not look into the other files.
    pub(crate) fn written_down(&self, name: &str, bitrate: u32) -> Option<&Entry> {
        let mut seen = std::collections::HashSet::new();
        let mut found = None;
        for entry in &self.entries {
            let address = (entry.name.as_deref()?, entry.bitrate?);
            let one_track = entry.track_id.is_some() || archive_folder(&entry.file).is_some();
            if entry.all_tracks || !one_track || !seen.insert(address) {
                return None;
            }
            if address == (name, bitrate) {
                found = Some(entry);
            }
        }
        found
    }

    /// The files named, each once, in order.
    pub(crate) fn files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = Vec::new();
        for entry in &self.entries {
            if !files.contains(&entry.file.as_str()) {
                files.push(&entry.file);
            }
        }
        files
    }
}

fn entry(file: &str, kinds: Kinds) -> Entry {
    Entry {
        file: file.to_owned(),
        kinds,
        all_tracks: true,
        track_id: None,
        name: None,
        bitrate: None,
        settings: TrackSettings::default(),
        describes_video: false,
    }
}

/// Whether a `src` stays inside the asset's folder.
pub(crate) fn is_inside(source: &str) -> bool {
    source
        .split('/')
        .all(|e| !e.is_empty() && e != "." && e != "..")
        && !source.contains('\\')
}

fn stem(file: &str) -> &str {
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

/// Extensions of media files. Of several with the same name the API makes URLs of the first in this order.
const MEDIA: [&str; 6] = ["mp4", "m4v", "mov", "m4a", "ismv", "isma"];

/// The place of a file's extension in [`MEDIA`]; `None` for other files.
fn rank(file: &str) -> Option<usize> {
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    MEDIA
        .iter()
        .position(|known| extension.eq_ignore_ascii_case(known))
}

fn is_audio_by_name(file: &str) -> bool {
    let file = file.to_ascii_lowercase();
    // "AACAudio" in the names of AMS encoders says what is inside of a video file besides the video.
    [".m4a", ".isma"].iter().any(|end| file.ends_with(end))
        || (file.contains("audio") && !file.contains("aacaudio"))
        || file.contains("_aac.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made_up(name: &str, files: &[&str]) -> Vec<(String, Kinds)> {
        let files: Vec<String> = files.iter().map(|f| (*f).to_owned()).collect();
        let listing = Listing::made_up(name, &files).unwrap_or_default();
        listing
            .entries
            .into_iter()
            .map(|e| (e.file, e.kinds))
            .collect()
    }

    #[test]
    fn file_of_that_name_is_the_presentation() {
        let files = ["film.mp4", "film_720.mp4", "film.jpg"];
        assert_eq!(
            made_up("film", &files),
            [("film.mp4".to_owned(), Kinds::Both)]
        );
        let files = ["film.m4a", "film.mov", "film.mp4"];
        assert_eq!(
            made_up("film", &files),
            [("film.mp4".to_owned(), Kinds::Both)]
        );
        assert_eq!(
            made_up("film", &files[..2]),
            [("film.mov".to_owned(), Kinds::Both)]
        );
        assert_eq!(made_up("other", &files), []);
        assert_eq!(made_up("fil", &files), []);
    }

    #[test]
    fn smooth_files_are_media() {
        assert_eq!(
            made_up(
                "film",
                &[
                    "film_300.ismv",
                    "film_900.ismv",
                    "film_en.isma",
                    "film.ismc"
                ]
            ),
            [
                ("film_300.ismv".to_owned(), Kinds::Video),
                ("film_900.ismv".to_owned(), Kinds::Video),
                ("film_en.isma".to_owned(), Kinds::Audio)
            ]
        );
    }

    #[test]
    fn what_is_left_out_is_said() {
        let text = br#"<smil><body><switch><video src="../x.mp4"/><video systemBitrate="1"/><video src="b.mp4"/>
            <ref src="c.mp4"/></switch></body></smil>"#;
        let left_out = Listing::left_out(&headwater_ism::parse(text).unwrap());
        let said: Vec<_> = left_out
            .iter()
            .map(|l| (l.file.as_str(), l.reason.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                ("", "track element 2: it names no file"),
                ("../x.mp4", "it lies outside of the asset"),
                ("c.mp4", "it is a reference, which is not packaged"),
            ]
        );
    }

    #[test]
    fn renditions_share_a_prefix_and_one_audio() {
        let video = |f: &str| (f.to_owned(), Kinds::Video);
        assert_eq!(
            made_up(
                "film",
                &[
                    "film_720.mp4",
                    "film_360.mp4",
                    "film_audio_fr.m4a",
                    "filmstar.mp4",
                    "film_x.vtt"
                ]
            ),
            [
                video("film_360.mp4"),
                video("film_720.mp4"),
                ("film_audio_fr.m4a".to_owned(), Kinds::Audio)
            ]
        );
        assert_eq!(
            made_up(
                "film",
                &[
                    "film_640x360_AACAudio_600.mp4",
                    "film_1280x720_AACAudio_3400.mp4"
                ]
            ),
            [
                ("film_1280x720_AACAudio_3400.mp4".to_owned(), Kinds::Both),
                video("film_640x360_AACAudio_600.mp4")
            ]
        );
    }

    #[test]
    fn manifests_cannot_reach_out_of_the_asset() {
        let text = br#"<smil><body><switch><video src="../other/x.mp4"/><video src="/x.mp4"/><video src="a/b.mp4"/>
            <video src="folder"/><textstream src="x.vtt"/><audio src="x.mp4" systemBitrate="5"><param name="trackName" value="a,b"/></audio>
            </switch></body></smil>"#;
        let listing = Listing::of(&headwater_ism::parse(text).unwrap());
        assert_eq!(listing.files(), ["a/b.mp4", "folder/header", "x.mp4"]);
        assert_eq!(listing.entries[2].name.as_deref(), Some("a_b"));
        assert_eq!(listing.written_down("a_b", 5), None);
    }

    #[test]
    fn complete_listings_are_searched_without_their_files() {
        let text = |second: &str| {
            format!(
                r#"<smil><body><switch>
                <video src="a.mp4" systemBitrate="5"><param name="trackName" value="video"/><param name="trackID" value="1"/></video>
                <video src="b.mp4" systemBitrate="{second}"><param name="trackName" value="video"/><param name="trackID" value="1"/></video>
                </switch></body></smil>"#
            )
        };
        let listing =
            |second: &str| Listing::of(&headwater_ism::parse(text(second).as_bytes()).unwrap());
        let complete = listing("6");
        assert_eq!(
            complete.written_down("video", 6).map(|e| e.file.as_str()),
            Some("b.mp4")
        );
        assert_eq!(complete.written_down("video", 7), None);
        assert_eq!(listing("5").written_down("video", 5), None);
    }
}
