//! The listing of a presentation: its server manifest, or what stands in for it.

use super::Listing;
use crate::error::{Code, OriginError};
use crate::index::storage_error;
use crate::ports::{Storage, StorageError};

/// Most files that are looked at to make up a missing server manifest.
pub(crate) const LIST_LIMIT: usize = 5000;

/// Something of an asset that does not play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// File or folder, relative to the asset; empty if the server manifest names none.
    pub file: String,
    /// Track id in the file, if it is about one of several.
    pub track: Option<u32>,
    /// Why, for people.
    pub reason: String,
}

/// A listing that was found.
pub(crate) struct FoundListing {
    pub(crate) listing: Listing,
    /// Whether a server manifest says so.
    pub(crate) written_down: bool,
    /// Of the server manifest.
    pub(crate) left_out: Vec<LeftOut>,
}

/// The listing of the presentation `name`.
///
/// Errors: 404 if there is none, 415 for a server manifest that cannot be read, and what storage says.
pub(crate) async fn find<S: Storage>(
    storage: &S,
    at: &S::Location,
    name: &str,
) -> Result<FoundListing, OriginError> {
    let limit = u64::try_from(headwater_ism::MAX_BYTES)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let manifest = format!("{name}.ism");
    match storage.read(at, &manifest, 0..limit, None).await {
        Ok(read) => {
            let manifest = headwater_ism::parse(&read.bytes)
                .map_err(|e| OriginError::new(Code::FormatNotSupported, e.to_string()))?;
            Ok(FoundListing {
                listing: Listing::of(&manifest),
                written_down: true,
                left_out: Listing::left_out(&manifest),
            })
        }
        Err(StorageError::NotFound) => {
            let files = storage.list(at, LIST_LIMIT).await.map_err(storage_error)?;
            let listing = Listing::made_up(name, &files).ok_or_else(|| {
                OriginError::new(
                    Code::ResourceNotFound,
                    "the asset has no presentation of this name",
                )
            })?;
            Ok(FoundListing {
                listing,
                written_down: false,
                left_out: Vec::new(),
            })
        }
        Err(StorageError::RangeNotSatisfiable) => Err(OriginError::new(
            Code::FormatNotSupported,
            "the server manifest is empty",
        )),
        Err(error) => Err(storage_error(error)),
    }
}
