//! Which reads carry a plan out: neighbouring ranges of one object become one request.
//!
//! In an interleaved file the samples of one track lie a few kilobytes apart. One request that also fetches the
//! little between them is far cheaper than a request per run of samples.

use crate::{Object, Plan, Step};
use bytes::Bytes;
use std::ops::Range;

/// Largest hole between two ranges that is read and dropped rather than skipped by a new request.
pub const MAX_GAP_BYTES: u64 = 128 * 1024;

/// One thing to fetch or to write, in body order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read<'a> {
    /// Write these bytes.
    Inline(&'a Bytes),
    /// Request `range` of `object` and keep only what `steps` name.
    Object {
        /// Where to read.
        object: &'a Object,
        /// Covers every step, not empty.
        range: Range<u64>,
        /// [`Step::Range`]s of this one object, ascending, not overlapping; the holes are at most
        /// [`MAX_GAP_BYTES`] long.
        steps: &'a [Step],
    },
}

impl Plan {
    /// The reads that produce the body, in order.
    pub fn reads(&self) -> impl Iterator<Item = Read<'_>> {
        let mut rest = self.steps.as_slice();
        std::iter::from_fn(move || {
            let (first, _) = rest.split_first()?;
            match first {
                Step::Inline(bytes) => {
                    rest = rest.get(1..).unwrap_or_default();
                    Some(Read::Inline(bytes))
                }
                Step::Range { object, offset, .. } => {
                    let (count, end) = run(rest);
                    let (steps, after) = rest.split_at_checked(count)?;
                    rest = after;
                    let object = self.objects.get(usize::try_from(*object).ok()?)?;
                    Some(Read::Object {
                        object,
                        range: *offset..end,
                        steps,
                    })
                }
            }
        })
    }
}

/// How many leading steps one request serves, and where it ends.
fn run(steps: &[Step]) -> (usize, u64) {
    let mut count: usize = 0;
    let mut end: u64 = 0;
    let mut of: Option<u32> = None;
    for step in steps {
        let Step::Range {
            object,
            offset,
            len,
        } = step
        else {
            break;
        };
        let joins = of.is_none_or(|of| of == *object)
            && (count == 0
                || offset
                    .checked_sub(end)
                    .is_some_and(|gap| gap <= MAX_GAP_BYTES));
        if !joins {
            break;
        }
        of = Some(*object);
        end = offset.saturating_add(*len);
        count = count.saturating_add(1);
    }
    (count, end)
}
