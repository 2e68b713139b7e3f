//! How the blocks of a blob become the parts of a multipart upload.
//!
//! Azure's blocks may be of any size and come in any order; S3's parts are numbered from 1 to 10,000 and have 5 MiB to 5 GiB but for
//! the last. Blocks that are large enough are copied inside the store; small ones are read and sent again together.

use std::ops::Range;

/// What is sent in one request rather than as a multipart upload: at most so many bytes.
pub(super) const SINGLE: u64 = 16 << 20;
/// The smallest part but the last.
const MIN_PART: u64 = 5 << 20;
/// The largest object.
pub(super) const MAX_OBJECT: u64 = 5 << 40;
/// Parts are made so large that there are no more of them; S3 takes 10,000.
const MAX_PARTS: u64 = 9_000;

/// Bytes of one of the sources of a blob, in the order of the blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// Which source.
    pub(super) source: usize,
    pub(super) bytes: Range<u64>,
}

impl Span {
    pub(super) fn len(&self) -> u64 {
        self.bytes.end.saturating_sub(self.bytes.start)
    }

    /// The first `len` bytes, and the rest.
    fn split(self, len: u64) -> (Self, Self) {
        let middle = self.bytes.start.saturating_add(len).min(self.bytes.end);
        let part = |bytes| Self {
            source: self.source,
            bytes,
        };
        (part(self.bytes.start..middle), part(middle..self.bytes.end))
    }
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Copied by the store.
    Copied(Span),
    /// Read and sent.
    Sent(Vec<Span>),
}

/// The parts of a blob of these pieces, at most [`MAX_OBJECT`] bytes in all.
pub(super) fn plan(pieces: Vec<Span>) -> Vec<Part> {
    let total: u64 = pieces.iter().map(Span::len).sum();
    let fair = total.div_ceil(MAX_PARTS);
    let (least, goal) = (fair.max(MIN_PART), fair.max(SINGLE));
    let mut parts = Vec::new();
    let (mut gathered, mut size) = (Vec::new(), 0u64);
    let mut rest: Vec<Span> = pieces;
    rest.reverse();
    while let Some(piece) = rest.pop() {
        if piece.len() == 0 {
            continue;
        }
        if piece.len() >= least && (size == 0 || size >= least) {
            if size > 0 {
                parts.push(Part::Sent(std::mem::take(&mut gathered)));
                size = 0;
            }
            parts.push(Part::Copied(piece));
            continue;
        }
        let (now, later) = piece.split(goal.saturating_sub(size));
        size = size.saturating_add(now.len());
        gathered.push(now);
        rest.push(later);
        if size >= goal {
            parts.push(Part::Sent(std::mem::take(&mut gathered)));
            size = 0;
        }
    }
    if size > 0 {
        parts.push(Part::Sent(gathered));
    }
    parts
}

/// A file of `len` bytes, cut into parts of one size.
pub(super) fn cut(len: u64) -> impl Iterator<Item = Range<u64>> {
    let step = len.div_ceil(MAX_PARTS).max(SINGLE);
    (0..len.div_ceil(step)).map(move |n| {
        let start = n.saturating_mul(step);
        start..start.saturating_add(step).min(len)
    })
}

/// An object of `len` bytes, cut into the largest parts that the store copies.
pub(super) fn cut_copies(len: u64) -> impl Iterator<Item = Range<u64>> {
    const STEP: u64 = 1 << 30;
    (0..len.div_ceil(STEP)).map(move |n| {
        let start = n.saturating_mul(STEP);
        start..start.saturating_add(STEP).min(len)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans(part: &Part) -> Vec<Span> {
        match part {
            Part::Copied(span) => vec![span.clone()],
            Part::Sent(spans) => spans.clone(),
        }
    }

    fn pieces(lengths: &[u64]) -> Vec<Span> {
        let span = |(source, len): (usize, &u64)| Span {
            source,
            bytes: 0..*len,
        };
        lengths.iter().enumerate().map(span).collect()
    }

    #[test]
    fn large_blocks_are_copied_and_small_ones_sent_together() {
        const MIB: u64 = 1 << 20;
        let parts = plan(pieces(&[8 * MIB, 4 * MIB, 4 * MIB, 8 * MIB, MIB]));
        let kinds: Vec<_> = parts
            .iter()
            .map(|part| matches!(part, Part::Copied(_)))
            .collect();
        assert_eq!(kinds, [true, false, true, false]);
        // What is too small for a part takes from the next block.
        let parts = plan(pieces(&[MIB, 100 * MIB]));
        assert_eq!(spans(&parts[0])[1].bytes, 0..15 * MIB);
        assert_eq!(
            parts[1],
            Part::Copied(Span {
                source: 1,
                bytes: 15 * MIB..100 * MIB
            })
        );
    }

    proptest! {
        #[test]
        fn parts_are_the_blob_within_the_stores_limits(
            lengths in prop::collection::vec(prop_oneof![1u64..100, 1u64..6 << 20, 1u64..4000 << 20], 0..400),
        ) {
            let whole = pieces(&lengths);
            let parts = plan(whole.clone());
            prop_assert!(parts.len() <= 10_000);
            let mut seen: Vec<Span> = Vec::new();
            for (n, part) in parts.iter().enumerate() {
                let spans = spans(part);
                let size: u64 = spans.iter().map(Span::len).sum();
                prop_assert!(n + 1 == parts.len() || size >= MIN_PART);
                prop_assert!(size <= 5 << 30);
                for span in spans {
                    match seen.last_mut() {
                        Some(last) if last.source == span.source => {
                            prop_assert_eq!(last.bytes.end, span.bytes.start);
                            last.bytes.end = span.bytes.end;
                        }
                        _ => seen.push(span),
                    }
                }
            }
            prop_assert_eq!(seen, whole);
        }

        #[test]
        fn files_are_cut_without_a_gap(len in 0u64..MAX_OBJECT) {
            for ranges in [cut(len).collect::<Vec<_>>(), cut_copies(len).collect()] {
                prop_assert!(ranges.len() <= 10_000);
                let end = ranges.iter().try_fold(0, |end, range| (range.start == end && range.start < range.end).then_some(range.end));
                prop_assert_eq!(end, Some(len));
            }
        }
    }
}
