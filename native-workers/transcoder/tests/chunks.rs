//! The ffmpeg engine in chunks: workers that come and go, seams that are not seen, and reasons for making it in one piece.

mod support;

use std::path::{Path, PathBuf};

use headwater_transcoder::auto::Choice;
use headwater_work::{Outcome, Selection};
use serde_json::{Value, json};
use support::jobs::{aac, assert_in_step, fake, keys, small, standard};
use support::{Fake, media, save};

/// A minute with a flash and a beep every second, at an odd frame rate, in groups of pictures of any length.
fn source(folder: &Path) -> PathBuf {
    let path = folder.join("film.mkv");
    let video = "color=black:s=160x90:r=30000/1001:d=50,geq=lum='if(lt(mod(T\\,1)\\,0.099)\\,235\\,16+mod(N\\,64))':cb=128:cr=128";
    let sound = "sine=1000:d=50:r=48000,volume='if(lt(mod(t\\,1)\\,0.1)\\,1\\,0)':eval=frame";
    let status = std::process::Command::new("ffmpeg")
        .args([
            "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", video, "-f", "lavfi", "-i", sound,
        ])
        .args("-c:v libx264 -preset veryfast -g 170 -bf 2 -c:a libvorbis".split(' '))
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    path
}

fn preset() -> Value {
    standard(json!([aac(), small("H264Video")]), Value::Null)
}

async fn with(source: &Path) -> Fake {
    let fake = fake(Choice::Ffmpeg).await;
    fake.upload("film.mkv", std::fs::read(source).unwrap());
    fake
}

fn reason(fake: &Fake) -> String {
    fake.state
        .lock()
        .unwrap()
        .engines
        .last()
        .unwrap()
        .reason
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_worker_costs_a_chunk_and_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let film = source(folder.path());
    let whole = with(&film).await;
    whole.queue_with(whole.input("film.mkv"), vec![preset()]);
    let outcome = whole.finish(2).await;
    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
    assert!(reason(&whole).contains("in 2 chunks"), "{}", reason(&whole));

    // The first worker loses its lease with one chunk made; the second has other threads.
    let torn = with(&film).await;
    torn.state.lock().unwrap().lose_lease_after = Some(1);
    torn.queue_with(torn.input("film.mkv"), vec![preset()]);
    torn.finish_or(1, |state| {
        !state.chunks.is_empty() && state.lose_lease_after.is_none()
    })
    .await;
    assert!(torn.files("out0").is_empty());
    let made = torn.state.lock().unwrap().chunks.len();
    torn.queue_with(torn.input("film.mkv"), vec![preset()]);
    assert!(matches!(torn.finish(2).await, Outcome::Finished { .. }));
    if made == 1 {
        assert_eq!(torn.state.lock().unwrap().chunks.len(), 2, "made again");
    }
    assert!(whole.files("out0") == torn.files("out0"));

    let files = whole.files("out0");
    save(&files, folder.path());
    let path = |part: &str| {
        let mut found = files.keys().filter(|name| name.contains(part));
        let name = found.find(|name| !name.starts_with('.')).unwrap();
        folder.path().join(name)
    };
    let (large, tiny, sound) = (path("small"), path("tiny"), path("aac_"));
    let own = media::packets(&film, "v:0");
    for file in [&large, &tiny] {
        let frames = media::packets(file, "v:0");
        assert_eq!(frames.len(), own.len());
        for (own, made) in own.iter().zip(&frames) {
            assert!((own.pts - made.pts).abs() < 0.0015, "{own:?} {made:?}");
        }
        // Every picture can be decoded, across the seams too.
        assert_eq!(media::frame_sums(file).len(), own.len());
    }
    assert_eq!(keys(&large), keys(&tiny));
    assert_eq!(keys(&large).len(), 25);
    assert_in_step(&large, &sound, "chunks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_in_chunks_has_exactly_its_frames() {
    let folder = tempfile::tempdir().unwrap();
    let film = source(folder.path());
    let fake = with(&film).await;
    let selection = Selection {
        start_ms: Some(3_500),
        end_ms: Some(47_000),
        ..Selection::default()
    };
    let video = standard(json!([small("H265Video")]), Value::Null);
    fake.queue_with(fake.cut_input("film.mkv", selection), vec![video]);
    let outcome = fake.finish(2).await;
    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
    assert!(reason(&fake).contains("in 2 chunks"), "{}", reason(&fake));
    let files = fake.files("out0");
    save(&files, folder.path());
    let name = files.keys().find(|name| name.contains("small")).unwrap();
    let expected: Vec<f64> = media::packets(&film, "v:0")
        .iter()
        .map(|packet| packet.pts - 3.5)
        .filter(|time| (0.0..43.5).contains(time))
        .collect();
    let made = media::packets(&folder.path().join(name), "v:0");
    assert_eq!(made.len(), expected.len());
    for (made, expected) in made.iter().zip(&expected).skip(1) {
        assert!((made.pts - expected).abs() < 0.0015, "{made:?} {expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_whole_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let film = source(folder.path());
    let fake = with(&film).await;
    let fading = standard(
        json!([small("H264Video")]),
        json!({"fadeIn": {"duration": "PT1S", "fadeColor": "black"}}),
    );
    let short = Selection {
        end_ms: Some(3_000),
        ..Selection::default()
    };
    for (selection, preset, says) in [
        (Selection::default(), fading, "it fades"),
        (short, preset(), "it is short"),
    ] {
        fake.queue_with(fake.cut_input("film.mkv", selection), vec![preset]);
        let outcome = fake.finish(2).await;
        assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
        let reason = reason(&fake);
        assert!(
            reason.contains(&format!("in one piece: {says}")),
            "{reason}"
        );
    }
}
