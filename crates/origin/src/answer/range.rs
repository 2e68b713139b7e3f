//! `Range` and `If-Range` (RFC 9110 §14.2, §13.1.5).

use super::Meta;
use headwater_blob::time::parse_http_date;
use http::HeaderMap;
use http::header::{IF_RANGE, RANGE};
use std::ops::Range;

/// What part of a resource to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ranged {
    /// All of it.
    Whole,
    /// These bytes, not empty.
    Part(Range<u64>),
    /// 416.
    Unsatisfiable,
}

/// Reads the request's range for a body of `total` bytes.
///
/// One range only: several ranges, other units and anything malformed get the whole body, which the standard allows
/// (§14.2) and every client copes with.
pub(super) fn read(headers: &HeaderMap, meta: &Meta, total: u64) -> Ranged {
    let mut values = headers.get_all(RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Ranged::Whole;
    };
    let Some(spec) = value.to_str().ok().and_then(bytes_unit) else {
        return Ranged::Whole;
    };
    if !if_range_holds(headers, meta) {
        return Ranged::Whole;
    }
    let Some((first, last)) = spec.split_once('-') else {
        return Ranged::Whole;
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(total),
        (Some(first), None) if last.trim().is_empty() => first..total,
        (None, Some(suffix)) if first.trim().is_empty() => total.saturating_sub(suffix)..total,
        _ => return Ranged::Whole,
    };
    if range.start >= range.end {
        Ranged::Unsatisfiable
    } else {
        Ranged::Part(range)
    }
}

fn bytes_unit(value: &str) -> Option<&str> {
    let (unit, spec) = value.split_once('=')?;
    (unit.trim().eq_ignore_ascii_case("bytes") && !spec.contains(',')).then_some(spec.trim())
}

/// Digits only; numbers past 2^64 are past every end.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Without `If-Range`, or if the client's copy is of the same bytes: strong comparison of the tag, or the very date.
fn if_range_holds(headers: &HeaderMap, meta: &Meta) -> bool {
    let Some(value) = headers.get(IF_RANGE) else {
        return true;
    };
    let Ok(value) = value.to_str() else {
        return false;
    };
    if value.starts_with('"') || value.starts_with("W/") {
        return value == meta.etag;
    }
    match (parse_http_date(value), meta.last_modified) {
        (Some(date), Some(modified)) => date.as_second() == modified.as_second(),
        _ => false,
    }
}
