//! Tracks that lie in storage as fragments, put into one file on one clock.
//!
//! ```text
//! {folder}/header, {folder}/{start}   an archived live track      ─┐ samples and their times, by our reader
//! film_3000.ismv                      a Smooth file: `tfxd`, `mfra` ─┴─> t0.mp4, t1.mp4: moof+mdat with `tfdt`
//!                                                                        └─ ffmpeg, without encoding ─> in{n}: one MP4
//! ```
//!
//! What ffmpeg makes of fragments by itself has neither the times that are in boxes of Smooth Streaming nor those in the
//! objects' names, and no index to search by. In the file that is put together, pictures and sound are as far apart as
//! in the archive, and a fragment that is lost is a gap: pictures stand still, sound is silent. Of a clip only the
//! fragments that it touches are read.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use headwater_blob::ClientError;
use headwater_bmff::write::{SegmentHeader, SegmentSample, init_segment, segment_header};
use headwater_bmff::{SampleTable, TrackConfig, TrackKind};
use headwater_cmaf::index::{ARCHIVE_HEADER, ArchiveBuilder, FragmentStep, SourceId};
use headwater_cmaf::timeline::TimedSample;
use headwater_ism::{EntryKind, TrackEntry};
use headwater_work::Place;

use super::inputs::{LIMITS, Loader, full, open_own};
use super::later::{Later, later_at};
use super::manifest::NANOS;
use super::sandbox::{Limits, Program};
use super::{UNRIPE, fault, pack};
use crate::builtin::language_name;
use crate::failure::{self, Step};
use crate::retry::retrying;
use crate::source::{self, Source, blob_name};

/// Largest movie header of an archived track.
const MAX_HEADER_BYTES: u64 = 1 << 20;
/// Largest fragment.
const MAX_FRAGMENT_BYTES: usize = 256 << 20;
/// Fragments that are read at a time.
pub(super) const AT_A_TIME: usize = 4;
/// Samples of a file that are written at a time.
const RUN: usize = 250;
/// How far the temporary files' clocks are before the first moment, in ns: decode times are a little earlier.
const LEAD: i128 = 10 * NANOS;

/// A stretch of an archive, in ns of its own clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) start: i128,
    /// To its end if `None`.
    pub(super) end: Option<i128>,
}

/// Where the samples of a track are.
#[derive(Debug)]
enum Samples {
    /// Objects called by their starts, ascending; not empty.
    Fragments {
        builder: Box<ArchiveBuilder>,
        starts: Vec<u64>,
        /// What is other than `builder` has it, ascending.
        later: Vec<Later>,
    },
    /// A file that was fetched.
    File { path: PathBuf, table: SampleTable },
}

/// One track.
#[derive(Debug)]
pub(super) struct Archived {
    /// Its folder or file.
    name: String,
    etag: String,
    config: TrackConfig,
    language: Option<String>,
    samples: Samples,
}

impl Archived {
    /// The track in the folder `path` of `place`, of the archive whose server manifest is `manifest` with `.ism`.
    ///
    /// Errors: `ContentUnsupported` and `ContentMalformed` for headers that cannot be read, `DownloadNotAccessible` without a
    /// fragment, those of reading and of [`Loader::later_settings`].
    pub(super) async fn folder(
        loader: &Loader<'_>,
        place: &Place,
        manifest: &str,
        path: &str,
        entry: &TrackEntry,
    ) -> Step<Self> {
        let header = format!("{path}/{ARCHIVE_HEADER}");
        let source = Source::named(loader.storage, place, &header, loader.stop).await?;
        if source.len > MAX_HEADER_BYTES {
            return Err(failure::malformed(format!(
                "The header of the archived track '{path}' has {} bytes.",
                source.len
            )));
        }
        let bytes = source.read(0..source.len).await?;
        let id = SourceId {
            etag: source.etag.clone(),
            len: source.len,
        };
        let builder = ArchiveBuilder::new(bytes, id).map_err(|error| {
            failure::unsupported(format!(
                "The archived track '{path}' cannot be read: {error}."
            ))
        })?;
        let store = loader.storage.store(place).map_err(failure::internal)?;
        let prefix = format!("{}/", blob_name(place, path));
        let names = source::listing(&store, &prefix, loader.stop).await?;
        let later = if names.contains(&format!("{ARCHIVE_HEADER}-1")) {
            let first = builder.config();
            loader.later_settings(place, manifest, path, first).await?
        } else {
            Vec::new()
        };
        let mut starts: Vec<u64> = names
            .iter()
            .filter_map(|name| {
                let start = name.parse::<u64>().ok()?;
                (start.to_string() == *name).then_some(start)
            })
            .collect();
        starts.sort_unstable();
        if starts.is_empty() {
            return Err(failure::Stopped::Failed(headwater_work::JobFailure {
                code: headwater_work::JobErrorCode::DownloadNotAccessible,
                message: format!("The archived track '{path}' has no fragments."),
                details: Vec::new(),
            }));
        }
        Ok(Self {
            name: path.to_owned(),
            etag: source.etag.clone(),
            config: builder.config().clone(),
            language: entry.language.clone(),
            samples: Samples::Fragments {
                builder: Box::new(builder),
                starts,
                later,
            },
        })
    }

    /// The track of the file `file`, which is fetched.
    pub(super) async fn file(
        loader: &Loader<'_>,
        place: &Place,
        file: &str,
        entry: &TrackEntry,
    ) -> Step<Self> {
        let source = Source::named(loader.storage, place, file, loader.stop).await?;
        let path = loader.path();
        loader.download(&source, &path).await?;
        let movie = open_own(&path)
            .map_err(|error| error.to_string())
            .and_then(|opened| pack::movie(&opened))
            .map_err(|error| {
                failure::malformed(format!("The input file '{file}' cannot be read: {error}."))
            })?;
        let kind = match entry.kind {
            EntryKind::Video => TrackKind::Video,
            _ => TrackKind::Audio,
        };
        let fits = |track: &headwater_bmff::Track| {
            track.config.kind == kind
                && !track.samples.is_empty()
                && entry.track_id.is_none_or(|id| id == track.config.id)
        };
        let track = movie.tracks.into_iter().find(fits).ok_or_else(|| {
            failure::malformed(format!(
                "The input file '{file}' has no such track as its server manifest says."
            ))
        })?;
        Ok(Self {
            name: file.to_owned(),
            etag: source.etag.clone(),
            config: track.config,
            language: entry.language.clone(),
            samples: Samples::File {
                path,
                table: track.samples,
            },
        })
    }

    /// Of all that the result depends on.
    pub(super) fn tag(&self) -> String {
        match &self.samples {
            Samples::Fragments { starts, .. } => {
                let ends = (starts.first(), starts.last(), starts.len());
                format!("{} {ends:?}", self.etag)
            }
            Samples::File { .. } => self.etag.clone(),
        }
    }

    fn nanos(&self, ticks: i128) -> i128 {
        ticks * NANOS / i128::from(self.config.timescale.get())
    }

    /// When its first sample is shown, in ns.
    pub(super) fn begin(&self) -> i128 {
        self.nanos(match &self.samples {
            Samples::Fragments { starts, .. } => starts.first().copied().unwrap_or(0).into(),
            Samples::File { table, .. } => {
                let times = table
                    .iter()
                    .take(RUN)
                    .map(|sample| sample.composition_time());
                times.min().unwrap_or(0).into()
            }
        })
    }

    /// Fragments that `span` touches, with the one before.
    fn touched<'a>(&self, starts: &'a [u64], span: Span) -> &'a [u64] {
        let from = starts.partition_point(|&start| self.nanos(start.into()) <= span.start);
        let to = span.end.map_or(starts.len(), |end| {
            starts.partition_point(|&start| self.nanos(start.into()) < end)
        });
        let from = from.saturating_sub(1);
        starts.get(from..to.max(from)).unwrap_or_default()
    }
}

/// Writes samples of one track with the times that they have, less `base` ticks.
struct Writer<'a> {
    file: File,
    track: &'a Archived,
    base: i64,
    runs: u32,
    /// Ticks by which samples are decoded earlier than the archive says: where its pictures are shown before they are decoded
    /// (negative composition offsets), ffmpeg would show all of them later instead.
    lead: i64,
    /// The last decode time.
    last: Option<i64>,
    /// When what is shown first begins, in ns of the archive's clock.
    first: Option<i128>,
}

impl Writer<'_> {
    /// `read`: the bytes of a sample.
    fn run(
        &mut self,
        samples: &[TimedSample],
        read: impl Fn(&TimedSample) -> Option<Bytes>,
    ) -> Result<(), String> {
        let fault = |error: std::io::Error| error.to_string();
        let Some(first) = samples.first() else {
            return Ok(());
        };
        // What comes again after a restart of the encoder was there before.
        if self.last.is_some_and(|last| first.dts <= last) {
            tracing::warn!(
                track = self.track.name,
                at = first.pts,
                "a fragment overlaps the one before"
            );
            return Ok(());
        }
        if self.runs == 0 {
            let late = samples.iter().map(|sample| sample.dts - sample.pts).max();
            self.lead = late.unwrap_or(0).max(0);
        }
        let mut stated = Vec::with_capacity(samples.len());
        let mut media = Vec::with_capacity(samples.len());
        for (at, sample) in samples.iter().enumerate() {
            let next = samples.get(at + 1).map(|next| next.dts);
            let duration = next.map_or(i64::from(sample.duration), |next| next - sample.dts);
            let bytes = read(sample).ok_or("a sample is not where it should be")?;
            stated.push(SegmentSample {
                size: u32::try_from(bytes.len()).map_err(|_| "a sample is too large")?,
                duration: u32::try_from(duration).map_err(|_| "a sample lasts too long")?,
                cto: i32::try_from(sample.pts - sample.dts + self.lead)
                    .map_err(|_| "a picture is reordered too far")?,
                sync: sample.sync || (at == 0 && self.runs == 0),
            });
            media.push(bytes);
        }
        let header = segment_header(&SegmentHeader {
            sequence_number: self.runs + 1,
            track_id: self.track.config.id,
            decode_time: u64::try_from(first.dts - self.base - self.lead)
                .map_err(|_| "it is decoded before it begins")?,
            samples: &stated,
        })
        .map_err(|error| error.to_string())?;
        self.file.write_all(&header).map_err(fault)?;
        self.file.write_all(&media.concat()).map_err(fault)?;
        let shown = samples.iter().map(|sample| sample.pts).min().unwrap_or(0);
        let shown = self.track.nanos(shown.into());
        self.first = Some(self.first.map_or(shown, |first| first.min(shown)));
        self.last = samples.last().map(|sample| sample.dts);
        self.runs += 1;
        Ok(())
    }
}

/// Puts `span` of `tracks` into one file. Gives its path, and the moment of the archive's clock (ns) at which it begins.
///
/// Errors: those of reading; `ContentMalformed` if nothing of a track can be read, `ContentUnsupported` for codecs that the
/// file cannot hold.
pub(super) async fn joined(
    loader: &Loader<'_>,
    place: &Place,
    tracks: &[Archived],
    span: Span,
) -> Step<(PathBuf, i128)> {
    let first = tracks.iter().map(Archived::begin).min().unwrap_or(0);
    // The fragment before the clip may begin a good while earlier.
    let earliest = tracks.iter().map(|track| match &track.samples {
        Samples::Fragments { starts, .. } => {
            let touched = track.touched(starts, span).first();
            touched.map_or(first, |&start| track.nanos(start.into()))
        }
        Samples::File { .. } => first,
    });
    let base = earliest.min().unwrap_or(first) - LEAD;
    let mut paths = Vec::with_capacity(tracks.len());
    let mut begins: Option<i128> = None;
    for track in tracks {
        let path = loader.path();
        let begin = write(loader, place, track, span, base, &path).await?;
        begins = Some(begins.map_or(begin, |begins| begins.min(begin)));
        paths.push(path);
        if let Samples::File { path, .. } = &track.samples {
            let _ = std::fs::remove_file(path);
        }
    }
    let out = together(loader, tracks, &paths).await?;
    for path in &paths {
        let _ = std::fs::remove_file(path);
    }
    Ok((out, begins.unwrap_or(first)))
}

/// Writes one track to `path`; gives the moment at which it begins.
async fn write(
    loader: &Loader<'_>,
    place: &Place,
    track: &Archived,
    span: Span,
    base: i128,
    path: &Path,
) -> Step<i128> {
    let disk = |error: std::io::Error| full(&track.name, &error);
    let mut file = super::inputs::new_file(path)
        .await
        .map_err(disk)?
        .into_std()
        .await;
    let init = init_segment(&track.config, 0).map_err(|error| {
        failure::unsupported(format!(
            "The track '{}' cannot be taken: {error}.",
            track.name
        ))
    })?;
    file.write_all(&init).map_err(disk)?;
    let ticks = base * i128::from(track.config.timescale.get()) / NANOS;
    let mut writer = Writer {
        file,
        track,
        base: i64::try_from(ticks).unwrap_or(0),
        runs: 0,
        lead: 0,
        last: None,
        first: None,
    };
    let bad = |why: String| {
        failure::malformed(format!("The track '{}' cannot be read: {why}.", track.name))
    };
    match &track.samples {
        Samples::Fragments {
            builder,
            starts,
            later,
        } => {
            let touched = track.touched(starts, span);
            let mut reads = stream::iter(
                touched
                    .iter()
                    .map(|&start| fragment(loader, place, &track.name, start)),
            )
            .buffered(AT_A_TIME);
            let mut starts = touched.iter();
            while let (Some(bytes), Some(&start)) = (reads.next().await, starts.next()) {
                let Some(bytes) = bytes? else {
                    continue;
                };
                let samples = match parsed(builder, &bytes, start) {
                    Ok(samples) => samples,
                    Err(why) => {
                        tracing::warn!(track = track.name, start, why, "a fragment is left out");
                        continue;
                    }
                };
                let sets = later_at(later, start).map(|later| &later.sets);
                let at = |sample: &TimedSample| {
                    let from = usize::try_from(sample.offset).ok()?;
                    let to = from.checked_add(sample.size as usize)?;
                    let own = (to <= bytes.len()).then(|| bytes.slice(from..to))?;
                    Some(match sets.filter(|_| sample.sync) {
                        Some(sets) => [&sets[..], &own[..]].concat().into(),
                        None => own,
                    })
                };
                if let Err(why) = writer.run(&samples, at) {
                    tracing::warn!(track = track.name, start, why, "a fragment is left out");
                }
            }
        }
        Samples::File { path, table } => {
            let from = open_own(path).map_err(disk)?;
            let samples: Vec<TimedSample> = (0..)
                .zip(table.iter())
                .map(|(index, sample)| TimedSample {
                    index,
                    offset: sample.offset,
                    size: sample.size,
                    dts: i64::try_from(sample.dts).unwrap_or(i64::MAX),
                    pts: sample.composition_time(),
                    duration: sample.duration,
                    sync: sample.sync,
                })
                .collect();
            let mut rest = samples.as_slice();
            while !rest.is_empty() {
                // A gap can only be between two runs.
                let gap = rest.windows(2).position(|pair| {
                    pair[1].dts > pair[0].dts.saturating_add(i64::from(pair[0].duration))
                });
                let count = gap.map_or(RUN, |gap| gap + 1).min(RUN).min(rest.len());
                let (run, later) = rest.split_at(count);
                rest = later;
                let read = |sample: &TimedSample| {
                    let mut bytes = vec![0; sample.size as usize];
                    from.read_exact_at(&mut bytes, sample.offset).ok()?;
                    Some(Bytes::from(bytes))
                };
                writer.run(run, read).map_err(bad)?;
            }
        }
    }
    writer
        .first
        .ok_or_else(|| bad("there is nothing where the clip is".into()))
}

/// The object of a fragment; `None` if it is gone by now.
async fn fragment(
    loader: &Loader<'_>,
    place: &Place,
    folder: &str,
    start: u64,
) -> Step<Option<Bytes>> {
    let store = loader.storage.store(place).map_err(failure::internal)?;
    let name = format!("{folder}/{start}");
    let blob = blob_name(place, &name);
    let read = retrying(
        loader.stop,
        |error| failure::download(&name, error),
        async || match store.get_range(&blob, None, None).await {
            Err(ClientError::NotFound { .. }) => Ok(None),
            other => other.map(Some),
        },
    )
    .await?;
    Ok(read
        .map(|read| read.bytes)
        .filter(|bytes| bytes.len() <= MAX_FRAGMENT_BYTES))
}

/// The samples of the fragment `bytes`, at the time that its name says.
fn parsed(builder: &ArchiveBuilder, bytes: &Bytes, start: u64) -> Result<Vec<TimedSample>, String> {
    let mut reader = builder.reader(bytes.len() as u64);
    loop {
        match reader.step().map_err(|error| error.to_string())? {
            FragmentStep::Done(fragment) => return Ok(fragment.samples(start)),
            FragmentStep::Need { offset, len } => {
                let from = usize::try_from(offset).map_err(|error| error.to_string())?;
                let to = usize::try_from(offset.saturating_add(len))
                    .map_err(|error| error.to_string())?;
                let part = (to <= bytes.len()).then(|| bytes.slice(from..to));
                let part = part.ok_or("it is cut off")?;
                reader
                    .feed(offset, part)
                    .map_err(|error| error.to_string())?;
            }
        }
    }
}

/// One file of all of them, without encoding.
async fn together(loader: &Loader<'_>, tracks: &[Archived], paths: &[PathBuf]) -> Step<PathBuf> {
    let out = loader.path();
    let mut arguments: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
    add(&["-hide_banner", "-nostdin", "-y", "-v", "error"]);
    // So that a long one is not taken for one that hangs.
    add(&["-progress", "pipe:1", "-stats_period", "5"]);
    // All on the clock of the archive.
    add(&["-copyts"]);
    for path in paths {
        add(&LIMITS);
        add(&["-f", "mov", "-i", &format!("file:{}", path.display())]);
    }
    for (place, track) in tracks.iter().enumerate() {
        let language = track.language.as_deref().unwrap_or("und");
        add(&["-map", &format!("{place}:0")]);
        add(&[
            &format!("-metadata:s:{place}"),
            &format!("language={}", language_name(language)),
        ]);
    }
    add(&["-c", "copy", "-map_metadata", "-1"]);
    add(&UNRIPE);
    add(&["-avoid_negative_ts", "make_zero", "-f", "mp4"]);
    add(&[&format!("file:{}", out.display())]);
    let program = Program {
        path: loader.engine.tools.ffmpeg.clone(),
        arguments,
        folder: loader.folder.to_owned(),
        limits: Limits {
            cpu: std::time::Duration::from_secs(3600),
            ..loader.engine.limits(0.0, tracks.len())
        },
        reads: paths.to_vec(),
    };
    let name = tracks.first().map_or("", |track| track.name.as_str());
    let ended = program.run_counted(loader.stop, &mut |_| ()).await;
    fault::outcome(name, ended)?;
    Ok(out)
}
