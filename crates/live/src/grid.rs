//! Where rows begin, for all tracks of an event alike.
//!
//! The first video track that reaches a key frame one interval after the newest row's start begins the next row there; the
//! others join it at their own key frame of the same moment. An encoder whose key frames are farther apart than
//! promised gets longer rows, one with more key frames gets rows of several groups of pictures.

use std::collections::VecDeque;

/// The beginning of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) number: u64,
    /// Event clock.
    pub(crate) start: i64,
    pub(crate) discontinuity: bool,
}

/// The newest rows, and the rule for the next.
#[derive(Debug)]
pub(crate) struct Grid {
    /// Ticks of the event clock.
    interval: i64,
    /// What key frames of one moment may be apart, by rounding and jitter.
    tolerance: i64,
    marks: VecDeque<Mark>,
    next: u64,
    /// The next row does not fit the ones before.
    broken: bool,
    /// Where the regular rows begin, whatever cues have cut in between.
    phase: Option<i64>,
    /// Moments at which rows are to begin, if a key frame is there.
    wanted: Vec<i64>,
}

/// What a track that comes to a place where it can be cut asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Goes on from row `0`.
    Within(u64),
    /// Starts, or starts anew after a gap. `since`: when it began to wait, event clock.
    Anew { after: Option<u64>, since: i64 },
    /// Likewise, while nobody goes on: there is no row to wait for.
    Afresh { after: Option<u64> },
}

/// Rows remembered. A track that is farther behind joins where it can.
const KEPT: usize = 32;

impl Grid {
    pub(crate) fn new(interval: i64, next: u64) -> Self {
        Self {
            interval,
            tolerance: (interval / 32).clamp(900, 5_400),
            marks: VecDeque::new(),
            next,
            broken: false,
            phase: None,
            wanted: Vec::new(),
        }
    }

    /// What key frames of one moment may be apart.
    pub(crate) fn tolerance(&self) -> i64 {
        self.tolerance
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.next
    }

    pub(crate) fn newest(&self) -> Option<Mark> {
        self.marks.back().copied()
    }

    /// Rows after `number`, oldest first.
    pub(crate) fn after(&self, number: Option<u64>) -> impl Iterator<Item = Mark> + '_ {
        let marks = self.marks.iter().copied();
        marks.filter(move |mark| number.is_none_or(|number| mark.number > number))
    }

    /// A row is to begin at `time`, if a key frame is there: it may be earlier than it is due.
    pub(crate) fn want(&mut self, time: i64) {
        let later = self.newest().is_none_or(|newest| newest.start < time);
        if later && !self.wanted.contains(&time) {
            self.wanted.push(time);
            if self.wanted.len() > KEPT {
                self.wanted.remove(0);
            }
        }
    }

    /// Nothing is to begin at `time` any more.
    pub(crate) fn unwant(&mut self, time: i64) {
        self.wanted.retain(|wanted| *wanted != time);
    }

    /// The next row to begin is a discontinuity.
    pub(crate) fn break_next(&mut self) {
        self.broken = true;
    }

    /// Whether the next row is to be a discontinuity, and has not begun.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether a row that is a discontinuity began after `time`.
    pub(crate) fn has_broken_since(&self, time: i64) -> bool {
        let mut marks = self.marks.iter();
        marks.any(|mark| mark.discontinuity && mark.start > time)
    }

    /// Whether a row that is a discontinuity begins at `time`: a break there is told of already.
    pub(crate) fn breaks_at(&self, time: i64) -> bool {
        let here = |mark: &Mark| time.saturating_sub(mark.start).saturating_abs() <= self.tolerance;
        self.marks
            .iter()
            .any(|mark| mark.discontinuity && here(mark))
    }

    fn open(&mut self, start: i64) -> Mark {
        let mark = Mark {
            number: self.next,
            start,
            discontinuity: std::mem::take(&mut self.broken),
        };
        self.next = self.next.saturating_add(1);
        self.marks.push_back(mark);
        if self.marks.len() > KEPT {
            self.marks.pop_front();
        }
        mark
    }

    /// A track could be cut at `time`. The row that begins there for it, and whether it is new; `None` to go on.
    pub(crate) fn cut(&mut self, ask: Ask, time: i64) -> Option<(Mark, bool)> {
        let Some(newest) = self.newest() else {
            self.phase = Some(time);
            return Some((self.open(time), true));
        };
        let since_newest = time.saturating_sub(newest.start);
        let (after, anew) = match ask {
            Ask::Within(number) => (Some(number), None),
            Ask::Anew { after, since } => (after, Some(since)),
            Ask::Afresh { after } => (after, Some(i64::MAX)),
        };
        let afresh = matches!(ask, Ask::Afresh { .. }) && since_newest > self.tolerance;
        let regular = self.phase.unwrap_or(newest.start);
        let due = time.saturating_sub(regular) >= self.interval.saturating_sub(self.tolerance)
            && since_newest > self.tolerance;
        // After a break nobody waits: what comes first begins the row.
        let forced = self.broken && since_newest > self.tolerance;
        let passed = time.saturating_add(self.tolerance);
        let cued = since_newest > self.tolerance
            && self
                .wanted
                .iter()
                .any(|wanted| *wanted <= passed && *wanted > newest.start);
        if due || forced || cued || afresh {
            // What is cut at a cue alone leaves the others where they would have been.
            if due || forced || afresh {
                self.phase = Some(time);
            }
            self.wanted.retain(|wanted| *wanted > passed);
            return Some((self.open(time), true));
        }
        let here = |mark: &Mark| time.saturating_sub(mark.start).saturating_abs() <= self.tolerance;
        let mut open = self
            .after(after)
            .filter(|mark| mark.start <= time.saturating_add(self.tolerance));
        match anew {
            None => open.last().map(|mark| (mark, false)),
            // Joining in the middle would leave a segment that starts where no other track has one. An encoder that never
            // aligns its key frames is let in after a while all the same.
            Some(since) => {
                let patient = time.saturating_sub(since) < self.interval.saturating_mul(2);
                match patient {
                    true => open.find(here).map(|mark| (mark, false)),
                    false => open.last().map(|mark| (mark, false)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 90_000;

    fn number(grid: &mut Grid, ask: Ask, time: i64) -> Option<(u64, bool)> {
        grid.cut(ask, time).map(|(mark, new)| (mark.number, new))
    }

    #[test]
    fn key_frames_of_one_moment_begin_one_row() {
        let mut grid = Grid::new(2 * SECOND, 7);
        let start = Ask::Anew {
            after: None,
            since: 0,
        };
        assert_eq!(number(&mut grid, start, 0), Some((7, true)));
        assert_eq!(number(&mut grid, start, 90), Some((7, false)));
        assert_eq!(number(&mut grid, Ask::Within(7), SECOND), None);
        assert_eq!(
            number(&mut grid, Ask::Within(7), 2 * SECOND - 90),
            Some((8, true))
        );
        assert_eq!(
            number(&mut grid, Ask::Within(7), 2 * SECOND),
            Some((8, false))
        );
        assert_eq!(number(&mut grid, Ask::Within(8), 3 * SECOND), None);
        // Groups of three seconds: rows of three seconds.
        assert_eq!(
            number(&mut grid, Ask::Within(8), 5 * SECOND),
            Some((9, true))
        );
    }

    #[test]
    fn who_joins_waits_for_a_boundary_but_not_for_ever() {
        let mut grid = Grid::new(2 * SECOND, 0);
        let start = Ask::Anew {
            after: None,
            since: 0,
        };
        grid.cut(start, 0);
        let late = Ask::Anew {
            after: None,
            since: SECOND,
        };
        assert_eq!(number(&mut grid, late, SECOND), None);
        grid.cut(Ask::Within(0), 2 * SECOND);
        assert_eq!(number(&mut grid, late, 3 * SECOND), None);
        grid.cut(Ask::Within(1), 4 * SECOND);
        assert_eq!(number(&mut grid, late, 5 * SECOND), Some((2, false)));
    }

    #[test]
    fn a_break_begins_a_row_at_once_and_only_one() {
        let mut grid = Grid::new(2 * SECOND, 0);
        grid.cut(
            Ask::Anew {
                after: None,
                since: 0,
            },
            0,
        );
        grid.break_next();
        let again = Ask::Anew {
            after: Some(0),
            since: SECOND,
        };
        let (mark, new) = grid.cut(again, SECOND).unwrap();
        assert!(mark.discontinuity && new);
        assert_eq!(number(&mut grid, again, SECOND + 90), Some((1, false)));
    }
}
