//! Tokens of another authority: whom it vouches for, and how often we ask it for its keys.

use crate::support::{MKIO, World};
use headwater_auth::{Issuer, SigningKey, jwks};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value as Json, json};

const ISSUER: &str = "https://login.example/t/v2.0";
const DISCOVERY: &str = "https://login.example/t/v2.0/.well-known/openid-configuration";
const KEYS: &str = "https://keys.example/jwks";

/// An installation that trusts an authority, and the authority.
fn trusting(change: impl FnOnce(&mut Issuer)) -> (World, SigningKey) {
    let mut world = World::new();
    let configuration = json!([{
        "issuer": ISSUER, "audience": "api://headwater",
        "roles": {"Media.Owner": "owner", "Media.Reader": "viewer", "Media.Odd": "odd"},
    }]);
    world.settings.issuers = Issuer::parse_all(&configuration.to_string()).unwrap();
    change(&mut world.settings.issuers[0]);
    let discovery = json!({"issuer": ISSUER, "jwks_uri": KEYS}).to_string();
    world
        .storage
        .documents
        .borrow_mut()
        .insert(DISCOVERY.into(), discovery);
    let key = SigningKey::generate().unwrap();
    publish(&world, &[&key]);
    (world, key)
}

fn publish(world: &World, keys: &[&SigningKey]) {
    let public: Vec<_> = keys.iter().map(|key| key.public().clone()).collect();
    let set = jwks(&public).to_string();
    world
        .storage
        .documents
        .borrow_mut()
        .insert(KEYS.into(), set);
}

fn claims(world: &World, roles: Json) -> Json {
    let now = world.now().as_second();
    json!({"iss": ISSUER, "aud": "api://headwater", "sub": "kim", "nbf": now, "exp": now + 3600, "roles": roles})
}

fn sign(key: &SigningKey, claims: &Json) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(key.public().kid.clone());
    jsonwebtoken::encode(
        &header,
        claims,
        &EncodingKey::from_ed_der(key.pkcs8().expose()),
    )
    .unwrap()
}

#[test]
fn its_roles_are_ours_by_configuration_and_no_others_count() {
    let (world, key) = trusting(|_| {});
    let asset = format!("{MKIO}/assets/a");
    let statuses = |roles: Json| {
        let token = sign(&key, &claims(&world, roles));
        ["PUT", "GET"].map(|method| world.with(&token, method, &asset, "{}").status)
    };
    assert_eq!(statuses(json!(["Media.Owner"])), [201, 200]);
    assert_eq!(statuses(json!(["Media.Reader", "owner"])), [403, 200]);
    // To those who have no role at all, not even the project exists.
    assert_eq!(statuses(json!(["owner", "Unheard.Of"])), [404, 404]);
    assert_eq!(statuses(Json::Null), [404, 404]);
    // A custom role that does not exist gives nothing, until it does.
    assert_eq!(statuses(json!("Media.Odd")), [404, 404]);
    let odd = json!({"spec": {"capabilities": {"Asset": ["read"]}}});
    world.put("/api/v1/organization/roles/odd", odd).expect(201);
    assert_eq!(statuses(json!("Media.Odd")), [403, 200]);

    let token = sign(&key, &claims(&world, json!(["Media.Owner"])));
    let profile = world
        .with(&token, "GET", "/api/v1/user/profile", "")
        .expect(200)
        .body;
    assert_eq!(profile["metadata"]["id"], format!("{ISSUER}|kim"));
    assert_eq!(profile["status"]["issuer"], ISSUER);
    let made = world.with(
        &token,
        "POST",
        "/api/v1/user/tokens",
        r#"{"type": "full-access"}"#,
    );
    made.expect(403);
    world
        .with(&token, "POST", "/internal/v1/jobs/claim", "{}")
        .expect(403);
}

#[test]
fn whoever_opens_the_portal_is_told_where_to_sign_in_and_nothing_more() {
    let (world, _) = trusting(|_| {});
    let list = |world: &World| {
        let request = http::Request::get("/api/v1/signInProviders")
            .body(bytes::Bytes::new())
            .unwrap();
        world.send(request).expect(200).body
    };
    assert_eq!(list(&world)["items"], json!([]), "tokens alone");
    let configuration = json!([{
        "issuer": ISSUER, "audience": "api://headwater", "roles": {"Media.Secret": "owner"}, "project": "hidden",
        "portal": {"clientId": "portal", "parameters": {"resource": "api://headwater"}},
    }]);
    let (mut world, _) = trusting(|_| {});
    world.settings.issuers = Issuer::parse_all(&configuration.to_string()).unwrap();
    let told = list(&world);
    assert_eq!(
        told["items"],
        json!([{
            "name": "login.example", "issuer": ISSUER, "discoveryUrl": DISCOVERY, "clientId": "portal",
            "scopes": "openid profile offline_access", "parameters": {"resource": "api://headwater"},
            "bearer": "accessToken",
        }])
    );
    let text = told.to_string();
    assert!(!text.contains("Media.Secret") && !text.contains("hidden"));
}

#[test]
fn it_can_be_held_to_a_project() {
    let (world, key) = trusting(|issuer| issuer.project = Some("default".into()));
    let token = sign(&key, &claims(&world, json!(["Media.Owner"])));
    world
        .with(&token, "GET", &format!("{MKIO}/assets"), "")
        .expect(200);
    world
        .with(&token, "GET", "/api/v1/organization/teams", "")
        .expect(403);
    let (world, key) = trusting(|issuer| issuer.project = Some("other".into()));
    let token = sign(&key, &claims(&world, json!(["Media.Owner"])));
    world
        .with(&token, "GET", &format!("{MKIO}/assets"), "")
        .expect(404);
}

#[test]
fn what_is_not_for_us_or_not_now_is_refused() {
    let (world, key) = trusting(|_| {});
    let right = claims(&world, json!(["Media.Owner"]));
    let now = world.now().as_second();
    let stranger = SigningKey::generate().unwrap();
    let get = |token: &str| {
        world
            .with(token, "GET", &format!("{MKIO}/assets"), "")
            .status
    };
    assert_eq!(get(&sign(&key, &right)), 200);
    for (member, value) in [
        ("aud", json!("api://other")),
        ("iss", json!("https://evil.example")),
        ("exp", json!(now - 60)),
        ("nbf", json!(now + 60)),
        ("sub", Json::Null),
    ] {
        let mut wrong = right.clone();
        wrong[member] = value;
        assert_eq!(get(&sign(&key, &wrong)), 401, "{member}");
    }
    assert_eq!(get(&sign(&stranger, &right)), 401);
    // Nobody else speaks for us, and we do not speak for them.
    let ours = world.user_token(&world.owner);
    assert_eq!(get(&ours), 200);
    let mut pretended = right.clone();
    pretended["iss"] = json!(crate::support::PUBLIC_URL);
    pretended["aud"] = json!("headwater");
    assert_eq!(get(&sign(&key, &pretended)), 401);
}

#[test]
fn its_keys_are_fetched_once_and_again_at_most_once_a_minute() {
    let (world, key) = trusting(|_| {});
    let right = claims(&world, json!(["Media.Owner"]));
    let get = |key: &SigningKey| {
        let token = sign(key, &right);
        world.with(&token, "GET", "/api/v1/projects", "").status
    };
    for _ in 0..3 {
        assert_eq!(get(&key), 200);
    }
    assert_eq!(world.storage.requests.get(), 2, "discovery and keys");
    let new = SigningKey::generate().unwrap();
    publish(&world, &[&key, &new]);
    for _ in 0..3 {
        assert_eq!(get(&new), 401);
    }
    assert_eq!(world.storage.requests.get(), 2, "too soon to ask again");
    world.wait(61);
    assert_eq!(get(&new), 200);
    assert_eq!(world.storage.requests.get(), 4);
    let made_up = SigningKey::generate().unwrap();
    for _ in 0..5 {
        assert_eq!(get(&made_up), 401);
    }
    assert_eq!(world.storage.requests.get(), 4);
}

#[test]
fn an_authority_that_is_away_makes_its_tokens_wait_not_fail() {
    let (world, key) = trusting(|issuer| issuer.jwks_uri = Some(KEYS.into()));
    let long = json!({"iss": ISSUER, "aud": "api://headwater", "sub": "kim", "exp": 4_102_444_800_i64, "roles": ["Media.Reader"]});
    let token = sign(&key, &long);
    let get = || world.with(&token, "GET", "/api/v1/projects", "");
    world.storage.failing.set(1);
    assert_eq!(get().expect(503).header("retry-after"), "1");
    assert_eq!(get().status, 503, "it is not asked again at once");
    world.wait(6);
    get().expect(200);
    // Keys that are there already are used for a day.
    world.wait(3601);
    world.storage.failing.set(1);
    get().expect(200);
    world.wait(61);
    get().expect(200);
    world
        .storage
        .documents
        .borrow_mut()
        .insert(KEYS.into(), "x".repeat(300_000));
    world.wait(25 * 3600);
    get().expect(503);
}
