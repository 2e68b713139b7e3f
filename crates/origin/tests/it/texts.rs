//! Text tracks and sheets of pictures, in every protocol: as manifests show them, and as ffmpeg reads them back.

use crate::common::*;
use headwater_origin::{
    AddedKind, AddedTrack, ContentKey, KeyOffer, KeySystem, Protection, SchemeProtection, Tracks,
    Way,
};
use headwater_protect::{Key, Kid};
use std::path::Path;
use std::process::Command;

/// Cues as people see them: milliseconds and text.
type Cues = Vec<(u64, u64, String)>;

const VTT: &str = "WEBVTT\n\nNOTE nobody sees this\n\n1\n00:00:00.500 --> 00:00:03.000\nOne & <i>only</i>\n\n2\n00:00:05.500 --> 00:00:07.250 line:0\nAcross a boundary\n\n3\n00:00:08.000 --> 00:00:09.000\nLate\nin two lines\n";

fn cues() -> Cues {
    let cue = |start, end, text: &str| (start, end, text.to_owned());
    vec![
        cue(500, 3000, "One & only"),
        cue(5500, 7250, "Across a boundary"),
        cue(8000, 9000, "Late\nin two lines"),
    ]
}

const TTML: &str = "<tt xmlns=\"http://www.w3.org/ns/ttml\" xml:lang=\"de\"><body><div><p begin=\"1s\" end=\"4s\">Hallo</p><p begin=\"00:00:05.000\" dur=\"2s\">Welt<br/>da</p></div></body></tt>";

fn added(name: &str, file: &str, properties: serde_json::Value) -> AddedTrack {
    let properties = properties.as_object().unwrap();
    AddedTrack::read(
        name.to_owned(),
        AddedKind::Text,
        file.to_owned(),
        properties,
    )
}

fn texts() -> Vec<AddedTrack> {
    vec![
        added(
            "english",
            "en.vtt",
            serde_json::json!({
                "displayName": "English", "languageCode": "en", "playerVisibility": "Visible",
                "hlsSettings": { "default": true, "characteristics": "public.accessibility.transcribes-spoken-dialog" },
            }),
        ),
        added(
            "german",
            "de.ttml",
            serde_json::json!({ "languageCode": "de" }),
        ),
        added(
            "secret",
            "en.vtt2.vtt",
            serde_json::json!({ "languageCode": "fr", "playerVisibility": "Hidden" }),
        ),
        added("broken", "broken.vtt", serde_json::json!({})),
        added("missing", "missing.vtt", serde_json::json!({})),
    ]
}

/// Pictures of 10 s in groups of 2 s.
fn storage() -> Memory {
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(
        folder.path(),
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=320x180:rate=25:duration=10",
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=440:sample_rate=48000:duration=10",
            "-c:v",
            "libx264",
            "-g",
            "50",
            "-keyint_min",
            "50",
            "-sc_threshold",
            "0",
            "-pix_fmt",
            "yuv420p",
            "-c:a",
            "aac",
            "-shortest",
            "film.mp4",
        ],
    );
    let storage = Memory::default();
    storage.write(
        "film.mp4",
        std::fs::read(folder.path().join("film.mp4")).unwrap(),
    );
    storage.write(
        "film.ism",
        r#"<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><body><switch>
        <video src="film.mp4" systemBitrate="200000"><param name="trackName" value="video"/><param name="trackID" value="1"/></video>
        <audio src="film.mp4" systemBitrate="96000" systemLanguage="eng"><param name="trackName" value="audio_eng"/><param name="trackID" value="2"/></audio>
        <textstream src="sv.cmft" systemBitrate="52" systemLanguage="sv-SE"><param name="trackName" value="subt_sv"/>
          <param name="transcriptsrc" value="sv.vtt"/><param name="textDisplayName" value="Svenska"/></textstream>
        </switch></body></smil>"#,
    );
    storage.write("en.vtt", VTT);
    storage.write("en.vtt2.vtt", VTT);
    storage.write("sv.vtt", VTT);
    storage.write("de.ttml", TTML);
    storage.write("broken.vtt", "1\n00:00:01,000 --> 00:00:02,000\nSRT\n");
    storage
}

fn bench() -> Bench {
    Bench::added(storage(), FILTERS, &texts())
}

const FILTERS: &[(&str, &str)] = &[
    (
        "german",
        r#"{"tracks": [{"trackSelections": [{"property": "Type", "operation": "Equal", "value": "text"},
                                            {"property": "Language", "operation": "Equal", "value": "ger"}]},
                       {"trackSelections": [{"property": "Type", "operation": "NotEqual", "value": "text"}]}]}"#,
    ),
    (
        "named",
        r#"{"tracks": [{"trackSelections": [{"property": "Name", "operation": "Equal", "value": "english"}]},
                       {"trackSelections": [{"property": "Type", "operation": "Equal", "value": "video"}]}]}"#,
    ),
    (
        "late",
        r#"{"presentationTimeRange": {"startTimestamp": 6500, "timescale": 1000}}"#,
    ),
    (
        "within",
        r#"{"presentationTimeRange": {"startTimestamp": 2500, "timescale": 1000}}"#,
    ),
];

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

/// The first element of a kind with an attribute of this value.
fn find<'a>(text: &'a str, start: &str, holds: &str, end: &str) -> &'a str {
    let at = text
        .match_indices(start)
        .map(|(at, _)| &text[at..])
        .find(|rest| rest[..rest.find(end).unwrap_or(rest.len())].contains(holds));
    let rest = at.unwrap_or_else(|| panic!("{start} with {holds} in {text}"));
    &rest[..rest.find(end).unwrap() + end.len()]
}

/// The cues of an SRT file, without markup.
fn srt(text: &str) -> Cues {
    let time = |text: &str| {
        let (clock, fraction) = text.trim().split_once(',').unwrap();
        let parts = clock.split(':').map(|p| p.parse::<u64>().unwrap());
        parts.fold(0, |sum, part| sum * 60 + part) * 1000 + fraction.parse::<u64>().unwrap()
    };
    let plain = |text: &str| {
        let mut out = text.to_owned();
        while let (Some(open), Some(close)) = (out.find(['<', '{']), out.find(['>', '}'])) {
            out.replace_range(open..=close, "");
        }
        out
    };
    let blocks = text.replace('\r', "");
    let blocks = blocks.split("\n\n").filter(|b| b.contains("-->"));
    let cue = |block: &str| {
        let mut lines = block
            .trim_start()
            .lines()
            .skip_while(|l| !l.contains("-->"));
        let (start, end) = lines.next().unwrap().split_once("-->").unwrap();
        let text: Vec<&str> = lines.collect();
        (time(start), time(end), plain(text.join("\n").trim()))
    };
    blocks.map(cue).collect()
}

/// Repeats of a cue in the next segment taken away, and parts of one joined.
fn joined(mut cues: Cues) -> Cues {
    cues.sort();
    let mut out: Cues = Vec::new();
    for (start, end, text) in cues {
        match out
            .iter_mut()
            .find(|(_, known, t)| *t == text && *known >= start)
        {
            Some(known) => known.1 = known.1.max(end),
            None => out.push((start, end, text)),
        }
    }
    out
}

/// What ffmpeg makes of a file's first text track.
fn decoded(file: &Path, input: &[&str]) -> Cues {
    let output = Command::new("ffmpeg")
        .args(["-v", "error"])
        .args(input)
        .arg("-i")
        .arg(file)
        .args(["-map", "0:s:0", "-f", "srt", "-"])
        .output()
        .expect("ffmpeg is installed");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {stderr}", file.display());
    srt(&String::from_utf8(output.stdout).unwrap())
}

const TS: &str = "film.ism/manifest(format=m3u8-aapl)";
const CMAF: &str = "film.ism/manifest(format=m3u8-cmaf)";
const DASH: &str = "film.ism/manifest(format=mpd-time-cmaf)";

#[test]
fn hls_lists_subtitles() {
    let bench = bench();
    let master = ok(&bench, TS);
    let lines: Vec<&str> = master
        .text()
        .lines()
        .filter(|l| l.contains("TYPE=SUBTITLES"))
        .collect();
    assert_eq!(
        lines,
        [
            r#"#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="Svenska",LANGUAGE="sv-SE",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="QualityLevels(52)/Manifest(subt_sv,format=m3u8-aapl)""#,
            r#"#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,FORCED=NO,CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog",URI="QualityLevels(169)/Manifest(english,format=m3u8-aapl)""#,
            r#"#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="German",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="QualityLevels(184)/Manifest(german,format=m3u8-aapl)""#,
        ]
    );
    let variant = master
        .text()
        .lines()
        .find(|l| l.starts_with("#EXT-X-STREAM-INF"))
        .unwrap();
    assert!(variant.contains(",SUBTITLES=\"subs\""), "{variant}");
    assert!(variant.contains(",wvtt\""), "{variant}");
    let master = ok(&bench, CMAF);
    assert!(
        master.text().contains(",stpp.ttml.im1t\""),
        "{}",
        master.text()
    );
    // Nothing to put renditions into.
    let old = ok(&bench, "film.ism/manifest(format=m3u8-aapl-v3)");
    assert!(!old.text().contains("SUBTITLES"), "{}", old.text());
}

#[test]
fn segmented_webvtt_has_the_cues_of_the_file() {
    let bench = bench();
    let path = "film.ism/QualityLevels(169)/Manifest(english,format=m3u8-aapl)";
    let playlist = ok(&bench, path);
    assert_eq!(
        playlist.text(),
        "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:6.000000,\nFragments(english=0,format=m3u8-aapl).vtt\n#EXTINF:4.000000,\nFragments(english=76800,format=m3u8-aapl).vtt\n#EXT-X-ENDLIST\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let mut local = playlist.text().to_owned();
    for (at, uri) in uris(playlist.text()).iter().enumerate() {
        let segment = ok(&bench, &resolve(path, uri));
        assert_eq!(segment.header("content-type"), "text/vtt; charset=utf-8");
        assert!(segment.header("cache-control").contains("immutable"));
        let first: Vec<&str> = segment.text().lines().take(2).collect();
        assert_eq!(
            first,
            ["WEBVTT", "X-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000"]
        );
        let name = format!("{at}.vtt");
        std::fs::write(folder.path().join(&name), &segment.body).unwrap();
        local = local.replace(uri, &name);
    }
    let file = folder.path().join("s.m3u8");
    std::fs::write(&file, local).unwrap();
    assert_eq!(
        joined(decoded(&file, &["-allowed_extensions", "ALL"])),
        cues()
    );
    // A file of the other format, likewise.
    let path = "film.ism/QualityLevels(184)/Manifest(german,format=m3u8-aapl)";
    let segment = ok(
        &bench,
        &resolve(path, "Fragments(german=0,format=m3u8-aapl).vtt"),
    );
    assert!(
        segment.text().ends_with(
            "\n\n00:00:01.000 --> 00:00:04.000\nHallo\n\n00:00:05.000 --> 00:00:07.000\nWelt\nda\n\n"
        ),
        "{}",
        segment.text()
    );
    for wrong in [
        "film.ism/QualityLevels(169)/Fragments(english=25600,format=m3u8-aapl)",
        "film.ism/QualityLevels(169)/Fragments(english=5,format=m3u8-aapl)",
        "film.ism/QualityLevels(205)/Fragments(english=0,format=m3u8-aapl)",
        "film.ism/QualityLevels(169)/Manifest(english,format=m3u8-aapl-v3)",
        "film.ism/QualityLevels(169)/Manifest(english,format=m3u8-aapl,type=keyframes)",
    ] {
        assert_eq!(bench.get(wrong).status, 404, "{wrong}");
    }
    assert_eq!(
        bench
            .get("film.ism/QualityLevels(1)/Manifest(broken,format=m3u8-aapl)")
            .status,
        415
    );
}

/// Packets of the first track: start, end (milliseconds) and bytes, as ffprobe reads them.
fn packets(file: &Path) -> (String, Vec<(u64, u64, Vec<u8>)>) {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-show_packets",
            "-show_data",
            "-show_streams",
            "-of",
            "json",
        ])
        .arg(file)
        .output()
        .expect("ffprobe is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let tag = json["streams"][0]["codec_tag_string"]
        .as_str()
        .unwrap()
        .to_owned();
    let ms = |value: &serde_json::Value| {
        (value.as_str().unwrap().parse::<f64>().unwrap() * 1000.0).round() as u64
    };
    let packet = |p: &serde_json::Value| {
        let mut bytes = Vec::new();
        for line in p["data"]
            .as_str()
            .unwrap()
            .lines()
            .filter(|l| !l.is_empty())
        {
            let hex = &line[10..line.len().min(50)];
            let hex: String = hex
                .chars()
                .take(39)
                .filter(|c| !c.is_whitespace())
                .collect();
            for at in (0..hex.len()).step_by(2) {
                bytes.push(u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
            }
        }
        bytes.truncate(p["size"].as_str().unwrap().parse().unwrap());
        (ms(&p["pts_time"]), bytes)
    };
    let all: Vec<_> = json["packets"]
        .as_array()
        .unwrap()
        .iter()
        .map(packet)
        .collect();
    // It tells no durations of text: a sample lasts until the next.
    let ends = all.iter().skip(1).map(|p| p.0).chain([10_000]);
    let timed = all
        .iter()
        .zip(ends)
        .map(|((start, bytes), end)| (*start, end, bytes.clone()));
    (tag, timed.collect())
}

/// A track as a file: its init segment, then all of its segments.
fn track(
    bench: &Bench,
    format: &str,
    bitrate: u32,
    name: &str,
    times: &[u64],
) -> tempfile::NamedTempFile {
    let url = |part: &str| {
        format!("film.ism/QualityLevels({bitrate})/Fragments({name}={part},format={format})")
    };
    let mut bytes = ok(bench, &url("i")).body.to_vec();
    for time in times {
        let segment = ok(bench, &url(&time.to_string()));
        assert_eq!(segment.header("content-type"), "application/mp4");
        bytes.extend_from_slice(&segment.body);
    }
    let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

fn boxes(bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let len = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        found.push((&rest[4..8], &rest[8..len]));
        rest = &rest[len..];
    }
    found
}

#[test]
fn wvtt_samples_have_the_cues_of_the_file() {
    let bench = bench();
    let file = track(&bench, "mpd-time-cmaf", 169, "english", &[0, 76_800]);
    let (tag, packets) = packets(file.path());
    assert_eq!(tag, "wvtt");
    let mut found = Cues::new();
    let starts: Vec<u64> = packets.iter().map(|p| p.0).collect();
    assert_eq!(starts, [0, 500, 3000, 5500, 6000, 7250, 8000, 9000]);
    for (start, end, bytes) in packets {
        for (name, cue) in boxes(&bytes) {
            match name {
                b"vtte" => assert!(cue.is_empty()),
                b"vttc" => {
                    let text = boxes(cue)
                        .into_iter()
                        .find(|(n, _)| n == b"payl")
                        .unwrap()
                        .1;
                    let text = std::str::from_utf8(text).unwrap();
                    let text = text.replace("<i>", "").replace("</i>", "");
                    found.push((start, end, text));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(joined(found), cues());
}

/// TTML documents as an independent reader of XML sees them.
fn ttml(document: &str) -> Cues {
    let xml = roxmltree::Document::parse(document).unwrap();
    let time = |text: &str| {
        let (clock, fraction) = text.split_once('.').unwrap();
        let parts = clock.split(':').map(|p| p.parse::<u64>().unwrap());
        parts.fold(0, |sum, part| sum * 60 + part) * 1000 + fraction.parse::<u64>().unwrap()
    };
    let paragraphs = xml
        .descendants()
        .filter(|n| n.has_tag_name(("http://www.w3.org/ns/ttml", "p")));
    let cue = |p: roxmltree::Node<'_, '_>| {
        let mut text = String::new();
        for node in p.descendants() {
            if node.has_tag_name(("http://www.w3.org/ns/ttml", "br")) {
                text.push('\n');
            } else if node.is_text() {
                text.push_str(node.text().unwrap());
            }
        }
        (
            time(p.attribute("begin").unwrap()),
            time(p.attribute("end").unwrap()),
            text,
        )
    };
    paragraphs.map(cue).collect()
}

#[test]
fn stpp_samples_have_the_cues_of_the_file() {
    let bench = bench();
    for format in ["m3u8-cmaf", "mpd-time-csf"] {
        let file = track(&bench, format, 169, "english", &[0, 76_800]);
        let (tag, packets) = packets(file.path());
        assert_eq!(tag, "stpp");
        let times: Vec<_> = packets.iter().map(|p| p.0).collect();
        assert_eq!(times, [0, 6000]);
        let all = packets
            .iter()
            .flat_map(|p| ttml(std::str::from_utf8(&p.2).unwrap()));
        assert_eq!(joined(all.collect()), cues());
    }
    // TTML stays TTML.
    let file = track(&bench, "mpd-time-cmaf", 184, "german", &[0, 76_800]);
    let (tag, packets) = packets(file.path());
    assert_eq!(tag, "stpp");
    let all = packets
        .iter()
        .flat_map(|p| ttml(std::str::from_utf8(&p.2).unwrap()));
    assert_eq!(
        joined(all.collect()),
        [
            (1000, 4000, "Hallo".to_owned()),
            (5000, 7000, "Welt\nda".to_owned())
        ]
    );
}

#[test]
fn dash_has_roles_and_labels() {
    let bench = bench();
    let mpd = ok(&bench, DASH);
    let set = find(
        mpd.text(),
        "<AdaptationSet",
        "contentType=\"text\" mimeType=\"application/mp4\" lang=\"en\"",
        "</AdaptationSet>",
    );
    assert_eq!(
        set,
        r#"<AdaptationSet id="4" contentType="text" mimeType="application/mp4" lang="en" segmentAlignment="true" startWithSAP="1">
      <Label>English</Label>
      <Accessibility schemeIdUri="urn:mpeg:dash:role:2011" value="caption"/>
      <Role schemeIdUri="urn:mpeg:dash:role:2011" value="caption"/>
      <Role schemeIdUri="urn:mpeg:dash:role:2011" value="main"/>
      <SegmentTemplate timescale="12800" presentationTimeOffset="0" initialization="QualityLevels($Bandwidth$)/Fragments(english=i,format=mpd-time-cmaf)" media="QualityLevels($Bandwidth$)/Fragments(english=$Time$,format=mpd-time-cmaf)"><SegmentTimeline><S t="0" d="76800"/><S d="51200"/></SegmentTimeline></SegmentTemplate>
      <Representation id="english_169" bandwidth="169" codecs="wvtt"/>
    </AdaptationSet>"#
    );
    let german = find(
        mpd.text(),
        "<AdaptationSet",
        "lang=\"de\"",
        "</AdaptationSet>",
    );
    assert!(
        german.contains("value=\"subtitle\"") && german.contains("codecs=\"stpp.ttml.im1t\""),
        "{german}"
    );
    assert!(!mpd.text().contains("secret") && !mpd.text().contains("broken"));
    let old = ok(&bench, "film.ism/manifest(format=mpd-time-csf)");
    let set = find(old.text(), "<AdaptationSet", "lang=\"en\"", ">");
    assert!(set.contains("profiles=\"ccff\""), "{set}");
}

#[test]
fn smooth_fragments_count_from_their_start() {
    let bench = bench();
    let manifest = ok(&bench, "film.ism/manifest");
    let stream = find(
        manifest.text(),
        "<StreamIndex",
        "Name=\"english\"",
        "</StreamIndex>",
    );
    assert_eq!(
        stream,
        r#"<StreamIndex Type="text" Subtype="CAPT" Name="english" Language="en" Title="English" TimeScale="10000000" Chunks="2" QualityLevels="1" Url="QualityLevels({bitrate})/Fragments(english={start time})">
    <QualityLevel Index="0" Bitrate="169" FourCC="TTML" CodecPrivateData=""/>
    <c t="0" d="60000000"/>
    <c d="40000000"/>
  </StreamIndex>"#
    );
    let url = |noun: &str| format!("film.ism/QualityLevels(169)/{noun}(english=60000000)");
    let raw = ok(&bench, &url("RawFragments"));
    assert_eq!(
        ttml(raw.text()),
        [
            (0, 1250, "Across a boundary".to_owned()),
            (2000, 3000, "Late\nin two lines".to_owned())
        ]
    );
    let whole = ok(&bench, &url("Fragments"));
    let info = ok(&bench, &url("FragmentInfo"));
    assert_eq!(whole.body.len(), info.body.len() + 8 + raw.body.len());
    assert_eq!(whole.body[..info.body.len()], info.body[..]);
    let names: Vec<_> = boxes(&whole.body).iter().map(|b| b.0.to_vec()).collect();
    assert_eq!(names, [b"moof".to_vec(), b"mdat".to_vec()]);
}

#[test]
fn manifests_that_list_text_change_with_where_it_is_cut() {
    let storage = storage();
    let bench = Bench::added(storage.clone(), &[], &texts());
    let ism = String::from_utf8(storage.get("film.ism").unwrap().to_vec()).unwrap();
    for path in [
        "film.ism/manifest(format=mpd-time-cmaf)",
        "film.ism/manifest",
    ] {
        let before = ok(&bench, path);
        let meta = r#"<head><meta name="fragmentsPerHLSSegment" content="1"/></head><body>"#;
        storage.write("film.ism", ism.replacen("<body>", meta, 1));
        let edited = Bench::added(storage.clone(), &[], &texts());
        let tag = before.header("etag").to_owned();
        let again = edited.ask(http::Method::GET, path, &[("if-none-match", &tag)]);
        assert_eq!(again.status, 200, "{path}");
        assert_ne!(again.text(), before.text(), "{path}");
        storage.write("film.ism", ism.clone());
    }
}

#[test]
fn filters_choose_among_text() {
    let bench = bench();
    let master = |filter: &str| {
        let got = ok(
            &bench,
            &format!("film.ism/manifest(format=m3u8-cmaf,filter={filter})"),
        );
        attributes(got.text(), "LANGUAGE")
    };
    assert_eq!(master("german"), ["en", "de"]);
    assert_eq!(master("named"), ["en"]);
    let late = ok(
        &bench,
        "film.ism/QualityLevels(169)/Manifest(english,format=m3u8-cmaf,filter=late)",
    );
    assert_eq!(
        uris(late.text()),
        ["Fragments(english=76800,format=m3u8-cmaf).m4s"]
    );
    let path = "film.ism/QualityLevels(169)/Manifest(english,format=m3u8-cmaf,filter=german)";
    assert_eq!(bench.get(path).status, 404);
    // What is hidden is still there for those who know it.
    let hidden = "film.ism/QualityLevels(169)/Manifest(secret,format=m3u8-cmaf)";
    assert_eq!(bench.get(hidden).status, 200);
}

/// Text is in segments of three fragments; the pictures may begin with the second.
#[test]
fn text_begins_where_the_pictures_of_a_filter_do() {
    let bench = bench();
    let playlist = |format: &str| {
        let path =
            format!("film.ism/QualityLevels(169)/Manifest(english,format={format},filter=within)");
        ok(&bench, &path).text().to_owned()
    };
    let text = playlist("m3u8-cmaf");
    assert!(text.contains("#EXTINF:4.000000,"), "{text}");
    let names = uris(&text);
    assert_eq!(
        names,
        [25_600, 76_800].map(|at| format!("Fragments(english={at},format=m3u8-cmaf).m4s"))
    );
    let segment = |at: u64| {
        let path =
            format!("film.ism/QualityLevels(169)/Fragments(english={at},format=m3u8-cmaf).m4s");
        ok(&bench, &path).body
    };
    // The rest of the segment that begins at 0, at its time.
    let (whole, rest) = (segment(0), segment(25_600));
    let decoded = |bytes: &[u8]| {
        let at = bytes.windows(4).position(|name| name == b"tfdt").unwrap();
        u64::from_be_bytes(bytes[at + 8..at + 16].try_into().unwrap())
    };
    assert_eq!((decoded(&whole), decoded(&rest)), (0, 25_600));
    let mpd = ok(
        &bench,
        "film.ism/manifest(format=mpd-time-cmaf,filter=within)",
    );
    let listed = r#"<S t="25600" d="51200" r="1"/>"#;
    assert_eq!(mpd.text().matches(listed).count(), 3, "{}", mpd.text());
    // Pictures of transport streams begin with whole segments, and so does text.
    let text = playlist("m3u8-aapl");
    assert!(uris(&text)[0].contains("english=0,"), "{text}");
}

#[test]
fn a_replaced_file_is_noticed() {
    let mut bench = bench();
    let before = ok(&bench, TS);
    bench
        .storage
        .write("en.vtt", VTT.replace("Late", "Very late"));
    bench.now += jiff::SignedDuration::from_secs(10);
    let after = ok(&bench, TS);
    assert_ne!(before.header("etag"), after.header("etag"));
    let again = bench.ask(
        http::Method::GET,
        TS,
        &[("if-none-match", after.header("etag"))],
    );
    assert_eq!(again.status, 304);
}

pub(crate) fn protection(way: Way) -> Protection {
    let kid = Kid::parse("0f1e2d3c-0000-4000-8000-000000000001").unwrap();
    Protection {
        schemes: vec![SchemeProtection {
            way,
            keys: vec![ContentKey {
                kid,
                key: Key::new([7; 16]),
                tracks: Tracks::default(),
            }],
            rotation: None,
            clear: Tracks::default(),
            offers: vec![KeyOffer {
                system: KeySystem::ClearKey,
                url_template: None,
                custom_attributes: None,
            }],
        }],
        media_id: None,
        key_url: "https://example.org/keys".to_owned(),
    }
}

#[test]
fn text_is_clear_under_drm_and_not_under_whole_segment_encryption() {
    let clear = bench();
    let url = |encryption: &str| {
        format!("film.ism/QualityLevels(169)/Fragments(english=0,format=m3u8-cmaf{encryption})")
    };
    let plain = ok(&clear, &url(""));
    let drm = Bench::protected_with(storage(), protection(Way::Cbcs), &texts());
    assert_eq!(ok(&drm, &url(",encryption=cbcs-aapl")).body, plain.body);
    assert_ne!(drm.get(&url("")).status, 200);
    let list =
        "film.ism/QualityLevels(169)/Manifest(english,format=m3u8-cmaf,encryption=cbcs-aapl)";
    assert!(!ok(&drm, list).text().contains("EXT-X-KEY"));
    let mpd = ok(
        &drm,
        "film.ism/manifest(format=mpd-time-cmaf,encryption=cbcs)",
    );
    let set = find(
        mpd.text(),
        "<AdaptationSet",
        "lang=\"en\" segmentAlignment",
        "</AdaptationSet>",
    );
    assert!(mpd.text().contains("<ContentProtection"), "{}", mpd.text());
    let text = find(
        mpd.text(),
        "<AdaptationSet",
        "contentType=\"text\"",
        "</AdaptationSet>",
    );
    assert!(!text.contains("ContentProtection"), "{set} {text}");

    let envelope = Bench::protected_with(storage(), protection(Way::Envelope), &texts());
    let covered = ok(&envelope, &url(",encryption=cbc"));
    assert_eq!(covered.body.len(), plain.body.len() / 16 * 16 + 16);
    assert_ne!(covered.body[..16], plain.body[..16]);
    let list = "film.ism/QualityLevels(169)/Manifest(english,format=m3u8-cmaf,encryption=cbc)";
    let list = ok(&envelope, list);
    assert!(
        list.text().contains("#EXT-X-KEY:METHOD=AES-128"),
        "{}",
        list.text()
    );
}

#[test]
fn added_audio_is_another_language() {
    let storage = storage();
    storage.write("spa.mp4", media("car-detection.mp4"));
    let properties = serde_json::json!({
        "displayName": "Español", "languageCode": "es", "hlsSettings": { "default": true }, "dashSettings": { "role": "dub" },
    });
    let spanish = AddedTrack::read(
        "spanish".to_owned(),
        AddedKind::Audio,
        "spa.mp4".to_owned(),
        properties.as_object().unwrap(),
    );
    let bench = Bench::added(storage, &[], &[spanish]);
    let master = ok(&bench, CMAF);
    let lines: Vec<&str> = master
        .text()
        .lines()
        .filter(|l| l.contains("TYPE=AUDIO"))
        .collect();
    assert!(
        lines
            .iter()
            .any(|l| l.contains("NAME=\"Español\",LANGUAGE=\"es\",DEFAULT=YES")),
        "{lines:?}"
    );
    assert!(
        lines.iter().any(|l| l.contains("LANGUAGE=\"en\"")),
        "{lines:?}"
    );
    let uri = lines.iter().find(|l| l.contains("spanish")).unwrap();
    let uri = uri.split("URI=\"").nth(1).unwrap().trim_end_matches('"');
    let playlist = ok(&bench, &resolve(CMAF, uri));
    let first = uris(playlist.text()).remove(0);
    ok(&bench, &resolve(&resolve(CMAF, uri), &first));
    let mpd = ok(&bench, DASH);
    let set = find(
        mpd.text(),
        "<AdaptationSet",
        "lang=\"es\"",
        "</AdaptationSet>",
    );
    assert!(
        set.contains("<Label>Español</Label>") && set.contains("value=\"dub\""),
        "{set}"
    );
}

#[test]
fn subtitles_beside_the_media_need_no_manifest() {
    let storage = storage();
    storage.remove("film.ism");
    storage.write("film.de.vtt", VTT);
    let bench = Bench::new(storage);
    let master = ok(&bench, CMAF);
    assert!(
        master.text().contains("NAME=\"German\",LANGUAGE=\"de\""),
        "{}",
        master.text()
    );
}

pub(crate) fn sheets(storage: &Memory) {
    let mut text = "WEBVTT\n".to_owned();
    for at in 0..10_u32 {
        let (x, y) = (at % 4 % 2 * 160, at % 4 / 2 * 90);
        text.push_str(&format!(
            "\n00:00:{at:02}.000 --> 00:00:{:02}.000\nfilm-{:06}.jpg#xywh={x},{y},160,90\n",
            at + 1,
            at / 4 + 1
        ));
    }
    storage.write("film_manifest.vtt", text);
    for at in 1..4 {
        storage.write(&format!("film-{at:06}.jpg"), vec![at; 2000]);
    }
}

#[test]
fn sheets_of_pictures_are_playlists_and_tiles() {
    let storage = storage();
    sheets(&storage);
    let bench = Bench::added(storage, FILTERS, &texts());
    let master = ok(&bench, CMAF);
    let line = master
        .text()
        .lines()
        .find(|l| l.starts_with("#EXT-X-IMAGE-STREAM-INF"));
    assert_eq!(
        line,
        Some(
            r#"#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=4000,RESOLUTION=160x90,CODECS="jpeg",URI="QualityLevels(4000)/Manifest(thumbnails,format=m3u8-cmaf)""#
        )
    );
    let path = "film.ism/QualityLevels(4000)/Manifest(thumbnails,format=m3u8-cmaf)";
    let playlist = ok(&bench, path);
    assert_eq!(
        playlist.text(),
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-IMAGES-ONLY\n#EXTINF:4.000,\n#EXT-X-TILES:RESOLUTION=160x90,LAYOUT=2x2,DURATION=1.000\nFragments(thumbnails=1,format=m3u8-cmaf).jpg\n#EXTINF:4.000,\n#EXT-X-TILES:RESOLUTION=160x90,LAYOUT=2x2,DURATION=1.000\nFragments(thumbnails=2,format=m3u8-cmaf).jpg\n#EXTINF:2.000,\n#EXT-X-TILES:RESOLUTION=160x90,LAYOUT=2x2,DURATION=1.000\nFragments(thumbnails=3,format=m3u8-cmaf).jpg\n#EXT-X-ENDLIST\n"
    );
    for (at, uri) in (1..).zip(uris(playlist.text())) {
        let sheet = ok(&bench, &resolve(path, &uri));
        assert_eq!(sheet.header("content-type"), "image/jpeg");
        assert_eq!(sheet.body, vec![at; 2000]);
    }
    assert_eq!(
        bench
            .get("film.ism/QualityLevels(4000)/Fragments(thumbnails=4,format=m3u8-cmaf)")
            .status,
        404
    );
    assert_eq!(ok(&bench, "film-000001.jpg").body, vec![1; 2000]);
    assert_eq!(
        ok(&bench, "film_manifest.vtt").header("content-type"),
        "text/vtt; charset=utf-8"
    );
    let mpd = ok(&bench, DASH);
    assert_eq!(
        find(
            mpd.text(),
            "<AdaptationSet",
            "image/jpeg",
            "</AdaptationSet>"
        ),
        r#"<AdaptationSet id="6" contentType="image" mimeType="image/jpeg">
      <SegmentTemplate media="QualityLevels($Bandwidth$)/Fragments(thumbnails=$Number$,format=mpd-time-cmaf)" timescale="1000" duration="4000" startNumber="1"/>
      <Representation id="thumbnails_4000" bandwidth="4000" width="320" height="180">
        <EssentialProperty schemeIdUri="http://dashif.org/guidelines/thumbnail_tile" value="2x2"/>
      </Representation>
    </AdaptationSet>"#
    );
    // Sheets cannot be cut.
    let late = ok(&bench, "film.ism/manifest(format=m3u8-cmaf,filter=late)");
    assert!(!late.text().contains("IMAGE-STREAM"));
}

#[test]
fn sheets_stay_in_under_encryption() {
    let storage = storage();
    sheets(&storage);
    let bench = Bench::protected_with(storage, protection(Way::Cbcs), &[]);
    let master = ok(
        &bench,
        "film.ism/manifest(format=m3u8-cmaf,encryption=cbcs-aapl)",
    );
    assert!(!master.text().contains("IMAGE-STREAM"));
    let sheet = "film.ism/QualityLevels(4000)/Fragments(thumbnails=1,format=m3u8-cmaf,encryption=cbcs-aapl)";
    assert_eq!(bench.get(sheet).status, 415);
}
