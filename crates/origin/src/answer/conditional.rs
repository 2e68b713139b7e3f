//! `If-Match`, `If-Unmodified-Since`, `If-None-Match`, `If-Modified-Since` in the order of RFC 9110 §13.2.2.

use super::Meta;
use crate::error::{Code, OriginError};
use headwater_blob::time::parse_http_date;
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName};

/// Whether the client's copy is still good.
///
/// Fails with [`Code::PreconditionFailed`] if the client asks for another version than there is. Each date counts only
/// without its tag.
pub(crate) fn is_not_modified(headers: &HeaderMap, meta: &Meta) -> Result<bool, OriginError> {
    let wanted = listed(headers, IF_MATCH, |tag| tag == meta.etag)
        .or_else(|| is_unmodified_since(headers, IF_UNMODIFIED_SINCE, meta));
    if wanted == Some(false) {
        let what = "the resource is not the version that the request is for";
        return Err(OriginError::new(Code::PreconditionFailed, what));
    }
    let had = listed(headers, IF_NONE_MATCH, |tag| {
        opaque(tag) == opaque(&meta.etag)
    })
    .or_else(|| is_unmodified_since(headers, IF_MODIFIED_SINCE, meta));
    Ok(had == Some(true))
}

/// Whether the field's list of entity tags holds `*` or one that `is_ours`; `None` without the field. Our own tags hold
/// no commas.
fn listed(headers: &HeaderMap, name: HeaderName, is_ours: impl Fn(&str) -> bool) -> Option<bool> {
    let mut lists = headers.get_all(name).iter().peekable();
    lists.peek()?;
    let mut tags = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim);
    Some(tags.any(|tag| tag == "*" || is_ours(tag)))
}

/// Whether the resource is as it was at the field's date; `None` without a date to compare.
fn is_unmodified_since(headers: &HeaderMap, name: HeaderName, meta: &Meta) -> Option<bool> {
    let since = parse_http_date(headers.get(name)?.to_str().ok()?)?;
    // Dates have whole seconds.
    Some(meta.last_modified?.as_second() <= since.as_second())
}

/// The tag without its mark of weakness: what the weak comparison compares (§8.8.3.2).
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}
