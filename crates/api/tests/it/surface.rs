//! What holds for every route: tokens, roles, versions, error shapes, paging, hostile bodies.

use crate::support::{ARM, MKIO, OLDER, World};
use headwater_api::routes::{self, Access};
use headwater_auth::Role;
use http::Request;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// The authorisation matrix. A new route shows up here and has to be looked at.
#[test]
fn authorisation_matrix() {
    let mut rows: Vec<String> = routes::all()
        .map(|(surface, path, route)| {
            let who = match route.access.permission() {
                None if route.access == Access::FileToken => "the bearer of a token for the asset's files".to_owned(),
                None => "anybody".to_owned(),
                Some(needed) => {
                    let roles: Vec<_> =
                        Role::ALL.into_iter().filter(|role| needed.granted_to(*role)).map(Role::name).collect();
                    let others = match route.access {
                        Access::Gallery(_) => " (or anybody, if public)",
                        Access::TeamAdmin(_) => " (or the team's administrators)",
                        Access::Open | Access::FileToken | Access::Token(_) => "",
                    };
                    format!("{}{others}", roles.join(" "))
                }
            };
            let shown = path.replace(
                "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Media/mediaServices/{account}",
                "<A>",
            );
            format!("{surface:?} {} {shown} -> {:?} {:?}: {who}", route.method, route.operation, route.success)
        })
        .collect();
    rows.sort();
    insta::assert_snapshot!("authorisation_matrix", rows.join("\n"));
}

/// Every row, with every role: what the table says is what happens.
#[test]
fn the_table_is_enforced() {
    let world = World::new();
    let stats = world.get(&format!("{OLDER}/stats")).expect(200).body;
    let project_id = stats["extra"]["subscription_id"].as_str().unwrap();
    for (_, template, route) in routes::all() {
        let path = template
            .replace("{customer}", "00000000-0000-0000-0000-000000000000")
            .replace("{projectId}", project_id)
            .replace("{subscription}", "00000000-0000-0000-0000-000000000000")
            .replace("{group}", "headwater")
            .replace("{account}", "default")
            .replace("{project}", "default");
        let path = fill(&path);
        for role in Role::ALL {
            let mut target = path.clone();
            if path.starts_with("/providers") {
                target.push_str("?api-version=2021-11-01");
            }
            let status = world
                .as_role(role, route.method.as_str(), &target, "{}")
                .status;
            let needed = route.access.permission();
            let allowed = needed.is_none_or(|needed| needed.granted_to(role));
            assert_eq!(
                status != 403,
                allowed,
                "{role:?} {} {path}: {status}",
                route.method
            );
            assert!(status < 500, "{role:?} {} {path}: {status}", route.method);
            if (200..300).contains(&status) {
                assert!(
                    route.success.contains(&status),
                    "{} {path}: {status}",
                    route.method
                );
            }
        }
        let anonymous = Request::builder()
            .method(&route.method)
            .uri(format!("{path}?api-version=2022-08-01"));
        let status = world
            .send(anonymous.body(Default::default()).unwrap())
            .status;
        assert_eq!(
            status == 401,
            route.access != Access::Open || path.ends_with("token") && status == 401,
            "{path}: {status}"
        );
    }
}

/// Fills the variables that are left with a name that no resource has.
fn fill(template: &str) -> String {
    template
        .split('/')
        .map(|part| {
            if part.starts_with('{') {
                "nobody"
            } else {
                part
            }
        })
        .collect::<Vec<_>>()
        .join("/")
}

#[test]
fn tokens_are_checked_and_projects_kept_apart() {
    let world = World::new();
    let send = |header: &str, value: String| {
        world.send(
            Request::get(format!("{MKIO}/assets"))
                .header(header, value)
                .body(Default::default())
                .unwrap(),
        )
    };
    let token = world.token(Role::Viewer, None);
    send("authorization", format!("Bearer {token}")).expect(200);
    send("authorization", format!("bearer {token}")).expect(200);
    send("x-mkio-token", token.clone()).expect(200);
    let refused = send("authorization", "Bearer nonsense".into()).expect(401);
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    send("authorization", format!("Basic {token}")).expect(401);
    send("x-mkio-token", String::new()).expect(401);
    send(
        "authorization",
        format!("Bearer {}", world.token(Role::Owner, Some("default"))),
    )
    .expect(200);
    let elsewhere = send(
        "authorization",
        format!("Bearer {}", world.token(Role::Owner, Some("other"))),
    )
    .expect(404);
    assert!(
        elsewhere.body["error"]["detail"]
            .as_str()
            .unwrap()
            .contains("not found")
    );

    use futures::executor::block_on;
    let expires = world.now() + jiff::SignedDuration::from_hours(1);
    block_on(headwater_catalog::keys::revoke(
        &world.sql,
        "Viewer",
        expires,
        world.now(),
    ))
    .unwrap();
    send("authorization", format!("Bearer {token}")).expect(401);
    let listed = world
        .send(
            Request::get("/.well-known/revoked.json")
                .body(Default::default())
                .unwrap(),
        )
        .expect(200);
    assert_eq!(listed.body, json!({"revoked": ["Viewer"]}));

    let owner = world.token(Role::Owner, None);
    world.wait(3700);
    send("authorization", format!("Bearer {owner}")).expect(401);
}

#[test]
fn versions_cases_and_encodings_of_the_ams_surface() {
    let world = World::new();
    for version in [
        "2018-07-01",
        "2021-11-01",
        "2022-07-01",
        "2022-08-01",
        "2023-01-01-preview",
    ] {
        world
            .get(&format!("{ARM}/assets?api-version={version}"))
            .expect(200);
    }
    for version in ["2018-06-30", "latest", "2022-8-1", "", "2022-13-01"] {
        let got = world
            .get(&format!("{ARM}/assets?api-version={version}"))
            .expect(400);
        assert_eq!(got.body["error"]["target"], "api-version");
    }
    world
        .get(&format!(
            "{}/ASSETS",
            ARM.replace("mediaServices", "mediaservices")
        ))
        .expect(200);
    world
        .get(&ARM.replace("headwater", "HeadWater"))
        .expect(200);
    world.get(&ARM.replace("headwater", "other")).expect(404);
    world
        .put(&format!("{ARM}/assets/a%20b"), json!({}))
        .expect(201);
    assert_eq!(
        world.get(&format!("{ARM}/assets/a%20b")).expect(200).body["name"],
        "a b"
    );
    let slash = world
        .put(&format!("{ARM}/assets/a%2Fb"), json!({}))
        .expect(400)
        .body;
    assert_eq!(slash["error"]["target"], "name");
    world
        .put(&format!("{ARM}/assets/{}", "x".repeat(261)), json!({}))
        .expect(400);
    world.get(&format!("{ARM}/assets/%ff")).expect(400);
}

#[test]
fn one_error_in_three_shapes() {
    let world = World::new();
    let arm = world.get(&format!("{ARM}/assets/nothing")).expect(404).body;
    assert_eq!(
        arm,
        json!({"error": {"code": "NotFound", "message": "Asset 'nothing' not found.", "details": []}})
    );
    let mkio = world.get(&format!("{MKIO}/assets/nothing")).expect(404);
    assert_eq!(
        mkio.body,
        json!({
            "error": {"code": "NotFound", "detail": "Asset 'nothing' not found.", "extraDetail": {}},
            "status": 404, "ref": mkio.header("x-ms-request-id"),
        })
    );
    let own = world
        .worker(
            "nonsense/renew",
            json!({"lease": "", "progress": [], "chunks": []}),
        )
        .expect(400);
    assert_eq!(own.header("content-type"), "application/problem+json");
    assert_eq!(own.body["field"], "jobId");
    let wrong = world
        .as_role(Role::Owner, "POST", &format!("{ARM}/assets/a"), "{}")
        .expect(405);
    assert_eq!(wrong.header("allow"), "GET, PUT, PATCH, DELETE");
    world.get("/api/v1/nothing").expect(404);
}

#[test]
fn pages_follow_their_links_on_every_surface() {
    let world = World::new();
    for number in 0..7 {
        world
            .put(&format!("{MKIO}/assets/a{number}"), json!({}))
            .expect(201);
        world.wait(1);
    }
    for (base, order) in [
        (ARM, "name"),
        (ARM, "properties/created%20desc"),
        (MKIO, "name"),
        (OLDER, "properties/created%20desc"),
    ] {
        let mut next =
            format!("{base}/assets?$top=3&$orderby={order}&$filter=name%20ne%20%27a3%27");
        let mut names = Vec::new();
        let mut pages = 0;
        loop {
            let body = world.get(&next).expect(200).body;
            pages += 1;
            names.extend(
                body["value"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|a| a["name"].as_str().unwrap().to_owned()),
            );
            let Some(link) = body["@odata.nextLink"].as_str() else {
                break;
            };
            assert_eq!(link.starts_with('/'), base == OLDER, "{link}");
            next = link
                .strip_prefix(crate::support::PUBLIC_URL)
                .unwrap_or(link)
                .to_owned();
        }
        let mut expected = ["a0", "a1", "a2", "a4", "a5", "a6"].to_vec();
        if order != "name" {
            expected.reverse();
        }
        assert_eq!(
            (names, pages),
            (expected.iter().map(|name| (*name).to_owned()).collect(), 2),
            "{base} {order}"
        );
    }
    for (query, field) in [
        ("$top=0", "$top"),
        ("$skiptoken=!", "$skiptoken"),
        ("$filter=name", "$filter"),
        ("$orderby=x", "$orderby"),
        ("$filter=secret%20eq%20%27a%27", "$filter"),
        ("$filter=name%20eq%205", "$filter"),
    ] {
        let got = world.get(&format!("{ARM}/assets?{query}")).expect(400);
        assert_eq!(got.body["error"]["target"], field, "{query}");
    }
}

#[test]
fn what_mkio_clients_ask_first() {
    let world = World::new();
    let profile = world.get("/api/v1/user/profile").expect(200).body;
    assert!(profile["spec"]["activeOrganizationId"].is_string());
    let stats = world.get(&format!("{OLDER}/stats/")).expect(200).body;
    assert_eq!(
        stats["streamingEndpoints"],
        json!({"running": 1, "stopped": 0, "total": 1})
    );
    assert!(stats["extra"]["subscription_id"].is_string());
    assert_eq!(
        world.get("/api/v1/projects").expect(200).body["items"][0]["metadata"]["name"],
        "default"
    );
    assert_eq!(
        world.get("/api/locations/").expect(200).body["items"][0]["metadata"]["name"],
        "local"
    );
    let storage = world.get(&format!("{MKIO}/storage/local")).expect(200).body;
    assert_eq!(storage["spec"]["url"], "http://127.0.0.1:10000/local");
    assert!(
        !storage
            .to_string()
            .contains("YW4gYWNjb3VudCBrZXkgb2YgdGhpcnR5LXR3byBieXQ")
    );
}

#[test]
fn what_the_azure_client_asks_first() {
    let world = World::new();
    let account = world.get(ARM).expect(200).body;
    assert_eq!(
        account["properties"]["storageAccounts"][0]["type"],
        "Primary"
    );
    let subscription =
        "/subscriptions/00000000-0000-0000-0000-000000000000/providers/Microsoft.Media";
    let list = world
        .get(&format!("{subscription}/mediaservices"))
        .expect(200)
        .body;
    assert_eq!(list["value"][0], account);
    let check = |name: &str| {
        let body = json!({"name": name, "type": "mediaservices"});
        world
            .post(
                &format!("{subscription}/locations/local/checkNameAvailability"),
                body,
            )
            .expect(200)
            .body
    };
    assert_eq!(check("default")["nameAvailable"], false);
    assert_eq!(check("another")["nameAvailable"], true);
    assert_eq!(check("Not_A_Name")["reason"], "Invalid");
}

#[test]
fn a_client_signs_in_with_its_secret() {
    let world = World::new();
    let get = |path: &str| {
        world.send(
            Request::get(path)
                .header("host", "localhost:8080")
                .body(Default::default())
                .unwrap(),
        )
    };
    let found = get("/tenant/v2.0/.well-known/openid-configuration")
        .expect(200)
        .body;
    let endpoint = found["token_endpoint"].as_str().unwrap();
    assert_eq!(endpoint, "http://localhost:8080/tenant/oauth2/v2.0/token");
    let post = |form: &str| {
        world.send(
            Request::post(endpoint)
                .body(form.to_owned().into())
                .unwrap(),
        )
    };
    let form = "grant_type=client_credentials&client_id=script&client_info=1&scope=https%3A%2F%2Fmanagement.azure.com%2F.default";
    let answer = post(&format!("{form}&client_secret=a+long+random+secret"))
        .expect(200)
        .body;
    assert_eq!(answer["token_type"], "Bearer");
    let token = answer["access_token"].as_str().unwrap();
    let assets = Request::get(format!("{ARM}/assets?api-version=2022-08-01"))
        .header("authorization", format!("Bearer {token}"))
        .body(Default::default())
        .unwrap();
    world.send(assets).expect(200);
    assert_eq!(
        post(&format!("{form}&client_secret=wrong"))
            .expect(401)
            .body["error"],
        "invalid_client"
    );
    assert_eq!(
        post("grant_type=password").expect(400).body["error"],
        "unsupported_grant_type"
    );
    let keys = get("/.well-known/jwks.json").expect(200).body;
    assert_eq!(keys["keys"][0]["crv"], "Ed25519");
    get("/api/ready").expect(200);
}

#[test]
fn hostile_bodies_name_the_field() {
    let world = World::new();
    let deep = format!("{}1{}", r#"{"properties":"#.repeat(100), "}".repeat(100));
    for (body, field) in [
        ("", "body"),
        ("[]", "body"),
        ("{\"properties\":", "body"),
        (
            r#"{"properties":{"description":"a","description":"b"}}"#,
            "properties.description",
        ),
        (
            r#"{"properties":{"description":9223372036854775808}}"#,
            "properties.description",
        ),
        (
            r#"{"properties":{"description":7}}"#,
            "properties.description",
        ),
        (r#"{"properties":7}"#, "properties"),
        (
            r#"{"properties":{"container":"UPPER"}}"#,
            "properties.container",
        ),
        (
            r#"{"properties":{"containerDeletionPolicy":"Maybe"}}"#,
            "properties.containerDeletionPolicy",
        ),
        (r#"{"unknown":1}"#, "unknown"),
        (&deep, ["properties"; 32].join(".").as_str()),
    ] {
        let got = world
            .as_role(Role::Owner, "PUT", &format!("{ARM}/assets/a"), body)
            .expect(400);
        assert_eq!(got.body["error"]["target"], *field, "{body:.80}");
    }
    world.get(&format!("{ARM}/assets/a")).expect(404);
    let long = format!(
        r#"{{"properties":{{"description":"{}"}}}}"#,
        "x".repeat(1024 * 1024)
    );
    world
        .as_role(Role::Owner, "PUT", &format!("{ARM}/assets/a"), &long)
        .expect(413);
    assert_eq!(
        world.storage.containers.borrow().len(),
        1,
        "nothing was half made"
    );
}

fn hostile_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[ -~]{0,12}|\\PC{0,4}".prop_map(Json::from),
        Just(json!("#Microsoft.Media.JobInputAsset")),
        Just(json!("#Microsoft.Media.JobInputHttp")),
        Just(json!("Predefined_ClearStreamingOnly")),
        Just(json!("9999-12-31T23:59:59.9999999Z")),
        Just(json!("-009999-01-01T00:00:00Z")),
    ];
    let name = prop_oneof![
        "properties|outputs|preset|input|files|labels|assetName|streamingPolicyName|startTime|endTime|suffixes",
        "@odata.type|presetName|noEncryption|enabledProtocols|contentKeys|filters|container|subPath|expiryTime",
        "permissions|streamingLocatorId|priority|correlationData|lease|progress|chunks|outcome|worker|leaseSeconds",
        "\\PC{0,4}",
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::btree_map(name.clone(), inner, 0..5)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever is sent wherever: never a 5xx, and always a body in the surface's shape.
    #[test]
    fn nothing_that_is_sent_is_our_fault(
        at in 0usize..1000,
        body in hostile_json(),
        raw in prop::option::of("\\PC{0,40}"),
        query in "[$a-z=%&' 0-9()]{0,30}",
    ) {
        let world = World::new();
        let rows: Vec<_> = routes::all().collect();
        let (_, template, route) = &rows[at % rows.len()];
        let path = template
            .replace("{subscription}", "00000000-0000-0000-0000-000000000000")
            .replace("{group}", "headwater")
            .replace("{account}", "default")
            .replace("{project}", "default")
            .replace("{transform}", "AdaptiveStreaming")
            .replace("{id}", "11111111-1111-4111-8111-111100000000");
        let query = query.replace(' ', "%20").replace('\'', "%27");
        let path = format!("{}?api-version=2022-08-01&{query}", fill(&path));
        let body = raw.unwrap_or_else(|| body.to_string());
        for role in [Role::Owner, Role::Worker] {
            let got = world.as_role(role, route.method.as_str(), &path, &body);
            prop_assert!(got.status < 500, "{} {path} {body}: {} {}", route.method, got.status, got.body);
        }
    }

    /// Filters that only look like filters are refused, not executed and not fatal.
    #[test]
    fn filters_are_data(text in "[a-z'/ ();=-]{0,40}") {
        let world = World::new();
        let query: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let got = world.get(&format!("{ARM}/assets?$filter={query}"));
        prop_assert!(got.status == 200 || got.status == 400, "{text}: {}", got.status);
    }
}
