//! Lists of what a project has few of: filtered, ordered and paged as all others are.

use serde_json::{Value as Json, json};

use crate::support::{ARM, MKIO, OLDER, World, locator, transform};

/// The texts at `pointer` in a list's items.
fn texts(body: &Json, pointer: &str) -> Vec<String> {
    let items = body["value"].as_array().or(body["items"].as_array());
    items
        .expect("a list")
        .iter()
        .map(|item| item.pointer(pointer).unwrap().as_str().unwrap().to_owned())
        .collect()
}

fn names(world: &World, list: &str, query: &str) -> Vec<String> {
    let body = world.get(&format!("{list}?{query}")).expect(200).body;
    let pointer = if body["items"].is_array() {
        "/metadata/name"
    } else {
        "/name"
    };
    texts(&body, pointer)
}

/// Follows the links of a list to its end. Gives the names, page by page.
fn pages(world: &World, list: &str, query: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut next = format!("{list}?{query}");
    loop {
        let body = world.get(&next).expect(200).body;
        let pointer = if body["items"].is_array() {
            "/metadata/name"
        } else {
            "/name"
        };
        pages.push(texts(&body, pointer));
        let Some(link) = body["@odata.nextLink"].as_str() else {
            return pages;
        };
        assert!(pages.len() < 20, "{list} does not end");
        next = link
            .strip_prefix(crate::support::PUBLIC_URL)
            .unwrap_or(link)
            .to_owned();
    }
}

fn refused(world: &World, list: &str) {
    for (query, field) in [
        ("$orderby=nonsense", "$orderby"),
        ("$filter=nonsense%20eq%20%27a%27", "$filter"),
        ("$top=0", "$top"),
    ] {
        let got = world.get(&format!("{list}?{query}")).expect(400);
        assert_eq!(
            got.body["error"]["extraDetail"]["field"], field,
            "{list}: {:#}",
            got.body
        );
    }
}

#[test]
fn streaming_endpoints() {
    let world = World::new();
    let list = format!("{MKIO}/streamingEndpoints");
    for (name, query) in [("b", ""), ("a", "?autoStart=true"), ("c", "")] {
        world.wait(1);
        let path = format!("{list}/{name}{query}");
        world.put(&path, json!({})).expect(201);
    }
    assert_eq!(names(&world, &list, ""), ["a", "b", "c", "default"]);
    assert_eq!(
        names(&world, &list, "$orderby=properties/created%20desc"),
        ["c", "a", "b", "default"]
    );
    assert_eq!(
        names(
            &world,
            &list,
            "$filter=properties/resourceState%20eq%20%27Stopped%27%20and%20name%20ne%20%27default%27"
        ),
        ["b", "c"]
    );
    assert_eq!(
        pages(&world, &list, "$top=2"),
        [vec!["a", "b"], vec!["c", "default"]]
    );
    for surface in [ARM, OLDER] {
        assert_eq!(
            pages(
                &world,
                &format!("{surface}/streamingEndpoints"),
                "$top=3&api-version=2022-08-01"
            ),
            [vec!["a", "b", "c"], vec!["default"]]
        );
    }
    refused(&world, &list);
}

#[test]
fn upload_rules() {
    let world = World::new();
    world
        .put(
            &format!("{MKIO}/transforms/adaptive"),
            transform("AdaptiveStreaming"),
        )
        .expect(201);
    let list = format!("{MKIO}/uploadRules");
    for (name, container) in [("b", "films"), ("a", "films"), ("c", "shows")] {
        world.wait(1);
        let rule = json!({"properties": {
            "storageAccountName": "local", "container": container, "suffixes": [".mp4"],
            "transformName": "adaptive", "streamingPolicyName": "Predefined_ClearStreamingOnly",
        }});
        world.put(&format!("{list}/{name}"), rule).expect(201);
    }
    assert_eq!(
        names(&world, &list, "$orderby=properties/lastModified"),
        ["uploads", "b", "a", "c"]
    );
    assert_eq!(
        names(
            &world,
            &list,
            "$filter=properties/container%20eq%20%27films%27"
        ),
        ["a", "b"]
    );
    assert_eq!(
        pages(&world, &list, "$top=2"),
        [vec!["a", "b"], vec!["c", "uploads"]]
    );
    refused(&world, &list);
}

#[test]
fn storage_accounts() {
    let world = World::new();
    let list = format!("{MKIO}/storage");
    for name in ["b", "a"] {
        world.wait(1);
        let account = json!({"spec": {
            "type": "Microsoft.Storage", "url": format!("https://{name}films.blob.core.windows.net"),
            "credential": {"accountKey": "YW4gYWNjb3VudCBrZXkgb2YgdGhpcnR5LXR3byBieXQ="},
        }});
        world.put(&format!("{list}/{name}"), account).expect(201);
    }
    assert_eq!(names(&world, &list, ""), ["a", "b", "local"]);
    assert_eq!(
        names(&world, &list, "$orderby=metadata/created%20desc"),
        ["a", "b", "local"]
    );
    assert_eq!(
        names(&world, &list, "$orderby=metadata/name%20desc"),
        ["local", "b", "a"]
    );
    assert_eq!(
        names(&world, &list, "$filter=contains(spec/url,%27films%27)"),
        ["a", "b"]
    );
    assert_eq!(
        pages(&world, &list, "$top=2"),
        [vec!["a", "b"], vec!["local"]]
    );
    refused(&world, &list);
}

#[test]
fn an_end_that_is_never_is_found_as_it_is_shown() {
    let world = World::new();
    world
        .put(&format!("{MKIO}/assets/one"), json!({}))
        .expect(201);
    for (name, end) in [
        ("never", Json::Null),
        ("said", "9999-12-31T23:59:59.9999999Z".into()),
        ("soon", "2027-01-01T00:00:00Z".into()),
    ] {
        let mut body = locator("one", "Predefined_ClearStreamingOnly");
        body["properties"]["endTime"] = end;
        let path = format!("{MKIO}/streamingLocators/{name}");
        world.put(&path, body).expect(201);
    }
    let list = format!("{MKIO}/streamingLocators");
    let shown = world.get(&format!("{list}/never")).expect(200).body;
    let end = shown["properties"]["endTime"].as_str().unwrap();
    for (is, found) in [
        ("eq", &["never", "said"][..]),
        ("ne", &["soon"]),
        ("lt", &["soon"]),
        ("ge", &["never", "said"]),
        ("gt", &[]),
    ] {
        let filter = format!("$filter=properties/endTime%20{is}%20{end}");
        assert_eq!(names(&world, &list, &filter), found, "{is}");
    }
}

#[test]
fn a_token_of_another_order_is_refused() {
    use base64::Engine as _;
    let world = World::new();
    let token = |position: Json| {
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(position.to_string())
    };
    let list = format!("{ARM}/streamingEndpoints?api-version=2022-08-01");
    let by_time = format!("{list}&$orderby=properties/created");
    world
        .put(
            &format!("{ARM}/transforms/t"),
            transform("AdaptiveStreaming"),
        )
        .expect(201);
    let jobs = format!("{ARM}/transforms/t/jobs?api-version=2022-08-01");
    for (list, fits, others) in [
        (
            list,
            json!(["a", "a"]),
            vec![
                json!([7, "a"]),
                json!(["a", 7]),
                json!([null, "a"]),
                json!(["a", null]),
                json!(["\u{0}", "a"]),
            ],
        ),
        (
            by_time,
            json!([0, "a"]),
            vec![json!(["a", "a"]), json!([0, 0])],
        ),
        (
            jobs,
            json!(["a", 0]),
            vec![json!(["a", "a"]), json!([0, 0])],
        ),
    ] {
        let ask = |position| world.get(&format!("{list}&$skiptoken={}", token(position)));
        ask(fits).expect(200);
        for other in others {
            let got = ask(other.clone()).expect(400);
            assert_eq!(got.body["error"]["target"], "$skiptoken", "{list} {other}");
        }
    }
}

#[test]
fn published_videos() {
    let world = World::new();
    for (name, asset) in [("b", "one"), ("a", "two"), ("c", "one")] {
        world.wait(1);
        let path = format!("{MKIO}/assets/{asset}");
        let made = world.put(&path, json!({"properties": {"container": asset}}));
        assert!(made.status < 300, "{:#}", made.body);
        world.storage.put(asset, "film.ism");
        world.storage.put(asset, "film.mp4");
        world
            .put(
                &format!("{MKIO}/streamingLocators/{name}"),
                locator(asset, "Predefined_ClearStreamingOnly"),
            )
            .expect(201);
    }
    let list = format!("{MKIO}/published");
    assert_eq!(names(&world, &list, ""), ["c", "a", "b"]);
    assert_eq!(names(&world, &list, "$orderby=name"), ["a", "b", "c"]);
    assert_eq!(
        names(
            &world,
            &list,
            "$filter=assetName%20eq%20%27one%27&$orderby=name%20desc"
        ),
        ["c", "b"]
    );
    assert_eq!(pages(&world, &list, "$top=2"), [vec!["c", "a"], vec!["b"]]);
    refused(&world, &list);
}
