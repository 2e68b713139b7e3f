//! The worker: claims jobs, keeps their leases, runs an engine over them, gives them back.
//!
//! One job at a time; more workers, more jobs. Where nothing is queued, a worker helps with a job that another has: it makes
//! chunks of it ([`crate::division`]) until there are none to take, a job is queued, or the job is over. A worker holds
//! nothing that another could not go on from: finished chunks are in storage and in the API. While a job runs, its lease is renewed every 800 ms with progress and finished chunks. What
//! ends a job early:
//!
//! | event | what happens |
//! |---|---|
//! | the owner cancels | the engine stops, removes what it made visible, the job is given back as cancelled |
//! | `409` on renewal | the engine stops, nothing is said or touched any more |
//! | `400` or `413` on renewal | a report that is never accepted: the job ends with `ServiceError` |
//! | no renewal got through for a whole lease | as with `409`: another worker may have the job by now |
//! | the claim is 20 hours old, and there are no fresh signatures for its places | as with shutdown, but what is in hand is finished first: the old ones end soon |
//! | shutdown | the engine stops, what is finished is reported, the job goes back into the queue at once |
//! | a panic | the job ends with `ServiceError`; the worker goes on |

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use headwater_blob::{HyperClient, HyperOptions};
use headwater_net::egress::Guard;
use headwater_trace::{Here, Kind, Span};
use headwater_work::{
    Assist, AssistRequest, Claim, ClaimRequest, EncodedTrack, FinishRequest, JobErrorCode,
    JobFailure, MAX_EXCEPT, Outcome, OutputFailure, PlacesRequest, RenewRequest,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::api::{Api, ApiError};
use crate::auto::{Auto, Choice};
use crate::division::Division;
use crate::engine::{Engine, Job};
use crate::failure::{Step, Stopped};
use crate::ffmpeg::Settings;
use crate::h264;

/// How a worker is set up.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Of the control plane, e.g. `http://localhost:8080`.
    pub api_url: String,
    /// A token of role `worker`.
    pub token: String,
    /// Certificates in PEM, trusted besides the public roots.
    pub ca: Option<Vec<u8>>,
    /// Threads that compute at once; 0 means as many as there are cores.
    pub threads: usize,
    /// Between two questions for work while there is none.
    pub poll: Duration,
    /// For people: shown in logs and with the job.
    pub name: String,
    /// Which engine makes jobs.
    pub engine: Choice,
    /// Where ffmpeg and ffprobe are; looked for in `PATH` if `None`.
    pub ffmpeg: Option<PathBuf>,
    /// Where sources and results of ffmpeg lie while a job runs.
    pub scratch: PathBuf,
    /// Where sources by HTTP may come from.
    pub guard: Guard,
}

/// The worker could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    #[error(transparent)]
    Ca(#[from] headwater_blob::client::InvalidCa),
    /// The API does not take this worker: a wrong token or address. Waiting would not help.
    #[error("the control plane does not accept this worker: {0}")]
    Refused(ApiError),
}

/// Long enough to outlive a pause, short enough that a killed worker's job is soon taken up again.
const LEASE_SECONDS: u32 = 15;
const RENEW_EVERY: Duration = Duration::from_millis(800);
/// Longest wait between attempts to reach an API that is away.
const MOST_PATIENCE: Duration = Duration::from_secs(10);
/// Age at which a claim's signatures are replaced: the API makes them for 24 hours. Where it does not know how to replace them,
/// that leaves hours for the chunks in hand.
const CLAIM_LASTS: Duration = Duration::from_secs(20 * 3600);
/// Between two attempts to have them replaced.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// How long an engine may take to stop before its job is given up.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// How long a job is left alone with which this worker could not help.
const LEAVE_ALONE: Duration = Duration::from_secs(60);

/// Works until `shutdown` is cancelled, with the engines that `config` chooses.
///
/// Errors: see [`WorkerError`]; an API that is merely away is waited for.
///
/// Boxed: what it does is compiled here, and not once more in every program that waits for it.
pub fn run(
    config: WorkerConfig,
    shutdown: CancellationToken,
) -> BoxFuture<'static, Result<(), WorkerError>> {
    Box::pin(find_and_work(config, shutdown))
}

async fn find_and_work(
    config: WorkerConfig,
    shutdown: CancellationToken,
) -> Result<(), WorkerError> {
    let threads = match config.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let settings = Settings {
        threads,
        scratch: config.scratch.clone(),
        guard: config.guard.clone(),
        ..Settings::default()
    };
    let engine = Auto::find(config.engine, settings, config.ffmpeg.clone()).await;
    tracing::info!(engines = engine.describe(), "engines");
    run_with(config, engine, shutdown).await
}

/// As [`run`], with an engine of the caller's.
pub fn run_with(
    config: WorkerConfig,
    engine: Arc<dyn Engine>,
    shutdown: CancellationToken,
) -> BoxFuture<'static, Result<(), WorkerError>> {
    run_with_claims_of(CLAIM_LASTS, config, engine, shutdown)
}

/// As [`run_with`], but with signatures that are replaced every `claim_lasts`, or jobs that are given back after that.
pub fn run_with_claims_of(
    claim_lasts: Duration,
    config: WorkerConfig,
    engine: Arc<dyn Engine>,
    shutdown: CancellationToken,
) -> BoxFuture<'static, Result<(), WorkerError>> {
    Box::pin(work_until(claim_lasts, config, engine, shutdown))
}

async fn work_until(
    claim_lasts: Duration,
    config: WorkerConfig,
    engine: Arc<dyn Engine>,
    shutdown: CancellationToken,
) -> Result<(), WorkerError> {
    let client = HyperClient::new(HyperOptions {
        extra_ca_pem: config.ca.clone(),
        ..HyperOptions::default()
    })?;
    let api = Api::new(client.clone(), &config.api_url, config.token.clone());
    tracing::info!(
        name = config.name,
        engine = engine.name(),
        assembly = h264::has_assembly(),
        "transcoder ready"
    );
    if !h264::has_assembly() {
        tracing::warn!(
            "OpenH264 was built without assembly: encoding takes about three times as long"
        );
    }
    let mut patience = config.poll;
    let mut help = Help::new(&config.name);
    while !shutdown.is_cancelled() {
        let request = ClaimRequest {
            worker: config.name.clone(),
            lease_seconds: LEASE_SECONDS,
        };
        let claimed = tokio::select! {
            () = shutdown.cancelled() => break,
            claimed = api.claim(&request) => claimed,
        };
        let wait = match claimed {
            Ok(Some(claim)) => {
                patience = config.poll;
                work(&api, &client, &engine, claim, claim_lasts, &shutdown).await;
                continue;
            }
            Ok(None) => {
                patience = config.poll;
                let offered = help.offer(&api, &client, &engine, claim_lasts, &shutdown);
                if offered.await {
                    continue;
                }
                config.poll
            }
            Err(
                error @ ApiError::Refused {
                    status: 401 | 403 | 404,
                    ..
                },
            ) => return Err(WorkerError::Refused(error)),
            Err(error) => {
                tracing::warn!(%error, "no work could be asked for");
                patience = (patience * 2).clamp(Duration::from_millis(200), MOST_PATIENCE);
                patience
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
        }
    }
    Ok(())
}

fn job_of(api: &Api, client: &HyperClient, claim: &Claim) -> Job {
    let division = Division::among_others(api.clone(), claim.job_id, claim.lease.clone());
    Job::new(client.clone(), CancellationToken::new()).divided(division)
}

/// The help that a worker offers while it has no job of its own.
struct Help<'a> {
    worker: &'a str,
    /// Jobs to leave alone, and since when.
    except: Vec<(Uuid, Instant)>,
}

impl<'a> Help<'a> {
    fn new(worker: &'a str) -> Self {
        Self {
            worker,
            except: Vec::new(),
        }
    }

    /// Looks for a job that another worker has and helps with it. Whether it could be of use.
    async fn offer(
        &mut self,
        api: &Api,
        client: &HyperClient,
        engine: &Arc<dyn Engine>,
        lasts: Duration,
        shutdown: &CancellationToken,
    ) -> bool {
        self.except
            .retain(|(_, since)| since.elapsed() < LEAVE_ALONE);
        // So many cannot be said no to at once.
        let surplus = self.except.len().saturating_sub(MAX_EXCEPT);
        self.except.drain(..surplus);
        let request = AssistRequest {
            worker: self.worker.to_owned(),
            lease_seconds: LEASE_SECONDS,
            except: self.except.iter().map(|(job, _)| *job).collect(),
        };
        // An older control plane knows of no helpers.
        let Ok(Some(assist)) = api.assist(&request).await else {
            return false;
        };
        let job = assist.claim.job_id;
        let made = help(api, client, engine, assist, lasts, shutdown).await;
        if made == 0 {
            self.except.push((job, Instant::now()));
        }
        made > 0
    }
}

/// Helps with a job until there is nothing to help with; gives how many chunks were made.
async fn help(
    api: &Api,
    client: &HyperClient,
    engine: &Arc<dyn Engine>,
    assist: Assist,
    lasts: Duration,
    shutdown: &CancellationToken,
) -> usize {
    let started = Instant::now();
    let mut renewals = tokio::time::interval_at(started + RENEW_EVERY, RENEW_EVERY);
    renewals.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut span = Span::within(None, Kind::Consumer, "help to transcode");
    span.tell("headwater.job", || assist.claim.job_id.to_string().into());
    let client = Here::through(span.here().as_ref(), client);
    let job = Arc::new(job_of(api, &client, &assist.claim));
    let assist = Arc::new(assist);
    let claim = &assist.claim;
    tracing::info!(job = %claim.job_id, outputs = ?assist.outputs, "helping with a job");
    let mut running = {
        let (engine, assist, job) = (Arc::clone(engine), Arc::clone(&assist), Arc::clone(&job));
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            runtime.block_on(engine.help(&assist.claim, &assist.outputs, &job))
        })
    };
    let mut keeper = Keeper {
        api,
        claim,
        job: &job,
        renewed: Instant::now(),
    };
    let mut old = started + lasts;
    let (result, lost) = loop {
        tokio::select! {
            biased;
            result = &mut running => break (Some(result), false),
            () = tokio::time::sleep_until(old) => old = keeper.replace_signatures(lasts).await,
            () = shutdown.cancelled() => {
                job.stop.cancel();
                break (tokio::time::timeout(STOP_WITHIN, &mut running).await.ok(), false);
            }
            // A finished chunk is told at once: the holder may be waiting for just this one.
            () = either(renewals.tick(), job.finished.notified()) => if keeper.renew().await.is_some() {
                job.stop.cancel();
                break (tokio::time::timeout(STOP_WITHIN, &mut running).await.ok(), true);
            }
        }
    };
    match result {
        Some(Ok(Err(Stopped::Failed(failure)))) => {
            tracing::warn!(job = %claim.job_id, message = failure.message, "could not help with a job");
        }
        Some(Err(error)) => tracing::error!(job = %claim.job_id, %error, "the engine panicked"),
        _ => {}
    }
    if !lost {
        keeper.report_rest().await;
        keeper.finish(Outcome::Canceled).await;
    }
    let made = job.finished_chunks();
    tracing::info!(job = %claim.job_id, chunks = made, seconds = started.elapsed().as_secs_f64(), "helped with a job");
    made
}

async fn either(one: impl Future, other: impl Future) {
    tokio::select! {
        _ = one => {}
        _ = other => {}
    }
}

/// Why the engine was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// It was not: it ended by itself.
    ByItself,
    Canceled,
    LeaseLost,
    /// The API does not accept what the engine reports, and would not however often it is told.
    Refused,
    /// By itself, after it was told to begin nothing more because its signatures end soon.
    WoundDown,
    Shutdown,
}

async fn work(
    api: &Api,
    client: &HyperClient,
    engine: &Arc<dyn Engine>,
    claim: Claim,
    claim_lasts: Duration,
    shutdown: &CancellationToken,
) {
    let started = Instant::now();
    // From the start of one renewal to that of the next: what a renewal takes must not come on top.
    let mut renewals = tokio::time::interval_at(started + RENEW_EVERY, RENEW_EVERY);
    renewals.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tracing::info!(job = %claim.job_id, attempt = claim.attempt, chunks = claim.chunks.len(), "job taken");
    let mut span = Span::within(None, Kind::Consumer, "transcode");
    span.tell("headwater.job", || claim.job_id.to_string().into());
    span.set("headwater.attempt", i64::from(claim.attempt));
    let client = Here::through(span.here().as_ref(), client);
    let job = Arc::new(job_of(api, &client, &claim));
    let claim = Arc::new(claim);
    let mut running = {
        let (engine, claim, job) = (Arc::clone(engine), Arc::clone(&claim), Arc::clone(&job));
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || runtime.block_on(engine.run(&claim, &job)))
    };
    let mut keeper = Keeper {
        api,
        claim: &claim,
        job: &job,
        renewed: Instant::now(),
    };
    let mut old = started + claim_lasts;
    let (result, ended) = loop {
        tokio::select! {
            biased;
            result = &mut running => {
                let wound_down = job.wind_down.is_cancelled();
                let ended = if wound_down { Ended::WoundDown } else { Ended::ByItself };
                break (Some(result), ended);
            }
            () = tokio::time::sleep_until(old) => old = keeper.replace_signatures(claim_lasts).await,
            () = shutdown.cancelled() => {
                job.stop.cancel();
                break (wait_for(&mut running).await, Ended::Shutdown);
            }
            _ = renewals.tick() => {
                if let Some(ended) = keeper.renew().await {
                    if ended == Ended::Canceled {
                        job.request_cancel();
                    } else {
                        job.stop.cancel();
                    }
                    break (wait_for(&mut running).await, ended);
                }
            }
        }
    };
    let result = result.map(|joined| joined.unwrap_or_else(panicked));
    let reported = (job.take_encoded(), job.take_failed());
    let Some(outcome) = outcome(result, ended, reported) else {
        tracing::warn!(job = %claim.job_id, "lease lost, job abandoned");
        span.fail(|| "the lease was lost".to_owned());
        return;
    };
    if matches!(ended, Ended::Shutdown | Ended::WoundDown)
        || matches!(&outcome, Outcome::Error(failure) if failure.code.may_retry())
    {
        // Whoever goes on with it should not do again what is done.
        keeper.report_rest().await;
    }
    if let Outcome::Error(failure) = &outcome {
        span.fail(|| failure.message.clone());
    }
    tracing::info!(job = %claim.job_id, seconds = started.elapsed().as_secs_f64(), outcome = ?outcome, "job over");
    let over = match &outcome {
        Outcome::Finished { .. } => true,
        Outcome::Error(failure) => !failure.code.may_retry(),
        // Its owner wants it to stop, and nothing of it is left; or another worker goes on with it.
        Outcome::Canceled => false,
    };
    if keeper.finish(outcome).await && over {
        job.clear_up().await;
    }
}

type Joined = Result<Step<Vec<String>>, tokio::task::JoinError>;

async fn wait_for(running: &mut tokio::task::JoinHandle<Step<Vec<String>>>) -> Option<Joined> {
    tokio::time::timeout(STOP_WITHIN, running).await.ok()
}

fn panicked(error: tokio::task::JoinError) -> Step<Vec<String>> {
    tracing::error!(%error, "the engine panicked");
    Err(Stopped::Failed(JobFailure {
        code: JobErrorCode::ServiceError,
        message: "The transcoder failed unexpectedly; the operator's log says more.".into(),
        details: Vec::new(),
    }))
}

/// What the API is told. `None`: nothing.
fn outcome(
    result: Option<Step<Vec<String>>>,
    ended: Ended,
    (encoded, failed): (Vec<EncodedTrack>, Vec<OutputFailure>),
) -> Option<Outcome> {
    match (result, ended) {
        (_, Ended::LeaseLost) => None,
        // Done is done, even if somebody just asked for something else.
        (Some(Ok(manifests)), _) => Some(Outcome::Finished {
            manifests,
            encoded,
            failed,
        }),
        (_, Ended::Refused) => Some(Outcome::Error(JobFailure {
            code: JobErrorCode::ServiceError,
            message: "The control plane did not accept what the transcoder reported; the operator's log says more."
                .into(),
            details: Vec::new(),
        })),
        (_, Ended::Canceled | Ended::Shutdown) => Some(Outcome::Canceled),
        (Some(Err(Stopped::Failed(failure))), Ended::ByItself | Ended::WoundDown) => {
            Some(Outcome::Error(failure))
        }
        (Some(Err(Stopped::Interrupted)) | None, Ended::WoundDown) => Some(Outcome::Canceled),
        (Some(Err(Stopped::Interrupted)) | None, Ended::ByItself) => {
            Some(Outcome::Error(JobFailure {
                code: JobErrorCode::ServiceTransientError,
                message: "The transcoder was interrupted.".into(),
                details: Vec::new(),
            }))
        }
    }
}

/// Keeps the lease of one job.
struct Keeper<'a> {
    api: &'a Api,
    claim: &'a Claim,
    job: &'a Job,
    /// When a renewal last got through.
    renewed: Instant,
}

impl Keeper<'_> {
    /// One renewal. `Some`: why the engine has to stop.
    async fn renew(&mut self) -> Option<Ended> {
        let request = RenewRequest {
            lease: self.claim.lease.clone(),
            progress: self.job.progress(),
            chunks: self.job.take_chunks(),
            engine: self.job.engine(),
        };
        match self.api.renew(self.claim.job_id, &request).await {
            Ok(answer) => {
                self.renewed = Instant::now();
                answer.cancel.then_some(Ended::Canceled)
            }
            Err(ApiError::LeaseLost) => Some(Ended::LeaseLost),
            Err(
                error @ ApiError::Refused {
                    status: 400 | 413, ..
                },
            ) => {
                tracing::error!(job = %self.claim.job_id, %error, "a report was refused");
                Some(Ended::Refused)
            }
            Err(error) => {
                self.job.return_chunks(request.chunks);
                tracing::warn!(job = %self.claim.job_id, %error, "the lease could not be renewed");
                let lapsed = self.renewed.elapsed()
                    > Duration::from_secs(u64::from(self.claim.lease_seconds));
                lapsed.then_some(Ended::LeaseLost)
            }
        }
    }

    /// Asks for signatures that last longer; gives when to do so the next time. Without them, what is made in chunks winds down:
    /// whoever goes on with it gets others. What is made in one piece has nothing to go on from, so it is asked for again.
    async fn replace_signatures(&self, last: Duration) -> Instant {
        let request = PlacesRequest {
            lease: self.claim.lease.clone(),
        };
        match self.api.places(self.claim.job_id, &request).await {
            Ok(fresh) => {
                tracing::info!(job = %self.claim.job_id, "the job has fresh signatures");
                for (place, fresh) in self.claim.places().into_iter().zip(&fresh) {
                    self.job.storage.renew(place, fresh);
                }
                Instant::now() + last
            }
            Err(error) => {
                tracing::warn!(job = %self.claim.job_id, %error, "the job has no fresh signatures");
                self.job.wind_down.cancel();
                Instant::now() + ASK_AGAIN
            }
        }
    }

    /// Reports finished chunks that are still to be reported. Gives up at the first failure: they are made again.
    async fn report_rest(&mut self) {
        loop {
            let chunks = self.job.take_chunks();
            if chunks.is_empty() {
                return;
            }
            let request = RenewRequest {
                lease: self.claim.lease.clone(),
                progress: self.job.progress(),
                chunks,
                engine: self.job.engine(),
            };
            if self.api.renew(self.claim.job_id, &request).await.is_err() {
                return;
            }
        }
    }

    /// Tells the API, patiently: the outcome of hours of work hangs on one request. Whether it knows now.
    async fn finish(&self, outcome: Outcome) -> bool {
        let mut wait = Duration::from_millis(200);
        let request = FinishRequest {
            lease: self.claim.lease.clone(),
            outcome,
            engine: self.job.engine(),
        };
        for _ in 0..8 {
            match self.api.finish(self.claim.job_id, &request).await {
                Ok(()) => return true,
                Err(ApiError::LeaseLost) => {
                    tracing::warn!(job = %self.claim.job_id, "lease lost before the job could be given back");
                    return false;
                }
                Err(error) => {
                    tracing::warn!(job = %self.claim.job_id, %error, "the job could not be given back, trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(MOST_PATIENCE);
                }
            }
        }
        false
    }
}
