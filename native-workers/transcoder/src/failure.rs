//! Why a job stops, and what its owner is told.

use headwater_blob::ClientError;
use headwater_bmff::BmffError;
use headwater_work::{JobErrorCode, JobFailure};

/// The end of a job other than success.
#[derive(Debug)]
pub enum Stopped {
    /// Cancelled, lease lost, or the worker is shutting down: nothing is wrong with the job.
    Interrupted,
    Failed(JobFailure),
}

/// What every step of a job returns.
pub type Step<T> = Result<T, Stopped>;

impl From<JobFailure> for Stopped {
    fn from(failure: JobFailure) -> Self {
        Self::Failed(failure)
    }
}

fn failure(code: JobErrorCode, message: impl Into<String>) -> Stopped {
    Stopped::Failed(JobFailure {
        code,
        message: message.into(),
        details: Vec::new(),
    })
}

/// The source is damaged: `message` is a sentence that says where.
pub fn malformed(message: impl Into<String>) -> Stopped {
    failure(JobErrorCode::ContentMalformed, message)
}

/// The source is whole but in a form that is not supported: `message` names track and codec.
pub fn unsupported(message: impl Into<String>) -> Stopped {
    failure(JobErrorCode::ContentUnsupported, message)
}

/// The preset asks for what this worker does not do.
pub fn configuration(message: impl Into<String>) -> Stopped {
    failure(JobErrorCode::ConfigurationUnsupported, message)
}

/// A fault of ours.
pub fn internal(message: impl Into<String>) -> Stopped {
    failure(JobErrorCode::ServiceError, message)
}

/// Trouble of this worker's that another, or this one later, may not have.
pub fn passing(message: impl Into<String>) -> Stopped {
    failure(JobErrorCode::ServiceTransientError, message)
}

/// Reading the source failed after retries.
pub fn download(what: &str, error: &ClientError) -> Stopped {
    let code = match error {
        ClientError::NotFound { .. } | ClientError::PermissionDenied { .. } => {
            JobErrorCode::DownloadNotAccessible
        }
        _ => JobErrorCode::DownloadTransientError,
    };
    storage(
        code,
        format!("The input file '{what}' could not be read."),
        error,
    )
}

/// Writing an output failed after retries.
pub fn upload(what: &str, error: &ClientError) -> Stopped {
    let code = match error {
        ClientError::NotFound { .. } | ClientError::PermissionDenied { .. } => {
            JobErrorCode::UploadNotAccessible
        }
        _ => JobErrorCode::UploadTransientError,
    };
    storage(
        code,
        format!("The output file '{what}' could not be written."),
        error,
    )
}

fn storage(code: JobErrorCode, message: String, error: &ClientError) -> Stopped {
    Stopped::Failed(JobFailure {
        code,
        message,
        details: vec![error.to_string()],
    })
}

/// A source that the box parser refused.
pub fn container(file: &str, error: &BmffError) -> Stopped {
    match error {
        BmffError::Unsupported { .. } | BmffError::TooLarge { .. } => unsupported(format!(
            "The input file '{file}' is not supported: {error}."
        )),
        _ => malformed(format!(
            "The input file '{file}' is damaged or not an MP4 or QuickTime file: {error}."
        )),
    }
}
