//! ffmpeg as an encoder: what it sends is what is recorded, and what the edge shows.

use std::time::{Duration, Instant};

use crate::support::{
    Fake, Program, State, TOKEN, edge, frames, hevc_source, packets, publish, push, source,
};
use headwater_live::edge::{Place, Snapshot, path};
use headwater_work::live::facts::Fact;
use headwater_work::live::health::Losses;
use headwater_work::live::{EncodingType, OutputState, Protocol, Wanted};

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_by_rtmp_is_recorded_frame_by_frame_and_becomes_a_film() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    source(&file, 16, "-bf 2");
    fake.queue(Protocol::Rtmp, EncodingType::PassthroughStandard);
    let (worker, url) = fake.recording(folder.path()).await;
    let mut encoder = publish(&file, "flv", &format!("{url}/main"));

    // The edge: parts before the segment is complete, and waits that end in time.
    fake.until("the first facts", |state| {
        state
            .facts
            .iter()
            .filter(|fact| matches!(fact, Fact::StreamReceived(_)))
            .count()
            == 2
    })
    .await;
    let id = fake.event.to_string();
    // Where its clock is placed is seen from what comes in the first half second.
    let received = Instant::now();
    let mut number = loop {
        let (_, bytes) = edge(&worker.bound, &path::timeline(&id, None)).await;
        let snapshot = Snapshot::parse(&bytes).unwrap();
        if let Some(number) = snapshot.timeline.next_number {
            break number;
        }
        assert!(received.elapsed() < Duration::from_secs(30), "no row");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    // A segment grows for a second. On a busy machine it may be complete before the answer about its second part is: then the next
    // one is asked for.
    let segment = loop {
        let place = Place {
            track: Some(0),
            number,
            part: Some(1),
        };
        let (_, bytes) = edge(&worker.bound, &path::timeline(&id, Some((place, 30_000)))).await;
        let snapshot = Snapshot::parse(&bytes).unwrap();
        let segment = snapshot.timeline.row(number).unwrap().segments[&0].clone();
        assert!(segment.parts.len() >= 2, "{segment:?}");
        if !segment.complete {
            break segment;
        }
        assert!(
            received.elapsed() < Duration::from_secs(12),
            "never while it grows: {segment:?}"
        );
        number = snapshot.timeline.next_number.unwrap();
    };
    let (status, first) = edge(&worker.bound, &path::media(&id, 0, number, Some(0), 0)).await;
    assert_eq!(
        (status, first.len()),
        (http::StatusCode::OK, segment.parts[0].size as usize)
    );
    // The whole segment, while it grows: it comes to its end with it.
    let (_, whole) = edge(&worker.bound, &path::media(&id, 0, number, None, 0)).await;
    assert!(whole.starts_with(&first));
    let (_, again) = edge(&worker.bound, &path::media(&id, 0, number, None, 0)).await;
    assert_eq!(whole, again);
    let (status, _) = edge(&worker.bound, &path::media(&id, 0, number + 500, None, 0)).await;
    assert_eq!(status, http::StatusCode::NOT_FOUND);

    // How it is doing goes with the renewals; one that was sent before the encoder came names
    // no track at all, and one from before the second key frame knows no distance between two.
    // ffmpeg sends in bursts, and a loaded machine is late: what is measured then is true, but not what is looked for.
    let told = |state: &State| {
        let measured = state.renewals.iter().filter_map(|r| r.health.clone());
        let mut steady = measured.filter(|health| {
            let video = health.tracks.iter().find(|t| t.track_type == "video");
            health.tracks.len() == 2
                && health.tracks.iter().all(|t| t.frame_rate_milli > 0)
                && health.av_drift_ms.is_some_and(|ms| ms.abs() < 500)
                && video.is_some_and(|video| {
                    video.key_frame_distance_ms.is_some()
                        && (15_000..=35_000).contains(&video.frame_rate_milli)
                })
        });
        steady.next()
    };
    fake.until("a measurement", |state| told(state).is_some())
        .await;
    let health = told(&fake.state.lock().unwrap()).unwrap();
    let [encoder_health] = &health.encoders[..] else {
        panic!("{health:?}")
    };
    assert_eq!(
        (
            encoder_health.protocol.as_str(),
            encoder_health.encoder_ip.as_str()
        ),
        ("RTMP", "127.0.0.1")
    );
    // Where it came to, without the key.
    assert_eq!(format!("{}/{TOKEN}", encoder_health.ingest_url), url);
    let video = health
        .tracks
        .iter()
        .find(|track| track.track_type == "video")
        .unwrap();
    assert_eq!(video.key_frame_distance_ms, Some(1_000));
    assert!(
        video.connected && video.incoming_bitrate > 50_000 && video.lost == Losses::default(),
        "{video:?}"
    );
    assert!(encoder.0.wait().unwrap().success());
    fake.finish(worker).await;

    let state = fake.state.lock().unwrap();
    assert_eq!(state.released[0].failure, None);
    assert!(
        state
            .renewals
            .iter()
            .any(|r| r.outputs.iter().any(|o| o.state == OutputState::Finished))
    );
    assert!(state.recording().unwrap().open.ended);
    let manifest = headwater_ism::parse(&state.blobs["show.ism"]).unwrap();
    assert_eq!(manifest.tracks.len(), 2);
    assert!(
        state.rejections().iter().all(|code| code == "S_OK"),
        "{:?}",
        state.rejections()
    );
    for row in state.rows() {
        assert!(!row.discontinuity && row.segments.len() == 2, "{row:?}");
    }
    let rows = state.rows();
    let asked = rows.iter().find(|row| row.number == number).unwrap();
    let track = &state.recording().unwrap().open.tracks[0];
    let name = headwater_live::archive::segment_name(track, asked.segments[&0].start);
    assert_eq!(state.blobs[&name], whole);
    // Frames, decoded by another: all pictures, as B-frames come and go.
    let film = |track: u16| {
        let film = folder.path().join(format!("{track}.mp4"));
        std::fs::write(&film, state.film(track)).unwrap();
        film
    };
    assert_eq!(frames(&file, "0:v"), frames(&film(0), "0:0"));
    // Sound from the first picture on. Compared as it is coded: decoders make noise up as they go.
    let (sent, recorded) = (packets(&file, "0:a"), packets(&film(1), "0:0"));
    assert!(
        sent.ends_with(&recorded),
        "{} of {}",
        recorded.len(),
        sent.len()
    );
    assert!(
        recorded.len() + 8 > sent.len(),
        "{} of {}",
        recorded.len(),
        sent.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_bit_rates_are_cut_at_the_same_times() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let files = ["high.mp4", "low.mp4"].map(|name| folder.path().join(name));
    source(&files[0], 6, "");
    source(&files[1], 6, "-vf scale=160:90 -b:v 150k");
    fake.queue(Protocol::Rtmp, EncodingType::PassthroughStandard);
    let (worker, url) = fake.recording(folder.path()).await;
    let mut encoder = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-re", "-i"])
        .arg(&files[0])
        .args(["-re", "-i"])
        .arg(&files[1])
        .args([
            "-map",
            "0",
            "-c",
            "copy",
            "-f",
            "flv",
            &format!("{url}/high"),
        ])
        .args([
            "-map",
            "1",
            "-c",
            "copy",
            "-f",
            "flv",
            &format!("{url}/low"),
        ])
        .spawn()
        .unwrap();
    assert!(encoder.wait().unwrap().success());
    fake.finish(worker).await;
    let state = fake.state.lock().unwrap();
    let recording = state.recording().unwrap();
    let pictures: Vec<u16> = (0..3)
        .filter(|at| recording.open.tracks[usize::from(*at)].name == "video")
        .collect();
    assert_eq!((pictures.len(), recording.open.tracks.len()), (2, 3));
    let rows = state.rows();
    let starts = |track: u16| {
        rows.iter()
            .filter_map(|row| Some(row.segments.get(&track)?.start))
            .collect::<Vec<_>>()
    };
    let (one, other) = (starts(pictures[0]), starts(pictures[1]));
    assert!(one.len() >= 5 && other.len() >= 5, "{one:?} {other:?}");
    assert!(
        other.iter().all(|start| one.contains(start))
            || one.iter().all(|start| other.contains(start))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_by_srt_is_recorded_frame_by_frame() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    source(&file, 6, "-bf 2");
    fake.queue(Protocol::Srt, EncodingType::PassthroughStandard);
    let worker = fake.worker(folder.path()).await;
    let url = fake.until_running().await;
    assert!(url.starts_with("srt://127.0.0.1:") && url.contains(TOKEN));
    // A caller with another passphrase is turned away.
    let wrong = url.replace(TOKEN, "another passphrase");
    let wrong = std::process::Command::new("ffmpeg")
        .args(["-v", "quiet", "-i"])
        .arg(&file)
        .args(["-c", "copy", "-f", "mpegts", &wrong])
        .status()
        .unwrap();
    assert!(!wrong.success());
    fake.until("an empty recording", |state| state.recording().is_some())
        .await;
    let mut encoder = publish(&file, "mpegts", &url);
    assert!(encoder.0.wait().unwrap().success());
    fake.until_stored(4).await;
    fake.finish(worker).await;
    let state = fake.state.lock().unwrap();
    assert!(state.rows().iter().all(|row| !row.discontinuity));
    let film = folder.path().join("film.mp4");
    std::fs::write(&film, state.film(0)).unwrap();
    // To the last one: the end of the stream ends what does not state its length.
    assert_eq!(frames(&file, "0:v"), frames(&film, "0:0"));
}

/// Records what `encoder` sends of `file`; all of it, frame by frame.
async fn is_recorded_whole(
    protocol: Protocol,
    file: fn(&std::path::Path),
    encoder: impl Fn(&std::path::Path, &str) -> Program,
) {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("source.mp4");
    file(&path);
    fake.queue(protocol, EncodingType::PassthroughStandard);
    let (worker, url) = fake.recording(folder.path()).await;
    let mut encoder = encoder(&path, &url);
    assert!(encoder.0.wait().unwrap().success());
    fake.until_stored(4).await;
    fake.finish(worker).await;
    let state = fake.state.lock().unwrap();
    assert!(state.rows().iter().all(|row| !row.discontinuity));
    assert_eq!(state.rejections(), ["S_OK"]);
    let film = folder.path().join("film.mp4");
    std::fs::write(&film, state.film(0)).unwrap();
    assert_eq!(frames(&path, "0:v"), frames(&film, "0:0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_as_fragmented_mp4_is_recorded_frame_by_frame() {
    is_recorded_whole(
        Protocol::FragmentedMp4,
        |path| source(path, 6, "-bf 2"),
        push,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hevc_is_pushed_as_fragmented_mp4_and_sent_by_srt() {
    let hevc = |path: &std::path::Path| hevc_source(path, 6);
    is_recorded_whole(Protocol::FragmentedMp4, hevc, push).await;
    let send = |file: &std::path::Path, url: &str| publish(file, "mpegts", url);
    is_recorded_whole(Protocol::Srt, hevc, send).await;
}

/// Recordings that are to begin with a moment: one that has passed and is still in memory, one that is to come, the one at which
/// the output was made, and that by a clock that is an hour fast.
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_begins_with_the_moment_that_is_asked_for() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    source(&file, 20, "-bf 0");
    fake.queue(Protocol::Rtmp, EncodingType::PassthroughStandard);
    let worker = fake.worker(folder.path()).await;
    let url = fake.until_running().await;
    let mut encoder = publish(&file, "flv", &format!("{url}/main"));
    fake.until("four rows", |state| {
        state.recording().is_some() && state.rows().len() >= 4
    })
    .await;
    let rows = fake.state.lock().unwrap().rows();
    // Ticks of 100 ns; a row of the event's clock lies between two of them.
    let ticks = |clock: i64| i64::try_from((i128::from(clock) * 1000 + 8) / 9).unwrap();
    let (past, future) = (rows[1].start, rows[3].start + 3 * 90_000);
    let made = rows[2].start;
    let fast = ticks(rows[3].start) + 36_000_000_000;
    fake.change(|assignment| {
        let first = assignment.outputs[0].clone();
        let outputs = [
            (6, "past", Some(ticks(past)), fast),
            (7, "future", Some(ticks(future)), fast),
            (8, "made", None, ticks(made)),
            (9, "fast", None, fast),
        ];
        for (number, name, asked, made) in outputs {
            let mut late = first.clone();
            late.output_id = uuid::Uuid::from_u128(number);
            late.manifest_name = name.into();
            late.place.sub_path = name.into();
            late.output_snap_time = asked;
            late.made = Some(made);
            assignment.outputs.push(late);
        }
    });
    // The answer to the next report tells the worker of them.
    let reports = fake.state.lock().unwrap().renewals.len();
    fake.until("a report", |state| state.renewals.len() > reports)
        .await;
    let heard = fake.state.lock().unwrap().rows().last().unwrap().start;
    assert!(encoder.0.wait().unwrap().success());
    fake.finish(worker).await;

    let state = fake.state.lock().unwrap();
    let whole = state.rows();
    assert!(whole.len() >= 10, "{}", whole.len());
    // With the row that grew when the worker heard of it, or one of the next.
    let begun = [
        ("past", past),
        ("future", future),
        ("made", made),
        ("fast", heard),
    ];
    for (name, begins) in begun {
        let head = headwater_live::archive::head_name(name);
        let head = &state.blobs[&format!("{name}/{head}")];
        let recording = headwater_live::archive::Recording::parse(head).unwrap();
        assert!(recording.open.ended && recording.pages.is_empty(), "{name}");
        let open = &recording.open;
        let expected: Vec<_> = whole.iter().filter(|row| row.start >= begins).collect();
        assert!(!expected.is_empty() && expected.len() < whole.len());
        let found: Vec<_> = open.rows.iter().collect();
        if name == "fast" {
            assert!(!found.is_empty() && expected.ends_with(&found), "{name}");
            assert!(expected.len() <= found.len() + 3, "{name}");
        } else {
            assert_eq!(found, expected, "{name}");
        }
        for row in &open.rows {
            for (track, segment) in &row.segments {
                let track = &open.tracks[usize::from(*track)];
                let object = headwater_live::archive::segment_name(track, segment.start);
                let own = &state.blobs[&format!("{name}/{object}")];
                assert!(*own == state.blobs[&object], "{name}: {object}");
            }
        }
    }
}

/// With nothing to record the event is over at once: the encoder's end has to be told all the same.
#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_whose_event_is_stopped_is_told_of() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    source(&file, 30, "-bf 0");
    fake.queue(Protocol::Rtmp, EncodingType::PassthroughStandard);
    let worker = fake.worker(folder.path()).await;
    let url = fake.until_running().await;
    fake.change(|assignment| assignment.outputs.clear());
    let encoder = publish(&file, "flv", &format!("{url}/main"));
    fake.until("what the encoder sends", |state| {
        let received = |fact: &Fact| matches!(fact, Fact::StreamReceived(_));
        state.facts.iter().any(received)
    })
    .await;
    fake.change(|assignment| assignment.wanted = Wanted::Stop);
    fake.until("the release", |state| !state.released.is_empty())
        .await;
    drop(encoder);
    worker.end().await;
    let state = fake.state.lock().unwrap();
    let gone: Vec<_> = state
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::EncoderDisconnected(ended) => Some(ended.result_code.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(gone, ["MPI_REST_API_CHANNEL_STOP"]);
}
