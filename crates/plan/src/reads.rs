//! Which reads carry a plan out: neighbouring ranges of one object become one request.
//!
//! In an interleaved file the samples of one track lie a few kilobytes apart. One request that also fetches the
//! little between them is far cheaper than a request per run of samples.

use crate::{Object, Packetise, Plan, Source, Step};
use bytes::Bytes;
use std::ops::Range;

/// Largest hole between two ranges that is read and dropped rather than skipped by a new request.
pub const MAX_GAP_BYTES: u64 = 128 * 1024;

/// One thing to fetch or to write, in body order.
#[derive(Clone, PartialEq, Eq)]
pub enum Read<'a> {
    /// Write these bytes.
    Inline(&'a Bytes),
    /// Request a run and write what it keeps.
    Object(Run<'a>),
    /// Request the runs of [`Packetise::runs`] and write what the step makes of them.
    Packetise(&'a Packetise),
}

/// One request, and what of it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run<'a> {
    /// Where to read.
    pub object: &'a Object,
    /// What to request: covers all of `keep`, not empty.
    pub range: Range<u64>,
    /// Ascending, not overlapping, not empty; the holes are at most [`MAX_GAP_BYTES`] long.
    pub keep: Vec<Range<u64>>,
}

impl Plan {
    /// The reads that produce the body, in order.
    pub fn reads(&self) -> impl Iterator<Item = Read<'_>> {
        let mut rest = self.0.steps.as_slice();
        std::iter::from_fn(move || {
            let (first, after) = rest.split_first()?;
            match first {
                Step::Inline(bytes) => {
                    rest = after;
                    Some(Read::Inline(bytes))
                }
                Step::Packetise(step) => {
                    rest = after;
                    Some(Read::Packetise(step))
                }
                Step::Range { .. } => {
                    let ranges = rest.iter().map_while(|step| match step {
                        Step::Range {
                            object,
                            offset,
                            len,
                        } => Some((*object, *offset..offset.saturating_add(*len))),
                        _ => None,
                    });
                    let run = run(self, ranges)?;
                    rest = rest.get(run.keep.len()..)?;
                    Some(Read::Object(run))
                }
            }
        })
    }

    /// Every range of an object that the plan needs: index into [`Plan::objects`], bytes.
    pub fn ranges(&self) -> impl Iterator<Item = (u32, Range<u64>)> {
        self.0.steps.iter().flat_map(|step| {
            let (own, sources) = match step {
                Step::Inline(_) => (None, None),
                Step::Range {
                    object,
                    offset,
                    len,
                } => (Some((*object, *offset..offset.saturating_add(*len))), None),
                Step::Packetise(step) => (None, Some(step.streams().iter().flatten())),
            };
            let sources = sources.into_iter().flatten();
            own.into_iter()
                .chain(sources.map(|source| (source.object, source.range.clone())))
        })
    }

    /// What is requested first: whether it is there decides what a request for the body is answered with.
    pub fn first_run(&self) -> Option<Run<'_>> {
        self.reads().find_map(|read| match read {
            Read::Inline(_) => None,
            Read::Object(run) => Some(run),
            Read::Packetise(step) => {
                let streams = 0..step.streams().len();
                streams
                    .into_iter()
                    .find_map(|stream| step.runs(self, stream).next())
            }
        })
    }
}

impl Packetise {
    /// The reads that bring the bytes of `stream`, in order. `plan`: the one that the step belongs to.
    pub fn runs<'a>(&'a self, plan: &'a Plan, stream: usize) -> impl Iterator<Item = Run<'a>> {
        let mut rest = self.streams().get(stream).map_or(&[][..], Vec::as_slice);
        std::iter::from_fn(move || {
            let ranges = rest
                .iter()
                .map(|Source { object, range }| (*object, range.clone()));
            let run = run(plan, ranges)?;
            rest = rest.get(run.keep.len()..)?;
            Some(run)
        })
    }
}

/// The request that serves as many leading ranges as one can.
fn run(plan: &Plan, ranges: impl Iterator<Item = (u32, Range<u64>)>) -> Option<Run<'_>> {
    let mut ranges = ranges.peekable();
    let (of, first) = ranges.next()?;
    let mut all = first.clone();
    let mut keep = vec![first];
    while let Some((_, range)) = ranges.next_if(|(object, range)| {
        let gap = range.start.checked_sub(all.end);
        *object == of && gap.is_some_and(|gap| gap <= MAX_GAP_BYTES)
    }) {
        all.end = range.end;
        keep.push(range);
    }
    Some(Run {
        object: plan.0.objects.get(usize::try_from(of).ok()?)?,
        range: all,
        keep,
    })
}
