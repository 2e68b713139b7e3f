//! `cargo xtask fuzz`, `matrix`, `soak` and `bench`: what takes long, or measures, and is no part of the tests.

use crate::debian::Need;
use crate::installation::Installation;
use crate::run::{cargo, run};
use crate::suites::example;
use crate::{build, debian, node, paths};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The mutation suites with as many inputs as are asked for, optimised. They are among the tests with some thousand.
pub(crate) fn fuzz(count: u64, first: u64) -> Result<()> {
    debian::ensure(&[Need::program("ffmpeg", "ffmpeg")])?;
    let mut command = cargo();
    command.args(["test", "--release", "--no-fail-fast", "--test", "mutations"]);
    for package in ["headwater-cmaf", "headwater-origin"] {
        command.args(["--package", package]);
    }
    command
        .args(["--", "--nocapture"])
        .env("HEADWATER_MUTATIONS", count.to_string())
        .env("HEADWATER_MUTATION_SEED", first.to_string())
        .current_dir(paths::root());
    run(&mut command)?;
    // Tokens, whose test is among those of the module.
    let mut command = cargo();
    command
        .args(["test", "--release", "--package", "headwater-keys", "--lib"])
        .args(["--", "no_mutated_token_is_accepted"])
        .env("HEADWATER_MUTATIONS", count.to_string())
        .current_dir(paths::root());
    run(&mut command)
}

/// Every source of the transcoder's tests through every preset, or what has `word` in its name.
pub(crate) fn matrix(word: Option<&str>) -> Result<()> {
    debian::ensure(&[Need::program("ffmpeg", "ffmpeg")])?;
    let mut command = cargo();
    command
        .args(["test", "--release", "--no-fail-fast", "--test", "it"])
        // With all workers, or what they share would be compiled once more.
        .args(build::WORKERS.iter().flat_map(|name| ["--package", name]))
        .args(["--", "matrix::", "--nocapture"])
        .env("HEADWATER_MATRIX", word.unwrap_or("all"))
        .current_dir(paths::root());
    run(&mut command)
}

/// What is to be built, or another build that is named, for comparison.
fn binary() -> Result<PathBuf> {
    match std::env::var_os("HEADWATER_BINARY") {
        Some(binary) => Ok(PathBuf::from(binary)),
        None => build::everything(build::For::Use),
    }
}

/// Players stay at the edge for so long, minutes.
const AT_THE_EDGE: u64 = 10;

/// What takes as long as it plays: the suite's test of three players with more time, and beside it an hour of one encoder.
pub(crate) fn soak(minutes: u64) -> Result<()> {
    debian::ensure(&[
        Need::program("ffmpeg", "ffmpeg"),
        Need::program("chromium", "chromium"),
    ])?;
    let binary = binary()?;
    let folder = paths::root().join("tests/players");
    node::install(&folder)?;
    // One each: the players' worker is killed.
    let steady = Installation::start(&binary, "soak-drift", &["--no-demo"])?;
    let shaken = Installation::start(&binary, "soak-players", &["--no-demo"])?;
    let test = |file: &str, installation: &Installation| {
        let mut command = Command::new("node");
        command
            .args(["--test", file])
            .env("HEADWATER_CONNECTION", &installation.connection)
            .env("SOAK_MINUTES", minutes.to_string())
            .env(
                "LIVE_SECONDS",
                minutes.min(AT_THE_EDGE).saturating_mul(60).to_string(),
            )
            .current_dir(&folder);
        command
    };
    std::thread::scope(|scope| {
        let drift = scope.spawn(|| run(&mut test("soak/drift.mjs", &steady)));
        let players = run(&mut test("endurance.test.mjs", &shaken));
        let drift = drift
            .join()
            .map_err(|_| anyhow::anyhow!("the drift's thread"))?;
        players.and(drift)
    })
}

/// Benchmarks: the numbers go to the terminal, and by hand into docs/benchmarks.md.
pub(crate) fn bench(what: &str, args: &[String]) -> Result<()> {
    let binary = binary()?;
    match what {
        "origin" => {
            debian::ensure(&[
                Need::program("nginx", "nginx-light"),
                Need::program("wrk", "wrk"),
                Need::program("ffmpeg", "ffmpeg"),
                Need::program("taskset", "util-linux"),
                Need::program("curl", "curl"),
            ])?;
            crate::bench::origin(&binary, args)
        }
        "api" => {
            debian::ensure(&[
                Need::program("wrk", "wrk"),
                Need::program("taskset", "util-linux"),
                Need::program("python3", "python3"),
            ])?;
            crate::bench_api::api(&binary, args)
        }
        "hosts" => {
            if let Some(unknown) = args.first() {
                bail!("{unknown:?} is not an option of this benchmark; it has none");
            }
            debian::ensure(&[Need::program("wrk", "wrk")])?;
            crate::bed::bench_hosts(&binary)
        }
        "live" => {
            debian::ensure(&[
                Need::program("ffmpeg", "ffmpeg"),
                Need::program("chromium", "chromium"),
                Need::program("nginx", "nginx-light"),
                Need::path(
                    "/usr/lib/nginx/modules/ngx_rtmp_module.so",
                    "libnginx-mod-rtmp",
                ),
            ])?;
            crate::bench_live::live(&binary, args)
        }
        "keys" => {
            debian::ensure(&[
                Need::program("wrk", "wrk"),
                Need::program("taskset", "util-linux"),
                Need::program("curl", "curl"),
                Need::program("openssl", "openssl"),
            ])?;
            crate::bench_keys::keys(&binary, args)
        }
        "transcode" => {
            debian::ensure(&[Need::program("ffmpeg", "ffmpeg")])?;
            let mut command = example("bench", build::For::Use)?;
            command.args(args).current_dir(paths::root());
            run(&mut command)
        }
        "start" => {
            debian::ensure(&[
                Need::program("ffmpeg", "ffmpeg"),
                Need::program("curl", "curl"),
                Need::program("ps", "procps"),
            ])?;
            crate::startup::start(&binary)?;
            build::guests()?;
            run(example("instances", build::For::Use)?.current_dir(paths::root()))
        }
        "workers" => {
            debian::ensure(&[Need::program("ffmpeg", "ffmpeg")])?;
            let simulated = example("simulated", build::For::Use)?;
            crate::bench_workers::workers(&binary, Path::new(simulated.get_program()))
        }
        other => {
            bail!(
                "there is no benchmark {other:?}: api, hosts, keys, live, origin, start, transcode or workers"
            )
        }
    }
}
