//! What a job is made of.

use std::collections::BTreeMap;

use headwater_work::{EngineChoice, JobErrorCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

use super::JobInput;

/// AMS `JobState`, of jobs and of their outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    Queued,
    Scheduled,
    Processing,
    Finished,
    Error,
    Canceling,
    Canceled,
}

impl JobState {
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Scheduled,
        Self::Processing,
        Self::Finished,
        Self::Error,
        Self::Canceling,
        Self::Canceled,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Scheduled => "Scheduled",
            Self::Processing => "Processing",
            Self::Finished => "Finished",
            Self::Error => "Error",
            Self::Canceling => "Canceling",
            Self::Canceled => "Canceled",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether a worker has the job, as far as the catalog knows.
    pub fn is_leased(self) -> bool {
        matches!(self, Self::Scheduled | Self::Processing | Self::Canceling)
    }

    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Error | Self::Canceled)
    }
}

/// AMS `Priority`. A higher one jumps the queue; nothing is pre-empted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

impl Priority {
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Normal => "Normal",
            Self::High => "High",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|priority| priority.name() == name)
    }

    pub(crate) fn rank(self) -> i64 {
        match self {
            Self::Low => -1,
            Self::Normal => 0,
            Self::High => 1,
        }
    }

    pub(crate) fn from_rank(rank: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|priority| priority.rank() == rank)
    }
}

/// A job. Serialises as events keep it, which is not how it looks on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub id: Uuid,
    pub transform_name: String,
    pub name: String,
    /// As responses show it.
    pub input: Json,
    /// In the order of the transform's outputs.
    pub outputs: Vec<JobOutput>,
    pub description: Option<String>,
    pub correlation: BTreeMap<String, String>,
    pub priority: Priority,
    pub state: JobState,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    /// What does the work, once a worker has said so.
    #[serde(default)]
    pub engine: Option<EngineChoice>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobOutput {
    pub asset_name: String,
    pub label: Option<String>,
    pub preset: Json,
    /// Whether the preset is the job's own and not the transform's.
    pub overridden: bool,
    pub state: JobState,
    /// 0 to 100.
    pub progress: u8,
    pub error: Option<JobError>,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
}

/// AMS `JobError`. Serialises as it looks on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobError {
    pub code: String,
    pub category: String,
    pub message: String,
    /// `DoNotRetry` or `MayRetry`.
    pub retry: String,
    pub details: Vec<ErrorDetail>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    pub code: String,
    pub message: String,
}

impl JobError {
    /// The error of that code. `details`: further causes, outermost first.
    pub fn new(code: JobErrorCode, message: impl Into<String>, details: &[String]) -> Self {
        Self {
            code: code.name().into(),
            category: code.category().into(),
            message: message.into(),
            retry: if code.may_retry() {
                "MayRetry"
            } else {
                "DoNotRetry"
            }
            .into(),
            details: details
                .iter()
                .map(|message| ErrorDetail {
                    code: code.name().into(),
                    message: message.clone(),
                })
                .collect(),
        }
    }
}

/// Whether a job makes the output assets that do not exist (MK.IO) or must find them (AMS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingAssets {
    Create,
    Refuse,
}

/// A job to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    pub input: JobInput,
    /// One per output of the transform, in its order.
    pub outputs: Vec<NewOutput>,
    pub description: Option<String>,
    pub correlation: BTreeMap<String, String>,
    pub priority: Priority,
    pub missing_assets: MissingAssets,
    /// [`crate::fingerprint()`] of the request.
    pub fingerprint: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct NewOutput {
    pub asset_name: String,
    pub label: Option<String>,
    pub preset_override: Option<Json>,
}

/// What may be changed of a job; `None` stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobUpdate {
    pub description: Option<String>,
    pub priority: Option<Priority>,
}
