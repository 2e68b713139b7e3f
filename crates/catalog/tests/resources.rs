//! Bootstrap, assets, transforms, locators, policies, endpoints, lists.

mod support;

use futures::executor::block_on;
use headwater_catalog::assets::{self, AssetWrite};
use headwater_catalog::endpoints::{self, EndpointState, Switched};
use headwater_catalog::locators::{self, IfExists, NewLocator};
use headwater_catalog::query::{Comparison, Filter, Listing, Literal, Order, Place, Start};
use headwater_catalog::{
    CatalogError, Ids as _, NativeSqlite, Sql as _, Written, keys, operations, policies,
    publishing, storage, transforms, upload_rules,
};
use serde_json::json;
use support::{Catalog, CountedIds, config, start};

fn locator(asset: &str, policy: &str) -> NewLocator {
    NewLocator {
        locator_id: None,
        asset_name: asset.into(),
        policy_name: policy.into(),
        start_time: None,
        end_time: None,
        alternative_media_id: None,
        default_manifest: None,
        suppressed: false,
        extra: Default::default(),
        fingerprint: format!("{asset}/{policy}"),
    }
}

fn put_locator(
    catalog: &Catalog,
    name: &str,
    new: &NewLocator,
) -> Result<(locators::StreamingLocator, Written), CatalogError> {
    block_on(locators::put(
        &catalog.sql,
        &catalog.project,
        name,
        new,
        IfExists::Keep,
        catalog.moment(),
    ))
}

#[test]
fn starting_twice_changes_nothing_and_keeps_what_an_operator_did() {
    let sql = NativeSqlite::in_memory().unwrap();
    let ids = CountedIds::default();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let first = start(&sql, &config(), &ids, now);
    assert!(first.migrations > 0);
    block_on(upload_rules::delete(&sql, &first.project.id, "uploads")).unwrap();
    block_on(endpoints::switch(
        &sql,
        &first.project.id,
        "default",
        EndpointState::Stopped,
        headwater_catalog::Moment { now, ids: &ids },
    ))
    .unwrap();

    let mut moved = config();
    moved.blob_url = "http://127.0.0.1:10001/local/".into();
    let second = start(&sql, &moved, &ids, now);
    assert_eq!(second.migrations, 0);
    assert_eq!(second.project.id, first.project.id);
    assert_eq!(second.signing_key.public(), first.signing_key.public());
    assert!(
        block_on(upload_rules::list(&sql, &first.project.id))
            .unwrap()
            .is_empty()
    );
    assert!(!block_on(publishing::endpoint_running(&sql, &first.project.id)).unwrap());
    let account = block_on(storage::primary(&sql, &first.project.id)).unwrap();
    assert_eq!(account.url, "http://127.0.0.1:10001/local");
}

#[test]
fn secrets_do_not_reach_the_database_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    drop(Catalog::on(NativeSqlite::open(&path).unwrap()));
    let bytes = std::fs::read(&path).unwrap();
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(
        holds(b"AdaptiveStreaming"),
        "the file is what we think it is"
    );
    assert!(!holds(b"YWNjb3VudCBrZXk="));
}

#[test]
fn an_older_program_refuses_a_newer_database() {
    let sql = NativeSqlite::in_memory().unwrap();
    sql.migrate().unwrap();
    block_on(sql.query(
        "INSERT INTO schema_migrations (number, name) VALUES (999, 'later')",
        &[],
    ))
    .unwrap();
    assert!(
        sql.migrate()
            .unwrap_err()
            .to_string()
            .contains("newer version")
    );
}

#[test]
fn an_asset_keeps_what_may_not_change() {
    let catalog = Catalog::new();
    let put = |write: &AssetWrite| {
        block_on(assets::put(
            &catalog.sql,
            &catalog.project,
            "a",
            write,
            catalog.ids.uuid(),
            catalog.now(),
        ))
    };
    let first = AssetWrite {
        container: Some("films".into()),
        sub_path: Some("/2026/".into()),
        description: Some("one".into()),
        extra: [("encryptionScope".to_owned(), json!("scope"))]
            .into_iter()
            .collect(),
        ..AssetWrite::default()
    };
    let (created, written) = put(&first).unwrap();
    assert_eq!(written, Written::Created);
    assert_eq!(created.sub_path, "2026");
    catalog.wait(1);
    let (same, written) = put(&first).unwrap();
    assert_eq!(
        (written, same.asset_id),
        (Written::Existing, created.asset_id)
    );
    assert!(same.modified > same.created);

    let (kept, _) = put(&AssetWrite {
        alternate_id: Some("x".into()),
        ..AssetWrite::default()
    })
    .unwrap();
    assert_eq!(
        (kept.description.as_deref(), kept.alternate_id.as_deref()),
        (Some("one"), Some("x"))
    );
    assert_eq!(kept.extra["encryptionScope"], "scope");

    for (field, write) in [
        (
            "properties.container",
            AssetWrite {
                container: Some("other".into()),
                ..AssetWrite::default()
            },
        ),
        (
            "properties.subPath",
            AssetWrite {
                sub_path: Some("other".into()),
                ..AssetWrite::default()
            },
        ),
        (
            "properties.storageAccountName",
            AssetWrite {
                storage_account: Some("other".into()),
                ..AssetWrite::default()
            },
        ),
    ] {
        let Err(CatalogError::Invalid { field: named, .. }) = put(&write) else {
            panic!("{field} changed")
        };
        assert_eq!(named, field);
    }
}

#[test]
fn concurrent_writers_of_one_asset_lose_no_update() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let catalog = Catalog::on(NativeSqlite::open(&path).unwrap());
    catalog.asset("a");
    let (project, now) = (catalog.project.clone(), catalog.now());
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (path, project) = (&path, &project);
            scope.spawn(move || {
                let sql = NativeSqlite::open(path).unwrap();
                for step in 0..10 {
                    let write = AssetWrite {
                        extra: [(format!("w{writer}s{step}"), json!(true))]
                            .into_iter()
                            .collect(),
                        ..AssetWrite::default()
                    };
                    block_on(assets::update(&sql, project, "a", &write, now)).unwrap();
                }
            });
        }
    });
    let asset = block_on(assets::get(&catalog.sql, &catalog.project, "a")).unwrap();
    assert_eq!(asset.extra.len(), 40);
}

#[test]
fn lists_filter_order_and_page_without_gaps_while_items_come_and_go() {
    let catalog = Catalog::new();
    for number in 0..25 {
        catalog.asset(&format!("asset{number:02}"));
        catalog.wait(1);
    }
    let list = |listing: &Listing| {
        block_on(assets::list(&catalog.sql, &catalog.project, listing)).unwrap()
    };
    let names = |listing: &Listing| -> Vec<String> {
        list(listing).items.into_iter().map(|a| a.name).collect()
    };

    let mut seen = Vec::new();
    let mut listing = Listing {
        order: Some(Order {
            field: "properties/created".into(),
            descending: true,
        }),
        top: Some(10),
        ..Listing::default()
    };
    loop {
        let page = list(&listing);
        seen.extend(page.items.into_iter().map(|asset| asset.name));
        // An item that appears at the front of the order shifts nothing.
        catalog.asset(&format!("later{}", seen.len()));
        match page.next {
            Some(position) => listing.start = Start::After(position),
            None => break,
        }
    }
    let mut expected: Vec<_> = (0..25).map(|number| format!("asset{number:02}")).collect();
    expected.reverse();
    assert_eq!(seen, expected);

    let page = list(&Listing {
        start: Start::Offset(20),
        top: Some(10),
        count: true,
        ..Listing::default()
    });
    assert_eq!(
        (page.items.len(), page.offset, page.total),
        (8, 20, Some(28))
    );

    let compare = |field: &str, is, to: &str| Filter::Compare {
        field: field.into(),
        is,
        to: Literal::Text(to.into()),
    };
    let filtered = |filter: Filter| {
        names(&Listing {
            filter: Some(filter),
            ..Listing::default()
        })
    };
    assert_eq!(
        filtered(compare("name", Comparison::Equal, "asset07")),
        ["asset07"]
    );
    assert_eq!(
        filtered(Filter::And(
            Box::new(compare("name", Comparison::GreaterOrEqual, "asset03")),
            Box::new(Filter::Not(Box::new(compare(
                "name",
                Comparison::Greater,
                "asset04"
            )))),
        )),
        ["asset03", "asset04"]
    );
    let matches = |text: &str| Filter::Matches {
        field: "name".into(),
        place: Place::Anywhere,
        text: text.into(),
    };
    assert_eq!(filtered(matches("SET1")).len(), 10);
    assert!(
        filtered(matches("%")).is_empty(),
        "wildcards are plain characters"
    );
    let unknown = Listing {
        filter: Some(compare("properties/secret", Comparison::Equal, "x")),
        ..Listing::default()
    };
    let refused = block_on(assets::list(&catalog.sql, &catalog.project, &unknown)).unwrap_err();
    assert!(
        matches!(refused, CatalogError::Invalid { ref field, .. } if field == "$filter"),
        "{refused}"
    );
}

#[test]
fn items_without_the_text_in_question_are_on_some_page_and_match_what_they_should() {
    let catalog = Catalog::new();
    for (name, alternate_id) in [("a", None), ("b", Some("x")), ("c", None), ("d", Some("y"))] {
        let write = AssetWrite {
            alternate_id: alternate_id.map(str::to_owned),
            ..AssetWrite::default()
        };
        block_on(assets::put(
            &catalog.sql,
            &catalog.project,
            name,
            &write,
            catalog.ids.uuid(),
            catalog.now(),
        ))
        .unwrap();
    }
    let list = |listing: &Listing| {
        block_on(assets::list(&catalog.sql, &catalog.project, listing)).unwrap()
    };
    let names = |items: &[assets::Asset]| -> String {
        items.iter().map(|asset| asset.name.as_str()).collect()
    };
    for (descending, expected) in [(false, "acbd"), (true, "dbca")] {
        let mut listing = Listing {
            order: Some(Order {
                field: "properties/alternateId".into(),
                descending,
            }),
            top: Some(1),
            ..Listing::default()
        };
        let mut found = String::new();
        loop {
            let page = list(&listing);
            found += &names(&page.items);
            match page.next {
                Some(next) => listing.start = Start::After(next),
                None => break,
            }
        }
        assert_eq!(found, expected);
    }
    let compare = |is, to| Filter::Compare {
        field: "properties/alternateId".into(),
        is,
        to,
    };
    let contains = Filter::Matches {
        field: "properties/alternateId".into(),
        place: Place::Anywhere,
        text: "x".into(),
    };
    for (filter, expected) in [
        (
            compare(Comparison::NotEqual, Literal::Text("x".into())),
            "acd",
        ),
        (compare(Comparison::Equal, Literal::Null), "ac"),
        (compare(Comparison::NotEqual, Literal::Null), "bd"),
        (Filter::Not(Box::new(contains)), "acd"),
    ] {
        let listing = Listing {
            filter: Some(filter),
            ..Listing::default()
        };
        assert_eq!(names(&list(&listing).items), expected, "{listing:?}");
    }
}

#[test]
fn labels_find_assets_as_long_as_they_are_there() {
    use headwater_catalog::query::LabelTest;
    let catalog = Catalog::new();
    let put = |name: &str, labels: &[(&str, &str)]| {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let write = AssetWrite {
            labels: Some(labels),
            ..AssetWrite::default()
        };
        block_on(assets::put(
            &catalog.sql,
            &catalog.project,
            name,
            &write,
            catalog.ids.uuid(),
            catalog.now(),
        ))
        .unwrap();
    };
    put("a", &[("team", "red"), ("run", "one")]);
    put("b", &[("team", "Redwood")]);
    catalog.asset("c");
    let find = |tests: &[LabelTest]| -> Vec<String> {
        let listing = Listing {
            labels: tests.to_vec(),
            count: true,
            ..Listing::default()
        };
        let page = block_on(assets::list(&catalog.sql, &catalog.project, &listing)).unwrap();
        assert_eq!(page.total, u32::try_from(page.items.len()).ok());
        page.items.into_iter().map(|asset| asset.name).collect()
    };
    let equals = |label: &str, value: &str| LabelTest::Equals {
        label: label.into(),
        value: value.into(),
    };
    let contains = LabelTest::Contains {
        label: "team".into(),
        text: "red".into(),
    };
    assert_eq!(find(&[LabelTest::Has("team".into())]), ["a", "b"]);
    assert_eq!(find(&[equals("team", "red")]), ["a"]);
    assert_eq!(find(std::slice::from_ref(&contains)), ["a", "b"]);
    assert_eq!(find(&[contains, LabelTest::Has("run".into())]), ["a"]);
    put("a", &[("team", "blue")]);
    assert!(find(&[equals("team", "red")]).is_empty());
    assert!(find(&[LabelTest::Has("run".into())]).is_empty());
    block_on(assets::delete(&catalog.sql, &catalog.project, "a")).unwrap();
    catalog.asset("a");
    assert_eq!(find(&[LabelTest::Has("team".into())]), ["b"]);

    let listing = Listing {
        labels: vec![LabelTest::Has("x".into())],
        ..Listing::default()
    };
    let refused = block_on(transforms::list(&catalog.sql, &catalog.project, &listing));
    assert!(matches!(refused, Err(CatalogError::Invalid { ref field, .. }) if field == "$label"));
}

#[test]
fn a_transform_with_a_running_job_or_a_rule_stays() {
    let catalog = Catalog::new();
    let delete = || {
        block_on(transforms::delete(
            &catalog.sql,
            &catalog.project,
            support::TRANSFORM,
        ))
    };
    assert!(
        matches!(delete(), Err(CatalogError::Conflict(_))),
        "the default rule uses it"
    );
    block_on(upload_rules::delete(
        &catalog.sql,
        &catalog.project,
        "uploads",
    ))
    .unwrap();
    catalog.job("a", Default::default());
    assert!(delete().unwrap());
    assert!(!delete().unwrap());
}

#[test]
fn a_locator_is_made_once_and_refuses_what_it_cannot_serve() {
    let catalog = Catalog::new();
    catalog.asset("film");
    let clear = locator("film", "Predefined_ClearStreamingOnly");
    let (made, written) = put_locator(&catalog, "l", &clear).unwrap();
    assert_eq!(written, Written::Created);
    assert_eq!(
        put_locator(&catalog, "l", &clear).unwrap(),
        (made.clone(), Written::Existing)
    );
    let other = locator("film", "Predefined_DownloadOnly");
    assert!(matches!(
        put_locator(&catalog, "l", &other),
        Err(CatalogError::Conflict(_))
    ));

    let same_id = NewLocator {
        locator_id: Some(made.locator_id),
        ..clear.clone()
    };
    assert!(matches!(
        put_locator(&catalog, "m", &same_id),
        Err(CatalogError::Conflict(_))
    ));
    for (field, new) in [
        (
            "properties.assetName",
            locator("nothing", "Predefined_ClearStreamingOnly"),
        ),
        ("properties.streamingPolicyName", locator("film", "nothing")),
        (
            "properties.streamingPolicyName",
            locator("film", "Predefined_ClearKey"),
        ),
        (
            "properties.streamingPolicyName",
            locator("film", "Predefined_MultiDrmStreaming"),
        ),
        (
            "properties.endTime",
            NewLocator {
                start_time: Some(catalog.now()),
                end_time: Some(catalog.now()),
                ..clear.clone()
            },
        ),
    ] {
        let Err(CatalogError::Invalid { field: named, .. }) = put_locator(&catalog, "m", &new)
        else {
            panic!("{field} was accepted");
        };
        assert_eq!(named, field);
    }

    let replaced = NewLocator {
        suppressed: true,
        fingerprint: "2".into(),
        ..clear
    };
    let (now, written) = block_on(locators::put(
        &catalog.sql,
        &catalog.project,
        "l",
        &replaced,
        IfExists::Replace,
        catalog.moment(),
    ))
    .unwrap();
    assert_eq!(
        (written, now.suppressed, now.locator_id),
        (Written::Existing, true, made.locator_id)
    );
}

#[test]
fn the_origin_finds_a_locator_with_everything_it_needs() {
    let catalog = Catalog::new();
    catalog.asset("film");
    let (made, _) = put_locator(
        &catalog,
        "l",
        &locator("film", "Predefined_DownloadAndClearStreaming"),
    )
    .unwrap();
    let find = |id: &str| {
        block_on(publishing::published_locator(
            &catalog.sql,
            &catalog.seal,
            id,
        ))
        .unwrap()
    };
    let found = find(&made.locator_id.to_string().to_uppercase()).unwrap();
    assert_eq!(found.account_key.expose(), b"YWNjb3VudCBrZXk=");
    let asset = block_on(assets::get(&catalog.sql, &catalog.project, "film")).unwrap();
    assert_eq!(
        found.container_url,
        format!("http://127.0.0.1:10000/local/asset-{}", asset.asset_id)
    );
    assert!(found.policy.clear.hls && found.policy.clear.download && found.endpoint_running);
    assert!(find("nonsense").is_none());
    assert!(find(&uuid::Uuid::nil().to_string()).is_none());
    block_on(assets::delete(&catalog.sql, &catalog.project, "film")).unwrap();
    assert!(
        find(&made.locator_id.to_string()).is_none(),
        "locators go with their asset"
    );
}

#[test]
fn published_means_playable_now() {
    let catalog = Catalog::new();
    let listed = || -> Vec<String> {
        block_on(publishing::published(
            &catalog.sql,
            &catalog.project,
            catalog.now(),
            0,
            50,
        ))
        .unwrap()
        .locators
        .into_iter()
        .map(|listed| listed.locator.name)
        .collect()
    };
    catalog.asset("dropped");
    put_locator(
        &catalog,
        "dropped",
        &locator("dropped", "Predefined_ClearStreamingOnly"),
    )
    .unwrap();
    put_locator(
        &catalog,
        "download",
        &locator("dropped", "Predefined_DownloadOnly"),
    )
    .unwrap();
    let later = NewLocator {
        start_time: Some(catalog.now() + jiff::SignedDuration::from_hours(1)),
        ..locator("dropped", "Predefined_ClearStreamingOnly")
    };
    put_locator(&catalog, "later", &later).unwrap();
    let hidden = NewLocator {
        suppressed: true,
        ..locator("dropped", "Predefined_ClearStreamingOnly")
    };
    put_locator(&catalog, "hidden", &hidden).unwrap();
    let hls = json!({"noEncryption": {"enabledProtocols": {"hls": true}}});
    block_on(policies::create(
        &catalog.sql,
        &catalog.project,
        "mine",
        hls,
        catalog.moment(),
    ))
    .unwrap();
    put_locator(&catalog, "mine", &locator("dropped", "mine")).unwrap();
    catalog.job("a", Default::default());
    put_locator(
        &catalog,
        "unfinished",
        &locator("out-a", "Predefined_ClearStreamingOnly"),
    )
    .unwrap();
    assert_eq!(listed(), ["dropped", "mine"]);
    block_on(assets::set_manifest(
        &catalog.sql,
        &catalog.project,
        "out-a",
        "a.ism",
    ))
    .unwrap();
    assert_eq!(listed(), ["dropped", "mine", "unfinished"]);
}

#[test]
fn custom_policies_are_clear_immutable_and_kept_while_used() {
    let catalog = Catalog::new();
    let create = |name: &str, properties| {
        block_on(policies::create(
            &catalog.sql,
            &catalog.project,
            name,
            properties,
            catalog.moment(),
        ))
    };
    let clear = json!({"noEncryption": {"enabledProtocols": {"hls": true, "dash": false, "download": false, "smoothStreaming": false}}});
    assert_eq!(create("p", clear.clone()).unwrap().1, Written::Created);
    assert_eq!(create("p", clear).unwrap().1, Written::Existing);
    assert!(matches!(
        create("p", json!({"noEncryption": null})),
        Err(CatalogError::Conflict(_))
    ));
    assert!(matches!(
        create("Predefined_Mine", json!({})),
        Err(CatalogError::Invalid { .. })
    ));
    let encrypted = create("q", json!({"envelopeEncryption": {}})).unwrap_err();
    assert!(
        matches!(encrypted, CatalogError::Invalid { ref field, .. } if field == "properties.envelopeEncryption")
    );

    catalog.asset("film");
    put_locator(&catalog, "l", &locator("film", "p")).unwrap();
    let delete = |name| block_on(policies::delete(&catalog.sql, &catalog.project, name));
    assert!(matches!(delete("p"), Err(CatalogError::Conflict(_))));
    assert!(matches!(
        delete("Predefined_ClearKey"),
        Err(CatalogError::Invalid { .. })
    ));
    block_on(locators::delete(&catalog.sql, &catalog.project, "l")).unwrap();
    assert!(delete("p").unwrap());
}

#[test]
fn lists_of_policies_hold_the_predefined_ones_like_any_other() {
    let catalog = Catalog::new();
    catalog.wait(60);
    let clear = json!({"noEncryption": {"enabledProtocols": {"hls": true}}});
    for name in ["A", "z"] {
        block_on(policies::create(
            &catalog.sql,
            &catalog.project,
            name,
            clear.clone(),
            catalog.moment(),
        ))
        .unwrap();
    }
    let list = |listing: &Listing| {
        let page = block_on(policies::list(&catalog.sql, &catalog.project, listing)).unwrap();
        let names: Vec<_> = page
            .items
            .iter()
            .map(|policy| policy.name.clone())
            .collect();
        (names, page.total, page.next)
    };
    let all = [&["A"], &policies::PREDEFINED[..], &["z"]].concat();
    assert_eq!(list(&Listing::default()).0, all);
    let newest = Listing {
        order: Some(Order {
            field: "properties/created".into(),
            descending: true,
        }),
        top: Some(3),
        ..Listing::default()
    };
    assert_eq!(list(&newest).0, ["z", "A", "Predefined_MultiDrmStreaming"]);
    let clear_only = Listing {
        filter: Some(Filter::Matches {
            field: "name".into(),
            place: Place::Anywhere,
            text: "ClearStreaming".into(),
        }),
        count: true,
        ..Listing::default()
    };
    let (names, total, _) = list(&clear_only);
    assert_eq!(names, policies::PREDEFINED[1..3]);
    assert_eq!(total, Some(2));
    let mut paged = Listing {
        top: Some(3),
        count: true,
        ..Listing::default()
    };
    let mut seen = Vec::new();
    loop {
        let (names, total, next) = list(&paged);
        assert_eq!(total, Some(8));
        seen.extend(names);
        match next {
            Some(next) => paged.start = Start::After(next),
            None => break,
        }
    }
    assert_eq!(seen, all);
    paged.start = Start::Offset(6);
    assert_eq!(list(&paged).0, all[6..]);
}

#[test]
fn switching_an_endpoint_leaves_an_operation_behind() {
    let catalog = Catalog::new();
    let switch = |to| {
        block_on(endpoints::switch(
            &catalog.sql,
            &catalog.project,
            "default",
            to,
            catalog.moment(),
        ))
        .unwrap()
    };
    assert_eq!(switch(EndpointState::Running), Switched::Already);
    let Switched::Done(operation) = switch(EndpointState::Stopped) else {
        panic!("it was running")
    };
    let found = block_on(operations::get(
        &catalog.sql,
        &catalog.project,
        operations::STREAMING_ENDPOINTS,
        &operation.id,
    ));
    assert_eq!(found.unwrap().status, "Succeeded");
}

#[test]
fn clients_and_revocation() {
    let catalog = Catalog::new();
    let client = keys::ApiClient {
        client_id: "script".into(),
        role: headwater_auth::Role::Operator,
        project: Some("default".into()),
    };
    block_on(keys::put_client(
        &catalog.sql,
        &client,
        "a long random secret",
        catalog.ids.uuid(),
        catalog.now(),
    ))
    .unwrap();
    let check = |id: &str, secret: &str| {
        block_on(keys::authenticate_client(&catalog.sql, id, secret)).unwrap()
    };
    assert_eq!(check("script", "a long random secret"), Some(client));
    assert_eq!(check("script", "a long random secreT"), None);
    assert_eq!(check("other", "a long random secret"), None);

    let later = catalog.now() + jiff::SignedDuration::from_hours(1);
    for _ in 0..2 {
        block_on(keys::revoke(&catalog.sql, "t1", later, catalog.now())).unwrap();
    }
    assert!(block_on(keys::is_revoked(&catalog.sql, "t1")).unwrap());
    assert!(!block_on(keys::is_revoked(&catalog.sql, "t2")).unwrap());
    assert_eq!(
        block_on(keys::revoked(&catalog.sql, catalog.now())).unwrap(),
        ["t1"]
    );
    assert!(
        block_on(keys::revoked(&catalog.sql, later))
            .unwrap()
            .is_empty()
    );
}
