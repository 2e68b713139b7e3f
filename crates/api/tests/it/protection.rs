//! Streaming policies that encrypt, and the keys of their locators.

use crate::support::{ARM, MKIO, World, locator};
use headwater_auth::Role;
use serde_json::{Value as Json, json};

const ID: &str = "60000000-0000-0000-0000-000000000001";
const OTHER_ID: &str = "60000000-0000-0000-0000-000000000002";
const VALUE: &str = "1UqLohAfWsEGkULYxHjYZg==";
const OTHER_VALUE: &str = "4UqLohAfWsEGkULYxHjYZg==";

/// A content key policy with an open option for each of these systems.
pub(crate) fn key_policy(systems: &[&str]) -> Json {
    let options: Vec<_> = systems
        .iter()
        .map(|system| {
            let mut configuration = json!({
                "@odata.type": format!("#Microsoft.Media.ContentKeyPolicy{system}Configuration"),
            });
            let more = match *system {
                "Widevine" => json!({"widevineTemplate": "{}"}),
                "FairPlay" => json!({
                    "ask": "MDEyMzQ1Njc4OTAxMjM0NQ==", "fairPlayPfx": "cGZ4", "fairPlayPfxPassword": "p",
                    "rentalAndLeaseKeyType": "Undefined", "rentalDuration": 0,
                }),
                "PlayReady" => json!({"licenses": [{
                    "allowTestDevices": true, "licenseType": "NonPersistent", "contentType": "Unspecified",
                    "contentKeyLocation": {
                        "@odata.type": "#Microsoft.Media.ContentKeyPolicyPlayReadyContentEncryptionKeyFromHeader",
                    },
                }]}),
                _ => json!({}),
            };
            for (name, value) in more.as_object().unwrap() {
                configuration[name] = value.clone();
            }
            json!({
                "name": system, "configuration": configuration,
                "restriction": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyOpenRestriction"},
            })
        })
        .collect();
    json!({"properties": {"options": options}})
}

/// An asset `film` with a file, and the content key policies `all` and `clear`.
pub(crate) fn world() -> World {
    let world = World::new();
    let asset = json!({"properties": {"container": "films"}});
    world.put(&format!("{ARM}/assets/film"), asset).expect(201);
    world.storage.put("films", "film.mp4");
    for (name, systems) in [
        (
            "all",
            &["ClearKey", "Widevine", "PlayReady", "FairPlay"][..],
        ),
        ("clear", &["ClearKey"]),
    ] {
        world
            .put(
                &format!("{ARM}/contentKeyPolicies/{name}"),
                key_policy(systems),
            )
            .expect(201);
    }
    world
}

/// A locator on `film`, with these properties besides.
pub(crate) fn protected(policy: &str, more: Json) -> Json {
    let mut body = locator("film", policy);
    for (name, value) in more.as_object().unwrap() {
        body["properties"][name] = value.clone();
    }
    body
}

pub(crate) fn keys(world: &World, base: &str, name: &str) -> Vec<Json> {
    let path = format!("{base}/streamingLocators/{name}/listContentKeys");
    let body = world.post(&path, Json::Null).expect(200).body;
    body["contentKeys"].as_array().unwrap().clone()
}

#[track_caller]
pub(crate) fn refused(got: crate::support::Got, field: &str, says: &str) {
    let body = got.expect(400).body;
    assert_eq!(body["error"]["target"], field, "{body}");
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains(says), "{message}");
}

pub(crate) fn enabled(protocols: &[&str]) -> Json {
    ["download", "dash", "hls", "smoothStreaming"]
        .iter()
        .map(|name| ((*name).to_owned(), Json::from(protocols.contains(name))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

pub(crate) fn four_cc(code: &str) -> Json {
    json!([{"trackSelections": [{"property": "FourCC", "operation": "Equal", "value": code}]}])
}

/// Everything that a custom policy can say.
fn custom() -> Json {
    json!({"properties": {
        "defaultContentKeyPolicyName": "all",
        "noEncryption": {"enabledProtocols": enabled(&["download"])},
        "envelopeEncryption": {
            "enabledProtocols": enabled(&["hls"]), "clearTracks": [],
            "contentKeys": {"defaultKey": {"label": "aes"}, "keyToTrackMappings": []},
            "customKeyAcquisitionUrlTemplate": "https://keys.example/{AlternativeMediaId}/{ContentKeyId}",
        },
        "commonEncryptionCenc": {
            "enabledProtocols": enabled(&["dash", "smoothStreaming"]), "clearTracks": four_cc("hev1"),
            "contentKeys": {
                "defaultKey": {"label": "video"},
                "keyToTrackMappings": [{"label": "audio", "policyName": "all", "tracks": four_cc("mp4a")}],
            },
            "drm": {
                "playReady": {"playReadyCustomAttributes": "a"},
                "widevine": {"customLicenseAcquisitionUrlTemplate": "https://drm.example/{ContentKeyId}"},
            },
            "clearKeyEncryptionConfiguration": {},
        },
        "commonEncryptionCbcs": {
            "enabledProtocols": enabled(&["hls"]), "clearTracks": [],
            "contentKeys": {"defaultKey": {"label": "cbcs"}, "keyToTrackMappings": []},
            "keyRotationInterval": "PT10M",
            "drm": {"fairPlay": {
                "allowPersistentLicense": true, "customLicenseAcquisitionUrlTemplate": "skd://drm.example/{ContentKeyId}",
            }},
        },
    }})
}

#[test]
fn policies_say_what_they_encrypt_and_never_change() {
    let world = world();
    for (base, again) in [(ARM, 201), (MKIO, 200)] {
        let path = format!("{base}/streamingPolicies/custom-{again}");
        let made = world.put(&path, custom()).expect(201).body;
        world.put(&path, custom()).expect(again);
        // What was read can be written back.
        world.put(&path, made.clone()).expect(again);
        let mut shown = made["properties"].clone();
        shown.as_object_mut().unwrap().remove("created");
        assert_eq!(shown, custom()["properties"]);
        assert_eq!(world.get(&path).expect(200).body, made);
        let mut other = custom();
        other["properties"]["commonEncryptionCbcs"] = Json::Null;
        world.put(&path, other).expect(409);
    }
    // What is left out is as AMS shows it.
    let least =
        json!({"properties": {"commonEncryptionCbcs": {"enabledProtocols": enabled(&["hls"])}}});
    let path = format!("{ARM}/streamingPolicies/least");
    let made = world.put(&path, least).expect(201).body;
    assert_eq!(
        made["properties"]["commonEncryptionCbcs"],
        json!({
            "enabledProtocols": enabled(&["hls"]), "clearTracks": [], "contentKeys": {"keyToTrackMappings": []},
        })
    );
    world.delete(&path).expect(200);
}

#[test]
fn policies_say_which_member_is_wrong() {
    let world = world();
    let path = format!("{ARM}/streamingPolicies/p");
    let cenc = "/properties/commonEncryptionCenc";
    for (pointer, value) in [
        ("/properties/envelopeEncryption/drm", json!({})),
        (&*format!("{cenc}/enabledProtocols"), Json::Null),
        (&*format!("{cenc}/enabledProtocols/dash"), Json::Null),
        (&*format!("{cenc}/enabledProtocols/download"), json!(true)),
        (&*format!("{cenc}/drm/fairPlay"), json!({})),
        (
            &*format!("{cenc}/drm/widevine/customLicenseAcquisitionUrlTemplate"),
            json!("javascript:alert(1)"),
        ),
        (
            &*format!("{cenc}/drm/playReady/playReadyCustomAttributes"),
            json!(""),
        ),
        (&*format!("{cenc}/contentKeys/defaultKey/label"), json!("")),
        (&*format!("{cenc}/contentKeys/defaultKey/tracks"), json!([])),
        (
            "/properties/commonEncryptionCbcs/drm/fairPlay/allowPersistentLicense",
            Json::Null,
        ),
        ("/properties/commonEncryptionCbcs/clearTracks", json!("all")),
        ("/properties/defaultContentKeyPolicyName", json!("nobody")),
        ("/properties/catalog", json!({})),
    ] {
        let mut body = custom();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[member] = value;
        let field = pointer.trim_start_matches('/').replace('/', ".");
        refused(world.put(&path, body), &field, "");
    }
    for (mapping, member) in [
        (
            json!({"label": "video", "tracks": four_cc("mp4a")}),
            "label",
        ),
        (json!({"label": "other"}), "tracks"),
        (
            json!({"tracks": [{"trackSelections": []}]}),
            "tracks[0].trackSelections",
        ),
        (
            json!({"tracks": four_cc("aac")}),
            "tracks[0].trackSelections[0].value",
        ),
        (
            json!({"tracks": [{"trackSelections": [{"property": "Unknown", "operation": "Equal", "value": "mp4a"}]}]}),
            "tracks[0].trackSelections[0].property",
        ),
    ] {
        let mut body = custom();
        body["properties"]["commonEncryptionCenc"]["contentKeys"]["keyToTrackMappings"] =
            json!([mapping]);
        let field = "properties.commonEncryptionCenc.contentKeys.keyToTrackMappings[0]";
        refused(world.put(&path, body), &format!("{field}.{member}"), "");
    }
    refused(
        world.put(&path, json!({"properties": {}})),
        "properties",
        "noEncryption",
    );
    let clear = json!({"properties": {
        "noEncryption": {"enabledProtocols": enabled(&["hls"])}, "defaultContentKeyPolicyName": "all",
    }});
    refused(
        world.put(&path, clear),
        "properties.defaultContentKeyPolicyName",
        "encrypt",
    );
    world.get(&path).expect(404);
}

#[test]
fn keys_rotate_by_whole_seconds_and_not_where_manifests_are_read_once() {
    let world = world();
    let rotating = |interval: Json, protocols: &[&str]| {
        json!({"properties": {"commonEncryptionCenc": {
            "enabledProtocols": enabled(protocols), "keyRotationInterval": interval,
        }}})
    };
    let field = "properties.commonEncryptionCenc.keyRotationInterval";
    let path = |name: &str| format!("{ARM}/streamingPolicies/{name}");
    for bad in [
        "",
        "10",
        "P",
        "PT0S",
        "PT29S",
        "PT29.9S",
        "PT30.5S",
        "PT30.0004S",
        "-PT1M",
        "P7DT1S",
        "P1Y",
        "PT1M ",
    ] {
        refused(
            world.put(&path("p"), rotating(json!(bad), &["dash"])),
            field,
            "PT30S",
        );
    }
    refused(
        world.put(&path("p"), rotating(json!(600), &["dash"])),
        field,
        "",
    );
    let smooth = rotating(json!("PT10M"), &["dash", "smoothStreaming"]);
    refused(world.put(&path("p"), smooth), field, "smoothStreaming");
    world.get(&path("p")).expect(404);
    for (at, (said, shown)) in [("PT30S", "PT30S"), ("PT600S", "PT10M"), ("P7D", "PT168H")]
        .into_iter()
        .enumerate()
    {
        let made = world.put(
            &path(&format!("p{at}")),
            rotating(json!(said), &["dash", "hls"]),
        );
        let made = made.expect(201).body;
        let scheme = &made["properties"]["commonEncryptionCenc"];
        assert_eq!(scheme["keyRotationInterval"], shown);
        let mkio = world
            .get(&format!("{MKIO}/streamingPolicies/p{at}"))
            .expect(200)
            .body;
        assert_eq!(
            mkio["properties"]["commonEncryptionCenc"]["keyRotationInterval"],
            shown
        );
        // What was read can be written back.
        world.put(&path(&format!("p{at}")), made).expect(201);
    }
}

#[test]
fn predefined_policies_make_their_keys_and_need_their_systems() {
    let world = world();
    for (policy, types) in [
        (
            "Predefined_ClearKey",
            &["EnvelopeEncryption ContentKey_AES"][..],
        ),
        (
            "Predefined_MultiDrmCencStreaming",
            &["CommonEncryptionCenc ContentKey_CENC"],
        ),
        (
            "Predefined_MultiDrmStreaming",
            &[
                "CommonEncryptionCenc ContentKey_CENC",
                "CommonEncryptionCbcs ContentKey_CBCS",
            ],
        ),
    ] {
        let path = format!("{ARM}/streamingLocators/{policy}");
        let field = "properties.defaultContentKeyPolicyName";
        refused(world.put(&path, locator("film", policy)), field, "required");
        let missing = protected(policy, json!({"defaultContentKeyPolicyName": "nobody"}));
        refused(world.put(&path, missing), field, "'nobody' not found");
        let body = protected(policy, json!({"defaultContentKeyPolicyName": "all"}));
        let made = world.put(&path, body.clone()).expect(201).body;
        assert_eq!(made["properties"]["defaultContentKeyPolicyName"], "all");
        assert_eq!(made["properties"]["contentKeys"], json!([]));
        let made = keys(&world, ARM, policy);
        let shown: Vec<_> = made
            .iter()
            .map(|key| {
                format!(
                    "{} {}",
                    key["type"].as_str().unwrap(),
                    key["labelReferenceInStreamingPolicy"].as_str().unwrap()
                )
            })
            .collect();
        assert_eq!(shown, types);
        for key in &made {
            assert_eq!(
                (&key["policyName"], &key["tracks"]),
                (&json!("all"), &json!([]))
            );
            assert_eq!(key["value"].as_str().unwrap().len(), 24);
        }
        // The same again, on either surface: the same keys.
        world.put(&path, body.clone()).expect(201);
        world
            .put(&format!("{MKIO}/streamingLocators/{policy}"), body)
            .expect(200);
        assert_eq!(keys(&world, MKIO, policy), made);
    }
    let two = keys(&world, ARM, "Predefined_MultiDrmStreaming");
    assert!(two[0]["id"] != two[1]["id"] && two[0]["value"] != two[1]["value"]);
    let lacking = |policy: &str| {
        let body = protected(policy, json!({"defaultContentKeyPolicyName": "clear"}));
        world.put(&format!("{ARM}/streamingLocators/lacking"), body)
    };
    let field = "properties.defaultContentKeyPolicyName";
    refused(
        lacking("Predefined_MultiDrmCencStreaming"),
        field,
        "has no PlayReady option",
    );
    refused(
        lacking("Predefined_MultiDrmStreaming"),
        field,
        "has no PlayReady option",
    );
    let no_fair_play = format!("{ARM}/contentKeyPolicies/clear");
    world
        .put(&no_fair_play, key_policy(&["Widevine", "PlayReady"]))
        .expect(200);
    refused(
        lacking("Predefined_MultiDrmStreaming"),
        field,
        "has no FairPlay option",
    );

    let path = format!("{ARM}/streamingLocators/Predefined_ClearKey/listContentKeys");
    world.as_role(Role::Operator, "POST", &path, "").expect(200);
    world.as_role(Role::Viewer, "POST", &path, "").expect(403);
    let summary = world
        .post(
            &format!("{ARM}/assets/film/listStreamingLocators"),
            Json::Null,
        )
        .expect(200)
        .body;
    assert_eq!(
        summary["streamingLocators"][0]["defaultContentKeyPolicyName"],
        "all"
    );
}

#[test]
fn keys_that_are_brought_along_are_kept() {
    let world = world();
    world
        .put(&format!("{ARM}/streamingPolicies/custom"), custom())
        .expect(201);
    let key = |id: &str, value: &str, label: &str| json!({"id": id, "value": value, "labelReferenceInStreamingPolicy": label});
    let body = protected(
        "custom",
        json!({"contentKeys": [key(ID, VALUE, "cbcs"), key(OTHER_ID, OTHER_VALUE, "audio")]}),
    );
    let path = format!("{ARM}/streamingLocators/l");
    let made = world.put(&path, body.clone()).expect(201).body;
    // A plain answer shows what was chosen, and no value.
    let shown = &made["properties"]["contentKeys"];
    assert_eq!(
        *shown,
        json!([
            {
                "id": OTHER_ID, "type": "CommonEncryptionCenc", "labelReferenceInStreamingPolicy": "audio",
                "policyName": "all", "tracks": four_cc("mp4a"),
            },
            {
                "id": ID, "type": "CommonEncryptionCbcs", "labelReferenceInStreamingPolicy": "cbcs",
                "policyName": "all", "tracks": [],
            },
        ])
    );
    for text in [
        world.get(&path).body,
        world.get(&format!("{MKIO}/streamingLocators")).body,
    ] {
        assert!(!text.to_string().contains(VALUE));
    }
    let all = keys(&world, ARM, "l");
    let labels: Vec<_> = all
        .iter()
        .map(|key| key["labelReferenceInStreamingPolicy"].as_str().unwrap())
        .collect();
    assert_eq!(
        labels,
        ["aes", "video", "audio", "cbcs"],
        "the rest was made"
    );
    assert_eq!(
        (&all[2]["value"], &all[3]["value"]),
        (&json!(OTHER_VALUE), &json!(VALUE))
    );

    // The same again, also as it was read; anything else is another locator.
    assert_eq!(world.put(&path, body.clone()).expect(201).body, made);
    assert_eq!(world.put(&path, made.clone()).expect(201).body, made);
    assert_eq!(keys(&world, ARM, "l"), all);
    let change = |at: usize, member: &str, value: Json| {
        let mut other = body.clone();
        other["properties"]["contentKeys"][at][member] = value;
        other
    };
    world
        .put(&path, change(0, "value", json!(OTHER_VALUE)))
        .expect(409);
    world
        .put(
            &path,
            change(0, "id", json!("60000000-0000-0000-0000-000000000003")),
        )
        .expect(409);
    world.put(&path, protected("custom", json!({}))).expect(409);

    // A migration: the exported keys under the exported name and id.
    let exported =
        json!({"contentKeys": all, "streamingLocatorId": made["properties"]["streamingLocatorId"]});
    world.delete(&path).expect(200);
    let moved = world
        .put(
            &format!("{MKIO}/streamingLocators/l"),
            protected("custom", exported),
        )
        .expect(201)
        .body;
    assert_eq!(
        moved["properties"]["streamingLocatorId"],
        made["properties"]["streamingLocatorId"]
    );
    assert_eq!(keys(&world, ARM, "l"), all);

    // Locators share a key by its id, which never stands for another.
    let second = format!("{ARM}/streamingLocators/second");
    let shared = |value: Json| {
        let key = json!([{"id": ID, "value": value, "labelReferenceInStreamingPolicy": "video"}]);
        protected("custom", json!({"contentKeys": key}))
    };
    let refusal = world
        .put(&second, shared(json!(OTHER_VALUE)))
        .expect(409)
        .body;
    assert!(refusal["error"]["message"].as_str().unwrap().contains(ID));
    world.get(&second).expect(404);
    world.put(&second, shared(Json::Null)).expect(201);
    assert_eq!(keys(&world, ARM, "second")[1]["value"], VALUE);
}

#[test]
fn replacing_a_locator_keeps_the_keys_that_stay() {
    let world = world();
    world
        .put(&format!("{ARM}/streamingPolicies/custom"), custom())
        .expect(201);
    let path = format!("{MKIO}/streamingLocators/l");
    world.put(&path, protected("custom", json!({}))).expect(201);
    let before = keys(&world, MKIO, "l");
    let hidden = json!({"suppressed": true, "contentId": "c-1"});
    let replaced = world
        .put(&path, protected("custom", hidden))
        .expect(200)
        .body;
    assert_eq!(
        (
            &replaced["properties"]["suppressed"],
            &replaced["properties"]["contentId"]
        ),
        (&json!(true), &json!("c-1"))
    );
    assert_eq!(keys(&world, MKIO, "l"), before);
    let other = protected(
        "Predefined_ClearKey",
        json!({"defaultContentKeyPolicyName": "all"}),
    );
    world.put(&path, other).expect(200);
    let after = keys(&world, MKIO, "l");
    assert_eq!((after.len(), after[0]["id"] != before[0]["id"]), (1, true));
    world
        .put(&path, locator("film", "Predefined_ClearStreamingOnly"))
        .expect(200);
    assert_eq!(keys(&world, MKIO, "l"), [] as [Json; 0]);
}

#[test]
fn keys_that_have_no_place_are_refused() {
    let world = world();
    world
        .put(&format!("{ARM}/streamingPolicies/custom"), custom())
        .expect(201);
    let path = format!("{ARM}/streamingLocators/l");
    let label = "labelReferenceInStreamingPolicy";
    let field = |at: usize, member: &str| format!("properties.contentKeys[{at}].{member}");
    for (given, field, says) in [
        (json!([{}]), field(0, "id"), "required"),
        (json!([{"id": "x"}]), field(0, "id"), "UUID"),
        (
            json!([{"id": ID, "value": "AAAA", label: "aes"}]),
            field(0, "value"),
            "16 bytes",
        ),
        (
            json!([{"id": ID, "value": "?", label: "aes"}]),
            field(0, "value"),
            "base64",
        ),
        (
            json!([{"id": ID, "type": "Cenc", label: "aes"}]),
            field(0, "type"),
            "EnvelopeEncryption",
        ),
        (
            json!([{"id": ID, label: "nothing"}]),
            field(0, label),
            "aes (EnvelopeEncryption)",
        ),
        (
            json!([{"id": ID, "type": "CommonEncryptionCenc", label: "aes"}]),
            field(0, label),
            "no such key",
        ),
        (json!([{"id": ID}]), field(0, label), "which key"),
        (
            json!([{"id": ID, label: "aes"}, {"id": OTHER_ID, label: "aes"}]),
            field(1, label),
            "which key",
        ),
        (
            json!([{"id": ID, label: "aes", "policyName": "nobody"}]),
            field(0, "policyName"),
            "'nobody' not found",
        ),
        (
            json!([{"id": ID, label: "aes", "tracks": four_cc("mp4a")}]),
            field(0, "tracks"),
            "streaming policy",
        ),
        (
            json!([{"id": ID, label: "aes", "secret": 1}]),
            field(0, "secret"),
            "known",
        ),
        (json!("x"), "properties.contentKeys".into(), "array"),
    ] {
        let body = protected("custom", json!({"contentKeys": given}));
        refused(world.put(&path, body), &field, says);
    }
    for (member, value) in [
        ("contentKeys", json!([{"id": ID, "value": VALUE}])),
        ("defaultContentKeyPolicyName", json!("all")),
    ] {
        let body = protected("Predefined_ClearStreamingOnly", json!({member: value}));
        refused(
            world.put(&path, body),
            &format!("properties.{member}"),
            "does not encrypt",
        );
    }
    world.get(&path).expect(404);
    // Without a label, the type alone says which default key is meant.
    let typed = json!([{"id": ID, "value": VALUE, "type": "CommonEncryptionCbcs"}]);
    world
        .put(&path, protected("custom", json!({"contentKeys": typed})))
        .expect(201);
    assert_eq!(keys(&world, ARM, "l")[3]["value"], VALUE);
}

#[test]
fn what_a_locator_uses_stays() {
    let world = world();
    let path = format!("{ARM}/streamingLocators/l");
    let drm = protected(
        "Predefined_ClearKey",
        json!({"defaultContentKeyPolicyName": "clear"}),
    );
    world.put(&path, drm).expect(201);
    let policy = format!("{ARM}/contentKeyPolicies/clear");
    let refusal = world.delete(&policy).expect(409).body;
    assert!(
        refusal["error"]["message"]
            .as_str()
            .unwrap()
            .contains("streaming locator 'l'")
    );
    world.delete(&path).expect(200);
    world.delete(&policy).expect(200);

    let filters =
        |names: Json| protected("Predefined_ClearStreamingOnly", json!({"filters": names}));
    refused(
        world.put(&path, filters(json!(["a"]))),
        "properties.filters[0]",
        "Filter 'a' not found",
    );
    let account = format!("{ARM}/accountFilters/a");
    let asset = format!("{ARM}/assets/film/assetFilters/a");
    let other = format!("{ARM}/assets/film/assetFilters/b");
    let filter = json!({"properties": {"firstQuality": {"bitrate": 1}}});
    for path in [&account, &other] {
        world.put(path, filter.clone()).expect(201);
    }
    for (names, field) in [
        (json!(["a", "b", "a"]), "properties.filters[2]"),
        (json!(["a", "b", "c"]), "properties.filters[2]"),
        (json!(vec!["a"; 11]), "properties.filters"),
        (json!([1]), "properties.filters[0]"),
    ] {
        refused(world.put(&path, filters(names)), field, "");
    }
    let made = world
        .put(&path, filters(json!(["b", "a"])))
        .expect(201)
        .body;
    assert_eq!(made["properties"]["filters"], json!(["b", "a"]));
    world.put(&path, filters(json!(["b", "a"]))).expect(201);
    world.put(&path, filters(json!(["a", "b"]))).expect(409);
    for path in [&account, &other] {
        let refusal = world.delete(path).expect(409).body;
        assert!(
            refusal["error"]["message"]
                .as_str()
                .unwrap()
                .contains("streaming locator 'l'")
        );
    }
    // The asset's own filter stands in for the account's.
    world.put(&asset, filter).expect(201);
    world.delete(&account).expect(200);
    world.delete(&asset).expect(409);
    world.delete(&path).expect(200);
    for path in [&asset, &other] {
        world.delete(path).expect(200);
    }
}

#[test]
fn paths_are_listed_by_scheme_with_where_keys_and_licences_are() {
    let world = world();
    world
        .put(&format!("{ARM}/streamingPolicies/custom"), custom())
        .expect(201);
    let body = protected("custom", json!({"alternativeMediaId": "film 1"}));
    let made = world
        .put(&format!("{ARM}/streamingLocators/l"), body)
        .expect(201)
        .body;
    let id = made["properties"]["streamingLocatorId"].as_str().unwrap();
    let keys = keys(&world, ARM, "l");
    let key = |at: usize| keys[at]["id"].as_str().unwrap();
    let own = |path: &str| format!("{}/keys/{path}", world.settings.public_url);
    for base in [ARM, MKIO] {
        let paths = world
            .post(&format!("{base}/streamingLocators/l/listPaths"), Json::Null)
            .expect(200)
            .body;
        let path = |protocol: &str, scheme: &str, formats: &[&str], encryption: &str| {
            let path = |format: &&str| {
                format!("/{id}/film.ism/manifest(format={format},encryption={encryption})")
            };
            json!({
                "streamingProtocol": protocol, "encryptionScheme": scheme,
                "paths": formats.iter().map(path).collect::<Vec<_>>(),
            })
        };
        let (hls, dash) = (
            ["m3u8-cmaf", "m3u8-aapl"],
            ["mpd-time-cmaf", "mpd-time-csf"],
        );
        assert_eq!(
            paths,
            json!({
                "streamingPaths": [
                    path("Hls", "EnvelopeEncryption", &hls, "cbc"),
                    path("Dash", "CommonEncryptionCenc", &dash, "cenc"),
                    json!({
                        "streamingProtocol": "SmoothStreaming", "encryptionScheme": "CommonEncryptionCenc",
                        "paths": [format!("/{id}/film.ism/manifest(encryption=cenc)")],
                    }),
                    path("Hls", "CommonEncryptionCbcs", &hls, "cbcs-aapl"),
                ],
                "downloadPaths": [format!("/{id}/film.mp4")],
                "drm": {
                    // For samples; whole segments' key is where their playlist says.
                    "clearKey": {"licenseAcquisitionUrl": own("ClearKey")},
                    "playReady": {"licenseAcquisitionUrl": own("PlayReady/")},
                    "widevine": {"licenseAcquisitionUrl": format!("https://drm.example/{}", key(1))},
                    "fairPlay": {"licenseAcquisitionUrl": format!("skd://drm.example/{}", key(3))},
                },
            })
        );
    }
    for (policy, expected) in [
        (
            "Predefined_MultiDrmStreaming",
            &[
                "fairPlay FairPlay/?kid=1",
                "playReady PlayReady/",
                "widevine Widevine/?kid=0",
            ][..],
        ),
        ("Predefined_ClearKey", &["clearKey ?kid=0"]),
    ] {
        let more = json!({"defaultContentKeyPolicyName": "all"});
        let path = format!("{ARM}/streamingLocators/{policy}");
        world.put(&path, protected(policy, more)).expect(201);
        let ids: Vec<String> = self::keys(&world, ARM, policy)
            .iter()
            .map(|key| key["id"].as_str().unwrap().to_owned())
            .collect();
        let paths = world
            .post(&format!("{path}/listPaths"), Json::Null)
            .expect(200)
            .body;
        let expected: serde_json::Map<_, _> = expected
            .iter()
            .map(|line| {
                let (system, path) = line.split_once(' ').unwrap();
                let path = match path.rsplit_once('=') {
                    Some((path, at)) => format!("{path}={}", ids[at.parse::<usize>().unwrap()]),
                    None => path.to_owned(),
                };
                (
                    system.to_owned(),
                    json!({"licenseAcquisitionUrl": own(&path)}),
                )
            })
            .collect();
        assert_eq!(paths["drm"], Json::from(expected), "{policy}");
    }
    // What is protected or filtered is in no list of what anybody can watch.
    let published = world
        .get("/api/v1/projects/default/media/published")
        .expect(200)
        .body;
    assert_eq!(published["value"], json!([]));
}

#[test]
fn upload_rules_take_policies_that_need_no_word_about_keys() {
    let world = world();
    world
        .put(&format!("{ARM}/streamingPolicies/custom"), custom())
        .expect(201);
    let transform = crate::support::transform("AdaptiveStreaming");
    world
        .put(&format!("{ARM}/transforms/t"), transform)
        .expect(201);
    let rule = |policy: &str| {
        let body = json!({"properties": {
            "storageAccountName": "local", "container": "uploads", "suffixes": [".mp4"], "transformName": "t",
            "streamingPolicyName": policy,
        }});
        world.put(&format!("{MKIO}/uploadRules/r"), body)
    };
    let refusal = rule("Predefined_ClearKey").expect(400).body;
    assert_eq!(
        refusal["error"]["extraDetail"]["field"],
        "properties.streamingPolicyName"
    );
    rule("custom").expect(201);
}
