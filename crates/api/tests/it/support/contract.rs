//! Holds answers against the OpenAPI document: their status, their type and their body.
//!
//! The document lets what we show gain members, because clients have to bear that. Here it does not: a member that is shown
//! and not documented is a fault.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use http::{Method, response};
use jsonschema::Validator;
use serde_json::{Value as Json, json};

pub(crate) static DOCUMENT: LazyLock<Json> = LazyLock::new(headwater_api::openapi::document);

/// The document with objects that have no members beyond those it names.
static CLOSED: LazyLock<Json> = LazyLock::new(|| {
    let mut document = DOCUMENT.clone();
    let schemas = document["components"]["schemas"].as_object_mut().unwrap();
    for schema in schemas.values_mut() {
        let schema = schema.as_object_mut().unwrap();
        if schema.contains_key("properties") {
            schema.entry("additionalProperties").or_insert(json!(false));
        }
    }
    document
});

static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// A validator for the schema at `pointer` (RFC 6901) into the document.
pub(crate) fn validator(pointer: &str) -> Arc<Validator> {
    let mut validators = VALIDATORS.lock().unwrap();
    Arc::clone(validators.entry(pointer.to_owned()).or_insert_with(|| {
        let mut schema = CLOSED.clone();
        schema["$ref"] = format!("#{pointer}").into();
        let options = jsonschema::options().should_validate_formats(true);
        Arc::new(options.build(&schema).unwrap())
    }))
}

/// A segment of a JSON pointer.
pub(crate) fn escape(segment: &str) -> String {
    segment
        .replace('~', "~0")
        .replace('/', "~1")
        .replace('{', "%7B")
        .replace('}', "%7D")
}

/// The template of a path on our surface, as the document names it.
fn template(path: &str) -> Option<&'static str> {
    let segments: Vec<_> = path.trim_end_matches('/').split('/').collect();
    // A file's name may have slashes.
    let segments = match segments.iter().position(|segment| *segment == "files") {
        Some(at) if path.starts_with("/api/v1/projects/") => {
            &segments[..segments.len().min(at + 2)]
        }
        _ => &segments[..],
    };
    let fits = |template: &&String| {
        let parts: Vec<_> = template.split('/').collect();
        parts.len() == segments.len()
            && parts.iter().zip(segments).all(|(part, segment)| {
                part.starts_with('{') && !segment.is_empty() || part.eq_ignore_ascii_case(segment)
            })
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    paths.keys().find(fits).map(String::as_str)
}

/// The answer must be one that the document promises, if the request was for our surface.
#[track_caller]
pub(crate) fn check(method: &Method, path: &str, answer: &response::Parts, body: &Json) {
    let Some(template) = template(path) else {
        return;
    };
    let name = method.as_str().to_lowercase();
    if DOCUMENT["paths"][template].get(&name).is_none() {
        assert_eq!(answer.status, 405, "{method} {path} is not in the document");
        return;
    }
    let status = answer.status.as_str();
    let place = format!("/paths/{}/{name}/responses/{status}", escape(template));
    let promised = &DOCUMENT["paths"][template][&name]["responses"][status];
    assert!(
        !promised.is_null(),
        "{method} {template} may not answer {status}: {body:#}"
    );
    let (place, promised) = match promised["$ref"].as_str() {
        Some(shared) => {
            let pointer = shared.trim_start_matches('#').to_owned();
            let found = DOCUMENT.pointer(&pointer).unwrap();
            (pointer, found)
        }
        None => (place, promised),
    };
    let Some(types) = promised["content"].as_object() else {
        assert!(
            body.is_null(),
            "{method} {template} {status} holds {body:#}"
        );
        return;
    };
    let found = answer
        .headers
        .get("content-type")
        .map_or("", |value| value.to_str().unwrap());
    let media_type = found.split(';').next().unwrap_or_default();
    assert!(
        types.contains_key(media_type),
        "{method} {template} {status} is {found}"
    );
    let validator = validator(&format!("{place}/content/{}/schema", escape(media_type)));
    let faults: Vec<_> = validator
        .iter_errors(body)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(
        faults.is_empty(),
        "{method} {template} {status}: {faults:#?}\n{body:#}"
    );
}
