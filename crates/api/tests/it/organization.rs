//! The one organization, its roles and scopes, and what the caller may do.

use crate::support::World;
use headwater_auth::Role;
use serde_json::json;

const NIL: &str = "00000000-0000-0000-0000-000000000000";

#[test]
fn there_is_one_organization_and_nothing_to_pay() {
    let world = World::new();
    let one = world.get("/api/v1/organization").expect(200).body;
    assert_eq!(one["metadata"]["id"], NIL);
    let profile = world.get("/api/v1/user/profile").expect(200).body;
    assert_eq!(profile["spec"]["activeOrganizationId"], NIL);
    let mine = world.get("/api/v1/user/organizations").expect(200).body;
    assert_eq!(mine["items"], json!([one]));
    world
        .get(&format!("/api/v1/user/organizations/{NIL}"))
        .expect(200);
    world.get("/api/v1/user/organizations/x").expect(404);
    let methods = "/api/v1/organization/paymentMethods";
    assert_eq!(world.get(methods).expect(200).body["items"], json!([]));
    world.get(&format!("{methods}/card")).expect(404);
    world.get(&format!("{methods}/card/rateCard")).expect(404);
    world
        .patch(&format!("{methods}/card"), json!({}))
        .expect(404);
    world
        .post(
            &format!("{methods}/card/acceptTermsAndConditions"),
            json!({}),
        )
        .expect(404);
}

#[test]
fn the_organization_has_a_name_of_its_own() {
    let world = World::new();
    let path = "/api/v1/organization";
    assert_eq!(
        world.get(path).expect(200).body["spec"],
        json!({"name": "headwater"})
    );
    let sent = json!({"name": "Our studio", "legalEntityName": "Studio Ltd", "legalEntityContactEmail": "Legal@Example.com"});
    let kept = json!({"name": "Our studio", "legalEntityName": "Studio Ltd", "legalEntityContactEmail": "legal@example.com"});
    let changed = world.patch(path, json!({"spec": sent})).expect(200).body;
    assert_eq!(changed["spec"], kept);
    // What scopes say stays.
    let metadata = &changed["metadata"];
    assert_eq!(
        (&metadata["id"], &metadata["name"]),
        (&json!(NIL), &json!("headwater"))
    );
    let updated: jiff::Timestamp = metadata["updated"].as_str().unwrap().parse().unwrap();
    assert_eq!(changed, world.get(path).expect(200).body, "{updated}");
    let mine = world.get("/api/v1/user/organizations").expect(200).body;
    assert_eq!(mine["items"][0]["spec"], kept);

    // What is not sent stays, an empty text takes back.
    let less = json!({"spec": {"legalEntityName": ""}});
    let changed = world.patch(path, less).expect(200).body;
    assert_eq!(
        changed["spec"],
        json!({"name": "Our studio", "legalEntityContactEmail": "legal@example.com"})
    );
    for (member, value) in [
        ("spec.name", json!("")),
        ("spec.name", json!("x".repeat(129))),
        ("spec.name", json!(1)),
        ("spec.legalEntityName", json!("x".repeat(257))),
        ("spec.legalEntityContactEmail", json!("nobody")),
        ("spec.address", json!("Main Street")),
    ] {
        let (_, name) = member.split_once('.').unwrap();
        let refusal = world.patch(path, json!({"spec": {name: value}}));
        let body = refusal.expect(400).body;
        assert_eq!(body["error"]["extraDetail"]["field"], member);
    }
    assert_eq!(
        world.get(path).expect(200).body["spec"]["name"],
        "Our studio"
    );

    let refusal = world.post(path, json!({"spec": {"name": "Another"}}));
    let body = refusal.expect(409).body;
    let detail = body["error"]["detail"].as_str().unwrap();
    assert!(detail.contains("PATCH /api/v1/organization"), "{detail}");
    for role in [Role::Viewer, Role::Operator] {
        let other = r#"{"spec": {"name": "Theirs"}}"#;
        world.as_role(role, "PATCH", path, other).expect(403);
    }
}

#[test]
fn roles_and_scopes_say_what_the_table_says() {
    let world = World::new();
    let roles = world.get("/api/v1/organization/roles").expect(200).body;
    let names: Vec<_> = roles["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|role| role["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["viewer", "operator", "owner"]);
    let viewer = world
        .get("/api/v1/organization/roles/viewer")
        .expect(200)
        .body;
    let capabilities = &viewer["spec"]["capabilities"];
    assert_eq!(capabilities["Asset"], json!(["read"]));
    assert_eq!(capabilities["WorkQueue"], json!(null));
    world.get("/api/v1/organization/roles/worker").expect(404);
    let scopes = world.get("/api/v1/organization/scopes").expect(200).body;
    assert_eq!(scopes["items"][1]["metadata"]["name"], "default");
    world.get("/api/v1/organization/scopes/default").expect(200);
    world.get("/api/v1/organization/scopes/other").expect(404);
}

#[test]
fn callers_see_their_own_rights() {
    let world = World::new();
    let rights = |role, area: &str| {
        let answer = world.as_role(role, "GET", "/api/v1/user/rbac", "");
        let body = answer.expect(200).body;
        let objects = body[area].as_object().unwrap().clone();
        objects.values().next().unwrap().clone()
    };
    let project = "core.project";
    assert_eq!(rights(Role::Viewer, project)["Job"], json!(["read"]));
    assert_eq!(
        rights(Role::Operator, project)["Job"],
        json!(["read", "write", "delete", "act"])
    );
    let organization = "core.organization";
    assert_eq!(rights(Role::Operator, organization)["Token"], json!(null));
    assert_eq!(
        rights(Role::Owner, organization)["Token"],
        json!(["read", "delete"])
    );
    assert_eq!(rights(Role::Owner, project)["Token"], json!(null));
}
