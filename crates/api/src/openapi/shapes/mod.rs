//! What goes over the wire, one file per file of `resources/`, and the examples that the document shows.

pub(super) mod assets;
mod common;
pub(super) mod filters;
pub(super) mod imports;
pub(super) mod jobs;
pub(super) mod key_policies;
pub(super) mod live;
mod live_health;
pub(super) mod organization;
pub(super) mod people;
pub(super) mod policies;
pub(super) mod publishing;
mod service;
pub(super) mod storage;
pub(super) mod tokens;
pub(super) mod tracks;
pub(super) mod upload_rules;
pub(super) mod usage;
pub(super) mod webhooks;

use super::shape::Shape;

/// Every shape there is. A new kind of resource is a file here and a line in this list.
pub(super) fn all() -> Vec<Shape> {
    [
        common::shapes(),
        service::shapes(),
        organization::shapes(),
        people::shapes(),
        usage::shapes(),
        tokens::shapes(),
        storage::shapes(),
        assets::shapes(),
        imports::shapes(),
        tracks::shapes(),
        filters::shapes(),
        key_policies::shapes(),
        jobs::shapes(),
        policies::shapes(),
        publishing::shapes(),
        live::shapes(),
        live_health::shapes(),
        upload_rules::shapes(),
        webhooks::shapes(),
    ]
    .concat()
}
