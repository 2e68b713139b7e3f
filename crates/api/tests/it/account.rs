//! What ARM clients change of an account, and what they ask beside it.

use crate::support::{ARM, MKIO, World};
use headwater_auth::Role;
use serde_json::json;

#[test]
fn an_account_is_what_it_is_but_for_its_tags() {
    let world = World::new();
    let is = world.get(ARM).expect(200).body;
    // What a declarative tool does: say again what is so.
    let mut wanted = is.clone();
    wanted["tags"] = json!({"team": "video"});
    let put = world.put(ARM, wanted).expect(200).body;
    assert_eq!(put["tags"], json!({"team": "video"}));
    assert_eq!(put["properties"], is["properties"]);

    let patched = world
        .patch(ARM, json!({"tags": {"team": "sound"}}))
        .expect(202);
    assert_eq!(patched.header("retry-after"), "1");
    let poll = patched.header("azure-asyncoperation").to_owned();
    let poll = poll.strip_prefix("http://localhost:8080").unwrap_or(&poll);
    assert_eq!(world.get(poll).expect(200).body["status"], "Succeeded");
    let result = poll.replace("OperationStatuses", "OperationResults");
    assert_eq!(world.get(&result).expect(200).body["tags"]["team"], "sound");
    // Nothing said, nothing changed.
    world.patch(ARM, json!({})).expect(202);
    assert_eq!(world.get(ARM).expect(200).body["tags"]["team"], "sound");

    for (body, field) in [
        (json!({"location": "westeurope"}), "location"),
        (
            json!({"identity": {"type": "SystemAssigned"}}),
            "identity.type",
        ),
        (
            json!({"properties": {"publicNetworkAccess": "Disabled"}}),
            "properties.publicNetworkAccess",
        ),
        (
            json!({"properties": {"encryption": {"type": "CustomerKey"}}}),
            "properties.encryption.type",
        ),
        (
            json!({"properties": {"keyDelivery": {"accessControl": {"defaultAction": "Deny"}}}}),
            "properties.keyDelivery.accessControl.defaultAction",
        ),
        (
            json!({"properties": {"storageAccounts": [{"id": "/x/other", "type": "Primary"}]}}),
            "properties.storageAccounts[0].id",
        ),
        (
            json!({"properties": {"storageAccounts": []}}),
            "properties.storageAccounts",
        ),
        (json!({"tags": {"a": 1}}), "tags.a"),
        (
            json!({"properties": {"colour": "red"}}),
            "properties.colour",
        ),
    ] {
        let refusal = world.put(ARM, body.clone()).expect(400).body;
        assert_eq!(refusal["error"]["target"], field, "{body}");
    }
    let kept = world.delete(ARM).expect(409).body;
    assert_eq!(kept["error"]["code"], "InvalidOperation");
    let body = json!({"tags": {}}).to_string();
    world
        .as_role(Role::Operator, "PATCH", ARM, &body)
        .expect(403);
}

#[test]
fn storage_keys_edges_and_private_links() {
    let world = World::new();
    let storage = world.get(ARM).expect(200).body["properties"]["storageAccounts"][0]["id"].clone();
    let sync = format!("{ARM}/syncStorageKeys");
    world.post(&sync, json!({"id": storage})).expect(200);
    let refusal = world.post(&sync, json!({"id": "/none"})).expect(400).body;
    assert_eq!(refusal["error"]["target"], "id");
    let edges = world.post(&format!("{ARM}/listEdgePolicies"), json!({"deviceId": "d"}));
    assert_eq!(edges.expect(200).body, json!({}));
    for collection in ["privateLinkResources", "privateEndpointConnections"] {
        let path = format!("{ARM}/{collection}");
        assert_eq!(world.get(&path).expect(200).body, json!({"value": []}));
        world.get(&format!("{path}/x")).expect(404);
    }
    let link = format!("{ARM}/privateEndpointConnections/x");
    world.put(&link, json!({"properties": {}})).expect(400);
    world.delete(&link).expect(204);
    let nothing = "/subscriptions/s/providers/Microsoft.Media/locations/local/mediaServicesOperationStatuses/x";
    world.get(nothing).expect(404);
}

#[test]
fn operations_are_named_after_what_an_account_has() {
    let world = World::new();
    let listed = world.get("/providers/Microsoft.Media/operations?api-version=2021-11-01");
    let listed = listed.expect(200).body;
    let names: Vec<_> = listed["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|operation| operation["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"Microsoft.Media/mediaservices/assets/read"));
    for name in names {
        let rest = name.strip_prefix("Microsoft.Media/mediaservices/").unwrap();
        let plain = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric());
        assert!(rest.split('/').all(plain), "{name}");
    }
}

#[test]
fn a_region_is_named_as_scripts_for_azure_name_it() {
    use headwater_catalog::Sql as _;
    let world = World::new();
    let statement = "UPDATE projects SET location = 'westeurope'";
    futures::executor::block_on(world.sql.query(statement, &[])).unwrap();
    for place in ["westeurope", "West Europe", "WESTEUROPE"] {
        let name = place.replace(' ', "-").to_lowercase();
        world
            .put(ARM, json!({"location": place, "tags": {"of": name}}))
            .expect(200);
        let event =
            json!({"location": place, "properties": {"input": {"streamingProtocol": "RTMP"}}});
        let got = world.put(&format!("{ARM}/liveEvents/{name}"), event.clone());
        assert!(got.status < 300, "{:#}", got.body);
        let endpoint = json!({"location": place, "properties": {"scaleUnits": 0}});
        let path = format!("{ARM}/streamingEndpoints/{name}");
        let got = world.put(&path, endpoint).status;
        assert!(got < 300, "{got}");
        let project = json!({"spec": {"locationName": place}});
        let path = format!("/api/v1/projects/{name}");
        let made = world.put(&path, project.clone());
        assert!(made.status < 300, "{:#}", made.body);
        assert_eq!(made.body["spec"]["locationName"], "westeurope");
        world.put(&path, project).expect(200);
        let shown = format!("/api/v1/locations/{}", place.replace(' ', "%20"));
        let shown = world.get(&shown).expect(200).body;
        assert_eq!(shown["metadata"]["name"], "westeurope");
    }
    // The answer says where it is, and what says so.
    for path in [
        ARM.to_owned(),
        format!("{ARM}/liveEvents/new"),
        format!("{MKIO}/streamingEndpoints/new"),
    ] {
        let elsewhere = json!({"location": "local", "properties": {}});
        let refused = world.put(&path, elsewhere).expect(400).body.to_string();
        assert!(
            refused.contains("'westeurope'") && refused.contains("HEADWATER_LOCATION"),
            "{refused}"
        );
    }
}
