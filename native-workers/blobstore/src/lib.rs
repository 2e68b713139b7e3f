//! The embedded blob store: a local folder or a bucket of S3, served as the subset of the Azure Blob REST protocol that the Azure
//! SDKs use.
//!
//! | part | what |
//! |---|---|
//! | [`serve`], [`Config`], [`Running`] | the server: accept, TLS, limits, graceful shutdown |
//! | [`LocalReader`] | ranges for a program in the same process: checks the signed URL, then hands out the open file |
//! | `handler` | one request: parse, authorise, do, answer (decisions are `headwater_blob::server`'s) |
//! | `backing` | which of the two it is |
//! | `disk` | the folder: layout, commit protocol, listing, housekeeping |
//! | `s3` | the bucket: the same from objects |
//! | `events` | the durable outbox and its sender |
//!
//! Supported: List Containers; Create, Delete, Get Properties of Container; List Blobs; Put Blob, Put Block, Put Block
//! List, Get Block List, Get Blob, Get Blob Properties, Set Blob Properties, Set Blob Metadata, Delete Blob. Everything
//! else answers `NotImplemented` (501) or `UnsupportedHeader` (400): nothing is accepted and ignored.

mod backing;
mod config;
mod disk;
mod events;
mod handler;
mod local;
mod s3;
mod server;

pub use config::{Config, EventSink};
pub use local::{LocalBlob, LocalError, LocalReader};
pub use s3::{CredentialsError, OpenError, S3Config, S3Credentials, S3Error};
pub use server::{Pulse, Running, StartError, serve};
