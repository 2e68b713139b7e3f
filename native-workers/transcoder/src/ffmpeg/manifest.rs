//! Inputs that a server manifest names: several renditions, Smooth files, archives of live events.
//!
//! ```text
//! film.ism ─> its tracks, or those that the job chooses
//!               files ───────────────> fetched as they are, other tracks in them left out
//!               folders of fragments ─┐
//!               Smooth files ─────────┴> one file on one clock ([`super::archive`])
//! ```
//!
//! Where nothing is chosen, presets that encode get the best pictures and all sound, presets that copy get everything. Clip
//! times count from the first moment of any of these tracks; `UtcClipTime` is a moment on the clock of the fragments, which
//! is that of the world where it counts from 1970 (streaming reference, 3.3).

use std::collections::HashMap;

use headwater_ism::{EntryKind, ServerManifest, TrackEntry};
use headwater_work::{Channel, ChoiceBy, Place, Selection, TrackChoice};

use super::archive::{Archived, Span, joined};
use super::inputs::{Choosable, Fetched, Loader, Sources, chosen};
use crate::failure::{self, Step};
use crate::source::Source;

/// Nanoseconds of a second.
pub(super) const NANOS: i128 = 1_000_000_000;
/// 2001-01-01: clocks that say less were not set to the time of day.
const EARLIEST_UTC: i128 = 978_307_200 * NANOS;

/// A manifest's entry as something to choose.
#[derive(Debug, Clone)]
struct Entry(TrackEntry);

impl Choosable for Entry {
    fn id(&self) -> u64 {
        self.0.track_id.unwrap_or(1).into()
    }
    fn bitrate(&self) -> u64 {
        self.0.bitrate.unwrap_or(0).into()
    }
    fn language(&self) -> &str {
        self.0.language.as_deref().unwrap_or("und")
    }
}

/// An entry that is read, and what it becomes a channel of.
#[derive(Debug)]
struct Wanted {
    entry: TrackEntry,
    channel: Option<Channel>,
}

/// The entries that are read. `all`: where nothing is chosen, every one of them.
fn wanted(manifest: &ServerManifest, selection: &Selection, all: bool) -> Vec<Wanted> {
    let of = |kind: EntryKind| {
        let entries = manifest.tracks.iter().filter(|entry| entry.kind == kind);
        let mut entries: Vec<(String, Entry)> = entries
            .map(|entry| (entry.source.clone(), Entry(entry.clone())))
            .collect();
        // Whoever asks for one gets the best of those that are alike.
        entries.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.bitrate()));
        entries
    };
    let mut videos = chosen(of(EntryKind::Video), &selection.tracks, false);
    let audios = chosen(of(EntryKind::Audio), &selection.tracks, true);
    if !all {
        videos.truncate(1);
    }
    let both = videos.into_iter().chain(audios);
    both.map(|(Entry(entry), channel)| Wanted { entry, channel })
        .collect()
}

/// Files whose fragments say their times in boxes that ffmpeg passes over.
fn is_smooth(entry: &TrackEntry) -> bool {
    let lower = entry.source.to_ascii_lowercase();
    [".ismv", ".isma"].iter().any(|end| lower.ends_with(end))
}

/// A path inside the asset's folder and nowhere else.
fn inside(entry: &TrackEntry) -> Step<()> {
    let parts = || entry.source.split('/');
    if entry.source.contains('\\') || parts().any(|part| ["", ".", ".."].contains(&part)) {
        return Err(failure::malformed(format!(
            "The server manifest names '{}', which is no file of the asset.",
            entry.source
        )));
    }
    Ok(())
}

/// A moment of a clip on the clock of the fragments, in ns. `begin`: of the first of them.
fn moment(relative: Option<u64>, utc: Option<i64>, begin: i128) -> Step<Option<i128>> {
    let millis = |value: i128| value * (NANOS / 1000);
    Ok(match (utc, relative) {
        (Some(_), _) if begin < EARLIEST_UTC => {
            return Err(failure::configuration(
                "The input's clip times are of the time of day (UtcClipTime), and the archive's clock does not count from 1970: use \
                 AbsoluteClipTime.",
            ));
        }
        (Some(utc), _) => Some(millis(utc.into())),
        (None, Some(relative)) => Some(begin + millis(relative.into())),
        (None, None) => None,
    })
}

impl Loader<'_> {
    /// Fetches what the server manifest `name` of `place` names. The selection that comes back is what is still to be chosen of
    /// the files.
    ///
    /// Errors: `ContentMalformed` for a manifest that is none, `ConfigurationUnsupported` for choices and clips that leave
    /// nothing, those of reading.
    pub(super) async fn by_manifest(
        &self,
        place: &Place,
        name: &str,
        selection: &Selection,
        sources: &mut Sources,
    ) -> Step<(Vec<Fetched>, Selection)> {
        let source = Source::named(self.storage, place, name, self.stop).await?;
        let damaged = |why: String| {
            failure::malformed(format!(
                "The server manifest '{name}' cannot be read: {why}."
            ))
        };
        if source.len > headwater_ism::MAX_BYTES as u64 {
            return Err(damaged(format!("it has {} bytes", source.len)));
        }
        let text = source.read(0..source.len).await?;
        let manifest = headwater_ism::parse(&text).map_err(|error| damaged(error.to_string()))?;
        sources.etags.push(source.etag.clone());
        let all = self.all_files || !selection.tracks.is_empty();
        let wanted = wanted(&manifest, selection, all);
        let entries: Vec<TrackEntry> = wanted.iter().map(|wanted| wanted.entry.clone()).collect();
        if entries.is_empty() {
            return Err(failure::configuration(format!(
                "The server manifest '{name}' names none of the tracks that the job's input definitions choose.",
            )));
        }
        for entry in &entries {
            inside(entry)?;
        }
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let beside = |file: &str| match folder {
            "" => file.to_owned(),
            folder => format!("{folder}/{file}"),
        };
        if entries
            .iter()
            .any(|entry| entry.is_folder() || is_smooth(entry))
        {
            let (fetched, mut rest) = self
                .archived(place, name, &entries, &beside, selection, sources)
                .await?;
            rest.tracks = channels(&wanted);
            return Ok((fetched, rest));
        }
        if selection.start_utc_ms.is_some() || selection.end_utc_ms.is_some() {
            return Err(not_of_an_archive());
        }
        let mut fetched: Vec<Fetched> = Vec::new();
        let mut ids: HashMap<String, Vec<u32>> = HashMap::new();
        for entry in &entries {
            let of = ids.entry(entry.source.clone()).or_default();
            of.push(entry.track_id.unwrap_or(0));
        }
        for entry in &entries {
            let Some(ids) = ids.remove(&entry.source) else {
                continue;
            };
            let source =
                Source::named(self.storage, place, &beside(&entry.source), self.stop).await?;
            let path = self.path();
            self.download(&source, &path).await?;
            sources.etags.push(source.etag.clone());
            fetched.push(Fetched {
                name: source.name.clone(),
                path,
                // Whoever names no track of a file means all.
                ids: (!ids.contains(&0)).then_some(ids),
            });
        }
        Ok((fetched, selection.clone()))
    }

    async fn archived(
        &self,
        place: &Place,
        name: &str,
        entries: &[TrackEntry],
        beside: &(dyn Fn(&str) -> String + Sync),
        selection: &Selection,
        sources: &mut Sources,
    ) -> Step<(Vec<Fetched>, Selection)> {
        let mut tracks = Vec::with_capacity(entries.len());
        let manifest = name
            .get(..name.len().saturating_sub(".ism".len()))
            .unwrap_or(name);
        for entry in entries {
            let path = beside(&entry.source);
            let track = if entry.is_folder() {
                Archived::folder(self, place, manifest, &path, entry).await?
            } else {
                Archived::file(self, place, &path, entry).await?
            };
            sources.etags.push(track.tag());
            tracks.push(track);
        }
        let begin = tracks.iter().map(Archived::begin).min().unwrap_or(0);
        let start = moment(selection.start_ms, selection.start_utc_ms, begin)?;
        let end = moment(selection.end_ms, selection.end_utc_ms, begin)?;
        if end.is_some_and(|end| end <= start.unwrap_or(begin).max(begin)) {
            return Err(failure::configuration(
                "The input's clip ends before it starts, or before the archive does.",
            ));
        }
        let span = Span {
            start: start.unwrap_or(begin).max(begin),
            end,
        };
        let (path, first) = joined(self, place, &tracks, span).await?;
        let millis =
            |time: i128| u64::try_from((time - first).max(0) / (NANOS / 1000)).unwrap_or(0);
        let stem = manifest.rsplit('/').next().unwrap_or(manifest);
        let rest = Selection {
            label: selection.label.clone(),
            start_ms: start.map(|_| millis(span.start)).filter(|&start| start > 0),
            end_ms: end.map(millis),
            ..Selection::default()
        };
        let fetched = Fetched {
            name: format!("{stem}.mp4"),
            path,
            ids: None,
        };
        Ok((vec![fetched], rest))
    }
}

/// What is still to be chosen of the file that all of `wanted` are put into: nothing, or what becomes a channel.
fn channels(wanted: &[Wanted]) -> Vec<TrackChoice> {
    if wanted.iter().all(|wanted| wanted.channel.is_none()) {
        return Vec::new();
    }
    let choice = |(id, wanted): (u64, &Wanted)| TrackChoice {
        audio: wanted.entry.kind == EntryKind::Audio,
        file: None,
        by: ChoiceBy::Id { id },
        each: false,
        mapping: wanted.channel,
    };
    // The file's tracks are counted in this order.
    (1..).zip(wanted).map(choice).collect()
}

/// Why there is no time of day in an input.
pub(super) fn not_of_an_archive() -> failure::Stopped {
    failure::configuration(
        "The input's clip times are of the time of day (UtcClipTime), which only archives of live events know: use AbsoluteClipTime.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> ServerManifest {
        let entry = |kind, source: &str, bitrate, language: Option<&str>| TrackEntry {
            bitrate: Some(bitrate),
            language: language.map(str::to_owned),
            ..TrackEntry::new(kind, source)
        };
        ServerManifest {
            tracks: vec![
                entry(EntryKind::Video, "video_400000", 400_000, None),
                entry(EntryKind::Video, "video_3000000", 3_000_000, None),
                entry(EntryKind::Audio, "audio_eng", 128_000, Some("eng")),
                entry(EntryKind::Audio, "audio_fra", 128_000, Some("fra")),
                entry(EntryKind::Text, "text", 0, Some("eng")),
            ],
            ..ServerManifest::default()
        }
    }

    fn sources(selection: &Selection, all: bool) -> Vec<String> {
        let entries = wanted(&manifest(), selection, all).into_iter();
        entries.map(|wanted| wanted.entry.source).collect()
    }

    #[test]
    fn encoders_get_the_best_pictures_and_all_sound() {
        let none = Selection::default();
        assert_eq!(
            sources(&none, false),
            ["video_3000000", "audio_eng", "audio_fra"]
        );
        assert_eq!(sources(&none, true).len(), 4);
        let french = Selection {
            tracks: vec![TrackChoice {
                audio: true,
                file: None,
                by: ChoiceBy::Language {
                    language: "fr".into(),
                },
                each: false,
                mapping: None,
            }],
            ..Selection::default()
        };
        assert_eq!(sources(&french, true), ["audio_fra"]);
    }

    #[test]
    fn clips_are_moments_of_the_archives_clock() {
        let begin = 1_700_000_000 * NANOS;
        assert_eq!(
            moment(Some(1500), None, begin).unwrap(),
            Some(begin + 1_500_000_000)
        );
        let utc = moment(None, Some(1_700_000_002_000), begin).unwrap();
        assert_eq!(utc, Some(begin + 2 * NANOS));
        assert!(moment(None, Some(1_700_000_002_000), 5 * NANOS).is_err());
    }

    #[test]
    fn a_manifest_cannot_name_what_is_not_in_the_asset() {
        for bad in ["../other/file.mp4", "/etc/passwd", "a//b", "a\\b", "./a"] {
            assert!(
                inside(&TrackEntry::new(EntryKind::Video, bad)).is_err(),
                "{bad}"
            );
        }
        assert!(inside(&TrackEntry::new(EntryKind::Video, "folder/a b&c.mp4")).is_ok());
    }
}
