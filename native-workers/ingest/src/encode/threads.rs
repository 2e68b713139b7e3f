//! Threads that encode: they yield to those that move media, so other events do not notice them.
#![allow(unsafe_code)]

use std::io;
use std::thread::{Builder, JoinHandle};

/// How much a thread yields: a step of `nice`.
pub(super) const DECODER: i32 = 5;
pub(super) const LAYER: i32 = 10;

/// Starts a thread.
pub(super) fn spawn(
    name: &str,
    yields: i32,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(move || {
        // Where it is refused, the thread runs as all others.
        #[cfg(target_os = "linux")]
        // SAFETY: plain values. On Linux this is the priority of the calling thread alone.
        unsafe {
            libc::setpriority(libc::PRIO_PROCESS, 0, yields);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = yields;
        body();
    })
}
