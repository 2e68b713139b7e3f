//! Several workers make one job: what comes of it is what one alone would have made, and a helper that falls costs nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::jobs::{aac, small, standard};
use crate::support::{Fake, media};
use headwater_transcoder::CancellationToken;
use headwater_transcoder::auto::Choice;
use headwater_work::Outcome;
use serde_json::{Value, json};

/// Two minutes of pictures in long groups, with sound.
fn long_source() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.mp4");
    media::ffmpeg(
        "-f lavfi -i testsrc2=s=320x180:r=25:d=120 -f lavfi -i sine=440:d=120 -pix_fmt yuv420p -c:v libx264 -preset ultrafast \
         -g 120 -c:a aac -b:a 192k",
        &path,
    );
    std::fs::read(path).unwrap()
}

async fn fake(engine: Choice, source: &[u8], preset: &Value) -> Fake {
    let mut fake = Fake::start().await;
    fake.engine = engine;
    fake.upload("film.mp4", source.to_vec());
    fake.queue_with(fake.input("film.mp4"), vec![preset.clone()]);
    fake
}

/// Runs `count` workers until there is an outcome.
async fn finish_among(fake: &Fake, count: usize) -> Outcome {
    let stop = CancellationToken::new();
    fake.state.lock().unwrap().sharing.crew = count;
    let workers: Vec<_> = (0..count)
        .map(|worker| {
            let mut config = fake.config(1);
            config.name = format!("worker-{worker}");
            tokio::spawn(headwater_transcoder::run(config, stop.clone()))
        })
        .collect();
    while fake.state.lock().unwrap().outcomes.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    fake.state.lock().unwrap().outcomes.remove(0)
}

/// The workers that made something of it.
fn hands(fake: &Fake) -> BTreeSet<String> {
    let state = fake.state.lock().unwrap();
    let leases = state.sharing.made_by.values();
    leases
        .map(|lease| state.sharing.workers[lease].clone())
        .collect()
}

fn adaptive() -> Value {
    json!({"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": "AdaptiveStreaming"})
}

async fn makes_the_same_among_three(engine: Choice, preset: &Value) {
    let source = long_source();
    let alone = fake(engine, &source, preset).await;
    let outcome = alone.finish(2).await;
    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");

    let together = fake(engine, &source, preset).await;
    let among = finish_among(&together, 3).await;
    assert_eq!(among, outcome);
    let (one, many) = (alone.files("out0"), together.files("out0"));
    assert!(one.keys().eq(many.keys()), "{:?}", many.keys());
    for (name, bytes) in &one {
        assert!(many[name] == *bytes, "{name} differs");
    }
    let hands = hands(&together);
    assert_eq!(hands.len(), 3, "made by {hands:?}");
    let state = together.state.lock().unwrap();
    assert!(state.progress.is_sorted(), "{:?}", state.progress);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_workers_make_what_one_makes() {
    makes_the_same_among_three(Choice::BuiltIn, &adaptive()).await;
}

/// With one thread a chunk is made on it, with two a chunk on each as long as there are enough, with six a rendition on each.
#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_threads_changes_no_byte() {
    let source = long_source();
    let mut made = Vec::new();
    for threads in [1, 2, 6] {
        let fake = fake(Choice::BuiltIn, &source, &adaptive()).await;
        let outcome = fake.finish(threads).await;
        assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
        made.push(fake.files("out0"));
    }
    for other in &made[1..] {
        assert!(made[0] == *other);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_workers_with_ffmpeg_make_what_one_makes() {
    let preset = standard(json!([aac(), small("H264Video")]), Value::Null);
    makes_the_same_among_three(Choice::Ffmpeg, &preset).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_that_falls_costs_nothing_and_changes_no_byte() {
    let source = long_source();
    let alone = fake(Choice::BuiltIn, &source, &adaptive()).await;
    let outcome = alone.finish(2).await;

    let torn = fake(Choice::BuiltIn, &source, &adaptive()).await;
    // However fast the holder is, the helper gets its share.
    torn.state.lock().unwrap().sharing.crew = 2;
    let (stop_helper, stop) = (CancellationToken::new(), CancellationToken::new());
    let holder = tokio::spawn(headwater_transcoder::run(torn.config(1), stop.clone()));
    while torn.state.lock().unwrap().sharing.shares.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut config = torn.config(1);
    config.name = "helper".into();
    let helper = tokio::spawn(headwater_transcoder::run(config, stop_helper.clone()));
    let reported = |fake: &Fake| {
        let state = fake.state.lock().unwrap();
        state
            .sharing
            .made_by
            .values()
            .any(|hand| hand.starts_with("helper"))
    };
    while !reported(&torn) {
        assert!(
            torn.state.lock().unwrap().outcomes.is_empty(),
            "over before it was helped"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Its lease lapses: it is told so when it renews, and stages nothing over what others make.
    torn.state.lock().unwrap().sharing.helpers.clear();
    stop_helper.cancel();
    helper.await.unwrap().unwrap();
    while torn.state.lock().unwrap().outcomes.is_empty() {
        assert!(!holder.is_finished());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    holder.await.unwrap().unwrap();
    assert_eq!(torn.state.lock().unwrap().outcomes.remove(0), outcome);
    assert!(torn.files("out0") == alone.files("out0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_falls_leaves_what_helpers_made() {
    let source = long_source();
    let alone = fake(Choice::BuiltIn, &source, &adaptive()).await;
    let outcome = alone.finish(2).await;

    let torn = fake(Choice::BuiltIn, &source, &adaptive()).await;
    torn.state.lock().unwrap().lose_lease_after = Some(4);
    let stop = CancellationToken::new();
    let workers: Vec<_> = (0..2)
        .map(|_| tokio::spawn(headwater_transcoder::run(torn.config(1), stop.clone())))
        .collect();
    while torn.state.lock().unwrap().lose_lease_after.is_some() {
        assert!(
            torn.state.lock().unwrap().outcomes.is_empty(),
            "over too soon"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    torn.queue_with(torn.input("film.mp4"), vec![adaptive()]);
    while torn.state.lock().unwrap().outcomes.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    assert_eq!(torn.state.lock().unwrap().outcomes.remove(0), outcome);
    assert!(torn.files("out0") == alone.files("out0"));
    let state = torn.state.lock().unwrap();
    let by_the_first = state
        .sharing
        .made_by
        .values()
        .filter(|hand| *hand == "lease-1");
    assert!(by_the_first.count() > 0, "{:?}", state.sharing.made_by);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_that_knows_of_no_helpers_is_no_hindrance() {
    let fake = fake(Choice::BuiltIn, &long_source(), &adaptive()).await;
    fake.state.lock().unwrap().sharing.unknown = true;
    let outcome = finish_among(&fake, 2).await;
    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
    assert_eq!(fake.state.lock().unwrap().sharing.let_in, 0);
}
