//! Resources as tools for Azure Media Services write them out, brought into the shape that its API takes.
//!
//! `az ams ... show` and `list` put a resource's properties beside its name, the management API and the SDKs put them into
//! `properties`; both are read. What only describes the resource in Azure (`id`, `type`, `etag`, ...) is dropped, `null`
//! is nothing, and `odataType` is `@odata.type`.

use serde_json::{Map, Value as Json, json};

use crate::error::ApiError;
use crate::fields::Object;

/// A resource of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub name: String,
    /// `{"properties": {...}}`: the members that a PUT takes.
    pub body: Json,
    /// All members, for what a PUT does not take.
    pub members: Map<String, Json>,
}

impl Item {
    /// Errors: a resource without a name. `known`: members that a PUT takes.
    pub(super) fn read(resource: &Object<'_>, known: &[&str]) -> Result<Self, ApiError> {
        let name = resource.required_text("name")?;
        let members = match resource.object("properties")? {
            Some(properties) => properties.cloned(),
            None => resource.cloned(),
        };
        let members = match clean(members) {
            Json::Object(members) => members,
            _ => Map::new(),
        };
        let kept = members
            .iter()
            .filter(|(member, _)| known.contains(&member.as_str()));
        let kept: Map<String, Json> = kept.map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(Self {
            name,
            body: json!({ "properties": kept }),
            members,
        })
    }

    /// A member of the body.
    pub(super) fn get(&self, member: &str) -> Option<&Json> {
        self.body.get("properties")?.get(member)
    }

    /// Sets a member of the body.
    pub(super) fn set(&mut self, member: &str, value: Json) {
        if let Some(Json::Object(properties)) = self.body.get_mut("properties") {
            properties.insert(member.to_owned(), value);
        }
    }
}

/// Without `null`s, and with `@odata.type` as the API spells it.
fn clean(value: Json) -> Json {
    match value {
        Json::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            let members = members.map(|(name, value)| {
                let name = match name.to_ascii_lowercase().as_str() {
                    "odatatype" | "odata_type" | "@odata.type" => "@odata.type".to_owned(),
                    _ => name,
                };
                (name, clean(value))
            });
            Json::Object(members.collect())
        }
        Json::Array(items) => Json::Array(items.into_iter().map(clean).collect()),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(resource: Json) -> Item {
        Item::read(
            &Object::root(&resource).unwrap(),
            &["description", "options"],
        )
        .unwrap()
    }

    #[test]
    fn resources_are_read_in_both_spellings() {
        let flat = json!({"name": "p", "id": "/subscriptions/x", "type": "t", "description": "d", "policyId": "x", "options": [
            {"name": null, "restriction": {"odataType": "#Microsoft.Media.ContentKeyPolicyOpenRestriction"}}]});
        let deep = json!({"name": "p", "properties": {"description": "d", "options": [
            {"restriction": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyOpenRestriction"}}]}});
        assert_eq!(item(flat.clone()).body, item(deep.clone()).body);
        assert_eq!(item(deep.clone()).body["properties"], deep["properties"]);
        assert_eq!(item(flat).members["policyId"], "x");
    }
}
