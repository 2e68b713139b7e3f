//! Ports that are chosen here and listened at later, by somebody else.

use anyhow::{Context, Result};
use std::net::TcpListener;

/// Where the kernel begins to give ports to whoever asks for any: Linux's default.
const GIVEN_FROM: u16 = 32_768;

/// Ports of this machine that nobody listens at, and that the kernel gives nobody by itself: browsers and suites open thousands of
/// connections until they are used, and what is started meanwhile asks for any port.
pub(crate) fn free<const COUNT: usize>() -> Result<[u16; COUNT]> {
    let given = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    let from = given.and_then(|range| range.split_whitespace().next()?.parse().ok());
    let from: u16 = from.unwrap_or(GIVEN_FROM);
    let count = from.saturating_sub(10_000).max(1);
    // Two that ask at the same time begin at different places.
    let begin = u16::try_from(place() % u32::from(count))?;
    let all = (begin..count).chain(0..begin).map(|at| from - 1 - at);
    let free = all.filter(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    let free: Vec<u16> = free.take(COUNT).collect();
    let found: Option<[u16; COUNT]> = free.try_into().ok();
    found.context("no port of this machine is free")
}

fn place() -> u32 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    now.subsec_nanos() ^ std::process::id().rotate_left(16)
}
