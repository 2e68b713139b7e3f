//! The Azure Blob REST protocol, without IO: signing, naming, bodies, conditions, and both ends of a request.
//!
//! Spec: "Blob service REST API" (learn.microsoft.com/rest/api/storageservices), block blobs only.
//!
//! | module | for | what |
//! |---|---|---|
//! | [`client`] | those who read and write blobs | request builders, answer decoders, [`client::Store`] over an HTTP port |
//! | [`server`] | those who serve them | operation, authorisation, conditions, ranges, error codes |
//! | [`sas`], [`shared_key`], [`key`] | both | signatures, made and checked |
//! | [`account_url`] | those who are told where an account is | its URL, checked |
//! | [`names`], [`time`], [`xml`], [`query`] | both | spellings |
//!
//! Nothing here opens a socket, reads a clock or holds state; `now` is always an argument. The one exception is the
//! feature `hyper` (native only), which adds `client::HyperClient`.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod account_url;
pub mod client;
pub mod key;
pub mod names;
pub mod query;
pub mod sas;
pub mod server;
pub mod shared_key;
pub mod time;
pub mod xml;

pub use account_url::{AccountUrl, InvalidAccountUrl};
pub use client::{
    Auth, ClientError, Clock, Conditions, Container, HttpClient, List, RenewedSas, Store,
    TransportError,
};
#[cfg(feature = "hyper")]
pub use client::{HyperClient, HyperOptions};
pub use key::{AccountKey, InvalidKey};
pub use sas::{InvalidSas, Permissions, SasToken, ServiceSas};
