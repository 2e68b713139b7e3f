//! The two spellings of time in the protocol: HTTP dates in headers and listings, ISO 8601 in SAS.
//!
//! Nothing here reads a clock; `now` always comes from the caller.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use jiff::tz::TimeZone;

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7). Fractions of a second are dropped.
pub fn http_date(at: Timestamp) -> String {
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&at)
        .unwrap_or_default()
}

/// Reads an HTTP date; also accepts the zones RFC 2822 allows.
pub fn parse_http_date(text: &str) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

/// `2026-11-22T20:15:00Z`: whole seconds, UTC, as SAS fields are written.
pub fn sas_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Reads a SAS time: `YYYY-MM-DD`, `YYYY-MM-DDThh:mmTZD` or with seconds and a fraction.
pub fn parse_sas_time(text: &str) -> Option<Timestamp> {
    if text.len() == 10 {
        let date: Date = text.parse().ok()?;
        return date
            .to_zoned(TimeZone::UTC)
            .ok()
            .map(|zoned| zoned.timestamp());
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_round_trip() {
        let at: Timestamp = "1994-11-06T08:49:37.5Z".parse().unwrap();
        assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(
            parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT")
                .unwrap()
                .as_second(),
            at.as_second()
        );
        assert_eq!(parse_http_date("yesterday"), None);
    }

    #[test]
    fn all_sas_spellings_are_read() {
        let midnight: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        for text in [
            "2026-11-22",
            "2026-11-22T00:00Z",
            "2026-11-22T00:00:00Z",
            "2026-11-22T00:00:00.0000000Z",
            "2026-11-22T01:00:00+01:00",
        ] {
            assert_eq!(parse_sas_time(text), Some(midnight), "{text}");
        }
        assert_eq!(parse_sas_time("2026-13-22"), None);
        assert_eq!(parse_sas_time("soon"), None);
        assert_eq!(sas_time(midnight), "2026-11-22T00:00:00Z");
    }
}
