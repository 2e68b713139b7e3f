//! Projects made, renamed and deleted on both surfaces, and what they used.

use crate::support::{ARM, MKIO, World, job};
use headwater_auth::Role;
use http::Request;
use serde_json::{Value as Json, json};

const PROJECTS: &str = "/api/v1/projects";
const USAGE: &str = "/api/v1/organization/reports/usage";

/// Another account of the same resource group.
fn arm(name: &str) -> String {
    ARM.replace("/default", &format!("/{name}"))
}

fn storage_id(name: &str) -> String {
    format!("/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/{name}")
}

fn account(storage: Json) -> Json {
    json!({"location": "local", "tags": {"team": "a"}, "properties": {"storageAccounts": storage}})
}

/// Sends a request with an owner's token that is good for one project.
fn bound(
    world: &World,
    project: &str,
    method: &str,
    path: &str,
    body: Json,
) -> crate::support::Got {
    let token = world.token(Role::Owner, Some(project));
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"));
    world.send(request.body(body.to_string().into()).unwrap())
}

#[test]
fn a_project_on_mkio_starts_with_an_endpoint_and_no_storage() {
    let world = World::new();
    let path = format!("{PROJECTS}/team-1");
    // As MK.IO's scripts write it.
    let body = json!({"spec": {"displayName": "Team 1", "locationName": "local", "paymentMethodId": "pm-1"}});
    let made = world.put(&path, body.clone()).expect(201).body;
    assert_eq!(
        made["spec"],
        json!({"displayName": "Team 1", "locationName": "local"})
    );
    assert_eq!(
        world.put(&path, body).expect(200).body["spec"],
        made["spec"]
    );
    let renamed = world.patch(&path, json!({"spec": {"displayName": "One"}}));
    assert_eq!(renamed.expect(200).body["spec"]["displayName"], "One");
    let kept = world.patch(&path, json!({})).expect(200).body;
    assert_eq!(kept["spec"]["displayName"], "One");

    let stats = world.get(&format!("{path}/media/stats")).expect(200).body;
    assert_eq!(
        stats["streamingEndpoints"],
        json!({"running": 1, "stopped": 0, "total": 1})
    );
    for empty in ["storageAccounts", "uploadRules", "transforms", "assets"] {
        assert_eq!(stats[empty]["total"], 0, "{empty}");
    }
    let refusal = world.put(&format!("{path}/media/assets/a"), json!({}));
    assert!(
        refusal
            .expect(404)
            .body
            .to_string()
            .contains("Storage account")
    );
    // The AMS surface has it as well.
    let shown = world.get(&arm("team-1")).expect(200).body;
    assert_eq!(shown["properties"]["storageAccounts"], json!([]));

    for (body, field) in [
        (json!({"spec": {"displayName": ""}}), "spec.displayName"),
        (
            json!({"spec": {"displayName": "x".repeat(129)}}),
            "spec.displayName",
        ),
        (
            json!({"spec": {"locationName": "westeurope"}}),
            "spec.locationName",
        ),
        (
            json!({"spec": {"paymentMethodId": 7}}),
            "spec.paymentMethodId",
        ),
        (json!({"spec": {"colour": "red"}}), "spec.colour"),
        (json!({"colour": "red"}), "colour"),
    ] {
        for name in ["team-1", "team-2"] {
            let refusal = world.put(&format!("{PROJECTS}/{name}"), body.clone());
            let refusal = refusal.expect(400).body;
            assert_eq!(refusal["error"]["extraDetail"]["field"], field, "{body}");
        }
    }
    for name in ["ab", "Team", "a_b", "a--b"] {
        let refusal = world.put(&format!("{PROJECTS}/{name}"), json!({}));
        let refusal = refusal.expect(400).body;
        assert_eq!(refusal["error"]["extraDetail"]["field"], "name", "{name}");
    }
}

#[test]
fn a_token_for_one_project_sees_it_alone_and_makes_none() {
    let world = World::new();
    world
        .put(&format!("{PROJECTS}/other"), json!({}))
        .expect(201);
    let names = |got: crate::support::Got| -> Vec<Json> {
        let items = got.expect(200).body["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|item| item["metadata"]["name"].clone())
            .collect()
    };
    assert_eq!(names(world.get(PROJECTS)), ["default", "other"]);
    let mine = |method: &str, path: &str| bound(&world, "other", method, path, json!({}));
    assert_eq!(names(mine("GET", PROJECTS)), ["other"]);
    mine("GET", &format!("{PROJECTS}/default")).expect(404);
    // It is not told which names are taken.
    for name in ["default", "third"] {
        mine("PUT", &format!("{PROJECTS}/{name}")).expect(403);
    }
    mine("PUT", &format!("{PROJECTS}/other")).expect(200);
    mine("DELETE", &format!("{}?api-version=2021-11-01", ARM)).expect(204);
    world.get(ARM).expect(200);
    for role in [Role::Viewer, Role::Operator] {
        world
            .as_role(role, "PUT", &format!("{PROJECTS}/third"), "{}")
            .expect(403);
    }
}

#[test]
fn an_account_is_made_with_the_storage_that_others_have_and_deleted_when_empty() {
    let world = World::new();
    let path = arm("second");
    let body = account(json!([{"id": storage_id("local"), "type": "Primary"}]));
    let made = world.put(&path, body.clone()).expect(201).body;
    assert_eq!(made["properties"]["storageAccounts"][0]["type"], "Primary");
    assert_eq!(made["properties"]["provisioningState"], "Succeeded");
    assert_eq!(made["tags"], json!({"team": "a"}));
    // Uploads do not start work in two projects.
    let rule = world
        .get(&format!("{path}/uploadRules/uploads"))
        .expect(200)
        .body;
    assert_eq!(rule["properties"]["container"], "uploads-second");
    assert!(world.storage.containers.borrow().contains("uploads-second"));
    world.put(&path, body).expect(200);
    let elsewhere = path.replace("headwater", "another");
    world
        .put(&elsewhere, json!({"location": "local"}))
        .expect(409);

    world
        .put(&format!("{path}/assets/a"), json!({}))
        .expect(201);
    let kept = world.delete(&path).expect(409).body;
    assert!(
        kept["error"]["message"]
            .as_str()
            .unwrap()
            .contains("assets"),
        "{kept}"
    );
    world.delete(&format!("{path}/assets/a")).expect(200);
    let token = bound(
        &world,
        "second",
        "POST",
        "/api/v1/user/tokens",
        json!({
            "type": "full-access", "roles": ["viewer"], "projects": ["second"],
        }),
    );
    assert!(token.status < 500);
    world.delete(&path).expect(200);
    world.delete(&path).expect(204);
    world.get(&path).expect(404);
    // What it had of others is theirs.
    world.get(&format!("{MKIO}/storage/local")).expect(200);
    let kept = world.delete(ARM).expect(409).body;
    assert_eq!(kept["error"]["code"], "InvalidOperation");
}

#[test]
fn containers_that_two_projects_use_are_not_deleted_by_one() {
    let world = World::new();
    let path = arm("second");
    world
        .put(
            &path,
            account(json!([{"id": storage_id("local"), "type": "Primary"}])),
        )
        .expect(201);
    let shared = json!({"properties": {"container": "shared"}});
    for asset in [format!("{ARM}/assets/a"), format!("{path}/assets/b")] {
        world.put(&asset, shared.clone()).expect(201);
    }
    world.delete(&format!("{ARM}/assets/a")).expect(200);
    assert!(world.storage.containers.borrow().contains("shared"));
    world.delete(&format!("{path}/assets/b")).expect(200);
    assert!(!world.storage.containers.borrow().contains("shared"));
}

#[test]
fn accounts_say_which_member_is_wrong_and_are_not_half_made() {
    let world = World::new();
    let path = arm("second");
    let primary = |name: &str| json!({"id": storage_id(name), "type": "Primary"});
    let secondary = json!({"id": storage_id("local"), "type": "Secondary"});
    for (body, field) in [
        (
            account(json!([primary("nowhere")])),
            "properties.storageAccounts[0].id",
        ),
        (account(json!([secondary])), "properties.storageAccounts"),
        (
            account(json!([primary("local"), primary("local")])),
            "properties.storageAccounts[1].id",
        ),
        (
            account(json!([{"id": storage_id("local")}])),
            "properties.storageAccounts[0].type",
        ),
        (
            account(json!([{"type": "Primary"}])),
            "properties.storageAccounts[0].id",
        ),
        (json!({"location": "westeurope"}), "location"),
        (
            json!({"properties": {"publicNetworkAccess": "Disabled"}}),
            "properties.publicNetworkAccess",
        ),
        (json!({"tags": {"a": 1}}), "tags.a"),
    ] {
        let refusal = world.put(&path, body.clone()).expect(400).body;
        assert_eq!(refusal["error"]["target"], field, "{body}");
        world.get(&path).expect(404);
    }
    let body = account(json!([primary("local")]));
    for (bad, field) in [
        (arm("UPPER"), "name"),
        (path.replace("headwater", "a%20b"), "resourceGroupName"),
        (
            path.replace("00000000-0000-0000-0000-000000000000", "a%20b"),
            "subscriptionId",
        ),
    ] {
        let refusal = world.put(&bad, body.clone()).expect(400).body;
        assert_eq!(refusal["error"]["target"], field, "{bad}");
    }
    world.storage.failing.set(3);
    world.put(&path, body.clone()).expect(503);
    world.get(&path).expect(404);
    assert_eq!(world.storage.containers.borrow().len(), 1);

    // One name, two storage accounts: which one is meant cannot be told.
    world
        .put(&format!("{PROJECTS}/third"), json!({}))
        .expect(201);
    let other = json!({"spec": {
        "type": "Microsoft.Storage", "url": "https://local.blob.core.windows.net",
        "credential": {"accountKey": "YW4gYWNjb3VudCBrZXkgb2YgdGhpcnR5LXR3byBieXQ="},
    }});
    world
        .put(&format!("{PROJECTS}/third/media/storage/local"), other)
        .expect(201);
    let refusal = world.put(&path, body).expect(400).body;
    assert_eq!(
        refusal["error"]["target"],
        "properties.storageAccounts[0].id"
    );
}

#[test]
fn nothing_is_paid_and_metrics_are_pulled() {
    let world = World::new();
    let default = format!("{PROJECTS}/default");
    world.get(&format!("{default}/paymentMethod")).expect(404);
    let refusal = world.post(
        &format!("{default}/paymentMethod"),
        json!({"paymentMethodId": "x"}),
    );
    assert_eq!(
        refusal.expect(400).body["error"]["extraDetail"]["field"],
        "paymentMethodId"
    );
    let metrics = format!("{default}/metricsEndpoint");
    let shown = world.get(&metrics).expect(200).body;
    assert_eq!(
        shown["spec"],
        json!({"enabled": true, "type": "Prometheus", "url": "http://127.0.0.1:9090/metrics"})
    );
    world
        .patch(&metrics, json!({"spec": {"enabled": false}}))
        .expect(400);
}

/// Runs a job whose worker says that it encoded this.
fn encode(world: &World, name: &str, encoded: Json) {
    let path = format!("{MKIO}/transforms/AdaptiveStreaming/jobs/{name}");
    world.put(&path, job("in1", "a.mp4", name)).expect(201);
    let claim = world.worker("claim", json!({"worker": "w", "leaseSeconds": 30}));
    let claim = claim.expect(200).body;
    let finish = format!("{}/finish", claim["jobId"].as_str().unwrap());
    let outcome = json!({"state": "finished", "manifests": ["a.ism"], "encoded": encoded});
    for _ in 0..2 {
        let body = json!({"lease": claim["lease"], "outcome": outcome});
        world.worker(&finish, body).expect(204);
    }
}

#[test]
fn what_was_encoded_is_counted_once_and_reported() {
    let world = World::new();
    world
        .put(
            &format!("{MKIO}/assets/in1"),
            json!({"properties": {"storageAccountName": "local"}}),
        )
        .expect(201);
    let picture = |width: u32, height: u32, ms: u32| json!({"picture": {"width": width, "height": height}, "durationMs": ms});
    encode(
        &world,
        "one",
        json!([picture(640, 360, 90_000), picture(1280, 720, 90_000), {"durationMs": 90_000}]),
    );
    world.wait(3 * 3600);
    encode(&world, "two", json!([picture(640, 360, 30_000)]));

    let used = world
        .get(&format!("{PROJECTS}/default/usage"))
        .expect(200)
        .body;
    let quantities: Vec<_> = used["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            (
                item["meter"].as_str().unwrap(),
                item["quantity"].as_f64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        quantities,
        [
            ("jobs", 2.0),
            ("encodedAudio", 1.5),
            ("encodedVideoSD", 2.0),
            ("encodedVideoHD", 1.5),
            ("encodedVideoUHD", 0.0),
            ("livePassthrough", 0.0),
            ("liveEncoding", 0.0),
            ("streamed", 0.0),
            ("streamedRequests", 0.0),
        ]
    );
    let stats = world.get(&format!("{MKIO}/stats")).expect(200).body;
    let older = format!(
        "/api/accounts/{}/subscriptions/{}",
        uuid::Uuid::nil(),
        stats["extra"]["subscription_id"].as_str().unwrap()
    );
    assert_eq!(
        world.get(&format!("{older}/usage/")).expect(200).body["items"],
        used["items"]
    );
    assert_eq!(
        world.get(&older).expect(200).body["metadata"]["name"],
        "default"
    );
    let all = world
        .get(older.rsplit_once('/').unwrap().0)
        .expect(200)
        .body;
    assert_eq!(all["items"].as_array().unwrap().len(), 1);

    let wanted = |extra: Json| {
        let mut body = json!({"startDate": "2026-01-01", "endDate": "2026-02-01"});
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        body
    };
    let lines = |extra: Json| {
        world.post(USAGE, wanted(extra)).expect(200).body["items"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(lines(json!({"granularity": "hour"})), 6);
    assert_eq!(
        lines(json!({"granularity": "month", "projectNames": ["default"]})),
        4
    );
    let csv = world
        .post(
            USAGE,
            wanted(json!({"format": "csv", "granularity": "week", "download": true})),
        )
        .expect(200);
    assert_eq!(
        csv.header("content-disposition"),
        "attachment; filename=\"usage-2026-01-01-2026-02-01.csv\""
    );
    let text = csv.body.as_str().unwrap();
    assert!(
        text.contains(
            "2026-01-01T00:00:00Z,2026-01-05T00:00:00Z,default,encodedVideoSD,minutes,2.0\r\n"
        ),
        "{text}"
    );

    // A token for another project is told nothing of this one.
    world
        .put(&format!("{PROJECTS}/other"), json!({}))
        .expect(201);
    let theirs = bound(&world, "other", "POST", USAGE, wanted(json!({})))
        .expect(200)
        .body;
    assert_eq!(theirs["items"], json!([]));
    bound(
        &world,
        "other",
        "POST",
        USAGE,
        wanted(json!({"projectNames": ["default"]})),
    )
    .expect(400);
    for (extra, field) in [
        (json!({"startDate": null}), "startDate"),
        (json!({"startDate": "yesterday"}), "startDate"),
        (json!({"startDate": "2026-01-01T00:30:00Z"}), "startDate"),
        (json!({"endDate": "2026-01-01"}), "endDate"),
        (
            json!({"endDate": "2026-03-01", "granularity": "hour"}),
            "endDate",
        ),
        (json!({"granularity": "minute"}), "granularity"),
        (json!({"format": "xml"}), "format"),
        (json!({"projectNames": ["nowhere"]}), "projectNames[0]"),
        (json!({"paymentMethodIds": ["x"]}), "paymentMethodIds"),
        (json!({"colour": "red"}), "colour"),
    ] {
        let refusal = world.post(USAGE, wanted(extra.clone())).expect(400).body;
        assert_eq!(refusal["error"]["extraDetail"]["field"], field, "{extra}");
    }
}
