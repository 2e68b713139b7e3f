//! The port between the worker, which knows jobs and leases, and an engine, which knows media.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::LocalBoxFuture;
use headwater_blob::HyperClient;
use headwater_work::{
    ChunkRecord, Claim, EncodedTrack, EngineChoice, MAX_REASON_BYTES, MAX_REPORTED_BYTES,
    OutputFailure, OutputProgress, WorkOutput,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::division::Division;
use crate::failure::{Step, Stopped};
use crate::output::OutputPlace;
use crate::storage::Storage;

/// Turns a claimed job's input into its outputs.
///
/// An engine stops within a second or so of `job.stop` being cancelled and then returns `Interrupted`; it may be
/// dropped at any await. Once `job.wind_down` is cancelled it begins no more chunks, finishes those in hand and, unless that
/// was all, returns `Interrupted`; what it makes in one piece it goes on with. It leaves nothing behind that the same job, taken up by another worker, could not
/// build on.
pub trait Engine: Send + Sync {
    /// For logs and job properties.
    fn name(&self) -> &'static str;

    /// Makes all outputs; gives the server manifest's file name of each, in order: nothing for one without a manifest.
    /// Says first who does the work, and why ([`Job::chose`]), if there was a choice.
    ///
    /// The worker gives every job a thread of its own, so the future need not be `Send`.
    fn run<'a>(&'a self, claim: &'a Claim, job: &'a Job) -> LocalBoxFuture<'a, Step<Vec<String>>>;

    /// Makes chunks of the outputs with the indexes `outputs` of a job that another worker has, as long as there are any to
    /// take ([`Job::division`]). Publishes nothing.
    fn help<'a>(
        &'a self,
        claim: &'a Claim,
        outputs: &'a [u32],
        job: &'a Job,
    ) -> LocalBoxFuture<'a, Step<()>>;
}

/// The claim's outputs in the order in which they are to be made, each with its place in the claim.
pub fn by_urgency(claim: &Claim) -> Vec<(usize, &WorkOutput)> {
    let mut outputs: Vec<_> = claim.outputs.iter().enumerate().collect();
    outputs.sort_by_key(|(_, output)| std::cmp::Reverse(output.urgency));
    outputs
}

/// Most finished chunks that are reported at a time.
const MOST_REPORTED: usize = 16;

/// What an engine gets besides the claim, and where it reports.
#[derive(Debug)]
pub struct Job {
    pub storage: Storage,
    /// Cancelled when the engine is to stop, whatever the reason.
    pub stop: CancellationToken,
    /// Cancelled when the engine is to begin nothing more.
    pub wind_down: CancellationToken,
    /// Who makes which chunks.
    pub division: Division,
    /// Wakes who reports finished chunks.
    pub(crate) finished: Notify,
    cancel_requested: AtomicBool,
    reports: Mutex<Reports>,
    /// Files that nobody needs once the job is known to be over.
    leftovers: Mutex<Vec<(OutputPlace, String)>>,
}

#[derive(Debug, Default)]
struct Reports {
    /// Work done and to be done, per output.
    progress: BTreeMap<u32, (Arc<AtomicU64>, u64)>,
    /// Finished chunks that the API has not acknowledged.
    chunks: Vec<ChunkRecord>,
    /// How many there were, acknowledged or not.
    finished_chunks: usize,
    /// Tracks that were encoded, for the meter.
    encoded: Vec<EncodedTrack>,
    /// Who does the work, and why.
    engine: Option<EngineChoice>,
    /// Outputs that the job goes on without.
    failed: Vec<OutputFailure>,
}

impl Job {
    pub fn new(client: HyperClient, stop: CancellationToken) -> Self {
        Self {
            storage: Storage::new(client),
            stop,
            wind_down: CancellationToken::new(),
            division: Division::default(),
            finished: Notify::new(),
            cancel_requested: AtomicBool::new(false),
            reports: Mutex::default(),
            leftovers: Mutex::default(),
        }
    }

    /// Others may have a hand in it.
    pub fn divided(self, division: Division) -> Self {
        Self { division, ..self }
    }

    /// The job's owner wants it to stop: half-written outputs are of no use to anybody.
    pub fn request_cancel(&self) {
        self.cancel_requested.store(true, Ordering::SeqCst);
        self.stop.cancel();
    }

    pub fn is_cancel_requested(&self) -> bool {
        self.cancel_requested.load(Ordering::SeqCst)
    }

    fn reports(&self) -> std::sync::MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces `total` units of work on `output`; the engine counts up what is done.
    pub fn start(&self, output: u32, total: u64) -> Arc<AtomicU64> {
        let done = Arc::new(AtomicU64::new(0));
        self.reports()
            .progress
            .insert(output, (Arc::clone(&done), total.max(1)));
        done
    }

    /// A chunk is in storage and need not be made again.
    pub fn finished_chunk(&self, record: ChunkRecord) {
        let mut reports = self.reports();
        reports.chunks.push(record);
        reports.finished_chunks += 1;
        drop(reports);
        self.finished.notify_one();
    }

    /// How many were told of in all.
    pub fn finished_chunks(&self) -> usize {
        self.reports().finished_chunks
    }

    /// Says which engine makes the job, and in a sentence why that one.
    pub fn chose(&self, name: &str, reason: &str) {
        tracing::info!(engine = name, reason, "engine chosen");
        let mut end = reason.len().min(MAX_REASON_BYTES);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        self.reports().engine = Some(EngineChoice {
            name: name.into(),
            reason: reason[..end].into(),
        });
    }

    /// Adds a sentence to the reason that was given with [`Self::chose`], as far as it has room.
    pub fn add_reason(&self, sentence: &str) {
        let mut reports = self.reports();
        if let Some(choice) = &mut reports.engine
            && choice.reason.len() + 1 + sentence.len() <= MAX_REASON_BYTES
        {
            choice.reason.push(' ');
            choice.reason.push_str(sentence);
        }
    }

    /// What [`Self::chose`] was told.
    pub fn engine(&self) -> Option<EngineChoice> {
        self.reports().engine.clone()
    }

    /// A track that had to be encoded is in storage, whole.
    pub fn encoded(&self, track: EncodedTrack) {
        self.reports().encoded.push(track);
    }

    /// Takes the tracks that were encoded.
    pub fn take_encoded(&self) -> Vec<EncodedTrack> {
        std::mem::take(&mut self.reports().encoded)
    }

    /// `file` is not to be there any more once the API knows that the job is over. Until then, a worker that takes it up
    /// goes on from it.
    pub fn leave(&self, place: &OutputPlace, file: String) {
        let mut leftovers = self
            .leftovers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        leftovers.push((place.clone(), file));
    }

    /// Removes what was left for then.
    pub async fn clear_up(&self) {
        let leftovers = {
            let mut leftovers = self
                .leftovers
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *leftovers)
        };
        for (place, file) in leftovers {
            place.remove(&[file]).await;
        }
    }

    /// What came of an output; `None` if it cannot be made and the job goes on without it.
    ///
    /// Errors: that of `made`, if the job does not. What may be tried again ends every job, so that it is.
    pub fn settle<T>(&self, output: &WorkOutput, made: Step<T>) -> Step<Option<T>> {
        match made {
            Ok(made) => Ok(Some(made)),
            Err(Stopped::Failed(failure)) if output.continues && !failure.code.may_retry() => {
                tracing::warn!(
                    output = output.index,
                    ?failure,
                    "going on without an output"
                );
                self.reports().failed.push(OutputFailure {
                    index: output.index,
                    failure,
                });
                Ok(None)
            }
            Err(stopped) => Err(stopped),
        }
    }

    /// Takes the outputs that the job went on without.
    pub fn take_failed(&self) -> Vec<OutputFailure> {
        std::mem::take(&mut self.reports().failed)
    }

    /// How far each output is: 99 at most, as only the end of the job makes it 100.
    pub fn progress(&self) -> Vec<OutputProgress> {
        let percent = |done: &AtomicU64, total: u64| {
            (done.load(Ordering::Relaxed).min(total) * 99 / total) as u8
        };
        self.reports()
            .progress
            .iter()
            .map(|(&index, (done, total))| OutputProgress {
                index,
                percent: percent(done, *total),
            })
            .collect()
    }

    /// Takes the finished chunks that are yet to be reported, as many at a time as a report has room for; at least one, if there
    /// are any.
    pub fn take_chunks(&self) -> Vec<ChunkRecord> {
        let mut reports = self.reports();
        let mut bytes = 0;
        let fitting = reports
            .chunks
            .iter()
            .take(MOST_REPORTED)
            .take_while(|chunk| {
                bytes += chunk.record.to_string().len();
                bytes <= MAX_REPORTED_BYTES
            });
        let count = fitting.count().max(1).min(reports.chunks.len());
        reports.chunks.drain(..count).collect()
    }

    /// Puts chunks back whose report did not get through.
    pub fn return_chunks(&self, mut chunks: Vec<ChunkRecord>) {
        let mut reports = self.reports();
        chunks.append(&mut reports.chunks);
        reports.chunks = chunks;
    }
}

#[cfg(test)]
mod tests {
    use headwater_work::MAX_CHUNK_BYTES;

    use super::*;

    /// How many chunks with records of `bytes` go into each report.
    fn reports(bytes: usize, count: u32) -> Vec<usize> {
        let client = HyperClient::new(headwater_blob::HyperOptions::default()).unwrap();
        let job = Job::new(client, CancellationToken::new());
        for chunk in 0..count {
            job.finished_chunk(ChunkRecord {
                output: 0,
                chunk,
                record: "x".repeat(bytes - 2).into(),
            });
        }
        let mut taken = Vec::new();
        loop {
            let chunks = job.take_chunks();
            if chunks.is_empty() {
                return taken;
            }
            taken.push(chunks.len());
        }
    }

    #[test]
    fn a_report_has_a_size() {
        assert_eq!(reports(1000, 20), [16, 4]);
        assert_eq!(reports(200_000, 9), [4, 4, 1]);
        assert_eq!(reports(MAX_CHUNK_BYTES, 2), [1, 1]);
    }
}
