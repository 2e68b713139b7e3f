//! What jobs read: clips, sequences, overlays, tracks of several files, URLs; and what reading must not lead to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::jobs::{
    self, aac, assert_as_in, assert_in_step, beeps, fake, flash, flashes, muxed, named, run,
    sound_start, standard, stream,
};
use crate::support::{Fake, media, save};
use headwater_net::egress::Guard;
use headwater_transcoder::CancellationToken;
use headwater_transcoder::auto::Choice;
use headwater_transcoder::ffmpeg::sandbox::{Ended, Limits, Program};
use headwater_work::{Channel, ChoiceBy, JobErrorCode, Outcome, Selection, TrackChoice, WorkInput};
use serde_json::{Value, json};

/// Ten seconds whose picture says which frame it is: luma climbs by one step every two frames.
fn counted(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("counted.mkv");
    let status = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i"])
        .arg("color=black:s=64x64:r=25:d=4,geq=lum='20+2*N':cb=128:cr=128")
        .args([
            "-f",
            "lavfi",
            "-i",
            "sine=440:d=4",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-qp",
            "4",
            "-g",
            "50",
        ])
        .args(["-c:a", "aac"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    path
}

fn preset(filters: Value) -> Value {
    standard(
        json!([aac(), {"@odata.type": "#Microsoft.Media.H264Video", "complexity": "Speed",
            "layers": [{"width": "100%", "height": "100%", "bitrate": 800_000, "label": "v"}]}]),
        filters,
    )
}

async fn with(files: &[&Path]) -> Fake {
    let fake = fake(Choice::Auto).await;
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        fake.upload(name, std::fs::read(file).unwrap());
    }
    fake
}

fn between(start: u64, end: u64) -> Selection {
    Selection {
        start_ms: Some(start),
        end_ms: Some(end),
        ..Selection::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_has_exactly_its_frames() {
    let folder = tempfile::tempdir().unwrap();
    let source = counted(folder.path());
    let fake = with(&[&source]).await;
    fake.queue_with(
        fake.cut_input("counted.mkv", between(1480, 2680)),
        vec![preset(Value::Null)],
    );
    let made = run(&fake).await;
    assert_eq!(made.engine, "ffmpeg");
    let frames = media::brightness(&made.path("_v_"));
    assert_eq!(frames.len(), 30);
    // Frame 37 of the source is the first at or after 1.48 s.
    assert!(
        (frames[0].1 - f64::from(20 + 2 * 37)).abs() < 1.0,
        "{:?}",
        frames[0]
    );
    assert!(
        (frames[29].1 - f64::from(20 + 2 * 66)).abs() < 1.0,
        "{:?}",
        frames[29]
    );
    let seconds = media::sound(&made.path("aac_"), 8000).len() as f64 / 8000.0;
    assert!((seconds - 1.2).abs() < 0.05, "{seconds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_plays_its_parts_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let first = flash(
        folder.path(),
        "first.mkv",
        "-c:v libx264 -preset ultrafast -c:a aac",
    );
    let second = flash(
        folder.path(),
        "second.webm",
        "-s 160x120 -c:v libvpx -deadline realtime -b:v 300k -c:a libopus",
    );
    let fake = with(&[&first, &second]).await;
    let input = WorkInput::Sequence {
        inputs: vec![
            fake.cut_input("first.mkv", between(0, 4000)),
            fake.input("second.webm"),
        ],
    };
    fake.queue_with(input, vec![preset(Value::Null)]);
    let made = run(&fake).await;
    let video = made.path("_v_");
    let frames = media::packets(&video, "v:0");
    assert!(frames.len().abs_diff(250) <= 1, "{}", frames.len());
    assert_eq!(stream(&video, "v:0")["width"], 320);
    assert_in_step(&video, &made.path("aac_"), "sequence");
}

/// When the sound of a track of `file` is first louder than silence, in seconds, and how long all of it is.
fn first_sound(file: &Path, track: usize) -> (Option<f64>, f64) {
    let sound = media::sound_of(file, track, 8000);
    let loud = sound.iter().position(|value| value.abs() > 0.05);
    (
        loud.map(|at| at as f64 / 8000.0),
        sound.len() as f64 / 8000.0,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_without_sound_is_silent_and_the_others_are_heard() {
    let folder = tempfile::tempdir().unwrap();
    let silent = folder.path().join("silent.mkv");
    media::ffmpeg(
        "-f lavfi -i color=gray:s=320x180:r=25:d=2 -c:v libx264 -preset ultrafast",
        &silent,
    );
    let loud = folder.path().join("loud.mkv");
    media::ffmpeg(
        "-f lavfi -i color=gray:s=320x180:r=25:d=3 -f lavfi -i sine=440:d=3:r=48000 -f lavfi -i sine=880:d=3:r=48000 -map 0 \
         -map 1 -map 2 -c:v libx264 -preset ultrafast -c:a aac -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu",
        &loud,
    );
    let fake = with(&[&silent, &loud]).await;
    let input = WorkInput::Sequence {
        inputs: vec![fake.input("silent.mkv"), fake.input("loud.mkv")],
    };
    fake.queue_with(input, vec![preset(Value::Null)]);
    let made = run(&fake).await;
    // One label, and so one file for both.
    let both = made.path("aac_eng");
    for (track, language) in ["eng", "deu"].into_iter().enumerate() {
        assert_eq!(jobs::language(&both, &format!("a:{track}")), language);
        let (begins, seconds) = first_sound(&both, track);
        assert!((seconds - 5.0).abs() < 0.1, "{language}: {seconds}");
        let begins = begins.expect("sound");
        assert!((begins - 2.0).abs() < 0.05, "{language}: {begins}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_is_laid_over_a_silent_film() {
    let folder = tempfile::tempdir().unwrap();
    let silent = folder.path().join("silent.mkv");
    media::ffmpeg(
        "-f lavfi -i color=gray:s=320x180:r=25:d=4 -c:v libx264 -preset ultrafast",
        &silent,
    );
    let jingle = folder.path().join("jingle.mp3");
    media::ffmpeg("-f lavfi -i sine=1000:d=1:r=44100 -c:a mp3", &jingle);
    let fake = with(&[&silent, &jingle]).await;
    let labelled = Selection {
        label: Some("jingle".into()),
        ..Selection::default()
    };
    let input = WorkInput::Several {
        inputs: vec![
            fake.input("silent.mkv"),
            fake.cut_input("jingle.mp3", labelled),
        ],
    };
    let overlays = json!({"overlays": [
        {"@odata.type": "#Microsoft.Media.AudioOverlay", "inputLabel": "jingle", "start": "PT2S"}]});
    fake.queue_with(input, vec![preset(overlays)]);
    let made = run(&fake).await;
    let (begins, seconds) = first_sound(&made.path("aac_"), 0);
    assert!((seconds - 4.0).abs() < 0.1, "{seconds}");
    let begins = begins.expect("sound");
    assert!((begins - 2.0).abs() < 0.06, "{begins}");
}

#[tokio::test(flavor = "multi_thread")]
async fn overlays_are_seen_and_heard_at_their_time() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("grey.mkv");
    media::ffmpeg(
        "-f lavfi -i color=gray:s=320x180:r=25:d=4 -f lavfi -i anullsrc=r=48000:cl=stereo -t 4 -c:v libx264 -preset ultrafast -c:a aac",
        &source,
    );
    let logo = folder.path().join("logo.png");
    media::ffmpeg("-f lavfi -i color=white:s=320x180 -frames:v 1", &logo);
    let jingle = folder.path().join("jingle.mp3");
    media::ffmpeg("-f lavfi -i sine=1000:d=1:r=48000 -c:a mp3", &jingle);
    let fake = with(&[&source, &logo, &jingle]).await;
    let labelled = |label: &str| Selection {
        label: Some(label.into()),
        ..Selection::default()
    };
    let input = WorkInput::Several {
        inputs: vec![
            fake.input("grey.mkv"),
            fake.cut_input("logo.png", labelled("logo")),
            fake.cut_input("jingle.mp3", labelled("jingle")),
        ],
    };
    let overlays = json!({"overlays": [
        {"@odata.type": "#Microsoft.Media.VideoOverlay", "inputLabel": "logo", "start": "PT1S", "end": "PT2S", "opacity": 1.0,
         "position": {"left": "0%", "top": "0%", "width": "100%", "height": "100%"}},
        {"@odata.type": "#Microsoft.Media.AudioOverlay", "inputLabel": "jingle", "start": "PT2S", "audioGainLevel": 0.8},
    ]});
    fake.queue_with(input, vec![preset(overlays)]);
    let made = run(&fake).await;
    let luma = media::brightness(&made.path("_v_"));
    let bright: Vec<f64> = luma
        .iter()
        .filter(|frame| frame.1 > 200.0)
        .map(|frame| frame.0)
        .collect();
    assert!(bright.len().abs_diff(25) <= 1, "{}", bright.len());
    assert!((bright[0] - 1.0).abs() < 0.05, "{bright:?}");
    let sound = media::sound(&made.path("aac_"), 8000);
    let loud = |from: usize, to: usize| sound[from..to].iter().any(|value| value.abs() > 0.02);
    assert!(!loud(2000, 15_500) && loud(17_000, 23_000) && !loud(26_000, 31_000));
}

/// A recording whose encoder came back with larger pictures: alone, with something laid over it behind the change, and as a part of
/// a sequence.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_change_their_size_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = Vec::new();
    for (size, offset) in [("320x180", 0), ("640x360", 2)] {
        let part = folder.path().join(format!("{size}.ts"));
        media::ffmpeg(
            &format!(
                "-f lavfi -i color=gray:s={size}:r=25:d=2 -f lavfi -i anullsrc=r=48000:cl=stereo -t 2 -c:v libx264 -preset ultrafast -c:a aac \
                 -muxdelay 0 -output_ts_offset {offset}"
            ),
            &part,
        );
        bytes.extend(std::fs::read(part).unwrap());
    }
    let logo = folder.path().join("logo.png");
    media::ffmpeg("-f lavfi -i color=white:s=320x180 -frames:v 1", &logo);
    let jingle = folder.path().join("jingle.mp3");
    media::ffmpeg("-f lavfi -i sine=1000:d=1:r=48000 -c:a mp3", &jingle);
    let labelled = |label: &str| Selection {
        label: Some(label.into()),
        ..Selection::default()
    };
    let overlays = json!({"overlays": [
        {"@odata.type": "#Microsoft.Media.VideoOverlay", "inputLabel": "logo", "start": "PT2.4S", "end": "PT3.4S", "opacity": 1.0,
         "position": {"left": "0%", "top": "0%", "width": "100%", "height": "100%"}},
        {"@odata.type": "#Microsoft.Media.AudioOverlay", "inputLabel": "jingle", "start": "PT2.5S"},
    ]});
    let fake = with(&[&logo, &jingle]).await;
    fake.upload("grey.ts", bytes);
    let several = |inputs| WorkInput::Several { inputs };
    let laid_over = several(vec![
        fake.input("grey.ts"),
        fake.cut_input("logo.png", labelled("logo")),
        fake.cut_input("jingle.mp3", labelled("jingle")),
    ]);
    let sequence = WorkInput::Sequence {
        inputs: vec![fake.input("grey.ts"), fake.input("grey.ts")],
    };
    for (input, overlays, pictures) in [
        (fake.input("grey.ts"), Value::Null, 100),
        (laid_over, overlays, 100),
        (sequence, Value::Null, 200),
    ] {
        let laid_over = !overlays.is_null();
        let filters = if laid_over { overlays } else { json!({}) };
        fake.queue_with(input, vec![preset(filters)]);
        let made = run(&fake).await;
        let video = made.path("_v_");
        let times: Vec<f64> = media::packets(&video, "v:0")
            .iter()
            .map(|p| p.pts)
            .collect();
        assert_eq!(times.len(), pictures);
        for pair in times.windows(2) {
            assert!((pair[1] - pair[0] - 0.04).abs() < 0.03, "{pair:?}");
        }
        if !laid_over {
            continue;
        }
        let luma = media::brightness(&video);
        let bright: Vec<f64> = luma.iter().filter(|p| p.1 > 200.0).map(|p| p.0).collect();
        assert!(bright.len().abs_diff(25) <= 1, "{}", bright.len());
        assert!((bright[0] - 2.4).abs() < 0.05, "{bright:?}");
        let sound = media::sound(&made.path("aac_"), 8000);
        let loud = |from: usize, to: usize| sound[from..to].iter().any(|value| value.abs() > 0.02);
        assert!(!loud(2000, 19_500) && loud(21_000, 27_000) && !loud(29_500, 31_000));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tracks_come_from_several_files_and_are_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.mkv");
    media::ffmpeg(
        "-f lavfi -i testsrc2=s=64x64:r=25:d=2 -c:v libx264 -preset ultrafast",
        &film,
    );
    let voices = folder.path().join("voices.mka");
    media::ffmpeg(
        "-f lavfi -i sine=440:d=2 -f lavfi -i sine=880:d=2 -map 0 -map 1 -metadata:s:a:0 language=eng -metadata:s:a:1 language=ger \
         -c:a aac -f matroska",
        &voices,
    );
    let fake = with(&[&film, &voices]).await;
    let choice = |audio: bool, by: ChoiceBy| TrackChoice {
        audio,
        file: None,
        by,
        each: false,
        mapping: None,
    };
    let WorkInput::Asset { place, .. } = fake.input("film.mkv") else {
        panic!();
    };
    let input = WorkInput::Asset {
        place,
        files: vec!["film.mkv".into(), "voices.mka".into()],
        selection: Selection {
            tracks: vec![
                choice(false, ChoiceBy::All),
                choice(
                    true,
                    ChoiceBy::Language {
                        language: "de".into(),
                    },
                ),
            ],
            ..Selection::default()
        },
    };
    fake.queue_with(input, vec![preset(Value::Null)]);
    let outcome = fake.finish(1).await;
    let Outcome::Finished { .. } = outcome else {
        panic!("{outcome:?}");
    };
    let names: Vec<String> = fake
        .files("out0")
        .into_keys()
        .filter(|name| name.ends_with(".mp4"))
        .collect();
    assert_eq!(
        names.iter().filter(|name| name.contains("aac_")).count(),
        1,
        "{names:?}"
    );
    assert!(
        names.iter().any(|name| name.contains("aac_ger")),
        "{names:?}"
    );
}

/// One tone a channel: what is heard says where it came from.
const TONES: [(&str, f64); 8] = [
    ("FrontLeft", 300.0),
    ("FrontRight", 500.0),
    ("Center", 700.0),
    ("LowFrequencyEffects", 60.0),
    ("BackLeft", 1100.0),
    ("BackRight", 1300.0),
    ("StereoLeft", 1700.0),
    ("StereoRight", 1900.0),
];

/// How much of `tone` is in `sound`, of all that is in it (Goertzel).
fn share(sound: &[f32], tone: f64) -> f64 {
    let turn = 2.0 * (std::f64::consts::TAU * tone / 48_000.0).cos();
    let (mut one, mut two, mut power) = (0.0, 0.0, 0.0);
    for &sample in sound {
        let sample = f64::from(sample);
        let next = sample + turn * one - two;
        (two, one) = (one, next);
        power += sample * sample;
    }
    (one * one + two * two - turn * one * two) * 2.0 / (power * sound.len() as f64).max(1e-9)
}

#[tokio::test(flavor = "multi_thread")]
async fn tracks_of_one_channel_are_put_together() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.mov");
    let mut arguments = "-f lavfi -i testsrc2=s=64x64:r=25:d=2".to_owned();
    for (_, tone) in TONES {
        arguments.push_str(&format!(" -f lavfi -i sine={tone}:d=2:r=48000"));
    }
    for input in 0..9 {
        arguments.push_str(&format!(" -map {input}"));
    }
    media::ffmpeg(
        &format!("{arguments} -c:v libx264 -preset ultrafast -c:a pcm_s16le"),
        &film,
    );
    let fake = with(&[&film]).await;
    let tracks = |channels: &[&str]| -> Vec<TrackChoice> {
        let pictures = TrackChoice {
            audio: false,
            file: None,
            by: ChoiceBy::All,
            each: false,
            mapping: None,
        };
        let sound = channels.iter().map(|channel| {
            let place = TONES.iter().position(|(name, _)| name == channel).unwrap();
            TrackChoice {
                audio: true,
                file: None,
                by: ChoiceBy::Id {
                    id: place as u64 + 2,
                },
                each: false,
                mapping: Some(Channel::ALL[place].1),
            }
        });
        std::iter::once(pictures).chain(sound).collect()
    };
    let all: Vec<&str> = TONES.iter().map(|(name, _)| *name).collect();
    let six: &[&str] = &all[..6];
    // What is asked for, and by track what is in its channels.
    let cases: [(&[&str], &[&[&str]]); 3] = [
        (
            &["FrontLeft", "FrontRight"],
            &[&["FrontLeft", "FrontRight"]],
        ),
        (&all, &[six, &["StereoLeft", "StereoRight"]]),
        // Without a centre: it is silent.
        (
            &["FrontRight", "FrontLeft", "BackLeft"],
            &[&["FrontLeft", "FrontRight", "", "", "BackLeft", ""]],
        ),
    ];
    for (asked, expected) in cases {
        let selection = Selection {
            tracks: tracks(asked),
            ..Selection::default()
        };
        let wide = json!({"@odata.type": "#Microsoft.Media.AacAudio", "bitrate": 384_000, "channels": expected[0].len()});
        let preset = muxed(json!([wide]), Value::Null);
        fake.queue_with(fake.cut_input("film.mov", selection), vec![preset]);
        let outcome = fake.finish(1).await;
        let Outcome::Finished { .. } = outcome else {
            panic!("{outcome:?}");
        };
        let files = fake.files("out0");
        save(&files, folder.path());
        let mut names: Vec<&String> = files.keys().filter(|name| name.ends_with(".mp4")).collect();
        names.sort();
        assert_eq!(names.len(), expected.len(), "{names:?}");
        // Only the first is looked at: the other is made as wide as the preset says.
        let sound = folder.path().join(names[0]);
        for (place, wanted) in expected[0].iter().enumerate() {
            let heard = media::channel(&sound, place, 48_000);
            let heard = &heard[12_000..84_000];
            for (name, tone) in TONES {
                let share = share(heard, tone);
                let power: f64 = heard.iter().map(|sample| f64::from(sample * sample)).sum();
                if name == *wanted {
                    assert!(share > 0.9, "{asked:?} {place} {name}: {share}");
                } else if wanted.is_empty() {
                    assert!(power < 1.0, "{asked:?} {place}: {power}");
                } else {
                    assert!(share < 0.05, "{asked:?} {place} {name}: {share}");
                }
            }
        }
        let mut state = fake.state.lock().unwrap();
        state.blobs.retain(|name, _| name.starts_with("in/"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_begins_late_still_does_in_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let film = flash(
        folder.path(),
        "film.mkv",
        "-c:v libx264 -preset ultrafast -bf 0 -ac 2 -c:a aac -b:a 96k",
    );
    let late = folder.path().join("late.ts");
    let from = film.display();
    media::ffmpeg(
        &format!("-i {from} -itsoffset 0.7 -i {from} -map 0:v -map 1:a -c copy"),
        &late,
    );
    let copier = with(&[&late]).await;
    copier.queue_with(
        copier.input("late.ts"),
        vec![named("CopyAllBitrateNonInterleaved")],
    );
    let copied = run(&copier).await;
    assert_eq!(copied.names(".mp4").len(), 2);
    let fake = fake(Choice::Auto).await;
    for (name, bytes) in &copied.files {
        fake.upload(name, bytes.clone());
    }
    // Sound that goes over as it is, and sound that is encoded.
    for wanted in [named("AdaptiveStreaming"), preset(Value::Null)] {
        fake.queue_with(fake.input(""), vec![wanted]);
        let made = run(&fake).await;
        assert_eq!(made.engine, "ffmpeg", "{}", made.reason);
        let files = made.names(".mp4");
        let of = |kind: &str| {
            let paths = files.iter().map(|name| made.folder.path().join(name));
            let mut found = paths.filter(|path| !stream(path, kind).is_null());
            found.next().unwrap()
        };
        assert_as_in(&late, &of("v:0"), &of("a:0"));
        clear(&fake);
    }
    fake.queue_with(
        fake.cut_input("", between(1500, 4500)),
        vec![preset(Value::Null)],
    );
    let made = run(&fake).await;
    let (video, sound) = (made.path("_v_"), made.path("aac_"));
    let seen = flashes(&video);
    let shift = sound_start(&sound);
    let heard: Vec<f64> = beeps(&sound).iter().map(|time| time + shift).collect();
    for (times, wanted) in [(&seen, [0.5, 1.5, 2.5]), (&heard, [0.2, 1.2, 2.2])] {
        assert_eq!(times.len(), 3, "{times:?}");
        for (time, wanted) in times.iter().zip(wanted) {
            assert!((time - wanted).abs() < 0.02, "{times:?}");
        }
    }
    assert!((media::packets(&video, "v:0").len() as i64 - 75).abs() <= 1);
}

/// Removes what a job has made.
fn clear(fake: &Fake) {
    let mut state = fake.state.lock().unwrap();
    state.blobs.retain(|name, _| name.starts_with("in/"));
    state.chunks.clear();
}

/// A server that gives one file, and counts who asked.
async fn web(body: Vec<u8>) -> (SocketAddr, Arc<AtomicUsize>) {
    breaking(body, 0).await
}

/// As [`web`], but the first `broken` answers end in the middle.
async fn breaking(body: Vec<u8>, broken: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let before = counted.fetch_add(1, Ordering::SeqCst);
            let body = body.clone();
            tokio::spawn(async move {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let mut request = [0; 2048];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let away = request[..read].starts_with(b"GET /away");
                let head = if away {
                    "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n".to_owned()
                } else {
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len())
                };
                let _ = stream.write_all(head.as_bytes()).await;
                let given = match before < broken {
                    true => body.len() / 2,
                    false => body.len(),
                };
                if !away {
                    let _ = stream.write_all(&body[..given]).await;
                }
            });
        }
    });
    (address, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_are_fetched_past_the_guard_and_never_from_within() {
    let folder = tempfile::tempdir().unwrap();
    let source = counted(folder.path());
    let (address, asked) = web(std::fs::read(&source).unwrap()).await;
    let http = |path: &str| WorkInput::Http {
        urls: vec![format!("http://{address}/{path}?sig=secret")],
        selection: Selection::default(),
    };
    let refused = async |guard: Guard, input: WorkInput| {
        let mut fake = fake(Choice::Auto).await;
        fake.guard = guard;
        fake.queue_with(input, vec![preset(Value::Null)]);
        match fake.finish(1).await {
            Outcome::Error(failure) => {
                assert_eq!(
                    failure.code,
                    JobErrorCode::DownloadNotAccessible,
                    "{failure:?}"
                );
                format!("{failure:?}")
            }
            other => panic!("{other:?}"),
        }
    };
    let said = refused(Guard::default(), http("counted.mkv")).await;
    assert!(
        said.contains("loopback") && !said.contains("secret"),
        "{said}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let own = || Guard::new(vec!["127.0.0.1".parse().unwrap()]);
    let said = refused(own(), http("away")).await;
    assert!(
        said.contains("link-local") && !said.contains("169.254"),
        "{said}"
    );
    for url in [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://user@127.0.0.1/",
    ] {
        let input = WorkInput::Http {
            urls: vec![url.into()],
            selection: Selection::default(),
        };
        refused(own(), input).await;
    }

    let mut fake = fake(Choice::Auto).await;
    fake.guard = own();
    fake.queue_with(http("counted.mkv"), vec![preset(Value::Null)]);
    let made = run(&fake).await;
    assert_eq!(media::packets(&made.path("_v_"), "v:0").len(), 100);
}

/// With a job whose source is at this address.
async fn fetching(address: SocketAddr) -> Fake {
    let mut fake = fake(Choice::Auto).await;
    fake.guard = Guard::new(vec!["127.0.0.1".parse().unwrap()]);
    let input = WorkInput::Http {
        urls: vec![format!("http://{address}/counted.mkv")],
        selection: Selection::default(),
    };
    fake.queue_with(input, vec![preset(Value::Null)]);
    fake
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_breaks_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let source = counted(folder.path());
    let fetched = async |broken: usize| {
        let (address, asked) = breaking(std::fs::read(&source).unwrap(), broken).await;
        let fake = fetching(address).await;
        (fake, asked)
    };
    let (fake, asked) = fetched(2).await;
    let made = run(&fake).await;
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert_eq!(media::packets(&made.path("_v_"), "v:0").len(), 100);

    let (fake, _) = fetched(usize::MAX).await;
    match fake.finish(1).await {
        Outcome::Error(failure) => {
            assert_eq!(
                failure.code,
                JobErrorCode::DownloadTransientError,
                "{failure:?}"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// A server whose answer does not come to its end, and one that has to be asked again some seconds later.
#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_cancelled_within_two_seconds() {
    let (broken, asked) = breaking(vec![7; 100_000], usize::MAX).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    for (address, busy) in [(broken, 2), (silent.local_addr().unwrap(), 0)] {
        let fake = fetching(address).await;
        // Once it waits for two seconds between its second and its third attempt, or for an answer.
        let (state, asked) = (Arc::clone(&fake.state), Arc::clone(&asked));
        let since = tokio::spawn(async move {
            while asked.load(Ordering::SeqCst) < busy || state.lock().unwrap().renewals < 1 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            state.lock().unwrap().cancel_after = Some(0);
            Instant::now()
        });
        assert_eq!(fake.finish(1).await, Outcome::Canceled);
        let took = since.await.unwrap().elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
}

const LIMITS: Limits = Limits {
    memory_bytes: 4 << 30,
    file_bytes: 1 << 20,
    cpu: Duration::from_secs(10),
    silence: Duration::from_secs(5),
};

fn child(folder: &Path, program: &str, arguments: &[&str]) -> Program {
    Program {
        path: program.into(),
        arguments: arguments
            .iter()
            .map(|&argument| argument.to_owned())
            .collect(),
        folder: folder.to_owned(),
        limits: LIMITS,
        reads: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_reaches_nobody_and_ends_when_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (address, asked) = web(b"x".to_vec()).await;
    let stop = CancellationToken::new();
    // Even one that is asked to open a URL outright.
    let url = format!("http://{address}/a.mkv");
    let ended = child(
        folder.path(),
        "/usr/bin/ffmpeg",
        &["-v", "error", "-i", &url, "-f", "null", "-"],
    )
    .run(&stop, None)
    .await;
    assert!(
        matches!(&ended, Ended::Failed { stderr, .. } if !stderr.is_empty()),
        "{ended:?}"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    // Nothing of the worker's environment, no file that is too large.
    let Ended::Done { stdout, .. } = child(folder.path(), "/usr/bin/env", &[])
        .run(&stop, None)
        .await
    else {
        panic!();
    };
    let told = String::from_utf8_lossy(&stdout).into_owned();
    assert!(
        !told.contains("PATH=") && told.lines().count() == 3,
        "{told}"
    );
    let ended = child(
        folder.path(),
        "/bin/dd",
        &["if=/dev/zero", "of=large", "bs=1M", "count=3"],
    )
    .run(&stop, None)
    .await;
    assert!(matches!(ended, Ended::Failed { .. }), "{ended:?}");
    // With everything that it started.
    let (later, started) = (stop.clone(), Instant::now());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        later.cancel();
    });
    let script = "sleep 60 & sleep 60";
    let ended = child(folder.path(), "/bin/sh", &["-c", script])
        .run(&stop, None)
        .await;
    assert!(matches!(ended, Ended::Stopped), "{ended:?}");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_talks_and_gets_nowhere_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    // On a machine that is busy a script of ten lines a second may say nothing for a second or two.
    let silence = Duration::from_secs(4);
    let run = async |report: &str, times: usize| {
        let script =
            format!("n=0; while [ $n -lt {times} ]; do n=$((n+1)); {report}; sleep 0.1; done");
        let mut program = child(folder.path(), "/bin/sh", &["-c", &script]);
        program.limits.silence = silence;
        program.run_counted(&stop, &mut |_| ()).await
    };
    for stuck in [
        "echo out_time_us=40000; echo progress=continue",
        "echo fps=$n; echo frame=0; echo out_time_us=N/A",
        "true",
    ] {
        // A minute and more, if it is let.
        let began = Instant::now();
        let ended = run(stuck, 600).await;
        assert!(matches!(ended, Ended::Silent { .. }), "{stuck}: {ended:?}");
        assert!(
            began.elapsed() < silence + Duration::from_secs(30),
            "{stuck}"
        );
    }
    for moving in [
        "echo frame=$n",
        "echo total_size=${n}000",
        "echo out_time_us=$n",
    ] {
        // Longer than the silence that it may not keep.
        let ended = run(moving, 50).await;
        assert!(matches!(ended, Ended::Done { .. }), "{moving}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_reads_its_source_and_no_other_file() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stop = CancellationToken::new();
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "token").unwrap();
    std::os::unix::fs::symlink(&secret, folder.path().join("in9")).unwrap();
    let cat = |path: &Path, reads: Vec<std::path::PathBuf>| Program {
        reads,
        ..child(folder.path(), "/bin/cat", &[path.to_str().unwrap()])
    };
    // What it was given, wherever that lies.
    let ended = cat(&secret, vec![secret.clone()]).run(&stop, None).await;
    assert!(matches!(&ended, Ended::Done { stdout, .. } if stdout == b"token"));
    match headwater_transcoder::ffmpeg::landlock::version() {
        Ok(_) => {}
        Err(error) => {
            println!("this kernel has no Landlock ({error}): files are not held against it");
            return;
        }
    }
    for path in [
        secret.clone(),
        folder.path().join("in9"),
        "/etc/passwd".into(),
    ] {
        let ended = cat(&path, vec![]).run(&stop, None).await;
        let refused =
            matches!(&ended, Ended::Failed { stderr, .. } if stderr.contains("Permission denied"));
        assert!(refused, "{path:?} {ended:?}");
    }
    // Nor does it write there.
    let planted = outside.path().join("planted");
    let ended = child(
        folder.path(),
        "/bin/cp",
        &["/dev/null", planted.to_str().unwrap()],
    )
    .run(&stop, None)
    .await;
    assert!(matches!(ended, Ended::Failed { .. }), "{ended:?}");
    assert!(!planted.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_ffmpeg_takes_effect_within_two_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("long.mkv");
    media::ffmpeg(
        "-f lavfi -i testsrc2=s=640x360:r=25:d=40 -c:v libx264 -preset ultrafast",
        &source,
    );
    let fake = with(&[&source]).await;
    fake.state.lock().unwrap().cancel_on_progress = true;
    fake.queue_with(fake.input("long.mkv"), vec![named("H265SingleBitrate720p")]);
    let asked = std::sync::Mutex::new(None);
    fake.finish_or(2, |state| {
        // Once ffmpeg is at work.
        if state.progress.iter().any(|&percent| percent > 0) {
            asked.lock().unwrap().get_or_insert_with(Instant::now);
        }
        !state.outcomes.is_empty()
    })
    .await;
    let took = asked.lock().unwrap().unwrap().elapsed();
    assert_eq!(fake.state.lock().unwrap().outcomes, [Outcome::Canceled]);
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(fake.files("out0").is_empty());
}
