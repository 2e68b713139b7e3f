//! Resources, rules and SQL: what Headwater remembers, and which changes to it are allowed.
//!
//! Every function takes a connection ([`Sql`]), and where it writes, a [`Moment`] (the time, and where new identifiers
//! come from). Nothing here opens a socket or reads a clock. A change that matters is one transaction or one statement,
//! so a process that dies in the middle leaves either the old state or the new one.
//!
//! Names, states and enumerations are those of Azure Media Services v3; how they look on the wire is the business of
//! `headwater-api`. Storage is not touched here: a caller that needs a container makes it before or after.
//!
//! | Module | Holds |
//! |---|---|
//! | [`sql`], [`postgres`], [`migrations`], [`query`] | the database port, PostgreSQL's words, the schema, lists |
//! | [`projects`], [`storage`], [`usage`] | tenants, where their media lies, and what they used |
//! | [`assets`], [`transforms`], [`presets`], [`jobs`] | media, recipes, work and its queue |
//! | [`live`] | live events, their outputs, and the ingest workers that run them |
//! | [`policies`], [`locators`], [`endpoints`], [`operations`] | publishing |
//! | [`protection`], [`key_plan`], [`locator_keys`] | what is encrypted, and with which keys |
//! | [`tracks`] | files that became tracks of an asset |
//! | [`filters`], [`key_policies`] | what a player is shown, and who gets its keys |
//! | [`publishing`] | the origin's view of a locator |
//! | [`delivery`] | key delivery's view of a content key, and the uses of tokens |
//! | [`upload_rules`], [`ingest`] | uploads that start work by themselves |
//! | [`reseal`] | a new master key for what is sealed |
//! | [`keys`], [`tokens`] | signing keys, tokens and their end |
//! | [`users`], [`invites`], [`teams`], [`roles`], [`clients`] | people and programs, and what they are granted |
//! | [`rights`] | what the subject of a token may do at this moment |
//! | [`events`], [`webhooks`], [`deliveries`] | what happened, who wants to know, and how they are told |
//! | [`audit`] | who changed what |
//! | [`keys`], [`tokens`] | signing keys, API clients, tokens and their end |
//! | `native`, `bootstrap` | feature `native`: SQLite in the process, and the first start |
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod assets;
pub mod audit;
#[cfg(feature = "native")]
pub mod bootstrap;
pub mod clients;
pub mod deliveries;
pub mod delivery;
pub mod depth;
pub mod endpoints;
mod entity;
mod error;
pub mod events;
pub mod filters;
mod fingerprint;
mod ids;
pub mod ingest;
pub mod invites;
mod iso_duration;
pub mod jobs;
pub mod key_plan;
pub mod key_policies;
pub mod keys;
mod labels;
pub mod live;
pub mod locator_keys;
pub mod locators;
pub mod migrations;
pub mod names;
#[cfg(feature = "native")]
pub mod native;
pub mod operations;
pub mod organization;
pub mod policies;
pub mod postgres;
pub mod presets;
pub mod projects;
pub mod protection;
pub mod publishing;
pub mod query;
pub mod reseal;
pub mod rights;
pub mod roles;
pub mod sql;
pub mod storage;
pub mod teams;
pub mod tokens;
pub mod tracks;
pub mod transforms;
pub mod upload_rules;
pub mod usage;
pub mod users;
pub mod webhooks;

pub use error::CatalogError;
pub use fingerprint::fingerprint;
pub use ids::{Ids, Moment, ProjectId, RandomIds};
pub use iso_duration::{IsoDuration, NoDuration};
pub use migrations::Migrate;
#[cfg(feature = "native")]
pub use native::NativeSqlite;
pub use sql::{Rows, Sql, SqlError, Value, transaction};

/// Whether a PUT made something or met something that was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Created,
    Existing,
}
