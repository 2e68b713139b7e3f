//! What may stand in front of the host: it answers a request in the host's place, or lets it in and hears how it was answered.

use bytes::Bytes;
use http::{Method, Response, StatusCode};

/// Called once with the status of the answer.
pub type Admission = Box<dyn FnOnce(StatusCode) + Send>;

/// Decides without waiting: it is asked about every request, media included.
pub trait Gate: Send + Sync {
    /// `path`: as it came. The error is the answer.
    fn admit(&self, method: &Method, path: &str) -> Result<Admission, Box<Response<Bytes>>>;
}
