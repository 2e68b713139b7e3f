//! Workers that are killed, storage that is away, encoders that mean no good.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{Fake, TOKEN, frames, packets, publish, push, source};
use headwater_work::live::{EncodingType, Protocol};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_drains_leaves_everything_for_the_next() {
    drained(false).await;
}

/// The one that waits counts rows that it does not have.
#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_waits_for_its_moment_costs_others_nothing_when_the_worker_changes() {
    drained(true).await;
}

/// `beside`: in front of the recording is another, which is to begin tomorrow.
async fn drained(beside: bool) {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    source(&file, 12, "");
    fake.queue(Protocol::Rtmp, EncodingType::PassthroughStandard);
    let worker = fake.worker(&folder.path().join("one")).await;
    let url = fake.until_running().await;
    if beside {
        let tomorrow = std::time::UNIX_EPOCH.elapsed().unwrap() + Duration::from_secs(86_400);
        fake.change(|assignment| {
            let mut late = assignment.outputs[0].clone();
            late.output_id = uuid::Uuid::from_u128(6);
            late.manifest_name = "late".into();
            late.place.sub_path = "late".into();
            late.output_snap_time = Some((tomorrow.as_nanos() / 100) as i64);
            assignment.outputs.insert(0, late);
        });
    }
    let encoder = publish(&file, "flv", &format!("{url}/main"));
    fake.until_stored(2).await;
    worker.end().await;
    drop(encoder);
    let before = {
        let mut state = fake.state.lock().unwrap();
        assert_eq!(state.released.len(), 1);
        state.waiting = state.assignment.clone();
        state.renewals.clear();
        state.recording().unwrap()
    };
    assert!(!before.open.ended);
    // Another machine: it has nothing but what is in storage.
    let worker = fake.worker(&folder.path().join("two")).await;
    let url = fake.until_running().await;
    let _encoder = publish(&file, "flv", &format!("{url}/main"));
    let stored = before.open.segments(0).count();
    fake.until_stored(stored + 3).await;
    worker.end().await;
    let rows = fake.state.lock().unwrap().rows();
    assert!(
        rows.windows(2)
            .all(|pair| pair[1].number == pair[0].number + 1 && pair[1].start > pair[0].start)
    );
    assert_eq!(rows.iter().filter(|row| row.discontinuity).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_may_be_away_and_nothing_is_lost() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let (worker, mut encoder) = recording(&fake, folder.path(), 9).await;
    fake.state.lock().unwrap().away = true;
    tokio::time::sleep(Duration::from_secs(4)).await;
    fake.state.lock().unwrap().away = false;
    assert!(encoder.0.wait().unwrap().success());
    whole(&fake, folder.path(), worker).await;
}

/// A worker with an event whose lease lasts five seconds, and an encoder that sends `seconds` of `file`.
async fn recording(
    fake: &Fake,
    folder: &std::path::Path,
    seconds: u32,
) -> (crate::support::Running, crate::support::Program) {
    let file = folder.join("source.mp4");
    source(&file, seconds, "");
    fake.state.lock().unwrap().lease_seconds = Some(5);
    fake.queue(Protocol::Rtmp, EncodingType::PassthroughStandard);
    let (worker, url) = fake.recording(folder).await;
    let encoder = publish(&file, "flv", &format!("{url}/main"));
    fake.until_stored(2).await;
    (worker, encoder)
}

/// The event ends: what was recorded has the frames that were sent.
async fn whole(fake: &Fake, folder: &std::path::Path, worker: crate::support::Running) {
    fake.finish(worker).await;
    let film = folder.join("film.mp4");
    std::fs::write(&film, fake.state.lock().unwrap().film(0)).unwrap();
    let source = folder.join("source.mp4");
    assert_eq!(frames(&source, "0:v"), frames(&film, "0:0"));
    std::fs::write(&film, fake.state.lock().unwrap().film(1)).unwrap();
    // Sound from the first picture on.
    let (sent, recorded) = (packets(&source, "0:a"), packets(&film, "0:0"));
    assert!(sent.ends_with(&recorded) && recorded.len() + 8 > sent.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_may_be_away_for_longer_than_a_lease_and_nothing_is_lost() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let (worker, mut encoder) = recording(&fake, folder.path(), 16).await;
    fake.state.lock().unwrap().catalog_away = true;
    let before = fake.state.lock().unwrap().rows().len();
    tokio::time::sleep(Duration::from_secs(8)).await;
    // It goes on being recorded, not only being kept.
    fake.until("what comes meanwhile", |state| {
        state.rows().len() >= before + 4
    })
    .await;
    let asked = {
        let mut state = fake.state.lock().unwrap();
        state.catalog_away = false;
        state.claims.len()
    };
    fake.until("a question", |state| state.claims.len() > asked)
        .await;
    assert!(fake.state.lock().unwrap().claims[asked].leave_lapsed);
    assert!(encoder.0.wait().unwrap().success());
    whole(&fake, folder.path(), worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_event_another_has_by_now_writes_nothing_more() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    // Longer than anything here takes: who ends by itself was not let go.
    let (worker, mut encoder) = recording(&fake, folder.path(), 90).await;
    let another = bytes::Bytes::from_static(b"the head of another worker");
    let head = headwater_live::archive::head_name("show");
    {
        let mut state = fake.state.lock().unwrap();
        state.catalog_away = true;
        state.lease += 1;
        state.lease_seconds = None;
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    let there = {
        let mut state = fake.state.lock().unwrap();
        assert!(state.blobs.insert(head, another).is_some());
        state.blobs.clone()
    };
    // The encoder is let go, so that it looks for whoever has the event.
    assert!(!encoder.0.wait().unwrap().success());
    tokio::time::sleep(Duration::from_secs(2)).await;
    fake.state.lock().unwrap().catalog_away = false;
    worker.end().await;
    let state = fake.state.lock().unwrap();
    // Not a segment either: but for those whose writing had just begun, one of each track.
    assert!(there.iter().all(|(name, blob)| state.blobs[name] == *blob));
    assert!(state.blobs.len() <= there.len() + 2);
    assert!(state.released.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_event_it_is_goes_on_from_what_another_wrote() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let (worker, mut encoder) = recording(&fake, folder.path(), 12).await;
    let head = headwater_live::archive::head_name("show");
    let earlier = fake.state.lock().unwrap().blobs[&head].clone();
    fake.until_stored(5).await;
    // As a worker would that had the event before and did not know of the next one.
    fake.state.lock().unwrap().blobs.insert(head, earlier);
    assert!(encoder.0.wait().unwrap().success());
    whole(&fake, folder.path(), worker).await;
}

/// How soon those are let go who can mean nothing: sooner than anybody's patience ends, which is after ten seconds.
const AT_ONCE: Duration = Duration::from_secs(8);

/// By when everybody is let go who says nothing of sense, on a busy machine.
const IN_THE_END: Duration = Duration::from_secs(30);

/// Sends bytes and gives what comes back, until the other side closes.
fn talk(addr: std::net::SocketAddr, bytes: &[u8], patience: Duration) -> (Vec<u8>, bool) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let _ = stream.write_all(bytes);
    let (started, mut answer) = (Instant::now(), Vec::new());
    let mut buffer = [0; 4096];
    while started.elapsed() < patience {
        match stream.read(&mut buffer) {
            Ok(0) => return (answer, true),
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return (answer, true),
        }
    }
    (answer, false)
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_means_no_good_is_cut_off_and_the_others_go_on() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    // Longer than all of them together are waited for: the encoder is there to the end.
    source(&file, 120, "");
    fake.queue(Protocol::Rtmp, EncodingType::PassthroughStandard);
    let worker = fake.worker(folder.path()).await;
    let url = fake.until_running().await;
    let port = worker.bound.rtmp[1];
    let _encoder = publish(&file, "flv", &format!("{url}/main"));
    let run = tokio::task::spawn_blocking(move || {
        // Not RTMP at all.
        let (_, closed) = talk(port, b"GET / HTTP/1.1\r\n\r\n", AT_ONCE);
        assert!(closed);
        // A handshake, then a message of 16 MB.
        let mut large = vec![3];
        large.resize(1 + 1536 * 2, 0);
        large.extend([4, 0, 0, 0, 0xff, 0xff, 0xff, 9, 1, 0, 0, 0]);
        let (_, closed) = talk(port, &large, AT_ONCE);
        assert!(closed);
        // A handshake, then noise.
        let mut noise = vec![3];
        noise.resize(1 + 1536 * 2, 0);
        noise.extend((0..200_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8));
        let (_, closed) = talk(port, &noise, IN_THE_END);
        assert!(closed);
        // Half a handshake: patience ends.
        let (_, closed) = talk(port, &[3; 700], IN_THE_END);
        assert!(closed);
    });
    run.await.unwrap();
    // A wrong token.
    let wrong = url.replace(TOKEN, "11111111-1111-4111-8111-111111111111");
    let wrong = tokio::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&file)
        .args(["-c", "copy", "-f", "flv", &format!("{wrong}/main")])
        .output()
        .await
        .unwrap();
    assert!(!wrong.status.success());
    assert!(
        contains(&wrong.stderr, "MPE_RTMP_APPID_AUTH_FAILURE"),
        "{}",
        String::from_utf8_lossy(&wrong.stderr)
    );
    fake.until_stored(8).await;
    // An address that is not allowed, and one more encoder for it to be turned away: both are told.
    fake.finish(worker).await;
    let state = fake.state.lock().unwrap();
    assert_eq!(state.rejections(), ["MPI_REST_API_CHANNEL_STOP"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn codecs_and_addresses_are_refused_by_name() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.flv");
    let made = std::process::Command::new("ffmpeg")
        .args("-v error -y -f lavfi -i testsrc2=s=320x180:r=25:d=3 -c:v flv1".split_whitespace())
        .arg(&file)
        .status()
        .unwrap();
    assert!(made.success());
    fake.queue(Protocol::Rtmp, EncodingType::PassthroughStandard);
    let worker = fake.worker(folder.path()).await;
    let url = fake.until_running().await;
    let mut encoder = publish(&file, "flv", &format!("{url}/main"));
    fake.until("the codec's rejection", |state| {
        !state.rejections().is_empty()
    })
    .await;
    let _ = encoder.0.wait();
    assert_eq!(
        fake.state.lock().unwrap().rejections(),
        ["MPE_INGEST_CODEC_NOT_SUPPORTED"]
    );
    worker.end().await;
    {
        let mut state = fake.state.lock().unwrap();
        let mut assignment = state.assignment.clone().unwrap();
        assignment.input.allow.clear();
        state.waiting = Some(assignment);
        state.renewals.clear();
        state.facts.clear();
    }
    let worker = fake.worker(folder.path()).await;
    let url = fake.until_running().await;
    let mut encoder = publish(&file, "flv", &format!("{url}/main"));
    assert!(!encoder.0.wait().unwrap().success());
    fake.until("the address's rejection", |state| {
        !state.rejections().is_empty()
    })
    .await;
    assert_eq!(
        fake.state.lock().unwrap().rejections(),
        ["MPE_INGEST_ENCODER_CONNECTION_DENIED"]
    );
    worker.end().await;
}

/// A request on the port of an event's URL; its answer's first line and body.
fn asked(url: &str, head: &str, body: &[u8]) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, _) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let length = body.len();
    let head = format!(
        "{head} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (first, rest) = answer.split_once("\r\n").unwrap();
    let body = rest.split_once("\r\n\r\n").unwrap().1;
    format!("{first} {body}")
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_that_are_refused_say_why_and_disturb_nobody() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    source(&file, 6, "-bf 0");
    fake.queue(Protocol::FragmentedMp4, EncodingType::PassthroughStandard);
    let worker = fake.worker(folder.path()).await;
    let url = fake.until_running().await;
    assert!(
        url.starts_with("http://127.0.0.1:") && url.ends_with(&format!("/{TOKEN}/ingest.isml"))
    );
    fake.until("an empty recording", |state| state.recording().is_some())
        .await;
    let mut encoder = push(&file, &url);
    let place = format!("/{TOKEN}/ingest.isml/streams(other)");
    let cases: [(&str, &str, Vec<u8>, &str); 7] = [
        (
            "POST",
            "/00000000-0000-0000-0000-000000000000/ingest.isml/streams(x)",
            vec![],
            "HTTP/1.1 403 Forbidden MPE_RTMP_APPID_AUTH_FAILURE",
        ),
        ("POST", "/nowhere", vec![], "HTTP/1.1 404 Not Found "),
        ("GET", &place, vec![], "HTTP/1.1 405 Method Not Allowed "),
        // Whether the token is good.
        ("POST", &place, vec![], "HTTP/1.1 200 OK "),
        (
            "POST",
            &place,
            b"\0\0\0\x08mdat".to_vec(),
            "HTTP/1.1 400 Bad Request MPE_INGEST_PROTOCOL_VIOLATION",
        ),
        (
            "POST",
            &place,
            b"\x7f\xff\xff\xffmoov".to_vec(),
            "HTTP/1.1 413 Payload Too Large ",
        ),
        (
            "POST",
            &place,
            vec![0xff; 4096],
            "HTTP/1.1 413 Payload Too Large ",
        ),
    ];
    for (method, path, body, told) in cases {
        let (url, head) = (url.clone(), format!("{method} {path}"));
        let answer = tokio::task::spawn_blocking(move || asked(&url, &head, &body));
        let answer = answer.await.unwrap();
        assert!(answer.starts_with(told), "{method} {path}: {answer}");
    }
    assert!(encoder.0.wait().unwrap().success());
    fake.until_stored(4).await;
    fake.finish(worker).await;
    let state = fake.state.lock().unwrap();
    assert!(state.rows().iter().all(|row| !row.discontinuity));
    let film = folder.path().join("film.mp4");
    std::fs::write(&film, state.film(0)).unwrap();
    assert_eq!(frames(&file, "0:v"), frames(&film, "0:0"));
}
