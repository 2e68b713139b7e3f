//! Storage events: what a caller of `/events/storage` said, as plain data.
//!
//! Storage tells Headwater that a blob came or went in one of these ways, and this crate reads all of them:
//!
//! | sender | shape | told apart by |
//! |---|---|---|
//! | Azure Event Grid, and the embedded blob store | [Event Grid schema], an array | `aeg-event-type`, or the body |
//! | Azure Event Grid and others | [CloudEvents 1.0], structured, batched or binary | `content-type`, or `ce-specversion` |
//! | S3 and stores that speak its dialect | [S3 notification], `Records`, also in envelopes of SNS, SQS and EventBridge | the body |
//!
//! What comes out is the same for each: a list of [`StorageEvent`]s. An event is a *hint*: it says where to look, never
//! what is there. Whoever acts on it reads the blob's state first, so that late, repeated, reordered and forged events
//! do no harm.
//!
//! Also here: the subscription handshakes ([`Delivery::Validation`], [`Delivery::Confirmation`], [`preflight()`]) and who may call at all
//! ([`auth`]). Not here: dropping duplicates and acting on an event, which need the catalog
//! (`headwater_catalog::ingest`).
//!
//! [Event Grid schema]: https://learn.microsoft.com/azure/event-grid/event-schema
//! [CloudEvents 1.0]: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
//! [S3 notification]: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod auth;
mod aws;
mod buckets;
mod cloud_events;
mod delivery;
mod event;
mod event_grid;
mod place;
mod preflight;
mod s3;

pub use buckets::Buckets;
pub use delivery::{Batch, Delivery, MAX_BODY_BYTES, MAX_EVENTS, ReadError, read};
pub use event::{Change, StorageEvent};
pub use preflight::{Permission, preflight};
