//! Archives of live events as Azure Media Services left them: a folder for each track, an object for each fragment. Made by
//! ffmpeg (fragments of `ismv`, and CMAF chunks) and taken apart as that layout has it; held against the source in every
//! format.

use crate::common::*;
use http::Method;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

/// Boxes of the top level: type and place.
fn boxes(bytes: &[u8]) -> Vec<([u8; 4], Range<usize>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + 8 <= bytes.len() {
        let len = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        found.push((bytes[at + 4..at + 8].try_into().unwrap(), at..at + len));
        at += len;
    }
    found
}

const TFXD: [u8; 16] = [
    0x6d, 0x1d, 0x9b, 0x05, 0x42, 0xd5, 0x44, 0xe6, 0x80, 0xe2, 0x14, 0x1d, 0xaf, 0xf7, 0x57, 0xb2,
];

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The time that a `moof` states, in `tfxd` or `tfdt`.
fn time(moof: &[u8]) -> u64 {
    if let Some(at) = moof.windows(16).position(|w| w == TFXD) {
        return u64_at(moof, at + 20);
    }
    let at = moof.windows(4).position(|w| w == b"tfdt").unwrap() + 4;
    match moof[at] {
        1 => u64_at(moof, at + 4),
        _ => u32::from_be_bytes(moof[at + 4..at + 8].try_into().unwrap()).into(),
    }
}

/// Takes a fragmented file apart: header, and fragments with their times. `chunks`: `moof`s to a fragment.
fn taken_apart(file: &[u8], chunks: usize) -> (Vec<u8>, Vec<(u64, Vec<u8>)>) {
    let all = boxes(file);
    let first = all.iter().position(|(name, _)| name == b"moof").unwrap();
    let header = file[..all[first].1.start].to_vec();
    let mut fragments: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut count = 0;
    for (name, range) in &all[first..] {
        match name {
            b"moof" => {
                let moof = &file[range.clone()];
                if count % chunks == 0 {
                    fragments.push((time(moof), Vec::new()));
                    if chunks > 1 {
                        // As low-latency channels wrote them.
                        let styp = b"\0\0\0\x18stypmsdh\0\0\0\0msdhmsix";
                        fragments.last_mut().unwrap().1.extend_from_slice(styp);
                    }
                }
                count += 1;
                fragments.last_mut().unwrap().1.extend_from_slice(moof);
            }
            b"mdat" => {
                let bytes = &file[range.clone()];
                fragments.last_mut().unwrap().1.extend_from_slice(bytes);
            }
            _ => {}
        }
    }
    (header, fragments)
}

const OFFSET: &str = "100000";

fn source(folder: &Path) {
    let video = "testsrc2=size=320x180:rate=25:duration=13";
    let audio = "sine=frequency=440:sample_rate=48000:duration=13";
    let args = "-c:v libx264 -preset veryfast -g 50 -sc_threshold 0 -bf 2 -x264-params open-gop=0 -pix_fmt yuv420p \
        -c:a aac -b:a 96k film.mp4";
    let inputs = ["-f", "lavfi", "-i", video, "-f", "lavfi", "-i", audio];
    let args: Vec<&str> = inputs.into_iter().chain(args.split_whitespace()).collect();
    ffmpeg(folder, &args);
    ffmpeg(
        folder,
        &"-i film.mp4 -map 0:v -c copy video.mp4"
            .split(' ')
            .collect::<Vec<_>>(),
    );
    ffmpeg(
        folder,
        &"-i film.mp4 -map 0:a -c copy audio.mp4"
            .split(' ')
            .collect::<Vec<_>>(),
    );
}

pub(crate) struct Archive {
    pub(crate) storage: Memory,
    pub(crate) folder: tempfile::TempDir,
    /// Times of the fragments: pictures and sound.
    pub(crate) video: Vec<u64>,
    pub(crate) audio: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Flavour {
    /// `moof` and `mdat` with `tfxd`.
    Regular,
    /// CMAF chunks.
    LowLatency,
}

pub(crate) fn archive(flavour: Flavour) -> Archive {
    let folder = tempfile::tempdir().unwrap();
    source(folder.path());
    let storage = Memory::default();
    let (formats, tracks) = match flavour {
        Flavour::Regular => (
            "vod-fmp4",
            [
                ("video", "-movflags frag_keyframe -f ismv", 1),
                ("audio", "-frag_duration 2000000 -f ismv", 1),
            ],
        ),
        Flavour::LowLatency => (
            "vod-cmaf",
            [
                (
                    "video",
                    "-movflags cmaf+empty_moov+default_base_moof -frag_duration 400000 -min_frag_duration 400000 -f mp4",
                    5,
                ),
                (
                    "audio",
                    "-movflags cmaf+empty_moov+default_base_moof -frag_duration 500000 -f mp4",
                    4,
                ),
            ],
        ),
    };
    let mut times = Vec::new();
    for (track, args, chunks) in tracks {
        let args = format!("-i {track}.mp4 -c copy -output_ts_offset {OFFSET} {args} {track}.out");
        ffmpeg(folder.path(), &args.split_whitespace().collect::<Vec<_>>());
        let file = std::fs::read(folder.path().join(format!("{track}.out"))).unwrap();
        let (header, fragments) = taken_apart(&file, chunks);
        storage.write(&format!("live-{track}/header"), header);
        times.push(fragments.iter().map(|(time, _)| *time).collect());
        for (time, bytes) in fragments {
            storage.write(&format!("live-{track}/{time}"), bytes);
        }
    }
    storage.write(
        "live.ism",
        format!(
            r#"<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head><meta name="formats" content="{formats}"/>
            <meta name="clientManifestRelativePath" content="live.ismc"/></head><body><switch>
            <video src="live-video" systemBitrate="300000"><param name="trackName" value="video"/><param name="trackID" value="7"/></video>
            <audio src="live-audio" systemBitrate="96000" systemLanguage="eng"><param name="trackName" value="audio"/></audio>
            </switch></body></smil>"#
        ),
    );
    let audio = times.pop().unwrap();
    let video = times.pop().unwrap();
    Archive {
        storage,
        folder,
        video,
        audio,
    }
}

/// Hashes of what a file's first stream of that kind decodes to; nothing may go wrong on the way.
fn decoded(file: &Path, kind: &str) -> Vec<String> {
    let map = format!("0:{kind}:0");
    let how: &[&str] = match kind {
        "v" => &["-fps_mode", "passthrough"],
        // Frames as they are: what a decoder makes of the first depends on where it begins.
        _ => &["-c", "copy", "-bsf:a", "aac_adtstoasc"],
    };
    let output = Command::new("ffmpeg")
        .args(["-v", "warning", "-i"])
        .arg(file)
        .args(["-map", &map])
        .args(how)
        .args(["-f", "framemd5", "-"])
        .output()
        .expect("ffmpeg is installed");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    let hash = |l: &str| l.split(',').nth(5).unwrap().trim().to_owned();
    lines.map(hash).collect()
}

/// Presentation times of a file's pictures, ascending.
fn packet_times(file: &Path) -> Vec<i64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0"])
        .args(["-show_entries", "packet=pts", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .expect("ffprobe is installed");
    let text = String::from_utf8(output.stdout).unwrap();
    let times = text
        .lines()
        .filter_map(|l| l.trim_end_matches(',').parse().ok());
    let mut times: Vec<i64> = times.collect();
    assert!(!times.is_empty());
    times.sort_unstable();
    times
}

fn write(folder: &Path, name: &str, parts: &[Vec<u8>]) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, parts.concat()).unwrap();
    path
}

fn ok(bench: &Bench, path: &str) -> Got {
    let got = bench.get(path);
    assert_eq!(
        got.status,
        200,
        "{path}: {}",
        String::from_utf8_lossy(&got.body)
    );
    got
}

fn bodies(bench: &Bench, path: &str) -> Vec<Vec<u8>> {
    let playlist = ok(bench, path);
    let init = attributes(playlist.text(), "URI");
    let uris = init.into_iter().chain(uris(playlist.text()));
    let bodies = uris.map(|uri| ok(bench, &resolve(path, &uri)).body.to_vec());
    bodies.collect()
}

/// Times that a playlist's URLs state.
fn listed(bench: &Bench, path: &str) -> Vec<u64> {
    let playlist = ok(bench, path);
    let uris = uris(playlist.text());
    let time = |uri: &String| uri.split(['=', ',']).nth(1).unwrap().parse().unwrap();
    uris.iter().map(time).collect()
}

const VIDEO: &str = "live.ism/QualityLevels(300000)/Manifest(video,format=m3u8-cmaf)";
const AUDIO: &str = "live.ism/QualityLevels(96000)/Manifest(audio,format=m3u8-cmaf)";

fn in_every_format(flavour: Flavour) {
    let made = archive(flavour);
    let folder = made.folder.path();
    let pictures = decoded(&folder.join("video.mp4"), "v");
    let frames = decoded(&folder.join("audio.mp4"), "a");
    assert_eq!(pictures.len(), 325);
    let bench = Bench::new(made.storage.clone());

    let master = ok(&bench, "live.ism/manifest(format=m3u8-cmaf)");
    assert!(
        master.text().contains("RESOLUTION=320x180"),
        "{}",
        master.text()
    );
    assert_eq!(listed(&bench, VIDEO), made.video);
    assert_eq!(listed(&bench, AUDIO), made.audio);
    let cmaf = write(folder, "cmaf.mp4", &bodies(&bench, VIDEO));
    assert_eq!(decoded(&cmaf, "v"), pictures);
    let cmaf = write(folder, "cmaf.m4a", &bodies(&bench, AUDIO));
    assert_eq!(decoded(&cmaf, "a"), frames);
    for fragment in bodies(&bench, VIDEO).iter().skip(1).zip(&made.video) {
        assert_eq!(time(fragment.0), *fragment.1, "tfdt is the time in the URL");
    }

    let ts = "live.ism/QualityLevels(300000)/Manifest(video,format=m3u8-aapl)";
    let file = write(folder, "v4.ts", &bodies(&bench, ts));
    assert_eq!(decoded(&file, "v"), pictures);
    // Three of two seconds each.
    let firsts: Vec<u64> = made.video.iter().copied().step_by(3).collect();
    assert_eq!(listed(&bench, ts), firsts);
    let muxed =
        "live.ism/QualityLevels(300000)/Manifest(video,format=m3u8-aapl-v3,audioTrack=audio)";
    let file = write(folder, "v3.ts", &bodies(&bench, muxed));
    assert_eq!(decoded(&file, "v"), pictures);
    assert_eq!(decoded(&file, "a"), frames);
    let keys = "live.ism/QualityLevels(300000)/Manifest(video,format=m3u8-aapl,type=keyframes)";
    assert_eq!(
        ok(&bench, keys).text().matches("#EXT-X-BYTERANGE").count(),
        7
    );

    for format in ["mpd-time-csf", "mpd-time-cmaf"] {
        let mpd = ok(&bench, &format!("live.ism/manifest(format={format})"));
        let earliest = made.video[0];
        assert!(
            mpd.text().contains(&format!("t=\"{earliest}\"")),
            "{}",
            mpd.text()
        );
        let fragments = made.video.iter().map(|time| {
            let path =
                format!("live.ism/QualityLevels(300000)/Fragments(video={time},format={format})");
            ok(&bench, &path).body.to_vec()
        });
        let init = format!("live.ism/QualityLevels(300000)/Fragments(video=i,format={format})");
        let init = ok(&bench, &init).body.to_vec();
        let parts: Vec<Vec<u8>> = std::iter::once(init).chain(fragments).collect();
        let file = write(folder, "dash.mp4", &parts);
        assert_eq!(decoded(&file, "v"), pictures);
    }

    let smooth = ok(&bench, "live.ism/Manifest");
    let document = roxmltree::Document::parse(smooth.text()).unwrap();
    for (stream, original) in [("video", &pictures), ("audio", &frames)] {
        let node = document
            .descendants()
            .find(|n| n.attribute("Name") == Some(stream))
            .unwrap();
        let mut next = 0;
        let mut parts = vec![
            made.storage
                .get(&format!("live-{stream}/header"))
                .unwrap()
                .to_vec(),
        ];
        for c in node.children().filter(|n| n.has_tag_name("c")) {
            let number = |name: &str| c.attribute(name).map(|v| v.parse::<u64>().unwrap());
            next = number("t").unwrap_or(next);
            for _ in 0..number("r").unwrap_or(1) {
                let level = if stream == "video" { 300_000 } else { 96_000 };
                let path = format!("live.ism/QualityLevels({level})/Fragments({stream}={next})");
                parts.push(ok(&bench, &path).body.to_vec());
                next += number("d").unwrap();
            }
        }
        if flavour == Flavour::Regular && stream == "video" {
            assert_eq!(parts.len(), made.video.len() + 1);
        }
        let file = write(folder, &format!("{stream}.ismv"), &parts);
        assert_eq!(&decoded(&file, &stream[..1]), original);
    }
}

#[test]
fn archives_of_regular_channels_play_in_every_format() {
    in_every_format(Flavour::Regular);
}

#[test]
fn archives_of_low_latency_channels_play_in_every_format() {
    in_every_format(Flavour::LowLatency);
}

#[test]
fn archived_sound_and_pictures_stay_together() {
    let made = archive(Flavour::Regular);
    let bench = Bench::new(made.storage.clone());
    let muxed =
        "live.ism/QualityLevels(300000)/Manifest(video,format=m3u8-aapl-v3,audioTrack=audio)";
    let file = write(made.folder.path(), "av.ts", &bodies(&bench, muxed));
    let first = |stream: &str| -> f64 {
        let output = Command::new("ffprobe")
            .args([
                "-v",
                "error",
                "-select_streams",
                stream,
                "-show_entries",
                "stream=start_time",
                "-of",
                "csv=p=0",
            ])
            .arg(&file)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .next()
            .unwrap()
            .trim_end_matches(',')
            .parse()
            .unwrap()
    };
    // The source's sound begins 1024 samples before its pictures, with priming.
    let ahead = first("v:0") - first("a:0");
    assert!((ahead - 0.021_333).abs() < 0.002, "{ahead}");
}

#[test]
fn what_an_archive_has_lost_is_a_gap() {
    let made = archive(Flavour::Regular);
    made.storage
        .remove(&format!("live-video/{}", made.video[2]));
    made.storage.write(
        &format!("live-video/{}", made.video[4]),
        &b"not a fragment"[..],
    );
    made.storage
        .write("live-video/notes.txt", &b"no fragment either"[..]);
    let bench = Bench::new(made.storage.clone());
    let playlist = ok(&bench, VIDEO);
    let text = playlist.text();
    assert_eq!(text.matches("#EXT-X-GAP\n").count(), 2);
    assert!(
        text.contains(&format!(
            "#EXT-X-GAP\n#EXTINF:2.000000,\nFragments(video={},format=m3u8-cmaf).m4s\n#EXTINF",
            made.video[2]
        )),
        "{text}"
    );
    assert_eq!(text.matches("#EXTINF").count(), made.video.len());
    assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:8\n"), "{text}");
    let keys = VIDEO.replace("m3u8-cmaf", "m3u8-cmaf,type=keyframes");
    let keys = ok(&bench, &keys).text().to_owned();
    assert_eq!(
        keys.matches("#EXT-X-GAP\n#EXTINF:2.000000,\n").count(),
        2,
        "{keys}"
    );
    let mpd = ok(&bench, "live.ism/manifest(format=mpd-time-cmaf)");
    let video = mpd
        .text()
        .split("</SegmentTimeline>")
        .next()
        .unwrap()
        .to_owned();
    // What is missing counts to the fragment in front.
    assert_eq!(video.matches(" t=\"").count(), 1, "{video}");
    assert_eq!(video.matches("d=\"40000000\"").count(), 1, "{video}");
    let smooth = ok(&bench, "live.ism/Manifest");
    let video = smooth
        .text()
        .split("</StreamIndex>")
        .next()
        .unwrap()
        .to_owned();
    assert_eq!(video.matches(" t=\"").count(), 3, "{video}");
    let lost = format!(
        "live.ism/QualityLevels(300000)/Fragments(video={},format=m3u8-cmaf)",
        made.video[2]
    );
    assert_eq!(bench.get(&lost).status, 404);
    let next = format!(
        "live.ism/QualityLevels(300000)/Fragments(video={},format=m3u8-cmaf)",
        made.video[3]
    );
    assert_eq!(ok(&bench, &next).status, 200);
}

#[test]
fn a_track_that_has_nothing_in_the_time_is_left_out() {
    let made = archive(Flavour::Regular);
    for lost in [2, 3] {
        made.storage
            .remove(&format!("live-video/{}", made.video[lost]));
    }
    made.storage
        .write("en.vtt", "WEBVTT\n\n00:01.000 --> 00:03.000\nHi\n");
    let ism = String::from_utf8(made.storage.get("live.ism").unwrap().to_vec()).unwrap();
    let text = r#"<textstream src="en.vtt" systemBitrate="52"><param name="trackName" value="en"/></textstream></switch>"#;
    made.storage
        .write("live.ism", ism.replacen("</switch>", text, 1));
    let bench = Bench::new(made.storage.clone());
    for (format, both, sound) in [
        (
            "format=mpd-time-cmaf",
            "contentType=\"video\"",
            "contentType=\"audio\"",
        ),
        (
            "format=mpd-time-csf",
            "contentType=\"video\"",
            "contentType=\"audio\"",
        ),
        ("format=fmp4-v20", "Type=\"video\"", "Type=\"audio\""),
    ] {
        // A second of what is lost.
        let inside = format!("live.ism/manifest({format},vbegin=PT5S,vend=PT6S)");
        let manifest = ok(&bench, &inside).text().to_owned();
        assert!(
            !manifest.contains(both) && manifest.contains(sound),
            "{manifest}"
        );
        let around = format!("live.ism/manifest({format},vbegin=PT3S,vend=PT6S)");
        let manifest = ok(&bench, &around).text().to_owned();
        assert!(
            manifest.contains(both) && manifest.contains(sound),
            "{manifest}"
        );
        let behind = format!("live.ism/manifest({format},vbegin=PT100S)");
        assert_eq!(bench.get(&behind).code(), "MPE_EGRESS_TIMESTAMP_NOT_FOUND");
    }
}

#[test]
fn no_transport_stream_spans_what_an_archive_has_lost() {
    let made = archive(Flavour::Regular);
    for lost in [1, 5] {
        made.storage
            .remove(&format!("live-video/{}", made.video[lost]));
    }
    let ism = String::from_utf8(made.storage.get("live.ism").unwrap().to_vec()).unwrap();
    let three = r#"<head><meta name="fragmentsPerHLSSegment" content="3"/>"#;
    made.storage
        .write("live.ism", ism.replacen("<head>", three, 1));
    let bench = Bench::new(made.storage.clone());
    let level = "live.ism/QualityLevels(300000)";
    for format in ["m3u8-aapl", "m3u8-aapl-v3", "m3u8-aapl-v8"] {
        let path = format!("{level}/Manifest(video,format={format})");
        let text = ok(&bench, &path).text().to_owned();
        assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:8\n"), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        let mut there = Vec::new();
        let mut listed = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let Some(length) = line.strip_prefix("#EXTINF:") else {
                continue;
            };
            let gap = lines[at - 1] == "#EXT-X-GAP";
            let uri = lines[at + 1];
            let time: u64 = uri.split(['=', ',']).nth(1).unwrap().parse().unwrap();
            listed.push((time, length.trim_end_matches(','), gap));
            if !gap {
                there.push(resolve(&path, uri));
            }
        }
        // One fragment; what is lost; two up to the end of the three that go together, and so on.
        let video = |at: usize| made.video[at];
        assert_eq!(
            listed,
            [
                (video(0), "2.000000", false),
                (video(1), "2.000000", true),
                (video(2), "4.000000", false),
                (video(4), "2.000000", false),
                (video(5), "2.000000", true),
                (video(6), "1.000000", false),
            ],
            "{text}"
        );
        for uri in &there {
            let file = write(
                made.folder.path(),
                "one.ts",
                &[ok(&bench, uri).body.to_vec()],
            );
            let times = packet_times(&file);
            let most = times.windows(2).map(|pair| pair[1] - pair[0]).max();
            assert!(most.is_none_or(|most| most == 3_600), "{uri}: {most:?}");
        }
        let inside = format!("{level}/Fragments(video={},format={format})", video(3));
        assert_eq!(
            bench.get(&inside).code(),
            "MPE_FRAGMENT_TIMESTAMP_NOT_FOUND"
        );
    }
    // Pictures of their own are where the segments have them.
    let keys = format!("{level}/Manifest(video,format=m3u8-aapl,type=keyframes)");
    let keys = ok(&bench, &keys).text().to_owned();
    assert_eq!(
        (
            keys.matches("#EXT-X-BYTERANGE").count(),
            keys.matches("#EXT-X-GAP").count()
        ),
        (5, 2),
        "{keys}"
    );
    for time in [0, 2, 4, 6].map(|at| made.video[at]) {
        assert!(keys.contains(&format!("Fragments(video={time},")), "{keys}");
    }
}

#[test]
fn index_of_an_archive_is_built_once() {
    let made = archive(Flavour::Regular);
    let bench = Bench::new(made.storage.clone());
    ok(&bench, VIDEO);
    made.storage.calls();
    // Another instance.
    let bench = Bench::new(made.storage.clone());
    ok(&bench, VIDEO);
    let (calls, _) = made.storage.calls();
    assert!(
        !calls
            .iter()
            .any(|call| call.starts_with("list") || call.contains("/1")),
        "{calls:?}"
    );
    // A segment costs what it costs of any file: head and index, then the media.
    let path = format!(
        "live.ism/QualityLevels(300000)/Fragments(video={},format=m3u8-cmaf)",
        made.video[3]
    );
    let bench = Bench::new(made.storage.clone());
    let whole = ok(&bench, &path);
    let (calls, _) = made.storage.calls();
    let media: Vec<&String> = calls
        .iter()
        .filter(|call| call.starts_with("media"))
        .collect();
    assert_eq!(media, [&format!("media live-video/{}", made.video[3])]);
    let head = bench.ask(Method::HEAD, &path, &[]);
    assert_eq!(head.header("content-length"), whole.body.len().to_string());
    assert_eq!(head.header("etag"), whole.header("etag"));
}

#[test]
fn long_archives_are_indexed_in_several_goes() {
    let made = archive(Flavour::Regular);
    // The same two seconds over and over: five hours of them.
    let fragment = made
        .storage
        .get(&format!("live-video/{}", made.video[1]))
        .unwrap();
    let storage = Memory::default();
    storage.write(
        "live-video/header",
        made.storage.get("live-video/header").unwrap(),
    );
    let manifest = made.storage.get("live.ism").unwrap();
    let manifest = String::from_utf8(manifest.to_vec()).unwrap();
    let audio = manifest.find("<audio").unwrap();
    storage.write(
        "live.ism",
        format!("{}</switch></body></smil>", &manifest[..audio]),
    );
    let count = 9000_u64;
    for n in 0..count {
        storage.write(
            &format!("live-video/{}", 1_000_000_000_000 + n * 20_000_000),
            fragment.clone(),
        );
    }
    // Storage goes away in the middle.
    storage.fail_reads_after(5000);
    let bench = Bench::new(storage.clone());
    assert_eq!(bench.get(VIDEO).status, 503);
    storage.fail_reads_after(u64::MAX);
    storage.calls();
    let bench = Bench::new(storage.clone());
    let playlist = ok(&bench, VIDEO);
    assert_eq!(playlist.text().matches("#EXTINF:2.000000,").count(), 9000);
    assert!(!playlist.text().contains("GAP"));
    let (calls, _) = storage.calls();
    let reads = calls
        .iter()
        .filter(|call| call.starts_with("read live-video/1"))
        .count();
    assert!((9000 - 5000..9000 - 3000).contains(&reads), "{reads}");
    let lists = calls.iter().filter(|call| call.starts_with("list")).count();
    assert_eq!(lists, 91);
    let notes = storage
        .get("live-video/.headwater/header.hwx.notes")
        .unwrap();
    assert!(notes.is_empty());
    // The last fragment is as cheap as the first.
    let last = 1_000_000_000_000 + (count - 1) * 20_000_000;
    let path = format!("live.ism/QualityLevels(300000)/Fragments(video={last},format=m3u8-cmaf)");
    let bench = Bench::new(storage.clone());
    ok(&bench, &path);
    let (calls, read) = storage.calls();
    assert!(calls.len() < 10 && read < 64 << 10, "{read} {calls:?}");
}

#[test]
fn a_track_without_a_header_is_left_out() {
    let made = archive(Flavour::Regular);
    made.storage.remove("live-audio/header");
    let bench = Bench::new(made.storage.clone());
    let master = ok(&bench, "live.ism/manifest(format=m3u8-cmaf)");
    assert!(!master.text().contains("TYPE=AUDIO"), "{}", master.text());
    assert_eq!(bench.get(AUDIO).status, 404);
}

/// A file of forty fragments, of more bytes than are read without looking for hints.
fn fragmented(args: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let video = "color=size=640x360:rate=25:duration=8,noise=alls=60:allf=t";
    let inputs = ["-f", "lavfi", "-i", video];
    let args =
        format!("-c:v libx264 -preset ultrafast -g 5 -pix_fmt yuv420p -crf 8 {args} film.mp4");
    let args: Vec<&str> = inputs.into_iter().chain(args.split_whitespace()).collect();
    ffmpeg(folder.path(), &args);
    std::fs::read(folder.path().join("film.mp4")).unwrap()
}

/// The index, how often the file was read for it, and how often at a time.
fn index_of(file: &[u8]) -> (Vec<u8>, usize, usize) {
    let storage = Memory::default();
    storage.write("film.mp4", file.to_vec());
    let bench = Bench::new(storage.clone());
    // No such bit rate, but the index is there; a manifest would look for captions, too.
    let none = "film.ism/QualityLevels(1)/Fragments(video=1,format=m3u8-cmaf)";
    assert_eq!(bench.get(none).status, 404);
    let (calls, _) = storage.calls();
    let reads = calls
        .iter()
        .filter(|call| call.starts_with("read film"))
        .count();
    let index = storage.get(".headwater/film.mp4.hwx").unwrap().to_vec();
    (index, reads, storage.most_at_once())
}

#[test]
fn hints_of_where_fragments_are_change_nothing_but_the_waiting() {
    for (args, hint) in [
        (
            "-movflags frag_keyframe+empty_moov+default_base_moof",
            b"mfra",
        ),
        (
            "-movflags frag_keyframe+empty_moov+default_base_moof+global_sidx",
            b"sidx",
        ),
    ] {
        let mut file = fragmented(args);
        // ffmpeg writes the one beside the other.
        for (_, at) in boxes(&file)
            .into_iter()
            .filter(|(name, _)| name == b"mfra" && hint != b"mfra")
        {
            file[at.start + 4..at.start + 8].copy_from_slice(b"free");
        }
        let file = file;
        assert!(file.len() > 8 << 20, "{}", file.len());
        let (hinted, reads, at_once) = index_of(&file);
        // The same file without the hint, and with one that lies.
        let all = boxes(&file);
        let at = all.into_iter().find(|(name, _)| name == hint).unwrap().1;
        let mut without = file.clone();
        without[at.start + 4..at.start + 8].copy_from_slice(b"free");
        let mut lying = file.clone();
        for byte in &mut lying[at.start + 40..at.end - 16] {
            *byte = byte.wrapping_add(3);
        }
        let (plain, plain_reads, plain_at_once) = index_of(&without);
        assert_eq!(plain, hinted, "the index is that of the media");
        assert_eq!(index_of(&lying).0, hinted);
        assert!(reads <= plain_reads + 3, "{reads} {plain_reads}");
        assert!(
            at_once >= 16 && plain_at_once < 4,
            "{at_once} {plain_at_once}"
        );
    }
}

#[test]
fn an_empty_header_takes_its_track_away_and_no_other() {
    let made = archive(Flavour::Regular);
    made.storage.write("live-audio/header", Vec::new());
    let bench = Bench::new(made.storage.clone());
    let master = ok(&bench, "live.ism/manifest(format=m3u8-cmaf)");
    assert!(!master.text().contains("TYPE=AUDIO"), "{}", master.text());
    assert_eq!(listed(&bench, VIDEO), made.video);
    made.storage.write("live-video/header", Vec::new());
    let bench = Bench::new(made.storage.clone());
    let none = bench.get("live.ism/manifest(format=m3u8-cmaf)");
    assert_eq!(
        (none.status, none.code().as_str()),
        (415, "MPE_FORMAT_NOT_SUPPORTED")
    );
}

/// A fragment of text as channels wrote them: `moof` of some track, with `tfxd`, and `mdat` with a TTML document.
fn caption(start: u64, duration: u32, document: &str) -> Vec<u8> {
    fn boxed(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len() + 8).unwrap();
        [&size.to_be_bytes()[..], name, payload].concat()
    }
    let times = [start.to_be_bytes(), u64::from(duration).to_be_bytes()].concat();
    let tfxd = [&TFXD[..], &[1, 0, 0, 0], &times].concat();
    let moof = |offset: u32| {
        let fields = [
            0x301,
            1,
            offset,
            duration,
            u32::try_from(document.len()).unwrap(),
        ];
        let traf = [
            boxed(b"tfhd", &[0, 0, 0, 0, 0, 0, 0, 5]),
            boxed(b"trun", &fields.map(u32::to_be_bytes).concat()),
            boxed(b"uuid", &tfxd),
        ];
        let mfhd = boxed(b"mfhd", &[0; 8]);
        boxed(b"moof", &[mfhd, boxed(b"traf", &traf.concat())].concat())
    };
    let offset = u32::try_from(moof(0).len() + 8).unwrap();
    [moof(offset), boxed(b"mdat", document.as_bytes())].concat()
}

/// `archive` with captions beside it, which count from the sample as the times of its fragments do: one in the first two
/// seconds, and one in the second that begins at 8 s.
fn captioned() -> Archive {
    let made = archive(Flavour::Regular);
    let begin = made.video[0];
    for (at, text) in [(0, "first"), (2, ""), (4, ""), (8, "later")] {
        let shown = format!("<p begin='00:00:00.200' end='00:00:01'>{text}</p>");
        let shown = if text.is_empty() { "" } else { &shown };
        let document = format!(
            "<tt xmlns='http://www.w3.org/ns/ttml' xml:lang='en'><body><div>{shown}</div></body></tt>"
        );
        let start = begin + at * 10_000_000;
        let blob = caption(start, 20_000_000, &document);
        made.storage.write(&format!("live-subs/{start}"), blob);
    }
    let manifest = made.storage.get("live.ism").unwrap();
    let manifest = String::from_utf8(manifest.to_vec()).unwrap().replace(
        "</switch>",
        r#"<textstream src="live-subs" systemBitrate="1000" systemLanguage="eng"><param name="trackName" value="subs"/>
            <param name="Subtype" value="SUBT"/></textstream>
            <textstream src="live-data"><param name="trackName" value="data"/><param name="Subtype" value="DATA"/></textstream>
            </switch>"#,
    );
    made.storage.write("live.ism", manifest);
    made
}

#[test]
fn captions_of_an_archive_are_a_text_track_in_every_protocol() {
    let made = captioned();
    let bench = Bench::new(made.storage.clone());
    for (format, listed) in [
        ("m3u8-cmaf", "TYPE=SUBTITLES"),
        ("m3u8-aapl", "TYPE=SUBTITLES"),
        ("mpd-time-cmaf", r#"contentType="text""#),
        ("mpd-time-csf", r#"contentType="text""#),
        ("fmp4-v20", r#"Name="subs""#),
    ] {
        let manifest = ok(&bench, &format!("live.ism/manifest(format={format})"));
        assert!(manifest.text().contains(listed), "{}", manifest.text());
    }
    let segments = |bench: &Bench| {
        let path = "live.ism/QualityLevels(1000)/Manifest(subs,format=m3u8-aapl)";
        let playlist = ok(bench, path);
        let uris = uris(playlist.text()).into_iter();
        let texts = uris.map(|uri| ok(bench, &resolve(path, &uri)).text().to_owned());
        texts.collect::<Vec<_>>()
    };
    // Six seconds each. Their times count from where the presentation starts, which is where its pictures do, give or take
    // the frame that primes the sound.
    let texts = segments(&bench);
    assert_eq!(texts.len(), 3);
    for (text, at) in [("first", 0_u32), ("later", 1)] {
        for (number, segment) in (0..).zip(&texts) {
            assert_eq!(segment.contains(text), number == at, "{segment}");
        }
    }
    let line = texts[1].lines().find(|line| line.contains("-->")).unwrap();
    assert!(line.starts_with("00:00:08.2"), "{line}");
    assert!(line.contains("--> 00:00:09.0"), "{line}");
    // In the time of the media where a format has no other.
    let start = made.video[0];
    let smooth = format!("live.ism/QualityLevels(1000)/Fragments(subs={start})");
    let fragment = ok(&bench, &smooth).body;
    assert!(fragment.windows(5).any(|w| w == b"first"));

    // The fragments were read once.
    let joined = made
        .storage
        .get("live-subs/.headwater/header.text")
        .unwrap();
    assert!(joined.starts_with(b"headwater text 1\n\nall\n"));
    made.storage.calls();
    assert_eq!(segments(&Bench::new(made.storage.clone())), texts);
    let (calls, _) = made.storage.calls();
    let read = calls.iter().filter(|c| c.contains("live-subs/1"));
    let read: Vec<_> = read.collect();
    assert!(read.is_empty(), "{read:?}");
}

#[test]
fn captions_that_were_joined_in_part_are_joined_to_the_end() {
    let made = captioned();
    let whole = Bench::new(made.storage.clone());
    let path = "live.ism/QualityLevels(1000)/Manifest(subs,format=m3u8-aapl)";
    ok(&whole, path);
    let name = "live-subs/.headwater/header.text";
    let joined = made.storage.get(name).unwrap();
    // As if whoever joined them had been stopped after two fragments, which nobody reads again.
    let init = headwater_text::archive::init(b"").unwrap();
    let mut partly = init.clone();
    for at in [0, 20_000_000] {
        let name = format!("live-subs/{}", made.video[0] + at);
        let fragment = made.storage.get(&name).unwrap();
        made.storage.write(&name, b"no longer".to_vec());
        let fragment = headwater_text::archive::fragment(&init, &fragment);
        partly.extend(fragment.unwrap().unwrap_or_default());
    }
    let head = format!("headwater text 1\n\n{}\n", made.video[0] + 20_000_000);
    made.storage
        .write(name, [head.as_bytes(), &partly].concat());
    let bench = Bench::new(made.storage.clone());
    ok(&bench, path);
    assert_eq!(made.storage.get(name).unwrap(), joined);
}
