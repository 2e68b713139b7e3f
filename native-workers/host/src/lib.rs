//! The embedded host: runs `spin.toml` on wasmtime.
//!
//! * [`manifest`] reads the manifest; unknown keys are errors.
//! * [`Host`] compiles the components once, keeps instances in a pool, and answers requests: routes, static
//!   responses, components, chaining by `*.spin.internal`, native stand-ins.
//! * [`serve`] is the listener: HTTP/1.1 and HTTP/2, TLS with ALPN, deadlines, drain, access log, metrics.
//!
//! What is absent: the Redis trigger, WAGI, key-value and AI interfaces, components from a registry. A manifest
//! that asks for one of them does not start.

mod access_log;
mod assembler;
mod bindings;
mod cache;
mod compiled;
mod component;
mod compose;
mod delivered;
mod dispatch;
mod gate;
mod host;
mod instance;
mod lately;
pub mod manifest;
mod meters;
mod outbound;
mod outgoing;
mod postgres;
mod problem;
mod router;
mod server;
mod shared_body;
mod sqlite;
mod template;
mod traced;
mod variables;

pub use access_log::AccessLog;
pub use assembler::{LocalObject, LocalObjects, MediaCache, NativeAssembler, Refused};
pub use component::Limits;
pub use delivered::{Delivered, Sent};
pub use gate::{Admission, Gate};
pub use host::{AppDirectory, AppSource, Connection, Host, HostConfig};
pub use outgoing::{StandIn, full_body};
pub use server::{Listener, Running, ServerConfig, bind, serve};
pub use sqlite::Database;
pub use template::Variables;
pub use wasmtime_wasi_http::{Error as HttpError, WasiBody};
