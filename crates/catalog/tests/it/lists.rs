//! Lists: filters, orders, pages, labels.

use crate::support::Catalog;
use futures::executor::block_on;
use headwater_catalog::assets::{self, AssetWrite};
use headwater_catalog::query::{Comparison, Filter, Listing, Literal, Order, Place, Start};
use headwater_catalog::{CatalogError, Ids as _, policies, transforms};
use serde_json::json;

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
    for text in ["SET1", "set1", "SeT1"] {
        assert_eq!(filtered(matches(text)).len(), 10, "{text}");
    }
    assert!(filtered(matches("set3")).is_empty());
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
