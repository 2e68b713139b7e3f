//! Query strings as the signing rules see them: percent-decoded, `+` left alone, duplicates kept.

use crate::names::{InvalidName, decode};

/// Decoded parameters in the order of the URL. Names keep their case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// `raw`: without the leading `?`. Empty parameters are dropped; a name without `=` has an empty value.
    pub fn parse(raw: &str) -> Result<Self, InvalidName> {
        let mut pairs = Vec::new();
        for part in raw.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            pairs.push((decode(name)?, decode(value)?));
        }
        Ok(Self(pairs))
    }

    /// The first value of `name`, compared without regard to ASCII case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// How often `name` occurs.
    pub fn count(&self, name: &str) -> usize {
        self.0
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .count()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_is_not_a_space() {
        let query = Query::parse("restype=container&sig=a%2Bb+c%3D&Flag&&x=1=2").unwrap();
        assert_eq!(query.get("sig"), Some("a+b+c="));
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("x"), Some("1=2"));
        assert_eq!(query.get("missing"), None);
        assert!(Query::parse("a=%ff").is_err());
    }
}
