//! Storage accounts: `resources/storage.rs`.

use crate::openapi::schema::{text, url};
use crate::openapi::shape::{Shape, dates, items, record, shown};

pub(super) fn shapes() -> Vec<Shape> {
    let [created, updated] = dates();
    let mut shapes = vec![items("StorageList", "Storage")];
    shapes.extend(record(
        "Storage",
        "Where files are. Credentials are never shown.",
        [
            vec![shown("id", text()), shown("name", text()), created, updated],
            vec![
                shown("name", text()),
                shown("type", text()),
                shown("url", url()),
                shown("description", text().or_null()),
            ],
            vec![
                shown("activeCredentialId", text()),
                shown("privateLinkServiceConnectionStatus", text().or_null()),
            ],
        ],
    ));
    shapes
}
