//! `cargo xtask bench start`: how soon a second start is ready, what it holds when idle, and whether what is asked for of a long
//! asset costs more than that of a short one: its first segment and its last, in CMAF and in transport streams, of pictures and
//! of sound. Playlists and manifests may grow, by their own length and no more: of those the cost is that of a byte as well.
//!
//! Cold: the first request for an asset in a process that has answered one for another asset, so that instances are
//! there and nothing of this asset is. Warm: the same request again and again. Medians of wall-clock times as curl sees
//! them.

use crate::bench_formats;
use crate::installation::Installation;
use crate::run::{quiet, step};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const COLD_STARTS: usize = 9;
const WARM_REQUESTS: usize = 400;

/// Of the installation. A playlist that the host has kept would tell what keeping costs.
const OPTIONS: [&str; 3] = ["--no-demo", "--cache-mib", "0"];

/// The sources that are compared: name, and length in minutes.
const SOURCES: [(&str, usize); 3] = [("1 min", 1), ("3 h", 180), ("12 h", 720)];

/// What is asked for of each.
const ASKED: [&str; 9] = [
    "first segment",
    "last segment",
    "last segment, sound",
    "last segment, TS",
    "media playlist",
    "media playlist, TS",
    "I-frame playlist",
    "MPD",
    "manifest, Smooth",
];

/// Of those, the ones whose length is that of the asset; what is in front of them costs the same whatever that is.
const GROWING: std::ops::Range<usize> = 4..ASKED.len();

pub(crate) fn start(binary: &Path) -> Result<()> {
    let mut headwater = Installation::start(binary, "bench-start", &OPTIONS)?;
    let publish = |headwater: &Installation, name: &str, minutes: usize| {
        let file = step(&format!("Preparing a source of {name}"), || source(minutes))?;
        let copy = headwater
            .directory
            .join(format!("{}.mp4", name.replace(' ', "-")));
        std::fs::copy(&file, &copy)?;
        let master = headwater.publish_as_is(&copy)?;
        std::fs::remove_file(copy)?;
        urls(headwater, name, &master)
    };
    let other = publish(&headwater, "a minute beside", 1)?;
    let mut urls = Vec::new();
    for (name, minutes) in SOURCES {
        urls.push(publish(&headwater, name, minutes)?);
    }
    let mut lengths = Vec::new();
    for of_source in &urls {
        let mut bytes = [0.0; ASKED.len()];
        for (bytes, url) in bytes.iter_mut().zip(of_source) {
            *bytes = headwater.get_bytes(url)?.len() as f64;
        }
        lengths.push(bytes);
    }

    let mut ready = Vec::new();
    let mut resident = Vec::new();
    // By what is asked for, and source.
    let mut cold = [const { [const { Vec::new() }; SOURCES.len()] }; ASKED.len()];
    let mut warm = cold.clone();
    for round in 0..COLD_STARTS * ASKED.len() {
        ready.push(headwater.restart(binary, &OPTIONS)?.as_secs_f64());
        std::thread::sleep(Duration::from_secs(3));
        resident.push(resident_mib(headwater.pid())?);
        headwater.get_bytes(&other[0])?;
        let asked = round % ASKED.len();
        // None is always the first.
        for at in 0..SOURCES.len() {
            let source = (at + round / ASKED.len()) % SOURCES.len();
            let url = &urls[source][asked];
            // Of what grows, until all of it is there.
            let until = match GROWING.contains(&asked) {
                true => Until::Last,
                false => Until::First,
            };
            cold[asked][source].push(seconds(&headwater, url, 1, until)?);
            warm[asked][source].push(seconds(&headwater, url, WARM_REQUESTS, until)?);
        }
    }
    println!("| what | measured |");
    println!("|---|---|");
    println!("| second start ready | {:.2} s |", median(&mut ready));
    println!("| idle, resident | {:.0} MiB |", median(&mut resident));
    println!();
    println!(
        "| what | 1 min, ms | 3 h, ms | 12 h, ms | 3 h to 1 min | 12 h to 1 min | 12 h to 1 min, a byte |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (what, times) in [("cold", &mut cold), ("warm", &mut warm)] {
        for (at, (name, of_sources)) in ASKED.iter().zip(times).enumerate() {
            let [minute, hours, day] = of_sources.each_mut().map(|times| median(times) * 1e3);
            let a_byte = match (GROWING.contains(&at), lengths.first(), lengths.last()) {
                (true, Some(short), Some(long)) => {
                    format!("{:.3}", (day / long[at]) / (minute / short[at]))
                }
                _ => "-".to_owned(),
            };
            println!(
                "| {name}, {what} | {minute:.2} | {hours:.2} | {day:.2} | {:.2} | {:.2} | {a_byte} |",
                hours / minute,
                day / minute
            );
        }
    }
    println!();
    println!("| bytes | 1 min | 3 h | 12 h |");
    println!("|---|---|---|---|");
    for at in GROWING {
        let bytes = lengths.iter().map(|bytes| format!("{:.0}", bytes[at]));
        let bytes: Vec<String> = bytes.collect();
        println!("| {} | {} |", ASKED[at], bytes.join(" | "));
    }
    Ok(())
}

/// What is asked for of what is published at `master`, in the order of [`ASKED`].
fn urls(headwater: &Installation, name: &str, master: &str) -> Result<[String; ASKED.len()]> {
    let found = bench_formats::Found::of(headwater, master)?;
    // Asking for it makes the packaging index.
    let spent = seconds(headwater, &found.video, 1, Until::First)?;
    println!("first playlist of {name}: {:.1} ms", spent * 1e3);
    let ends = |playlist: &str| bench_formats::ends(headwater, playlist);
    let [first, last] = ends(&found.video)?;
    let [_, sound] = ends(&found.audio)?;
    let [_, packets] = ends(&found.packets)?;
    Ok([
        first,
        last,
        sound,
        packets,
        found.video,
        found.packets,
        found.key_frames,
        master.replace("m3u8-cmaf", "mpd-time-cmaf"),
        found.smooth,
    ])
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Which byte of an answer is waited for.
#[derive(Clone, Copy)]
enum Until {
    First,
    Last,
}

/// Median time of `count` requests on one connection.
fn seconds(headwater: &Installation, path: &str, count: usize, until: Until) -> Result<f64> {
    let url = format!("{}{path}", headwater.base()?);
    let mut curl = Command::new("curl");
    curl.args([
        "-sS",
        "--fail",
        "--globoff",
        "-w",
        match until {
            Until::First => "%{time_starttransfer}\n",
            Until::Last => "%{time_total}\n",
        },
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
    crate::bench::repeat(&one, minutes, &file)?;
    Ok(file)
}
