//! What goes wrong: workers that vanish, storage that is busy, owners who change their mind, files that are no media.

use std::time::{Duration, Instant};

use crate::support::{Fake, media, shared_media};
use headwater_transcoder::auto::Choice;
use headwater_work::{JobErrorCode, Outcome};

/// What a block takes to be stored, of which a job of [`long_source`] has more than a dozen, one after the other: it is under way
/// for seconds, on a machine that encodes in no time as well.
const UNHURRIED: Duration = Duration::from_millis(400);

fn long_source() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.mp4");
    media::ffmpeg(
        "-f lavfi -i testsrc2=s=320x180:r=25:d=70 -f lavfi -i sine=440:d=70 -pix_fmt yuv420p -c:v libx264 -preset ultrafast \
         -g 120 -c:a aac -b:a 192k",
        &path,
    );
    std::fs::read(path).unwrap()
}

/// The media of an output: without the indexes, which hold the entity tags of the store.
fn media_of(fake: &Fake) -> Vec<(String, bytes::Bytes)> {
    fake.files("out0").into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_worker_costs_nothing_and_changes_no_byte() {
    let source = long_source();
    let whole = Fake::start().await;
    whole.upload("film.mp4", source.clone());
    whole.queue("film.mp4", &["AdaptiveStreaming"]);
    assert!(matches!(whole.finish(2).await, Outcome::Finished { .. }));
    let blocks = whole.state.lock().unwrap().blocks_put;
    assert!(whole.state.lock().unwrap().progress.is_sorted());

    let torn = Fake::start().await;
    torn.upload("film.mp4", source);
    torn.state.lock().unwrap().lose_lease_after = Some(2);
    torn.queue("film.mp4", &["AdaptiveStreaming"]);
    // The first worker loses its lease, says nothing any more and asks for other work.
    torn.finish_or(1, |state| {
        state.chunks.len() >= 2 && state.lose_lease_after.is_none()
    })
    .await;
    assert!(torn.state.lock().unwrap().outcomes.is_empty());
    assert!(torn.files("out0").is_empty());
    torn.state.lock().unwrap().busy = 3;
    let before = torn.state.lock().unwrap().blocks_put;
    torn.queue("film.mp4", &["AdaptiveStreaming"]);
    assert!(matches!(torn.finish(2).await, Outcome::Finished { .. }));
    let after = torn.state.lock().unwrap().blocks_put - before;
    assert!(after < blocks, "{after} of {blocks} blocks were made again");
    assert!(media_of(&whole) == media_of(&torn));
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_gives_the_job_back_and_the_next_worker_goes_on() {
    let fake = Fake::start().await;
    fake.upload("film.mp4", long_source());
    fake.state.lock().unwrap().slow = UNHURRIED;
    fake.queue("film.mp4", &["AdaptiveStreaming"]);
    fake.finish_or(1, |state| !state.chunks.is_empty()).await;
    assert_eq!(
        fake.state.lock().unwrap().outcomes.pop(),
        Some(Outcome::Canceled)
    );
    fake.state.lock().unwrap().slow = Duration::ZERO;
    fake.queue("film.mp4", &["AdaptiveStreaming"]);
    assert!(matches!(fake.finish(2).await, Outcome::Finished { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_claim_without_fresh_signatures_is_given_back_with_its_chunks_finished() {
    let source = long_source();
    let whole = Fake::start().await;
    whole.upload("film.mp4", source.clone());
    whole.queue("film.mp4", &["AdaptiveStreaming"]);
    assert!(matches!(whole.finish(1).await, Outcome::Finished { .. }));

    let fake = Fake::start().await;
    fake.upload("film.mp4", source);
    fake.state.lock().unwrap().signs_once = true;
    fake.state.lock().unwrap().slow = Duration::from_millis(50);
    let mut claims = 0;
    let outcome = loop {
        claims += 1;
        fake.queue("film.mp4", &["AdaptiveStreaming"]);
        let outcome = fake
            .finish_within(1, Duration::from_millis(300) * claims)
            .await;
        if outcome != Outcome::Canceled {
            break outcome;
        }
    };
    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
    assert!(claims > 1);
    // What was begun was finished and reported: nothing was made twice.
    let blocks = |fake: &Fake| fake.state.lock().unwrap().blocks_put;
    assert_eq!(blocks(&fake), blocks(&whole));
    assert!(media_of(&whole) == media_of(&fake));
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_takes_effect_within_two_seconds() {
    let fake = Fake::start().await;
    fake.upload("film.mp4", long_source());
    {
        let mut state = fake.state.lock().unwrap();
        (state.cancel_after, state.slow) = (Some(1), UNHURRIED);
    }
    fake.queue("film.mp4", &["AdaptiveStreaming"]);
    let asked = std::sync::Mutex::new(None);
    fake.finish_or(1, |state| {
        if state.blocks_put >= 1 {
            asked.lock().unwrap().get_or_insert_with(Instant::now);
        }
        !state.outcomes.is_empty()
    })
    .await;
    let took = asked.lock().unwrap().unwrap().elapsed();
    assert_eq!(fake.state.lock().unwrap().outcomes, [Outcome::Canceled]);
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(fake.files("out0").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_refused_ends_the_job() {
    let fake = Fake::start().await;
    fake.upload("film.mp4", long_source());
    {
        let mut state = fake.state.lock().unwrap();
        (state.refuse_chunks, state.slow) = (true, UNHURRIED);
    }
    fake.queue("film.mp4", &["AdaptiveStreaming"]);
    let started = Instant::now();
    let outcome = fake.finish(1).await;
    assert!(
        matches!(&outcome, Outcome::Error(failure) if failure.code == JobErrorCode::ServiceError),
        "{outcome:?}"
    );
    // Not with the lease, which would have lapsed after 15 seconds without a word.
    println!("after {:?}", started.elapsed());
}

async fn failure(name: &str, bytes: Vec<u8>, preset: &str) -> (JobErrorCode, String) {
    let fake = Fake::start().await;
    fake.upload(name, bytes);
    fake.queue(name, &[preset]);
    match fake.finish(1).await {
        Outcome::Error(failure) => (failure.code, failure.message),
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_encoded_says_why() {
    use JobErrorCode::{ConfigurationUnsupported, ContentMalformed, ContentUnsupported};
    let folder = tempfile::tempdir().unwrap();
    let generated = |arguments: &str| {
        let path = folder.path().join("source.mp4");
        media::ffmpeg(arguments, &path);
        std::fs::read(path).unwrap()
    };
    let good = std::fs::read(shared_media().join("bigbuckbunny.mp4")).unwrap();
    let webm = std::fs::read(shared_media().join("echo-hereweare.webm")).unwrap();
    let pattern = "-f lavfi -i testsrc2=s=320x180:r=25:d=1 -c:v libx264";
    let mut huge_box = good[..40].to_vec();
    huge_box.extend_from_slice(&[0, 0, 0, 1]);
    huge_box.extend_from_slice(b"moov");
    huge_box.extend_from_slice(&(1_u64 << 63).to_be_bytes());
    for (name, bytes, code, words) in [
        (
            "echo.webm",
            webm.clone(),
            ContentUnsupported,
            vec!["Matroska/WebM", "VP8", "Vorbis"],
        ),
        (
            "renamed.mp4",
            webm,
            ContentUnsupported,
            vec!["Matroska/WebM"],
        ),
        (
            "list.mp4",
            b"#EXTM3U\n#EXTINF:4,\nhttp://169.254.169.254/\n".to_vec(),
            ContentUnsupported,
            vec!["playlist"],
        ),
        ("empty.mp4", vec![], ContentMalformed, vec!["empty"]),
        (
            "noise.mp4",
            (0..100_000_u32).map(|at| (at * 7 % 251) as u8).collect(),
            ContentMalformed,
            vec!["noise.mp4"],
        ),
        (
            "cut.mp4",
            good[..good.len() / 2].to_vec(),
            ContentMalformed,
            vec!["cut.mp4"],
        ),
        ("huge.mp4", huge_box, ContentMalformed, vec!["huge.mp4"]),
        (
            "ten.mp4",
            generated(&format!("{pattern} -pix_fmt yuv420p10le")),
            ContentUnsupported,
            vec!["Track 1", "10 bits"],
        ),
        (
            "422.mp4",
            generated(&format!("{pattern} -pix_fmt yuv422p")),
            ContentUnsupported,
            vec!["Track 1", "4:2:2"],
        ),
        (
            "444.mp4",
            generated(&format!("{pattern} -pix_fmt yuv444p")),
            ContentUnsupported,
            vec!["4:4:4"],
        ),
        (
            "lace.mp4",
            generated(&format!("{pattern} -pix_fmt yuv420p -flags +ildct+ilme")),
            ContentUnsupported,
            vec!["interlaced"],
        ),
        (
            "mpeg4.mp4",
            generated("-f lavfi -i testsrc2=s=320x180:d=1 -c:v mpeg4"),
            ContentUnsupported,
            vec!["Track 1", "MPEG-4 Visual"],
        ),
        (
            "mp3.mp4",
            generated("-f lavfi -i sine=d=1 -c:a libmp3lame"),
            ContentUnsupported,
            vec!["Track 1", "MP3"],
        ),
    ] {
        let (found, message) = failure(name, bytes, "AdaptiveStreaming").await;
        println!("{name}: {found:?}: {message}");
        assert_eq!(found, code, "{name}: {message}");
        for word in words {
            assert!(message.contains(word), "{name}: {message}");
        }
    }
    let (code, message) = failure("film.mp4", good.clone(), "H265AdaptiveStreaming").await;
    assert_eq!(code, ConfigurationUnsupported, "{message}");
    let silent = generated(&format!("{pattern} -pix_fmt yuv420p"));
    let (code, message) = failure("silent.mp4", silent, "AACGoodQualityAudio").await;
    assert_eq!(code, ContentUnsupported, "{message}");

    let fake = Fake::start().await;
    fake.queue("missing.mp4", &["AdaptiveStreaming"]);
    assert!(
        matches!(fake.finish(1).await, Outcome::Error(failure) if failure.code == JobErrorCode::DownloadNotAccessible)
    );
    let fake = Fake::start().await;
    fake.upload("film.mp4", good);
    fake.state.lock().unwrap().read_only = true;
    fake.queue("", &["AACGoodQualityAudio"]);
    assert!(
        matches!(fake.finish(1).await, Outcome::Error(failure) if failure.code == JobErrorCode::UploadNotAccessible)
    );
}

/// Overwrites 32 bits of the last box of a kind, `at` bytes after its name.
fn patch(file: &mut [u8], kind: &[u8; 4], at: usize, value: u32) {
    let name = file.windows(4).rposition(|window| window == kind);
    let from = name.unwrap() + 4 + at;
    file[from..from + 4].copy_from_slice(&value.to_be_bytes());
}

/// Gives every sample of the only track of `file` a duration.
fn stretch(file: &mut [u8], timescale: u32, duration: u32) {
    patch(file, b"mdhd", 12, timescale);
    for entry in 0..2 {
        patch(file, b"stts", 12 + 8 * entry, duration);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_claims_years_of_sound_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source.mp4");
    // Of two sample durations, and without an edit list.
    media::ffmpeg(
        "-f lavfi -i sine=d=1:r=48000 -ac 2 -c:a aac -use_editlist 0",
        &path,
    );
    let plain = std::fs::read(&path).unwrap();
    let late = folder.path().join("late.mp4");
    media::ffmpeg(
        &format!("-itsoffset 5 -i {} -c copy", path.display()),
        &late,
    );
    let mut late = std::fs::read(&late).unwrap();
    patch(&mut late, b"mvhd", 12, 1);
    patch(&mut late, b"elst", 8, u32::MAX);
    let stretched = |timescale, duration| {
        let mut file = plain.clone();
        stretch(&mut file, timescale, duration);
        file
    };
    for (name, bytes) in [
        ("seconds.mp4", stretched(1, u32::MAX)),
        ("slow.mp4", stretched(48_000, u32::MAX)),
        ("holes.mp4", stretched(48_000, 48_000 * 4600)),
        ("late.mp4", late),
    ] {
        let (code, message) = failure(name, bytes, "AACGoodQualityAudio").await;
        println!("{name}: {message}");
        assert_eq!(code, JobErrorCode::ContentUnsupported, "{name}: {message}");
        assert!(message.contains("hours of sound"), "{name}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_that_no_answer_holds_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source.mp4");
    media::ffmpeg("-f lavfi -i sine=d=1:r=48000 -c:a aac", &path);
    let mut file = std::fs::read(&path).unwrap();
    // The tenth sample becomes one of 70 MB, in a file that is long enough for it.
    const BYTES: u32 = 70 << 20;
    patch(&mut file, b"stsz", 12 + 9 * 4, BYTES);
    file.extend_from_slice(&(BYTES + 8).to_be_bytes());
    file.extend_from_slice(b"free");
    file.resize(file.len() + BYTES as usize, 0);
    let (code, message) = failure("source.mp4", file, "AACGoodQualityAudio").await;
    assert_eq!(code, JobErrorCode::ContentUnsupported, "{message}");
    assert!(message.contains("Sample 10 of track 1"), "{message}");
}

/// A film without sound, of which sound is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_without_an_output_that_need_not_be_there() {
    for engine in [Choice::BuiltIn, Choice::Ffmpeg] {
        let mut fake = Fake::start().await;
        fake.engine = engine;
        fake.upload("film.mp4", silent_source());
        for continues in [true, false] {
            fake.queue("film.mp4", &["AACGoodQualityAudio", "H264SingleBitrateSD"]);
            fake.change(|claim| {
                claim.outputs[0].continues = continues;
                // What need not be there is tried first all the same.
                claim.outputs[0].urgency = 2;
            });
            let outcome = fake.finish(2).await;
            match outcome {
                Outcome::Finished {
                    manifests, failed, ..
                } if continues => {
                    assert_eq!(manifests, ["", "film.ism"], "{engine:?}");
                    assert_eq!(failed.len(), 1);
                    assert_eq!(failed[0].index, 0);
                    assert_eq!(
                        failed[0].failure.code,
                        JobErrorCode::ContentUnsupported,
                        "{engine:?}: {:?}",
                        failed[0].failure
                    );
                    assert!(fake.files("out0").is_empty());
                    assert!(fake.files("out1").contains_key("film.ism"));
                }
                Outcome::Error(failure) if !continues => {
                    assert!(!failure.code.may_retry(), "{engine:?}: {failure:?}");
                }
                other => panic!("{engine:?}, continues {continues}: {other:?}"),
            }
        }
    }
}

fn silent_source() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silent.mp4");
    media::ffmpeg(
        "-f lavfi -i testsrc2=s=640x360:r=25:d=2 -pix_fmt yuv420p -c:v libx264 -preset ultrafast",
        &path,
    );
    std::fs::read(&path).unwrap()
}

/// The order in which outputs are made is that of their urgency, and of the claim among equals.
#[tokio::test(flavor = "multi_thread")]
async fn the_output_that_is_more_urgent_is_made_first() {
    let fake = Fake::start().await;
    fake.upload("film.mp4", silent_source());
    fake.queue("film.mp4", &["H264SingleBitrateSD"; 3]);
    fake.change(|claim| {
        for (output, urgency) in claim.outputs.iter_mut().zip([0, 1, 2]) {
            output.urgency = urgency;
        }
    });
    let outcome = fake.finish(1).await;
    let Outcome::Finished { manifests, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(manifests, ["film.ism"; 3]);
    let order = fake.state.lock().unwrap().written.clone();
    let places: Vec<_> = (0..3)
        .map(|output| {
            let manifest = format!("out{output}/film.ism");
            order
                .iter()
                .position(|name| *name == manifest)
                .expect("a manifest")
        })
        .collect();
    assert!(places[2] < places[1] && places[1] < places[0], "{order:?}");
}
