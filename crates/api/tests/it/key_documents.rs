//! Content keys as CPIX documents, out of one locator and into another.

use crate::protection::{keys, protected, refused, world};
use crate::support::{ARM, MKIO, World};
use bytes::Bytes;
use headwater_auth::Role;
use headwater_protect::cpix::Cpix;
use http::Request;
use serde_json::{Value as Json, json};

fn document(world: &World, role: Role, locator: &str) -> crate::support::Got {
    let token = world.token(role, None);
    world.send(
        Request::post(format!(
            "{MKIO}/streamingLocators/{locator}/listContentKeys"
        ))
        .header("host", "localhost:8080")
        .header("authorization", format!("Bearer {token}"))
        .header("accept", "text/plain, application/xml;q=0.9")
        .body(Bytes::new())
        .unwrap(),
    )
}

fn drm(more: Json) -> Json {
    let mut body = protected("Predefined_MultiDrmStreaming", more);
    body["properties"]["defaultContentKeyPolicyName"] = "all".into();
    body
}

#[test]
fn keys_go_out_as_a_document_and_come_in_again() {
    let world = world();
    world
        .put(
            &format!("{ARM}/streamingLocators/a"),
            drm(json!({"contentId": "film <7>"})),
        )
        .expect(201);
    let got = document(&world, Role::Owner, "a").expect(200);
    assert_eq!(got.headers["content-type"], "application/xml");
    let text = got.body.as_str().unwrap();
    let read = Cpix::from_xml(text).unwrap();
    assert_eq!(read.content_id.as_deref(), Some("film <7>"));
    assert_eq!(read.version.as_deref(), Some("2.3"));
    assert_eq!(read.keys.len(), 2);
    // Only under cbcs is there one vector for all.
    let vectors: Vec<_> = read
        .keys
        .iter()
        .map(|key| key.explicit_iv.is_some())
        .collect();
    assert_eq!(vectors, [false, true]);
    document(&world, Role::Viewer, "a").expect(403);
    // Another asset of the same keys.
    let path = format!("{ARM}/streamingLocators/b");
    let body = drm(json!({"contentKeyDocument": text}));
    let made = world.put(&path, body.clone()).expect(201).body;
    assert!(!made.to_string().contains("CPIX"), "{made}");
    let plain = |name: &str| -> Vec<(Json, Json)> {
        keys(&world, ARM, name)
            .iter()
            .map(|key| (key["id"].clone(), key["value"].clone()))
            .collect()
    };
    assert_eq!(plain("b"), plain("a"));
    // The same again is the same.
    world.put(&path, body).expect(201);
}

#[test]
fn documents_that_cannot_be_followed_are_refused() {
    let world = world();
    world
        .put(&format!("{ARM}/streamingLocators/a"), drm(json!({})))
        .expect(201);
    let got = document(&world, Role::Owner, "a").expect(200);
    let good = got.body.as_str().unwrap().to_owned();
    let mut read = Cpix::from_xml(&good).unwrap();
    let field = "properties.contentKeyDocument";
    let path = format!("{ARM}/streamingLocators/b");
    let put = |document: String| world.put(&path, drm(json!({"contentKeyDocument": document})));
    refused(put("<CPIX/>".into()), field, "root");
    refused(put("<!DOCTYPE a><a/>".into()), field, "well-formed");
    read.keys[1].explicit_iv = Some([1; 16]);
    refused(put(read.to_xml()), field, "vector");
    read.keys[1].explicit_iv = None;
    read.rules[0].labels.push("another".into());
    refused(put(read.to_xml()), field, "several labels");
    read.rules[0].labels = vec!["nowhere".into()];
    refused(
        put(read.to_xml()),
        "properties.contentKeys[0].labelReferenceInStreamingPolicy",
        "no such key",
    );
    read.keys[0].value = None;
    refused(put(read.to_xml()), field, "without its value");
    refused(
        put("<CPIX xmlns=\"urn:dashif:org:cpix\"/>".into()),
        field,
        "no keys",
    );
    let both = drm(json!({
        "contentKeyDocument": good,
        "contentKeys": [{"id": "60000000-0000-0000-0000-000000000001"}],
    }));
    refused(world.put(&path, both), field, "in place of");
    world.get(&path).expect(404);
}
