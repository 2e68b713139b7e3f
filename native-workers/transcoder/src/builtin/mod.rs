//! The built-in engine: our own demuxer, OpenH264, FDK AAC. Chunks are made here, files in [`finish`].

mod finish;

pub(crate) use finish::{duration_ms, language_name};

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::future::{LocalBoxFuture, ready};
use futures::stream::{self, TryStreamExt as _};
use headwater_work::{ChunkRecord, Claim, MAX_LOT, TakeResponse, WorkOutput};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::analysis::{Analysis, Plan};
use crate::audio::AudioPlan;
use crate::division::{Counted, LOOK_AGAIN};
use crate::engine::{Engine, Job, by_urgency};
use crate::failure::{self, Step, Stopped};
use crate::feed::{self, feed};
use crate::output::{OutputPlace, Record, Staged, TrackRecord, base_name};
use crate::plan::{VideoPass, passes};
use crate::preset::{self, Preset, VideoPreset};
use crate::slots::Slots;
use crate::source::Source;
use crate::video::{self, EncodedChunk, Shared, Threads};

/// See the module.
#[derive(Debug)]
pub struct BuiltIn {
    slots: Arc<Slots>,
}

impl BuiltIn {
    /// `threads`: how many may compute at once.
    pub fn new(threads: usize) -> Self {
        Self {
            slots: Arc::new(Slots::new(threads)),
        }
    }

    /// What is to be made of the job's outputs, or of those with the indexes `only`, in the order in which it is to be made.
    async fn plans<'a>(
        &self,
        claim: &'a Claim,
        job: &Job,
        only: Option<&[u32]>,
    ) -> Step<(Source, Vec<Planned<'a>>)> {
        let wanted = |output: &WorkOutput| only.is_none_or(|only| only.contains(&output.index));
        let read = |output: &WorkOutput| {
            Preset::of(&preset::parse(&output.preset)?).map_err(|what| {
                failure::configuration(format!(
                    "The preset asks for {what}, which the built-in engine does not make; ffmpeg does, and this worker \
                     has none."
                ))
            })
        };
        let mut presets = Vec::with_capacity(claim.outputs.len());
        for output in &claim.outputs {
            let preset = match wanted(output) {
                true => job.settle(output, read(output))?,
                false => None,
            };
            presets.push(preset);
        }
        let source = Source::open(&job.storage, &claim.input, &job.stop).await?;
        let pictures = presets
            .iter()
            .flatten()
            .any(|preset| preset.video != VideoPreset::None);
        let analysis = Analysis::new(&source, pictures).await?;
        let mut plans = Vec::with_capacity(presets.len());
        for (at, output) in by_urgency(claim) {
            let Some(preset) = &presets[at] else {
                continue;
            };
            let Some(plan) = job.settle(output, analysis.plan(&source, preset))? else {
                continue;
            };
            let done = job.start(output.index, weight(&plan));
            plans.push(Planned {
                at,
                output,
                plan,
                done,
            });
        }
        drop(analysis);
        Ok((source, plans))
    }

    async fn job(&self, claim: &Claim, job: &Job) -> Step<Vec<String>> {
        let (source, plans) = self.plans(claim, job, None).await?;
        let mut manifests = vec![String::new(); claim.outputs.len()];
        for planned in plans {
            let (at, output) = (planned.at, planned.output);
            let made = async {
                let run = OutputRun::new(self, claim, job, &source, planned)?;
                run.run(claim).await
            };
            manifests[at] = job.settle(output, made.await)?.unwrap_or_default();
        }
        Ok(manifests)
    }

    async fn lend_a_hand(&self, claim: &Claim, outputs: &[u32], job: &Job) -> Step<()> {
        let (source, plans) = self.plans(claim, job, Some(outputs)).await?;
        for planned in plans {
            let run = OutputRun::new(self, claim, job, &source, planned)?;
            run.make_chunks(None).await?;
        }
        Ok(())
    }
}

/// An output of a job, planned.
struct Planned<'a> {
    /// Its place in the claim.
    at: usize,
    output: &'a WorkOutput,
    plan: Plan,
    /// Work that is done.
    done: Arc<AtomicU64>,
}

impl Engine for BuiltIn {
    fn name(&self) -> &'static str {
        "builtin"
    }

    fn run<'a>(&'a self, claim: &'a Claim, job: &'a Job) -> LocalBoxFuture<'a, Step<Vec<String>>> {
        Box::pin(self.job(claim, job))
    }

    fn help<'a>(
        &'a self,
        claim: &'a Claim,
        outputs: &'a [u32],
        job: &'a Job,
    ) -> LocalBoxFuture<'a, Step<()>> {
        Box::pin(self.lend_a_hand(claim, outputs, job))
    }
}

fn weight(plan: &Plan) -> u64 {
    let video = plan
        .video
        .as_ref()
        .map_or(0, |video| video.timeline.frames.len() as u64);
    let audio: u64 = plan
        .audio
        .iter()
        .flat_map(|audio| (0..audio.chunks.len()).map(|chunk| audio.work_of(chunk)))
        .sum();
    video + audio
}

/// One file to make.
#[derive(Debug, Clone)]
struct File {
    name: String,
    kbps: u32,
}

/// One output being made.
struct OutputRun<'a> {
    job: &'a Job,
    output: &'a WorkOutput,
    source: &'a Source,
    place: OutputPlace,
    base: String,
    fingerprint: String,
    video: Option<Arc<Shared>>,
    audio: Vec<Arc<AudioPlan>>,
    video_files: Vec<File>,
    audio_files: Vec<File>,
    slots: Arc<Slots>,
    done: Arc<AtomicU64>,
    /// Units whose weight is in `done`, or on its way there.
    counted: Counted,
}

/// A unit of work, numbered through: video chunks first, then the chunks of each audio track.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Video(usize),
    Audio { track: usize, chunk: usize },
}

/// What is done in one go: chunks of video that share a decoder, or a chunk of audio.
#[derive(Debug)]
enum Task {
    Video(VideoPass),
    Audio {
        number: u32,
        track: usize,
        chunk: usize,
    },
}

/// Samples of a chunk that are yet to be decoded when the next one is taken. What that takes, the call and the first read, is
/// done before they are; sooner it would be work that another worker, who has none left, cannot have.
const TO_GO: usize = 25;

/// Slots of a worker that makes a whole chunk on each: more would need as many decoders and encoders at a time, and as much memory.
const MOST_IN_TURN: usize = 4;

/// Among how many chunks are under way.
type Pass = Arc<Option<OwnedSemaphorePermit>>;

impl<'a> OutputRun<'a> {
    fn new(
        engine: &BuiltIn,
        claim: &Claim,
        job: &'a Job,
        source: &'a Source,
        planned: Planned<'a>,
    ) -> Step<Self> {
        let Planned {
            output, plan, done, ..
        } = planned;
        let base = base_name(&source.name);
        let video_files = plan
            .video
            .iter()
            .flat_map(|video| &video.renditions)
            .map(|rendition| File {
                name: format!(
                    "{base}_{}x{}_{}.mp4",
                    rendition.size.width, rendition.size.height, rendition.kbps
                ),
                kbps: rendition.kbps,
            });
        let video_files = video_files.collect();
        let mut used: HashMap<String, u32> = HashMap::new();
        let audio_files = plan.audio.iter().map(|audio| {
            let language = language_name(&audio.language);
            let name = format!("{base}_aac_{language}_{}", audio.kbps);
            let count = used.entry(name.clone()).or_default();
            *count += 1;
            // Several tracks of one language are told apart by a number.
            let suffix = if *count > 1 {
                format!("_{count}")
            } else {
                String::new()
            };
            File {
                name: format!("{name}{suffix}.mp4"),
                kbps: audio.kbps,
            }
        });
        let audio_files = audio_files.collect();
        Ok(Self {
            job,
            output,
            source,
            place: OutputPlace::new(&job.storage, &output.place, claim, &job.stop)?,
            base,
            fingerprint: plan.fingerprint,
            video: plan.video.map(|plan| {
                Arc::new(Shared {
                    plan,
                    slots: Arc::clone(&engine.slots),
                    stop: job.stop.clone(),
                    shown: Arc::clone(&done),
                })
            }),
            audio: plan.audio.into_iter().map(Arc::new).collect(),
            video_files,
            audio_files,
            slots: Arc::clone(&engine.slots),
            done,
            counted: Counted::default(),
        })
    }

    async fn run(self, claim: &Claim) -> Step<String> {
        let mut visible = Vec::new();
        let result = self.make(claim, &mut visible).await;
        if result.is_err() && self.job.is_cancel_requested() {
            self.place.remove(&visible).await;
        }
        result
    }

    async fn make(&self, claim: &Claim, visible: &mut Vec<String>) -> Step<String> {
        let mut records = self.resumed(claim).await?;
        let todo = self.missing(&records);
        let lots = self.lots(&todo);
        tracing::info!(
            output = self.output.index,
            chunks = todo.len(),
            resumed = records.len(),
            "encoding"
        );
        let (output, stop) = (self.output.index, &self.job.stop);
        let division = &self.job.division;
        division
            .share(output, &self.fingerprint, lots, stop)
            .await?;
        let mut poster = None;
        // Until all are there, whoever made them.
        while records.len() < self.units().count() {
            if self.job.wind_down.is_cancelled() {
                return Err(Stopped::Interrupted);
            }
            let taken = division.take(output, &self.fingerprint, stop).await?;
            if !taken.chunks.is_empty() {
                records.extend(self.make_chunks(Some(taken)).await?);
                continue;
            }
            self.note_made(&taken.made);
            let others = self.of_others(&taken.made, &records).await?;
            if others.is_empty() && taken.left == 0 {
                // What others left cannot be used.
                let again = self.lots(&self.missing(&records));
                division
                    .share(output, &self.fingerprint, again, stop)
                    .await?;
            } else if others.is_empty() {
                // What is left of the work, while others have theirs.
                match &self.video {
                    Some(video) if poster.is_none() => poster = Some(self.poster(video).await?),
                    _ => tokio::time::sleep(LOOK_AGAIN).await,
                }
            }
            records.extend(others);
        }
        tracing::debug!(output, "all chunks are there");
        self.commit(&records, poster, visible).await
    }

    /// Makes `first`, and then what there is to take, until there is nothing.
    async fn make_chunks(&self, first: Option<TakeResponse>) -> Step<Vec<(u32, Record)>> {
        // Enough at a time to keep every slot busy, few enough to bound memory. One slot is busy with one chunk, and what
        // is taken early is what another worker has not got at the end.
        let renditions = self.video_files.len().max(1);
        let under_way = match self.slots.count() {
            count @ 1..=MOST_IN_TURN => count,
            count => count.div_ceil(renditions) + 1,
        };
        let gate = Arc::new(Semaphore::new(under_way));
        stream::try_unfold(first, async |first| {
            // Closed never.
            let pass = Arc::new(Arc::clone(&gate).acquire_owned().await.ok());
            if self.job.wind_down.is_cancelled() {
                return Ok::<_, Stopped>(None);
            }
            let (output, stop) = (self.output.index, &self.job.stop);
            let taken = match first {
                Some(taken) => taken,
                None => {
                    let division = &self.job.division;
                    division.take(output, &self.fingerprint, stop).await?
                }
            };
            self.note_made(&taken.made);
            tracing::debug!(output, chunks = ?taken.chunks, left = taken.left, "chunks taken");
            let units = self.units_of(&taken.chunks);
            let threads = self.threads(taken.left as usize);
            let tasks = self.tasks(&units).into_iter();
            let tasks = tasks.map(move |task| Ok::<_, Stopped>((task, threads, Arc::clone(&pass))));
            let tasks = stream::iter(tasks);
            Ok((!units.is_empty()).then_some((tasks, None)))
        })
        .try_flatten()
        .try_take_while(|_| ready(Ok(!self.job.wind_down.is_cancelled())))
        .map_ok(|(task, threads, pass)| self.do_task(task, threads, pass))
        .try_buffer_unordered(under_way + 1)
        .try_concat()
        .await
    }

    /// How a chunk is made when `left` are yet to be, those in hand among them.
    fn threads(&self, left: usize) -> Threads {
        match self.slots.count() {
            1 => Threads::One,
            // Enough for all slots after this one.
            count @ ..=MOST_IN_TURN if left >= count * 2 => Threads::One,
            _ => Threads::PerRendition,
        }
    }

    /// Numbers of the units that are not in `records`, ascending.
    fn missing(&self, records: &HashMap<u32, Record>) -> Vec<u32> {
        let numbers = self.units().map(|(number, _)| number);
        numbers
            .filter(|number| !records.contains_key(number))
            .collect()
    }

    /// The units `todo`, those together that share a decoder.
    fn lots(&self, todo: &[u32]) -> Vec<Vec<u32>> {
        let units = self.units_of(todo);
        let tasks = self.tasks(&units).into_iter();
        let lots = tasks.map(|task| match task {
            Task::Video(pass) => pass.chunks.iter().map(|&chunk| chunk as u32).collect(),
            Task::Audio { number, .. } => vec![number],
        });
        lots.flat_map(|lot: Vec<u32>| lot.chunks(MAX_LOT).map(<[u32]>::to_vec).collect::<Vec<_>>())
            .collect()
    }

    fn units_of(&self, numbers: &[u32]) -> Vec<(u32, Unit)> {
        self.units()
            .filter(|(number, _)| numbers.contains(number))
            .collect()
    }

    /// Counts what others made of the output as done.
    fn note_made(&self, made: &[u32]) {
        let new = self.counted.add(made.iter().copied());
        for (_, unit) in self.units_of(&new) {
            self.done.fetch_add(self.weight_of(unit), Ordering::Relaxed);
        }
    }

    /// The records of those of `made` that are not in `records`; only such as can be used.
    async fn of_others(
        &self,
        made: &[u32],
        records: &HashMap<u32, Record>,
    ) -> Step<Vec<(u32, Record)>> {
        let new: Vec<u32> = made
            .iter()
            .copied()
            .filter(|number| !records.contains_key(number))
            .collect();
        let found = self
            .job
            .division
            .records(self.output.index, &new, &self.job.stop)
            .await?;
        let readable = |chunk: ChunkRecord| Some((chunk.chunk, Record::read(&chunk.record)?));
        let units: HashMap<u32, Unit> = self.units_of(&new).into_iter().collect();
        Ok(found
            .into_iter()
            .filter_map(readable)
            .filter(|(number, record)| {
                units
                    .get(number)
                    .is_some_and(|&unit| self.is_usable(unit, record))
            })
            .collect())
    }

    /// Whether `record` is of this plan, and of all files of the unit.
    fn is_usable(&self, unit: Unit, record: &Record) -> bool {
        record.plan == self.fingerprint
            && record.tracks.len() == self.files_of(unit).len()
            && record.tracks.iter().all(|track| track.segments().is_some())
    }

    fn units(&self) -> impl Iterator<Item = (u32, Unit)> + '_ {
        let chunks = self
            .video
            .as_ref()
            .map_or(0, |video| video.plan.chunks.len());
        let video = (0..chunks).map(Unit::Video);
        let audio = self.audio.iter().enumerate().flat_map(|(track, plan)| {
            (0..plan.chunks.len()).map(move |chunk| Unit::Audio { track, chunk })
        });
        (0_u32..).zip(video.chain(audio))
    }

    /// How the units `todo` are made.
    fn tasks(&self, todo: &[(u32, Unit)]) -> Vec<Task> {
        let chunks = todo.iter().filter_map(|(_, unit)| match unit {
            Unit::Video(chunk) => Some(*chunk),
            Unit::Audio { .. } => None,
        });
        let video = self
            .video
            .as_ref()
            .map(|video| passes(&video.plan.chunks, chunks));
        let audio = todo.iter().filter_map(|&(number, unit)| match unit {
            Unit::Video(_) => None,
            Unit::Audio { track, chunk } => Some(Task::Audio {
                number,
                track,
                chunk,
            }),
        });
        let video = video.into_iter().flatten().map(Task::Video);
        video.chain(audio).collect()
    }

    fn files_of(&self, unit: Unit) -> &[File] {
        match unit {
            Unit::Video(_) => &self.video_files,
            Unit::Audio { track, .. } => std::slice::from_ref(&self.audio_files[track]),
        }
    }

    fn weight_of(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Video(chunk) => self
                .video
                .as_ref()
                .map_or(0, |video| video.plan.chunks[chunk].frames.len() as u64),
            Unit::Audio { track, chunk } => self.audio[track].work_of(chunk),
        }
    }

    /// Records of earlier attempts that still hold: made for this plan, and storage has every block of them.
    async fn resumed(&self, claim: &Claim) -> Step<HashMap<u32, Record>> {
        let candidates: HashMap<u32, Record> = claim
            .chunks
            .iter()
            .filter(|chunk| chunk.output == self.output.index)
            .filter_map(|chunk| Some((chunk.chunk, Record::read(&chunk.record)?)))
            .filter(|(_, record)| record.plan == self.fingerprint)
            .collect();
        let mut kept = HashMap::new();
        if candidates.is_empty() {
            return Ok(kept);
        }
        let mut staged: HashMap<&str, Staged> = HashMap::new();
        for file in self.video_files.iter().chain(&self.audio_files) {
            staged.insert(&file.name, self.place.staged(&file.name).await?);
        }
        for (number, unit) in self.units() {
            let Some(record) = candidates.get(&number) else {
                continue;
            };
            let files = self.files_of(unit);
            let id = self.place.block_id_of(&record.hand, number);
            let is_staged = files.iter().zip(&record.tracks).all(|(file, track)| {
                let blocks = staged.get(file.name.as_str());
                blocks.and_then(|blocks| blocks.get(&id)) == Some(&track.bytes)
            });
            if is_staged && self.is_usable(unit, record) {
                kept.insert(number, record.clone());
            }
        }
        let numbers: Vec<u32> = kept.keys().copied().collect();
        self.note_made(&numbers);
        Ok(kept)
    }

    /// `pass`: let go shortly before the task is done, so that the next one's source is there when it is.
    async fn do_task(&self, task: Task, threads: Threads, pass: Pass) -> Step<Vec<(u32, Record)>> {
        match task {
            Task::Video(chunks) => {
                // Video chunks are the first units. Encoders count pictures as they go.
                self.counted
                    .add(chunks.chunks.iter().map(|&chunk| chunk as u32));
                self.make_video(chunks, threads, pass).await
            }
            Task::Audio {
                number,
                track,
                chunk,
            } => {
                let unit = Unit::Audio { track, chunk };
                self.counted.add([number]);
                let made = self.make_audio(track, chunk, pass).await?;
                Ok(vec![(number, self.keep(number, unit, vec![made]).await?)])
            }
        }
    }

    /// Stages what was made of `unit` and tells the API.
    async fn keep(&self, number: u32, unit: Unit, encoded: Vec<EncodedChunk>) -> Step<Record> {
        let id = self.place.block_id(number);
        let record = Record {
            plan: self.fingerprint.clone(),
            hand: self.place.hand().to_owned(),
            tracks: encoded.iter().map(TrackRecord::new).collect(),
        };
        tracing::debug!(output = self.output.index, chunk = number, "chunk encoded");
        for (file, chunk) in self.files_of(unit).iter().zip(encoded) {
            self.place
                .stage(&file.name, &id, chunk.bytes.into())
                .await?;
        }
        tracing::debug!(output = self.output.index, chunk = number, "chunk stored");
        self.job.finished_chunk(ChunkRecord {
            output: self.output.index,
            chunk: number,
            record: serde_json::to_value(&record).map_err(|error| {
                failure::internal(format!("A record cannot be written: {error}."))
            })?,
        });
        Ok(record)
    }

    /// Makes the chunks of `pass`, or as many as there are before the job winds down. Lets `gate` go when there are [`TO_GO`]
    /// samples to decode.
    async fn make_video(
        &self,
        pass: VideoPass,
        threads: Threads,
        gate: Pass,
    ) -> Step<Vec<(u32, Record)>> {
        let Some(shared) = &self.video else {
            return Err(failure::internal("There is no video to encode."));
        };
        let (to, mut from) = mpsc::channel::<Bytes>(feed::QUEUE);
        // A chunk is in memory while the next is made.
        let (made, mut finished) = mpsc::channel::<(usize, Vec<EncodedChunk>)>(1);
        let fed = feed(self.source, &shared.plan.samples, pass.samples.clone(), to);
        let work = {
            let (shared, wind_down) = (Arc::clone(shared), self.job.wind_down.clone());
            let count = pass.samples.len();
            tokio::task::spawn_blocking(move || {
                let mut next = letting_go(count, gate, move || from.blocking_recv());
                let mut made = |chunk, encoded| {
                    let listens = made.blocking_send((chunk, encoded)).is_ok();
                    if listens && !wind_down.is_cancelled() {
                        ControlFlow::Continue(())
                    } else {
                        ControlFlow::Break(())
                    }
                };
                video::encode_pass(&shared, &pass, threads, &mut next, &mut made)
            })
        };
        let keep = async move {
            let mut records = Vec::new();
            while let Some((chunk, encoded)) = finished.recv().await {
                // Video chunks are the first units.
                let number = chunk as u32;
                let record = self.keep(number, Unit::Video(chunk), encoded).await?;
                records.push((number, record));
            }
            Ok::<_, Stopped>(records)
        };
        let (fed, work, kept) = tokio::join!(fed, work, keep);
        // What kept samples from coming or chunks from going is the cause of what follows.
        fed?;
        let records = kept?;
        work.map_err(panicked)??;
        Ok(records)
    }

    async fn make_audio(&self, track: usize, chunk: usize, gate: Pass) -> Step<EncodedChunk> {
        let plan = &self.audio[track];
        let (to, mut from) = mpsc::channel::<Bytes>(feed::QUEUE);
        let fed = feed(self.source, &plan.samples, plan.samples_of(chunk), to);
        let collect = async {
            let mut units = Vec::new();
            while let Some(unit) = from.recv().await {
                // A copy, so that a few hundred bytes do not keep the read they came with.
                units.push(Bytes::copy_from_slice(&unit));
            }
            units
        };
        let (fed, units) = tokio::join!(fed, collect);
        fed?;
        drop(gate);
        let (plan, slots, stop, done) = (
            Arc::clone(plan),
            Arc::clone(&self.slots),
            self.job.stop.clone(),
            Arc::clone(&self.done),
        );
        let work = move || {
            let done = |units| {
                done.fetch_add(units, Ordering::Relaxed);
            };
            slots.run(|| plan.encode_chunk(chunk, &units, &done, &stop))
        };
        tokio::task::spawn_blocking(work).await.map_err(panicked)?
    }
}

/// Gives the `count` samples of `next`, and lets `gate` go when [`TO_GO`] of them are yet to come.
fn letting_go<G>(
    count: usize,
    gate: G,
    mut next: impl FnMut() -> Option<Bytes>,
) -> impl FnMut() -> Option<Bytes> {
    let (mut to_come, mut gate) = (count, Some(gate));
    move || {
        if to_come <= TO_GO {
            drop(gate.take());
        }
        to_come = to_come.saturating_sub(1);
        next()
    }
}

fn panicked(error: tokio::task::JoinError) -> Stopped {
    failure::internal(format!(
        "A part of the transcoder failed unexpectedly: {error}."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_chunk_is_taken_when_one_is_nearly_decoded() {
        let held = Arc::new(());
        let gives = || Some(Bytes::new());
        let mut next = letting_go(100, Arc::clone(&held), gives);
        for _ in 0..100 - TO_GO {
            next().unwrap();
            assert_eq!(Arc::strong_count(&held), 2);
        }
        next().unwrap();
        assert_eq!(Arc::strong_count(&held), 1);

        let mut next = letting_go(TO_GO, Arc::clone(&held), gives);
        next().unwrap();
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
