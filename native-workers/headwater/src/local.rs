//! The embedded blob store as the host's native assembler sees it: files, opened without HTTP.

use headwater_blobstore::{LocalError, LocalReader};
use headwater_host::{LocalObject, LocalObjects, Refused};
use http::StatusCode;

pub(crate) struct EmbeddedStore(pub(crate) LocalReader);

impl LocalObjects for EmbeddedStore {
    fn open(&self, url: &str, if_match: Option<&str>) -> Option<Result<LocalObject, Refused>> {
        match self.0.open(url, if_match) {
            Ok(blob) => Some(Ok(LocalObject {
                file: blob.file,
                len: blob.len,
            })),
            Err(LocalError::Elsewhere) => None,
            Err(LocalError::Refused(error)) => Some(Err(Refused(error.code.status()))),
            Err(error) => {
                tracing::error!("reading from the embedded store: {error}");
                Some(Err(Refused(StatusCode::INTERNAL_SERVER_ERROR)))
            }
        }
    }
}
