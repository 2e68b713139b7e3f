//! Jobs that take longer than the signatures of their claim last.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::jobs::{self, aac, small, standard};
use crate::support::{Fake, media};
use headwater_transcoder::auto::Choice;
use headwater_work::{JobErrorCode, Outcome};
use serde_json::{Value, json};

/// Of a signature.
const LASTS: Duration = Duration::from_secs(3);

fn film(folder: &Path, seconds: u32) -> PathBuf {
    let path = folder.join("film.mp4");
    let sources = format!(
        "-f lavfi -i testsrc2=s=320x180:r=25:d={seconds} -f lavfi -i sine=440:d={seconds} -pix_fmt yuv420p \
         -c:v libx264 -preset ultrafast -g 50 -c:a aac"
    );
    media::ffmpeg(&sources, &path);
    path
}

async fn fake(engine: Choice, film: &Path, preset: Value) -> Fake {
    let fake = jobs::fake(engine).await;
    fake.upload("film.mp4", std::fs::read(film).unwrap());
    fake.queue_with(fake.input("film.mp4"), vec![preset]);
    fake
}

/// Where storage is slow enough for signatures to lapse before all is written.
fn lapsing(fake: &Fake, signs_once: bool) {
    let mut state = fake.state.lock().unwrap();
    state.signatures_last = Some(LASTS);
    state.signs_once = signs_once;
    state.slow = LASTS / 2;
}

async fn outlives_its_signatures(engine: Choice, seconds: u32, preset: &Value) {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path(), seconds);
    let quick = fake(engine, &film, preset.clone()).await;
    let outcome = quick.finish(1).await;
    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");

    let slow = fake(engine, &film, preset.clone()).await;
    lapsing(&slow, false);
    let started = Instant::now();
    let outlived = slow.finish_within(1, LASTS / 10).await;
    assert!(started.elapsed() > LASTS);
    assert_eq!(outlived, outcome);
    assert!(slow.files("out0") == quick.files("out0"));
    assert!(slow.state.lock().unwrap().asked_to_sign > 1);
}

fn in_one_piece() -> Value {
    standard(json!([aac(), small("H264Video")]), Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_in_one_piece_outlives_its_signatures() {
    outlives_its_signatures(Choice::Ffmpeg, 6, &in_one_piece()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_in_chunks_is_not_given_back_where_signatures_are_replaced() {
    outlives_its_signatures(Choice::BuiltIn, 30, &jobs::named("H264SingleBitrateSD")).await;
}

/// As those of the tests above would end.
#[tokio::test(flavor = "multi_thread")]
async fn signatures_lapse_where_they_are_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path(), 6);
    let old = fake(Choice::Ffmpeg, &film, in_one_piece()).await;
    lapsing(&old, true);
    let outcome = old.finish_within(1, LASTS / 10).await;
    let Outcome::Error(failure) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(failure.code, JobErrorCode::UploadNotAccessible);
    // It is asked again, but not all the time.
    assert_eq!(old.state.lock().unwrap().asked_to_sign, 1);
}
