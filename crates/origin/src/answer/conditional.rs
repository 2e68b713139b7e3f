//! `If-None-Match`, `If-Modified-Since` (RFC 9110 §13).

use super::Meta;
use headwater_blob::time::parse_http_date;
use http::HeaderMap;
use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH};

/// Whether the client's copy is still good. `If-Modified-Since` counts only without `If-None-Match` (§13.2.2).
pub(crate) fn is_not_modified(headers: &HeaderMap, meta: &Meta) -> bool {
    let mut tags = headers.get_all(IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        return tags
            .filter_map(|v| v.to_str().ok())
            .any(|list| names(list, &meta.etag));
    }
    let since = headers
        .get(IF_MODIFIED_SINCE)
        .and_then(|v| v.to_str().ok())
        .and_then(parse_http_date);
    match (since, meta.last_modified) {
        // Dates have whole seconds.
        (Some(since), Some(modified)) => modified.as_second() <= since.as_second(),
        _ => false,
    }
}

/// Weak comparison of `etag` with a list of entity tags or `*` (§8.8.3.2). Our own tags hold no commas.
fn names(list: &str, etag: &str) -> bool {
    list.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || opaque(tag) == opaque(etag))
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}
