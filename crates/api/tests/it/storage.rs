//! Storage accounts and their credentials, on both of MK.IO's families, and what they open.

use crate::support::{ARM, MKIO, OLDER, World, job, locator};
use headwater_auth::Role;
use headwater_blob::sas::AccountSas;
use headwater_blob::{AccountKey, Permissions};
use http::Request;
use serde_json::{Value as Json, json};

const KEY: &str = "YW4gYWNjb3VudCBrZXkgb2YgdGhpcnR5LXR3byBieXQ=";
const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// An account SAS with its question mark. The world's clock begins in 2026.
fn sas(expiry: &str) -> String {
    let sas = AccountSas {
        permissions: Permissions::READ.with(Permissions::LIST),
        resource_types: "co".into(),
        start: None,
        expiry: expiry.parse().unwrap(),
        protocol: None,
        ip: None,
        version: "2021-12-02".into(),
    };
    let key = AccountKey::from_base64(KEY).unwrap();
    format!("?{}", sas.sign("films", &key))
}

fn account(credential: Json) -> Json {
    json!({"spec": {
        "type": "Microsoft.Storage", "url": "https://films.blob.core.windows.net", "description": "d",
        "credential": credential,
    }})
}

fn with_sas(expiry: &str) -> Json {
    account(json!({"sasToken": sas(expiry)}))
}

/// Nothing in an answer may open anything.
#[track_caller]
fn shows_no_secret(body: &Json) {
    let text = body.to_string();
    assert!(!text.contains("sig=") && !text.contains(KEY), "{text}");
}

/// A project's storage accounts by its id.
fn older(world: &World) -> String {
    let stats = world.get(&format!("{OLDER}/stats")).expect(200).body;
    let id = stats["extra"]["subscription_id"].as_str().unwrap();
    format!("/api/accounts/{NIL}/subscriptions/{id}/storage")
}

#[test]
fn a_storage_account_is_made_changed_and_deleted() {
    let world = World::new();
    let path = format!("{MKIO}/storage/films");
    let made = world.put(&path, with_sas("2026-06-01T00:00:00Z"));
    let made = made.expect(201).body;
    assert_eq!(
        made["spec"],
        json!({
            "name": "films", "type": "Microsoft.Storage", "url": "https://films.blob.core.windows.net",
            "description": "d", "privateLinkServiceConnection": null,
        })
    );
    assert_eq!(made["metadata"]["createdById"], "tester");
    shows_no_secret(&made);
    // The same again, and what a client does that sends back what it got.
    world
        .put(&path, with_sas("2026-06-01T00:00:00Z"))
        .expect(200);
    let again = world.put(&path, made.clone()).expect(200).body;
    assert_eq!(again["status"], made["status"]);

    let changed = json!({"spec": {"description": "new", "privateLinkServiceConnection": null}});
    let changed = world.patch(&path, changed).expect(200).body;
    assert_eq!(changed["spec"]["description"], "new");
    let cleared = world.patch(&path, json!({"spec": {"description": ""}}));
    assert_eq!(cleared.expect(200).body["spec"]["description"], Json::Null);
    let same = world.patch(&path, json!({"spec": {}})).expect(200).body;
    assert_eq!(same["metadata"]["updatedById"], "tester");

    let listed = world.get(&format!("{MKIO}/storage/")).expect(200).body;
    let items = listed["items"].as_array().unwrap().iter();
    let names: Vec<_> = items.map(|item| &item["metadata"]["name"]).collect();
    assert_eq!(names, ["films", "local"]);

    world
        .put(
            &format!("{MKIO}/assets/a"),
            json!({"properties": {"storageAccountName": "films", "container": "used"}}),
        )
        .expect(201);
    let kept = world.delete(&path).expect(409).body;
    assert_eq!(kept["error"]["code"], "InvalidOperation");
    assert!(kept["error"]["detail"].as_str().unwrap().contains("'a'"));
    world.delete(&format!("{MKIO}/assets/a")).expect(200);
    world.delete(&path).expect(200);
    world.delete(&path).expect(204);
    world.get(&path).expect(404);
    // The upload rule of the first one holds it.
    world.delete(&format!("{MKIO}/storage/local")).expect(409);
}

#[test]
fn the_credential_that_lasts_longest_is_used() {
    let world = World::new();
    let path = format!("{MKIO}/storage/films");
    let credentials = format!("{path}/credentials");
    let active = || world.get(&path).expect(200).body["status"]["activeCredentialId"].clone();
    let add = |credential: Json| {
        let body = json!({"spec": {"type": "Microsoft.Storage", "credential": credential}});
        world.post(&credentials, body)
    };
    world
        .put(&path, with_sas("2026-06-01T00:00:00Z"))
        .expect(201);
    let first = active();
    let shorter = add(json!({"sasToken": sas("2026-05-01T00:00:00Z")}));
    let shorter = shorter.expect(201).body;
    assert_eq!(shorter["status"]["active"], false);
    assert_eq!(active(), first);
    let longer = json!({"sasToken": sas("2026-07-01T00:00:00Z")});
    let made = add(longer.clone()).expect(201).body;
    assert_eq!(active(), made["metadata"]["id"]);
    shows_no_secret(&made);
    let sanitized = made["spec"]["credential"]["sasTokenSanitized"].as_str();
    assert!(sanitized.unwrap().starts_with("?sv=") && sanitized.unwrap().contains("se=2026-07-01"));
    let again = add(longer).expect(200).body;
    assert_eq!(again, made);

    let listed = world.get(&credentials).expect(200).body;
    assert_eq!(listed["items"].as_array().unwrap().len(), 3);
    shows_no_secret(&listed);
    let one = format!("{credentials}/{}", made["metadata"]["id"].as_str().unwrap());
    assert_eq!(world.get(&one).expect(200).body, made);
    world.get(&format!("{credentials}/x")).expect(404);
    world.delete(&one).expect(200);
    world.delete(&one).expect(204);
    assert_eq!(active(), first);

    // A PUT says which one it is from now on: the key, which does not run out, would win otherwise.
    let key = world.put(&path, account(json!({"accountKey": KEY})));
    shows_no_secret(&key.expect(200).body);
    world
        .put(&path, with_sas("2026-06-01T00:00:00Z"))
        .expect(200);
    let listed = world.get(&credentials).expect(200).body;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let last = format!("{credentials}/{}", active().as_str().unwrap());
    assert_eq!(
        world.delete(&last).expect(409).body["error"]["code"],
        "InvalidOperation"
    );
}

#[test]
fn the_older_family_says_the_same_by_ids() {
    let world = World::new();
    let base = older(&world);
    let url = format!(
        "https://films.blob.core.windows.net/{}",
        sas("2026-06-01T00:00:00Z")
    );
    let body = json!({"spec": {
        "name": "films", "location": "local", "description": "d", "azureStorageConfiguration": {"url": url},
    }});
    let made = world.post(&format!("{base}/"), body.clone()).expect(201);
    let made = made.body;
    shows_no_secret(&made);
    assert_eq!(
        made["spec"]["azureStorageConfiguration"]["url"],
        "https://films.blob.core.windows.net"
    );
    let again = world.post(&format!("{base}/"), body.clone()).expect(200);
    assert_eq!(again.body, made);
    let mut other = body.clone();
    other["spec"]["description"] = json!("another");
    world.post(&format!("{base}/"), other.clone()).expect(409);

    let path = format!("{base}/{}", made["metadata"]["id"].as_str().unwrap());
    let put = world.put(&format!("{path}/"), other).expect(200).body;
    assert_eq!(put["spec"]["description"], "another");
    assert_eq!(world.get(&path).expect(200).body, put);
    let listed = world.get(&format!("{base}/")).expect(200).body;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);

    let credentials = format!("{path}/credentials/");
    let credential =
        json!({"spec": {"azureCredential": {"sasToken": sas("2026-07-01T00:00:00Z")}}});
    let added = world.post(&credentials, credential).expect(201).body;
    let shown = &added["spec"]["azureCredential"]["sasTokenSanitized"];
    assert!(shown.as_str().unwrap().contains("se=2026-07-01"), "{added}");
    shows_no_secret(&added);
    let one = format!(
        "{credentials}{}/",
        added["metadata"]["id"].as_str().unwrap()
    );
    world.get(&one).expect(200);
    world.delete(&one).expect(200);

    for (change, field) in [
        (json!({"location": "westeurope"}), "spec.location"),
        (
            json!({"azureStorageConfiguration": {"url": "https://other.blob.core.windows.net"}}),
            "spec.azureStorageConfiguration.url",
        ),
        (json!({"name": "other"}), "spec.name"),
        (json!({"type": "Microsoft.Storage"}), "spec.type"),
    ] {
        let mut spec = body["spec"].clone();
        let members = change.as_object().unwrap().clone();
        spec.as_object_mut().unwrap().extend(members);
        let refusal = world.put(&path, json!({ "spec": spec })).expect(400).body;
        assert_eq!(refusal["error"]["extraDetail"]["field"], field, "{change}");
    }
    world.delete(&format!("{path}/")).expect(200);
    world.delete(&format!("{path}/")).expect(204);
    world.get(&base.replace(NIL, "nobody")).expect(404);
    let elsewhere = base.replace("/subscriptions/1", "/subscriptions/2");
    world.get(&elsewhere).expect(404);
}

#[test]
fn what_cannot_be_a_storage_account_is_told_why() {
    let world = World::new();
    let good = with_sas("2026-06-01T00:00:00Z");
    let path = format!("{MKIO}/storage/films");
    let one_container = format!("{}&sr=c", sas("2026-06-01T00:00:00Z"));
    for (change, field) in [
        (json!({"type": null}), "spec.type"),
        (json!({"type": "AWS.S3"}), "spec.type"),
        (json!({"type": "Google.Storage"}), "spec.type"),
        (json!({"type": "Tape"}), "spec.type"),
        (json!({"bucketName": "b"}), "spec.bucketName"),
        (json!({"colour": "red"}), "spec.colour"),
        (json!({"name": "other"}), "spec.name"),
        (json!({"url": null}), "spec.url"),
        (
            json!({"url": "https://films.blob.core.windows.net/"}),
            "spec.url",
        ),
        (
            json!({"url": "https://films.blob.core.windows.net?sv=1"}),
            "spec.url",
        ),
        (
            json!({"url": "http://films.blob.core.windows.net"}),
            "spec.url",
        ),
        (json!({"url": "films"}), "spec.url"),
        (json!({"description": "x".repeat(1025)}), "spec.description"),
        (json!({"credential": null}), "spec.credential"),
        (json!({"credential": {}}), "spec.credential.sasToken"),
        (
            json!({"credential": {"sasToken": "nonsense"}}),
            "spec.credential.sasToken",
        ),
        (
            json!({"credential": {"sasToken": one_container}}),
            "spec.credential.sasToken",
        ),
        (
            json!({"credential": {"sasToken": sas("2025-06-01T00:00:00Z")}}),
            "spec.credential",
        ),
        (
            json!({"credential": {"accountKey": "c2hvcnQ="}}),
            "spec.credential.accountKey",
        ),
        (
            json!({"credential": {"accountKey": KEY, "sasToken": "x"}}),
            "spec.credential.accountKey",
        ),
        (
            json!({"credential": {"accessKeyId": "x"}}),
            "spec.credential.accessKeyId",
        ),
        (
            json!({"privateLinkServiceConnection": {"subscriptionId": "x"}}),
            "spec.privateLinkServiceConnection",
        ),
    ] {
        let mut body = good.clone();
        let members = change.as_object().unwrap().clone();
        body["spec"].as_object_mut().unwrap().extend(members);
        let refusal = world.put(&path, body).expect(400).body;
        assert_eq!(
            refusal["error"]["extraDetail"]["field"], field,
            "{change}: {refusal}"
        );
        shows_no_secret(&refusal);
    }
    world.get(&path).expect(404);
    world
        .put(&format!("{MKIO}/storage/a%20b"), good.clone())
        .expect(400);
    assert_eq!(world.storage.requests.get(), 0, "storage was not asked");

    world.put(&path, good.clone()).expect(201);
    let mut moved = good.clone();
    moved["spec"]["url"] = json!("https://other.blob.core.windows.net");
    let refusal = world.put(&path, moved).expect(400).body;
    assert_eq!(refusal["error"]["extraDetail"]["field"], "spec.url");
    for (spec, field) in [
        (json!({"url": "https://x.y"}), "spec.url"),
        (
            json!({"credential": {"accountKey": KEY}}),
            "spec.credential",
        ),
        (
            json!({"privateLinkServiceConnection": {}}),
            "spec.privateLinkServiceConnection",
        ),
        (json!({"description": 7}), "spec.description"),
    ] {
        let refusal = world.patch(&path, json!({ "spec": spec })).expect(400).body;
        assert_eq!(refusal["error"]["extraDetail"]["field"], field);
    }
    // Plain HTTP is for this machine and for what the operator lists.
    for url in [
        "http://127.0.0.1:10000/local",
        "http://store.internal:10000/films",
    ] {
        let mut near = good.clone();
        near["spec"]["url"] = json!(url);
        let name = url.len();
        world
            .put(&format!("{MKIO}/storage/near{name}"), near)
            .expect(201);
    }
}

#[test]
fn a_credential_is_tried_before_it_is_kept() {
    let world = World::new();
    let path = format!("{MKIO}/storage/films");
    let good = with_sas("2026-06-01T00:00:00Z");
    for code in [
        "AuthenticationFailed",
        "AuthorizationFailure",
        "AuthorizationServiceMismatch",
    ] {
        world.storage.refusing.set(Some(code));
        let refusal = world.put(&path, good.clone()).expect(400).body;
        assert_eq!(refusal["error"]["extraDetail"]["field"], "spec.credential");
        let detail = refusal["error"]["detail"].as_str().unwrap();
        assert!(detail.contains(code), "{detail}");
        shows_no_secret(&refusal);
    }
    world.get(&path).expect(404);
    world.storage.refusing.set(None);
    world.storage.failing.set(2);
    world.put(&path, good.clone()).expect(503);
    world.get(&path).expect(404);
    // The signature is right and does not allow lists: what it allows is its maker's choice.
    for code in [
        "AuthorizationPermissionMismatch",
        "AuthorizationResourceTypeMismatch",
    ] {
        world.storage.refusing.set(Some(code));
        world.put(&path, good.clone());
        world.get(&path).expect(200);
        world.delete(&path).expect(200);
    }
}

#[test]
fn only_owners_touch_storage_and_each_project_its_own() {
    let world = World::new();
    let path = format!("{MKIO}/storage/films");
    let body = with_sas("2026-06-01T00:00:00Z").to_string();
    for role in [Role::Viewer, Role::Operator] {
        world.as_role(role, "PUT", &path, &body).expect(403);
        world
            .as_role(role, "GET", &format!("{MKIO}/storage"), "")
            .expect(200);
    }
    world.put("/api/v1/projects/other", json!({})).expect(201);
    world
        .put(&path, serde_json::from_str(&body).unwrap())
        .expect(201);
    world.get(&path.replace("default", "other")).expect(404);
    world.delete(&path.replace("default", "other")).expect(204);
    world.get(&path).expect(200);
}

#[test]
fn with_a_sas_workers_get_it_and_nothing_is_signed_for_strangers() {
    let world = World::new();
    let token = sas("2026-06-01T00:00:00Z");
    let token = token.trim_start_matches('?');
    world
        .put(
            &format!("{MKIO}/storage/films"),
            with_sas("2026-06-01T00:00:00Z"),
        )
        .expect(201);
    let asset = json!({"properties": {"storageAccountName": "films"}});
    for name in ["in1", "out"] {
        world
            .put(&format!("{MKIO}/assets/{name}"), asset.clone())
            .expect(201);
    }
    let queries = world.storage.queries.borrow().clone();
    assert!(
        queries.iter().all(|query| query.ends_with(token)),
        "{queries:?}"
    );
    let path = format!("{ARM}/assets/in1/listContainerSas");
    let refusal = world.post(&path, json!({})).expect(409).body.to_string();
    assert!(
        refusal.contains("InvalidOperation") && refusal.contains("account key"),
        "{refusal}"
    );
    world
        .put(
            &format!("{MKIO}/transforms/AdaptiveStreaming/jobs/j"),
            job("in1", "a.mp4", "out"),
        )
        .expect(201);
    let claim = || world.worker("claim", json!({"worker": "w", "leaseSeconds": 30}));
    let claimed = claim().expect(200).body;
    for place in [&claimed["input"]["place"], &claimed["outputs"][0]["place"]] {
        assert_eq!(place["sas"], token);
    }
    // Once it has run out, whoever needs it is told so, and lists go on without.
    world
        .put(
            &format!("{MKIO}/streamingLocators/l"),
            locator("in1", "Predefined_ClearStreamingOnly"),
        )
        .expect(201);
    world.wait(200 * 24 * 3600);
    let listed = world.get(&format!("{MKIO}/published")).expect(200).body;
    assert_eq!(listed["value"], json!([]));
    let refusal = world
        .get(&format!("{MKIO}/assets/in1/storage"))
        .expect(409)
        .body;
    assert!(
        refusal["error"]["detail"]
            .as_str()
            .unwrap()
            .contains("ran out"),
        "{refusal}"
    );
    claim().expect(409);
}

#[test]
fn files_that_a_sas_opens_are_handed_on() {
    let world = World::new();
    let mut account = with_sas("2026-06-01T00:00:00Z");
    account["spec"]["url"] = "http://store.internal:10000/films".into();
    world
        .put(&format!("{MKIO}/storage/films"), account)
        .expect(201);
    let properties = json!({"storageAccountName": "films", "container": "films", "subPath": "in"});
    let path = format!("{MKIO}/assets/a");
    world
        .put(&path, json!({ "properties": properties }))
        .expect(201);
    // The tests read bodies as JSON.
    world
        .storage
        .put_bytes("films", "in/film.mp4", b"123456789".to_vec());
    let info = world.post(&format!("{path}/getFileAccessInfo"), Json::Null);
    let info = info.expect(200).body;
    assert!(!info.to_string().contains("sig="), "{info}");
    let token = format!("Bearer {}", info["jwt"].as_str().unwrap());
    let read = |file: &str, headers: &[(&str, &str)]| {
        let mut request = Request::get(format!("{path}/files/in/{file}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("authorization", &token);
        world.send(request.body(Default::default()).unwrap())
    };
    let whole = read("film.mp4", &[]).expect(200);
    assert_eq!(whole.body, 123_456_789);
    assert_eq!(whole.header("content-type"), "application/octet-stream");
    assert_eq!(whole.header("location"), "");
    for (range, status, bytes) in [
        ("bytes=1-3", 206, 234),
        ("bytes=7-", 206, 89),
        // What storage does not know.
        ("bytes=-2", 200, 123_456_789),
        ("bytes=0-0,2-2", 200, 123_456_789),
        ("bytes=3-1", 200, 123_456_789),
        ("lines=1-3", 200, 123_456_789),
    ] {
        let part = read("film.mp4", &[("range", range)]).expect(status);
        assert_eq!(part.body, bytes, "{range}");
    }
    let part = read("film.mp4", &[("range", "bytes=1-3")]);
    assert_eq!(part.header("content-range"), "bytes 1-3/9");
    let changed = [("range", "bytes=1-3"), ("if-range", "\"other\"")];
    read("film.mp4", &changed).expect(200);
    read("film.mp4", &[("range", "bytes=9-")]).expect(416);
    let missing = read("none.mp4", &[]).expect(404).body;
    assert_eq!(missing["error"]["code"], "NotFound");
    world.storage.failing.set(1);
    read("film.mp4", &[]).expect(503);

    let body =
        json!({"storageAccountName": "films", "containerName": "films", "fileName": "film.mp4"});
    let older = Request::post(format!("{path}/filesdownloadBlob")).header("authorization", &token);
    let older = world.send(older.body(body.to_string().into()).unwrap());
    assert_eq!(older.expect(200).body, 123_456_789);
}

#[test]
fn files_are_read_with_an_address_and_a_token_for_them_alone() {
    let world = World::new();
    let asset = |name: &str, folder: &str| {
        let properties =
            json!({"storageAccountName": "local", "container": "films", "subPath": folder});
        world
            .put(
                &format!("{MKIO}/assets/{name}"),
                json!({ "properties": properties }),
            )
            .expect(201);
    };
    asset("in1", "a/b");
    asset("whole", "");
    let info = |name: &str| {
        world
            .post(
                &format!("{MKIO}/assets/{name}/getFileAccessInfo"),
                Json::Null,
            )
            .expect(200)
            .body
    };
    let read = |path: &str, token: &str| {
        let request = Request::get(path)
            .header("host", "localhost:8080")
            .header("authorization", format!("Bearer {token}"));
        world.send(request.body(Default::default()).unwrap())
    };
    let path = |info: &Json, file: &str| {
        let url = info["url"]
            .as_str()
            .unwrap()
            .strip_prefix("http://localhost:8080")
            .unwrap();
        format!("{url}/{}/{file}", info["subPath"].as_str().unwrap())
    };
    let (in1, whole) = (info("in1"), info("whole"));
    assert_eq!(
        (&in1["storageAccountName"], &in1["containerName"]),
        (&json!("local"), &json!("films"))
    );
    let token = in1["jwt"].as_str().unwrap();
    let to = read(&path(&in1, "my%20film.mp4"), token).expect(307);
    let location = to.header("location");
    assert!(
        location.starts_with("http://127.0.0.1:10000/local/films/a/b/my%20film.mp4?sv="),
        "{location}"
    );
    assert!(
        location.contains("sp=r&") && location.contains("sr=b"),
        "{location}"
    );
    let other = whole["jwt"].as_str().unwrap();
    read(&path(&whole, "film.mp4"), other).expect(307);

    // The older way: a POST that names the file.
    let download = |info: &Json, token: &str, body: Json| {
        let url = info["url"].as_str().unwrap();
        let path = url.strip_prefix("http://localhost:8080").unwrap();
        let request = Request::post(format!("{path}downloadBlob"))
            .header("host", "localhost:8080")
            .header("authorization", format!("Bearer {token}"));
        world.send(request.body(body.to_string().into()).unwrap())
    };
    let named = |container: &str, file: &str| json!({"storageAccountName": "local", "containerName": container, "fileName": file});
    for file in ["a/b/film.mp4", "film.mp4"] {
        let to = download(&in1, token, named("films", file)).expect(303);
        let location = to.header("location");
        assert!(
            location.starts_with("http://127.0.0.1:10000/local/films/a/b/film.mp4?sv="),
            "{location}"
        );
    }
    download(&in1, token, named("others", "film.mp4")).expect(404);
    download(&in1, other, named("films", "film.mp4")).expect(404);
    download(
        &in1,
        &world.token(Role::Owner, None),
        named("films", "film.mp4"),
    )
    .expect(401);
    let lacking = download(
        &in1,
        token,
        json!({"storageAccountName": "local", "containerName": "films"}),
    )
    .expect(400);
    assert!(
        lacking.body.to_string().contains("fileName"),
        "{}",
        lacking.body
    );
    download(&in1, token, named("films", "../film.mp4")).expect(400);

    // Not with another asset's token, an ordinary one, or none; not outside the folder; not for ever.
    read(&path(&in1, "film.mp4"), other).expect(404);
    read(&path(&in1, "film.mp4"), &world.token(Role::Owner, None)).expect(401);
    read(&path(&in1, "film.mp4"), "").expect(401);
    let outside = path(&in1, "film.mp4").replace("/a/b/", "/a/");
    read(&outside, token).expect(404);
    for climbing in ["..%2Fx", "../x"] {
        read(&path(&in1, climbing), token).expect(400);
    }
    read(&format!("{MKIO}/assets"), token).expect(401);
    world.wait(3700);
    read(&path(&in1, "film.mp4"), token).expect(401);
    world
        .as_role(
            Role::Viewer,
            "POST",
            &format!("{MKIO}/assets/in1/getFileAccessInfo"),
            "",
        )
        .expect(403);
}
