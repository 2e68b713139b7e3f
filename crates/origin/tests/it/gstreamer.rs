//! What is packaged, as GStreamer reads it, which shares no code with ffmpeg.

use crate::common::*;
use crate::formats::{film, segments, write};
use std::path::Path;
use std::process::Command;

/// Presentation times (nanoseconds, from the first on, in decode order) and sizes of a track's samples. `chain`: from the demuxer's pad on.
pub(crate) fn samples(file: &Path, demuxer: &str, chain: &str) -> Vec<(i64, usize)> {
    let output = Command::new("gst-launch-1.0")
        .args(["-v", "filesrc"])
        .arg(format!("location={}", file.display()))
        .args(["!", demuxer, "name=d", "d.", "!"])
        .args(chain.split(' '))
        .args(["!", "identity", "silent=false", "!", "fakesink"])
        .output()
        .expect("GStreamer is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && !text.contains("WARNING") && !text.contains("ERROR"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let nanos = |clock: &str| {
        let parts = clock.split(':').map(|part| part.parse::<f64>().unwrap());
        (parts.fold(0.0, |sum, part| sum * 60.0 + part) * 1e9).round() as i64
    };
    let found: Vec<(i64, usize)> = text
        .lines()
        .filter_map(|line| line.split_once("last-message = chain")?.1.split_once('('))
        .filter_map(|(_, line)| line.split_once('('))
        .map(|(_, line)| {
            let (size, rest) = line.split_once(" bytes").unwrap();
            let (_, rest) = rest.split_once("pts: ").unwrap();
            let (pts, _) = rest.split_once(',').unwrap();
            (nanos(pts), size.parse().unwrap())
        })
        .collect();
    let first = found.iter().map(|(time, _)| *time).min().unwrap_or(0);
    let from_first = found.into_iter().map(|(time, size)| (time - first, size));
    from_first.collect()
}

/// MD5s of the pictures that the decoder at the end of `chain` gives, in the order in which they are shown.
pub(crate) fn pictures(file: &Path, demuxer: &str, chain: &str) -> Vec<String> {
    let output = Command::new("gst-launch-1.0")
        .arg("filesrc")
        .arg(format!("location={}", file.display()))
        .args(["!", demuxer, "name=d", "d.", "!"])
        .args(chain.split(' '))
        .args(["!", "checksumsink", "hash=md5", "sync=false"])
        .output()
        .expect("GStreamer is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let fault = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}{fault}");
    // Time and hash.
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let hashes = lines.filter(|(time, hash)| time.contains(':') && hash.len() == 32);
    hashes.map(|(_, hash)| hash.to_owned()).collect()
}

/// The same of the source, by ffprobe.
fn source(file: &Path, stream: &str) -> Vec<(i64, usize)> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", stream, "-of", "csv=p=0"])
        .args(["-show_entries", "packet=pts_time,size"])
        .arg(file)
        .output()
        .expect("ffprobe is installed");
    let text = String::from_utf8(output.stdout).unwrap();
    let found: Vec<(i64, usize)> = text
        .lines()
        // Side data are lines of their own.
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
        .map(|line| {
            let mut fields = line.split(',');
            let time: f64 = fields.next().unwrap().parse().unwrap();
            let size = fields.next().unwrap().parse().unwrap();
            ((time * 1e9).round() as i64, size)
        })
        .collect();
    let first = found.iter().map(|(time, _)| *time).min().unwrap_or(0);
    let from_first = found.into_iter().map(|(time, size)| (time - first, size));
    from_first.collect()
}

/// Within what the container's clock can say.
fn same_times(found: &[(i64, usize)], wanted: &[(i64, usize)], tick: i64) {
    assert_eq!(found.len(), wanted.len());
    let pairs = found.iter().zip(wanted);
    for (at, ((found, _), (wanted, _))) in pairs.enumerate() {
        assert!(
            (found - wanted).abs() <= tick,
            "sample {at}: {found}, not {wanted}"
        );
    }
}

/// The media playlist of a track, below the multivariant one.
fn playlist_of(bench: &Bench, format: &str, name: &str) -> String {
    let master = bench.get(&format!("film.ism/manifest(format={format})"));
    let mut uris = uris(master.text());
    uris.extend(attributes(master.text(), "URI"));
    let own = uris
        .into_iter()
        .find(|uri| uri.contains(name) && !uri.contains("keyframes"));
    format!(
        "film.ism/{}",
        own.unwrap_or_else(|| panic!("{}", master.text()))
    )
}

#[test]
fn fragments_have_the_samples_of_the_source() {
    let (storage, folder) = film();
    let bench = Bench::new(storage);
    let file = folder.path().join("film.mp4");
    for (name, stream, caps) in [
        ("Manifest(video", "v:0", "video/x-h264"),
        ("Manifest(english", "a:0", "audio/mpeg"),
    ] {
        let path = playlist_of(&bench, "m3u8-cmaf", name);
        let text = bench.get(&path).text().to_owned();
        let init = attributes(&text, "URI").remove(0);
        let (media, _) = segments(&bench, &path);
        let init = bench.get(&resolve(&path, &init)).body.to_vec();
        let whole = write(&[vec![init], media].concat().concat(), ".mp4");
        let found = samples(whole.path(), "qtdemux", caps);
        let wanted = source(&file, stream);
        same_times(&found, &wanted, 100_000);
        let sizes = |samples: &[(i64, usize)]| -> Vec<usize> {
            samples.iter().map(|(_, size)| *size).collect()
        };
        assert_eq!(sizes(&found), sizes(&wanted), "{name}");
    }
}

#[test]
fn transport_streams_have_them_at_their_times() {
    let (storage, folder) = film();
    let bench = Bench::new(storage);
    let file = folder.path().join("film.mp4");
    for (name, stream, chain) in [
        (
            "Manifest(video",
            "v:0",
            "video/x-h264 ! h264parse ! video/x-h264,alignment=au",
        ),
        ("Manifest(english", "a:0", "audio/mpeg ! aacparse"),
    ] {
        let path = playlist_of(&bench, "m3u8-aapl", name);
        let (media, _) = segments(&bench, &path);
        let whole = write(&media.concat(), ".ts");
        let found = samples(whole.path(), "tsdemux", chain);
        let wanted = source(&file, stream);
        // Its clock has 90 kHz; a frame of sound within a packet is counted on from the packet's time.
        same_times(&found, &wanted, 50_000);
        assert!(found.len() > 300);
    }
}
