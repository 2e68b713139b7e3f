//! `kill -9` of a worker: the next one goes on with the next number, and at most a segment is missing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Fake, Program, edge, publish, source};
use headwater_ingest::{CancellationToken, Worker};
use headwater_live::group::RowsPerSegment;
use headwater_live::timeline::Timeline;
use headwater_work::live::Wanted;

/// Not a test of its own: the worker of the test below, in a process that can be killed.
#[tokio::test(flavor = "multi_thread")]
async fn worker_process() {
    let Ok(url) = std::env::var("INGEST_TEST_API") else {
        return;
    };
    let fake = Fake {
        state: std::sync::Arc::default(),
        url,
        event: uuid::Uuid::from_u128(77),
    };
    let data = PathBuf::from(std::env::var("INGEST_TEST_DATA").unwrap());
    let mut config = fake.config(&data);
    config.rtmp = std::env::var("INGEST_TEST_RTMP")
        .unwrap()
        .split(',')
        .map(|address| address.parse().unwrap())
        .collect();
    config.public_host = config.rtmp[0].ip().to_string();
    let worker = Worker::start(config).await.unwrap();
    // Whoever finds it finds all of it.
    let part = data.join("edge.part");
    std::fs::write(&part, worker.bound().edge.to_string()).unwrap();
    std::fs::rename(part, data.join("edge")).unwrap();
    worker.run(CancellationToken::new()).await;
}

/// Two addresses that are free and stay so while no worker has them: one that goes on does so under the URLs that encoders know.
/// They are of a host that nobody else on this machine is given ports of.
fn free() -> String {
    let [.., high, low] = std::process::id().to_be_bytes();
    let host = format!("127.77.{high}.{low}:0");
    let bound = [(), ()].map(|()| std::net::TcpListener::bind(&host).unwrap());
    bound
        .map(|socket| socket.local_addr().unwrap().to_string())
        .join(",")
}

fn start(fake: &Fake, data: &std::path::Path, rtmp: &str) -> Program {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["killed::worker_process", "--exact", "--nocapture"])
        .env("INGEST_TEST_API", &fake.url)
        .env("INGEST_TEST_DATA", data)
        .env("INGEST_TEST_RTMP", rtmp)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Program(child)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_costs_a_segment_and_no_number_is_given_twice() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    source(&file, 25, "");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    fake.queue(
        headwater_work::live::Protocol::Rtmp,
        headwater_work::live::EncodingType::PassthroughStandard,
    );
    let rtmp = free();
    let mut shown = Vec::new();
    for life in 0..3_usize {
        let _ = std::fs::remove_file(data.join("edge"));
        let worker = start(&fake, &data, &rtmp);
        // The first report of a life that goes on is the last one of the life before; and one that was on its way when that was
        // killed may come now.
        fake.until("the event's own report", |state| {
            let Ok(own) = std::fs::read_to_string(data.join("edge")) else {
                return false;
            };
            let report = state.renewals.last();
            let edge = report.and_then(|report| report.edge.as_ref());
            state.input_url().is_some() && edge.is_some_and(|edge| edge.url.ends_with(&own))
        })
        .await;
        let url = fake.until_running().await;
        let encoder = publish(&file, "flv", &format!("{url}/main"));
        // Three of this life: what the one before left on the disk may come to storage just now, too.
        let first = shown
            .last()
            .and_then(|earlier: &Timeline| earlier.next_number)
            .unwrap_or(0);
        fake.until("storing segments of this life", |state| {
            state.recording().is_some_and(|recording| {
                let stored = recording.open.segments(0);
                stored.filter(|(row, _)| row.number >= first).count() >= 3
            })
        })
        .await;
        if life == 1 {
            // The disk remembers what storage was not there for.
            fake.state.lock().unwrap().away = true;
            tokio::time::sleep(Duration::from_millis(2_500)).await;
        }
        let addr: std::net::SocketAddr = std::fs::read_to_string(data.join("edge"))
            .unwrap()
            .parse()
            .unwrap();
        let bound = headwater_ingest::Bound {
            rtmp: vec![],
            rtmps: vec![],
            edge: addr,
        };
        let path = headwater_live::edge::path::timeline(&fake.event.to_string(), None);
        let (_, bytes) = edge(&bound, &path).await;
        shown.push(
            headwater_live::edge::Snapshot::parse(&bytes)
                .unwrap()
                .timeline,
        );
        drop(worker); // SIGKILL
        drop(encoder);
        let mut state = fake.state.lock().unwrap();
        state.away = false;
        state.renewals.clear();
        // An output that is made later, with other segments.
        if life == 1 {
            let assignment = state.assignment.as_mut().unwrap();
            let mut late = assignment.outputs[0].clone();
            late.output_id = uuid::Uuid::from_u128(6);
            late.manifest_name = "late".into();
            late.fragments_per_ts_segment = 2;
            assignment.outputs.push(late);
        }
    }
    let worker = start(&fake, &data, &rtmp);
    fake.until_running().await;
    // What waited on the disk comes to storage with the next life.
    let last = shown
        .last()
        .unwrap()
        .segments(0)
        .filter(|(_, s)| s.complete)
        .last()
        .unwrap()
        .0
        .number;
    fake.until("what was left over", |state| {
        state
            .rows()
            .iter()
            .any(|row| row.number == last && row.segments.contains_key(&0))
    })
    .await;
    drop(worker);
    // The last life is lost in the middle of the event's end: the next one makes the film all the same.
    {
        let mut state = fake.state.lock().unwrap();
        state.assignment.as_mut().unwrap().wanted = Wanted::Stop;
    }
    let worker = start(&fake, &data, &rtmp);
    fake.until("the release", |state| !state.released.is_empty())
        .await;
    drop(worker);
    assert!(fake.state.lock().unwrap().recording().unwrap().open.ended);
    for (earlier, later) in shown.iter().zip(shown.iter().skip(1)) {
        let newest = earlier.rows.back().unwrap();
        let same = later.row(newest.number).unwrap();
        assert_eq!(same.start, newest.start, "a number was given twice");
        assert!(later.next_number > earlier.next_number);
    }
    let state = fake.state.lock().unwrap();
    let rows = state.rows();
    // Every encoder after the first began with a discontinuity, and whoever counts comes to the same numbers.
    let recordings = ["show", "late"].map(|manifest| state.recording_of(manifest).unwrap());
    let length = |rows| RowsPerSegment::new(rows).unwrap();
    assert_eq!(
        recordings
            .each_ref()
            .map(|recording| recording.rows_per_segment),
        [length(3), length(2)]
    );
    let timelines = shown.iter().chain(recordings.iter().map(|r| &r.open));
    let mut numbers = BTreeMap::new();
    for timeline in timelines {
        for row in &timeline.rows {
            let own = (
                timeline.segment_number(row.number, length(2)),
                timeline.segment_number(row.number, length(3)),
                timeline.discontinuity_sequence(row.number),
            );
            assert_eq!(*numbers.entry(row.number).or_insert(own), own);
        }
    }
    assert!(rows.iter().filter(|row| row.discontinuity).count() >= 2);
    assert!(
        rows.windows(2)
            .all(|pair| pair[1].number == pair[0].number + 1 && pair[1].start > pair[0].start)
    );
    for timeline in &shown {
        for (row, segment) in timeline.segments(0).filter(|(_, segment)| segment.complete) {
            let stored = rows
                .iter()
                .find(|stored| stored.number == row.number)
                .unwrap();
            assert_eq!(
                stored.segments.get(&0),
                Some(segment),
                "a complete segment is missing"
            );
        }
    }
}
