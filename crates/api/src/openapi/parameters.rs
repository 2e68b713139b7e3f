//! What stands in paths and queries.

use headwater_catalog::names;
use headwater_catalog::query::PAGE;
use serde_json::{Map, Value as Json, json};

use super::description::{Description, Listing};
use super::schema::{Schema, list, one_of, text, uuid, whole};
use crate::query::MAX_LABELS;

/// A variable of a path: its rule, and what it is. `None` for one that nobody described.
fn variable(name: &str) -> Option<(Schema, &'static str)> {
    let resource = || {
        text()
            .at_least(1)
            .at_most(260)
            .pattern(names::RESOURCE_PATTERN)
    };
    let plain = || text().at_least(1).at_most(64).pattern(names::PLAIN_PATTERN);
    let hyphenated = |most: u64| {
        text()
            .at_least(1)
            .at_most(most)
            .pattern(names::HYPHENATED_PATTERN)
    };
    Some(match name {
        "project" => (plain(), "The project's name."),
        "asset" => (resource(), "The asset's name."),
        "policy" => (resource(), "The policy's name."),
        "transform" => (resource(), "The transform's name."),
        "job" => (resource(), "The job's name, within its transform."),
        "locator" => (resource(), "The streaming locator's name."),
        "storage" => (resource(), "The storage account's name."),
        "filter" => (
            text()
                .at_least(1)
                .at_most(260)
                .pattern(names::FILTER_PATTERN),
            "The filter's name. It stands in playback URLs.",
        ),
        "endpoint" => (hyphenated(24), "The streaming endpoint's name."),
        "rule" => (plain(), "The rule's name."),
        "operation" => (uuid(), "The operation's id."),
        "organization" => (uuid(), "The organization's id."),
        "token" => (uuid(), "The token's id."),
        "role" => (
            plain(),
            "The role's name: viewer, operator, owner, or one of your own.",
        ),
        "track" => (resource(), "The track's name."),
        "file" => (
            text().at_least(1).at_most(1024),
            "The file's name in the container, with the asset's folder.",
        ),
        "event" => (hyphenated(32), "The live event's name."),
        "output" => (hyphenated(256), "The live output's name."),
        "credential" => (uuid(), "The credential's id."),
        "user" => (plain(), "The user's id."),
        "invite" => (uuid(), "The invite's id."),
        "team" => (plain(), "The team's name."),
        "client" => (plain(), "The client's id."),
        "key" => (plain(), "The key's id: `kid` in tokens."),
        "scope" => (plain(), "The scope's name."),
        "location" => (plain(), "The location's name."),
        "method" => (plain(), "The payment method's id."),
        "tenant" => (plain(), "Any name: there is one tenant."),
        _ => return None,
    })
}

/// The variables of a path template, in order.
pub(super) fn variables(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// A path as OpenAPI can say it: a variable for all that is left of a path is one like the others there.
pub(super) fn openapi_path(template: &str) -> String {
    template.replace("...}", "}")
}

/// The parameters of a path template.
pub(super) fn of_path(path: &str) -> Vec<Json> {
    variables(path).map(shared).collect()
}

fn query(name: &str, about: &str, schema: Schema) -> Json {
    json!({"name": name, "in": "query", "description": about, "schema": schema.json()})
}

/// The query parameters of an operation.
pub(super) fn of_query(description: &Description) -> Vec<Json> {
    let mut parameters = match description.listing {
        None => Vec::new(),
        Some(Listing::Fields(fields)) => fielded(fields),
        Some(Listing::FieldsAndLabels(fields)) => {
            let mut all = fielded(fields);
            all.extend([shared("LabelKey"), shared("Label")]);
            all
        }
    };
    for (name, schema) in &description.query {
        parameters.push(json!({"name": name, "in": "query", "schema": schema.clone().json()}));
    }
    parameters
}

fn fielded(fields: &[&str]) -> Vec<Json> {
    let named = fields.join("`, `");
    let mut all = vec![shared("Top"), shared("SkipToken")];
    all.push(query(
        "$filter",
        &format!(
            "An OData expression: `eq`, `ne`, `gt`, `ge`, `lt`, `le`, `and`, `or`, `not`, `contains()`, `startswith()` and \
             `endswith()` over `{named}`."
        ),
        text().at_most(8192),
    ));
    let orders: Vec<_> = fields
        .iter()
        .flat_map(|field| ["", " asc", " desc"].map(|way| format!("{field}{way}")))
        .collect();
    let orders: Vec<_> = orders.iter().map(String::as_str).collect();
    all.push(query("$orderby", "The order of the list.", one_of(&orders)));
    all
}

fn shared(name: &str) -> Json {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

/// The variables of all paths, and the parameters that many lists have.
pub(super) fn components<'a>(paths: impl Iterator<Item = &'a str>) -> Json {
    let number = |least: u64| whole().at_least(least).at_most(u32::MAX.into());
    let conditions = |condition: Schema| list(condition).at_most(MAX_LABELS as u64);
    let mut parameters = Map::new();
    for name in paths.flat_map(variables) {
        if let Some((schema, about)) = variable(name) {
            parameters.insert(
                name.to_owned(),
                json!({
                    "name": name, "in": "path", "required": true, "description": about, "schema": schema.json(),
                }),
            );
        }
    }
    parameters.extend([
        (
            "Top".to_owned(),
            query("$top", &format!("Items on a page, at most {PAGE}."), number(1)),
        ),
        (
            "SkipToken".to_owned(),
            query(
                "$skiptoken",
                "Items to skip: `supplemental.pagination.end` of the page before.",
                number(0),
            ),
        ),
        (
            "LabelKey".to_owned(),
            query(
                "$label_key",
                "Only items with a label of this name. More than one: with all of them.",
                conditions(text()),
            ),
        ),
        (
            "Label".to_owned(),
            query(
                "$label",
                "Only items with such a label: `name=value` for that value, `name~part` for values that hold that.",
                conditions(text().pattern("[=~]")),
            ),
        ),
    ]);
    Json::Object(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::ours;

    #[test]
    fn every_variable_of_our_paths_is_described() {
        for (path, _) in ours() {
            for name in variables(&path) {
                assert!(variable(name).is_some(), "{name} in {path}");
            }
        }
    }
}
