//! Locators, policies, endpoints, and what the origin sees of them.

use crate::support::Catalog;
use futures::executor::block_on;
use headwater_catalog::endpoints::{
    self, CrossSite, EndpointRules, EndpointState, EndpointWrite, Switched,
};
use headwater_catalog::filters::{self, Owner};
use headwater_catalog::jobs::queue;
use headwater_catalog::locators::{self, IfExists, NewLocator};
use headwater_catalog::query::Listing;
use headwater_catalog::{
    CatalogError, Sql, Written, assets, locator_keys, operations, policies, publishing, tracks,
};
use headwater_work::{JobErrorCode, JobFailure};
use serde_json::json;

fn locator(asset: &str, policy: &str) -> NewLocator {
    NewLocator {
        asset_name: asset.into(),
        policy_name: policy.into(),
        fingerprint: format!("{asset}/{policy}"),
        ..NewLocator::default()
    }
}

fn put_locator(
    catalog: &Catalog,
    name: &str,
    new: &NewLocator,
) -> Result<(locators::StreamingLocator, Written), CatalogError> {
    block_on(locators::put(
        &catalog.sql,
        &catalog.seal,
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
        Err(CatalogError::Taken { .. })
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
            "properties.defaultContentKeyPolicyName",
            locator("film", "Predefined_ClearKey"),
        ),
        (
            "properties.filters[0]",
            NewLocator {
                filters: vec!["nothing".into()],
                ..clear.clone()
            },
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
        &catalog.seal,
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
    assert!(
        matches!(&found.auth, headwater_blob::Auth::SharedKey { account, .. } if account == "local")
    );
    let asset = block_on(assets::get(&catalog.sql, &catalog.project, "film")).unwrap();
    assert_eq!(
        found.container_url,
        format!("http://127.0.0.1:10000/local/asset-{}", asset.asset_id)
    );
    assert!(found.policy.clear.hls && found.policy.clear.download);
    assert_eq!(found.endpoints, [EndpointRules::default()]);
    let rules = serde_json::json!({
        "accessControl": {
            "ip": {"allow": [{"address": "192.0.2.0", "subnetPrefixLength": 24}]},
            "akamai": {"akamaiSignatureHeaderAuthenticationKeyList": [
                {"identifier": "first", "base64Key": "Zmlyc3Qga2V5", "expiration": "2030-01-01T00:00:00Z"},
                {"identifier": "second", "base64Key": "c2Vjb25k"},
            ]},
        },
        "customHostNames": ["films.example"],
        "maxCacheAge": 60,
        "crossSiteAccessPolicies": {"crossDomainPolicy": "<cross-domain-policy/>", "clientAccessPolicy": ""},
    });
    let write = EndpointWrite {
        properties: rules.as_object().unwrap().clone(),
        tags: None,
    };
    let written = block_on(endpoints::update(
        &catalog.sql,
        &catalog.seal,
        &catalog.project,
        "default",
        &write,
        catalog.moment(),
    ))
    .unwrap();
    let shown = written.opened(&catalog.seal).unwrap();
    assert_eq!(shown["accessControl"], rules["accessControl"]);
    let stored = block_on(catalog.sql.query(
        "SELECT properties_json, akamai_sealed FROM streaming_endpoints",
        &[],
    ))
    .unwrap();
    let stored = stored.first().unwrap();
    let sealed = stored.blob("akamai_sealed").unwrap();
    assert!(
        !stored
            .text("properties_json")
            .unwrap()
            .contains("base64Key")
    );
    assert!(!sealed.windows(12).any(|bytes| bytes == b"Zmlyc3Qga2V5"));
    let said = block_on(endpoints::cross_site(&catalog.sql)).unwrap();
    let expected = CrossSite {
        hosts: vec!["films.example".into()],
        cross_domain: Some("<cross-domain-policy/>".into()),
        client_access: None,
    };
    assert_eq!(said, (vec![expected], Vec::new()));
    let ruled = find(&made.locator_id.to_string()).unwrap().endpoints;
    assert_eq!(ruled.len(), 1);
    assert_eq!(ruled[0].hosts, ["films.example"]);
    assert_eq!(ruled[0].max_age, Some(60));
    let keys = ruled[0].signed_with.iter();
    let keys: Vec<_> = keys
        .map(|key| (&*key.identifier, key.key.expose(), key.expires))
        .collect();
    let end = "2030-01-01T00:00:00Z".parse().ok();
    assert_eq!(
        keys,
        [
            ("first", &b"first key"[..], end),
            ("second", &b"second"[..], None)
        ]
    );
    assert!(ruled[0].allow.as_ref().unwrap()[0].contains("192.0.2.7".parse().unwrap()));
    assert!(find("nonsense").is_none());
    assert!(find(&uuid::Uuid::nil().to_string()).is_none());
    block_on(assets::delete(&catalog.sql, &catalog.project, "film")).unwrap();
    assert!(
        find(&made.locator_id.to_string()).is_none(),
        "locators go with their asset"
    );
}

/// A policy that encrypts, with a licence server of its own: nobody has to name a content key policy.
fn encrypting(catalog: &Catalog, name: &str) {
    let properties = json!({
        "noEncryption": {"enabledProtocols": {"dash": true}},
        "commonEncryptionCbcs": {
            "enabledProtocols": {"hls": true},
            "contentKeys": {"defaultKey": {"label": "k"}},
            "drm": {"fairPlay": {"customLicenseAcquisitionUrlTemplate": "skd://keys.example/{ContentKeyId}"}},
        },
    });
    block_on(policies::create(
        &catalog.sql,
        &catalog.project,
        name,
        properties,
        catalog.moment(),
    ))
    .unwrap();
}

#[test]
fn the_origin_is_told_what_must_not_go_out_plain_or_whole() {
    let catalog = Catalog::new();
    catalog.asset("film");
    encrypting(&catalog, "drm");
    let filter = serde_json::Map::new();
    block_on(filters::put(
        &catalog.sql,
        &catalog.project,
        Owner::Account,
        "f",
        &filter,
        catalog.now(),
    ))
    .unwrap();
    let new = NewLocator {
        filters: vec!["f".into()],
        ..locator("film", "drm")
    };
    let (made, _) = put_locator(&catalog, "l", &new).unwrap();
    let find = |id: uuid::Uuid| {
        let id = id.to_string();
        block_on(publishing::published_locator(
            &catalog.sql,
            &catalog.seal,
            &id,
        ))
        .unwrap()
        .unwrap()
    };
    let found = find(made.locator_id);
    assert_eq!(found.filters, ["f"]);
    let policy = found.policy;
    assert!(policy.clear.dash && !policy.clear.hls);
    assert!(policy.cbcs.hls && !policy.cbcs.dash);
    assert_eq!(
        (policy.cenc, policy.envelope),
        (Default::default(), Default::default())
    );
    let (plain, _) = put_locator(&catalog, "plain", &locator("film", "drm")).unwrap();
    assert!(find(plain.locator_id).filters.is_empty());
}

#[test]
fn filters_of_an_asset_stand_in_for_those_of_its_account() {
    let catalog = Catalog::new();
    catalog.asset("film");
    catalog.asset("other");
    let put = |owner, name: &str, bitrate: u64| {
        let properties = serde_json::json!({"firstQuality": {"bitrate": bitrate}});
        block_on(filters::put(
            &catalog.sql,
            &catalog.project,
            owner,
            name,
            properties.as_object().unwrap(),
            catalog.now(),
        ))
        .unwrap();
    };
    put(Owner::Account, "both", 1);
    put(Owner::Account, "account", 2);
    put(Owner::Asset("film"), "both", 3);
    put(Owner::Asset("other"), "elsewhere", 4);
    let policy = "Predefined_ClearStreamingOnly";
    let (made, _) = put_locator(&catalog, "l", &locator("film", policy)).unwrap();
    let ask = |id: &str| {
        let names = ["account", "both", "elsewhere", "none"].map(str::to_owned);
        let found = block_on(publishing::applicable_filters(&catalog.sql, id, &names)).unwrap();
        let bitrate =
            |p: serde_json::Map<String, serde_json::Value>| p["firstQuality"]["bitrate"].as_u64();
        found
            .into_iter()
            .map(|p| p.and_then(bitrate))
            .collect::<Vec<_>>()
    };
    let id = made.locator_id.to_string();
    assert_eq!(ask(&id), [Some(2), Some(3), None, None]);
    assert_eq!(ask("not an id"), [None; 4]);
}

#[test]
fn content_keys_are_random_sealed_and_gone_with_their_locator() {
    let catalog = Catalog::new();
    catalog.asset("film");
    encrypting(&catalog, "drm");
    let keys = |locator: &str| {
        block_on(locator_keys::list(
            &catalog.sql,
            &catalog.seal,
            &catalog.project,
            locator,
        ))
    };
    let mut values = Vec::new();
    for name in ["a", "b"] {
        put_locator(&catalog, name, &locator("film", "drm")).unwrap();
        let [key] = keys(name).unwrap().try_into().expect("one key");
        values.push(key.value.expose().to_vec());
    }
    assert_eq!(values[0].len(), locator_keys::KEY_BYTES);
    assert_ne!(values[0], values[1]);
    let stored = || {
        block_on(catalog.sql.query(
            "SELECT key_id, value_sealed FROM locator_keys ORDER BY locator_name",
            &[],
        ))
        .unwrap()
    };
    for row in stored().iter() {
        let sealed = row.blob("value_sealed").unwrap();
        let plain = |value: &Vec<u8>| sealed.windows(value.len()).any(|window| window == value);
        assert!(!values.iter().any(plain));
    }
    // A sealed key that is moved to another row does not open there.
    block_on(catalog.sql.query(
        "UPDATE locator_keys SET value_sealed =
             (SELECT value_sealed FROM locator_keys WHERE locator_name = 'b') WHERE locator_name = 'a'",
        &[],
    ))
    .unwrap();
    assert!(matches!(keys("a"), Err(CatalogError::Seal(_))));
    block_on(locators::delete(&catalog.sql, &catalog.project, "a")).unwrap();
    assert_eq!(stored().rows.len(), 1);
    block_on(assets::delete(&catalog.sql, &catalog.project, "film")).unwrap();
    assert!(stored().is_empty());
}

#[test]
fn published_means_playable_now() {
    let catalog = Catalog::new();
    let listed = || -> Vec<String> {
        block_on(publishing::published(
            &catalog.sql,
            &catalog.project,
            catalog.now(),
            &Listing::default(),
        ))
        .unwrap()
        .items
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
    assert_eq!(listed(), ["mine", "dropped"]);
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
    assert_eq!(listed(), ["unfinished", "mine", "dropped"]);
    assert!(!unfinished());
}

/// Pictures alone, or a transport stream, have none.
#[test]
fn what_a_job_finished_without_a_manifest_is_served() {
    let catalog = Catalog::new();
    catalog.job("a", Default::default());
    let pictures = locator("out-a", "Predefined_DownloadOnly");
    let (made, _) = put_locator(&catalog, "pictures", &pictures).unwrap();
    let unfinished = || {
        let id = made.locator_id.to_string();
        let found = publishing::published_locator(&catalog.sql, &catalog.seal, &id);
        block_on(found).unwrap().unwrap().unfinished
    };
    let claim = || {
        let claimed = queue::claim(&catalog.sql, &catalog.seal, "w", 30, catalog.moment());
        block_on(claimed).unwrap().unwrap()
    };
    let finish = |claimed: &queue::Claimed, ending: &queue::Ending| {
        let finished = queue::finish(
            &catalog.sql,
            claimed.job_id,
            &claimed.lease,
            ending,
            None,
            catalog.moment(),
        );
        block_on(finished).unwrap();
    };
    assert!(unfinished());
    finish(
        &claim(),
        &queue::Ending::Finished {
            manifests: vec![String::new()],
            encoded: vec![],
            failed: vec![],
        },
    );
    assert!(!unfinished());

    // What a failed job left is not.
    catalog.job("b", Default::default());
    let left = locator("out-b", "Predefined_DownloadOnly");
    let (made, _) = put_locator(&catalog, "left", &left).unwrap();
    finish(
        &claim(),
        &queue::Ending::Failed(JobFailure {
            code: JobErrorCode::ContentMalformed,
            message: "It is no film.".into(),
            details: vec![],
        }),
    );
    let id = made.locator_id.to_string();
    let found = publishing::published_locator(&catalog.sql, &catalog.seal, &id);
    assert!(block_on(found).unwrap().unwrap().unfinished);
}

#[test]
fn custom_policies_are_immutable_and_kept_while_used() {
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
    let unknown = json!({"defaultContentKeyPolicyName": "nobody", "envelopeEncryption": {}});
    let unknown = create("q", unknown).unwrap_err();
    assert!(
        matches!(unknown, CatalogError::Invalid { ref field, .. } if field == "properties.defaultContentKeyPolicyName")
    );
    // A refused policy leaves nothing behind that could be used.
    assert!(!block_on(policies::delete(&catalog.sql, &catalog.project, "q")).unwrap());

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

#[test]
fn the_origin_sees_the_tracks_added_to_a_locators_asset() {
    let catalog = Catalog::new();
    catalog.asset("film");
    catalog.asset("other");
    let clear = locator("film", "Predefined_ClearStreamingOnly");
    let (made, _) = put_locator(&catalog, "l", &clear).unwrap();
    let id = made.locator_id.to_string();
    let seen = || block_on(tracks::of_locator(&catalog.sql, &id)).unwrap();
    assert_eq!(seen(), []);
    let put = |asset: &str, name: &str, file: &str| {
        let new = tracks::NewTrack {
            kind: tracks::TrackKind::Text,
            file_name: file.into(),
            properties: json!({ "languageCode": "de" }).as_object().unwrap().clone(),
        };
        let put = tracks::put(
            &catalog.sql,
            &catalog.project,
            asset,
            name,
            &new,
            catalog.moment(),
        );
        block_on(put).unwrap().0
    };
    put("other", "a", "a.vtt");
    let (second, first) = (put("film", "a", "a.vtt"), put("film", "b", "b.ttml"));
    let mut expected = vec![second, first];
    expected.sort_by_key(|track| (track.created, track.name.clone()));
    assert_eq!(seen(), expected);
    let none = uuid::Uuid::nil().to_string();
    for nobody in [none.as_str(), "no id"] {
        let found = block_on(tracks::of_locator(&catalog.sql, nobody));
        assert_eq!(found.unwrap(), []);
    }
}
