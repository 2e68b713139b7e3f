//! What people may do: teams, roles, restricted tokens; and when that changes.

use crate::support::people::{
    CLIENTS, INVITES, KEYS, NIL, OWN_TOKENS, ROLES, TEAMS, USERS, field, join, team, text,
};
use crate::support::{ARM, MKIO, World};
use headwater_auth::{Claims, Role, SubjectKind};
use serde_json::{Value as Json, json};

fn project(world: &World, name: &str) {
    use headwater_catalog::Sql as _;
    let statement = format!(
        "INSERT INTO projects (id, name, display_name, location, subscription_id, resource_group, account_name, created, modified)
         VALUES ('22222222-2222-4222-8222-222222222222', '{name}', '{name}', 'local', 's', 'g', '{name}', 0, 0)"
    );
    futures::executor::block_on(world.sql.query(&statement, &[])).unwrap();
}

#[test]
fn rights_are_those_of_the_teams_at_this_moment() {
    let world = World::new();
    project(&world, "other");
    team(&world, "press", "default", "operator");
    let (user, token) = join(&world, &["press"]);
    let asset = format!("{MKIO}/assets/a");
    let elsewhere = "/api/v1/projects/other/media/assets";
    let as_user = |method: &str, path: &str| world.with(&token, method, path, "{}").status;
    assert_eq!(as_user("PUT", &asset), 201);
    assert_eq!(as_user("GET", &format!("{ARM}/assets/a")), 200);
    // Of the next project not even the existence is told, and nothing of the organization.
    assert_eq!(as_user("GET", elsewhere), 404);
    assert_eq!(as_user("GET", TEAMS), 403);
    let projects = world
        .with(&token, "GET", "/api/v1/projects", "")
        .expect(200)
        .body;
    assert_eq!(projects["items"].as_array().unwrap().len(), 1);
    let scopes = world
        .with(&token, "GET", "/api/v1/organization/scopes", "")
        .expect(200)
        .body;
    assert_eq!(scopes["items"][0]["metadata"]["name"], "default");

    let full = json!({"type": "full-access"}).to_string();
    let made = world
        .with(&token, "POST", OWN_TOKENS, &full)
        .expect(201)
        .body;
    let program = text(&made["metadata"]["JWT"]);
    let patch = |path: &str, operations: Json| world.patch(path, operations).expect(200);
    let press = format!("{TEAMS}/press");
    patch(
        &press,
        json!([{"op": "replace", "path": "/spec/scopes/default/roles/0", "value": "viewer"}]),
    );
    for token in [&token, &program] {
        assert_eq!(world.with(token, "PUT", &asset, "{}").status, 403);
        assert_eq!(world.with(token, "GET", &asset, "").status, 200);
    }
    patch(
        &press,
        json!([
            {"op": "add", "path": "/spec/scopes/other", "value": {"roles": ["viewer"]}},
            {"op": "remove", "path": "/spec/scopes/default"},
        ]),
    );
    for (path, status) in [(asset.as_str(), 404), (elsewhere, 200)] {
        assert_eq!(
            world.with(&program, "GET", path, "").status,
            status,
            "{path}"
        );
    }
    patch(
        &press,
        json!([{"op": "remove", "path": format!("/spec/members/{user}")}]),
    );
    assert_eq!(world.with(&program, "GET", elsewhere, "").status, 404);
    // Oneself one always has.
    world
        .with(&program, "GET", "/api/v1/user/profile", "")
        .expect(200);
    world.delete(&format!("{USERS}/{user}")).expect(200);
    world
        .with(&program, "GET", "/api/v1/user/profile", "")
        .expect(401);
}

#[test]
fn every_role_over_every_kind_of_thing() {
    let world = World::new();
    let rows: &[(&str, String, &[Role])] = &[
        (
            "GET",
            format!("{MKIO}/assets"),
            &[Role::Viewer, Role::Operator, Role::Owner],
        ),
        (
            "GET",
            format!("{MKIO}/storage"),
            &[Role::Viewer, Role::Operator, Role::Owner],
        ),
        (
            "PUT",
            format!("{MKIO}/assets/a"),
            &[Role::Operator, Role::Owner],
        ),
        (
            "POST",
            format!("{MKIO}/assets/a/listContainerSas"),
            &[Role::Operator, Role::Owner],
        ),
        (
            "POST",
            format!("{MKIO}/streamingEndpoints/default/stop"),
            &[Role::Operator, Role::Owner],
        ),
        (
            "DELETE",
            format!("{MKIO}/transforms/none"),
            &[Role::Operator, Role::Owner],
        ),
        ("GET", "/api/v1/organization/tokens".into(), &[Role::Owner]),
        ("GET", USERS.into(), &[Role::Owner]),
        ("GET", TEAMS.into(), &[Role::Owner]),
        ("GET", CLIENTS.into(), &[Role::Owner]),
        ("GET", KEYS.into(), &[Role::Owner]),
        (
            "GET",
            OWN_TOKENS.into(),
            &[Role::Viewer, Role::Operator, Role::Owner],
        ),
        ("POST", "/internal/v1/jobs/claim".into(), &[]),
    ];
    for role in [Role::Viewer, Role::Operator, Role::Owner] {
        team(&world, role.name(), "headwater", role.name());
        let (_, token) = join(&world, &[role.name()]);
        for (method, path, allowed) in rows {
            let status = world.with(&token, method, path, "{}").status;
            assert_eq!(
                status != 403,
                allowed.contains(&role),
                "{role:?} {method} {path}: {status}"
            );
        }
    }
}

#[test]
fn a_custom_role_is_what_it_says_until_it_says_otherwise() {
    let world = World::new();
    let role = format!("{ROLES}/publisher");
    let spec =
        |capabilities: Json| json!({"spec": {"description": "d", "capabilities": capabilities}});
    let made = world
        .put(
            &role,
            spec(json!({"ams.asset": ["create"], "Job": ["read", "act"]})),
        )
        .expect(201)
        .body;
    assert_eq!(
        made["spec"]["capabilities"],
        json!({"Asset": ["write"], "Job": ["read", "act"]})
    );
    assert_eq!(world.get(&role).expect(200).body, made);
    team(&world, "publishers", "default", "publisher");
    let (_, token) = join(&world, &["publishers"]);
    let asset = format!("{MKIO}/assets/a");
    world.with(&token, "PUT", &asset, "{}").expect(201);
    world.with(&token, "GET", &asset, "").expect(403);
    world
        .with(&token, "GET", &format!("{MKIO}/jobs"), "")
        .expect(200);
    world
        .put(&role, spec(json!({"Asset": ["read"]})))
        .expect(200);
    world.with(&token, "PUT", &asset, "{}").expect(403);
    world.with(&token, "GET", &asset, "").expect(200);

    assert!(
        world
            .delete(&role)
            .expect(409)
            .body
            .to_string()
            .contains("publishers")
    );
    world.delete(&format!("{TEAMS}/publishers")).expect(200);
    world.delete(&role).expect(200);
    world.delete(&role).expect(204);
    world
        .put(&format!("{ROLES}/owner"), spec(json!({})))
        .expect(409);
    world.delete(&format!("{ROLES}/worker")).expect(409);
    for (capabilities, wrong) in [
        (json!({"Nothing": ["read"]}), "spec.capabilities.Nothing"),
        (json!({"Asset": ["eat"]}), "spec.capabilities.Asset[0]"),
        (
            json!({"Filter": ["read", "act"]}),
            "spec.capabilities.Filter[1]",
        ),
        (json!({"Asset": "read"}), "spec.capabilities.Asset"),
        (json!({"WorkQueue": ["act"]}), "spec.capabilities.WorkQueue"),
    ] {
        assert_eq!(
            field(&world.put(&role, spec(capabilities)).expect(400)),
            wrong
        );
    }
}

#[test]
fn nobody_gives_what_they_do_not_have() {
    let world = World::new();
    let capabilities = json!({
        "Team": ["read", "write"], "CustomRole": ["write"], "ApiClient": ["write", "reveal"], "Invite": ["write"],
        "Asset": ["read"],
    });
    world
        .put(
            &format!("{ROLES}/staff"),
            json!({"spec": {"capabilities": capabilities}}),
        )
        .expect(201);
    team(&world, "staff", "headwater", "staff");
    let (user, token) = join(&world, &["staff"]);
    let owner = world.owner.clone();
    let scope = |role: &str, scope: &str| json!({"scopes": {scope: {"roles": [role]}}});
    world
        .put(
            &format!("{CLIENTS}/strong"),
            json!({"spec": {"role": "owner"}}),
        )
        .expect(201);
    let owners = json!([{"op": "add", "path": format!("/spec/members/{user}"), "value": {}}]);
    for (method, path, body) in [
        (
            "PUT",
            format!("{TEAMS}/mine"),
            json!({"spec": scope("owner", "headwater")}),
        ),
        (
            "PUT",
            format!("{TEAMS}/mine"),
            json!({"spec": scope("operator", "default")}),
        ),
        ("PATCH", format!("{TEAMS}/owners"), owners),
        (
            "PUT",
            format!("{ROLES}/staff"),
            json!({"spec": {"capabilities": {"Account": ["write"]}}}),
        ),
        (
            "PUT",
            format!("{CLIENTS}/mine"),
            json!({"spec": {"role": "operator"}}),
        ),
        (
            "PUT",
            format!("{CLIENTS}/strong"),
            json!({"spec": {"role": "staff"}}),
        ),
        ("POST", format!("{CLIENTS}/strong/rotateSecret"), json!({})),
        (
            "POST",
            INVITES.into(),
            json!({"spec": {"teams": ["owners"]}}),
        ),
        ("POST", INVITES.into(), json!({"spec": {"userId": owner}})),
    ] {
        let got = world
            .with(&token, method, &path, &body.to_string())
            .expect(403);
        assert!(
            got.body.to_string().contains("do not have yourself"),
            "{path}: {}",
            got.body
        );
    }
    // What they have they may give.
    for (method, path, body) in [
        (
            "PUT",
            format!("{TEAMS}/mine"),
            json!({"spec": scope("staff", "headwater")}),
        ),
        (
            "PUT",
            format!("{CLIENTS}/mine"),
            json!({"spec": {"role": "staff"}}),
        ),
        ("POST", INVITES.into(), json!({"spec": {"teams": ["mine"]}})),
    ] {
        let status = world.with(&token, method, &path, &body.to_string()).status;
        assert_eq!(status, 201, "{path}");
    }
}

#[test]
fn a_teams_administrator_changes_its_members_only() {
    let world = World::new();
    team(&world, "press", "default", "viewer");
    let (chief, token) = join(&world, &["press"]);
    let (other, _) = join(&world, &[]);
    let press = format!("{TEAMS}/press");
    world.with(&token, "GET", &press, "").expect(403);
    world
        .patch(&press, json!([{"op": "replace", "path": format!("/spec/members/{chief}/isTeamAdmin"), "value": true}]))
        .expect(200);
    let shown = world.with(&token, "GET", &press, "").expect(200).body;
    assert_eq!(shown["spec"]["members"][&chief]["isTeamAdmin"], true);
    let patch = |operations: Json| world.with(&token, "PATCH", &press, &operations.to_string());
    patch(json!([{"op": "add", "path": format!("/spec/members/{other}"), "value": {}}]))
        .expect(200);
    let got =
        patch(json!([{"op": "add", "path": "/spec/scopes/default/roles/-", "value": "owner"}]))
            .expect(403);
    assert_eq!(field(&got), "spec.scopes");
    for (method, path) in [
        ("GET", format!("{TEAMS}/owners")),
        ("PUT", format!("{TEAMS}/new")),
        ("DELETE", press.clone()),
    ] {
        world
            .with(&token, method, &path, r#"{"spec": {}}"#)
            .expect(403);
    }
    // Not with a token that is held to less.
    let limited = Claims {
        idtyp: Some(SubjectKind::User),
        roles: Some(vec![Role::Viewer]),
        ..world.claims(&chief, "limited")
    };
    world
        .with(&world.sign(limited), "GET", &press, "")
        .expect(403);
}

#[test]
fn a_team_is_replaced_patched_and_checked() {
    let world = World::new();
    let (user, _) = join(&world, &[]);
    let path = format!("{TEAMS}/press");
    let spec = json!({"description": "d", "members": {user.as_str(): {"isTeamAdmin": false}}, "scopes": {"default": {"roles": ["viewer"]}}});
    let made = world.put(&path, json!({"spec": spec})).expect(201).body;
    assert_eq!(made["spec"], spec);
    assert_eq!(
        world.put(&path, json!({"spec": spec})).expect(200).body["spec"],
        spec
    );
    // What GET shows can be sent back.
    let shown = world.get(&path).expect(200).body;
    world.put(&path, shown).expect(200);
    for (spec, wrong) in [
        (json!({"members": {"nobody": {}}}), "spec.members.nobody"),
        (
            json!({"members": {user.as_str(): {"admin": true}}}),
            &*format!("spec.members.{user}.admin"),
        ),
        (
            json!({"scopes": {"nowhere": {"roles": ["viewer"]}}}),
            "spec.scopes.nowhere",
        ),
        (
            json!({"scopes": {"default": {"roles": []}}}),
            "spec.scopes.default.roles",
        ),
        (
            json!({"scopes": {"default": {}}}),
            "spec.scopes.default.roles",
        ),
        (
            json!({"scopes": {"headwater": {"roles": ["worker"]}}}),
            "spec.scopes.headwater.roles[0]",
        ),
        (json!({"description": 7}), "spec.description"),
        (json!({"owner": "me"}), "spec.owner"),
    ] {
        let got = world.put(&path, json!({"spec": spec})).expect(400);
        assert_eq!(field(&got), wrong, "{}", got.body);
    }
    let move_away = json!([{"op": "move", "from": "/spec/description", "path": "/spec/name"}]);
    for (patch, wrong) in [
        (json!({}), "body"),
        (json!([{"op": "add", "path": "/spec/description"}]), "[0]"),
        (
            json!([{"op": "test", "path": "/spec/description", "value": "d"}, {"op": "remove", "path": "/spec/nothing"}]),
            "[1]",
        ),
        (
            json!([{"op": "test", "path": "/spec/description", "value": "other"}]),
            "[0]",
        ),
        (
            json!([{"op": "copy", "from": "/spec", "path": "/spec/spec"}]),
            "[0].op",
        ),
        (
            json!([{"op": "replace", "path": "/metadata/name", "value": "x"}]),
            "/metadata",
        ),
        (
            json!([{"op": "replace", "path": "", "value": 7}]),
            "/metadata",
        ),
        (move_away, "spec.name"),
    ] {
        let got = world.patch(&path, patch.clone()).expect(400);
        assert_eq!(field(&got), wrong, "{patch}");
    }
    assert_eq!(
        world.get(&path).expect(200).body["spec"],
        spec,
        "nothing was half written"
    );
    world.patch(&format!("{TEAMS}/none"), json!([])).expect(404);
    world.delete(&path).expect(200);
    world.delete(&path).expect(204);
}

#[test]
fn a_restricted_token_is_good_for_what_it_names() {
    let world = World::new();
    team(&world, "press", "default", "operator");
    let (_, token) = join(&world, &["press"]);
    let rbac = world
        .with(&token, "GET", "/api/v1/user/rbac", "")
        .expect(200)
        .body;
    let (id, tree) = rbac["core.project"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    assert_eq!(
        tree["Asset"],
        json!(["read", "write", "delete", "act", "reveal"])
    );
    assert_eq!(
        rbac["core.organization"][NIL]["OwnToken"],
        json!(["read", "write", "delete"])
    );
    let make = |token: &str, body: Json| world.with(token, "POST", OWN_TOKENS, &body.to_string());
    let permissions =
        json!({"core.project": {id.as_str(): {"ams.asset": ["create"], "Job": ["read"]}}});
    let made = make(
        &token,
        json!({"type": "restricted", "permissions": permissions}),
    )
    .expect(201)
    .body;
    assert_eq!(
        made["spec"]["permissions"]["core.project"][id],
        json!({"Asset": ["write"], "Job": ["read"]})
    );
    let held = text(&made["metadata"]["JWT"]);
    for (method, path, status) in [
        ("PUT", format!("{MKIO}/assets/a"), 201),
        ("PUT", format!("{ARM}/assets/b"), 201),
        ("GET", format!("{MKIO}/assets/a"), 403),
        ("GET", format!("{MKIO}/jobs"), 200),
        ("GET", "/api/v1/user/profile".into(), 200),
        ("GET", OWN_TOKENS.into(), 403),
        ("POST", OWN_TOKENS.into(), 403),
    ] {
        assert_eq!(
            world.with(&held, method, &path, "{}").status,
            status,
            "{method} {path}"
        );
    }
    let seen = world
        .with(&held, "GET", "/api/v1/user/rbac", "")
        .expect(200)
        .body;
    assert_eq!(seen["core.project"][id]["Asset"], json!(["write"]));
    // Its user may do less; so may it.
    let viewer =
        json!([{"op": "replace", "path": "/spec/scopes/default/roles", "value": ["viewer"]}]);
    world.patch(&format!("{TEAMS}/press"), viewer).expect(200);
    world
        .with(&held, "PUT", &format!("{MKIO}/assets/c"), "{}")
        .expect(403);
    world
        .with(&held, "GET", &format!("{MKIO}/jobs"), "")
        .expect(200);

    let project = |capabilities: Json| json!({"core.project": {id.as_str(): capabilities}});
    for (body, status, wrong) in [
        (json!({"type": "restricted"}), 400, "permissions".to_owned()),
        (
            json!({"type": "full-access", "permissions": project(json!({}))}),
            400,
            "permissions".into(),
        ),
        (
            json!({"type": "restricted", "permissions": {"core.galaxy": {}}}),
            400,
            "permissions.core.galaxy".into(),
        ),
        (
            json!({"type": "restricted", "permissions": {"core.project": {"x": {}}}}),
            400,
            "permissions.core.project.x".into(),
        ),
        (
            json!({"type": "restricted", "permissions": project(json!({"Asset": ["write"]}))}),
            403,
            format!("permissions.core.project.{id}.Asset"),
        ),
        (
            json!({"type": "restricted", "permissions": {"core.organization": {NIL: {"Team": ["write"]}}}}),
            403,
            format!("permissions.core.organization.{NIL}.Team"),
        ),
    ] {
        assert_eq!(field(&make(&token, body).expect(status)), wrong);
    }
    // One that may make tokens makes none that is better than itself.
    let permissions = json!({"core.organization": {NIL: {"OwnToken": ["write"]}}, "core.project": {id.as_str(): {"Job": ["read"]}}});
    let made = make(
        &token,
        json!({"type": "restricted", "permissions": permissions}),
    )
    .expect(201)
    .body;
    let maker = text(&made["metadata"]["JWT"]);
    make(&maker, json!({"type": "full-access"})).expect(403);
    make(
        &maker,
        json!({"type": "restricted", "permissions": project(json!({"Asset": ["read"]}))}),
    )
    .expect(403);
    let made = make(&maker, json!({"type": "ephemeral"})).expect(201).body;
    let heir = text(&made["metadata"]["JWT"]);
    world
        .with(&heir, "GET", &format!("{MKIO}/jobs"), "")
        .expect(200);
    world
        .with(&heir, "GET", &format!("{MKIO}/assets/a"), "")
        .expect(403);
}
