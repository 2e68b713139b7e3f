//! Filters, content key policies and streaming endpoints on the surfaces.

use crate::support::{ARM, MKIO, OLDER, World};
use headwater_auth::Role;
use serde_json::{Value as Json, json};

fn filter() -> Json {
    json!({"properties": {
        "presentationTimeRange": {"startTimestamp": 0, "endTimestamp": 170_000_000, "timescale": 10_000_000},
        "firstQuality": {"bitrate": 128_000},
        "tracks": [{"trackSelections": [
            {"property": "Type", "operation": "Equal", "value": "Audio"},
            {"property": "Bitrate", "operation": "NotEqual", "value": "0-1500000"},
        ]}],
    }})
}

#[test]
fn filters_of_accounts_and_assets_are_apart() {
    let world = World::new();
    world
        .put(&format!("{ARM}/assets/film"), json!({}))
        .expect(201);
    let account = format!("{ARM}/accountFilters/f");
    let asset = format!("{ARM}/assets/film/assetFilters/f");
    let made = world.put(&account, filter()).expect(201).body;
    assert_eq!(made["type"], "Microsoft.Media/mediaservices/accountFilters");
    assert_eq!(made["properties"], filter()["properties"]);
    world.put(&account, filter()).expect(200);
    world.get(&asset).expect(404);
    world.put(&asset, json!({"properties": {}})).expect(201);
    assert_eq!(world.get(&asset).expect(200).body["properties"], json!({}));

    // PATCH replaces what it names and leaves the rest.
    let change = json!({"properties": {"firstQuality": {"bitrate": 1}}});
    let changed = world.patch(&account, change).expect(200).body;
    assert_eq!(changed["properties"]["firstQuality"]["bitrate"], 1);
    assert_eq!(
        changed["properties"]["tracks"],
        filter()["properties"]["tracks"]
    );

    // MK.IO's two spellings.
    for path in [
        format!("{MKIO}/assets/film/filters/f"),
        format!("{MKIO}/assets/film/assetFilters/f"),
        format!("{OLDER}/assets/film/filters/f"),
    ] {
        assert_eq!(world.get(&path).expect(200).body["name"], "f", "{path}");
    }
    let listed = world
        .get(&format!("{MKIO}/accountFilters"))
        .expect(200)
        .body;
    assert_eq!(listed["supplemental"]["pagination"]["total"], 1);

    world.delete(&account).expect(200);
    world.delete(&account).expect(204);
    world
        .get(&format!("{ARM}/assets/none/assetFilters"))
        .expect(404);
    world
        .put(&format!("{ARM}/assets/none/assetFilters/f"), filter())
        .expect(404);
    // They go with their asset.
    world.delete(&format!("{ARM}/assets/film")).expect(200);
    world
        .put(&format!("{ARM}/assets/film"), json!({}))
        .expect(201);
    world.get(&asset).expect(404);
}

#[test]
fn filters_say_which_member_is_wrong() {
    let world = World::new();
    let path = format!("{ARM}/accountFilters/f");
    let range = |range: Json| json!({"properties": {"presentationTimeRange": range}});
    let select = |property: &str, operation: &str, value: Json| {
        json!({"properties": {"tracks": [{"trackSelections": [
            {"property": property, "operation": operation, "value": value}]}]}})
    };
    let at = |member: &str| format!("properties.tracks[0].trackSelections[0].{member}");
    let in_range = |member: &str| format!("properties.presentationTimeRange.{member}");
    for (body, field) in [
        (range(json!({"timescale": 0})), in_range("timescale")),
        (
            range(json!({"startTimestamp": -1})),
            in_range("startTimestamp"),
        ),
        (
            range(json!({"startTimestamp": 1.5})),
            in_range("startTimestamp"),
        ),
        (
            range(json!({"startTimestamp": 5, "endTimestamp": 5})),
            in_range("endTimestamp"),
        ),
        (
            range(json!({"presentationWindowDuration": 599_999_999})),
            in_range("presentationWindowDuration"),
        ),
        (
            range(json!({"liveBackoffDuration": 301, "timescale": 1})),
            in_range("liveBackoffDuration"),
        ),
        (
            range(json!({"forceEndTimestamp": true})),
            in_range("forceEndTimestamp"),
        ),
        (
            range(json!({"forceEndTimestamp": true, "endTimestamp": i64::MAX})),
            in_range("forceEndTimestamp"),
        ),
        (range(json!({"stop": 1})), in_range("stop")),
        (
            json!({"properties": {"firstQuality": {}}}),
            "properties.firstQuality.bitrate".into(),
        ),
        (select("Size", "Equal", json!("1")), at("property")),
        (select("Unknown", "Equal", json!("1")), at("property")),
        (select("Type", "Like", json!("Audio")), at("operation")),
        (select("Type", "Equal", json!("Smell")), at("value")),
        (select("Bitrate", "Equal", json!("9-1")), at("value")),
        (select("Name", "Equal", json!(7)), at("value")),
        (
            json!({"properties": {"tracks": [{}]}}),
            "properties.tracks[0].trackSelections".into(),
        ),
    ] {
        let refusal = world.put(&path, body.clone()).expect(400).body;
        assert_eq!(refusal["error"]["target"], field, "{body}");
    }
    let name = world.put(&format!("{ARM}/accountFilters/a%20b"), filter());
    assert_eq!(name.expect(400).body["error"]["target"], "name");
    world.get(&path).expect(404);
}

#[test]
fn numbers_that_are_not_set_come_back_as_media_services_wrote_them() {
    let world = World::new();
    let path = format!("{ARM}/accountFilters/f");
    let put = |range: Json| {
        let body = json!({"properties": {"presentationTimeRange": range}});
        world.put(&path, body).expect(200).body["properties"]["presentationTimeRange"].clone()
    };
    world.put(&path, json!({})).expect(201);
    // Microsoft's own sample, as JavaScript writes it.
    let sample = json!({
        "startTimestamp": 0, "endTimestamp": 170_000_000, "presentationWindowDuration": 9_223_372_036_854_776_000_u64,
        "liveBackoffDuration": 0, "timescale": 10_000_000, "forceEndTimestamp": false,
    });
    let mut kept = sample.clone();
    kept["presentationWindowDuration"] = i64::MAX.into();
    assert_eq!(put(sample), kept);
    assert_eq!(put(kept.clone()), kept);
    // None of them counts as a number: not the end before the start, not the delay of more than 300 seconds.
    for unset in [
        json!(i64::MAX),
        json!(u64::MAX),
        json!(9_223_372_036_854_775_807.0),
        json!(1e20),
    ] {
        let all = |value: &Json| {
            json!({
                "startTimestamp": value, "endTimestamp": value, "presentationWindowDuration": value,
                "liveBackoffDuration": value, "timescale": value,
            })
        };
        assert_eq!(put(all(&unset)), all(&json!(i64::MAX)), "{unset}");
        let start = json!({"startTimestamp": unset, "endTimestamp": 5});
        assert_eq!(put(start)["endTimestamp"], 5, "{unset}");
    }
}

fn token_restriction(key: &str) -> Json {
    json!({
        "@odata.type": "#Microsoft.Media.ContentKeyPolicyTokenRestriction",
        "issuer": "https://issuer", "audience": "players", "restrictionTokenType": "Jwt",
        "primaryVerificationKey": {
            "@odata.type": "#Microsoft.Media.ContentKeyPolicySymmetricTokenKey", "keyValue": key,
        },
        "requiredClaims": [{"claimType": "urn:microsoft:azure:mediaservices:contentkeyidentifier"}],
    })
}

const KEY: &str = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA==";

fn key_policy() -> Json {
    json!({"properties": {"description": "d", "options": [
        {
            "name": "clear",
            "configuration": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration"},
            "restriction": token_restriction(KEY),
        },
        {
            "name": "widevine",
            "configuration": {
                "@odata.type": "#Microsoft.Media.ContentKeyPolicyWidevineConfiguration", "widevineTemplate": "{}",
            },
            "restriction": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyOpenRestriction"},
        },
        {
            "name": "fairplay",
            "configuration": {
                "@odata.type": "#Microsoft.Media.ContentKeyPolicyFairPlayConfiguration",
                "ask": "MDEyMzQ1Njc4OTAxMjM0NQ==", "fairPlayPfx": "cGZ4", "fairPlayPfxPassword": "hunter2",
                "rentalAndLeaseKeyType": "PersistentUnlimited", "rentalDuration": 0,
            },
            "restriction": token_restriction(KEY),
        },
    ]}})
}

#[test]
fn secrets_of_key_policies_are_shown_to_those_who_ask_for_them() {
    let world = World::new();
    let path = format!("{ARM}/contentKeyPolicies/p");
    let made = world.put(&path, key_policy()).expect(201).body;
    let shown = world.get(&path).expect(200).body;
    assert_eq!(made, shown);
    let listed = world.get(&format!("{MKIO}/contentKeyPolicies")).expect(200);
    for text in [shown.to_string(), listed.body.to_string()] {
        assert!(!text.contains(KEY) && !text.contains("hunter2") && !text.contains("cGZ4"));
        assert!(!text.contains("MDEyMzQ1"));
    }
    let options = &shown["properties"]["options"];
    assert_eq!(
        options[0]["restriction"]["primaryVerificationKey"]["keyValue"],
        Json::Null
    );
    assert_eq!(options[1]["configuration"]["widevineTemplate"], "{}");

    let secrets = format!("{path}/getPolicyPropertiesWithSecrets");
    // AMS: the properties alone; MK.IO: the resource.
    let flat = world.post(&secrets, json!({})).expect(200).body;
    let key = &flat["options"][0]["restriction"]["primaryVerificationKey"]["keyValue"];
    assert_eq!(key, KEY);
    assert_eq!(flat["policyId"], shown["properties"]["policyId"]);
    let mkio = format!("{MKIO}/contentKeyPolicies/p/getPolicyPropertiesWithSecrets");
    let whole = world.post(&mkio, json!({})).expect(200).body;
    assert_eq!(whole["properties"], flat);
    let password = &whole["properties"]["options"][2]["configuration"]["fairPlayPfxPassword"];
    assert_eq!(password, "hunter2");
    world.as_role(Role::Viewer, "GET", &path, "").expect(200);
    world
        .as_role(Role::Viewer, "POST", &secrets, "{}")
        .expect(403);

    // What stays keeps its ids.
    world.wait(1);
    let again = world.put(&path, key_policy()).expect(200).body;
    assert_eq!(again["properties"]["policyId"], flat["policyId"]);
    assert_eq!(again["properties"]["options"], *options);
    let renamed = json!({"properties": {"description": "other"}});
    let patched = world.patch(&path, renamed).expect(200).body;
    assert_eq!(patched["properties"]["description"], "other");
    assert_eq!(patched["properties"]["options"], *options);
    let kept = world.post(&secrets, json!({})).expect(200).body;
    assert_eq!(kept["options"], flat["options"]);

    let found = world
        .get(&format!(
            "{ARM}/contentKeyPolicies?$filter=properties/policyId%20eq%20'{}'",
            flat["policyId"].as_str().unwrap()
        ))
        .expect(200);
    assert_eq!(found.body["value"].as_array().unwrap().len(), 1);
    let state = world.get(&format!("{MKIO}/contentKeyPolicies/p/state"));
    assert_eq!(state.expect(200).body["status"]["state"], "Created");
    let stats = world.get(&format!("{MKIO}/stats")).expect(200).body;
    assert_eq!(stats["contentKeyPolicies"]["total"], 1);
    world.delete(&path).expect(200);
    world.delete(&path).expect(204);
}

#[test]
fn key_policies_say_which_member_is_wrong() {
    let world = World::new();
    let path = format!("{ARM}/contentKeyPolicies/p");
    let with = |pointer: &str, value: Json| {
        let mut policy = key_policy();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        let parent = policy.pointer_mut(parent).unwrap();
        match parent {
            Json::Object(members) => members.insert(member.into(), value),
            _ => panic!("{pointer}"),
        };
        policy
    };
    let option = "/properties/options/0";
    for (pointer, value, field) in [
        ("/properties/options", json!([]), "properties.options"),
        ("/properties/options", json!(null), "properties.options"),
        (
            &format!("{option}/configuration/@odata.type"),
            json!("#Microsoft.Media.ContentKeyPolicyUnknownConfiguration"),
            "properties.options[0].configuration.@odata.type",
        ),
        (
            &format!("{option}/configuration/keyValue"),
            json!("x"),
            "properties.options[0].configuration.keyValue",
        ),
        (
            &format!("{option}/restriction"),
            json!(null),
            "properties.options[0].restriction",
        ),
        (
            &format!("{option}/restriction/restrictionTokenType"),
            json!("Saml"),
            "properties.options[0].restriction.restrictionTokenType",
        ),
        (
            &format!("{option}/restriction/primaryVerificationKey"),
            json!(null),
            "properties.options[0].restriction.primaryVerificationKey",
        ),
        (
            &format!("{option}/restriction/primaryVerificationKey/keyValue"),
            json!(""),
            "properties.options[0].restriction.primaryVerificationKey.keyValue",
        ),
        (
            &format!("{option}/restriction/primaryVerificationKey/keyValue"),
            json!("not base64"),
            "properties.options[0].restriction.primaryVerificationKey.keyValue",
        ),
        (
            // One byte less than key delivery takes.
            &format!("{option}/restriction/primaryVerificationKey/keyValue"),
            json!("c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlYw=="),
            "properties.options[0].restriction.primaryVerificationKey.keyValue",
        ),
        (
            &format!("{option}/restriction/alternateVerificationKeys"),
            json!([{"@odata.type": "#Microsoft.Media.ContentKeyPolicySymmetricTokenKey", "keyValue": "c2hvcnQ="}]),
            "properties.options[0].restriction.alternateVerificationKeys[0].keyValue",
        ),
        (
            &format!("{option}/restriction/openIdConnectDiscoveryDocument"),
            json!("file:///etc/passwd"),
            "properties.options[0].restriction.openIdConnectDiscoveryDocument",
        ),
        (
            "/properties/options/1/configuration/widevineTemplate",
            json!("[]"),
            "properties.options[1].configuration.widevineTemplate",
        ),
        (
            "/properties/options/2/configuration/ask",
            json!("AAAA"),
            "properties.options[2].configuration.ask",
        ),
        (
            "/properties/options/2/configuration/rentalDuration",
            json!("1"),
            "properties.options[2].configuration.rentalDuration",
        ),
    ] {
        let refusal = world.put(&path, with(pointer, value)).expect(400).body;
        assert_eq!(refusal["error"]["target"], field, "{refusal}");
    }
    world.get(&path).expect(404);
}

#[test]
fn playready_licences_are_read_field_by_field() {
    let world = World::new();
    let path = format!("{ARM}/contentKeyPolicies/p");
    let license = json!({
        "allowTestDevices": true, "securityLevel": "SL2000", "licenseType": "Persistent",
        "contentType": "UltraVioletStreaming", "beginDate": "2026-01-01T00:00:00Z", "gracePeriod": "PT1H",
        "contentKeyLocation": {
            "@odata.type": "#Microsoft.Media.ContentKeyPolicyPlayReadyContentEncryptionKeyFromKeyIdentifier",
            "keyId": "11111111-2222-3333-4444-555555555555",
        },
        "playRight": {
            "digitalVideoOnlyContentRestriction": false,
            "imageConstraintForAnalogComponentVideoRestriction": true,
            "imageConstraintForAnalogComputerMonitorRestriction": false,
            "allowPassingVideoContentToUnknownOutput": "NotAllowed", "scmsRestriction": 2,
            "explicitAnalogTelevisionOutputRestriction": {"bestEffort": true, "configurationData": 1},
            "uncompressedDigitalVideoOpl": 300,
        },
    });
    let policy = |license: &Json| {
        json!({"properties": {"options": [{
            "configuration": {
                "@odata.type": "#Microsoft.Media.ContentKeyPolicyPlayReadyConfiguration", "licenses": [license],
            },
            "restriction": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyOpenRestriction"},
        }]}})
    };
    let made = world.put(&path, policy(&license)).expect(201).body;
    assert_eq!(
        made["properties"]["options"][0]["configuration"]["licenses"][0],
        license
    );
    for (pointer, value) in [
        ("/allowTestDevices", json!("yes")),
        ("/licenseType", json!("Forever")),
        ("/gracePeriod", json!("01:00:00")),
        ("/beginDate", json!("soon")),
        ("/contentKeyLocation/keyId", json!("x")),
        ("/playRight/scmsRestriction", json!(4)),
        (
            "/playRight/allowPassingVideoContentToUnknownOutput",
            json!(null),
        ),
    ] {
        let mut wrong = license.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        let refusal = world.put(&path, policy(&wrong)).expect(400).body;
        let field = format!(
            "properties.options[0].configuration.licenses[0]{}",
            pointer.replace('/', ".")
        );
        assert_eq!(refusal["error"]["target"], field);
    }
}

#[test]
fn endpoints_are_made_changed_scaled_and_deleted() {
    let world = World::new();
    let path = format!("{ARM}/streamingEndpoints/second");
    let body = json!({
        "location": "local", "tags": {"team": "video"},
        "properties": {"description": "d", "scaleUnits": 1, "cdnEnabled": false, "customHostNames": ["media.example"]},
    });
    let made = world
        .put(&format!("{path}?autoStart=false"), body.clone())
        .expect(201)
        .body;
    assert_eq!(made["properties"]["resourceState"], "Stopped");
    assert_eq!(made["properties"]["provisioningState"], "Succeeded");
    assert_eq!(made["tags"]["team"], "video");
    // The SDK asks for the resource with the query of its PUT.
    world.get(&format!("{path}?autoStart=true")).expect(200);
    world.put(&path, body).expect(200);
    let change = json!({"properties": {"description": "other"}});
    let changed = world.patch(&path, change).expect(200).body;
    assert_eq!(changed["properties"]["description"], "other");
    assert_eq!(
        changed["properties"]["customHostNames"],
        json!(["media.example"])
    );
    assert_eq!(changed["tags"]["team"], "video");
    let scaled = world
        .post(&format!("{path}/scale"), json!({"scaleUnit": 3}))
        .expect(200)
        .body;
    assert_eq!(scaled["properties"]["scaleUnits"], 3);
    assert_eq!(scaled["sku"]["name"], "Premium");
    let skus = world.get(&format!("{path}/skus")).expect(200).body;
    assert_eq!(skus["value"][1]["sku"]["name"], "Premium");

    world.post(&format!("{path}/start"), json!({})).expect(202);
    let refusal = world.delete(&path).expect(409).body;
    assert_eq!(refusal["error"]["code"], "InvalidOperation");
    world.post(&format!("{path}/stop"), json!({})).expect(202);
    world.delete(&path).expect(200);
    world.delete(&path).expect(204);
    world.get(&path).expect(404);

    let started = world
        .put(
            &format!("{MKIO}/streamingEndpoints/third?autoStart=True"),
            json!({"location": "local", "properties": {"scaleUnits": 0}}),
        )
        .expect(201)
        .body;
    assert_eq!(started["properties"]["resourceState"], "Running");
}

#[test]
fn endpoints_keep_who_is_served_and_for_how_long_answers_are_kept() {
    let world = World::new();
    let office = json!({"ip": {"allow": [{"name": "office", "address": "192.0.2.0", "subnetPrefixLength": 24}]}});
    let path = format!("{ARM}/streamingEndpoints/second");
    let made = json!({"properties": {"scaleUnits": 0, "accessControl": office, "maxCacheAge": 60}});
    let made = world.put(&path, made).expect(201).body;
    assert_eq!(made["properties"]["accessControl"], office);
    assert_eq!(made["properties"]["maxCacheAge"], 60);
    // What is not sent stays; `null` takes it back.
    let patch = |properties| world.patch(&path, json!({"properties": properties}));
    let kept = patch(json!({"description": "d"})).expect(200).body;
    assert_eq!(kept["properties"]["accessControl"], office);
    let open = patch(json!({"accessControl": null})).expect(200).body;
    assert!(open["properties"].get("accessControl").is_none());
    assert_eq!(open["properties"]["maxCacheAge"], 60);
    // An empty list is nobody in AMS and everybody in MK.IO.
    let empty = json!({"location": "local", "properties": {"scaleUnits": 0, "accessControl": {"ip": {"allow": []}}}});
    let nobody = world.put(&path, empty.clone()).expect(200).body;
    assert_eq!(
        nobody["properties"]["accessControl"]["ip"]["allow"],
        json!([])
    );
    let path = format!("{MKIO}/streamingEndpoints/second");
    let everybody = world.put(&path, empty).expect(200).body;
    let range = &everybody["properties"]["accessControl"]["ip"]["allow"][0];
    assert_eq!(
        (&range["address"], &range["subnetPrefixLength"]),
        (&json!("0.0.0.0"), &json!(0))
    );
}

/// Eight bytes.
const SIGNING_KEY: &str = "ZWlnaHQgYnk=";

fn akamai(keys: Json) -> Json {
    json!({"akamai": {"akamaiSignatureHeaderAuthenticationKeyList": keys}})
}

#[test]
fn endpoints_keep_akamais_keys_and_cross_site_policies() {
    let world = World::new();
    let path = format!("{ARM}/streamingEndpoints/second");
    let keys = json!([
        {"identifier": "1", "base64Key": SIGNING_KEY, "expiration": "2030-01-01T00:00:00Z"},
        {"identifier": "2", "base64Key": "c2Vjb25kIGtleQ=="},
    ]);
    let policies = json!({"clientAccessPolicy": "<access-policy/>", "crossDomainPolicy": "<cross-domain-policy/>"});
    let body = json!({"location": "local", "properties": {"accessControl": akamai(keys.clone()), "crossSiteAccessPolicies": policies}});
    world.put(&path, body).expect(201);
    let shown = world.get(&path).expect(200).body["properties"].clone();
    assert_eq!(shown["accessControl"], akamai(keys.clone()));
    assert_eq!(shown["crossSiteAccessPolicies"], policies);
    // Who sees no secret sees which keys there are.
    let seen = world
        .as_role(Role::Viewer, "GET", &path, "")
        .expect(200)
        .body;
    let seen = &seen["properties"]["accessControl"];
    let named =
        json!([{"identifier": "1", "expiration": "2030-01-01T00:00:00Z"}, {"identifier": "2"}]);
    assert_eq!(*seen, akamai(named));
    // What is not mentioned stays, and what a client read it may write.
    let other = json!({"properties": {"description": "x", "crossSiteAccessPolicies": null}});
    world.patch(&path, other).expect(200);
    let shown = world.get(&path).expect(200).body["properties"].clone();
    assert_eq!(shown["accessControl"], akamai(keys));
    assert!(shown.get("crossSiteAccessPolicies").is_none());
    world.patch(&path, json!({"properties": shown})).expect(200);
    assert_eq!(
        world.get(&path).expect(200).body["properties"]["accessControl"],
        shown["accessControl"]
    );
    world
        .patch(&path, json!({"properties": {"accessControl": null}}))
        .expect(200);
    assert!(
        world.get(&path).expect(200).body["properties"]
            .get("accessControl")
            .is_none()
    );
}

#[test]
fn endpoints_refuse_what_one_address_for_all_cannot_do() {
    let world = World::new();
    let path = format!("{ARM}/streamingEndpoints/second");
    // What asks for nothing passes: the SDKs send it back as they got it.
    let nothing = json!({"properties": {"accessControl": {"akamai": {}}, "maxCacheAge": 0, "cdnProvider": ""}});
    world.put(&format!("{path}0"), nothing).expect(201);
    for (member, value) in [
        ("cdnEnabled", json!(true)),
        ("maxCacheAge", json!(31_536_001)),
        (
            "crossSiteAccessPolicies.clientAccessPolicy",
            json!("<cross-domain-policy/>"),
        ),
        ("scaleUnits", json!(11)),
        ("customHostNames[0]", json!(["a b"])),
        ("elastic", json!(true)),
    ] {
        let properties = match member.split_once('.') {
            Some((object, member)) => json!({object: {member: value}}),
            None => json!({member: value}),
        };
        let body = json!({"location": "local", "properties": properties});
        let refusal = world.put(&path, body).expect(400).body;
        assert_eq!(refusal["error"]["target"], format!("properties.{member}"));
    }
    for (access, member) in [
        (
            json!({"ip": {"allow": [{"address": "10.0.0.300"}]}}),
            "ip.allow[0].address",
        ),
        (
            json!({"ip": {"allow": [{"address": "10.0.0.1", "subnetPrefixLength": 129}]}}),
            "ip.allow[0].subnetPrefixLength",
        ),
        (
            akamai(json!([{"identifier": "a", "base64Key": "YQ=="}])),
            "akamai.akamaiSignatureHeaderAuthenticationKeyList[0].base64Key",
        ),
        (
            akamai(json!([{"identifier": "a,b", "base64Key": SIGNING_KEY}])),
            "akamai.akamaiSignatureHeaderAuthenticationKeyList[0].identifier",
        ),
        (
            akamai(
                json!([{"identifier": "a", "base64Key": SIGNING_KEY}, {"identifier": "a", "base64Key": SIGNING_KEY}]),
            ),
            "akamai.akamaiSignatureHeaderAuthenticationKeyList[1].identifier",
        ),
        (
            akamai(json!([{"identifier": "a", "base64Key": SIGNING_KEY, "expiration": "soon"}])),
            "akamai.akamaiSignatureHeaderAuthenticationKeyList[0].expiration",
        ),
    ] {
        let body = json!({"location": "local", "properties": {"accessControl": access}});
        let refusal = world.put(&path, body).expect(400).body;
        let target = format!("properties.accessControl.{member}");
        assert_eq!(refusal["error"]["target"], target);
    }
    for name in ["-a", "a_b", "abcdefghijklmnopqrstuvwxy"] {
        let refusal = world.put(&format!("{ARM}/streamingEndpoints/{name}"), json!({}));
        assert_eq!(refusal.expect(400).body["error"]["target"], "name");
    }
}
