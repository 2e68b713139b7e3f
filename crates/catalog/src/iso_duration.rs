//! Lengths of time as AMS writes them.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time, written in ISO 8601: `PT2S`, `PT1H30M`, `P7D`. Not negative; days have 24 hours, and months and years
/// are no lengths. Shown in hours, minutes and seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IsoDuration(SignedDuration);

impl IsoDuration {
    pub const fn from_hours(hours: u32) -> Self {
        Self(SignedDuration::from_hours(hours as i64))
    }

    pub const fn from_mins(minutes: u32) -> Self {
        Self(SignedDuration::from_mins(minutes as i64))
    }

    pub const fn from_millis(milliseconds: u32) -> Self {
        Self(SignedDuration::from_millis(milliseconds as i64))
    }

    /// Whole milliseconds; what is less is dropped.
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or_default()
    }
}

/// Not a length of time in ISO 8601.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an ISO 8601 duration")]
pub struct NoDuration;

impl FromStr for IsoDuration {
    type Err = NoDuration;

    fn from_str(text: &str) -> Result<Self, NoDuration> {
        // jiff reads signs and a friendlier form too.
        if !text.starts_with('P') {
            return Err(NoDuration);
        }
        let span: Span = text.parse().map_err(|_| NoDuration)?;
        let days = SpanRelativeTo::days_are_24_hours();
        span.to_duration(days)
            .ok()
            .filter(|duration| !duration.is_negative())
            .map(Self)
            .ok_or(NoDuration)
    }
}

impl fmt::Display for IsoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for IsoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IsoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_in_every_form_and_shown_in_one() {
        for (text, shown, milliseconds) in [
            ("PT2S", "PT2S", 2_000),
            ("PT0.5S", "PT0.5S", 500),
            ("PT90M", "PT1H30M", 5_400_000),
            ("P7D", "PT168H", 604_800_000),
            ("P1DT1H", "PT25H", 90_000_000),
            ("PT0S", "PT0S", 0),
        ] {
            let read: IsoDuration = text.parse().unwrap();
            assert_eq!(
                (read.to_string().as_str(), read.as_millis()),
                (shown, milliseconds),
                "{text}"
            );
        }
        for bad in ["", "2", "PT", "-PT2S", "00:00:02", "P1M", "2s", "P-1D"] {
            assert_eq!(bad.parse::<IsoDuration>(), Err(NoDuration), "{bad}");
        }
    }
}
