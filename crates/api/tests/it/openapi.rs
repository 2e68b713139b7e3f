//! The OpenAPI document against the service: what it says is accepted is, and nothing else is.

use std::collections::BTreeSet;

use crate::support::contract::{DOCUMENT, escape, validator};
use crate::support::people::INVITES;
use crate::support::{Got, MKIO, PUBLIC_URL, World};
use headwater_catalog::names;
use http::Request;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// Members that clients of AMS send back as they got them, whatever surface that was on. They mean nothing where they are
/// not documented.
const ECHOED: [&str; 5] = [
    "labels",
    "tags",
    "location",
    "@odata.context",
    "@odata.etag",
];

/// One operation of the document.
struct Op {
    path: &'static str,
    method: &'static str,
    object: &'static Json,
}

fn operations() -> Vec<Op> {
    let mut found = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, object) in item.as_object().unwrap() {
            if method != "parameters" {
                found.push(Op {
                    path,
                    method,
                    object,
                });
            }
        }
    }
    // What is changed has to be there.
    found.sort_by_key(|op| (op.method != "put", op.path));
    found
}

impl Op {
    fn id(&self) -> &'static str {
        self.object["operationId"].as_str().unwrap()
    }

    /// The path with names of what the examples are about.
    fn target(&self) -> String {
        let asset = if self.path.contains("listContainerSas") {
            "whole"
        } else {
            "film"
        };
        self.path
            .replace("{project}", "default")
            .replace("{asset}", asset)
            .replace("{transform}", "adaptive")
            .split('/')
            .map(|part| {
                if part.starts_with('{') {
                    "example"
                } else {
                    part
                }
            })
            .collect::<Vec<_>>()
            .join("/")
    }

    fn is_success(&self, got: &Got) -> bool {
        let leads_on = self.id() == "fileDownload" && got.status == 303;
        got.status < 300 || leads_on
    }

    fn send(&self, world: &World, body: &Json) -> Got {
        let target = self.target();
        if ["jobPut", "policyPut", "trackPut"].contains(&self.id()) {
            // Once there is one of a name, another request is refused for nothing else.
            world.delete(&target);
        }
        let mut body = body.clone();
        if self.id() == "inviteAccept" && body["secret"].is_string() {
            let invite = world.post(INVITES, json!({"spec": {}})).expect(201).body;
            body["secret"] = invite["metadata"]["secret"].clone();
        }
        // The owner is a person, and so has a profile to change.
        let mut token = world.user_token(&world.owner);
        if self.id() == "fileDownload" {
            let asset = target.strip_suffix("/filesdownloadBlob").unwrap();
            let info = world.post(&format!("{asset}/getFileAccessInfo"), Json::Null);
            let info = info.expect(200).body;
            token = info["jwt"].as_str().unwrap().into();
            if body["containerName"].is_string() {
                body["containerName"] = info["containerName"].clone();
            }
        }
        world.with(
            &token,
            &self.method.to_uppercase(),
            &target,
            &body.to_string(),
        )
    }
}

/// A world with what the examples name.
fn world() -> World {
    let world = World::new();
    for op in operations() {
        if ["assetPut", "transformPut", "liveEventPut", "webhookRulePut"].contains(&op.id()) {
            for (_, example) in examples(op.object) {
                op.send(&world, example).expect(201);
            }
        }
    }
    for asset in ["whole", "film-encoded", "morning-show"] {
        world
            .put(&format!("{MKIO}/assets/{asset}"), json!({}))
            .expect(201);
    }
    let policies = operations()
        .into_iter()
        .find(|op| op.id() == "keyPolicyPut")
        .unwrap();
    let (_, policy) = examples(policies.object)[0];
    world
        .put(
            &format!("{MKIO}/contentKeyPolicies/subscribers"),
            policy.clone(),
        )
        .expect(201);
    world.storage.put("film-7", "delivery/1/film_fr.mp4");
    let cue = "WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n";
    world
        .storage
        .put_bytes("film-7", "delivery/1/film_en.vtt", cue.into());
    world
}

/// The examples of an operation's JSON body.
fn examples(operation: &'static Json) -> Vec<(&'static str, &'static Json)> {
    let examples = operation["requestBody"]["content"]["application/json"]["examples"].as_object();
    examples
        .into_iter()
        .flatten()
        .map(|(name, example)| (name.as_str(), &example["value"]))
        .collect()
}

/// What a schema stands for: through references, `or null`, and the union's variant that `value` is.
fn plain(schema: &'static Json, value: &Json) -> &'static Json {
    if let Some(reference) = schema["$ref"].as_str() {
        return plain(DOCUMENT.pointer(&reference[1..]).unwrap(), value);
    }
    if let Some(either) = schema["anyOf"].as_array() {
        return plain(&either[0], value);
    }
    if let Some(variants) = schema["oneOf"].as_array() {
        return variants
            .iter()
            .map(|variant| plain(variant, value))
            .find(|variant| {
                let kinds = variant["properties"]["@odata.type"]["enum"]
                    .as_array()
                    .unwrap();
                kinds.contains(&value["@odata.type"])
            })
            .unwrap_or_else(|| panic!("no variant for {value:#}"));
    }
    schema
}

/// Goes through an example and what its schema says of each object in it.
struct Probe<'a> {
    world: &'a World,
    op: &'a Op,
    example: &'static Json,
}

impl Probe<'_> {
    /// Sends the example with one value changed. `at`: a JSON pointer to an object; `member`: in it.
    fn with(&self, at: &str, member: &str, value: Json) -> Got {
        let mut body = self.example.clone();
        body.pointer_mut(at).unwrap()[member] = value;
        self.op.send(self.world, &body)
    }

    /// The value must be refused under its name.
    fn refused(&self, at: &str, member: &str, value: Json) -> String {
        let shown = format!("{}: {at}/{member} = {value}", self.op.id());
        let got = self.with(at, member, value);
        assert_eq!(got.status, 400, "{shown}: {:#}", got.body);
        let error = &got.body["error"];
        let field = error["extraDetail"]["field"].as_str().unwrap_or_default();
        assert!(
            field.starts_with(&dotted(at, member)),
            "{shown} is refused as {field}"
        );
        error["detail"].as_str().unwrap().to_owned()
    }

    fn object(&self, at: &str, schema: &'static Json, value: &'static Json) {
        let schema = plain(schema, value);
        let Some(properties) = schema["properties"].as_object() else {
            return;
        };
        if schema["additionalProperties"] == json!(false) {
            let told = self.refused(at, "unheardOf", json!(1));
            if let Some((_, known)) = told.split_once("these are: ") {
                let known: BTreeSet<_> = known.split(", ").collect();
                let said: BTreeSet<_> = properties.keys().map(String::as_str).collect();
                let beyond = |name: &&str| !(at.is_empty() && ECHOED.contains(name));
                let unsaid: Vec<_> = known.difference(&said).copied().filter(beyond).collect();
                let made_up: Vec<_> = said.difference(&known).collect();
                assert!(
                    unsaid.is_empty() && made_up.is_empty(),
                    "{} {at}: the reader also knows {unsaid:?} and does not know {made_up:?}",
                    self.op.id()
                );
            } else {
                assert!(
                    at.ends_with("/preset") || at.ends_with("/presetOverride"),
                    "{at}: {told}"
                );
            }
        }
        for (member, schema) in properties {
            if schema["readOnly"] == json!(true) {
                let got = self.with(at, member, json!({"any": "value"}));
                assert!(
                    self.op.is_success(&got),
                    "{} {at}/{member}: {:#}",
                    self.op.id(),
                    got.body
                );
                continue;
            }
            self.refused(at, member, wrong(schema));
            if let Some(value) = value.get(member) {
                self.value(&format!("{at}/{}", escape(member)), schema, value);
            }
        }
    }

    fn value(&self, at: &str, schema: &'static Json, value: &'static Json) {
        match value {
            Json::Object(_) => self.object(at, schema, value),
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(
                        &format!("{at}/{index}"),
                        &plain(schema, value)["items"],
                        item,
                    );
                }
            }
            _ => {}
        }
    }
}

/// A value of another type than a schema's.
fn wrong(schema: &'static Json) -> Json {
    let schema = match (schema["$ref"].as_str(), schema["anyOf"].as_array()) {
        (Some(_), _) => return json!(7),
        (_, Some(either)) => &either[0],
        _ => schema,
    };
    if schema.get("$ref").is_some() || schema.get("oneOf").is_some() {
        return json!(7);
    }
    let kind = schema["type"].as_str().or(schema["type"][0].as_str());
    if kind == Some("object") {
        json!(7)
    } else {
        json!({"wrong": true})
    }
}

/// A path as errors write it.
fn dotted(at: &str, member: &str) -> String {
    let mut path = String::new();
    for part in at.split('/').skip(1).chain([member]) {
        if part.parse::<usize>().is_ok() {
            path.push_str(&format!("[{part}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(part);
        }
    }
    path
}

#[test]
fn the_committed_document_is_the_one_that_is_generated() {
    let committed = include_str!("../../../../docs/openapi.json");
    assert!(
        committed == headwater_api::openapi::text(),
        "run: cargo run -p headwater-api --example openapi > docs/openapi.json"
    );
}

#[test]
fn every_operation_of_our_surface_is_described_once() {
    let mut rows = 0;
    for (surface, path, route) in headwater_api::routes::all() {
        use headwater_api::dialect::Dialect;
        let ours =
            surface == Dialect::MkIo || surface == Dialect::Own && !path.starts_with("/internal");
        if !ours {
            continue;
        }
        rows += 1;
        let name = route.method.as_str().to_lowercase();
        let found = &DOCUMENT["paths"][path.replace("...", "")][&name];
        assert!(
            found.is_object(),
            "{:?} has no description: openapi/operations.rs",
            route.operation
        );
    }
    let operations = operations();
    assert_eq!(operations.len(), rows);
    let ids: BTreeSet<_> = operations.iter().map(Op::id).collect();
    assert_eq!(ids.len(), rows, "operation ids are unique");
    let tags: BTreeSet<_> = DOCUMENT["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str())
        .collect();
    let used: BTreeSet<_> = operations
        .iter()
        .map(|op| op.object["tags"][0].as_str())
        .collect();
    assert_eq!(tags, used);
}

/// Collects what is referred to.
fn references<'a>(value: &'a Json, found: &mut BTreeSet<&'a str>) {
    match value {
        Json::Object(members) => {
            for (name, value) in members {
                match value {
                    Json::String(target) if name == "$ref" => {
                        found.insert(target);
                    }
                    value => references(value, found),
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn references_lead_somewhere_and_nothing_is_left_over() {
    let mut found = BTreeSet::new();
    references(&DOCUMENT, &mut found);
    for target in &found {
        assert!(DOCUMENT.pointer(&target[1..]).is_some(), "{target}");
    }
    for part in ["schemas", "parameters", "responses", "headers"] {
        for name in DOCUMENT["components"][part].as_object().unwrap().keys() {
            let target = format!("#/components/{part}/{name}");
            let spare = part == "responses" && name.ends_with("Problem");
            assert!(
                found.contains(target.as_str()) || spare,
                "{target} is not used"
            );
        }
    }
}

#[test]
fn examples_are_valid_and_accepted() {
    let world = world();
    let mut bodies = 0;
    for op in operations() {
        let content = &op.object["requestBody"]["content"];
        if content.get("application/json").is_none() {
            continue;
        }
        let examples = examples(op.object);
        assert!(!examples.is_empty(), "{} has no example", op.id());
        for (name, example) in examples {
            let place = format!(
                "/paths/{}/{}/requestBody/content/application~1json/schema",
                escape(op.path),
                op.method
            );
            let faults: Vec<_> = validator(&place)
                .iter_errors(example)
                .map(|fault| fault.to_string())
                .collect();
            assert!(faults.is_empty(), "{} {name}: {faults:#?}", op.id());
            let got = op.send(&world, example);
            assert!(op.is_success(&got), "{} {name}: {:#}", op.id(), got.body);
            bodies += 1;
        }
    }
    assert!(bodies > 20, "{bodies}");
}

#[test]
fn the_readers_know_the_members_that_the_document_names_and_no_others() {
    let world = world();
    for op in operations() {
        let content = &op.object["requestBody"]["content"]["application/json"];
        for (_, example) in examples(op.object) {
            let got = op.send(&world, example);
            assert!(op.is_success(&got), "{}: {:#}", op.id(), got.body);
            let probe = Probe {
                world: &world,
                op: &op,
                example,
            };
            probe.object("", &content["schema"], example);
        }
    }
}

#[test]
fn lists_can_be_ordered_by_the_fields_that_the_document_names_and_no_others() {
    let world = world();
    let mut lists = 0;
    for op in operations() {
        let parameters = op.object["parameters"].as_array();
        let order = parameters
            .into_iter()
            .flatten()
            .find(|parameter| parameter["name"] == "$orderby");
        let Some(order) = order else { continue };
        let said: BTreeSet<_> = order["schema"]["enum"]
            .as_array()
            .unwrap()
            .iter()
            .map(|order| order.as_str().unwrap().split(' ').next().unwrap())
            .collect();
        let got = world
            .get(&format!("{}?$orderby=nonsense", op.target()))
            .expect(400);
        let detail = got.body["error"]["detail"].as_str().unwrap();
        let known: BTreeSet<_> = detail
            .rsplit_once("these are: ")
            .unwrap()
            .1
            .split(", ")
            .collect();
        assert_eq!(said, known, "{}", op.id());
        lists += 1;
    }
    assert!(lists > 8, "{lists}");
}

#[test]
fn the_document_is_served_once_and_then_found_unchanged() {
    let world = World::new();
    let ask = |tag: Option<&str>| {
        let mut request = Request::get("/api/openapi.json");
        if let Some(tag) = tag {
            request = request.header("if-none-match", tag);
        }
        world.send(request.body(Default::default()).unwrap())
    };
    let got = ask(None).expect(200);
    assert_eq!(got.body, *DOCUMENT);
    assert_eq!(
        got.header("content-type"),
        "application/json; charset=utf-8"
    );
    assert_eq!(got.header("cache-control"), "public, no-cache");
    let tag = got.header("etag");
    for known in [
        tag.to_owned(),
        format!("\"other\", W/{tag}"),
        "*".to_owned(),
    ] {
        let again = ask(Some(&known)).expect(304);
        assert_eq!(
            (again.body, again.headers["etag"].to_str().unwrap()),
            (Json::Null, tag)
        );
    }
    ask(Some("\"other\"")).expect(200);
    let refused = world.post("/api/openapi.json", Json::Null).expect(405);
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert!(
        !got.body.to_string().contains(PUBLIC_URL),
        "it names no host"
    );
}

/// Whether a name fits the schema of a path's variable.
fn fits(variable: &str, name: &str) -> bool {
    validator(&format!("/components/parameters/{variable}/schema")).is_valid(&json!(name))
}

proptest! {
    #[test]
    fn patterns_of_names_are_the_rules_of_names(name in r##"[a-cA0-9 ._~<>%&:\\?/*+'"#|\u{1}\u{7f}\u{e9}-]{0,8}"##) {
        prop_assert_eq!(fits("asset", &name), names::resource("name", &name).is_ok());
        prop_assert_eq!(fits("rule", &name), names::plain("name", &name).is_ok());
        prop_assert_eq!(fits("filter", &name), names::filter("name", &name).is_ok());
        prop_assert_eq!(fits("endpoint", &name), names::endpoint("name", &name).is_ok());
        prop_assert_eq!(fits("event", &name), names::live_event("name", &name).is_ok());
        prop_assert_eq!(fits("output", &name), names::live_output("name", &name).is_ok());
        let container = "/components/schemas/UploadRulePropertiesWrite/properties/container";
        prop_assert_eq!(validator(container).is_valid(&json!(name)), names::container("name", &name).is_ok());
    }
}

#[test]
fn lengths_of_names_are_the_rules_of_names() {
    for length in [1, 24, 25, 32, 33, 64, 65, 256, 257, 260, 261] {
        let name = "x".repeat(length);
        assert_eq!(
            fits("asset", &name),
            names::resource("name", &name).is_ok(),
            "{length}"
        );
        assert_eq!(
            fits("rule", &name),
            names::plain("name", &name).is_ok(),
            "{length}"
        );
        assert_eq!(
            fits("filter", &name),
            names::filter("name", &name).is_ok(),
            "{length}"
        );
        assert_eq!(
            fits("event", &name),
            names::live_event("name", &name).is_ok(),
            "{length}"
        );
        assert_eq!(
            fits("output", &name),
            names::live_output("name", &name).is_ok(),
            "{length}"
        );
        assert_eq!(
            fits("endpoint", &name),
            names::endpoint("name", &name).is_ok(),
            "{length}"
        );
    }
}
