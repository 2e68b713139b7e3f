//! Live events and outputs as clients see them, with a worker that the test plays.

use crate::support::ingest::Ingest;
use crate::support::{ARM, Got, MKIO, OLDER, PUBLIC_URL, World, locator};
use headwater_auth::Role;
use http::Request;
use serde_json::{Value as Json, json};

fn event() -> Json {
    json!({"location": "local", "properties": {
        "input": {"streamingProtocol": "RTMP"}, "encoding": {"encodingType": "PassthroughStandard"},
    }})
}

fn output(asset: &str) -> Json {
    json!({"properties": {"assetName": asset, "archiveWindowLength": "PT8H", "manifestName": "show"}})
}

fn state(world: &World, path: &str) -> Json {
    world.get(path).expect(200).body["properties"]["resourceState"].clone()
}

/// What the operation that an answer names has come to.
fn polled(world: &World, begun: &Got) -> Json {
    let url = begun.header("azure-asyncoperation");
    assert_eq!(begun.header("retry-after"), "1");
    world
        .get(url.strip_prefix(PUBLIC_URL).unwrap())
        .expect(200)
        .body
}

fn status(world: &World, begun: &Got) -> String {
    polled(world, begun)["status"].as_str().unwrap().to_owned()
}

/// An event called `e` that runs, its worker, and an asset `a`.
fn running(world: &World) -> (String, Ingest<'_>) {
    let path = format!("{ARM}/liveEvents/e");
    world.put(&path, event()).expect(201);
    world.put(&format!("{ARM}/assets/a"), json!({})).expect(201);
    world.post(&format!("{path}/start"), Json::Null).expect(202);
    let mut worker = Ingest::claim(world);
    worker.runs();
    (path, worker)
}

#[test]
fn an_event_is_made_started_recorded_stopped_and_deleted() {
    let world = World::new();
    let path = format!("{ARM}/liveEvents/e");
    let made = world.put(&path, event()).expect(201).body;
    let properties = &made["properties"];
    assert_eq!(
        (
            &properties["resourceState"],
            &properties["provisioningState"]
        ),
        (&json!("Stopped"), &json!("Succeeded"))
    );
    assert_eq!(properties["input"]["endpoints"], json!([]));
    let token = properties["input"]["accessToken"].as_str().unwrap();
    assert!(uuid::Uuid::parse_str(token).is_ok());
    insta::assert_json_snapshot!("arm_live_event", made);

    let started = world.post(&format!("{path}/start"), Json::Null).expect(202);
    assert_eq!(state(&world, &path), "Starting");
    assert_eq!(status(&world, &started), "InProgress");
    let result = started.header("location").strip_prefix(PUBLIC_URL).unwrap();
    world.get(result).expect(202);
    // The client did not see the answer and repeats itself.
    let again = world.post(&format!("{path}/start"), Json::Null).expect(202);
    assert_eq!(
        again.header("azure-asyncoperation"),
        started.header("azure-asyncoperation")
    );

    let mut worker = Ingest::claim(&world);
    let told = &worker.told;
    assert_eq!(told["wanted"], "run");
    assert_eq!(told["input"]["accessToken"], token);
    assert_eq!(told["input"]["keyFrameIntervalMs"], 2000);
    worker.renew("preparing", json!([])).expect(200);
    assert_eq!(state(&world, &path), "Starting");
    worker.runs();
    assert_eq!(status(&world, &started), "Succeeded");
    world.get(result).expect(200);
    let shown = world.get(&path).expect(200).body;
    assert_eq!(shown["properties"]["resourceState"], "Running");
    assert_eq!(
        shown["properties"]["input"]["endpoints"],
        json!([{"protocol": "RTMP", "url": format!("rtmp://localhost:1935/live/{token}")}])
    );
    assert_eq!(
        shown["properties"]["preview"]["endpoints"][0]["protocol"],
        "FragmentedMP4"
    );
    world.post(&format!("{path}/start"), Json::Null).expect(200);

    world.put(&format!("{ARM}/assets/a"), json!({})).expect(201);
    let recording = format!("{path}/liveOutputs/o");
    let begun = world.put(&recording, output("a")).expect(201);
    insta::assert_json_snapshot!("arm_live_output", begun.body);
    assert_eq!(status(&world, &begun), "InProgress");
    let id = worker.output("o")["outputId"].clone();
    worker
        .renew("running", json!([{"outputId": id, "state": "recording"}]))
        .expect(200);
    assert_eq!(status(&world, &begun), "Succeeded");
    assert_eq!(state(&world, &recording), "Running");

    let ended = world.delete(&recording).expect(202);
    assert_eq!(state(&world, &recording), "Deleting");
    assert_eq!(worker.output("o")["wanted"], "finish");
    let again = world.delete(&recording).expect(202);
    assert_eq!(
        again.header("azure-asyncoperation"),
        ended.header("azure-asyncoperation")
    );
    worker
        .renew("running", json!([{"outputId": id, "state": "finished"}]))
        .expect(200);
    assert_eq!(status(&world, &ended), "Succeeded");
    world.delete(&recording).expect(204);
    assert_eq!(worker.told["outputs"], json!([]));

    let stopped = world.post(&format!("{path}/stop"), json!({})).expect(202);
    assert_eq!(state(&world, &path), "Stopping");
    worker.renew("running", json!([])).expect(200);
    assert_eq!(worker.told["wanted"], "stop");
    worker.release(Json::Null).expect(204);
    worker.release(Json::Null).expect(204);
    assert_eq!(status(&world, &stopped), "Succeeded");
    let shown = world.get(&path).expect(200).body;
    assert_eq!(shown["properties"]["resourceState"], "Stopped");
    assert_eq!(shown["properties"]["input"]["endpoints"], json!([]));
    world.post(&format!("{path}/stop"), json!({})).expect(200);

    world.delete(&path).expect(200);
    world.delete(&path).expect(204);
    world.get(&path).expect(404);
    // What became of an event's operations is known when the event is not.
    assert_eq!(status(&world, &stopped), "Succeeded");
    world.get(result).expect(200);
    // The name may be used again, for another event.
    let second = world.put(&path, event()).expect(201).body;
    assert_ne!(second["properties"]["input"]["accessToken"], token);
}

#[test]
fn a_start_that_no_worker_takes_fails_after_a_minute() {
    let world = World::new();
    let path = format!("{MKIO}/liveEvents/e");
    let begun = world
        .put(&format!("{path}?autoStart=True"), event())
        .expect(201);
    assert_eq!(begun.body["properties"]["resourceState"], "Starting");
    // MK.IO's client polls without a token.
    let poll = || {
        let url = begun.header("azure-asyncoperation").to_owned();
        world.send(Request::get(url).body(Default::default()).unwrap())
    };
    world.wait(59);
    let waiting = poll().expect(200);
    assert_eq!(waiting.body["status"], "InProgress");
    assert_eq!(waiting.header("retry-after"), "1");
    world.wait(1);
    let body = poll().expect(200).body;
    assert_eq!(body["status"], "Failed");
    assert_eq!(
        body["error"],
        json!({"code": "ServiceUnavailable", "message": "no ingest worker took the event within 60 s"})
    );
    assert_eq!(
        world.get(&format!("{path}/state")).expect(200).body,
        json!({"status": {"state": "Stopped"}})
    );
    assert_eq!(Ingest::try_claim(&world).status, 204);
    // Nothing is left of it.
    let second = world.post(&format!("{path}/start"), Json::Null).expect(202);
    assert_eq!(second.header("location"), "");
    Ingest::claim(&world).runs();
    assert_eq!(state(&world, &path), "Running");
}

#[test]
fn a_start_that_a_worker_cannot_make_fails_with_its_reason() {
    let world = World::new();
    let path = format!("{ARM}/liveEvents/e");
    let begun = world
        .put(&format!("{path}?autoStart=true"), event())
        .expect(201);
    Ingest::claim(&world)
        .release(json!("the port is taken"))
        .expect(204);
    assert_eq!(
        polled(&world, &begun)["error"]["message"],
        "the port is taken"
    );
    assert_eq!(state(&world, &path), "Stopped");
    let location = begun.header("location").strip_prefix(PUBLIC_URL).unwrap();
    world.get(location).expect(409);
}

#[test]
fn a_running_event_outlives_its_worker() {
    let world = World::new();
    let (path, mut lost) = running(&world);
    let started = lost.told["generation"].clone();
    world
        .put(&format!("{path}/liveOutputs/o"), output("a"))
        .expect(201);
    world.wait(31);
    let mut second = Ingest::claim(&world);
    assert_eq!(state(&world, &path), "Running");
    assert_eq!(second.told["generation"], started);
    assert_eq!(second.told["outputs"][0]["wanted"], "record");
    lost.renew("running", json!([])).expect(409);
    lost.release(Json::Null).expect(409);
    // One that goes away in an orderly way hands the event over at once.
    second.runs();
    second.release(Json::Null).expect(204);
    assert_eq!(state(&world, &path), "Running");
    Ingest::claim(&world);
    // Nobody comes: the event is Running for as long as it takes, and what waits for a worker is not.
    world.wait(3600);
    assert_eq!(state(&world, &path), "Running");
    assert_eq!(state(&world, &format!("{path}/liveOutputs/o")), "Running");
    world.delete(&format!("{path}/liveOutputs/o")).expect(200);
    let stopped = world.post(&format!("{path}/stop"), Json::Null).expect(202);
    assert_eq!(status(&world, &stopped), "Succeeded");
    assert_eq!(state(&world, &path), "Stopped");
}

#[test]
fn a_worker_that_dies_while_it_stops_or_deletes_holds_nothing_up() {
    let world = World::new();
    let (path, _) = running(&world);
    world
        .put(&format!("{path}/liveOutputs/o"), output("a"))
        .expect(201);
    let removed = json!({"removeOutputsOnStop": true});
    let begun = world.post(&format!("{path}/stop"), removed).expect(202);
    world.wait(31);
    // Another worker may still close the recording.
    let mut second = Ingest::claim(&world);
    assert_eq!(second.told["wanted"], "stop");
    assert_eq!(second.output("o")["wanted"], "finish");
    world.wait(91);
    assert_eq!(status(&world, &begun), "Succeeded");
    assert_eq!(state(&world, &path), "Stopped");
    world.get(&format!("{path}/liveOutputs/o")).expect(404);
    second.renew("running", json!([])).expect(409);
}

#[test]
fn outputs_are_in_the_way_of_a_stop_unless_they_are_removed_with_it() {
    let world = World::new();
    let (path, mut worker) = running(&world);
    world
        .put(&format!("{path}/liveOutputs/o"), output("a"))
        .expect(201);
    for body in [Json::Null, json!({})] {
        let refusal = world.post(&format!("{path}/stop"), body).expect(409).body;
        assert_eq!(refusal["error"]["code"], "InvalidOperation");
    }
    let refusal = world.post(&format!("{MKIO}/liveEvents/e/stop"), Json::Null);
    let detail = refusal.expect(400).body["error"]["detail"].clone();
    assert!(detail.as_str().unwrap().contains("'o'"), "{detail}");
    let unknown = json!({"removeAll": true});
    world.post(&format!("{path}/stop"), unknown).expect(400);
    world.delete(&path).expect(409);

    let removed = json!({"removeOutputsOnStop": true});
    let begun = world.post(&format!("{path}/stop"), removed).expect(202);
    worker.renew("running", json!([])).expect(200);
    assert_eq!(worker.output("o")["wanted"], "finish");
    worker.release(Json::Null).expect(204);
    assert_eq!(status(&world, &begun), "Succeeded");
    let left = world.get(&format!("{path}/liveOutputs")).expect(200).body;
    assert_eq!(
        (&left["value"], &left["@odata.count"]),
        (&json!([]), &json!(0))
    );
    world.get(&format!("{ARM}/assets/a")).expect(200);
}

#[test]
fn a_reset_is_a_new_start_without_outputs() {
    let world = World::new();
    let (path, mut worker) = running(&world);
    let recording = format!("{path}/liveOutputs/o");
    world.put(&recording, output("a")).expect(201);
    let before = worker.told["generation"].as_u64().unwrap();
    let begun = world.post(&format!("{path}/reset"), Json::Null).expect(202);
    assert_eq!(state(&world, &path), "Starting");
    // It runs, but not the generation that is wanted.
    worker.renew("running", json!([])).expect(200);
    assert_eq!(status(&world, &begun), "InProgress");
    assert_eq!(worker.told["generation"], before + 1);
    let id = worker.output("o")["outputId"].clone();
    worker
        .renew("running", json!([{"outputId": id, "state": "finished"}]))
        .expect(200);
    assert_eq!(status(&world, &begun), "Succeeded");
    assert_eq!(state(&world, &path), "Running");
    world.get(&recording).expect(404);
}

#[test]
fn an_allocated_event_stands_by() {
    let world = World::new();
    let path = format!("{ARM}/liveEvents/e");
    world.put(&path, event()).expect(201);
    let allocate = format!("{path}/allocate");
    let begun = world.post(&allocate, Json::Null).expect(202);
    world.post(&allocate, Json::Null).expect(202);
    for refused in ["start", "reset"] {
        let refusal = world.post(&format!("{path}/{refused}"), Json::Null);
        assert_eq!(
            refusal.expect(409).body["error"]["code"],
            "InvalidOperation"
        );
    }
    let mut worker = Ingest::claim(&world);
    assert_eq!(worker.told["wanted"], "standBy");
    worker.renew("standBy", json!([])).expect(200);
    assert_eq!(status(&world, &begun), "Succeeded");
    world.post(&allocate, Json::Null).expect(200);
    // What is changed now reaches the worker with its next renewal.
    let change =
        json!({"location": "local", "properties": {"input": {"keyFrameIntervalDuration": "PT4S"}}});
    world.patch(&path, change).expect(200);
    worker.renew("standBy", json!([])).expect(200);
    assert_eq!(worker.told["input"]["keyFrameIntervalMs"], 4000);

    let begun = world.post(&format!("{path}/start"), Json::Null).expect(202);
    let stopped = world.post(&format!("{path}/stop"), Json::Null).expect(202);
    let failed = polled(&world, &begun);
    assert_eq!(failed["error"]["code"], "InvalidOperation", "{failed}");
    world.post(&format!("{path}/start"), Json::Null).expect(409);
    worker.release(Json::Null).expect(204);
    assert_eq!(status(&world, &stopped), "Succeeded");

    world.post(&allocate, Json::Null).expect(202);
    let mut worker = Ingest::claim(&world);
    worker.renew("standBy", json!([])).expect(200);
    let deleted = world.delete(&path).expect(202);
    assert_eq!(state(&world, &path), "Deleting");
    worker.renew("standBy", json!([])).expect(200);
    assert_eq!(worker.told["wanted"], "stop");
    worker.release(Json::Null).expect(204);
    worker.release(Json::Null).expect(204);
    assert_eq!(status(&world, &deleted), "Succeeded");
    world.get(&path).expect(404);
}

#[test]
fn what_is_written_again_is_answered_and_what_differs_is_refused() {
    let world = World::new();
    let path = format!("{ARM}/liveEvents/e");
    let made = world.put(&path, event()).expect(201).body;
    world.wait(1);
    assert_eq!(world.put(&path, event()).expect(200).body, made);
    // What was read can be written back.
    assert_eq!(world.put(&path, made.clone()).expect(200).body, made);
    for (pointer, value) in [
        ("/properties/description", json!("other")),
        (
            "/properties/encoding/encodingType",
            json!("PassthroughBasic"),
        ),
        ("/tags", json!({"a": "b"})),
        (
            "/properties/input/accessToken",
            json!("11111111-2222-3333-4444-555555555555"),
        ),
    ] {
        let refusal = world
            .put(&path, with(made.clone(), pointer, value))
            .expect(409);
        let message = refusal.body["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        let member = pointer.trim_start_matches('/').replace('/', ".");
        assert!(message.contains(&member), "{message}");
    }

    world.put(&format!("{ARM}/assets/a"), json!({})).expect(201);
    let recording = format!("{path}/liveOutputs/o");
    let made = world.put(&recording, output("a")).expect(201).body;
    assert_eq!(made["properties"]["resourceState"], "Running");
    assert_eq!(world.put(&recording, made.clone()).expect(200).body, made);
    let other = with(made, "/properties/archiveWindowLength", json!("PT1H"));
    world.put(&recording, other).expect(409);
    world.patch(&recording, json!({})).expect(405);
}

/// The body with another value at a place.
fn with(mut body: Json, pointer: &str, value: Json) -> Json {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[member] = value;
    body
}

#[test]
fn a_patch_changes_what_may_change_when_it_may() {
    let world = World::new();
    let (path, _worker) = running(&world);
    let patch = |body: Json| world.patch(&path, body);
    let description = json!({"properties": {"description": "d"}});
    let refusal = patch(description.clone()).expect(409).body;
    assert_eq!(refusal["error"]["code"], "InvalidOperation");
    // What is so already, and what is not the event's own, may be said at any time.
    patch(json!({"properties": {"encoding": {"encodingType": "PassthroughStandard"}}})).expect(200);
    let tagged = patch(json!({"tags": {"team": "video"}})).expect(200).body;
    assert_eq!(tagged["tags"], json!({"team": "video"}));

    world.wait(3600);
    world.post(&format!("{path}/stop"), Json::Null).expect(202);
    let changed = patch(description).expect(200).body;
    assert_eq!(changed["properties"]["description"], "d");
    assert_eq!(changed["tags"], json!({"team": "video"}));
    for (member, value, field) in [
        (
            "encoding",
            json!({"encodingType": "Standard"}),
            "encoding.encodingType",
        ),
        (
            "input",
            json!({"streamingProtocol": "RTMPS"}),
            "input.streamingProtocol",
        ),
        (
            "input",
            json!({"accessToken": "11111111-2222-3333-4444-555555555555"}),
            "input.accessToken",
        ),
        (
            "preview",
            json!({"previewLocator": "11111111-2222-3333-4444-555555555555"}),
            "preview.previewLocator",
        ),
        (
            "preview",
            json!({"alternativeMediaId": "m"}),
            "preview.alternativeMediaId",
        ),
        ("streamOptions", json!(["LowLatency"]), "streamOptions"),
        ("useStaticHostname", json!(true), "useStaticHostname"),
    ] {
        let body = json!({"properties": {member: value}});
        let refusal = patch(body).expect(400).body;
        assert_eq!(refusal["error"]["target"], format!("properties.{field}"));
    }
}

#[test]
fn an_empty_access_list_means_what_it_means_on_the_surface() {
    let world = World::new();
    let with_list = |allow: Json| {
        let access = json!({"ip": {"allow": allow}});
        with(event(), "/properties/input/accessControl", access)
    };
    let everybody = json!([{"name": "AllowAll", "address": "0.0.0.0", "subnetPrefixLength": 0}]);
    let allowed = |path: String, body: Json| {
        let made = world.put(&path, body).expect(201).body;
        made["properties"]["input"]["accessControl"]["ip"]["allow"].clone()
    };
    let at = |base: &str, name: &str| format!("{base}/liveEvents/{name}");
    assert_eq!(allowed(at(ARM, "none"), with_list(json!([]))), json!([]));
    assert_eq!(allowed(at(ARM, "unsaid"), event()), everybody);
    assert_eq!(allowed(at(MKIO, "empty"), with_list(json!([]))), everybody);
    assert_eq!(allowed(at(OLDER, "silent"), event()), everybody);
    let some = json!([
        {"name": "studio", "address": "192.0.2.0", "subnetPrefixLength": 24},
        {"address": "2001:db8::1"},
    ]);
    assert_eq!(allowed(at(ARM, "some"), with_list(some.clone())), some);
    world
        .post(&format!("{}/start", at(ARM, "some")), Json::Null)
        .expect(202);
    assert_eq!(Ingest::claim(&world).told["input"]["allow"], some);
}

#[test]
fn an_encoded_event_with_everything_set() {
    let world = World::new();
    let path = format!("{MKIO}/liveEvents/e");
    let body = json!({"location": "local", "labels": {"show": "news"}, "properties": {
        "description": "d",
        "input": {"streamingProtocol": "SRT", "accessToken": "a-long-passphrase"},
        "preview": {
            "previewLocator": "11111111-2222-3333-4444-555555555555", "alternativeMediaId": "m",
            "streamingPolicyName": "Predefined_ClearStreamingOnly",
        },
        "encoding": {"encodingType": "Standard", "keyFrameInterval": "4"},
        "streamOptions": ["LowLatency"], "useStaticHostname": true, "hostnamePrefix": "news",
        "transcriptions": [{"language": "en-US"}],
    }});
    let made = world.put(&path, body.clone()).expect(201).body;
    insta::assert_json_snapshot!("mkio_encoded_live_event", made);
    world.put(&path, body).expect(200);
    world
        .put(&format!("{MKIO}/assets/a"), json!({}))
        .expect(201);
    let recording = json!({"properties": {
        "assetName": "a", "archiveWindowLength": "P1DT1H", "description": "d", "outputSnapTime": 90_000,
        "hls": {"fragmentsPerTsSegment": 3},
    }});
    let made = world.put(&format!("{path}/liveOutputs/o"), recording);
    let made = made.expect(201).body;
    assert_eq!(made["properties"]["archiveWindowLength"], "PT25H");
    world.post(&format!("{path}/start"), Json::Null).expect(202);
    let mut told = Ingest::claim(&world).told;
    told["outputs"][0]["place"]["sas"] = json!("(signed)");
    insta::assert_json_snapshot!("live_assignment", told);
}

#[test]
fn a_host_name_of_its_own_can_be_taken_back() {
    let world = World::new();
    let path = format!("{MKIO}/liveEvents/e");
    let properties = |properties: Json| json!({"location": "local", "properties": properties});
    let named = json!({
        "input": {"streamingProtocol": "RTMP"}, "useStaticHostname": true, "hostnamePrefix": "news",
    });
    for nothing in [Json::Null, json!("")] {
        world.put(&path, properties(named.clone())).expect(201);
        let kept = world.patch(&path, properties(json!({"description": "d"})));
        assert_eq!(
            kept.expect(200).body["properties"]["hostnamePrefix"],
            "news"
        );
        let bare = world.patch(&path, properties(json!({"hostnamePrefix": nothing})));
        bare.expect(200);
        let now = world.get(&path).expect(200).body;
        assert_eq!(now["properties"]["useStaticHostname"], json!(true));
        assert!(
            now["properties"]
                .get("hostnamePrefix")
                .is_none_or(Json::is_null)
        );
        world.delete(&path);
    }
}

#[test]
fn cross_site_policies_are_kept_and_taken_back() {
    let world = World::new();
    let path = format!("{ARM}/liveEvents/crossed");
    let policies = json!({"clientAccessPolicy": "<access-policy/>"});
    let mut body = event();
    body["properties"]["crossSiteAccessPolicies"] = policies.clone();
    let made = world.put(&path, body).expect(201).body;
    assert_eq!(made["properties"]["crossSiteAccessPolicies"], policies);
    let more = json!({"properties": {"crossSiteAccessPolicies": {"crossDomainPolicy": "<cross-domain-policy/>"}}});
    let changed = world.patch(&path, more).expect(200).body;
    let both = json!({"clientAccessPolicy": "<access-policy/>", "crossDomainPolicy": "<cross-domain-policy/>"});
    assert_eq!(changed["properties"]["crossSiteAccessPolicies"], both);
    // The origin is told of them while it runs.
    let told = || {
        let said = headwater_catalog::endpoints::cross_site(&world.sql);
        futures::executor::block_on(said).unwrap().1
    };
    assert_eq!(told(), []);
    world.post(&format!("{path}/start"), Json::Null).expect(202);
    Ingest::claim(&world).runs();
    let [said] = told().try_into().unwrap();
    assert_eq!(said.client_access.as_deref(), Some("<access-policy/>"));
    assert_eq!(said.cross_domain.as_deref(), Some("<cross-domain-policy/>"));
    world.wait(3600);
    world.post(&format!("{path}/stop"), Json::Null).expect(202);
    let none = json!({"properties": {"crossSiteAccessPolicies": null}});
    let changed = world.patch(&path, none).expect(200).body;
    assert!(
        changed["properties"]
            .get("crossSiteAccessPolicies")
            .is_none()
    );
}

#[test]
fn events_say_which_member_is_wrong() {
    let world = World::new();
    let standard = json!({"encodingType": "Standard"});
    for (member, value, field) in [
        ("description", json!("x".repeat(4097)), "description"),
        ("colour", json!("red"), "colour"),
        ("pipeline", json!({"name": "p"}), "pipeline"),
        (
            "crossSiteAccessPolicies",
            json!({"crossDomainPolicy": "<x/>"}),
            "crossSiteAccessPolicies.crossDomainPolicy",
        ),
        (
            "transcriptions",
            json!([{"language": "en-US"}]),
            "transcriptions",
        ),
        ("hostnamePrefix", json!("news"), "hostnamePrefix"),
        (
            "streamOptions",
            json!(["Default", "LowLatency"]),
            "streamOptions",
        ),
        ("streamOptions", json!(["Fast"]), "streamOptions[0]"),
        (
            "input",
            json!({"streamingProtocol": "WHIP"}),
            "input.streamingProtocol",
        ),
        (
            "input",
            json!({"accessToken": "secret"}),
            "input.accessToken",
        ),
        (
            "input",
            json!({"keyFrameIntervalDuration": "PT0.4S"}),
            "input.keyFrameIntervalDuration",
        ),
        (
            "input",
            json!({"keyFrameIntervalDuration": "00:00:02"}),
            "input.keyFrameIntervalDuration",
        ),
        ("input", json!({"fillWith": "Slate"}), "input.fillWith"),
        ("input", json!({"fillAfter": "PT2S"}), "input.fillAfter"),
        (
            "input",
            json!({"fillWith": "None", "fillAfter": "PT2S"}),
            "input.fillAfter",
        ),
        (
            "input",
            json!({"fillWith": "Silence", "fillAfter": "PT31S"}),
            "input.fillAfter",
        ),
        (
            "input",
            json!({"accessControl": {"ip": {"allow": [{"address": "example.com"}]}}}),
            "input.accessControl.ip.allow[0].address",
        ),
        (
            "preview",
            json!({"accessControl": {"ip": {"allow": [{"address": "192.0.2.1", "subnetPrefixLength": 33}]}}}),
            "preview.accessControl.ip.allow[0].subnetPrefixLength",
        ),
        (
            "preview",
            json!({"previewLocator": "x"}),
            "preview.previewLocator",
        ),
        (
            "preview",
            json!({"streamingPolicyName": "Predefined_ClearKey"}),
            "preview.streamingPolicyName",
        ),
        (
            "encoding",
            json!({"encodingType": "Ultra"}),
            "encoding.encodingType",
        ),
        (
            "encoding",
            json!({"presetName": "Default720p"}),
            "encoding.presetName",
        ),
        (
            "encoding",
            json!({"keyFrameInterval": "PT2S"}),
            "encoding.keyFrameInterval",
        ),
        (
            "encoding",
            json!({"stretchMode": "AutoFit"}),
            "encoding.stretchMode",
        ),
        (
            "encoding",
            json!({"encodingType": "Standard", "presetName": "Default1080p"}),
            "encoding.presetName",
        ),
        (
            "encoding",
            json!({"encodingType": "Standard", "keyFrameInterval": "PT21S"}),
            "encoding.keyFrameInterval",
        ),
    ] {
        let body = json!({"location": "local", "properties": {member: value}});
        let refusal = world.put(&format!("{ARM}/liveEvents/e"), body.clone());
        let target = refusal.expect(400).body["error"]["target"].clone();
        assert_eq!(target, format!("properties.{field}"), "{body}");
    }
    for (body, field) in [
        (json!({"location": "westeurope"}), "location"),
        (json!({"tags": {"a": "x".repeat(65)}}), "tags.a"),
        (json!({"labels": {"a b": "x"}}), "labels.a b"),
        (
            json!({"properties": {"encoding": standard, "input": {"keyFrameIntervalDuration": "2"}}}),
            "properties.input.keyFrameIntervalDuration",
        ),
        (
            json!({"properties": {"encoding": standard, "input": {"streamingProtocol": "SRT", "accessToken": "short"}}}),
            "properties.input.accessToken",
        ),
    ] {
        let refusal = world.put(&format!("{ARM}/liveEvents/e"), body.clone());
        assert_eq!(refusal.expect(400).body["error"]["target"], field, "{body}");
    }
    for name in ["-a", "a_b", "a%20b", &"x".repeat(33)] {
        let refusal = world.put(&format!("{ARM}/liveEvents/{name}"), event());
        assert_eq!(refusal.expect(400).body["error"]["target"], "name");
    }
    let started = world.put(&format!("{ARM}/liveEvents/e?autoStart=perhaps"), event());
    assert_eq!(started.expect(400).body["error"]["target"], "autoStart");
    world.get(&format!("{ARM}/liveEvents/e")).expect(404);
}

#[test]
fn what_stands_in_for_an_encoder_is_said_by_the_event_and_reaches_the_worker() {
    let world = World::new();
    let path = format!("{ARM}/liveEvents/e");
    let input = |path: &str| world.get(path).expect(200).body["properties"]["input"].clone();
    world.put(&path, event()).expect(201);
    // Clients of AMS, which did not know of it, are shown nothing that they did not ask for.
    assert!(input(&path).get("fillWith").is_none() && input(&path).get("fillAfter").is_none());
    let change = |input: Json| {
        world.patch(
            &path,
            json!({"location": "local", "properties": {"input": input}}),
        )
    };
    change(json!({"fillWith": "BlackAndSilence"})).expect(200);
    assert_eq!(input(&path)["fillAfter"], "PT1S");
    change(json!({"fillAfter": "PT2.5S"})).expect(200);
    assert_eq!(input(&path)["fillWith"], "BlackAndSilence");

    world
        .post(&format!("{path}/allocate"), Json::Null)
        .expect(202);
    let mut worker = Ingest::claim(&world);
    let told = json!({"with": "BlackAndSilence", "afterMs": 2500});
    assert_eq!(worker.told["input"]["fill"], told);
    worker.renew("standBy", json!([])).expect(200);
    // What was said of it goes with it.
    change(json!({"fillWith": "None"})).expect(200);
    assert!(input(&path).get("fillAfter").is_none());
    worker.renew("standBy", json!([])).expect(200);
    assert_eq!(worker.told["input"].get("fill"), None);
}

#[test]
fn an_event_is_encoded_to_the_ladder_of_a_transform() {
    let world = World::new();
    let layer = |bitrate: u32, width: &str, height: &str| json!({"bitrate": bitrate, "width": width, "height": height});
    let transform = |layers: Json| {
        json!({"properties": {"outputs": [{"preset": {
            "@odata.type": "#Microsoft.Media.StandardEncoderPreset",
            "codecs": [
                {"@odata.type": "#Microsoft.Media.AacAudio", "bitrate": 128_000},
                {"@odata.type": "#Microsoft.Media.H264Video", "keyFrameInterval": "PT1S", "stretchMode": "AutoFit", "layers": layers},
            ],
            "formats": [{"@odata.type": "#Microsoft.Media.Mp4Format", "filenamePattern": "{Basename}_{Bitrate}{Extension}"}],
        }}]}})
    };
    let small = json!([
        layer(400_000, "640", "360"),
        layer(1_500_000, "1280", "720")
    ]);
    world
        .put(&format!("{ARM}/transforms/mine"), transform(small))
        .expect(201);
    let large = json!([layer(4_000_000, "1920", "1080")]);
    world
        .put(&format!("{ARM}/transforms/large"), transform(large))
        .expect(201);
    let built_in = json!({"properties": {"outputs": [{"preset": {
        "@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": "AdaptiveStreaming"}}]}});
    world
        .put(&format!("{ARM}/transforms/built-in"), built_in)
        .expect(201);
    let encoded = |name: &str, kind: &str| json!({"location": "local", "properties": {"encoding": {"encodingType": kind, "presetName": name}}});
    let path = format!("{ARM}/liveEvents/e");
    for (name, words) in [
        (
            "nobody's",
            "must be Default720p, or the name of a transform",
        ),
        ("Default1080p", "must be Default720p"),
        (
            "large",
            "a layer of 1920x1080; this encodingType goes up to 1280x720",
        ),
        ("built-in", "names transform 'built-in', and its preset "),
    ] {
        let refusal = world.put(&path, encoded(name, "Standard")).expect(400);
        let error = &refusal.body["error"];
        assert_eq!(error["target"], "properties.encoding.presetName");
        let said = error["message"].as_str().unwrap();
        assert!(said.contains(words), "{said}");
    }
    let passed_through = world.put(&path, encoded("mine", "PassthroughStandard"));
    passed_through.expect(400);

    world.put(&path, encoded("mine", "Standard")).expect(201);
    let shown = world.get(&path).expect(200).body["properties"]["encoding"].clone();
    let wanted = json!({"encodingType": "Standard", "presetName": "mine", "keyFrameInterval": "PT1S", "stretchMode": "AutoFit"});
    assert_eq!(shown, wanted);
    world
        .put(
            &format!("{ARM}/liveEvents/l"),
            encoded("large", "Premium1080p"),
        )
        .expect(201);
    // What the transform says counts when the event is made, and then no more.
    world.delete(&format!("{ARM}/transforms/mine")).expect(200);
    world.put(&path, encoded("mine", "Standard")).expect(200);
    world
        .post(&format!("{path}/allocate"), Json::Null)
        .expect(202);
    let worker = Ingest::claim(&world);
    let told = &worker.told["encoding"];
    let layer = |bitrate: u32, width: u32, height: u32| json!({"bitrate": bitrate, "width": width, "height": height});
    let layers = json!([layer(1_500_000, 1280, 720), layer(400_000, 640, 360)]);
    assert_eq!(
        told["ladder"],
        json!({"layers": layers, "soundBitrate": 128_000})
    );
    assert_eq!(
        (&told["keyFrameIntervalMs"], &told["stretchMode"]),
        (&json!(1_000), &json!("AutoFit"))
    );
}

#[test]
fn outputs_say_which_member_is_wrong() {
    let world = World::new();
    let basic = json!({"properties": {"encoding": {"encodingType": "PassthroughBasic"}}});
    world
        .put(&format!("{ARM}/liveEvents/basic"), basic)
        .expect(201);
    world.put(&format!("{ARM}/assets/a"), json!({})).expect(201);
    let path = format!("{ARM}/liveEvents/basic/liveOutputs/o");
    for (member, value, field) in [
        ("assetName", Json::Null, "assetName"),
        ("assetName", json!("nothing"), "assetName"),
        ("archiveWindowLength", Json::Null, "archiveWindowLength"),
        ("archiveWindowLength", json!("8h"), "archiveWindowLength"),
        ("archiveWindowLength", json!("PT59S"), "archiveWindowLength"),
        (
            "archiveWindowLength",
            json!("PT8H1S"),
            "archiveWindowLength",
        ),
        ("rewindWindowLength", json!("PT30S"), "rewindWindowLength"),
        ("rewindWindowLength", json!("PT9H"), "rewindWindowLength"),
        ("manifestName", json!("a_b"), "manifestName"),
        (
            "hls",
            json!({"fragmentsPerTsSegment": 0}),
            "hls.fragmentsPerTsSegment",
        ),
        ("hls", json!({"fragments": 1}), "hls.fragments"),
        ("outputSnapTime", json!(-1), "outputSnapTime"),
        ("description", json!("x".repeat(4097)), "description"),
        ("colour", json!("red"), "colour"),
    ] {
        let body = with(output("a"), &format!("/properties/{member}"), value);
        let refusal = world.put(&path, body.clone()).expect(400).body;
        assert_eq!(
            refusal["error"]["target"],
            format!("properties.{field}"),
            "{body}"
        );
    }
    world.get(&path).expect(404);
    world
        .put(&format!("{ARM}/liveEvents/none/liveOutputs/o"), output("a"))
        .expect(404);
    world
        .delete(&format!("{ARM}/liveEvents/none/liveOutputs/o"))
        .expect(204);

    // As many as the type may have, and none that records what another does.
    world.put(&path, output("a")).expect(201);
    world.put(&format!("{ARM}/assets/b"), json!({})).expect(201);
    world
        .put(
            &format!("{ARM}/liveEvents/basic/liveOutputs/p"),
            output("b"),
        )
        .expect(409);
    world
        .put(&format!("{ARM}/liveEvents/other"), event())
        .expect(201);
    let other = format!("{ARM}/liveEvents/other/liveOutputs");
    let taken = world
        .put(&format!("{other}/o"), output("a"))
        .expect(409)
        .body;
    assert_eq!(taken["error"]["code"], "ResourceExists");
    for name in ["b", "c", "d"] {
        world.put(&format!("{ARM}/assets/{name}"), json!({}));
        world
            .put(&format!("{other}/{name}"), output(name))
            .expect(201);
    }
    world.put(&format!("{ARM}/assets/e"), json!({})).expect(201);
    world.put(&format!("{other}/e"), output("e")).expect(409);
}

#[test]
fn an_asset_is_kept_while_it_is_recorded_and_its_paths_are_known_before() {
    let world = World::new();
    let (event, mut worker) = running(&world);
    let asset = format!("{ARM}/assets/a");
    let locator_path = format!("{ARM}/streamingLocators/l");
    world
        .put(&locator_path, locator("a", "Predefined_ClearStreamingOnly"))
        .expect(201);
    let paths = || {
        let listed = world.post(&format!("{locator_path}/listPaths"), Json::Null);
        listed.expect(200).body["streamingPaths"]
            .as_array()
            .unwrap()
            .len()
    };
    let published = || {
        let listed = world.get("/api/v1/projects/default/media/published");
        listed.expect(200).body["value"].as_array().unwrap().len()
    };
    let recording = format!("{event}/liveOutputs/o");
    assert_eq!(paths(), 0);
    world.put(&recording, output("a")).expect(201);
    // Nobody sees it before there is anything to see.
    assert_eq!((paths(), published()), (3, 0));
    let refusal = world.delete(&asset).expect(409).body;
    assert!(
        refusal["error"]["message"]
            .as_str()
            .unwrap()
            .contains("'o'")
    );

    // An output of which nothing was recorded leaves its asset as it was.
    world.delete(&recording).expect(202);
    let id = worker.output("o")["outputId"].clone();
    worker
        .renew("running", json!([{"outputId": id, "state": "finished"}]))
        .expect(200);
    assert_eq!(paths(), 0);

    world.put(&recording, output("a")).expect(201);
    let id = worker.output("o")["outputId"].clone();
    for state in ["recording", "finished"] {
        let report = json!([{"outputId": id, "state": state}]);
        worker.renew("running", report).expect(200);
    }
    assert_eq!((paths(), published()), (3, 1));
    assert_eq!(
        state(&world, &recording),
        "Running",
        "nobody asked it to finish"
    );
    world.delete(&recording).expect(202);
    let report = json!([{"outputId": id, "state": "finished"}]);
    worker.renew("running", report).expect(200);
    assert_eq!(paths(), 3);
    // It holds a film now.
    let again = world.put(&recording, output("a")).expect(400).body;
    assert_eq!(again["error"]["target"], "properties.assetName");
    world.delete(&asset).expect(200);
}

#[test]
fn lists_are_filtered_ordered_counted_and_paged() {
    let world = World::new();
    for (name, team) in [("a", "video"), ("b", "sound"), ("c", "video")] {
        let labelled = with(event(), "/labels", json!({ "team": team }));
        world
            .put(&format!("{MKIO}/liveEvents/{name}"), labelled)
            .expect(201);
        world.wait(1);
    }
    world
        .post(&format!("{MKIO}/liveEvents/b/start"), Json::Null)
        .expect(202);
    let names = |query: &str| -> Vec<String> {
        let listed = world.get(&format!("{MKIO}/liveEvents?{query}")).expect(200);
        let items = listed.body["value"].as_array().unwrap().clone();
        items
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("$orderby=properties/created%20desc"), ["c", "b", "a"]);
    assert_eq!(
        names("$filter=properties/resourceState%20eq%20'Starting'"),
        ["b"]
    );
    assert_eq!(names("$label=team=video"), ["a", "c"]);
    assert_eq!(names("$top=1&$skiptoken=1"), ["b"]);
    // What time decides is decided before anything is looked for.
    world.wait(60);
    assert_eq!(
        names("$filter=properties/resourceState%20eq%20'Starting'"),
        [""; 0]
    );
    let arm = world.get(&format!("{ARM}/liveEvents")).expect(200).body;
    assert_eq!(
        (&arm["@odata.count"], &arm["supplemental"]),
        (&json!(3), &Json::Null)
    );
    let mkio = world
        .get(&format!("{MKIO}/liveEvents?$top=2"))
        .expect(200)
        .body;
    assert_eq!(mkio["supplemental"]["kind"], "LiveEvent");
    assert!(mkio["@odata.nextLink"].is_string());
    let stats = world.get(&format!("{MKIO}/stats")).expect(200).body;
    assert_eq!(
        stats["liveEvents"],
        json!({"running": 0, "stopped": 3, "total": 3})
    );
}

#[test]
fn a_viewer_sees_everything_but_how_to_send() {
    let world = World::new();
    let (path, _worker) = running(&world);
    let seen = world
        .as_role(Role::Viewer, "GET", &path, "")
        .expect(200)
        .body;
    let input = &seen["properties"]["input"];
    assert_eq!(
        (&input["accessToken"], &input["endpoints"]),
        (&Json::Null, &json!([]))
    );
    assert_eq!(seen["properties"]["resourceState"], "Running");
    let stop = format!("{path}/stop");
    world.as_role(Role::Viewer, "POST", &stop, "").expect(403);
    world.as_role(Role::Operator, "POST", &stop, "").expect(202);
    // Not in the catalog either.
    let rows = futures::executor::block_on(headwater_catalog::Sql::query(
        &world.sql,
        "SELECT properties_json, access_token_sealed, endpoints_sealed FROM live_events",
        &[],
    ));
    let shown = world.get(&path).expect(200).body;
    let token = shown["properties"]["input"]["accessToken"]
        .as_str()
        .unwrap();
    for value in &rows.unwrap().rows[0] {
        let bytes = match value {
            headwater_catalog::Value::Text(text) => text.clone().into_bytes(),
            headwater_catalog::Value::Blob(bytes) => bytes.clone(),
            other => panic!("{other:?}"),
        };
        assert!(
            !bytes
                .windows(token.len())
                .any(|part| part == token.as_bytes())
        );
    }
}

#[test]
fn events_of_other_projects_do_not_exist() {
    let world = World::new();
    world
        .put(&format!("{MKIO}/liveEvents/e"), event())
        .expect(201);
    let token = world.token(Role::Owner, Some("other"));
    for (method, path) in [
        ("GET", "liveEvents/e"),
        ("GET", "liveEvents/e/liveOutputs"),
        ("POST", "liveEvents/e/start"),
        ("DELETE", "liveEvents/e"),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(format!("{MKIO}/{path}"))
            .header("authorization", format!("Bearer {token}"));
        world
            .send(request.body(Default::default()).unwrap())
            .expect(404);
    }
    world
        .get(&format!("{MKIO}/liveEventOperations/none"))
        .expect(404);
}

#[test]
fn a_preview_has_a_locator_of_its_own() {
    let world = World::new();
    let preview = json!({"previewLocator": "11111111-2222-3333-4444-555555555555"});
    let body = with(event(), "/properties/preview", preview);
    world
        .put(&format!("{ARM}/liveEvents/e"), body.clone())
        .expect(201);
    let refusal = world
        .put(&format!("{ARM}/liveEvents/f"), body)
        .expect(409)
        .body;
    assert_eq!(refusal["error"]["code"], "ResourceExists");
}

#[test]
fn what_a_worker_says_is_checked_and_its_places_are_signed_anew() {
    let world = World::new();
    let (path, mut worker) = running(&world);
    world
        .put(&format!("{path}/liveOutputs/o"), output("a"))
        .expect(201);
    let signature = |worker: &mut Ingest<'_>| worker.output("o")["place"]["sas"].clone();
    let first = signature(&mut worker);
    world.wait(20);
    assert_ne!(signature(&mut worker), first);

    let renew = |body: Json| worker.call("renew", body);
    let endpoints = json!({"input": vec![json!({"protocol": "RTMP", "url": "rtmp://h"}); 17]});
    let report = json!({"state": "running", "generation": 1, "endpoints": endpoints});
    assert_eq!(renew(report).expect(400).body["field"], "endpoints.input");
    renew(json!({"state": "idle", "generation": 1})).expect(400);
    let short = json!({"worker": "w", "leaseSeconds": 1});
    let refusal = world.as_role(
        Role::Worker,
        "POST",
        "/internal/v1/liveEvents/claim",
        &short.to_string(),
    );
    assert_eq!(refusal.expect(400).body["field"], "leaseSeconds");
}

#[test]
fn strangers_do_not_learn_which_projects_there_are() {
    let world = World::new();
    for collection in [
        "liveEventOperations",
        "liveOutputOperations",
        "streamingEndpointOperations",
    ] {
        for surface in ["/api/v1/projects/{}/media", "/api/ams/{}"] {
            let refused = |project: &str| {
                let path = format!("{}/{collection}/none", surface.replace("{}", project));
                let request = http::Request::get(path).body(Default::default()).unwrap();
                let mut body = world.send(request).expect(404).body;
                body["ref"] = Json::Null;
                body
            };
            assert_eq!(refused("default"), refused("guess"), "{collection}");
        }
    }
}

#[test]
fn an_asset_says_when_there_are_media_of_what_is_recorded_into_it() {
    use headwater_live::archive::Recording;
    use headwater_live::stream::Kind;
    use headwater_live::timeline::{Config, Track};
    let world = World::new();
    let (path, _worker) = running(&world);
    let spec = || {
        let shown = world.get(&format!("{MKIO}/assets/a/storage")).expect(200);
        shown.body["spec"].clone()
    };
    assert_eq!(spec()["formatHint"], Json::Null);
    world
        .put(&format!("{path}/liveOutputs/o"), output("a"))
        .expect(201);
    let waiting = spec();
    assert_eq!(waiting["formatHint"], "mk.mezz.v0");
    assert_eq!(waiting["periods"], json!({}));

    let output = world.get(&format!("{path}/liveOutputs/o")).expect(200).body;
    let manifest = output["properties"]["manifestName"].as_str().unwrap();
    let container = waiting["container"].as_str().unwrap();
    let mut recording = Recording::default();
    let write = |recording: &Recording| {
        let head = recording.head(manifest);
        world
            .storage
            .put_bytes(container, &head.name, head.bytes.clone());
    };
    write(&recording);
    assert_eq!(spec()["periods"], json!({}));
    let config = Config {
        codec: "avc1.64001f".into(),
        timescale: headwater_live::CLOCK,
        width: 1280,
        height: 720,
        sample_rate: 0,
        channels: 0,
        init: Vec::new(),
    };
    recording.open.tracks.push(Track {
        kind: Kind::Video,
        name: "video".into(),
        bitrate: 3_000_000,
        language: None,
        configs: vec![config],
    });
    write(&recording);
    let came = spec();
    let representation = &came["periods"]["0/index/edge"]["adaptation_set"][0]["representation"][0];
    assert_eq!(representation["bandwidth"], 3_000_000);
    assert_eq!(came["tracks"], json!({}));
    // It stays one when nobody records any more.
    let name = format!("{manifest}.live/head");
    world.storage.put_bytes(container, &name, b"junk".to_vec());
    assert!(spec()["error"]["message"].as_str().unwrap().contains(&name));
}
