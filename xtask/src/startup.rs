//! `cargo xtask bench start`: how soon a second start is ready, what it holds when idle, and whether the first segment of a
//! long asset, or its last, costs more than that of a short one.
//!
//! Cold: the first request for an asset in a process that has answered one for another asset, so that instances are
//! there and nothing of this asset is. Warm: the same request again and again. Medians of wall-clock times as curl sees
//! them.

use crate::bench;
use crate::installation::Installation;
use crate::run::{quiet, step};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const COLD_STARTS: usize = 9;
const WARM_REQUESTS: usize = 400;

/// The sources that are compared: name, and length in minutes.
const SOURCES: [(&str, usize); 3] = [("1 min", 1), ("3 h", 180), ("12 h", 720)];

/// What is asked for of each.
const SEGMENTS: [&str; 2] = ["first", "last"];

pub(crate) fn start(binary: &Path) -> Result<()> {
    let mut headwater = Installation::start(binary, "bench-start", &["--no-demo"])?;
    let publish = |headwater: &Installation, name: &str, minutes: usize| -> Result<[String; 2]> {
        let file = step(&format!("Preparing a source of {name}"), || source(minutes))?;
        let copy = headwater
            .directory
            .join(format!("{}.mp4", name.replace(' ', "-")));
        std::fs::copy(&file, &copy)?;
        let master = headwater.publish_as_is(&copy)?;
        std::fs::remove_file(copy)?;
        let (playlist, first, _) = bench::first_segment(headwater, &master)?;
        // Asking for it makes the packaging index.
        let spent = seconds(headwater, &playlist, 1)?;
        println!("first playlist of {name}: {:.1} ms", spent * 1e3);
        let text = headwater.get(&playlist)?;
        let last = text.lines().rfind(|line| line.starts_with("Fragments"));
        let level = playlist.rsplit_once('/').map_or("", |(base, _)| base);
        Ok([first, format!("{level}/{}", last.context("no segment")?)])
    };
    let other = publish(&headwater, "a minute beside", 1)?;
    let mut urls = Vec::new();
    for (name, minutes) in SOURCES {
        urls.push(publish(&headwater, name, minutes)?);
    }

    let mut ready = Vec::new();
    let mut resident = Vec::new();
    // By segment and source.
    let mut cold = [const { [const { Vec::new() }; SOURCES.len()] }; SEGMENTS.len()];
    let mut warm = cold.clone();
    for round in 0..COLD_STARTS * SEGMENTS.len() {
        ready.push(headwater.restart(binary)?.as_secs_f64());
        std::thread::sleep(Duration::from_secs(3));
        resident.push(resident_mib(headwater.pid())?);
        headwater.get_bytes(&other[0])?;
        let segment = round % SEGMENTS.len();
        // None is always the first.
        for at in 0..SOURCES.len() {
            let source = (at + round / SEGMENTS.len()) % SOURCES.len();
            let url = &urls[source][segment];
            cold[segment][source].push(seconds(&headwater, url, 1)?);
            warm[segment][source].push(seconds(&headwater, url, WARM_REQUESTS)?);
        }
    }
    println!("| what | measured |");
    println!("|---|---|");
    println!("| second start ready | {:.2} s |", median(&mut ready));
    println!("| idle, resident | {:.0} MiB |", median(&mut resident));
    println!();
    println!("| segment | 1 min, ms | 3 h, ms | 12 h, ms | 3 h to 1 min | 12 h to 1 min |");
    println!("|---|---|---|---|---|---|");
    for (what, times) in [("cold", &mut cold), ("warm", &mut warm)] {
        for (name, of_sources) in SEGMENTS.iter().zip(times) {
            let [minute, hours, day] = of_sources.each_mut().map(|times| median(times) * 1e3);
            println!(
                "| {name}, {what} | {minute:.2} | {hours:.2} | {day:.2} | {:.2} | {:.2} |",
                hours / minute,
                day / minute
            );
        }
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
