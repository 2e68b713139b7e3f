//! ffmpeg and ffprobe: sources that nobody recorded, and a second opinion on what we wrote.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn output(command: &mut Command) -> Vec<u8> {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} cannot be run ({error}): install ffmpeg"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Runs ffmpeg with `arguments` (split at blanks) and writes `out`.
pub fn ffmpeg(arguments: &str, out: &Path) {
    output(
        Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-y", "-threads", "2"])
            .args(arguments.split_whitespace())
            .arg(out),
    );
}

/// `ffprobe -show_entries`, as JSON.
pub fn probe(file: &Path, arguments: &str) -> Value {
    let out = output(
        Command::new("ffprobe")
            .args(["-v", "error", "-of", "json"])
            .args(arguments.split_whitespace())
            .arg(file),
    );
    serde_json::from_slice(&out).unwrap()
}

/// One frame or packet as ffprobe sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    pub pts: f64,
    pub key: bool,
    pub size: u64,
}

/// The packets of a stream (`v:0`, `a:0`), in presentation order.
pub fn packets(file: &Path, stream: &str) -> Vec<Packet> {
    let found = probe(
        file,
        &format!("-select_streams {stream} -show_entries packet=pts_time,flags,size"),
    );
    let mut packets: Vec<Packet> = found["packets"]
        .as_array()
        .unwrap()
        .iter()
        // ffprobe marks what an edit list leaves out.
        .filter(|packet| !packet["flags"].as_str().unwrap().contains('D'))
        .map(|packet| Packet {
            pts: packet["pts_time"].as_str().unwrap().parse().unwrap(),
            key: packet["flags"].as_str().unwrap().starts_with('K'),
            size: packet["size"].as_str().unwrap().parse().unwrap(),
        })
        .collect();
    packets.sort_by(|a, b| a.pts.total_cmp(&b.pts));
    packets
}

/// Adler-32 (from 0, as ffmpeg's `framecrc` has it) of every decoded frame, in presentation order.
pub fn frame_sums(file: &Path) -> Vec<u32> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-i"]).arg(file);
    command.args([
        "-map",
        "0:v:0",
        "-fps_mode",
        "passthrough",
        "-pix_fmt",
        "yuv420p",
        "-f",
        "framecrc",
        "-",
    ]);
    String::from_utf8(output(&mut command))
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| u32::from_str_radix(line.rsplit("0x").next().unwrap().trim(), 16).unwrap())
        .collect()
}

/// As [`frame_sums`] computes it.
pub fn adler(planes: [&[u8]; 3]) -> u32 {
    let (mut a, mut b) = (0_u32, 0_u32);
    for plane in planes {
        for chunk in plane.chunks(4096) {
            for &byte in chunk {
                a += u32::from(byte);
                b += a;
            }
            a %= 65_521;
            b %= 65_521;
        }
    }
    b << 16 | a
}

/// The decoded sound of a file, mono, as samples a second of `rate`.
pub fn sound(file: &Path, rate: u32) -> Vec<f32> {
    sound_of(file, 0, rate)
}

/// The decoded sound of a file's track of sound number `track`, mono, as samples a second of `rate`.
pub fn sound_of(file: &Path, track: usize, rate: u32) -> Vec<f32> {
    let rate = rate.to_string();
    let out = output(
        Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-i"])
            .arg(file)
            .args(["-map", &format!("0:a:{track}")])
            .args(["-ac", "1", "-ar", &rate, "-f", "f32le", "-"]),
    );
    out.chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect()
}

/// One channel of the decoded sound of a file, as samples a second of `rate`.
pub fn channel(file: &Path, channel: usize, rate: u32) -> Vec<f32> {
    let rate = rate.to_string();
    let out = output(
        Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-i"])
            .arg(file)
            .args(["-vn", "-af", &format!("pan=mono|c0=c{channel}")])
            .args(["-ar", &rate, "-f", "f32le", "-"]),
    );
    out.chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect()
}

/// Mean luma of every picture, with its time; of a small copy with 10 bits, as the filter that measures sorts all samples.
pub fn brightness(file: &Path) -> Vec<(f64, f64)> {
    let out = output(
        Command::new("ffprobe")
            .args([
                "-v",
                "error",
                "-of",
                "csv=p=0",
                "-show_entries",
                "frame=pts_time:frame_tags=lavfi.signalstats.YAVG",
            ])
            .args(["-f", "lavfi", "-i"])
            .arg(format!(
                "movie={},scale=16:16:flags=area,format=yuv420p10,signalstats",
                file.display()
            )),
    );
    String::from_utf8(out)
        .unwrap()
        .lines()
        .filter_map(|line| {
            let (time, luma) = line.split_once(',')?;
            let luma: f64 = luma.trim_end_matches(',').parse().ok()?;
            Some((time.parse().ok()?, luma / 4.0))
        })
        .collect()
}

/// The colour of the first picture, or of the only one: red, green and blue, averaged over it.
pub fn average_colour(file: &Path) -> [u8; 3] {
    let out = output(
        Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-i"])
            .arg(file)
            .args([
                "-frames:v",
                "1",
                "-vf",
                "scale=out_range=full,format=rgb24,scale=1:1:flags=area",
            ])
            .args(["-f", "rawvideo", "-"]),
    );
    out.try_into().unwrap()
}

/// SSIM of all planes of `file` against `reference`, which is scaled to its size.
pub fn ssim(file: &Path, reference: &Path) -> f64 {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-i"])
        .arg(file)
        .arg("-i")
        .arg(reference)
        .args([
            "-filter_complex",
            "[1:v][0:v]scale2ref=flags=bicubic[ref][main];[main]settb=AVTB,setpts=N/25/TB[m];[ref]settb=AVTB,setpts=N/25/TB[r];[m][r]ssim",
            "-f",
            "null",
            "-",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.rsplit("All:")
        .next()
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{text}"))
}
