//! Sources: fetched into the job's folder, made out, and cut.
//!
//! A child process without a network needs its source on disk. Files are named by us, and readable only.

use std::path::{Path, PathBuf};

use futures::stream::{self, StreamExt as _};
use headwater_work::{Channel, ChoiceBy, Selection, TrackChoice, WorkInput};
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

use super::container::{self, Demuxer};
use super::graph::Part;
use super::languages::same_language;
use super::pieces::sequence_rate;
use super::probe::{self, AudioStream, VideoStream};
use super::sandbox::{Limits, Program};
use super::{Ffmpeg, channels, fault, manifest};
use crate::failure::{self, Step, Stopped};
use crate::remote;
use crate::sniff;
use crate::source::{self, AssetFiles, Source};
use crate::storage::Storage;

/// Bytes of one read.
const READ_BYTES: u64 = 4 << 20;
/// Reads at a time.
const READS: usize = 4;

/// A file on disk that ffmpeg may open.
#[derive(Debug, Clone)]
pub struct Input {
    pub path: PathBuf,
    pub demuxer: Demuxer,
    pub start_ms: u64,
    pub length_ms: Option<u64>,
    /// The file's clock at its start, in seconds.
    pub file_start: f64,
    /// Seconds from the start of the part to that of the file: ffmpeg lets every file begin at 0.
    pub late: f64,
    /// What is read of it for its pictures, which are taken from a copy. See [`Input::read_along`].
    pub pictures: Vec<u32>,
}

impl Input {
    /// Without its clip, and by its own clock.
    pub(super) fn whole(&self) -> Self {
        Self {
            start_ms: 0,
            length_ms: None,
            late: 0.0,
            ..self.clone()
        }
    }

    /// The same part of a file with streams of this one, which begins at `start`.
    pub(super) fn beside(&self, path: PathBuf, demuxer: Demuxer, start: f64) -> Self {
        Self {
            path,
            demuxer,
            file_start: start,
            // By the clock of the source, which ffmpeg lets begin at 0.
            late: self.late + start,
            pictures: Vec::new(),
            ..self.clone()
        }
    }

    /// The arguments that open it at the key frame before `seconds`, whatever its clip.
    pub(super) fn from(&self, autorotate: bool, seconds: f64) -> Vec<String> {
        let whole = Self {
            start_ms: 0,
            length_ms: None,
            ..self.clone()
        };
        let mut out = Vec::new();
        let seconds = seconds - self.late;
        if seconds > 0.0 {
            // Not to the frame: what is let through is decided by the graph.
            out.extend([
                "-noaccurate_seek".into(),
                "-ss".into(),
                format!("{seconds:.6}"),
            ]);
        }
        out.extend(whole.arguments(autorotate));
        out
    }

    /// What a run must read of this file, its `number`th, though it makes nothing of it, so that `pictures` and sound that are made in
    /// different runs keep step: where the clock of a transport stream jumps, as where recordings were joined, ffmpeg goes on from
    /// what it has read so far, and of streams that it does not read it knows nothing.
    pub(super) fn read_along(number: usize, pictures: &[u32]) -> Vec<String> {
        let mut out = Vec::new();
        for stream in pictures {
            out.extend(["-map".to_owned(), format!("{number}:{stream}")]);
        }
        out.extend(["-map".to_owned(), format!("{number}:a?")]);
        out.extend(["-c", "copy", "-f", "null", "-"].map(str::to_owned));
        out
    }

    /// The arguments that open it.
    pub fn arguments(&self, autorotate: bool) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        out.extend(LIMITS.map(str::to_owned));
        out.extend(self.demuxer.patience().iter().map(|&word| word.to_owned()));
        if !autorotate {
            out.push("-noautorotate".into());
        }
        // By the file's own clock: where the clip begins in it, or how much later it begins itself.
        let start = self.start_ms as f64 / 1000.0;
        let (inside, after) = ((start - self.late).max(0.0), (self.late - start).max(0.0));
        if inside > 0.0 {
            out.extend(["-ss".into(), format!("{inside:.6}")]);
        }
        // Left alone, ffmpeg lets a transport stream begin with the first of the tracks that a run uses: pictures and sound that are
        // made by themselves would both begin at 0. With any offset it keeps to the file's own start.
        let after = match self.demuxer.name {
            "mpegts" => after.max(0.000_001),
            _ => after,
        };
        if after > 0.0 {
            out.extend(["-itsoffset".into(), format!("{after:.6}")]);
        }
        if let Some(length) = self.length_ms {
            let length = (length as f64 / 1000.0 - after).max(0.001);
            out.extend(["-t".into(), format!("{length:.6}")]);
        }
        out.extend([
            "-f".into(),
            self.demuxer.name.into(),
            "-i".into(),
            format!("file:{}", self.path.display()),
        ]);
        out
    }
}

/// What every opening of a file is bound by.
pub(super) const LIMITS: [&str; 6] = [
    "-protocol_whitelist",
    "file,pipe",
    "-max_streams",
    "64",
    "-max_pixels",
    "40000000",
];

pub fn milliseconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// All that a job reads.
#[derive(Debug, Default)]
pub struct Sources {
    pub inputs: Vec<Input>,
    /// One after the other; not empty.
    pub parts: Vec<Part>,
    /// All video of the first part, for copies.
    pub videos: Vec<VideoStream>,
    /// What presets call by label.
    pub labelled: Vec<(String, Part)>,
    /// Of the first file, for names of outputs and for messages.
    pub name: String,
    /// Identifies the files' contents.
    pub etags: Vec<String>,
    pub bits_per_second: u64,
    pub states_duration: bool,
    /// Of a source that is one file, and not cut.
    pub lasts: Option<Lasts>,
}

/// Seconds that the streams of a kind last, each at least; 0 where the file does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Lasts {
    pub pictures: f64,
    pub sound: f64,
}

/// A file that was fetched.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// The only tracks in it that count.
    pub(super) ids: Option<Vec<u32>>,
}

impl Fetched {
    fn whole(name: String, path: PathBuf) -> Self {
        Self {
            name,
            path,
            ids: None,
        }
    }
}

/// Of inputs whose clocks do not know the time of day. Errors: it is asked for.
fn timed(selection: &Selection) -> Step<Selection> {
    if selection.start_utc_ms.is_some() || selection.end_utc_ms.is_some() {
        return Err(manifest::not_of_an_archive());
    }
    Ok(selection.clone())
}

/// What sources are loaded with.
pub struct Loader<'a> {
    pub engine: &'a Ffmpeg,
    pub storage: &'a Storage,
    pub stop: &'a CancellationToken,
    pub folder: &'a Path,
    /// An asset without named files gives all of them, and not the only one.
    pub all_files: bool,
    /// Pictures are copied as well.
    pub copies: bool,
    /// So is sound.
    pub copies_sound: bool,
}

impl Loader<'_> {
    /// Fetches and makes out everything that `input` names.
    ///
    /// Errors: those of reading; `ConfigurationUnsupported` for selections that leave nothing; `ContentUnsupported` and
    /// `ContentMalformed` for files that cannot be worked on.
    pub async fn load(&self, input: &WorkInput) -> Step<Sources> {
        let mut sources = Sources {
            states_duration: true,
            ..Sources::default()
        };
        let (main, others) = match input {
            WorkInput::Several { inputs } => match inputs.split_first() {
                Some((main, others)) => (main, others),
                None => return Err(failure::configuration("The job has no input.")),
            },
            single => (single, [].as_slice()),
        };
        let sequence = match main {
            WorkInput::Sequence { inputs } => inputs.as_slice(),
            single => std::slice::from_ref(single),
        };
        for single in sequence {
            let part = self.part(single, &mut sources, true).await?;
            sources.parts.push(part);
        }
        for other in others {
            let part = self.part(other, &mut sources, false).await?;
            let label = match other {
                WorkInput::Asset { selection, .. } | WorkInput::Http { selection, .. } => {
                    selection.label.clone()
                }
                _ => None,
            };
            let label =
                label.ok_or_else(|| failure::configuration("An input of the job has no label."))?;
            sources.labelled.push((label, part));
        }
        if sources.parts.len() > 1 {
            let pictures = sources.parts.iter().filter(|part| part.video.is_some());
            if ![0, sources.parts.len()].contains(&pictures.count()) {
                return Err(failure::unsupported(
                    "Of the inputs of a sequence, either all have video or none.",
                ));
            }
            if sources.parts.iter().any(|part| part.seconds <= 0.0) {
                return Err(failure::unsupported(
                    "An input of the sequence does not say how long it is: give its clip an end.",
                ));
            }
            // Whole frames, so that pictures and sound of a part are equally long.
            if let Some(rate) = sequence_rate(&sources.parts) {
                for part in &mut sources.parts {
                    part.seconds = (part.seconds * rate).round().max(1.0) / rate;
                }
            }
        }
        Ok(sources)
    }

    async fn part(&self, input: &WorkInput, sources: &mut Sources, main: bool) -> Step<Part> {
        let (files, selection) = self.fetch(input, sources).await?;
        let mut part = Part {
            video: None,
            audios: Vec::new(),
            seconds: 0.0,
            still: false,
            first: None,
        };
        let (mut videos, mut audios) = (Vec::new(), Vec::new());
        let first = sources.inputs.len();
        for Fetched { name, path, ids } in files {
            let (demuxer, mut media) = self.look(&name, &path).await?;
            if !demuxer.still && media.seconds_are_doubtful(&demuxer) {
                media.measured(self.length(&name, (&path, demuxer)).await?);
            }
            if !media.audios.is_empty() {
                let even = media.audios.iter().filter(|audio| audio.is_even());
                let even: Vec<u32> = even.map(|audio| audio.index).collect();
                let jitters = self.jitters(&name, (&path, demuxer), &even).await?;
                for audio in &mut media.audios {
                    audio.jitter = jitters.get(&audio.index).copied().unwrap_or(0.0);
                }
            }
            if let Some(ids) = ids {
                let listed = |id: u64| ids.iter().any(|&listed| u64::from(listed) == id);
                media.videos.retain(|video| listed(video.id));
                media.audios.retain(|audio| listed(audio.id));
            }
            if main && demuxer.still {
                return Err(failure::unsupported(format!(
                    "The input file '{name}' is a picture, not video or sound."
                )));
            }
            // Of a multiplex, one programme, unless somebody knows what is in it.
            if selection.tracks.is_empty() {
                media
                    .videos
                    .retain(|video| !media.beside.contains(&video.index));
                media
                    .audios
                    .retain(|audio| !media.beside.contains(&audio.index));
            }
            if sources.name.is_empty() {
                sources.name.clone_from(&name);
            }
            let number = sources.inputs.len();
            for video in &mut media.videos {
                video.input = number;
            }
            for audio in &mut media.audios {
                audio.input = number;
            }
            videos.extend(media.videos.into_iter().map(|video| (name.clone(), video)));
            audios.extend(media.audios.into_iter().map(|audio| (name.clone(), audio)));
            if main {
                let is_only = sources.inputs.is_empty();
                let is_whole = selection.start_ms.unwrap_or(0) == 0 && selection.end_ms.is_none();
                sources.lasts = Some(media.lasts).filter(|_| is_only && is_whole);
            }
            part.seconds = part.seconds.max(media.seconds);
            part.still = demuxer.still;
            sources.bits_per_second += media.bits_per_second;
            sources.states_duration &= demuxer.states_duration;
            sources.inputs.push(Input {
                path,
                demuxer,
                start_ms: 0,
                length_ms: None,
                file_start: media.start,
                late: 0.0,
                pictures: Vec::new(),
            });
        }
        on_one_clock(&mut sources.inputs[first..]);
        cut(&mut sources.inputs[first..], &mut part, &selection)?;
        let videos = chosen(videos, &selection.tracks, false).into_iter();
        let mut videos: Vec<VideoStream> = videos.map(|(video, _)| video).collect();
        videos.sort_by_key(|video: &VideoStream| {
            std::cmp::Reverse((video.coded.area(), video.bits_per_second))
        });
        for number in first..sources.inputs.len() {
            let next = sources.inputs.len();
            let input = match sources.inputs.get(number) {
                Some(input) if main => (number, input),
                _ => continue,
            };
            let own = videos.iter().filter(|video| video.input == number);
            let pictures: Vec<u32> = own.map(|video| video.index).collect();
            let both = (&videos[..], &mut audios[..]);
            let alike = self.steady(input, part.seconds, both, next).await?;
            let next = next + alike.iter().len();
            let copy = self.indexed(input, part.seconds, &mut videos, next).await?;
            if let Some(original) = sources.inputs.get_mut(number)
                && (copy.is_some() || alike.is_some())
            {
                original.pictures = pictures;
            }
            sources.inputs.extend(alike);
            sources.inputs.extend(copy);
        }
        part.audios = channels::put_together(chosen(audios, &selection.tracks, true))?;
        part.video = videos.first().cloned();
        if part.video.is_none() && part.audios.is_empty() {
            return Err(failure::configuration(
                "The tracks that the job's input definitions choose are not in the input.",
            ));
        }
        if main && sources.parts.is_empty() {
            sources.videos = videos;
        }
        Ok(part)
    }

    /// The files of an input, by name and path.
    async fn fetch(
        &self,
        input: &WorkInput,
        sources: &mut Sources,
    ) -> Step<(Vec<Fetched>, Selection)> {
        let mut fetched = Vec::new();
        let selected;
        match input {
            WorkInput::Asset {
                place,
                files,
                selection,
            } => {
                let named: Vec<String> = files
                    .iter()
                    .filter(|file| !file.is_empty())
                    .cloned()
                    .collect();
                let found = match named.as_slice() {
                    [] => {
                        source::asset_files(self.storage, place, self.stop, self.all_files).await?
                    }
                    [one] if source::is_manifest(one) => AssetFiles::Manifest(one.clone()),
                    _ => AssetFiles::Media(named),
                };
                match found {
                    AssetFiles::Manifest(name) => {
                        let (files, rest) =
                            self.by_manifest(place, &name, selection, sources).await?;
                        (fetched, selected) = (files, rest);
                    }
                    AssetFiles::Media(blobs) => {
                        for blob in blobs {
                            let source =
                                Source::named(self.storage, place, &blob, self.stop).await?;
                            let path = self.path();
                            self.download(&source, &path).await?;
                            sources.etags.push(source.etag.clone());
                            fetched.push(Fetched::whole(source.name.clone(), path));
                        }
                        selected = timed(selection)?;
                    }
                }
            }
            WorkInput::Http { urls, selection } => {
                for url in urls {
                    let path = self.path();
                    let most = self.engine.settings.source_bytes;
                    let remote =
                        remote::fetch(&self.engine.settings.guard, url, &path, most, self.stop)
                            .await?;
                    sources.etags.push(remote.identity);
                    fetched.push(Fetched::whole(remote.name, path));
                }
                selected = timed(selection)?;
            }
            WorkInput::Sequence { .. } | WorkInput::Several { .. } => {
                return Err(failure::configuration(
                    "The inputs of a job are nested too deeply.",
                ));
            }
        }
        for file in &fetched {
            read_only(&file.path)?;
        }
        Ok((fetched, selected))
    }

    /// A name in the folder that is not taken.
    pub(super) fn path(&self) -> PathBuf {
        (0_u32..)
            .map(|number| self.folder.join(format!("in{number}")))
            .find(|path| path.symlink_metadata().is_err())
            .unwrap_or_else(|| self.folder.join("in"))
    }

    pub(super) async fn download(&self, source: &Source, path: &Path) -> Step<()> {
        let most = self.engine.settings.source_bytes;
        if source.len > most {
            return Err(failure::unsupported(format!(
                "The input file '{}' has {} bytes; this worker takes at most {most}.",
                source.name, source.len
            )));
        }
        download(source, path).await
    }

    /// What the file is: first by its bytes, then in ffprobe's words.
    pub(super) async fn look(&self, name: &str, path: &Path) -> Step<(Demuxer, probe::Media)> {
        let head = head(path).map_err(|error| full(name, &error))?;
        let mut demuxer = container::demuxer(&head).map_err(|known| {
            failure::unsupported(match known {
                Some(known) => format!("The input file '{name}' is {known}."),
                None => format!("The input file '{name}' is in no format that is known."),
            })
        })?;
        let first = self.looked(name, path, demuxer).await;
        let is_late = |media: &probe::Media| media.has_silent_streams;
        if demuxer.name != "mpegts" || first.as_ref().is_ok_and(|media| !is_late(media)) {
            return Ok((demuxer, first?));
        }
        demuxer.patient = true;
        match self.looked(name, path, demuxer).await {
            Err(Stopped::Failed(_)) => {
                demuxer.patient = false;
                Ok((demuxer, first?))
            }
            again => Ok((demuxer, again?)),
        }
    }

    async fn looked(&self, name: &str, path: &Path, demuxer: Demuxer) -> Step<probe::Media> {
        let mut arguments: Vec<String> = [
            "-v",
            "error",
            "-of",
            "json",
            "-show_format",
            "-show_streams",
            "-show_programs",
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.extend(LIMITS.map(str::to_owned));
        arguments.extend(demuxer.patience().iter().map(|&word| word.to_owned()));
        arguments.extend([
            "-f".into(),
            demuxer.name.into(),
            "-i".into(),
            format!("file:{}", path.display()),
        ]);
        let program = Program {
            path: self.engine.tools.ffprobe.clone(),
            arguments,
            folder: self.folder.to_owned(),
            limits: Limits {
                file_bytes: 0,
                cpu: std::time::Duration::from_secs(60),
                ..self.engine.limits(0.0, 0)
            },
            reads: vec![path.to_owned()],
        };
        let (json, _) = fault::outcome(name, program.run(self.stop, None).await)?;
        probe::read(name, &json, demuxer)
    }
}

/// A file where there is none: not one that something was planted at, nor what a link there points to.
pub(crate) async fn new_file(path: &Path) -> std::io::Result<tokio::fs::File> {
    tokio::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .await
}

fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut head = Vec::new();
    open_own(path)?
        .take(sniff::SNIFFED_BYTES)
        .read_to_end(&mut head)?;
    Ok(head)
}

/// Opens a file of the job's folder, and nothing that a link there points to.
pub(super) fn open_own(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

fn read_only(path: &Path) -> Step<()> {
    use std::os::unix::fs::PermissionsExt as _;
    open_own(path)
        .and_then(|file| file.set_permissions(std::fs::Permissions::from_mode(0o400)))
        .map_err(|error| failure::passing(format!("A source cannot be protected: {error}.")))
}

/// Copies a file of storage's to `path`.
pub(super) async fn download(source: &Source, path: &Path) -> Step<()> {
    let disk = |error: std::io::Error| full(&source.name, &error);
    let mut file = new_file(path).await.map_err(disk)?;
    let starts = (0..source.len).step_by(READ_BYTES as usize);
    let mut reads =
        stream::iter(starts.map(|start| source.read(start..source.len.min(start + READ_BYTES))))
            .buffered(READS);
    while let Some(bytes) = reads.next().await {
        file.write_all(&bytes?).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)
}

/// Trouble with the worker's own disk, which may be over on another worker.
pub fn full(name: &str, error: &std::io::Error) -> Stopped {
    Stopped::Failed(headwater_work::JobFailure {
        code: headwater_work::JobErrorCode::ServiceTransientError,
        message: format!("The input file '{name}' could not be kept on the worker's disk."),
        details: vec![error.to_string()],
    })
}

/// Tells the files of a part how much later than the first they begin. Clocks of MP4 and Matroska count from the start of what
/// they were made of, so a track that begins late still does in a file of its own; others begin with their files.
fn on_one_clock(inputs: &mut [Input]) {
    let start = |input: &Input| match input.demuxer.name {
        "mov" | "matroska" => input.file_start,
        _ => 0.0,
    };
    let first = inputs.iter().map(start).min_by(f64::total_cmp);
    for input in inputs {
        input.late = start(input) - first.unwrap_or(0.0);
    }
}

/// Applies start and end to `part` and its `inputs`.
fn cut(inputs: &mut [Input], part: &mut Part, selection: &Selection) -> Step<()> {
    let start = selection.start_ms.unwrap_or(0);
    if start == 0 && selection.end_ms.is_none() {
        return Ok(());
    }
    let whole = (part.seconds * 1000.0) as u64;
    if selection.end_ms.is_some_and(|end| end <= start) {
        return Err(failure::configuration(
            "The input's clip ends before it starts.",
        ));
    }
    if whole > 0 && start >= whole {
        return Err(failure::configuration(format!(
            "The input's clip starts at {} s, after the end of the source at {} s.",
            milliseconds(start),
            milliseconds(whole)
        )));
    }
    let end = selection
        .end_ms
        .map(|end| if whole > 0 { end.min(whole) } else { end });
    let length = end.map(|end| end - start);
    for input in inputs {
        input.start_ms = start;
        input.length_ms = length;
    }
    part.seconds = length.map_or(part.seconds - start as f64 / 1000.0, |length| {
        length as f64 / 1000.0
    });
    Ok(())
}

/// A stream that can be chosen.
pub(super) trait Choosable {
    fn id(&self) -> u64;
    fn bitrate(&self) -> u64;
    fn language(&self) -> &str;
    /// Which file it is in, where files may have the same name.
    fn file(&self) -> usize {
        0
    }
}

impl Choosable for VideoStream {
    fn id(&self) -> u64 {
        self.id
    }
    fn bitrate(&self) -> u64 {
        self.bits_per_second
    }
    fn language(&self) -> &str {
        &self.language
    }
    fn file(&self) -> usize {
        self.input
    }
}

impl Choosable for AudioStream {
    fn id(&self) -> u64 {
        self.id
    }
    fn bitrate(&self) -> u64 {
        self.bits_per_second
    }
    fn language(&self) -> &str {
        &self.language
    }
    fn file(&self) -> usize {
        self.input
    }
}

/// What `tracks` choose of `streams`, each with the name of its file, and what it becomes a channel of. Without choices at
/// all, all.
pub(super) fn chosen<T: Choosable>(
    streams: Vec<(String, T)>,
    tracks: &[TrackChoice],
    audio: bool,
) -> Vec<(T, Option<Channel>)> {
    // Definitions say what is used: a kind that they leave out is not.
    if tracks.is_empty() {
        let all = streams.into_iter();
        return all.map(|(_, stream)| (stream, None)).collect();
    }
    let mut keep = vec![None; streams.len()];
    for choice in tracks.iter().filter(|choice| choice.audio == audio) {
        let here: Vec<usize> = streams
            .iter()
            .enumerate()
            .filter(|(_, (file, _))| {
                choice.file.as_ref().is_none_or(|wanted| {
                    wanted == file || wanted.rsplit('/').next() == Some(file.as_str())
                })
            })
            .map(|(index, _)| index)
            .collect();
        let mut found = Vec::new();
        if choice.each {
            let mut rest = here;
            while let Some(&first) = rest.first() {
                let file = |index: usize| (&streams[index].0, streams[index].1.file());
                let of_file = |index: &usize| file(*index) == file(first);
                let (inside, others) = rest.into_iter().partition(of_file);
                found.extend(picked(&streams, inside, &choice.by));
                rest = others;
            }
        } else {
            found = picked(&streams, here, &choice.by);
        }
        for index in found {
            let kept: &mut Option<Option<Channel>> = &mut keep[index];
            *kept = Some(choice.mapping.or(kept.flatten()));
        }
    }
    streams
        .into_iter()
        .zip(keep)
        .filter_map(|((_, stream), keep)| Some((stream, keep?)))
        .collect()
}

/// Those of `streams` at the places `here` that `by` means.
fn picked<T: Choosable>(streams: &[(String, T)], here: Vec<usize>, by: &ChoiceBy) -> Vec<usize> {
    let of = |index: &usize| &streams[*index].1;
    match by {
        ChoiceBy::All => here,
        ChoiceBy::Id { id } => here
            .into_iter()
            .filter(|index| of(index).id() == *id)
            .collect(),
        ChoiceBy::TopBitrate => here
            .into_iter()
            .rev()
            .max_by_key(|index| of(index).bitrate())
            .into_iter()
            .collect(),
        ChoiceBy::BottomBitrate => here
            .into_iter()
            .min_by_key(|index| of(index).bitrate())
            .into_iter()
            .collect(),
        ChoiceBy::Bitrate { bits_per_second } => here
            .into_iter()
            .filter(|index| of(index).bitrate() == *bits_per_second)
            .collect(),
        ChoiceBy::Language { language } => here
            .into_iter()
            .filter(|index| same_language(of(index).language(), language))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audio(id: u64, language: &str, bits_per_second: u64) -> (String, AudioStream) {
        let stream = AudioStream {
            input: 0,
            index: id as u32,
            codec: "aac".into(),
            profile: "LC".into(),
            channels: 2,
            sample_rate: 48_000,
            bits_per_second,
            language: language.into(),
            id,
            jitter: 0.0,
            feeds: Vec::new(),
        };
        ("film.mp4".into(), stream)
    }

    #[tokio::test]
    async fn what_is_planted_in_the_folder_is_not_followed() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = outside.path().join("secret");
        std::fs::write(&secret, b"token").unwrap();
        let planted = folder.path().join("in0");
        std::os::unix::fs::symlink(&secret, &planted).unwrap();
        assert!(new_file(&planted).await.is_err());
        assert!(head(&planted).is_err());
        assert!(read_only(&planted).is_err());
        assert_eq!(std::fs::read(&secret).unwrap(), b"token");
        // Nor one that leads nowhere yet.
        std::fs::remove_file(&secret).unwrap();
        assert!(new_file(&planted).await.is_err());
        assert!(!secret.exists());
    }

    #[test]
    fn a_clip_begins_in_every_file_at_the_same_moment() {
        let input = |name: &str, file_start: f64| {
            let head: &[u8] = match name {
                "mov" => b"\0\0\0\x18ftypisom\0\0\0\0isomavc1",
                _ => b"RIFF\0\0\0\0WAVEfmt ",
            };
            Input {
                path: "in".into(),
                demuxer: container::demuxer(head).unwrap(),
                start_ms: 0,
                length_ms: None,
                file_start,
                late: 0.0,
                pictures: Vec::new(),
            }
        };
        let after = |input: &Input, what: &str| {
            let arguments = input.arguments(true);
            let at = arguments.iter().position(|word| word == what)?;
            Some(arguments[at + 1].clone())
        };
        let mut inputs = [input("mov", 1.0), input("mov", 1.7)];
        on_one_clock(&mut inputs);
        assert_eq!(after(&inputs[0], "-itsoffset"), None);
        assert_eq!(after(&inputs[1], "-itsoffset").unwrap(), "0.700000");
        for input in &mut inputs {
            (input.start_ms, input.length_ms) = (500, Some(2000));
        }
        assert_eq!(after(&inputs[0], "-ss").unwrap(), "0.500000");
        assert_eq!(after(&inputs[0], "-t").unwrap(), "2.000000");
        assert_eq!(after(&inputs[1], "-ss"), None);
        assert_eq!(after(&inputs[1], "-itsoffset").unwrap(), "0.200000");
        assert_eq!(after(&inputs[1], "-t").unwrap(), "1.800000");
        inputs[1].start_ms = 1500;
        assert_eq!(after(&inputs[1], "-ss").unwrap(), "0.800000");
        assert_eq!(after(&inputs[1], "-itsoffset"), None);
        // What a file without such a clock says of its start is its encoder's affair.
        let mut inputs = [input("mov", 0.0), input("wav", 3.0)];
        on_one_clock(&mut inputs);
        assert_eq!(after(&inputs[1], "-itsoffset"), None);
    }

    #[test]
    fn tracks_are_chosen_by_what_they_are() {
        let streams = || {
            vec![
                audio(1, "eng", 128),
                audio(2, "deu", 64),
                audio(3, "fra", 128),
            ]
        };
        let ids = |by: ChoiceBy, file: Option<&str>| -> Vec<u64> {
            let choice = TrackChoice {
                audio: true,
                file: file.map(str::to_owned),
                by,
                each: false,
                mapping: None,
            };
            chosen(streams(), &[choice], true)
                .iter()
                .map(|(stream, _)| stream.id)
                .collect()
        };
        assert_eq!(ids(ChoiceBy::All, None), [1, 2, 3]);
        assert_eq!(ids(ChoiceBy::Id { id: 2 }, None), [2]);
        assert_eq!(ids(ChoiceBy::TopBitrate, None), [1]);
        assert_eq!(ids(ChoiceBy::BottomBitrate, None), [2]);
        let language = |language: &str| ChoiceBy::Language {
            language: language.into(),
        };
        assert_eq!(ids(language("en-US"), None), [1]);
        assert_eq!(ids(language("fra"), Some("film.mp4")), [3]);
        assert!(ids(ChoiceBy::All, Some("other.mp4")).is_empty());
        assert_eq!(chosen(streams(), &[], true).len(), 3);
        // The best of all files, and the best of each.
        let several = || {
            let mut streams = streams();
            let mut add = |id: u64, bits_per_second: u64| {
                let (_, stream) = audio(id, "eng", bits_per_second);
                streams.push(("other.mp4".into(), stream));
            };
            add(4, 64);
            add(5, 96);
            streams
        };
        for (each, wanted) in [(false, vec![1]), (true, vec![1, 5])] {
            let choice = TrackChoice {
                audio: true,
                file: None,
                by: ChoiceBy::TopBitrate,
                each,
                mapping: None,
            };
            let found = chosen(several(), &[choice], true);
            let ids: Vec<u64> = found.iter().map(|(stream, _)| stream.id).collect();
            assert_eq!(ids, wanted);
        }
    }
}
