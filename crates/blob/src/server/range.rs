//! `Range` and `x-ms-range`: one byte range (RFC 9110 §14.1.2; Azure accepts no more than one).

use std::ops::Range;

/// A range as asked for, before the length is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=first-` or `bytes=first-last`, both inclusive.
    From { first: u64, last: Option<u64> },
    /// `bytes=-count`: the last bytes.
    Suffix { count: u64 },
}

/// The range lies outside the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the range is outside the blob")]
pub struct InvalidRange;

/// Reads a range header. `None` if it is not exactly one well-formed byte range: then it is ignored, as RFC 9110 asks.
pub fn parse_range(header: &str) -> Option<ByteRange> {
    let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // More digits than a u64 holds is simply beyond every blob.
        Some(text.parse().unwrap_or(u64::MAX))
    };
    if first.is_empty() {
        return Some(ByteRange::Suffix {
            count: number(last)?,
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() {
        None
    } else {
        Some(number(last)?)
    };
    match last {
        Some(last) if last < first => None,
        _ => Some(ByteRange::From { first, last }),
    }
}

impl ByteRange {
    /// The bytes of a blob of `len` bytes; never empty.
    pub fn resolve(self, len: u64) -> Result<Range<u64>, InvalidRange> {
        let (start, end) = match self {
            Self::From { first, last } => (
                first,
                last.map_or(len, |last| last.saturating_add(1).min(len)),
            ),
            Self::Suffix { count } => (len.saturating_sub(count), len),
        };
        if start < end {
            Ok(start..end)
        } else {
            Err(InvalidRange)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resolve(header: &str, len: u64) -> Option<Result<Range<u64>, InvalidRange>> {
        parse_range(header).map(|range| range.resolve(len))
    }

    #[test]
    fn ranges_resolve_against_the_length() {
        assert_eq!(resolve("bytes=0-3", 10), Some(Ok(0..4)));
        assert_eq!(resolve("bytes=4-", 10), Some(Ok(4..10)));
        assert_eq!(resolve("bytes=4-99", 10), Some(Ok(4..10)));
        assert_eq!(resolve("bytes=-3", 10), Some(Ok(7..10)));
        assert_eq!(resolve("bytes=-30", 10), Some(Ok(0..10)));
        assert_eq!(resolve("bytes=0-18446744073709551615", 10), Some(Ok(0..10)));
        assert_eq!(resolve("bytes=10-", 10), Some(Err(InvalidRange)));
        assert_eq!(resolve("bytes=-0", 10), Some(Err(InvalidRange)));
        assert_eq!(resolve("bytes=0-0", 0), Some(Err(InvalidRange)));
        assert_eq!(
            resolve("bytes=99999999999999999999999-", 10),
            Some(Err(InvalidRange))
        );
    }

    #[test]
    fn malformed_ranges_are_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-2",
            "bytes=0-1,3-4",
            "items=0-1",
            "bytes=+1-2",
            "bytes=1--2",
        ] {
            assert_eq!(parse_range(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn a_resolved_range_is_inside(header in "bytes=[0-9]{0,21}-[0-9]{0,21}", len in 0u64..1_000) {
            if let Some(Ok(range)) = resolve(&header, len) {
                prop_assert!(range.start < range.end && range.end <= len);
            }
        }
    }
}
