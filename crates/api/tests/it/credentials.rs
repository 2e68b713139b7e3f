//! What programs and the service itself sign in and sign with: tokens, API clients, signing keys.

use crate::support::people::{CLIENTS, KEYS, NIL, OWN_TOKENS, TEAMS, USERS, field, text};
use crate::support::{MKIO, World};
use serde_json::{Value as Json, json};

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
    assert_eq!(jwks(), std::slice::from_ref(&new));
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
        limiter: &world.limiter,
        address: None,
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
