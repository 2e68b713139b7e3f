//! Who changed what, and how much a project may ask.

use crate::support::people::{INVITES, accept};
use crate::support::{ARM, MKIO, World};
use bytes::Bytes;
use headwater_api::limits::{Limiter, Limits};
use headwater_auth::Role;
use headwater_catalog::Sql;
use http::Request;
use serde_json::{Value as Json, json};

const LOG: &str = "/api/v1/organization/auditLog";

impl World {
    /// Rows of the log, oldest first.
    fn rows(&self, query: &str) -> Vec<Json> {
        let got = self.get(&format!("{LOG}?$orderby=time{query}")).expect(200);
        got.body["value"].as_array().unwrap().clone()
    }

    /// Asks for a token as a program does.
    fn sign_in(&self, secret: &str) -> u16 {
        let form = format!("grant_type=client_credentials&client_id=script&client_secret={secret}");
        let request = Request::post("/tenant/oauth2/v2.0/token").body(Bytes::from(form));
        self.send(request.unwrap()).status
    }
}

#[test]
fn every_change_leaves_one_row_on_every_surface() {
    let world = World::new();
    world
        .put(&format!("{MKIO}/assets/a"), json!({}))
        .expect(201);
    world.wait(1);
    world.put(&format!("{ARM}/assets/a"), json!({})).expect(200);
    world.wait(1);
    world.get(&format!("{ARM}/assets/a")).expect(200);
    world
        .post(
            &format!("{MKIO}/assets/a/listStreamingLocators"),
            Json::Null,
        )
        .expect(200);
    world
        .put(
            &format!("{MKIO}/assets/b"),
            json!({"properties": {"container": "A"}}),
        )
        .expect(400);
    world.wait(1);
    world
        .as_role(Role::Viewer, "DELETE", &format!("{MKIO}/assets/a"), "")
        .expect(403);
    world.wait(1);
    world.delete(&format!("{MKIO}/assets/a")).expect(200);
    let rows = world.rows("");
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            json!([
                row["operation"],
                row["resource"],
                row["status"],
                row["errorCode"]
            ])
        })
        .collect();
    assert_eq!(
        told,
        [
            json!(["AssetPut", "assets/a", 201, null]),
            json!(["AssetPut", "assets/a", 200, null]),
            json!(["AssetPut", "assets/b", 400, "BadRequest"]),
            json!(["AssetDelete", "assets/a", 403, "AuthorizationFailed"]),
            json!(["AssetDelete", "assets/a", 200, null]),
        ]
    );
    insta::assert_json_snapshot!("row", rows[0]);
}

#[test]
fn tokens_leave_rows_and_strangers_hardly_any() {
    let world = World::new();
    assert_eq!(world.sign_in("a%20long%20random%20secret"), 200);
    world.wait(2);
    for _ in 0..5 {
        assert_eq!(world.sign_in("wrong"), 401);
    }
    world.wait(2);
    assert_eq!(world.sign_in("wrong"), 401);
    let stranger = Request::delete(format!("{MKIO}/assets/a")).body(Bytes::new());
    world.send(stranger.unwrap()).expect(401);
    world.wait(2);
    world
        .post(
            "/api/v1/user/tokens",
            json!({"type": "ephemeral", "description": "d"}),
        )
        .expect(201);
    let told: Vec<_> = world
        .rows("")
        .iter()
        .map(|row| json!([row["operation"], row["who"], row["status"]]))
        .collect();
    assert_eq!(
        told,
        [
            json!(["IssueToken", "script", 200]),
            json!(["IssueToken", "script", 401]),
            json!(["IssueToken", "script", 401]),
            json!(["OwnTokenCreate", "tester", 201]),
        ]
    );
    assert!(!format!("{:?}", world.rows("")).contains("secret"));
}

#[test]
fn an_invite_that_is_accepted_leaves_a_row_and_guesses_leave_none() {
    let world = World::new();
    let invite = json!({"spec": {"name": "Kim"}});
    let made = world.post(INVITES, invite).expect(201).body["metadata"].clone();
    world.wait(1);
    for _ in 0..3 {
        accept(&world, json!({"secret": "guess"})).expect(400);
    }
    world.wait(1);
    let came = accept(&world, json!({"secret": made["secret"]})).expect(201);
    let told: Vec<_> = world
        .rows("")
        .iter()
        .map(|row| json!([row["operation"], row["who"], row["resource"], row["status"]]))
        .collect();
    let resource = format!("organization/invites/{}", made["id"].as_str().unwrap());
    assert_eq!(
        told,
        [
            json!(["InviteCreate", "tester", null, 201]),
            json!(["InviteAccept", came.body["spec"]["user"], resource, 201]),
        ]
    );
    let secret = made["secret"].as_str().unwrap();
    assert!(!format!("{:?}", world.rows("")).contains(secret));
}

#[test]
fn a_row_names_what_was_changed_below_the_project() {
    let world = World::new();
    let rule = json!({"spec": {"enabled": true, "url": "https://example.com", "events": ["MediaKind.JobFinished"]}});
    world
        .put("/api/v1/projects/default/webhook/rules/r1", rule)
        .expect(201);
    world.wait(1);
    world.delete("/api/v1/user/tokens/none").expect(204);
    world.wait(1);
    world
        .post(&format!("{MKIO}/transforms/t/jobs/j/cancelJob"), Json::Null)
        .expect(404);
    world.wait(1);
    world
        .delete("/api/v1/projects/other/media/assets/a")
        .expect(404);
    let told: Vec<_> = world
        .rows("")
        .iter()
        .map(|row| json!([row["project"], row["resource"]]))
        .collect();
    assert_eq!(
        told,
        [
            json!(["default", "webhook/rules/r1"]),
            json!([null, "user/tokens/none"]),
            json!(["default", "transforms/t/jobs/j"]),
            json!(["other", "assets/a"]),
        ]
    );
}

#[test]
fn workers_have_records_of_their_own() {
    let world = World::new();
    world
        .worker("claim", json!({"worker": "w", "leaseSeconds": 30}))
        .expect(204);
    assert_eq!(world.rows(""), Vec::<Json>::new());
}

#[test]
fn the_log_is_an_owners_and_is_filtered_and_paged() {
    let world = World::new();
    for number in 0..5 {
        world
            .put(&format!("{MKIO}/assets/a{number}"), json!({}))
            .expect(201);
        world.wait(60);
    }
    world
        .post("/api/v1/user/tokens", json!({"type": "ephemeral"}))
        .expect(201);
    for role in [Role::Viewer, Role::Operator, Role::Worker] {
        world.as_role(role, "GET", LOG, "").expect(403);
    }
    let newest = world.get(LOG).expect(200).body;
    assert_eq!(
        newest["value"][0]["operation"], "OwnTokenCreate",
        "the newest first"
    );
    for (filter, count) in [
        ("project eq 'default'", 5),
        ("who eq 'tester' and operation eq 'AssetPut'", 5),
        ("who eq 'nobody'", 0),
        ("status eq 201", 6),
        ("status ge 400", 0),
        ("time gt 2026-01-01T00:02:30Z", 3),
        ("resource eq 'assets/a1'", 1),
    ] {
        let filter = filter.replace(' ', "%20");
        assert_eq!(
            world.rows(&format!("&$filter={filter}")).len(),
            count,
            "{filter}"
        );
    }
    let bad = world
        .get(&format!("{LOG}?$filter=status%20eq%20'x'"))
        .expect(400)
        .body;
    assert_eq!(bad["error"]["extraDetail"]["field"], "$filter");
    let page = world.get(&format!("{LOG}?$top=4")).expect(200).body;
    let next = page["@odata.nextLink"].as_str().unwrap();
    let rest = world
        .get(next.strip_prefix("http://localhost:8080").unwrap())
        .expect(200)
        .body;
    assert_eq!(rest["value"].as_array().unwrap().len(), 2);

    // The owner of one project sees that project's.
    let token = world.token(Role::Owner, Some("default"));
    let request = Request::get(LOG).header("authorization", format!("Bearer {token}"));
    let own = world
        .send(request.body(Bytes::new()).unwrap())
        .expect(200)
        .body;
    assert_eq!(own["supplemental"]["pagination"]["total"], 5);
}

#[test]
fn old_rows_go() {
    let world = World::new();
    world
        .put(&format!("{MKIO}/assets/a"), json!({}))
        .expect(201);
    world.wait(91 * 24 * 3600);
    world
        .put(&format!("{MKIO}/assets/b"), json!({}))
        .expect(201);
    let rows = world.rows("");
    assert_eq!((rows.len(), &rows[0]["resource"]), (1, &json!("assets/b")));
}

#[test]
fn a_change_whose_row_cannot_be_written_is_not_made() {
    let world = World::new();
    let run = |statement: &str| {
        futures::executor::block_on(world.sql.query(statement, &[])).unwrap();
    };
    run("ALTER TABLE audit_log RENAME TO away");
    let rule = json!({"properties": {"presentationTimeRange": {"startTimestamp": 1}}});
    let path = format!("{MKIO}/accountFilters/f");
    let got = world.put(&path, rule.clone());
    assert!(got.status >= 400, "{got:?}");
    world.get(&path).expect(404);
    // A refusal changes nothing, and stays what it is.
    world
        .put(&path, json!({"properties": {"colour": "red"}}))
        .expect(400);
    run("ALTER TABLE away RENAME TO audit_log");
    world.put(&path, rule).expect(201);
    assert_eq!(world.rows("").len(), 1);
}

#[test]
fn what_storage_is_asked_for_comes_after_what_was_written() {
    let world = World::new();
    world
        .put(&format!("{MKIO}/assets/a"), json!({}))
        .expect(201);
    // Storage fails in the middle of a delete: whatever was committed before has its row.
    world.storage.failing.set(3);
    let status = world.delete(&format!("{MKIO}/assets/a")).status;
    let rows = world.rows("");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1]["status"], status);
}

#[test]
fn a_project_that_asks_too_much_is_told_when_to_come_back() {
    let mut world = World::new();
    world.limiter = Limiter::new(Limits {
        reads: 3,
        writes: 1,
    });
    let assets = format!("{MKIO}/assets");
    let stranger = || {
        world
            .send(Request::get(&assets).body(Bytes::new()).unwrap())
            .status
    };
    assert_eq!([stranger(), stranger(), stranger(), stranger()], [401; 4]);
    for _ in 0..3 {
        world.get(&assets).expect(200);
    }
    let refused = world.get(&assets).expect(429);
    assert_eq!(refused.header("retry-after"), "20");
    assert_eq!(refused.body["error"]["code"], "TooManyRequests");
    assert_eq!(refused.body["status"], 429);
    let arm = world.get(&format!("{ARM}/assets"));
    arm.expect(200);
    world.put(&format!("{assets}/a"), json!({})).expect(201);
    world.put(&format!("{assets}/b"), json!({})).expect(429);
    world.wait(60);
    world.get(&assets).expect(200);
    world.put(&format!("{assets}/b"), json!({})).expect(201);
}
