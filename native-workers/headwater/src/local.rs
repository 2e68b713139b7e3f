//! The embedded blob store as the host's native assembler sees it: files, opened without HTTP.

use headwater_blobstore::LocalReader;
use headwater_host::{LocalObject, LocalObjects, Refused};
use http::StatusCode;

pub(crate) struct EmbeddedStore(pub(crate) LocalReader);

impl LocalObjects for EmbeddedStore {
    fn open(&self, url: &str, if_match: Option<&str>) -> Option<Result<LocalObject, Refused>> {
        let opened = self.0.open(url, if_match)?;
        Some(match opened {
            Ok(object) => Ok(LocalObject {
                file: object.file,
                len: object.len,
            }),
            Err(error) => Err(Refused(
                StatusCode::from_u16(error.status()).unwrap_or(StatusCode::FORBIDDEN),
            )),
        })
    }
}
