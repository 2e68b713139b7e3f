//! What a test has computed, whatever else the machine does meanwhile: these run in what other suites leave of it.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Of this thread, so far. Where nobody says, what has passed.
pub(crate) fn time() -> Duration {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = told.and_then(|told| told.split_whitespace().next()?.parse().ok());
    spent.map_or_else(|| BEGUN.elapsed(), Duration::from_nanos)
}
