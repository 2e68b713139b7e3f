//! Jobs as their owners and their workers see them.

use crate::support::{ARM, MKIO, World, job, work};
use headwater_auth::Role;
use serde_json::{Value as Json, json};

#[test]
fn a_job_longer_than_its_signatures_goes_on_from_its_chunks_with_new_ones() {
    let world = World::new();
    world
        .put(&format!("{ARM}/assets/in1"), json!({}))
        .expect(201);
    world
        .put(
            &format!("{MKIO}/transforms/AdaptiveStreaming/jobs/j"),
            job("in1", "a.mp4", "out"),
        )
        .expect(201);
    let claim = || {
        world
            .worker("claim", json!({"worker": "w", "leaseSeconds": 30}))
            .expect(200)
            .body
    };
    let call = |claim: &Json, verb: &str, body: Json| {
        let id = claim["jobId"].as_str().unwrap();
        let mut request = body;
        request["lease"] = claim["lease"].clone();
        world.worker(&format!("{id}/{verb}"), request)
    };
    // The worker's own affair is when; that is some hours before the signatures end.
    let patience = headwater_work::PLACES_LAST.as_secs() as i64 - 4 * 3600;
    for number in 0..8 {
        let claimed = claim();
        let known = claimed["chunks"].as_array().unwrap().len();
        assert_eq!((known, &claimed["attempt"]), (number, &json!(1)));
        let day_later = (world.now() + headwater_work::PLACES_LAST).to_string();
        for place in [&claimed["input"]["place"], &claimed["outputs"][0]["place"]] {
            let sas = place["sas"].as_str().unwrap().replace("%3A", ":");
            assert!(sas.contains(&format!("se={day_later}")), "{sas}");
        }
        world.wait(patience);
        let chunk = json!({"output": 0, "chunk": number, "record": {}});
        call(
            &claimed,
            "renew",
            json!({"progress": [], "chunks": [chunk]}),
        )
        .expect(200);
        let stopped = json!({"outcome": {"state": "canceled"}});
        call(&claimed, "finish", stopped).expect(204);
    }
}

#[test]
fn who_has_a_hand_in_a_job_gets_fresh_signatures() {
    let world = World::new();
    world
        .put(&format!("{ARM}/assets/in1"), json!({}))
        .expect(201);
    let path = format!("{MKIO}/transforms/AdaptiveStreaming/jobs/j");
    world.put(&path, job("in1", "a.mp4", "out")).expect(201);
    let claimed = world
        .worker("claim", json!({"worker": "w", "leaseSeconds": 300}))
        .expect(200)
        .body;
    let id = claimed["jobId"].as_str().unwrap();
    let share = json!({"lease": claimed["lease"], "output": 0, "plan": "p", "lots": [[0], [1], [2], [3], [4], [5]]});
    world.worker(&format!("{id}/share"), share).expect(204);
    let assist = json!({"worker": "h", "leaseSeconds": 300});
    let helper = world.worker("assist", assist).expect(200).body;
    let places = |lease: &Json| world.worker(&format!("{id}/places"), json!({"lease": lease}));
    world.wait(20);
    let later = (world.now() + headwater_work::PLACES_LAST).to_string();
    for lease in [&claimed["lease"], &helper["claim"]["lease"]] {
        let fresh = places(lease).expect(200).body;
        let fresh = fresh["places"].as_array().unwrap();
        let old = [&claimed["input"]["place"], &claimed["outputs"][0]["place"]];
        assert_eq!(fresh.len(), old.len());
        for (fresh, old) in fresh.iter().zip(old) {
            assert_eq!(fresh["containerUrl"], old["containerUrl"]);
            assert_eq!(fresh["subPath"], old["subPath"]);
            let (sas, before) = (fresh["sas"].as_str().unwrap(), old["sas"].as_str().unwrap());
            assert!(
                sas.replace("%3A", ":").contains(&format!("se={later}")),
                "{sas}"
            );
            let permissions = |sas: &str| {
                let mut parts = sas.split('&').map(str::to_owned);
                parts.find(|part| part.starts_with("sp=")).unwrap()
            };
            assert_eq!(permissions(sas), permissions(before));
        }
    }
    places(&json!("somebody")).expect(409);

    // The holder gives it back: a helper works on until it hears of that.
    let stopped = json!({"lease": claimed["lease"], "outcome": {"state": "canceled"}});
    world.worker(&format!("{id}/finish"), stopped).expect(204);
    places(&claimed["lease"]).expect(409);
    places(&helper["claim"]["lease"]).expect(200);
}

#[test]
fn a_job_whose_container_cannot_be_made_holds_up_no_other() {
    let world = World::new();
    world
        .put(&format!("{ARM}/assets/in1"), json!({}))
        .expect(201);
    let path = |name: &str| format!("{MKIO}/transforms/AdaptiveStreaming/jobs/{name}");
    for name in ["first", "second"] {
        world
            .put(&path(name), job("in1", "a.mp4", name))
            .expect(201);
    }
    let claim = || world.worker("claim", json!({"worker": "w", "leaseSeconds": 30}));
    world.storage.failing.set(3);
    claim().expect(503);
    let waiting = world.get(&path("first")).expect(200).body;
    assert_eq!(waiting["properties"]["state"], "Queued");
    assert_eq!(waiting["properties"]["startTime"], Json::Null);
    work(&world, "film.ism");
    let other = world.get(&path("second")).expect(200).body;
    assert_eq!(other["properties"]["state"], "Finished");
    for seconds in [30, 60, 120, 240] {
        claim().expect(204);
        world.wait(seconds);
        world.storage.failing.set(3);
        claim().expect(503);
    }
    let ended = world.get(&path("first")).expect(200).body;
    assert_eq!(ended["properties"]["state"], "Error");
    let error = &ended["properties"]["outputs"][0]["error"];
    assert_eq!(error["code"], "UploadTransientError", "{ended}");
}

#[test]
fn a_job_is_cancelled_on_both_sides() {
    let world = World::new();
    world
        .put(&format!("{ARM}/assets/in1"), json!({}))
        .expect(201);
    let path = format!("{MKIO}/transforms/AdaptiveStreaming/jobs/j");
    world.put(&path, job("in1", "a.mp4", "out")).expect(201);
    let claim = world
        .worker("claim", json!({"worker": "w", "leaseSeconds": 30}))
        .expect(200)
        .body;
    insta::assert_json_snapshot!("claim", claim);
    world
        .post(&format!("{path}/cancelJob"), Json::Null)
        .expect(200);
    world.delete(&path).expect(409);
    let id = claim["jobId"].as_str().unwrap();
    let renew = json!({"lease": claim["lease"], "progress": [], "chunks": []});
    assert_eq!(
        world.worker(&format!("{id}/renew"), renew).expect(200).body,
        json!({"cancel": true})
    );
    let finish = json!({"lease": claim["lease"], "outcome": {"state": "canceled"}});
    world
        .worker(&format!("{id}/finish"), finish.clone())
        .expect(204);
    world.worker(&format!("{id}/finish"), finish).expect(204);
    let late = json!({"lease": "another", "progress": [], "chunks": []});
    world.worker(&format!("{id}/renew"), late).expect(409);
    assert_eq!(
        world.get(&path).expect(200).body["properties"]["state"],
        "Canceled"
    );
    world
        .worker("claim", json!({"worker": "w", "leaseSeconds": 30}))
        .expect(204);
    let changed = world
        .patch(
            &path,
            json!({"properties": {"priority": "High", "description": "d"}}),
        )
        .expect(200)
        .body;
    assert_eq!(changed["properties"]["priority"], "High");
    world.delete(&path).expect(200);
}

#[test]
fn inputs_of_every_kind_reach_the_worker_and_keep_their_secrets() {
    let world = World::new();
    for asset in ["one", "two", "logo"] {
        world.put(&format!("{MKIO}/assets/{asset}"), json!({"properties": {}}));
    }
    let path = format!("{MKIO}/transforms/AdaptiveStreaming/jobs/j");
    let clip = json!({"@odata.type": "#Microsoft.Media.AbsoluteClipTime", "time": "PT1.5S"});
    let body = json!({"properties": {
        "input": {"@odata.type": "#Microsoft.Media.JobInputs", "inputs": [
            {"@odata.type": "#Microsoft.Media.JobInputSequence", "inputs": [
                {"@odata.type": "#Microsoft.Media.JobInputAsset", "assetName": "one", "files": ["a.mp4"], "start": clip},
                {"@odata.type": "JobInputHttp", "baseUri": "https://example.com/films?sig=secret", "files": ["b.mkv"],
                 "inputDefinitions": [{"@odata.type": "FromEachInputFile", "includedTracks": [
                    {"@odata.type": "SelectAudioTrackByAttribute", "attribute": "Language", "filter": "ValueEquals",
                     "filterValue": "de"}]}]},
            ]},
            {"@odata.type": "#Microsoft.Media.JobInputAsset", "assetName": "logo", "files": ["l.png"], "label": "logo"},
        ]},
        "outputs": [{"@odata.type": "JobOutputAsset", "assetName": "out"}],
    }});
    let made = world.put(&path, body.clone()).body.to_string();
    assert!(
        made.contains("JobInputSequence") && !made.contains("secret"),
        "{made}"
    );
    // The same request again is the same job.
    world.put(&path, body).expect(200);
    let refused = world.delete(&format!("{MKIO}/assets/logo"));
    assert_eq!(refused.status, 409, "{}", refused.body);
    let claim = world
        .worker("claim", json!({"worker": "w", "leaseSeconds": 30}))
        .expect(200)
        .body;
    let sequence = &claim["input"]["inputs"][0]["inputs"];
    assert_eq!(sequence[0]["selection"]["startMs"], 1500);
    assert_eq!(
        sequence[1]["urls"][0],
        "https://example.com/films/b.mkv?sig=secret"
    );
    assert_eq!(
        sequence[1]["selection"]["tracks"][0]["by"]["language"],
        "de"
    );
    assert_eq!(sequence[1]["selection"]["tracks"][0]["each"], true);
    assert_eq!(claim["input"]["inputs"][1]["selection"]["label"], "logo");
    let id = claim["jobId"].as_str().unwrap();
    let engine = json!({"name": "ffmpeg", "reason": "The input is a sequence."});
    world
        .worker(
            &format!("{id}/renew"),
            json!({"lease": claim["lease"], "progress": [], "chunks": [], "engine": engine}),
        )
        .expect(200);
    let shown = world.get(&path).expect(200).body;
    assert_eq!(shown["properties"]["engine"], engine);
    // Pictures and the like have no manifest.
    world
        .worker(
            &format!("{id}/finish"),
            json!({"lease": claim["lease"], "outcome": {"state": "finished", "manifests": [""]}}),
        )
        .expect(204);
    let shown = world.get(&path).expect(200).body;
    assert_eq!(shown["properties"]["state"], "Finished");
}

#[test]
fn a_job_reads_fifty_inputs_and_no_more() {
    let world = World::new();
    world
        .put(&format!("{MKIO}/assets/one"), json!({"properties": {}}))
        .expect(201);
    let body = |count: usize| {
        let input = json!({"@odata.type": "#Microsoft.Media.JobInputAsset", "assetName": "one", "files": ["a.mp4"]});
        let inputs = vec![input; count];
        json!({"properties": {
            "input": {"@odata.type": "#Microsoft.Media.JobInputSequence", "inputs": inputs},
            "outputs": [{"@odata.type": "JobOutputAsset", "assetName": "out"}],
        }})
    };
    let path = |name: &str| format!("{MKIO}/transforms/AdaptiveStreaming/jobs/{name}");
    world.put(&path("fifty"), body(50)).expect(201);
    world.put(&path("more"), body(51)).expect(400);
}

#[test]
fn a_track_is_added_to_the_asset_that_has_its_text() {
    let world = World::new();
    world
        .put(&format!("{MKIO}/assets/film"), json!({"properties": {}}))
        .expect(201);
    let text =
        json!({"@odata.type": "#MediaKind.TextTrack", "trackName": "fr", "languageCode": "fr"});
    let inserter = json!({"@odata.type": "#MediaKind.TrackInserterPreset", "baseFilename": "film_fr", "tracks": [text]});
    world
        .put(
            &format!("{MKIO}/transforms/subtitles"),
            json!({"properties": {"outputs": [{"preset": inserter}]}}),
        )
        .expect(201);
    let encoder = "#Microsoft.Media.BuiltInStandardEncoderPreset";
    let path = format!("{MKIO}/transforms/subtitles/jobs/j");
    let mut body = job("film", "film.vtt", "film");
    // With another preset it would write over what it reads.
    body["properties"]["outputs"][0]["presetOverride"] =
        json!({"@odata.type": encoder, "presetName": "AdaptiveStreaming"});
    let refused = world.put(&path, body);
    assert_eq!(refused.status, 400, "{}", refused.body);
    world
        .put(&path, job("film", "film.vtt", "film"))
        .expect(201);
    let claim = world
        .worker("claim", json!({"worker": "w", "leaseSeconds": 30}))
        .expect(200)
        .body;
    assert_eq!(
        claim["input"]["place"]["containerUrl"],
        claim["outputs"][0]["place"]["containerUrl"]
    );
    let id = claim["jobId"].as_str().unwrap();
    let outcome = json!({"state": "finished", "manifests": ["film.ism"]});
    world
        .worker(
            &format!("{id}/finish"),
            json!({"lease": claim["lease"], "outcome": outcome}),
        )
        .expect(204);
    let shown = world.get(&path).expect(200).body;
    assert_eq!(shown["properties"]["state"], "Finished", "{shown}");
}

#[test]
fn an_input_that_no_worker_reads_is_refused_when_it_is_asked_for() {
    let world = World::new();
    let path = format!("{MKIO}/transforms/AdaptiveStreaming/jobs/j");
    for (input, field) in [
        (
            json!({"@odata.type": "#Microsoft.Media.JobInputHttp", "baseUri": "ftp://example.com/?sig=secret", "files": ["a"]}),
            "properties.input.files[0]",
        ),
        (
            json!({"@odata.type": "#Microsoft.Media.JobInputHttp", "files": ["https://me:secret@example.com/a"]}),
            "properties.input.files[0]",
        ),
        (
            json!({"@odata.type": "#Microsoft.Media.JobInputHttp", "baseUri": "https://example.com/a",
                "start": {"@odata.type": "#Microsoft.Media.UtcClipTime", "time": "2026-01-01T00:00:00Z"}}),
            "properties.input.start.@odata.type",
        ),
        (
            json!({"@odata.type": "#Microsoft.Media.JobInputAsset", "assetName": "a",
                "start": {"@odata.type": "#Microsoft.Media.UtcClipTime", "time": "2026-01-01T00:00:02Z"},
                "end": {"@odata.type": "#Microsoft.Media.UtcClipTime", "time": "2026-01-01T00:00:01Z"}}),
            "properties.input.end",
        ),
        (
            json!({"@odata.type": "#Microsoft.Media.JobInputAsset", "assetName": "a", "inputDefinitions": [
                {"@odata.type": "#Microsoft.Media.FromAllInputFile", "includedTracks": [
                    {"@odata.type": "#Microsoft.Media.SelectAudioTrackById", "trackId": 2, "channelMapping": "Middle"}]}]}),
            "properties.input.inputDefinitions[0].includedTracks[0].channelMapping",
        ),
        (
            json!({"@odata.type": "#Microsoft.Media.JobInputNone"}),
            "properties.input.@odata.type",
        ),
    ] {
        let body = json!({"properties": {
            "input": input, "outputs": [{"@odata.type": "JobOutputAsset", "assetName": "out"}],
        }});
        let refusal = world.put(&path, body).expect(400).body.to_string();
        assert!(refusal.contains(field), "{refusal}");
        assert!(!refusal.contains("secret"), "{refusal}");
    }
}

#[test]
fn what_waits_is_told_to_whoever_scales_workers() {
    let world = World::new();
    world
        .put(&format!("{ARM}/assets/in1"), json!({}))
        .expect(201);
    let ask = |role, path: &str| world.as_role(role, "GET", &format!("/internal/v1/{path}"), "");
    let jobs = || ask(Role::Worker, "queue").expect(200).body["jobs"].clone();
    let told = |queued, processing, chunks, wanted| json!({"queued": queued, "processing": processing, "chunksWaiting": chunks, "transcodersWanted": wanted});
    assert_eq!(jobs(), told(0, 0, 0, 0));
    for name in ["a", "b"] {
        let path = format!("{MKIO}/transforms/AdaptiveStreaming/jobs/{name}");
        world.put(&path, job("in1", "a.mp4", name)).expect(201);
    }
    assert_eq!(jobs(), told(2, 0, 0, 2));
    let claimed = world
        .worker("claim", json!({"worker": "w", "leaseSeconds": 300}))
        .expect(200)
        .body;
    let id = claimed["jobId"].as_str().unwrap();
    let lots: Vec<[u32; 1]> = (0..25).map(|chunk| [chunk]).collect();
    let share = json!({"lease": claimed["lease"], "output": 0, "plan": "p", "lots": lots});
    world.worker(&format!("{id}/share"), share).expect(204);
    assert_eq!(jobs(), told(1, 1, 25, 4));
    let take = json!({"lease": claimed["lease"], "output": 0, "plan": "p"});
    world.worker(&format!("{id}/take"), take).expect(200);
    assert_eq!(jobs(), told(1, 1, 24, 4));

    let text = ask(Role::Worker, "queue/metrics").expect(200);
    assert!(
        text.header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    let text = text.body.as_str().unwrap().to_owned();
    for line in [
        "headwater_jobs_queued 1",
        "headwater_jobs_processing 1",
        "headwater_job_chunks_waiting 24",
        "headwater_transcoders_wanted 4",
        "headwater_live_events_running 0",
    ] {
        assert!(text.lines().any(|other| other == line), "{text}");
    }
    for path in ["queue", "queue/metrics"] {
        ask(Role::Owner, path).expect(403);
    }
}
