//! The ffmpeg engine in chunks: workers that come and go, seams that are not seen, and reasons for making it in one piece.

use std::path::{Path, PathBuf};

use crate::support::jobs::{aac, assert_as_in, fake, keys, small, standard};
use crate::support::{Fake, media, save};
use headwater_transcoder::auto::Choice;
use headwater_work::{Outcome, Selection};
use serde_json::{Value, json};

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

/// 44 seconds with sound, of pictures at the times that `filters` leave; `rate` frames a second before that.
fn moving(folder: &Path, rate: &str, filters: &str) -> PathBuf {
    let path = folder.join("film.mkv");
    let video = format!("testsrc2=s=160x90:r={rate}:d=44{filters}");
    let status = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", &video])
        .args("-f lavfi -i sine=1000:d=44:r=48000 -fps_mode vfr".split(' '))
        .args("-c:v libx264 -preset veryfast -g 170 -bf 3 -x264-params open-gop=1".split(' '))
        .args(["-c:a", "aac"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    path
}

/// Encodes `film` with `codec` in chunks and in one piece, and holds both against each other and the source.
async fn joins_like_one_piece(film: &Path, codec: &str) {
    let layers = json!([{"width": 128, "height": 72, "bitrate": 300_000, "label": "small"},
                        {"width": 64, "height": 36, "bitrate": 80_000, "label": "tiny"}]);
    let video = json!({"@odata.type": format!("#Microsoft.Media.{codec}Video"), "complexity": "Speed",
                       "layers": layers});
    let folder = tempfile::tempdir().unwrap();
    let mut made = Vec::new();
    // Whatever fades is made in one piece: here but for its last picture.
    let fade =
        json!({"fadeOut": {"start": "PT43.99S", "duration": "PT0.01S", "fadeColor": "black"}});
    for (how, filters) in [("in 2 chunks", Value::Null), ("in one piece", fade)] {
        let fake = with(film).await;
        let preset = standard(json!([aac(), video.clone()]), filters);
        fake.queue_with(fake.input("film.mkv"), vec![preset]);
        let outcome = fake.finish(2).await;
        assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
        assert!(reason(&fake).contains(how), "{codec}: {}", reason(&fake));
        let inside = folder.path().join(how.replace(' ', "_"));
        std::fs::create_dir(&inside).unwrap();
        let files = fake.files("out0");
        save(&files, &inside);
        let path = |part: &str| {
            let mut found = files.keys().filter(|name| name.contains(part));
            inside.join(found.find(|name| !name.starts_with('.')).unwrap())
        };
        made.push((path("small"), path("tiny"), path("aac_")));
    }
    let (chunked, whole) = (&made[0], &made[1]);
    let own = media::packets(film, "v:0");
    for (chunked, whole) in [(&chunked.0, &whole.0), (&chunked.1, &whole.1)] {
        let (parts, one) = (media::packets(chunked, "v:0"), media::packets(whole, "v:0"));
        assert_eq!(parts.len(), own.len(), "{codec}");
        assert_eq!(one.len(), own.len(), "{codec}");
        for (at, ((parts, one), own)) in parts.iter().zip(&one).zip(&own).enumerate() {
            assert!(
                (parts.pts - one.pts).abs() < 0.0015,
                "{codec}: {parts:?} {one:?}"
            );
            // What is first on screen is so from the start.
            assert!(
                at == 0 || (parts.pts - own.pts).abs() < 0.0015,
                "{codec}: {parts:?} {own:?}"
            );
            assert_eq!(parts.key, one.key, "{codec}: {parts:?} {one:?}");
        }
        assert_eq!(media::frame_sums(chunked).len(), own.len(), "{codec}");
        // Picture by picture the same: at a seam, one that is missing or comes twice would move all others.
        let alike = media::ssim(chunked, whole);
        assert!(alike > 0.9, "{codec}: {alike}");
    }
    assert_eq!(keys(&chunked.0), keys(&chunked.1));
    // Sound is one piece in both.
    let times = |file: &Path| -> Vec<f64> {
        let packets = media::packets(file, "a:0").into_iter();
        packets.map(|packet| packet.pts).collect()
    };
    assert_eq!(times(&chunked.2), times(&whole.2));
}

const STEADY: &str = "";
/// Two seconds of every picture, two seconds of every third.
const UNSTEADY: &str = ",select='lt(mod(t\\,4)\\,2)+not(mod(n\\,3))'";

#[tokio::test(flavor = "multi_thread")]
async fn chunks_of_x264_join_like_one_piece() {
    for (rate, filters) in [("25", STEADY), ("30000/1001", STEADY), ("25", UNSTEADY)] {
        let folder = tempfile::tempdir().unwrap();
        joins_like_one_piece(&moving(folder.path(), rate, filters), "H264").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_of_x265_join_like_one_piece() {
    for (rate, filters) in [("30000/1001", STEADY), ("25", UNSTEADY)] {
        let folder = tempfile::tempdir().unwrap();
        joins_like_one_piece(&moving(folder.path(), rate, filters), "H265").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_of_av1_join_like_one_piece() {
    let folder = tempfile::tempdir().unwrap();
    let film = moving(folder.path(), "30000/1001", STEADY);
    joins_like_one_piece(&film, "AV1").await;
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
    torn.queue_with(torn.input("film.mkv"), vec![preset()]);
    assert!(matches!(torn.finish(2).await, Outcome::Finished { .. }));
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
        // What is first on screen is so from the start.
        for (own, made) in own.iter().zip(&frames).skip(1) {
            assert!((own.pts - made.pts).abs() < 0.0015, "{own:?} {made:?}");
        }
        // Every picture can be decoded, across the seams too.
        assert_eq!(media::frame_sums(file).len(), own.len());
    }
    assert_eq!(keys(&large), keys(&tiny));
    assert_eq!(keys(&large).len(), 25);
    assert_as_in(&film, &large, &sound);
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
    let mut names = files.keys().filter(|name| name.contains("small"));
    let name = names.find(|name| !name.starts_with('.')).unwrap();
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
