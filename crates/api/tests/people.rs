//! People, teams, roles, invites, API clients and signing keys: who may do what, and when that changes.

mod support;

use headwater_auth::{Claims, Role, SubjectKind};
use serde_json::{Value as Json, json};
use support::{ARM, Got, MKIO, World};

const TEAMS: &str = "/api/v1/organization/teams";
const USERS: &str = "/api/v1/organization/users";
const ROLES: &str = "/api/v1/organization/roles";
const INVITES: &str = "/api/v1/organization/invites";
const CLIENTS: &str = "/api/v1/organization/clients";
const KEYS: &str = "/api/v1/organization/signingKeys";
const OWN_TOKENS: &str = "/api/v1/user/tokens";
const NIL: &str = "00000000-0000-0000-0000-000000000000";

fn text(json: &Json) -> String {
    json.as_str().expect("a string").to_owned()
}

fn field(got: &Got) -> &str {
    got.body["error"]["extraDetail"]["field"]
        .as_str()
        .unwrap_or_default()
}

/// Accepts an invite; the answer.
fn accept(world: &World, body: Json) -> Got {
    let request = http::Request::post("/api/v1/invites/accept")
        .body(body.to_string().into())
        .unwrap();
    world.send(request)
}

/// Somebody new in these teams: id and login token.
fn join(world: &World, teams: &[&str]) -> (String, String) {
    let invite = json!({"spec": {"name": "new", "teams": teams}});
    let made = world.post(INVITES, invite).expect(201).body;
    let came = accept(world, json!({"secret": made["metadata"]["secret"]}))
        .expect(201)
        .body;
    (text(&came["spec"]["user"]), text(&came["metadata"]["JWT"]))
}

/// A team with one role over one scope.
fn team(world: &World, name: &str, scope: &str, role: &str) {
    let spec = json!({"spec": {"scopes": {scope: {"roles": [role]}}}});
    world.put(&format!("{TEAMS}/{name}"), spec).expect(201);
}

fn project(world: &World, name: &str) {
    use headwater_catalog::Sql as _;
    let statement = format!(
        "INSERT INTO projects (id, name, display_name, location, subscription_id, resource_group, account_name, created, modified)
         VALUES ('22222222-2222-4222-8222-222222222222', '{name}', '{name}', 'local', 's', 'g', '{name}', 0, 0)"
    );
    futures::executor::block_on(world.sql.query(&statement, &[])).unwrap();
}

#[test]
fn the_first_user_owns_the_organization_and_stays_its_last_owner() {
    let world = World::new();
    let owner = world.owner.clone();
    let token = world.user_token(&owner);
    let profile = world
        .with(&token, "GET", "/api/v1/user/profile", "")
        .expect(200)
        .body;
    assert_eq!(profile["metadata"]["id"], owner);
    assert_eq!(profile["spec"]["activeOrganizationId"], NIL);
    assert_eq!(profile["status"]["teams"]["owners"]["isTeamAdmin"], true);
    world
        .with(&token, "PUT", &format!("{MKIO}/assets/a"), "{}")
        .expect(201);

    let inactive = json!({"spec": {"isActive": false}}).to_string();
    let nobody = json!({"spec": {"members": {}, "scopes": {"headwater": {"roles": ["owner"]}}}});
    let no_owner = json!({"spec": {"members": {owner.as_str(): {}}, "scopes": {"headwater": {"roles": ["viewer"]}}}});
    for got in [
        world.delete(&format!("{USERS}/{owner}")),
        world.delete(&format!("{TEAMS}/owners")),
        world.put(&format!("{TEAMS}/owners"), nobody),
        world.put(&format!("{TEAMS}/owners"), no_owner),
        world.with(&token, "PATCH", "/api/v1/user/profile", &inactive),
        world.with(
            &token,
            "DELETE",
            &format!("/api/v1/user/organizations/{NIL}"),
            "",
        ),
    ] {
        let body = got.expect(409).body;
        assert!(body.to_string().contains("without an owner"), "{body}");
    }
    // With another owner the first one may go, and the last tokens with them.
    let (second, _) = join(&world, &["owners"]);
    world.delete(&format!("{USERS}/{owner}")).expect(200);
    world.delete(&format!("{USERS}/{owner}")).expect(204);
    world
        .with(&token, "GET", "/api/v1/user/profile", "")
        .expect(401);
    world.delete(&format!("{USERS}/{second}")).expect(409);
}

#[test]
fn an_invite_makes_a_user_once() {
    let world = World::new();
    team(&world, "viewers", "headwater", "viewer");
    let body =
        json!({"spec": {"name": "Kim", "loginEmail": "Kim@Example.org", "teams": ["viewers"]}});
    let made = world.post(INVITES, body).expect(201).body;
    let (id, secret) = (
        text(&made["metadata"]["id"]),
        text(&made["metadata"]["secret"]),
    );
    assert_eq!(made["status"]["state"], "Pending");
    // It is shown once, and what is kept does not show it.
    let shown = world.get(&format!("{INVITES}/{id}")).expect(200).body;
    let listed = world.get(INVITES).expect(200).body;
    assert!(!format!("{shown}{listed}").contains(&secret));

    assert_eq!(
        field(&accept(&world, json!({"secret": "guess"})).expect(400)),
        "secret"
    );
    let came = accept(&world, json!({"secret": secret, "name": "Kim L."}))
        .expect(201)
        .body;
    assert_eq!(came["metadata"]["type"], "login");
    let (user, token) = (text(&came["spec"]["user"]), text(&came["metadata"]["JWT"]));
    let profile = world
        .with(&token, "GET", "/api/v1/user/profile", "")
        .expect(200)
        .body;
    assert_eq!(profile["spec"]["name"], "Kim L.");
    assert_eq!(profile["spec"]["loginEmail"], "kim@example.org");
    world
        .with(&token, "GET", &format!("{MKIO}/assets"), "")
        .expect(200);
    world
        .with(&token, "PUT", &format!("{MKIO}/assets/a"), "{}")
        .expect(403);

    // A client that did not hear the answer asks again; somebody who finds the secret later does not get in.
    let again = accept(&world, json!({"secret": secret})).expect(201).body;
    assert_eq!(again["spec"]["user"], user);
    world.wait(601);
    accept(&world, json!({"secret": secret})).expect(400);
    let state = world.get(&format!("{INVITES}/{id}")).expect(200).body;
    assert_eq!(state["status"]["state"], "Accepted");
    assert_eq!(state["status"]["acceptedBy"], user);
    assert_eq!(
        world.get(USERS).expect(200).body["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    // Invited again, by address, the same person comes in again.
    let body = json!({"spec": {"loginEmail": "kim@example.org"}});
    let made = world.post(INVITES, body).expect(201).body;
    assert_eq!(made["spec"]["userId"], user);
    let again = accept(&world, json!({"secret": made["metadata"]["secret"]}))
        .expect(201)
        .body;
    assert_eq!(again["spec"]["user"], user);
}

#[test]
fn invites_end_are_withdrawn_and_can_be_answered_by_those_who_are_here() {
    let world = World::new();
    team(&world, "viewers", "headwater", "viewer");
    let (user, token) = join(&world, &[]);
    let organizations = "/api/v1/user/organizations";
    world
        .with(&token, "GET", &format!("{MKIO}/assets"), "")
        .expect(404);

    let invite = |spec: Json| {
        world.post(INVITES, json!({"spec": spec})).expect(201).body["metadata"].clone()
    };
    let withdrawn = invite(json!({}));
    world
        .delete(&format!("{INVITES}/{}", text(&withdrawn["id"])))
        .expect(200);
    world
        .delete(&format!("{INVITES}/{}", text(&withdrawn["id"])))
        .expect(204);
    accept(&world, json!({"secret": withdrawn["secret"]})).expect(400);

    let declined = text(&invite(json!({"userId": user, "teams": ["viewers"]}))["id"]);
    let path = format!("{organizations}/{declined}");
    let mine = world
        .with(&token, "GET", organizations, "")
        .expect(200)
        .body;
    assert_eq!(mine["items"][0]["status"]["invites"][0]["id"], declined);
    // Answered twice: a repeated request changes nothing, and above all does not leave.
    for _ in 0..2 {
        world.with(&token, "DELETE", &path, "").expect(200);
    }
    world.with(&token, "PATCH", &path, "").expect(409);
    let accepted = text(&invite(json!({"userId": user, "teams": ["viewers"]}))["id"]);
    world
        .as_role(
            Role::Owner,
            "PATCH",
            &format!("{organizations}/{accepted}"),
            "",
        )
        .expect(409);
    let other = join(&world, &[]).1;
    world
        .with(&other, "PATCH", &format!("{organizations}/{accepted}"), "")
        .expect(404);
    for _ in 0..2 {
        world
            .with(&token, "PATCH", &format!("{organizations}/{accepted}"), "")
            .expect(200);
    }
    world
        .with(&token, "GET", &format!("{MKIO}/assets"), "")
        .expect(200);
    world
        .with(&token, "DELETE", &format!("{organizations}/{NIL}"), "")
        .expect(200);
    world
        .with(&token, "GET", &format!("{MKIO}/assets"), "")
        .expect(401);

    let short = invite(json!({"expires": "2026-01-01T01:00:00Z"}));
    world.wait(3600);
    accept(&world, json!({"secret": short["secret"]})).expect(400);
}

#[test]
fn invites_say_which_member_is_wrong() {
    let world = World::new();
    for (spec, wrong) in [
        (json!({"teams": ["nobody"]}), "spec.teams[0]"),
        (json!({"userId": "nobody"}), "spec.userId"),
        (json!({"loginEmail": "no address"}), "spec.loginEmail"),
        (json!({"expires": "2025-01-01T00:00:00Z"}), "spec.expires"),
        (json!({"expires": "2027-01-01T00:00:00Z"}), "spec.expires"),
        (json!({"name": " "}), "spec.name"),
        (json!({"roles": []}), "spec.roles"),
    ] {
        let got = world.post(INVITES, json!({"spec": spec})).expect(400);
        assert_eq!(field(&got), wrong, "{spec}");
    }
    for (body, wrong) in [
        (json!({}), "secret"),
        (json!({"secret": "x", "loginEmail": "@"}), "loginEmail"),
        (json!({"secret": "x", "team": "owners"}), "team"),
    ] {
        assert_eq!(field(&accept(&world, body).expect(400)), wrong);
    }
    assert_eq!(world.get(INVITES).expect(200).body["items"], json!([]));
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
            json!({"Asset": ["read", "act"]}),
            "spec.capabilities.Asset[1]",
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
fn a_profile_is_ones_own_to_write() {
    let world = World::new();
    let (_, token) = join(&world, &[]);
    let (profile, older) = ("/api/v1/user/profile", "/api/profile/");
    let send = |method: &str, path: &str, spec: Json| {
        world.with(&token, method, path, &json!({"spec": spec}).to_string())
    };
    let changed = send(
        "PATCH",
        profile,
        json!({"name": "Kim", "company": "C", "loginEmail": "K@x.org"}),
    )
    .expect(200)
    .body;
    assert_eq!(changed["spec"]["loginEmail"], "k@x.org");
    let changed = send(
        "PATCH",
        profile,
        json!({"country": "NO", "activeOrganizationId": NIL}),
    )
    .expect(200)
    .body;
    assert_eq!(
        (&changed["spec"]["name"], &changed["spec"]["company"]),
        (&json!("Kim"), &json!("C"))
    );
    // The older form puts a whole profile.
    let replaced = send("PUT", older, json!({"name": "Kim"})).expect(200).body;
    assert_eq!(
        (
            &replaced["spec"]["company"],
            &replaced["spec"]["loginEmail"]
        ),
        (&Json::Null, &Json::Null)
    );
    assert_eq!(
        world.with(&token, "GET", older, "").expect(200).body["spec"],
        replaced["spec"]
    );
    for (spec, wrong) in [
        (json!({"name": ""}), "spec.name"),
        (json!({"loginEmail": "x"}), "spec.loginEmail"),
        (
            json!({"activeOrganizationId": "11111111-1111-1111-1111-111111111111"}),
            "spec.activeOrganizationId",
        ),
        (json!({"jobRole": "x".repeat(129)}), "spec.jobRole"),
        (json!({"roles": ["owner"]}), "spec.roles"),
    ] {
        assert_eq!(field(&send("PATCH", profile, spec).expect(400)), wrong);
    }
    assert_eq!(
        field(&send("PUT", older, json!({})).expect(400)),
        "spec.name"
    );
    let (_, other) = join(&world, &[]);
    send("PATCH", profile, json!({"loginEmail": "k@x.org"})).expect(200);
    let taken = json!({"spec": {"loginEmail": "K@X.org"}}).to_string();
    world.with(&other, "PATCH", profile, &taken).expect(409);
    // Whoever is not active is out until they are invited again.
    send("PATCH", profile, json!({"isActive": false})).expect(200);
    world.with(&token, "GET", profile, "").expect(401);
    let made = world
        .post(INVITES, json!({"spec": {"loginEmail": "k@x.org"}}))
        .expect(201)
        .body;
    accept(&world, json!({"secret": made["metadata"]["secret"]})).expect(201);
    world.with(&token, "GET", profile, "").expect(200);
    // A token of the installation is nobody's.
    world
        .patch(profile, json!({"spec": {"name": "x"}}))
        .expect(409);
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
    assert_eq!(tree["Asset"], json!(["read", "write", "delete", "reveal"]));
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

#[test]
fn tokens_last_as_long_as_their_type() {
    let world = World::new();
    let token = world.user_token(&world.owner);
    let permissions = json!({"core.organization": {NIL: {"Team": ["read"]}}});
    for (kind, hours) in [
        ("login", 12),
        ("full-access", 8784),
        ("restricted", 8784),
        ("ephemeral", 1),
    ] {
        let mut body = json!({"type": kind});
        if kind == "restricted" {
            body["permissions"] = permissions.clone();
        }
        let spec = world
            .with(&token, "POST", OWN_TOKENS, &body.to_string())
            .expect(201)
            .body["spec"]
            .clone();
        let expires: jiff::Timestamp = spec["expires"].as_str().unwrap().parse().unwrap();
        assert_eq!(
            expires.duration_since(world.now()).as_hours(),
            hours,
            "{kind}"
        );
    }
}

#[test]
fn an_api_client_is_made_changed_rotated_and_ended() {
    let world = World::new();
    let path = format!("{CLIENTS}/ci");
    let made = world
        .put(
            &path,
            json!({"spec": {"role": "viewer", "project": "default", "description": "d"}}),
        )
        .expect(201)
        .body;
    let secret = text(&made["metadata"]["secret"]);
    let sign_in = |secret: &str| {
        let form = format!("grant_type=client_credentials&client_id=ci&client_secret={secret}");
        world.send(
            http::Request::post("/tenant/oauth2/v2.0/token")
                .body(form.into())
                .unwrap(),
        )
    };
    let token = text(&sign_in(&secret).expect(200).body["access_token"]);
    let asset = format!("{MKIO}/assets/a");
    world.with(&token, "PUT", &asset, "{}").expect(403);
    world.with(&token, "GET", TEAMS, "").expect(403);
    // Changed, it may do more at once; its secret is the same.
    let changed = world
        .put(&path, json!({"spec": {"role": "operator"}}))
        .expect(200)
        .body;
    assert_eq!(changed["metadata"]["secret"], Json::Null);
    world.with(&token, "PUT", &asset, "{}").expect(201);
    let shown = format!(
        "{}{}",
        world.get(&path).expect(200).body,
        world.get(CLIENTS).expect(200).body
    );
    assert!(!shown.contains(&secret));
    let rotated = world
        .post(&format!("{path}/rotateSecret"), Json::Null)
        .expect(200)
        .body;
    sign_in(&secret).expect(401);
    sign_in(&text(&rotated["metadata"]["secret"])).expect(200);
    world.delete(&path).expect(200);
    world.delete(&path).expect(204);
    world.with(&token, "GET", &asset, "").expect(401);
    world
        .post(&format!("{path}/rotateSecret"), Json::Null)
        .expect(404);
    for (spec, wrong) in [
        (json!({}), "spec.role"),
        (json!({"role": "worker"}), "spec.role"),
        (
            json!({"role": "viewer", "project": "other"}),
            "spec.project",
        ),
        (json!({"role": "viewer", "secret": "mine"}), "spec.secret"),
    ] {
        assert_eq!(
            field(&world.put(&path, json!({"spec": spec})).expect(400)),
            wrong
        );
    }
    let owner = world.owner.clone();
    world
        .put(
            &format!("{CLIENTS}/{owner}"),
            json!({"spec": {"role": "viewer"}}),
        )
        .expect(409);
}

#[test]
fn signing_keys_are_replaced_and_refused() {
    let world = World::new();
    let jwks = || {
        let request = http::Request::get("/.well-known/jwks.json")
            .body(Default::default())
            .unwrap();
        let keys = world.send(request).expect(200).body["keys"].clone();
        keys.as_array()
            .unwrap()
            .iter()
            .map(|key| text(&key["kid"]))
            .collect::<Vec<_>>()
    };
    let old = world.user_token(&world.owner);
    let first = jwks();
    world.wait(120);
    let rotated = world
        .post(&format!("{KEYS}/rotate"), Json::Null)
        .expect(200)
        .body;
    let new = text(&rotated["metadata"]["id"]);
    // A repeated request is answered with the same key.
    assert_eq!(
        world
            .post(&format!("{KEYS}/rotate"), Json::Null)
            .expect(200)
            .body,
        rotated
    );
    assert_eq!(jwks(), [new.clone(), first[0].clone()]);
    let made = world
        .with(&old, "POST", OWN_TOKENS, r#"{"type": "full-access"}"#)
        .expect(201)
        .body;
    let token = text(&made["metadata"]["JWT"]);
    let profile = "/api/v1/user/profile";
    world.with(&old, "GET", profile, "").expect(200);
    world.with(&token, "GET", profile, "").expect(200);

    let revoke = format!("{KEYS}/{}/revoke", first[0]);
    for _ in 0..2 {
        let revoked = world.with(&token, "POST", &revoke, "").expect(200).body;
        assert_eq!(revoked["status"]["state"], "Revoked");
    }
    assert_eq!(jwks(), [new.clone()]);
    world.with(&old, "GET", profile, "").expect(401);
    world.with(&token, "GET", profile, "").expect(200);
    // Refusing the one that signs puts another in its place.
    world
        .with(&token, "POST", &format!("{KEYS}/{new}/revoke"), "")
        .expect(200);
    world.with(&token, "GET", profile, "").expect(401);
    assert_eq!(jwks().len(), 1);
    assert_ne!(jwks(), [new]);
}

#[test]
fn a_revoked_key_is_refused_by_those_who_still_know_it() {
    let world = World::new();
    use futures::executor::block_on;
    let stale = block_on(headwater_api::verifier(
        &world.sql,
        &world.settings,
        world.now(),
    ))
    .unwrap();
    let token = world.user_token(&world.owner);
    let keys = block_on(headwater_catalog::keys::list(&world.sql)).unwrap();
    let api = headwater_api::Api {
        sql: &world.sql,
        http: &world.storage,
        seal: &world.seal,
        settings: &world.settings,
        verifier: &stale,
        issuer_keys: &world.issuer_keys,
        now: world.now(),
        ids: &world.ids,
    };
    let ask = || {
        let request = http::Request::get(USERS)
            .header("authorization", format!("Bearer {token}"))
            .body(Default::default())
            .unwrap();
        block_on(api.handle(request)).response.status().as_u16()
    };
    assert_eq!(ask(), 200);
    block_on(headwater_catalog::keys::revoke_key(
        &world.sql,
        &world.seal,
        &keys[0].kid,
        world.now(),
    ))
    .unwrap();
    assert_eq!(ask(), 401);
}

#[test]
fn a_retired_key_leaves_with_its_last_token() {
    let world = World::new();
    world.wait(120);
    let keys = || world.get(KEYS).expect(200).body["items"].clone();
    world
        .post(&format!("{KEYS}/rotate"), Json::Null)
        .expect(200);
    assert_eq!(keys()[1]["status"]["state"], "Verifying");
    // Signed by the first key and therefore of no use later; the list is asked of the catalog itself.
    world.wait(366 * 24 * 3600);
    let good = futures::executor::block_on(headwater_catalog::keys::public_keys(
        &world.sql,
        world.now(),
    ))
    .unwrap();
    assert_eq!(good.len(), 1);
}
