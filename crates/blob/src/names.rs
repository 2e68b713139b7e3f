//! Container and blob names: what the service accepts and how they are written in a URL.
//!
//! Source: "Naming and Referencing Containers, Blobs, and Metadata", Azure Blob service REST API.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What stays readable in a path segment: RFC 3986 `unreserved`. `/` is added for whole blob names.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const BLOB_PATH: &AsciiSet = &SEGMENT.remove(b'/');

/// Longest blob name, in characters.
pub const MAX_BLOB_NAME_CHARS: usize = 1024;
/// Most path segments in a blob name.
pub const MAX_BLOB_NAME_SEGMENTS: usize = 254;

/// Why a name is refused. The texts are safe to show to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    #[error(
        "a container name is 3 to 63 lower case letters, digits and single dashes, and starts and ends with a letter or digit"
    )]
    Container,
    #[error("a blob name is 1 to 1024 characters")]
    BlobLength,
    #[error("a blob name has at most 254 path segments")]
    BlobSegments,
    #[error("a blob name has no `.` or `..` segment")]
    BlobDotSegment,
    #[error("a blob name has no control characters")]
    BlobControl,
    #[error("a name is valid UTF-8 after percent-decoding")]
    Encoding,
}

/// Accepts container names by Azure's rules, and the special containers `$root`, `$web` and `$logs`.
pub fn check_container(name: &str) -> Result<(), InvalidName> {
    if matches!(name, "$root" | "$web" | "$logs") {
        return Ok(());
    }
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let ok = (3..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--");
    if ok {
        Ok(())
    } else {
        Err(InvalidName::Container)
    }
}

/// Accepts blob names. Stricter than Azure in two ways: no `.`/`..` segments (HTTP clients resolve them before
/// sending, so such a blob could not be addressed) and no control characters (they cannot appear in a listing).
pub fn check_blob(name: &str) -> Result<(), InvalidName> {
    // A character is at most four bytes: the cheap test first.
    if name.is_empty()
        || name.len() > MAX_BLOB_NAME_CHARS.saturating_mul(4)
        || name.chars().count() > MAX_BLOB_NAME_CHARS
    {
        return Err(InvalidName::BlobLength);
    }
    if name.chars().any(char::is_control) {
        return Err(InvalidName::BlobControl);
    }
    let mut segments = 0usize;
    for segment in name.split('/') {
        segments = segments.saturating_add(1);
        if segment == "." || segment == ".." {
            return Err(InvalidName::BlobDotSegment);
        }
    }
    if segments > MAX_BLOB_NAME_SEGMENTS {
        return Err(InvalidName::BlobSegments);
    }
    Ok(())
}

/// Writes a blob name for a URL path: everything but unreserved characters and `/` percent-encoded.
pub fn encode_blob(name: &str) -> String {
    utf8_percent_encode(name, BLOB_PATH).to_string()
}

/// Writes one query value.
pub(crate) fn encode_query(value: &str) -> String {
    utf8_percent_encode(value, SEGMENT).to_string()
}

/// Undoes percent-encoding; `+` stays `+`.
pub fn decode(raw: &str) -> Result<String, InvalidName> {
    percent_decode_str(raw)
        .decode_utf8()
        .map(|text| text.into_owned())
        .map_err(|_| InvalidName::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn container_names_follow_azure() {
        for good in ["abc", "asset-1f3c", "a1b", "$root", &"a".repeat(63)] {
            assert!(check_container(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "Abc",
            "a--b",
            "-abc",
            "abc-",
            "a_b",
            "a.b",
            "..",
            "$other",
            &"a".repeat(64),
        ] {
            assert!(check_container(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn blob_names_refuse_traversal() {
        for good in [
            "a",
            "a/b",
            "a//b",
            "a/",
            "/a",
            "...",
            "a/..b",
            "ünï/日本 語.mp4",
            ".headwater/x.hwx",
            "a\\b",
        ] {
            assert!(check_blob(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "..",
            "a/../b",
            "./a",
            "a/.",
            "a\0b",
            "a\nb",
            &"x".repeat(1025),
            &"a/".repeat(255),
        ] {
            assert!(check_blob(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn encoding_round_trips(name in "\\PC{1,60}") {
            let encoded = encode_blob(&name);
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(decode(&encoded).unwrap(), name);
        }
    }
}
