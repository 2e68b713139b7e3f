//! The way of a video through the API on both surfaces.

use crate::support::{ARM, MKIO, OLDER, World, job, locator, transform, work};
use headwater_auth::Role;
use serde_json::{Value as Json, json};

#[test]
fn a_video_on_the_ams_surface() {
    let world = World::new();
    let created = world
        .put(&format!("{ARM}/assets/in1"), json!({"properties": {}}))
        .expect(201)
        .body;
    insta::assert_json_snapshot!("arm_asset", created);
    let container = created["properties"]["container"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(world.storage.containers.borrow().contains(&container));

    let expiry = "2026-01-01T23:00:00Z";
    let sas = world
        .post(
            &format!("{ARM}/assets/in1/listContainerSas"),
            json!({"permissions": "ReadWrite", "expiryTime": expiry}),
        )
        .expect(200)
        .body;
    let url = sas["assetContainerSasUrls"][0].as_str().unwrap();
    assert!(
        url.starts_with(&format!("http://127.0.0.1:10000/local/{container}?sv=")),
        "{url}"
    );
    assert!(
        url.contains("sp=rcwl") && url.contains("sr=c") && url.contains("sig="),
        "{url}"
    );
    assert_eq!(sas["assetContainerSasUrls"].as_array().unwrap().len(), 2);

    world
        .put(
            &format!("{ARM}/transforms/t1"),
            transform("AdaptiveStreaming"),
        )
        .expect(201);
    world.wait(1);
    world
        .put(
            &format!("{ARM}/transforms/t1"),
            transform("H264SingleBitrateSD"),
        )
        .expect(200);
    let path = format!("{ARM}/transforms/t1/jobs/j1");
    let missing = world
        .put(&path, job("in1", "film.mp4", "out1"))
        .expect(400)
        .body;
    assert_eq!(
        missing["error"]["target"],
        "properties.outputs[0].assetName"
    );
    world
        .put(&format!("{ARM}/assets/out1"), json!({}))
        .expect(201);
    let queued = world
        .put(&path, job("in1", "film.mp4", "out1"))
        .expect(201)
        .body;
    assert_eq!(queued["properties"]["state"], "Queued");
    world.put(&path, job("in1", "film.mp4", "out1")).expect(201);
    world
        .put(&path, job("in1", "other.mp4", "out1"))
        .expect(409);
    work(&world, "film.ism");
    insta::assert_json_snapshot!("arm_job_finished", world.get(&path).expect(200).body);

    let path = format!("{ARM}/streamingLocators/l1");
    let body = locator("out1", "Predefined_ClearStreamingOnly");
    insta::assert_json_snapshot!(
        "arm_locator",
        world.put(&path, body.clone()).expect(201).body
    );
    world.put(&path, body).expect(201);
    let paths = world
        .post(&format!("{path}/listPaths"), Json::Null)
        .expect(200)
        .body;
    insta::assert_json_snapshot!("arm_paths", paths);
    assert_eq!(
        world
            .post(&format!("{path}/listContentKeys"), Json::Null)
            .expect(200)
            .body,
        json!({"contentKeys": []})
    );
    let of_asset = world
        .post(
            &format!("{ARM}/assets/out1/listStreamingLocators"),
            Json::Null,
        )
        .expect(200)
        .body;
    assert_eq!(of_asset["streamingLocators"][0]["name"], "l1");

    world.delete(&path).expect(200);
    world.delete(&path).expect(204);
    world.delete(&format!("{ARM}/assets/in1")).expect(200);
    world.delete(&format!("{ARM}/assets/in1")).expect(204);
    assert!(
        !world.storage.containers.borrow().contains(&container),
        "an AMS asset owns its container"
    );
}

#[test]
fn a_video_on_the_mkio_surface() {
    let world = World::new();
    let body = json!({
        "properties": {"storageAccountName": "local", "container": "films", "subPath": "in", "encryptionScope": "x"},
        "labels": {"team": "red"},
    });
    let created = world
        .put(&format!("{MKIO}/assets/in1"), body)
        .expect(201)
        .body;
    insta::assert_json_snapshot!("mkio_asset", created);
    assert_eq!(
        world
            .get(&format!("{MKIO}/assets/in1/state"))
            .expect(200)
            .body,
        json!({"status": {"state": "Ready"}})
    );
    world.storage.put("films", "in/film.mp4");
    world.storage.put("films", "in/.headwater/film.mp4.hwx");
    world.storage.put("films", "in/extras/a.jpg");
    let listing = world
        .get(&format!("{MKIO}/assets/in1/storage/"))
        .expect(200)
        .body;
    assert_eq!(
        listing["spec"]["files"],
        json!([{"name": "film.mp4", "size": 10}])
    );
    assert_eq!(listing["spec"]["folders"], json!([{"name": "extras"}]));

    let path = format!("{MKIO}/transforms/AdaptiveStreaming/jobs/j1");
    world.put(&path, job("in1", "film.mp4", "made")).expect(201);
    world.put(&path, job("in1", "film.mp4", "made")).expect(200);
    let made = world.get(&format!("{OLDER}/assets/made")).expect(200).body;
    let container = made["properties"]["container"].as_str().unwrap().to_owned();
    assert!(
        !world.storage.containers.borrow().contains(&container),
        "made when a worker claims the job"
    );
    work(&world, "film.ism");
    assert!(world.storage.containers.borrow().contains(&container));
    assert_eq!(
        world.get(&format!("{path}/state")).expect(200).body,
        json!({"status": {"state": "Finished"}})
    );
    let jobs = world
        .get(&format!("{MKIO}/jobs?$filter=properties/state eq 'Finished'").replace(' ', "%20"));
    let jobs = jobs.expect(200).body;
    assert_eq!(jobs["value"][0]["name"], "j1");
    assert_eq!(
        jobs["supplemental"]["pagination"],
        json!({"start": 0, "end": 1, "records": 1, "total": 1})
    );

    let path = format!("{MKIO}/streamingLocators/l1");
    world
        .put(
            &path,
            locator("made", "Predefined_DownloadAndClearStreaming"),
        )
        .expect(201);
    world.storage.put(&container, "film.ism");
    world.storage.put(&container, "film video.mp4");
    insta::assert_json_snapshot!(
        "mkio_paths",
        world
            .post(&format!("{path}/listPaths"), Json::Null)
            .expect(200)
            .body
    );
    let mut hidden = locator("made", "Predefined_DownloadAndClearStreaming");
    hidden["properties"]["suppressed"] = true.into();
    assert_eq!(
        world.put(&path, hidden).expect(200).body["properties"]["suppressed"],
        true
    );

    world.delete(&format!("{MKIO}/assets/made")).expect(200);
    assert!(
        world.storage.containers.borrow().contains(&container),
        "MK.IO keeps files unless told otherwise"
    );
}

#[test]
fn the_container_of_an_asset_in_a_folder_is_not_signed_for() {
    let world = World::new();
    for (name, folder) in [("whole", ""), ("part", "in/film")] {
        let body = json!({"properties": {"container": "films", "subPath": folder}});
        world
            .put(&format!("{MKIO}/assets/{name}"), body)
            .expect(201);
    }
    let sign = |name: &str| {
        world.post(
            &format!("{ARM}/assets/{name}/listContainerSas"),
            json!({"permissions": "Read"}),
        )
    };
    sign("whole").expect(200);
    let refused = sign("part").expect(400).body;
    assert_eq!(refused["error"]["target"], "subPath", "{refused}");
    assert!(!refused.to_string().contains("sig="), "{refused}");
}

#[test]
fn an_asset_without_a_job_plays_what_lies_in_its_container() {
    let world = World::new();
    world
        .put(
            &format!("{MKIO}/assets/a"),
            json!({"properties": {"container": "dropped"}}),
        )
        .expect(201);
    let path = format!("{MKIO}/streamingLocators/l");
    world
        .put(&path, locator("a", "Predefined_ClearStreamingOnly"))
        .expect(201);
    let paths = || {
        world
            .post(&format!("{path}/listPaths"), Json::Null)
            .expect(200)
            .body["streamingPaths"]
            .clone()
    };
    assert_eq!(paths(), json!([]));
    world.storage.put("dropped", "holiday.mp4");
    assert!(
        paths()[0]["paths"][0]
            .as_str()
            .unwrap()
            .ends_with("/holiday.ism/manifest(format=m3u8-cmaf)")
    );
    world.storage.put("dropped", "real.ism");
    assert!(
        paths()[1]["paths"][0]
            .as_str()
            .unwrap()
            .ends_with("/real.ism/manifest(format=mpd-time-cmaf)")
    );
}

#[test]
fn the_gallery_knows_how_long_a_video_is_from_its_packaging_index() {
    let world = World::new();
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/media/car-detection.mp4"
    );
    let bytes = std::fs::read(file).expect("shared/media");
    let movie = headwater_bmff::parse_movie(bytes.clone().into()).unwrap();
    let source = headwater_cmaf::index::SourceId {
        etag: "\"0x1\"".into(),
        len: bytes.len() as u64,
    };
    let index = headwater_cmaf::index::build_from_movie(&movie, &source).unwrap();
    world
        .put(
            &format!("{MKIO}/assets/a"),
            json!({"properties": {"container": "dropped", "subPath": "in"}}),
        )
        .expect(201);
    world
        .put(
            &format!("{MKIO}/streamingLocators/l"),
            locator("a", "Predefined_ClearStreamingOnly"),
        )
        .expect(201);
    world.storage.put("dropped", "in/car.mp4");
    let duration = || {
        world.get(&format!("{MKIO}/published")).expect(200).body["value"][0]["durationSeconds"]
            .clone()
    };
    assert_eq!(duration(), Json::Null);
    world.storage.put("dropped", "in/.headwater/broken.hwx");
    assert_eq!(duration(), Json::Null);
    world
        .storage
        .put_bytes("dropped", "in/.headwater/car.mp4.hwx", index);
    // ffprobe -show_entries format=duration
    assert!(
        (duration().as_f64().unwrap() - 30.208).abs() < 0.1,
        "{}",
        duration()
    );
}

#[test]
fn presets_that_cannot_run_are_refused_by_name() {
    let world = World::new();
    for preset in [
        "AACGoodQualityAudio",
        "H264MultipleBitrate1080p",
        "H264SingleBitrate720p",
    ] {
        world
            .put(&format!("{ARM}/transforms/{preset}"), transform(preset))
            .expect(201);
    }
    let got = world
        .put(
            &format!("{MKIO}/transforms/t"),
            transform("SaasSourceAligned360pOnly"),
        )
        .expect(400)
        .body;
    insta::assert_json_snapshot!("mkio_unsupported_preset", got);
}

#[test]
fn an_asset_over_a_container_that_is_there_needs_no_right_to_make_one() {
    let world = World::new();
    world.storage.makes_none.set(true);
    let asset = |container: Json| {
        let body = json!({"properties": {"container": container}});
        world.put(&format!("{MKIO}/assets/a"), body)
    };
    asset(Json::Null).expect(502);
    asset("missing".into()).expect(502);
    asset("uploads".into()).expect(201);
}

#[test]
fn the_storage_of_an_asset_says_what_its_server_manifest_does() {
    let world = World::new();
    let asset = format!("{MKIO}/assets/a");
    let body = json!({"properties": {"container": "films"}});
    world.put(&asset, body).expect(201);
    let storage = || world.get(&format!("{asset}/storage")).expect(200).body;
    let shown = storage();
    assert_eq!(shown["metadata"]["createdBy"], Json::Null);
    assert_eq!(
        (&shown["spec"]["formatHint"], &shown["spec"]["tracks"]),
        (&Json::Null, &json!({}))
    );
    let manifest = "<smil><head><meta name='formats' content='mp4'/></head><body><switch>
        <video src='film.mp4' systemBitrate='2'><param name='trackID' value='1'/></video>
        <audio src='film.mp4' systemBitrate='1' systemLanguage='eng'><param name='trackName' value='sound'/></audio>
    </switch></body></smil>";
    world
        .storage
        .put_bytes("films", "film.ism", manifest.into());
    let spec = storage()["spec"].clone();
    assert_eq!(spec["formatHint"], "ams.v0");
    assert_eq!(spec["periods"], json!({}));
    assert_eq!(spec["error"], json!({}));
    let document = &spec["tracks"]["film.ism"];
    assert_eq!(document["head"]["formats"], "mp4");
    assert_eq!(
        document["body"],
        json!({
            "video": [{
                "src": "film.mp4", "systemBitrate": 2, "systemLanguage": null, "trackID": 1, "trackName": null,
            }],
            "audio": [{
                "src": "film.mp4", "systemBitrate": 1, "systemLanguage": "eng", "trackID": null, "trackName": "sound",
            }],
            "textstream": [],
        })
    );
    world
        .storage
        .put_bytes("films", "film.ism", b"junk".to_vec());
    let spec = storage()["spec"].clone();
    assert!(
        spec["error"]["message"]
            .as_str()
            .unwrap()
            .contains("film.ism")
    );
}

#[test]
fn a_client_that_is_shown_no_labels_takes_none_away() {
    let world = World::new();
    let asset = format!("{MKIO}/assets/a");
    let labels = || world.get(&asset).expect(200).body["labels"].clone();
    let body = json!({"labels": {"show": "news"}, "properties": {"description": "d"}});
    world.put(&asset, body).expect(201);
    let same = world.get(&format!("{ARM}/assets/a")).expect(200).body;
    world.put(&format!("{ARM}/assets/a"), same).expect(200);
    assert_eq!(labels(), json!({"show": "news"}));
    let changed = json!({"labels": {"show": "sport"}});
    world.put(&format!("{ARM}/assets/a"), changed).expect(200);
    assert_eq!(labels(), json!({"show": "sport"}));
    // MK.IO shows them, so what a PUT there leaves out is gone.
    world.put(&asset, json!({})).expect(200);
    assert_eq!(labels(), json!({}));
}

#[test]
fn what_is_deleted_with_an_asset_is_its_folder_unless_another_asset_is_in_it() {
    let world = World::new();
    let asset = |name: &str, folder: &str| {
        let body = json!({"properties": {
            "container": "films", "subPath": folder, "containerDeletionPolicy": "Delete",
        }});
        let path = format!("{MKIO}/assets/{name}");
        world.put(&path, body).expect(201);
        let file = format!("{folder}/film.mp4");
        world.storage.put("films", file.trim_start_matches('/'));
    };
    let kept = |name: &str| -> Vec<String> {
        world.delete(&format!("{MKIO}/assets/{name}")).expect(200);
        let blobs = world.storage.blobs.borrow();
        blobs.keys().map(|(_, blob)| blob.clone()).collect()
    };
    asset("a", "in/a");
    asset("ab", "in/ab");
    asset("ab-deep", "in/ab/deep");
    assert_eq!(kept("a"), ["in/ab/deep/film.mp4", "in/ab/film.mp4"]);
    assert_eq!(kept("ab"), ["in/ab/deep/film.mp4", "in/ab/film.mp4"]);
    asset("whole", "");
    let all = ["film.mp4", "in/ab/deep/film.mp4", "in/ab/film.mp4"];
    assert_eq!(kept("ab-deep"), all);
    assert_eq!(kept("whole"), [""; 0]);

    // Files that an upload rule takes up are not an asset's to delete.
    let rule = |prefix: &str| {
        json!({"properties": {
            "storageAccountName": "local", "container": "films", "prefix": prefix, "suffixes": [".mp4"],
            "transformName": "AdaptiveStreaming", "streamingPolicyName": "Predefined_ClearStreamingOnly",
        }})
    };
    let path = format!("{MKIO}/uploadRules/films");
    asset("a", "in/a");
    asset("b", "in/b");
    world.put(&path, rule("in/b")).expect(201);
    assert_eq!(kept("b"), ["in/a/film.mp4", "in/b/film.mp4"]);
    assert_eq!(kept("a"), ["in/b/film.mp4"]);
}

#[test]
fn an_asset_that_is_refused_leaves_no_container() {
    let world = World::new();
    for (member, value) in [
        ("description", "x".repeat(5000)),
        ("alternateId", "x".repeat(65)),
        ("subPath", "in/../out".into()),
    ] {
        let body = json!({"properties": {"container": "fresh", member: value}});
        world.put(&format!("{MKIO}/assets/a"), body).expect(400);
    }
    let body = json!({"labels": {"not a key": "x"}, "properties": {"container": "fresh"}});
    world.put(&format!("{MKIO}/assets/a"), body).expect(400);
    assert!(!world.storage.containers.borrow().contains("fresh"));
}

#[test]
fn an_asset_is_not_made_when_its_container_cannot_be() {
    let world = World::new();
    world.storage.failing.set(3);
    let got = world.put(&format!("{ARM}/assets/a"), json!({})).expect(503);
    assert_eq!(got.header("retry-after"), "1");
    world.get(&format!("{ARM}/assets/a")).expect(404);
    world.storage.failing.set(2);
    world.put(&format!("{ARM}/assets/a"), json!({})).expect(201);
}

#[test]
fn a_streaming_endpoint_stops_and_starts_as_a_long_running_operation() {
    let world = World::new();
    let path = format!("{ARM}/streamingEndpoints/default");
    insta::assert_json_snapshot!(
        "arm_endpoint",
        world
            .get(&format!("{path}?autoStart=true"))
            .expect(200)
            .body
    );
    let stopped = world.post(&format!("{path}/stop"), Json::Null).expect(202);
    assert_eq!(stopped.header("retry-after"), "1");
    for header in ["azure-asyncoperation", "location"] {
        let url = stopped
            .header(header)
            .strip_prefix(crate::support::PUBLIC_URL)
            .unwrap()
            .to_owned();
        assert!(url.ends_with("?api-version=2022-08-01"), "{url}");
        let got = world.get(&url).expect(200);
        if header == "azure-asyncoperation" {
            assert_eq!(got.body["status"], "Succeeded");
        }
    }
    assert_eq!(
        world.get(&path).expect(200).body["properties"]["resourceState"],
        "Stopped"
    );
    world.post(&format!("{path}/stop"), Json::Null).expect(200);

    let started = world
        .post(
            &format!("{MKIO}/streamingEndpoints/default/start"),
            Json::Null,
        )
        .expect(202);
    // The MK.IO client polls without its token.
    let poll = http::Request::get(started.header("azure-asyncoperation"))
        .body(Default::default())
        .unwrap();
    assert_eq!(world.send(poll).expect(200).body["status"], "Succeeded");
    assert_eq!(
        world
            .get(&format!("{MKIO}/streamingEndpoints/default/state"))
            .expect(200)
            .body,
        json!({"status": {"state": "Running"}})
    );
}

#[test]
fn upload_rules_live_on_both_prefixes() {
    let world = World::new();
    let rule = json!({"properties": {
        "storageAccountName": "local", "container": "inbox", "suffixes": [".mov"],
        "transformName": "AdaptiveStreaming", "streamingPolicyName": "Predefined_ClearStreamingOnly",
    }});
    insta::assert_json_snapshot!(
        "arm_upload_rule",
        world
            .put(&format!("{ARM}/uploadRules/r"), rule.clone())
            .expect(201)
            .body
    );
    assert!(world.storage.containers.borrow().contains("inbox"));
    world
        .put(&format!("{MKIO}/uploadRules/r"), rule)
        .expect(200);
    let list = world.get(&format!("{MKIO}/uploadRules")).expect(200).body;
    assert_eq!(list["value"].as_array().unwrap().len(), 2);
    world.delete(&format!("{OLDER}/uploadRules/r")).expect(200);
    world.get(&format!("{ARM}/uploadRules/r")).expect(404);
}

#[test]
fn the_gallery_lists_what_plays_and_is_private_unless_told_otherwise() {
    let mut world = World::new();
    world
        .put(&format!("{ARM}/assets/in1"), json!({}))
        .expect(201);
    world
        .put(
            &format!("{MKIO}/transforms/AdaptiveStreaming/jobs/j"),
            job("in1", "a.mp4", "out"),
        )
        .expect(201);
    world
        .put(
            &format!("{MKIO}/streamingLocators/l"),
            locator("out", "Predefined_ClearStreamingOnly"),
        )
        .expect(201);
    let list =
        |world: &World| world.get(&format!("{MKIO}/published")).expect(200).body["value"].clone();
    assert_eq!(list(&world), json!([]));
    work(&world, "My film.ism");
    insta::assert_json_snapshot!("published", list(&world));

    let anonymous = || {
        http::Request::get(format!("{MKIO}/published"))
            .body(Default::default())
            .unwrap()
    };
    world.send(anonymous()).expect(401);
    world.settings.public_gallery = true;
    assert_eq!(
        world.send(anonymous()).expect(200).body["value"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let viewer = world.as_role(Role::Viewer, "GET", &format!("{MKIO}/published"), "");
    viewer.expect(200);
}
