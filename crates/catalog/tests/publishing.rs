//! Locators, policies, endpoints, and what the origin sees of them.

mod support;

use futures::executor::block_on;
use headwater_catalog::endpoints::{self, EndpointState, Switched};
use headwater_catalog::locators::{self, IfExists, NewLocator};
use headwater_catalog::{CatalogError, Written, assets, operations, policies, publishing};
use serde_json::json;
use support::Catalog;

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
    let unfinished = || {
        let id = block_on(locators::get(&catalog.sql, &catalog.project, "unfinished"));
        let id = id.unwrap().locator_id.to_string();
        let found = publishing::published_locator(&catalog.sql, &catalog.seal, &id);
        block_on(found).unwrap().unwrap().unfinished
    };
    assert!(unfinished());
    block_on(assets::set_manifest(
        &catalog.sql,
        &catalog.project,
        "out-a",
        "a.ism",
    ))
    .unwrap();
    assert_eq!(listed(), ["dropped", "mine", "unfinished"]);
    assert!(!unfinished());
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
    assert_eq!(found.unwrap().status.name(), "Succeeded");
}
