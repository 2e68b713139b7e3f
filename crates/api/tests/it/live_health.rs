//! How a live event's ingest is doing, as clients see it.

use crate::support::ingest::Ingest;
use crate::support::{ARM, MKIO, World};
use serde_json::{Value as Json, json};

fn health(frame_rate_milli: u32, overlaps: u64) -> Json {
    let track = |kind: &str, bitrate: u64| {
        json!({
            "trackType": kind, "trackName": format!("{kind}_{bitrate}"), "bitrate": bitrate, "incomingBitrate": bitrate,
            "frameRateMilli": frame_rate_milli, "ageMs": 40, "lastTimestamp": 900_000, "ingestDriftMs": 0, "connected": true,
        })
    };
    let mut video = track("video", 1_000_000);
    video["keyFrameDistanceMs"] = json!(2_000);
    video["keyFrameAgeMs"] = json!(1_500);
    video["lost"] = json!({"overlaps": overlaps});
    json!({
        "avDriftMs": -12,
        "encoders": [{
            "ingestUrl": "rtmp://event/live", "streamId": "main", "protocol": "RTMP", "encoderIp": "192.0.2.1",
            "encoderPort": "4000", "connectedForMs": 60_000, "incomingBitrate": 1_128_000,
        }],
        "tracks": [video, track("audio", 128_000)],
    })
}

fn tell(worker: &Ingest<'_>, health: &Json) -> u16 {
    let body =
        json!({"state": "running", "generation": worker.told["generation"], "health": health});
    worker.call("renew", body).status
}

#[test]
fn what_a_worker_measures_is_judged_and_kept_for_ten_minutes() {
    let world = World::new();
    let event = format!("{MKIO}/liveEvents/e");
    let made = json!({"location": "local", "properties": {
        "input": {"streamingProtocol": "RTMP"}, "encoding": {"encodingType": "PassthroughStandard"},
    }});
    world.put(&event, made).expect(201);
    let path = format!("{event}/health");
    let shown = |state: &str| {
        let body = world.get(&path).expect(200).body;
        assert_eq!(body["state"], state, "{body}");
        body
    };
    assert_eq!(shown("NotRunning")["history"], json!([]));
    world
        .post(&format!("{event}/start"), Json::Null)
        .expect(202);
    let mut worker = Ingest::claim(&world);
    worker.runs();
    shown("NotMeasured");
    let idle = json!({"encoders": [], "tracks": []});
    assert_eq!(tell(&worker, &idle), 200);
    let waiting = shown("NoEncoder");
    assert_eq!(waiting["reasons"][0]["code"], "NoEncoder");
    world.wait(5);
    assert_eq!(tell(&worker, &health(25_000, 0)), 200);
    let good = shown("Healthy");
    insta::assert_json_snapshot!("live_health", good);
    // The other dialect says the same.
    assert_eq!(
        world
            .get(&format!("{ARM}/liveEvents/e/health"))
            .expect(200)
            .body,
        good
    );
    world.wait(5);
    assert_eq!(tell(&worker, &health(24_000, 3)), 200);
    let bad = shown("Unhealthy");
    assert_eq!(
        bad["reasons"],
        json!([{
            "code": "Dropped", "message": "3 frames of video_1000000 were left out in the last minute.",
            "trackName": "video_1000000",
        }])
    );
    assert_eq!(
        (&bad["tracks"][0]["healthy"], &bad["tracks"][1]["healthy"]),
        (&json!(false), &json!(true))
    );

    // Ten minutes on and two more: no more points than ten minutes have.
    for _ in 0..144 {
        world.wait(5);
        assert_eq!(tell(&worker, &health(25_000, 0)), 200);
    }
    let full = shown("Healthy");
    let points = full["history"].as_array().unwrap();
    assert_eq!(points.len(), 120);
    assert_eq!(points.last().unwrap()["time"], full["measuredTime"]);

    // The worker falls silent.
    world.wait(21);
    let silent = shown("NotMeasured");
    assert_eq!(
        (&silent["tracks"], &silent["encoders"]),
        (&json!([]), &json!([]))
    );
    assert!(silent["history"].as_array().unwrap().len() < 120);

    // More than a worker says is refused, and the lease goes on.
    let mut much = health(25_000, 0);
    much["tracks"] = json!(vec![much["tracks"][0].clone(); 33]);
    assert_eq!(tell(&worker, &much), 400);
    let mut long = health(25_000, 0);
    long["encoders"][0]["streamId"] = json!("s".repeat(3000));
    assert_eq!(tell(&worker, &long), 400);
    assert_eq!(tell(&worker, &health(25_000, 0)), 200);
    shown("Healthy");

    world.post(&format!("{event}/stop"), Json::Null).expect(202);
    worker.release(Json::Null).expect(204);
    assert!(
        !shown("NotRunning")["history"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    world.delete(&event).expect(200);
    world.get(&path).expect(404);
}
