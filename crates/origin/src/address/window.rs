//! Windows on a presentation: `vbegin` and `vend` (ISO 8601 durations from its start), `start` and `end` (times of the
//! day it was recorded, ISO 8601 in UTC).

use super::options::bad;
use crate::error::OriginError;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// Which part of a presentation a URL asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// `vbegin`: microseconds from the presentation's start.
    pub begin: Option<u64>,
    /// `vend`: microseconds from the presentation's start.
    pub end: Option<u64>,
    /// `start`.
    pub clock_start: Option<Clock>,
    /// `end`.
    pub clock_end: Option<Clock>,
}

/// A time of the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clock(pub Timestamp);

impl Window {
    /// Whether it is counted from the presentation's start.
    pub fn is_relative(&self) -> bool {
        self.begin.is_some() || self.end.is_some()
    }

    /// Whether it is of the time of day.
    pub fn is_by_clock(&self) -> bool {
        self.clock_start.is_some() || self.clock_end.is_some()
    }

    pub(super) fn check(&self) -> Result<(), OriginError> {
        let backwards = |from: bool| match from {
            true => Err(bad("a window ends before it starts")),
            false => Ok(()),
        };
        backwards(matches!((self.begin, self.end), (Some(a), Some(b)) if a >= b))?;
        backwards(matches!((self.clock_start, self.clock_end), (Some(a), Some(b)) if a >= b))
    }

    /// The options that stand for it, each with its comma in front.
    pub fn write(&self, out: &mut String) {
        for (name, micros) in [("vbegin", self.begin), ("vend", self.end)] {
            if let Some(micros) = micros {
                out.push_str(&format!(",{name}=PT{}S", seconds(micros)));
            }
        }
        for (name, clock) in [("start", self.clock_start), ("end", self.clock_end)] {
            if let Some(Clock(at)) = clock {
                // Colons are plain characters of a path, but not of its first element when relative (RFC 3986 §4.2).
                out.push_str(&format!(",{name}={}", at.to_string().replace(':', "%3A")));
            }
        }
    }
}

/// Decimal seconds, without zeros at the end.
fn seconds(micros: u64) -> String {
    let whole = micros.checked_div(1_000_000).unwrap_or_default();
    let rest = micros.checked_rem(1_000_000).unwrap_or_default();
    match rest {
        0 => whole.to_string(),
        _ => format!("{whole}.{rest:06}")
            .trim_end_matches('0')
            .to_owned(),
    }
}

/// Microseconds of an ISO 8601 duration, such as `PT1M30S`. Days have 24 hours; months and years no certain length.
pub(super) fn duration(value: &str) -> Result<u64, OriginError> {
    let wrong = || bad("vbegin and vend are durations such as PT1M30S");
    if !value.starts_with(['P', 'p']) {
        return Err(wrong());
    }
    let span: Span = value.parse().map_err(|_| wrong())?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(wrong());
    }
    let length: SignedDuration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong())?;
    u64::try_from(length.as_micros()).map_err(|_| wrong())
}

pub(super) fn timestamp(value: &str) -> Result<Timestamp, OriginError> {
    value
        .parse()
        .map_err(|_| bad("start and end are times such as 2026-06-01T13:15:00.000Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, micros) in [
            ("PT1M30S", 90_000_000),
            ("PT0S", 0),
            ("PT1H0.25S", 3_600_250_000),
            ("P1DT1S", 86_401_000_000),
        ] {
            assert_eq!(duration(text).ok(), Some(micros), "{text}");
            let window = Window {
                begin: Some(micros),
                ..Window::default()
            };
            let mut out = String::new();
            window.write(&mut out);
            let again = out.strip_prefix(",vbegin=").unwrap();
            assert_eq!(duration(again).ok(), Some(micros), "{again}");
        }
        for text in ["", "90", "1m 30s", "-PT1S", "P1Y", "PT", "PT1S,"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
