//! What the API and its workers say to each other: here about jobs, with a transcoding worker; in [`live`] about live
//! events, with an ingest worker.
//!
//! Calls are `POST` with a JSON body under `/internal/v1`, authorised with a token of role `worker`:
//!
//! | path | body | answer |
//! |---|---|---|
//! | `jobs/claim` | [`ClaimRequest`] | `200` [`Claim`], or `204` when nothing is queued |
//! | `jobs/{jobId}/renew` | [`RenewRequest`] | `200` [`RenewResponse`]; `409` when the lease is lost |
//! | `jobs/{jobId}/places` | [`PlacesRequest`] | `200` [`PlacesResponse`]; `409` when the lease is lost |
//! | `jobs/{jobId}/finish` | [`FinishRequest`] | `204`; `409` when the lease is lost |
//! | `jobs/{jobId}/share` | [`ShareRequest`] | `204`; `409` when the lease is lost |
//! | `jobs/{jobId}/take` | [`TakeRequest`] | `200` [`TakeResponse`]; `409` when the lease is lost |
//! | `jobs/{jobId}/records` | [`RecordsRequest`] | `200` [`RecordsResponse`]; `409` when the lease is lost |
//! | `jobs/assist` | [`AssistRequest`] | `200` [`Assist`], or `204` when nobody needs help |
//!
//! `GET queue` answers [`QueueDepth`], and `GET queue/metrics` the same as text for Prometheus.
//!
//! One worker has a job: it plans it, says which chunks there are to make (`share`), puts the outputs together and gives the
//! job back. Workers for whom nothing is queued help it (`assist`): everybody, the holder included, makes what `take` hands
//! out, stages it in storage, and reports it with `renew`. A helper's lease is of its own; with it come `take` and `renew`
//! alone, and what it had taken goes to others once it has lapsed.
//!
//! A worker whose lease is lost stops at once and touches nothing of the job any more: another worker has it.
//! Every call is idempotent for the holder of the lease, so a worker may repeat one whose answer it did not see.
//!
//! The other workers' calls: [`webhooks`] for senders of events, [`live`] for the ingest of live events.

pub mod webhooks;

pub mod live;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What `GET queue` answers: how much work waits, by which workers are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueDepth {
    pub jobs: JobsDepth,
    pub live_events: LiveEventsDepth,
}

/// Jobs of all projects, now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobsDepth {
    /// That no worker has.
    pub queued: u32,
    /// That one has.
    pub processing: u32,
    /// Chunks of those that nobody has taken yet.
    pub chunks_waiting: u32,
    /// A worker for each job, and a helper for every ten chunks that wait.
    pub transcoders_wanted: u32,
}

/// Live events of all projects, now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveEventsDepth {
    /// That an ingest worker has, or that wait for one.
    pub running: u32,
}

/// Asks for one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimRequest {
    /// A name for people: host and process id. Shown in logs, never used to decide.
    pub worker: String,
    /// How long the lease lasts unless renewed. 5 to 300 seconds.
    pub lease_seconds: u32,
}

/// A job that is now the caller's until the lease runs out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    pub job_id: Uuid,
    /// Proves the claim in later calls. Opaque.
    pub lease: String,
    pub lease_seconds: u32,
    /// Counted up at every claim, from 1 for the first worker that takes the job and for the first after one that stored
    /// a new chunk.
    pub attempt: u32,
    pub input: WorkInput,
    /// In the order of the transform's outputs; never empty.
    pub outputs: Vec<WorkOutput>,
    /// Chunks that earlier attempts finished, in no particular order.
    pub chunks: Vec<ChunkRecord>,
}

impl Claim {
    /// Where the worker may read and write: those of the input in its order, then those of the outputs in theirs.
    pub fn places(&self) -> Vec<&Place> {
        let mut places = Vec::new();
        self.input.add_places(&mut places);
        places.extend(self.outputs.iter().map(|output| &output.place));
        places
    }
}

/// How long the signatures of a claim's places last. A worker that needs longer asks for others ([`PlacesRequest`]) well
/// before. Where the API does not know of that yet, it reports its finished chunks and gives the job back with
/// [`Outcome::Canceled`]; whoever claims it next goes on from the chunks with fresh signatures.
pub const PLACES_LAST: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// Where the source is. URLs are complete and, where they need to be, signed for [`PLACES_LAST`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum WorkInput {
    /// Files of an asset, whose tracks are taken together. With `files` empty the worker lists the place and takes the one
    /// media file there.
    Asset {
        place: Place,
        files: Vec<String>,
        #[serde(default)]
        selection: Selection,
    },
    /// Files fetched by HTTP.
    Http {
        urls: Vec<String>,
        #[serde(default)]
        selection: Selection,
    },
    /// Inputs one after the other. None of them is `Sequence` or `Several`.
    Sequence { inputs: Vec<WorkInput> },
    /// The first is the source, the others are what a preset calls by their labels. Only the first may be a `Sequence`.
    Several { inputs: Vec<WorkInput> },
}

impl WorkInput {
    fn add_places<'a>(&'a self, places: &mut Vec<&'a Place>) {
        match self {
            Self::Asset { place, .. } => places.push(place),
            Self::Http { .. } => {}
            Self::Sequence { inputs } | Self::Several { inputs } => {
                for input in inputs {
                    input.add_places(places);
                }
            }
        }
    }
}

/// What is used of an input.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Selection {
    /// How a preset calls the input.
    pub label: Option<String>,
    /// From here on, in ms of the source; from its beginning if `None`.
    pub start_ms: Option<u64>,
    /// Up to here; to its end if `None`.
    pub end_ms: Option<u64>,
    /// In place of `start_ms`: from this instant on, in ms since 1970-01-01T00:00:00Z. Only archives of live events know.
    pub start_utc_ms: Option<i64>,
    /// In place of `end_ms`: up to this instant.
    pub end_utc_ms: Option<i64>,
    /// Which tracks; all if empty.
    pub tracks: Vec<TrackChoice>,
}

/// Tracks of one kind that are used (AMS `TrackDescriptor`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrackChoice {
    /// Sound rather than pictures.
    pub audio: bool,
    /// Only of this file; of any if `None`.
    #[serde(default)]
    pub file: Option<String>,
    pub by: ChoiceBy,
    /// In every file for itself (AMS `FromEachInputFile`), rather than among the tracks of all.
    #[serde(default, skip_serializing_if = "is_false")]
    pub each: bool,
    /// Of sound with one channel: which channel of a track that is put together it becomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Channel>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// A channel of a track that is put together of several (AMS `ChannelMapping`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Channel {
    FrontLeft,
    FrontRight,
    Center,
    LowFrequencyEffects,
    BackLeft,
    BackRight,
    /// Of a track in stereo beside one in 5.1.
    StereoLeft,
    StereoRight,
}

impl Channel {
    /// All of them, with their names on the wire.
    pub const ALL: [(&'static str, Self); 8] = [
        ("FrontLeft", Self::FrontLeft),
        ("FrontRight", Self::FrontRight),
        ("Center", Self::Center),
        ("LowFrequencyEffects", Self::LowFrequencyEffects),
        ("BackLeft", Self::BackLeft),
        ("BackRight", Self::BackRight),
        ("StereoLeft", Self::StereoLeft),
        ("StereoRight", Self::StereoRight),
    ];
}

/// By what tracks are chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ChoiceBy {
    /// All of the kind.
    All,
    /// By the id that the container gives it.
    Id { id: u64 },
    /// The highest bitrate.
    TopBitrate,
    /// The lowest bitrate.
    BottomBitrate,
    /// Exactly this bitrate, in bit/s.
    Bitrate { bits_per_second: u64 },
    /// This language, as the container has it.
    Language { language: String },
}

/// A container, or a folder in one, that the worker may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Without a trailing slash and without a query, e.g. `http://127.0.0.1:10000/local/asset-1f3c`.
    pub container_url: String,
    /// The SAS without a leading `?`.
    pub sas: String,
    /// A folder inside the container, without slashes at either end; empty for the whole container.
    pub sub_path: String,
}

/// One output to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkOutput {
    pub index: u32,
    pub asset_name: String,
    pub place: Place,
    /// The preset as the transform holds it, with its `@odata.type`.
    pub preset: serde_json::Value,
    /// Whether the job is to go on without it if it cannot be made ([`Outcome::Finished`]'s `failed`).
    #[serde(default)]
    pub continues: bool,
    /// Outputs with a higher one are to be made sooner.
    #[serde(default)]
    pub urgency: u32,
}

/// An output that is missing from a job which went on without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutputFailure {
    /// Of the output.
    pub index: u32,
    /// Why.
    pub failure: JobFailure,
}

/// A finished chunk of one output: what a later attempt needs to go on from there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChunkRecord {
    /// Index of the output.
    pub output: u32,
    /// Number of the chunk in the worker's own partition of the source.
    pub chunk: u32,
    /// The worker's own record, stored and returned as it is. At most [`MAX_CHUNK_BYTES`] as JSON text.
    pub record: serde_json::Value,
}

/// Longest record of a finished chunk, as JSON text: of twenty renditions of half a minute of 60 pictures a second, with times that
/// were rounded to milliseconds, there are 12 bytes to say of every picture.
pub const MAX_CHUNK_BYTES: usize = 768 * 1024;

/// Most bytes of records in one report: with the rest of it, less than the 1 MiB that the API reads of a body.
pub const MAX_REPORTED_BYTES: usize = 896 * 1024;

/// Keeps the lease, reports how far the job is, and stores finished chunks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RenewRequest {
    pub lease: String,
    pub progress: Vec<OutputProgress>,
    /// Newly finished chunks; storing one again replaces it.
    pub chunks: Vec<ChunkRecord>,
    /// What does the work, once that is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineChoice>,
}

/// Which engine makes a job, and why that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EngineChoice {
    /// `builtin` or `ffmpeg`.
    pub name: String,
    /// A sentence for people; at most [`MAX_REASON_BYTES`].
    pub reason: String,
}

/// Longest reason of an [`EngineChoice`].
pub const MAX_REASON_BYTES: usize = 1000;

/// How far one output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputProgress {
    pub index: u32,
    /// 0 to 100. Never goes back within a job.
    pub percent: u8,
}

/// What the worker has to know after a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewResponse {
    /// Somebody asked for the job to be cancelled: stop, remove what is half written, finish with [`Outcome::Canceled`].
    pub cancel: bool,
}

/// Asks for signatures that last [`PLACES_LAST`] from now on; for the holder of the job and for helpers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlacesRequest {
    pub lease: String,
}

/// The claim's places with fresh signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacesResponse {
    /// In the order of [`Claim::places`]. One whose container is another by now is of an asset that was made anew.
    pub places: Vec<Place>,
}

/// Says what there is to make of an output, so that others can have a hand in it. Saying it again leaves to helpers what
/// they have taken, unless the plan is another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShareRequest {
    pub lease: String,
    /// Index of the output.
    pub output: u32,
    /// What the chunks are parts of: whoever comes to another plan makes none of them. At most [`MAX_PLAN_BYTES`].
    pub plan: String,
    /// Numbers of the chunks that are not made yet, at most [`MAX_SHARED_CHUNKS`], in lots: those of a lot are cheaper made
    /// one after the other, and are taken together. A lot has 1 to [`MAX_LOT`].
    pub lots: Vec<Vec<u32>>,
}

/// Longest [`ShareRequest::plan`].
pub const MAX_PLAN_BYTES: usize = 256;

/// Most chunks of an output: two days in pieces of two seconds.
pub const MAX_SHARED_CHUNKS: usize = 100_000;

/// Most chunks of a lot.
pub const MAX_LOT: usize = 256;

/// Asks for chunks to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TakeRequest {
    /// The holder's or a helper's.
    pub lease: String,
    pub output: u32,
    pub plan: String,
    /// What the caller took before and was not acknowledged to have made ([`RenewRequest`]); at most 1024. What it took and
    /// does not name here it never heard of: that is given to whoever asks next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holding: Vec<u32>,
}

/// Which chunks are the caller's now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TakeResponse {
    /// A lot, or what is left of it; ascending. Empty if all are made or taken; and for a helper also if a job waits in the queue, or the plan is not that
    /// of the holder.
    pub chunks: Vec<u32>,
    /// How many are yet to be made, by whomever.
    pub left: u32,
    /// Numbers of all chunks of the output that are made.
    pub made: Vec<u32>,
}

/// Asks the records of chunks that others made; for the holder of the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordsRequest {
    pub lease: String,
    pub output: u32,
    /// At most 64.
    pub chunks: Vec<u32>,
}

/// What there is of the chunks that were asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordsResponse {
    pub records: Vec<ChunkRecord>,
}

/// Asks for a job of another's to help with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssistRequest {
    /// As in [`ClaimRequest`].
    pub worker: String,
    pub lease_seconds: u32,
    /// Jobs that the worker cannot help with: it came to another plan, or could not get at the source. At most
    /// [`MAX_EXCEPT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Uuid>,
}

/// Most [`AssistRequest::except`].
pub const MAX_EXCEPT: usize = 64;

/// A job of another's in which the caller has a hand until its lease runs out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assist {
    /// The job as its holder has it, with a lease of the helper's own and without chunks.
    pub claim: Claim,
    /// Indexes of the outputs of which there is something to make, in order.
    pub outputs: Vec<u32>,
}

/// Gives the job back, done or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FinishRequest {
    pub lease: String,
    pub outcome: Outcome,
    /// As in [`RenewRequest`]: a short job is over before its first renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineChoice>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "state",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Outcome {
    /// Everything is in storage. `manifests`: the server manifest's file name per output, e.g. `film.ism`, or nothing for an
    /// output that cannot be streamed, such as pictures; `encoded`: the
    /// tracks that had to be encoded, by this attempt or an earlier one, at most [`MAX_ENCODED_TRACKS`]. Copied ones are
    /// not among them. `failed`: outputs that could not be made and need not be ([`WorkOutput::continues`]).
    Finished {
        manifests: Vec<String>,
        #[serde(default)]
        encoded: Vec<EncodedTrack>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failed: Vec<OutputFailure>,
    },
    /// The job cannot be done. A job that failed for want of storage or network may be tried again: `retry`.
    Error(JobFailure),
    /// The worker stopped. If somebody asked for that, the job is over. If not, it goes back into the queue: its chunks
    /// stay, and the claim does not count as an attempt.
    Canceled,
}

/// Most tracks that a worker reports as encoded.
pub const MAX_ENCODED_TRACKS: usize = 1000;

/// A track that was encoded: what is metered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EncodedTrack {
    /// `None` for sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<PictureSize>,
    /// How long it plays.
    pub duration_ms: u32,
}

/// In samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PictureSize {
    pub width: u32,
    pub height: u32,
}

/// Why a job failed, in AMS's words (`JobErrorCode`, `JobErrorCategory`, `JobRetry`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobFailure {
    pub code: JobErrorCode,
    /// A sentence for the person who submitted the job. Names the track and codec where that is the reason.
    pub message: String,
    /// Further causes, outermost first.
    pub details: Vec<String>,
}

/// AMS `JobErrorCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobErrorCode {
    ServiceError,
    ServiceTransientError,
    DownloadNotAccessible,
    DownloadTransientError,
    UploadNotAccessible,
    UploadTransientError,
    ConfigurationUnsupported,
    ContentMalformed,
    ContentUnsupported,
    IdentityUnsupported,
}

impl JobErrorCode {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::ServiceError => "ServiceError",
            Self::ServiceTransientError => "ServiceTransientError",
            Self::DownloadNotAccessible => "DownloadNotAccessible",
            Self::DownloadTransientError => "DownloadTransientError",
            Self::UploadNotAccessible => "UploadNotAccessible",
            Self::UploadTransientError => "UploadTransientError",
            Self::ConfigurationUnsupported => "ConfigurationUnsupported",
            Self::ContentMalformed => "ContentMalformed",
            Self::ContentUnsupported => "ContentUnsupported",
            Self::IdentityUnsupported => "IdentityUnsupported",
        }
    }

    /// AMS `JobErrorCategory`.
    pub fn category(self) -> &'static str {
        match self {
            Self::ServiceError | Self::ServiceTransientError => "Service",
            Self::DownloadNotAccessible | Self::DownloadTransientError => "Download",
            Self::UploadNotAccessible | Self::UploadTransientError => "Upload",
            Self::ConfigurationUnsupported => "Configuration",
            Self::ContentMalformed | Self::ContentUnsupported => "Content",
            Self::IdentityUnsupported => "Account",
        }
    }

    /// Whether the job may be tried again as it is: AMS `JobRetry` is `MayRetry`.
    pub fn may_retry(self) -> bool {
        matches!(
            self,
            Self::ServiceTransientError | Self::DownloadTransientError | Self::UploadTransientError
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_tagged_by_its_state() {
        let outcome = Outcome::Error(JobFailure {
            code: JobErrorCode::ContentUnsupported,
            message: "Track 1 is VP8.".into(),
            details: vec![],
        });
        assert_eq!(
            serde_json::to_value(outcome).unwrap(),
            serde_json::json!({"state": "error", "code": "ContentUnsupported", "message": "Track 1 is VP8.", "details": []})
        );
    }
}
