//! A track's rows as segments: in transport streams one may hold several.
//!
//! ```text
//! rows       6   7   8 | 9   10  11      three to a segment
//! of sound   #   #   # | #   .   #       . is missing
//! listed     6, 3 of them | 9, 3 of them
//! ```
//!
//! Which rows are one segment is the same for all tracks, whatever they miss, so numbers mean the same in all of them. A segment
//! is a gap if the track has nothing in it. If it has something, it is served with what there is: players get over a hole in
//! a segment as they do over one between two, and nothing is lost that is there. It is named by its first row with media and
//! by how many there are from that to the last, so that what its URL means does not depend on what comes later.

use super::show::{Item, Lane, Show};
use headwater_live::group::RowsPerSegment;
use headwater_live::timeline::Segment;

/// A segment of a playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run<'l, 'a> {
    /// Media sequence number.
    pub(crate) number: u64,
    /// Its rows, in order; not empty.
    pub(crate) items: &'l [Item<'a>],
}

/// What a run has of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Media<'a> {
    /// What it begins with.
    pub(crate) first: &'a Segment,
    /// When the row of that begins, on the event's clock.
    pub(crate) clock: i64,
    /// Rows from that to the last one that goes with it, both included.
    pub(crate) rows: u64,
}

impl Show {
    /// The segments of a track. One that rows are still to come of is not among them, unless nothing follows.
    pub(crate) fn runs<'l, 'a>(&self, lane: &'l Lane<'a>) -> Vec<Run<'l, 'a>> {
        let rows = self.rows_per_segment;
        let runs = lane.items.chunk_by(|_, next| !rows.begins(next.row));
        let first = lane.items.first().map_or(0, |item| item.row.number);
        let numbers = self.timeline.segment_number(first, rows)..;
        let runs = numbers.zip(runs);
        let mut runs: Vec<_> = runs.map(|(number, items)| Run { number, items }).collect();
        let last = runs.last().and_then(|run| run.items.last());
        let whole = self.ended || last.is_none_or(|last| self.ends_with(last.row.number));
        if !whole {
            runs.pop();
        }
        runs
    }

    /// Whether row `number` is the last of its segment.
    fn ends_with(&self, number: u64) -> bool {
        let next = number.saturating_add(1);
        let begins = self.timeline.row(next).map(|row| row.discontinuity);
        self.rows_per_segment.is_start(next) || begins == Some(true) || self.closed == Some(number)
    }

    /// Whether the first segment of several rows is still to come, given what there is.
    pub(crate) fn is_to_come(&self, runs: &[Run<'_, '_>]) -> bool {
        runs.is_empty() && !self.ended && self.rows_per_segment != RowsPerSegment::ONE
    }
}

impl<'a> Run<'_, 'a> {
    /// Ticks of the lane's scale.
    pub(crate) fn start(&self) -> u64 {
        self.items.first().map_or(0, |item| item.start)
    }

    /// Ticks, of missing rows as well.
    pub(crate) fn duration(&self) -> u64 {
        let end = self.items.last();
        let end = end.map_or(0, |item| item.start.saturating_add(item.duration));
        end.saturating_sub(self.start())
    }

    /// Nothing before it fits.
    pub(crate) fn discontinuity(&self) -> bool {
        let first = self.items.first();
        first.is_some_and(|item| item.row.discontinuity)
    }

    /// `None`: a gap. What needs another init segment than the first has no place in it; such media begins in a row before the
    /// discontinuity that says so, if tracks change within one moment.
    pub(crate) fn media(&self) -> Option<Media<'a>> {
        let there = || {
            let there = self.items.iter();
            there.filter_map(|item| Some((item.row, item.segment?)))
        };
        let (from, first) = there().next()?;
        let mut fitting = there().filter(|(_, segment)| segment.config == first.config);
        let to = fitting.next_back().map_or(from, |(row, _)| row);
        let rows = to.number.saturating_sub(from.number).saturating_add(1);
        Some(Media {
            first,
            clock: from.start,
            rows,
        })
    }
}

#[cfg(test)]
#[path = "runs_tests.rs"]
mod tests;
