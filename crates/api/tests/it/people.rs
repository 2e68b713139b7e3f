//! Users: invited, known by their profile, gone; and the last owner, who stays.

use crate::support::people::{INVITES, NIL, TEAMS, USERS, accept, field, join, team, text};
use crate::support::{MKIO, World};
use headwater_auth::Role;
use serde_json::{Value as Json, json};

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

    // Invited again, by id, the same person comes in again. Their address is not enough to say who is meant.
    let body = json!({"spec": {"loginEmail": "kim@example.org"}});
    let refused = world.post(INVITES, body).expect(409).body;
    assert!(refused.to_string().contains(&user), "{refused}");
    let made = world
        .post(INVITES, json!({"spec": {"userId": user}}))
        .expect(201)
        .body;
    let again = accept(&world, json!({"secret": made["metadata"]["secret"]}))
        .expect(201)
        .body;
    assert_eq!(again["spec"]["user"], user);
}

#[test]
fn an_invite_by_address_is_not_for_whoever_says_that_the_address_is_theirs() {
    let world = World::new();
    team(&world, "viewers", "headwater", "viewer");
    let (stranger, token) = join(&world, &[]);
    let (organizations, profile) = ("/api/v1/user/organizations", "/api/v1/user/profile");
    let body = json!({"spec": {"loginEmail": "kim@example.org", "teams": ["viewers"]}});
    let made = world.post(INVITES, body.clone()).expect(201).body;
    assert_eq!(made["spec"]["userId"], Json::Null);
    let taken = json!({"spec": {"loginEmail": "kim@example.org"}}).to_string();
    world.with(&token, "PATCH", profile, &taken).expect(200);
    world.post(INVITES, body).expect(409);

    let mine = world
        .with(&token, "GET", organizations, "")
        .expect(200)
        .body;
    assert_eq!(mine["items"][0]["status"]["invites"], json!([]));
    let id = text(&made["metadata"]["id"]);
    world
        .with(&token, "PATCH", &format!("{organizations}/{id}"), "")
        .expect(404);
    world
        .with(&token, "PATCH", &format!("{organizations}/{NIL}"), "")
        .expect(200);
    world
        .with(&token, "GET", &format!("{MKIO}/assets"), "")
        .expect(404);

    // Nor do they keep out whoever has the secret, who is somebody else.
    let secret = &made["metadata"]["secret"];
    let other = json!({"secret": secret, "loginEmail": "Kim@example.org"});
    accept(&world, other).expect(409);
    let came = accept(&world, json!({"secret": secret})).expect(201).body;
    let (user, theirs) = (text(&came["spec"]["user"]), text(&came["metadata"]["JWT"]));
    assert_ne!(user, stranger);
    let came = world.with(&theirs, "GET", profile, "").expect(200).body;
    assert_eq!(came["spec"]["name"], "kim@example.org");
    assert_eq!(came["spec"]["loginEmail"], Json::Null);
    world
        .with(&theirs, "GET", &format!("{MKIO}/assets"), "")
        .expect(200);
    world
        .with(&token, "GET", &format!("{MKIO}/assets"), "")
        .expect(404);
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
fn a_profile_is_ones_own_to_write() {
    let world = World::new();
    let (user, token) = join(&world, &[]);
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
        .post(INVITES, json!({"spec": {"userId": user}}))
        .expect(201)
        .body;
    accept(&world, json!({"secret": made["metadata"]["secret"]})).expect(201);
    world.with(&token, "GET", profile, "").expect(200);
    // A token of the installation is nobody's.
    world
        .patch(profile, json!({"spec": {"name": "x"}}))
        .expect(409);
}
