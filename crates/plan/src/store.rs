//! How a store's answer to a range request is judged: the same by every assembler.

use std::ops::Range;

/// Why an object's range is not there. The number is the status that the assembler answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// 404: there is no such object.
    Missing,
    /// 412: it is not the one that the plan was made for.
    Changed,
    /// 503: overloaded, or not to be reached. The same request may succeed later.
    Busy,
    /// 504: no answer in time.
    Timeout,
    /// 502: anything else.
    Unexpected,
}

impl StoreFault {
    /// HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::Missing => 404,
            Self::Changed => 412,
            Self::Busy => 503,
            Self::Timeout => 504,
            Self::Unexpected => 502,
        }
    }
}

/// The head of a store's answer.
#[derive(Debug, Clone, Copy)]
pub struct StoreAnswer<'a> {
    /// HTTP status.
    pub status: u16,
    /// `Content-Length`.
    pub content_length: Option<u64>,
    /// `Content-Range`.
    pub content_range: Option<&'a str>,
}

impl StoreAnswer<'_> {
    /// Whether the body that follows is `range` of the object and nothing else.
    ///
    /// A store that ignores `Range` (200) is of use only if the whole object was wanted. An object that has become shorter
    /// than the range is not the one that the plan was made for.
    pub fn delivers(&self, range: &Range<u64>) -> Result<(), StoreFault> {
        let wanted = range.end.saturating_sub(range.start);
        if (200..300).contains(&self.status) && self.content_length.is_some_and(|len| len != wanted)
        {
            return Err(StoreFault::Changed);
        }
        match self.status {
            206 if self.first_byte() == Some(range.start) => Ok(()),
            200 if range.start == 0 && self.content_length == Some(range.end) => Ok(()),
            404 | 410 => Err(StoreFault::Missing),
            412 | 416 => Err(StoreFault::Changed),
            429 | 503 => Err(StoreFault::Busy),
            _ => Err(StoreFault::Unexpected),
        }
    }

    fn first_byte(&self) -> Option<u64> {
        let range = self.content_range?.strip_prefix("bytes ")?;
        range.split_once('-')?.0.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, length: Option<u64>, range: Option<&str>) -> Result<(), StoreFault> {
        StoreAnswer {
            status,
            content_length: length,
            content_range: range,
        }
        .delivers(&(100..200))
    }

    #[test]
    fn only_the_very_range_is_taken() {
        assert_eq!(judged(206, Some(100), Some("bytes 100-199/500")), Ok(()));
        assert_eq!(judged(206, None, Some("bytes 100-199/*")), Ok(()));
        for (status, length, range, fault) in [
            (
                206,
                Some(50),
                Some("bytes 100-149/150"),
                StoreFault::Changed,
            ),
            (
                206,
                Some(100),
                Some("bytes 0-99/500"),
                StoreFault::Unexpected,
            ),
            (206, Some(100), None, StoreFault::Unexpected),
            (200, Some(500), None, StoreFault::Changed),
            (200, None, None, StoreFault::Unexpected),
            (404, Some(9), None, StoreFault::Missing),
            (412, None, None, StoreFault::Changed),
            (416, None, None, StoreFault::Changed),
            (429, None, None, StoreFault::Busy),
            (503, None, None, StoreFault::Busy),
            (403, None, None, StoreFault::Unexpected),
            (500, None, None, StoreFault::Unexpected),
        ] {
            assert_eq!(judged(status, length, range), Err(fault), "{status}");
        }
        let whole = StoreAnswer {
            status: 200,
            content_length: Some(7),
            content_range: None,
        };
        assert_eq!(whole.delivers(&(0..7)), Ok(()));
        assert_eq!(whole.delivers(&(0..6)), Err(StoreFault::Changed));
    }
}
