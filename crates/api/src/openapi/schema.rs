//! JSON Schema (draft 2020-12) in the few words that our resources need. OpenAPI 3.1, 4.8.24.
//!
//! A reference is kept as the bare name of a shape until the document is put together: only there is it known whether it is
//! what we show or what a client writes that is being described.

use serde_json::{Map, Value as Json, json};

/// One schema.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Schema(Map<String, Json>);

/// The schema that takes everything.
pub(crate) fn anything() -> Schema {
    Schema(Map::new())
}

fn of(kind: &str) -> Schema {
    anything().with("type", kind)
}

pub(crate) fn text() -> Schema {
    of("string")
}

pub(crate) fn flag() -> Schema {
    of("boolean")
}

/// `fields::Object::whole`.
pub(crate) fn whole() -> Schema {
    of("integer")
        .with("format", "int64")
        .with("minimum", 0)
        .with("maximum", i64::MAX)
}

pub(crate) fn number() -> Schema {
    of("number")
}

pub(crate) fn time() -> Schema {
    text().with("format", "date-time")
}

/// An instant as clients write it. `fields::parse_time` also takes one without an offset, which `date-time` does not.
pub(crate) fn written_time() -> Schema {
    time().about("RFC 3339. An instant without an offset is taken for UTC.")
}

pub(crate) fn uuid() -> Schema {
    text().with("format", "uuid")
}

pub(crate) fn url() -> Schema {
    text().with("format", "uri")
}

/// ISO 8601.
pub(crate) fn duration() -> Schema {
    text().with("format", "duration")
}

pub(crate) fn base64() -> Schema {
    text().with("contentEncoding", "base64")
}

pub(crate) fn one_of(names: &[&str]) -> Schema {
    text().with("enum", names)
}

pub(crate) fn list(items: Schema) -> Schema {
    of("array").with("items", items.json())
}

/// An object with any names, each with such a value.
pub(crate) fn map(values: Schema) -> Schema {
    of("object").with("additionalProperties", values.json())
}

/// Another shape, by name.
pub(crate) fn shape(name: &str) -> Schema {
    anything().with("$ref", name)
}

/// One of several shapes, told apart by `@odata.type`. `kinds`: each discriminator with the shape it stands for.
pub(crate) fn union(kinds: &[(&str, &str)]) -> Schema {
    let variants: Vec<_> = kinds.iter().map(|(_, name)| shape(name).json()).collect();
    let mapping: Map<_, _> = kinds
        .iter()
        .map(|(kind, name)| ((*kind).to_owned(), Json::from(*name)))
        .collect();
    anything().with("oneOf", variants).with(
        "discriminator",
        json!({"propertyName": "@odata.type", "mapping": mapping}),
    )
}

/// A member that is known and must ask for nothing: `null`, or one of `idle`.
pub(crate) fn idle(idle: &[Json]) -> Schema {
    let mut values = idle.to_vec();
    values.push(Json::Null);
    anything()
        .with("enum", values)
        .about("Not supported by this installation: may only ask for nothing.")
}

impl Schema {
    pub(crate) fn with(mut self, keyword: &str, value: impl Into<Json>) -> Self {
        self.0.insert(keyword.to_owned(), value.into());
        self
    }

    /// A description. It follows one that is there already.
    pub(crate) fn about(self, about: &str) -> Self {
        let whole = match self.0.get("description").and_then(Json::as_str) {
            Some(before) => format!("{before} {about}"),
            None => about.to_owned(),
        };
        self.with("description", whole)
    }

    pub(crate) fn pattern(self, pattern: &str) -> Self {
        self.with("pattern", pattern)
    }

    /// The longest text, largest number or greatest count.
    pub(crate) fn at_most(self, most: u64) -> Self {
        let keyword = self.bound(["maxLength", "maxItems", "maxProperties", "maximum"]);
        self.with(keyword, most)
    }

    pub(crate) fn at_least(self, least: u64) -> Self {
        let keyword = self.bound(["minLength", "minItems", "minProperties", "minimum"]);
        self.with(keyword, least)
    }

    fn bound(&self, [text, list, map, number]: [&'static str; 4]) -> &'static str {
        match self.0.get("type").and_then(Json::as_str) {
            Some("string") => text,
            Some("array") => list,
            Some("object") => map,
            _ => number,
        }
    }

    /// The same, or `null`.
    pub(crate) fn or_null(mut self) -> Self {
        if let Some(Json::Array(values)) = self.0.get_mut("enum")
            && !values.contains(&Json::Null)
        {
            values.push(Json::Null);
        }
        match self.0.get("type") {
            Some(Json::String(kind)) => {
                let kinds = json!([kind, "null"]);
                self.with("type", kinds)
            }
            Some(_) => self,
            // Whatever has no type takes null as it is, unless it stands for other schemas.
            None if self.0.contains_key("$ref") || self.0.contains_key("oneOf") => {
                let about = self.0.remove("description");
                let either = anything().with("anyOf", json!([self.json(), {"type": "null"}]));
                match about {
                    Some(about) => either.with("description", about),
                    None => either,
                }
            }
            None => self,
        }
    }

    pub(crate) fn json(self) -> Json {
        Json::Object(self.0)
    }
}
