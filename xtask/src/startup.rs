//! `cargo xtask bench start`: how soon a second start is ready, what it holds when idle, and whether the first segment of a
//! long asset costs more than that of a short one.
//!
//! Cold: the first request for an asset in a process that has answered one for another asset, so that instances are
//! there and nothing of this asset is. Warm: the same request again and again. Medians of wall-clock times as curl sees
//! them.

use crate::bench;
use crate::run::{quiet, step};
use crate::suites::Installation;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const COLD_STARTS: usize = 9;
const WARM_REQUESTS: usize = 400;

pub(crate) fn start(binary: &Path) -> Result<()> {
    let minute = step("Preparing a source of a minute", || source(1))?;
    let hours = step("Preparing a source of three hours", || source(180))?;
    let mut headwater = Installation::start(binary, "bench-start", &["--no-demo"])?;
    // The first segment of each asset; asking for it makes the packaging index.
    let mut segments = Vec::new();
    for (name, file) in [("other", &minute), ("minute", &minute), ("hours", &hours)] {
        let copy = headwater.directory.join(format!("{name}.mp4"));
        std::fs::copy(file, &copy)?;
        let master = headwater.publish_as_is(&copy)?;
        let (playlist, segment, _) = bench::first_segment(&headwater, &master)?;
        let first = seconds(&headwater, &playlist, 1)?;
        println!("first playlist of {name}: {:.1} ms", first * 1e3);
        headwater.get_bytes(&segment)?;
        segments.push(segment);
    }

    let mut ready = Vec::new();
    let mut resident = Vec::new();
    let (mut cold, mut warm) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..COLD_STARTS {
        ready.push(headwater.restart(binary)?.as_secs_f64());
        std::thread::sleep(Duration::from_secs(3));
        resident.push(resident_mib(headwater.pid())?);
        headwater.get_bytes(&segments[0])?;
        // Neither is always the first.
        for index in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            cold[index].push(seconds(&headwater, &segments[index + 1], 1)?);
            warm[index].push(seconds(&headwater, &segments[index + 1], WARM_REQUESTS)?);
        }
    }
    println!("| what | measured |");
    println!("|---|---|");
    println!("| second start ready | {:.2} s |", median(&mut ready));
    println!("| idle, resident | {:.0} MiB |", median(&mut resident));
    for (what, [minute, hours]) in [("cold", &mut cold), ("warm", &mut warm)] {
        let (minute, hours) = (median(minute), median(hours));
        println!(
            "| first segment, {what}: 1 min, 3 h, ratio | {:.2} ms, {:.2} ms, {:.2} |",
            minute * 1e3,
            hours * 1e3,
            hours / minute
        );
    }
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Median time of `count` requests on one connection.
fn seconds(headwater: &Installation, path: &str, count: usize) -> Result<f64> {
    let url = format!("{}{path}", headwater.base()?);
    let mut curl = Command::new("curl");
    curl.args([
        "-sS",
        "--fail",
        "--globoff",
        "-w",
        "%{time_starttransfer}\n",
    ]);
    for _ in 0..count {
        curl.args(["-o", "/dev/null", &url]);
    }
    let mut times = Vec::new();
    for line in quiet(&mut curl)?.lines() {
        times.push(line.parse::<f64>().context("curl's times")?);
    }
    Ok(median(&mut times))
}

/// Resident memory of a process and its children, in MiB.
fn resident_mib(pid: u32) -> Result<f64> {
    let output = quiet(Command::new("ps").args([
        "-o",
        "rss=",
        "-p",
        &pid.to_string(),
        "--ppid",
        &pid.to_string(),
    ]))?;
    let kib: f64 = output
        .lines()
        .filter_map(|line| line.trim().parse::<f64>().ok())
        .sum();
    Ok(kib / 1024.0)
}

/// `minutes` of a small picture with sound, a key frame every two seconds.
fn source(minutes: usize) -> Result<PathBuf> {
    let file = crate::paths::cache()?.join(format!("bench-{minutes}-minutes.mp4"));
    if file.exists() {
        return Ok(file);
    }
    let one = file.with_extension("one.mp4");
    let inputs = "-f lavfi -i testsrc2=s=320x180:r=25:d=60 -f lavfi -i sine=440:r=48000:d=60";
    let coding = "-c:v libx264 -preset veryfast -g 50 -sc_threshold 0 -b:v 150k -pix_fmt yuv420p -c:a aac -b:a 64k";
    quiet(
        Command::new("ffmpeg")
            .args(["-v", "error", "-y"])
            .args(inputs.split(' ').chain(coding.split(' ')))
            .arg(&one),
    )?;
    bench::repeat(&one, minutes, &file)?;
    Ok(file)
}
