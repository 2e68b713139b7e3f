//! `cargo xtask bench workers`: how much sooner a job is done that several workers make.
//!
//! With the built-in engine, a thread to a worker, as many workers as a machine of two cores has room for; and with workers
//! that sleep in place of encoding, which shows what dividing a job costs where there is room for more.

use crate::installation::Installation;
use crate::run::{quiet, step};
use anyhow::{Context, Result};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Of the source that is encoded, in seconds.
const SECONDS: u32 = 120;
/// Of the job that is not.
const CHUNKS: u32 = 60;
const MILLISECONDS: u32 = 1000;

/// A worker, killed when it is no longer needed.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn workers(binary: &Path, simulated: &Path) -> Result<()> {
    let args = [
        "--no-demo",
        "--no-transcoder",
        "--no-ingest",
        "--no-notifier",
    ];
    let headwater = Installation::start(binary, "bench-workers", &args)?;
    let film = headwater.directory.join("film.mp4");
    step(&format!("Making a film of {SECONDS} s"), || {
        let pictures = format!("testsrc2=s=1280x720:r=25:d={SECONDS},noise=alls=12:allf=t");
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg
            .args([
                "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", &pictures,
            ])
            .args("-c:v libx264 -preset ultrafast -g 50 -pix_fmt yuv420p -b:v 8M".split(' '))
            .arg(&film);
        quiet(&mut ffmpeg).map(drop)
    })?;
    let bench = Bench {
        binary,
        headwater: &headwater,
    };
    bench.command(&["assets", "upload", "film", path(&film)?])?;

    let token = bench.command(&["token", "--role", "worker"])?;
    let (base, token) = (headwater.base()?, token.trim().to_owned());
    let encoding = || {
        let mut command = Command::new(binary);
        command.args(["transcoder", "--threads", "1", "--engine", "builtin"]);
        command.args(["--api-url", &base, "--token", &token]);
        command
    };
    let sleeping = || {
        let mut command = Command::new(simulated);
        command.args([
            &base,
            &token,
            &CHUNKS.to_string(),
            &MILLISECONDS.to_string(),
        ]);
        command
    };
    println!("| what | workers | seconds | times one |");
    println!("|---|---|---|---|");
    let encoded = format!("built-in engine, one thread each, {SECONDS} s of 1280x720");
    bench.rows(("encoded", &encoded), &[1, 2], &encoding)?;
    let slept = format!("simulated, {CHUNKS} chunks of {MILLISECONDS} ms");
    bench.rows(("slept", &slept), &[1, 2, 3, 6], &sleeping)
}

struct Bench<'a> {
    binary: &'a Path,
    headwater: &'a Installation,
}

impl Bench<'_> {
    fn command(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(self.binary);
        command
            .args(args)
            .arg("--data")
            .arg(&self.headwater.directory);
        quiet(&mut command)
    }

    /// `row`: what its jobs are called.
    fn rows(
        &self,
        (row, what): (&str, &str),
        counts: &[usize],
        worker: &dyn Fn() -> Command,
    ) -> Result<()> {
        let mut one = None;
        for &count in counts {
            let seconds = self.job(row, count, worker)?.as_secs_f64();
            let one = *one.get_or_insert(seconds);
            println!("| {what} | {count} | {seconds:.1} | {:.2} |", one / seconds);
        }
        Ok(())
    }

    /// How long a job takes that `count` workers wait for.
    fn job(&self, row: &str, count: usize, worker: &dyn Fn() -> Command) -> Result<Duration> {
        let mut workers = Vec::new();
        for _ in 0..count {
            let mut command = worker();
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            workers.push(Worker(command.spawn().context("starting a worker")?));
        }
        // They have looked for work once.
        std::thread::sleep(Duration::from_secs(2));
        let (transform, name) = ("AdaptiveStreaming", &format!("{row}-{count}"));
        let started = Instant::now();
        self.command(&["jobs", "submit", "--input", "film", transform, name])?;
        // One program that asks now and then: starting one for each question takes from the workers, where there are as many as
        // processors.
        self.command(&["jobs", "watch", transform, name])?;
        Ok(started.elapsed())
    }
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not text")
}
