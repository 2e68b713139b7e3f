//! Reading JSON objects member by member, with errors that name the path.

use jiff::{Span, SpanRelativeTo};
use serde_json::{Map, Value};

/// Why a preset is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct PresetError {
    /// Path inside of the preset, such as `codecs[0].bitrate`; empty for the preset itself.
    pub field: String,
    /// Completes a sentence that begins with the field: "must be ...".
    pub message: String,
}

impl PresetError {
    /// A fault of the member at `field`.
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

type Read<T> = Result<T, PresetError>;

/// An object and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    path: String,
    members: &'a Map<String, Value>,
}

impl<'a> Node<'a> {
    pub(crate) fn root(json: &'a Value) -> Read<Self> {
        Self::new(String::new(), json)
    }

    fn new(path: String, json: &'a Value) -> Read<Self> {
        match json {
            Value::Object(members) => Ok(Self { path, members }),
            _ => Err(PresetError::new(path, "must be an object")),
        }
    }

    /// The path of `member`.
    pub(crate) fn at(&self, member: &str) -> String {
        if self.path.is_empty() {
            member.to_owned()
        } else {
            format!("{}.{member}", self.path)
        }
    }

    pub(crate) fn fault(&self, member: &str, message: impl Into<String>) -> PresetError {
        PresetError::new(self.at(member), message)
    }

    /// A member that is there and not `null`.
    pub(crate) fn get(&self, member: &str) -> Option<&'a Value> {
        self.members.get(member).filter(|value| !value.is_null())
    }

    /// Refuses members other than `known`: what is not understood would be ignored.
    pub(crate) fn only(&self, known: &[&str]) -> Read<()> {
        let unknown = self
            .members
            .iter()
            .find(|(name, value)| !value.is_null() && !known.contains(&name.as_str()));
        match unknown {
            Some((name, _)) => Err(self.fault(name, "is not supported by this installation")),
            None => Ok(()),
        }
    }

    pub(crate) fn text(&self, member: &str) -> Read<Option<&'a str>> {
        match self.get(member) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.fault(member, "must be a string")),
        }
    }

    pub(crate) fn required_text(&self, member: &str) -> Read<&'a str> {
        self.text(member)?
            .ok_or_else(|| self.fault(member, "is required"))
    }

    pub(crate) fn flag(&self, member: &str) -> Read<Option<bool>> {
        match self.get(member) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.fault(member, "must be true or false")),
        }
    }

    /// A whole number within `range`.
    pub(crate) fn whole(
        &self,
        member: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Read<Option<u64>> {
        let Some(value) = self.get(member) else {
            return Ok(None);
        };
        // Some clients send 2.0 for 2.
        let number = value.as_u64().or_else(|| {
            value
                .as_f64()
                .filter(|number| number.fract() == 0.0 && (0.0..9e15).contains(number))
                .map(|number| number as u64)
        });
        number
            .filter(|number| range.contains(number))
            .map(Some)
            .ok_or_else(|| {
                self.fault(
                    member,
                    format!(
                        "must be a whole number from {} to {}",
                        range.start(),
                        range.end()
                    ),
                )
            })
    }

    /// As [`Self::whole`], in 32 bits.
    pub(crate) fn small(
        &self,
        member: &str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Read<Option<u32>> {
        let wide = u64::from(*range.start())..=u64::from(*range.end());
        Ok(self
            .whole(member, wide)?
            .and_then(|number| u32::try_from(number).ok()))
    }

    pub(crate) fn number(
        &self,
        member: &str,
        range: std::ops::RangeInclusive<f64>,
    ) -> Read<Option<f64>> {
        match self.get(member) {
            None => Ok(None),
            Some(value) => value
                .as_f64()
                .filter(|number| range.contains(number))
                .map(Some)
                .ok_or_else(|| {
                    self.fault(
                        member,
                        format!("must be a number from {} to {}", range.start(), range.end()),
                    )
                }),
        }
    }

    /// One of `names`, compared without regard to case.
    pub(crate) fn choice<T: Copy>(&self, member: &str, names: &[(&str, T)]) -> Read<Option<T>> {
        let Some(text) = self.text(member)? else {
            return Ok(None);
        };
        names
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(_, value)| Some(*value))
            .ok_or_else(|| {
                let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
                self.fault(member, format!("must be one of {}", names.join(", ")))
            })
    }

    /// An ISO 8601 duration in milliseconds.
    pub(crate) fn duration_ms(&self, member: &str) -> Read<Option<u64>> {
        match self.text(member)? {
            None => Ok(None),
            Some(text) => duration_ms(text)
                .map(Some)
                .ok_or_else(|| self.fault(member, "must be an ISO 8601 duration, such as PT2S")),
        }
    }

    pub(crate) fn object(&self, member: &str) -> Read<Option<Node<'a>>> {
        self.get(member)
            .map(|value| Node::new(self.at(member), value))
            .transpose()
    }

    /// The objects of an array; empty if there is none.
    pub(crate) fn objects(&self, member: &str) -> Read<Vec<Node<'a>>> {
        match self.get(member) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| Node::new(format!("{}[{index}]", self.at(member)), item))
                .collect(),
            Some(_) => Err(self.fault(member, "must be an array")),
        }
    }

    pub(crate) fn texts(&self, member: &str) -> Read<Vec<&'a str>> {
        match self.get(member) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| {
                    item.as_str()
                        .ok_or_else(|| self.fault(member, "must be an array of strings"))
                })
                .collect(),
            Some(_) => Err(self.fault(member, "must be an array of strings")),
        }
    }

    /// The discriminator without its prefix.
    pub(crate) fn kind(&self) -> Read<&'a str> {
        let kind = self.required_text("@odata.type")?;
        Ok(kind.strip_prefix("#Microsoft.Media.").unwrap_or(kind))
    }
}

/// Milliseconds of an ISO 8601 duration, not negative; what is less than one is dropped.
pub(crate) fn duration_ms(text: &str) -> Option<u64> {
    if !text.starts_with('P') {
        return None;
    }
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    u64::try_from(duration.as_millis()).ok()
}
