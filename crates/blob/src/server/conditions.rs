//! Conditional headers (RFC 9110 §13, "Specifying conditional headers for Blob service operations").
//!
//! Evaluated in the order of RFC 9110 §13.2.2. Azure differs from the RFC in one point that SDKs rely on: a write with
//! `If-None-Match: *` over an existing blob is a conflict (`BlobAlreadyExists`), not a failed precondition.

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use jiff::Timestamp;

use crate::server::error::ErrorCode;
use crate::time::parse_http_date;

/// What the request will do if its conditions hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Read,
    /// Changes an existing blob: metadata, properties, deletion.
    Change,
    /// Replaces or creates the blob.
    Put,
}

/// The blob as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State<'a> {
    /// With or without quotes.
    pub etag: &'a str,
    pub last_modified: Timestamp,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Proceed,
    /// 304, for reads only.
    NotModified,
    Fail(ErrorCode),
}

/// The conditions of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preconditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
    if_modified_since: Option<Timestamp>,
    if_unmodified_since: Option<Timestamp>,
}

impl Preconditions {
    /// Reads the headers. A malformed date is an error: a write must not go ahead on a condition that was not
    /// understood.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, ErrorCode> {
        let text = |name: HeaderName| match headers.get(name) {
            None => Ok(None),
            Some(value) => value
                .to_str()
                .map(|t| Some(t.trim().to_owned()))
                .map_err(|_| ErrorCode::InvalidHeaderValue),
        };
        let date = |name| match text(name)? {
            None => Ok(None),
            Some(text) => parse_http_date(&text)
                .map(Some)
                .ok_or(ErrorCode::InvalidHeaderValue),
        };
        Ok(Self {
            if_match: text(IF_MATCH)?,
            if_none_match: text(IF_NONE_MATCH)?,
            if_modified_since: date(IF_MODIFIED_SINCE)?,
            if_unmodified_since: date(IF_UNMODIFIED_SINCE)?,
        })
    }

    /// Only an etag to match, as internal readers use it.
    pub fn if_match(etag: &str) -> Self {
        Self {
            if_match: Some(etag.to_owned()),
            ..Self::default()
        }
    }

    /// `state`: `None` if there is no such blob.
    pub fn evaluate(&self, intent: Use, state: Option<State<'_>>) -> Outcome {
        let not_met = Outcome::Fail(ErrorCode::ConditionNotMet);
        let Some(state) = state else {
            // Nothing to match; nothing to collide with either.
            return if self.if_match.is_some() {
                not_met
            } else {
                Outcome::Proceed
            };
        };
        let modified = state.last_modified.as_second();
        if let Some(list) = &self.if_match {
            if !matches(list, state.etag) {
                return not_met;
            }
        } else if self
            .if_unmodified_since
            .is_some_and(|since| modified > since.as_second())
        {
            return not_met;
        }
        if let Some(list) = &self.if_none_match {
            if matches(list, state.etag) {
                return match intent {
                    Use::Read => Outcome::NotModified,
                    Use::Put if list == "*" => Outcome::Fail(ErrorCode::BlobAlreadyExists),
                    Use::Change | Use::Put => not_met,
                };
            }
        } else if self
            .if_modified_since
            .is_some_and(|since| modified <= since.as_second())
        {
            return if intent == Use::Read {
                Outcome::NotModified
            } else {
                not_met
            };
        }
        Outcome::Proceed
    }
}

/// Whether a list of etags (or `*`) contains `etag`. Weak marks are ignored: our etags are strong.
fn matches(list: &str, etag: &str) -> bool {
    let bare = |text: &str| {
        text.trim()
            .trim_start_matches("W/")
            .trim_matches('"')
            .to_owned()
    };
    let etag = bare(etag);
    list == "*" || list.split(',').any(|one| bare(one) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODIFIED: &str = "Sun, 22 Nov 2026 18:00:00 GMT";

    fn evaluate(headers: &[(&'static str, &str)], intent: Use, exists: bool) -> Outcome {
        let map = headers
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), v.parse().unwrap()))
            .collect();
        let last_modified = parse_http_date(MODIFIED).unwrap();
        let state = State {
            etag: "\"0x8D1\"",
            last_modified,
        };
        Preconditions::from_headers(&map)
            .unwrap()
            .evaluate(intent, exists.then_some(state))
    }

    #[test]
    fn etags_decide() {
        let not_met = Outcome::Fail(ErrorCode::ConditionNotMet);
        for matching in ["\"0x8D1\"", "0x8D1", "*", "\"a\", \"0x8D1\""] {
            assert_eq!(
                evaluate(&[("if-match", matching)], Use::Put, true),
                Outcome::Proceed,
                "{matching}"
            );
            assert_eq!(
                evaluate(&[("if-none-match", matching)], Use::Read, true),
                Outcome::NotModified,
                "{matching}"
            );
        }
        assert_eq!(
            evaluate(&[("if-match", "\"0x8D2\"")], Use::Read, true),
            not_met
        );
        assert_eq!(
            evaluate(&[("if-none-match", "\"0x8D1\"")], Use::Change, true),
            not_met
        );
        assert_eq!(
            evaluate(&[("if-none-match", "*")], Use::Put, true),
            Outcome::Fail(ErrorCode::BlobAlreadyExists)
        );
        assert_eq!(
            evaluate(&[("if-none-match", "*")], Use::Put, false),
            Outcome::Proceed
        );
        assert_eq!(evaluate(&[("if-match", "*")], Use::Put, false), not_met);
    }

    #[test]
    fn dates_decide_when_etags_do_not() {
        let (before, after) = (
            "Sun, 22 Nov 2026 17:59:59 GMT",
            "Sun, 22 Nov 2026 18:00:01 GMT",
        );
        let not_met = Outcome::Fail(ErrorCode::ConditionNotMet);
        assert_eq!(
            evaluate(&[("if-modified-since", MODIFIED)], Use::Read, true),
            Outcome::NotModified
        );
        assert_eq!(
            evaluate(&[("if-modified-since", before)], Use::Read, true),
            Outcome::Proceed
        );
        assert_eq!(
            evaluate(&[("if-modified-since", after)], Use::Change, true),
            not_met
        );
        assert_eq!(
            evaluate(&[("if-unmodified-since", before)], Use::Read, true),
            not_met
        );
        assert_eq!(
            evaluate(&[("if-unmodified-since", MODIFIED)], Use::Change, true),
            Outcome::Proceed
        );
        let both = [("if-none-match", "\"x\""), ("if-modified-since", after)];
        assert_eq!(evaluate(&both, Use::Read, true), Outcome::Proceed);
    }

    #[test]
    fn a_date_that_is_not_understood_is_an_error() {
        let map = HeaderMap::from_iter([(IF_UNMODIFIED_SINCE, "soon".parse().unwrap())]);
        assert_eq!(
            Preconditions::from_headers(&map),
            Err(ErrorCode::InvalidHeaderValue)
        );
    }
}
