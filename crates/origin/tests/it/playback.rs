//! Real files, streamed the way a player does it: multivariant playlist, media playlists, init and media segments,
//! put together again and decoded by ffmpeg.

use crate::common::*;
use std::process::Command;

/// (decoded video frames, decoded audio seconds × 1000, rounded) of a file, by ffprobe.
fn decode(file: &std::path::Path, stream: &str) -> (usize, String) {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-map", &format!("0:{stream}:0"), "-f", "framemd5", "-"])
        .output()
        .expect("ffmpeg is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.stderr.is_empty(),
        "{}: {}",
        file.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let frames: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
    let hashes: Vec<&str> = frames
        .iter()
        .filter_map(|l| l.rsplit(',').next())
        .map(str::trim)
        .collect();
    (frames.len(), hashes.join("\n"))
}

fn write(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

/// Init segment and all media segments of a media playlist, and what EXTINF adds up to.
fn download(bench: &Bench, playlist_path: &str) -> (Vec<u8>, f64) {
    let playlist = bench.get(playlist_path);
    assert_eq!(playlist.status, 200, "{}", playlist.text());
    assert_eq!(
        playlist.header("content-type"),
        "application/vnd.apple.mpegurl"
    );
    let text = playlist.text();
    let seconds: f64 = text
        .lines()
        .filter_map(|l| l.strip_prefix("#EXTINF:"))
        .map(|l| l.trim_end_matches(',').parse::<f64>().unwrap())
        .sum();
    let init = &attributes(text, "URI")[0];
    let mut bytes = Vec::new();
    for uri in std::iter::once(init.clone()).chain(uris(text)) {
        let part = bench.get(&resolve(playlist_path, &uri));
        assert_eq!(part.status, 200, "{uri}: {:?}", part.text());
        assert!(part.header("content-type").ends_with("/mp4"));
        assert!(part.header("cache-control").contains("immutable"));
        bytes.extend_from_slice(&part.body);
    }
    (bytes, seconds)
}

/// Streams `file` without a server manifest and compares every decoded picture with the source's.
fn plays_whole(file: &str, variants: usize, audios: usize) {
    let storage = Memory::default();
    storage.write(file, media(file));
    let bench = Bench::new(storage);
    let stem = file.strip_suffix(".mp4").unwrap();
    let master_path = format!("{stem}.ism/manifest(format=m3u8-cmaf)");
    let master = bench.get(&master_path);
    assert_eq!(master.status, 200, "{}", master.text());
    let text = master.text().to_owned();
    let source = std::path::PathBuf::from(format!("{MEDIA}/{file}"));
    let variant_uris = uris(&text);
    assert_eq!(variant_uris.len(), variants, "{text}");
    let audio_uris = attributes(&text, "URI");
    assert_eq!(audio_uris.len(), audios, "{text}");
    let mut spans = Vec::new();
    if text.contains("RESOLUTION") {
        let (bytes, seconds) = download(&bench, &resolve(&master_path, &variant_uris[0]));
        let (frames, hashes) = decode(write(&bytes).path(), "v");
        let (expected, expected_hashes) = decode(&source, "v");
        assert_eq!(frames, expected, "frames of {file}");
        assert_eq!(hashes, expected_hashes, "pictures of {file}");
        spans.push(seconds);
    }
    for uri in &audio_uris {
        let (bytes, seconds) = download(&bench, &resolve(&master_path, uri));
        let (frames, _) = decode(write(&bytes).path(), "a");
        assert!(frames > 10, "{uri}");
        spans.push(seconds);
    }
    let (shortest, longest) = spans
        .iter()
        .fold((f64::MAX, 0.0_f64), |(a, b), s| (a.min(*s), b.max(*s)));
    assert!(longest - shortest < 0.5, "{file}: {spans:?}");
}

#[test]
fn big_buck_bunny_plays_whole() {
    plays_whole("bigbuckbunny.mp4", 1, 1);
}

#[test]
fn car_detection_plays_whole() {
    plays_whole("car-detection.mp4", 1, 1);
}

#[test]
fn azure_bumper_plays_whole() {
    plays_whole("azure-bumper.mp4", 1, 1);
}

#[test]
fn eight_audio_tracks_and_no_video_play() {
    plays_whole("surround-audio.mp4", 1, 8);
}

#[test]
fn dash_lists_the_same_segments_as_hls() {
    let storage = Memory::default();
    storage.write("film.mp4", media("bigbuckbunny.mp4"));
    let bench = Bench::new(storage);
    let mpd = bench.get("film.ism/manifest(format=mpd-time-cmaf).mpd");
    assert_eq!(mpd.status, 200, "{}", mpd.text());
    assert_eq!(mpd.header("content-type"), "application/dash+xml");
    let document = roxmltree::Document::parse(mpd.text()).unwrap();
    let master = bench.get("film.ism/manifest(format=m3u8-cmaf)");
    let mut sets = 0;
    for set in document
        .descendants()
        .filter(|n| n.has_tag_name(("urn:mpeg:dash:schema:mpd:2011", "AdaptationSet")))
    {
        sets += 1;
        let find = |name: &str| {
            set.descendants()
                .find(|n| n.tag_name().name() == name)
                .unwrap()
        };
        let bandwidth = find("Representation").attribute("bandwidth").unwrap();
        let template = find("SegmentTemplate");
        let media = template.attribute("media").unwrap();
        let mut time = 0;
        let mut times = Vec::new();
        for s in find("SegmentTimeline")
            .children()
            .filter(|n| n.is_element())
        {
            let number = |name: &str| s.attribute(name).map(|v| v.parse::<u64>().unwrap());
            time = number("t").unwrap_or(time);
            for _ in 0..=number("r").unwrap_or(0) {
                times.push(time);
                time += number("d").unwrap();
            }
        }
        for time in &times {
            let url = media
                .replace("$Bandwidth$", bandwidth)
                .replace("$Time$", &time.to_string());
            let from_dash = bench.get(&format!("film.ism/{url}"));
            assert_eq!(from_dash.status, 200, "{url}");
            let hls_url = url.replace("mpd-time-cmaf", "m3u8-cmaf");
            let from_hls = bench.get(&format!("film.ism/{hls_url}"));
            assert_eq!(from_dash.body, from_hls.body);
            assert_eq!(from_dash.header("etag"), from_hls.header("etag"));
        }
        let uri = attributes(master.text(), "URI")
            .into_iter()
            .chain(uris(master.text()))
            .find(|u| u.contains(&format!("({bandwidth})")));
        let playlist = bench.get(&format!("film.ism/{}", uri.unwrap()));
        assert_eq!(uris(playlist.text()).len(), times.len());
    }
    assert_eq!(sets, 2);
}

#[test]
fn server_manifest_with_several_files_names_the_tracks() {
    let storage = Memory::default();
    storage.write("low file.mp4", media("car-detection.mp4"));
    storage.write("high.mp4", media("bigbuckbunny.mp4"));
    storage.write("broken.mp4", "not a movie at all, only text");
    storage.write(
        "film.ism",
        r#"<?xml version="1.0" encoding="utf-8"?>
        <smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head><meta name="formats" content="mp4"/></head><body><switch>
        <video src="low file.mp4"/>
        <video src="high.mp4" systemBitrate="2000000"/>
        <video src="broken.mp4"/>
        <video src="missing.mp4"/>
        <audio src="low file.mp4" systemLanguage="spa" title="Español"/>
        <audio src="high.mp4" systemLanguage="eng"><param name="trackName" value="sound, english"/></audio>
        <textstream src="x.vtt"/>
        </switch></body></smil>"#,
    );
    let bench = Bench::new(storage);
    let master = bench.get("film.ism/manifest(format=m3u8-cmaf)");
    assert_eq!(master.status, 200, "{}", master.text());
    let text = master.text();
    assert!(
        text.contains("LANGUAGE=\"es\"") && text.contains("NAME=\"Español\""),
        "{text}"
    );
    assert!(
        text.contains("LANGUAGE=\"en\"") && text.contains("NAME=\"English\""),
        "{text}"
    );
    assert!(
        text.contains("Manifest(sound_%20english,format=m3u8-cmaf)"),
        "{text}"
    );
    assert!(
        text.contains("QualityLevels(2000000)/Manifest(video,format=m3u8-cmaf)"),
        "{text}"
    );
    for uri in uris(text).into_iter().chain(attributes(text, "URI")) {
        assert_eq!(bench.get(&format!("film.ism/{uri}")).status, 200, "{uri}");
    }
    let mpd = bench.get("film.ism/manifest(format=mpd-time-cmaf)");
    assert_eq!(mpd.status, 200, "{}", mpd.text());
    // The two videos have nothing in common but their name, so their timelines are their own.
    assert!(
        mpd.text().contains("segmentAlignment=\"false\""),
        "{}",
        mpd.text()
    );
    roxmltree::Document::parse(mpd.text()).unwrap();
}
