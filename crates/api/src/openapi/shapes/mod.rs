//! What goes over the wire, one file per file of `resources/`, and the examples that the document shows.

pub(super) mod assets;
mod common;
pub(super) mod filters;
pub(super) mod jobs;
pub(super) mod key_policies;
mod organization;
pub(super) mod publishing;
mod service;
mod storage;
pub(super) mod tokens;
pub(super) mod upload_rules;

use super::shape::Shape;

/// Every shape there is. A new kind of resource is a file here and a line in this list.
pub(super) fn all() -> Vec<Shape> {
    [
        common::shapes(),
        service::shapes(),
        organization::shapes(),
        tokens::shapes(),
        storage::shapes(),
        assets::shapes(),
        filters::shapes(),
        key_policies::shapes(),
        jobs::shapes(),
        publishing::shapes(),
        upload_rules::shapes(),
    ]
    .concat()
}
