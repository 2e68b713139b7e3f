//! Tokens for programs: made, used, listed, revoked.

use crate::support::{Got, MKIO, World};
use headwater_auth::Role;
use http::Request;
use serde_json::{Value as Json, json};

const OWN: &str = "/api/v1/user/tokens";
const ALL: &str = "/api/v1/organization/tokens";

fn with(world: &World, token: &str, method: &str, path: &str) -> Got {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
        .body("{}".into())
        .unwrap();
    world.send(request)
}

fn make(world: &World, body: Json) -> (String, String) {
    let made = world.post(OWN, body).expect(201).body;
    let text = |member: &str| made["metadata"][member].as_str().unwrap().to_owned();
    (text("id"), text("JWT"))
}

#[test]
fn a_token_works_until_it_is_revoked() {
    let world = World::new();
    let (id, jwt) = make(
        &world,
        json!({"type": "full-access", "organizationId": "00000000-0000-0000-0000-000000000000", "description": "ci"}),
    );
    let assets = format!("{MKIO}/assets");
    with(&world, &jwt, "GET", &assets).expect(200);
    with(&world, &jwt, "PUT", &format!("{assets}/a")).expect(201);
    // It is shown once.
    let shown = world.get(&format!("{OWN}/{id}")).expect(200).body;
    assert_eq!(shown["spec"]["description"], "ci");
    assert_eq!(shown["spec"]["revoked"], Json::Null);
    let listed = world.get(OWN).expect(200).body;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert!(!listed.to_string().contains(&jwt) && !shown.to_string().contains("JWT"));

    world.delete(&format!("{OWN}/{id}")).expect(200);
    world.delete(&format!("{OWN}/{id}")).expect(200);
    world.delete(&format!("{OWN}/nothing")).expect(204);
    let refused = with(&world, &jwt, "GET", &assets).expect(401).body;
    assert!(refused.to_string().contains("revoked"), "{refused}");
    let shown = world.get(&format!("{OWN}/{id}")).expect(200).body;
    assert_eq!(shown["spec"]["revokedBy"], "tester");
    let list = world.get("/.well-known/revoked.json").expect(200).body;
    assert!(list.to_string().contains(&id));
}

#[test]
fn a_token_has_no_more_rights_than_its_maker() {
    let world = World::new();
    let (_, viewer) = make(&world, json!({"type": "full-access", "roles": ["viewer"]}));
    let asset = format!("{MKIO}/assets/a");
    with(&world, &viewer, "PUT", &asset).expect(403);
    let body = json!({"type": "ephemeral", "roles": ["operator"]}).to_string();
    let refused = world.as_role(Role::Viewer, "POST", OWN, &body).expect(403);
    assert!(refused.body.to_string().contains("roles[0]"));
    // What is not asked for is inherited.
    let body = json!({"type": "ephemeral"}).to_string();
    let made = world.as_role(Role::Viewer, "POST", OWN, &body).expect(201);
    assert_eq!(made.body["spec"]["roles"], json!(["viewer"]));
    let (_, held) = make(&world, json!({"type": "ephemeral", "project": "default"}));
    with(&world, &held, "GET", &asset).expect(404);
    with(&world, &held, "PUT", &asset).expect(201);

    // Everybody's tokens are the owner's business; workers make none.
    world.as_role(Role::Operator, "GET", ALL, "").expect(403);
    world.as_role(Role::Worker, "POST", OWN, "{}").expect(403);
    let all = world.get(ALL).expect(200).body;
    assert_eq!(all["items"].as_array().unwrap().len(), 3);
    let id = all["items"][0]["metadata"]["id"].as_str().unwrap();
    let one = world.get(&format!("{ALL}/{id}")).expect(200).body;
    assert_eq!(one, all["items"][0]);
    world.get(&format!("{ALL}/none")).expect(404);
    let asked = world.as_role(Role::Operator, "GET", &format!("{ALL}/{id}"), "");
    asked.expect(403);
    world.delete(&format!("{ALL}/{id}")).expect(200);
    world.delete(OWN).expect(200);
    with(&world, &held, "GET", &asset).expect(401);
    with(&world, &viewer, "GET", &asset).expect(401);
}

#[test]
fn tokens_say_which_member_is_wrong() {
    let world = World::new();
    for (body, field) in [
        (json!({}), "type"),
        (json!({"type": "unlimited"}), "type"),
        (
            json!({"type": "full-access", "permissions": {"core.project": {}}}),
            "permissions",
        ),
        (
            json!({"type": "full-access", "organizationId": "11111111-1111-1111-1111-111111111111"}),
            "organizationId",
        ),
        (
            json!({"type": "full-access", "expireDate": "2025-01-01T00:00:00Z"}),
            "expireDate",
        ),
        (
            json!({"type": "full-access", "expireDate": "2028-01-01T00:00:00Z"}),
            "expireDate",
        ),
        (
            json!({"type": "ephemeral", "expireDate": "2026-01-03T00:00:00Z"}),
            "expireDate",
        ),
        (
            json!({"type": "full-access", "description": "x".repeat(129)}),
            "description",
        ),
        (json!({"type": "full-access", "roles": []}), "roles"),
        (
            json!({"type": "full-access", "roles": ["worker"]}),
            "roles[0]",
        ),
        (
            json!({"type": "full-access", "project": "other"}),
            "project",
        ),
        (json!({"type": "full-access", "scope": 1}), "scope"),
    ] {
        let refused = world.post(OWN, body.clone()).expect(400).body;
        assert_eq!(refused["error"]["extraDetail"]["field"], field, "{body}");
    }
    assert!(
        world.get(OWN).expect(200).body["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_token_ends_when_it_says() {
    let world = World::new();
    let (_, jwt) = make(
        &world,
        json!({"type": "ephemeral", "expireDate": "2026-01-01T00:10:00Z"}),
    );
    let assets = format!("{MKIO}/assets");
    world.wait(599);
    with(&world, &jwt, "GET", &assets).expect(200);
    world.wait(60);
    with(&world, &jwt, "GET", &assets).expect(401);
}
