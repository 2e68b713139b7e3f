//! How fast the built-in engine is and how good its pictures are.
//!
//! `cargo run --release -p headwater-transcoder --example bench -- [FILE] [PRESET] [THREADS]`
//!
//! Without a file, ffmpeg makes one: 20 s of moving, grainy 1080p30. Runs a whole job against an API and a store in
//! memory, then compares every rendition with the source. Prints content seconds per CPU second of this process, and
//! bitrate, largest share of the rate in any two seconds, and SSIM per rendition.

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::time::Instant;

use headwater_work::Outcome;
use support::{Fake, media, save};

/// User and system time of this process so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = after_name
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    // Fields 14 and 15 of proc(5), in ticks of 10 ms; the name and the state are fields 2 and 3.
    (fields.get(11).unwrap_or(&0.0) + fields.get(12).unwrap_or(&0.0)) / 100.0
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

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = arguments.next().map_or_else(
        || {
            let path = folder.path().join("grain.mp4");
            media::ffmpeg(
                "-f lavfi -i testsrc2=s=1920x1080:r=30:d=20 -f lavfi -i sine=440:d=20 -vf noise=alls=12:allf=t \
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
        .unwrap_or(0);
    let found = media::probe(&source, "-show_entries format=duration");
    let seconds: f64 = found["format"]["duration"]
        .as_str()
        .unwrap_or("0")
        .parse()
        .unwrap_or(0.0);

    let fake = Fake::start().await;
    fake.upload("source.mp4", std::fs::read(&source).expect("the source"));
    fake.queue("source.mp4", &[&preset]);
    let (started, before) = (Instant::now(), cpu_seconds());
    let outcome = fake.finish(threads).await;
    let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - before);
    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
    println!(
        "{preset}: {seconds:.1} s of content in {wall:.1} s, {cpu:.1} CPU s: {:.2} content seconds per CPU second",
        seconds / cpu
    );
    let files = fake.files("out0");
    save(&files, folder.path());
    for name in files
        .keys()
        .filter(|name| name.ends_with(".mp4") && !name.contains("_aac_"))
    {
        let path = folder.path().join(name);
        let packets = media::packets(&path, "v:0");
        let target: f64 = name
            .trim_end_matches(".mp4")
            .rsplit('_')
            .next()
            .and_then(|kbps| kbps.parse().ok())
            .unwrap_or(0.0);
        let kbps = packets.iter().map(|packet| packet.size).sum::<u64>() as f64 / 125.0 / seconds;
        println!(
            "{name}: {kbps:.0} kbit/s ({:+.1} %), peak {:.2}, SSIM {:.4}",
            (kbps / target - 1.0) * 100.0,
            peak(&packets, target),
            media::ssim(&path, &source)
        );
    }
}
