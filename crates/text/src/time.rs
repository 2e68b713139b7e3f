//! Time in documents, and on the timeline of a track.

use headwater_time::{Rounding, Timescale, rescale};
use std::ops::Range;

/// When something is shown: milliseconds since the start of the document, the end not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First millisecond.
    pub start_ms: u64,
    /// `u64::MAX` for what has no end.
    pub end_ms: u64,
}

impl Span {
    /// All of time.
    pub const ALWAYS: Self = Self {
        start_ms: 0,
        end_ms: u64::MAX,
    };

    /// Nothing is ever shown in it.
    pub fn is_empty(self) -> bool {
        self.start_ms >= self.end_ms
    }

    pub(crate) fn intersection(self, other: Self) -> Self {
        Self {
            start_ms: self.start_ms.max(other.start_ms),
            end_ms: self.end_ms.min(other.end_ms),
        }
    }
}

/// Where a document's times are on a track's timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Of the track.
    pub scale: Timescale,
    /// The tick at which the document's time 0 is.
    pub zero: u64,
}

impl Clock {
    /// The tick of an instant of the document, to the nearest.
    pub fn ticks(self, ms: u64) -> u64 {
        let ticks = rescale(ms, Timescale::MILLIS, self.scale, Rounding::HalfUp);
        ticks.unwrap_or(u64::MAX).saturating_add(self.zero)
    }

    /// The ticks of a span; at least one unless it is empty.
    pub fn range(self, span: Span) -> Range<u64> {
        let start = self.ticks(span.start_ms);
        let end = self.ticks(span.end_ms);
        match span.is_empty() {
            true => start..start,
            false => start..end.max(start.saturating_add(1)),
        }
    }

    /// Whether a part of `span` is in `window`.
    pub fn touches(self, span: Span, window: &Range<u64>) -> bool {
        let range = self.range(span);
        !range.is_empty() && range.start < window.end && range.end > window.start
    }

    /// A window of the track in the document's time, to the nearest millisecond. Windows that tile still do.
    pub fn span(self, window: &Range<u64>) -> Span {
        Span {
            start_ms: self.ms(window.start.saturating_sub(self.zero)),
            end_ms: self.ms(window.end.saturating_sub(self.zero)),
        }
    }

    /// Milliseconds from the track's tick 0 to the document's.
    pub fn zero_ms(self) -> u64 {
        self.ms(self.zero)
    }

    fn ms(self, ticks: u64) -> u64 {
        let ms = rescale(ticks, self.scale, Timescale::MILLIS, Rounding::HalfUp);
        ms.unwrap_or(u64::MAX)
    }
}

/// `hh:mm:ss.ttt`, with as many digits of hours as it takes: WebVTT's and TTML's way alike.
pub(crate) fn clock_time(out: &mut String, ms: u64) {
    let part = |by: u64, of: u64| {
        let whole = ms.checked_div(by).unwrap_or_default();
        whole.checked_rem(of).unwrap_or_default()
    };
    let hours = ms.checked_div(3_600_000).unwrap_or_default();
    let text = format!(
        "{hours:02}:{:02}:{:02}.{:03}",
        part(60_000, 60),
        part(1000, 60),
        part(1, 1000)
    );
    out.push_str(&text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_written_with_hours() {
        let text = |ms| {
            let mut out = String::new();
            clock_time(&mut out, ms);
            out
        };
        assert_eq!(text(0), "00:00:00.000");
        assert_eq!(text(3_723_004), "01:02:03.004");
        assert_eq!(text(360_000_000), "100:00:00.000");
    }

    proptest! {
        #[test]
        fn a_span_touches_the_windows_that_its_ticks_are_in(
            scale in 1_u32..20_000_000, zero in 0_u64..1_000_000, start in 0_u64..100_000, len in 1_u64..50_000, cut in 0_u64..200_000,
        ) {
            let clock = Clock { scale: Timescale::new(scale).unwrap(), zero };
            let span = Span { start_ms: start, end_ms: start + len };
            let range = clock.range(span);
            prop_assert!(range.start < range.end);
            let at = clock.ticks(cut);
            let (before, after) = (clock.touches(span, &(0..at)), clock.touches(span, &(at..u64::MAX)));
            prop_assert_eq!(before, range.start < at);
            prop_assert_eq!(after, range.end > at);
            prop_assert!(before || after);
        }
    }
}
