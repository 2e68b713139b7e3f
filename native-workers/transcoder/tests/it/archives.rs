//! Archives of live events and Smooth assets as inputs: in step, cut to the frame, copied packet by packet, with gaps.

use std::path::{Path, PathBuf};

use crate::support::jobs::{
    Made, aac, assert_in_step, beeps, fake, flash, flashes, run, sound_start, standard, stream,
};
use crate::support::{Fake, media};
use headwater_live::archive::Recording;
use headwater_live::stream::Kind;
use headwater_live::timeline::{Config, Row, Segment, Track};
use headwater_time::Timescale;
use headwater_transcoder::auto::Choice;
use headwater_work::{JobErrorCode, Outcome, Selection};
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z, when the archives of these tests begin.
const EPOCH: u64 = 1_767_225_600;

/// Where the boxes of `bytes` are: name, start, end.
fn boxes(bytes: &[u8], mut at: usize, end: usize) -> Vec<([u8; 4], usize, usize)> {
    let mut out = Vec::new();
    while at + 8 <= end {
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        assert!(size >= 8, "{at}");
        out.push((bytes[at + 4..at + 8].try_into().unwrap(), at, at + size));
        at += size;
    }
    out
}

fn find(bytes: &[u8], within: (usize, usize), path: &[&[u8; 4]]) -> Option<(usize, usize)> {
    let (name, rest) = path.split_first()?;
    for (found, start, end) in boxes(bytes, within.0, within.1) {
        if found == **name {
            return match rest {
                [] => Some((start, end)),
                rest => find(bytes, (start + 8, end), rest),
            };
        }
    }
    None
}

/// [MS-SSTR] 2.2.4.4.
const TFXD: [u8; 16] = [
    0x6d, 0x1d, 0x9b, 0x05, 0x42, 0xd5, 0x44, 0xe6, 0x80, 0xe2, 0x14, 0x1d, 0xaf, 0xf7, 0x57, 0xb2,
];

/// Splits a fragmented file into header and fragments, moves them by `shift` ticks, and calls each by its time and `later` ticks.
/// `chunks`: how many `moof` and `mdat` make a fragment.
fn fragments(file: &Path, shift: i64, later: u64, chunks: usize) -> (Vec<u8>, Vec<(u64, Vec<u8>)>) {
    let bytes = std::fs::read(file).unwrap();
    let mut header = Vec::new();
    let mut parts: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut count = 0;
    for (name, start, end) in boxes(&bytes, 0, bytes.len()) {
        let mut part = bytes[start..end].to_vec();
        match &name {
            b"ftyp" | b"moov" => header.extend(part),
            b"moof" => {
                let own = move_time(&mut part, shift);
                if count % chunks == 0 {
                    parts.push((own + later, Vec::new()));
                }
                count += 1;
                parts.last_mut().unwrap().1.extend(part);
            }
            b"mdat" => parts.last_mut().unwrap().1.extend(part),
            _ => {}
        }
    }
    (header, parts)
}

/// Moves the time that a `moof` says by `shift` ticks; gives what it says then.
fn move_time(moof: &mut [u8], shift: i64) -> u64 {
    let within = (8, moof.len());
    let time = match find(moof, within, &[b"traf", b"tfdt"]) {
        Some((at, _)) => at + 12,
        // As Azure Media Services has it: the time is in the box of Smooth Streaming.
        None => {
            let (at, end) = find(moof, within, &[b"traf"]).unwrap();
            let uuids = boxes(moof, at + 8, end).into_iter();
            let mut uuids =
                uuids.filter(|(name, at, _)| name == b"uuid" && moof[at + 8..at + 24] == TFXD);
            uuids.next().unwrap().1 + 28
        }
    };
    let own = u64::from_be_bytes(moof[time..time + 8].try_into().unwrap());
    // What begins before 0 is written as a very large number.
    let own = own.wrapping_add_signed(shift);
    moof[time..time + 8].copy_from_slice(&own.to_be_bytes());
    own
}

/// How much earlier than its first picture the film's own clock begins: two pictures are decoded before one that is shown
/// earlier. And how much earlier than its sound: what an AAC encoder needs as a run-up.
const REORDERING: (u64, u64) = (2, 25);
const PRIMING: (u64, u64) = (1024, 48_000);

/// How an archive's fragments say their times.
#[derive(Clone, Copy, PartialEq)]
enum Flavour {
    /// `tfxd`, as regular channels of Azure Media Services.
    Smooth,
    /// `tfdt`, in chunks, as low-latency channels and our own recordings.
    Cmaf,
}

/// A film of 6 s: flashes and beeps, key frames every second, B pictures.
fn film(folder: &Path) -> PathBuf {
    flash(
        folder,
        "film.mp4",
        "-c:v libx264 -preset veryfast -g 25 -keyint_min 25 -sc_threshold 0 -bf 2 -pix_fmt yuv420p -c:a aac -b:a 96k -ac 2",
    )
}

/// Puts the film into the asset as an archive of two levels of pictures and sound that begins at `epoch` seconds.
fn archive(fake: &Fake, folder: &Path, film: &Path, flavour: Flavour, epoch: u64) {
    let low = folder.join("low.mp4");
    media::ffmpeg(
        &format!(
            "-i {} -vf scale=160:90 -c:v libx264 -preset veryfast -g 25 -keyint_min 25 -sc_threshold 0 -an",
            film.display()
        ),
        &low,
    );
    let mut entries = String::new();
    for (source, map, kind, name) in [
        (film, "0:v", "video", "video_900000"),
        (&low, "0:v", "video", "video_200000"),
        (film, "0:a", "audio", "audio_96000"),
    ] {
        let muxer = match flavour {
            Flavour::Smooth => "-f ismv -movflags frag_keyframe+isml",
            Flavour::Cmaf => "-f mp4 -movflags frag_keyframe+empty_moov+default_base_moof",
        };
        let cut = if kind == "audio" {
            "-frag_duration 1000000"
        } else {
            ""
        };
        let muxed = folder.join(format!("{name}.frag"));
        let arguments = format!("-i {} -map {map} -c copy {cut} {muxer}", source.display());
        media::ffmpeg(&arguments, &muxed);
        let scale =
            media::probe(&muxed, "-show_entries stream=time_base")["streams"][0]["time_base"]
                .as_str()
                .unwrap()
                .trim_start_matches("1/")
                .parse::<u64>()
                .unwrap();
        let (early, by) = match (flavour, kind) {
            // These are times of presentation.
            (Flavour::Smooth, _) => (0, 1),
            (Flavour::Cmaf, "audio") => PRIMING,
            (Flavour::Cmaf, _) => REORDERING,
        };
        let early = early * scale / by;
        // Sound begins a little before the pictures do, and not before the archive's clock.
        let begin = epoch * scale + scale - early;
        let (chunks, later) = match flavour {
            Flavour::Cmaf if kind == "video" => (2, early),
            Flavour::Cmaf => (2, 0),
            Flavour::Smooth => (1, 0),
        };
        let (header, parts) = fragments(&muxed, begin as i64, later, chunks);
        fake.upload(&format!("{name}/header"), header);
        for (start, bytes) in parts {
            fake.upload(&format!("{name}/{start}"), bytes);
        }
        let bitrate = name.rsplit('_').next().unwrap();
        entries.push_str(&format!(
            "<{kind} src=\"{name}\" systemBitrate=\"{bitrate}\" systemLanguage=\"eng\"><param name=\"trackName\" value=\"{kind}\" /></{kind}>"
        ));
    }
    fake.upload(
        "event.ism",
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><smil xmlns=\"http://www.w3.org/2001/SMIL20/Language\"><head>\
             <meta name=\"formats\" content=\"vod-fmp4\" /></head><body><switch>{entries}</switch></body></smil>"
        ),
    );
    fake.upload("event.ismc", "<SmoothStreamingMedia/>");
}

fn preset() -> Value {
    let layers = json!([{"width": 160, "height": 90, "bitrate": 200_000, "label": "small"}]);
    let video = json!({"@odata.type": "#Microsoft.Media.H264Video", "complexity": "Speed", "layers": layers});
    standard(json!([aac(), video]), Value::Null)
}

async fn encoded(fake: &Fake, file: &str, selection: Selection, preset: Value) -> Made {
    fake.queue_with(fake.cut_input(file, selection), vec![preset]);
    run(fake).await
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_are_encoded_in_step() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path());
    for flavour in [Flavour::Smooth, Flavour::Cmaf] {
        let fake = fake(Choice::Auto).await;
        archive(&fake, folder.path(), &film, flavour, EPOCH);
        let made = encoded(&fake, "", Selection::default(), preset()).await;
        assert_eq!(made.engine, "ffmpeg");
        let (video, sound) = (made.path("_small_"), made.path("aac_eng"));
        assert_eq!(media::packets(&video, "v:0").len(), 150);
        assert_in_step(&video, &sound, "archive");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clips_of_archives_are_frames_of_its_clock() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path());
    let fake = fake(Choice::Auto).await;
    archive(&fake, folder.path(), &film, Flavour::Smooth, EPOCH);
    // The archive begins with the run-up of its sound, 21 ms before the first picture.
    let absolute = Selection {
        start_ms: Some(2_531),
        end_ms: Some(4_531),
        ..Selection::default()
    };
    // The first picture is at one second of its clock.
    let utc = Selection {
        start_utc_ms: Some(EPOCH as i64 * 1000 + 3_510),
        end_utc_ms: Some(EPOCH as i64 * 1000 + 5_510),
        ..Selection::default()
    };
    for selection in [absolute, utc.clone()] {
        let read = fake.state.lock().unwrap().bytes_read;
        let made = encoded(&fake, "event.ism", selection, preset()).await;
        let read = fake.state.lock().unwrap().bytes_read - read;
        let all: usize = fake
            .state
            .lock()
            .unwrap()
            .blobs
            .iter()
            .filter(|(name, _)| name.contains("_900000/") || name.contains("audio_"))
            .map(|(_, bytes)| bytes.len())
            .sum();
        assert!(read < all * 3 / 4, "{read} of {all}");
        let (video, sound) = (made.path("_small_"), made.path("aac_eng"));
        assert_eq!(media::packets(&video, "v:0").len(), 50);
        // Flashes of 3 s and 4 s.
        let (seen, heard) = (flashes(&video), beeps(&sound));
        assert_eq!((seen.len(), heard.len()), (2, 2), "{seen:?} {heard:?}");
        for (at, (seen, heard)) in [0.49, 1.49].into_iter().zip(seen.iter().zip(&heard)) {
            assert!((seen - at).abs() < 0.005, "{seen} {at}");
            assert!(
                (heard + sound_start(&sound) - at).abs() < 0.02,
                "{heard} {at}"
            );
        }
    }
    // An archive whose clock begins with the event does not know the time of day, and a film has none.
    let other = crate::support::jobs::fake(Choice::Auto).await;
    archive(&other, folder.path(), &film, Flavour::Smooth, 0);
    other.upload("film.mp4", std::fs::read(&film).unwrap());
    for file in ["event.ism", "film.mp4"] {
        other.queue_with(other.cut_input(file, utc.clone()), vec![preset()]);
        match other.finish(2).await {
            Outcome::Error(failure) => {
                assert_eq!(failure.code, JobErrorCode::ConfigurationUnsupported);
                assert!(
                    failure.message.contains("UtcClipTime"),
                    "{}",
                    failure.message
                );
            }
            outcome => panic!("{outcome:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_archive_lost_is_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path());
    let fake = fake(Choice::Auto).await;
    archive(&fake, folder.path(), &film, Flavour::Smooth, EPOCH);
    {
        let mut state = fake.state.lock().unwrap();
        for track in ["in/video_900000/", "in/audio_96000/"] {
            let mut names = state.blobs.keys().filter(|name| {
                let start = name.strip_prefix(track);
                start.is_some_and(|start| start.parse::<u64>().is_ok())
            });
            let gone = names.nth(2).cloned().unwrap();
            state.blobs.remove(&gone);
        }
    }
    let made = encoded(&fake, "", Selection::default(), preset()).await;
    let (video, sound) = (made.path("_small_"), made.path("aac_eng"));
    assert_eq!(media::packets(&video, "v:0").len(), 125);
    let (seen, heard) = (flashes(&video), beeps(&sound));
    let expected = [0.0, 1.0, 3.0, 4.0, 5.0].map(|at| at + 0.021);
    assert_eq!((seen.len(), heard.len()), (5, 5), "{seen:?} {heard:?}");
    for (at, (seen, heard)) in expected.into_iter().zip(seen.iter().zip(&heard)).skip(1) {
        assert!((seen - at).abs() < 0.005, "{seen} {at}");
        assert!((heard - at).abs() < 0.025, "{heard} {at}");
    }
}

/// Has the encoder of the recording come back half-way with larger pictures: fragments of those, their header, and the rows that
/// say so, of which some are on a page.
fn comes_back(fake: &Fake, folder: &Path, film: &Path) {
    let large = folder.join("large.mp4");
    media::ffmpeg(
        &format!(
            "-i {} -vf scale=640:360 -c:v libx264 -preset veryfast -profile:v main -g 25 -keyint_min 25 -sc_threshold 0 -bf 2 -an",
            film.display()
        ),
        &large,
    );
    let muxed = folder.join("large.frag");
    media::ffmpeg(
        &format!(
            "-i {} -c copy -f mp4 -movflags frag_keyframe+empty_moov+default_base_moof",
            large.display()
        ),
        &muxed,
    );
    let scale = 12_800;
    let early = REORDERING.0 * scale / REORDERING.1;
    let begin = EPOCH * scale + scale - early;
    let (header, parts) = fragments(&muxed, begin as i64, early, 2);
    let first = fake.state.lock().unwrap().blobs["in/video_900000/header"].clone();
    fake.upload("video_900000/header-1", header.clone());
    let config = |init: Vec<u8>| Config {
        codec: "avc1".into(),
        timescale: Timescale::new(u32::try_from(scale).unwrap()).unwrap(),
        width: 0,
        height: 0,
        sample_rate: 0,
        channels: 0,
        init,
    };
    let mut recording = Recording::default();
    recording.open.tracks = vec![Track {
        kind: Kind::Video,
        name: "video".into(),
        bitrate: 900_000,
        language: None,
        configs: vec![config(first.to_vec()), config(header)],
    }];
    let half = parts[parts.len() / 2].0;
    for number in 0..80 {
        let at = usize::try_from(number).unwrap();
        let start = parts.get(at).map_or(half * 2 + number, |part| part.0);
        let segment = Segment {
            start,
            duration: 0,
            config: (start >= half).into(),
            parts: Vec::new(),
            complete: true,
        };
        recording.open.rows.push_back(Row {
            number,
            start: 0,
            discontinuity: start == half,
            segments: [(0, segment)].into(),
        });
    }
    let page = recording.seal("event", u64::MAX).unwrap();
    fake.upload(&page.name, page.bytes);
    let head = recording.head("event");
    fake.upload(&head.name, head.bytes);
    for (start, bytes) in parts.into_iter().filter(|part| part.0 >= half) {
        fake.upload(&format!("video_900000/{start}"), bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_goes_on_where_its_encoder_came_back_with_other_settings() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path());
    let whole = fake(Choice::Auto).await;
    archive(&whole, folder.path(), &film, Flavour::Cmaf, EPOCH);
    let broken = fake(Choice::Auto).await;
    archive(&broken, folder.path(), &film, Flavour::Cmaf, EPOCH);
    comes_back(&broken, folder.path(), &film);
    // From the second half alone, and over the middle.
    let late = Selection {
        start_ms: Some(4_021),
        ..Selection::default()
    };
    for (selection, frames, flashes_seen) in [(Selection::default(), 150, 6), (late, 50, 2)] {
        let wanted = encoded(&whole, "event.ism", selection.clone(), preset()).await;
        let made = encoded(&broken, "event.ism", selection, preset()).await;
        let (video, sound) = (made.path("_small_"), made.path("aac_eng"));
        let count = |file: &Path| media::packets(file, "v:0").len();
        assert_eq!(count(&wanted.path("_small_")), frames);
        assert_eq!(count(&video), frames);
        assert_eq!(flashes(&video).len(), flashes_seen);
        if flashes_seen == 6 {
            assert_in_step(&video, &sound, "recording");
        }
        // What is shown is what would have been.
        let alike = media::ssim(&video, &wanted.path("_small_"));
        assert!(alike > 0.97, "{alike}");
    }
    let preset = json!({"@odata.type": "#Microsoft.Media.BuiltInAssetConverterPreset", "presetName": "CopyTopBitrateInterleaved"});
    broken.queue_with(
        broken.cut_input("event.ism", Selection::default()),
        vec![preset],
    );
    match broken.finish(4).await {
        Outcome::Error(failure) => {
            assert_eq!(failure.code, JobErrorCode::ContentUnsupported);
            assert!(
                failure.message.contains("a preset that encodes"),
                "{}",
                failure.message
            );
        }
        outcome => panic!("{outcome:?}"),
    }
}

/// The Smooth asset of the film: a file of pictures, one of sound.
fn smooth(fake: &Fake, folder: &Path, film: &Path) {
    let mut entries = String::new();
    for (map, kind, name, bitrate) in [
        ("0:v", "video", "film_900.ismv", 900_000),
        ("0:a", "audio", "film_96.isma", 96_000),
    ] {
        let muxed = folder.join(name);
        let arguments = format!("-i {} -map {map} -c copy -f ismv", film.display());
        media::ffmpeg(&arguments, &muxed);
        let mut bytes = std::fs::read(&muxed).unwrap();
        for (box_name, start, end) in boxes(&bytes, 0, bytes.len()) {
            if &box_name == b"moof" {
                // Sound begins before the pictures do; times are in 100 ns.
                move_time(&mut bytes[start..end], 10_000_000);
            }
        }
        fake.upload(name, bytes);
        entries.push_str(&format!(
            "<{kind} src=\"{name}\" systemBitrate=\"{bitrate}\"><param name=\"trackID\" value=\"1\" /></{kind}>"
        ));
    }
    fake.upload(
        "film.ism",
        format!("<smil><head/><body><switch>{entries}</switch></body></smil>"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn converters_copy_packet_by_packet() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path());
    let sums = media::frame_sums(&film);
    let archived = fake(Choice::Auto).await;
    archive(&archived, folder.path(), &film, Flavour::Smooth, EPOCH);
    let recorded = fake(Choice::Auto).await;
    archive(&recorded, folder.path(), &film, Flavour::Cmaf, EPOCH);
    let old = fake(Choice::Auto).await;
    smooth(&old, folder.path(), &film);
    for (what, fake, levels) in [
        ("archive", archived, 2),
        ("recording", recorded, 2),
        ("smooth", old, 1),
    ] {
        for (name, files) in [
            ("CopyTopBitrateInterleaved", 1),
            ("CopyAllBitrateInterleaved", levels),
            ("CopyAllBitrateNonInterleaved", levels + 1),
        ] {
            // Which files are written does not depend on where the packets were.
            if what != "archive" && name != "CopyAllBitrateInterleaved" {
                continue;
            }
            let preset = json!({"@odata.type": "#Microsoft.Media.BuiltInAssetConverterPreset", "presetName": name});
            let made = encoded(&fake, "", Selection::default(), preset).await;
            let names = made.names(".mp4");
            assert_eq!(names.len(), files, "{what} {name}: {names:?}");
            let paths: Vec<_> = names
                .iter()
                .map(|name| made.folder.path().join(name))
                .collect();
            let best = paths
                .iter()
                .find(|path| stream(path, "v:0")["height"] == 180)
                .unwrap();
            assert!(media::frame_sums(best) == sums, "{what} {name}");
            let sound = paths
                .iter()
                .find(|path| !stream(path, "a:0").is_null())
                .unwrap();
            let bytes = |file: &Path| -> u64 {
                media::packets(file, "a:0")
                    .iter()
                    .map(|packet| packet.size)
                    .sum()
            };
            assert!(bytes(sound).abs_diff(bytes(&film)) < 1200, "{what} {name}");
            assert_in_step(best, sound, name);
        }
    }
}
