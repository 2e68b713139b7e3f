//! The OpenAPI 3.1 document of our own surface: `/api/v1`, `/api/ready`, `/.well-known` and the token endpoints.
//!
//! It is generated, so that it cannot promise what is not there. Which operations exist, where, for whom and with which status
//! codes comes from the route table. What the table does not know is said once each:
//!
//! | File | Says |
//! |---|---|
//! | `operations` | what an operation is for, takes and answers |
//! | `description` | the words for that |
//! | `parameters` | what stands in paths and queries |
//! | `shapes/` | the objects on the wire, member by member, one file per file of `resources/` |
//! | `schema`, `shape` | the words for these |
//!
//! What is said is held against what happens. `tests/it/openapi.rs` sends every example, and for every object in it an unknown
//! member, whose refusal names the known ones, and every member with a wrong type; all the other tests check each answer
//! that they get. `docs/openapi.json` is the document, committed; a test compares.
//!
//! Spec: OpenAPI Specification 3.1.1.

mod description;
mod operations;
mod parameters;
mod schema;
mod shape;
mod shapes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use bytes::Bytes;
use headwater_auth::{Permission, Role};
use headwater_catalog::fingerprint;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Map, Value as Json, json};

use crate::dialect::Dialect;
use crate::error::Kind;
use crate::reply::Reply;
use crate::routes::{self, Access, Operation, Route};
use description::{Description, Looks};
use operations::describe;
use shape::Side;

const ABOUT: &str = "Assets, encoding, publishing and streaming on storage of your own.\n\n\
    The same resources are offered to the clients of Azure Media Services under `/subscriptions/...`; this document is about \
    Headwater's own surface, which is also MK.IO's. Every request may be sent again: a repeated PUT or action is a success. \
    A member that is `null` counts as left out. A request holds at most 1 MiB.";

/// The rows of our own surface with their complete paths, in the order of the table.
fn ours() -> impl Iterator<Item = (String, (Dialect, &'static Route))> {
    routes::all()
        .filter(|(surface, path, _)| match surface {
            Dialect::MkIo => true,
            // What workers say to us is nobody else's affair.
            Dialect::Own => !path.starts_with("/internal"),
            Dialect::Arm | Dialect::MkIoOlder => false,
        })
        .map(|(surface, path, route)| (parameters::openapi_path(&path), (surface, route)))
}

/// The whole document.
pub fn document() -> Json {
    let mut paths: BTreeMap<String, Map<String, Json>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (path, (surface, route)) in ours() {
        let Some(description) = describe(route.operation) else {
            continue;
        };
        let id = operation_id(route, seen.insert(route.operation));
        let item = operation(&path, surface, route, &id, &description);
        let parameters = parameters::of_path(&path);
        let methods = paths.entry(path).or_default();
        methods.insert(route.method.as_str().to_lowercase(), item);
        if !parameters.is_empty() {
            methods.insert("parameters".into(), parameters.into());
        }
    }
    let tags = operations::TAGS.map(|(name, about)| json!({"name": name, "description": about}));
    let components = components(paths.keys().map(String::as_str));
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Headwater",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "Where this document comes from."}],
        "tags": tags,
        "paths": paths,
        "components": components,
    })
}

/// The operation's name in camel case. An operation with several paths is called so on the first; on the others the name
/// goes on with the last fixed part of the path.
fn operation_id(route: &Route, first: bool) -> String {
    let mut id = camel(&format!("{:?}", route.operation), char::to_ascii_lowercase);
    if !first {
        let last = route
            .template
            .rsplit('/')
            .find(|part| !part.starts_with('{'))
            .unwrap_or_default();
        id.push_str("In");
        id.push_str(&camel(last, char::to_ascii_uppercase));
    }
    id
}

/// `name` with another first letter.
fn camel(name: &str, first: fn(&char) -> char) -> String {
    let mut chars = name.chars();
    let head = chars.next().map(|letter| first(&letter));
    head.into_iter().chain(chars).collect()
}

fn operation(
    path: &str,
    surface: Dialect,
    route: &Route,
    id: &str,
    description: &Description,
) -> Json {
    let mut members = Map::new();
    let mut set = |name: &str, value: Json| {
        members.insert(name.to_owned(), value);
    };
    set("operationId", id.into());
    set("summary", description.summary.into());
    set("tags", json!([description.tag]));
    if !description.about.is_empty() {
        set("description", description.about.into());
    }
    let parameters = parameters::of_query(description);
    if !parameters.is_empty() {
        set("parameters", parameters.into());
    }
    if let Some(body) = &description.body {
        let mut content = json!({"schema": resolved(body.schema.clone().json(), Side::Written)});
        if let (false, Json::Object(content)) = (body.examples.is_empty(), &mut content) {
            let examples = body
                .examples
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!({ "value": value })));
            content.insert("examples".into(), Json::Object(examples.collect()));
        }
        set(
            "requestBody",
            json!({"required": body.needed, "content": {body.media_type: content}}),
        );
    }
    set("responses", responses(path, surface, route, description));
    match route.access {
        Access::Open => set("security", json!([])),
        Access::FileToken => set("security", json!([{"fileToken": []}])),
        Access::Token(needed) | Access::Gallery(needed) | Access::TeamAdmin(needed) => {
            let mut schemes = vec![json!({"bearer": []}), json!({"x-mkio-token": []})];
            if matches!(route.access, Access::Gallery(_)) {
                schemes.push(json!({}));
            }
            set("security", schemes.into());
            set("x-headwater-permission", permission(needed).into());
            set("x-headwater-roles", roles(needed));
        }
    }
    Json::Object(members)
}

/// As `GET /api/v1/user/rbac` names it: `Asset.read`.
fn permission(needed: Permission) -> String {
    format!(
        "{:?}.{}",
        needed.kind,
        format!("{:?}", needed.verb).to_lowercase()
    )
}

fn roles(needed: Permission) -> Json {
    Role::ALL
        .into_iter()
        .filter(|role| needed.granted_to(*role))
        .map(Role::name)
        .collect()
}

fn responses(path: &str, surface: Dialect, route: &Route, description: &Description) -> Json {
    let mut responses = Map::new();
    for code in route.success {
        responses.insert(code.to_string(), success(*code, route, description));
    }
    if hands_on(route) {
        let about = "The file has no such bytes.";
        responses.insert("416".into(), json!({"description": about}));
    }
    if route.operation == Operation::IssueToken {
        for code in ["400", "401"] {
            let schema = json!({"$ref": "#/components/schemas/OAuthError"});
            let content = json!({"application/json": {"schema": schema}});
            responses.insert(
                code.into(),
                json!({"description": "Refused.", "content": content}),
            );
        }
    }
    for kind in failures(path, surface, route, description) {
        let name = failure_name(kind, surface);
        responses
            .entry(kind.status().as_str())
            .or_insert_with(|| json!({"$ref": format!("#/components/responses/{name}")}));
    }
    Json::Object(responses)
}

/// How a request can fail. One kind for each status.
fn failures(path: &str, surface: Dialect, route: &Route, description: &Description) -> Vec<Kind> {
    let mut kinds = vec![Kind::Unavailable, Kind::Internal];
    if surface != Dialect::Own {
        kinds.push(Kind::TooManyRequests);
    }
    if path.contains('{') || description.listing.is_some() || description.body.is_some() {
        kinds.push(Kind::InvalidArgument);
    }
    if route.access != Access::Open {
        kinds.extend([Kind::Unauthenticated, Kind::PermissionDenied]);
    }
    if path.contains('{') {
        kinds.push(Kind::NotFound);
    }
    if route.method != Method::GET {
        kinds.extend([Kind::Conflict, Kind::PayloadTooLarge]);
    }
    if description.looks == Looks::IntoStorage {
        kinds.push(Kind::Conflict);
    }
    if path.contains("/media/") {
        kinds.push(Kind::Upstream);
    }
    kinds
}

fn failure_name(kind: Kind, surface: Dialect) -> String {
    match surface {
        Dialect::Own => format!("{kind:?}Problem"),
        Dialect::Arm | Dialect::MkIo | Dialect::MkIoOlder => format!("{kind:?}"),
    }
}

/// Whether it answers with a file where storage is opened by a SAS.
fn hands_on(route: &Route) -> bool {
    matches!(
        route.operation,
        Operation::FileRead | Operation::FileDownload
    )
}

fn success(code: u16, route: &Route, description: &Description) -> Json {
    let (about, holds) = match (code, &route.method) {
        (201, _) => ("Created.", true),
        (202, _) => (
            "Accepted: the headers say where to ask what became of it.",
            false,
        ),
        (204, &Method::DELETE) => ("There was nothing to delete.", false),
        (204, _) => ("There is nothing left to show.", false),
        (304, _) => ("Unchanged.", false),
        (303 | 307, _) => (
            "`Location` says where the file is, for some minutes.",
            false,
        ),
        (_, &Method::DELETE) => ("Deleted.", false),
        _ => ("Done.", true),
    };
    let mut headers = json!({"x-ms-request-id": {"$ref": "#/components/headers/RequestId"}});
    let more: &[&str] = match code {
        202 => &["Azure-AsyncOperation", "Retry-After"],
        303 | 307 => &["Location"],
        _ => &[],
    };
    if let Json::Object(headers) = &mut headers {
        for &name in more {
            headers.insert(
                name.into(),
                json!({"$ref": format!("#/components/headers/{name}")}),
            );
        }
    }
    let mut response = json!({"description": about, "headers": headers});
    if let (true, 200 | 206, Json::Object(members)) = (hands_on(route), code, &mut response) {
        members.insert("description".into(), "The file, or the stretch of it that `Range` asks for, where its storage is opened by a SAS.".into());
        members.insert(
            "content".into(),
            json!({"application/octet-stream": {"schema": {}}}),
        );
    }
    if let (true, Some(schema), Json::Object(members)) = (holds, &description.answer, &mut response)
    {
        let schema = resolved(schema.clone().json(), Side::Shown);
        let mut content = json!({"application/json": {"schema": schema}});
        if let (Some(media_type), Json::Object(content)) = (description.answer_text, &mut content) {
            content.insert(media_type.into(), json!({"schema": schema::text().json()}));
        }
        members.insert("content".into(), content);
    }
    response
}

fn components<'a>(paths: impl Iterator<Item = &'a str>) -> Json {
    let mut schemas = Map::new();
    for shape in every_shape() {
        for side in shape.sides() {
            schemas.insert(
                shape.name_on(*side),
                resolved(shape.schema(*side).json(), *side),
            );
        }
    }
    json!({
        "schemas": schemas,
        "parameters": parameters::components(paths),
        "responses": failure_responses(),
        "headers": {
            "RequestId": {"description": "What the log knows this request by.", "schema": {"type": "string"}},
            "Azure-AsyncOperation": {
                "description": "Where to ask what became of it, without a token.",
                "schema": {"type": "string", "format": "uri"},
            },
            "Location": {"description": "Where it is.", "schema": {"type": "string", "format": "uri"}},
            "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
        },
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "x-mkio-token": {"type": "apiKey", "in": "header", "name": "x-mkio-token"},
            "fileToken": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "What `getFileAccessInfo` gives out.",
            },
        },
    })
}

fn failure_responses() -> Json {
    const KINDS: [Kind; 10] = [
        Kind::InvalidArgument,
        Kind::Unauthenticated,
        Kind::PermissionDenied,
        Kind::NotFound,
        Kind::Conflict,
        Kind::PayloadTooLarge,
        Kind::TooManyRequests,
        Kind::Unavailable,
        Kind::Upstream,
        Kind::Internal,
    ];
    let mut responses = Map::new();
    for (surface, media_type, schema) in [
        (Dialect::MkIo, "application/json", "Error"),
        (Dialect::Own, "application/problem+json", "Problem"),
    ] {
        for kind in KINDS {
            let about = match kind {
                Kind::Conflict => "It exists already, or its state does not allow this.".to_owned(),
                kind => format!("{}.", kind.title()),
            };
            let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
            let mut headers =
                json!({"x-ms-request-id": {"$ref": "#/components/headers/RequestId"}});
            if let (Kind::TooManyRequests | Kind::Unavailable, Json::Object(headers)) =
                (kind, &mut headers)
            {
                let reference = json!({"$ref": "#/components/headers/Retry-After"});
                headers.insert("Retry-After".into(), reference);
            }
            responses.insert(
                failure_name(kind, surface),
                json!({
                    "description": about,
                    "headers": headers,
                    "content": {media_type: {"schema": schema}},
                }),
            );
        }
    }
    Json::Object(responses)
}

/// What stands in pages of lists without AMS's envelope.
const LISTED: [&str; 4] = ["Published", "WebhookRule", "WebhookEvent", "AuditLogEntry"];

/// The shapes, and the pages of lists that operations answer.
fn every_shape() -> Vec<shape::Shape> {
    let mut shapes = shapes::all();
    let pages: Vec<_> = shapes
        .iter()
        .filter(|shape| shape.is_resource() || LISTED.contains(&shape.name.as_str()))
        .map(|resource| shape::page(&resource.name))
        .collect();
    shapes.extend(pages);
    shapes
}

/// The schema with the names of shapes made into references, to what they are on that side.
fn resolved(schema: Json, side: Side) -> Json {
    static NAMES: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let written = NAMES.get_or_init(|| {
        every_shape()
            .into_iter()
            .map(|shape| (shape.name_on(Side::Shown), shape.name_on(Side::Written)))
            .collect()
    });
    let reference = |name: String| {
        let name = match side {
            Side::Shown => name,
            Side::Written => written.get(&name).cloned().unwrap_or(name),
        };
        Json::from(format!("#/components/schemas/{name}"))
    };
    match schema {
        Json::Object(members) => members
            .into_iter()
            .map(|(keyword, value)| match value {
                Json::String(name) if keyword == "$ref" => (keyword, reference(name)),
                Json::Object(mapping) if keyword == "mapping" => {
                    let resolved = mapping.into_iter().map(|(kind, name)| match name {
                        Json::String(name) => (kind, reference(name)),
                        other => (kind, other),
                    });
                    (keyword, resolved.collect())
                }
                value => (keyword, resolved(value, side)),
            })
            .collect(),
        Json::Array(items) => items.into_iter().map(|item| resolved(item, side)).collect(),
        other => other,
    }
}

/// The document as it is committed: indented, with a line feed at its end.
pub fn text() -> String {
    format!("{:#}\n", document())
}

/// `GET /api/openapi.json`. The bytes are made once.
pub(crate) fn serve(headers: &HeaderMap) -> Reply {
    static SERVED: OnceLock<(Bytes, String)> = OnceLock::new();
    let (bytes, tag) = SERVED.get_or_init(|| {
        let document = document();
        let tag = format!("\"{}\"", fingerprint(&document));
        (Bytes::from(document.to_string()), tag)
    });
    let unchanged = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(|candidate| candidate.trim().trim_start_matches("W/"))
        .any(|candidate| candidate == "*" || candidate == tag);
    let reply = if unchanged {
        Reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        Reply::bytes("application/json; charset=utf-8", bytes.clone())
    };
    // A new version of the service changes it.
    reply
        .with(header::CACHE_CONTROL, "public, no-cache")
        .with(header::ETAG, tag)
}
