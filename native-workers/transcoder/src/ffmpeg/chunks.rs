//! Pictures encoded in chunks, several at a time, each kept as soon as it is there.
//!
//! A chunk is one run of ffmpeg with all renditions of a stretch of the source ([`super::split`]). What it makes is cut into
//! segments, staged as one block of every rendition's file, and recorded with the API: whoever takes up the job goes on from
//! there. Once all chunks are there, the blocks are committed in order. Encoders run with a fixed number of threads, so the
//! bytes do not depend on the machine, nor on how many workers had a hand in it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::stream::{self, TryStreamExt as _};
use headwater_cmaf::track_file::{SegmentRecord, TrackFile};
use headwater_preset::Container;
use headwater_work::{ChunkRecord, Claim, TakeResponse};
use serde::{Deserialize, Serialize};

use super::fault;
use super::output::{OutputRun, is_progressive, patience};
use super::pack::{self, Made};
use super::planning::Plan;
use super::split::{Chunk, Split, TICKS, depth};
use super::tracks::{File, Track, Work};
use crate::division::{Counted, LOOK_AGAIN};
use crate::failure::{self, Step, Stopped};
use crate::output::{OutputPlace, Staged};

/// Of one encoder. More of them change what it writes; what a machine has more is used by more chunks at a time.
pub(super) const THREADS: usize = 1;
/// How far a picture may be from its planned time: a millisecond of the container, and rounding.
const TOLERANCE: u64 = TICKS * 2 / 1000;

/// What the API keeps of a finished chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// [`Split::fingerprint`].
    plan: String,
    /// Who staged its blocks: see [`crate::output::OutputPlace::block_id`].
    hand: String,
    /// One per rendition, in the plan's order.
    tracks: Vec<TrackRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TrackRecord {
    /// Of the block.
    bytes: u64,
    /// The initialization segment in Base64: the same for all chunks of a rendition.
    init: String,
    /// Each segment's record in Base64.
    segments: Vec<String>,
}

impl TrackRecord {
    fn segments(&self) -> Option<Vec<SegmentRecord>> {
        self.segments
            .iter()
            .map(|text| SegmentRecord::from_bytes(&BASE64.decode(text).ok()?).ok())
            .collect()
    }

    fn writer(&self) -> Option<TrackFile> {
        pack::writer_of(&BASE64.decode(&self.init).ok()?)
    }
}

/// A rendition made in chunks.
pub(super) struct Joined {
    pub(super) writer: TrackFile,
    pub(super) segments: Vec<SegmentRecord>,
    /// Ids of its file's blocks.
    pub(super) blocks: Vec<Vec<u8>>,
}

/// The renditions, by place among the plan's tracks; or why the output has to be made in one piece.
pub(super) type Chunked = Result<HashMap<usize, Joined>, String>;

/// A rendition of a plan.
struct Rendition {
    /// Its place among the plan's tracks.
    track: usize,
    /// Where its chunks are staged.
    file: String,
}

/// Numbers of the chunks that are not in `records`, ascending, each by itself.
fn missing(split: &Split, records: &HashMap<usize, Record>) -> Vec<Vec<u32>> {
    (0..split.chunks.len())
        .filter(|chunk| !records.contains_key(chunk))
        .map(|chunk| vec![chunk as u32])
        .collect()
}

/// Whether `record` is of this plan, and of all renditions and segments of the chunk.
fn is_usable(split: &Split, number: usize, record: &Record, renditions: usize) -> bool {
    let Some(chunk) = split.chunks.get(number) else {
        return false;
    };
    record.plan == split.fingerprint
        && record.tracks.len() == renditions
        && record.tracks.iter().all(|track| {
            let segments = track.segments().map(|segments| segments.len());
            segments == Some(chunk.segments.len())
        })
}

impl OutputRun<'_> {
    /// What files have of the pictures that `plan` has encoded.
    fn renditions(&self, plan: &Plan, files: &[File]) -> Vec<Rendition> {
        let tracks = plan.tracks.iter().enumerate();
        let pictures = tracks.filter(|(_, track)| matches!(track.work, Work::Picture { .. }));
        let used = pictures
            .filter(|(index, _)| files.iter().any(|file| file.tracks.contains(index)))
            .map(|(track, _)| Rendition {
                track,
                file: self.track_file(plan, files, track),
            });
        used.collect()
    }

    /// Where the chunks of the track at `index` are staged: in the file that is published, if it is published by itself as it is, and
    /// otherwise in one from which files are put together.
    pub(super) fn track_file(&self, plan: &Plan, files: &[File], index: usize) -> String {
        let published = files
            .iter()
            .find(|file| file.container == Container::Mp4 && file.tracks == [index]);
        match published {
            Some(file) if !is_progressive(plan, files) => file.name.clone(),
            _ => self.place.part_name(self.index(), index),
        }
    }

    /// Encodes and stages what is not there yet of the pictures of `plan`.
    ///
    /// Errors: those of encoding; `Interrupted` if the job winds down before all is there.
    pub(super) async fn chunks(
        &self,
        claim: &Claim,
        plan: &Plan,
        split: &Split,
        files: &[File],
    ) -> Step<Chunked> {
        let renditions = self.renditions(plan, files);
        let mut records = self.kept(claim, split, &renditions).await?;
        let counted = Counted::default();
        counted.add(records.keys().map(|&chunk| chunk as u32));
        let todo = missing(split, &records);
        tracing::info!(
            output = self.index(),
            chunks = split.chunks.len(),
            todo = todo.len(),
            "encoding with ffmpeg in chunks"
        );
        let (output, stop) = (self.index(), &self.job.stop);
        let (division, fingerprint) = (&self.job.division, &split.fingerprint);
        division.share(output, fingerprint, todo, stop).await?;
        // Until all are there, whoever made them.
        while records.len() < split.chunks.len() {
            if self.job.wind_down.is_cancelled() {
                return Err(Stopped::Interrupted);
            }
            let taken = division.take(output, fingerprint, stop).await?;
            if !taken.chunks.is_empty() {
                let made = self.make_chunks(plan, split, &renditions, &counted, Some(taken));
                for (chunk, record) in made.await? {
                    match record {
                        Ok(record) => records.insert(chunk, record),
                        Err(why) => {
                            // Nor need others go on with it.
                            division
                                .share(output, fingerprint, Vec::new(), stop)
                                .await?;
                            return Ok(Err(why));
                        }
                    };
                }
                continue;
            }
            self.note_made(split, &counted, &taken.made);
            let others = self
                .of_others(split, &taken.made, &records, renditions.len())
                .await?;
            if others.is_empty() && taken.left == 0 {
                // What others left cannot be used.
                let again = missing(split, &records);
                division.share(output, fingerprint, again, stop).await?;
            } else if others.is_empty() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            records.extend(others);
        }
        Ok(joined(
            &records,
            split.chunks.len(),
            &renditions,
            &self.place,
        ))
    }

    /// Makes chunks of a job that another worker has, as long as there are any to take.
    pub(super) async fn help_with_chunks(
        &self,
        plan: &Plan,
        split: &Split,
        files: &[File],
    ) -> Step<()> {
        let renditions = self.renditions(plan, files);
        let counted = Counted::default();
        self.make_chunks(plan, split, &renditions, &counted, None)
            .await
            .map(|_| ())
    }

    /// Makes `first`, and then what there is to take, until there is nothing. With the first chunk whose pictures are not those
    /// that were planned it takes no more: the inner error says why.
    async fn make_chunks(
        &self,
        plan: &Plan,
        split: &Split,
        renditions: &[Rendition],
        counted: &Counted,
        first: Option<TakeResponse>,
    ) -> Step<Vec<(usize, Result<Record, String>)>> {
        let at_once = self.engine.settings.threads.div_ceil(THREADS).max(1);
        let failed = AtomicBool::new(false);
        let (failed, output) = (&failed, self.index());
        stream::try_unfold(first, async |first| {
            if self.job.wind_down.is_cancelled() || failed.load(Ordering::Relaxed) {
                return Ok::<_, Stopped>(None);
            }
            let taken = match first {
                Some(taken) => taken,
                None => {
                    let division = &self.job.division;
                    division
                        .take(output, &split.fingerprint, &self.job.stop)
                        .await?
                }
            };
            self.note_made(split, counted, &taken.made);
            counted.add(taken.chunks.iter().copied());
            let chunks = taken.chunks;
            let any = !chunks.is_empty();
            let chunks = stream::iter(chunks.into_iter().map(Ok::<_, Stopped>));
            Ok(any.then_some((chunks, None)))
        })
        .try_flatten()
        .map_ok(async |chunk| {
            let chunk = chunk as usize;
            let made = self.chunk(plan, split, chunk, renditions).await?;
            failed.fetch_or(made.is_err(), Ordering::Relaxed);
            Ok::<_, Stopped>((chunk, made))
        })
        .try_buffer_unordered(at_once)
        .try_collect()
        .await
    }

    /// Counts what others made as done.
    fn note_made(&self, split: &Split, counted: &Counted, made: &[u32]) {
        for chunk in counted.add(made.iter().copied()) {
            if let Some(chunk) = split.chunks.get(chunk as usize) {
                self.done(milliseconds(split, chunk));
            }
        }
    }

    /// The records of those of `made` that are not in `records`; only such as can be used.
    async fn of_others(
        &self,
        split: &Split,
        made: &[u32],
        records: &HashMap<usize, Record>,
        renditions: usize,
    ) -> Step<Vec<(usize, Record)>> {
        let new: Vec<u32> = made
            .iter()
            .copied()
            .filter(|&chunk| (chunk as usize) < split.chunks.len())
            .filter(|&chunk| !records.contains_key(&(chunk as usize)))
            .collect();
        let found = self
            .job
            .division
            .records(self.index(), &new, &self.job.stop)
            .await?;
        Ok(found
            .into_iter()
            .filter_map(|chunk| {
                let record = Record::deserialize(&chunk.record).ok()?;
                let number = chunk.chunk as usize;
                is_usable(split, number, &record, renditions).then_some((number, record))
            })
            .collect())
    }

    /// Records of earlier attempts that still hold: of this plan, and storage has every block of them.
    async fn kept(
        &self,
        claim: &Claim,
        split: &Split,
        renditions: &[Rendition],
    ) -> Step<HashMap<usize, Record>> {
        let candidates: HashMap<usize, Record> = claim
            .chunks
            .iter()
            .filter(|chunk| chunk.output == self.index())
            .filter_map(|chunk| {
                let record = Record::deserialize(&chunk.record).ok()?;
                Some((chunk.chunk as usize, record))
            })
            .filter(|(_, record)| record.plan == split.fingerprint)
            .collect();
        let mut kept = HashMap::new();
        if candidates.is_empty() {
            return Ok(kept);
        }
        let mut staged: Vec<Staged> = Vec::with_capacity(renditions.len());
        for rendition in renditions {
            staged.push(self.place.staged(&rendition.file).await?);
        }
        for (number, record) in candidates {
            let Some(chunk) = split.chunks.get(number) else {
                continue;
            };
            let id = self.place.block_id_of(&record.hand, number as u32);
            let is_staged = record
                .tracks
                .iter()
                .zip(&staged)
                .all(|(track, staged)| staged.get(&id) == Some(&track.bytes));
            if is_staged && is_usable(split, number, &record, renditions.len()) {
                self.done(milliseconds(split, chunk));
                kept.insert(number, record);
            }
        }
        Ok(kept)
    }

    /// Makes, stages and records one chunk. The inner error: why its pictures are not those that were planned.
    async fn chunk(
        &self,
        plan: &Plan,
        split: &Split,
        number: usize,
        renditions: &[Rendition],
    ) -> Step<Result<Record, String>> {
        let Some(chunk) = split.chunks.get(number) else {
            return Err(failure::internal("There is no such chunk."));
        };
        let paths: Vec<PathBuf> = renditions
            .iter()
            .map(|rendition| {
                self.folder
                    .join(format!("c{number}t{}.mp4", rendition.track))
            })
            .collect();
        match self
            .encode_chunk(plan, split, chunk, renditions, &paths)
            .await
        {
            // What is damaged in the middle has pictures before and behind it. A chunk may have none that can be decoded.
            Err(Stopped::Failed(failure)) if !failure.code.may_retry() => {
                return Ok(Err(failure.message.trim_end_matches('.').to_owned()));
            }
            other => other?,
        }
        let mut record = Record {
            plan: split.fingerprint.clone(),
            hand: self.place.hand().to_owned(),
            tracks: Vec::with_capacity(renditions.len()),
        };
        for (rendition, path) in renditions.iter().zip(&paths) {
            let Some(track) = plan.tracks.get(rendition.track) else {
                continue;
            };
            let packed = match pack_chunk(split, chunk, track, path) {
                Ok(packed) => packed,
                Err(why) => return Ok(Err(why)),
            };
            record.tracks.push(TrackRecord {
                bytes: packed.bytes.len() as u64,
                init: BASE64.encode(packed.writer.init()),
                segments: packed
                    .segments
                    .iter()
                    .map(|segment| BASE64.encode(segment.to_bytes()))
                    .collect(),
            });
            let id = self.place.block_id(number as u32);
            self.place
                .stage(&rendition.file, &id, packed.bytes.into())
                .await?;
            let _ = std::fs::remove_file(path);
        }
        self.job.finished_chunk(ChunkRecord {
            output: self.index(),
            chunk: number as u32,
            record: serde_json::to_value(&record).map_err(|error| {
                failure::internal(format!("A record cannot be written: {error}."))
            })?,
        });
        Ok(Ok(record))
    }

    async fn encode_chunk(
        &self,
        plan: &Plan,
        split: &Split,
        chunk: &Chunk,
        renditions: &[Rendition],
        paths: &[PathBuf],
    ) -> Step<()> {
        let threads = THREADS.to_string();
        let mut arguments = self.opening(THREADS);
        arguments.extend(["-copyts", "-start_at_zero"].map(str::to_owned));
        arguments.extend(self.stretch(plan, split, chunk)?);
        let key_frames = split.key_frames(chunk);
        for (rendition, path) in renditions.iter().zip(paths) {
            let Some(mut track) = plan.tracks.get(rendition.track).cloned() else {
                continue;
            };
            if let Work::Picture { rung, .. } = &mut track.work {
                rung.options = rung.in_chunks(chunk.pictures.start == 0);
            }
            self.picture_arguments(plan, &track, &key_frames, &threads, &mut arguments);
            arguments.extend(["-f".into(), "mp4".into(), Self::argument(path)]);
        }
        let told = AtomicU64::new(0);
        let begin = split.times.get(chunk.pictures.start).copied();
        let begin = begin.unwrap_or(0) * 1000 / TICKS;
        let whole = milliseconds(split, chunk);
        let tell = |time: u64| {
            let before = told.fetch_max(time, Ordering::Relaxed);
            self.done(time.saturating_sub(before));
        };
        let mut line = |text: &str| {
            if let Some(time) = text.strip_prefix("out_time_us=")
                && let Ok(time) = time.trim().parse::<u64>()
            {
                tell((time / 1000).saturating_sub(begin).min(whole));
            }
        };
        let mut program = self.program(arguments, renditions.len());
        program.limits.silence *= patience(&plan.tracks);
        let ended = program.run_counted(&self.job.stop, &mut line).await;
        fault::outcome(&self.sources.name, ended)?;
        tell(whole);
        Ok(())
    }
}

/// How long a chunk lasts; at least 1.
fn milliseconds(split: &Split, chunk: &Chunk) -> u64 {
    let at = |picture: usize| split.times.get(picture).copied();
    let start = at(chunk.pictures.start).unwrap_or(0);
    let end = at(chunk.pictures.end).or(split.times.last().copied());
    (end.unwrap_or(start).saturating_sub(start) * 1000 / TICKS).max(1)
}

/// Cuts what ffmpeg made of a chunk. Err: why it is not what was planned.
fn pack_chunk(
    split: &Split,
    chunk: &Chunk,
    track: &Track,
    path: &std::path::Path,
) -> Result<pack::Packed, String> {
    let Work::Picture { rung, .. } = &track.work else {
        return Err("it is no encoded video".into());
    };
    let made = Made::open(path).map_err(|_| "the encoder made nothing of a part of it")?;
    let mut made = made.turned(rung.turn);
    let times = split
        .times
        .get(chunk.pictures.clone())
        .ok_or("a chunk has no pictures")?;
    made.place(times, TOLERANCE)?;
    let end = split
        .end(&chunk.pictures)
        .unwrap_or_else(|| made.last_end());
    let segments: Vec<std::ops::Range<usize>> = split
        .segments
        .get(chunk.segments.clone())
        .unwrap_or_default()
        .iter()
        .map(|segment| segment.start - chunk.pictures.start..segment.end - chunk.pictures.start)
        .collect();
    pack::chunk(
        &made,
        &track.language,
        chunk.segments.start as u32,
        &segments,
        end,
        split.reordering(depth(rung)),
    )
}

/// Puts the records of all chunks together.
fn joined(
    records: &HashMap<usize, Record>,
    count: usize,
    renditions: &[Rendition],
    place: &OutputPlace,
) -> Chunked {
    let blocks: Vec<Vec<u8>> = (0..count)
        .filter_map(|number| {
            let record = records.get(&number)?;
            Some(place.block_id_of(&record.hand, number as u32))
        })
        .collect();
    let mut out = HashMap::new();
    for (place, rendition) in renditions.iter().enumerate() {
        let mut segments = Vec::new();
        let mut first: Option<&TrackRecord> = None;
        for number in 0..count {
            let track = records
                .get(&number)
                .and_then(|record| record.tracks.get(place))
                .ok_or("a chunk is missing")?;
            let first = *first.get_or_insert(track);
            if first.init != track.init {
                return Err("its encoder describes parts of it in different words".into());
            }
            segments.extend(track.segments().ok_or("a record cannot be read")?);
        }
        let writer = first
            .and_then(TrackRecord::writer)
            .ok_or("a record cannot be read")?;
        let joined = Joined {
            writer,
            segments,
            blocks: blocks.clone(),
        };
        out.insert(rendition.track, joined);
    }
    Ok(out)
}
