//! How fast both engines are and how good their pictures are, beside ffmpeg alone on the same ladder.
//!
//! `cargo run --release -p headwater-transcoder --example bench -- [FILE] [PRESET] [THREADS]`
//!
//! Without a file, ffmpeg makes one: 60 s of moving 1080p30 with grain, 48 Mbit/s, as a camera records it, so that both engines make
//! chunks. Runs whole jobs against an API and a store in memory,
//! once with each engine, and then ffmpeg alone for the renditions that the engines made: with the preset that its engine uses,
//! against which that is held, and with those before and after it, `veryfast` and `medium`. Compares every rendition with the source. Prints CPU seconds per content second and the most memory at a
//! time, of this process and its children, and bitrate, largest share of the rate in any two seconds, and SSIM per rendition.

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use headwater_preset::Complexity;
use headwater_transcoder::auto::Choice;
use headwater_transcoder::ffmpeg::rungs;
use headwater_work::Outcome;
use support::{Fake, media, save};

/// User and system time of this process and its ended children so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = after_name
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    // Fields 14 to 17 of proc(5), in ticks of 10 ms; the name and the state are fields 2 and 3.
    fields.iter().skip(11).take(4).sum::<f64>() / 100.0
}

/// Resident memory of this process and those that it started, in MiB; what they share counts once for each.
fn resident_mib() -> f64 {
    let mut parents = HashMap::new();
    let mut pages = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let mut fields = after_name.split_whitespace().skip(1);
        let parent: Option<u32> = fields.next().and_then(|field| field.parse().ok());
        // Field 24 of proc(5).
        let resident: Option<u64> = fields.nth(19).and_then(|field| field.parse().ok());
        if let (Some(parent), Some(resident)) = (parent, resident) {
            parents.insert(pid, parent);
            pages.insert(pid, resident);
        }
    }
    let own = std::process::id();
    let is_ours = |mut pid: u32| {
        while pid != own {
            match parents.get(&pid) {
                Some(&parent) => pid = parent,
                None => return false,
            }
        }
        true
    };
    let ours = pages.iter().filter(|(pid, _)| is_ours(**pid));
    ours.map(|(_, resident)| resident * 4096).sum::<u64>() as f64 / f64::from(1 << 20)
}

/// The most that [`resident_mib`] says while this lives.
struct Memory {
    most: Arc<Mutex<f64>>,
    over: Arc<AtomicBool>,
}

impl Memory {
    fn watch() -> Self {
        let watch = Self {
            most: Arc::default(),
            over: Arc::default(),
        };
        let (most, over) = (Arc::clone(&watch.most), Arc::clone(&watch.over));
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let now = resident_mib();
                let mut most = most.lock().expect("no panic while it is held");
                *most = most.max(now);
                drop(most);
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        watch
    }

    fn most(self) -> f64 {
        self.over.store(true, Ordering::Relaxed);
        *self.most.lock().expect("no panic while it is held")
    }
}

/// Largest share of its rate that a rendition spends in two seconds.
fn peak(packets: &[media::Packet], kbps: f64) -> f64 {
    let mut worst = 0.0_f64;
    for (index, first) in packets.iter().enumerate() {
        let window = packets[index..]
            .iter()
            .take_while(|packet| packet.pts < first.pts + 2.0);
        let bits = window.map(|packet| packet.size).sum::<u64>() as f64 * 8.0;
        worst = worst.max(bits / 2000.0 / kbps);
    }
    worst
}

/// Width, height and kbit/s of a rendition, by its name: `source_1280x720_3400.mp4`.
fn rung(name: &str) -> Option<(u32, u32, f64)> {
    let mut parts = name.strip_suffix(".mp4")?.rsplit('_');
    let kbps = parts.next()?.parse().ok()?;
    let (width, height) = parts.next()?.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?, kbps))
}

/// What came of a run.
struct Run<'a> {
    what: &'a str,
    source: &'a Path,
    /// Of the content.
    seconds: f64,
    wall: f64,
    cpu: f64,
    memory_mib: f64,
}

impl Run<'_> {
    fn print(&self, folder: &Path, names: &[String]) {
        println!(
            "{}: {:.1} s of content in {:.1} s, {:.1} CPU s: {:.2} CPU seconds per content second; {:.0} MiB at most",
            self.what,
            self.seconds,
            self.wall,
            self.cpu,
            self.cpu / self.seconds,
            self.memory_mib
        );
        for name in names {
            let Some((_, _, target)) = rung(name) else {
                continue;
            };
            let path = folder.join(name);
            let packets = media::packets(&path, "v:0");
            let bits = packets.iter().map(|packet| packet.size).sum::<u64>() as f64 * 8.0;
            let kbps = bits / 1000.0 / self.seconds;
            println!(
                "{name}: {kbps:.0} kbit/s ({:+.1} %), peak {:.2}, SSIM {:.4}",
                (kbps / target - 1.0) * 100.0,
                peak(&packets, target),
                media::ssim(&path, self.source)
            );
        }
    }
}

/// ffmpeg by itself, with the bounds that the engine gives it.
fn plain(source: &Path, preset: &str, threads: usize, names: &[String], folder: &Path) {
    let rungs: Vec<_> = names
        .iter()
        .filter_map(|name| Some((name, rung(name)?)))
        .collect();
    let mut graph = format!("[0:v]split={}", rungs.len());
    for number in 0..rungs.len() {
        graph.push_str(&format!("[i{number}]"));
    }
    for (number, (_, (width, height, _))) in rungs.iter().enumerate() {
        graph.push_str(&format!(
            ";[i{number}]scale={width}:{height}:flags=bicubic[o{number}]"
        ));
    }
    let threads = threads.to_string();
    let mut command = std::process::Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y", "-threads", &threads, "-i"]);
    command.arg(source).args(["-filter_complex", &graph]);
    for (number, (name, (_, _, kbps))) in rungs.iter().enumerate() {
        command.args([
            "-map",
            &format!("[o{number}]"),
            "-c:v",
            "libx264",
            "-preset",
            preset,
        ]);
        command.args([
            "-b:v",
            &format!("{kbps:.0}k"),
            "-maxrate",
            &format!("{:.0}k", kbps * 1.3),
        ]);
        command.args([
            "-bufsize",
            &format!("{:.0}k", kbps * 1.95),
            "-threads",
            &threads,
        ]);
        command.args([
            "-force_key_frames",
            "expr:gte(t,n_forced*2)",
            "-sc_threshold",
            "0",
        ]);
        command.arg(folder.join(name));
    }
    command.args(["-map", "0:a?", "-c:a", "aac", "-b:a", "128k"]);
    command.arg(folder.join("sound.m4a"));
    assert!(command.status().expect("ffmpeg").success());
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = arguments.next().map_or_else(
        || {
            let path = folder.path().join("grain.mp4");
            media::ffmpeg(
                "-f lavfi -i testsrc2=s=1920x1080:r=30:d=60 -f lavfi -i sine=440:d=60 -vf noise=alls=5:allf=t \
                 -pix_fmt yuv420p -c:v libx264 -preset veryfast -crf 18 -c:a aac -b:a 256k",
                &path,
            );
            path
        },
        PathBuf::from,
    );
    let preset = arguments
        .next()
        .unwrap_or_else(|| "AdaptiveStreaming".into());
    let threads = arguments
        .next()
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let found = media::probe(&source, "-show_entries format=duration");
    let seconds: f64 = found["format"]["duration"]
        .as_str()
        .unwrap_or("0")
        .parse()
        .unwrap_or(0.0);

    let mut names: Vec<String> = Vec::new();
    for (what, engine) in [
        ("built in", Choice::BuiltIn),
        ("ffmpeg engine", Choice::Ffmpeg),
    ] {
        let mut fake = Fake::start().await;
        fake.engine = engine;
        fake.upload("source.mp4", std::fs::read(&source).expect("the source"));
        fake.queue("source.mp4", &[&preset]);
        let (started, before) = (Instant::now(), cpu_seconds());
        let memory = Memory::watch();
        let outcome = fake.finish(threads).await;
        let run = Run {
            what,
            source: &source,
            seconds,
            wall: started.elapsed().as_secs_f64(),
            cpu: cpu_seconds() - before,
            memory_mib: memory.most(),
        };
        assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
        let files = fake.files("out0");
        let folder = folder.path().join(what);
        std::fs::create_dir(&folder).expect("a folder");
        save(&files, &folder);
        names = files
            .keys()
            .filter(|name| rung(name).is_some())
            .cloned()
            .collect();
        run.print(&folder, &names);
    }
    for preset in ["veryfast", rungs::speed(Complexity::Balanced), "medium"] {
        let inside = folder.path().join(preset);
        std::fs::create_dir(&inside).expect("a folder");
        let (started, before) = (Instant::now(), cpu_seconds());
        let memory = Memory::watch();
        plain(&source, preset, threads, &names, &inside);
        let run = Run {
            what: &format!("ffmpeg -preset {preset}"),
            source: &source,
            seconds,
            wall: started.elapsed().as_secs_f64(),
            cpu: cpu_seconds() - before,
            memory_mib: memory.most(),
        };
        run.print(&inside, &names);
    }
}
