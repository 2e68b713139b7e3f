//! The embedded host: spin.toml on wasmtime.
