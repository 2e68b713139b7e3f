//! One output: planned, made in chunks or in one run of ffmpeg, published.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_ism::{FORMATS_CMAF, ServerManifest};
use headwater_preset::{Container, Preset, VideoFormat};
use headwater_work::{Claim, WorkOutput};

use super::chunks::Joined;
use super::graph::{self, Part};
use super::inputs::{Input, Sources};
use super::pack::{self, Made};
use super::planning::Plan;
use super::sandbox::Program;
use super::tracks::{self, File, Track, Work};
use super::{Ffmpeg, UNRIPE, fault, he_aac, images};
use crate::builtin::language_name;
use crate::engine::Job;
use crate::failure::{self, Step};
use crate::output::{OutputPlace, base_name};

/// One output being made.
pub struct OutputRun<'a> {
    pub(super) engine: &'a Ffmpeg,
    pub(super) job: &'a Job,
    pub(super) claim: &'a Claim,
    pub(super) output: &'a WorkOutput,
    pub(super) preset: &'a Preset,
    pub(super) sources: &'a Sources,
    pub(super) place: OutputPlace,
    /// For its temporary files.
    pub(super) folder: PathBuf,
    /// Milliseconds of the presentation that are done.
    done: Arc<AtomicU64>,
    pub(super) base: String,
}

/// Whether MP4 files are as others write them, rather than one encoded track a file throughout.
pub(super) fn is_progressive(plan: &Plan, files: &[File]) -> bool {
    files
        .iter()
        .filter(|file| file.container == Container::Mp4)
        .any(|file| file.tracks.len() > 1 || !streamable(&plan.tracks[file.tracks[0]]))
}

impl<'a> OutputRun<'a> {
    #[allow(clippy::too_many_arguments)] // all of them are what an output is made with
    pub fn new(
        engine: &'a Ffmpeg,
        claim: &'a Claim,
        job: &'a Job,
        output: &'a WorkOutput,
        preset: &'a Preset,
        sources: &'a Sources,
        folder: PathBuf,
        done: Arc<AtomicU64>,
    ) -> Step<Self> {
        Ok(Self {
            engine,
            job,
            claim,
            output,
            preset,
            sources,
            place: OutputPlace::new(&job.storage, &output.place, claim, &job.stop)?,
            folder,
            done,
            base: base_name(&sources.name),
        })
    }

    /// Makes everything; gives the manifest's name, or nothing for an output without one.
    pub async fn run(&self) -> Step<String> {
        let mut visible = Vec::new();
        let result = self.make(&mut visible).await;
        if result.is_err() && self.job.is_cancel_requested() {
            self.place.remove(&visible).await;
        }
        result
    }

    /// Makes chunks of the output, which another worker puts together, as long as there are any to take.
    pub async fn help(&self) -> Step<()> {
        let plan = self.plan().await?;
        let files = tracks::files(self.preset, &plan.tracks, &self.base, &self.basename());
        match self.split(&plan).await? {
            Ok(split) => self.help_with_chunks(&plan, &split, &files).await,
            Err(_) => Ok(()),
        }
    }

    async fn make(&self, visible: &mut Vec<String>) -> Step<String> {
        let plan = self.plan().await?;
        let mut entries = Vec::new();
        let mut progressive = false;
        if !plan.tracks.is_empty() {
            tracing::info!(
                output = self.output.index,
                tracks = plan.tracks.len(),
                "encoding with ffmpeg"
            );
            let files = tracks::files(self.preset, &plan.tracks, &self.base, &self.basename());
            progressive = is_progressive(&plan, &files);
            let joined = self.encode(&plan, &files).await?;
            let empty = self.empty_sounds(&plan, &files)?;
            entries = self
                .publish(&plan, (&files, &empty), &joined, progressive, visible)
                .await?;
        }
        for name in images::take(self).await? {
            visible.push(name);
        }
        if entries.is_empty() {
            return Ok(String::new());
        }
        let manifest = format!("{}.ism", self.base);
        let formats = if progressive { "mp4" } else { FORMATS_CMAF };
        let text = headwater_ism::write(&ServerManifest {
            formats: Some(formats.into()),
            tracks: entries,
            ..ServerManifest::default()
        });
        visible.push(manifest.clone());
        self.place
            .put(&manifest, "application/smil+xml", text.into_bytes().into())
            .await?;
        Ok(manifest)
    }

    /// Sounds of which nothing came: a commentary that ends before the part that is asked for.
    ///
    /// Errors: nothing else is in any of `files`.
    fn empty_sounds(&self, plan: &Plan, files: &[File]) -> Step<Vec<usize>> {
        let mut empty = Vec::new();
        for (index, track) in plan.tracks.iter().enumerate() {
            if !track.is_video() && pack::is_empty(&self.temporary(index))? {
                empty.push(index);
            }
        }
        if empty.is_empty() {
            return Ok(empty);
        }
        if files.iter().all(|file| file.without(&empty).is_none()) {
            return Err(failure::malformed(format!(
                "The input file '{}' has no sound in the part that is to be encoded, and the preset asks for nothing else.",
                self.sources.name
            )));
        }
        self.job.add_reason(&format!(
            "Output {} is without {} of the source's sounds, which have nothing in it.",
            self.index(),
            empty.len()
        ));
        Ok(empty)
    }

    pub(super) fn index(&self) -> u32 {
        self.output.index
    }

    /// So many milliseconds of the presentation are done besides.
    pub(super) fn done(&self, milliseconds: u64) {
        self.done.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// The input's name for the macro `{Basename}`.
    pub(super) fn basename(&self) -> String {
        self.base.clone()
    }

    /// The first part of the source.
    pub(super) fn part(&self) -> Step<&Part> {
        self.sources
            .parts
            .first()
            .ok_or_else(|| failure::internal("The job has no source."))
    }

    pub(super) fn seconds(&self) -> f64 {
        self.sources.parts.iter().map(|part| part.seconds).sum()
    }

    /// Where the track at `index` lies before it is published.
    pub(super) fn temporary(&self, index: usize) -> PathBuf {
        self.folder.join(format!("t{index}.mp4"))
    }

    pub(super) fn program(&self, arguments: Vec<String>, tracks: usize) -> Program {
        Program {
            path: self.engine.tools.ffmpeg.clone(),
            arguments,
            folder: self.folder.clone(),
            limits: self.engine.limits(self.seconds(), tracks),
            reads: self
                .sources
                .inputs
                .iter()
                .map(|input| input.path.clone())
                .collect(),
        }
    }

    /// As many threads as the worker was given.
    pub(super) fn threads(&self) -> usize {
        self.engine.settings.threads.max(1)
    }

    /// What every command begins with. It reports its progress, for [`Program::run_counted`].
    pub(super) fn opening(&self, threads: usize) -> Vec<String> {
        let threads = threads.to_string();
        [
            "-hide_banner",
            "-nostdin",
            "-y",
            "-v",
            "error",
            "-progress",
            "pipe:1",
            "-stats_period",
            "0.5",
            "-filter_complex_threads",
            &threads,
            "-filter_threads",
            &threads,
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// Makes all tracks: in chunks, whose renditions are given back by place among the tracks, where that goes, the rest and
    /// otherwise everything as files of one track each.
    async fn encode(&self, plan: &Plan, files: &[File]) -> Step<HashMap<usize, Joined>> {
        let why = match self.split(plan).await? {
            Err(why) => why,
            Ok(split) => {
                let (chunked, ()) = tokio::try_join!(
                    self.chunks(self.claim, plan, &split, files),
                    self.encode_sound(plan, &split)
                )?;
                match chunked {
                    Ok(joined) => {
                        self.job.add_reason(&format!(
                            "Output {} was made in {} chunks.",
                            self.index(),
                            split.chunks.len()
                        ));
                        self.check_whole(plan, |track| !track.is_video(), split.seconds(), "")?;
                        return Ok(joined);
                    }
                    Err(why) => why,
                }
            }
        };
        tracing::info!(
            output = self.index(),
            why,
            "encoding with ffmpeg in one piece"
        );
        self.job.add_reason(&format!(
            "Output {} was made in one piece: {why}.",
            self.index()
        ));
        let mut line = |text: &str| {
            if let Some(time) = text.strip_prefix("out_time_us=")
                && let Ok(time) = time.trim().parse::<u64>()
            {
                self.done.fetch_max(time / 1000, Ordering::Relaxed);
            }
        };
        let stderr = self
            .encode_tracks(plan, &plan.graph, |_| true, &mut line)
            .await?;
        self.check_whole(plan, |_| true, 0.0, &stderr)?;
        Ok(HashMap::new())
    }

    /// What follows the inputs for the rendition `track`, up to its file. `key_frames`: when they are wanted, in ffmpeg's words.
    pub(super) fn picture_arguments(
        &self,
        plan: &Plan,
        track: &Track,
        key_frames: &str,
        threads: &str,
        arguments: &mut Vec<String>,
    ) {
        let Work::Picture { rung, label } = &track.work else {
            return;
        };
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
        add(&["-map", &format!("[v{label}]")]);
        add(&["-fps_mode", graph::fps_mode(plan.sync)]);
        add(&[
            "-enc_time_base",
            "1:90000",
            "-video_track_timescale",
            "90000",
        ]);
        add(&["-force_key_frames", key_frames]);
        add(&["-threads", threads]);
        let options: Vec<&str> = rung.options.iter().map(String::as_str).collect();
        add(&options);
    }

    /// Runs ffmpeg once for the tracks that `which` picks; gives what it complained of.
    pub(super) async fn encode_tracks(
        &self,
        plan: &Plan,
        graph: &str,
        which: impl Fn(&Track) -> bool,
        line: &mut (dyn FnMut(&str) + Send + '_),
    ) -> Step<String> {
        let threads = self.threads().to_string();
        let mut arguments = self.opening(self.threads());
        let autorotate = self.preset.filters.turn == headwater_preset::Turn::Auto;
        for (number, input) in self.sources.inputs.iter().enumerate() {
            arguments.extend(["-threads".into(), threads.clone()]);
            let videos = self
                .sources
                .parts
                .iter()
                .filter_map(|part| part.video.as_ref());
            let own = videos.filter(|video| video.input == number);
            arguments.extend(graph::input_options(own, &self.preset.filters));
            arguments.extend(input.arguments(autorotate));
        }
        if !graph.is_empty() {
            arguments.extend(["-filter_complex".into(), graph.to_owned()]);
        }
        let key_frames = graph::key_frames(plan.key_frame_ms);
        let tracks = plan.tracks.iter().enumerate();
        for (index, track) in tracks.filter(|(_, track)| which(track)) {
            self.picture_arguments(plan, track, &key_frames, &threads, &mut arguments);
            let mut add =
                |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
            match &track.work {
                Work::Picture { .. } => {}
                Work::Sound {
                    codec,
                    channels,
                    sample_rate,
                    label,
                } => {
                    let encoder = tracks::encoder(codec.format, &self.engine.tools);
                    add(&["-map", &format!("[a{label}]"), "-c:a", encoder]);
                    add(&["-b:a", &codec.bitrate.to_string()]);
                    add(&[
                        "-ac",
                        &channels.to_string(),
                        "-ar",
                        &sample_rate.to_string(),
                    ]);
                }
                Work::CopyVideo(stream) => {
                    add(&["-map", &format!("{}:{}", stream.input, stream.index)]);
                    add(&["-c:v", "copy"]);
                    add(&UNRIPE);
                    if stream.codec == "hevc" {
                        add(&["-tag:v", "hvc1"]);
                    }
                }
                Work::CopyAudio(stream) => {
                    add(&["-map", &format!("{}:{}", stream.input, stream.index)]);
                    add(&["-c:a", "copy"]);
                    add(&UNRIPE);
                }
            }
            let kind = if track.is_video() { "v" } else { "a" };
            add(&["-map_metadata", "-1", "-map_chapters", "-1"]);
            add(&[
                &format!("-metadata:s:{kind}:0"),
                &format!("language={}", language_name(&track.language)),
            ]);
            let (muxer, path) = match plain(track) {
                Some(_) => (he_aac::PLAIN, self.plain_samples(index)),
                None => ("mp4", self.temporary(index)),
            };
            add(&["-f", muxer, &Self::argument(&path)]);
        }
        for (number, input) in self.sources.inputs.iter().enumerate() {
            if !input.pictures.is_empty() {
                arguments.extend(Input::read_along(number, &input.pictures));
            }
        }
        let mut program = self.program(arguments, plan.tracks.len());
        program.limits.silence *= patience(&plan.tracks);
        let ended = program.run_counted(&self.job.stop, line).await;
        let stderr = fault::outcome(&self.sources.name, ended)?.1;
        let tracks = plan.tracks.iter().enumerate();
        for (index, track) in tracks.filter(|(_, track)| which(track)) {
            let Some(sound) = plain(track) else { continue };
            let (from, to) = (self.plain_samples(index), self.temporary(index));
            let stop = self.job.stop.clone();
            let encoded = tokio::task::spawn_blocking(move || {
                let encoded = sound.encode(&from, &to, &stop);
                let _ = std::fs::remove_file(&from);
                encoded
            });
            encoded
                .await
                .map_err(|_| failure::internal("The AAC encoder ended early."))??;
        }
        Ok(stderr)
    }

    /// Where the samples lie that ffmpeg leaves of the track at `index` where it does not encode it.
    fn plain_samples(&self, index: usize) -> PathBuf {
        self.folder.join(format!("t{index}.pcm"))
    }

    /// Seconds that the source claims for what is made of it; 0 where it does not say. Pictures may last longer than sound, or the other
    /// way round, and a preset make something of either alone.
    fn claimed(&self, plan: &Plan) -> f64 {
        let has_pictures = plan.tracks.iter().any(Track::is_video);
        let has_sound = plan.tracks.iter().any(|track| !track.is_video());
        let parts = &self.sources.parts;
        let (pictures, sound) = (
            parts.iter().any(|part| part.video.is_some()),
            parts.iter().any(|part| !part.audios.is_empty()),
        );
        let lasts = self.sources.lasts.unwrap_or_default();
        match (has_pictures || !pictures, has_sound || !sound) {
            (true, true) => self.seconds(),
            (true, false) => lasts.pictures,
            (false, _) => lasts.sound,
        }
    }

    /// A file that was cut off is decoded as far as it goes, without a word of complaint in ffmpeg's status.
    /// `which`: tracks that lie in files; `longest`: seconds of those that do not.
    fn check_whole(
        &self,
        plan: &Plan,
        which: impl Fn(&Track) -> bool,
        mut longest: f64,
        stderr: &str,
    ) -> Step<()> {
        let tracks = plan.tracks.iter().enumerate();
        for (index, track) in tracks.filter(|(_, track)| which(track)) {
            if !track.is_video() && pack::is_empty(&self.temporary(index))? {
                continue;
            }
            longest = longest.max(Made::open(&self.temporary(index))?.seconds());
        }
        let claimed = self.claimed(plan);
        let short = claimed - longest;
        if self.sources.states_duration && short > (claimed * 0.05).max(1.0) {
            return Err(failure::Stopped::Failed(headwater_work::JobFailure {
                code: headwater_work::JobErrorCode::ContentMalformed,
                message: format!(
                    "The input file '{}' is cut off or damaged: it claims {claimed:.1} s, and {longest:.1} s of it can be read.",
                    self.sources.name
                ),
                details: fault::last_lines(stderr),
            }));
        }
        if !stderr.is_empty() {
            tracing::warn!(file = self.sources.name, stderr, "ffmpeg complained");
        }
        Ok(())
    }

    /// A path for a temporary file, as an argument.
    pub(super) fn argument(path: &Path) -> String {
        format!("file:{}", path.display())
    }
}

/// How many times the usual silence an encode may take: AV1 encoders look at some twenty pictures before they give anything,
/// at seconds a picture, and all of an output share the processor.
pub(super) fn patience(tracks: &[Track]) -> u32 {
    let slow = tracks.iter().filter(|track| {
        matches!(&track.work, Work::Picture { rung, .. } if rung.format == VideoFormat::Av1)
    });
    1 + slow.count() as u32
}

/// What is made of a track's plain samples here, where ffmpeg does not encode it.
fn plain(track: &Track) -> Option<he_aac::Sound> {
    match &track.work {
        Work::Sound {
            codec,
            channels,
            sample_rate,
            ..
        } => he_aac::Sound::of(codec, *channels, *sample_rate),
        _ => None,
    }
}

/// Whether a track can be a track file of ours: encoded here, or sound that stands by itself.
fn streamable(track: &Track) -> bool {
    match &track.work {
        Work::CopyVideo(_) => false,
        Work::CopyAudio(stream) => stream.codec == "aac",
        _ => true,
    }
}
