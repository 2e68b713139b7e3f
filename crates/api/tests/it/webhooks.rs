//! Webhook rules, what is sent by them, and the log of it.

use crate::support::ingest::Ingest;
use crate::support::{ARM, MKIO, World, job, locator, work};
use headwater_auth::Role;
use serde_json::{Value as Json, json};
use uuid::Uuid;

const RULES: &str = "/api/v1/projects/default/webhook/rules";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const MASK: &str = "********";

fn rule(events: &[&str]) -> Json {
    json!({"spec": {"enabled": true, "url": "https://example.com/hook", "events": events}})
}

impl World {
    fn rule(&self, name: &str, events: &[&str]) -> Json {
        let path = format!("{RULES}/{name}");
        self.put(&path, rule(events)).expect(201).body
    }

    fn internal(&self, path: &str, body: Json) -> crate::support::Got {
        let path = format!("/internal/v1/{path}");
        self.as_role(Role::Worker, "POST", &path, &body.to_string())
    }

    /// What is due, as a sender gets it.
    fn due(&self) -> Vec<Json> {
        let request = json!({"most": 64, "leaseSeconds": 30});
        let got = self.internal("webhooks/claim", request);
        match got.status {
            204 => Vec::new(),
            _ => got.expect(200).body["deliveries"]
                .as_array()
                .unwrap()
                .clone(),
        }
    }

    /// The same as events, reported as sent, in the order of their types.
    fn told(&self) -> Vec<Json> {
        let mut events = Vec::new();
        loop {
            let due = self.due();
            if due.is_empty() {
                break;
            }
            for delivery in due {
                self.report(&delivery, json!({"kind": "answered", "status": 200}))
                    .expect(204);
                events.push(event(&delivery));
            }
        }
        events.sort_by_key(|event| event["type"].to_string());
        events
    }

    fn report(&self, delivery: &Json, outcome: Json) -> crate::support::Got {
        let mut request = json!({"outcome": outcome});
        for member in ["ruleId", "eventId", "lease"] {
            request[member] = delivery[member].clone();
        }
        self.internal("webhooks/report", request)
    }

    fn log(&self, rule: &str) -> Vec<Json> {
        let got = self.get(&format!("{RULES}/{rule}/events")).expect(200);
        got.body["value"].as_array().unwrap().clone()
    }

    fn queue_job(&self, name: &str) {
        self.put(&format!("{ARM}/assets/in1"), json!({}));
        let path = format!("{MKIO}/transforms/AdaptiveStreaming/jobs/{name}");
        self.put(&path, job("in1", "a.mp4", &format!("out-{name}")))
            .expect(201);
    }
}

fn event(delivery: &Json) -> Json {
    serde_json::from_str(delivery["body"].as_str().unwrap()).unwrap()
}

fn header<'a>(delivery: &'a Json, name: &str) -> Option<&'a str> {
    let headers = delivery["headers"].as_array().unwrap();
    let found = headers.iter().find(|header| header[0] == name)?;
    found[1].as_str()
}

fn types(events: &[Json]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

#[test]
fn a_rule_is_put_shown_listed_and_deleted() {
    let world = World::new();
    let mut wanted = rule(&["MediaKind.JobFinished", "Microsoft.Media.JobStateChange"]);
    wanted["spec"]["headers"] = json!({"X-Team": "video"});
    wanted["spec"]["queryParams"] = json!({"from": "headwater"});
    let path = format!("{RULES}/r1");
    let put = world.put(&path, wanted.clone()).expect(201).body;
    let mut spec = wanted["spec"].clone();
    spec["authentication"] = json!({"headers": {}, "queryParams": {}});
    assert_eq!(put["spec"], spec);
    assert_eq!(put["metadata"]["name"], "r1");
    assert_eq!(
        world.put(&path, put.clone()).expect(200).body["spec"],
        put["spec"]
    );
    assert_eq!(world.get(&path).expect(200).body["spec"], spec);
    let listed = world.get(RULES).expect(200).body;
    assert_eq!(listed["value"][0]["metadata"]["id"], put["metadata"]["id"]);
    assert_eq!(listed["supplemental"]["pagination"]["total"], 1);

    world.as_role(Role::Viewer, "GET", &path, "").expect(200);
    world
        .as_role(Role::Viewer, "PUT", &path, &wanted.to_string())
        .expect(403);
    world
        .as_role(Role::Operator, "PUT", &path, &wanted.to_string())
        .expect(200);
    world
        .get("/api/v1/projects/other/webhook/rules/r1")
        .expect(404);
    world.get(&format!("{RULES}/r2/events")).expect(404);
    world.delete(&path).expect(200);
    world.delete(&path).expect(204);
    world.get(&path).expect(404);
}

#[test]
fn secrets_are_asterisks_that_keep_what_is_there() {
    let world = World::new();
    let path = format!("{RULES}/r1");
    let mut wanted = rule(&["MediaKind.StreamingLocatorCreated"]);
    wanted["spec"]["authentication"] = json!({
        "headers": {"X-Key": "hunter2"}, "queryParams": {"code": "a b&c"}, "signingSecret": SECRET,
    });
    let put = world.put(&path, wanted).expect(201).body;
    let masked =
        json!({"headers": {"X-Key": MASK}, "queryParams": {"code": MASK}, "signingSecret": MASK});
    assert_eq!(put["spec"]["authentication"], masked);

    // Read, changed, written back.
    let mut changed = world.get(&path).expect(200).body;
    changed["spec"]["url"] = json!("https://example.com/other?a=b");
    changed["spec"]["headers"] = json!({"X-Team": "video"});
    world.put(&path, changed.clone()).expect(200);
    world.put(&format!("{MKIO}/assets/film"), json!({}));
    world
        .put(
            &format!("{MKIO}/streamingLocators/l1"),
            locator("film", "Predefined_ClearStreamingOnly"),
        )
        .expect(201);
    let due = world.due();
    assert_eq!(due[0]["url"], "https://example.com/other?a=b&code=a+b%26c");
    assert_eq!(header(&due[0], "X-Key"), Some("hunter2"));
    assert_eq!(header(&due[0], "X-Team"), Some("video"));
    assert_eq!(
        header(&due[0], "content-type"),
        Some("application/cloudevents+json; charset=utf-8")
    );
    assert_eq!(header(&due[0], "webhook-id"), due[0]["eventId"].as_str());
    assert!(
        header(&due[0], "webhook-signature")
            .unwrap()
            .starts_with("v1,")
    );

    // A name that is not sent back is gone, and asterisks bring nothing back.
    changed["spec"]["authentication"] = json!({"headers": {"X-Key": MASK}});
    world.put(&path, changed.clone()).expect(200);
    changed["spec"]["authentication"] = json!({"queryParams": {"code": MASK}});
    let refusal = world.put(&path, changed).expect(400).body;
    assert_eq!(
        refusal["error"]["extraDetail"]["field"],
        "spec.authentication.queryParams.code"
    );
    assert!(
        !world
            .get(&path)
            .expect(200)
            .body
            .to_string()
            .contains("hunter2")
    );
}

#[test]
fn a_rule_that_cannot_be_followed_is_refused_by_its_field() {
    let world = World::new();
    let many: serde_json::Map<_, _> = (0..33).map(|n| (format!("X-{n}"), json!("x"))).collect();
    for (member, value, field) in [
        ("enabled", json!(null), "spec.enabled"),
        ("enabled", json!("yes"), "spec.enabled"),
        ("url", json!(null), "spec.url"),
        ("url", json!("ftp://example.com"), "spec.url"),
        ("url", json!("https://user:secret@example.com"), "spec.url"),
        ("events", json!([]), "spec.events"),
        (
            "events",
            json!(["MediaKind.JobFinished", "MediaKind.ChannelInstanceStarted"]),
            "spec.events[1]",
        ),
        (
            "events",
            json!(["MediaKind.JobFinished", "MediaKind.JobFinished"]),
            "spec.events[1]",
        ),
        ("headers", json!({"Host": "evil"}), "spec.headers.Host"),
        ("headers", json!({"X": "a\r\nHost: evil"}), "spec.headers.X"),
        (
            "headers",
            json!({"X-A": "1", "x-a": "2"}),
            "spec.headers.x-a",
        ),
        ("headers", json!(many), "spec.headers"),
        ("queryParams", json!({"": "x"}), "spec.queryParams."),
        (
            "authentication",
            json!({"headers": {"Connection": "close"}}),
            "spec.authentication.headers.Connection",
        ),
        (
            "authentication",
            json!({"signingSecret": "short"}),
            "spec.authentication.signingSecret",
        ),
        (
            "authentication",
            json!({"colour": "red"}),
            "spec.authentication.colour",
        ),
        ("colour", json!("red"), "spec.colour"),
    ] {
        let mut wanted = rule(&["MediaKind.JobFinished"]);
        wanted["spec"][member] = value;
        let refusal = world
            .put(&format!("{RULES}/r1"), wanted.clone())
            .expect(400)
            .body;
        assert_eq!(refusal["error"]["extraDetail"]["field"], field, "{wanted}");
    }
    world
        .put(&format!("{RULES}/a%20b"), rule(&["MediaKind.JobFinished"]))
        .expect(400);
    world.get(&format!("{RULES}/r1")).expect(404);
    for number in 0..50 {
        world.rule(&format!("r{number}"), &["MediaKind.JobFinished"]);
    }
    world
        .put(
            &format!("{RULES}/one-more"),
            rule(&["MediaKind.JobFinished"]),
        )
        .expect(409);
}

#[test]
fn a_job_is_told_of_as_mkio_does() {
    let world = World::new();
    world.rule("r1", &["MediaKind.JobStarted", "MediaKind.JobFinished"]);
    world.queue_job("j1");
    assert_eq!(world.due(), Vec::<Json>::new());
    work(&world, "film.ism");
    let told = world.told();
    assert_eq!(
        types(&told),
        ["MediaKind.JobFinished", "MediaKind.JobStarted"]
    );
    let now = world
        .get(&format!("{MKIO}/transforms/AdaptiveStreaming/jobs/j1"))
        .expect(200)
        .body;
    insta::assert_json_snapshot!("job_finished", told[0]);
    assert_eq!(told[0]["data"]["resource"], now, "the whole GET body");
    let started = &told[1]["data"];
    assert_eq!(
        [&started["previousState"], &started["state"]],
        ["Scheduled", "Processing"]
    );
    assert_eq!(
        started["resource"]["properties"]["state"], "Processing",
        "as it was then"
    );
    assert_eq!(world.due(), Vec::<Json>::new());
    let log = world.log("r1");
    assert_eq!(log.len(), 2);
    assert!(
        log.iter()
            .all(|entry| entry["status"] == "Sent" && entry["attempts"] == 1),
        "{log:?}"
    );
    assert_eq!(log[0]["source"], told[0]["source"]);
}

#[test]
fn a_job_is_told_of_as_event_grid_did() {
    let world = World::new();
    let names = |prefix: &str| {
        [
            "StateChange",
            "Scheduled",
            "Processing",
            "Canceling",
            "Finished",
            "Canceled",
            "Errored",
        ]
        .map(|name| format!("Microsoft.Media.{prefix}{name}"))
    };
    let all: Vec<_> = names("Job").into_iter().chain(names("JobOutput")).collect();
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    world.rule("r1", &all);
    world.queue_job("j1");
    work(&world, "film.ism");
    let told = world.told();
    let counted = |name: &str| types(&told).iter().filter(|known| **known == name).count();
    assert_eq!(told.len(), 12);
    for (name, count) in [
        ("StateChange", 3),
        ("Scheduled", 1),
        ("Processing", 1),
        ("Finished", 1),
    ] {
        assert_eq!(
            counted(&format!("Microsoft.Media.Job{name}")),
            count,
            "{name}"
        );
        assert_eq!(
            counted(&format!("Microsoft.Media.JobOutput{name}")),
            count,
            "{name}"
        );
    }
    let of = |name: &str| {
        told.iter()
            .find(|event| event["type"] == format!("Microsoft.Media.{name}"))
            .unwrap()
    };
    insta::assert_json_snapshot!("ams_job_finished", of("JobFinished"));
    insta::assert_json_snapshot!("ams_output_finished", of("JobOutputFinished"));

    // Cancelled while it waits, and while somebody has it.
    world.queue_job("j2");
    let path = format!("{MKIO}/transforms/AdaptiveStreaming/jobs/j2/cancelJob");
    world.post(&path, Json::Null).expect(200);
    world.post(&path, Json::Null).expect(200);
    let told = world.told();
    let of_job: Vec<_> = told
        .iter()
        .filter(|event| event["type"] == "Microsoft.Media.JobCanceled")
        .collect();
    assert_eq!((told.len(), of_job.len()), (4, 1), "once");
    assert_eq!(of_job[0]["data"]["previousState"], "Queued");
}

#[test]
fn progress_is_told_every_five_per_cent_or_half_a_minute() {
    let world = World::new();
    world.rule("r1", &["Microsoft.Media.JobOutputProgress"]);
    world.queue_job("j1");
    let claim = world
        .worker("claim", json!({"worker": "w", "leaseSeconds": 300}))
        .expect(200)
        .body;
    let id = claim["jobId"].as_str().unwrap();
    let renew = |percent: u8| {
        let progress = json!({"lease": claim["lease"], "progress": [{"index": 0, "percent": percent}], "chunks": []});
        world.worker(&format!("{id}/renew"), progress).expect(200);
        let told = world.told();
        told.first()
            .map(|event| event["data"]["progress"].as_u64().unwrap())
    };
    assert_eq!(
        [0, 4, 5, 9, 10, 50, 49].map(renew),
        [None, None, Some(5), None, Some(10), Some(50), None]
    );
    world.wait(30);
    assert_eq!(renew(50), None, "nothing is new");
    assert_eq!(renew(51), Some(51));
    assert_eq!(renew(52), None);
}

#[test]
fn a_locator_is_told_of_once() {
    let world = World::new();
    world.rule("r1", &["MediaKind.StreamingLocatorCreated"]);
    world.rule("r2", &["MediaKind.StreamingLocatorCreated"]);
    world.put(&format!("{MKIO}/assets/film"), json!({}));
    let path = "streamingLocators/l 1".replace(' ', "%20");
    for surface in [MKIO, ARM] {
        world.put(
            &format!("{surface}/{path}"),
            locator("film", "Predefined_ClearStreamingOnly"),
        );
    }
    world
        .put(
            &format!("{MKIO}/streamingLocators/l2"),
            locator("nothing", "Predefined_ClearStreamingOnly"),
        )
        .expect(400);
    let told = world.told();
    assert_eq!(told.len(), 2, "one for each rule");
    assert_eq!(told[0]["id"], told[1]["id"]);
    let event = &told[0];
    assert_eq!(
        event["source"],
        format!("http://localhost:8080{MKIO}/{path}")
    );
    assert_eq!(
        event["data"]["resource"],
        world.get(&format!("{MKIO}/{path}")).expect(200).body
    );
    assert_eq!(event["data"]["projectName"], "default");
}

#[test]
fn a_rule_that_is_off_is_told_nothing() {
    let world = World::new();
    world.rule("r1", &["MediaKind.JobFinished"]);
    world.queue_job("j1");
    work(&world, "film.ism");
    let mut off = rule(&["MediaKind.JobFinished"]);
    off["spec"]["enabled"] = json!(false);
    world.put(&format!("{RULES}/r1"), off).expect(200);
    world.queue_job("j2");
    work(&world, "film.ism");
    assert_eq!(world.due(), Vec::<Json>::new());
    let log = world.log("r1");
    assert_eq!(log.len(), 1);
    assert_eq!(
        (&log[0]["status"], &log[0]["error"]),
        (&json!("Failed"), &json!("The rule was switched off."))
    );
}

#[test]
fn a_delivery_is_tried_again_and_its_log_says_why() {
    let world = World::new();
    world.rule("r1", &["MediaKind.JobFinished"]);
    world.queue_job("j1");
    work(&world, "film.ism");
    let first = world.due().remove(0);
    assert_eq!(world.log("r1")[0]["status"], "Pending");
    world
        .report(
            &first,
            json!({"kind": "answered", "status": 503, "retryAfterSeconds": 60}),
        )
        .expect(204);
    world
        .report(&first, json!({"kind": "answered", "status": 200}))
        .expect(409);
    let entry = world.log("r1").remove(0);
    assert_eq!(
        (&entry["status"], &entry["responseStatus"]),
        (&json!("Retrying"), &json!(503))
    );
    world.wait(59);
    assert_eq!(world.due(), Vec::<Json>::new());
    world.wait(14);
    let second = world.due().remove(0);
    assert_eq!(
        (&second["eventId"], &second["body"]),
        (&first["eventId"], &first["body"])
    );
    world
        .report(
            &second,
            json!({"kind": "refused", "reason": "The address 10.0.0.1 is private."}),
        )
        .expect(204);
    let entry = world.log("r1").remove(0);
    assert_eq!(entry["status"], "Failed");
    assert_eq!(entry["error"], "The address 10.0.0.1 is private.");
    assert_eq!(entry["attempts"], 2);
    let filtered = format!("{RULES}/r1/events?$filter=status%20eq%20'Sent'");
    assert_eq!(world.get(&filtered).expect(200).body["value"], json!([]));
    for bad in [
        json!({"most": 0, "leaseSeconds": 30}),
        json!({"most": 1, "leaseSeconds": 1}),
        json!({}),
    ] {
        world.internal("webhooks/claim", bad).expect(400);
    }
}

#[test]
fn the_states_of_a_live_event_are_told_without_its_secrets() {
    let world = World::new();
    world.rule("r1", &["Headwater.LiveEventStateChange"]);
    let path = format!("{ARM}/liveEvents/show");
    let body = json!({"location": "local", "properties": {
        "input": {"streamingProtocol": "RTMP", "accessToken": "99999999-2222-3333-4444-555555555555"},
        "encoding": {"encodingType": "PassthroughStandard"},
    }});
    world.put(&path, body).expect(201);
    world.post(&format!("{path}/start"), Json::Null).expect(202);
    Ingest::claim(&world).runs();
    let steps = |told: &[Json]| -> Vec<String> {
        let step = |event: &Json| {
            let data = &event["data"];
            assert_eq!(
                data["state"],
                data["resource"]["properties"]["resourceState"]
            );
            assert!(!event.to_string().contains("99999999"), "{event}");
            format!("{} {}", data["previousState"], data["state"]).replace('"', "")
        };
        let mut steps: Vec<_> = told.iter().map(step).collect();
        steps.sort();
        steps
    };
    let told = world.told();
    assert_eq!(steps(&told), ["Starting Running", "Stopped Starting"]);
    assert_eq!(
        told[0]["source"],
        json!(format!(
            "{}{MKIO}/liveEvents/show",
            crate::support::PUBLIC_URL
        ))
    );
    // Nobody renews: a stop is over by itself, and told of once.
    world.post(&format!("{path}/stop"), Json::Null).expect(202);
    world.wait(600);
    world.get(&path).expect(200);
    world.get(&path).expect(200);
    assert_eq!(
        steps(&world.told()),
        ["Running Stopping", "Stopping Stopped"]
    );
}

#[test]
fn ingest_tells_of_live_events_in_event_grids_words() {
    let world = World::new();
    let body = json!({"location": "local", "properties": {
        "input": {"streamingProtocol": "RTMP"}, "encoding": {"encodingType": "PassthroughStandard"},
    }});
    world
        .put(&format!("{ARM}/liveEvents/show"), body)
        .expect(201);
    world.post(&format!("{ARM}/liveEvents/show/start"), Json::Null);
    let mut worker = Ingest::claim(&world);
    worker.runs();
    let live = worker.told["eventId"].as_str().unwrap().to_owned();
    world.rule("r1", &["Microsoft.Media.LiveEventEncoderConnected"]);
    let fact = json!({
        "id": Uuid::from_u128(1),
        "type": "Microsoft.Media.LiveEventEncoderConnected",
        "data": {"ingestUrl": "rtmp://h:1935/live", "streamId": "s", "encoderIp": "192.0.2.1", "encoderPort": "3557"},
    });
    let heartbeat = json!({
        "id": Uuid::from_u128(2),
        "type": "Microsoft.Media.LiveEventIngestHeartbeat",
        "data": {
            "trackType": "video", "trackName": "video", "bitrate": 2_000_000, "incomingBitrate": 1_999_000,
            "lastTimestamp": "20", "timescale": "1", "overlapCount": 0, "discontinuityCount": 0,
            "nonincreasingCount": 0, "unexpectedBitrate": false, "state": "Running", "healthy": true,
        },
    });
    let path = format!("liveEvents/{live}/facts");
    let both = json!({"facts": [fact, heartbeat]});
    world.internal(&path, both.clone()).expect(204);
    world.internal(&path, both).expect(204);
    let told = world.told();
    assert_eq!(told.len(), 1, "what is wanted, once");
    insta::assert_json_snapshot!("live_encoder_connected", told[0]);

    let mut long = fact.clone();
    long["data"]["streamId"] = json!("x".repeat(3000));
    let mut unknown = fact.clone();
    unknown["data"]["colour"] = json!("red");
    for (facts, status) in [
        (json!([]), 400),
        (json!(vec![fact.clone(); 101]), 400),
        (json!([long]), 400),
        (json!([unknown]), 400),
        (
            json!([{"id": Uuid::nil(), "type": "Microsoft.Media.JobFinished", "data": {}}]),
            400,
        ),
    ] {
        world
            .internal(&path, json!({"facts": facts}))
            .expect(status);
    }
    let nobody = format!("liveEvents/{}/facts", Uuid::from_u128(9));
    world
        .internal(&nobody, json!({"facts": [fact]}))
        .expect(404);
}
