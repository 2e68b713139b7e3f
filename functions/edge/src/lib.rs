//! Adapters between Spin and the pure crates.
//!
//! * [`sql`]: the catalog's database over `spin:sqlite`.
//! * [`config`]: what the application manifest configures.
//! * [`http`]: the storage client's transport, and bodies that are handed on unread.
//! * [`memory`]: answers that need nobody else, in one call.
//! * [`problem`]: RFC 9457 answers.

pub mod config;
pub mod http;
pub mod memory;
pub mod problem;
pub mod sql;
