//! Reads JSON that strangers send.
//!
//! serde_json takes the last of two members with one name and turns numbers that do not fit into floating point. Here both
//! are errors that name the member, because a client that sends them means something else than what would be stored, but for
//! times of filters, where a number that is too large stands for none. Depth is limited too: a resource is a few levels
//! deep, and what is stored has to be read again.
//!
//! Spec: RFC 8259; RFC 7493 (I-JSON) sections 2.2 and 2.3 for numbers and member names.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Levels of objects and arrays.
pub const MAX_DEPTH: usize = 32;

/// Why a body is not acceptable JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadJson {
    /// The member at fault, as a path (`properties.outputs[0]`); empty for the whole body.
    pub field: String,
    pub reason: String,
}

/// Parses one JSON value.
pub fn parse(bytes: &[u8]) -> Result<Value, BadJson> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let fault = std::cell::RefCell::new(None);
    let node = Node {
        path: String::new(),
        depth: 0,
        fault: &fault,
    };
    let parsed = node
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    parsed.map_err(|error| {
        fault.take().unwrap_or_else(|| BadJson {
            field: String::new(),
            reason: format!("is not valid JSON: {error}"),
        })
    })
}

/// Where we are in the document. A fault found here is left in `fault`, because a serde error is only text.
struct Node<'a> {
    path: String,
    depth: usize,
    fault: &'a std::cell::RefCell<Option<BadJson>>,
}

impl<'a> Node<'a> {
    /// Whether this is a number that Azure Media Services writes as 2^63 - 1 where it is not set: a time of a filter. JavaScript
    /// makes 9223372036854776000 of that, which is taken for the same.
    fn may_be_unset(&self) -> bool {
        let parent = self.path.rsplit_once('.').map(|(parent, _)| parent);
        parent.is_some_and(|parent| parent.ends_with("presentationTimeRange"))
    }

    fn child(&self, path: String) -> Self {
        Node {
            path,
            depth: self.depth.saturating_add(1),
            fault: self.fault,
        }
    }

    fn refuse<E: serde::de::Error>(&self, field: String, reason: &str) -> E {
        *self.fault.borrow_mut() = Some(BadJson {
            field,
            reason: reason.to_owned(),
        });
        E::custom(reason)
    }

    fn check_depth<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.depth >= MAX_DEPTH {
            return Err(self.refuse(self.path.clone(), "is nested too deeply"));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let (path, fault) = (self.path.clone(), self.fault);
        deserializer.deserialize_any(self).inspect_err(|error| {
            // Beyond the largest double serde_json gives up by itself, and knows only the place in the text.
            if fault.borrow().is_none() && error.to_string().starts_with("number out of range") {
                *fault.borrow_mut() = Some(BadJson {
                    field: path,
                    reason: "is a number that is too large".to_owned(),
                });
            }
        })
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        if i64::try_from(value).is_err() {
            if self.may_be_unset() {
                return Ok(Value::Number(i64::MAX.into()));
            }
            return Err(self.refuse(self.path.clone(), "is a number that is too large"));
        }
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        // An integer that fits no 64 bits arrives here too.
        const TWO_TO_53: f64 = 9_007_199_254_740_992.0;
        const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
        if value >= TWO_TO_63 && self.may_be_unset() {
            return Ok(Value::Number(i64::MAX.into()));
        }
        if value.fract() == 0.0 && value.abs() > TWO_TO_53 {
            return Err(self.refuse(self.path.clone(), "is a number that is too large"));
        }
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        if value.contains('\0') {
            return Err(self.refuse(self.path.clone(), "must not contain a NUL character"));
        }
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut array = Vec::new();
        while let Some(item) =
            items.next_element_seed(self.child(format!("{}[{}]", self.path, array.len())))?
        {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let path = if self.path.is_empty() {
                name.clone()
            } else {
                format!("{}.{name}", self.path)
            };
            if object.contains_key(&name) {
                return Err(self.refuse(path, "is there twice"));
            }
            if name.contains('\0') {
                return Err(A::Error::custom("a member name contains a NUL character"));
            }
            let value = members.next_value_seed(self.child(path))?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (String, String) {
        let bad = parse(text.as_bytes()).unwrap_err();
        (bad.field, bad.reason)
    }

    #[test]
    fn faults_name_the_member() {
        assert_eq!(
            fault(r#"{"properties":{"a":1,"a":2}}"#),
            ("properties.a".into(), "is there twice".into())
        );
        for number in [
            "9223372036854775808",
            "18446744073709551616",
            "-9223372036854775809",
            "1e300",
            "-1e400",
            &"9".repeat(400),
        ] {
            assert_eq!(
                fault(&format!(r#"{{"a":[0,{number}]}}"#)),
                ("a[1]".into(), "is a number that is too large".into()),
                "{number}"
            );
        }
        assert_eq!(fault(r#"{"a":"\u0000"}"#).0, "a");
        let deep = "[".repeat(10_000);
        assert_eq!(fault(&deep).1, "is nested too deeply");
    }

    #[test]
    fn plain_documents_come_out_as_they_are() {
        let text = r#"{"a":[1,-2,0.5,"x",true,null],"b":{"c":9223372036854775807}}"#;
        assert_eq!(
            parse(text.as_bytes()).unwrap(),
            serde_json::from_str::<Value>(text).unwrap()
        );
        for bad in ["", "{", "{}x", "nul", "\u{feff}{}", "{\"a\":NaN}"] {
            assert!(fault(bad).1.starts_with("is not valid JSON"), "{bad}");
        }
    }
}
