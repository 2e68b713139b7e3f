//! Reads the members of a request body, and says which one is wrong.
//!
//! A member that is `null` counts as missing, as it does for the Azure SDKs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::error::ApiError;

/// An object of the body with its path.
#[derive(Debug, Clone)]
pub(crate) struct Object<'a> {
    path: String,
    members: &'a Map<String, Json>,
}

impl<'a> Object<'a> {
    /// The body itself.
    pub(crate) fn root(body: &'a Json) -> Result<Self, ApiError> {
        Self::at(String::new(), body)
    }

    fn at(path: String, value: &'a Json) -> Result<Self, ApiError> {
        match value {
            Json::Object(members) => Ok(Self { path, members }),
            _ if path.is_empty() => Err(ApiError::invalid("body", "must be a JSON object")),
            _ => Err(ApiError::invalid(path, "must be an object")),
        }
    }

    /// The path of a member.
    pub(crate) fn path(&self, member: &str) -> String {
        if self.path.is_empty() {
            member.to_owned()
        } else {
            format!("{}.{member}", self.path)
        }
    }

    pub(crate) fn get(&self, member: &str) -> Option<&'a Json> {
        self.members.get(member).filter(|value| !value.is_null())
    }

    /// The names of the members that are there.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, _)| name.as_str())
    }

    pub(crate) fn required<T>(&self, member: &str, found: Option<T>) -> Result<T, ApiError> {
        found.ok_or_else(|| ApiError::invalid(self.path(member), "is required"))
    }

    pub(crate) fn text(&self, member: &str) -> Result<Option<String>, ApiError> {
        match self.get(member) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(ApiError::invalid(self.path(member), "must be a string")),
        }
    }

    pub(crate) fn required_text(&self, member: &str) -> Result<String, ApiError> {
        let found = self.text(member)?;
        self.required(member, found)
    }

    pub(crate) fn flag(&self, member: &str) -> Result<Option<bool>, ApiError> {
        match self.get(member) {
            None => Ok(None),
            Some(Json::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(ApiError::invalid(
                self.path(member),
                "must be true or false",
            )),
        }
    }

    /// A whole number from 0 to 2^63 - 1. JavaScript clients send what they cannot hold exactly as a float, which is no whole
    /// number here.
    pub(crate) fn whole(&self, member: &str) -> Result<Option<u64>, ApiError> {
        match self.get(member) {
            None => Ok(None),
            Some(value) => value
                .as_u64()
                .filter(|number| i64::try_from(*number).is_ok())
                .map(Some)
                .ok_or_else(|| {
                    ApiError::invalid(
                        self.path(member),
                        "must be a whole number from 0 to 9223372036854775807",
                    )
                }),
        }
    }

    /// An RFC 3339 instant; one without an offset is UTC, as the Azure SDKs take it.
    pub(crate) fn time(&self, member: &str) -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = self.text(member)? else {
            return Ok(None);
        };
        parse_time(&text).map(Some).ok_or_else(|| {
            ApiError::invalid(self.path(member), "must be an RFC 3339 date and time")
        })
    }

    pub(crate) fn uuid(&self, member: &str) -> Result<Option<Uuid>, ApiError> {
        let Some(text) = self.text(member)? else {
            return Ok(None);
        };
        Uuid::parse_str(&text)
            .map(Some)
            .map_err(|_| ApiError::invalid(self.path(member), "must be a UUID"))
    }

    /// One of the names that `parse` knows.
    pub(crate) fn one_of<T>(
        &self,
        member: &str,
        names: &[&str],
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(member)? else {
            return Ok(None);
        };
        parse(&text).map(Some).ok_or_else(|| {
            ApiError::invalid(
                self.path(member),
                format!("must be one of {}", names.join(", ")),
            )
        })
    }

    pub(crate) fn object(&self, member: &str) -> Result<Option<Object<'a>>, ApiError> {
        self.get(member)
            .map(|value| Object::at(self.path(member), value))
            .transpose()
    }

    pub(crate) fn required_object(&self, member: &str) -> Result<Object<'a>, ApiError> {
        let found = self.object(member)?;
        self.required(member, found)
    }

    pub(crate) fn array(&self, member: &str) -> Result<Option<&'a [Json]>, ApiError> {
        match self.get(member) {
            None => Ok(None),
            Some(Json::Array(items)) => Ok(Some(items)),
            Some(_) => Err(ApiError::invalid(self.path(member), "must be an array")),
        }
    }

    pub(crate) fn objects(&self, member: &str) -> Result<Option<Vec<Object<'a>>>, ApiError> {
        let Some(items) = self.array(member)? else {
            return Ok(None);
        };
        items
            .iter()
            .enumerate()
            .map(|(at, item)| Object::at(format!("{}[{at}]", self.path(member)), item))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    pub(crate) fn texts(&self, member: &str) -> Result<Option<Vec<String>>, ApiError> {
        let Some(items) = self.array(member)? else {
            return Ok(None);
        };
        items
            .iter()
            .enumerate()
            .map(|(at, item)| match item {
                Json::String(text) => Ok(text.clone()),
                _ => Err(ApiError::invalid(
                    format!("{}[{at}]", self.path(member)),
                    "must be a string",
                )),
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// An object whose members are all strings.
    pub(crate) fn text_map(
        &self,
        member: &str,
    ) -> Result<Option<BTreeMap<String, String>>, ApiError> {
        let Some(object) = self.object(member)? else {
            return Ok(None);
        };
        object
            .members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| match value {
                Json::String(text) => Ok((key.clone(), text.clone())),
                _ => Err(ApiError::invalid(object.path(key), "must be a string")),
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Whether a member is written at all, if only as `null`.
    pub(crate) fn names_member(&self, member: &str) -> bool {
        self.members.contains_key(member)
    }

    /// Whether there is anything in a member: not null, not empty.
    pub(crate) fn has(&self, member: &str) -> bool {
        match self.get(member) {
            None => false,
            Some(Json::Array(items)) => !items.is_empty(),
            Some(Json::Object(members)) => !members.is_empty(),
            Some(_) => true,
        }
    }

    /// Refuses members that are neither read nor shown by us: they would be lost without a word.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        match self
            .members
            .iter()
            .find(|(name, value)| !known.contains(&name.as_str()) && !value.is_null())
        {
            Some((name, _)) => Err(ApiError::invalid(
                self.path(name),
                format!("is not a known member; these are: {}", known.join(", ")),
            )),
            None => Ok(()),
        }
    }

    /// The members that are not `known`, to be kept as they are.
    pub(crate) fn beyond(&self, known: &[&str]) -> Map<String, Json> {
        self.members
            .iter()
            .filter(|(name, value)| !known.contains(&name.as_str()) && !value.is_null())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// A copy of the whole object.
    pub(crate) fn cloned(&self) -> Json {
        Json::Object(self.members.clone())
    }
}

/// RFC 3339; without an offset UTC. The last day of the year 9999, which AMS uses for "never" and which is beyond what
/// an instant can be here, is the last instant.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    if text.starts_with("9999-12-31T") {
        return Some(Timestamp::MAX);
    }
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp())
}

/// Members of every resource that a client may send back to us as it got them.
pub(crate) const ENVELOPE: &[&str] = &[
    "id",
    "name",
    "type",
    "systemData",
    "properties",
    "labels",
    "tags",
    "location",
    "@odata.context",
    "@odata.etag",
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn wrong_types_name_the_member() {
        let body = json!({"properties": {"a": 1, "b": null, "c": ["x", 2], "t": "yesterday"}});
        let properties = Object::root(&body)
            .unwrap()
            .required_object("properties")
            .unwrap();
        assert_eq!(
            properties.text("a").unwrap_err().field.unwrap(),
            "properties.a"
        );
        assert_eq!(properties.text("b").unwrap(), None);
        assert_eq!(
            properties.texts("c").unwrap_err().field.unwrap(),
            "properties.c[1]"
        );
        assert_eq!(
            properties.time("t").unwrap_err().field.unwrap(),
            "properties.t"
        );
        assert_eq!(
            properties.only(&["a", "c"]).unwrap_err().field.unwrap(),
            "properties.t"
        );
        assert!(Object::root(&json!([])).is_err());
    }

    #[test]
    fn times_as_the_sdks_send_them() {
        for text in [
            "2030-01-01T00:00:00.000Z",
            "2030-01-01T00:00:00Z",
            "2030-01-01T01:00:00+01:00",
            "2030-01-01T00:00:00.0000000",
            "2030-01-01T00:00:00",
        ] {
            assert_eq!(
                parse_time(text).unwrap().to_string(),
                "2030-01-01T00:00:00Z",
                "{text}"
            );
        }
        assert!(parse_time("9999-12-31T23:59:59.9999999Z").is_some());
        assert_eq!(parse_time("tomorrow"), None);
    }
}
