//! A text track for an asset that is there (`#MediaKind.TrackInserterPreset`): WebVTT or TTML is packaged, and the asset's
//! server manifest names it.
//!
//! ```text
//! film.fr.vtt ─> {base}.cmft  IMSC 1.1 in fragmented MP4, as Azure Media Services packaged text
//!             └> {base}.vtt   what it was made from (`transcriptsrc`), which loses nothing
//!    the output's only .ism  + textstream, in place of one of the same name
//! ```
//!
//! No engine is needed. The manifest is written only over the state that was read, so two such jobs on one asset both get
//! their track in.

use bytes::Bytes;
use headwater_blob::{ClientError, Conditions};
use headwater_ism::{EntryKind, TrackEntry};
use headwater_preset::Insert;
use headwater_text::mp4::{stpp_init, stpp_segment};
use headwater_text::{Clock, Format, MAX_BYTES, Text};
use headwater_time::Timescale;
use headwater_work::{Claim, Place, Selection, WorkInput, WorkOutput};

use crate::engine::{Job, by_urgency};
use crate::failure::{self, Step, Stopped};
use crate::output::{OutputPlace, base_name};
use crate::preset;
use crate::retry::retrying;
use crate::source::{self, Source, blob_name};
use crate::storage::Storage;

/// How long a document is in force, in ms.
const SEGMENT_MS: u64 = 10_000;
/// Longest text: two days.
const MOST_MS: u64 = 48 * 3600 * 1000;
/// Times that a manifest is written by others between our reading and writing.
const TRIES: usize = 10;

/// What the outputs of `claim` insert; `None` if they are for an engine.
///
/// Errors: `ConfigurationUnsupported` for presets that cannot be read, and for both kinds in one job.
pub(crate) fn of(claim: &Claim) -> Step<Option<Vec<Insert>>> {
    let mut inserts = Vec::new();
    for output in &claim.outputs {
        inserts.extend(preset::parse(&output.preset)?.insert);
    }
    match inserts.len() {
        0 => Ok(None),
        count if count == claim.outputs.len() => Ok(Some(inserts)),
        _ => Err(failure::configuration(
            "A track inserter reads text and an encoder media: they cannot be outputs of one transform.",
        )),
    }
}

/// Adds the tracks; gives the names of the manifests.
///
/// Errors: `ContentMalformed` for text that cannot be read, `ConfigurationUnsupported` for inputs that are no text file and
/// outputs without a server manifest, those of storage.
pub(crate) async fn run(claim: &Claim, job: &Job, inserts: &[Insert]) -> Step<Vec<String>> {
    job.chose("builtin", "A text track is added: nothing is encoded.");
    let source = input(&job.storage, &claim.input, job).await?;
    if source.len > MAX_BYTES as u64 {
        return Err(failure::unsupported(format!(
            "The text file '{}' has {} bytes; at most {MAX_BYTES} are read.",
            source.name, source.len
        )));
    }
    let document = source.read(0..source.len).await?;
    if document.get(4..8) == Some(b"ftyp") {
        return Err(failure::unsupported(format!(
            "The text file '{}' is packaged already: a track inserter reads WebVTT and TTML.",
            source.name
        )));
    }
    let (text, warnings) = Text::parse(&document).map_err(|error| {
        failure::malformed(format!(
            "The text file '{}' cannot be read: {error}.",
            source.name
        ))
    })?;
    for warning in warnings {
        tracing::warn!(file = source.name, "{warning}");
    }
    let mut manifests = vec![String::new(); inserts.len()];
    for (at, output) in by_urgency(claim) {
        let insert = &inserts[at];
        let done = job.start(output.index, 2);
        let place = OutputPlace::new(&job.storage, &output.place, claim, &job.stop)?;
        let one = One {
            job,
            output,
            place: &place,
            insert,
            base: insert
                .base
                .clone()
                .unwrap_or_else(|| base_name(&source.name)),
        };
        let made = async {
            let entry = one.write(&text, &document).await?;
            done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            one.name(&entry).await
        };
        manifests[at] = job.settle(output, made.await)?.unwrap_or_default();
    }
    Ok(manifests)
}

/// The text file of the input.
async fn input(storage: &Storage, input: &WorkInput, job: &Job) -> Step<Source> {
    let WorkInput::Asset {
        place,
        files,
        selection,
    } = input
    else {
        return Err(failure::configuration(
            "A track inserter reads a file of an asset.",
        ));
    };
    if *selection != Selection::default() {
        return Err(failure::configuration(
            "A track inserter takes a text file as it is: without start, end and input definitions.",
        ));
    }
    let named: Vec<&String> = files.iter().filter(|file| !file.is_empty()).collect();
    let file = match named.as_slice() {
        [one] => (*one).clone(),
        [] => {
            let found = inside(storage, place, job).await?;
            let mut texts = found.into_iter().filter(|file| {
                let lower = file.to_ascii_lowercase();
                [".vtt", ".ttml"].iter().any(|end| lower.ends_with(end))
            });
            match (texts.next(), texts.next()) {
                (Some(only), None) => only,
                (None, _) => {
                    return Err(failure::configuration(
                        "The input asset holds no WebVTT or TTML file.",
                    ));
                }
                _ => {
                    return Err(failure::configuration(
                        "The input asset holds several text files: name the one to add.",
                    ));
                }
            }
        }
        _ => {
            return Err(failure::configuration(
                "A track inserter takes one text file.",
            ));
        }
    };
    Source::named(storage, place, &file, &job.stop).await
}

/// Names directly in a place.
async fn inside(storage: &Storage, place: &Place, job: &Job) -> Step<Vec<String>> {
    let store = storage.store(place).map_err(failure::internal)?;
    let prefix = blob_name(place, "");
    let prefix = if place.sub_path.is_empty() {
        ""
    } else {
        prefix.as_str()
    };
    source::listing(&store, prefix, &job.stop).await
}

/// One track for one output.
struct One<'a> {
    job: &'a Job,
    output: &'a WorkOutput,
    place: &'a OutputPlace,
    insert: &'a Insert,
    base: String,
}

impl One<'_> {
    /// Writes the files; gives what the manifest is to say of them.
    async fn write(&self, text: &Text, document: &Bytes) -> Step<TrackEntry> {
        let language = self.insert.language.as_deref().or(text.language());
        let packaged = packaged(text, language).map_err(failure::internal)?;
        let (extension, content_type) = match text.format() {
            Format::WebVtt => ("vtt", headwater_text::WEBVTT_TYPE),
            _ => ("ttml", "application/ttml+xml"),
        };
        let transcript = format!("{}.{extension}", self.base);
        self.place
            .put(&transcript, content_type, document.clone())
            .await?;
        let file = format!("{}.cmft", self.base);
        let bits = packaged.len() as u64 * 8000 / text.end_ms().clamp(1, MOST_MS);
        self.place
            .put(&file, "application/mp4", packaged.into())
            .await?;
        Ok(TrackEntry {
            bitrate: Some(u32::try_from(bits).unwrap_or(u32::MAX).max(1)),
            language: language.map(str::to_owned),
            track_id: Some(headwater_text::mp4::TRACK_ID),
            track_name: Some(
                self.insert
                    .name
                    .clone()
                    .unwrap_or_else(|| self.base.clone()),
            ),
            transcript: Some(transcript),
            display_name: self.insert.display_name.clone(),
            is_default: self.insert.default,
            is_forced: self.insert.forced,
            hls_characteristics: self.insert.characteristics.clone(),
            // 3 is visible, 0 is not.
            output_flag: Some(if self.insert.hidden { 0 } else { 3 }),
            ..TrackEntry::new(EntryKind::Text, file)
        })
    }

    /// Names `entry` in the output's server manifest, and gives that one's name.
    async fn name(&self, entry: &TrackEntry) -> Step<String> {
        let place = &self.output.place;
        let mut names = inside(&self.job.storage, place, self.job).await?;
        names.retain(|name| source::is_manifest(name));
        let [name] = names.as_slice() else {
            return Err(failure::configuration(format!(
                "The asset '{}' has {} server manifests (.ism); a track is added to one.",
                self.output.asset_name,
                names.len()
            )));
        };
        let store = self.job.storage.store(place).map_err(failure::internal)?;
        let blob = blob_name(place, name);
        for _ in 0..TRIES {
            let source = Source::named(&self.job.storage, place, name, &self.job.stop).await?;
            if source.len > headwater_ism::MAX_BYTES as u64 {
                return Err(failure::malformed(format!(
                    "The server manifest '{name}' is too long."
                )));
            }
            let before = source.read(0..source.len).await?;
            let after = headwater_ism::with_track(&before, entry).map_err(|error| {
                failure::malformed(format!(
                    "The server manifest '{name}' cannot be added to: {error}."
                ))
            })?;
            if after.as_bytes() == before {
                return Ok(name.clone());
            }
            let body = Bytes::from(after);
            let written = retrying(
                &self.job.stop,
                |error| failure::upload(name, error),
                async || {
                    let over = Conditions::matches(source.etag.clone());
                    match store
                        .put(&blob, "application/smil+xml", body.clone(), &over)
                        .await
                    {
                        Ok(_) => Ok(true),
                        Err(ClientError::PreconditionFailed { .. }) => Ok(false),
                        Err(error) => Err(error),
                    }
                },
            )
            .await?;
            if written {
                return Ok(name.clone());
            }
        }
        Err(Stopped::Failed(headwater_work::JobFailure {
            code: headwater_work::JobErrorCode::UploadTransientError,
            message: format!("The server manifest '{name}' is written by others all the time."),
            details: Vec::new(),
        }))
    }
}

/// The text as a `.cmft` file (ISO/IEC 14496-30), from the start of time to its end.
fn packaged(text: &Text, language: Option<&str>) -> Result<Vec<u8>, String> {
    let scale = Timescale::MILLIS;
    let clock = Clock { scale, zero: 0 };
    let mut out = stpp_init(scale, language).map_err(|error| error.to_string())?;
    // Cues without an end are shown to the end of all others.
    let end = text.end_ms().clamp(1, MOST_MS);
    let starts = (0..end).step_by(SEGMENT_MS as usize);
    for (number, start) in (0..).zip(starts) {
        let window = start..end.min(start + SEGMENT_MS);
        let segment = stpp_segment(text, &window, clock, number, language);
        out.extend(segment.map_err(|error| error.to_string())?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packaged_text_is_read_back() {
        let vtt = "WEBVTT\n\n00:01.000 --> 00:02.500\nbonjour\n\n00:09.000 --> 00:12.000\n<i>à demain</i>\n";
        let (text, _) = Text::parse(vtt.as_bytes()).unwrap();
        let packaged = packaged(&text, Some("fr")).unwrap();
        let (again, warnings) = Text::parse(&packaged).unwrap();
        assert!(warnings.is_empty());
        let whole = 0..20_000;
        let clock = Clock {
            scale: Timescale::MILLIS,
            zero: 0,
        };
        let (before, after) = (
            text.webvtt_segment(&whole, clock, 0),
            again.webvtt_segment(&whole, clock, 0),
        );
        let lines = |text: &str| -> Vec<String> {
            text.lines()
                .filter(|line| line.contains("demain") || line.contains("bonjour"))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(lines(&before), lines(&after));
        assert!(
            after.contains("00:09.000 --> 00:12.000")
                || after.contains("00:00:09.000 --> 00:00:12.000"),
            "{after}"
        );
    }
}
