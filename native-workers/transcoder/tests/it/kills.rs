//! A worker that is killed, whatever it did last: the next one makes the same bytes, and makes again only what was begun.

use std::time::Duration;

use crate::support::jobs::{aac, fake, named, standard};
use crate::support::{Change, Fake, media};
use headwater_transcoder::auto::Choice;
use headwater_work::Outcome;
use serde_json::{Value, json};

/// What is left takes as long as the whole at most, of a few seconds.
const LONGEST: Duration = Duration::from_secs(120);

/// Blocks of a chunk, of two renditions and sound. Some may have been stored before the last report, which was of others.
const CHUNK_BLOCKS: usize = 3;

/// Sound and two renditions of 128x72 pixels and fewer.
fn ladder() -> Value {
    let video = json!({"@odata.type": "#Microsoft.Media.H264Video", "complexity": "Speed",
        "layers": [{"width": 128, "height": 72, "bitrate": 300_000, "label": "small"},
                   {"width": 64, "height": 36, "bitrate": 80_000, "label": "tiny"}]});
    standard(json!([aac(), video]), Value::Null)
}

async fn queued(engine: Choice, film: &[u8], preset: &Value) -> Fake {
    let fake = fake(engine).await;
    fake.upload("film.mp4", film.to_vec());
    if matches!(engine, Choice::BuiltIn) {
        // Else it is done before it has reported anything.
        fake.state.lock().unwrap().slow = Duration::from_millis(200);
    }
    fake.queue_with(fake.input("film.mp4"), vec![preset.clone()]);
    fake
}

/// Kills a worker after each change that a whole job makes, in turn: a job of `seconds` of film in `size`, with so many pictures a
/// second, long enough for three chunks, the last of which is not reported, as the job is done with it.
async fn killed_after_each_change(
    engine: Choice,
    preset: Value,
    (size, rate): (&str, u32),
    seconds: u32,
) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    media::ffmpeg(
        &format!(
            "-f lavfi -i testsrc2=s={size}:r={rate}:d={seconds} -f lavfi -i sine=440:d={seconds} -pix_fmt yuv420p -c:v libx264 \
             -preset ultrafast -g {} -ac 2 -c:a aac -b:a 96k",
            2 * rate
        ),
        &path,
    );
    let film = std::fs::read(path).unwrap();
    let whole = queued(engine, &film, &preset).await;
    let outcome = whole.finish(1).await;
    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
    let (files, journal, blocks) = {
        let files = whole.files("out0");
        let state = whole.state.lock().unwrap();
        (files, state.journal.clone(), state.blocks_put)
    };
    // A worker reports what it has done when it renews its lease.
    let reports = |change: &Change| matches!(change, Change::Chunks(_));
    assert!(journal.iter().any(reports), "{journal:?}");
    println!("{journal:?}");
    let mut kills = 0;
    for after in 1.. {
        let torn = queued(engine, &film, &preset).await;
        torn.state.lock().unwrap().kill_after = Some(after);
        if !torn.killed(1).await {
            // What is done at the same time is done in any order, and may be one more change or one fewer.
            break;
        }
        kills += 1;
        let begun = {
            let state = torn.state.lock().unwrap();
            assert!(state.outcomes.is_empty(), "after {after}");
            let blocks = state.journal.iter().rev();
            blocks
                .take_while(|change| !reports(change))
                .filter(|change| **change == Change::Block)
                .count()
        };
        torn.queue_with(torn.input("film.mp4"), vec![preset.clone()]);
        let outcome = tokio::time::timeout(LONGEST, torn.finish(1)).await;
        let outcome = outcome.unwrap_or_else(|_| panic!("after {after}: no end"));
        assert!(
            matches!(outcome, Outcome::Finished { .. }),
            "after {after}: {outcome:?}"
        );
        assert!(torn.files("out0") == files, "after {after}: other bytes");
        let made = torn.state.lock().unwrap().blocks_put;
        println!(
            "after {after}: {begun} blocks begun, {} made again",
            made - blocks
        );
        assert!(
            made <= blocks + begun + CHUNK_BLOCKS,
            "after {after}: {made} blocks"
        );
    }
    // How many reports there are is a matter of pace: two chunks may be told in one.
    let reported = journal.iter().filter(|change| reports(change)).count();
    assert!(
        kills + 2 + reported >= journal.len(),
        "{kills} kills: {journal:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_engine_is_killed_after_each_change() {
    killed_after_each_change(
        Choice::BuiltIn,
        named("AdaptiveStreaming"),
        ("320x180", 25),
        36,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ffmpeg_engine_is_killed_after_each_change() {
    killed_after_each_change(Choice::Ffmpeg, ladder(), ("128x72", 5), 66).await;
}

/// The tracks of its files are put together where the worker is, and lie in storage until the job is known to be over.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_puts_tracks_together_is_killed_after_each_change() {
    let mut preset = ladder();
    preset["codecs"][0]["label"] = json!("sound");
    preset["formats"] = json!([{
        "@odata.type": "#Microsoft.Media.Mp4Format",
        "filenamePattern": "{Basename}_{Label}{Extension}",
        "outputFiles": [{"labels": ["small", "sound"]}, {"labels": ["tiny", "sound"]}],
    }]);
    killed_after_each_change(Choice::Ffmpeg, preset, ("128x72", 5), 66).await;
}
